"""Tracks taught by hand: given notes keep theirs, and the clusters form around them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amtsep.clustering.points import Labels, Points, nearest, normalize, sums

ROUNDS = 6
GIVEN_MASS = 0.02
"""Weight of a given note in its centroid, as a share of all notes."""


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


def seeded(points: Points, labels: Labels, k: int, given: Mapping[int, int]) -> Labels:
    """Spherical k-means around given notes (Basu, Banerjee and Mooney 2002): they weigh more and never move."""
    if not given:
        return labels
    index = np.fromiter(given.keys(), np.intp)
    track = np.fromiter(given.values(), np.intp)
    weight = points.weight.copy()
    weight[index] += GIVEN_MASS * points.weight.sum()
    heavy = Points(points.x, weight)
    labels = labels.copy()
    labels[index] = track
    for _ in range(ROUNDS):
        centroids = normalize(sums(heavy, labels, k))
        moved = nearest(points.x, centroids)
        moved[index] = track
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels
