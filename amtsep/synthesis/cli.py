"""`amtsep synthesize`: render a bank of stems with their notes, to train on."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from amtsep.errors import AmtsepError
from amtsep.synthesis.bank import merge
from amtsep.synthesis.generate import Recipe, Sources, collections, synthesize
from amtsep.synthesis.music import music21_folders
from amtsep.synthesis.recorded import bank_of_recordings
from amtsep.synthesis.soundfonts import find_soundfonts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    default = Recipe()
    parser.add_argument("--out", type=Path, required=True, help="folder to write the bank to")
    parser.add_argument("--hours", type=float, default=default.hours, help="hours of stems (default %(default)s)")
    parser.add_argument("--clip", type=float, default=default.clip_s, help="seconds of a stem (default %(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="makes the bank again (default %(default)s)")
    parser.add_argument(
        "--samples",
        type=Path,
        action="append",
        default=[],
        help="folder with a folder of single recorded notes, or an SFZ file, for each instrument; or one SFZ file "
        "(repeatable)",
    )
    parser.add_argument(
        "--scores",
        type=Path,
        action="append",
        default=[],
        help="folder of MIDI and MusicXML files to render beside random scores (repeatable)",
    )
    parser.add_argument("--music21", action="store_true", help="render the corpus of the installed music21 too")
    parser.add_argument("--guitarset", type=Path, help="GuitarSet folder; its training players enter as real stems")
    parser.add_argument(
        "--recordings",
        type=Path,
        action="append",
        default=[],
        help="instead of rendering: a folder of recordings of one instrument each, with a MIDI file of the same name "
        "beside each; a folder inside it for each instrument (repeatable)",
    )
    parser.add_argument(
        "--merge", type=Path, nargs="+", default=[], metavar="BANK", help="instead of rendering: join these banks"
    )
    parser.add_argument("--groove", type=Path, help="folder of the Groove MIDI Dataset: what drums play")
    parser.add_argument(
        "--drum-kits",
        type=Path,
        action="append",
        default=[],
        help="folder of drum kits, beside the soundfonts' own: folders of strokes or Hydrogen's kits (repeatable)",
    )
    parser.add_argument(
        "--soundfont",
        type=Path,
        action="append",
        default=[],
        help="a General MIDI soundfont beside those found (repeatable)",
    )
    parser.add_argument(
        "--patches",
        type=Path,
        action="append",
        default=[],
        help="folder of a synthesizer's patches, made by `amtsep patches` (repeatable)",
    )
    parser.add_argument("--no-soundfonts", action="store_true", help="use no soundfont at all")
    parser.add_argument("--music", type=float, default=default.music, help="share of real music (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes, no matter for the result (default %(default)s)")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="render on a Dask cluster: tcp://host:8786, or local:N processes"
    )
    parser.add_argument("--pack", type=Path, help="also write the bank compressed to this file")


def _gather(args: argparse.Namespace) -> int:
    """A bank of what is there already: recordings with their notes, or other banks."""
    if args.merge and args.recordings:
        print("Give --merge or --recordings; a bank of recordings can be joined with others later.", file=sys.stderr)
        return 2
    for folder in args.recordings:
        if not folder.is_dir():
            print(f"There is no folder {folder} (--recordings).", file=sys.stderr)
            return 2
    if args.merge:
        bank = merge(args.merge, args.out)
    else:
        recipe = Recipe()
        bank = bank_of_recordings(args.out, args.recordings, args.clip, recipe.sample_rate, recipe.level_db, args.seed)
    print(f"{bank!r} in {args.out}")
    if args.pack is not None:
        print(f"packed into {bank.pack(args.pack)}")
    return 0


def run(args: argparse.Namespace) -> int:
    """Render; returns the exit status."""
    if not 0 < args.hours <= 10000:
        print("--hours must be more than 0.", file=sys.stderr)
        return 2
    if not 2 <= args.clip <= 120:
        print("--clip must be from 2 to 120 seconds.", file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        if args.merge or args.recordings:
            return _gather(args)
        given = [("samples", p) for p in args.samples] + [("scores", p) for p in args.scores]
        given += [(name, path) for name in ("guitarset", "groove") if (path := getattr(args, name)) is not None]
        given += [("drum-kits", path) for path in args.drum_kits]
        given += [("patches", p) for p in args.patches]
        for option, folder in given:
            if not folder.is_dir() and not (option == "samples" and folder.suffix == ".sfz" and folder.is_file()):
                print(f"There is no folder {folder} (--{option}).", file=sys.stderr)
                return 2
        fonts = {} if args.no_soundfonts else find_soundfonts(tuple(args.soundfont))
        scores = list(args.scores) + (music21_folders() if args.music21 else [])
        samples = collections(args.samples, "samples")
        patches = collections(args.patches, "patches", tuple(samples))
        sources = Sources(samples, tuple(scores), args.guitarset, fonts, tuple(args.drum_kits), args.groove)
        sources = replace(sources, patches=patches)
        recipe = Recipe(hours=args.hours, seed=args.seed, music=args.music, clip_s=args.clip)

        def progress(done: float, total: float, what: str) -> None:
            end = "\r" if sys.stderr.isatty() else "\n"
            if sys.stderr.isatty() or int(done) % 500 < 30:
                print(f"{int(done)}/{int(total)} {what}", end=end, file=sys.stderr, flush=True)

        bank = synthesize(args.out, recipe, sources, max(args.jobs, 1), progress, dask=args.dask)
        seconds = time.monotonic() - began
        print(
            f"{bank!r} in {args.out}: {seconds:.0f} s with {args.jobs} processes, "
            f"{bank.hours * 3600 / seconds:.0f} times real time; fonts: {', '.join(fonts) or 'none'}"
        )
        if args.pack is not None:
            path = bank.pack(args.pack)
            print(f"packed into {path}: {path.stat().st_size / 2**20:.1f} MiB")
    except AmtsepError as error:
        print(str(error), file=sys.stderr)
        return 1
    return 0
