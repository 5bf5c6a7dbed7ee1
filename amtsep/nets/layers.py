"""Layers that the branches of the network share."""

from __future__ import annotations

from typing import NamedTuple

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
