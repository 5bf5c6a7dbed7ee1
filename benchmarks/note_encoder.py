"""Embeddings of notes by all that is known of each over its whole length: what a second stage could be.

What ships of it is `amtsep.clustering.encoder`; this is the research with inputs and context that did not.

    python benchmarks/note_encoder.py hear --bank bank --model base --split train --count 1800 --out mixes.npz
    python benchmarks/note_encoder.py hear --bank bank --model base --split dev --count 210 --out dev.npz
    python benchmarks/note_encoder.py hear --dataset slakh --root ../shared/data/slakh --model base --out slakh.npz
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.config import MIDI_MIN, FrontEnd
from amtsep.decoding import decode, embed_notes
from amtsep.evaluation.readers import DATASETS, recordings
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.synthesis.bank import Bank
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


def pitch_inputs(pitch: NDArray[Any]) -> Values:
    """Pitch as a line, a curve, and a soft choice of register, (n, 15)."""
    high = (pitch - 64.0) / 12.0
    register = [np.exp(-0.5 * ((pitch - centre) / 4.0) ** 2) for centre in range(24, 108, 7)]
    return np.stack([high, high**2 / 3.0, high**3 / 9.0, *register], axis=1).astype(np.float32)


def embedding_inputs(notes: Notes, posteriors: Posteriors) -> Values:
    """The network's embedding over the whole note, its attack, and what is left after that, (n, 3 D)."""
    late = np.minimum(notes.onset + 0.12, 0.5 * (notes.onset + notes.offset))
    start = np.maximum(notes.onset - 0.02, 0.0)
    early = np.maximum(np.minimum(notes.onset + 0.09, notes.offset), start + 0.012)
    spans = (notes, replace(notes, onset=start, offset=early), replace(notes, onset=late))
    return 3.0 * np.hstack([embed_notes(span, posteriors).embedding for span in spans])


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


def all_inputs(notes: Notes, posteriors: Posteriors) -> Inputs:
    """What an encoder may look at, by the names that ``--inputs`` takes."""
    return {
        "pitch": pitch_inputs(notes.pitch.astype(np.float64)),
        "embedding": embedding_inputs(notes, posteriors),
        "posteriors": posterior_inputs(notes, posteriors),
        "spectrum": spectrum_inputs(notes, posteriors),
    }


@dataclass
class Material:
    """Examples, what an encoder looks at, and for mixes of a bank the timbre and family of every part."""

    examples: list[HeardMix]
    inputs: list[Inputs]
    timbres: list[NDArray[Any]]
    families: list[NDArray[Any]]

    def save(self, path: Path) -> None:
        """Examples to `path`, the rest beside it."""
        save_examples(path, self.examples)
        arrays = {f"{i}.{name}": x.astype(np.float16) for i, one in enumerate(self.inputs) for name, x in one.items()}
        for i, (timbre, family) in enumerate(zip(self.timbres, self.families, strict=True)):
            arrays |= {f"{i}.=timbre": timbre, f"{i}.=family": family}
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
        timbres, families = ([table.pop(f"={name}") for table in tables] for name in ("timbre", "family"))
        return cls(examples, tables, timbres, families)


def hear_bank(bank: Bank, model: str, split: str, first: int, count: int) -> Material:
    """Mixes of a bank as a network hears them."""
    mixer = RecurringMixer(bank, MIXING, FrontEnd(), SEED, split)
    transcriber, material = Transcriber(model, device="cpu", threads=1), Material([], [], [], [])
    for index in range(first, first + count):
        drawn = mixer.drawn(index)
        rows = drawn.notes
        rows = rows[(rows[:, 0] >= 0.0) & (rows[:, 1] > rows[:, 0])]
        if not len(rows):
            continue
        posteriors = transcriber(Audio(drawn.audio * np.float32(0.1), bank.sample_rate, f"mix {index}"))
        notes = decode(posteriors)
        if len(notes) < 8:
            continue
        truth = Notes.build(rows[:, 0], rows[:, 1], rows[:, 2], track=rows[:, 3])
        material.examples.append(HeardMix(embed_notes(notes, posteriors), truth))
        material.inputs.append(all_inputs(notes, posteriors))
        material.timbres.append(np.asarray(drawn.timbres))
        material.families.append(np.asarray(drawn.families))
    return material


