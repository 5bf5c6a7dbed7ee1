"""How many timbres: a probability for every number, from the partitions into 1, 2, ... clusters.

Each K is described by a few figures of its partition (what it leaves unexplained, what one cluster more would gain,
how far the two closest clusters are apart against their spread, how small the smallest is, how often clusters overlap
themselves in time). A timbre changes over its range, so that a long piano piece falls into registers: the same figures
are taken once more with a drift over pitch, loudness and length allowed to each cluster. A conditional logit (McFadden
1974) over K then turns them into probabilities. Its weights were learned on mixes with a known number of timbres by
`amtsep.training.timbres`; they lie beside this module in ``timbre_count.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from amtsep.clustering.assign import distortion, refine, ward_partitions
from amtsep.clustering.evidence import Evidence, overlap_share
from amtsep.clustering.points import Labels, Points, Values
from amtsep.config import Clustering
from amtsep.notes import Notes

SAMPLE = 800
"""Notes that the figures are taken from; of longer recordings a draw."""
FEATURES = (
    *("residual", "gain", "next_gain", "silhouette", "unsure", "closest", "separation", "mean_separation"),
    *("smallest_share", "smallest_count", "same_register", "overlap", "overlap_drop"),
    *("drift_residual", "drift_gain", "drift_next_gain", "own_separation"),
    *("one", "count", "count_squared"),
)
"""Names of the figures, in the order of the columns of `features`."""
ENOUGH = 15
"""Notes that the smallest cluster needs to be believed: more of them, as a long recording has, make it no likelier."""
WEIGHTS = Path(__file__).parent / "timbre_count.json"


@dataclass(frozen=True)
class TimbreEstimate:
    """What is known of the number of timbres; every tuple has a value for K = 1, 2, ...

    Parameters
    ----------
    timbres
        The most probable number.
    probability
        Of each number; they add up to one.
    criterion
        The logit's score: what the probabilities come from.
    silhouette
        Mean simplified silhouette in [-1, 1]; 0 for one cluster.
    residual
        Mean of one minus the cosine to the own centroid.
    """

    timbres: int
    probability: tuple[float, ...]
    criterion: tuple[float, ...]
    silhouette: tuple[float, ...]
    residual: tuple[float, ...]


@cache
def count_model(path: Path = WEIGHTS) -> dict[str, Any]:
    """The learned weights: ``mean``, ``scale`` and ``weight`` by feature, and how they were made."""
    model: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return model


def drift_axes(notes: Notes) -> Values:
    """What a timbre may drift with, (n, 6): one, powers of the pitch, length, loudness, each of the order of one."""
    pitch = (notes.pitch.astype(np.float64) - 64.0) / 12.0
    length = np.log(np.clip(notes.duration, 0.05, 3.0) / 0.3)
    loudness = (np.nan_to_num(notes.velocity.astype(np.float64)) - 64.0) / 32.0
    return np.column_stack([np.ones(len(pitch)), pitch, pitch**2, pitch**3 / 3.0, length, loudness])


def _left_over(axes: Values, weight: Values, values: Values, penalty: float = 4.0) -> float:
    """Weighted sum of squares of `values` (n, d) that a ridge regression on `axes` (n, a), mean free, leaves."""
    weighted = axes * weight[:, None]
    gram = weighted.T @ axes
    gram[np.diag_indices(len(gram))] += np.where(np.arange(len(gram)) > 0, penalty, 1e-9)
    projected = weighted.T @ values
    solution = np.linalg.solve(gram, projected)
    return float(max((weight[:, None] * values**2).sum() - (solution * projected).sum(), 0.0))


def drifting_distortion(points: Points, axes: Values, labels: Labels, k: int) -> float:
    """Like `distortion`, with a drift along `axes` allowed to every cluster (half the mean square left over)."""
    total = 0.0
    for cluster in range(k):
        own = labels == cluster
        if own.any():
            total += _left_over(axes[own], points.weight[own], points.x[own])
    return 0.5 * total / float(points.weight.sum())


@dataclass(frozen=True)
class _Apart:
    """How the clusters of a partition lie to each other."""

    closest: float = 0.0
    """Cosine of the closest centroids."""
    least: float = 0.5
    """Least separation of two clusters (Ashman's D): distance of their means over the pooled deviation."""
    mean: float = 0.5
    """Mean separation."""
    register: float = 0.0
    """Likeness of register of the least separated two."""
    own: float = 0.5
    """Least separation where both clusters may drift alike with pitch, length and loudness."""


def _pairs(points: Points, pitch: Values, axes: Values, labels: Labels, centroids: Values) -> _Apart:
    """Figures over the pairs of clusters, each seen along the line between its two centroids."""
    k = len(centroids)
    members = [np.flatnonzero(labels == c) for c in range(k)]
    if any(not len(own) for own in members):
        return _Apart(closest=1.0, least=0.0, mean=0.0, register=1.0, own=0.0)
    closest, least, register, own = -1.0, np.inf, 0.0, np.inf
    separations = []
    for a in range(k):
        for b in range(a + 1, k):
            closest = max(closest, float(centroids[a] @ centroids[b]))
            both = np.concatenate([members[a], members[b]])
            side = np.repeat([0.5, -0.5], [len(members[a]), len(members[b])])
            line = (points.x[both] @ (centroids[a] - centroids[b]))[:, None]
            weight = points.weight[both]
            separation, drifting = (_separation(basis, side, weight, line) for basis in (axes[both, :1], axes[both]))
            separations.append(separation)
            own = min(own, drifting)
            if separation < least:
                least = separation
                apart = abs(pitch[members[a]].mean() - pitch[members[b]].mean())
                register = float(np.exp(-apart / (np.std(pitch[members[a]]) + np.std(pitch[members[b]]) + 2.0)))
    return _Apart(closest, least, float(np.mean(separations)), register, own)


def _separation(basis: Values, side: Values, weight: Values, line: Values) -> float:
    """Step between two sides over the deviation around it, beside what `basis` (n, a) explains."""
    axes = np.column_stack([basis, side])
    weighted = axes * weight[:, None]
    gram = weighted.T @ axes + np.diag([1e-9, *([4.0] * (basis.shape[1] - 1)), 1e-9])
    solution = np.linalg.solve(gram, weighted.T @ line)
    rest = line - axes @ solution
    return float(max(solution[-1, 0], 0.0) / np.sqrt((weight @ rest[:, 0] ** 2) / weight.sum() + 1e-3))


def features(evidence: Evidence, largest: int, seed: int = 0) -> Values:
    """What is known of each partition, (K, len(FEATURES)) for K = 1, ... as far as there are notes for it."""
    notes, points, pairs = evidence.notes, evidence.points, evidence.overlaps
    pitch = notes.pitch.astype(np.float64)
    chosen = np.arange(len(points))
    if len(points) > SAMPLE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), SAMPLE, replace=False))
    sample = Points(points.x[chosen], points.weight[chosen])
    tree = ward_partitions(sample, largest + 1, seed)
    partitions = [refine(sample, labels, k + 1, 5) for k, labels in enumerate(tree)]
    residual = np.array([max(distortion(sample, *partition), 1e-4) for partition in partitions])
    level = np.log(residual + 0.003)
    axes = drift_axes(notes)[chosen]
    drifting = np.array([drifting_distortion(sample, axes, labels, k + 1) for k, (labels, _) in enumerate(partitions)])
    drift_level = np.log(np.maximum(drifting, 1e-4) + 0.003)
    overlap = np.array([overlap_share(pairs, np.argmax(points.x @ c.T, axis=1)) for _, c in partitions])
    rows = []
    for index, (labels, centroids) in enumerate(partitions[:largest]):
        k = index + 1
        gain = level[index - 1] - level[index] if index else 0.0
        after = level[index] - level[index + 1] if k < len(level) else 0.0
        silhouette = unsure = 0.0
        apart = _Apart()
        if index:
            cosine = np.sort(sample.x @ centroids.T, axis=1)
            own, other = 1.0 - cosine[:, -1], 1.0 - cosine[:, -2]
            silhouette = float(np.average(1.0 - own / np.maximum(other, 1e-9), weights=sample.weight))
            unsure = float(np.average(other - own < 0.15, weights=sample.weight))
            apart = _pairs(sample, pitch[chosen], axes, labels, centroids)
        mass = np.bincount(labels, sample.weight, minlength=k)
        count = np.bincount(np.argmax(points.x @ centroids.T, axis=1), minlength=k).min()
        several = float(k > 1)
        figures = {
            "residual": level[index],
            "gain": gain,
            "next_gain": after,
            "silhouette": silhouette,
            "unsure": unsure,
            "closest": apart.closest,
            "separation": several * np.log(apart.least + 0.5),
            "mean_separation": several * np.log(apart.mean + 0.5),
            "smallest_share": several * np.log(mass.min() / mass.sum() * k + 0.02),
            "smallest_count": np.log(min(count, ENOUGH) + 1.0) if index else np.log(ENOUGH + 1.0),
            "same_register": apart.register,
            "overlap": overlap[index],
            "overlap_drop": overlap[index - 1] - overlap[index] if index else 0.0,
            "drift_residual": drift_level[index],
            "drift_gain": drift_level[index - 1] - drift_level[index] if index else 0.0,
            "drift_next_gain": drift_level[index] - drift_level[index + 1] if k < len(level) else 0.0,
            "own_separation": several * np.log(apart.own + 0.5),
            "one": float(k == 1),
            "count": float(k),
            "count_squared": float(k * k),
        }
        rows.append([figures[name] for name in FEATURES])
    return np.array(rows)


