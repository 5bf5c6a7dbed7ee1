"""Lesson 1: wave, spectrum, constant-Q; why the axis is logarithmic; phase against magnitude."""

from __future__ import annotations

from typing import Any

import ipywidgets as ipw
import numpy as np
from numpy.typing import NDArray
from scipy import signal

from amtsep.config import FrontEnd
from widgets.lessons import material
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, DARK, SOFT, heat, line, panels, strokes
from widgets.lessons.kit import RATE, Piece, Sound, choices, pitch_name, row, slider, steps, whole
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak

Values = NDArray[np.float64]

FRONT_END = FrontEnd()


def spectrum(samples: NDArray[Any], at_s: float, window_s: float) -> tuple[Values, Values]:
    """Frequencies in Hz and level in dB of a Hann window centred on `at_s`."""
    length = max(int(window_s * RATE), 32)
    first = int(at_s * RATE) - length // 2
    piece = np.pad(samples, (length, length))[first + length : first + 2 * length]
    level = np.abs(np.fft.rfft(piece * np.hanning(length), max(8192, length)))
    frequency = np.asarray(np.fft.rfftfreq(max(8192, length), 1 / RATE), np.float64)
    return frequency, np.asarray(20 * np.log10(level / (0.25 * length) + 1e-5), np.float64)


def bin_of(frequency: float) -> float:
    """Bin of the constant-Q transform that a frequency in Hz falls on."""
    return FRONT_END.bins_per_octave * float(np.log2(frequency / FRONT_END.f_min))


