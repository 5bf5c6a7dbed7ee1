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
from amtsep.rhythm.beats import Beats

WEIGHTS = "notation.json"
BAR_WEIGHT = 0.2
"""Of a bar's evidence for a key, where one of the whole piece has 1."""
HOME_WEIGHT = 0.1
"""What speaks for the key of the piece in each bar."""
CHANGE_COST = 16.0
"""Of another key signature from one bar to the next."""


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


def bar_keys(notes: Notes, beats: Beats) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Bar lines in seconds, and the sharps of the key signature of the bar after each.

    The best path over the bars under what each bar's pitch classes say, a change being dear and the key of the piece
    (``beats.key``) cheap; of two names of one signature the one nearer to that of the piece. Notes of drums count for
    nothing. Without bars or notes there is one bar, in the key of the piece.
    """
    lines = beats.time[beats.downbeat]
    pitched = ~np.array([track.drums for track in notes.tracks], bool)[notes.track] if len(notes) else np.zeros(0, bool)
    if not len(lines) or not pitched.any():
        return lines[:1] if len(lines) else np.zeros(1), np.array([beats.key])
    own = notes.select(pitched)
    bar = np.clip(np.searchsorted(lines, own.onset + 0.05, side="right") - 1, 0, len(lines) - 1)
    seen = np.zeros((len(lines), 2, 12))
    np.add.at(seen[:, 0], (bar, own.pitch % 12), np.minimum(own.duration, np.percentile(own.duration, 95)))
    np.add.at(seen[:, 1], (bar, own.pitch % 12), 1.0)
    # One a bar that has notes in it, in the mean.
    seen /= seen.sum(axis=(0, 2))[None, :, None] / len(np.unique(bar))
    learned = weights()["key"][:2]
    fit = BAR_WEIGHT * np.stack([(np.roll(seen, -t, axis=2) * learned).sum(axis=(1, 2)) for t in range(12)], axis=1)
    fit[:, 7 * beats.key % 12] += HOME_WEIGHT
    score, back = fit[0], np.zeros(fit.shape, int)
    for i in range(1, len(fit)):
        best = int(score.argmax())
        stay = score >= score[best] - CHANGE_COST
        back[i] = np.where(stay, np.arange(12), best)
        score = np.where(stay, score, score[best] - CHANGE_COST) + fit[i]
    path = np.zeros(len(fit), int)
    path[-1] = int(score.argmax())
    for i in range(len(fit) - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    sharps = 7 * path % 12
    near = sharps - 12 * np.round((sharps - beats.key) / 12).astype(int)
    return lines, np.where(near > 7, near - 12, np.where(near < -7, near + 12, near))
