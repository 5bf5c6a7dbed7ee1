"""Lesson 3: harmonic stacking, its ghosts, why a kernel of two octaves, and harmonics inside the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN, N_PITCHES, FrontEnd, Network
from amtsep.nets.harmonic import HarmonicConv
from amtsep.nets.model import HarmonicStack
from widgets.lessons import material
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, DARK, SOFT, figure, heat, line, panels
from widgets.lessons.kit import Piece, choices, note, percent, pitch_name, row, whole
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak

Values = NDArray[np.float32]

PER_OCTAVE = FrontEnd().bins_per_octave
PITCHES = np.arange(MIDI_MIN, MIDI_MIN + N_PITCHES)
OCTAVES = np.arange(24, 109, 12)


def stacked(level: Values, harmonics: tuple[float, ...], off: int = 0) -> Values:
    """Channels of the harmonic stack of one frame.

    Parameters
    ----------
    level
        (306,) constant-Q feature.
    harmonics
        Multiples of the fundamental.
    off
        Bins by which every shift but the first is off.

    Returns
    -------
    ndarray
        (harmonics, 264).
    """
    stack = HarmonicStack(harmonics, PER_OCTAVE, 3 * N_PITCHES)
    stack.shifts = tuple(s + (off if s else 0) for s in stack.shifts)
    return np.asarray(stack(torch.from_numpy(np.asarray(level, np.float32))[None, :, None])[0, :, :, 0].numpy())


def feature(samples: NDArray[Any]) -> Values:
    """(306,) level in the middle of a sound, 0 at -60 dB under its loudest bin, 1 there."""
    level = material.decibels(material.power(np.asarray(samples, np.float32)))
    column = level[:, level.shape[1] // 2]
    return np.asarray(np.clip((column - column.max() + 60) / 60, 0, 1), np.float32)


class Stack(Piece):
    """A chord, its partials lined up as channels, and what they say together.

    Parameters
    ----------
    intervals
        Semitones over the lowest note.
    """

    def __init__(self, intervals: tuple[int, ...] = (0, 7, 16)) -> None:
        self.intervals = intervals
        self.pitch = whole(say("Lowest note"), 52, 36, 72)
        self.off = whole(say("Shifts off by (bins)"), 0, -18, 18)
        self.way = choices(say("Shift"), [(say("harmonics down to the fundamental"), 1), (say("the wrong way"), -1)], 1)
        self.way.style.button_width = "260px"
        self.harmonics = Network().harmonics[1:]
        self.words = note()
        self.figure = panels(
            2,
            1,
            [say("The stack: a row a harmonic"), say("Mean of the rows: how much a pitch has its partials")],
            420,
            vertical_spacing=0.2,
            row_heights=[0.45, 0.55],
            shared_xaxes=True,
        )
        bins = MIDI_MIN + np.arange(3 * N_PITCHES) / 3
        self.figure.add_trace(heat(np.zeros((7, 264)), bins, [f"{h:g}" for h in self.harmonics], zmin=0, zmax=1), 1, 1)
        self.figure.add_trace(line(bins, np.zeros(264), say("mean of the stack"), COLOURS[0]), 2, 1)
        self.figure.add_trace(line(bins, np.zeros(264), say("level of the fundamental alone"), SOFT, width=1.5), 2, 1)
        self.figure.add_trace(
            line(
                [],
                [],
                say("the notes that sound"),
                COLOURS[2],
                mode="markers",
                marker={"size": 11, "symbol": "triangle-up"},
            ),
            2,
            1,
        )
        self.figure.update_xaxes(
            tickvals=OCTAVES, ticktext=[pitch_name(p) for p in OCTAVES], range=[21, 108], showticklabels=True
        )
        self.figure.update_yaxes(range=[-0.08, 1], row=2, col=1)
        self.hear = self.hears(say("Hear the chord"), self.sound)
        super().__init__(
            [row(self.pitch, self.off), row(self.way, self.hear), self.words, self.figure],
            [self.pitch, self.off, self.way],
        )

    def sound(self) -> NDArray[np.float32]:
        """The chord."""
        return material.chord(tuple(self.pitch.value + i for i in self.intervals), 1.2, harmonics=10, tilt=0.8)

    def draw(self) -> None:
        """Stack again."""
        level = feature(self.sound())
        channels = stacked(level, tuple(h ** float(self.way.value) for h in self.harmonics), self.off.value)
        mean = channels.mean(axis=0)
        true = np.array([self.pitch.value + i for i in self.intervals])
        with self.figure.batch_update():
            self.figure.data[0].z = channels
            self.figure.data[1].y = mean
            self.figure.data[2].y = level[: 3 * N_PITCHES]
            self.figure.data[3].x, self.figure.data[3].y = true, np.full(len(true), -0.03)
        best = peaks(mean, len(true))
        hits = sum(p in true for p in best)
        self.words.value = say(
            "The {n} highest peaks: {found}. {hits} of them sound.",
            n=len(true),
            found=", ".join(pitch_name(p) for p in sorted(best)),
            hits=hits,
        )


def peaks(mean: Values, count: int) -> list[int]:
    """Pitches of the highest peaks over the bins of a stack's mean."""
    tops = [k for k in range(1, len(mean) - 1) if mean[k] >= mean[k - 1] and mean[k] > mean[k + 1]]
    tops.sort(key=lambda k: -mean[k])
    found: list[int] = []
    for k in tops:
        pitch = MIDI_MIN + round(k / 3)
        if all(abs(pitch - other) > 1 for other in found):
            found.append(pitch)
    return found[:count]