def hear_recordings(dataset: str, root: Path, model: str) -> Material:
    """Recordings of a data set, or mixes of their parts, as a network hears them."""
    transcriber, material = Transcriber(model, device="cpu", threads=1), Material([], [], [], [])
    for recording in recordings(dataset, root, (1, 2, 3, 4) if DATASETS[dataset].pieces else None):
        posteriors = transcriber(Audio(recording.audio(), FrontEnd().sample_rate, recording.name))
        notes = decode(posteriors)
        material.examples.append(HeardMix(embed_notes(notes, posteriors), recording.reference))
        material.inputs.append(all_inputs(notes, posteriors))
        material.timbres.append(np.zeros(0, str))
        material.families.append(np.zeros(0, str))
    return material


def table_of(inputs: Inputs, names: Sequence[str]) -> Values:
    """The chosen inputs beside each other, pitch always among them; (n, columns)."""
    return np.hstack([inputs[name].astype(np.float32) for name in ("pitch", *names)])


def network(columns: int, context: bool, dim: int = 24, width: int = 256) -> Any:
    """The encoder: (mixes, notes, columns) and which of the notes are there, to unit vectors (mixes, notes, dim)."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(columns, width), nn.Linear(width, dim)
            self.blocks = nn.ModuleList(
                nn.Sequential(
                    *(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()),
                    *(nn.Dropout(0.1), nn.Linear(width, width)),
                )
                for _ in range(2)
            )
            self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
            heads = (nn.MultiheadAttention(width, 4, dropout=0.1, batch_first=True) for _ in range(2 if context else 0))
            self.attention = nn.ModuleList(heads)

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
class Fitting:
    """Of an encoder's training."""

    steps: int = 1800
    mixes: int = 6
    notes: int = 160
    """Of a mix, at most, in a step."""
    learning_rate: float = 1e-3
    temperature: float = 0.15
    far: float = 1.0
    """How much more a companion counts for every octave between the two, two at most."""
    identity: float = 0.3
    """Weight of the contrast by timbre, over the mixes of a step."""
    noise: float = 0.1
    """Deviation of what is added to the inputs, in their own."""
    drop: float = 0.15
    """Chance of each kind of input to be hidden for a mix."""
    seed: int = 0


