"""Does a sound have the pitch it is said to have? A check by where its energy lies among the harmonics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _comb(power: NDArray[np.float64], hz_per_bin: float, f0: float, multiples: NDArray[np.float64]) -> float:
    """Energy within 40 cents of the multiples of f0."""
    total = 0.0
    for m in multiples:
        low, high = f0 * m * 2 ** (-40 / 1200), f0 * m * 2 ** (40 / 1200)
        a, b = int(np.floor(low / hz_per_bin)) - 1, int(np.ceil(high / hz_per_bin)) + 2
        if b >= len(power):
            break
        total += float(power[max(a, 0) : b].sum())
    return total


def sounding_offset(samples: NDArray[np.floating], sample_rate: int, pitch: int) -> int | None:
    """Semitones between the pitch heard and `pitch`: 0, +12 or -12; None where it is none of these.

    A pitch is taken for the right one if most of the energy lies on its harmonics, the odd ones hold a part of it
    (else the sound is an octave higher) and there is little halfway between them (else it is an octave lower).

    Parameters
    ----------
    samples
        (n,) mono, beginning at the onset; the first 0.6 s are looked at.
    """
    x = np.asarray(samples[int(0.03 * sample_rate) : int(0.6 * sample_rate)], np.float64)
    if len(x) < 0.1 * sample_rate:
        x = np.asarray(samples[: int(0.6 * sample_rate)], np.float64)
    if len(x) < 0.05 * sample_rate or not np.any(x):
        return None
    n = 1 << 16
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), n)) ** 2
    hz = sample_rate / n
    spectrum[: int(25 / hz)] = 0
    total = float(spectrum.sum())
    harmonics = np.arange(1, 17, dtype=np.float64)

    def check(f0: float) -> bool:
        on = _comb(spectrum, hz, f0, harmonics)
        if on < 0.55 * total:
            return False
        odd = _comb(spectrum, hz, f0, harmonics[::2])
        if odd < 0.015 * on:
            return False
        # The main lobe of a short window must not be counted as something between the harmonics.
        if f0 * len(x) / sample_rate < 12:
            return True
        half = _comb(spectrum, hz, f0, harmonics[:10] - 0.5)
        return half < 0.06 * on

    for offset in (0, 12, -12):
        if check(440.0 * 2 ** ((pitch + offset - 69) / 12)):
            return offset
    return None


def cents_off(samples: NDArray[np.floating], sample_rate: int, pitch: int) -> float:
    """Cents by which a sound is sharp of `pitch`, from the strongest of its first eight harmonics; at most 60.

    Parameters
    ----------
    samples
        (n,) mono, beginning at the onset; 30 ms to 0.8 s are looked at.
    """
    x = np.asarray(samples[int(0.03 * sample_rate) : int(0.8 * sample_rate)], np.float64)
    if len(x) < 0.05 * sample_rate or not np.any(x):
        return 0.0
    n = 1 << 17
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)), n)) ** 2
    hz = sample_rate / n
    f0 = 440.0 * 2 ** ((pitch - 69) / 12)
    total = weighed = 0.0
    for k in range(1, 9):
        a, b = int(f0 * k * 2 ** (-60 / 1200) / hz), int(np.ceil(f0 * k * 2 ** (60 / 1200) / hz)) + 1
        if b >= len(power):
            break
        top = a + int(np.argmax(power[a:b]))
        # Higher harmonics tell the pitch more finely.
        weight = float(np.sqrt(power[top])) * k
        weighed += weight * 1200 * float(np.log2(top * hz / (f0 * k)))
        total += weight
    return weighed / total if total > 0 else 0.0
