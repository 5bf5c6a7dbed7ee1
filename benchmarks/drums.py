"""Drum strokes of MDB Drums by the shipped network: ``python benchmarks/drums.py --root DIR``; F1 by class, 50 ms."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from amtsep.audio import load_audio
from amtsep.config import FrontEnd
from amtsep.decoding import find_strokes
from amtsep.drums import CLASSES
from amtsep.evaluation.drums import f1_of, read_mdb_drums, stroke_counts
from amtsep.inference import hear_drums


def main() -> None:
    """Print a row a recording and the F1 over all strokes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of MDB Drums (.class.txt beside the sound)")
    total = np.zeros((len(CLASSES), 3))
    print("| recording | " + " | ".join(CLASSES) + " |")
    print("|---" * (len(CLASSES) + 1) + "|")
    for recording in read_mdb_drums(parser.parse_args().root):
        strokes = find_strokes(hear_drums(load_audio(recording.audio)), FrontEnd().hop_s)
        counts = stroke_counts(recording.strokes, np.stack([strokes.time, strokes.kind], axis=1))
        total += counts
        # A class that neither plays nor is heard says nothing; one that is heard and does not play is a zero.
        cells = [f"{f1:.3f} ({int(n)})" for f1, n in zip(f1_of(counts), counts[:, 1])]
        print(f"| {recording.audio.stem} | " + " | ".join(cells) + " |")
    figures = f1_of(total)
    print("| all strokes | " + " | ".join(f"{f1:.3f} ({int(n)})" for f1, n in zip(figures, total[:, 1])) + " |")
    print(f"mean of kick, snare and hi-hat: {figures[:3].mean():.3f}; of all five classes: {figures.mean():.3f}")


if __name__ == "__main__":
    main()