# --- why two octaves -------------------------------------------------------------------------------------------------


def random_chords(rng: np.random.Generator, count: int) -> tuple[Values, Values]:
    """Spectra of chords, a row a semitone: (count, 2, 88) mean of the stack and level, and (count, 88) truth."""
    rows = N_PITCHES + 40
    level = np.full((count, rows), 0.0)
    truth = np.zeros((count, N_PITCHES))
    for k in range(count):
        root = int(rng.integers(12, 56))
        for step in np.concatenate(
            [[0], rng.choice([4, 5, 7, 12, 12, 19, 24], int(rng.integers(0, 4)), replace=False)]
        ):
            pitch = root + int(step)
            truth[k, pitch] = 1
            tilt, even, loud = rng.uniform(0.4, 1.6), rng.uniform(0.2, 1.0), rng.uniform(0.5, 1.0)
            for n in range(1, 13):
                place = pitch + round(12 * np.log2(n))
                if place < rows:
                    level[k, place] += loud * (even if n % 2 == 0 else 1.0) * n**-tilt
    seen = np.clip(1 + np.log10(level + 1e-3 + rng.exponential(2e-3, level.shape)) / 3, 0, 1)
    shifts = [round(12 * np.log2(n)) for n in range(1, 9)]
    mean = np.mean([seen[:, s : s + N_PITCHES] for s in shifts], axis=0)
    return np.stack([mean, seen[:, :N_PITCHES]], axis=1).astype(np.float32), truth.astype(np.float32)


def unfold(features: Values, reach: int) -> Values:
    """What a kernel of `reach` semitones to either side sees at every pitch: (count, 88, 2 (2 reach + 1))."""
    padded = np.pad(features, ((0, 0), (0, 0), (reach, reach)))
    views = [padded[:, c, k : k + N_PITCHES] for c in range(features.shape[1]) for k in range(2 * reach + 1)]
    return np.stack(views, axis=-1)


@dataclass(frozen=True, eq=False)
class Kernels:
    """The best linear kernels of every height, from one pass over the data.

    Parameters
    ----------
    weights
        For a reach of 0, 1, ... semitones: (2, 2 reach + 1), on the mean of the stack and on the fundamental.
    f1, ghosts
        On chords that were not learned from: F1 at the best threshold, and false notes one or two octaves off a true
        one, as a share of the true ones.
    """

    weights: list[Values]
    f1: NDArray[np.float64]
    ghosts: NDArray[np.float64]


def columns(reach: int, most: int) -> NDArray[np.intp]:
    """Those of `unfold` at a reach of `most` that a smaller kernel sees, and the offset's."""
    width = 2 * most + 1
    inner = np.arange(most - reach, most + reach + 1)
    return np.concatenate([inner, width + inner, [2 * width]])


