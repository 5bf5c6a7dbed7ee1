"""How many timbres: a probability for every number, from the partitions into 1, 2, ... clusters.

Each K is described by a few figures of its partition (what it leaves unexplained, what one cluster more would gain,
how far the two closest clusters are apart against their spread, how small the smallest is, how often clusters overlap
themselves in time). A timbre changes over its range, so that a long piano piece falls into registers: the same figures
are taken once more with a drift over pitch, loudness and length allowed to each cluster. A conditional logit (McFadden
1974) over K then turns them into probabilities. Its weights were learned on mixes with a known number of timbres by
`amtsep.training.timbres`; they lie beside this module in ``timbre_count.json``, and for notes that an encoder
(`amtsep.clustering.encoder`) has been over with its own weights in ``note_encoder*.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from amtsep.clustering.assign import distortion, refine, ward_tree
from amtsep.clustering.encoder import encoders
from amtsep.clustering.evidence import Evidence, overlap_share
from amtsep.clustering.points import Labels, Points, Values, clusters_of, nearest
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
DRIFT_PENALTY = 4.0
"""Of a ridge regression, on what a timbre drifts with: a few notes do not drift far."""
ENOUGH = 15
"""Notes that the smallest cluster needs to be believed: more of them, as a long recording has, make it no likelier."""
WEIGHTS = Path(__file__).parent / "timbre_count.json"


@dataclass(frozen=True)
class TimbreEstimate:
    """What is known of the number of timbres; every tuple has a value for K = 1, 2, ...

    Parameters
    ----------
    timbres
        The middle of the distribution (see `median`).
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


def weights_for(width: int) -> dict[str, Any]:
    """The learned weights for embeddings of so many numbers: the encoder's own for what an encoder says."""
    return next((encoder.count for encoder in encoders() if encoder.count and encoder.width == width), count_model())


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


@dataclass(frozen=True, eq=False)
class _Moments:
    """Weighted sums over some clusters, from which every regression on their notes follows without the notes.

    Parameters
    ----------
    weight
        (c,).
    axes
        Products of the axes of a drift with each other, (c, a, a).
    cross
        Of the axes with the points, (c, a, d).
    square
        Of the points with each other, (c, d, d).
    """

    weight: Values
    axes: Values
    cross: Values
    square: Values

    @classmethod
    def of(cls, points: Points, axes: Values, members: Sequence[Labels]) -> _Moments:
        """Of clusters that are given by the numbers of their points."""
        a, both = axes.shape[1], np.hstack([axes, points.x])
        weighted = both * points.weight[:, None]
        table = np.stack([weighted[own].T @ both[own] for own in members])
        weight = np.array([points.weight[own].sum() for own in members])
        return cls(weight, table[:, :a, :a], table[:, :a, a:], table[:, a:, a:])

    def some(self, which: slice | Labels) -> _Moments:
        """Of some of the clusters."""
        return _Moments(self.weight[which], self.axes[which], self.cross[which], self.square[which])


def _penalty(size: int) -> Values:
    """Diagonal of the ridge: the mean is free."""
    return np.diag([1e-9, *([DRIFT_PENALTY] * (size - 1))])


def _drifting(moments: _Moments) -> float:
    """Half the weighted mean square that a ridge regression of the points on the axes leaves, a cluster at a time."""
    solution = np.linalg.solve(moments.axes + _penalty(moments.axes.shape[1]), moments.cross)
    explained = (solution * moments.cross).sum(axis=(1, 2))
    left = np.maximum(np.trace(moments.square, axis1=1, axis2=2) - explained, 0.0)
    return 0.5 * float(left.sum() / moments.weight.sum())


def drifting_distortion(points: Points, axes: Values, labels: Labels, k: int) -> float:
    """Like `distortion`, with a drift along `axes` allowed to every cluster (half the mean square left over)."""
    return _drifting(_Moments.of(points, axes, clusters_of(labels, k)))


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


def _pairs(moments: _Moments, pitch: Values, members: Sequence[Labels], centroids: Values) -> _Apart:
    """Figures over the pairs of clusters, each seen along the line between its two centroids."""
    if not all(map(len, members)):
        return _Apart(closest=1.0, least=0.0, mean=0.0, register=1.0, own=0.0)
    first, second = np.triu_indices(len(centroids), 1)
    plain, drifting = _separations(moments, first, second, centroids[first] - centroids[second])
    least = int(plain.argmin())
    a, b = (pitch[members[side[least]]] for side in (first, second))
    return _Apart(
        closest=float((centroids[first] * centroids[second]).sum(axis=1).max()),
        least=float(plain[least]),
        mean=float(plain.mean()),
        register=float(np.exp(-abs(a.mean() - b.mean()) / (a.std() + b.std() + 2.0))),
        own=float(drifting.min()),
    )


