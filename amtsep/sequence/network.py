"""An encoder-decoder that writes notes as tokens, on the frozen trunk of a network that hears pitches.

`base` has done most of the listening already: its features at 88 rows, its onset and frame logits and its timbre
embedding are brought onto the time grid of the vocabulary, a few channels a pitch, and a small transformer reads them
(pre-norm, sinusoidal positions) and writes tokens, one after the other, as in MT3 (Gardner et al. 2022).

What MT3 learns from thousands of hours is built in here, since hours are what we have few of. Tokens tell the time, so
the decoder can be told where it is: by the sinusoid of that time and what the encoder heard there. And two kinds of
tokens are pointed at rather than named (Vinyals, Fortunato and Jaitly 2015, *Pointer Networks*): a pitch by what is
heard of it at that time, in the same way for all pitches, and a time by the encoder's positions.

The layers are torch's, the decoder around them ours. T5 of `transformers`, made from a configuration, would serve as
well; but then training, and reading weights, would need one more package of seconds to import, whose caches of keys and
values have changed their interface several times, and two layers of 128 spend most of a step in its wrappers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import MIDI_MIN, N_PITCHES, SequenceNetwork
from amtsep.nets.layers import Heard
from amtsep.nets.model import EndToEnd, TranscriberNet
from amtsep.sequence.tokens import PAD, Grammar, Tokens, Vocabulary

LOGIT_SCALE = 0.25
"""Logits are several times as large as the other features."""
NEAR_STEPS = 9
"""Steps of the grid, of 10 ms, that what is heard of a pitch at one of them is taken from."""


class Listened(NamedTuple):
    """What the frozen part hears in a batch of clips."""

    features: Tensor
    """(B, C, 88, T) for the encoder."""
    heard: Heard
    level: Tensor
    """(B, n_bins, T) in dB."""


class Trunk(nn.Module):
    """Waveform to features, with weights that nothing changes.

    Parameters
    ----------
    ears
        A calibrated network.
    """

    def __init__(self, ears: EndToEnd) -> None:
        super().__init__()
        if not isinstance(ears.net, TranscriberNet):
            raise ValueError("Only a network of the architecture 'transcriber' has a trunk to read.")
        self.ears = ears
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        self.eval()

    @property
    def channels(self) -> int:
        """Of the features: the trunk's, two logits, the embedding."""
        network = self.ears.net.network
        return network.channels + 2 + network.embedding_dim

    def train(self, mode: bool = True) -> Trunk:
        """Stay in evaluation mode: the running statistics are frozen with the weights."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, audio: Tensor, fast: bool = False) -> Listened:
        """(B, N) with mean energy one; `fast` runs the network, not the front end, in bfloat16, as for training."""
        net = self.ears.net
        assert isinstance(net, TranscriberNet)
        power, phase = self.ears.cqt.with_phase(audio) if net.network.phase else (self.ears.cqt(audio), None)
        with torch.autocast(audio.device.type, torch.bfloat16, enabled=fast):
            trunk, heard = net.with_trunk(power, phase)
        logits = torch.stack([heard.onset, heard.frame], dim=1) * LOGIT_SCALE
        parts = [trunk, logits] + ([heard.embedding] if heard.embedding is not None else [])
        level = torch.log(power + 1e-12) * (10.0 / math.log(10.0))
        return Listened(torch.cat(parts, dim=1).to(power), heard, level)


def on_steps(features: Tensor, start_s: Tensor, hop_s: float, steps: int, step_s: float) -> Tensor:
    """Features of segments at the steps of a grid, interpolated between frames.

    Parameters
    ----------
    features
        (B, C, R, T); frame t is centred on ``t * hop_s``.
    start_s
        (B,) seconds at which the segments begin; beyond the frames, the nearest is taken.
    hop_s, steps, step_s
        Of the frames, and of the grid.

    Returns
    -------
    Tensor
        (B, C, R, steps).
    """
    n_frames = features.shape[3]
    time = start_s[:, None] + torch.arange(steps, device=features.device) * step_s
    place = (time / hop_s).clamp(0, n_frames - 1)
    low = place.floor().long().clamp(max=max(n_frames - 2, 0))
    share = (place - low).to(features.dtype)[:, None, None, :]
    shape = (features.shape[0], features.shape[1], features.shape[2], steps)
    before = features.gather(3, low[:, None, None, :].expand(shape))
    after = features.gather(3, (low + 1).clamp(max=n_frames - 1)[:, None, None, :].expand(shape))
    return before + share * (after - before)


def sinusoids(places: Tensor, width: int) -> Tensor:
    """Of Vaswani et al. (2017) at `places` (...), whole numbers or between them; (..., width)."""
    rate = torch.exp(torch.arange(0, width, 2, device=places.device) * (-math.log(10000.0) / width))
    angle = places[..., None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)[..., :width]


def positions(count: int, width: int, first: int = 0) -> Tensor:
    """(count, width) sinusoids from position `first` on."""
    return sinusoids(torch.arange(first, first + count), width)


class Attention(nn.Module):
    """Multi-head attention whose keys and values can be kept from step to step."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of (B, N, width), each (B, heads, N, width / heads)."""
        key, value = self.key_value(x).chunk(2, dim=2)
        return self._split(key), self._split(value)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
        """(B, M, width) looks at keys and values."""
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(x)), key, value, dropout_p=dropout, is_causal=causal
        )
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


