"""Embeddings of notes by all that is known of each over its whole length: what a second stage could be.

What ships of it is `amtsep.clustering.encoder`; this is the research with inputs and context that did not.

    python benchmarks/note_encoder.py hear --bank bank --model base --split train --count 1800 --out mixes.npz
    python benchmarks/note_encoder.py hear --bank bank --model base --split dev --count 210 --out dev.npz
    python benchmarks/note_encoder.py hear --dataset slakh --root DATA/slakh --model base --out slakh.npz
    python benchmarks/note_encoder.py fit mixes.npz --inputs embedding spectrum posteriors --context --out encoder.pt
    python benchmarks/note_encoder.py encode slakh.npz --encoder encoder.pt --out slakh-encoded.npz
    python benchmarks/clustering.py agreement slakh-encoded.npz --f1

`hear` writes what `amtsep.training.timbres` writes, and what the encoder looks at beside it (``NAME.inputs.npz``), so
that everything that reads examples, `timbres fit` too, reads encoded ones. A mix is a clip of 15 s as training draws
them, or, each third, 30 s in which every timbre plays two of its stems; with drums, rooms and noise.

The encoder is a small residual network over the notes; with ``--context`` two layers of attention between the notes
of a recording stand in it. It is trained by InfoNCE: of a note, others of its part (more so far away in pitch) against
notes of other parts; and over the mixes of a step by timbre, where notes of one family are not held against each other.
What it brings, and where it does harm, is in docs/experiments.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.clustering.encoder import encoder_inputs
from amtsep.config import MIDI_MIN, FrontEnd
from amtsep.evaluation.readers import DATASETS, recordings
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.synthesis.bank import Bank
from amtsep.training.timbres.encoder import (
    Fitting,
    Heard,
    contrast,
    descend,
    hear_mix,
    heard_notes,
    nearby,
    tables_of,
)
from amtsep.training.timbres.hearing import HeardMix, load_examples, save_examples
from amtsep.training.timbres.recurring import MIXING, SEED, RecurringMixer

Values = NDArray[np.float32]
Inputs = dict[str, Values]

STEPS = np.array([-6, -4, -2, *range(-1, 13), 14, 17, 21, 26, 32, 40, 50, 64, 80, 100, 128])
"""Frames from the onset in which a note is looked at."""
WIDTH = np.gradient(STEPS.astype(float))
STRETCHES = ((0, 5), (6, 14), (15, 128))
"""Frames of the attack, of what follows it, and of the rest."""
HARMONICS, SHOWN = 16, 12
OCTAVES = np.arange(0.0, 8.01, 0.5)
"""Over A0: where the envelope over frequency is read."""


def posterior_inputs(notes: Notes, posteriors: Posteriors) -> Values:
    """Onset and frame posteriors around the onset, and the height of the peak, (n, 39)."""
    first = np.clip(np.round(notes.onset / posteriors.hop_s).astype(int), 0, posteriors.n_frames - 1)
    frames = np.clip(first[:, None] + np.arange(-8, 17), 0, posteriors.n_frames - 1)
    row = notes.pitch.astype(int)[:, None] - MIDI_MIN
    onset, frame = posteriors.onset[row, frames], posteriors.frame[row, frames[:, ::2]]
    return np.hstack([onset, frame, notes.confidence[:, None]]).astype(np.float32)


def covered(bins: NDArray[Any], first: NDArray[Any], last: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """How many notes have a harmonic on, or beside, every bin of the spectrogram, (bins, T)."""
    count = np.zeros((shape[0], shape[1] + 1), np.int16)
    for shift in (-1, 0, 1):
        note, harmonic = np.nonzero((bins + shift >= 0) & (bins + shift < shape[0]))
        np.add.at(count, (bins[note, harmonic] + shift, first[note]), 1)
        np.add.at(count, (bins[note, harmonic] + shift, last[note]), -1)
    return np.cumsum(count, axis=1)[:, : shape[1]]


def mean_of(values: NDArray[Any], weight: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    """Weighted mean along an axis, 0 where nothing weighs."""
    return np.asarray((values * weight).sum(axis) / np.maximum(weight.sum(axis), 1e-6))


def spectrum_inputs(notes: Notes, posteriors: Posteriors) -> Values:
    """Levels of the harmonics, the envelope over frequency, and how both change while a note sounds, (n, 238).

    Levels are in units of about 20 dB against the note's loudest harmonic. Where another note's harmonic lies on the
    same bin, the moments without it count, and beside every level stands the share of such moments.
    """
    n_bins, n_frames = posteriors.spectrogram.shape
    level = posteriors.level_db()
    top = level.copy()
    np.maximum(top[:-1], level[1:], out=top[:-1])
    np.maximum(top[1:], level[:-1], out=top[1:])
    first = np.clip(np.round(notes.onset / posteriors.hop_s).astype(int), 0, n_frames - 1)
    last = np.maximum(np.round(notes.offset / posteriors.hop_s).astype(int), first + 3)
    shift = np.round(posteriors.bins_per_octave * np.log2(np.arange(1, HARMONICS + 1))).astype(int)
    lowest = (notes.pitch.astype(int) - MIDI_MIN) * (posteriors.bins_per_octave // 12)
    bins = lowest[:, None] + shift
    owners = covered(bins, first, np.minimum(last + 2, n_frames), (n_bins, n_frames))
    frames = first[:, None] + STEPS
    there = (frames >= 0) & (frames < n_frames) & ((frames < last[:, None]) | (STEPS < 3))
    frames, inside = np.clip(frames, 0, n_frames - 1), bins < n_bins
    at = np.minimum(bins, n_bins - 1)
    heard = inside[:, :, None] & there[:, None]
    clear = heard & (owners[at[:, :, None], frames[:, None]] <= 1)
    own = top[at[:, :, None], frames[:, None]]
    sounding = heard * (WIDTH * (STEPS >= 1))
    reference = np.where(sounding.any(-1), mean_of(own, sounding), -120.0)[:, :10].max(1)
    own = own - reference[:, None, None]

    columns: list[NDArray[Any]] = []
    kernel = np.exp(-0.5 * ((bins[:, :, None] / posteriors.bins_per_octave - OCTAVES) / 0.3) ** 2) * inside[:, :, None]
    for begin, end in STRETCHES:
        weight = WIDTH * np.isin(STEPS, np.arange(begin, end + 1))
        known = (heard * weight).sum(-1)
        share = (clear * weight).sum(-1) / np.maximum(known, 1e-6)
        loud = np.where(share > 0.25, mean_of(own, clear * weight), mean_of(own, heard * weight))
        loud = np.where(known > 0, np.clip(loud, -60.0, 20.0) / 20.0, 0.0)
        near = kernel * (share[:, :, None] + 0.02)
        envelope = np.where(near.sum(1) > 0.05, mean_of(loud[:, :, None], near, 1), 0.0)
        columns += [loud[:, :SHOWN], share[:, :SHOWN], known[:, :1] > 0, envelope, np.minimum(near.sum(1), 1.0)]
    trust = clear + 0.05 * heard
    power = mean_of(10.0 ** (np.clip(own[:, :8], -80.0, 30.0) / 10.0), trust[:, :8], 1)
    columns += [there * np.clip(10.0 * np.log10(power + 1e-7), -50.0, 20.0) / 15.0, there[:, 6::3]]
    seconds = STEPS * posteriors.hop_s
    for low, high in ((0, 2), (2, 5), (5, 12)):
        weight = (trust[:, low:high] * (WIDTH * (STEPS >= 4))).sum(1)
        value = mean_of(own[:, low:high], trust[:, low:high], 1)
        time = seconds - mean_of(seconds, weight)[:, None]
        around = value - mean_of(value, weight)[:, None]
        slope = (weight * time * around).sum(1) / ((weight * time**2).sum(1) + 0.01)
        rest = np.sqrt(mean_of((around - slope[:, None] * time) ** 2, weight))
        columns += [np.clip(slope, -100.0, 60.0)[:, None] / 30.0, np.minimum(rest, 15.0)[:, None] / 5.0]
    for harmonic in range(6):
        centre = np.clip(at[:, harmonic], 1, n_bins - 2)[:, None]
        below, here, above = (10.0 ** (level[centre + step, frames] / 10.0) for step in (-1, 0, 1))
        bend = (above - below) / (below + here + above + 1e-12)
        weight = clear[:, harmonic] * (WIDTH * (STEPS >= 4))
        middle = mean_of(bend, weight)
        columns += [middle[:, None], 4.0 * np.sqrt(mean_of((bend - middle[:, None]) ** 2, weight))[:, None]]
    for harmonic in range(1, 5):
        between = lowest + round(posteriors.bins_per_octave * np.log2(harmonic + 0.5))
        cell = np.minimum(between, n_bins - 1)[:, None], frames
        weight = WIDTH * (there & (STEPS >= 1) & (owners[cell] < 1))
        noise = np.clip(mean_of(level[cell], weight) - reference, -60.0, 20.0) / 20.0
        columns.append(np.where(weight.any(1) & (between < n_bins), noise, -1.5)[:, None])
    loudest = np.percentile(level.max(axis=0), 98)
    columns.append(np.log(np.clip(notes.duration, 0.05, 4.0) / 0.3)[:, None])
    columns.append(np.stack([(reference - loudest) / 20.0, notes.velocity / 40.0 - 1.5], axis=1))
    return np.hstack(columns).astype(np.float32)


def all_inputs(heard: Notes, posteriors: Posteriors) -> Inputs:
    """What an encoder may look at, by the names that ``--inputs`` takes, of what `heard_notes` found."""
    return {
        "pitch": encoder_inputs(heard.pitch, np.zeros((len(heard), 0), np.float32)),
        "embedding": 3.0 * heard.embedding,
        "posteriors": posterior_inputs(heard, posteriors),
        "spectrum": spectrum_inputs(heard, posteriors),
    }


@dataclass
class Material:
    """Mixes or recordings, and what an encoder looks at."""

    mixes: list[Heard] = field(default_factory=list)
    """With the network's own embedding."""
    inputs: list[Inputs] = field(default_factory=list)

    def add(self, heard: Heard, posteriors: Posteriors) -> None:
        """A mix as `heard_notes` found it."""
        self.inputs.append(all_inputs(heard.example.heard, posteriors))
        self.mixes.append(replace(heard, example=heard.plain()))

    def save(self, path: Path) -> None:
        """Examples to `path`, the rest beside it."""
        save_examples(path, [mix.example for mix in self.mixes])
        arrays = {f"{i}.{name}": x.astype(np.float16) for i, one in enumerate(self.inputs) for name, x in one.items()}
        for i, mix in enumerate(self.mixes):
            arrays |= {f"{i}.=timbre": np.array(mix.timbres, str), f"{i}.=family": np.array(mix.families, str)}
        np.savez(path.with_suffix(".inputs.npz"), **arrays)

    @classmethod
    def load(cls, path: Path) -> Material:
        """What `save` wrote."""
        examples = load_examples(path)
        tables: list[dict[str, Any]] = [{} for _ in examples]
        with np.load(path.with_suffix(".inputs.npz"), allow_pickle=False) as data:
            for key in data.files:
                index, name = key.split(".")
                tables[int(index)][name] = data[key]
        names = [[table.pop(f"={kind}").tolist() for kind in ("timbre", "family")] for table in tables]
        return cls([Heard(example, *own) for example, own in zip(examples, names, strict=True)], tables)


