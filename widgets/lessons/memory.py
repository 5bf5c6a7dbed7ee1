"""Lesson 9: memories, from Hopfield's network to linear and flow attention, on toys and on the network's embeddings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from amtsep.clustering import cluster, embedding_map
from amtsep.config import Clustering
from amtsep.nets.timbre import FlowAttention, Hebbian, LinearAttention, Memory
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, figure, heat, line, panels
from widgets.lessons.kit import Piece, menu, note, percent, row, slider, whole
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak
from widgets.lessons.timbres import MARKS, agreement, heard

Values = NDArray[np.float64]

# Threads that wait for each other take longer than such small sums.
torch.set_num_threads(1)

GLYPHS = (
    "0011110001100110110000111100001111111111110000111100001111000011",
    "1111110011000110110001101111110011000110110001101100011011111100",
    "0011111001100011110000001100000011000000110000000110001100111110",
    "1111100011001100110001101100001111000011110001101100110011111000",
    "1111111111000000110000001111110011000000110000001100000011111111",
    "1111111111000000110000001111110011000000110000001100000011000000",
    "0011111001100011110000001100000011001111110000110110001100111110",
    "1100001111000011110000111111111111111111110000111100001111000011",
    "0111111000011000000110000001100000011000000110000001100001111110",
    "0000111100000011000000110000001100000011110000111100011001111100",
    "1100001111000110110011001111100011111000110011001100011011000011",
    "1100000011000000110000001100000011000000110000001100000011111111",
)
"""Twelve letters of 8 × 8 points."""


def letters() -> Values:
    """(12, 64) of +1 and -1."""
    return np.array([[2.0 * int(c) - 1 for c in glyph] for glyph in GLYPHS])


def hopfield(patterns: Values, cue: Values, rounds: int) -> list[Values]:
    """States, from a cue on, of a Hopfield network (1982) that has learned patterns by Hebb's rule."""
    weights = patterns.T @ patterns / patterns.shape[1]
    np.fill_diagonal(weights, 0)
    states = [cue]
    for _ in range(rounds):
        states.append(np.where(weights @ states[-1] >= 0, 1.0, -1.0))
    return states


class Hopfield(Piece):
    """Letters learned by Hebb's rule, and one recalled from a spoiled cue."""

    def __init__(self) -> None:
        self.count = whole(say("Letters learned"), 3, 1, 12)
        self.noise = slider(say("Wrong points (%)"), 15, 0, 50, 1, ".0f")
        self.round = whole(say("Rounds of recall"), 5, 0, 8)
        self.letter = whole(say("Which letter"), 1, 1, 12)
        self.words = note()
        self.figure = panels(1, 3, [say("The letter"), say("The cue"), say("What is recalled")], 260)
        for column in (1, 2, 3):
            self.figure.add_trace(
                heat(np.zeros((8, 8)), zmin=-1, zmax=1, colorscale="Blues", xgap=1, ygap=1), 1, column
            )
            anchor = "x" if column == 1 else f"x{column}"
            self.figure.update_yaxes(autorange="reversed", scaleanchor=anchor, showticklabels=False, row=1, col=column)
            self.figure.update_xaxes(showticklabels=False, row=1, col=column)
        self.figure.update_xaxes(showgrid=False)
        self.figure.update_yaxes(showgrid=False)
        moved = [self.count, self.noise, self.round, self.letter]
        super().__init__([row(self.count, self.letter), row(self.noise, self.round), self.words, self.figure], moved)

    def draw(self) -> None:
        """Learn and recall."""
        patterns = letters()[: self.count.value]
        which = min(self.letter.value, self.count.value) - 1
        rng = np.random.default_rng(6 + which)
        flipped = rng.permutation(64)[: round(0.64 * self.noise.value)]
        cue = patterns[which].copy()
        cue[flipped] *= -1
        state = hopfield(patterns, cue, self.round.value)[-1]
        with self.figure.batch_update():
            for trace, shown in zip(self.figure.data, (patterns[which], cue, state)):
                trace.z = shown.reshape(8, 8)
        right = float((state == patterns[which]).mean())
        said = say("{share} of the points are right.", share=percent(right))
        self.words.value = said + (" " + say("The memory blurs: it recalls a mixture.") if right < 0.9 else "")


