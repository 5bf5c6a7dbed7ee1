"""The key of a piece, from how long its pitch classes sound and on what its bass begins and ends.

A weight for each of these, relative to the tonic of a key signature, learned from the key signatures of written music
(`amtsep.training.notation`); the classic form of it is Krumhansl's.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes

WEIGHTS = "notation.json"


@lru_cache(maxsize=1)
def weights() -> dict[str, NDArray[np.float64]]:
    """What has been learned of notation, by name."""
    text = resources.files("amtsep.rhythm").joinpath(WEIGHTS).read_text(encoding="utf-8")
    return {name: np.array(values, np.float64) for name, values in json.loads(text).items()}


def key_evidence(
    pitch: NDArray[np.int_], onset: NDArray[np.float64], length: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(4, 12): share of the sounding time and of the notes of each pitch class, and that of the first and last bass."""
    out = np.zeros((4, 12))
    if not len(pitch):
        return out
    np.add.at(out[0], pitch % 12, np.minimum(length, np.percentile(length, 95)))
    np.add.at(out[1], pitch % 12, 1.0)
    out[:2] /= np.maximum(out[:2].sum(axis=1, keepdims=True), 1e-9)
    first = onset <= onset.min() + 0.1
    last = onset + length >= (onset + length).max() - 0.3
    out[2, int(pitch[first].min()) % 12] = 1.0
    out[3, int(pitch[last].min()) % 12] = 1.0
    return out


def find_key(notes: Notes) -> tuple[int, bool]:
    """Key signature in sharps (flats negative, -5 to 6) and whether the mode is minor."""
    if not len(notes):
        return 0, False
    evidence = key_evidence(notes.pitch.astype(int), notes.onset, notes.duration)
    learned = weights()
    scores = np.array([float((np.roll(evidence, -tonic, axis=1) * learned["key"]).sum()) for tonic in range(12)])
    tonic = int(scores.argmax())
    sharps = (tonic * 7) % 12
    sharps = sharps if sharps <= 6 else sharps - 12
    seen = np.roll(evidence, -tonic, axis=1)
    minor = float((seen * learned["minor"]).sum()) + float(learned["minor_bias"][0]) > 0
    return sharps, bool(minor)
