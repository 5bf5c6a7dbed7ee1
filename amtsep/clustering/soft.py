"""Soft membership: a mixture on the sphere that also listens to time and register, and notes that two timbres share.

The mixture of von Mises-Fisher distributions (Banerjee et al. 2005) is joined, in its mean-field form, by two potentials
between notes: a timbre that plays one note at a time should not overlap itself, and a timbre stays near the pitches it plays
around that time. Both are learned from the clusters themselves: one that overlaps itself as chance would have it is taken for
polyphonic and is not held to anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from amtsep.clustering.assign import concentration
from amtsep.clustering.evidence import neighbour_pairs, overlapping_pairs
from amtsep.clustering.points import Labels, Points, Values, normalize
from amtsep.config import Clustering
from amtsep.notes import Notes

ROUNDS = 8
OVERLAP_LOGIT = 6.0
"""What a full overlap with the own timbre costs a note of a monophonic one, at ``monophony = 1``."""
POLYPHONIC = 0.5
"""A cluster that overlaps itself this much, against chance, is not held to one note at a time."""
PITCH_SPREAD = 4.0
"""Semitones added to the spread of a register."""
KAPPA = (5.0, 60.0)
"""Bounds of the concentration: a few equal notes must not make the mixture infinitely sure."""
GIVEN_WIDTH = 0.15
"""Distance (one minus cosine) over which a given note speaks for others."""
GIVEN_PITCH = 7.0
"""Semitones over which it does."""


@dataclass(frozen=True, eq=False)
class Memberships:
    """Who plays each note.

    Parameters
    ----------
    probability
        (n, K), rows add up to one.
    centroids
        (K, D) unit vectors.
    kappa
        Concentration of the mixture.
    """

    probability: Values
    centroids: Values
    kappa: float


def softmax(logit: Values) -> Values:
    """Along the last axis."""
    chance = np.exp(logit - logit.max(axis=-1, keepdims=True))
    return np.asarray(chance / chance.sum(axis=-1, keepdims=True))


def given_logit(points: Points, notes: Notes, k: int, given: Mapping[int, int]) -> Values:
    """Votes of given notes for those that sound like them, at like pitches; (n, K)."""
    votes = np.zeros((len(points), k))
    for index, track in given.items():
        near = np.exp((points.x @ points.x[index] - 1.0) / GIVEN_WIDTH)
        near *= np.exp(-0.5 * ((notes.pitch - float(notes.pitch[index])) / GIVEN_PITCH) ** 2)
        votes[:, track] = np.maximum(votes[:, track], near)
    return votes


def memberships(
    notes: Notes, points: Points, labels: Labels, k: int, settings: Clustering, given: Mapping[int, int] | None = None
) -> Memberships:
    """Mean-field mixture from a partition.

    Parameters
    ----------
    notes, points
        The notes and their embeddings.
    labels, k
        Where it starts.
    settings
        `monophony`, `register` and `given_weight` count.
    given
        Note index to cluster: these stay, and speak for others.
    """
    x, weight = points.x, points.weight
    q = np.eye(k)[labels]
    fixed = np.fromiter(given or (), np.intp)
    clamp = np.eye(k)[[(given or {})[int(i)] for i in fixed]] if len(fixed) else np.zeros((0, k))
    votes = settings.given_weight * given_logit(points, notes, k, given) if given else None
    overlap = overlapping_pairs(notes) if settings.monophony > 0 and k > 1 else None
    beside = neighbour_pairs(notes) if settings.register > 0 and k > 1 else None
    together = overlap.spread(np.ones((len(points), 1)))[:, 0] if overlap is not None else np.zeros(0)
    pitch = notes.pitch.astype(np.float64)
    kappa, centroids = KAPPA[0], np.zeros((k, x.shape[1]))
    for _ in range(ROUNDS):
        q[fixed] = clamp
        mass = (q * weight[:, None]).T
        total = mass @ x
        centroids = normalize(total)
        share = (mass.sum(axis=1) + 0.5) / (weight.sum() + 0.5 * k)
        kappa = float(np.clip(concentration(np.linalg.norm(total, axis=1).sum() / weight.sum(), x.shape[1]), *KAPPA))
        logit = kappa * (x @ centroids.T) + 0.5 * np.log(share)
        if overlap is not None and len(overlap.first):
            own = overlap.spread(q)
            chance = (q * together[:, None]).sum(axis=0) * share
            strict = np.clip(1.0 - (q * own).sum(axis=0) / (POLYPHONIC * chance + 1e-9), 0.0, 1.0)
            logit -= settings.monophony * OVERLAP_LOGIT * strict * np.minimum(own, 1.5)
        if beside is not None and len(beside.first):
            around = beside.spread(q)
            centre = (beside.spread(q * pitch[:, None]) + 1e-3 * pitch[:, None]) / (around + 1e-3)
            wide = np.sqrt((q * (pitch[:, None] - centre) ** 2).sum(axis=0) / (q.sum(axis=0) + 1e-9)) + PITCH_SPREAD
            logit -= settings.register * 0.5 * ((pitch[:, None] - centre) / wide) ** 2 * np.minimum(around, 1.0)
        if votes is not None:
            logit += votes
        q = softmax(logit)
    q[fixed] = clamp
    return Memberships(q, centroids, kappa)
