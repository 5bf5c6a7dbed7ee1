"""How a part is bent in pitch: detuning, vibrato, scoops into notes; strings bent, slid on and hammered on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

HAMMERED_VELOCITY = 0.7
"""Of a note hammered on, over what a plucked one has."""


@dataclass(frozen=True)
class Expression:
    """Pitch in cents over time, the same for soundfonts (pitch wheel) and samples (resampling).

    Parameters
    ----------
    detune
        Cents by which the whole part is off.
    vibrato_cents, vibrato_hz, vibrato_delay_s
        Depth (peak), rate, and how long after an onset it sets in.
    scoop_cents, scoop_s
        Depth and time constant of the slide from below into the notes listed in `scooped`.
    scooped
        A share in [0, 1] of the notes that begin with a slide.
    phase
        Of the vibrato, in turns.
    swelled
        A share in [0, 1] of the notes that come in softly (sampled sounds that a player can swell).
    bent, bend_cents, bend_s
        A share in [0, 1] of the notes played alone whose string is bent or slid on: from below or above into the
        pitch, from it and back, or away from it at the end. By how much, and how long a way takes at most. A note is at
        its pitch for most of its time, as annotators have it: in GuitarSet's solos, of 52 notes that move by 70 cents
        and more, 91 % have their median within 50 cents of the label, and only half their beginning.
    hammered
        A share in [0, 1] of the notes of a line, up to four semitones from the one before, that are not plucked.
    lone
        Vibrato on notes played alone only: one finger shakes one string.
    """

    detune: float = 0.0
    vibrato_cents: float = 0.0
    vibrato_hz: float = 5.5
    vibrato_delay_s: float = 0.15
    scoop_cents: float = 0.0
    scoop_s: float = 0.03
    scooped: float = 0.0
    phase: float = 0.0
    swelled: float = 0.0
    bent: float = 0.0
    bend_cents: float = 100.0
    bend_s: float = 0.1
    hammered: float = 0.0
    lone: bool = False

    @property
    def moves(self) -> bool:
        """Whether there is anything to do."""
        return self.detune != 0 or self.vibrato_cents != 0 or self.scoop_cents != 0 or self.bent > 0

    def curve(self, times: NDArray[np.float64], score: NDArray[np.void]) -> NDArray[np.float64]:
        """Cents at each of `times` (s) for a part whose notes are `score`."""
        cents = np.full(len(times), self.detune, np.float64)
        if not len(score) or not (self.vibrato_cents or self.scoop_cents or self.bent):
            return cents
        score = np.sort(score, order="onset")
        onsets = score["onset"]
        single = alone(score) if self.lone or self.bent else None
        last = np.searchsorted(onsets, times, side="right") - 1
        since = np.where(last >= 0, times - onsets[np.maximum(last, 0)], 0.0)
        if self.vibrato_cents:
            gate = np.clip((since - self.vibrato_delay_s) / 0.2, 0, 1)
            if self.lone and single is not None:
                gate = gate * (single[np.maximum(last, 0)] & (last >= 0))
            cents += gate * self.vibrato_cents * np.sin(2 * np.pi * (self.vibrato_hz * times + self.phase))
        if self.scoop_cents and self.scooped:
            # A fixed, irregular choice of notes: the golden ratio's multiples are spread evenly.
            chosen = (np.maximum(last, 0) * 0.6180339887) % 1.0 < self.scooped
            cents -= np.where(chosen & (last >= 0), self.scoop_cents * np.exp(-since / self.scoop_s), 0.0)
        if self.bent and single is not None:
            cents += self._bends(times, score, single)
        return cents

    def _bends(
        self, times: NDArray[np.float64], score: NDArray[np.void], single: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Cents by which strings are bent at `times`; `score` is sorted by onset."""
        cents = np.zeros(len(times))
        for k in np.flatnonzero(single & ((np.arange(len(score)) * 0.7548776662) % 1.0 < self.bent)):
            onset, length = float(score["onset"][k]), float(score["offset"][k] - score["onset"][k])
            if length < 0.2:
                continue
            way, kind = min(self.bend_s, 0.3 * length), (k * 0.5698402910) % 1.0
            since = times - onset
            inside = (since >= 0.0) & (since < length)
            if kind < 0.4:
                # Into the note: a bend or a slide from below, or one let down from above.
                sign = -1.0 if kind < 0.28 else 1.0
                curve = sign * _ease(1.0 - since / way)
            elif kind < 0.75:
                # Up and back, over less than half of the note.
                middle, width = 0.55 * length, 2.0 * min(way, 0.22 * length)
                curve = _ease(1.0 - np.abs(since - middle) / (0.5 * width))
            else:
                # Away at the end, the finger slides off.
                curve = (-1.0 if kind < 0.9 else 1.0) * _ease((since - (length - way)) / way)
            cents += np.where(inside, self.bend_cents * curve, 0.0)
        return cents

    def hammers(self, score: NDArray[np.void]) -> NDArray[np.bool_]:
        """(n,) which notes of a part sound by a finger that falls on the string or is pulled off it, not plucked."""
        out = np.zeros(len(score), bool)
        if not self.hammered or len(score) < 2:
            return out
        order = np.argsort(score["onset"], kind="stable")
        rows = score[order]
        single = alone(rows)
        gap = rows["onset"][1:] - rows["offset"][:-1]
        step = np.abs(np.diff(rows["pitch"].astype(int)))
        joined = single[1:] & single[:-1] & (np.abs(gap) < 0.06) & (step >= 1) & (step <= 4)
        long = rows["offset"][1:] - rows["onset"][1:] > 0.08
        chosen = (np.arange(1, len(rows)) * 0.6180339887) % 1.0 < self.hammered
        out[order[1:]] = joined & long & chosen
        return out


