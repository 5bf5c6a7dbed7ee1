"""Fit the encoder of whole notes (`amtsep.clustering.encoder`) to what a network hears of a bank's mixes.

What is heard lies in files of some mixes each in a folder of the network's own: a hearing that was broken off goes on,
and another network hears anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.clustering.encoder import NoteEncoder, encoder_inputs, own_beside, pack, unpack
from amtsep.config import FrontEnd
from amtsep.decoding import decode, pooled_embeddings, with_stretches
from amtsep.evaluation.readers import recordings
from amtsep.files import replacing
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.guard import refuse_recording, refuse_stems
from amtsep.training.timbres.hearing import HeardMix, load_examples, save_examples
from amtsep.training.timbres.recurring import MIXING, SEED, RecurringMixer

Values = NDArray[np.float32]
SHARD = 60
"""Mixes of a file."""
FEWEST_NOTES = 8
"""Of a mix that is kept."""
FEWEST_OF_A_PART = 4
"""Notes of a part that anybody could tell."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A mix as a network hears it; the embedding of `example.heard` is that of `with_stretches`, (n, 3 D).

    Parameters
    ----------
    example
        Notes heard and played.
    timbres, families
        Name and family of every part's timbre; empty where nobody knows.
    """

    example: HeardMix
    timbres: list[str]
    families: list[str]

    @property
    def parts(self) -> int:
        """How many timbres there are to be told apart."""
        return int(np.count_nonzero(np.bincount(self.example.truth.track) >= FEWEST_OF_A_PART))

    def plain(self) -> HeardMix:
        """With the network's own embedding."""
        heard = self.example.heard
        return HeardMix(
            replace(heard, embedding=heard.embedding[:, : heard.embedding.shape[1] // 3]), self.example.truth
        )

    def encoded(self, encoder: NoteEncoder) -> HeardMix:
        """With the encoder's embedding."""
        heard = self.example.heard
        return HeardMix(replace(heard, embedding=encoder(heard.pitch, heard.embedding)), self.example.truth)


def heard_notes(posteriors: Posteriors) -> Notes:
    """The notes that a network hears, with all that an encoder looks at."""
    notes = decode(posteriors)
    pooled = pooled_embeddings(notes, posteriors)
    return replace(notes, embedding=with_stretches(notes, posteriors, pooled))


def hear_bank(
    bank: Bank, transcriber: Transcriber, split: str, count: int, folder: Path, seed: int = SEED
) -> list[Heard]:
    """Mixes of a bank as a network hears them; those that lie in `folder` are not heard again."""
    refuse_stems(bank.stems)
    mixing = replace(MIXING, clip_s=min(MIXING.clip_s, bank.clip_s))
    mixer = RecurringMixer(bank, mixing, FrontEnd(), seed, split)
    found: list[Heard] = []
    for first in range(0, count, SHARD):
        last = min(first + SHARD, count)
        path = folder / f"{split}-{bank.digest}-{first:05d}-{last:05d}.npz"
        if not path.is_file():
            heard = [hear_mix(mixer, transcriber, index) for index in range(first, last)]
            save(path, [mix for mix in heard if mix is not None])
            print(f"{path.name}: {sum(mix is not None for mix in heard)} mixes", flush=True)
        found += load(path)
    return found


def hear_mix(mixer: RecurringMixer, transcriber: Transcriber, index: int) -> Heard | None:
    """One of them; ``None`` where hardly anything is heard or played."""
    drawn = mixer.drawn(index)
    rows = drawn.notes[(drawn.notes[:, 0] >= 0.0) & (drawn.notes[:, 1] > drawn.notes[:, 0])]
    if not len(rows):
        return None
    sound = Audio(drawn.audio * np.float32(0.1), mixer.front_end.sample_rate, f"mix {index}")
    notes = heard_notes(transcriber(sound))
    if len(notes) < FEWEST_NOTES:
        return None
    truth = Notes.build(rows[:, 0], rows[:, 1], rows[:, 2], track=rows[:, 3].astype(int))
    return Heard(HeardMix(notes, truth), drawn.timbres, drawn.families)


def hear_solos(root: Path, transcriber: Transcriber, every: int, folder: Path) -> list[Heard]:
    """Recorded guitar solos of GuitarSet's training half, each third by default: for the number of timbres alone."""
    path = folder / f"guitarset-{every}.npz"
    if not path.is_file():
        chosen = recordings("guitarset", root)[::every]
        for recording in chosen:
            refuse_recording("guitarset", recording.name, recording.split)
        found = []
        for recording in chosen:
            notes = heard_notes(transcriber(Audio(recording.audio(), FrontEnd().sample_rate, recording.name)))
            if len(notes) >= FEWEST_NOTES:
                found.append(Heard(HeardMix(notes, recording.reference), [], []))
        save(path, found)
        print(f"{path.name}: {len(found)} takes", flush=True)
    return load(path)


def save(path: Path, mixes: Sequence[Heard]) -> None:
    """Write mixes, and beside them who plays."""
    with replacing(path.with_suffix(".json")) as temporary:
        names = [{"timbres": mix.timbres, "families": mix.families} for mix in mixes]
        temporary.write_text(json.dumps(names), encoding="utf-8")
    with replacing(path) as temporary, temporary.open("wb") as file:
        save_examples(file, [mix.example for mix in mixes])


def load(path: Path) -> list[Heard]:
    """What `save` wrote."""
    names = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    examples = load_examples(path)
    return [Heard(example, **name) for example, name in zip(examples, names, strict=True)]


@dataclass(frozen=True)
class Fitting:
    """How an encoder is fitted.

    Parameters
    ----------
    width, outputs, own
        Of the network; see `NoteEncoder`.
    steps
        Of AdamW, with one cycle of the learning rate.
    mixes, notes
        Of a step, and of each mix at most.
    temperature
        Of both contrasts.
    far
        How much more a companion counts for every octave between the two notes, two at most.
    identity
        Weight of the contrast by timbre over all mixes of a step.
    noise
        Deviation of what is added to the inputs, in their own.
    """

    width: int = 128
    outputs: int = 16
    own: float = 2.0
    steps: int = 1000
    mixes: int = 16
    notes: int = 64
    learning_rate: float = 2e-3
    temperature: float = 0.1
    far: float = 1.0
    identity: float = 0.3
    noise: float = 0.1
    dropout: float = 0.1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Table:
    """A mix as a fitting sees it: inputs, pitch, and of every note the numbers of part (or -1), timbre and family."""

    inputs: Values
    pitch: Values
    part: NDArray[np.intp]
    timbre: NDArray[np.intp]
    family: NDArray[np.intp]

    def some(self, chosen: NDArray[Any]) -> Table:
        """Some of the notes."""
        return Table(*(getattr(self, field.name)[chosen] for field in fields(self)))


def tables_of(mixes: Sequence[Heard], inputs: Sequence[Values]) -> list[Table]:
    """Mixes of two and more parts, with what is looked at of the notes of each mix."""
    names: dict[tuple[str, str], int] = {}

    def numbers(kind: str, own: Sequence[str], part: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.array([names.setdefault((kind, name), len(names)) for name in own], np.intp)[part]

    tables = []
    for mix, seen in zip(mixes, inputs, strict=True):
        part = mix.example.labels()
        if len(np.unique(part[part >= 0])) > 1:
            who, what = numbers("timbre", mix.timbres, part), numbers("family", mix.families, part)
            tables.append(Table(seen, mix.example.heard.pitch.astype(np.float32), part, who, what))
    return tables


def fit_encoder(mixes: Sequence[Heard], networks: Sequence[str], fitting: Fitting = Fitting()) -> NoteEncoder:  # noqa: B008
    """An encoder for networks (first digits of their hash), fitted to mixes of a bank as one of them hears them.

    Of a note, others of its part stand against notes of other parts (InfoNCE over pairs, those far away in pitch
    counting more), and of a step's notes those of one timbre against those of other families.

    Raises
    ------
    ValueError
        If no mix has two parts.
    """
    import torch

    heard = [mix.example.heard for mix in mixes]
    tables = tables_of(mixes, [encoder_inputs(notes.pitch, notes.embedding) for notes in heard])
    tables = [table.some(table.part >= 0) for table in tables]
    if not tables:
        raise ValueError("No mix has notes of two timbres; there is nothing to learn from.")
    every = np.concatenate([table.inputs for table in tables])
    mean, scale = every.mean(axis=0), every.std(axis=0) + np.float32(0.05)
    torch.manual_seed(fitting.seed)
    rng = np.random.default_rng(fitting.seed)
    net = _network(every.shape[1], fitting)

    def loss() -> Any:
        batch = _batch(rng, tables, fitting)
        inputs = np.concatenate([table.inputs for table in batch])
        x = (inputs - mean) / scale
        x += np.float32(fitting.noise) * rng.standard_normal(x.shape, np.float32)
        # It learns what the network's own embedding lacks: that stands beside it, as it will.
        own = torch.from_numpy(own_beside(inputs, fitting.own))
        z = torch.cat([net(torch.from_numpy(x)) / (1.0 + fitting.own) ** 0.5, own], dim=1)
        return contrast(z, batch, fitting)

    descend(net, fitting, loss)
    layers = [(layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in net.layers]
    matrix, bias = layers[0]
    layers[0] = matrix / scale[:, None], bias - (mean / scale) @ matrix
    # As its file holds it.
    return NoteEncoder(tuple(networks), fitting.own, tuple((unpack(pack(a)), unpack(pack(b))) for a, b in layers))


def descend(net: Any, fitting: Fitting, loss_of: Callable[[], Any]) -> None:
    """Bring down the loss that every step draws anew."""
    import torch

    optimizer = torch.optim.AdamW(net.parameters(), lr=fitting.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, fitting.learning_rate, total_steps=fitting.steps, pct_start=0.08
    )
    for step in range(fitting.steps):
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: {loss.item():.3f}", flush=True)


def _network(inputs: int, fitting: Fitting) -> Any:
    """The network of `NoteEncoder` for torch: notes (n, inputs) to unit vectors (n, outputs)."""
    from torch import Tensor, nn
    from torch.nn import functional

    width = fitting.width
    sizes = [(inputs, width), *[(width, width)] * 4, (width, fitting.outputs)]

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(*size) for size in sizes)

        def forward(self, x: Tensor) -> Tensor:
            first, *inner, last = self.layers
            x = first(x)
            for narrow, lift in zip(inner[::2], inner[1::2], strict=True):
                h = functional.relu(narrow(functional.layer_norm(x, (width,))))
                x = x + lift(functional.dropout(h, fitting.dropout, self.training))
            return functional.normalize(last(functional.layer_norm(x, (width,))), dim=-1)

    return Encoder()


def _batch(rng: np.random.Generator, tables: Sequence[Table], fitting: Fitting) -> list[Table]:
    """Some mixes, and of each some notes."""
    chosen = rng.choice(len(tables), min(fitting.mixes, len(tables)), replace=False)
    return [tables[index].some(nearby(rng, len(tables[index].pitch), fitting.notes)) for index in chosen]


def nearby(rng: np.random.Generator, count: int, most: int) -> NDArray[np.intp]:
    """Some of so many notes that lie near one another."""
    begin = rng.integers(max(count - 2 * most, 0) + 1)
    return np.asarray(np.sort(rng.permutation(min(count, 2 * most))[:most]) + begin, np.intp)


def contrast(z: Any, batch: Sequence[Table], fitting: Fitting) -> Any:
    """Of parts within each mix, and of timbres over all; `z` holds a unit vector for each of their notes, in order."""
    return _apart(z, batch, fitting) + fitting.identity * _alike(z, batch, fitting)


def _apart(z: Any, batch: Sequence[Table], fitting: Fitting) -> Any:
    """Contrast of parts within each mix."""
    import torch
    from torch.nn import functional

    total, count, begin = torch.zeros(()), 0, 0
    for table in batch:
        n = len(table.pitch)
        own = z[begin : begin + n]
        begin += n
        alike = table.part[:, None] == table.part
        distance = np.minimum(np.abs(table.pitch[:, None] - table.pitch) / 12.0, 2.0)
        weight = (alike & ~np.eye(n, dtype=bool)) * (1.0 + fitting.far * distance)
        weight *= (~alike).any(axis=1)[:, None]
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-6)
        likeness = own @ own.T / fitting.temperature
        against = torch.logsumexp(likeness.masked_fill(torch.from_numpy(alike), -1e4), 1)[:, None]
        total = total + (torch.from_numpy(weight.astype(np.float32)) * functional.softplus(against - likeness)).sum()
        count += int((weight.sum(axis=1) > 0).sum())
    return total / max(count, 1)


def _alike(z: Any, batch: Sequence[Table], fitting: Fitting) -> Any:
    """Contrast of timbres over the mixes; notes of one family are not held against each other."""
    import torch

    timbre, family = (np.concatenate([getattr(table, name) for table in batch]) for name in ("timbre", "family"))
    some = np.arange(0, len(timbre), max(len(timbre) // 400, 1))
    who, what = timbre[some], family[some]
    same = torch.from_numpy((who[:, None] == who) & ~np.eye(len(some), dtype=bool))
    rivals = same | torch.from_numpy(what[:, None] != what)
    near = z[torch.from_numpy(some)]
    score = near @ near.T / fitting.temperature
    chance = score - torch.logsumexp(score.masked_fill(~rivals, -1e4), 1, keepdim=True)
    companions = same.sum(1)
    there = companions > 0
    return -((chance * same).sum(1)[there] / companions[there]).mean() if bool(there.any()) else torch.zeros(())
