"""Beats as the tempo map of a MIDI file: a tempo a beat, a time signature a change of metre, bars on the bar lines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amtsep.rhythm.beats import Beats
from amtsep.rhythm.metre import Metre

LONGEST_US = 16_777_215
"""Microseconds to the quarter note that fit into a tempo event."""


@dataclass(frozen=True, eq=False)
class TempoMap:
    """Ticks and times of a MIDI file.

    Parameters
    ----------
    tick, second
        Where each tempo begins to hold, as a reader of the file will see it.
    tempo
        Microseconds to the quarter note from there on.
    signatures
        (tick, metre) where a time signature stands.
    ticks_per_quarter
        Resolution.
    """

    tick: NDArray[np.int64]
    second: NDArray[np.float64]
    tempo: NDArray[np.int64]
    signatures: tuple[tuple[int, Metre], ...]
    ticks_per_quarter: int

    def ticks(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Nearest tick of each time."""
        which = np.clip(np.searchsorted(self.second, seconds, side="right") - 1, 0, None)
        rate = self.ticks_per_quarter * 1e6 / self.tempo[which]
        return np.round(self.tick[which] + (seconds - self.second[which]) * rate).astype(np.int64)


def steady_map(tempo: float, ticks_per_quarter: int, metre: Metre | None = None) -> TempoMap:
    """One tempo in quarter notes a minute and one metre, 4/4 by default."""
    # The tempo is stored in whole microseconds a quarter: take the ticks from what the reader will see.
    return TempoMap(
        np.zeros(1, np.int64),
        np.zeros(1),
        np.array([round(60e6 / tempo)]),
        ((0, metre or Metre()),),
        ticks_per_quarter,
    )


def tempo_map(beats: Beats, ticks_per_quarter: int) -> TempoMap:
    """A tempo for every beat, so that the bars of a sequencer lie on those of the recording.

    What comes before the first downbeat (silence, a pickup) is a first bar of its own, as many beats long as fit.
    """
    after = beats.time >= 0
    beats = replace(
        beats,
        time=beats.time[after],
        downbeat=beats.downbeat[after],
        metre=beats.metre[after],
        confidence=beats.confidence[after],
    )
    if len(beats) < 2:
        return steady_map(120.0, ticks_per_quarter)
    quarters = np.array([m.beat_quarters for m in beats.metres])[beats.metre]
    period = float(beats.time[1] - beats.time[0])
    lead = max(1, round(float(beats.time[0]) / period)) if beats.time[0] > 1e-3 else 0
    lines = np.flatnonzero(beats.downbeat)
    first = int(lines[0]) if len(lines) else 0
    metre = beats.metres[beats.metre[first]]
    before = (first + lead) % metre.beats_per_bar
    step = [round(q * ticks_per_quarter) for q in quarters]
    # Beats of the silence before the first one, then the beats.
    times = np.concatenate([np.arange(lead) * (beats.time[0] / max(lead, 1)), beats.time])
    steps = [step[0]] * lead + step
    tick = np.concatenate([[0], np.cumsum(steps)[:-1]]).astype(np.int64)
    tempi = np.zeros(len(times), np.int64)
    seen = np.zeros(len(times))
    seen[0] = 0.0
    shift = float(times[0])  # a first beat within a millisecond of the start
    for k in range(len(times) - 1):
        wanted = (float(times[k + 1]) - shift - seen[k]) * 1e6 * ticks_per_quarter / steps[k]
        tempi[k] = int(np.clip(round(wanted), 1, LONGEST_US))
        seen[k + 1] = seen[k] + tempi[k] * 1e-6 * steps[k] / ticks_per_quarter
    tempi[-1] = tempi[-2]
    signatures: list[tuple[int, Metre]] = []
    start = 0
    if before:
        unit = metre.beats // metre.beats_per_bar
        signatures.append((0, Metre(before * unit, metre.beat_type)))
        start = before
    last: Metre | None = None
    for line in [first] if not len(lines) else lines:
        own = beats.metres[beats.metre[line]]
        if own != last:
            at = start if last is None else int(line) + lead
            signatures.append((int(tick[at]), own))
        last = own
    return TempoMap(tick, seen, tempi, tuple(signatures), ticks_per_quarter)
