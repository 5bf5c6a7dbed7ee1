"""Lesson 7, its last part: from notes to beats and bars."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from amtsep.config import BeatTracking, Decoding
from amtsep.decoding import decode
from amtsep.notes import Notes
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.tracking import track_beats
from widgets.lessons import material
from widgets.lessons.figures import COLOURS, DARK, SOFT, filled, line, panels, strokes
from widgets.lessons.kit import RATE, Piece, choices, note, percent, row, slider
from widgets.lessons.text import say

Values = NDArray[np.float64]
NEAR_S = 0.03


@cache
def found(clip: str) -> tuple[Notes, Beats]:
    """What the network's notes of a demo clip are, and the beats found in them."""
    notes = decode(material.posteriors(clip), Decoding())
    return notes, track_beats(notes)


def off_grid(notes: Notes, beats: Beats, parts: int = 4) -> Values:
    """Seconds from each onset to the nearest of so many parts of a beat (after it: negative)."""
    place = beats.position(notes.onset) * parts
    return np.asarray(notes.onset - beats.seconds(np.round(place) / parts))


def clicks(beats: Beats, length: int) -> NDArray[np.float32]:
    """A tick on every beat, higher where a bar begins; so many samples."""
    sound = np.zeros(length, np.float32)
    t = np.arange(round(0.03 * RATE)) / RATE
    for time, first in zip(beats.time, beats.downbeat):
        at = round(float(time) * RATE)
        if 0 <= at < length - len(t):
            sound[at : at + len(t)] += (
                np.float32(0.3) * np.sin(2 * np.pi * (2000 if first else 1200) * t) * np.exp(-t / 0.006)
            )
    return sound


class Bars(Piece):
    """Notes with their beats and bar lines: found in them, or at a tempo that never changes.

    Parameters
    ----------
    clip
        ``piano``, ``duet`` or ``chorale``, to begin with.
    length_s
        What is shown and heard, in seconds.
    """

    def __init__(self, clip: str = "duet", length_s: float = 14.0) -> None:
        self.length = length_s
        self.clip = choices(
            say("Recording"), [(say("piano"), "piano"), (say("duet"), "duet"), (say("chorale"), "chorale")], clip
        )
        self.how = choices(say("Beats"), [(say("found in the notes"), "found"), (say("steady"), "steady")], "steady")
        self.how.style.button_width = "180px"
        self.tempo = slider(say("Tempo (beats a minute)"), 110, 40, 240, 1, ".0f")
        self.weight = slider(say("How much it counts"), 0, 0, 3, 0.1, ".1f")
        self.words = note()
        self.figure = panels(
            2,
            1,
            [say("Notes, beats and bar lines"), say("From each note to the nearest quarter of a beat (ms)")],
            400,
            row_heights=[0.62, 0.38],
            vertical_spacing=0.16,
            shared_xaxes=True,
        )
        for trace, place in (
            (line([], [], say("beats"), SOFT, width=1.5), 1),
            (line([], [], say("bar lines"), DARK, width=2), 1),
            (line([], [], say("Notes"), COLOURS[0], width=6), 1),
            (line([], [], colour=COLOURS[1], mode="markers", marker={"size": 6}), 2),
        ):
            self.figure.add_trace(trace, place, 1)
        self.figure.update_xaxes(range=[0, length_s])
        self.figure.update_xaxes(title_text=say("Time (s)"), row=2, col=1)
        self.figure.update_yaxes(showticklabels=False, showgrid=False, row=1, col=1)
        self.figure.update_yaxes(range=[-100, 100], row=2, col=1)
        self.hear = self.hears(say("Hear it with clicks"), self.sound)
        super().__init__(
            [self.clip, row(self.how, self.hear), row(self.tempo, self.weight), self.words, self.figure],
            [self.clip, self.how, self.tempo, self.weight],
        )

    def beats(self) -> Beats:
        """What the controls say."""
        notes, plain = found(self.clip.value)
        if self.how.value == "steady":
            first = float(plain.time[0]) if len(plain) else 0.0
            return Beats.steady(self.tempo.value, notes.end, plain.main_metre, first)
        if not self.weight.value:
            return plain
        return track_beats(notes, BeatTracking(usual_tempo=self.tempo.value, tempo_weight=self.weight.value))

    def sound(self) -> Values:
        """The recording with a tick on every beat."""
        played = material.excerpt(self.clip.value, 0.0, self.length)
        return np.asarray(0.7 * played + clicks(self.beats(), len(played)), np.float64)

    def draw(self) -> None:
        """Lay the beats over the notes."""
        steady = self.how.value == "steady"
        # What would change nothing rests.
        self.weight.disabled = steady
        self.tempo.disabled = not steady and not self.weight.value
        notes, beats = found(self.clip.value)[0], self.beats()
        shown = notes.select(notes.onset < self.length)
        low, high = float(shown.pitch.min()) - 2, float(shown.pitch.max()) + 2
        away = off_grid(notes, beats)
        with self.figure.batch_update():
            for trace, times in zip(self.figure.data, (beats.time[~beats.downbeat], beats.time[beats.downbeat])):
                some = times[times < self.length]
                trace.x, trace.y = strokes(some, some, low, high)
            self.figure.data[2].x, self.figure.data[2].y = strokes(shown.onset, shown.offset, shown.pitch)
            self.figure.data[3].x, self.figure.data[3].y = (
                filled(shown.onset),
                filled(1000 * away[notes.onset < self.length]),
            )
            self.figure.layout.yaxis.range = [low, high]
        self.words.value = say(
            "{tempo:.0f} beats a minute, {metre}; {share} of the notes begin within 30 ms of a quarter of a beat.",
            tempo=beats.tempo,
            metre=str(beats.main_metre),
            share=percent(float((np.abs(away) < NEAR_S).mean())),
        )
