"""What the search for bars sees of notes: a column a beat, to compare bass, harmony and rhythm of beats.

A second small network reads these columns (`bars.npz`, trained by `amtsep.training.bars`) and says of each beat where
in which bar it lies, and whether beats have three parts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes
from amtsep.rhythm.features import DRUM_CLASSES, FRAME_S, LEAD_FRAMES

Values = NDArray[np.float64]

BEATS_PER_BAR = (2, 3, 4)
"""Bars that are looked for; others a user can set."""
STATES = tuple((m, p) for m in BEATS_PER_BAR for p in range(m))
"""(beats of the bar, place in it) that a beat may have."""
LAGS = (2, 3, 4, 6, 8)
"""Beats back with which rhythm and harmony are compared."""
SLOTS = np.array([0.0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4])
"""Places in a beat where onsets are counted."""
COLUMNS = 18 + 2 * len(SLOTS) + 3 * len(LAGS)


def beat_columns(
    notes: Notes,
    time: Values,
    beat: NDArray[np.float32],
    down: NDArray[np.float32],
    drums: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """(COLUMNS, n) float32, what sounds on and after each of n beats.

    Parameters
    ----------
    notes
        Of one recording.
    time
        (n,) seconds of the beats, at least two.
    beat, down
        (T,) what the first network says of each frame (see `amtsep.rhythm.features`).
    drums
        (len(notes),) which notes are strokes of drums.
    """
    n = len(time)
    struck = np.zeros(len(notes), bool) if drums is None else drums
    grid = np.append(time, 2 * time[-1] - time[-2])
    period = np.diff(grid)
    beat_at, down_at = at_beats(beat, time), at_beats(down, time)
    share = np.clip(down_at / np.maximum(beat_at, 0.05), 0.02, 0.98)
    rows: list[Values] = [np.log(share / (1 - share)), beat_at, down_at]
    rows.append(np.full(n, np.log(np.median(period) / 0.65)))

    tuned = notes.select(~struck) if struck.any() else notes
    place = _positions(tuned.onset, grid)
    nearest = np.clip(np.round(place).astype(int), 0, n - 1)
    on = np.abs(place - nearest) < 0.14
    within = np.clip(np.floor(place + 0.1).astype(int), 0, n - 1)
    length = np.clip(tuned.duration / period[nearest], 0.05, 8.0)
    loud = tuned.velocity / max(float(np.mean(tuned.velocity)) if len(tuned) else 1.0, 1.0)
    here = nearest[on]
    count = np.bincount(here, minlength=n).astype(float)
    rows.append(np.log1p(count))
    rows.append(np.bincount(here, loud[on], n) / np.maximum(count, 1) - (count > 0))
    rows.append(np.bincount(here, np.log2(length[on]), n) / np.maximum(count, 1))
    longest = np.full(n, 0.05)
    np.maximum.at(longest, here, length[on])
    rows.append(np.log2(longest))
    tracks = np.unique(tuned.track)
    parts = np.zeros(n)
    for track in tracks:
        has = np.zeros(n)
        has[nearest[on & (tuned.track == track)]] = 1
        parts += has
    rows.append(parts / max(len(tracks), 1))
    # The lowest note that sounds on each beat, and whether it begins there.
    low, fresh, bass_length = np.full(n, 128.0), np.zeros(n), np.zeros(n)
    starts, stops = np.round(place - 0.14 + 0.5).astype(int), _positions(tuned.offset, grid)
    first, last = np.maximum(starts, 0), np.minimum(np.ceil(stops - 0.15).astype(int), n)
    last = np.minimum(np.maximum(last, np.where(on, first + 1, first)), n)
    sounding = np.maximum(last - first, 0)
    # Each note on each beat where it sounds; of these, on every beat the lowest one, the first of several.
    note = np.repeat(np.arange(len(tuned)), sounding)
    beat = np.arange(len(note)) - np.repeat(np.cumsum(sounding) - sounding - first, sounding)
    lowest = np.lexsort((tuned.pitch[note], beat))
    beat, which = np.unique(beat[lowest], return_index=True)
    note = note[lowest[which]]
    low[beat], fresh[beat], bass_length[beat] = tuned.pitch[note], (beat == nearest[note]) & on[note], length[note]
    known = low < 128
    before = np.concatenate([[128.0], low[:-1]])
    rows.append(fresh)
    rows.append(fresh * np.log2(np.maximum(bass_length, 0.05)))
    rows.append(fresh * (low != before))
    rows.append(np.where(known, (low - np.median(low[known]) if known.any() else 0.0) / 12.0, 0.0))
    # Harmony: what sounds in each beat, by pitch class, heavier where it is low.
    chroma = np.zeros((n, 12))
    weight = np.minimum(tuned.duration, period[within]) * np.where(tuned.pitch < 55, 2.0, 1.0)
    for ahead in range(3):  # long notes sound in the beats after, too
        at = within + ahead
        more = (at < n) & (stops > at + 0.1) if ahead else np.ones(len(tuned), bool)
        np.add.at(chroma, (np.minimum(at, n - 1)[more], tuned.pitch[more] % 12), weight[more])
    chroma /= np.maximum(np.linalg.norm(chroma, axis=1, keepdims=True), 1e-6)
    for lag in (1, 2, 4):
        rows.append(1.0 - np.sum(chroma * _back(chroma, lag), axis=1))
    # Rhythm: onsets at places within the beat, those of all and of the loudest line above.
    inside = place[:, None] - np.floor(place + 0.07)[:, None]
    slot = np.abs(inside - SLOTS[None]) < 0.07
    floor = np.clip(np.floor(place + 0.07).astype(int), 0, n - 1)
    rhythm = np.zeros((n, len(SLOTS)))
    heavy = np.zeros((n, len(SLOTS)))
    for k in range(len(SLOTS)):
        rhythm[:, k] = np.minimum(np.bincount(floor, slot[:, k], n), 4)
        heavy[:, k] = np.bincount(floor, slot[:, k] * np.minimum(length, 4.0), n)
    rows += list(np.log1p(rhythm).T) + list(np.log1p(heavy).T)
    hit = np.zeros((2, n))
    if struck.any():
        stroke = _positions(notes.onset[struck], grid)
        which = np.clip(np.round(stroke).astype(int), 0, n - 1)
        exact = np.abs(stroke - which) < 0.14
        for pitch, i, good in zip(notes.pitch[struck].tolist(), which, exact, strict=True):
            kind = DRUM_CLASSES.get(pitch)
            if good and kind is not None:
                hit[0 if kind == "kick" else 1, i] = 1.0
    rows += list(hit)
    # Whether what is here was here so many beats ago; smoothed, for it tells of the whole bar.
    normal = rhythm / np.maximum(np.linalg.norm(rhythm, axis=1, keepdims=True), 1e-6)
    melody = np.zeros((n, 12))
    np.add.at(melody, (here, tuned.pitch[on] % 12), 1.0)
    melody /= np.maximum(np.linalg.norm(melody, axis=1, keepdims=True), 1e-6)
    for lag in LAGS:
        for table in (normal, chroma, melody):
            rows.append(_smooth(np.sum(table * _back(table, lag), axis=1)))
    out = np.stack(rows).astype(np.float32)
    assert len(out) == COLUMNS
    return out


def at_beats(curve: NDArray[np.float32], time: Values) -> Values:
    """The highest value of a curve within a frame of each time."""
    frames = np.round(time / FRAME_S).astype(int) + LEAD_FRAMES
    return np.max([curve[np.clip(frames + k, 0, len(curve) - 1)].astype(np.float64) for k in (-1, 0, 1)], axis=0)


def _positions(seconds: Values, grid: Values) -> Values:
    """Times as beats; before the first and after the last clipped to just outside."""
    return np.interp(seconds, grid, np.arange(len(grid)), left=-0.5, right=len(grid) - 0.51)


def _back(table: Values, lag: int) -> Values:
    """Rows of so many beats before; zeros where there are none."""
    out = np.zeros_like(table)
    if lag < len(table):
        out[lag:] = table[:-lag]
    return out


def _smooth(values: Values, width: int = 9) -> Values:
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same")[: len(values)] / width if len(values) >= width else values
