"""Soft membership: a mixture on the sphere that also listens to time and register, and notes that two timbres share.

The mixture of von Mises-Fisher distributions (Banerjee et al. 2005) is joined, in its mean-field form, by two
potentials between notes: a timbre that plays one note at a time should not overlap itself, and a timbre stays near
the pitches it plays around that time. Both are learned from the clusters themselves: one that overlaps itself as
chance would have it is taken for polyphonic and is not held to anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from amtsep.clustering.assign import concentration
from amtsep.clustering.constraints import given_likeness
from amtsep.clustering.evidence import Evidence
from amtsep.clustering.points import Labels, Points, Values, normalize
from amtsep.config import Clustering

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROUNDS = 10
SHARPNESS = 0.25
"""Share of the fitted concentration that is believed: embeddings have longer tails than the distribution."""
OVERLAP_LOGIT = 6.0
"""What a full overlap with the own timbre costs a note of a monophonic one, at ``monophony = 1``."""
POLYPHONIC = 1.0
"""A cluster that overlaps itself this much, against chance, is not held to one note at a time."""
PITCH_SPREAD = 4.0
"""Semitones added to the spread of a register."""
KAPPA = (2.0, 1000.0)
"""Bounds of the concentration: a few equal notes must not make the mixture infinitely sure."""


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

    def labels(self) -> Labels:
        """The most probable cluster of every note; a cluster that is nowhere ahead keeps the note it is nearest to."""
        best = self.probability.argmax(axis=1).astype(np.intp)
        count = np.bincount(best, minlength=len(self.centroids))
        for cluster in np.flatnonzero(count == 0):
            free = np.where(count[best] > 1, self.probability[:, cluster], -1.0)
            note = int(free.argmax())
            if free[note] >= 0:
                count[best[note]] -= 1
                best[note], count[cluster] = cluster, 1
        return best


def fit_sphere(points: Points, q: Values) -> tuple[Values, Values, float]:
    """Centroids (K, D), shares (K,) and the common concentration of a mixture with these memberships."""
    mass = (q * points.weight[:, None]).T
    total, whole, k = mass @ points.x, points.weight.sum(), q.shape[1]
    share = (mass.sum(axis=1) + 0.5) / (whole + 0.5 * k)
    kappa = concentration(np.linalg.norm(total, axis=1).sum() / whole, points.x.shape[1])
    return normalize(total), share, float(np.clip(SHARPNESS * kappa, *KAPPA))


def as_it_is(points: Points, labels: Labels, k: int) -> Memberships:
    """A partition as memberships of zero and one."""
    q = np.eye(k)[labels]
    centroids, _, kappa = fit_sphere(points, q)
    return Memberships(q, centroids, kappa)


def softmax(logit: Values) -> Values:
    """Along the last axis."""
    chance = np.exp(logit - logit.max(axis=-1, keepdims=True))
    return np.asarray(chance / chance.sum(axis=-1, keepdims=True))


def monophony_of(q: Values, overlap: csr_array, together: Values) -> Values:
    """How much each cluster plays one note at a time, in [0, 1]; (K,).

    One less its overlap with itself over what chance would give a cluster of its share, `POLYPHONIC` of which counts as
    all that can be.
    """
    chance = POLYPHONIC * (q * together[:, None]).sum(axis=0) * q.mean(axis=0)
    return np.asarray(np.clip(1.0 - (q * (overlap @ q)).sum(axis=0) / (chance + 1e-9), 0.0, 1.0))


def memberships(
    evidence: Evidence, labels: Labels, k: int, settings: Clustering, given: Mapping[int, int] | None = None
) -> Memberships:
    """Mean-field mixture from a partition.

    Parameters
    ----------
    evidence
        Of the notes.
    labels, k
        Where it starts.
    settings
        `monophony`, `register` and `given_weight` count.
    given
        Note index to cluster: these stay, and speak for others.
    """
    notes, points = evidence.notes, evidence.points
    q = np.eye(k)[labels]
    # The centroids stay those of the partition: a mixture that moves them merges timbres whose embeddings overlap.
    centroids, share, kappa = fit_sphere(points, q)
    cosine = points.x @ centroids.T
    fixed = np.fromiter(given or (), np.intp)
    clamp = np.eye(k)[[(given or {})[int(i)] for i in fixed]] if len(fixed) else np.zeros((0, k))
    if given:
        resultant = max(float(points.weight @ (q * cosine).sum(axis=1) / points.weight.sum()), 0.5)
        likeness = given_likeness(points, notes, k, given, resultant) + settings.given_weight / kappa
        cosine = np.maximum(cosine, likeness)
    # A timbre of few notes takes none from one of many but those that are surely its own; one that a person speaks of
    # may be about to grow.
    named = np.unique(list((given or {}).values())).astype(np.intp)
    share[named] = share.max()
    sound = kappa * cosine + np.log(share)
    overlap = evidence.together if settings.monophony > 0 and k > 1 else None
    beside = evidence.beside if settings.register > 0 and k > 1 else None
    together = np.asarray(overlap.sum(axis=1), np.float64) if overlap is not None else np.zeros(0)
    pitch = notes.pitch.astype(np.float64)[:, None]
    q = softmax(sound)
    for _ in range(ROUNDS if overlap is not None or beside is not None else 0):
        q[fixed] = clamp
        logit = sound.copy()
        if overlap is not None and overlap.nnz:
            own = overlap @ q
            strict = monophony_of(np.eye(k)[q.argmax(axis=1)], overlap, together)
            logit -= settings.monophony * OVERLAP_LOGIT * strict * np.minimum(own, 1.5)
        if beside is not None and beside.nnz:
            around = beside @ q
            centre = (beside @ (q * pitch) + 1e-3 * pitch) / (around + 1e-3)
            wide = np.sqrt((q * (pitch - centre) ** 2).sum(axis=0) / (q.sum(axis=0) + 1e-9)) + PITCH_SPREAD
            logit -= settings.register * 0.5 * ((pitch - centre) / wide) ** 2 * np.minimum(around, 1.0)
        # Half a step at a time: two notes that exclude each other would otherwise swap places for ever.
        q = 0.5 * (q + softmax(logit))
    q[fixed] = clamp
    return Memberships(q, centroids, kappa)


def unison_partners(evidence: Evidence, soft: Memberships, least: float) -> Labels:
    """The other track that plays each note as well, -1 where none does.

    Two timbres at one pitch sound like a mean of both, so under the mixture such a note lies nearer to the middle of
    two centroids than to either. The gain in log likelihood must reach `least` (the logarithm of the prior odds
    against a unison); a partner that otherwise plays one note at a time, and sounds elsewhere during the note, must
    gain as much more as that overlap costs.
    """
    k, points = len(soft.centroids), evidence.points
    own = soft.labels()
    partner = np.full(len(points), -1, np.intp)
    if k < 2 or not len(points):
        return partner
    cosine = points.x @ soft.centroids.T
    alone = cosine[np.arange(len(own)), own]
    q = np.eye(k)[own]
    overlap = evidence.together
    together = overlap @ q
    strict = monophony_of(q, overlap, together.sum(axis=1))
    length = np.sqrt(np.maximum(2.0 + 2.0 * soft.centroids @ soft.centroids.T, 1e-6))
    gain = soft.kappa * ((alone[:, None] + cosine) / length[own] - np.maximum(alone[:, None], cosine))
    gain -= OVERLAP_LOGIT * strict * np.minimum(together, 1.0)
    gain[np.arange(len(own)), own] = -np.inf
    best = gain.argmax(axis=1)
    found = gain[np.arange(len(own)), best] > least
    partner[found] = best[found]
    return partner
