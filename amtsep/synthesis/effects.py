"""What stands between an electric instrument and the mix: amplifier, tremolo, chorus, rotary loudspeaker; compression.

Every function takes and returns (n,) float32 at `rate`, draws from the generator it is given and keeps the level. None
moves an onset: what is delayed is added to the sound as it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.signal import butter, sosfilt

Samples = NDArray[np.float32]

ELECTRIC: dict[str, tuple[str, ...]] = {
    "guitar": ("amplifier", "amplifier", "tremolo", "chorus"),
    "bass": ("amplifier", "chorus"),
    "keys": ("tremolo", "chorus", "amplifier", "rotary"),
    "organ": ("rotary", "rotary", "amplifier", "chorus"),
    "synth": ("chorus", "tremolo", "amplifier"),
    "plucked": ("chorus",),
    "strings": ("chorus",),
    "voice": ("chorus",),
}
"""Which effects a stem of a category may get, the likelier ones more than once."""


def _like(wet: NDArray[np.float64], samples: Samples) -> Samples:
    """`wet` at the level of `samples`."""
    power, own = float(np.mean(samples**2)), float(np.mean(wet**2))
    return np.asarray(wet * np.sqrt(power / max(own, 1e-12)), np.float32)


def amplifier(rng: np.random.Generator, samples: Samples, rate: int) -> Samples:
    """Overdrive of 3 to 24 dB, a little uneven, and the band of a loudspeaker cabinet."""
    loud = float(np.quantile(np.abs(samples), 0.98)) + 1e-9
    drive = 10.0 ** (rng.uniform(3.0, 24.0) / 20.0) / loud
    bias = rng.uniform(0.0, 0.3)
    x = np.tanh(samples * drive * 0.5 + bias) - np.tanh(bias)
    low, high = rng.uniform(50.0, 110.0), rng.uniform(3200.0, 7000.0)
    x = sosfilt(butter(2, [low, min(high, 0.45 * rate)], "bandpass", fs=rate, output="sos"), x)
    return _like(np.asarray(x), samples)


def tremolo(rng: np.random.Generator, samples: Samples, rate: int) -> Samples:
    """The level goes up and down by 2 to 8 dB, three to eight times a second."""
    depth, hz = rng.uniform(2.0, 8.0), rng.uniform(3.0, 8.0)
    wave = np.sin(2 * np.pi * (hz * np.arange(len(samples)) / rate + rng.random()))
    return _like(samples * 10.0 ** (0.5 * depth * wave / 20.0), samples)


def _delayed(samples: Samples, delay: NDArray[np.float64]) -> NDArray[np.float64]:
    """`samples` read `delay` (n,) samples earlier."""
    at = np.arange(len(samples))
    return np.interp(at - delay, at, samples, left=0.0)


def chorus(rng: np.random.Generator, samples: Samples, rate: int) -> Samples:
    """One or two copies, 6 to 22 ms late and moving, under the sound itself."""
    time = np.arange(len(samples)) / rate
    out = samples.astype(np.float64)
    for _ in range(int(rng.integers(1, 3))):
        hz, middle = rng.uniform(0.2, 2.0), rng.uniform(0.006, 0.022)
        # A copy goes off by 2 pi hz depth: 5 to 25 cents.
        depth = min((2 ** (rng.uniform(5.0, 25.0) / 1200) - 1) / (2 * np.pi * hz), 0.8 * middle)
        delay = middle + depth * np.sin(2 * np.pi * (hz * time + rng.random()))
        out += rng.uniform(0.3, 0.8) * _delayed(samples, delay * rate)
    return _like(out, samples)


def rotary(rng: np.random.Generator, samples: Samples, rate: int) -> Samples:
    """A loudspeaker that turns, slowly or fast: the treble horn and the bass drum each at its own speed."""
    time = np.arange(len(samples)) / rate
    low = np.asarray(sosfilt(butter(2, 800.0, "lowpass", fs=rate, output="sos"), samples))
    fast = rng.random() < 0.6
    out = np.zeros(len(samples))
    for band, hz, cents in ((low, 5.6 if fast else 0.6, 4.0), (samples - low, 6.8 if fast else 0.8, 12.0)):
        turn = 2 * np.pi * (hz * rng.uniform(0.9, 1.1) * time + rng.random())
        # At slow speeds the path still changes by no more than the horn's length.
        reach = min((2 ** (cents / 1200) - 1) / (2 * np.pi * hz), 0.0006)
        moved = _delayed(np.asarray(band, np.float32), reach * (1 + np.sin(turn)) * rate)
        out += moved * 10.0 ** (rng.uniform(1.0, 3.0) * np.sin(turn + 1.0) / 20.0)
    return _like(out, samples)


def electric(rng: np.random.Generator, samples: Samples, rate: int, category: str) -> Samples:
    """One effect that suits the category; the samples as they are where none does."""
    known = {"amplifier": amplifier, "tremolo": tremolo, "chorus": chorus, "rotary": rotary}
    choices = ELECTRIC.get(category, ())
    return known[choices[int(rng.integers(len(choices)))]](rng, samples, rate) if choices else samples


def compress(rng: np.random.Generator, samples: Samples, rate: int) -> Samples:
    """Compress a mix: what is over the threshold is turned down 2 to 8 fold, at once, let go in 60 to 400 ms."""
    step = max(rate // 1000, 1)
    n = len(samples) // step
    if n < 2:
        return samples
    power = np.square(samples[: n * step], dtype=np.float64).reshape(n, step).mean(axis=1)
    level = 10 * np.log10(uniform_filter1d(maximum_filter1d(power, 5), 5) + 1e-12)
    threshold = float(np.quantile(level, 0.95)) - rng.uniform(6.0, 24.0)
    over = np.maximum(level - threshold, 0.0) * (1 - 1 / rng.uniform(2.0, 8.0))
    # Release: the reduction falls off evenly in dB.
    fall = 20.0 / (1000.0 * rng.uniform(0.06, 0.4))
    held = np.maximum.accumulate(over + fall * np.arange(n)) - fall * np.arange(n)
    gain = 10.0 ** (-np.interp(np.arange(len(samples)) / step, np.arange(n) + 0.5, held) / 20.0)
    return _like(samples * gain, samples)