def fit(paths: Sequence[Path], names: Sequence[str], context: bool, out: Path, fitting: Fitting) -> None:
    """Train an encoder on what `hear` wrote of a bank, and write it."""
    import torch
    from torch.nn import functional

    tables, labels, pitches, timbres, families = [], [], [], [], []
    widths: list[int] = []
    for path in paths:
        material = Material.load(path)
        if not all(len(timbre) for timbre in material.timbres):
            raise SystemExit(f"{path.name} holds recordings, not mixes of a bank; an encoder is not trained on them.")
        for example, inputs, timbre, family in zip(
            material.examples, material.inputs, material.timbres, material.families, strict=True
        ):
            label = example.labels()
            if len(np.unique(label[label >= 0])) < 2:
                continue
            widths = [inputs[name].shape[1] for name in ("pitch", *names)]
            tables.append(table_of(inputs, names))
            labels.append(label)
            pitches.append(example.heard.pitch.astype(np.float32))
            timbres.append(np.append(timbre, "")[label])
            families.append(np.append(family, "")[label])
    every = np.concatenate(tables)
    mean, scale = every.mean(axis=0), every.std(axis=0) + 0.05
    number = {name: i for i, name in enumerate(np.unique(np.concatenate(timbres)))}
    kind = {name: i for i, name in enumerate(np.unique(np.concatenate(families)))}
    edges = np.concatenate([[0], np.cumsum(widths)])

    torch.manual_seed(fitting.seed)
    rng = np.random.default_rng(fitting.seed)
    net = network(every.shape[1], context)
    optimizer = torch.optim.AdamW(net.parameters(), lr=fitting.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, fitting.learning_rate, total_steps=fitting.steps, pct_start=0.08
    )
    size = (fitting.mixes, fitting.notes)
    for step in range(fitting.steps):
        x = np.zeros((*size, every.shape[1]), np.float32)
        label, timbre, family = (np.full(size, -1) for _ in range(3))
        there, pitch = np.zeros(size, bool), np.zeros(size, np.float32)
        for row, index in enumerate(rng.choice(len(tables), fitting.mixes, replace=False)):
            n = len(tables[index])
            begin = rng.integers(max(n - 2 * fitting.notes, 0) + 1)
            chosen = np.sort(rng.permutation(min(n, 2 * fitting.notes))[: fitting.notes]) + begin
            place = row, slice(len(chosen))
            x[place] = (tables[index][chosen] - mean) / scale
            label[place], there[place], pitch[place] = labels[index][chosen], True, pitches[index][chosen]
            timbre[place] = [number[name] for name in timbres[index][chosen]]
            family[place] = [kind[name] for name in families[index][chosen]]
            for low, high in zip(edges[:-1], edges[1:], strict=True):
                x[row, :, low:high] *= rng.random() >= fitting.drop
        x += np.float32(fitting.noise) * rng.standard_normal(x.shape, np.float32)
        z = net(torch.from_numpy(x), torch.from_numpy(there))
        likeness = z @ z.transpose(1, 2) / fitting.temperature
        known = (label >= 0)[:, :, None] & (label >= 0)[:, None]
        alike = label[:, :, None] == label[:, None]
        other = torch.from_numpy(known & ~alike)
        apart = np.minimum(np.abs(pitch[:, :, None] - pitch[:, None]) / 12.0, 2.0)
        weight = (known & alike & ~np.eye(size[1], dtype=bool)) * (1.0 + fitting.far * apart)
        weight *= (known & ~alike).any(axis=2)[:, :, None]
        weight /= np.maximum(weight.sum(axis=2, keepdims=True), 1e-6)
        against = torch.logsumexp(likeness.masked_fill(~other, -1e4), 2)[:, :, None]
        pairs = torch.from_numpy(weight.astype(np.float32)) * functional.softplus(against - likeness)
        loss = pairs.sum() / max(int((weight.sum(axis=2) > 0).sum()), 1)
        some = rng.permutation(np.flatnonzero(label.reshape(-1) >= 0))[:400]
        who, what = timbre.reshape(-1)[some], family.reshape(-1)[some]
        same = torch.from_numpy((who[:, None] == who) & ~np.eye(len(some), dtype=bool))
        near = z.reshape(-1, z.shape[-1])[torch.from_numpy(some)]
        score = near @ near.T / fitting.temperature
        rivals = same | torch.from_numpy(what[:, None] != what)
        chance = score - torch.logsumexp(score.masked_fill(~rivals, -1e4), 1, keepdim=True)
        companions = same.sum(1)
        own = (chance * same).sum(1)[companions > 0] / companions[companions > 0]
        if len(own):
            loss = loss - fitting.identity * own.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(step + 1, round(loss.item(), 3), flush=True)
    moments = {"mean": torch.from_numpy(mean), "scale": torch.from_numpy(scale)}
    about = {"inputs": list(names), "context": context, **moments}
    torch.save({"state": net.state_dict(), **about}, out)


def encode(path: Path, encoder: Path, out: Path, beside: float) -> None:
    """Examples with the encoder's embeddings; `beside` is the weight of the network's own beside them."""
    import torch

    about = torch.load(encoder, weights_only=True)
    material = Material.load(path)
    net = network(len(about["mean"]), about["context"])
    net.load_state_dict(about["state"])
    net.eval()
    examples = []
    for example, inputs in zip(material.examples, material.inputs, strict=True):
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
    learn.add_argument("--steps", type=int, default=Fitting.steps)
    learn.add_argument("--drop", type=float, default=Fitting.drop)
    learn.add_argument("--seed", type=int, default=Fitting.seed)
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
        print(f"{len(material.examples)} examples, {sum(len(e.heard) for e in material.examples)} notes")
    elif args.command == "fit":
        fitting = Fitting(steps=args.steps, drop=args.drop, seed=args.seed)
        fit(args.examples, args.inputs, args.context, args.out, fitting)
    else:
        encode(args.example, args.encoder, args.out, args.beside)


if __name__ == "__main__":
    main()
