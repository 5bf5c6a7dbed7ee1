"""Layers that the branches of the network share."""

from __future__ import annotations

import copy
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

BINS_PER_PITCH = 3
"""Rows of the constant-Q transform a semitone."""


class Heard(NamedTuple):
    """What a network says of a batch of clips; ``None`` for what it has no head for."""

    onset: Tensor
    """(B, 88, T) logits."""
    frame: Tensor
    """(B, 88, T) logits."""
    embedding: Tensor | None = None
    """(B, D, 88, T), unit length along D."""
    offset: Tensor | None = None
    """(B, 88, T) logits of a note's end by the key."""


class ConvNorm(nn.Sequential):
    """Convolution over (pitch, time) that keeps the size (divided by the stride), batch normalisation, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, (stride, 1), padding, dilation, groups, bias=False),  # type: ignore[arg-type]
            nn.BatchNorm2d(outputs, momentum=0.03),
        ]
        if activation:
            layers.append(nn.ReLU())
        super().__init__(*layers)

    def beside(self, x: Tensor, more: Tensor) -> Tensor:
        """What this makes of `x` and `more`, (B, C, 88, T) and (B, c, 88, T), as channels of one."""
        return cast("Tensor", self(torch.cat([x, more], dim=1)))

    def folded(self) -> nn.Conv2d:
        """The convolution with the normalisation, once its statistics are learned, in its weights."""
        conv: nn.Conv2d = copy.deepcopy(self[0])  # type: ignore[assignment]
        norm: nn.BatchNorm2d = self[1]  # type: ignore[assignment]
        assert norm.running_mean is not None and norm.running_var is not None
        with torch.no_grad():
            scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
            conv.weight.mul_(scale[:, None, None, None])
            conv.bias = nn.Parameter((norm.bias.double() - norm.running_mean.double() * scale).to(conv.weight))
        return conv


class Parted(nn.Module):
    """`ConvNorm.beside` as the sum of two convolutions.

    Engines multiply whole groups of 8 or 16 channels, and one channel more than that leaves their fast way.
    """

    def __init__(self, whole: ConvNorm) -> None:
        super().__init__()
        self.most, self.last = whole.folded(), whole.folded()
        with torch.no_grad():
            self.most.weight = nn.Parameter(self.most.weight[:, :-1].clone())
            self.last.weight = nn.Parameter(self.last.weight[:, -1:].clone())
        self.last.bias = None

    def beside(self, x: Tensor, more: Tensor) -> Tensor:
        """Of (B, C, 88, T) and (B, 1, 88, T)."""
        return functional.relu(self.most(x) + self.last(more))


class ResidualBlock(nn.Module):
    """relu(x + norm(conv(x)))."""

    def __init__(
        self, channels: int, kernel: tuple[int, int] = (3, 3), dilation: tuple[int, int] = (1, 1), groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = ConvNorm(channels, channels, kernel, dilation, groups=groups, activation=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 88, T) to the same."""
        return functional.relu(x + self.conv(x))

    def as_convolution(self) -> nn.Sequential:
        """The same, once the statistics are learned: normalisation and the sum with x lie in the weights."""
        conv = self.conv.folded()
        height, width = (size // 2 for size in conv.kernel_size)
        channels = torch.arange(conv.out_channels)
        with torch.no_grad():
            conv.weight[channels, channels if conv.groups == 1 else 0, height, width] += 1.0
        return nn.Sequential(conv, nn.ReLU())
