"""Learn how to tell the number of timbres: the weights of `amtsep.clustering.count`.

    python -m amtsep.training.timbre_count hear --bank bank --model base.safetensors --count 300 --out mixes.npz
    python -m amtsep.training.timbre_count hear --songs songs --model base.safetensors --out songs.npz
    python -m amtsep.training.timbre_count fit --examples mixes.npz songs.npz --out amtsep/clustering/timbre_count.json

Examples are tables of notes with embeddings whose number of timbres is known: mixes of stems as the network heard
them, or, for tests and until there is a network, clusters drawn on the sphere. A conditional logit over K (McFadden
1974) is fitted by maximum likelihood with a quadratic penalty.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amtsep.clustering.count import FEATURES, features
from amtsep.config import Decoding
from amtsep.notes import Notes

if TYPE_CHECKING:
    from amtsep.synthesis.bank import Bank

Values = NDArray[np.float64]
LARGEST = 8
PARTS = (0.17, 0.2, 0.19, 0.18, 0.11, 0.07, 0.05, 0.03)
"""Chance of 1, 2, ... timbres in a mix."""

SIGNS = {
    **dict.fromkeys(("gain", "silhouette", "separation", "mean_separation", "smallest_share", "smallest_count"), 1),
    **dict.fromkeys(("overlap_drop", "drift_gain", "own_separation"), 1),
    **dict.fromkeys(("residual", "next_gain", "unsure", "closest", "overlap"), -1),
    **dict.fromkeys(("drift_residual", "drift_next_gain"), -1),
}
"""Which way a figure may speak. Without it the weights fit a little better and are absurd on clearer mixes."""


def synthetic_notes(seed: int, timbres: int | None = None, n_notes: int | None = None, dim: int = 16) -> Notes:
    """Clusters on the sphere that imitate embeddings of a mix; `track` is the truth.

    Unequal numbers of notes, a spread of its own and a drift with pitch for every timbre, some notes between two
    timbres, some astray; each timbre plays one note at a time, or chords, in a register of its own, or over the whole
    keyboard, where it drifts far and not along a line.
    """
    rng = np.random.default_rng(seed)
    k = timbres or int(rng.integers(1, LARGEST + 1))
    keyboard = rng.random() < (0.5 if k == 1 else 0.2)
    n = n_notes or int(np.exp(rng.uniform(np.log(25 * k), np.log((1500 if keyboard and k == 1 else 300) * k))))
    share = np.exp(rng.normal(0.0, 0.7, k))
    counts = np.maximum(np.round(n * share / share.sum()).astype(int), 4)
    clear = rng.random() < 0.35
    unclear = 0.0 if clear else rng.uniform(0.0, 0.08)
    length_s = n * 0.3 / np.sqrt(k)
    centroids = rng.normal(size=(k, dim))
    for index in range(1, k):
        if rng.random() < 0.3:  # of one family
            centroids[index] = centroids[rng.integers(index)] + 0.8 * rng.normal(size=dim)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    columns: list[Values] = []
    for index in range(k):
        m = counts[index]
        voices = 1 if rng.random() < 0.6 else int(rng.integers(2, 5))
        edges = np.sort(rng.uniform(0.0, length_s, m // voices + 1))
        begin = np.resize(edges, m) if voices == 1 else np.repeat(edges, voices)[:m]
        sounding = np.resize(np.append(np.diff(edges), 0.5), m) if voices == 1 else np.full(m, 0.4)
        wide = keyboard and index == 0
        pitch = (
            rng.normal(rng.uniform(55, 70), rng.uniform(8, 14), m)
            if wide
            else rng.normal(rng.uniform(45, 80), rng.uniform(3, 9), m)
        )
        pitch = np.clip(np.round(pitch), 21, 108)
        spread = np.exp(rng.uniform(np.log(0.2), np.log(0.45 if clear else 0.9))) / np.sqrt(dim)
        drift = rng.normal(size=dim) * rng.uniform(0.0, 0.1 if clear else 0.9) / np.sqrt(dim)
        x = centroids[index] + spread * rng.normal(size=(m, dim)) + drift * ((pitch - pitch.mean()) / 6.0)[:, None]
        if wide:
            octaves = (pitch - pitch.mean()) / 12.0
            along = rng.normal(size=(2, dim)) / np.sqrt(dim) * rng.uniform(0.2, 1.0, (2, 1))
            x += along[0] * octaves[:, None] + along[1] * octaves[:, None] ** 2
        between = rng.random(m) < unclear
        other = centroids[rng.integers(k, size=m)]
        x[between] = 0.55 * x[between] + 0.45 * other[between]
        astray = rng.random(m) < unclear / 3.0
        x[astray] = rng.normal(size=(int(astray.sum()), dim))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        end = begin + np.clip(sounding, 0.05, 1.5)
        columns.append(np.column_stack([begin, end, pitch, rng.uniform(0.4, 1.0, m), np.full(m, index), x]))
    table = np.concatenate(columns)
    return Notes.build(
        table[:, 0],
        table[:, 1],
        table[:, 2],
        confidence=table[:, 3],
        track=table[:, 4].astype(int),
        embedding=table[:, 5:],
    )


@dataclass(frozen=True, eq=False)
class Example:
    """Notes that were heard, with embeddings, and the notes that were played, a track a timbre."""

    heard: Notes
    truth: Notes

    @property
    def timbres(self) -> int:
        """How many play."""
        return len(np.unique(self.truth.track))

    def labels(self) -> NDArray[np.intp]:
        """The timbre of every heard note: that of the nearest true onset at its pitch, -1 over 0.1 s away."""
        result = np.full(len(self.heard), -1, np.intp)
        for pitch in np.unique(self.heard.pitch):
            mine, theirs = np.flatnonzero(self.heard.pitch == pitch), np.flatnonzero(self.truth.pitch == pitch)
            if len(theirs):
                distance = np.abs(self.heard.onset[mine][:, None] - self.truth.onset[theirs][None])
                near = distance.min(axis=1) < 0.1
                result[mine[near]] = self.truth.track[theirs[distance.argmin(axis=1)[near]]]
        return result


COLUMNS = ("onset", "offset", "pitch", "velocity", "confidence", "track", "embedding")


def save_examples(path: str | Path, examples: Sequence[Example]) -> None:
    """Write examples to one ``.npz``."""
    arrays: dict[str, Any] = {}
    for kind in ("heard", "truth"):
        tables = [getattr(example, kind) for example in examples]
        arrays[f"{kind}_length"] = np.array([len(notes) for notes in tables])
        for name in COLUMNS:
            if kind == "heard" or name != "embedding":
                arrays[f"{kind}_{name}"] = np.concatenate([getattr(notes, name) for notes in tables])
    np.savez_compressed(path, **arrays)


def load_examples(path: str | Path) -> list[Example]:
    """Read what `save_examples` wrote."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    tables: dict[str, list[Notes]] = {}
    for kind in ("heard", "truth"):
        length = arrays.pop(f"{kind}_length")
        columns = {name: arrays[f"{kind}_{name}"] for name in COLUMNS if f"{kind}_{name}" in arrays}
        spans = zip(np.cumsum(length) - length, np.cumsum(length), strict=True)
        tables[kind] = [Notes.build(**{name: values[a:b] for name, values in columns.items()}) for a, b in spans]
    return [Example(heard, truth) for heard, truth in zip(tables["heard"], tables["truth"], strict=True)]


