"""Lesson 2: the constant-Q transform made of filters: octave by octave, with and without what keeps aliases out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal

from amtsep.config import FrontEnd
from amtsep.nets.cqt import CQT, blackman_harris, half_band_filter, window_lengths
from widgets.lessons import material
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, DARK, SOFT, figure, heat, line, panels
from widgets.lessons.kit import RATE, Piece, Sound, choices, note, pitch_name, row, slider, tick, whole
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak

Values = NDArray[np.float64]


def alias(frequency: float, rate: float) -> float:
    """Where a tone is heard when it is sampled at `rate`, all in Hz."""
    folded = frequency % rate
    return float(min(folded, rate - folded))


def low_pass(kind: str, order: int) -> tuple[Values, Values]:
    """Numerator and denominator of a filter for halving the rate.

    Parameters
    ----------
    kind
        ``fir`` (the front end's, of `order` taps), ``iir`` (an elliptic one) or ``none``.
    order
        Taps (odd) or order.
    """
    if kind == "fir":
        return half_band_filter(order | 1), np.ones(1)
    if kind == "iir":
        numerator, denominator = signal.ellip(order, 0.1, 80, 0.45)
        return np.asarray(numerator), np.asarray(denominator)
    return np.ones(1), np.ones(1)


def halve(samples: NDArray[Any], kind: str, order: int = 47) -> Values:
    """Every second sample after the filter; zero-phase for ``fir``, causal for ``iir``, folded for ``none``."""
    numerator, denominator = low_pass(kind, order)
    if kind == "fir":
        return np.convolve(samples, numerator, mode="same")[::2]
    return np.asarray(signal.lfilter(numerator, denominator, samples), np.float64)[::2]


def transform(samples: NDArray[np.float32], filtered: bool) -> NDArray[np.float32]:
    """Constant-Q level in dB, (306, T): with the decimation filter, or with nothing in its place."""
    front = CQT()
    if not filtered:
        nothing = torch.zeros_like(front.get_buffer("low_pass"))
        nothing[0, 0, nothing.shape[-1] // 2] = 1.0
        front.low_pass = nothing
    gain = np.float32(np.mean(samples**2) ** -0.5)
    with torch.no_grad():
        return material.decibels(front(torch.from_numpy(samples * gain)[None])[0].numpy())


class Octaves(Piece):
    """The transform octave by octave from the top: the rate is halved, and the same few filters serve again."""

    def __init__(self, clip: str = "piano", length_s: float = 5.0) -> None:
        settings = FrontEnd()
        samples = material.excerpt(clip, 0.2, length_s)
        self.levels = {kept: transform(samples, kept)[:, ::2] for kept in (True, False)}
        self.top = float(self.levels[True].max())
        self.count = -(-settings.n_bins // settings.bins_per_octave)
        self.done = whole(say("Octaves done"), 3, 1, self.count)
        self.filtered = tick(say("filter before every second sample is dropped"), True)
        self.sound = Sound(say("The recording"), samples)
        self.words = note()
        times = np.arange(self.levels[True].shape[1]) * 2 * settings.hop_s
        pitch = 21 + np.arange(settings.n_bins) * 12 / settings.bins_per_octave
        self.figure = figure(400, say("Time (s)"), say("Pitch"), legend=False)
        self.figure.add_trace(heat(self.levels[True], times, pitch, zmin=self.top - 60, zmax=self.top))
        octaves = np.arange(24, 124, 12)
        self.figure.update_yaxes(tickvals=octaves, ticktext=[pitch_name(p) for p in octaves])
        super().__init__(
            [self.sound, row(self.done, self.filtered), self.words, self.figure], [self.done, self.filtered]
        )

    def draw(self) -> None:
        """Show what is done so far."""
        settings = FrontEnd()
        lowest = (self.count - self.done.value) * settings.bins_per_octave
        level = self.levels[self.filtered.value].copy()
        level[:lowest] = self.top - 90
        self.figure.data[0].z = level
        # The two highest octaves are both computed at the full rate.
        rate = settings.sample_rate / 2 ** max(self.done.value - 2, 0)
        self.words.value = say("The lowest octave shown is computed at {rate:.0f} samples a second.", rate=rate)


class Aliases(Piece):
    """A tone whose rate is halved again and again: without a filter it comes back as another tone."""

    def __init__(self) -> None:
        self.tone = slider(say("Tone (Hz)"), 3000, 100, 10000, 10, ".0f")
        self.halvings = whole(say("Halvings"), 1, 0, 4)
        self.kind = choices(
            say("Filter"),
            [(say("none"), "none"), (say("FIR, 47 taps"), "fir"), (say("IIR, elliptic, order 7"), "iir")],
            "none",
        )
        self.words = note()
        self.figure = figure(300, say("Frequency (Hz)"), say("Level (dB)"))
        self.figure.add_trace(line([], [], say("what is left"), COLOURS[0]))
        self.figure.add_trace(line([], [], say("the tone that went in"), COLOURS[1], width=1.5))
        self.figure.data[1].line.dash = "dot"
        self.figure.add_shape(
            type="rect", yref="paper", y0=0, y1=1, x0=0, x1=1, fillcolor=SOFT, opacity=0.35, line_width=0
        )
        self.figure.update_xaxes(range=[0, RATE / 2])
        self.figure.update_yaxes(range=[-100, 5])
        self.hear = self.hears(say("Hear what is left"), self.heard)
        super().__init__(
            [row(self.tone, self.halvings), row(self.kind, self.hear), self.words, self.figure],
            [self.tone, self.halvings, self.kind],
        )

    def result(self) -> tuple[Values, float]:
        """What is left, and its rate."""
        samples = 0.5 * np.sin(2 * np.pi * self.tone.value * np.arange(RATE) / RATE)
        for _ in range(self.halvings.value):
            samples = halve(samples, self.kind.value, 7 if self.kind.value == "iir" else 47)
        return samples, RATE / 2**self.halvings.value

    def heard(self) -> Values:
        """The same at the full rate, so that any sound card plays it."""
        samples, _ = self.result()
        return np.asarray(signal.resample(samples, len(samples) * 2**self.halvings.value), np.float64)

    def draw(self) -> None:
        """Halve again."""
        samples, rate = self.result()
        middle = samples[len(samples) // 8 : -len(samples) // 8]
        window = signal.windows.blackmanharris(len(middle))
        level = np.abs(np.fft.rfft(middle * window)) / (0.5 * 0.359 * len(middle) / 2)
        frequency = np.fft.rfftfreq(len(middle), 1 / rate)
        with self.figure.batch_update():
            self.figure.data[0].x, self.figure.data[0].y = frequency, 20 * np.log10(level + 1e-6)
            self.figure.data[1].x, self.figure.data[1].y = [self.tone.value] * 2, [-100, 0]
            self.figure.layout.shapes[0].x0, self.figure.layout.shapes[0].x1 = rate / 2, RATE / 2
        heard = alias(self.tone.value, rate)
        if self.halvings.value and abs(heard - self.tone.value) > 1:
            said = (
                say("It came back as a tone of {f:.0f} Hz.", f=heard)
                if self.kind.value == "none"
                else say("Without the filter it would come back as a tone of {f:.0f} Hz.", f=heard)
            )
        else:
            said = say("The tone lies under half the rate: nothing folds.")
        self.words.value = (
            say("Rate {rate:.0f} Hz; it can hold tones up to {half:.0f} Hz.", rate=rate, half=rate / 2) + " " + said
        )


class Responses(Piece):
    """FIR against IIR: what passes, and what becomes of a click."""

    def __init__(self) -> None:
        self.taps = whole(say("FIR: taps"), 47, 7, 95, 4)
        self.order = whole(say("IIR: order"), 7, 2, 12)
        self.both = tick(say("run the IIR forwards and backwards (zero phase)"), False)
        self.words = note()
        self.figure = panels(
            1, 2, [say("What passes (dB)"), say("What becomes of a click")], 320, column_widths=[0.5, 0.5]
        )
        names = (say("FIR"), say("IIR"))
        for column in (1, 2):
            for index in (0, 1):
                trace = line([], [], names[index], COLOURS[index])
                trace.showlegend = column == 1
                self.figure.add_trace(trace, 1, column)
        self.figure.add_vrect(x0=0.5, x1=1, fillcolor=SOFT, opacity=0.35, line_width=0, row=1, col=1)
        self.figure.update_xaxes(title_text=say("Frequency (1 = half the old rate)"), range=[0, 1], row=1, col=1)
        self.figure.update_yaxes(range=[-130, 5], row=1, col=1)
        self.figure.update_xaxes(title_text=say("Samples after the click"), range=[-60, 120], row=1, col=2)
        super().__init__(
            [row(self.taps, self.order), self.both, self.words, self.figure], [self.taps, self.order, self.both]
        )

    def draw(self) -> None:
        """Draw both filters."""
        numerator, denominator = low_pass("iir", self.order.value)
        taps = half_band_filter(self.taps.value | 1)
        frequency, first = signal.freqz(taps, worN=1024)
        _, second = signal.freqz(numerator, denominator, worN=1024)
        power = 2 if self.both.value else 1
        click = np.zeros(401)
        click[200] = 1.0
        fir = np.convolve(click, taps, mode="same")
        iir = (
            signal.filtfilt(numerator, denominator, click, padlen=0)
            if self.both.value
            else signal.lfilter(numerator, denominator, click)
        )
        with self.figure.batch_update():
            for index, response in enumerate((np.abs(first), np.abs(second) ** power)):
                self.figure.data[index].x = frequency / np.pi
                self.figure.data[index].y = 20 * np.log10(response + 1e-9)
            for index, sound in enumerate((fir, iir)):
                self.figure.data[2 + index].x = np.arange(-200, 201)
                self.figure.data[2 + index].y = sound
        delay = float((np.arange(-200, 201) * iir**2).sum() / (iir**2).sum())
        self.words.value = say(
            "Multiplications a sample: FIR {fir}, IIR {iir}. The click's middle comes {delay:.1f} samples late from "
            "the IIR, 0.0 from the FIR.",
            fir=(self.taps.value + 1) // 2,
            iir=(2 * self.order.value + 1) * power,
            delay=delay,
        )


class Windows(Piece):
    """One bin's window, and how far it is heard in time and frequency: gamma keeps the low ones short."""

    def __init__(self) -> None:
        self.pitch = whole(say("Pitch of the bin"), 33, 21, 108)
        self.gamma = slider(say("gamma (Hz)"), 2.0, 0.0, 20.0, 0.5, ".1f")
        self.words = note()
        self.figure = panels(1, 2, [say("The kernel"), say("What it lets through (dB)")], 300)
        self.figure.add_trace(line([], [], colour=COLOURS[0], width=1), 1, 1)
        self.figure.add_trace(line([], [], colour=COLOURS[0]), 1, 2)
        for index in range(3):
            self.figure.add_vline(x=index - 1, line={"color": DARK, "dash": "dot", "width": 1}, row=1, col=2)
        self.figure.update_xaxes(title_text=say("Time (s)"), row=1, col=1)
        self.figure.update_yaxes(showticklabels=False, row=1, col=1)
        self.figure.update_xaxes(title_text=say("Distance (semitones)"), range=[-4, 4], row=1, col=2)
        self.figure.update_yaxes(range=[-90, 5], row=1, col=2)
        super().__init__([row(self.pitch, self.gamma), self.words, self.figure], [self.pitch, self.gamma])

    def draw(self) -> None:
        """Make the kernel."""
        settings = FrontEnd(gamma=self.gamma.value)
        frequency = 440.0 * 2 ** ((self.pitch.value - 69) / 12)
        length = float(window_lengths(settings)[(self.pitch.value - 21) * 3])
        half = int(np.ceil(length / 2))
        offsets = np.arange(-half, half + 1, dtype=np.float64)
        window = blackman_harris(length, offsets)
        kernel = window / window.sum() * np.cos(2 * np.pi * frequency * offsets / RATE)
        semitones = np.linspace(-4, 4, 321)
        beats = frequency * (2 ** (semitones / 12) - 1) / RATE
        response = np.abs(np.exp(-2j * np.pi * beats[:, None] * offsets[None, ::4]) @ window[::4]) / window[::4].sum()
        step = max(1, len(offsets) // 3000)
        with self.figure.batch_update():
            self.figure.data[0].x, self.figure.data[0].y = offsets[::step] / RATE, kernel[::step]
            self.figure.data[1].x, self.figure.data[1].y = semitones, 20 * np.log10(response + 1e-6)
        self.words.value = say(
            "{name}, {f:.1f} Hz: the window is {ms:.0f} ms long.",
            name=pitch_name(self.pitch.value),
            f=frequency,
            ms=1000 * length / RATE,
        )


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            RATE / 8 / 2,
            say("Right: 22,050 / 2 / 2 / 2 = 2,756 samples a second hold tones under 1,378 Hz."),
            say("Not yet. Halve the rate three times; a rate holds tones up to half of it."),
            within=1.0,
        ),
        Exercise(
            alias(8000, RATE / 2),
            say("Right: it is mirrored at half the new rate."),
            say("Not yet. The new rate is 11,025 Hz; the tone is mirrored at half of it."),
            within=1.0,
        ),
        Exercise(
            "fir",
            say("Right: a symmetric FIR delays every frequency alike, so all octaves keep the same time."),
            say("Not yet. Look at the click: which of the two stays where it was, with all its frequencies?"),
        ),
    )


check = checker(exercises)
