"""Uncertainty: bootstrap intervals over recordings, and the paired comparison of two systems.

The percentile bootstrap (Efron and Tibshirani 1993, ch. 13) resamples *groups*, not recordings: the mixes of one piece
share their notes and their players and are not independent. With few groups (Bach10's development half has five) the
intervals are rough, and the report says how many groups there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int
    """Recordings with a value."""
    n_groups: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """The mean difference B - A over the same recordings."""

    difference: Interval
    p_better: float
    """Share of the resamples in which B is better."""
    wins: int
    """Recordings in which B is better."""
    losses: int


def bootstrap(
    values: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """Mean over recordings with a bootstrap interval over groups.

    Parameters
    ----------
    values
        One figure a recording; nan is left out.
    groups
        What recordings share (the piece); ``None`` takes each recording for itself.
    seed, resamples, level
        Of the bootstrap.
    """
    array = np.asarray(values, np.float64).reshape(-1)
    names = [str(i) for i in range(len(array))] if groups is None else list(groups)
    if len(names) != len(array):
        raise ValueError("There must be one group for each value.")
    keep = np.isfinite(array)
    array = array[keep]
    names = [name for name, kept in zip(names, keep, strict=True) if kept]
    if not len(array):
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    means, count = _resampled_means(array, names, seed, resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(array.mean()), float(low), float(high), len(array), count)


def compare(
    a: ArrayLike, b: ArrayLike, groups: Sequence[str] | None = None, *, seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Paired comparison: both systems on the same recordings, in the same order; positive = B is better."""
    first, second = (np.asarray(x, np.float64).reshape(-1) for x in (a, b))
    if first.shape != second.shape:
        raise ValueError("A paired comparison needs both systems on the same recordings.")
    difference = second - first
    keep = np.isfinite(difference)
    names = [str(i) for i in range(len(difference))] if groups is None else list(groups)
    names = [name for name, kept in zip(names, keep, strict=True) if kept]
    difference = difference[keep]
    interval = bootstrap(difference, names, seed=seed, resamples=resamples)
    share = float("nan")
    if len(difference):
        means, _ = _resampled_means(difference, names, seed, resamples)
        share = float(np.mean(means > 0) + 0.5 * np.mean(means == 0))
    return Comparison(interval, share, int(np.sum(difference > 0)), int(np.sum(difference < 0)))


def _resampled_means(
    values: NDArray[np.float64], names: Sequence[str], seed: int, resamples: int
) -> tuple[NDArray[np.float64], int]:
    _, index = np.unique(np.asarray(names), return_inverse=True)
    count = int(index.max()) + 1
    sums, sizes = np.bincount(index, values), np.bincount(index).astype(np.float64)
    draw = np.random.default_rng(seed).integers(0, count, (resamples, count))
    means: NDArray[np.float64] = sums[draw].sum(axis=1) / sizes[draw].sum(axis=1)
    return means, count