def _ease(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1 with x, smoothly at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def alone(score: NDArray[np.void]) -> NDArray[np.bool_]:
    """(n,) which notes have the part to themselves, but for 60 ms at their beginning; `score` is sorted by onset."""
    before = np.concatenate([[-np.inf], np.maximum.accumulate(score["offset"])[:-1]])
    after = np.append(score["onset"][1:], np.inf)
    return np.asarray((before <= score["onset"] + 0.06) & (after >= score["offset"] - 0.06))


def draw(rng: np.random.Generator, mono: bool, sustains: bool, category: str = "", bent: bool = True) -> Expression:
    """An expression drawn at random: every part is a little off; singing instruments may vibrate and slide.

    Guitars (`category`) may be bent, slid on and hammered on.
    """
    detune = float(np.clip(rng.normal(0, 12), -30, 30))
    vibrato = bent and sustains and rng.random() < (0.35 if mono else 0.06)
    scoop = bent and mono and rng.random() < 0.15
    drawn = Expression(
        detune=detune,
        vibrato_cents=float(rng.uniform(8, 45)) if vibrato else 0.0,
        vibrato_hz=float(rng.uniform(4.5, 7.0)),
        vibrato_delay_s=float(rng.uniform(0.0, 0.3)),
        scoop_cents=float(rng.uniform(30, 150)) if scoop else 0.0,
        scoop_s=float(rng.uniform(0.015, 0.05)),
        scooped=float(rng.uniform(0.2, 0.8)),
        phase=float(rng.random()),
        swelled=float(rng.uniform(0.3, 0.9)) if bent and sustains and rng.random() < 0.5 else 0.0,
    )
    if category != "guitar" or not bent:
        return drawn
    shaken = rng.random() < 0.3
    return replace(
        drawn,
        vibrato_cents=float(rng.uniform(8, 40)) if shaken else 0.0,
        vibrato_delay_s=float(rng.uniform(0.1, 0.4)),
        lone=True,
        bent=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.4 else 0.0,
        bend_cents=float(rng.choice([100.0, 200.0], p=[0.5, 0.5]) * rng.uniform(0.9, 1.1)),
        bend_s=float(rng.uniform(0.04, 0.2)),
        hammered=float(rng.uniform(0.2, 0.8)) if rng.random() < 0.35 else 0.0,
    )
