"""The small network that hears beats in notes: dilated convolutions over `features`, run in NumPy.

The idea of a temporal convolutional network for beats is that of Davies and Böck (2019); the input (notes, not sound),
the shape and the weights are ours. `amtsep.training.beats` trains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Values = NDArray[np.float32]

WEIGHTS = "beats.npz"
DRUM_WEIGHTS = "beats_drums.npz"
"""Trained on with drum parts (`amtsep.training.beats --drums`): for recordings that have any."""
BAR_WEIGHTS = "bars.npz"
KERNEL = 5
STRETCH = 20_000
"""Frames that go through the network at once; only memory depends on it."""


@dataclass(frozen=True, eq=False)
class BeatNetwork:
    """Weights: (out, in) of the first and last layer, (layers, KERNEL, channels, channels) of the dilated ones."""

    mean: Values
    scale: Values
    enter: Values
    enter_bias: Values
    kernels: Values
    biases: Values
    mixes: Values
    mix_biases: Values
    leave: Values
    leave_bias: Values

    def __call__(self, features: Values) -> tuple[Values, Values]:
        """Probability of a beat and of a downbeat a frame, each (T,), from features (channels, T)."""
        beat, down = self.logits(features)
        return _sigmoid(beat), _sigmoid(down)

    def logits(self, features: Values) -> Values:
        """What the last layer says, (outputs, T)."""
        # The matrices are small: more threads than one only wait for each other.
        with threadpool_limits(1):
            # A long piece goes through in stretches, each with as much around it as the network sees: the same numbers.
            count, reach = features.shape[1], KERNEL // 2 * (2 ** len(self.kernels) - 1)
            parts = []
            for start in range(0, max(count, 1), STRETCH):
                first, stop = max(start - reach, 0), min(start + STRETCH, count)
                parts.append(self._run(features[:, first : stop + reach])[:, start - first : stop - first])
            return np.concatenate(parts, axis=1)

    def _run(self, features: Values) -> Values:
        x = ((features - self.mean[:, None]) / self.scale[:, None]).astype(np.float32)
        count, half = x.shape[1], KERNEL // 2
        reach = half * 2 ** (len(self.kernels) - 1)
        # Between zeros, which are what a kernel finds before the beginning and after the end.
        padded = np.zeros((len(self.enter), count + 2 * reach), np.float32)
        h = padded[:, reach : reach + count]
        total, y, some = np.zeros_like(h), np.empty_like(h), np.empty_like(h)
        h[:] = _elu(self.enter @ x + self.enter_bias[:, None], some)
        for layer in range(len(self.kernels)):
            y[:] = self.biases[layer][:, None]
            for k in range(KERNEL):
                first = reach + (k - half) * 2**layer
                y += np.matmul(self.kernels[layer, k], padded[:, first : first + count], out=some)
            np.matmul(self.mixes[layer], _elu(y, some), out=some)
            some += self.mix_biases[layer][:, None]
            h += some
            total += some
        both = np.concatenate([h, total])
        return np.asarray(self.leave @ _elu(both, np.empty_like(both)) + self.leave_bias[:, None], np.float32)


def _sigmoid(x: Values) -> Values:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _elu(x: Values, below: Values) -> Values:
    """Exponential linear unit, in the place of its argument; `below` is room for as many numbers."""
    np.minimum(x, np.float32(0.0), out=below)
    np.maximum(x, np.float32(0.0), out=x)
    x += np.expm1(below, out=below)
    return x


@lru_cache(maxsize=3)
def load(name: str = WEIGHTS) -> BeatNetwork:
    """The network with weights that come with the package."""
    with resources.files("amtsep.rhythm").joinpath(name).open("rb") as file, np.load(file) as data:
        return BeatNetwork(**{name: data[name].astype(np.float32) for name in BeatNetwork.__dataclass_fields__})
