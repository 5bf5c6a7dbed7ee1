"""Lesson 4: what a network hears when the level changes: energy, batch and layer normalisation; quiet passages."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Decoding, FrontEnd
from amtsep.decoding import Decoder
from amtsep.evaluation.metrics import onset_f1
from amtsep.inference import Transcriber
from amtsep.loudness import condition
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from widgets.lessons import material
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, DARK, SOFT, heat, line, panels
from widgets.lessons.kit import RATE, Piece, choices, note, percent, pitch_name, row, slider
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak

Sound = NDArray[np.float32]
OCTAVES = np.arange(24, 109, 12)


@cache
def _network() -> Transcriber:
    return Transcriber("light")


def hear(sound: Sound) -> Posteriors:
    """What the shipped network says about samples as they are, without any normalisation before it."""
    settings = FrontEnd()
    said = _network().engine(np.asarray(sound, np.float32))
    onset, frame = said["onset"], said["frame"]
    level = np.zeros((settings.n_bins, onset.shape[1]), np.uint8)
    return Posteriors(onset, frame, level, settings.hop_s, len(sound) / RATE)


def found(posteriors: Posteriors) -> Notes:
    """The notes at the default thresholds."""
    return Decoder(posteriors)(Decoding())


def notes_between(notes: Notes, start_s: float, end_s: float) -> Notes:
    """Those that begin in a stretch of time, moved to its start, cut at its end."""
    some = notes.select((notes.onset >= start_s) & (notes.onset < end_s - 0.05))
    return Notes.build(some.onset - start_s, np.minimum(some.offset, end_s) - start_s, some.pitch)


def unit(sound: Sound) -> Sound:
    """Brought to a mean energy of one."""
    return np.asarray(sound * np.mean(np.square(sound, dtype=np.float64)) ** -0.5, np.float32)


class Level(Piece):
    """The shipped network at another level than it was trained at, and what it makes of it."""

    def __init__(self, clip: str = "piano", start_s: float = 0.2, length_s: float = 4.0) -> None:
        self.samples = unit(material.excerpt(clip, start_s, length_s))
        self.truth = notes_between(material.truth(clip), start_s, start_s + length_s)
        self.level = slider(say("Level (dB)"), 0, -60, 20, 1, ".0f")
        self.energy = choices(
            say("Before the network"),
            [(say("nothing"), False), (say("the mean energy is brought to one"), True)],
            False,
        )
        self.energy.style.button_width = "260px"
        self.words = note()
        self.levels = np.arange(-60, 21, 5)
        self.curve = np.array([self.f1(found(hear(self.samples * np.float32(10 ** (db / 20))))) for db in self.levels])
        self.flat = self.f1(found(hear(self.samples)))
        self.figure = panels(
            1,
            2,
            [say("What the network says: pitches that sound"), say("How well it does")],
            340,
            column_widths=[0.6, 0.4],
        )
        self.figure.add_trace(heat(np.zeros((88, 2)), zmin=0, zmax=1), 1, 1)
        self.figure.add_trace(line(self.levels, 100 * self.curve, say("nothing"), COLOURS[3]), 1, 2)
        self.figure.add_trace(
            line(self.levels, np.full(len(self.levels), 100 * self.flat), say("energy brought to one"), COLOURS[2]),
            1,
            2,
        )
        self.figure.add_vline(x=0, line={"color": DARK, "dash": "dot"}, row=1, col=2)
        self.figure.update_xaxes(title_text=say("Time (s)"), row=1, col=1)
        self.figure.update_yaxes(tickvals=OCTAVES, ticktext=[pitch_name(p) for p in OCTAVES], row=1, col=1)
        self.figure.update_xaxes(title_text=say("Level (dB)"), row=1, col=2)
        self.figure.update_yaxes(title_text=say("Onset F1 (%)"), range=[0, 102], row=1, col=2)
        self.sound = self.hears(say("Hear it at this level"), lambda: 0.05 * self.played())
        super().__init__([row(self.level, self.sound), self.energy, self.words, self.figure], [self.level, self.energy])

    def played(self) -> Sound:
        """The excerpt at the level of the slider."""
        return self.samples * np.float32(10 ** (self.level.value / 20))

    def f1(self, notes: Notes) -> float:
        """Against the true notes."""
        return onset_f1(self.truth, notes)

    def draw(self) -> None:
        """Let the network hear it."""
        sound = self.played()
        said = hear(unit(sound) if self.energy.value else sound)
        notes = found(said)
        with self.figure.batch_update():
            self.figure.data[0].z = said.frame
            self.figure.data[0].x = np.arange(said.n_frames) * said.hop_s
            self.figure.data[0].y = np.arange(21, 109)
            mark = self.figure.layout.shapes[0]
            mark.x0 = mark.x1 = self.level.value
        self.words.value = say(
            "{n} notes found of {m}; onset F1 {f}.",
            n=len(notes),
            m=len(self.truth),
            f=percent(self.f1(notes)),
        )


def normalised(feature: NDArray[Any], how: str, mean: float, spread: float) -> NDArray[np.float32]:
    """A log feature (bins, T) normalised.

    Parameters
    ----------
    feature
        Log power.
    how
        ``batch``: with a mean and a spread that were learned; ``layer``: with those of every frame.
    mean, spread
        What was learned.
    """
    if how == "batch":
        return np.asarray((feature - mean) / spread, np.float32)
    own = feature.mean(axis=0, keepdims=True)
    return np.asarray((feature - own) / (feature.std(axis=0, keepdims=True) + 1e-3), np.float32)


class Norms(Piece):
    """One feature, normalised in three ways, with a pause in the music and noise under it."""

    def __init__(self, clip: str = "duet") -> None:
        music = unit(material.excerpt(clip, 0.3, 1.5))
        pause = np.zeros(len(music) // 2, np.float32)
        self.samples = np.concatenate([music, pause, music])[: (5 * len(music) // 2) // 256 * 256]
        self.noise_unit = np.random.default_rng(1).normal(0, 1, len(self.samples)).astype(np.float32)
        self.level = slider(say("Level (dB)"), 0, -40, 20, 1, ".0f")
        self.noise = slider(say("Noise under the music (dB)"), -60, -80, -20, 1, ".0f")
        clean = self.log_power(self.samples + np.float32(1e-3) * self.noise_unit)[0]
        self.learned = float(clean.mean()), float(clean.std())
        names = [
            say("energy of the whole to one, then batch norm"),
            say("batch norm alone: mean and spread were learned"),
            say("layer norm: mean and spread of every frame"),
        ]
        self.figure = panels(3, 1, names, 470, vertical_spacing=0.1, shared_xaxes=True)
        for place in (1, 2, 3):
            self.figure.add_trace(heat(np.zeros((2, 2)), zmin=-1.5, zmax=3), place, 1)
            self.figure.update_yaxes(showticklabels=False, row=place, col=1)
        self.figure.update_xaxes(title_text=say("Time (s)"), row=3, col=1)
        super().__init__([row(self.level, self.noise), self.figure], [self.level, self.noise])

    def log_power(self, sound: Sound) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The network's feature of a sound with its energy brought to one, and of the sound as it is."""
        energy = float(np.mean(np.square(sound, dtype=np.float64)))
        level, floor = material.power(sound)[::2, ::2], FrontEnd().log_floor
        return np.log10(level + floor), np.log10(level * np.float32(energy) + floor)

    def draw(self) -> None:
        """Normalise three times."""
        sound = self.samples + self.noise_unit * np.float32(10 ** (self.noise.value / 20))
        sound = sound * np.float32(10 ** (self.level.value / 20))
        even, raw = self.log_power(sound)
        pictures = [
            normalised(even, "batch", *self.learned),
            normalised(raw, "batch", *self.learned),
            normalised(raw, "layer", *self.learned),
        ]
        with self.figure.batch_update():
            for trace, shown in zip(self.figure.data, pictures):
                trace.z, trace.x = shown, np.arange(shown.shape[1]) * 2 * FrontEnd().hop_s


