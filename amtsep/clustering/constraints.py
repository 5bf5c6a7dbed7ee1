"""Tracks taught by hand: what a person may give, and how far a given note speaks for those that sound like it.

A correction is a prototype beside the centroid of its timbre: a note goes with the given one where it is nearer to that
than to any centroid, by a margin. What was tried and did worse on mixes: moving the centroids to the given notes, or
starting k-means from them (given notes are the unusual ones of their timbre, that is why they were wrong).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amtsep.clustering.points import Points, Values
from amtsep.notes import Notes

PITCH_FALL = 0.2
"""What a given note loses in likeness an octave away; four times as much at two."""


def check_given(given: Mapping[int, int] | None, n: int) -> dict[int, int]:
    """The given tracks as integers.

    Raises
    ------
    ValueError
        If a note or track number is out of range.
    """
    table = {int(index): int(track) for index, track in (given or {}).items()}
    for index, track in table.items():
        if not 0 <= index < n:
            raise ValueError(f"The track of note {index} is given, but there are only {n} notes.")
        if not 0 <= track < 127:
            raise ValueError(f"Note {index} is given track {track}; tracks are numbered from 0 to 126.")
    return table


def given_likeness(points: Points, notes: Notes, k: int, given: Mapping[int, int], resultant: float) -> Values:
    """How much every note sounds like a given note of each cluster, on the scale of a cosine to a centroid; (n, K).

    A note is off its timbre's mean by chance, and so is the given one: their cosine is about the square of the mean
    resultant length where that to a centroid is the length itself. Far from the given pitch it says less.
    """
    likeness = np.full((len(points), k), -1.0)
    pitch = notes.pitch.astype(np.float64)
    for index, track in given.items():
        near = points.x @ points.x[index] / resultant
        near -= PITCH_FALL * ((pitch - pitch[index]) / 12.0) ** 2
        likeness[:, track] = np.maximum(likeness[:, track], near)
    return likeness
