"""What a synthesizer that renders patches is to the rest: `Engine`, and what it takes and gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LEAD_S = 0.02
"""Rendered before the key goes down."""
HOLD_S = 2.4
"""How long a key is held."""
TAIL_S = 0.8
"""Rendered after the key is let go."""


@dataclass(frozen=True)
class Description:
    """What is known of a patch before it sounds."""

    name: str
    """Name of its folder, unique in the collection."""
    origin: str
    """Where it comes from, for people: bank and name, or the seed."""
    family: str
    category: str
    low: int
    high: int
    mono: bool
    held_out: bool = False


@dataclass(frozen=True)
class RawNote:
    """One note as rendered: 22.05 kHz mono, the key going down `LEAD_S` after its start and up `HOLD_S` later."""

    pitch: int
    velocity: int
    samples: NDArray[np.float32]


class Engine(Protocol):
    """A synthesizer that renders patches."""

    grid: tuple[int, int]
    """Semitones from one pitch to the next, and how many of them come to one that is played softly, too."""

    def names(self, count: int, seed: int) -> list[str]:
        """Up to `count` patches in an order drawn by `seed`."""
        ...

    def describe(self, name: str) -> Description:
        """What a patch is, by its name."""
        ...

    def render(self, name: str, notes: list[tuple[int, int]]) -> list[RawNote]:
        """Play single notes (pitch, velocity) of a patch."""
        ...


def one_channel(stereo: NDArray[np.float32]) -> NDArray[np.float32]:
    """The louder channel of (2, n): in the sum of both, choruses and spread voices cancel."""
    return stereo[int(np.argmax(np.sum(np.square(stereo), axis=1)))]


def slug(text: str) -> str:
    """A name for a folder: letters, digits and dashes."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9]+", "-", text.lower())).strip("-")
