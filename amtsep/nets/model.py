"""The network: log constant-Q power in, onset and frame logits for 88 pitches and a timbre embedding out.

Harmonic stacking follows Bittner et al. (2022, Basic Pitch), the convolution of two octaves with a dilation of one
semitone the timbre-separating lightweight transcriber (arXiv 2509.12712). Unlike in both, the step from three bins a
semitone to one row a pitch is taken in the first convolution, not in the heads: its five bins still see all three of a
pitch and the edges of its neighbours, and everything after it costs a third. A dilation of three bins is then one of
one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import N_PITCHES, FrontEnd, Network
from amtsep.nets.baselines import BasicPitchTranscriber
from amtsep.nets.cqt import CQT, LearnedCQT, LogPower
from amtsep.nets.harmonic import HarmonicBlock
from amtsep.nets.layers import BINS_PER_PITCH, ConvNorm, Heard, ResidualBlock
from amtsep.nets.timbre import TimbreBranch

PRIORS = (0.01, 0.05, 0.01)
"""Shares of units that are an onset, that sound, that are an end: what a new network says of each."""


class HarmonicStack(nn.Module):
    """Align the harmonics of every bin as channels.

    Channel c, row f of the output is row ``f + round(bins_per_octave * log2(harmonics[c]))`` of the input, zero where
    that lies outside.

    Parameters
    ----------
    harmonics
        Multiples of the fundamental.
    bins_per_octave, n_rows
        Resolution of the input, and how many rows (from the lowest bin) to keep.
    """

    def __init__(self, harmonics: tuple[float, ...], bins_per_octave: int, n_rows: int) -> None:
        super().__init__()
        self.shifts = tuple(round(bins_per_octave * math.log2(h)) for h in harmonics)
        self.n_rows = n_rows

    def forward(self, feature: Tensor) -> Tensor:
        """(B, F, T) to (B, harmonics, n_rows, T)."""
        height = feature.shape[1]
        channels = []
        for shift in self.shifts:
            low, high = max(shift, 0), min(shift + self.n_rows, height)
            channels.append(functional.pad(feature[:, low:high], (0, 0, low - shift, shift + self.n_rows - high)))
        return torch.stack(channels, dim=1)


def build_block(network: Network, block: tuple[int, int] | str) -> nn.Module:
    """A residual block of the trunk, as `Network.blocks` names it."""
    if isinstance(block, str):
        if block != "harmonic":
            raise ValueError(f"A block is a pair of dilations or 'harmonic', not {block!r}.")
        return HarmonicBlock(network.channels, harmonics=network.block_harmonics)
    return ResidualBlock(network.channels, dilation=block)


def within(x: Tensor, inner: Tensor) -> Tensor:
    """The frames of `x` that those of `inner` are in the middle of: an exported trunk ends where it knows no more."""
    around = (int(x.shape[-1]) - int(inner.shape[-1])) // 2
    return x[..., around:-around] if around else x


class SharedHead(nn.Module):
    """Onset, frame and offset logits from one hidden layer.

    Parameters
    ----------
    channels, hidden
        Of the trunk and of the hidden layer.
    offset
        Whether there is a third output.
    """

    reach = 1 + 1
    """Frames of context either side."""

    def __init__(self, channels: int, hidden: int, offset: bool) -> None:
        super().__init__()
        self.hidden = ConvNorm(channels, hidden, (3, 3))
        self.out = nn.Conv2d(hidden, 3 if offset else 2, (1, 3), padding=(0, 1))
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor(PRIORS).logit()[: self.out.out_channels])  # type: ignore[union-attr]

    def forward(self, trunk: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(B, C, 88, T) to three times (B, 88, T), ``None`` for what there is no output for."""
        onset, frame, *offset = self.out(self.hidden(trunk)).unbind(1)
        return onset, frame, offset[0] if offset else None


