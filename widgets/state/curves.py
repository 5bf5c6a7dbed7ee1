"""Pitch curves as they travel to the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from amtsep.notes import Notes
from amtsep.rhythm.bends import Bend


def pack_curves(
    notes: Notes, curves: Sequence[Bend | None], which: Iterable[int] | None = None
) -> tuple[list[list[float]], bytes]:
    """For each curve its note (pitch, onset in seconds) and how many points it has; and the points as float32: seconds,
    then cents, a curve after the other. Notes without a curve are left out.

    Parameters
    ----------
    notes
        The table.
    curves
        Of the notes at `which`, or of all.
    which
        Indices into the table.
    """
    index = range(len(notes)) if which is None else which
    told = [(int(i), curve) for i, curve in zip(index, curves, strict=True) if curve is not None]
    about = [[int(notes.pitch[i]), float(notes.onset[i]), len(curve.time)] for i, curve in told]
    points = [np.concatenate([curve.time, curve.cents]) for _, curve in told]
    data = np.concatenate(points) if points else np.zeros(0)
    return about, data.astype(np.float32).tobytes()
