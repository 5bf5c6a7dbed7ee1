"""What is missed and what is made up: notes of a data set by what happens to them.

    python benchmarks/faults.py --dataset pairs --root songs --model base
    python benchmarks/faults.py --dataset bach10 --root DATA/bach10/dev --mixes 4

Found: the share of the true notes that are matched (50 ms), of all and of those that are hard: struck together with the
octave below, struck again within 0.15 s of their end, shorter than 0.1 s, at least 20 lower in MIDI velocity than what
sounds with them. Missed: the share of the misses that are there 50 to 150 ms away, or an octave away on time. False:
the share of the false notes that lie on an overtone of a note that sounds, or strike again a note that sounds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.cache import folder
from amtsep.decoding import decode
from amtsep.evaluation.metrics import fuse, match
from amtsep.evaluation.readers import recordings
from amtsep.evaluation.runner import posteriors_of
from amtsep.inference import Transcriber, model_hash
from amtsep.notes import Notes

TOGETHER_S, AGAIN_S, SHORT_S, QUIET = 0.05, 0.15, 0.1, 20
LATE_S = 0.15
OVERTONES = (12, 19, 24, 28, 31, 34, 36)
"""Semitones over a note where its second to eighth harmonic lie."""

Mask = NDArray[np.bool_]


def near(notes: Notes, other: Notes, apart: int, within_s: float) -> Mask:
    """For each note whether a note of the other table begins so near, so many semitones above it."""
    on_time = np.abs(notes.onset[:, None] - other.onset) <= within_s
    return np.asarray((on_time & (other.pitch == notes.pitch[:, None] + apart)).any(axis=1))


def sounding(notes: Notes, other: Notes, below: int) -> Mask:
    """For each note whether a note of the other table sounds at its onset, so many semitones below it."""
    time = notes.onset[:, None]
    # A note over its own beginning is no note that is struck again.
    latest = time + TOGETHER_S if below else time - TOGETHER_S
    there = (other.onset < latest) & (other.offset > time)
    return np.asarray((there & (other.pitch == notes.pitch[:, None] - below)).any(axis=1))


def hard(truth: Notes) -> dict[str, Mask]:
    """Which true notes are hard to hear, and why."""
    gap = truth.onset[:, None] - truth.offset
    same = truth.pitch[:, None] == truth.pitch
    again = same & (gap > -TOGETHER_S) & (gap < AGAIN_S) & (truth.onset < truth.onset[:, None] - TOGETHER_S)
    beside = np.abs(truth.onset[:, None] - truth.onset) <= TOGETHER_S
    louder = np.where(beside, truth.velocity, 0).max(axis=1, initial=0)
    return {
        "all": np.ones(len(truth), bool),
        "with the octave below": near(truth, truth, -12, TOGETHER_S),
        "struck again": again.any(axis=1),
        "shorter than 0.1 s": truth.offset - truth.onset < SHORT_S,
        "quiet beside loud": louder - truth.velocity >= QUIET,
    }


def counts(truth: Notes, found: Notes) -> dict[str, tuple[int, int]]:
    """Of what happens to the notes of a recording: how often, and out of how many."""
    pairs = match(truth, found)
    hit, right = np.zeros(len(truth), bool), np.zeros(len(found), bool)
    hit[pairs[:, 0]], right[pairs[:, 1]] = True, True
    missed, false = truth.select(~hit), found.select(~right)
    off = near(missed, false, 0, LATE_S)
    octave = near(missed, false, 12, TOGETHER_S) | near(missed, false, -12, TOGETHER_S)
    overtone = np.any([sounding(false, truth, apart) for apart in OVERTONES], axis=0)
    struck = sounding(false, truth, 0)
    rows = {f"found: {name}": (int(hit[which].sum()), int(which.sum())) for name, which in hard(truth).items()}
    rows["missed: there, 50 to 150 ms away"] = int(off.sum()), len(missed)
    rows["missed: an octave away"] = int((octave & ~off).sum()), len(missed)
    rows["false: struck again"] = int(struck.sum()), len(false)
    rows["false: on an overtone"] = int((overtone & ~struck).sum()), len(false)
    rows["false, of all notes found"] = len(false), len(found)
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--mixes", type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--model", action="append", default=[])
    args = parser.parse_args()
    items = recordings(args.dataset, args.root, args.mixes)
    models = args.model or ["base"]
    columns: list[dict[str, NDArray[np.int64]]] = []
    for model in models:
        transcriber, key = Transcriber(model, device="cpu"), model_hash(model)
        total: dict[str, NDArray[np.int64]] = {}
        for item in items:
            posteriors = posteriors_of(item, transcriber, key, folder("posteriors"))
            for name, pair in counts(fuse(item.reference), decode(posteriors)).items():
                total[name] = total.get(name, np.zeros(2, np.int64)) + pair
        columns.append(total)
    print(f"| {args.dataset}, {len(items)} recordings | " + " | ".join(models) + " |\n|" + "---|" * (1 + len(models)))
    for name in columns[0]:
        cells = [f"{100 * column[name][0] / max(column[name][1], 1):.0f} % of {column[name][1]}" for column in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