@cache
def bare(kind: str, channels: int) -> Memory:
    """A memory of the library with projections that change nothing: what it recalls is its rule alone."""
    memory: Memory
    if kind == "hebb":
        memory = Hebbian(channels)
        maps = [memory.pattern]
    else:
        memory = LinearAttention(channels) if kind == "linear" else FlowAttention(channels)
        maps = [memory.project]
    with torch.no_grad():
        for layer in maps:
            eye = torch.eye(channels)
            layer.weight.copy_(eye.repeat(layer.weight.shape[0] // channels, 1))
            layer.bias.zero_()
    return memory.eval()


def recall(kind: str, items: Values, query: Values, beta: float = 8.0) -> Values:
    """What a memory that holds items (n, C) answers to queries (m, C): (m, C).

    Parameters
    ----------
    kind
        ``hebb``, ``linear``, ``flow`` (`amtsep.nets.timbre`), or ``softmax`` (Ramsauer et al. 2021).
    beta
        Sharpness of the softmax.
    """
    if kind == "softmax":
        weight = np.exp(beta * (query @ items.T))
        return np.asarray((weight / weight.sum(axis=1, keepdims=True)) @ items)
    units = np.concatenate([items, query])
    held = np.concatenate([np.ones(len(items)), np.zeros(len(query))])
    x = torch.tensor(units.T[None, :, :, None], dtype=torch.float32)
    posterior = torch.tensor(held[None, None, :, None], dtype=torch.float32)
    with torch.no_grad():
        answer = bare(kind, units.shape[1]).recall(x, posterior)[0, :, :, 0].numpy().T
    return np.asarray(answer[len(items) :], np.float64)


KINDS = ("hebb", "linear", "flow", "softmax")


def unit(vectors: Values) -> Values:
    """To unit length."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


@cache
def quality(kind: str, count: int, width: int, noise: float, beta: float) -> float:
    """Mean cosine of what is recalled with the item that was asked for, without what is common to all answers.

    With ``none`` for a kind, that of the question itself.
    """
    found = []
    for seed in range(2):
        rng = np.random.default_rng([seed, count])
        items = unit(rng.normal(size=(count, width)))
        query = unit(items + noise * rng.normal(size=items.shape) / np.sqrt(width))
        answer = query if kind == "none" else recall(kind, items, query, beta)
        found.append(float((unit(answer - answer.mean(axis=0)) * unit(items - items.mean(axis=0))).sum(axis=1).mean()))
    return float(np.mean(found))


class Capacity(Piece):
    """How well four memories recall one of many items: which of them blur, and when."""

    def __init__(self) -> None:
        self.width = whole(say("Length of the vectors"), 16, 4, 32, 4)
        self.noise = slider(say("Noise of the question"), 0.8, 0.0, 2.0, 0.1, ".1f")
        self.beta = slider(say("Sharpness of the softmax"), 8, 1, 32, 1, ".0f")
        self.figure = figure(360, say("Items in the memory"), say("Likeness of the answer (1 = the item itself)"))
        self.counts = (2, 4, 8, 16, 32)
        names = ("Hebb", say("linear attention"), say("flow attention"), say("softmax attention"))
        self.figure.add_trace(
            line(self.counts, np.zeros(len(self.counts)), say("the question itself"), "#9aa7b5", width=4)
        )
        for k, name in enumerate(names):
            self.figure.add_trace(line(self.counts, np.zeros(len(self.counts)), name, COLOURS[k], mode="lines+markers"))
        self.figure.update_xaxes(type="log", tickvals=list(self.counts))
        self.figure.update_yaxes(range=[-0.1, 1.05])
        super().__init__([row(self.width, self.noise), self.beta, self.figure], [self.width, self.noise, self.beta])

    def draw(self) -> None:
        """Ask all four."""
        width, noise, beta = self.width.value, round(self.noise.value, 2), self.beta.value
        with self.figure.batch_update():
            for trace, kind in zip(self.figure.data, ("none", *KINDS)):
                sharp = beta if kind == "softmax" else 0.0
                trace.y = [quality(kind, n, width, noise, sharp) for n in self.counts]


class OnNetwork(Piece):
    """The embeddings of a recording's notes, with what a memory of all of them recalls added to each."""

    def __init__(self, clip: str = "chorale", timbres: int = 4) -> None:
        self.notes, self.truth = heard(clip)
        self.settings = Clustering(timbres=timbres)
        names = [
            ("Hebb", "hebb"),
            (say("linear attention"), "linear"),
            (say("flow attention"), "flow"),
            (say("softmax attention"), "softmax"),
        ]
        self.kind = menu(say("Memory"), names, "hebb")
        self.strength = slider(say("How much is added"), 0, 0, 4, 0.1, ".1f")
        self.noise = slider(say("Noise on the embeddings"), 0.3, 0, 0.6, 0.02)
        self.words = note()
        self.figure = figure(400, say("first principal component"), say("second"))
        for k in range(int(self.truth.max()) + 1):
            trace = line(
                [], [], say("timbre {k}", k=k + 1), COLOURS[k], mode="markers", marker={"size": 10, "symbol": MARKS[k]}
            )
            self.figure.add_trace(trace)
        super().__init__(
            [row(self.kind, self.strength), self.noise, self.words, self.figure], [self.kind, self.strength, self.noise]
        )

    def embeddings(self) -> Values:
        """With noise, and with what is recalled."""
        rng = np.random.default_rng(3)
        noisy = unit(self.notes.embedding + self.noise.value * rng.normal(size=self.notes.embedding.shape))
        recalled = recall(self.kind.value, noisy, noisy)
        # On one scale, so that the slider means the same for every memory.
        scale = np.linalg.norm(recalled, axis=1).mean() + 1e-9
        return unit(noisy + self.strength.value * recalled / scale)

    def draw(self) -> None:
        """Recall and sort."""
        found = cluster(replace(self.notes, embedding=self.embeddings().astype(np.float32)), self.settings)
        plane = embedding_map(found)
        right, _ = agreement(found.track.astype(np.intp), self.truth)
        with self.figure.batch_update():
            for k, trace in enumerate(self.figure.data):
                own = self.truth == k
                trace.x, trace.y = plane[own, 0], plane[own, 1]
        self.words.value = say("{share} of the notes in the right track.", share=percent(right))


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            0.14 * 64,
            say("Right: about nine random patterns; letters, which are alike, even fewer."),
            say("Not yet. The rule of thumb is 0.14 patterns a unit, and there are 8 × 8 units."),
            within=0.6,
        ),
        Exercise(
            "softmax",
            say("Right: an exponential lets one item win, where sums let all of them speak."),
            say("Not yet. Which curve stays up to the right, at a sharpness of 16 or more?"),
        ),
        Exercise(
            "frequent",
            say("Right: a Hebbian memory amplifies the directions that most notes share."),
            say("Not yet. Take Hebb, drag what is added to 4: where do the points of all timbres go?"),
        ),
    )


check = checker(exercises)