def estimate_timbres(
    notes: Notes,
    settings: Clustering = Clustering(),  # noqa: B008 - frozen
    model: dict[str, Any] | None = None,
    evidence: Evidence | None = None,
) -> TimbreEstimate:
    """How many timbres play, with a probability for every number from 1 to ``settings.max_timbres``.

    Parameters
    ----------
    notes
        With embeddings.
    settings
        Of which `min_timbres`, `max_timbres` and `seed` count.
    model
        Learned weights other than those that ship (see `count_model`).
    evidence
        Of these notes, where it is known already.

    Raises
    ------
    ValueError
        If the notes hold no embedding.
    """
    largest = settings.max_timbres
    if not len(notes):
        rest = (0.0,) * (largest - 1)
        return TimbreEstimate(1, (1.0, *rest), (0.0, *rest), (0.0, *rest), (0.0, *rest))
    table = features(evidence or Evidence(notes), largest, settings.seed)
    model = model or count_model()
    order = [model["features"].index(name) for name in FEATURES]
    mean, scale, weight = (np.asarray(model[name], np.float64)[order] for name in ("mean", "scale", "weight"))
    score = ((table - mean) / scale) @ weight
    chance = np.exp(score - score.max())
    least = min(max(settings.min_timbres, 1), len(chance))
    chance[: least - 1] = 0.0
    chance /= chance.sum()

    def padded(values: Values, fill: float) -> tuple[float, ...]:
        return (*(float(v) for v in values), *((fill,) * (largest - len(values))))

    return TimbreEstimate(
        timbres=int(chance.argmax()) + 1,
        probability=padded(chance, 0.0),
        criterion=padded(score, float(score.min())),
        silhouette=padded(table[:, FEATURES.index("silhouette")], 0.0),
        residual=padded(np.exp(table[:, FEATURES.index("residual")]) - 0.003, 0.0),
    )
