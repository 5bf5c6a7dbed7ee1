"""``amtsep corpus``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from amtsep.studio.config import LANGUAGES, CorpusSettings

DEFAULT = CorpusSettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep corpus``."""
    parser.description = (
        "Make a training set of folders of recordings, MIDI and MusicXML: clips of one rate with a caption each, and\n"
        "a manifest (JSONL). Run it again to go on, to add files, or to change captions; nothing is done twice, and\n"
        "captions that you have changed stay. With --recipe it writes a small set of public-domain tunes to try it on."
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="genre/artist/title is read from paths")
    parser.add_argument("-o", "--output", type=Path, default=Path("corpus"), help="folder to make (%(default)s)")
    parser.add_argument("--recipe", type=Path, metavar="DIR", help="write the tunes as MIDI into DIR, and end")
    parser.add_argument("--table", type=Path, metavar="CSV", help="columns file,title,artist,genre,work")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (1)")
    sound = parser.add_argument_group("sound")
    sound.add_argument("--sample-rate", type=int, default=DEFAULT.sample_rate, metavar="HZ", help="(%(default)s)")
    sound.add_argument("--channels", type=int, choices=(1, 2), default=DEFAULT.channels, help="(%(default)s)")
    sound.add_argument("--format", choices=("flac", "wav"), default=DEFAULT.format, help="(%(default)s)")
    sound.add_argument("--clip", dest="clip_s", type=float, default=DEFAULT.clip_s, metavar="S", help="(%(default)g)")
    sound.add_argument("--loudness", type=float, metavar="LUFS", help="bring every recording to it, such as -16")
    sound.add_argument("--soundfont", metavar="FILE", help="to render MIDI and MusicXML with (one that is found)")
    words = parser.add_argument_group("captions")
    words.add_argument("--language", choices=LANGUAGES, default=DEFAULT.language, help="English or 中文 (%(default)s)")
    words.add_argument("--template", default="", help="such as '{genre}, {tempo}, {key}, {timbres}'")
    words.add_argument(
        "--hear", action=argparse.BooleanOptionalAction, default=True, help="tempo, key, timbres, density (yes)"
    )
    words.add_argument("--model", default=DEFAULT.model, help="network that hears them (%(default)s)")
    words.add_argument("--genre-model", type=Path, metavar="FILE", help="guess genres of what is in 'unknown'")
    split = parser.add_argument_group("split by work")
    split.add_argument("--validation", type=float, default=DEFAULT.validation, metavar="0-1", help="(%(default)g)")
    split.add_argument("--test", type=float, default=DEFAULT.test, metavar="0-1", help="(%(default)g)")
    split.add_argument("--seed", type=int, default=DEFAULT.seed, help="(%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Make the corpus and say what is in it."""
    if args.recipe is not None:
        from amtsep.studio.recipe import write_recipe

        written = write_recipe(args.recipe)
        print(f"{len(written)} arrangements of public-domain tunes in {args.recipe}; now: amtsep corpus {args.recipe}")
        return 0
    wrong = _wrong(args)
    if wrong:
        print(f"amtsep corpus: {wrong}", file=sys.stderr)
        return 2
    from tqdm import tqdm

    from amtsep.studio.corpus import build, gather

    names = ("sample_rate", "channels", "format", "clip_s", "loudness", "soundfont", "language", "template", "hear",
             "model", "validation", "test", "seed")  # fmt: skip
    settings = replace(DEFAULT, **{name: getattr(args, name) for name in names})
    guess = None
    if args.genre_model is not None:
        from amtsep.studio.genre import Classifier

        guess = Classifier.load(args.genre_model).guess
    with tqdm(disable=None, leave=False, unit="file") as bar:

        def tell(what: str, done: int, total: int, name: str) -> None:
            bar.total, bar.n = total, done
            bar.set_description(what, refresh=False)
            bar.set_postfix_str(name[:40])

        report = build(gather(args.folders, args.table), args.output, settings, args.jobs, tell, guess)
    for name, sentence in report.failed.items():
        print(f"amtsep: {name}: {sentence}", file=sys.stderr)
    for name, twin in report.duplicates.items():
        print(f"{name} has the content of {twin} and is left out")
    rows = report.rows
    hours = sum(row["duration_s"] for row in rows) / 60
    print(f"{args.output}: {len(rows)} clips, {hours:.1f} min, of {len({row['work'] for row in rows})} works")
    for name in ("train", "validation", "test"):
        own = [row for row in rows if row["split"] == name]
        print(f"  {name}: {len(own)} clips of {len({row['work'] for row in own})} works")
    if report.cached:
        print(f"  {report.cached} files had been done before")
    if report.failed:
        print(f"amtsep: {len(report.failed)} files could not be used.", file=sys.stderr)
    return 1 if report.failed else 0


def _wrong(args: argparse.Namespace) -> str:
    if not args.folders:
        return "name a folder of recordings or scores (or --recipe DIR for some tunes to try)."
    if not (8_000 <= args.sample_rate <= 192_000):
        return "--sample-rate must be from 8000 to 192000."
    if args.clip_s < 1 or args.jobs < 1:
        return "--clip is at least 1 second and --jobs at least 1."
    if min(args.validation, args.test) < 0 or args.validation + args.test >= 1:
        return "--validation and --test are shares that leave something to train on."
    return ""
