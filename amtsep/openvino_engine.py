"""OpenVINO on the CPU: the engine for processors that multiply in bfloat16, where it is installed (extra ``fast``).

In single precision it is no faster than ONNX Runtime as `amtsep.inference` uses it. In bfloat16 `base` takes a third
less of the processor and a quarter less time, and its start takes a second, which ten minutes of sound pay back;
`light`, half of which is its front end, gains nothing and stays in single precision, as the front end always does,
where tones far under others would be lost. It is taken only where it is asked for: notes of larger networks are not to
the last the same.
"""

from __future__ import annotations

import importlib.util
import json
import math
import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock, local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import FrontEnd
from amtsep.errors import ModelError

FRONT, NETWORK = "/inner/cqt", ("/inner/edges", "/inner/net")
"""Where the names of the exported graph's nodes begin: of the front end, and of what comes after it."""
WORTH_HALF = 50_000
"""Weights of its network from which on a file is computed in bfloat16."""


@lru_cache(1)
def usable() -> bool:
    """Whether this computer has OpenVINO, and a processor that multiplies in bfloat16."""
    if platform.machine().lower() not in ("x86_64", "amd64") or importlib.util.find_spec("openvino") is None:
        return False
    try:
        import openvino

        return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except Exception:  # noqa: BLE001 - a broken installation is none; the runtime has no common base for its errors
        return False


@dataclass(frozen=True, eq=False)
class _Compiled:
    """The halves of a graph, what the second one gives, and the requests of each thread."""

    front: Any
    network: Any
    outputs: list[str]
    length: int
    mine: local


class OpenVinoEngine:
    """OpenVINO on the CPU; compiled for the length of the first chunk, to which shorter ones are filled up.

    Parameters
    ----------
    path
        An ONNX file.
    threads
        Of the processor; as many chunks may be heard at once.
    precision
        Of the network after the front end: "bf16" or "f32"; ``None`` for what pays.
    timbre
        Whether to compute the embedding.
    """

    def __init__(self, path: Path, threads: int, precision: str | None = None, timbre: bool = True) -> None:
        import openvino

        self._timbre = timbre
        self._openvino, self._path = openvino, path
        self._core, self._lock = openvino.Core(), Lock()
        self._compiled: _Compiled | None = None
        try:
            model = self._core.read_model(str(path))
            about = json.loads(model.get_rt_info(["framework", "amtsep"]).astype(str))
            self.front_end = FrontEnd(**about["front_end"])
        except Exception as error:  # noqa: BLE001 - the runtime has no common base for its errors
            raise ModelError(f"{path.name} is not an ONNX file written by 'amtsep export'.") from error
        self._precision = precision or ("bf16" if _weights(model) >= WORTH_HALF else "f32")
        self.name, self.halo = str(about["name"]), int(about["halo"])
        self.sample_rate = int(about.get("input_rate", self.front_end.sample_rate))
        self.at_once = threads
        self.chunk_frames: int | None = None

    def __call__(self, samples: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run one chunk."""
        with self._lock:
            if self._compiled is None or len(samples) > self._compiled.length:
                self._compiled = self._compile(len(samples))
            compiled = self._compiled
        if not hasattr(compiled.mine, "requests"):
            compiled.mine.requests = compiled.front.create_infer_request(), compiled.network.create_infer_request()
        front, network = compiled.mine.requests
        filled = np.pad(samples, (0, compiled.length - len(samples)))
        *between, level = front.infer({0: filled[None]}, share_outputs=True).values()
        found = network.infer(dict(enumerate(between)), share_outputs=True).values()
        hop = self.front_end.hop_length * self.sample_rate // self.front_end.sample_rate
        n_frames = len(samples) // hop
        outputs = dict(zip(["level", *compiled.outputs], [level, *found]))
        # Copies: the next chunk is written to the same place.
        return {name: np.array(values[0, :, :n_frames], np.float32) for name, values in outputs.items()}

    def _compile(self, length: int) -> _Compiled:
        """The two halves of the graph, cut where the front end ends."""
        model = self._core.read_model(str(self._path))
        model.reshape({"audio": [1, length]})
        make = self._openvino.opset13
        ends, inputs = [], []
        for node in model.get_ordered_ops():
            if not node.get_friendly_name().startswith(FRONT):
                continue
            for output in node.outputs():
                takers = [t for t in output.get_target_inputs() if _named(t).startswith(NETWORK)]
                if takers:
                    ends.append(make.result(output))
                    inputs.append(make.parameter(output.get_partial_shape(), output.get_element_type()))
                for taker in takers:
                    taker.replace_source_output(inputs[-1].output(0))
        results = {next(iter(r.input_value(0).get_names())): r for r in model.get_results()}
        if not self._timbre:
            results.pop("embedding", None)
        front = self._openvino.Model([*ends, results.pop("level")], model.get_parameters(), "front")
        network = self._openvino.Model(list(results.values()), inputs, "network")
        about: dict[str, Any] = {"NUM_STREAMS": self.at_once, "INFERENCE_NUM_THREADS": self.at_once}
        first, second = (
            self._core.compile_model(half, "CPU", {**about, "INFERENCE_PRECISION_HINT": precision})
            for half, precision in ((front, "f32"), (network, self._precision))
        )
        return _Compiled(first, second, list(results), length, local())


def _weights(model: Any) -> int:
    """Values in the kernels over pitch and time, which are the network's and not the front end's."""
    shapes = (op.get_output_shape(0) for op in model.get_ops() if op.get_type_name() == "Constant")
    return sum(math.prod(shape) for shape in shapes if len(shape) == 4)


def _named(taker: Any) -> str:
    return str(taker.get_node().get_friendly_name())
