"""Lesson 8: telling timbres apart: embeddings, losses, clustering, how many there are, and teaching by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import ipywidgets as ipw
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from amtsep.clustering import METHODS, cluster, embedding_map, estimate_timbres
from amtsep.config import Clustering, Decoding
from amtsep.decoding import decode, embed_notes
from amtsep.evaluation.metrics import match
from amtsep.notes import Notes
from amtsep.training.losses import Embedded, affinity_loss, info_nce
from widgets.lessons import material
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, DARK, figure, filled, heat, line, panels, strokes
from widgets.lessons.kit import Board, Piece, choices, menu, note, percent, prefs, row, slider, steps, whole
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak
from widgets.panels.map import NoteMap
from widgets.panels.roll import Roll
from widgets.panels.timbres import Timbres
from widgets.state.session import Session

Values = NDArray[np.float64]
Labels = NDArray[np.intp]


@cache
def heard(clip: str) -> tuple[Notes, Labels]:
    """Notes of a demo clip with embeddings, and which part truly plays each; only those that are true notes."""
    found = material.posteriors(clip)
    notes = decode(found, Decoding())
    pairs = match(material.truth(clip), notes)
    order = np.argsort(pairs[:, 1])
    return embed_notes(notes.select(pairs[order, 1]), found), material.truth(clip).track[pairs[order, 0]].astype(
        np.intp
    )


def agreement(labels: Labels, truth: Labels) -> tuple[float, dict[int, int]]:
    """Share of the notes in the right track, the tracks named as suits best, and that naming (track to part)."""
    table = np.zeros((labels.max() + 1, truth.max() + 1))
    np.add.at(table, (labels, truth), 1)
    tracks, parts = linear_sum_assignment(-table)
    return float(table[tracks, parts].sum() / max(len(labels), 1)), {int(t): int(p) for t, p in zip(tracks, parts)}


def pieces(notes: Notes, truth: Labels, seconds: float) -> tuple[Notes, Labels]:
    """The notes cut into pieces no longer than so many seconds, with the part of each."""
    rows = []
    for k in range(len(notes)):
        count = max(1, int(np.ceil(notes.duration[k] / seconds - 1e-6)))
        edges = np.linspace(notes.onset[k], notes.offset[k], count + 1)
        rows += [(a, b, notes.pitch[k], truth[k]) for a, b in zip(edges[:-1], edges[1:])]
    table = np.array(rows)
    cut = Notes.build(table[:, 0], table[:, 1], table[:, 2].astype(int), track=table[:, 3].astype(int))
    return cut, cut.track.astype(np.intp)


MARKS = ("circle", "diamond", "square", "cross", "x", "star")


def part_names(clip: str) -> list[str]:
    """The instruments of a demo clip, in the chosen language."""
    names = {
        "Piano": say("piano"),
        "Flute": say("Flute"),
        "Guitar": say("Guitar"),
        "Clarinet": say("Clarinet"),
        "Cello": say("Cello"),
        "Bassoon": say("Bassoon"),
    }
    return [names[track.name] for track in material.truth(clip).tracks]


class Embeddings(Piece):
    """Notes as points: colours are what the clustering says, shapes are who truly plays.

    Parameters
    ----------
    clip
        ``duet``, ``chorale`` or ``piano``.
    """

    def __init__(self, clip: str = "chorale") -> None:
        self.name, (self.notes, self.truth) = clip, heard(clip)
        self.parts = part_names(clip)
        self.count = whole(say("Timbres"), 2, 1, 6)
        self.length = steps(
            say("A point is a mean over"),
            [(f"{x:g} s", x) for x in (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)] + [(say("the whole note"), 60.0)],
            60.0,
        )
        self.method = menu(say("Method"), list(METHODS), "ward-kmeans")
        self.words = note()
        self.figure = figure(420, say("first principal component"), say("second"))
        for k, part in enumerate(self.parts):
            self.figure.add_trace(
                line(
                    [],
                    [],
                    part,
                    mode="markers",
                    marker={"size": 10, "symbol": MARKS[k], "line": {"width": 0.5, "color": "white"}},
                )
            )
        super().__init__(
            [row(self.count, self.method), self.length, self.words, self.figure], [self.count, self.length, self.method]
        )

    def draw(self) -> None:
        """Cluster again."""
        notes, truth = self.notes, self.truth
        if self.length.value < 60:
            cut, truth = pieces(notes, truth, self.length.value)
            notes = embed_notes(cut, material.posteriors(self.name))
        sorted_notes = cluster(notes, Clustering(timbres=self.count.value, method=self.method.value))
        plane = embedding_map(notes)
        right, _ = agreement(sorted_notes.track.astype(np.intp), truth)
        colours = np.array(COLOURS)[sorted_notes.track % len(COLOURS)]
        with self.figure.batch_update():
            for k, trace in enumerate(self.figure.data):
                own = truth == k
                trace.x, trace.y = filled(plane[own, 0]), filled(plane[own, 1])
                trace.marker.color = colours[own].tolist()
        self.words.value = say("{n} points; {share} in the right track.", n=len(notes), share=percent(right))


@cache
def pulled(loss: str, temperature: float, groups: int = 3, each: int = 8, rounds: int = 120) -> Values:
    """Angles of points on a circle while a loss pulls at them, (rounds + 1, groups * each)."""
    torch.manual_seed(2)
    angle = torch.nn.Parameter(torch.rand(groups * each) * 2 * np.pi)
    label = torch.arange(groups).repeat_interleave(each)[None]
    # All on other pitches and at other times: no unisons.
    index = torch.arange(groups * each)[None]
    optimizer = torch.optim.Adam([angle], lr=0.08)
    path = [angle.detach().numpy().copy()]
    for _ in range(rounds):
        vector = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)[None]
        points = Embedded(vector, label, index, index, index + 1)
        value = info_nce(points, temperature) if loss == "infonce" else affinity_loss(points, temperature)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        path.append(angle.detach().numpy().copy())
    return np.array(path)


class Pull(Piece):
    """Timbres on a circle, pulled together and apart by a loss, from one tangle."""

    def __init__(self) -> None:
        self.groups = whole(say("Timbres"), 3, 2, 3)
        self.loss = choices(say("Loss"), [("InfoNCE", "infonce"), (say("squared affinity"), "affinity")], "infonce")
        self.temperature = steps(say("Temperature"), [(f"{t:g}", t) for t in (0.05, 0.1, 0.15, 0.3, 0.6, 1.0)], 0.15)
        self.step = whole(say("Step"), 0, 0, 120)
        self.words = note()
        self.figure = panels(
            1, 2, [say("Embeddings on the circle"), say("Affinity: cosine of every two")], 360, column_widths=[0.5, 0.5]
        )
        circle = np.linspace(0, 2 * np.pi, 200)
        self.figure.add_trace(line(np.cos(circle), np.sin(circle), colour="#d7dde5", width=1), 1, 1)
        for k in range(3):
            self.figure.add_trace(
                line([], [], say("timbre {k}", k=k + 1), COLOURS[k], mode="markers", marker={"size": 12}), 1, 1
            )
        self.figure.add_trace(heat(np.zeros((24, 24)), zmin=-1, zmax=1, colorscale="RdBu_r"), 1, 2)
        self.figure.update_xaxes(range=[-1.25, 1.25], showticklabels=False, row=1, col=1)
        self.figure.update_yaxes(range=[-1.25, 1.25], scaleanchor="x", showticklabels=False, row=1, col=1)
        self.figure.update_xaxes(showticklabels=False, row=1, col=2)
        self.figure.update_yaxes(showticklabels=False, scaleanchor="x2", row=1, col=2)
        super().__init__(
            [row(self.loss, self.groups), row(self.step, self.temperature), self.words, self.figure],
            [self.loss, self.groups, self.temperature, self.step],
        )

    def draw(self) -> None:
        """Show a step of the path."""
        angle = pulled(self.loss.value, self.temperature.value, self.groups.value)[self.step.value]
        x, y = np.cos(angle), np.sin(angle)
        with self.figure.batch_update():
            for k in range(3):
                own = slice(8 * k, 8 * k + 8)
                # A little outwards and inwards, so that points on one place are seen.
                lift = 1 + 0.05 * (np.arange(8) - 3.5) / 3.5
                lift = lift[: len(x[own])]
                self.figure.data[1 + k].x, self.figure.data[1 + k].y = filled(x[own] * lift), filled(y[own] * lift)
            self.figure.data[4].z = np.cos(angle[:, None] - angle[None])
        gaps = closest_gap(angle)
        self.words.value = say("The two closest timbres are {gap:.0f}° apart.", gap=gaps)


def closest_gap(angle: Values) -> float:
    """Degrees between the mean directions of the two closest of the groups of eight."""
    groups = len(angle) // 8
    centres = np.array([np.angle(np.exp(1j * angle[8 * k : 8 * k + 8]).mean()) for k in range(groups)])
    pairs = [abs(np.angle(np.exp(1j * (centres[a] - centres[b])))) for a in range(groups) for b in range(a)]
    return float(np.degrees(min(pairs)))


class HowMany(Piece):
    """How many timbres there are: a probability for every number, as more and more of a recording is heard."""

    def __init__(self) -> None:
        self.clip = choices(
            say("Recording"), [(say("piano"), "piano"), (say("duet"), "duet"), (say("chorale"), "chorale")], "duet"
        )
        self.heard = slider(say("Heard so far (%)"), 100, 5, 100, 1, ".0f")
        self.words = note()
        self.figure = panels(1, 2, [say("Probability of each number"), say("What is left unexplained")], 300)
        self.figure.add_bar(
            x=list(range(1, 9)), y=[0] * 8, marker={"color": COLOURS[0]}, showlegend=False, row=1, col=1
        )
        self.figure.add_trace(line(np.arange(1, 9), np.zeros(8), colour=COLOURS[1], mode="lines+markers"), 1, 2)
        for column in (1, 2):
            self.figure.update_xaxes(title_text=say("Number of timbres"), dtick=1, row=1, col=column)
        self.figure.update_yaxes(range=[0, 100], row=1, col=1)
        super().__init__([self.clip, self.heard, self.words, self.figure], [self.clip, self.heard])

    def draw(self) -> None:
        """Estimate again."""
        notes, truth = heard(self.clip.value)
        some = notes.select(np.arange(max(3, round(len(notes) * self.heard.value / 100))))
        estimate = estimate_timbres(some)
        with self.figure.batch_update():
            self.figure.data[0].y = 100 * np.array(estimate.probability)
            self.figure.data[1].y = np.array(estimate.residual)
        self.words.value = say(
            "{n} notes heard; estimated: {k}. In truth: {t}.",
            n=len(some),
            k=estimate.timbres,
            t=int(truth.max()) + 1,
        )


class Teach(Piece):
    """Wrong notes put right one after the other, and what the others make of it."""

    def __init__(self, clip: str = "chorale", timbres: int = 4, noise: float = 0.3) -> None:
        self.notes, self.truth = heard(clip)
        # Noise on the embeddings: the shipped network makes too few mistakes here to be taught.
        width = self.notes.embedding.shape[1]
        spoiled = np.random.default_rng(3).normal(0, noise, (len(self.notes), width)).astype(np.float32)
        self.notes = replace(self.notes, embedding=self.notes.embedding + spoiled)
        self.settings = Clustering(timbres=timbres)
        self.first = cluster(self.notes, self.settings)
        _, self.naming = agreement(self.first.track.astype(np.intp), self.truth)
        track_of = {part: track for track, part in self.naming.items()}
        right = np.array([track_of.get(int(p), -1) for p in self.truth])
        wrong = np.flatnonzero((self.first.track != right) & (right >= 0))
        self.order = [(int(i), int(right[i])) for i in wrong[np.argsort(-self.notes.duration[wrong])]]
        self.right = right
        self.taught = whole(say("Notes put right by hand"), 0, 0, max(1, min(len(self.order), 20)))
        self.words = note()
        self.figure = figure(330, say("Time (s)"), say("Pitch"), legend=False)
        self.figure.add_trace(line([], [], colour=COLOURS[0], width=6))
        for k in range(timbres):
            self.figure.add_trace(line([], [], colour=COLOURS[k], width=7))
        self.figure.add_trace(
            line(
                [], [], colour=DARK, mode="markers", marker={"symbol": "circle-open", "size": 14, "line": {"width": 2}}
            )
        )
        self.figure.add_trace(line([], [], colour=DARK, mode="markers", marker={"symbol": "x", "size": 8}))
        super().__init__([self.taught, self.words, self.figure], [self.taught])

    def after(self, taught: int) -> Notes:
        """The tracks after so many notes have been put right."""
        given = dict(self.order[:taught])
        return cluster(self.notes, self.settings, given=given) if given else self.first

    def draw(self) -> None:
        """Sort again."""
        found = self.after(self.taught.value)
        ok = found.track == self.right
        some = [i for i, _ in self.order[: self.taught.value]]
        with self.figure.batch_update():
            for k in range(self.settings.timbres or 1):
                own = found.select(found.track == k)
                trace = self.figure.data[1 + k]
                trace.x, trace.y = strokes(own.onset, own.offset, own.pitch)
            marks, misses = found.select(np.array(some, int)), found.select(~ok)
            self.figure.data[-2].x, self.figure.data[-2].y = filled(marks.onset), filled(marks.pitch)
            self.figure.data[-1].x, self.figure.data[-1].y = (
                filled((misses.onset + misses.offset) / 2),
                filled(misses.pitch),
            )
        self.words.value = say(
            "{n} put right by hand (circles); still wrong (crosses): {wrong} of {all}.",
            n=len(some),
            wrong=int((~ok).sum()),
            all=len(found),
        )


class Tracks(Board):
    """The dashboard's own roll, map and tracks on a demo clip: select notes, press a number, and teach."""

    def __init__(self, clip: str = "chorale") -> None:
        self.session = Session()
        self.session.show(material.clip(clip), material.posteriors(clip))
        self.roll = Roll(self.session, height=300, prefs=prefs())
        self.map, self.timbres = NoteMap(self.session, prefs=prefs()), Timbres(self.session, prefs=prefs())
        self.map.layout = ipw.Layout(width="420px", height="300px")
        self.timbres.layout = ipw.Layout(width="460px")
        super().__init__([self.roll, row(self.timbres, self.map)])
        self.add_class("amtsep-piece")


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            90,
            say("Right: it asks for a cosine of zero, and gets it. InfoNCE pushes them on to 180 degrees."),
            say("Not yet. Two timbres, squared affinity, the step at its end: read the line over the picture."),
            within=8,
        ),
        Exercise(
            "note",
            say("Right: a mean over a note is surer than any of its frames."),
            say("Not yet. Drag what a point is a mean over, with four timbres, and read the share."),
        ),
        Exercise(
            4,
            say("Right: flute, clarinet, cello and bassoon, found without being told."),
            say("Not yet. Choose the chorale, let all of it be heard, and look for the highest bar."),
            within=0.5,
        ),
    )


check = checker(exercises)