Kept = tuple[Tensor, Tensor]
"""Keys and values."""


class DecoderLayer(nn.Module):
    """Looks back at the tokens said so far, then at what the encoder heard."""

    def __init__(self, network: SequenceNetwork) -> None:
        super().__init__()
        width = network.width
        self.own = Attention(width, network.heads, network.dropout)
        self.heard = Attention(width, network.heads, network.dropout)
        self.forward_ = nn.Sequential(
            nn.Linear(width, network.feed_forward), nn.GELU(), nn.Linear(network.feed_forward, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.drop = nn.Dropout(network.dropout)

    def forward(self, x: Tensor, memory: Kept, before: Kept | None = None) -> tuple[Tensor, Kept]:
        """(B, M, width) to the same, and keys and values of all tokens so far; with `before`, M is 1."""
        normed = self.norms[0](x)
        key, value = self.own.keys(normed)
        if before is not None:
            key, value = torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)
        x = x + self.drop(self.own(normed, key, value, causal=before is None))
        x = x + self.drop(self.heard(self.norms[1](x), *memory))
        return x + self.drop(self.forward_(self.norms[2](x))), (key, value)


class Encoded(NamedTuple):
    """What the decoder looks at, of B segments."""

    memory: Tensor
    """(B, positions, width)."""
    near: Tensor
    """What is heard of every pitch at every step of the grid, (B, steps, pointers * 88)."""

    @classmethod
    def joined(cls, parts: Sequence[Encoded]) -> Encoded:
        """Of several batches."""
        return cls(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))

    def some(self, which: slice) -> Encoded:
        """Of some of the segments."""
        return Encoded(self.memory[which], self.near[which])


@dataclass
class Cache:
    """What a decoder keeps of a batch of segments between two tokens."""

    heard: Encoded
    memory: list[Kept]
    """Keys and values of what was heard, a layer each."""
    moments: Tensor
    """Keys of the steps of the grid, (B, steps, width / heads)."""
    clock: Tensor
    """Step of the grid that the tokens said so far have come to, (B,) int64."""
    own: list[Kept] = field(default_factory=list)
    """Of the tokens said so far, a layer each; empty before the first."""

    @property
    def length(self) -> int:
        """Tokens said so far."""
        return self.own[0][0].shape[2] if self.own else 0


