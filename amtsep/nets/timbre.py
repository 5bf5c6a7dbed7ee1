"""The timbre branch, and the memories that let it see more of a recording than its convolutions reach.

Two sounds are told apart by comparing them, so a unit's embedding may profit from what else sounds in the clip. A
`Memory` adds such context as a residual, with every unit weighted by the frame posterior (brought to a sum of one), so
that silence is not remembered. Its output projection starts at zero: a network with a fresh memory says what it said
without one.

What a memory sees is what it is given: a clip while training, a chunk with its halo at inference. With a memory the
embeddings therefore depend on where a long recording is cut, and the clustering has to bridge the chunks; without
one they do not. The time is linear in the length for all but `NoteAttention`, which compares half seconds with half
seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import N_PITCHES
from amtsep.nets.harmonic import HarmonicBlock
from amtsep.nets.layers import BINS_PER_PITCH, ConvNorm, ResidualBlock

HEADS = 4
EPS = 1e-6


class Pointwise(nn.Linear):
    """A convolution of one unit, as a matrix product on (B, C, N): layouts in memory stay what they are."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 88, T) to (B, D, 88, T)."""
        return (self.weight @ x.flatten(2) + self.bias[:, None]).unflatten(2, x.shape[2:])


class Memory(nn.Module):
    """Context over a whole clip, added to the features; what is recalled is in the subclass.

    Parameters
    ----------
    channels
        Width of the features.
    recalled
        Channels that `recall` returns.
    """

    def __init__(self, channels: int, recalled: int) -> None:
        super().__init__()
        self.out = Pointwise(recalled, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, posterior: Tensor) -> Tensor:
        """(B, C, 88, T) features, not negative, and (B, 1, 88, T) posterior in [0, 1] to features of the same shape."""
        # Sums over tens of thousands of units want more digits than half precision has.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            return functional.relu(x + self.out(self.recall(x, posterior.float())))

    def recall(self, x: Tensor, posterior: Tensor) -> Tensor:
        """What is added, before its projection: (B, recalled, 88, T)."""
        raise NotImplementedError


def to_heads(x: Tensor) -> Tensor:
    """(B, C, 88, T) to (B, HEADS, C / HEADS, 88 T)."""
    return x.flatten(2).unflatten(1, (HEADS, -1))


def shares(posterior: Tensor) -> Tensor:
    """(B, 1, 88, T) to (B, 1, 88 T, 1) with a sum of one."""
    flat = posterior.flatten(2)[..., None]
    return flat / (flat.sum(dim=2, keepdim=True) + EPS)


