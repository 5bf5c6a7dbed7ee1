"""The constant-Q front end as a torch module made of FIR filters alone, so that it exports to ONNX.

Every octave is computed at its own sampling rate, after zero-phase decimation by two (Schörkhuber and Klapuri 2010),
with Blackman-Harris windows. Windows of high bins are shorter than a hop; there the power is computed several times a
frame and averaged under a triangle, so that no click falls between two frames. The bandwidth of a bin is f / Q + gamma,
so that the windows of low bins stay short (the variable-Q transform of Schörkhuber et al. 2014); with gamma = 0 it is
the constant-Q transform of Brown (1991).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import FrontEnd

HALF_BAND_TAPS = 47
"""Length of the decimation filter: it passes 0.345 of the new rate and stops, by 100 dB, what would fold onto that."""

PHASE_FLOOR = 1e-5
"""Power (the clip's mean energy = 1) under which the phase of a bin counts for nothing."""


def bin_frequencies(settings: FrontEnd) -> NDArray[np.float64]:
    """Centre frequency of every bin in Hz, (n_bins,)."""
    return settings.f_min * 2.0 ** (np.arange(settings.n_bins) / settings.bins_per_octave)


def window_lengths(settings: FrontEnd) -> NDArray[np.float64]:
    """Window length of every bin in samples at the full rate, (n_bins,): rate / (f / Q + gamma)."""
    quality = 1.0 / (2.0 ** (1.0 / settings.bins_per_octave) - 1.0)
    return settings.sample_rate / (bin_frequencies(settings) / quality + settings.gamma)


def blackman_harris(length: float, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Four-term Blackman-Harris window (Harris 1978) of fractional `length`, at `offsets` samples from its centre."""
    phase = 2.0 * np.pi * (offsets / length + 0.5)
    window = 0.35875 - 0.48829 * np.cos(phase) + 0.14128 * np.cos(2 * phase) - 0.01168 * np.cos(3 * phase)
    return np.where(np.abs(offsets) <= length / 2, window, 0.0)


def half_band_filter(taps: int = HALF_BAND_TAPS) -> NDArray[np.float64]:
    """A symmetric low-pass at a quarter of the rate with unit gain at zero frequency, (taps,)."""
    offsets = np.arange(taps) - taps // 2
    filt = 0.5 * np.sinc(offsets / 2.0) * np.kaiser(taps, 10.0)
    return filt / filt.sum()


class CQT(nn.Module):
    """Power of a constant-Q (or variable-Q) transform.

    A sine of amplitude a gives power a² / 2, its mean energy, in its own bin, at every octave.

    Parameters
    ----------
    settings
        The front end; `hop_length` must be divisible by the decimation of the lowest octave.
    """

    def __init__(self, settings: FrontEnd = FrontEnd()) -> None:  # noqa: B008 - frozen
        super().__init__()
        self.settings = settings
        frequencies = bin_frequencies(settings)
        lengths = window_lengths(settings)
        per_octave = settings.bins_per_octave
        n_octaves = math.ceil(settings.n_bins / per_octave)
        # An octave may be decimated as long as its upper edge stays under 0.345 of the rate it is computed at.
        top = settings.f_min * 2.0 ** np.arange(1, n_octaves + 1)
        levels = [max(0, math.floor(math.log2(0.345 * settings.sample_rate / f))) for f in top]
        if settings.hop_length % 2 ** max(levels):
            raise ValueError(f"The hop must be a multiple of {2 ** max(levels)} samples, not {settings.hop_length}.")
        self.levels = tuple(dict.fromkeys(levels))  # from the lowest octave (largest decimation) up
        self.oversampling: dict[int, int] = {}
        self._rows: dict[int, slice] = {}
        self.register_buffer(
            "low_pass", torch.tensor(half_band_filter(), dtype=torch.float32)[None, None], persistent=False
        )
        for level in self.levels:
            octaves = [o for o in range(n_octaves) if levels[o] == level]
            bins = np.arange(octaves[0] * per_octave, min((octaves[-1] + 1) * per_octave, settings.n_bins))
            rate = settings.sample_rate / 2**level
            half = math.ceil(lengths[bins[0]] / 2**level / 2)
            offsets = np.arange(-half, half + 1, dtype=np.float64)
            kernel = np.zeros((2, len(bins), len(offsets)))
            for row, index in enumerate(bins):
                window = blackman_harris(lengths[index] / 2**level, offsets)
                window *= math.sqrt(2.0) / window.sum()
                phase = 2.0 * np.pi * frequencies[index] / rate * offsets
                kernel[:, row] = window * np.cos(phase), window * np.sin(phase)
            # A Blackman-Harris window is effectively a bit less than half its support: one for every such stretch.
            every = max(lengths[bins[-1]] / 2.6, settings.hop_length / 8)
            self._rows[level] = slice(int(bins[0]), int(bins[-1]) + 1)
            self.oversampling[level] = 2 ** max(0, math.ceil(math.log2(settings.hop_length / every)))
            self.oversampling[level] = min(self.oversampling[level], settings.hop_length // 2**level)
            times = self.oversampling[level]
            triangle = (times - np.abs(np.arange(1 - times, times))) / times**2
            weights = torch.tensor(np.tile(triangle, (len(bins), 1, 1)), dtype=torch.float32)
            self.register_buffer(f"triangle_{level}", weights, persistent=False)
            flat = torch.tensor(kernel.reshape(-1, 1, len(offsets)), dtype=torch.float32)
            self.register_buffer(f"kernel_{level}", flat, persistent=False)

    @property
    def halo(self) -> int:
        """Frames at either end of a chunk that differ from the same frames of the whole recording."""
        reach = 0.0
        for level in range(max(self.levels) + 1):
            if level in self.levels:
                half = self._kernel(level).shape[-1] // 2 * 2**level
                reach = max(reach, self._decimation_reach(level) + half + self.settings.hop_length)
        return math.ceil(reach / self.settings.hop_length)

    @staticmethod
    def _decimation_reach(level: int) -> int:
        return sum(HALF_BAND_TAPS // 2 * 2**step for step in range(level))

    def _kernel(self, level: int) -> Tensor:
        kernel: Tensor = getattr(self, f"kernel_{level}")
        return kernel

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio.

        Parameters
        ----------
        audio
            (B, N) float32, N a multiple of the hop.

        Returns
        -------
        Tensor
            (B, n_bins, N // hop) power; frame t is centred on sample ``t * hop``.
        """
        signal = audio[:, None, :]
        parts: list[Tensor] = []
        for level in range(max(self.levels) + 1):
            if level:
                signal = self._halved(signal, level)
            if level in self.levels:
                parts.append(self._power(signal, level))
        frames = audio.shape[-1] // self.settings.hop_length
        return torch.cat([part[..., :frames] for part in reversed(parts)], dim=1)

    def with_phase(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Power as by calling the module, and how the phase advances.

        Parameters
        ----------
        audio
            (B, N) float32 with a mean energy near one, N a multiple of the hop.

        Returns
        -------
        power : Tensor
            (B, n_bins, N // hop).
        advance : Tensor
            (B, 2, n_bins, N // hop): real and imaginary part of the product of a bin's value and the conjugate of the
            one a window earlier, turned back by what a tone at the bin's centre advances, and divided by the power. A
            steady tone gives a point on the unit circle whose angle is its distance from the bin's centre
            (the instantaneous frequency of Flanagan and Golden 1966, without its jumps at half a turn); noise averages
            out where several windows fall on a frame, and what is under -50 dB of the mean goes to zero.
        """
        signal = audio[:, None, :]
        powers: list[Tensor] = []
        advances: list[Tensor] = []
        for level in range(max(self.levels) + 1):
            if level:
                signal = self._halved(signal, level)
            if level in self.levels:
                power, advance = self._advance(signal, level)
                powers.append(power)
                advances.append(advance)
        frames = audio.shape[-1] // self.settings.hop_length
        power = torch.cat([part[..., :frames] for part in reversed(powers)], dim=1)
        return power, torch.cat([part[..., :frames] for part in reversed(advances)], dim=2)

    def _advance(self, signal: Tensor, level: int) -> tuple[Tensor, Tensor]:
        real, imaginary = self._transform(signal, level)
        power = real * real + imaginary * imaginary
        hop_s = self.settings.hop_length / self.oversampling[level] / self.settings.sample_rate
        turns = np.mod(bin_frequencies(self.settings)[self._rows[level]] * hop_s, 1.0)
        turn = torch.from_numpy(2.0 * np.pi * turns).to(power)[:, None]
        before_real, before_imaginary = (functional.pad(part, (1, 0))[..., :-1] for part in (real, imaginary))
        # The kernels hold exp(+i w t), so the values turn backwards: the earlier one times the later one's conjugate.
        along = before_real * real + before_imaginary * imaginary
        across = before_imaginary * real - before_real * imaginary
        products = torch.stack(
            [along * torch.cos(turn) + across * torch.sin(turn), across * torch.cos(turn) - along * torch.sin(turn)],
            dim=1,
        )
        both = 0.5 * (power + functional.pad(power, (1, 0))[..., :-1])
        averaged = [self._average(part, level) for part in (power, both, products[:, 0], products[:, 1])]
        return averaged[0], torch.stack(averaged[2:], dim=1) / (averaged[1][:, None] + PHASE_FLOOR)

    def _power(self, signal: Tensor, level: int) -> Tensor:
        real, imaginary = self._transform(signal, level)
        return self._average(real * real + imaginary * imaginary, level)

    def _halved(self, signal: Tensor, level: int) -> Tensor:
        """A signal, (B, 1, N), at half its rate, which is that of `level`."""
        low_pass: Tensor = self.low_pass  # type: ignore[assignment]
        half = HALF_BAND_TAPS // 2
        if not torch.onnx.is_in_onnx_export():
            return functional.conv1d(signal, low_pass, stride=2, padding=half)
        # Engines are slow at a filter of one channel. Several samples of the output at once, a channel each, are a
        # product of matrices; a hop holds a whole number of such groups.
        group = min(self.settings.hop_length >> level, 16)
        shifted = [functional.pad(low_pass, (2 * n, 2 * (group - 1 - n))) for n in range(group)]
        grouped = functional.conv1d(functional.pad(signal, (half, half)), torch.cat(shifted), stride=2 * group)
        return grouped.transpose(1, 2).reshape(signal.shape[0], 1, -1)

    def _transform(self, signal: Tensor, level: int) -> tuple[Tensor, Tensor]:
        kernel, times = self._kernel(level), self.oversampling[level]
        half = kernel.shape[-1] // 2
        hop = self.settings.hop_length // 2**level // times
        # `times` windows a frame, from times - 1 before the first frame's centre to as many after the last's.
        # The padding is written out, since not every runtime knows `same`.
        around = half + (times - 1) * hop
        transformed = functional.conv1d(functional.pad(signal, (around, around)), kernel, stride=hop)
        real, imaginary = transformed.chunk(2, dim=1)
        return real, imaginary

    def _average(self, values: Tensor, level: int) -> Tensor:
        """Of the windows on a frame."""
        times = self.oversampling[level]
        if times == 1:
            return values
        weights: Tensor = getattr(self, f"triangle_{level}")
        return functional.conv1d(values, weights, stride=times, groups=weights.shape[0])


class LearnedCQT(CQT):
    """A constant-Q transform whose kernels are trained with the network that listens to it.

    Each kernel is that of the transform plus a change, in units of the kernel's root mean square, that starts at zero:
    so one learning rate suits kernels of any length, and weight decay pulls back to the transform. Only the changes are
    saved.
    """

    def __init__(self, settings: FrontEnd = FrontEnd()) -> None:  # noqa: B008 - frozen
        super().__init__(settings)
        for level in self.levels:
            kernel: Tensor = getattr(self, f"kernel_{level}")
            unit = kernel.square().mean(dim=-1, keepdim=True).sqrt()
            self.register_buffer(f"unit_{level}", unit, persistent=False)
            self.register_parameter(f"change_{level}", nn.Parameter(torch.zeros_like(kernel)))

    def _kernel(self, level: int) -> Tensor:
        kernel, unit, change = (getattr(self, f"{name}_{level}") for name in ("kernel", "unit", "change"))
        learned: Tensor = kernel + unit * change
        return learned


class LogPower(nn.Module):
    """Power to a compressed feature: log10 over the floor, in [0, ~1.3], then a learnable affine.

    Parameters
    ----------
    floor
        Power (the clip's mean energy = 1) that counts as silence.
    """

    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor = floor
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, power: Tensor) -> Tensor:
        """(B, F, T) power to (B, F, T) feature."""
        span = -math.log10(self.floor)
        compressed = torch.log(power + self.floor) * (1.0 / (math.log(10.0) * span)) + 1.0
        return compressed * self.scale + self.bias