class Listening:
    """A transcriber that keeps what it said last."""

    def __init__(self, model: str) -> None:
        self.transcriber = Transcriber(model, device="cpu", threads=1)
        self.last: Posteriors | None = None

    def __call__(self, audio: Audio) -> Posteriors:
        self.last = self.transcriber(audio)
        return self.last


def hear_bank(bank: Bank, model: str, split: str, first: int, count: int) -> Material:
    """Mixes of a bank as a network hears them."""
    mixer = RecurringMixer(bank, MIXING, FrontEnd(), SEED, split)
    listening, material = Listening(model), Material()
    for index in range(first, first + count):
        heard = hear_mix(mixer, listening, index)
        if heard is not None:
            material.add(heard, listening.last)
    return material


def hear_recordings(dataset: str, root: Path, model: str) -> Material:
    """Recordings of a data set, or mixes of their parts, as a network hears them."""
    listening, material = Listening(model), Material()
    for recording in recordings(dataset, root, (1, 2, 3, 4) if DATASETS[dataset].pieces else None):
        notes = heard_notes(listening(Audio(recording.audio(), FrontEnd().sample_rate, recording.name)))
        material.add(Heard(HeardMix(notes, recording.reference), [], []), listening.last)
    return material


def table_of(inputs: Inputs, names: Sequence[str]) -> Values:
    """The chosen inputs beside each other, pitch always among them; (n, columns)."""
    return np.hstack([inputs[name].astype(np.float32) for name in ("pitch", *names)])


