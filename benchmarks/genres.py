"""Genre classifiers on audio made for the purpose: ``python benchmarks/genres.py --data DIR --out genres``.

No permissive recordings of ten genres can be had offline, so the audio is rendered here, and every figure says so:

- six styles of drumming (rock, funk, jazz, latin, hiphop, soul) of the Groove MIDI Dataset, as labelled there, played
  on kits of recorded strokes that are drawn whatever the style and the split: so only what is played can tell them
  apart. Clips that are learnt from are there on several kits;
- pop (POP909) and classical (OpenScore quartets and songs), played with a soundfont that is drawn likewise.

No style has enough drummers for one split, so the drummers are dealt into five folds (`FOLDS`): each is tested on once,
the next one validates, the other three train. No drummer, and so no session, is on two sides, and no work of the scores
is. With ``--by performance`` performances are dealt instead, whoever plays: what is gained is owed to knowing the
player. The drummed styles are counted alone, too: scores are told from drums by their instruments, which is no feat.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.notes import Notes
from amtsep.studio.config import GenreSettings
from amtsep.studio.genre import KINDS, Classifier, Outcome, train
from amtsep.studio.genre_data import Example, features
from amtsep.studio.genre_report import NAMES, text, write_report
from amtsep.studio.names import UNKNOWN
from amtsep.studio.rendering import read_score, render
from amtsep.synthesis.drums import Kit, Performance, kits_in, load_kit, read_performances, render_drums
from amtsep.synthesis.soundfonts import find_soundfonts

STYLES = ("rock", "funk", "jazz", "latin", "hiphop", "soul")
FOLDS = (
    ("drummer1",), ("drummer7",), ("drummer8",), ("drummer5", "drummer10"),
    ("drummer2", "drummer3", "drummer4", "drummer6", "drummer9"),
)  # fmt: skip
"""Drummers whose clips are tested on together."""
CLIP_S = 15.0
LEAST_S = 8.0
RATE = 22_050
FONTS = ("FluidR3_GM", "GeneralUser-v1.47", "TimGM6mb", "MuseScore_General")


@dataclass(frozen=True)
class Clip:
    """A rendered clip; `turn` counts its renderings, of which only the first is tested on."""

    path: Path
    genre: str
    group: str
    fold: int
    turn: int = 0


def seed_of(*parts: object) -> np.random.Generator:
    """Chance that depends on a name alone."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def write(path: Path, sound: NDArray[np.float32]) -> None:
    """A clip, its peak at a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    peak = max(float(np.abs(sound).max(initial=0.0)), 1e-9)
    soundfile.write(path, sound * np.float32(0.5 / peak), RATE, "PCM_16", format="FLAC")


def dealt(name: str) -> int:
    """A fold that follows from a name alone."""
    return int(seed_of("fold", name).integers(len(FOLDS)))


def stretches(performances: Sequence[Performance]) -> Iterator[tuple[Performance, float]]:
    """Performances with the starts of their clips: the first clip of each, then the second of each that has one."""
    each = []
    for performance in performances:
        length = float(performance.strokes["onset"][-1])
        each.append([(performance, CLIP_S * i) for i in range(max(int(length / CLIP_S), 1))])
    for turn in zip_longest(*each):
        yield from (one for one in turn if one is not None)


def drummed(data: Path, out: Path, most: int, kits_a_clip: int, by: str, seed: int) -> list[Clip]:
    """Clips of the styles, at most so many of a drummer and style, each on so many kits."""
    groove = data / "drums" / "groove"
    with (groove / "info.csv").open(newline="", encoding="utf-8") as file:
        told = {row["id"]: row for row in csv.DictReader(file)}
    loaded = [load_kit(folder) for folder in kits_in(data / "drums" / "kits")]
    kits: list[Kit] = [kit for kit in loaded if kit is not None and {"kick", "snare"} <= set(kit.strokes)]
    own: dict[tuple[str, str], list[Performance]] = defaultdict(list)
    for performance in read_performances(groove):
        row = told[performance.name]
        style, length = row["style"].split("/")[0], float(performance.strokes["onset"][-1])
        if style in STYLES and row["beat_type"] == "beat" and length >= LEAST_S:
            own[row["drummer"], style].append(performance)
    found = []
    for (drummer, style), performances in sorted(own.items()):
        for performance, start in islice(stretches(performances), most):
            fold = dealt(performance.name)
            if by == "drummer":
                fold = next(i for i, drummers in enumerate(FOLDS) if drummer in drummers)
            strokes = performance.strokes.copy()
            for name in ("onset", "offset"):
                strokes[name] -= start
            length = min(CLIP_S, float(strokes["onset"][-1]))
            for turn in range(kits_a_clip):
                path = out / style / f"{performance.name.replace('/', '-')}-{start:.0f}-{turn}.flac"
                if not path.is_file():
                    rng = seed_of(seed, path.stem)
                    write(path, render_drums(rng, kits[int(rng.integers(len(kits)))], strokes, length)[0])
                group = drummer if by == "drummer" else performance.name
                found.append(Clip(path, style, group, fold, turn))
    return found


def scored(out: Path, genre: str, files: list[Path], most: int, seed: int) -> list[Clip]:
    """A clip from the middle of each of so many works."""
    import soxr

    have = find_soundfonts()
    fonts = [have[name] for name in FONTS if name in have] or list(have.values())
    order = sorted(files, key=lambda path: seed_of(seed, path.name).random())
    found = []
    for path in order[:most]:
        target = out / genre / f"{path.stem}.flac"
        rng = seed_of(seed, path.stem)
        if not target.is_file():
            notes = read_score(path)
            start = max((notes.end - CLIP_S) / 2, 0.0)
            inside = notes.select((notes.onset >= start) & (notes.onset < start + CLIP_S - 1.0))
            if len(inside) < 8:
                continue
            moved = Notes.build(
                inside.onset - start, np.minimum(inside.offset - start, CLIP_S), inside.pitch, inside.velocity,
                track=inside.track, tracks=inside.tracks,
            )  # fmt: skip
            sound, rate = render(moved, fonts[int(rng.integers(len(fonts)))])
            write(target, soxr.resample(sound, rate, RATE)[: int(CLIP_S * RATE)])
        found.append(Clip(target, genre, path.stem, dealt(path.stem)))
    return found


def in_fold(clips: Sequence[Clip], fold: int) -> list[Example]:
    """The clips as examples where a fold is tested on and the next one validates."""
    splits = {fold: "test", (fold + 1) % len(FOLDS): "validation"}
    examples = [(clip, splits.get(clip.fold, "train")) for clip in clips]
    return [Example(c.path, c.genre, c.group, s, True) for c, s in examples if s == "train" or c.turn == 0]


def together(kind: str, outcomes: Sequence[Outcome]) -> Outcome:
    """The tests of all folds as one."""
    own = [o for o in outcomes if o.kind == kind and o.split == "test"]
    return Outcome(
        kind,
        "test",
        tuple(truth for o in own for truth in o.truth),
        np.concatenate([o.probabilities for o in own]),
        np.concatenate([o.uncalibrated for o in own]),
        tuple(answer for o in own for answer in o.answers),
    )


def figures(outcome: Outcome, genres: Sequence[str], among: Sequence[str]) -> str:
    """Cells of the table: those genres alone, the others barred as answers where nothing is rejected."""
    columns = [genres.index(genre) for genre in among]
    some = [i for i, truth in enumerate(outcome.truth) if truth in among]
    truth = np.array([outcome.truth[i] for i in some])
    best = np.array([among[int(np.argmax(outcome.probabilities[i, columns]))] for i in some])
    answers = np.array([outcome.answers[i] for i in some])
    recalls = {genre: float((best == genre)[truth == genre].mean()) for genre in among}
    sure = answers != UNKNOWN
    rest = f"{float((answers == truth)[sure].mean()):.3f}" if sure.any() else "-"
    commonest = max(float((truth == genre).mean()) for genre in among)
    cells = [f"{float((best == truth).mean()):.3f}", f"{np.mean(list(recalls.values())):.3f}", f"{1 - sure.mean():.3f}"]
    cells += [rest, f"{1 / len(among):.3f}", f"{commonest:.3f}", str(len(some))]
    return " | ".join(cells) + " | " + ", ".join(f"{genre} {value:.2f}" for genre, value in recalls.items())


def learnt(classifier: Classifier, examples: Sequence[Example], kind: str) -> float:
    """Share of right answers to the recordings that were learnt from."""
    own = [e for e in examples if e.split == "train"]
    best = classifier.logits([features(e.path, classifier.settings) for e in own], kind).argmax(axis=1)
    return float(np.mean([classifier.genres[i] == e.genre for i, e in zip(best, own, strict=True)]))


def main() -> None:
    """Make the audio (once), train both in every fold, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with drums/groove, drums/kits, scores/")
    parser.add_argument("--out", type=Path, default=Path("genres"), help="audio, classifiers and page (%(default)s)")
    parser.add_argument("--most", type=int, default=8, help="clips of a drummer and style (%(default)s)")
    parser.add_argument("--kits", type=int, default=2, help="that each clip is learnt on (%(default)s)")
    parser.add_argument("--works", type=int, default=40, help="of pop, and of classical (%(default)s)")
    parser.add_argument("--by", choices=("drummer", "performance"), default="drummer", help="what is dealt to folds")
    parser.add_argument("--epochs", type=int, default=GenreSettings.epochs, help="at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    args = parser.parse_args()
    begin, cpu = time.perf_counter(), time.process_time()
    audio, scores = args.out / "audio", args.data / "scores"
    clips = drummed(args.data, audio, args.most, args.kits, args.by, args.seed)
    clips += scored(audio, "pop", sorted((scores / "pop909").glob("*.mid")), args.works, args.seed)
    written = [path for name in ("openscore-quartets", "openscore-lieder") for path in (scores / name).glob("*.mxl")]
    clips += scored(audio, "classical", sorted(written), args.works, args.seed)
    genres = tuple(sorted({clip.genre for clip in clips}))
    once = [clip for clip in clips if clip.turn == 0]
    print(f"{len(once)} clips of {CLIP_S:g} s at most, {time.perf_counter() - begin:.0f} s", flush=True)
    for fold, drummers in enumerate(FOLDS):
        each = ", ".join(f"{genre} {sum(c.genre == genre and c.fold == fold for c in once)}" for genre in genres)
        print(f"fold {fold + 1}: {each}" + (f"; {', '.join(drummers)}" if args.by == "drummer" else ""))
    outcomes, by_heart = [], []
    for fold in range(len(FOLDS)):
        examples = in_fold(clips, fold)
        classifier, own, curves = train(examples, replace(GenreSettings(), epochs=args.epochs, seed=args.seed))
        if classifier.genres != genres:
            raise DataError(f"Fold {fold + 1} lacks a genre.")
        outcomes += own
        by_heart.append([learnt(classifier, examples, kind) for kind in KINDS])
        print(f"fold {fold + 1}: {len(curves)} epochs, {time.perf_counter() - begin:.0f} s", flush=True)
    pooled = [together(kind, outcomes) for kind in KINDS]
    counts = {"recordings": len(once), "groups": len({clip.group for clip in clips})}
    all_folds = replace(classifier, about={"synthetic": True, "split": {f"{len(FOLDS)} folds, each tested": counts}})
    page = write_report(args.out / "genre.html", all_folds, pooled, curves)
    print("\n" + text(all_folds, pooled))
    print("\n| synthetic | genres | accuracy | mean recall | rejected | accuracy of the rest | chance "
          "| commonest | clips | recalls |\n" + "|---" * 10 + "|")  # fmt: skip
    for outcome in pooled:
        for name, among in (("all", genres), ("drummed", STYLES)):
            print(f"| {NAMES[outcome.kind]} | {name} | {figures(outcome, genres, among)} |")
    told = ", ".join(f"{NAMES[kind]} {np.mean([x[i] for x in by_heart]):.3f}" for i, kind in enumerate(KINDS))
    print(f"(accuracy on the clips that were learnt from: {told})")
    print(f"{page}; {time.perf_counter() - begin:.0f} s in all, {time.process_time() - cpu:.0f} s of the processor")


if __name__ == "__main__":
    main()
