"""Points to K clusters: Ward's tree, spherical k-means, spectral clustering, mixture, and target-and-rest.

The tree is the default. It needs no start, gives the partitions of every K at once, and a spherical k-means from each
of them mends what a greedy tree joined too early. In the tree by which notes are sorted they count the less, the more
sound like them: a long piano part would otherwise fall into its registers before the few notes of another timbre leave
it. Nothing here takes more than ``n * MAX_TREE`` steps or memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from amtsep.clustering.points import Labels, Points, Values, compress, nearest, normalize, sums

MAX_TREE = 400
"""Points a tree or an affinity matrix is made of; more are first joined to that many micro-clusters."""
CROWD = 0.6
"""Cosine from which on points are one crowd, the more the nearer."""
EVENNESS = 0.45
"""Power of its crowd by which a point's weight is divided: 0 counts every note alike, 1 every sound."""
ROUNDS = 12
"""Of k-means and of the mixture."""
RESTARTS = 6


@dataclass(frozen=True, eq=False)
class Tree:
    """Ward's tree: cut it at any number of clusters.

    Parameters
    ----------
    merges
        (m - 1, 2), cheapest first: the first of each outlives the second.
    member
        Which of the m leaves each point belongs to, (n,).
    """

    merges: Labels
    member: Labels

    def cut(self, k: int) -> Labels:
        """Labels (n,) of the partition into `k` clusters, or into as many as there are leaves."""
        m = len(self.merges) + 1
        owner = np.arange(m)
        kept = self.merges[: max(m - k, 0)]
        owner[kept[:, 1]] = kept[:, 0]
        while np.any(owner != owner[owner]):
            owner = owner[owner]
        return np.unique(owner, return_inverse=True)[1].reshape(-1)[self.member]


@lru_cache(maxsize=2)
def micro_clusters(points: Points, seed: int = 0) -> tuple[Points, Labels]:
    """At most `MAX_TREE` points that stand for all, kept: both trees are made of the same."""
    return compress(points, MAX_TREE, seed)


@lru_cache(maxsize=4)
def ward_tree(points: Points, seed: int = 0, even: bool = False) -> Tree:
    """Tree by Ward's criterion with weights (Ward 1963), kept: it is asked for at every number of timbres.

    Merging clusters a and b costs ``w_a w_b / (w_a + w_b) * |x_a - x_b|^2`` of their means. Notes are sorted by the
    tree whose weights are `evened`; their number is told by the other, which keeps a solo's registers together better.
    """
    small, member = micro_clusters(points, seed)
    return Tree(merges(Points(small.x, evened(small)) if even else small), member)


def evened(points: Points) -> Values:
    """Weights (n,) of points that count the less, the more lie around them, for as many points as a tree has."""
    unit = normalize(points.x)
    near = np.clip((unit @ unit.T - CROWD) / (1.0 - CROWD), 0.0, 1.0)
    return np.asarray(points.weight / np.maximum(near @ points.weight, points.weight) ** EVENNESS)


def merges(points: Points) -> Labels:
    """All n - 1 merges of the tree, cheapest first, (n - 1, 2): the first of each outlives the second.

    Clusters that are each other's nearest are merged by every order of steps, since a merge brings nobody nearer
    (Murtagh 1983): all such pairs are joined at once, some twenty rounds instead of n steps. A cluster is called by
    its first point.
    """
    n = len(points)
    first = np.arange(n)
    x, weight = points.x, points.weight
    room = np.empty((2, n * n))
    pairs: list[Labels] = []
    costs: list[Values] = []
    while len(first) > 1:
        # |x_a - x_b|^2 as one product, and few passes over what is large.
        square, one = np.einsum("nd,nd->n", x, x)[:, None], np.ones((len(x), 1))
        cost, scale = room[:, : len(x) ** 2].reshape(2, len(x), len(x))
        np.matmul(np.hstack([x, square, one]), np.hstack([-2.0 * x, one, square]).T, out=cost)
        np.add.outer(1.0 / weight, 1.0 / weight, out=scale)
        np.divide(cost, scale, out=cost)
        # A product need not round as its mirror image does: among points that are the same, every one's nearest may
        # then be a third, and no pair is left to join.
        cost = np.minimum(cost, cost.T, out=scale)
        np.maximum(cost, 0.0, out=cost)
        np.fill_diagonal(cost, np.inf)
        partner = cost.argmin(axis=1)
        here = np.arange(len(first))
        a = here[(partner[partner] == here) & (here < partner)]
        b = partner[a]
        pairs.append(np.stack([first[a], first[b]], axis=1))
        costs.append(cost[a, b])
        total = weight[a] + weight[b]
        x, weight = x.copy(), weight.copy()
        x[a] = (weight[a, None] * x[a] + weight[b, None] * x[b]) / total[:, None]
        weight[a] = total
        left = np.ones(len(first), bool)
        left[b] = False
        first, x, weight = first[left], x[left], weight[left]
    if not pairs:
        return np.zeros((0, 2), np.intp)
    # A stable order: of equal costs (points that are the same) the earlier round was below.
    return np.concatenate(pairs)[np.argsort(np.concatenate(costs), kind="stable")]