def network(columns: int, context: bool, fitting: Research) -> Any:
    """The encoder: (mixes, notes, columns) and which of the notes are there, to unit vectors (mixes, notes, dim)."""
    import torch
    from torch import nn

    width = fitting.width

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(columns, width), nn.Linear(width, fitting.outputs)
            self.blocks = nn.ModuleList(
                nn.Sequential(
                    *(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()),
                    *(nn.Dropout(fitting.dropout), nn.Linear(width, width)),
                )
                for _ in range(2)
            )
            self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
            heads = range(2 if context else 0)
            self.attention = nn.ModuleList(
                nn.MultiheadAttention(width, 4, fitting.dropout, batch_first=True) for _ in heads
            )

        def forward(self, x: Any, there: Any) -> Any:
            h = self.first(x)
            for index, block in enumerate(self.blocks):
                h = h + block(h)
                if context:
                    q = self.norms[index](h)
                    h = h + self.attention[index](q, q, q, key_padding_mask=~there, need_weights=False)[0]
            return torch.nn.functional.normalize(self.last(self.norms[2](h)), dim=-1)

    return Encoder()


@dataclass(frozen=True)
class Research(Fitting):
    """Of an encoder's training; `own` does not count."""

    width: int = 256
    outputs: int = 24
    steps: int = 1800
    mixes: int = 6
    notes: int = 160
    learning_rate: float = 1e-3
    temperature: float = 0.15
    drop: float = 0.15
    """Chance of each kind of input to be hidden for a mix."""


