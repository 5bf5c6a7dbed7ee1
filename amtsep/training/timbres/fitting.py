"""Weights of the number of timbres (`amtsep.clustering.count`): a conditional logit over K (McFadden 1974).

Fitted by maximum likelihood with a quadratic penalty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from amtsep.clustering.count import FEATURES, median
from amtsep.training.timbres.drawing import LARGEST

Values = NDArray[np.float64]

SIGNS = {
    **dict.fromkeys(("gain", "silhouette", "separation", "mean_separation", "smallest_share", "smallest_count"), 1),
    **dict.fromkeys(("overlap_drop", "drift_gain", "own_separation"), 1),
    **dict.fromkeys(("residual", "next_gain", "unsure", "closest", "overlap"), -1),
    **dict.fromkeys(("drift_residual", "drift_next_gain"), -1),
}
"""Which way a figure may speak. Without it the weights fit a little better and are absurd on clearer mixes."""


def fit(tables: Sequence[Values], timbres: Sequence[int], penalty: float = 0.02) -> dict[str, Any]:
    """Weights of the logit from each example's table of figures (K, features) and its number of timbres."""
    rows = np.concatenate(tables)
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    stack = np.zeros((len(tables), LARGEST, rows.shape[1]))
    absent = np.full((len(tables), LARGEST), -1e9)
    for i, table in enumerate(tables):
        stack[i, : len(table)] = (table - mean) / scale
        absent[i, : len(table)] = 0.0
    truth = np.asarray(timbres) - 1
    number = np.arange(len(tables))

    def loss(weight: Values) -> tuple[float, Values]:
        score = stack @ weight + absent
        top = score.max(axis=1, keepdims=True)
        chance = np.exp(score - top)
        total = chance.sum(axis=1, keepdims=True)
        chance /= total
        value = np.mean(top[:, 0] + np.log(total[:, 0]) - score[number, truth])
        slope = (np.einsum("nk,nkf->f", chance, stack) - stack[number, truth].sum(axis=0)) / len(tables)
        return float(value + 0.5 * penalty * weight @ weight), slope + penalty * weight

    bounds = [(0.0 if SIGNS.get(name) == 1 else None, 0.0 if SIGNS.get(name) == -1 else None) for name in FEATURES]
    result = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    return {
        "features": list(FEATURES),
        "mean": np.round(mean, 5).tolist(),
        "scale": np.round(scale, 5).tolist(),
        "weight": np.round(result.x, 4).tolist(),
    }


def predict(model: dict[str, Any], tables: Sequence[Values]) -> Values:
    """Probabilities (n, LARGEST) of a fitted model."""
    chance = np.zeros((len(tables), LARGEST))
    for i, table in enumerate(tables):
        score = ((table - np.array(model["mean"])) / np.array(model["scale"])) @ np.array(model["weight"])
        chance[i, : len(table)] = np.exp(score - score.max())
    return chance / chance.sum(axis=1, keepdims=True)


def validate(tables: Sequence[Values], timbres: Sequence[int], penalty: float, folds: int = 5) -> dict[str, Any]:
    """Cross-validated: share exact, log loss, confusion (true by row), and calibration of the stated probability."""
    truth = np.asarray(timbres)
    # Copies of an example are judged together: none is learned from where another one is asked.
    number: dict[int, int] = {}
    fold = np.array([number.setdefault(id(table), len(number)) % folds for table in tables])
    chance = np.zeros((len(tables), LARGEST))
    for part in range(folds):
        model = fit([t for t, f in zip(tables, fold) if f != part], truth[fold != part].tolist(), penalty)
        chance[fold == part] = predict(model, [t for t, f in zip(tables, fold) if f == part])
    guess = np.array([median(row) for row in chance])
    confusion = np.zeros((LARGEST, LARGEST), int)
    np.add.at(confusion, (truth - 1, guess - 1), 1)
    stated = chance[np.arange(len(truth)), guess - 1]
    bins = np.clip((stated * 5).astype(int), 0, 4)
    calibration = [
        [round(float(values[bins == b].mean()), 2) for values in (stated, guess == truth)] + [int((bins == b).sum())]
        for b in range(5)
        if np.any(bins == b)
    ]
    return {
        "exact": round(float((guess == truth).mean()), 3),
        "exact_1_to_4": round(float((guess == truth)[truth <= 4].mean()), 3),
        "log_loss": round(float(-np.log(chance[np.arange(len(truth)), truth - 1] + 1e-9).mean()), 3),
        "confusion": confusion.tolist(),
        "stated_right_count": calibration,
    }
