"""How a part is bent in pitch: detuning, vibrato, scoops into notes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    @property
    def moves(self) -> bool:
        """Whether there is anything to do."""
        return self.detune != 0 or self.vibrato_cents != 0 or self.scoop_cents != 0

    def curve(self, times: NDArray[np.float64], score: NDArray[np.void]) -> NDArray[np.float64]:
        """Cents at each of `times` (s) for a part whose notes are `score`."""
        cents = np.full(len(times), self.detune, np.float64)
        if not len(score) or not (self.vibrato_cents or self.scoop_cents):
            return cents
        onsets = np.sort(score["onset"])
        last = np.searchsorted(onsets, times, side="right") - 1
        since = np.where(last >= 0, times - onsets[np.maximum(last, 0)], 0.0)
        if self.vibrato_cents:
            gate = np.clip((since - self.vibrato_delay_s) / 0.2, 0, 1)
            cents += gate * self.vibrato_cents * np.sin(2 * np.pi * (self.vibrato_hz * times + self.phase))
        if self.scoop_cents and self.scooped:
            # A fixed, irregular choice of notes: the golden ratio's multiples are spread evenly.
            chosen = (np.maximum(last, 0) * 0.6180339887) % 1.0 < self.scooped
            cents -= np.where(chosen & (last >= 0), self.scoop_cents * np.exp(-since / self.scoop_s), 0.0)
        return cents


def draw(rng: np.random.Generator, mono: bool, sustains: bool, bent: bool = True) -> Expression:
    """An expression drawn at random: every part is a little off; singing instruments may vibrate and slide."""
    detune = float(np.clip(rng.normal(0, 12), -30, 30))
    vibrato = bent and sustains and rng.random() < (0.35 if mono else 0.06)
    scoop = bent and mono and rng.random() < 0.15
    return Expression(
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
