"""Equal-budget experiments: named rows of settings, each trained for as long and from the same start, each evaluated.

    python benchmarks/ablations.py --list
    python benchmarks/ablations.py --group timbre-loss --bank bank --init models/base.safetensors --steps 600
    python benchmarks/ablations.py --group data --network light --bank bank --minutes 20
    python benchmarks/ablations.py --group memory --table      # what is there already

A row is one process on one thread; ``--jobs`` of them run at a time. What is finished is kept (``ROW/result.json``,
and ``results.json`` over all) and not run again, so that the same command goes on where it was stopped; a row with
another budget is run anew. Rows of the groups `timbre-loss`, `memory` and `phase` train a fresh timbre branch on the
frozen notes of ``--init``; those of `balance` train everything from there; those of `data`, `songs` (what was added
for songs, one thing after another left out), `options`, `optimizer`, `architecture` (the notes' half of `base` with
other blocks) and `light` (other shapes of it) start from nothing.
``--seeds 1 2 3`` repeats every row, and the table then gives means and half the range.

Timbres are judged with their number given, on mixes of the bank's development split (unseen: of held-out timbres
alone), on Bach10's development mixes: V-measure of the tracks of the heard notes, and micro onset F1 of the tracks.
Notes are judged by onset / onset+offset / frame F1 after calibration on the bank's development split, at the default
thresholds. Excerpts (``--seconds``) keep an evaluation short; they rank rows, and are not the figures of a model card.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from amtsep.config import NETWORKS

Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Row:
    """One experiment.

    Parameters
    ----------
    group, name
        Its place in the tables.
    settings, mixing
        What differs from the defaults of `Training` and `Mixing`.
    keep
        Which stems of the training split to use, a key of `FILTERS`.
    start
        "nothing", or "notes": the weights of ``--init`` with a fresh timbre branch.
    judged
        "timbres", "notes" or both.
    """

    group: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    mixing: dict[str, Any] = field(default_factory=dict)
    keep: str = "all"
    start: str = "nothing"
    judged: tuple[str, ...] = ("notes",)
    teacher: bool = False
    """Whether the weights of ``--init`` teach too."""
    shape: dict[str, Any] = field(default_factory=dict)
    """What differs from the `Network` that `settings` name."""


FILTERS: dict[str, Callable[[Any, str], bool]] = {
    "all": lambda stem, kind: True,
    "no-recorded": lambda stem, kind: kind != "recorded",
    "no-soundfonts": lambda stem, kind: kind != "soundfont",
    "no-synthetic": lambda stem, kind: kind != "synthetic",
    "no-guitarset": lambda stem, kind: kind != "real",
    "no-patches": lambda stem, kind: kind != "patch",
    "no-voices": lambda stem, kind: kind != "voice",
    "no-bands": lambda stem, kind: stem.source != "bands",
    "random-scores": lambda stem, kind: kind == "real" or stem.kind == "random",
    "real-scores": lambda stem, kind: kind == "real" or stem.kind == "music",
}
"""Whether a stem is trained on, by the stem and its kind (see `amtsep.synthesis.mixing.kind_of`)."""

FOR_SONGS = ("no-patches", "no-voices", "no-bands")

FROZEN: dict[str, Any] = {"network": "base", "freeze_notes": True}


def timbre_row(group: str, name: str, **settings: Any) -> Row:
    """A fresh timbre branch on frozen notes."""
    return Row(group, name, {**FROZEN, **settings}, start="notes", judged=("timbres",))


def balance_row(name: str, **settings: Any) -> Row:
    """Everything trained on from given notes, at a rate that leaves these standing."""
    settings = {"network": "base", "learning_rate": 2e-3, **settings}
    return Row("balance", name, settings, start="notes", judged=("timbres", "notes"))


STACKED = NETWORKS["base"].harmonics


def shape_row(name: str, blocks: tuple[tuple[int, int] | str, ...], stacked: bool = True) -> Row:
    """The notes' half of `base` with other blocks, with the harmonics stacked at the input or the fundamental alone."""
    shape = {"blocks": blocks, "harmonics": STACKED if stacked else (1.0,), "embedding_channels": 0, "embedding_dim": 0}
    return Row("architecture", name, {"network": "base"}, shape=shape)


def light_row(name: str, **shape: Any) -> Row:
    """`light` in another shape."""
    return Row("light", name, {"network": "light"}, shape=shape)


