"""GuitarSet's training players as stems: real guitar, with the annotation's own times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.formats import read_jams
from amtsep.synthesis.guard import TRAIN_PLAYERS, refuse_split
from amtsep.synthesis.scores import SCORE_DTYPE, tidy

DOUBTFUL = frozenset({"01_Rock3-148-C_comp"})
"""Takes whose labels do not fit the sound."""


def takes(root: Path) -> list[Path]:
    """The training takes under `root`, sorted: GuitarSet as it is published (``annotation/*.jams`` beside
    ``audio_mono-mic/*_mic.wav``), or our tables (``*.tsv`` beside ``*.ogg``, in ``train`` or in the folder itself).

    Only players 00-02 are ever listed: the others are for development and evaluation.
    """
    root = refuse_split(root, "a source of real guitar")
    folder = root / "train" if (root / "train").is_dir() else root
    found = sorted(
        p
        for p in [*folder.glob("*.tsv"), *folder.glob("*.jams"), *(folder / "annotation").glob("*.jams")]
        if p.name[:2] in TRAIN_PLAYERS and not any(p.name.startswith(d) for d in DOUBTFUL)
    )
    if not found:
        raise DataError(f"{folder} holds no takes of GuitarSet's players {', '.join(TRAIN_PLAYERS)}: give its folder.")
    return found


def _table(take: Path) -> NDArray[np.float64]:
    """Onset, offset, pitch of a JAMS annotation, the six strings together."""
    notes = read_jams(take)
    return np.stack([notes.onset, notes.offset, notes.pitch.astype(np.float64)], axis=1)


def _sound(take: Path) -> Path:
    """The microphone's recording of a take; raises `DataError` where it is not there."""
    if take.suffix == ".tsv":
        return take.with_suffix(".ogg")
    for folder in (take.parent.parent / "audio_mono-mic", take.parent):
        for name in (f"{take.stem}_mic.wav", f"{take.stem}.wav"):
            if (folder / name).is_file():
                return folder / name
    raise DataError(f"{take.name} has no sound in audio_mono-mic; fetch GuitarSet's audio_mono-mic.zip.")


def windows(
    take: Path, clip_s: float, sample_rate: int, shift_s: float = 0.0
) -> list[tuple[NDArray[np.float32], NDArray[np.void]]]:
    """A take cut into windows of `clip_s` with their notes; those with fewer than three notes are left out.

    `shift_s` is added to the annotated onsets (the rule of `onsets` puts them about 10 ms earlier than the annotation).
    """
    import soundfile
    import soxr

    rows = _table(take) if take.suffix == ".jams" else np.loadtxt(take, ndmin=2)
    audio, rate = soundfile.read(_sound(take), dtype="float32", always_2d=True)
    mono = soxr.resample(audio.mean(axis=1), rate, sample_rate)
    notes = np.zeros(len(rows), SCORE_DTYPE)
    notes["onset"], notes["offset"] = np.maximum(rows[:, 0] + shift_s, 0.0), rows[:, 1]
    notes["pitch"] = np.round(rows[:, 2]).astype(np.int16)
    # The file's velocities are all but arbitrary (1-127 with many ones): keep them in range, nothing more.
    notes["velocity"] = np.clip(rows[:, 3], 1, 127).astype(np.int16) if rows.shape[1] > 3 else 80
    return cut(mono, notes, clip_s, sample_rate)


def cut(
    mono: NDArray[np.float32], notes: NDArray[np.void], clip_s: float, sample_rate: int, fewest: int = 3
) -> list[tuple[NDArray[np.float32], NDArray[np.void]]]:
    """A recording cut into windows of `clip_s` with their notes (`SCORE_DTYPE`); those with too few are left out."""
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
        if len(inside) >= fewest:
            out.append((part, inside))
    return out
