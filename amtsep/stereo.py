"""How the two channels of a stereo recording share what is heard: a balance at every pitch and moment.

The networks hear one channel. What both say is measured while a recording is decoded, in one pass that keeps a small
picture (21 MB an hour) and nothing of the sound: `StereoMeter` makes a `StereoImage` of blocks of samples (the panning
index of Avendano 2003, with its sign). `amtsep.panning` reads from it where notes lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS_PER_OCTAVE = 36
N_ROWS = 270
"""7.5 octaves from A0: to 5 kHz."""
A0_HZ = 27.5
LEAST_RATE = 20_000
"""Samples a second that are enough: of higher rates some samples in a row are averaged first."""
WINDOW = 4096
HOP = 1024
"""In samples at the reduced rate: windows of about 190 ms, 46 ms apart."""
AT_ONCE = 32
"""Windows that are transformed together."""
ALIKE = 1e-4
"""Under this share of the energy, what differs between the channels is no stereo (-40 dB)."""
FLOOR_DB = -75.0
"""Cells so far under full scale have no balance: what is there is a codec's."""


@dataclass(frozen=True, eq=False)
class StereoImage:
    """How the two channels of a recording share what is heard, by pitch and time.

    Parameters
    ----------
    balance
        (270, T) int8: 127 times (right - left) / (right + left) of the energy, from A0 on in thirds of a semitone at
        440 Hz; 0 where there is nothing.
    hop_s
        Seconds from column to column; column ``t`` is centred on ``t * hop_s``.
    """

    balance: NDArray[np.int8]
    hop_s: float

    def __post_init__(self) -> None:
        if self.balance.ndim != 2 or len(self.balance) != N_ROWS or self.balance.dtype != np.int8:
            raise ValueError(f"The balance of a stereo recording must be ({N_ROWS}, T) int8.")
        if not 1e-3 < self.hop_s < 1.0:
            raise ValueError("The balance of a stereo recording has no time between its columns.")


class StereoMeter:
    """Makes a `StereoImage` of a recording that comes in blocks."""

    def __init__(self) -> None:
        self._rate = 0
        self._usable = True
        self._waiting = np.zeros((0, 2), np.float32)
        self._columns: list[NDArray[np.int8]] = []
        self._edges = np.zeros(0, np.intp)
        self._factor, self._received = 1, 0
        self._alike = self._unlike = 0.0
        self._window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)

    def push(self, rate: int, block: NDArray[np.float32]) -> None:
        """Take samples, (n, channels); all but two channels, a rate that changes on the way, and one so low that
        columns would lie a second apart, give no image."""
        if not self._usable:
            return
        if block.ndim != 2 or block.shape[1] != 2 or rate <= HOP or (self._rate and rate != self._rate):
            self._usable, self._columns, self._waiting = False, [], self._waiting[:0]
            return
        if not self._rate:
            self._begin(rate)
        difference, whole = block[:, 0] - block[:, 1], block[:, 0] + block[:, 1]
        self._unlike += float(np.dot(difference, difference))
        self._alike += float(np.dot(whole, whole))
        self._received += len(block)
        self._waiting = np.concatenate([self._waiting, block])
        self._measure()

    def finish(self) -> StereoImage | None:
        """The image; ``None`` of what is not stereo: one channel, more than two, or two that are (nearly) the same."""
        if not self._usable or not self._rate or self._unlike <= ALIKE * self._alike:
            return None
        count = self._received // self._factor // HOP + 1
        missing = (count - self._done) * HOP * self._factor + WINDOW * self._factor
        self._waiting = np.concatenate([self._waiting, np.zeros((max(missing, 0), 2), np.float32)])
        self._measure(count)
        return StereoImage(np.concatenate(self._columns, axis=1), HOP * self._factor / self._rate)

    @property
    def _done(self) -> int:
        return sum(part.shape[1] for part in self._columns)

    def _begin(self, rate: int) -> None:
        self._rate, self._factor = rate, max(rate // LEAST_RATE, 1)
        hz = rate / self._factor / WINDOW
        # Edges between rows, half a row under each; rows narrower than a bin share it.
        edges = A0_HZ * 2.0 ** ((np.arange(N_ROWS + 1) - 0.5) / BINS_PER_OCTAVE) / hz
        self._edges = np.clip(np.round(edges), 1, WINDOW // 2).astype(np.intp)
        self._waiting = np.zeros((WINDOW // 2 * self._factor, 2), np.float32)

    def _measure(self, count: int | None = None) -> None:
        """Balance of the windows that are complete, `count` columns in all at most."""
        from scipy.fft import fft

        factor = self._factor
        left = None if count is None else count - self._done
        while left is None or left > 0:
            ready = (len(self._waiting) // factor - WINDOW) // HOP + 1
            some = min(ready, AT_ONCE) if left is None else min(ready, AT_ONCE, left)
            # Some at a time, the last ones apart: a block of the decoder's is about as long as two windows.
            if some < 1 or (left is None and some < AT_ONCE):
                return
            span = self._waiting[: ((some - 1) * HOP + WINDOW) * factor]
            sound = span.reshape(-1, factor, 2).mean(axis=1, dtype=np.float32) if factor > 1 else span
            # Both channels in one transform: real and imaginary part.
            both = np.ascontiguousarray(sound).view(np.complex64).reshape(-1)
            windows = np.lib.stride_tricks.sliding_window_view(both, WINDOW)[::HOP] * self._window
            self._columns.append(self._balance(fft(windows, axis=1, overwrite_x=True)))
            self._waiting = self._waiting[some * HOP * factor :]
            left = None if left is None else left - some

    def _balance(self, spectrum: NDArray[np.complex64]) -> NDArray[np.int8]:
        top = int(self._edges[-1]) + 1
        # Z = L + iR: |R|^2 - |L|^2 and |R|^2 + |L|^2 of its two halves.
        front, back = spectrum[:, :top], np.conj(spectrum[:, -np.arange(top)])
        product = front * np.conj(back)
        difference = -np.ascontiguousarray(product.real)
        total = 0.5 * (np.abs(front) ** 2 + np.abs(back) ** 2)
        difference, total = (np.add.reduceat(part, self._edges[:-1], axis=1) for part in (difference, total))
        floor = 10.0 ** (FLOOR_DB / 10.0) * (WINDOW / 4.0) ** 2
        balance = np.where(total > floor, difference / np.maximum(total, floor), 0.0)
        return np.round(127.0 * np.clip(balance, -1.0, 1.0)).astype(np.int8).T
