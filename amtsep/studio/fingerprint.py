"""The same recording found again, whatever its file is called and however it was encoded.

A fingerprint is 32 bits for every 93 ms: whether the difference of the energies of neighbouring bands grows or shrinks
(Haitsma and Kalker, "A highly robust audio fingerprinting system", ISMIR 2002, with longer steps: whole recordings are
compared here, no snippets). Two recordings are one where, best aligned, few bits differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Fingerprint = NDArray[np.uint32]

RATE, FRAME, HOP = 5_512, 2_048, 512
LOW_HZ, HIGH_HZ = 250.0, 2_500.0
MOST_S = 120.0
"""Of a recording that is looked at."""
SHIFT = 12
"""Steps that one may begin before the other, either way: 1.1 s."""
SAME = 0.25
"""Share of bits that may differ; unrelated recordings differ in half of them."""
FEWEST = 10
"""Steps that must overlap."""


def fingerprint(samples: NDArray[np.float32], sample_rate: int) -> Fingerprint:
    """Of mono samples, (n,): (steps,) uint32."""
    import soxr

    sound = soxr.resample(samples[: int(MOST_S * sample_rate)], sample_rate, RATE, quality="MQ")
    sound = np.pad(sound, (0, max(FRAME + HOP - len(sound), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    edges = np.geomspace(LOW_HZ, HIGH_HZ, 34) * FRAME / RATE
    bands = np.stack([power[:, int(a) : max(int(b), int(a) + 1)].sum(axis=1) for a, b in zip(edges, edges[1:])], axis=1)
    slope = np.diff(np.log(bands + 1e-9 * max(float(bands.max(initial=0.0)), 1e-12)), axis=1)
    bits = np.diff(slope, axis=0) > 0
    weights = np.uint32(1) << np.arange(32, dtype=np.uint32)
    return (bits * weights).sum(axis=1).astype(np.uint32)


def same(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two fingerprints are of one recording."""
    return abs(len(one) - len(other)) <= SHIFT and distance(one, other) < SAME


def distance(one: Fingerprint, other: Fingerprint) -> float:
    """Share of the bits that differ, best aligned; one where too few steps overlap."""
    least = 1.0
    for shift in range(-SHIFT, SHIFT + 1):
        a, b = (one[shift:], other) if shift >= 0 else (one, other[-shift:])
        n = min(len(a), len(b))
        if n >= min(FEWEST, len(one), len(other)) and n:
            least = min(least, float(np.unpackbits((a[:n] ^ b[:n]).view(np.uint8)).mean()))
    return least
