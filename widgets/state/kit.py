"""Drum strokes as the app has them: those decoded, with a person's corrections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtsep.config import DrumDecoding
from amtsep.decoding import DRUM_TRACK, decode_drums
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from widgets.state.edits import State, apply_edits

NONE = Notes.empty(tracks=[DRUM_TRACK])


def wants_drums(state: State) -> bool:
    """Whether drums are to be listened for."""
    return state.kit.when != "off"


def strokes_in(posteriors: Posteriors, state: State) -> tuple[Notes, NDArray[np.int32]]:
    """A table of strokes on one track of drums, and the number of each that was made by hand (0 = decoded)."""
    if not wants_drums(state):
        return NONE, np.zeros(0, np.int32)
    found = decode_drums(posteriors, state.kit.when, DrumDecoding(threshold=state.kit.threshold))
    return apply_edits(found, state.strokes)


def with_strokes(notes: Notes, strokes: Notes) -> tuple[Notes, NDArray[np.bool_] | None]:
    """One table of both, drums on a track behind the others, and which of them are strokes; None without any."""
    if not len(strokes):
        return notes, None
    table, order = notes.joined(strokes)
    return table, order >= len(notes)
