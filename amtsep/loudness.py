"""How loud a recording is, moment by moment: what the network's input is normalised by, and its offset taken out.

The samples are gone through once, in blocks of any size, for the sum and the sum of squares of every hop; from these
few numbers follow two slow curves, an offset and a gain, by which any stretch of the recording can then be conditioned:
``(sample - offset) * gain``. Training conditions its clips with the same functions, so there is one definition.

"mean" brings the mean energy from the first sound to the last to one. "running" brings that of the seconds around each
moment to one, so that a passage is heard alike whether it stands alone or beside one a hundred times as loud. Of the
seconds before and the seconds after, that side counts which is as loud as the moment itself: the level follows a sudden
change of dynamics at once and keeps still otherwise. Stretches without sound do not count; so silence before, after or
within a recording changes nothing. Both depend on ratios alone: a recording turned down is heard as before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.config import FrontEnd

Curve = NDArray[np.float64]

OFFSET_S = 1.0
"""Length of the window under which the offset is averaged: what is slower than about 2 Hz is none of the music."""
SHORT_S = 0.5
"""Over which the level of a moment is taken."""
SILENCE_DB = -60.0
"""Hops so far under the loudest half second hold no sound that counts."""
SIDE_DB = 3.0
"""How much closer to the moment's own level one side must be to weigh e times as much as the other."""
SMOOTH_S = 0.5
"""Length of the window that smooths the gain."""
AT_ONCE = 1 << 14
"""Samples that are conditioned at a time: what lies between them and the result stays in the processor's cache."""
QUIETEST = 1e-12
"""Mean energy under which a recording is silent."""


class Loudness:
    """Gathers a recording's hops, block by block, and makes its `Conditioning`.

    Parameters
    ----------
    front_end
        Says how to normalise.
    sample_rate
        Of the samples, in Hz; the front end's by default. A hop lasts as long at any rate.

    Examples
    --------
    >>> import numpy as np
    >>> from amtsep.config import FrontEnd
    >>> from amtsep.loudness import Loudness
    >>> tone = np.sin(np.arange(22050) * 0.1).astype(np.float32) * 0.01 + np.float32(0.3)
    >>> conditioning = Loudness(FrontEnd()).push(tone[:1000]).push(tone[1000:]).finish()
    >>> round(float(np.mean(conditioning.apply(tone) ** 2)), 1)
    1.0
    """

    def __init__(self, front_end: FrontEnd, sample_rate: int | None = None) -> None:
        self.front_end = front_end
        self.hop = front_end.hop_length * (sample_rate or front_end.sample_rate) // front_end.sample_rate
        self.count = 0
        self._left = np.zeros(0, np.float32)
        self._rows: list[NDArray[np.float64]] = []

    def push(self, samples: NDArray[np.float32]) -> Loudness:
        """Add samples, (n,); returns itself."""
        self.count += len(samples)
        samples = np.concatenate([self._left, samples]) if len(self._left) else samples
        whole = len(samples) - len(samples) % self.hop
        self._left = samples[whole:].copy()
        if whole:
            self._rows.append(_sums(samples[:whole].reshape(-1, self.hop)))
        return self

    def finish(self) -> Conditioning:
        """The curves of all that was added."""
        rows = [*self._rows, *([_sums(self._left[None])] if len(self._left) else [])]
        if not rows:
            return Conditioning(self.hop, np.zeros(1), np.ones(1))
        sums, squares = np.concatenate(rows, axis=1)
        counts = np.full(len(sums), float(self.hop))
        counts[-1] = len(self._left) or self.hop
        hop_s = self.front_end.hop_s
        offset = offset_of(sums / counts, counts * (squares > 0.0), hop_s)
        around = squares / counts - 2.0 * offset * sums / counts + offset**2
        # Beside the music the average still hears its lowest notes: there the sound itself has less than is left of it.
        energy = np.clip(around, 0.0, squares / counts)
        if self.front_end.normalisation == "running":
            level = running_level(energy, hop_s, self.front_end.level_window_s, self.front_end.level_floor_db)
        else:
            level = np.full(len(energy), mean_level(energy, hop_s))
        return Conditioning(self.hop, offset, level**-0.5)


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What brings a recording to the level that the network expects.

    Parameters
    ----------
    hop
        In samples.
    offset, gain
        (K,) values at the middle of every hop.
    """

    hop: int
    offset: Curve
    gain: Curve

    def apply(self, samples: NDArray[np.float32], start: int = 0) -> NDArray[np.float32]:
        """Condition samples, (n,), of which the first is number `start` of the recording."""
        made = np.empty(len(samples), np.float32)
        for first in range(0, len(samples), AT_ONCE):
            some = samples[first : first + AT_ONCE]
            bounds = start + first, start + first + len(some)
            centred = some - self._at(self.offset, *bounds)
            np.multiply(centred, self._at(self.gain, *bounds), out=made[first : first + len(some)])
        return made

    def _at(self, values: Curve, start: int, stop: int) -> NDArray[np.float32]:
        """A curve at samples, between its points in straight lines, before the first and after the last as there."""
        # From the middle of one hop to that of the next all steps are alike, so that no place has to be looked up.
        half = (self.hop + 1) // 2
        first, last = (start - half) // self.hop, (stop - 1 - half) // self.hop
        ends = values[np.clip(np.arange(first, last + 2), 0, len(values) - 1)]
        share = (np.arange(self.hop) + self.hop % 2 / 2) / self.hop
        lines = ends[:-1, None] + np.diff(ends)[:, None] * share
        skipped = start - (first * self.hop + half)
        return lines.astype(np.float32).reshape(-1)[skipped : skipped + stop - start]

    def level_db(self, first: int, last: int) -> NDArray[np.float32]:
        """What the gain took away, in dB, at frames `first` to `last`: added to a level it gives the recording's."""
        frames = np.arange(first, last, dtype=np.float64)
        return (-20.0 * np.log10(np.interp(frames - 0.5, np.arange(len(self.gain)), self.gain))).astype(np.float32)