HELD_OUT = ("with", "without", "only")
"""Which timbres of a development split take part: with those that no training hears, without them, or only those."""


def draw_mix(
    bank: Bank, split: str, seed: int, spoil: bool = True, held_out: str = "with"
) -> tuple[NDArray[np.float32], Notes]:
    """A mix of 1 to 8 timbres, 9 to 36 s: samples (mean energy one) and its notes, a track a timbre.

    A timbre plays several stems of the bank one after the other, at one level and through one filter, so that it has as
    many notes as in a real recording. Timbres are of different families in four mixes of five. `held_out` is one of
    `HELD_OUT`.
    """
    from amtsep.synthesis import augment

    rng = np.random.default_rng([seed, 7])
    rate = bank.sample_rate
    stems: dict[str, list[int]] = {}
    for index, stem in enumerate(bank.stems):
        wanted = held_out == "with" or stem.held_out == (held_out == "only")
        if stem.split == split and wanted and (split != "train" or not stem.held_out):
            stems.setdefault(stem.timbre, []).append(index)
    names = sorted(stems)
    k = int(rng.choice(np.arange(1, LARGEST + 1), p=PARTS))
    segments = int(rng.integers(1, 5))
    apart, families, chosen = rng.random() < 0.8, set[str](), list[str]()
    order = rng.permutation(len(names))
    # A timbre with many stems is a real instrument more often than not: those first, for half of the mixes.
    if rng.random() < 0.5:
        order = order[np.argsort([-min(len(stems[names[i]]), segments) for i in order], kind="stable")]
    for index in order:
        family = bank.stems[stems[names[index]][0]].family
        if len(chosen) < k and not (apart and family in families):
            chosen.append(names[index])
            families.add(family)
    length = bank.clip_samples
    mix = np.zeros(segments * length, np.float32)
    grid = augment.spectrum_grid(length, rate)
    rows: list[Values] = []
    for part, name in enumerate(chosen):
        gain = np.float32(10.0 ** (np.clip(rng.normal(0.0, 4.0), -10.0, 10.0) / 20.0))
        curves = [augment.random_curve(rng, grid, 4.0)] if spoil and rng.random() < 0.3 else []
        turns = np.resize(rng.permutation(stems[name]), segments)
        for position, stem in enumerate(turns):
            audio = bank.audio(int(stem)).astype(np.float32) / np.float32(32768.0)
            if curves:
                audio = augment.filter_zero_phase(audio, rate, curves, None)
            mix[position * length : (position + 1) * length] += gain * audio
            notes: Any = bank.notes(int(stem))
            shift = position * length / rate
            rows.append(
                np.column_stack(
                    [notes["onset"] + shift, notes["offset"] + shift, notes["pitch"], np.full(len(notes), part)]
                )
            )
    if spoil:
        mix = _spoil(rng, mix, rate)
    return _finished(mix, rate, np.concatenate(rows))


