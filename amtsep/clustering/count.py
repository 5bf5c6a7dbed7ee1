"""How many timbres: a probability for every number, from the partitions into 1, 2, ... clusters.

Each K is described by a few figures of its partition (what it leaves unexplained, what one cluster more would gain,
how far the two closest clusters are apart against their spread, how small the smallest is, how often clusters overlap
themselves in time), and a conditional logit (McFadden 1974) over K turns them into probabilities. Its weights were
learned on mixes with a known number of timbres by `amtsep.training.timbre_count`; they lie beside this module in
``timbre_count.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from amtsep.clustering.assign import distortion, refine, ward_partitions
from amtsep.clustering.evidence import overlap_share, overlapping_pairs
from amtsep.clustering.points import Labels, Points, Values, note_points
from amtsep.config import Clustering
from amtsep.notes import Notes

SAMPLE = 800
"""Notes that the figures are taken from; of longer recordings a draw."""
FEATURES = (
    *("residual", "gain", "next_gain", "silhouette", "unsure", "closest", "separation", "mean_separation"),
    *("smallest_share", "smallest_count", "same_register", "overlap", "overlap_drop", "one", "count", "count_squared"),
)
"""Names of the figures, in the order of the columns of `features`."""
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


def _pairs(points: Points, pitch: Values, labels: Labels, centroids: Values) -> tuple[float, float, float, float]:
    """Closest centroids' cosine, least and mean separation over pairs, and likeness of register of the least separated.

    The separation is Ashman's D on the line between two centroids: distance of the means over the pooled deviation.
    """
    k = len(centroids)
    members = [np.flatnonzero(labels == c) for c in range(k)]
    closest, least, register = -1.0, np.inf, 0.0
    separations = []
    for a in range(k):
        for b in range(a + 1, k):
            closest = max(closest, float(centroids[a] @ centroids[b]))
            if not len(members[a]) or not len(members[b]):
                return 1.0, 0.0, 0.0, 1.0
            line_a, line_b = (points.x[members[c]] @ (centroids[a] - centroids[b]) for c in (a, b))
            weight_a, weight_b = points.weight[members[a]], points.weight[members[b]]
            mean_a, mean_b = weight_a @ line_a / weight_a.sum(), weight_b @ line_b / weight_b.sum()
            spread = weight_a @ (line_a - mean_a) ** 2 + weight_b @ (line_b - mean_b) ** 2
            separation = float((mean_a - mean_b) / np.sqrt(spread / (weight_a.sum() + weight_b.sum()) + 1e-3))
            separations.append(separation)
            if separation < least:
                least = separation
                apart = abs(pitch[members[a]].mean() - pitch[members[b]].mean())
                register = float(np.exp(-apart / (np.std(pitch[members[a]]) + np.std(pitch[members[b]]) + 2.0)))
    return closest, least, float(np.mean(separations)), register


def features(notes: Notes, largest: int, seed: int = 0) -> Values:
    """What is known of each partition, (K, len(FEATURES)) for K = 1, ... as far as there are notes for it."""
    points = note_points(notes)
    pitch = notes.pitch.astype(np.float64)
    chosen = np.arange(len(points))
    if len(points) > SAMPLE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), SAMPLE, replace=False))
    sample = Points(points.x[chosen], points.weight[chosen])
    pairs = overlapping_pairs(notes)
    tree = ward_partitions(sample, largest + 1, seed)
    partitions = [refine(sample, labels, k + 1, 5) for k, labels in enumerate(tree)]
    residual = np.array([max(distortion(sample, *partition), 1e-4) for partition in partitions])
    level = np.log(residual + 0.003)
    overlap = np.array([overlap_share(pairs, np.argmax(points.x @ c.T, axis=1)) for _, c in partitions])
    rows = []
    for index, (labels, centroids) in enumerate(partitions[:largest]):
        k = index + 1
        gain = level[index - 1] - level[index] if index else 0.0
        after = level[index] - level[index + 1] if k < len(level) else 0.0
        silhouette = unsure = closest = separation = mean_separation = register = 0.0
        if index:
            cosine = np.sort(sample.x @ centroids.T, axis=1)
            own, other = 1.0 - cosine[:, -1], 1.0 - cosine[:, -2]
            silhouette = float(np.average(1.0 - own / np.maximum(other, 1e-9), weights=sample.weight))
            unsure = float(np.average(other - own < 0.15, weights=sample.weight))
            closest, separation, mean_separation, register = _pairs(sample, pitch[chosen], labels, centroids)
        mass = np.bincount(labels, sample.weight, minlength=k)
        count = np.bincount(np.argmax(points.x @ centroids.T, axis=1), minlength=k).min()
        several = float(k > 1)
        figures = {
            "residual": level[index],
            "gain": gain,
            "next_gain": after,
            "silhouette": silhouette,
            "unsure": unsure,
            "closest": closest,
            "separation": several * np.log(separation + 0.5),
            "mean_separation": several * np.log(mean_separation + 0.5),
            "smallest_share": several * np.log(mass.min() / mass.sum() * k + 0.02),
            "smallest_count": np.log(count + 1.0) if index else np.log(11.0),
            "same_register": register,
            "overlap": overlap[index],
            "overlap_drop": overlap[index - 1] - overlap[index] if index else 0.0,
            "one": float(k == 1),
            "count": float(k),
            "count_squared": float(k * k),
        }
        rows.append([figures[name] for name in FEATURES])
    return np.array(rows)


def estimate_timbres(notes: Notes, settings: Clustering = Clustering()) -> TimbreEstimate:  # noqa: B008 - frozen
    """How many timbres play, with a probability for every number from 1 to ``settings.max_timbres``.

    Parameters
    ----------
    notes
        With embeddings.
    settings
        Of which `max_timbres` and `seed` count.

    Raises
    ------
    ValueError
        If the notes hold no embedding.
    """
    largest = settings.max_timbres
    if not len(notes):
        rest = (0.0,) * (largest - 1)
        return TimbreEstimate(1, (1.0, *rest), (0.0, *rest), (0.0, *rest), (0.0, *rest))
    table = features(notes, largest, settings.seed)
    model = count_model()
    order = [model["features"].index(name) for name in FEATURES]
    mean, scale, weight = (np.asarray(model[name], np.float64)[order] for name in ("mean", "scale", "weight"))
    score = ((table - mean) / scale) @ weight
    chance = np.exp(score - score.max())
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
