"""Where notes lie between two channels, as one more coordinate beside their sound.

A timbre need not lie at one place: a piano goes from one side to the other with its pitch. So what drifts with the
pitch among notes that sound alike is taken out first; and a note that says little of its place (`amtsep.panning`),
since it is wide or covered by others, is put where those lie that sound like it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.clustering.points import Points, Values
from amtsep.notes import Notes

Singles = NDArray[np.float32]

WIDTH = 1.4
"""Length of the coordinate from the middle to one side, beside its sound's of one."""
PRIOR = 0.1
"""Confidence that those which sound alike give to a note's place."""
LIKENESS, REGISTER = 0.05, 12.0
"""Cosine and semitones by which these may differ."""
ONE_TIMBRE = 0.1
"""Cosine by which two notes may differ and still be one instrument's, whatever their pitches."""
LEAST_SPREAD = 9.0
"""Semitones, squared, that are added to the spread of the pitches that a drift is read from."""
SAMPLE = 400
"""Notes that others are compared with; of longer recordings a draw."""


def placed(points: Points, notes: Notes, weight: float) -> Points:
    """Points with a coordinate for the place of each note; as they are where nothing is known of it.

    Places count from the recording's mean: of one whose notes all lie at one place nothing changes. The mean square
    length of the points stays one, so that what was learned of points on a sphere goes on to hold.
    """
    if notes.panning is None or weight <= 0 or not len(points):
        return points
    balance, sure = notes.panning.astype(np.float64).T
    # The pan-pot's angle: steps of the balance get smaller towards the sides.
    place = np.arcsin(np.clip(balance, -1.0, 1.0)) * 2.0 / np.pi
    place = _steady(points, notes, place, sure)
    place -= np.average(place, weights=points.weight * sure + 1e-9)
    x = np.column_stack([points.x, weight * WIDTH * place])
    return Points(x / np.sqrt(np.average((x**2).sum(axis=1), weights=points.weight)), points.weight)


@dataclass(frozen=True, eq=False)
class _Alike:
    """Weighted means over the notes that sound like each of some notes."""

    share: Singles
    """(n, m), rows add up to one."""

    @classmethod
    def of(cls, logit: Singles, weight: Values) -> _Alike:
        share = np.exp(logit) * weight.astype(np.float32)
        return cls(share / (share.sum(axis=1, keepdims=True) + np.float32(1e-9)))

    def mean(self, values: Values) -> Values:
        return (self.share @ values.astype(np.float32)).astype(np.float64)

    def between(self, values: Values, mean: Values) -> Values:
        """What of the variance of some values two groups explain, those over the mean and those under it."""
        above = self.share * (values > mean[:, None])
        part, total = above.sum(axis=1), above @ values.astype(np.float32)
        return np.asarray((total - part * mean) ** 2 / np.maximum(part * (1.0 - part), 1e-3))


def _steady(points: Points, notes: Notes, place: Values, sure: Values) -> Values:
    """Places with those of unsure notes filled in, and without what drifts with the pitch within a timbre."""
    chosen = np.arange(len(points))
    if len(points) > SAMPLE:
        chosen = np.sort(np.random.default_rng(0).choice(len(points), SAMPLE, replace=False))
    pitch, weight = notes.pitch.astype(np.float64), (sure * points.weight)[chosen]
    blocks = [slice(i, i + 4 * SAMPLE) for i in range(0, len(points), 4 * SAMPLE)]
    # Single precision is enough for means, and several times as fast.
    x, high = points.x.astype(np.float32), (pitch / REGISTER).astype(np.float32)
    cosine = [x[some] @ x[chosen].T - np.float32(1.0) for some in blocks]
    filled = place.copy()
    for some, near in zip(blocks, cosine, strict=True):
        apart = high[some, None] - high[chosen]
        expected = _Alike.of(near / np.float32(LIKENESS) - np.float32(0.5) * apart**2, weight).mean(place[chosen])
        filled[some] = (sure[some] * place[some] + PRIOR * expected) / (sure[some] + PRIOR)
    found = filled.copy()
    for some, near in zip(blocks, cosine, strict=True):
        alike = _Alike.of(near / np.float32(ONE_TIMBRE), weight)
        # From the middle of the keyboard: squares of small numbers keep their digits.
        key, there = pitch[chosen] - 64.0, filled[chosen]
        centre, middle = alike.mean(key), alike.mean(there)
        wide = np.maximum(alike.mean(key**2) - centre**2, 0.0)
        spread = np.maximum(alike.mean(there**2) - middle**2, 1e-6)
        together = alike.mean(key * there) - centre * middle
        explained = np.minimum(together**2 / (np.maximum(wide, 1e-6) * spread), 1.0)
        # A line, and not two players of one sound, the lower one here and the higher one there.
        line, step = spread * (1.0 - explained), spread - alike.between(there, middle)
        line, step = ((np.maximum(left, 0.0) + 1e-3 * spread) ** 2 for left in (line, step))
        drift = np.sqrt(explained) * step / (line + step) * together / (wide + LEAST_SPREAD)
        found[some] -= drift * (pitch[some] - 64.0 - centre)
    return found
