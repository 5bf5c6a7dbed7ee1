"""From notes to notes with tracks: clustering by timbre where there are embeddings, and a person's own sorting."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes, Track
from widgets.state import State


@dataclass(frozen=True)
class Grouping:
    """What came of the clustering: how many timbres, how sure, and the criterion over their number."""

    available: bool = False
    """Whether the network gave embeddings to cluster by."""
    timbres: int = 1
    certainty: float = 0.0
    criterion: dict[int, float] = field(default_factory=dict)


def track_name(state: State, index: int) -> str:
    """The name a person has given, or "Timbre 1" and so on."""
    given = state.tracks[index].name if index < len(state.tracks) else ""
    return given or f"Timbre {index + 1}"


def group(notes: Notes, by_hand: NDArray[np.bool_], state: State, before: Grouping) -> tuple[Notes, Grouping]:
    """Give every note its track; names and sounds come from the state."""
    count = max(len(state.tracks), len(notes.tracks))
    tracks = tuple(
        Track(track_name(state, i), state.tracks[i].program if i < len(state.tracks) else 0) for i in range(count)
    )
    return notes.with_tracks(notes.track, tracks), Grouping()
