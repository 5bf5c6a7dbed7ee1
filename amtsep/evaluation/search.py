"""Threshold search by successive subdivision, on a named development set.

Two ways, as the literature has them: first the frame threshold by frame F1, then the onset threshold by note F1
(``staged``), or both together by note F1 (``joint``). Each starts with a coarse grid and narrows it around the best
point. What was searched on the recordings that it is reported on is an *oracle* figure: `Search.label` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np

from amtsep.config import Decoding
from amtsep.evaluation.metrics import Score, frame_score, fuse, match, mean
from amtsep.notes import Notes

Target = Literal["onset_f1", "onset_offset_f1", "frame_f1"]
Decode = Callable[[Decoding], Notes]
"""The threshold-dependent part of one recording: `amtsep.decoding.Decoder` of its posteriors."""

LOW, HIGH = 0.05, 0.95


@dataclass(frozen=True)
class Search:
    """What a search found."""

    decoding: Decoding
    figure: float
    """The target's mean at the best thresholds, on the recordings searched."""
    target: str
    searched_on: str
    """Name of the development set."""
    trace: tuple[tuple[float, float, float], ...]
    """(onset threshold, frame threshold, target) of every point tried, for the heat map."""

    def label(self, reported_on: str) -> str:
        """What must stand beside a figure: ``oracle`` where it was tuned on what it is reported on."""
        return "oracle" if reported_on == self.searched_on else f"thresholds from {self.searched_on}"


def search(
    decoders: Sequence[Decode],
    references: Sequence[Notes],
    hop_s: float,
    *,
    searched_on: str,
    start: Decoding | None = None,
    target: Target = "onset_f1",
    mode: Literal["staged", "joint"] = "joint",
    rounds: int = 3,
    points: int = 5,
    fuse_unisons: bool = True,
) -> Search:
    """Find the onset and frame thresholds that are best on the average over recordings.

    Parameters
    ----------
    decoders
        One function a recording, from `Decoding` to `Notes`.
    references
        The truths, in the same order.
    hop_s
        Seconds between frames, for frame F1.
    searched_on
        Name of the development set, kept with the result.
    start
        Everything but the two thresholds is taken from here.
    target
        The figure to raise; the stage for the frame threshold of ``staged`` takes frame F1 always.
    mode
        "staged": frame threshold by frame F1, then onset threshold by `target`; "joint": both by `target`.
    rounds
        Subdivisions: each narrows the range to one step either side of the best point.
    points
        Grid points an axis and round.

    Returns
    -------
    Search
        The best thresholds and every point that was tried.
    """
    if len(decoders) != len(references) or not decoders:
        raise ValueError("A search needs at least one recording, and one reference for each.")
    base = start or Decoding()
    truths = [fuse(reference) if fuse_unisons else reference for reference in references]
    known: dict[tuple[float, float, str], float] = {}

    def value(onset: float, frame: float, what: str) -> float:
        key = (round(onset, 4), round(frame, 4), what)
        if key not in known:
            setting = replace(base, onset_threshold=key[0], frame_threshold=key[1])
            known[key] = mean(
                [
                    _figure(truth, decode(setting), hop_s, what, fuse_unisons)
                    for truth, decode in zip(truths, decoders, strict=True)
                ]
            )
        return known[key]

    onset, frame = base.onset_threshold, base.frame_threshold
    if mode == "staged":
        frame = _narrow(lambda x: value(onset, x, "frame_f1"), rounds, points)
        onset = _narrow(lambda x: value(x, frame, target), rounds, points)
    else:
        onset, frame = _narrow_two(lambda x, y: value(x, y, target), rounds, points)
    best = replace(base, onset_threshold=round(onset, 4), frame_threshold=round(frame, 4))
    trace = tuple((o, f, v) for (o, f, what), v in sorted(known.items()) if what == target)
    return Search(best, value(onset, frame, target), target, searched_on, trace)


def _figure(truth: Notes, estimate: Notes, hop_s: float, what: str, fuse_unisons: bool = True) -> float:
    estimate = fuse(estimate) if fuse_unisons else estimate
    if what == "frame_f1":
        return frame_score(truth, estimate, hop_s)[0].f1
    return Score.of(len(match(truth, estimate, offsets=what == "onset_offset_f1")), len(truth), len(estimate)).f1


def _grid(low: float, high: float, points: int) -> list[float]:
    return [round(float(x), 4) for x in np.linspace(low, high, points)]


def _narrow(value: Callable[[float], float], rounds: int, points: int) -> float:
    low, high = LOW, HIGH
    best = (low + high) / 2
    for _ in range(rounds):
        best = max(_grid(low, high, points), key=value)
        step = (high - low) / (points - 1)
        low, high = max(LOW, best - step), min(HIGH, best + step)
    return best


def _narrow_two(value: Callable[[float, float], float], rounds: int, points: int) -> tuple[float, float]:
    low, high = [LOW, LOW], [HIGH, HIGH]
    best = (0.5, 0.5)
    for _ in range(rounds):
        axes = [_grid(low[i], high[i], points) for i in range(2)]
        best = max(product(axes[0], axes[1]), key=lambda point: value(*point))
        for i in range(2):
            step = (high[i] - low[i]) / (points - 1)
            low[i], high[i] = max(LOW, best[i] - step), min(HIGH, best[i] + step)
    return best
