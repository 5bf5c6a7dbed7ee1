"""Lesson 7: from posteriors to notes, step by step; thresholds, precision and recall."""

from __future__ import annotations

from dataclasses import replace

import ipywidgets as ipw
import numpy as np
from numpy.typing import NDArray

from amtsep.config import Decoding
from amtsep.decoding import Decoder, find_peaks, find_segments, smooth, tolerance_frames
from amtsep.evaluation.metrics import Score, match
from amtsep.notes import Notes
from widgets.lessons import material
from widgets.lessons.bars import Bars as Bars
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, DARK, SOFT, figure, filled, line, panels, strokes
from widgets.lessons.kit import Board, Piece, choices, note, percent, pitch_name, prefs, row, slider, whole
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak
from widgets.panels.player import Player
from widgets.panels.roll import Roll
from widgets.panels.thresholds import Thresholds
from widgets.state.session import Session

Values = NDArray[np.float64]
DEFAULT = Decoding()


def score(truth: Notes, found: Notes) -> Score:
    """Onset precision, recall and F1."""
    return Score.of(len(match(truth, found)), len(truth), len(found))


class Steps(Piece):
    """One key of one recording: what each step of the decoder makes of the two posteriors.

    Parameters
    ----------
    clip
        ``piano``, ``duet`` or ``chorale``.
    pitch
        MIDI number to begin with.
    start_s, length_s
        What is shown.
    """

    def __init__(self, clip: str = "piano", pitch: int = 68, start_s: float = 0.0, length_s: float = 7.0) -> None:
        self.posteriors = material.posteriors(clip)
        self.decoder, self.truth = Decoder(self.posteriors), material.truth(clip)
        self.start, self.end = start_s, start_s + length_s
        self.pitch = whole(say("Key"), pitch, 33, 90)
        self.step = whole(say("Step"), 1, 1, 5)
        self.onset = slider(say("Onset threshold"), DEFAULT.onset_threshold, 0.05, 0.95, 0.01)
        self.frame = slider(say("Frame threshold"), DEFAULT.frame_threshold, 0.05, 0.95, 0.01)
        self.tolerance = slider(say("Energy tolerance (s)"), DEFAULT.energy_tolerance, 0.0, 0.5, 0.01)
        self.words = note()
        self.figure = panels(
            3,
            1,
            [say("Onset posterior"), say("Frame posterior"), say("Notes")],
            470,
            row_heights=[0.38, 0.38, 0.24],
            vertical_spacing=0.11,
            shared_xaxes=True,
        )
        traces = [
            (line([], [], say("onset posterior"), SOFT), 1),
            (line([], [], say("smoothed"), COLOURS[0]), 1),
            (line([], [], say("peaks"), COLOURS[1], mode="markers", marker={"size": 10}), 1),
            (line([], [], say("frame posterior"), COLOURS[2]), 2),
            (line([], [], say("sounding"), COLOURS[3], width=7), 2),
            (line([], [], say("found"), COLOURS[0], width=12), 3),
            (line([], [], say("true"), DARK, width=12), 3),
        ]
        for trace, place in traces:
            self.figure.add_trace(trace, place, 1)
        for place in (1, 2):
            self.figure.add_hline(y=0.5, line={"color": DARK, "dash": "dot", "width": 1.5}, row=place, col=1)
            self.figure.update_yaxes(range=[-0.03, 1.05], row=place, col=1)
        self.figure.update_yaxes(range=[-0.5, 1.5], showticklabels=False, row=3, col=1)
        self.figure.update_xaxes(range=[self.start, self.end])
        self.figure.update_xaxes(title_text=say("Time (s)"), row=3, col=1)
        moved = [self.pitch, self.step, self.onset, self.frame, self.tolerance]
        super().__init__(
            [row(self.step, self.pitch), row(self.onset, self.frame), self.tolerance, self.words, self.figure], moved
        )

    def settings(self) -> Decoding:
        """What the sliders say."""
        return replace(
            DEFAULT,
            onset_threshold=self.onset.value,
            frame_threshold=self.frame.value,
            energy_tolerance=self.tolerance.value,
            inferred_onsets=False,
            leftover_notes=False,
        )

    def draw(self) -> None:
        """Take the steps up to the one chosen."""
        found, settings, step = self.posteriors, self.settings(), self.step.value
        key = self.pitch.value - 21
        onset, frame = found.onset[key : key + 1], found.frame[key : key + 1]
        times = np.arange(found.n_frames) * found.hop_s
        peaks = find_peaks(onset, found.hop_s)
        high = peaks.select(peaks.height >= settings.onset_threshold)
        segments = find_segments(frame, settings.frame_threshold, tolerance_frames(settings, found.hop_s))
        notes = self.decoder(settings)
        mine, true = (
            notes.select(notes.pitch == self.pitch.value),
            self.truth.select(self.truth.pitch == self.pitch.value),
        )
        none = (np.zeros(0), np.zeros(0))
        # A peak's height is its smoothed posterior, brought from [0, 2] into [0, 1) without changing the order.
        shown = [
            (times, onset[0]),
            (times, 1 - np.exp2(-2 * smooth(onset)[0])) if step >= 2 else none,
            (high.time, high.height) if step >= 3 else none,
            (times, frame[0]),
            strokes(segments.start * found.hop_s, (segments.end - 1) * found.hop_s, settings.frame_threshold)
            if step >= 4
            else none,
            strokes(mine.onset, mine.offset, 1.0) if step >= 5 else none,
            strokes(true.onset, true.offset, 0.0),
        ]
        with self.figure.batch_update():
            for trace, (x, y) in zip(self.figure.data, shown):
                trace.x, trace.y = filled(x), filled(y)
            for shape, value in zip(self.figure.layout.shapes, (settings.onset_threshold, settings.frame_threshold)):
                shape.y0 = shape.y1 = value
        told = (
            say("What the network says about one key: does it start here (above), does it sound here (below)?"),
            say("Smoothing: a soft attack spreads over several frames; its sum is what counts."),
            say("Peaks over the onset threshold begin notes."),
            say("Stretches over the frame threshold sound; gaps shorter than the tolerance are closed."),
            say("A note goes from its peak to the end of its stretch, or to the next peak."),
        )
        self.words.value = f"<b>{step}</b> {pitch_name(self.pitch.value)}: {told[step - 1]}"