class Look(Piece):
    """One recording three ways: wave, spectrum at a moment, constant-Q.

    Parameters
    ----------
    clip
        ``piano``, ``duet`` or ``chorale``.
    """

    def __init__(self, clip: str = "piano", start_s: float = 0.0, length_s: float = 6.0) -> None:
        self.samples = material.excerpt(clip, start_s, length_s)
        self.seconds = len(self.samples) / RATE
        self.time = slider(say("Moment (s)"), 1.0, 0.0, self.seconds, 0.02)
        self.window = steps(say("Window"), [(f"{ms} ms", ms / 1000) for ms in (5, 10, 20, 50, 100, 200, 400)], 0.1)
        self.axis = choices(say("Frequency axis"), [(say("linear"), "linear"), (say("logarithmic"), "log")], "linear")
        self.sound = Sound(say("The recording"), self.samples)
        self.figure = panels(
            2,
            2,
            [
                say("Wave"),
                say("Spectrum at this moment"),
                say("Constant-Q transform: every octave is equally high"),
                "",
            ],
            460,
            specs=[[{}, {"rowspan": 2}], [{}, None]],
            column_widths=[0.62, 0.38],
            row_heights=[0.32, 0.68],
            vertical_spacing=0.16,
            shared_xaxes=False,
        )
        self._wave()
        self._transform()
        self.figure.add_trace(line([], [], colour=COLOURS[0], width=1.5), 1, 2)
        for index in (1, 3):
            self.figure.add_shape(
                type="rect",
                x0=0,
                x1=0,
                y0=0,
                y1=1,
                yref="y domain" if index == 1 else "y3 domain",
                xref="x" if index == 1 else "x3",
                fillcolor=COLOURS[1],
                opacity=0.45,
                line={"color": COLOURS[1], "width": 1.5},
            )
        super().__init__(
            [self.sound, row(self.time, self.window), self.axis, self.figure], [self.time, self.window, self.axis]
        )

    def _wave(self) -> None:
        step = 40
        cut = self.samples[: len(self.samples) // step * step].reshape(-1, step)
        edges = np.stack([cut.min(axis=1), cut.max(axis=1)], axis=1).reshape(-1)
        times = np.repeat(np.arange(len(cut)) * step / RATE, 2)
        self.figure.add_trace(line(times, edges, colour=DARK, width=1), 1, 1)
        self.figure.update_xaxes(range=[0, self.seconds], row=1, col=1)
        self.figure.update_yaxes(showticklabels=False, row=1, col=1)

    def _transform(self) -> None:
        level = material.decibels(material.power(self.samples))[::2, ::2]
        top = float(level.max())
        pitch = 21 + np.arange(0, FRONT_END.n_bins, 2) * 12 / FRONT_END.bins_per_octave
        times = np.arange(level.shape[1]) * 2 * FRONT_END.hop_s
        self.figure.add_trace(
            heat(level, times, pitch, zmin=top - 60, zmax=top, hovertemplate="%{x:.2f} s<extra></extra>"), 2, 1
        )
        octaves = np.arange(24, 124, 12)
        self.figure.update_yaxes(tickvals=octaves, ticktext=[pitch_name(p) for p in octaves], row=2, col=1)
        self.figure.update_xaxes(title_text=say("Time (s)"), range=[0, self.seconds], row=2, col=1)

    def draw(self) -> None:
        """Move the window."""
        frequency, level = spectrum(self.samples, self.time.value, self.window.value)
        log = self.axis.value == "log"
        keep = (frequency >= (27.5 if log else 0)) & (frequency <= (9000 if log else 4000))
        low, high = self.time.value - self.window.value / 2, self.time.value + self.window.value / 2
        with self.figure.batch_update():
            self.figure.data[2].x, self.figure.data[2].y = frequency[keep], level[keep]
            ticks = {"tickvals": 55 * 2.0 ** np.arange(0, 8)} if log else {"tickvals": None}
            self.figure.update_xaxes(
                type="log" if log else "linear", title_text=say("Frequency (Hz)"), autorange=True, **ticks, row=1, col=2
            )
            self.figure.update_yaxes(range=[-75, 0], title_text=say("Level (dB)"), row=1, col=2)
            for shape in self.figure.layout.shapes:
                shape.x0, shape.x1 = low, high


class Ruler(Piece):
    """The partials of a tone on a linear and on a logarithmic axis: only on one of them a pattern keeps its shape."""

    def __init__(self) -> None:
        self.pitch = whole(say("Pitch (MIDI number)"), 57, 33, 81)
        self.partials = whole(say("Partials"), 8, 1, 16)
        self.figure = panels(
            2,
            1,
            [say("Linear axis: the pattern stretches"), say("Logarithmic axis: the pattern moves as it is")],
            380,
            vertical_spacing=0.28,
        )
        for where, low, high in ((1, 0, 8000), (2, np.log10(50), np.log10(16000))):
            for index in range(2):
                width = 2 if index == 0 else 3
                trace = line(
                    [],
                    [],
                    say("an octave lower") if index == 0 else say("this tone"),
                    (SOFT, COLOURS[0])[index],
                    width=width,
                )
                trace.showlegend = where == 1
                self.figure.add_trace(trace, where, 1)
            self.figure.update_xaxes(range=[low, high], title_text=say("Frequency (Hz)"), row=where, col=1)
            self.figure.update_yaxes(showticklabels=False, range=[0, 1.1], row=where, col=1)
        self.figure.update_xaxes(type="log", tickvals=[55, 110, 220, 440, 880, 1760, 3520, 7040, 14080], row=2, col=1)
        self.hear = self.hears(say("Hear it"), lambda: material.tone(self.pitch.value, 1.2, self.partials.value))
        super().__init__([row(self.pitch, self.partials), self.hear, self.figure], [self.pitch, self.partials])

    def draw(self) -> None:
        """Place the partials."""
        with self.figure.batch_update():
            for index, pitch in enumerate((self.pitch.value - 12, self.pitch.value)):
                f0 = 440.0 * 2.0 ** ((pitch - 69) / 12)
                n = np.arange(1, self.partials.value + 1)
                x, y = strokes(n * f0, n * f0, 0 * n, n**-0.5)
                for trace in (self.figure.data[index], self.figure.data[2 + index]):
                    trace.x, trace.y = x, y
            self.figure.layout.annotations[0].text = say(
                "Linear axis: partials lie {f:.0f} Hz apart, and the pattern stretches",
                f=440 * 2 ** ((self.pitch.value - 69) / 12),
            )


WINDOWS = tuple(2**k for k in range(5, 18))
"""Samples of the short-time Fourier transform, from 1.5 ms to longer than the excerpts."""


def swap(magnitude: NDArray[Any], phase: NDArray[Any], window: int) -> Values:
    """A sound with the magnitudes of one and the phases of the other, in windows of so many samples."""
    options: dict[str, Any] = {"nperseg": window, "noverlap": window * 3 // 4}
    room = (0, max(window - len(magnitude), 0))
    _, _, first = signal.stft(np.pad(magnitude, room), RATE, **options)
    _, _, second = signal.stft(np.pad(phase, room), RATE, **options)
    _, sound = signal.istft(np.abs(first) * np.exp(1j * np.angle(second)), RATE, **options)
    return np.asarray(sound[: len(magnitude)], np.float64)


def picture(sound: NDArray[Any]) -> Values:
    """Level over frequency and time in dB, (129, T): 43 Hz a row up to 5.5 kHz."""
    _, _, found = signal.stft(sound, RATE, nperseg=512, noverlap=256)
    return np.asarray(20 * np.log10(np.abs(found[:129]) + 1e-4), np.float64)


def likeness(first: Values, second: Values) -> float:
    """Correlation of two such pictures, above what silence and treble have in common."""
    frames = min(first.shape[1], second.shape[1])
    a, b = first[:, :frames], second[:, :frames]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


class PhaseSwap(Piece):
    """The magnitudes of one recording with the phases of another: which of the two is heard depends on the window."""

    def __init__(self, first: str = "piano", second: str = "duet", length_s: float = 4.0) -> None:
        self.sounds = (material.excerpt(first, 0.2, length_s), material.excerpt(second, 0.2, length_s))
        self.sounds = tuple(s / np.sqrt(np.mean(s**2)) * 0.1 for s in self.sounds)
        names = {"piano": say("the piano"), "duet": say("the duet"), "chorale": say("the chorale")}
        self.names = names[first], names[second]
        options = [(f"{1000 * w / RATE:.3g} ms" if w < RATE else f"{w / RATE:.1f} s", w) for w in WINDOWS]
        self.window = steps(say("Window"), options, 1024)
        self.way = choices(
            say("Take"),
            [
                (say("magnitude of {a}, phase of {b}", a=self.names[0], b=self.names[1]), 0),
                (say("magnitude of {b}, phase of {a}", a=self.names[0], b=self.names[1]), 1),
            ],
            0,
        )
        self.way.style.button_width = "330px"
        pictures = [picture(s) for s in self.sounds]
        self.curves = np.array(
            [
                [[likeness(picture(swap(self.sounds[w], self.sounds[1 - w], n)), p) for p in pictures] for n in WINDOWS]
                for w in (0, 1)
            ]
        )
        self.figure = panels(
            1,
            2,
            [say("Spectrogram of what comes out"), say("Which recording it is like")],
            330,
            column_widths=[0.55, 0.45],
        )
        self.figure.add_trace(heat(np.zeros((2, 2)), zmin=-75, zmax=-25), 1, 1)
        for index in (0, 1):
            label = say("like {a}", a=self.names[index])
            self.figure.add_trace(
                line(np.array(WINDOWS) / RATE * 1000, [0] * len(WINDOWS), label, COLOURS[index]), 1, 2
            )
        self.figure.add_shape(
            type="line", xref="x2", yref="y2 domain", y0=0, y1=1, x0=1, x1=1, line={"color": DARK, "dash": "dot"}
        )
        self.figure.update_xaxes(title_text=say("Time (s)"), row=1, col=1)
        self.figure.update_yaxes(title_text=say("Frequency (kHz)"), row=1, col=1)
        self.figure.update_xaxes(type="log", title_text=say("Window (ms)"), row=1, col=2)
        self.figure.update_yaxes(range=[-0.15, 1], title_text=say("Correlation"), row=1, col=2)
        self.hear = self.hears(say("Hear what comes out"), self.sound)
        self.originals = ipw.HBox(
            [Sound(n, s) for n, s in zip(self.names, self.sounds)], layout={"flex_flow": "row wrap"}
        )
        super().__init__([self.originals, self.way, row(self.window, self.hear), self.figure], [self.window, self.way])

    def sound(self) -> Values:
        """What comes out at this window."""
        way = self.way.value
        return swap(self.sounds[way], self.sounds[1 - way], self.window.value)

    def draw(self) -> None:
        """Swap again."""
        level = picture(self.sound())
        with self.figure.batch_update():
            shown = self.figure.data[0]
            shown.z = level.astype(np.float32)
            shown.x, shown.y = np.arange(level.shape[1]) * 256 / RATE, np.arange(len(level)) * RATE / 512 / 1000
            for index in (0, 1):
                self.figure.data[1 + index].y = self.curves[self.way.value, :, index]
            mark = self.window.value / RATE * 1000
            self.figure.layout.shapes[0].x0 = self.figure.layout.shapes[0].x1 = mark


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            round(bin_of(3 * 220.0) - bin_of(220.0)),
            say("Right: 36 · log2(3) is 57 bins, wherever the tone lies."),
            say("Not yet. An octave is a factor of 2 and has 36 bins; how many octaves is a factor of 3?"),
            within=0.5,
        ),
        Exercise(
            0.05,
            say("Right: about one over the distance in Hz; with a Hann window rather twice that."),
            say("Not yet. Two tones 20 Hz apart beat twenty times a second: the window must see at least one beat."),
            within=0.021,
        ),
        Exercise(
            "phase",
            say("Right: in one window over everything, when things happen is in the phases."),
            say("Not yet. Drag the window to its right end, and listen to both ways of swapping."),
        ),
    )


check = checker(exercises)
