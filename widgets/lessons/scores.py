"""Lesson 6: making data: random scores, chords, humanising, and a map of timbres."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from amtsep.config import FrontEnd
from amtsep.notes import Notes
from amtsep.synthesis import sampler
from amtsep.synthesis.expression import Expression
from amtsep.synthesis.instruments import Instrument
from amtsep.synthesis.scores import SCORE_DTYPE, Style, random_score
from widgets.lessons import gm_map, material
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, SOFT, figure, filled, heat, line, panels
from widgets.lessons.kit import Piece, choices, note, pitch_name, prefs, row, slider, whole
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak
from widgets.panels.player import Player
from widgets.panels.roll import Roll

Values = NDArray[np.float64]


def octave_weights(centre: float) -> tuple[float, ...]:
    """Weights of seven octaves around one of them (0 to 6)."""
    return tuple(float(w) for w in np.exp(-0.5 * ((np.arange(7) - centre) / 1.5) ** 2) * 6 + 0.2)


def to_notes(score: NDArray[np.void]) -> Notes:
    """A score as a table."""
    return Notes.build(score["onset"], score["offset"], score["pitch"], score["velocity"])


PARTS = 20
"""Of a score, each of which is a line or chords: one for every step of the share."""


class RandomScore(Piece):
    """A score drawn at random: which octaves, how near the next note, how many chords, how long the notes."""

    def __init__(self, seconds: float = 12.0, timbre: int = 5) -> None:
        self.seconds, self.timbre = seconds, timbre
        self.centre = slider(say("Octave that is drawn most"), 3.0, 0.0, 6.0, 0.1, ".1f")
        self.ahead = whole(say("Nearest of the next …"), 4, 1, 16)
        self.chords = slider(say("Share of chords"), 0.2, 0.0, 1.0, 0.05)
        self.longer = slider(say("Longer notes (octaves)"), 0.0, -1.5, 1.5, 0.1, ".1f")
        self.seed = whole(say("Another draw"), 1, 1, 50)
        self.instrument = Instrument("piano", "piano", 28, 100, False)
        self.roll = Roll(Notes.empty(), height=280, prefs=prefs())
        self.figure = panels(1, 2, [say("Which pitches"), say("How long (seconds, logarithmic)")], 230)
        for column in (1, 2):
            self.figure.add_bar(x=[], y=[], marker={"color": COLOURS[column - 1]}, showlegend=False, row=1, col=column)
        self.figure.update_xaxes(
            tickvals=np.arange(24, 109, 12),
            ticktext=[pitch_name(p) for p in np.arange(24, 109, 12)],
            range=[26, 102],
            row=1,
            col=1,
        )
        lengths = 2.0 ** np.arange(-5, 4)
        self.figure.update_xaxes(
            tickvals=np.arange(-5, 4), ticktext=[f"{x:.2g}" for x in lengths], range=[-5, 3], row=1, col=2
        )
        self.sound = self.hears(say("Hear it"), lambda: material.render(self.roll.notes, timbre))
        moved = [self.centre, self.ahead, self.chords, self.longer, self.seed]
        super().__init__(
            [
                row(self.centre, self.ahead),
                row(self.chords, self.longer),
                row(self.seed, self.sound),
                self.roll,
                self.figure,
            ],
            moved,
        )

    def score(self) -> NDArray[np.void]:
        """A score of these settings.

        A generator draws line or chords a phrase, and a phrase lasts seconds: of so short a score most steps of a
        share would change nothing. So both are drawn for all of it, and the share says in how many of its parts the
        chords are heard.
        """
        line, chords = (
            Style(
                line=3.0 * (not only),
                legato=2.0 * (not only),
                chords=5.0 * only,
                wide=0,
                repeated=0,
                trill=0,
                staccato=0,
                slow=0,
                run=0,
                octaves=0,
                octave_weights=octave_weights(self.centre.value),
                ahead=self.ahead.value,
                longer=self.longer.value,
            )
            for only in (False, True)
        )
        # The range is drawn anew with the seed; here it stays whole, so that the octaves show.
        drawn = [
            random_score(np.random.default_rng([self.seed.value, 2]), self.instrument, self.seconds, style)
            for style in (line, chords)
        ]
        turn = np.random.default_rng([self.seed.value, 3]).permutation(PARTS)
        kept = []
        for score, wanted in zip(drawn, (False, True)):
            part = np.minimum(score["onset"] * PARTS / self.seconds, PARTS - 1).astype(int)
            kept.append(score[(turn[part] < round(PARTS * self.chords.value)) == wanted])
        return np.sort(np.concatenate(kept), order=["onset", "pitch"])

    def draw(self) -> None:
        """Draw a score."""
        notes = to_notes(self.score())
        self.roll.notes = notes
        pitches = np.bincount(notes.pitch, minlength=128)[21:109]
        counts, edges = np.histogram(np.log2(notes.duration) if len(notes) else [], 32, (-5, 3))
        with self.figure.batch_update():
            self.figure.data[0].x, self.figure.data[0].y = np.arange(21, 109), pitches
            self.figure.data[1].x, self.figure.data[1].y = edges[:-1] + 0.125, counts


LOWER, UPPER = 24, 12
"""Partials that are looked at, of the lower and of the upper note."""


def coincide(interval: int) -> list[tuple[int, int]]:
    """Partials (lower, upper) of two notes `interval` semitones apart that lie within a fifth of a semitone."""
    below = 12 * np.log2(np.arange(1, LOWER + 1))
    above = interval + 12 * np.log2(np.arange(1, UPPER + 1))
    return [(int(a) + 1, int(b) + 1) for a, b in zip(*np.nonzero(np.abs(below[:, None] - above[None]) < 0.2))]


class Overlap(Piece):
    """Two notes and where their partials meet: why octaves, fifths and thirds are the hard cases."""

    def __init__(self) -> None:
        self.interval = whole(say("Interval (semitones)"), 7, 1, 24)
        self.words = note()
        self.figure = panels(
            1, 2, [say("Partials of the two notes"), say("How many of the upper note's partials are hidden")], 300
        )
        for index in range(2):
            trace = line(
                [],
                [],
                (say("lower note"), say("upper note"))[index],
                COLOURS[index],
                mode="markers",
                marker={"size": 11, "symbol": ("line-ns-open", "circle-open")[index], "line": {"width": 2.5}},
            )
            self.figure.add_trace(trace, 1, 1)
        self.figure.add_trace(
            line([], [], say("they meet"), COLOURS[3], mode="markers", marker={"size": 18, "symbol": "circle-open"}),
            1,
            1,
        )
        self.all = np.arange(1, 25)
        self.figure.add_bar(
            x=self.all,
            y=[len({b for _, b in coincide(int(i))}) for i in self.all],
            marker={"color": [SOFT] * 24},
            showlegend=False,
            row=1,
            col=2,
        )
        self.figure.update_xaxes(
            title_text=say("Semitones over the lower note"), range=[-2, 62], dtick=12, tick0=0, row=1, col=1
        )
        self.figure.update_yaxes(showticklabels=False, range=[-0.6, 1.6], row=1, col=1)
        self.figure.update_xaxes(title_text=say("Interval (semitones)"), dtick=2, row=1, col=2)
        self.hear = self.hears(
            say("Hear both"), lambda: material.chord((52, 52 + self.interval.value), 1.4, harmonics=12)
        )
        super().__init__([row(self.interval, self.hear), self.words, self.figure], [self.interval])

    def draw(self) -> None:
        """Place the partials."""
        interval = self.interval.value
        pairs = coincide(interval)
        with self.figure.batch_update():
            for index, (shift, count) in enumerate(((0, LOWER), (interval, UPPER))):
                self.figure.data[index].x = shift + 12 * np.log2(np.arange(1, count + 1))
                self.figure.data[index].y = np.full(count, float(index))
            places = [12 * np.log2(a) for a, _ in pairs]
            self.figure.data[2].x, self.figure.data[2].y = (
                filled(np.repeat(places, 2)),
                filled(np.tile([0.0, 1.0], len(places))),
            )
            self.figure.data[3].marker.color = [COLOURS[3] if i == interval else SOFT for i in self.all]
        self.words.value = say(
            "{n} of the upper note's first twelve partials lie on one of the lower note.", n=len({b for _, b in pairs})
        )


class Human(Piece):
    """One tune as a machine plays it, and as somebody might: time, force, pitch."""

    TUNE = (67, 62, 67, 69, 71, 67, 71, 72, 74)

    def __init__(self, timbre: int = 12) -> None:
        self.timbre = timbre
        self.jitter = slider(say("Time: up to (ms)"), 0, 0, 80, 1, ".0f")
        self.force = slider(say("Force: spread (velocity)"), 0, 0, 30, 1, ".0f")
        self.vibrato = slider(say("Vibrato (cents)"), 0, 0, 60, 1, ".0f")
        self.detune = slider(say("Out of tune (cents)"), 0, -50, 50, 1, ".0f")
        self.figure = figure(330, say("Time (s)"), say("Pitch"), legend=False)
        self.figure.add_trace(heat(np.zeros((2, 2))))
        for step in range(len(self.TUNE)):
            self.figure.add_vline(x=0.2 + 0.3 * step, line={"color": "white", "dash": "dot", "width": 1}, opacity=0.6)
        self.figure.update_yaxes(
            tickvals=[60, 62, 64, 67, 69, 72, 74, 76],
            ticktext=[pitch_name(p) for p in (60, 62, 64, 67, 69, 72, 74, 76)],
        )
        self.hear = self.hears(say("Hear it"), self.sound)
        moved = [self.jitter, self.force, self.vibrato, self.detune]
        super().__init__([row(self.jitter, self.force), row(self.vibrato, self.detune), self.hear, self.figure], moved)

    def score(self) -> NDArray[np.void]:
        """The tune with these liberties."""
        rng = np.random.default_rng(8)
        score = np.zeros(len(self.TUNE), SCORE_DTYPE)
        score["onset"] = (
            0.2 + 0.3 * np.arange(len(self.TUNE)) + rng.uniform(-1, 1, len(self.TUNE)) * self.jitter.value / 1000
        )
        score["offset"] = score["onset"] + 0.27
        score["pitch"] = self.TUNE
        score["velocity"] = np.clip(90 + rng.normal(0, 1, len(self.TUNE)) * self.force.value, 20, 120)
        return score

    def sound(self) -> NDArray[np.float32]:
        """Rendered by the project's own sampler."""
        bent = Expression(detune=self.detune.value, vibrato_cents=self.vibrato.value, vibrato_delay_s=0.0)
        made = material.timbre(self.timbre)
        audio, _ = sampler.render_samples(np.random.default_rng(1), made, self.score(), 3.2, bent)
        return np.asarray(audio[: len(audio) // 256 * 256], np.float32)

    def draw(self) -> None:
        """Render and look."""
        level = material.decibels(material.power(self.sound()))
        low, high = 3 * (58 - 21), 3 * (78 - 21)
        part, top = level[low:high, ::2], float(level.max())
        with self.figure.batch_update():
            trace = self.figure.data[0]
            trace.z, trace.zmin, trace.zmax = part, top - 45, top
            trace.x, trace.y = np.arange(part.shape[1]) * 2 * FrontEnd().hop_s, 21 + np.arange(low, high) / 3


def spectral_distance(levels: Values, attack: float) -> Values:
    """Root mean square difference in dB of every two programs, (128, 128).

    Parameters
    ----------
    levels
        (128, times, bands) dB.
    attack
        Weight of the first moment in [0, 1], the rest shared by the others.
    """
    weights = np.array([attack, *([(1 - attack) / (levels.shape[1] - 1)] * (levels.shape[1] - 1))])
    flat = (levels * np.sqrt(weights / levels.shape[2])[None, :, None]).reshape(len(levels), -1)
    square = (flat**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * flat @ flat.T, 0))
    # To the last digit: what rounding leaves is no distance of a program from itself.
    np.fill_diagonal(distance, 0.0)
    return distance


def scale_down(distance: Values, like: Values | None = None) -> Values:
    """Classical multidimensional scaling to the plane, (n, 2), turned to lie as `like` does (Torgerson 1952)."""
    n = len(distance)
    centre = np.eye(n) - 1 / n
    gram = -0.5 * centre @ distance**2 @ centre
    values, vectors = np.linalg.eigh(gram)
    plane = vectors[:, -2:][:, ::-1] * np.sqrt(np.maximum(values[-2:][::-1], 0))
    if like is not None:
        left, _, right = np.linalg.svd(plane.T @ like)
        plane = plane @ left @ right
    return np.asarray(plane)


def program_names() -> list[str]:
    """Of the 128 General MIDI programs."""
    import pretty_midi

    return [pretty_midi.program_to_instrument_name(k) for k in range(128)]


class TimbreMap(Piece):
    """All 128 General MIDI programs by the distance of their spectra: near is alike. Hover to hear."""

    def __init__(self) -> None:
        self.levels = gm_map.load()
        self.names = program_names()
        self.attack = slider(say("Weight of the attack"), 0.2, 0.0, 1.0, 0.05)
        self.pitch = choices(say("Pitch"), [(pitch_name(p), k) for k, p in enumerate(gm_map.PITCHES)], 1)
        self.player = Player(Notes.empty(), prefs=prefs())
        self.player.layout.display = "none"
        self.words = note(say("Click once into the picture; then every point you hover over sounds."))
        self.last: Values | None = None
        self.figure = figure(560, legend=True)
        palette = ["#1f6fd6", "#e07b00", "#0a8f6a", "#c2372e", "#7b4bc4", "#8a6d1f", "#d14c93", "#4c7a8c"]
        for family, name in enumerate(gm_map.FAMILIES):
            some = slice(8 * family, 8 * family + 8)
            self.figure.add_trace(
                go.Scatter(
                    x=[],
                    y=[],
                    mode="markers",
                    name=say(name),
                    text=self.names[some],
                    hovertemplate="%{text}<extra></extra>",
                    marker={
                        "size": 12,
                        "color": palette[family % 8],
                        "symbol": "circle" if family < 8 else "diamond",
                        "line": {"width": 1, "color": "white"},
                    },
                )
            )
            for event in ("on_hover", "on_click"):
                getattr(self.figure.data[family], event)(self._sounds(family))
        self.figure.update_xaxes(showticklabels=False)
        self.figure.update_yaxes(showticklabels=False, scaleanchor="x")
        self.figure.update_layout(
            legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top"}, hovermode="closest"
        )
        super().__init__(
            [row(self.attack, self.pitch), self.words, self.figure, self.player], [self.attack, self.pitch]
        )

    def _sounds(self, family: int) -> Any:
        def play(_trace: Any, points: Any, _state: Any) -> None:
            for index in points.point_inds:
                self.audition(8 * family + int(index))

        return play

    def audition(self, program: int) -> None:
        """Sound a program."""
        self.words.value = f"<b>{program + 1}</b> {self.names[program]}"
        self.player.audition(gm_map.PITCHES[self.pitch.value], program)

    def distance(self) -> Values:
        """Of every two programs at these settings."""
        return spectral_distance(self.levels[:, self.pitch.value], self.attack.value)

    def nearest(self, program: int) -> int:
        """The program that sounds most like another, by these distances."""
        far = self.distance()[program].copy()
        far[program] = np.inf
        return int(far.argmin())

    def draw(self) -> None:
        """Scale down again."""
        self.last = scale_down(self.distance(), self.last)
        with self.figure.batch_update():
            for family, trace in enumerate(self.figure.data):
                some = self.last[8 * family : 8 * family + 8]
                trace.x, trace.y = some[:, 0], some[:, 1]


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            12,
            say("Right: every partial of the octave is one of the lower note's."),
            say("Not yet. In the bars, which interval hides all twelve?"),
            within=0.5,
        ),
        Exercise(
            "rendering",
            say("Right: the label is known because the sound is made from it."),
            say("Not yet. Which of the two gives onsets that are exact to the sample, for nothing?"),
        ),
        Exercise(
            "violin",
            say("Right: without the attack there is the steady sound alone, and a viola's is a violin's."),
            say("Not yet. Look for the viola among the strings: which of its own family lies nearest."),
        ),
    )


check = checker(exercises)
