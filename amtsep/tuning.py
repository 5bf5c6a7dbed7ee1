"""The tuning of a recording, before anything is rounded to semitones: what lies far beside A = 440 Hz is brought near.

Networks read a constant-Q transform whose bins lie on equal temperament at 440 Hz. A third of a semitone beside it they
hear nearly as well; beyond that, notes fall between two rows. The recording is then played a little slower or faster
for the network, and times are told as they were.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import IN_MEMORY, Recording, Samples, resample
from amtsep.stereo import StereoImage

WINDOW = 8192
MOST_WINDOWS = 600
AT_ONCE = 8
"""Windows that are looked at together."""
LOWEST_HZ, HIGHEST_HZ = 80.0, 2000.0
RANGE_DB = 35.0
"""Peaks so far under the loudest of their moment still count."""
OVER_CENTS = 20.0
"""Nearer to 440 Hz than this a recording stays as it is."""
AGREEMENT = 0.1
"""Least length of the mean direction of the peaks, from 0 (evenly spread) to 1 (all at one place)."""


@dataclass(frozen=True, eq=False)
class Retuned:
    """A recording brought to 440 Hz: `cents` is where it was, `stretch` by how much longer it is now."""

    samples: Samples
    sample_rate: int
    name: str
    duration_s: float
    cents: float = 0.0
    stretch: float = 1.0
    remark: str = ""
    stereo: StereoImage | None = None
    """As it was measured, before anything was retuned."""


def measure(audio: Recording) -> tuple[float, float]:
    """Cents from equal temperament at 440 Hz, -50 to 50, and how much the spectrum's peaks agree on it, 0 to 1.

    The circular mean of the places of the peaks between the semitones, in windows all over the recording.
    """
    count, rate = len(audio.samples), audio.sample_rate
    window = np.hanning(WINDOW).astype(np.float32)
    low, high = int(LOWEST_HZ * WINDOW / rate) + 1, int(HIGHEST_HZ * WINDOW / rate)
    around, total = 0j, 0.0
    starts = range(0, count - WINDOW + 1, max(WINDOW // 2, count // MOST_WINDOWS))
    for first in range(0, len(starts), AT_ONCE):
        parts = [audio.samples[start : start + WINDOW] for start in starts[first : first + AT_ONCE]]
        spectrum = np.fft.rfft(np.stack(parts).astype(np.float32, copy=False) * window)[:, low - 1 : high + 1]
        level = 20.0 * np.log10(np.abs(spectrum) + 1e-9)
        a, b, c = level[:, :-2], level[:, 1:-1], level[:, 2:]
        loudest = b.max(axis=1, keepdims=True)
        peak = (b > a) & (b >= c) & (b > loudest - RANGE_DB) & (b > -20.0)
        a, b, c = a[peak], b[peak], c[peak]
        bend = a - 2 * b + c
        shift = np.where(bend < 0, 0.5 * (a - c) / np.where(bend < 0, bend, -1.0), 0.0)
        place = 12.0 * np.log2((low + np.nonzero(peak)[1] + shift) * rate / WINDOW / 440.0)
        weight = 10.0 ** (b / 40.0)
        around += complex(np.sum(weight * np.exp(2j * np.pi * place)))
        total += float(weight.sum())
    if total <= 0.0:
        return 0.0, 0.0
    return float(np.angle(around) / (2 * np.pi) * 100.0), abs(around) / total


def in_tune(audio: Recording) -> Retuned:
    """The recording as it is, or, where it is clearly far from 440 Hz, played slower or faster so that it is there.

    What has been brought there stays as it is.
    """
    if isinstance(audio, Retuned):
        return audio
    cents, agreement = measure(audio)
    if abs(cents) < OVER_CENTS or agreement < AGREEMENT:
        same = audio.samples, audio.sample_rate, audio.name, audio.duration_s
        return Retuned(*same, remark=audio.remark, stereo=audio.stereo)
    target = round(audio.sample_rate * 2.0 ** (cents / 1200.0))
    stretch = target / audio.sample_rate
    samples = audio.samples
    made: NDArray[np.float32]
    if len(samples) <= IN_MEMORY:
        made = resample(np.asarray(samples[:], np.float32), audio.sample_rate, target)
    else:
        made = _stored(samples, audio.sample_rate, target)
    return Retuned(made, audio.sample_rate, audio.name, audio.duration_s, cents, stretch, audio.remark, audio.stereo)


def _stored(samples: Samples, rate: int, target: int) -> NDArray[np.float32]:
    """The same through a temporary file, piece by piece: an hour would take 300 MB."""
    import soxr

    stream = soxr.ResampleStream(rate, target, 1, dtype="float32", quality="VHQ")
    with tempfile.TemporaryFile(prefix="amtsep-") as file:
        for start in range(0, len(samples), WINDOW * 128):
            part = np.asarray(samples[start : start + WINDOW * 128], np.float32)
            stream.resample_chunk(part).tofile(file)
        stream.resample_chunk(np.zeros(0, np.float32), last=True).tofile(file)
        file.flush()
        return np.memmap(file, np.float32, "r")
