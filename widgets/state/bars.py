"""Beats as a person has corrected them: found once, then kept with every correction as plain values."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from amtsep.config import BeatTracking
from amtsep.notes import Notes
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.metre import Metre
from amtsep.rhythm.tracking import track_beats

BeatEdits = tuple[tuple[str, str], ...]
"""(kind, value) in order; the kinds are

``base``
    the beats that the others begin from, as JSON: those that were found when the first correction was made, so that no
    later change of the notes moves bar lines that a person has set;
``half``, ``double``
    half or twice the tempo;
``shift``
    bar lines one beat later;
``metre``
    a time signature for all bars;
``line``, ``beat``
    "from to" in seconds: a bar line or a beat dragged;
``down``
    seconds: the beat there begins a bar.
"""
LONGEST_TEXT = 4 << 20
"""Characters of a value: four hours of beats have a quarter of it."""
TAPPED = BeatTracking(tempo_spread=0.1, tempo_weight=0.5)
"""How beats are found anew near a tempo that a person has tapped."""


def found_beats(notes: Notes) -> Beats:
    """The beats of notes as they are, strokes of drums among them or not."""
    return track_beats(notes)


def as_base(beats: Beats) -> BeatEdits:
    """Beats that corrections begin from."""
    return (("base", json.dumps(beats.to_dict(), separators=(",", ":"))),)


def edited_beats(beats: Beats, edits: BeatEdits) -> Beats:
    """Beats with a person's corrections, in order.

    Raises
    ------
    ValueError
        If one of them is of no known kind, or its value makes no sense.
    """
    for kind, value in edits:
        if len(value) > LONGEST_TEXT:
            raise ValueError("A correction of beats is too long.")
        if kind == "base":
            try:
                beats = Beats.from_dict(json.loads(value))
            except (json.JSONDecodeError, TypeError, OverflowError) as error:
                raise ValueError("The beats cannot be read.") from error
        elif kind == "half":
            beats = beats.halved()
        elif kind == "double":
            beats = beats.doubled()
        elif kind == "shift":
            beats = beats.with_downbeat_shifted(1)
        elif kind == "metre":
            beats = beats.with_metre(Metre.parse(value))
        elif kind == "line":
            old, new = _seconds(value, 2)
            lines = np.flatnonzero(beats.downbeat)
            if len(lines):
                beats = beats.with_bar_line(int(lines[np.argmin(np.abs(beats.time[lines] - old))]), new)
        elif kind == "beat":
            old, new = _seconds(value, 2)
            beats = beats.with_beat(_nearest(beats, old), new)
        elif kind == "down":
            beats = beats.with_downbeat_at(_nearest(beats, _seconds(value, 1)[0]))
        else:
            raise ValueError(f"'{kind}' is no correction of beats.")
    return beats


def tapped_beats(notes: Notes, beats: Beats, value: str) -> Beats:
    """Beats found anew at the tempo of a person's taps ("seconds seconds …"), and where the taps are, the taps.

    Raises
    ------
    ValueError
        If there are fewer than two taps.
    """
    taps = _seconds(value)
    gaps = np.diff(np.unique(taps))
    if not len(gaps) or not np.median(gaps) > 0:
        raise ValueError("Tap at least twice, while it plays.")
    tempo = float(np.clip(60.0 / np.median(gaps), 20.0, 400.0))
    settings = replace(
        TAPPED,
        usual_tempo=tempo,
        min_tempo=min(TAPPED.min_tempo, 0.8 * tempo),
        max_tempo=max(TAPPED.max_tempo, 1.2 * tempo),
    )
    found = track_beats(notes, settings) if len(notes) > 1 else beats
    ratio = found.tempo / tempo if found.tempo else 1.0
    if not 0.8 < ratio < 1.25:  # the music does not bear it out: the taps go on to both ends at their own tempo
        start = float(taps.min()) % (60.0 / tempo)
        found = Beats.steady(tempo, max(notes.end, float(taps.max())), beats.main_metre, start)
        found = replace(found, key=beats.key, minor=beats.minor)
    return found.tapped([float(t) for t in taps])


def _nearest(beats: Beats, seconds: float) -> int:
    if not len(beats):
        raise ValueError("There are no beats.")
    return int(np.argmin(np.abs(beats.time - seconds)))


def _seconds(value: str, count: int | None = None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    times = np.array([float(part) for part in value.split()], np.float64)
    if (count is not None and len(times) != count) or not np.all(np.isfinite(times)) or np.any(np.abs(times) > 1e6):
        raise ValueError("A correction of beats has times that make no sense.")
    return times
