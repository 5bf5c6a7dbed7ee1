"""Notes as weighted points on the unit sphere, and a smaller set of points that stands for many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes

Values = NDArray[np.float64]
Labels = NDArray[np.intp]

MAX_WEIGHT_S = 1.0
"""Longer notes do not count more: their embedding is no surer, and a pad would outweigh a melody."""
CHUNK = 4096
"""Rows of a large product that are made at once."""


@dataclass(frozen=True, eq=False)
class Points:
    """Unit vectors `x` (n, D) and their weights (n,), the mean weight being one."""

    x: Values
    weight: Values

    def __len__(self) -> int:
        return len(self.x)


def note_points(notes: Notes) -> Points:
    """The notes' embeddings, weighted by the square root of duration (up to a second) times confidence.

    Raises
    ------
    ValueError
        If the notes hold no embedding.
    """
    if not notes.embedding.shape[1]:
        raise ValueError("These notes hold no timbre embedding; use a model with a timbre branch.")
    x = np.nan_to_num(notes.embedding.astype(np.float64))
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.where(length > 0, length, 1.0)
    confidence = np.clip(np.nan_to_num(notes.confidence.astype(np.float64)), 0.0, 1.0)
    weight = np.sqrt(np.minimum(notes.duration, MAX_WEIGHT_S) * (confidence + 0.05)) + 1e-3
    return Points(x, weight / weight.mean() if len(weight) else weight)


def normalize(vectors: Values) -> Values:
    """Rows to unit length; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 1e-12, length, 1.0))


def nearest(x: Values, centroids: Values) -> Labels:
    """Index of the centroid with the highest cosine, a value a row of `x`."""
    if len(x) <= CHUNK:
        return np.asarray(np.argmax(x @ centroids.T, axis=1), np.intp)
    parts = [np.argmax(x[i : i + CHUNK] @ centroids.T, axis=1) for i in range(0, len(x), CHUNK)]
    return np.concatenate(parts).astype(np.intp)


def clusters_of(labels: Labels, k: int) -> list[Labels]:
    """The numbers of the points of every cluster, in their order."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, k)))


def sums(points: Points, labels: Labels, k: int) -> Values:
    """Weighted sum of the points of every cluster, (k, D)."""
    if k <= 32:
        return np.asarray(((labels == np.arange(k)[:, None]) * points.weight) @ points.x)
    weighted = points.x * points.weight[:, None]
    return np.stack([np.bincount(labels, column, minlength=k) for column in weighted.T], axis=1)


def compress(points: Points, size: int, seed: int) -> tuple[Points, Labels]:
    """At most `size` points that stand for all, and which of them each point went to.

    A random draw by weight, then two rounds of spherical k-means: enough for micro-clusters that a tree joins
    afterwards. Time and memory grow with ``n * size`` and ``n``. The vectors are means, so a wide micro-cluster is
    shorter than one of equal points.
    """
    n = len(points)
    if n <= size:
        return points, np.arange(n)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(n, size, replace=False, p=points.weight / points.weight.sum())
    centroids = points.x[np.sort(chosen)]
    # Single precision is enough to choose, and twice as fast.
    single: Any = points.x.astype(np.float32)
    for _ in range(2):
        labels = nearest(single, np.asarray(centroids, single.dtype))
        total = sums(points, labels, len(centroids))
        weight = np.asarray(np.bincount(labels, points.weight, minlength=len(centroids)), np.float64)
        used = weight > 0
        labels = (np.cumsum(used) - 1)[labels]
        total, weight = total[used], weight[used]
        centroids = normalize(total)
    return Points(total / weight[:, None], weight), labels