def refine(points: Points, labels: Labels, k: int, rounds: int = ROUNDS) -> tuple[Labels, Values]:
    """Spherical k-means (Dhillon and Modha 2001) from a partition; labels and unit centroids (k, D)."""
    centroids = normalize(sums(points, labels, k))
    for _ in range(rounds):
        moved = nearest(points.x, centroids)
        # A cluster that lost its last point keeps its place.
        total = sums(points, moved, k)
        empty = ~np.any(total, axis=1)
        total[empty] = centroids[empty]
        done = np.array_equal(moved, labels)
        labels, centroids = moved, normalize(total)
        if done:
            break
    return labels, centroids


def distortion(points: Points, labels: Labels, centroids: Values) -> float:
    """Weighted mean of one minus the cosine to the own centroid."""
    cosine = np.einsum("nd,nd->n", points.x, centroids[labels])
    return float(1.0 - points.weight @ cosine / max(points.weight.sum(), 1e-12))


def kmeans(points: Points, k: int, seed: int = 0, restarts: int = RESTARTS) -> Labels:
    """Spherical k-means from the best of several k-means++ starts (Arthur and Vassilvitskii 2007)."""
    rng = np.random.default_rng(seed)
    best: tuple[float, Labels] | None = None
    for _ in range(restarts):
        start = [int(rng.choice(len(points), p=points.weight / points.weight.sum()))]
        distance = 1.0 - points.x @ points.x[start[0]]
        while len(start) < k:
            chance = points.weight * np.maximum(distance, 1e-12)
            start.append(int(rng.choice(len(points), p=chance / chance.sum())))
            distance = np.minimum(distance, 1.0 - points.x @ points.x[start[-1]])
        labels, centroids = refine(points, nearest(points.x, points.x[start]), k)
        loss = distortion(points, labels, centroids)
        if best is None or loss < best[0]:
            best = loss, labels
    assert best is not None
    return best[1]


def ward(points: Points, k: int, seed: int = 0) -> Labels:
    """Ward's tree of evened weights alone, cut at K."""
    return ward_tree(points, seed, even=True).cut(k)


def ward_kmeans(points: Points, k: int, seed: int = 0) -> Labels:
    """Ward's tree cut at K, then spherical k-means."""
    return refine(points, ward(points, k, seed), k)[0]


def spectral(points: Points, k: int, seed: int = 0) -> Labels:
    """Normalised spectral clustering (Ng, Jordan and Weiss 2001) of the affinity exp(cosine).

    The affinity is made between micro-clusters, which is its low-rank (Nystrom-like) form for many notes.
    """
    small, member = micro_clusters(points, seed)
    k_small = min(k, len(small))
    root = np.sqrt(small.weight)
    affinity = np.exp(small.x @ small.x.T) * root[:, None] * root[None]
    degree = 1.0 / np.sqrt(affinity @ root / root + 1e-12)
    _, vectors = np.linalg.eigh(affinity * degree[:, None] * degree[None])
    rows = normalize(vectors[:, -k_small:] / root[:, None])
    return kmeans(Points(rows, small.weight), k_small, seed)[member]


def concentration(resultant: Values | float, dim: int) -> Values:
    """Concentration of a von Mises-Fisher distribution from its mean resultant length (Banerjee et al. 2005)."""
    r = np.clip(np.asarray(resultant, np.float64), 0.0, 0.999)
    return r * (dim - r**2) / (1.0 - r**2)


def mixture(points: Points, k: int, seed: int = 0) -> Labels:
    """Mixture of von Mises-Fisher distributions of one concentration, by EM from the tree (Banerjee et al. 2005)."""
    x, weight = points.x, points.weight
    membership = np.eye(k)[ward_kmeans(points, k, seed)]
    for _ in range(ROUNDS):
        mass = (membership * weight[:, None]).T
        total = mass @ x
        share = mass.sum(axis=1) / weight.sum()
        kappa = concentration(np.linalg.norm(total, axis=1).sum() / weight.sum(), x.shape[1])
        logit = kappa * x @ normalize(total).T + np.log(share + 1e-12)
        membership = np.exp(logit - logit.max(axis=1, keepdims=True))
        membership /= membership.sum(axis=1, keepdims=True)
    return np.asarray(membership.argmax(axis=1), np.intp)


def target_and_rest(points: Points, k: int, seed: int = 0) -> Labels:
    """Take out one timbre at a time: split the notes left in two, keep the tighter half, go on with the rest."""
    labels = np.zeros(len(points), np.intp)
    rest = np.arange(len(points))
    for number in range(k - 1):
        left = Points(points.x[rest], points.weight[rest])
        if len(rest) < 2:
            break
        halves, centroids = refine(left, ward(left, 2, seed), 2)
        cosine = np.einsum("nd,nd->n", left.x, centroids[halves])
        mass = np.bincount(halves, left.weight, minlength=2)
        tightness = np.bincount(halves, left.weight * cosine, minlength=2) / np.maximum(mass, 1e-9)
        target = int(np.argmax(tightness))
        labels[rest[halves == target]] = number
        rest = rest[halves != target]
        labels[rest] = number + 1
    return refine(points, labels, k)[0]


METHODS = {
    "ward": ward,
    "ward-kmeans": ward_kmeans,
    "kmeans": kmeans,
    "spectral": spectral,
    "mixture": mixture,
    "target-and-rest": target_and_rest,
}
