"""Learn how to tell the number of timbres: the weights of `amtsep.clustering.count`.

    python -m amtsep.training.timbre_count --synthetic 1500 --out amtsep/clustering/timbre_count.json
    python -m amtsep.training.timbre_count --examples mixes.npz --out amtsep/clustering/timbre_count.json

Examples are tables of notes with embeddings whose number of timbres is known: mixes of stems as the network heard them, or,
for tests and until there is a network, clusters drawn on the sphere. A conditional logit over K (McFadden 1974) is fitted by
maximum likelihood with a quadratic penalty.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.clustering.count import FEATURES, features
from amtsep.notes import Notes

Values = NDArray[np.float64]
LARGEST = 8


def synthetic_notes(seed: int, timbres: int | None = None, n_notes: int | None = None, dim: int = 16) -> Notes:
    """Clusters on the sphere that imitate embeddings of a mix; `track` is the truth.

    Unequal numbers of notes, a spread of its own and a drift with pitch for every timbre, some notes between two timbres,
    some astray; each timbre plays one note at a time, or chords, in a register of its own.
    """
    rng = np.random.default_rng(seed)
    k = timbres or int(rng.integers(1, LARGEST + 1))
    n = n_notes or int(np.exp(rng.uniform(np.log(25 * k), np.log(300 * k))))
    share = np.exp(rng.normal(0.0, 0.7, k))
    counts = np.maximum(np.round(n * share / share.sum()).astype(int), 4)
    length_s = n * 0.3 / np.sqrt(k)
    centroids = rng.normal(size=(k, dim))
    for index in range(1, k):
        if rng.random() < 0.3:  # of one family
            centroids[index] = centroids[rng.integers(index)] + 0.8 * rng.normal(size=dim)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    columns: list[Values] = []
    for index in range(k):
        m = counts[index]
        voices = 1 if rng.random() < 0.6 else int(rng.integers(2, 5))
        edges = np.sort(rng.uniform(0.0, length_s, m // voices + 1))
        begin = np.resize(edges, m) if voices == 1 else np.repeat(edges, voices)[:m]
        sounding = np.resize(np.append(np.diff(edges), 0.5), m) if voices == 1 else np.full(m, 0.4)
        pitch = np.clip(np.round(rng.normal(rng.uniform(45, 80), rng.uniform(3, 9), m)), 21, 108)
        spread = np.exp(rng.uniform(np.log(0.35), np.log(0.9))) / np.sqrt(dim)
        drift = rng.normal(size=dim) * rng.uniform(0.0, 0.4) / np.sqrt(dim)
        x = centroids[index] + spread * rng.normal(size=(m, dim)) + drift * ((pitch - pitch.mean()) / 6.0)[:, None]
        between = rng.random(m) < 0.06
        other = centroids[rng.integers(k, size=m)]
        x[between] = 0.55 * x[between] + 0.45 * other[between]
        astray = rng.random(m) < 0.02
        x[astray] = rng.normal(size=(int(astray.sum()), dim))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        end = begin + np.clip(sounding, 0.05, 1.5)
        columns.append(np.column_stack([begin, end, pitch, rng.uniform(0.4, 1.0, m), np.full(m, index), x]))
    table = np.concatenate(columns)
    return Notes.build(
        table[:, 0], table[:, 1], table[:, 2], confidence=table[:, 3], track=table[:, 4].astype(int), embedding=table[:, 5:]
    )


def save_examples(path: str | Path, examples: Sequence[Notes], timbres: Sequence[int]) -> None:
    """Write note tables and their numbers of timbres to one ``.npz``."""
    columns = ("onset", "offset", "pitch", "velocity", "confidence", "track", "embedding")
    arrays = {name: np.concatenate([getattr(notes, name) for notes in examples]) for name in columns}
    np.savez_compressed(path, **arrays, length=[len(notes) for notes in examples], timbres=np.asarray(timbres))  # type: ignore[arg-type]


def load_examples(path: str | Path) -> tuple[list[Notes], list[int]]:
    """Read what `save_examples` wrote."""
    with np.load(path, allow_pickle=False) as data:
        ends = np.cumsum(data["length"])
        columns = {name: data[name] for name in data.files if name not in ("length", "timbres")}
        tables = [
            Notes.build(**{name: values[end - length : end] for name, values in columns.items()})
            for end, length in zip(ends, data["length"], strict=True)
        ]
        return tables, data["timbres"].tolist()


def fit(tables: Sequence[Values], timbres: Sequence[int], penalty: float = 0.02) -> dict[str, Any]:
    """Weights of the logit from each example's table of figures (K, features) and its number of timbres."""
    from scipy.optimize import minimize

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

    result = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B")
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
    fold = np.arange(len(tables)) % folds
    chance = np.zeros((len(tables), LARGEST))
    for part in range(folds):
        model = fit([tables[i] for i in np.flatnonzero(fold != part)], truth[fold != part].tolist(), penalty)
        chance[fold == part] = predict(model, [tables[i] for i in np.flatnonzero(fold == part)])
    guess = chance.argmax(axis=1) + 1
    confusion = np.zeros((LARGEST, LARGEST), int)
    np.add.at(confusion, (truth - 1, guess - 1), 1)
    stated = chance.max(axis=1)
    bins = np.clip((stated * 5).astype(int), 0, 4)
    calibration = [
        (round(float(stated[bins == b].mean()), 2), round(float((guess == truth)[bins == b].mean()), 2), int((bins == b).sum()))
        for b in range(5) if np.any(bins == b)
    ]  # fmt: skip
    return {
        "exact": round(float((guess == truth).mean()), 3),
        "exact_1_to_4": round(float((guess == truth)[truth <= 4].mean()), 3),
        "log_loss": round(float(-np.log(chance[np.arange(len(truth)), truth - 1] + 1e-9).mean()), 3),
        "confusion": confusion.tolist(),
        "stated_right_count": calibration,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--examples", nargs="*", default=[], help=".npz files of mixes heard by the network")
    parser.add_argument("--synthetic", type=int, default=0, help="clusters drawn on the sphere, how many")
    parser.add_argument("--penalty", type=float, default=0.002)
    parser.add_argument("--made-of", default="", help="a line on where the examples come from")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    examples, timbres = [], []
    for path in args.examples:
        more, counts = load_examples(path)
        examples += more
        timbres += counts
    for seed in range(args.synthetic):
        notes = synthetic_notes(seed)
        examples.append(notes)
        timbres.append(len(np.unique(notes.track)))
    tables = [features(notes, LARGEST) for notes in examples]
    report = validate(tables, timbres, args.penalty)
    print(json.dumps(report))
    made = args.made_of or f"{args.synthetic} synthetic tables"
    model = {"made_of": f"{made}; {len(tables)} examples", "cross_validated": report, **fit(tables, timbres, args.penalty)}
    args.out.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