class Hebbian(Memory):
    """Recall from the autocorrelation matrix of all that sounds, M = X^T W X (Hopfield 1982, in its linear form).

    Every unit's projection is brought to unit length, stored as an outer product weighted by the posterior, and asked
    for as M x: what is frequent in the clip is amplified, what is rare fades.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.pattern = Pointwise(channels, channels)

    def recall(self, x: Tensor, posterior: Tensor) -> Tensor:
        """M x."""
        flat = functional.normalize(self.pattern(x).flatten(2), dim=1, eps=1e-4)  # (B, C, N)
        matrix = (flat * shares(posterior).transpose(2, 3).squeeze(1)) @ flat.transpose(1, 2)
        # The trace of the matrix is one; times the width, a memory of white patterns is the identity.
        return ((flat.shape[1] * matrix) @ flat).reshape(x.shape)


class LinearAttention(Memory):
    """Attention with a kernel instead of the softmax, elu + 1 (Katharopoulos et al. 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.project = Pointwise(channels, 3 * channels)

    def recall(self, x: Tensor, posterior: Tensor) -> Tensor:
        """Values of all units, weighted by how well their keys fit."""
        queries, keys, values = (to_heads(part) for part in self.project(x).chunk(3, dim=1))
        queries, keys, share = functional.elu(queries) + 1.0, functional.elu(keys) + 1.0, shares(posterior)
        total = (values @ (keys.transpose(2, 3) * share)) @ queries
        norm = (keys @ share).transpose(2, 3) @ queries
        return (total / (norm + EPS)).reshape(x.shape)


class FlowAttention(Memory):
    """Attention as a flow network (Wu et al. 2022): sources compete for a limited outflow, sinks share an inflow."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.project = Pointwise(channels, 3 * channels)

    def recall(self, x: Tensor, posterior: Tensor) -> Tensor:
        """Values that won the competition."""
        queries, keys, values = (to_heads(part) for part in self.project(x).chunk(3, dim=1))
        queries, keys, share = torch.sigmoid(queries), torch.sigmoid(keys), shares(posterior)
        inflow = (keys @ share).transpose(2, 3) @ queries + EPS  # (B, HEADS, 1, N)
        outflow = (queries @ share).transpose(2, 3) @ keys + EPS
        # With the other side's flow brought to one, what remains is how much a unit stands out.
        sink = (keys @ (share / outflow.transpose(2, 3))).transpose(2, 3) @ queries
        source = (queries @ (share / inflow.transpose(2, 3))).transpose(2, 3) @ keys
        won = share.transpose(2, 3) * torch.exp(source - source.amax(dim=3, keepdim=True))
        won = won / (won.sum(dim=3, keepdim=True) + EPS)
        total = ((values * won) @ keys.transpose(2, 3)) @ queries
        return (torch.sigmoid(sink) / inflow * total).reshape(x.shape)


class Statistics(Memory):
    """Mean and standard deviation of every channel over all that sounds (Okabe et al. 2018), as scale and offset."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels)
        self.hidden = Pointwise(2 * channels, 2 * channels)

    def recall(self, x: Tensor, posterior: Tensor) -> Tensor:
        """The unit's deviation from the clip's mean in standard deviations, beside the clip's figures."""
        share = posterior / (posterior.sum(dim=(2, 3), keepdim=True) + EPS)
        mean = (x * share).sum(dim=(2, 3), keepdim=True)
        spread = ((x - mean).square() * share).sum(dim=(2, 3), keepdim=True).add(1e-4).sqrt()
        figures = functional.relu(self.hidden(torch.cat([mean, spread], dim=1)))
        scale, offset = figures.chunk(2, dim=1)
        deviation = (x - mean) / spread
        return torch.cat([deviation * scale, offset.expand_as(deviation)], dim=1)


class NoteAttention(Memory):
    """Softmax attention among notes, as far as these are known: half seconds of a pitch, weighted by the posterior.

    What is pooled stands in for a note (there are some hundred in a clip that weigh anything), so this needs no
    decoding. The answer goes back to all frames that were pooled.
    """

    segment = 43
    """Frames of a half second."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.project = Pointwise(channels, 3 * channels)

    def recall(self, x: Tensor, posterior: Tensor) -> Tensor:
        """Attention over the pooled units."""
        frames, kernel = x.shape[-1], (1, self.segment)

        def pool(values: Tensor) -> Tensor:
            return functional.avg_pool2d(values, kernel, kernel, ceil_mode=True, count_include_pad=False)

        mass = pool(posterior)
        pooled = pool(x * posterior) / (mass + 1e-3)
        queries, keys, values = (to_heads(part) for part in self.project(pooled).chunk(3, dim=1))
        score = queries.transpose(2, 3) @ keys / math.sqrt(queries.shape[2])
        score = score + torch.log(mass + 1e-4).flatten(2)[:, :, None, :]
        answer = (values @ torch.softmax(score, dim=-1).transpose(2, 3)).reshape(pooled.shape)
        return functional.interpolate(answer, scale_factor=(1.0, float(self.segment)), mode="nearest")[..., :frames]


MEMORIES: dict[str, Callable[[int], Memory] | None] = {
    "none": None,
    "hebbian": Hebbian,
    "linear": LinearAttention,
    "flow": FlowAttention,
    "statistics": Statistics,
    "notes": NoteAttention,
}
"""By the name in `amtsep.config.Network.memory`."""


class TimbreBranch(nn.Module):
    """A unit-length embedding for every pitch and frame, from the harmonic stack and the trunk.

    The branch sees the stack again, since the trunk is trained to forget timbre.

    Parameters
    ----------
    stem, trunk
        Channels of the harmonic stack and of the trunk.
    channels, dim
        Width of the branch, length of the embedding.
    memory
        A key of `MEMORIES`.
    phase
        Whether the phase's advance, stacked by harmonics too, is seen beside the level.
    harmonic
        Channels of the second block when it looks along harmonics; 0 has it look along octaves.
    by_pitch
        Whether every pitch has a scale and an offset of its own for each channel (Perez et al. 2018) before the
        readout: what stays the same over an instrument's range is its envelope over frequency, and at each pitch the
        harmonics fall on other places of it.
    """

    def __init__(
        self,
        stem: int,
        trunk: int,
        channels: int,
        dim: int,
        memory: str = "none",
        phase: bool = False,
        harmonic: int = 0,
        by_pitch: bool = False,
    ) -> None:
        super().__init__()
        self.spectral = ConvNorm(stem, channels, (5, 3), stride=BINS_PER_PITCH)
        self.merge = ConvNorm(channels + trunk, channels, (1, 1))
        second = HarmonicBlock(channels, harmonic) if harmonic else ResidualBlock(channels, dilation=(12, 2))
        self.blocks = nn.Sequential(ResidualBlock(channels, dilation=(1, 1)), second)
        self.scale: nn.Parameter | None = None
        if by_pitch:
            self.scale = nn.Parameter(torch.ones(channels, N_PITCHES, 1))
            self.shift = nn.Parameter(torch.zeros(channels, N_PITCHES, 1))
            self.mix = ConvNorm(channels, channels, (1, 1))
        self.out = nn.Conv2d(channels, dim, 1)
        # Options come last, so that with one seed everything else begins alike.
        if memory not in MEMORIES:
            raise ValueError(f"There is no memory '{memory}'; choose one of {', '.join(MEMORIES)}.")
        kind = MEMORIES[memory]
        self.memory = kind(channels) if kind is not None else None
        self.phase = ConvNorm(2 * stem, channels, (5, 3), stride=BINS_PER_PITCH) if phase else None

    def forward(self, stack: Tensor, trunk: Tensor, frame: Tensor, phase: Tensor | None = None) -> Tensor:
        """Embed.

        Parameters
        ----------
        stack
            (B, H, 264, T).
        trunk
            (B, C, 88, T).
        frame
            (B, 1, 88, T) logits of the frame posterior, for the memory; no gradient flows back through them.
        phase
            (B, 2 H, 264, T) where the branch was built to see it.

        Returns
        -------
        Tensor
            (B, D, 88, T).
        """
        spectral = self.spectral(stack)
        if self.phase is not None:
            if phase is None:
                raise ValueError("This timbre branch needs the phase; compute it with CQT.with_phase.")
            spectral = spectral + self.phase(phase)
        x = self.blocks(self.merge(torch.cat([spectral, trunk], dim=1)))
        if self.scale is not None:
            x = x + self.mix(x * self.scale + self.shift)
        if self.memory is not None:
            x = self.memory(x, torch.sigmoid(frame.detach()))
        embedding: Tensor = self.out(x)
        # A floor well above the smallest float that a browser's 16-bit arithmetic knows.
        return embedding / embedding.square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
