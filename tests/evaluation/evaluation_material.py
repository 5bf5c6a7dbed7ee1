"""Note tables that the tests of the evaluation share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from amtsep.notes import Notes, Track

HOP = 256 / 22050


def music(parts: int = 4, notes: int = 50, seed: int = 0) -> Notes:
    """Parts a tenth apart, notes 0.5 s long every 0.55 s: nothing is ambiguous."""
    rng = np.random.default_rng(seed)
    tables = []
    for part in range(parts):
        onset = 0.3 + 0.55 * np.arange(notes) + 0.1 * part
        tables.append(
            Notes.build(
                onset,
                onset + 0.5,
                40 + 12 * part + rng.integers(0, 11, notes),
                rng.integers(20, 120, notes),
                tracks=[Track(f"Part {part}", part)],
            )
        )
    return Notes.concatenate(tables)


def shifted(notes: Notes, by: float) -> Notes:
    return Notes.build(
        notes.onset + by, notes.offset + by, notes.pitch, notes.velocity, track=notes.track, tracks=notes.tracks
    )


tables = st.lists(
    st.tuples(st.floats(0, 10), st.floats(0.03, 2), st.integers(21, 108), st.integers(0, 2), st.integers(1, 127)),
    max_size=40,
).map(
    lambda rows: Notes.build(
        [r[0] for r in rows],
        [r[0] + r[1] for r in rows],
        [r[2] for r in rows],
        [r[4] for r in rows],
        track=[r[3] for r in rows],
        tracks=[Track("a"), Track("b"), Track("c")],
    )
)
