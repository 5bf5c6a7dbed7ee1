"""Weights in and out: safetensors with metadata (version, settings, calibration, training data, figures)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from amtsep.config import FrontEnd, Network
from amtsep.errors import ModelError
from amtsep.files import replacing
from amtsep.nets.model import AnyNet, EndToEnd, build_network

FORMAT = "amtsep-1"


def network_from(told: dict[str, Any]) -> Network:
    """The settings that JSON holds, which knows lists alone where they have tuples."""

    def held(value: Any) -> Any:
        return tuple(map(held, value)) if isinstance(value, list) else value

    if "blocks" not in told:  # today's default says nothing of a file
        raise KeyError("blocks")
    return Network(**{name: held(value) for name, value in told.items()})


@dataclass(frozen=True)
class Checkpoint:
    """What a weights file says about itself, beside its tensors.

    Parameters
    ----------
    network, front_end
        Settings that rebuild the network.
    onset_shift, frame_shift, offset_shift
        Calibration: added to the logits so that the default thresholds fit.
    info
        Anything worth knowing: steps, seed, bank, figures.
    """

    network: Network
    front_end: FrontEnd = field(default_factory=FrontEnd)
    onset_shift: float = 0.0
    frame_shift: float = 0.0
    offset_shift: float = 0.0
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def calibrated(self) -> bool:
        """Whether shifts have been found for it."""
        return "calibration" in self.info or any((self.onset_shift, self.frame_shift, self.offset_shift))

    def to_metadata(self) -> dict[str, str]:
        """As strings, for the file's header."""
        return {"format": FORMAT, **{name: json.dumps(value) for name, value in asdict(self).items()}}

    @staticmethod
    def from_metadata(metadata: dict[str, str]) -> Checkpoint:
        """The inverse of `to_metadata`."""
        if metadata.get("format") != FORMAT:
            raise ValueError("another format")
        # Files written before networks had an offset head say nothing of its shift.
        known = {"offset_shift": "0.0", **metadata}
        values = {f.name: json.loads(known[f.name]) for f in fields(Checkpoint)}
        return Checkpoint(
            network=network_from(values.pop("network")), front_end=FrontEnd(**values.pop("front_end")), **values
        )


def save_checkpoint(path: Path, net: AnyNet, checkpoint: Checkpoint) -> None:
    """Write weights and metadata, in one step."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, str(temporary), metadata=checkpoint.to_metadata())


def load_checkpoint(path: Path) -> tuple[AnyNet, Checkpoint]:
    """Read weights into a network in evaluation mode.

    Raises
    ------
    ModelError
        If the file is absent, damaged or made by another version.
    """
    with _opened(path) as file:
        checkpoint = Checkpoint.from_metadata(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        net = build_network(checkpoint.network, checkpoint.front_end)
        net.load_state_dict(tensors)
    return net.eval(), checkpoint


def read_checkpoint(path: Path) -> Checkpoint:
    """What a weights file says of its network, without its weights; raises as `load_checkpoint` does."""
    with _opened(path) as file:
        return Checkpoint.from_metadata(file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise ModelError(
            f"{path.name} does not exist; name a weights file (.safetensors) or one of the shipped models."
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path.name} is not a weights file of this version of amtsep; fetch it again.") from error


def load_end_to_end(path: Path) -> EndToEnd:
    """The calibrated module from waveform to posteriors."""
    net, checkpoint = load_checkpoint(path)
    return EndToEnd(net, checkpoint.onset_shift, checkpoint.frame_shift, checkpoint.offset_shift).eval()


def sha256(path: Path) -> str:
    """Checksum of a file, as in ``models/SHA256SUMS``."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
