"""Drum strokes as the app has them: those decoded, with a person's corrections."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amtsep.config import DrumDecoding
from amtsep.decoding import DRUM_TRACK, decode_drums
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from widgets.state.edits import Edits, State, apply_edits

NONE = Notes.empty(tracks=[DRUM_TRACK])


def wants_drums(state: State) -> bool:
    """Whether drums are to be listened for."""
    return state.kit.when != "off"


@dataclass(frozen=True, eq=False)
class Strokes:
    """Drum strokes on one track of drums."""

    decoded: Notes = NONE
    notes: Notes = NONE
    """With the corrections."""
    numbers: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    """Of those made by hand; 0 for a decoded one."""
    heard: NDArray[np.float32] | Notes | None = None
    """What they were decoded from, or the table of those that were written."""
    setting: tuple[str, float] = ("off", 0.0)
    edits: Edits = field(default_factory=Edits)


def strokes_in(
    posteriors: Posteriors, state: State, last: Strokes | None = None, written: Notes | None = None
) -> Strokes:
    """The drum strokes of a recording, as they were decoded and as they have been corrected.

    They are `written` where a network has done so itself. What nothing has changed for is taken from `last`.
    """
    if not wants_drums(state):
        return Strokes()
    heard = posteriors.drums if written is None else written
    setting = (state.kit.when, state.kit.threshold)
    if last is not None and last.heard is heard and last.setting == setting:
        if last.edits == state.strokes:
            return last
        found = last.decoded
    elif written is not None:
        found = written
    else:
        found = decode_drums(posteriors, state.kit.when, DrumDecoding(threshold=state.kit.threshold))
    return Strokes(found, *apply_edits(found, state.strokes), heard, setting, state.strokes)


def with_strokes(notes: Notes, strokes: Notes) -> tuple[Notes, NDArray[np.bool_] | None]:
    """One table of both, drums on a track behind the others, and which of them are strokes; None without any."""
    if not len(strokes):
        return notes, None
    table, order = notes.joined(strokes)
    return table, order >= len(notes)
