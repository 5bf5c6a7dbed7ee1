"""Learn key and spelling from written music: ``python -m amtsep.training.notation SCORES OUT``.

The pieces are those of `amtsep.training.beats`, without the same held-out fifth. OUT is ``notation.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from amtsep.rhythm import key, spelling
from amtsep.synthesis.written import Written
from amtsep.training.beats import held_out, load_pieces


def signature_of(piece: Written) -> int | None:
    """The signature that holds longest; None where none is given, or one of more than six sharps or flats."""
    if not piece.keys:
        return None
    starts = np.array([p for p, _ in piece.keys] + [piece.end])
    held: dict[int, float] = {}
    for (_, sharps), length in zip(piece.keys, np.diff(starts), strict=True):
        held[sharps] = held.get(sharps, 0.0) + float(length)
    best = max(held, key=lambda s: held[s])
    return best if -6 <= best <= 6 else None


def learn_key(pieces: list[Written]) -> dict[str, NDArray[np.float64]]:
    """Weights of `amtsep.rhythm.key`: softmax regression over the twelve signatures, logistic for the mode."""
    rows, signatures, minors = [], [], []
    for piece in pieces:
        signature = signature_of(piece)
        if signature is None:
            continue
        notes = piece.notes[~piece.notes["grace"]]
        seen = key.key_evidence(notes["pitch"].astype(int), notes["start"].astype(float), notes["length"].astype(float))
        rows.append(seen)
        signatures.append(signature * 7 % 12)
        last = int(np.roll(seen, -(signature * 7 % 12), axis=1)[3].argmax())
        minors.append({0: 0, 9: 1}.get(last, -1))
    evidence = np.stack(rows)
    turned = np.stack([np.roll(evidence, -t, axis=2).reshape(len(rows), -1) for t in range(12)], axis=1)
    truth = np.array(signatures)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = turned @ w
        z = z - z.max(axis=1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        right = turned[np.arange(len(truth)), truth]
        gradient = (np.einsum("nk,nkf->nf", p, turned) - right).mean(axis=0) + 1e-4 * w
        return float(-np.log(p[np.arange(len(truth)), truth] + 1e-12).mean() + 5e-5 * w @ w), gradient

    w = minimize(loss, np.zeros(turned.shape[2]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    known = np.flatnonzero(np.array(minors) >= 0)
    x = turned[known, truth[known]]
    minor = logistic(np.concatenate([x, np.ones((len(x), 1))], axis=1), np.array(minors)[known])
    return {"key": w.reshape(4, 12), "minor": minor[:-1].reshape(4, 12), "minor_bias": minor[-1:]}


def logistic(x: NDArray[np.float64], y: NDArray[np.int_], decay: float = 1e-3) -> NDArray[np.float64]:
    """Weights of a logistic regression of 0 or 1."""

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ w
        p = 1 / (1 + np.exp(-z))
        value = np.logaddexp(0, z) - y * z
        return float(value.mean() + 0.5 * decay * w @ w), x.T @ (p - y) / len(y) + decay * w

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x)


def learn_spelling(pieces: list[Written], profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """A logistic rule for each of the twelve places relative to the local signature: whether to go to the flat side."""
    seen: list[list[NDArray[np.float64]]] = [[] for _ in range(12)]
    flat: list[list[NDArray[np.int_]]] = [[] for _ in range(12)]
    for piece in pieces:
        signature = signature_of(piece)
        if signature is None:
            continue
        pitch, start = piece.notes["pitch"].astype(int), piece.notes["start"].astype(float)
        truth = piece.notes["fifth"].astype(int)
        sounding = np.mod(7 * truth, 12) == pitch % 12  # transposing instruments are written otherwise
        local = spelling.local_signatures(pitch, signature, profile)
        rows = spelling.evidence(pitch, start, local)
        relative = np.mod(7 * pitch - local, 12)
        side = (truth - local - relative) // -12
        for place in range(12):
            own = sounding & (relative == place) & (side >= 0) & (side <= 1)
            seen[place].append(rows[own])
            flat[place].append(side[own])
    result = []
    for place in range(12):
        x, y = np.concatenate(seen[place]), np.concatenate(flat[place])
        result.append(logistic(x, y, 1e-4))
        print(place, len(y), f"{y.mean():.3f}", flush=True)
    return np.stack(result)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    pieces = [p for _, p in load_pieces(args.scores, args.cache) if not held_out(p.name)]
    learned = learn_key(pieces)
    learned["spelling"] = learn_spelling(pieces, learned["key"][1])
    text = json.dumps({name: np.round(values, 4).tolist() for name, values in learned.items()})
    args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
