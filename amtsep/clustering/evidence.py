"""Weak evidence beside the sound itself: who overlaps whom in time, and which pitches are near in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from amtsep.clustering.points import Labels, Points, Values, note_points
from amtsep.clustering.stereo import placed
from amtsep.config import Clustering
from amtsep.notes import Notes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SLACK_S = 0.06
"""Overlap that legato, reverberation and the detection of offsets leave between notes of one voice."""
MAX_PARTNERS = 48
"""Overlapping notes that are looked at, a note: keeps the table linear in the number of notes."""
NEIGHBOURS = 24
"""Notes before and after in the list that count for the register."""
NEIGHBOUR_S = 2.0
"""Seconds over which the register is remembered."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of notes (first < second) and how much they have to do with each other, in [0, 1]."""

    first: Labels
    second: Labels
    share: Values
    n: int

    def matrix(self) -> csr_array:
        """Symmetric sparse matrix of the shares, (n, n)."""
        from scipy.sparse import csr_array

        rows = np.concatenate([self.first, self.second])
        columns = np.concatenate([self.second, self.first])
        return csr_array((np.concatenate([self.share, self.share]), (rows, columns)), shape=(self.n, self.n))


def overlapping_pairs(notes: Notes) -> Pairs:
    """Notes that sound together; the share is the overlap beyond a slack, over the length of the shorter note."""
    n = len(notes)
    until = np.searchsorted(notes.onset, notes.offset - SLACK_S, side="left")
    partners = np.minimum(np.maximum(until - np.arange(n) - 1, 0), MAX_PARTNERS)
    first = np.repeat(np.arange(n), partners)
    begins = np.concatenate([[0], np.cumsum(partners)[:-1]]) if n else np.zeros(0, np.intp)
    second = np.arange(len(first)) - np.repeat(begins, partners) + first + 1
    together = np.minimum(notes.offset[first], notes.offset[second]) - notes.onset[second] - SLACK_S
    shorter = np.minimum(notes.duration[first], notes.duration[second])
    share = np.clip(together / np.maximum(shorter - SLACK_S, SLACK_S), 0.0, 1.0)
    kept = share > 0.1
    return Pairs(first[kept], second[kept], share[kept], n)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of some notes before they are sorted; everything is computed once, when it is first asked for."""

    notes: Notes
    stereo: float = Clustering.stereo
    """How much the notes' panning counts, where they have one (`Clustering.stereo`)."""

    @cached_property
    def points(self) -> Points:
        """The embeddings, and where the notes lie in a stereo recording; raises ``ValueError`` where there are none."""
        return placed(note_points(self.notes), self.notes, self.stereo)

    @cached_property
    def by_sound(self) -> Evidence:
        """The same without the notes' panning; itself where that does not count anyway."""
        return self if self.notes.panning is None or self.stereo <= 0 else Evidence(self.notes, 0.0)

    @cached_property
    def overlaps(self) -> Pairs:
        """Notes that sound together."""
        return overlapping_pairs(self.notes)

    @cached_property
    def together(self) -> csr_array:
        """`overlaps` as a matrix."""
        return self.overlaps.matrix()

    @cached_property
    def beside(self) -> csr_array:
        """Notes near in time, as a matrix."""
        return neighbour_pairs(self.notes).matrix()


def overlap_share(pairs: Pairs, labels: Labels) -> float:
    """Of all overlap in time, the share within clusters; 0 where nothing overlaps."""
    total = float(pairs.share.sum())
    return float(pairs.share[labels[pairs.first] == labels[pairs.second]].sum()) / total if total else 0.0


def neighbour_pairs(notes: Notes) -> Pairs:
    """Notes near in time; the share falls off over `NEIGHBOUR_S` seconds."""
    n = len(notes)
    step = np.arange(1, NEIGHBOURS + 1)
    first = np.repeat(np.arange(n), NEIGHBOURS)
    second = first + np.tile(step, n)
    inside = second < n
    first, second = first[inside], second[inside]
    share = np.exp(-(notes.onset[second] - notes.onset[first]) / NEIGHBOUR_S)
    kept = share > 0.02
    return Pairs(first[kept], second[kept], share[kept], n)
