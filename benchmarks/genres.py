"""Genre classifiers on audio made for the purpose: ``python benchmarks/genres.py --data DIR --out genres``.

No permissive recordings of ten genres can be had offline, so the audio is rendered here, and every figure says so:

- six styles of drumming (rock, funk, jazz, latin, hiphop, soul) of the Groove MIDI Dataset, as labelled there, played
  on kits of recorded strokes that are drawn whatever the style and the split;
- pop (POP909) and classical (OpenScore quartets and songs), played with a soundfont that is drawn likewise.

Drummers 4, 6 and 7 are tested on, 3 and 8 validate, the others train: no drummer, and so no session, is on two sides.
Of the scores every work is on one side only. The last lines count the drummed styles alone: scores are told from drums
by their instruments, which is no feat.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from amtsep.notes import Notes
from amtsep.studio.config import GenreSettings
from amtsep.studio.genre import Classifier, Outcome, train
from amtsep.studio.genre_data import Example
from amtsep.studio.genre_report import text, write_report
from amtsep.studio.rendering import read_score, render
from amtsep.synthesis.drums import Kit, kits_in, load_kit, read_performances, render_drums
from amtsep.synthesis.soundfonts import find_soundfonts

STYLES = ("rock", "funk", "jazz", "latin", "hiphop", "soul")
SPLIT = {"drummer4": "test", "drummer6": "test", "drummer7": "test", "drummer3": "validation", "drummer8": "validation"}
CLIP_S = 20.0
LEAST_S = 8.0
RATE = 22_050
FONTS = ("FluidR3_GM", "GeneralUser-v1.47", "TimGM6mb", "MuseScore_General")


def seed_of(*parts: object) -> np.random.Generator:
    """Chance that depends on a name alone."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def write(path: Path, sound: NDArray[np.float32]) -> None:
    """A clip, its peak at a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    peak = max(float(np.abs(sound).max(initial=0.0)), 1e-9)
    soundfile.write(path, sound * np.float32(0.5 / peak), RATE, "PCM_16", format="FLAC")


def drummed(data: Path, out: Path, most: int, seed: int) -> list[Example]:
    """A clip of each performance of the styles, at most so many of a drummer and style."""
    groove = data / "drums" / "groove"
    with (groove / "info.csv").open(newline="", encoding="utf-8") as file:
        told = {row["id"]: row for row in csv.DictReader(file)}
    loaded = [load_kit(folder) for folder in kits_in(data / "drums" / "kits")]
    kits: list[Kit] = [kit for kit in loaded if kit is not None and {"kick", "snare"} <= set(kit.strokes)]
    found: list[Example] = []
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for performance in read_performances(groove):
        row = told[performance.name]
        style, drummer = row["style"].split("/")[0], row["drummer"]
        length = float(performance.strokes["onset"][-1])
        if style not in STYLES or row["beat_type"] != "beat" or length < LEAST_S:
            continue
        counts[drummer, style] += 1
        if counts[drummer, style] > most:
            continue
        path = out / style / f"{performance.name.replace('/', '-')}.flac"
        if not path.is_file():
            rng = seed_of(seed, performance.name)
            start = float(rng.uniform(0.0, max(length - CLIP_S, 0.0)))
            strokes = performance.strokes.copy()
            for name in ("onset", "offset"):
                strokes[name] -= start
            sound, _ = render_drums(rng, kits[int(rng.integers(len(kits)))], strokes, min(CLIP_S, length))
            write(path, sound)
        found.append(Example(path, style, drummer, SPLIT.get(drummer, "train"), True))
    return found


def scored(data: Path, out: Path, genre: str, files: list[Path], most: int, seed: int) -> list[Example]:
    """A clip from the middle of each of so many works."""
    import soxr

    have = find_soundfonts()
    fonts = [have[name] for name in FONTS if name in have] or list(have.values())
    order = sorted(files, key=lambda path: seed_of(seed, path.name).random())
    found = []
    for path in order[:most]:
        target = out / genre / f"{path.stem}.flac"
        rng = seed_of(seed, path.stem)
        share = rng.random()
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
        split = "test" if share < 0.25 else "validation" if share < 0.4 else "train"
        found.append(Example(target, genre, path.stem, split, True))
    return found


def balanced(classifier: Classifier, outcome: Outcome, genres: tuple[str, ...]) -> tuple[float, float, int]:
    """Accuracy, mean of the recalls, and number of recordings among some genres, the others barred as answers."""
    columns = [classifier.genres.index(genre) for genre in genres]
    some = [i for i, truth in enumerate(outcome.truth) if truth in genres]
    best = [genres[int(np.argmax(outcome.probabilities[i, columns]))] for i in some]
    good = np.array([answer == outcome.truth[i] for i, answer in zip(some, best, strict=True)])
    truth = np.array([outcome.truth[i] for i in some])
    recalls = [good[truth == genre].mean() for genre in genres if (truth == genre).any()]
    return float(good.mean()), float(np.mean(recalls)), len(some)


def main() -> None:
    """Make the audio (once), train both, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with drums/groove, drums/kits, scores/")
    parser.add_argument("--out", type=Path, default=Path("genres"), help="audio, classifiers and page (%(default)s)")
    parser.add_argument("--most", type=int, default=14, help="clips of a drummer and style (%(default)s)")
    parser.add_argument("--works", type=int, default=50, help="of pop, and of classical (%(default)s)")
    parser.add_argument("--epochs", type=int, default=GenreSettings.epochs, help="at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    args = parser.parse_args()
    begin, cpu = time.perf_counter(), time.process_time()
    audio, scores = args.out / "audio", args.data / "scores"
    examples = drummed(args.data, audio, args.most, args.seed)
    examples += scored(args.data, audio, "pop", sorted((scores / "pop909").glob("*.mid")), args.works, args.seed)
    written = [path for name in ("openscore-quartets", "openscore-lieder") for path in (scores / name).glob("*.mxl")]
    examples += scored(args.data, audio, "classical", sorted(written), args.works, args.seed)
    print(f"{len(examples)} clips of {CLIP_S:g} s at most, {time.perf_counter() - begin:.0f} s", flush=True)
    for split in ("train", "validation", "test"):
        own = [example for example in examples if example.split == split]
        each = ", ".join(f"{genre} {sum(e.genre == genre for e in own)}" for genre in (*STYLES, "pop", "classical"))
        drummers = sorted({e.group for e in own if e.genre in STYLES})
        print(f"{split}: {each}; {', '.join(drummers)}")
    settings = replace(GenreSettings(), epochs=args.epochs, seed=args.seed)
    classifier, outcomes, curves = train(examples, settings)
    classifier.save(args.out / "genre.safetensors")
    page = write_report(args.out / "genre.html", classifier, outcomes, curves)
    print("\n" + text(classifier, outcomes) + "\n\n| drummed styles only | split | accuracy | mean recall | clips |")
    print("|---|---|---|---|---|")
    for outcome in outcomes:
        accuracy, recall, count = balanced(classifier, outcome, STYLES)
        print(f"| {outcome.kind} | {outcome.split} | {accuracy:.3f} | {recall:.3f} | {count} |")
    test = [e.genre for e in examples if e.split == "test" and e.genre in STYLES]
    print(f"(the commonest style in the test: {max(map(test.count, STYLES)) / len(test):.3f})")
    print(f"{page}; {time.perf_counter() - begin:.0f} s in all, {time.process_time() - cpu:.0f} s of the processor")


if __name__ == "__main__":
    main()