class SequenceNet(nn.Module):
    """Encoder and decoder on a frozen trunk.

    Parameters
    ----------
    network
        Shape.
    trunk
        What listens.
    """

    def __init__(self, network: SequenceNetwork, trunk: Trunk) -> None:
        super().__init__()
        self.network, self.trunk = network, trunk
        self.vocabulary = Vocabulary(network.vocabulary)
        width = network.width
        self.squeeze = nn.Sequential(nn.Conv2d(trunk.channels, network.channels, 1), nn.GELU())
        self.fold = nn.Linear(network.channels * N_PITCHES * network.pool, width)
        self.near = nn.Sequential(
            nn.Conv2d(network.channels, network.pointers, (1, NEAR_STEPS), padding=(0, NEAR_STEPS // 2)),
            nn.GELU(),
            nn.Conv2d(network.pointers, network.pointers, 1),
        )
        self.now = nn.Linear(width, width, bias=False)
        self.moments = nn.Linear(width, network.pool * width // network.heads, bias=False)
        self.to_pitch = nn.Linear(width, network.pointers, bias=False)
        self.to_time = nn.Linear(width, width // network.heads, bias=False)
        layer = nn.TransformerEncoderLayer(
            width, network.heads, network.feed_forward, network.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, network.encoder_layers, nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.tokens = nn.Embedding(len(self.vocabulary), width)
        self.layers = nn.ModuleList(DecoderLayer(network) for _ in range(network.decoder_layers))
        self.norm = nn.LayerNorm(width)
        # Not tied to the embedding: a network that begins by saying the last token again has that to unlearn first.
        self.out = nn.Linear(width, len(self.vocabulary), bias=False)
        self.drop = nn.Dropout(network.dropout)
        nn.init.normal_(self.tokens.weight, std=width**-0.5)
        nn.init.normal_(self.out.weight, std=0.1 * width**-0.5)

    @property
    def hop_s(self) -> float:
        """Seconds between two frames of the features."""
        return self.trunk.ears.net.front_end.hop_s

    def encode(self, features: Tensor, start_s: Tensor, hop_s: float | None = None) -> Encoded:
        """What the decoder looks at.

        Parameters
        ----------
        features
            (B, C, 88, T) of the trunk.
        start_s
            (B, S) seconds at which the segments of each clip begin.
        hop_s
            Of the features, where the recording was brought to another pitch.

        Returns
        -------
        Encoded
            Of B * S segments, a clip's one after the other.
        """
        vocabulary, pool = self.vocabulary, self.network.pool
        small = self.squeeze(features).repeat_interleave(start_s.shape[1], dim=0)
        grid = on_steps(small, start_s.flatten(), hop_s or self.hop_s, vocabulary.steps, vocabulary.step_s)
        near = self.near(grid).permute(0, 3, 1, 2).flatten(2)
        grid = grid[..., : vocabulary.steps // pool * pool].unflatten(3, (-1, pool))
        joined = self.fold(grid.permute(0, 3, 1, 2, 4).flatten(2))
        places = positions(joined.shape[1], joined.shape[2]).to(joined)
        return Encoded(self.encoder(self.drop(joined + places)), near)

    def remember(self, encoded: Encoded) -> Cache:
        """A cache before the first token."""
        memory = [layer.heard.keys(encoded.memory) for layer in self.layers]  # type: ignore[union-attr, operator]
        clock = torch.zeros(len(encoded.memory), dtype=torch.long, device=encoded.memory.device)
        moments = self.moments(encoded.memory).unflatten(2, (self.network.pool, -1)).flatten(1, 2)
        return Cache(encoded, memory, moments, clock)

    def decode(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Logits of what follows each of `tokens`.

        Parameters
        ----------
        tokens
            (B, M) int64; more than one only into an empty cache.
        cache
            Holds the tokens before, and these afterwards.

        Returns
        -------
        Tensor
            (B, M, len(vocabulary)).
        """
        width, pool = self.network.width, self.network.pool
        heard, clock = cache.heard, self._clock(tokens, cache)
        x = self.tokens(tokens) * math.sqrt(width)
        place = (clock // pool).clamp(max=heard.memory.shape[1] - 1)
        x = x + sinusoids(clock / pool, width).to(x) + self.now(rows_at(heard.memory, place))
        x = self.drop(x + positions(tokens.shape[1], width, cache.length).to(x))
        own: list[Kept] = []
        for index, layer in enumerate(self.layers):
            x, kept = layer(x, cache.memory[index], cache.own[index] if cache.own else None)
            own.append(kept)
        cache.own, cache.clock = own, clock[:, -1]
        x = self.norm(x)
        logits: Tensor = self.out(x)
        pitches, times = (self.vocabulary.ranges[kind].start for kind in ("pitch", "time"))
        near = rows_at(heard.near, clock).unflatten(2, (self.network.pointers, N_PITCHES))
        pointed = (self.to_pitch(x)[:, :, None] @ near)[:, :, 0] * self.network.pointers**-0.5
        when = self.to_time(x) @ cache.moments.transpose(1, 2) * cache.moments.shape[2] ** -0.5
        count = logits.shape[2]
        logits = logits + functional.pad(pointed, _around(pitches + MIDI_MIN, N_PITCHES, count))
        return logits + functional.pad(when, _around(times, when.shape[2], count))

    def _clock(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Step of the grid that each token is said at, (B, M): the latest that has been named."""
        times = self.vocabulary.ranges["time"]
        named = torch.where((tokens >= times.start) & (tokens < times.stop), tokens - times.start, 0)
        return torch.maximum(torch.cummax(named, dim=1).values, cache.clock[:, None])

    def forward(self, features: Tensor, start: Tensor, tokens: Tensor) -> Tensor:
        """Logits of every token of the truth, each from those before it (teacher forcing).

        Parameters
        ----------
        features
            (B, C, 88, T) of the trunk.
        start
            (B, S) int64, samples at which segments begin: whole numbers, which half precision leaves alone.
        tokens
            (B * S, L) int64, padded.
        """
        encoded = self.encode(features, start / self.trunk.ears.net.front_end.sample_rate)
        said = functional.pad(tokens[:, :-1], (1, 0), value=PAD)
        return self.decode(said, self.remember(encoded))


def rows_at(table: Tensor, index: Tensor) -> Tensor:
    """Of each segment's rows (B, N, D) those numbered (B, M) int64; (B, M, D)."""
    first = torch.arange(len(table), device=table.device)[:, None] * table.shape[1]
    # An embedding's gradient is summed in parallel, that of an index is not.
    return functional.embedding(first + index, table.flatten(0, 1))


def _around(first: int, size: int, count: int) -> tuple[int, int]:
    """Zeros before and behind a part of `count` values."""
    return first, count - first - size


def sequence_loss(logits: Tensor, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy over the tokens that are no padding; (B, L, V) logits, (B, L) tokens."""
    return functional.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten(), ignore_index=PAD,
                                    label_smoothing=smoothing)  # fmt: skip


@torch.no_grad()
def greedy(net: SequenceNet, encoded: Encoded, cached: bool = True) -> list[Tokens]:
    """The likeliest legal token, again and again, until every segment has ended.

    The segments of a batch do not wait for each other: none knows what the one before left sounding, so any pitch may
    be tied, and `amtsep.sequence.tokens.decode` passes over ties of what did not sound. Constrained ties would need
    the segments one by one, which costs as many times the steps as there are segments in a batch.

    Parameters
    ----------
    net
        In evaluation mode.
    encoded
        Of `SequenceNet.encode`.
    cached
        ``False`` goes through all tokens anew at every step: only to show what the cache saves.

    Returns
    -------
    list of Tokens
        Of each segment; without ``end`` where there was no room for it.
    """
    count, device = len(encoded.memory), encoded.memory.device
    grammars = [Grammar(net.vocabulary) for _ in range(count)]
    said = torch.full((count, 1), PAD, dtype=torch.long, device=device)
    cache = net.remember(encoded)
    start = replace(cache)
    for _ in range(net.network.max_tokens):
        # Without the cache all tokens go through the layers again.
        rows, kept = (said[:, -1:], cache) if cached else (said, replace(start))
        logits = net.decode(rows, kept)[:, -1]
        legal = torch.from_numpy(np.stack([grammar.allowed() for grammar in grammars])).to(device)
        chosen = logits.float().masked_fill(~legal, -torch.inf).argmax(dim=1)
        said = torch.cat([said, chosen[:, None]], dim=1)
        for grammar, token in zip(grammars, chosen.tolist(), strict=True):
            grammar.push(token)
        if all(grammar.ended for grammar in grammars):
            break
    table = said[:, 1:].cpu().numpy().astype(np.int32)
    return [row[row != PAD] for row in table]