class TranscriberNet(nn.Module):
    """Log constant-Q power to logits and embedding; see the module's docstring.

    Parameters
    ----------
    network
        Channel counts and dilations.
    front_end
        The constant-Q settings the features come from.
    """

    def __init__(self, network: Network, front_end: FrontEnd = FrontEnd()) -> None:  # noqa: B008 - frozen
        super().__init__()
        self.network = network
        self.front_end = front_end
        n_rows = N_PITCHES * BINS_PER_PITCH
        width, head = network.channels, network.head_channels
        self.cqt = LearnedCQT(front_end) if network.learned_front_end else None
        self.log_power = LogPower(front_end.log_floor)
        self.stack = HarmonicStack(network.harmonics, front_end.bins_per_octave, n_rows)
        # Row r of a strided convolution is centred on bin 3 r, the centre of pitch r.
        self.stem = ConvNorm(len(network.harmonics), width, (5, 5), stride=BINS_PER_PITCH)
        # 25 semitones centred on the pitch, an octave either way; a channel each, the blocks after it mix them.
        self.octaves: nn.Module = ResidualBlock(width, (25, 3), groups=width) if network.octaves else nn.Identity()
        self.blocks = nn.Sequential(*(build_block(network, block) for block in network.blocks))
        self.head: SharedHead | None = None
        self.offset_hidden: ConvNorm | None = None
        if network.shared_head:
            self.head = SharedHead(width, head, network.offset_head)
        else:
            self._build_heads(width, head, network.offset_head)
        self.timbre: TimbreBranch | None = None
        if network.embedding_dim:
            self.timbre = TimbreBranch(
                len(network.harmonics),
                width,
                network.embedding_channels,
                network.embedding_dim,
                network.memory,
                network.phase,
                network.embedding_harmonic,
                network.embedding_by_pitch,
            )

    def _build_heads(self, width: int, head: int, offset: bool) -> None:
        onset_prior, frame_prior, offset_prior = PRIORS

        def out(hidden: int, prior: float) -> nn.Conv2d:
            conv = nn.Conv2d(hidden, 1, (1, 3), padding=(0, 1))
            nn.init.constant_(conv.bias, math.log(prior / (1 - prior)))  # type: ignore[arg-type]
            return conv

        # Engines compute sixteen channels at once: fewer cost as much.
        narrow = head // 2 if head > 16 else head
        self.neck = ConvNorm(width, head, (3, 3))
        self.frame_hidden = ConvNorm(head, narrow, (3, 3))
        self.frame_out = out(narrow, frame_prior)
        self.onset_hidden = ConvNorm(head + 1, head, (3, 5))
        self.onset_out = out(head, onset_prior)
        if offset:
            self.offset_hidden = ConvNorm(head + 1, narrow, (3, 5))
            self.offset_out = out(narrow, offset_prior)

    def forward(self, power: Tensor, phase: Tensor | None = None) -> Heard:
        """Run the network.

        Parameters
        ----------
        power
            (B, n_bins, T), normalised so that the recording's mean energy is one.
        phase
            (B, 2, n_bins, T) of `CQT.with_phase`, where the settings ask for it.
        """
        return self.with_trunk(power, phase)[1]

    def with_trunk(self, power: Tensor, phase: Tensor | None = None) -> tuple[Tensor, Heard]:
        """The trunk's features, (B, channels, 88, T), and what the heads make of them."""
        stack = self.stack(self.log_power(power))
        trunk = self.blocks(self.octaves(self.stem(stack)))
        onset, frame, offset = self._notes(trunk)
        embedding = self._embedding(stack, trunk, frame, phase)
        return trunk, Heard(onset, frame, embedding, offset)

    def _notes(self, trunk: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.head is not None:
            notes: tuple[Tensor, Tensor, Tensor | None] = self.head(trunk)
            return notes
        neck = self.neck(trunk)
        frame = self.frame_out(self.frame_hidden(neck))
        sounding = torch.sigmoid(frame)
        onset = self.onset_out(self.onset_hidden.beside(neck, sounding))
        offset = None
        if self.offset_hidden is not None:
            offset = self.offset_out(self.offset_hidden.beside(neck, sounding)).squeeze(1)
        return onset.squeeze(1), frame.squeeze(1), offset

    def embed(self, power: Tensor, phase: Tensor | None = None) -> Tensor:
        """The embedding alone, (B, D, 88, T); gradients reach the timbre branch and nothing else."""
        with torch.no_grad():
            stack = self.stack(self.log_power(power))
            trunk = self.blocks(self.octaves(self.stem(stack)))
            # Only a memory wants to know where notes sound.
            needed = self.timbre is not None and self.timbre.memory is not None
            frame = self._notes(trunk)[1] if needed else trunk[:, 0]
        embedding = self._embedding(stack, trunk, frame, phase)
        assert embedding is not None
        return embedding

    def _embedding(self, stack: Tensor, trunk: Tensor, frame: Tensor, phase: Tensor | None) -> Tensor | None:
        if self.timbre is None:
            return None
        if phase is not None:
            phase = within(torch.cat([self.stack(part) for part in phase.unbind(dim=1)], dim=1), trunk)
        return self.timbre(within(stack, trunk), trunk, frame[:, None], phase)

    @property
    def halo(self) -> int:
        """Frames of context that the convolutions need at either end of a chunk (a memory's context is the chunk)."""
        # With heads of their own the onset hears the frame posterior, which is itself heard in three steps.
        heads = SharedHead.reach if self.network.shared_head else 1 + 1 + 1 + 2 + 1
        blocks = sum(block[1] for block in self.network.blocks if not isinstance(block, str))
        reach = 2 + self.network.octaves + blocks + heads
        return max(reach, reach - heads + 3) if self.timbre is not None else reach


AnyNet: TypeAlias = TranscriberNet | BasicPitchTranscriber

ARCHITECTURES: dict[str, Callable[[Network, FrontEnd], AnyNet]] = {
    "transcriber": TranscriberNet,
    "basic-pitch": BasicPitchTranscriber,
}
"""What `Network.architecture` may name; a package outside adds its own (docs/extending.md)."""


def build_network(network: Network, front_end: FrontEnd = FrontEnd()) -> AnyNet:  # noqa: B008 - frozen
    """A new network of the architecture that `network` names, a key of `ARCHITECTURES`."""
    if network.architecture not in ARCHITECTURES:
        known = " or ".join(map(repr, ARCHITECTURES))
        raise ValueError(f"The architecture is {known}, not {network.architecture!r}.")
    return ARCHITECTURES[network.architecture](network, front_end)


def count_parameters(net: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


class Outputs(NamedTuple):
    """What `EndToEnd` returns; ``None`` for what the network has no head for."""

    onset: Tensor
    """(B, 88, T) in [0, 1]."""
    frame: Tensor
    """(B, 88, T) in [0, 1]."""
    level: Tensor
    """(B, n_bins, T) in dB."""
    embedding: Tensor | None = None
    """(B, D, 88, T)."""
    offset: Tensor | None = None
    """(B, 88, T) in [0, 1]."""


class Edges(nn.Module):
    """Takes `frames` at either end away."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """(..., T) to (..., T - 2 frames)."""
        return x[..., self.frames : -self.frames]


def widened(x: Tensor, whole: Tensor) -> Tensor:
    """`x` with zeros at both ends, as many frames as `whole` has."""
    around = (int(whole.shape[-1]) - int(x.shape[-1])) // 2
    return functional.pad(x, (around, around))


class EndToEnd(nn.Module):
    """Waveform to posteriors: front end, network and calibration in one module, the one that is exported.

    Parameters
    ----------
    net
        The trained network.
    onset_shift, frame_shift, offset_shift
        Added to the logits, so that the default thresholds are the best ones on development material.
    """

    def __init__(
        self, net: AnyNet, onset_shift: float = 0.0, frame_shift: float = 0.0, offset_shift: float = 0.0
    ) -> None:
        super().__init__()
        self.cqt = net.cqt if net.cqt is not None else CQT(net.front_end)
        self.net = net
        self.edges = Edges(self.cqt.halo)
        self.register_buffer("shifts", torch.tensor([onset_shift, frame_shift, offset_shift]), persistent=False)

    @property
    def halo(self) -> int:
        """Frames at either end of a chunk that are not valid."""
        return self.cqt.halo + self.net.halo

    def forward(self, audio: Tensor) -> Outputs:
        """(B, N) with mean energy one to posteriors."""
        power, phase = self.cqt.with_phase(audio) if self.net.network.phase else (self.cqt(audio), None)
        level = torch.log(power + 1e-12) * (10.0 / math.log(10.0))
        # What the front end does not know at the ends of a chunk, the network need not hear: a twelfth of its work. A
        # memory hears the whole chunk.
        inner = torch.onnx.is_in_onnx_export() and self.net.network.memory == "none"
        if inner:
            power, phase = self.edges(power), None if phase is None else self.edges(phase)
        onset, frame, embedding, offset = self.net(power, phase)
        shifts: Tensor = self.shifts  # type: ignore[assignment]
        outputs = (
            torch.sigmoid(onset + shifts[0]),
            torch.sigmoid(frame + shifts[1]),
            embedding,
            None if offset is None else torch.sigmoid(offset + shifts[2]),
        )
        if inner:
            outputs = tuple(None if o is None else widened(o, level) for o in outputs)  # type: ignore[assignment]
        return Outputs(outputs[0], outputs[1], level, *outputs[2:])