def _separations(moments: _Moments, first: Labels, second: Labels, lines: Values) -> tuple[Values, Values]:
    """Step between the two sides of each pair over the deviation around it: alone, and beside a drift; (p,) each.

    The points of a pair are seen along its line (p, d), and regressed on the axes and on the side (1/2, -1/2).
    """
    a, b = moments.some(first), moments.some(second)
    weight = a.weight + b.weight
    size = a.axes.shape[1]
    gram = np.empty((len(first), size + 1, size + 1))
    gram[:, :size, :size] = a.axes + b.axes
    gram[:, size, :size] = gram[:, :size, size] = 0.5 * (a.axes - b.axes)[:, 0]
    gram[:, size, size] = 0.25 * weight
    one, other = ((m.cross @ lines[:, :, None])[:, :, 0] for m in (a, b))
    projected = np.column_stack([one + other, 0.5 * (one - other)[:, 0]])
    square = np.einsum("pd,pde,pe->p", lines, a.square + b.square, lines)
    found = []
    for chosen in ([0, size], range(size + 1)):
        part, right = gram[:, chosen][:, :, chosen], projected[:, chosen]
        ridge = _penalty(len(chosen))
        ridge[-1, -1] = 1e-9
        step = np.linalg.solve(part + ridge, right[:, :, None])[:, :, 0]
        rest = square - 2.0 * (step * right).sum(axis=1) + np.einsum("pa,pab,pb->p", step, part, step)
        found.append(np.maximum(step[:, -1], 0.0) / np.sqrt(np.maximum(rest, 0.0) / weight + 1e-3))
    return found[0], found[1]


def features(evidence: Evidence, largest: int, seed: int = 0) -> Values:
    """What is known of each partition, (K, len(FEATURES)) for K = 1, ... as far as there are notes for it."""
    notes, points, pairs = evidence.notes, evidence.points, evidence.overlaps
    pitch = notes.pitch.astype(np.float64)
    chosen = np.arange(len(points))
    if len(points) > SAMPLE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), SAMPLE, replace=False))
    sample = Points(points.x[chosen], points.weight[chosen])
    tree = ward_tree(points, seed)
    partitions = [
        refine(sample, tree.cut(k)[chosen], k, 5) for k in range(1, min(largest + 1, len(tree.merges) + 1) + 1)
    ]
    residual = np.array([max(distortion(sample, *partition), 1e-4) for partition in partitions])
    level = np.log(residual + 0.003)
    axes = drift_axes(notes)[chosen]
    members = [clusters_of(labels, k) for k, (labels, _) in enumerate(partitions, 1)]
    whole = _Moments.of(sample, axes, [own for partition in members for own in partition])
    moments = [whole.some(slice(k * (k - 1) // 2, k * (k + 1) // 2)) for k in range(1, len(partitions) + 1)]
    drifting = np.array([_drifting(own) for own in moments])
    drift_level = np.log(np.maximum(drifting, 1e-4) + 0.003)
    everybody = [nearest(points.x, centroids) for _, centroids in partitions]
    overlap = np.array([overlap_share(pairs, labels) for labels in everybody])
    rows = []
    for index, (labels, centroids) in enumerate(partitions[:largest]):
        k = index + 1
        gain = level[index - 1] - level[index] if index else 0.0
        after = level[index] - level[index + 1] if k < len(level) else 0.0
        silhouette = unsure = 0.0
        apart = _Apart()
        if index:
            cosine = np.partition(sample.x @ centroids.T, k - 2, axis=1)
            own, other = 1.0 - cosine[:, -1], 1.0 - cosine[:, -2]
            silhouette = float(np.average(1.0 - own / np.maximum(other, 1e-9), weights=sample.weight))
            unsure = float(np.average(other - own < 0.15, weights=sample.weight))
            apart = _pairs(moments[index], pitch[chosen], members[index], centroids)
        mass = np.bincount(labels, sample.weight, minlength=k)
        count = np.bincount(everybody[index], minlength=k).min()
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

    Of a stereo recording it is the larger of two estimates, by sound alone and with the places of the notes: those may
    show that there are two players of one sound, but never that two sounds are one player's. (Two sounds at one place
    lie nearer to each other, against the whole, where places count than where they do not.)

    Parameters
    ----------
    notes
        With embeddings.
    settings
        Of which `min_timbres`, `max_timbres` and `seed` count.
    model
        Learned weights other than those that ship (see `weights_for`).
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
    evidence = evidence or Evidence(notes, settings.stereo)
    model = model or weights_for(notes.embedding.shape[1])
    alone = _estimate(evidence.by_sound, settings, model)
    placed = alone if evidence.by_sound is evidence else _estimate(evidence, settings, model)
    return max(placed, alone, key=lambda estimate: estimate.timbres)


def median(chance: Values) -> int:
    """The least number that with a probability of one half or more is not exceeded.

    It errs by less than the most probable number (its mean absolute error is the least there is): of songs, where many
    numbers are possible, the most probable one was too low.
    """
    return int(np.searchsorted(np.cumsum(chance), 0.5 * chance.sum() * (1.0 - 1e-9))) + 1


def _estimate(evidence: Evidence, settings: Clustering, model: dict[str, Any]) -> TimbreEstimate:
    largest = settings.max_timbres
    table = features(evidence, largest, settings.seed)
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
        timbres=median(chance),
        probability=padded(chance, 0.0),
        criterion=padded(score, float(score.min())),
        silhouette=padded(table[:, FEATURES.index("silhouette")], 0.0),
        residual=padded(np.exp(table[:, FEATURES.index("residual")]) - 0.003, 0.0),
    )