class Tune(Board):
    """The dashboard's own threshold panel and roll on a demo clip, with precision and recall beside them.

    Parameters
    ----------
    clip
        To begin with.
    model
        A shipped network's name, or the path of a weights or ONNX file.

    Attributes
    ----------
    session, thresholds, roll, player
        The app's own; `thresholds.onset_threshold` and its fellows can be observed, linked and set.
    """

    def __init__(self, clip: str = "piano", model: str = "base") -> None:
        self.session, self.model = Session(), str(model)
        self.clip = choices(
            say("Recording"), [(say("piano"), "piano"), (say("duet"), "duet"), (say("chorale"), "chorale")], clip
        )
        self.figure = figure(330, say("Recall (%)"), say("Precision (%)"))
        self.figure.add_trace(line([], [], say("every onset threshold"), SOFT, mode="lines+markers"))
        self.figure.add_trace(
            line([], [], say("your thresholds"), COLOURS[3], mode="markers", marker={"size": 16, "symbol": "x"})
        )
        self.figure.update_xaxes(range=[0, 102])
        self.figure.update_yaxes(range=[0, 102])
        self.words = note()
        self.words.layout.width = "460px"
        self.truth = Notes.empty()
        self._choose()
        self.roll = Roll(self.session, height=220, prefs=prefs())
        self.player = Player(self.session, prefs=prefs())
        self.thresholds = Thresholds(self.session, prefs=prefs())
        self.thresholds.layout = ipw.Layout(width="400px")
        self.figure.layout.width = 480
        self.clip.observe(lambda _change: self._choose(), "value")
        self.session.observe(lambda _change: self._judge(), "notes")
        beside = ipw.VBox([self.words, self.figure])
        super().__init__([self.clip, self.roll, self.player, ipw.HBox([self.thresholds, beside])])
        self.add_class("amtsep-piece")
        self._judge()

    def _choose(self) -> None:
        name = self.clip.value
        self.truth = material.truth(name)
        self.session.show(material.clip(name), material.posteriors(name, self.model))
        self.session.set_reference(self.truth, name)
        decoder = Decoder(material.posteriors(name, self.model))
        scores = [
            score(self.truth, decoder(replace(DEFAULT, onset_threshold=float(t)))) for t in np.arange(0.05, 1.0, 0.1)
        ]
        with self.figure.batch_update():
            self.figure.data[0].x = [100 * s.recall for s in scores]
            self.figure.data[0].y = [100 * s.precision for s in scores]
        self._judge()

    def _judge(self) -> None:
        found = score(self.truth, self.session.notes)
        with self.figure.batch_update():
            self.figure.data[1].x, self.figure.data[1].y = [100 * found.recall], [100 * found.precision]
        self.words.value = say(
            "Precision {p}: so many of the notes found are true. Recall {r}: so many of the true ones are "
            "found. F1 {f}.",
            p=percent(found.precision),
            r=percent(found.recall),
            f=percent(found.f1),
        )


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            2 * 0.9 * 0.6 / 1.5,
            say("Right: F1 is the harmonic mean, nearer to the worse of the two."),
            say("Not yet. F1 = 2 · precision · recall / (precision + recall)."),
            within=0.006,
        ),
        Exercise(
            "recall",
            say("Right: fewer peaks pass, so fewer notes are found, and those that are left are surer."),
            say("Not yet. Drag the onset threshold up, and watch which way the cross goes."),
        ),
        Exercise(
            DEFAULT.energy_tolerance * 22050 / 256,
            say("Right: a gap of an eighth of a second is bridged."),
            say("Not yet. A frame is 256 samples at 22,050 a second; take the default of the slider."),
            within=0.7,
        ),
    )


check = checker(exercises)