def fit(paths: Sequence[Path], names: Sequence[str], context: bool, out: Path, fitting: Research) -> None:
    """Train an encoder on what `hear` wrote of a bank, and write it."""
    import torch

    mixes: list[Heard] = []
    inputs: list[Inputs] = []
    for path in paths:
        material = Material.load(path)
        if not all(mix.timbres for mix in material.mixes):
            raise SystemExit(f"{path.name} holds recordings, not mixes of a bank; an encoder is not trained on them.")
        mixes += material.mixes
        inputs += material.inputs
    edges = np.cumsum([0, *(inputs[0][name].shape[1] for name in ("pitch", *names))])
    tables = tables_of(mixes, [table_of(own, names) for own in inputs])
    every = np.concatenate([table.inputs for table in tables])
    mean, scale = every.mean(axis=0), every.std(axis=0) + 0.05

    torch.manual_seed(fitting.seed)
    rng = np.random.default_rng(fitting.seed)
    net = network(every.shape[1], context, fitting)

    def loss() -> Any:
        batch = []
        x = np.zeros((fitting.mixes, fitting.notes, every.shape[1]), np.float32)
        there, known = np.zeros((2, *x.shape[:2]), bool)
        for row, index in enumerate(rng.choice(len(tables), min(fitting.mixes, len(tables)), replace=False)):
            some = tables[index].some(nearby(rng, len(tables[index].pitch), fitting.notes))
            n = len(some.pitch)
            x[row, :n] = (some.inputs - mean) / scale
            there[row, :n], known[row, :n] = True, some.part >= 0
            batch.append(some.some(some.part >= 0))
            for low, high in zip(edges[:-1], edges[1:], strict=True):
                x[row, :, low:high] *= rng.random() >= fitting.drop
        x += np.float32(fitting.noise) * rng.standard_normal(x.shape, np.float32)
        z = net(torch.from_numpy(x), torch.from_numpy(there))
        return contrast(z[torch.from_numpy(known)], batch, fitting)

    descend(net, fitting, loss)
    moments = {"mean": torch.from_numpy(mean), "scale": torch.from_numpy(scale)}
    about = {"inputs": list(names), "context": context, **moments}
    torch.save({"state": net.state_dict(), **about}, out)


