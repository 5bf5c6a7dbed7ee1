"""Where notes lie between two channels, as one more coordinate beside their sound."""

from __future__ import annotations

import numpy as np

from amtsep.clustering.points import Points, Values, normalize
from amtsep.notes import Notes

WIDTH = 0.7
"""Length of the coordinate of a note at one side, beside its sound's one."""
PRIOR = 0.1
"""Confidence that those which sound alike give to a note that says nothing of its place."""
LIKENESS = 0.05
"""Cosine by which two notes may differ and still count as alike."""
REGISTER = 12.0
"""Semitones that they may lie apart."""
SAMPLE = 800
"""Notes that others are compared with; of longer recordings a draw."""


def placed(points: Points, notes: Notes, weight: float) -> Points:
    """Points on the sphere with a coordinate for the place of each note; as they are where nothing is known of it.

    The coordinate counts from the recording's middle, so that of one whose notes all lie at one place nothing changes.
    """
    if notes.panning is None or weight <= 0 or not len(points):
        return points
    place, sure = notes.panning.astype(np.float64).T
    place = (sure * place + PRIOR * _expected(points, notes, place, sure)) / (sure + PRIOR)
    place -= np.average(place, weights=points.weight * sure + 1e-9)
    return Points(normalize(np.column_stack([points.x, weight * WIDTH * place])), points.weight)


def _expected(points: Points, notes: Notes, place: Values, sure: Values) -> Values:
    """The mean place of the notes that sound alike and lie at pitches nearby."""
    chosen = np.arange(len(points))
    if len(points) > SAMPLE:
        chosen = np.sort(np.random.default_rng(0).choice(len(points), SAMPLE, replace=False))
    pitch = notes.pitch.astype(np.float64)
    found = np.empty(len(points))
    for first in range(0, len(points), 4 * SAMPLE):
        some = slice(first, first + 4 * SAMPLE)
        alike = (points.x[some] @ points.x[chosen].T - 1.0) / LIKENESS
        near = -0.5 * ((pitch[some, None] - pitch[chosen]) / REGISTER) ** 2
        share = np.exp(alike + near) * (sure * points.weight)[chosen]
        found[some] = (share @ place[chosen]) / (share.sum(axis=1) + 1e-9)
    return found