ROWS: tuple[Row, ...] = (
    shape_row("dilated", ((1, 1), (12, 2), (7, 4), (1, 8), (1, 1))),
    shape_row("dilated, no stack", ((1, 1), (12, 2), (7, 4), (1, 8), (1, 1)), stacked=False),
    shape_row("one harmonic", ((1, 1), "harmonic", (1, 2), (1, 8), (1, 1))),
    shape_row("two harmonic", ("harmonic", (1, 1), "harmonic", (1, 8), (1, 1))),
    shape_row("two harmonic, no stack", ("harmonic", (1, 1), "harmonic", (1, 8), (1, 1)), stacked=False),
    light_row("as it ships"),
    light_row("heads apart", shared_head=False),
    light_row("octaves", octaves=True),
    light_row("octaves, heads apart", octaves=True, shared_head=False),
    light_row("dilated, octaves, heads apart", octaves=True, shared_head=False, blocks=((1, 1), (1, 2), (1, 4))),
    light_row("longer", blocks=(*NETWORKS["light"].blocks, (1, 8))),
    light_row("head of 32", head_channels=32),
    Row("data", "full"),
    *(Row("data", name, keep=name) for name in FILTERS if name not in ("all", *FOR_SONGS)),
    Row("data", "no-augmentation", mixing={"augment": False}),
    Row("songs", "everything"),
    Row("songs", "no-drums", mixing={"drums": 0.0}),
    *(Row("songs", name, keep=name) for name in FOR_SONGS),
    Row("songs", "no-effects", mixing={"effects": 0.0, "tuning": 0.0, "codec": 0.0, "compression": 0.0}),
    Row("songs", "no-song-mixes", mixing={"song": 0.0}),
    Row("data", "basic-pitch-architecture", {"network": "basic-pitch"}),
    Row("options", "two-stages", {"stages": 2}),
    Row("options", "learned-front-end", {"learn_front_end": True}),
    Row("options", "distilled", {}, teacher=True),
    Row("options", "plain-cross-entropy", {"onset_gamma": 0.0, "frame_gamma": 0.0}),
    Row("optimizer", "adamw", {"optimizer": "adamw"}),
    Row("optimizer", "adamw-half-rate", {"optimizer": "adamw", "learning_rate": 1.5e-3}),
    Row("optimizer", "muon"),
    Row("optimizer", "muon-half-rate", {"learning_rate": 1.5e-3}),
    Row("optimizer", "muon-double-rate", {"learning_rate": 6e-3}),
    *(
        timbre_row("timbre-loss", name, timbre_loss=name)
        for name in ("infonce", "infonce-wide", "infonce-units", "supcon", "prototype", "affinity", "affinity-leaky")
    ),
    timbre_row("timbre-loss", "infonce-cold", timbre_temperature=0.07),
    timbre_row("timbre-loss", "infonce-warm", timbre_temperature=0.3),
    timbre_row("timbre-loss", "prototype-cold", timbre_loss="prototype", timbre_temperature=0.07),
    *(timbre_row("memory", name, memory=name) for name in ("none", "hebbian", "linear", "flow", "statistics", "notes")),
    balance_row("frozen", freeze_notes=True),
    *(balance_row(name, balance=name) for name in ("fixed", "resistor", "dwa", "resistor-dwa", "pcgrad")),
    timbre_row("phase", "level-alone"),
    timbre_row("phase", "level-and-phase", phase=True),
)


@dataclass(frozen=True)
class Job:
    """What is the same for all rows of a run."""

    bank: Path
    data: Path
    init: Path
    out: Path
    network: str
    steps: int | None
    minutes: float | None
    seconds: float
    batch_size: int
    calibration: int
    mixes: int
    songs: tuple[tuple[str, Path], ...] = ()
    """(Title, folder) of recordings with a MIDI file beside each, to judge notes by, too."""

    def budget(self) -> dict[str, Any]:
        """What a finished row must have been given to count as the same."""
        values = asdict(self)
        return {
            name: str(v) if isinstance(v, Path) else v
            for name, v in values.items()
            if name not in ("out", "data", "songs")
        }

    def folder(self, row: Row, seed: int) -> Path:
        """Where a row keeps its weights and its result."""
        return self.out / row.group / f"{row.name}-{seed}"


# -- one row, in a process of its own


