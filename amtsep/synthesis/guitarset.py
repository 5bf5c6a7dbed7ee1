"""GuitarSet's training players as stems: real guitar, with the annotation's own times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.synthesis.guard import TRAIN_PLAYERS, refuse_split
from amtsep.synthesis.scores import SCORE_DTYPE, tidy

DOUBTFUL = frozenset({"01_Rock3-148-C_comp"})
"""Takes whose labels do not fit the sound."""


def takes(root: Path) -> list[Path]:
    """The training takes under `root` (a ``guitarset`` folder with ``train`` inside, or ``train`` itself), sorted.

    Only players 00-02 are ever listed: the others are for development and evaluation.
    """
    root = refuse_split(root, "a source of real guitar")
    folder = root / "train" if (root / "train").is_dir() else root
    found = sorted(
        p
        for p in folder.glob("*.tsv")
        if p.name[:2] in TRAIN_PLAYERS and not any(p.name.startswith(d) for d in DOUBTFUL)
    )
    if not found:
        raise DataError(f"{folder} holds no takes of GuitarSet's players {', '.join(TRAIN_PLAYERS)}: give its folder.")
    return found


def windows(
    take: Path, clip_s: float, sample_rate: int, shift_s: float = 0.0
) -> list[tuple[NDArray[np.float32], NDArray[np.void]]]:
    """A take cut into windows of `clip_s` with their notes; those with fewer than three notes are left out.

    `shift_s` is added to the annotated onsets (the rule of `onsets` puts them about 10 ms earlier than the annotation).
    """
    import soundfile
    import soxr

    rows = np.loadtxt(take, ndmin=2)
    audio, rate = soundfile.read(take.with_suffix(".ogg"), dtype="float32", always_2d=True)
    mono = soxr.resample(audio.mean(axis=1), rate, sample_rate)
    notes = np.zeros(len(rows), SCORE_DTYPE)
    notes["onset"], notes["offset"] = np.maximum(rows[:, 0] + shift_s, 0.0), rows[:, 1]
    notes["pitch"] = np.round(rows[:, 2]).astype(np.int16)
    # The file's velocities are all but arbitrary (1-127 with many ones): keep them in range, nothing more.
    notes["velocity"] = np.clip(rows[:, 3], 1, 127).astype(np.int16) if rows.shape[1] > 3 else 80
    n = int(round(clip_s * sample_rate))
    out = []
    for start in range(0, len(mono) - n // 2, n):
        part = np.zeros(n, np.float32)
        piece = mono[start : start + n]
        part[: len(piece)] = piece
        t0 = start / sample_rate
        # A note that sounds on from before the window keeps its frames: its onset is negative.
        inside = notes[(notes["offset"] > t0 + 0.05) & (notes["onset"] < t0 + clip_s)].copy()
        inside["onset"] -= t0
        inside["offset"] -= t0
        before = inside[inside["onset"] < 0]
        before["offset"] = np.minimum(before["offset"], clip_s)
        inside = np.concatenate([before, tidy(inside, clip_s)])
        if len(inside) >= 3:
            out.append((part, inside))
    return out