def encode(path: Path, encoder: Path, out: Path, beside: float) -> None:
    """Examples with the encoder's embeddings; `beside` is the weight of the network's own beside them."""
    import torch

    about = torch.load(encoder, weights_only=True)
    material = Material.load(path)
    net = network(len(about["mean"]), about["context"], Research())
    net.load_state_dict(about["state"])
    net.eval()
    examples = []
    for mix, inputs in zip(material.mixes, material.inputs, strict=True):
        example = mix.example
        x = (torch.from_numpy(table_of(inputs, about["inputs"])) - about["mean"]) / about["scale"]
        with torch.inference_mode():
            found = net(x[None], torch.ones(1, len(x), dtype=torch.bool))[0].numpy()
        if beside:
            found = np.hstack([found, np.float32(np.sqrt(beside)) * example.heard.embedding])
            found /= np.linalg.norm(found, axis=1, keepdims=True)
        examples.append(HeardMix(replace(example.heard, embedding=found), example.truth))
    save_examples(out, examples)


def main() -> None:
    """Hear, fit, or encode."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    hear = commands.add_parser("hear", help="mixes of a bank, or recordings, with what an encoder looks at")
    hear.add_argument("--bank", type=Path)
    hear.add_argument("--dataset", help="instead of a bank; evaluation data is for `encode` alone")
    hear.add_argument("--root", type=Path)
    hear.add_argument("--model", default="base")
    hear.add_argument("--split", choices=("train", "dev"), default="dev")
    hear.add_argument("--first", type=int, default=0)
    hear.add_argument("--count", type=int, default=100)
    hear.add_argument("--out", type=Path, required=True)
    learn = commands.add_parser("fit", help="train an encoder")
    learn.add_argument("examples", nargs="+", type=Path)
    learn.add_argument("--inputs", nargs="+", choices=("embedding", "spectrum", "posteriors"), default=["embedding"])
    learn.add_argument("--context", action="store_true", help="attention between the notes of a recording")
    learn.add_argument("--steps", type=int, default=Research.steps)
    learn.add_argument("--drop", type=float, default=Research.drop)
    learn.add_argument("--seed", type=int, default=Research.seed)
    learn.add_argument("--out", type=Path, required=True)
    apply = commands.add_parser("encode", help="examples with other embeddings")
    apply.add_argument("example", type=Path)
    apply.add_argument("--encoder", type=Path, required=True)
    apply.add_argument("--beside", type=float, default=0.0, help="weight of the network's own embedding beside it")
    apply.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.command == "hear":
        if args.dataset:
            material = hear_recordings(args.dataset, args.root, args.model)
        elif args.bank:
            material = hear_bank(Bank.open(args.bank), args.model, args.split, args.first, args.count)
        else:
            hear.error("name a --bank, or a --dataset with its --root")
        material.save(args.out)
        print(f"{len(material.mixes)} examples, {sum(len(mix.example.heard) for mix in material.mixes)} notes")
    elif args.command == "fit":
        fitting = Research(steps=args.steps, drop=args.drop, seed=args.seed)
        fit(args.examples, args.inputs, args.context, args.out, fitting)
    else:
        encode(args.example, args.encoder, args.out, args.beside)


if __name__ == "__main__":
    main()
