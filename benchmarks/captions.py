"""What captions say against what the scores say: ``python benchmarks/captions.py [--corpus DIR]``.

The recipe's tunes are rendered and heard with the real network (``amtsep corpus``), unless a corpus of them is named.
For each style: tempo within 4 %; or by a factor of two or three; the key, or one of its neighbours (relative,
parallel, a fifth away); the number of timbres (every arrangement has three that have a pitch), or one more or less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from amtsep.studio.captions import MAJORS, MINORS
from amtsep.studio.config import CorpusSettings
from amtsep.studio.corpus import build, gather, read_manifest
from amtsep.studio.recipe import STYLES, TUNES, transposition, write_recipe

TIMBRES = 3
WITHIN = 0.04
MINOR_TUNES = ("Drunken Sailor",)
NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
HEADS = ("style", "clips", "tempo", "… × 2, 3", "key", "… or near", "timbres", "… ± 1", "told")


def tonic(name: str) -> int:
    """Pitch class of a tonic such as Bb."""
    return (NAMES[name[0]] + name.count("#") - name.count("b")) % 12


def measured(row: dict[str, Any]) -> list[float]:
    """Right or wrong, in the order of `HEADS` from the tempo on."""
    source = PurePath(row["source"])
    style, tune = STYLES[source.parts[-2]], source.stem
    ratio = (row["tempo"] or 0.0) / style.tempo
    exact = abs(ratio - 1) <= WITHIN
    multiple = any(abs(ratio / factor - 1) <= WITHIN for factor in (0.5, 1 / 3, 2 / 3, 1, 1.5, 2, 3))
    minor = tune in MINOR_TUNES
    root = (transposition(tune) + (2 if minor else 0)) % 12
    found = (row["key"] or "").split()
    right = near = False
    if len(found) == 2:
        assert found[0] in {*MAJORS, *MINORS}
        heard, heard_minor = tonic(found[0]), found[1] == "minor"
        right = (heard, heard_minor) == (root, minor)
        relative = (heard - root) % 12 == (3 if minor else 9) and heard_minor != minor
        fifth = heard_minor == minor and (heard - root) % 12 in (5, 7)
        near = right or relative or fifth or (heard == root and heard_minor != minor)
    timbres = row["timbres"] or 0
    return [exact, multiple, right, near, timbres == TIMBRES, abs(timbres - TIMBRES) <= 1, timbres]


def line(name: str, rows: Iterable[dict[str, Any]]) -> str:
    """A row of the table."""
    values = np.array([measured(row) for row in rows], float)
    *shares, told = values.mean(axis=0)
    return f"| {name} | {len(values)} | " + " | ".join(f"{100 * s:.0f} %" for s in shares) + f" | {told:.1f} |"


def main() -> None:
    """Make the corpus where none is named, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="of the recipe's tunes, heard before")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = args.corpus
        if corpus is None:
            tunes, corpus, begin = Path(folder) / "tunes", Path(folder) / "corpus", time.perf_counter()
            write_recipe(tunes)
            build(gather([tunes]), corpus, CorpusSettings(), args.jobs)
            print(f"rendered and heard in {time.perf_counter() - begin:.0f} s\n")
        rows = read_manifest(corpus)
    assert {PurePath(row["source"]).stem for row in rows} == set(TUNES)
    print("| " + " | ".join(HEADS) + " |\n" + "|---" * len(HEADS) + "|")
    for style in STYLES:
        print(line(style, (row for row in rows if row["genre"] == style)))
    print(line("all", rows))


if __name__ == "__main__":
    main()