def run_row(row: Row, seed: int, job: Job) -> None:
    """Train, evaluate, write ``result.json``."""
    import torch

    torch.set_num_threads(1)
    folder = job.folder(row, seed)
    weights, trained = train_row(row, seed, job, folder)
    started = time.monotonic()
    figures: Figures = {}
    if "notes" in row.judged:
        figures |= judge_notes(weights, job, folder)
    if "timbres" in row.judged:
        figures |= judge_timbres(weights, job, row)
    result = {
        "group": row.group,
        "row": row.name,
        "seed": seed,
        "settings": {**row.settings, **{f"mixing.{k}": v for k, v in row.mixing.items()}, "keep": row.keep},
        "budget": job.budget(),
        "trained": trained,
        "figures": figures,
        "evaluation_s": round(time.monotonic() - started, 1),
    }
    write_json(folder / "result.json", result)


def train_row(row: Row, seed: int, job: Job, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Train; the path of the weights, and how long it took."""
    from amtsep.config import TRAININGS
    from amtsep.nets.checkpoint import read_checkpoint
    from amtsep.training.loop import Run, train

    settings = {"network": job.network, **row.settings}
    base = TRAININGS[settings["network"]]
    if row.shape:
        # A row is a process of its own.
        NETWORKS[row.name] = replace(NETWORKS[settings["network"]], name=row.name, **row.shape)
        settings["network"] = row.name
    # The mixes are those of one network for all rows, so that only what a row names differs.
    mixing = replace(TRAININGS["base"].mixing, **row.mixing)
    expected = job.steps or 1000
    training = replace(
        base,
        **{
            "steps": job.steps or 10**9,
            "batch_size": job.batch_size,
            "warm_up": min(base.warm_up, max(expected // 10, 1)),
            # A moving average over the last tenth: the default remembers the first steps of a short training.
            "ema_decay": min(base.ema_decay, max(1.0 - 10.0 / expected, 0.5)),
            "seed": seed,
            "workers": 0,
            "dev_clips": 0,
            "checkpoint_every": 10**9,
            "mixing": mixing,
            **settings,
        },
    )
    started = time.monotonic()
    path = train(
        training,
        Run(
            bank=filtered_bank(job.bank, row.keep, folder),
            out=folder,
            accelerator="cpu",
            init=notes_alone(job.init, folder) if row.start == "notes" else None,
            teacher=job.init if row.teacher else None,
            **({"max_minutes": job.minutes} if job.minutes else {}),
        ),
    )
    checkpoint = read_checkpoint(path)
    minutes = (time.monotonic() - started) / 60
    return path, {
        "steps": checkpoint.info.get("step"),
        "hours": checkpoint.info.get("hours"),
        "minutes": round(minutes, 2),
    }


def notes_alone(init: Path, folder: Path) -> Path:
    """A copy of the weights without a timbre branch, so that this starts anew; one for a row, no two write together."""
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "notes.safetensors"
    save_file({k: v for k, v in load_file(str(init)).items() if not k.startswith("timbre.")}, str(path))
    return path


def filtered_bank(bank: Path, keep: str, out: Path) -> Path:
    """The bank, or a folder with links to its sound in whose list the training stems to leave out are of no split."""
    if keep == "all":
        return bank
    from amtsep.synthesis.bank import Stem
    from amtsep.synthesis.mixing import kind_of

    folder = out / "bank"  # a row's own: rows are trained side by side
    folder.mkdir(parents=True, exist_ok=True)
    head = json.loads((bank / "stems.json").read_text(encoding="utf-8"))
    for record in head["stems"]:
        stem = Stem.from_json(record)
        if stem.split == "train" and not FILTERS[keep](stem, kind_of(stem)):
            record["split"] = "left out"
    for name in ("audio.i16", "notes.npy"):
        link = folder / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to((bank / name).resolve())
    write_json(folder / "stems.json", head)
    return folder


# -- evaluation


def excerpt(recording: Any, seconds: float) -> tuple[Any, Any]:
    """The beginning of a recording, or what begins at half a minute of a long one, as (`Audio`, `Notes`)."""
    from amtsep.audio import Audio
    from amtsep.config import FrontEnd

    rate, samples, truth = FrontEnd().sample_rate, recording.audio(), recording.reference
    start = 30.0 if len(samples) / rate > 60.0 + seconds else 0.0
    samples = samples[round(start * rate) : round((start + seconds) * rate)]
    end = start + len(samples) / rate
    chosen = truth.select((truth.onset >= start) & (truth.onset < end - 0.05))
    shifted = replace(chosen, onset=chosen.onset - start, offset=np.minimum(chosen.offset, end) - start)
    return Audio(samples, rate, recording.name), shifted


def judge_notes(weights: Path, job: Job, folder: Path) -> Figures:
    """Mean F1 of notes by set, after calibration."""
    from amtsep.config import Decoding
    from amtsep.evaluation.readers import recordings
    from amtsep.inference import Transcriber
    from amtsep.training.calibration import Example, calibrate, mean_figures

    path = folder / "calibrated.safetensors"
    checkpoint = calibrate(weights, path, job.bank, job.calibration)
    transcriber = Transcriber(path, device="cpu")
    sets = {
        "quartets": ("bach10", "bach10/dev", {"mixes": (4,)}, 5),
        "guitarset": ("guitarset", "guitarset/dev", {}, 6),
        "maps": ("maps", "maps/dev", {}, 4),
        "slakh": ("slakh", "slakh/dev", {"mixes": (2, 3, 4), "per_size": 1}, 4),
    }
    figures: Figures = {"calibration": {"onset_shift": checkpoint.onset_shift, "frame_shift": checkpoint.frame_shift}}
    names = ("onset", "onset_offset", "frame")
    mixes = list(development_mixes(job.bank, job.mixes, unseen=False))
    means = mean_figures((Example(transcriber(audio), truth) for audio, truth in mixes), Decoding())
    figures["mixes"] = {**dict(zip(names, np.round(means, 4).tolist())), "n": len(mixes)}
    for title, (dataset, place, options, most) in sets.items():
        if not (job.data / place).is_dir():
            continue
        found = recordings(dataset, job.data / place, **options)
        chosen = found[:: max(1, -(-len(found) // most))]
        excerpts = (excerpt(recording, 1.5 * job.seconds) for recording in chosen)
        means = mean_figures((Example(transcriber(audio), truth) for audio, truth in excerpts), Decoding())
        figures[title] = {**dict(zip(names, np.round(means, 4).tolist())), "n": len(chosen)}
    for title, place in job.songs:
        found = recordings("pairs", place)
        excerpts = (excerpt(recording, 1.5 * job.seconds) for recording in found)
        means = mean_figures((Example(transcriber(audio), truth) for audio, truth in excerpts), Decoding())
        figures[title] = {**dict(zip(names, np.round(means, 4).tolist())), "n": len(found)}
    return figures


def judge_timbres(weights: Path, job: Job, row: Row) -> Figures:
    """Mean V-measure and micro onset F1 by set, the number of timbres given."""
    path = weights.with_name("calibrated.safetensors")
    if "notes" not in row.judged:
        from amtsep.training.calibration import take_shifts

        # Frozen notes are calibrated already.
        take_shifts(weights, path, job.init)
    from amtsep.clustering import cluster
    from amtsep.config import Clustering, FrontEnd
    from amtsep.decoding import decode, embed_notes
    from amtsep.evaluation.readers import recordings
    from amtsep.evaluation.separation import evaluate_separated
    from amtsep.inference import Transcriber

    transcriber = Transcriber(path, device="cpu")

    def score(material: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        rows = []
        for audio, truth in material:
            k = len(np.unique(truth.track))
            posteriors = transcriber(audio)
            heard = embed_notes(decode(posteriors), posteriors)
            if k < 2 or len(heard) < k:
                continue
            found = evaluate_separated(truth, cluster(heard, Clustering(timbres=k)), FrontEnd().hop_s)
            rows.append((found.v_measure, found.micro_onset.f1))
        means = np.nanmean(rows, axis=0).round(4).tolist() if rows else [float("nan")] * 2
        return {"v": means[0], "f1": means[1], "n": len(rows)}

    figures = {
        "unseen": score(development_mixes(job.bank, job.mixes, unseen=True)),
        "seen": score(development_mixes(job.bank, job.mixes, unseen=False)),
    }
    place = job.data / "bach10" / "dev"
    if place.is_dir():
        for parts, title in ((2, "duets"), (3, "trios"), (4, "quartets, tracks")):
            found = recordings("bach10", place, (parts,), per_size=1)
            figures[title] = score(excerpt(recording, job.seconds) for recording in found)
    return figures


def development_mixes(bank_folder: Path, count: int, unseen: bool) -> Iterable[tuple[Any, Any]]:
    """Clean mixes of two to four timbres of the development split, always the same: held out from training, or not."""
    from amtsep.audio import Audio
    from amtsep.config import FrontEnd, Mixing
    from amtsep.notes import Notes
    from amtsep.synthesis.bank import Bank
    from amtsep.synthesis.mixing import Mixer

    bank = Bank.open(bank_folder)
    bank.stems = [stem if stem.held_out == unseen else replace(stem, split="left out") for stem in bank.stems]
    mixing = Mixing(clip_s=bank.clip_s, parts=(0.0, 0.4, 0.35, 0.25), augment=False, part_gain_db=3.0, same_piece=0.3)
    mixer = Mixer(bank, mixing, FrontEnd(), seed=23, split="dev")
    made = index = 0
    while made < count and index < 20 * count:
        clip = mixer.clip(index)
        index += 1
        rows = clip.notes[(clip.notes[:, 0] >= 0.0) & (clip.notes[:, 0] < mixing.clip_s - 0.05)]
        # A part with a note or two is no timbre that anybody could tell.
        rows = rows[np.isin(rows[:, 3], np.flatnonzero(np.bincount(rows[:, 3].astype(int), minlength=1) >= 4))]
        if len(np.unique(rows[:, 3])) < 2:
            continue
        made += 1
        _, track = np.unique(rows[:, 3], return_inverse=True)
        ends = np.minimum(rows[:, 1], mixing.clip_s)
        yield (
            Audio(clip.audio * np.float32(0.1), FrontEnd().sample_rate, f"mix {index}"),
            Notes.build(rows[:, 0], ends, rows[:, 2], track=track),
        )


# -- all rows


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    part.replace(path)


def finished(row: Row, seed: int, job: Job, any_budget: bool = False) -> dict[str, Any] | None:
    """The result of a row that was run with this budget."""
    path = job.folder(row, seed) / "result.json"
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result if any_budget or result["budget"] == job.budget() else None


def run_all(rows: Sequence[Row], seeds: Sequence[int], job: Job, jobs: int, arguments: Sequence[str]) -> int:
    """Run what is not finished, some at a time; the number of rows that failed."""
    todo = [(row, seed) for seed in seeds for row in rows if finished(row, seed, job) is None]
    print(f"{len(rows) * len(seeds)} rows, {len(todo)} to run", file=sys.stderr)
    lock, failed = threading.Lock(), []
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")

    def one(item: tuple[Row, int]) -> None:
        row, seed = item
        folder = job.folder(row, seed)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--one", f"{row.group}/{row.name}/{seed}"]
        with (folder / "output.txt").open("w") as output:
            done = subprocess.run(command, env={**os.environ, **threads}, stdout=output, stderr=subprocess.STDOUT)
        with lock:
            result = finished(row, seed, job)
            if done.returncode or result is None:
                failed.append(row)
                print(f"{row.group}/{row.name}/{seed} failed; see {folder / 'output.txt'}", file=sys.stderr)
                return
            spent = f"{result['trained']['minutes']} min training, {result['evaluation_s']} s evaluation"
            print(f"{row.group}/{row.name}/{seed}: {spent}", file=sys.stderr)
            collect(rows, seeds, job)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, todo))
    return len(failed)


def collect(rows: Sequence[Row], seeds: Sequence[int], job: Job) -> list[dict[str, Any]]:
    """All results there are, also into ``results.json`` (those of other groups stay in it)."""
    own = [r for row in rows for seed in seeds if (r := finished(row, seed, job, any_budget=True)) is not None]
    path = job.out / "results.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    key = [(r["group"], r["row"], r["seed"]) for r in own]
    job.out.mkdir(parents=True, exist_ok=True)
    write_json(path, [r for r in old if (r["group"], r["row"], r["seed"]) not in key] + own)
    return own


SONGS = ("songs", "songs with drums")
COLUMNS = {
    "timbres": (
        ("unseen", "unseen", ("v", "f1")),
        ("seen", "seen", ("v", "f1")),
        ("duets", "duets", ("v", "f1")),
        ("trios", "trios", ("v", "f1")),
        ("quartets, tracks", "quartets, tracks", ("v", "f1")),
    ),
    "notes": tuple(
        (name, name, ("onset", "onset_offset", "frame"))
        for name in ("mixes", "quartets", "guitarset", "maps", "slakh", *SONGS)
    ),
}
"""By what is judged: title, set, figures."""


def table(results: Sequence[dict[str, Any]], group: str) -> str:
    """A Markdown table of a group: means over seeds, half the range behind them."""
    rows = [row for row in ROWS if row.group == group]
    judged = [j for j in ("timbres", "notes") if any(j in row.judged for row in rows)]
    here = {title for r in results if r["group"] == group for title in r["figures"]}
    columns = [column for j in judged for column in COLUMNS[j] if column[1] in here]
    explained = {"timbres": "V-measure / onset F1 of tracks, K given", "notes": "onset / onset+offset / frame F1"}
    lines = [f"### {group}", "", "; ".join(explained[j] for j in judged), ""]
    heads = ["row", "steps", "min", *(title for title, _, _ in columns), "mean of first"]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        found = [r for r in results if (r["group"], r["row"]) == (group, row.name)]
        if not found:
            continue
        cells, firsts = [], []
        for _, key, names in columns:
            values = np.array([[r["figures"].get(key, {}).get(n, np.nan) for n in names] for r in found], float)
            cells.append(" / ".join(f"{v:.3f}".lstrip("0") for v in values.mean(axis=0)))
            firsts.append(values[:, 0])
        means = np.nanmean(firsts, axis=0)
        spread = f" ± {(means.max() - means.min()) / 2:.3f}" if len(means) > 1 else ""
        steps = "/".join(str(s) for s in sorted({r["trained"]["steps"] for r in found}))
        minutes = np.mean([r["trained"]["minutes"] for r in found])
        lines.append(
            f"| {row.name} | {steps} | {minutes:.1f} | " + " | ".join(cells) + f" | {means.mean():.3f}{spread} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run rows and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = list(dict.fromkeys(row.group for row in ROWS))
    parser.add_argument("--group", nargs="*", choices=groups, default=groups, help="which groups (default: all)")
    parser.add_argument("--rows", nargs="*", help="only rows of these names")
    parser.add_argument("--bank", type=Path, default=Path("bank"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("AMTSEP_DATA", "../shared/data")))
    parser.add_argument("--init", type=Path, default=Path("models/base.safetensors"), help="whose notes are frozen")
    parser.add_argument("--network", default="light", help="of rows that start from nothing (default: light)")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="optimizer steps a row")
    budget.add_argument("--minutes", type=float, help="training minutes a row, instead of steps")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time, a core each")
    parser.add_argument("--seconds", type=float, default=10.0, help="of every recording that is judged by")
    parser.add_argument("--mixes", type=int, default=8, help="synthetic mixes, unseen and as many seen")
    parser.add_argument("--calibration", type=int, default=12, help="clips that thresholds are calibrated on")
    parser.add_argument("--songs", type=Path, help="recordings with a MIDI file beside each, to judge notes by, too")
    parser.add_argument("--drummed-songs", type=Path, help="the same with drums")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    job = Job(
        args.bank,
        args.data,
        args.init,
        args.out,
        args.network,
        args.steps,
        args.minutes,
        args.seconds,
        args.batch_size,
        args.calibration,
        args.mixes,
        tuple((title, place) for title, place in zip(SONGS, (args.songs, args.drummed_songs)) if place is not None),
    )
    if args.one:
        group, name, seed = args.one.rsplit("/", 2)
        run_row(next(row for row in ROWS if (row.group, row.name) == (group, name)), int(seed), job)
        return 0
    rows = [row for row in ROWS if row.group in args.group and (not args.rows or row.name in args.rows)]
    if args.list:
        print(
            "\n".join(
                f"{row.group:12} {row.name:26} {row.settings or ''} {row.mixing or ''} {row.keep}" for row in rows
            )
        )
        return 0
    if not rows:
        parser.error("no row has that name; see --list")
    failed = 0
    if not args.table:
        if args.steps is None and args.minutes is None:
            parser.error("give a budget: --steps or --minutes")
        failed = run_all(rows, args.seeds, job, args.jobs, sys.argv[1:])
    results = collect(rows, args.seeds, job)
    for group in dict.fromkeys(row.group for row in rows):
        print(table(results, group))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
