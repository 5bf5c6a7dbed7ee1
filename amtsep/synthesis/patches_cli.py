"""`amtsep patches`: render a synthesizer's patches as collections of single notes, for `amtsep synthesize`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from amtsep.errors import AmtsepError
from amtsep.synthesis.patches import ENGINES, render_patches, report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    parser.add_argument("--out", type=Path, required=True, help="folder to write; an unfinished one is gone on with")
    parser.add_argument("--engine", choices=ENGINES, required=True, help="the synthesizer")
    parser.add_argument("--count", type=int, default=1000, help="patches to try (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the patches (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Render; returns the exit status."""
    if args.count < 1:
        print("--count must be at least 1.", file=sys.stderr)
        return 2
    began = time.monotonic()

    def progress(done: float, total: float, what: str) -> None:
        if sys.stderr.isatty() or int(done) % 50 == 0:
            end = "\r" if sys.stderr.isatty() else "\n"
            print(f"{int(done)}/{int(total)} {what}", end=end, file=sys.stderr, flush=True)

    try:
        found = render_patches(args.out, args.engine, args.count, args.seed, progress=progress)
    except AmtsepError as error:
        print(str(error), file=sys.stderr)
        return 1
    print(f"{report(found)}\n{args.out}: {time.monotonic() - began:.0f} s")
    return 0
