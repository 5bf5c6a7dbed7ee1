"""What the beat tracker sees of notes: their onsets on a grid of 20 ms, from several sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes

FRAME_S = 0.02
"""Seconds from one frame to the next."""
LEAD_FRAMES = 50
"""Frames before the recording begins, so that a beat can lie just before its first note."""
CHANNELS = (
    "onsets",
    "loudness",
    "length",
    "gap",
    "bass",
    "bass_changes",
    "top",
    "novelty",
    "chord",
    "parts",
    "ends",
    "sounding",
    "kick",
    "snare",
    "cymbal",
)
"""One row of the features each."""
DRUM_CLASSES = {35: "kick", 36: "kick", 37: "snare", 38: "snare", 39: "snare", 40: "snare"}
"""General MIDI drum sounds by what they do for the beat; all others are cymbals."""
TOGETHER_S = 0.035
"""Onsets this close are one chord."""


def features(notes: Notes, drums: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Rows of `CHANNELS` over frames, (len(CHANNELS), T) float32; frame t is at ``(t - LEAD_FRAMES) * FRAME_S``.

    Parameters
    ----------
    notes
        Of one recording.
    drums
        (n,) which of the notes are strokes of drums, whose pitch is a General MIDI drum sound.
    """
    count = int(np.ceil(notes.end / FRAME_S)) + 2 * LEAD_FRAMES
    out = np.zeros((len(CHANNELS), count), np.float32)
    if not len(notes):
        return out
    row = {name: i for i, name in enumerate(CHANNELS)}
    struck = np.zeros(len(notes), bool) if drums is None else np.asarray(drums, bool)

    def put(name: str, seconds: NDArray[np.float64], value: NDArray[np.float64] | float = 1.0) -> None:
        """Add values at times, shared between the two nearest frames."""
        place = seconds / FRAME_S + LEAD_FRAMES
        low = np.clip(np.floor(place).astype(int), 0, count - 2)
        part = np.clip(place - low, 0.0, 1.0)
        values = np.broadcast_to(value, seconds.shape)
        np.add.at(out[row[name]], low, (values * (1 - part)).astype(np.float32))
        np.add.at(out[row[name]], low + 1, (values * part).astype(np.float32))

    for pitch, time, loud in zip(
        notes.pitch[struck].tolist(), notes.onset[struck], notes.velocity[struck] / 80.0, strict=True
    ):
        put(DRUM_CLASSES.get(pitch, "cymbal"), np.array([time]), np.array([loud]))
    tuned = notes.select(~struck) if struck.any() else notes
    n = len(tuned)
    if n:
        onset, pitch = tuned.onset, tuned.pitch.astype(int)
        level = np.clip(tuned.velocity / max(float(np.mean(tuned.velocity)), 1.0), 0.2, 2.0)
        length = np.log2(np.clip(tuned.duration, 0.05, 4.0) / 0.05) / 6.0
        chord = np.concatenate([[0], np.cumsum(np.diff(onset) > TOGETHER_S)])
        first = np.flatnonzero(np.concatenate([[True], np.diff(chord) > 0]))
        chord_on = np.add.reduceat(onset, first) / np.diff(np.append(first, n))
        lowest = np.minimum.reduceat(pitch, first)
        highest = np.maximum.reduceat(pitch, first)
        sizes = np.diff(np.append(first, n))
        next_gap = np.append(np.diff(chord_on), 1.0)
        # The lowest and the highest note that sound when a chord starts, the chord's own among them.
        floor, ceiling, novelty = _around(tuned, chord_on, chord, len(first))
        is_bass = lowest <= floor
        is_top = highest >= ceiling
        new_bass = is_bass & np.concatenate([[True], lowest[1:] != _previous(lowest, is_bass)[1:]])
        parts = np.zeros(len(first))
        tracks = max(len(np.unique(tuned.track)), 1)
        for i in np.unique(tuned.track):
            has = np.zeros(len(first), bool)
            has[chord[tuned.track == i]] = True
            parts += has
        put("onsets", onset)
        put("loudness", onset, level)
        put("length", onset, length)
        put("gap", chord_on, np.log2(np.clip(next_gap, 0.05, 3.2) / 0.05) / 6.0)
        put("bass", chord_on[is_bass], (1.0 + np.maximum(0, 60 - lowest) / 24.0)[is_bass])
        put("bass_changes", chord_on[new_bass])
        put("top", chord_on[is_top])
        put("novelty", chord_on, novelty)
        put("chord", chord_on, np.minimum(sizes, 6) / 3.0)
        put("parts", chord_on, parts / tracks)
        put("ends", tuned.offset)
        alive = np.zeros(count + 1)
        np.add.at(alive, np.clip((onset / FRAME_S + LEAD_FRAMES).astype(int), 0, count), 1)
        np.add.at(alive, np.clip((tuned.offset / FRAME_S + LEAD_FRAMES).astype(int), 0, count), -1)
        out[row["sounding"]] = np.log1p(np.maximum(np.cumsum(alive)[:count], 0)) / 2.0
        for name in ("onsets", "loudness", "length", "ends"):
            out[row[name]] = np.log1p(out[row[name]])
    return out


def _previous(values: NDArray[np.int_], chosen: NDArray[np.bool_]) -> NDArray[np.int_]:
    """At each place the last chosen value before it (-1 before the first)."""
    index = np.where(chosen, np.arange(len(values)), -1)
    last = np.maximum.accumulate(index)
    before = np.concatenate([[-1], last[:-1]])
    return np.where(before >= 0, values[np.maximum(before, 0)], -1)


def _around(
    notes: Notes, chord_on: NDArray[np.float64], chord: NDArray[np.int_], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """At each chord: lowest and highest sounding pitch, and how new its pitch classes are after those of 2 s before."""
    onset, offset, pitch = notes.onset, notes.offset, notes.pitch.astype(int)
    floor, ceiling = np.full(count, 127.0), np.full(count, 0.0)
    # Times on a grid fine enough for the question of what sounds: 88 pitches are few, chords are many.
    for value in np.unique(pitch):
        own = pitch == value
        starts, ends = onset[own], offset[own]
        at = np.searchsorted(starts, chord_on + 0.02, side="right") - 1
        sounding = (at >= 0) & (ends[np.maximum(at, 0)] > chord_on + 0.01)
        floor = np.where(sounding, np.minimum(floor, value), floor)
        ceiling = np.where(sounding, np.maximum(ceiling, value), ceiling)
    chroma = np.zeros((count, 12))
    np.add.at(chroma, (chord, pitch % 12), 1.0)
    chroma = np.minimum(chroma, 1.0)
    # What was heard before each chord: half of every one, fading within a second.
    fading = np.exp(-np.diff(chord_on, prepend=chord_on[:1]) / 1.0)
    weight, before = np.zeros(12), np.empty((count, 12))
    for known, share, own in zip(before, fading, 0.5 * chroma):
        weight *= share
        known[:] = weight
        weight += own
    size = chroma.sum(axis=1)
    known_part = (chroma * np.minimum(before, 1.0)).sum(axis=1) / np.maximum(size, 1.0)
    return floor, ceiling, np.where(size > 0, 1.0 - known_part, 0.0)
