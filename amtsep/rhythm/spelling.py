"""How pitches are written: F sharp or G flat.

Two steps: the signature that the notes around each one suggest, kept from wandering by dynamic programming along the
line of fifths; then, for each of the twelve places relative to it, a small learned rule that looks at the notes around
and at what the note moves on to. The line of fifths is Temperley's (2001) ground for the same question.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtsep.rhythm.key import weights

Index = NDArray[np.int_]
Values = NDArray[np.float64]

LOCAL_NOTES = 24
"""Notes either side that tell the local signature."""
SCALES = (10, 36)
"""Notes either side (with fading weight) that tell the spelling."""
SIGNATURES = np.arange(-9, 10)
CHANGE_COST = 6.0
"""Of a step along the line of fifths from one stretch of notes to the next."""
AWAY_COST = 0.6
"""Of each step away from the signature of the piece, at each stretch."""
FAR = 4
"""Steps beyond which a signature is no stranger than at it: B major turns to A flat, not to G sharp."""
REMOTE_COST = 0.8
"""Of each sharp or flat over five, at each stretch: A flat major, not G sharp major."""
STRETCH = 8
"""Notes of which the local signature is found at once."""


def fifths(pitch: Index, onset: Values, signature: int | Index) -> Index:
    """Spelling of each note as steps along the line of fifths from C (F = -1, G = 1, F sharp = 6).

    Parameters
    ----------
    pitch, onset
        (n,) MIDI numbers and times in any unit, sorted by time; onsets equal within 1e-3 are one chord.
    signature
        Sharps (flats negative) of the key signature, one for all or one a note.
    """
    if not len(pitch):
        return np.zeros(0, int)
    local = local_signatures(pitch, signature)
    seen = evidence(pitch, onset, local)
    relative = np.mod(7 * pitch - local, 12)
    learned = weights()["spelling"]
    flat = np.einsum("nf,nf->n", seen, learned[relative]) > 0
    return local + relative - 12 * flat


def local_signatures(pitch: Index, signature: int | Index, profile: Values | None = None) -> Index:
    """(n,) sharps of the signature that suits the notes around each note best."""
    profile = weights()["key"][1] if profile is None else profile
    n = len(pitch)
    starts = list(range(0, n, STRETCH))
    there = np.broadcast_to(signature, n)[starts][:, None]
    classes = np.zeros((n + 1, 12))
    classes[1:] = np.cumsum(np.eye(12)[pitch % 12], axis=0)
    counts = np.stack([classes[min(a + STRETCH + LOCAL_NOTES, n)] - classes[max(a - LOCAL_NOTES, 0)] for a in starts])
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    tonic = np.mod(7 * SIGNATURES, 12)
    fit = np.stack([(np.roll(share, -t, axis=1) * profile).sum(axis=1) for t in tonic], axis=1)
    fit = (
        fit
        - AWAY_COST * np.minimum(np.abs(SIGNATURES - there), FAR)
        - REMOTE_COST * np.maximum(np.abs(SIGNATURES) - 5, 0)
    )
    cost = CHANGE_COST * np.minimum(np.abs(SIGNATURES[:, None] - SIGNATURES[None, :]), 3) / 3
    score = fit[0]
    back = np.zeros(fit.shape, int)
    for i in range(1, len(fit)):
        step = score[None, :] - cost
        back[i] = step.argmax(axis=1)
        score = step.max(axis=1) + fit[i]
    path = np.zeros(len(fit), int)
    path[-1] = int(score.argmax())
    for i in range(len(fit) - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return np.repeat(SIGNATURES[path], STRETCH)[:n]


def evidence(pitch: Index, onset: Values, local: Index) -> Values:
    """What the learned rule of each place looks at, (n, 30): the pitch classes around on two scales, relative to the
    local signature, whether a note a semitone over or under follows soon or came just before, a chord's third or fifth,
    and a constant."""
    n = len(pitch)
    classes = np.eye(12)[pitch % 12]
    columns = []
    shift = np.mod(7 * local, 12)
    roll = np.mod(np.arange(12)[None, :] + shift[:, None], 12)
    for reach in SCALES:
        total = np.zeros((n, 12))
        forward, backward = np.zeros(12), np.zeros(12)
        keep = np.exp(-1.0 / reach)
        for i in range(n):
            total[i] += backward
            backward = backward * keep + classes[i]
        for i in range(n - 1, -1, -1):
            total[i] += forward
            forward = forward * keep + classes[i]
        total /= np.maximum(total.sum(axis=1, keepdims=True), 1e-9)
        columns.append(np.take_along_axis(total, roll, axis=1) * 4.0)
    chord = np.concatenate([[0], np.cumsum(np.diff(onset) > 1e-3)])
    near = np.zeros((n, 6))
    near[:, 5] = 1.0
    for i in range(n):
        stop = min(i + 14, n)
        ahead = pitch[i + 1 : stop][chord[i + 1 : stop] > chord[i]] - pitch[i]
        near[i, 0] = float(np.any(ahead[:8] == 1))
        near[i, 1] = float(np.any(ahead[:8] == -1))
        start = max(i - 10, 0)
        behind = pitch[start:i][chord[start:i] < chord[i]] - pitch[i]
        near[i, 2] = float(np.any(behind == 1))
        near[i, 3] = float(np.any(behind == -1))
        around = pitch[max(i - 6, 0) : i + 7][chord[max(i - 6, 0) : i + 7] == chord[i]] - pitch[i]
        near[i, 4] = float(np.any(np.mod(around, 12) == 4)) - float(np.any(np.mod(around, 12) == 8))
    columns.append(near)
    return np.concatenate(columns, axis=1)