def fit_kernels(rng: np.random.Generator, clips: int, most: int) -> Kernels:
    """Least squares for every height up to `most` on `clips` chords, judged on half as many others."""
    tables = []
    for count in (clips, clips // 2):
        features, truth = random_chords(rng, count)
        seen = unfold(features, most).reshape(count * N_PITCHES, -1)
        tables.append((np.concatenate([seen, np.ones((len(seen), 1), np.float32)], axis=1), truth))
    (seen, truth), (others, expected) = tables
    gram, target = (seen.T @ seen).astype(np.float64), (seen.T @ truth.reshape(-1)).astype(np.float64)
    weights, figures = [], []
    for reach in range(most + 1):
        at = columns(reach, most)
        kernel = np.linalg.solve(gram[np.ix_(at, at)] + 2.0 * np.eye(len(at)), target[at]).astype(np.float32)
        figures.append(judge((others[:, at] @ kernel).reshape(expected.shape), expected))
        weights.append(kernel[:-1].reshape(2, -1))
    table = np.array(figures)
    return Kernels(weights, table[:, 0], table[:, 1])


def judge(said: Values, truth: Values) -> tuple[float, float]:
    """Best F1 over thresholds, and the ghosts there (see `Kernels`); both (count, 88)."""
    best = (-1.0, 0.0)
    for threshold in np.linspace(0.2, 0.6, 17):
        found = said > threshold
        right = float((found * truth).sum())
        f1 = 2 * right / max(float(found.sum() + truth.sum()), 1.0)
        if f1 > best[0]:
            best = f1, float(threshold)
    found = said > best[1]
    octave = np.zeros_like(truth)
    for step in (12, 24):
        octave[:, step:] = np.maximum(octave[:, step:], truth[:, :-step])
        octave[:, :-step] = np.maximum(octave[:, :-step], truth[:, step:])
    return best[0], float((found * (1 - truth) * octave).sum()) / max(float(truth.sum()), 1.0)


class KernelHeight(Piece):
    """The best linear kernel of every height, learned here: what it looks at, and which ghosts are left."""

    def __init__(self, clips: int = 400, most: int = 30) -> None:
        self.kernels = fit_kernels(np.random.default_rng(4), clips, most)
        self.reaches = np.arange(most + 1)
        self.reach = whole(say("Kernel: ± semitones"), 3, 0, most)
        self.words = note()
        self.figure = panels(
            1,
            2,
            [say("What the kernel learned"), say("How well it does")],
            330,
            column_widths=[0.55, 0.45],
            specs=[[{}, {"secondary_y": True}]],
        )
        for index, name in enumerate((say("on the mean of the stack"), say("on the fundamental"))):
            self.figure.add_bar(x=[], y=[], name=name, marker={"color": COLOURS[index]}, row=1, col=1)
        self.figure.add_trace(line(self.reaches, 100 * self.kernels.f1, say("F1 (%)"), COLOURS[2]), 1, 2)
        ghosts = line(self.reaches, 100 * self.kernels.ghosts, say("octave ghosts (% of notes)"), COLOURS[3])
        self.figure.add_trace(ghosts, 1, 2, secondary_y=True)
        self.figure.add_vline(x=3, line={"color": DARK, "dash": "dot"}, row=1, col=2)
        self.figure.update_xaxes(
            title_text=say("Semitones from the pitch"), range=[-most - 1, most + 1], dtick=12, tick0=0, row=1, col=1
        )
        self.figure.update_xaxes(title_text=say("Semitones either way"), dtick=6, row=1, col=2)
        self.figure.update_yaxes(range=[90, 100], dtick=2, title_text=say("F1 (%)"), row=1, col=2, secondary_y=False)
        self.figure.update_yaxes(
            range=[0, 10], dtick=2, title_text=say("ghosts (%)"), showgrid=False, row=1, col=2, secondary_y=True
        )
        self.figure.update_layout(barmode="overlay", bargap=0.1)
        super().__init__([self.reach, self.words, self.figure], [self.reach])

    def draw(self) -> None:
        """Show the kernel of this height."""
        reach = self.reach.value
        kernel = self.kernels.weights[reach]
        with self.figure.batch_update():
            for index in (0, 1):
                self.figure.data[index].x = np.arange(-reach, reach + 1)
                self.figure.data[index].y = kernel[index]
            mark = self.figure.layout.shapes[0]
            mark.x0 = mark.x1 = reach
        self.words.value = say(
            "F1 {f1}; octave ghosts: {ghosts} of the notes.",
            f1=percent(self.kernels.f1[reach]),
            ghosts=percent(self.kernels.ghosts[reach]),
        )


# --- inside the network ----------------------------------------------------------------------------------------------


def reach_of(kind: str, pitch: int, depth: int) -> Values:
    """How many ways lead from each of the 88 rows to a pitch's row after `depth` layers, (88,).

    Parameters
    ----------
    kind
        ``plain`` (3 x 3 convolutions) or ``harmonic`` (`amtsep.nets.harmonic.HarmonicConv`).
    pitch
        MIDI number.
    depth
        Layers.
    """
    x = torch.zeros(1, 1, N_PITCHES, 1, requires_grad=True)
    layer: Any = HarmonicConv(1, 1) if kind == "harmonic" else torch.nn.Conv2d(1, 1, (3, 1), padding=(1, 0), bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    y = x
    for _ in range(depth):
        y = layer(y)
    y[0, 0, pitch - MIDI_MIN, 0].backward()
    assert x.grad is not None
    return np.asarray(x.grad[0, 0, :, 0].numpy())


def stack_reach(pitch: int) -> Values:
    """The same of harmonic stacking at the input: the harmonics of the pitch, once."""
    seen = np.zeros(N_PITCHES, np.float32)
    for harmonic in Network().harmonics:
        place = pitch - MIDI_MIN + round(12 * np.log2(harmonic))
        if 0 <= place < N_PITCHES:
            seen[place] = 1
    return seen


class Inside(Piece):
    """Which pitches a layer can hear when it decides on one: stacked at the input, plain layers, harmonic layers."""

    def __init__(self) -> None:
        self.pitch = whole(say("The pitch decided on"), 60, 36, 96)
        self.depth = whole(say("Layers"), 1, 1, 4)
        self.words = note()
        self.names = (say("stack at the input"), say("3 × 3 layers"), say("harmonic layers"))
        self.figure = figure(290, say("Pitch that is heard"), "", legend=False)
        self.figure.add_trace(
            heat(
                np.zeros((3, N_PITCHES)), PITCHES, list(self.names), zmin=0, zmax=1, colorscale="Blues", xgap=1, ygap=8
            )
        )
        self.figure.add_vline(x=60, line={"color": COLOURS[1], "dash": "dot"})
        self.figure.update_xaxes(tickvals=OCTAVES, ticktext=[pitch_name(p) for p in OCTAVES])
        self.figure.update_layout(margin_l=150)
        super().__init__([row(self.pitch, self.depth), self.words, self.figure], [self.pitch, self.depth])

    def draw(self) -> None:
        """Count the ways."""
        pitch, depth = self.pitch.value, self.depth.value
        ways = np.stack([stack_reach(pitch), reach_of("plain", pitch, depth), reach_of("harmonic", pitch, depth)])
        heard = (ways > 0).sum(axis=1)
        shown = np.where(ways > 0, 0.25 + 0.75 * ways / ways.max(axis=1, keepdims=True), 0)
        with self.figure.batch_update():
            self.figure.data[0].z = shown
            self.figure.layout.shapes[0].x0 = self.figure.layout.shapes[0].x1 = pitch
        self.words.value = say(
            "Pitches heard: {a} through the stack, {b} through the 3 × 3 layers, {c} through the harmonic layers "
            "({taps} weights each layer and pair of channels; a dense kernel of that height has 73).",
            a=heard[0],
            b=heard[1],
            c=heard[2],
            taps=len(HarmonicConv(1, 1).shifts),
        )


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            24,
            say("Right: the fourth harmonic lies two octaves up, and the stack moves it down by as much."),
            say("Not yet. How many octaves are a factor of four? How many semitones is that?"),
            within=0.5,
        ),
        Exercise(
            "above",
            say("Right: an octave above, every harmonic of the ghost is one of the note's own."),
            say("Not yet. Take one note, stacked the right way: on which side of the highest peak is the next one?"),
        ),
        Exercise(
            12,
            say("Right: an octave either way, 25 rows, is where the ghosts go; that is the kernel of base."),
            say("Not yet. Drag the height, and look for the step of the red curve."),
            within=2.1,
        ),
    )


check = checker(exercises)
