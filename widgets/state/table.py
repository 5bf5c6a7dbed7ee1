"""A table that a person corrects: the notes of a session, or its drum strokes, with the corrections made so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes
from widgets.state.edits import Edits, Note, nearest, strike

SAME = {"onset": 5e-4, "offset": 5e-4, "pitch": 0, "velocity": 0, "track": 0}
"""Times travel as 32-bit numbers: a note that differs by less has not been changed."""


@dataclass(frozen=True, eq=False)
class Table:
    """Notes as they are shown, and what a correction makes of the corrections before.

    Parameters
    ----------
    notes
        With the corrections.
    numbers
        Of the notes made by hand; 0 for a decoded one.
    edits
        The corrections.
    end
        Of the recording, in seconds: no note lies beyond it.
    """

    notes: Notes
    numbers: NDArray[np.int32]
    edits: Edits
    end: float = float("inf")

    def find(self, anchors: Sequence[Sequence[float]]) -> NDArray[np.intp]:
        """Indices of the notes that these anchors name, those that are still there.

        An anchor is (pitch, onset in seconds, number): a note made by hand is known by its number, whatever became of
        it; with number 0 the anchor speaks of a decoded note, without one of any.
        """
        found = np.full(len(anchors), -1, np.intp)
        numbers = [int(anchor[2]) if len(anchor) > 2 else 0 for anchor in anchors]
        for i in np.flatnonzero(numbers):
            here = np.flatnonzero(self.numbers == numbers[i])
            found[i] = here[0] if len(here) else -1
        rest = np.flatnonzero(np.asarray(numbers, np.intp) == 0)
        decoded_only = any(len(anchor) > 2 for anchor in anchors)
        places = np.asarray([anchors[int(i)][:2] for i in rest], np.float64).reshape(-1, 2)
        found[rest] = nearest(self.notes, places, self.numbers > 0 if decoded_only else None)
        return found[found >= 0]

    def note(self, index: int) -> Note:
        """One note of the table as a value."""
        n = self.notes
        return Note(
            float(n.onset[index]),
            float(n.offset[index]),
            int(n.pitch[index]),
            int(n.velocity[index]),
            int(n.track[index]),
            int(self.numbers[index]),
        )

    def replaced(self, index: NDArray[np.intp], by: Sequence[Note]) -> Edits:
        """The corrections with some notes struck out and others in their place: every correction is this."""
        highest = max((note.id for note in self.edits.added), default=0)
        good = tuple(bounded(note, self.end) for note in by)
        return strike(self.edits, self.notes, self.numbers, index).put_in(good, highest)

    def changed(self, changes: Sequence[tuple[int, Note]]) -> Edits:
        """The corrections with notes (by index) given other values; one made by hand keeps its number, one that stays
        as it was is left."""
        moved = []
        for index, note in changes:
            was, now = self.note(index), bounded(note, self.end)
            if any(abs(getattr(was, name) - getattr(now, name)) > SAME[name] for name in SAME):
                moved.append((index, replace(now, id=was.id)))
        if not moved:
            return self.edits
        return self.replaced(np.asarray([i for i, _ in moved], np.intp), [note for _, note in moved])


def bounded(note: Note, end: float) -> Note:
    """The same note inside the recording and the MIDI ranges."""
    onset = float(min(max(0.0, note.onset), max(0.0, end - 0.01)))
    return Note(
        onset,
        float(max(onset + 0.01, min(note.offset, end))),
        int(min(max(note.pitch, 0), 127)),
        int(min(max(note.velocity, 1), 127)),
        note.track,
        note.id,
    )