def condition(samples: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """A whole clip, (n,), at the front end's rate, without offset and at the level that its network expects."""
    return Loudness(front_end).push(samples).finish().apply(samples)


def _sums(hops: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum and sum of squares, (2, K), of hops, (K, n), in double precision: offsets will be subtracted."""
    wide = hops.astype(np.float64)
    return np.stack([wide.sum(axis=1), np.einsum("ij,ij->i", wide, wide)])


def offset_of(means: Curve, weights: Curve, hop_s: float) -> Curve:
    """Slow offset at every hop, (K,), from the hops' means; digital silence, which tells nothing, weighs nothing."""
    window = np.hanning(2 * round(OFFSET_S / hop_s / 2) + 3)[1:-1]
    half = len(window) // 2
    total, weight = (np.convolve(np.pad(values, half), window, mode="valid") for values in (means * weights, weights))
    return np.where(weights > 0.0, total / np.maximum(weight, 1e-6), 0.0)


def loudest(energy: Curve, hop_s: float) -> float:
    """Mean energy of the loudest half second; never zero."""
    width = max(round(SHORT_S / hop_s), 1)
    sums = np.convolve(energy, np.ones(min(width, len(energy))), mode="valid")
    return max(float(sums.max()) / width, QUIETEST)


def mean_level(energy: Curve, hop_s: float) -> float:
    """Mean energy from the first sound to the last; never zero."""
    sounding = np.flatnonzero(energy > loudest(energy, hop_s) * 10.0 ** (SILENCE_DB / 10.0))
    if not len(sounding):
        return QUIETEST
    return max(float(energy[sounding[0] : sounding[-1] + 1].mean()), QUIETEST)


def running_level(energy: Curve, hop_s: float, window_s: float, floor_db: float) -> Curve:
    """Level that each hop is normalised by, (K,), as the module describes it.

    Parameters
    ----------
    energy
        (K,) mean energy of every hop.
    hop_s
        Seconds from hop to hop.
    window_s
        How many seconds before and after a moment count.
    floor_db
        The level goes no further than so many dB (negative) under the loudest half second: noise between two pieces is
        not to be blown up to music.
    """
    peak = loudest(energy, hop_s)
    sounding = np.flatnonzero(energy > peak * 10.0 ** (SILENCE_DB / 10.0))
    if not len(sounding):
        return np.full(len(energy), peak)
    reach, short = round(window_s / hop_s), round(SHORT_S / hop_s / 2)
    before = _mean_db(energy, sounding, reach, 0)
    after = _mean_db(energy, sounding, 0, reach)
    here = _mean_db(energy, sounding, short, short)
    nearer = np.abs(before - here) - np.abs(after - here)
    share = 1.0 / (1.0 + np.exp(np.clip(nearer / SIDE_DB, -50.0, 50.0)))
    chosen = np.maximum(share * before + (1.0 - share) * after, 10.0 * math.log10(peak) + floor_db)
    # Through silence the level goes from that before to that after.
    level = np.interp(np.arange(len(energy)), sounding, chosen)
    half = round(SMOOTH_S / hop_s / 2)
    window = np.hanning(2 * half + 3)[1:-1]
    smooth = np.convolve(np.pad(level, half, mode="edge"), window / window.sum(), mode="valid")
    return np.asarray(10.0 ** (smooth / 10.0))


def _mean_db(energy: Curve, sounding: NDArray[np.int64], before: int, after: int) -> Curve:
    """Mean energy, in dB, of the sounding hops from `before` hops before each of these to `after` hops after it."""
    total = np.concatenate([[0.0], np.cumsum(energy[sounding])])
    first = np.searchsorted(sounding, sounding - before, side="left")
    last = np.searchsorted(sounding, sounding + after, side="right")
    return np.asarray(10.0 * np.log10(np.maximum((total[last] - total[first]) / (last - first), 1e-30)))
