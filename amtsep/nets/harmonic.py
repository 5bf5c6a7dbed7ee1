"""Harmonics inside the network: a convolution over pitch whose taps lie at harmonics and subharmonics.

At one row a semitone the h-th harmonic of a pitch lies round(12 log2 h) rows above it. Eight harmonics and as many
subharmonics make fifteen taps, of which nearly all of a dense kernel of 73 rows would be empty. Harmonic shifts of
feature maps at several depths go back to harmonic dilated and harmonic convolutions (Wang et al. 2020, *HarmoF0*, 2022;
Zhang et al. 2020), and to harmonic stacking at the input (Bittner et al. 2022).

Concatenating fifteen shifted copies and a 1 x 1 convolution say the same, but move fifteen times the memory. With the
channels last, a shift by rows is another start in memory: the sum is fifteen matrix products on slabs of one array,
each added to what is there, and nothing is copied. A training step of this form takes a fifth of the time of the
concatenation (`tests/nets/test_harmonic.py` holds the two equal).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import Network

HARMONICS = Network.block_harmonics


def harmonic_shifts(harmonics: tuple[int, ...] = HARMONICS) -> tuple[int, ...]:
    """Rows from a pitch to its harmonics and subharmonics, 0 first: (0, 12, -12, 19, -19, ...)."""
    rows = dict.fromkeys(round(12 * math.log2(h)) for h in harmonics)
    return tuple(shift for row in rows for shift in ((row, -row) if row else (0,)))


def slabs(shift: int, height: int) -> tuple[slice, slice]:
    """Rows of the output, and those of the input ``shift`` rows above them, that both exist."""
    if shift >= 0:
        return slice(0, height - shift), slice(shift, height)
    return slice(-shift, height), slice(0, height + shift)


def combs(shifts: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Shifts as rows that lie evenly: the octaves from the lowest to the highest, and every other pair by itself.

    Each is a dilated convolution, which engines do well; fifteen copies side by side go through memory.
    """
    octaves = tuple(sorted(s for s in shifts if s % 12 == 0))
    return (octaves, *((-s, s) for s in shifts if s % 12 and s > 0))


class _ShiftedSum(torch.autograd.Function):
    """out[h] = sum over k of x[h + shifts[k]] @ weight[k], on (B, H, T, C) and (K, C, O); zero beyond the edges."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, shifts: tuple[int, ...]) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, weight)
        ctx.shifts = shifts
        batch, height, frames, _ = x.shape
        out = x.new_zeros(batch, height, frames, weight.shape[2])
        for b in range(batch):
            for k, shift in enumerate(shifts):
                to, source = slabs(shift, height)
                out[b, to].flatten(0, 1).addmm_(x[b, source].flatten(0, 1), weight[k])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        height = x.shape[1]
        back = torch.zeros_like(x)
        # Summed over clips in single precision: there are many units in a batch.
        for_weight = torch.zeros_like(weight, dtype=torch.float32)
        turned = weight.transpose(1, 2).contiguous()
        for b in range(len(x)):
            for k, shift in enumerate(ctx.shifts):
                to, source = slabs(shift, height)
                part, seen = grad[b, to].flatten(0, 1), x[b, source].flatten(0, 1)
                back[b, source].flatten(0, 1).addmm_(part, turned[k])
                for_weight[k] += seen.T @ part
        return back, for_weight.to(weight.dtype), None


class HarmonicConv(nn.Module):
    """A convolution over pitch with taps at harmonics and subharmonics, (B, C, H, T) to (B, O, H, T), without bias.

    Parameters
    ----------
    inputs, outputs
        Channels.
    harmonics
        Whole multiples of the fundamental, with 1 first.
    """

    def __init__(self, inputs: int, outputs: int, harmonics: tuple[int, ...] = HARMONICS) -> None:
        super().__init__()
        self.shifts = harmonic_shifts(harmonics)
        # The shape of the 1 x 1 convolution over the concatenated copies: optimizers know it as such.
        self.weight = nn.Parameter(torch.empty(outputs, inputs * len(self.shifts), 1, 1))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Sum of the shifted maps."""
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        taps = self.taps().permute(1, 2, 0).to(x.dtype).contiguous()
        y: Tensor = _ShiftedSum.apply(x.permute(0, 2, 3, 1).contiguous(), taps, self.shifts)
        return y.permute(0, 3, 1, 2)

    def taps(self) -> Tensor:
        """(outputs, shifts, inputs): the weights of each shift."""
        return self.weight.view(len(self.weight), len(self.shifts), -1)

    def as_combs(self) -> Combs:
        """The same as dilated convolutions, which every engine knows."""
        return Combs(self.taps(), self.shifts)


class HarmonicBlock(nn.Module):
    """relu(x + norm(harmonic convolution of x)).

    Parameters
    ----------
    channels
        Of input and output.
    squeezed
        Channels that a 1 x 1 convolution leaves before the harmonic one; None for all.
    harmonics
        Whole multiples of the fundamental, with 1 first.
    """

    def __init__(self, channels: int, squeezed: int | None = None, harmonics: tuple[int, ...] = HARMONICS) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1, bias=False) if squeezed else nn.Identity()
        self.conv = HarmonicConv(squeezed or channels, channels, harmonics)
        self.norm = nn.BatchNorm2d(channels, momentum=0.03)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 88, T) to the same."""
        return functional.relu(x + self.norm(self.conv(self.squeeze(x))))

    @property
    def folds(self) -> bool:
        """Whether `as_convolution` can say the same: what is squeezed cannot take the sum with x in."""
        return isinstance(self.squeeze, nn.Identity)

    def as_convolution(self) -> nn.Sequential:
        """The same, once the statistics are learned: normalisation and the sum with x lie in the weights."""
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        scale = self.norm.weight.double() / torch.sqrt(self.norm.running_var.double() + self.norm.eps)
        taps = self.conv.taps().detach().double() * scale[:, None, None]
        bias = self.norm.bias.double() - self.norm.running_mean.double() * scale
        taps[:, 0] += torch.eye(len(scale), dtype=taps.dtype)
        return nn.Sequential(Combs(taps, self.conv.shifts, bias), nn.ReLU())


class Combs(nn.Module):
    """A harmonic convolution as a sum of dilated ones (see `combs`).

    Parameters
    ----------
    taps
        (outputs, shifts, inputs).
    shifts
        Rows from a pitch to what each tap sees.
    bias
        (outputs,), if any.
    """

    def __init__(self, taps: Tensor, shifts: tuple[int, ...], bias: Tensor | None = None) -> None:
        super().__init__()
        tap = dict(zip(shifts, taps.unbind(1), strict=True))
        self.parts = nn.ModuleList()
        for rows in combs(shifts):
            step, own = rows[1] - rows[0], bias if not self.parts else None
            part = nn.Conv2d(
                taps.shape[2],
                len(taps),
                (len(rows), 1),
                padding=(rows[-1], 0),
                dilation=(step, 1),
                bias=own is not None,
            )
            with torch.no_grad():
                part.weight.copy_(torch.stack([tap[row] for row in rows], dim=-1)[..., None])
                if part.bias is not None and own is not None:
                    part.bias.copy_(own)
            self.parts.append(part)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, 88, T) to (B, outputs, 88, T)."""
        total: Tensor = self.parts[0](x)
        for part in self.parts[1:]:
            total = total + part(x)
        return total