def _spoil(rng: np.random.Generator, mix: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """A room and noise, now and then."""
    from amtsep.synthesis import augment

    if rng.random() < 0.3:
        mix = augment.filter_zero_phase(mix, rate, [], augment.impulse_response(rng, rate))
    return augment.add_noise(rng, mix) if rng.random() < 0.3 else mix


def _finished(mix: NDArray[np.float32], rate: int, table: Values) -> tuple[NDArray[np.float32], Notes]:
    """The mix at mean energy one, and rows of onset, offset, pitch and part as notes, a track a timbre."""
    table = table[(table[:, 0] >= 0) & (table[:, 0] < len(mix) / rate - 0.05)]
    # A part with a note or two is no timbre that anybody could tell.
    kept = np.isin(table[:, 3], np.flatnonzero(np.bincount(table[:, 3].astype(int)) >= 4))
    table = table[kept]
    _, part_of = np.unique(table[:, 3], return_inverse=True)
    mix /= np.sqrt(np.mean(mix**2)) + np.float32(1e-6)
    return mix, Notes.build(table[:, 0], table[:, 1], table[:, 2], track=part_of)


def songs_of(bank: Bank) -> dict[str, list[int]]:
    """Stems of each song of a bank that `amtsep.training.timbre_songs` made."""
    songs: dict[str, list[int]] = {}
    for index, stem in enumerate(bank.stems):
        songs.setdefault(stem.piece or stem.timbre, []).append(index)
    return dict(sorted(songs.items()))


def draw_song(
    bank: Bank, stems: Sequence[int], seed: int, shortest_s: float = 20.0
) -> tuple[NDArray[np.float32], Notes]:
    """A song from its stems: each at a level and, often, through a filter of its own; a room, noise; a part of it."""
    from amtsep.synthesis import augment

    rng = np.random.default_rng([seed, 11])
    rate, length = bank.sample_rate, bank.clip_samples
    mix = np.zeros(length, np.float32)
    grid = augment.spectrum_grid(length, rate)
    rows: list[Values] = []
    for part, stem in enumerate(stems):
        audio = bank.audio(stem).astype(np.float32) / np.float32(32768.0)
        if rng.random() < 0.5:
            audio = augment.filter_zero_phase(audio, rate, [augment.random_curve(rng, grid, 4.0)], None)
        mix += np.float32(10.0 ** (np.clip(rng.normal(0.0, 4.0), -8.0, 8.0) / 20.0)) * audio
        notes: Any = bank.notes(stem)
        rows.append(np.column_stack([notes["onset"], notes["offset"], notes["pitch"], np.full(len(notes), part)]))
    mix = _spoil(rng, mix, rate)
    kept_s = float(rng.uniform(min(shortest_s, bank.clip_s), bank.clip_s))
    return _finished(mix[: round(kept_s * rate)], rate, np.concatenate(rows))


def hear_mixes(
    bank_folder: Path,
    weights: Path,
    split: str,
    seeds: Sequence[int],
    decoding: Decoding | None,
    held_out: str = "with",
    songs: bool = False,
) -> list[Example]:
    """Mixes as a network hears them; without `decoding`, the embeddings that it gives to the true notes.

    With `songs`, the bank holds songs (see `draw_song`) and a seed is the number of one.
    """
    from amtsep.audio import Audio
    from amtsep.decoding import decode, embed_notes
    from amtsep.evaluation.metrics import fuse
    from amtsep.inference import Transcriber
    from amtsep.synthesis.bank import Bank
    from amtsep.synthesis.guard import refuse_stems

    bank, transcriber = Bank.open(bank_folder), Transcriber(weights, device="cpu")
    refuse_stems(bank.stems)
    stems = list(songs_of(bank).values()) if songs else []
    examples = []
    for seed in [n for n in seeds if n < len(stems)] if songs else seeds:
        samples, truth = draw_song(bank, stems[seed], seed) if songs else draw_mix(bank, split, seed, True, held_out)
        posteriors = transcriber(Audio(samples * np.float32(0.1), bank.sample_rate, f"mix {seed}"))
        notes = embed_notes(fuse(truth) if decoding is None else decode(posteriors, decoding), posteriors)
        if len(notes) >= 4 and len(truth):
            examples.append(Example(notes, truth))
    return examples


def hear_recordings(dataset: str, root: Path, weights: Path, every: int, decoding: Decoding) -> list[Example]:
    """Real recordings of a *training* set as a network hears them: solos, above all, that no synthesis imitates."""
    from amtsep.audio import Audio
    from amtsep.config import FrontEnd
    from amtsep.decoding import decode, embed_notes
    from amtsep.evaluation.readers import recordings
    from amtsep.inference import Transcriber
    from amtsep.synthesis.guard import refuse_recording

    chosen = recordings(dataset, root)[::every]
    for recording in chosen:
        refuse_recording(dataset, recording.name, recording.split)
    transcriber = Transcriber(weights, device="cpu")
    examples = []
    for recording in chosen:
        posteriors = transcriber(Audio(recording.audio(), FrontEnd().sample_rate, recording.name))
        notes = embed_notes(decode(posteriors, decoding), posteriors)
        if len(notes) >= 4:
            examples.append(Example(notes, recording.reference))
    return examples


def fit(tables: Sequence[Values], timbres: Sequence[int], penalty: float = 0.02) -> dict[str, Any]:
    """Weights of the logit from each example's table of figures (K, features) and its number of timbres."""
    from scipy.optimize import minimize

    rows = np.concatenate(tables)
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    stack = np.zeros((len(tables), LARGEST, rows.shape[1]))
    absent = np.full((len(tables), LARGEST), -1e9)
    for i, table in enumerate(tables):
        stack[i, : len(table)] = (table - mean) / scale
        absent[i, : len(table)] = 0.0
    truth = np.asarray(timbres) - 1
    number = np.arange(len(tables))

    def loss(weight: Values) -> tuple[float, Values]:
        score = stack @ weight + absent
        top = score.max(axis=1, keepdims=True)
        chance = np.exp(score - top)
        total = chance.sum(axis=1, keepdims=True)
        chance /= total
        value = np.mean(top[:, 0] + np.log(total[:, 0]) - score[number, truth])
        slope = (np.einsum("nk,nkf->f", chance, stack) - stack[number, truth].sum(axis=0)) / len(tables)
        return float(value + 0.5 * penalty * weight @ weight), slope + penalty * weight

    bounds = [(0.0 if SIGNS.get(name) == 1 else None, 0.0 if SIGNS.get(name) == -1 else None) for name in FEATURES]
    result = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    return {
        "features": list(FEATURES),
        "mean": np.round(mean, 5).tolist(),
        "scale": np.round(scale, 5).tolist(),
        "weight": np.round(result.x, 4).tolist(),
    }


def predict(model: dict[str, Any], tables: Sequence[Values]) -> Values:
    """Probabilities (n, LARGEST) of a fitted model."""
    chance = np.zeros((len(tables), LARGEST))
    for i, table in enumerate(tables):
        score = ((table - np.array(model["mean"])) / np.array(model["scale"])) @ np.array(model["weight"])
        chance[i, : len(table)] = np.exp(score - score.max())
    return chance / chance.sum(axis=1, keepdims=True)


def validate(tables: Sequence[Values], timbres: Sequence[int], penalty: float, folds: int = 5) -> dict[str, Any]:
    """Cross-validated: share exact, log loss, confusion (true by row), and calibration of the stated probability."""
    truth = np.asarray(timbres)
    fold = np.arange(len(tables)) % folds
    chance = np.zeros((len(tables), LARGEST))
    for part in range(folds):
        model = fit([t for t, f in zip(tables, fold) if f != part], truth[fold != part].tolist(), penalty)
        chance[fold == part] = predict(model, [t for t, f in zip(tables, fold) if f == part])
    guess = chance.argmax(axis=1) + 1
    confusion = np.zeros((LARGEST, LARGEST), int)
    np.add.at(confusion, (truth - 1, guess - 1), 1)
    stated = chance.max(axis=1)
    bins = np.clip((stated * 5).astype(int), 0, 4)
    calibration = [
        [round(float(values[bins == b].mean()), 2) for values in (stated, guess == truth)] + [int((bins == b).sum())]
        for b in range(5)
        if np.any(bins == b)
    ]
    return {
        "exact": round(float((guess == truth).mean()), 3),
        "exact_1_to_4": round(float((guess == truth)[truth <= 4].mean()), 3),
        "log_loss": round(float(-np.log(chance[np.arange(len(truth)), truth - 1] + 1e-9).mean()), 3),
        "confusion": confusion.tolist(),
        "stated_right_count": calibration,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Hear mixes, or fit and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    hear = commands.add_parser("hear", help="mixes of a bank, as a network hears them, to an .npz file")
    hear.add_argument("--bank", type=Path)
    hear.add_argument("--songs", type=Path, help="instead of a bank of clips: songs of amtsep.training.timbre_songs")
    hear.add_argument("--held-out", choices=HELD_OUT, default="with", help="timbres that no training hears")
    hear.add_argument("--dataset", help="instead of a bank: recordings of this data set's training half")
    hear.add_argument("--root", type=Path, help="where that lies")
    hear.add_argument("--every", type=int, default=1, help="take only each so many recordings")
    hear.add_argument("--model", type=Path, required=True)
    hear.add_argument("--split", choices=("train", "dev"), default="dev")
    hear.add_argument("--first", type=int, default=0, help="seed of the first mix")
    hear.add_argument("--count", type=int, default=100)
    hear.add_argument("--onset-threshold", type=float, default=Decoding.onset_threshold)
    hear.add_argument("--frame-threshold", type=float, default=Decoding.frame_threshold)
    hear.add_argument("--true-notes", action="store_true", help="embed the true notes, not the heard ones")
    hear.add_argument("--out", type=Path, required=True)
    learn = commands.add_parser("fit", help="fit the weights")
    learn.add_argument("--examples", nargs="*", default=[], help=".npz files that 'hear' wrote")
    learn.add_argument("--synthetic", type=int, default=0, help="clusters drawn on the sphere, how many")
    learn.add_argument("--penalty", type=float, default=0.002)
    learn.add_argument("--made-of", default="", help="a line on where the examples come from")
    learn.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    if args.command == "hear":
        heard = Decoding(onset_threshold=args.onset_threshold, frame_threshold=args.frame_threshold)
        if args.dataset:
            save_examples(args.out, hear_recordings(args.dataset, args.root, args.model, args.every, heard))
            return
        if not args.bank and not args.songs:
            hear.error("name a --bank, --songs, or a --dataset with its --root")
        decoding = None if args.true_notes else heard
        seeds = range(args.first, args.first + args.count)
        bank = args.songs or args.bank
        heard_mixes = hear_mixes(bank, args.model, args.split, seeds, decoding, args.held_out, bool(args.songs))
        save_examples(args.out, heard_mixes)
        return
    examples = [example for path in args.examples for example in load_examples(path)]
    examples += [Example(notes, notes) for notes in map(synthetic_notes, range(args.synthetic))]
    tables = [features(example.heard, LARGEST) for example in examples]
    timbres = [example.timbres for example in examples]
    report = validate(tables, timbres, args.penalty)
    print(json.dumps(report))
    made = f"{args.made_of or 'clusters drawn on the sphere'}; {len(tables)} examples"
    model = {"made_of": made, "cross_validated": report, **fit(tables, timbres, args.penalty)}
    args.out.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
