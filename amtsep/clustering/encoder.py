"""Embeddings of whole notes: a small network over all that the transcriber's timbre branch says of a note.

The branch sees some 100 ms. Its embedding, pooled over the whole note, over the attack and over the rest, and the pitch
go through a residual network of two blocks. What comes out tells timbres apart better, above all over large intervals:
it was trained to bring notes of one timbre together (`amtsep.training.timbres.encoder`). NumPy only, one note at a
time; no note knows of the others.

Files beside this module (``note_encoder.json`` for `base`, ``note_encoder_large.json`` for `large`) hold the weights,
in 16 bits, and the networks that they were fitted to. Whatever another network says is left as it is.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Index = NDArray[np.intp]

WEIGHTS = Path(__file__).parent / "note_encoder.json"
BEFORE, ATTACK, LATE = 2, 8, 10
"""Frames: an attack begins so many before the onset and ends so many after it; the rest begins so many after it."""
CENTRES = tuple(range(24, 108, 7))
"""MIDI numbers that soft registers lie around."""
WIDTH = 4.0
"""Semitones, of a register."""
BLOCK = 4096
"""Notes that go through at once: an hour of music takes no more memory than a minute."""


def stretches(first: Index, last: Index) -> tuple[tuple[Index, Index], tuple[Index, Index]]:
    """Frames of the attack and of the rest of notes that sound from `first` to before `last`; none is empty."""
    begin = np.maximum(first - BEFORE, 0)
    attack = begin, np.maximum(np.minimum(first + ATTACK, last), begin + 1)
    return attack, (first + np.minimum(LATE, (last - first) // 2), last)


def encoder_inputs(pitch: NDArray[Any], pooled: Values) -> Values:
    """What the network sees of each note, (n, 15 + 3 D): the pitch as a curve and as soft registers, and `pooled`.

    Parameters
    ----------
    pitch
        MIDI numbers, (n,).
    pooled
        Unit vectors of the whole note, the attack and the rest beside each other, (n, 3 D).
    """
    away = np.asarray(pitch, np.float64)
    high = (away - 64.0) / 12.0
    register = [np.exp(-0.5 * ((away - centre) / WIDTH) ** 2) for centre in CENTRES]
    curve = np.stack([high, high**2 / 3.0, high**3 / 9.0, *register], axis=1)
    return np.hstack([curve, pooled]).astype(np.float32)


def own_beside(inputs: Values, own: float) -> Values:
    """The network's own embedding of whole notes from `encoder_inputs`, (n, D), as long as it is in the end."""
    begin = 3 + len(CENTRES)
    return inputs[:, begin : begin + (inputs.shape[1] - begin) // 3] * np.float32((own / (1.0 + own)) ** 0.5)


@dataclass(frozen=True, eq=False)
class NoteEncoder:
    """A fitted network: ``x + lift(relu(narrow(norm(x))))`` twice between a first and a last layer.

    What it says stands beside the embedding of the whole note, so that the cosine of two notes is the weighted mean of
    the two cosines.

    Parameters
    ----------
    networks
        Of the transcribers whose embeddings it was fitted to: first digits of the SHA-256 of their files.
    own
        Weight of the embedding itself against one of what the network says.
    layers
        Pairs of a matrix (inputs, outputs) and a bias (outputs,): first, two of each block, last.
    count
        Weights of `amtsep.clustering.count` that were fitted to what it says; empty where none were.
    """

    networks: tuple[str, ...]
    own: float
    layers: tuple[tuple[Values, Values], ...]
    count: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        """Dimensions of a network's embedding that it takes."""
        return (self.layers[0][0].shape[0] - 3 - len(CENTRES)) // 3

    @property
    def width(self) -> int:
        """Dimensions of what comes out."""
        return int(self.layers[-1][0].shape[1]) + self.inputs

    def __call__(self, pitch: NDArray[Any], pooled: Values) -> Values:
        """Unit vectors, (n, outputs + D); see `encoder_inputs`."""
        blocks = range(0, max(len(pooled), 1), BLOCK)
        return np.concatenate([self._some(pitch[at : at + BLOCK], pooled[at : at + BLOCK]) for at in blocks])

    def _some(self, pitch: NDArray[Any], pooled: Values) -> Values:
        (matrix, bias), *inner, (last, shift) = self.layers
        inputs = encoder_inputs(pitch, pooled)
        x = inputs @ matrix + bias
        for (narrow, first), (lift, second) in zip(inner[::2], inner[1::2], strict=True):
            x = x + np.maximum(unit_variance(x) @ narrow + first, 0.0) @ lift + second
        x = unit_variance(x) @ last + shift
        x *= np.float32((1.0 + self.own) ** -0.5) / (np.linalg.norm(x, axis=1, keepdims=True) + np.float32(1e-9))
        return np.hstack([x, own_beside(inputs, self.own)])

    @classmethod
    def of(cls, table: dict[str, Any]) -> NoteEncoder:
        """What `text` wrote, read as JSON."""
        layers = tuple((unpack(matrix), unpack(bias)) for matrix, bias in table["layers"])
        return cls(tuple(table["networks"]), float(table["own"]), layers, table["count"])

    def text(self, **about: Any) -> str:
        """The network as JSON, `about` telling how it was made; what is read is rounded to 16 bits a matrix."""
        layers = [[pack(matrix), pack(bias)] for matrix, bias in self.layers]
        table = {**about, "networks": list(self.networks), "own": self.own, "layers": layers, "count": self.count}
        return json.dumps(table, indent=1) + "\n"


def unit_variance(x: Values) -> Values:
    """Rows with mean zero and variance one."""
    x = x - x.mean(axis=1, keepdims=True)
    return np.asarray(x / np.sqrt((x * x).mean(axis=1, keepdims=True) + np.float32(1e-5)))


def pack(values: Values) -> dict[str, Any]:
    """An array as 16-bit whole numbers and what one of them is worth, for JSON."""
    step = float(np.abs(values).max(initial=1e-9)) / 32767.0
    numbers = np.round(values / step).astype("<i2")
    return {"shape": list(values.shape), "step": step, "data": base64.b64encode(numbers.tobytes()).decode("ascii")}


def unpack(packed: dict[str, Any]) -> Values:
    """The inverse of `pack`."""
    numbers = np.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(packed["shape"])
    return numbers.astype(np.float32) * np.float32(packed["step"])


@cache
def shipped(path: Path = WEIGHTS) -> NoteEncoder | None:
    """The encoder that ships for `base`, or the one in a file, read when it is first asked for."""
    return NoteEncoder.of(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


@cache
def of_each_network(path: Path) -> tuple[Path, ...]:
    """Files of what was fitted to each network: that of `base`, and those with another's name behind the same stem."""
    return tuple(sorted(path.parent.glob(f"{path.stem}*.json")))


def encoders() -> list[NoteEncoder]:
    """All that ship, that for `base` first."""
    return [encoder for encoder in map(shipped, of_each_network(WEIGHTS)) if encoder is not None]


def weights_in(model: str) -> str:
    """By which digits of their hash `Posteriors.model` calls the weights that tell timbres apart."""
    return model.rpartition(" ")[2]


def encoder_for(model: str, dim: int) -> NoteEncoder | None:
    """The encoder for what a network says (`Posteriors.model`, D numbers a note), or ``None`` where none was fitted."""
    own = weights_in(model)
    return next((encoder for encoder in encoders() if own in encoder.networks and dim == encoder.inputs), None)