class Dynamics(Piece):
    """A loud passage and a soft one in one recording: one gain for all, or a gain that follows."""

    def __init__(self, clip: str = "duet", length_s: float = 4.0) -> None:
        first, second = material.excerpt(clip, 0.3, length_s), material.excerpt(clip, 0.3 + length_s, length_s)
        self.halves = unit(first), unit(second)
        self.length = len(first) / RATE
        self.truth = [notes_between(material.truth(clip), 0.3 + k * length_s, 0.3 + (k + 1) * length_s) for k in (0, 1)]
        self.soft = slider(say("Second half softer (dB)"), 24, 0, 54, 1, ".0f")
        self.how = choices(
            say("Normalisation"),
            [(say("one gain for all (mean)"), "mean"), (say("a gain that follows (running)"), "running")],
            "mean",
        )
        self.how.style.button_width = "220px"
        self.words = note()
        self.figure = panels(
            2,
            1,
            [say("Wave, as the network gets it"), say("What it says")],
            400,
            row_heights=[0.3, 0.7],
            vertical_spacing=0.14,
            shared_xaxes=True,
        )
        self.figure.add_trace(line([], [], colour=DARK, width=1), 1, 1)
        self.figure.add_trace(heat(np.zeros((88, 2)), zmin=0, zmax=1), 2, 1)
        self.figure.add_vrect(
            x0=self.length, x1=2 * self.length, fillcolor=SOFT, opacity=0.3, line_width=0, row=1, col=1
        )
        self.figure.update_yaxes(showticklabels=False, row=1, col=1)
        self.figure.update_yaxes(tickvals=OCTAVES, ticktext=[pitch_name(p) for p in OCTAVES], row=2, col=1)
        self.figure.update_xaxes(title_text=say("Time (s)"), row=2, col=1)
        self.sound = self.hears(say("Hear both halves"), lambda: 0.08 * self.played())
        super().__init__([row(self.soft, self.sound), self.how, self.words, self.figure], [self.soft, self.how])

    def played(self) -> Sound:
        """Both halves."""
        return np.concatenate([self.halves[0], self.halves[1] * np.float32(10 ** (-self.soft.value / 20))])

    def draw(self) -> None:
        """Condition, and let the network hear it."""
        sound = condition(self.played(), FrontEnd(normalisation=self.how.value))
        said = hear(sound)
        notes = found(said)
        scores = [
            onset_f1(true, notes_between(notes, k * self.length, (k + 1) * self.length))
            for k, true in enumerate(self.truth)
        ]
        with self.figure.batch_update():
            self.figure.data[0].x, self.figure.data[0].y = np.arange(0, len(sound), 40) / RATE, sound[::40]
            self.figure.data[1].z = said.frame[:, ::2]
            self.figure.data[1].x = np.arange(0, said.n_frames, 2) * said.hop_s
            self.figure.data[1].y = np.arange(21, 109)
        self.words.value = say("Onset F1: first half {a}, second half {b}.", a=percent(scores[0]), b=percent(scores[1]))


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            100.0,
            say("Right: ten times the amplitude is a hundred times the energy, 20 dB."),
            say("Not yet. Energy grows with the square of the amplitude; the gain is one over the root of the energy."),
            within=0.5,
        ),
        Exercise(
            "layer",
            say("Right: it makes every frame as contrasted as any other, and a pause is a frame too."),
            say("Not yet. Put the noise at -40 dB, and look at the pause in the three pictures."),
        ),
        Exercise(
            "running",
            say("Right: one gain for all leaves the soft half where the loud one put it."),
            say("Not yet. Make the second half 48 dB softer, and compare its F1."),
        ),
    )


check = checker(exercises)
