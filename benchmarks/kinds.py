"""How each kind of sound is heard: the development stems of a bank, one alone at a time.

    python benchmarks/kinds.py --bank bank [--bank another] --model base --model light

A row a kind (recorded notes, soundfonts, synthesizers' patches, voices, ...), timbres that training has heard and those
held out from it apart; onset / onset+offset / frame F1 at the default thresholds, means over stems, ends by the sound.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from amtsep.audio import Audio
from amtsep.config import FrontEnd
from amtsep.decoding import decode
from amtsep.evaluation.metrics import evaluate_agnostic
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.synthesis.bank import DRUMS, Bank
from amtsep.synthesis.mixing import kind_of

LEAST = 5
"""Stems of fewer notes say little."""


def stem_notes(bank: Bank, index: int) -> Notes:
    """The notes that begin in a stem, to where they have sounded."""
    rows = bank.notes(index)
    rows = rows[rows["onset"] < bank.clip_s - 0.05]
    end = np.clip(rows["offset"], rows["onset"] + 0.01, bank.clip_s)
    return Notes.build(rows["onset"], end, rows["pitch"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, action="append", required=True)
    parser.add_argument("--model", action="append", default=[])
    args = parser.parse_args()
    networks = {model: Transcriber(model, device="cpu") for model in args.model or ["base"]}
    rows: dict[tuple[str, bool], dict[str, list[tuple[float, ...]]]] = defaultdict(lambda: defaultdict(list))
    for bank in map(Bank.open, args.bank):
        for index, stem in enumerate(bank.stems):
            if stem.split != "dev" or stem.category == DRUMS:
                continue
            truth = stem_notes(bank, index)
            if len(truth) < LEAST:
                continue
            audio = Audio(bank.audio(index).astype(np.float32) / 32768.0, bank.sample_rate, stem.timbre)
            for model, network in networks.items():
                found = evaluate_agnostic(truth, decode(network(audio)), FrontEnd().hop_s)
                scores = found.onset.f1, found.onset_offset.f1, found.frame.f1
                rows[kind_of(stem), stem.held_out][model].append(scores)
    print("| kind | timbres | stems | " + " | ".join(networks) + " |\n|" + "---|" * (3 + len(networks)))
    for (kind, held_out), by_model in sorted(rows.items()):
        means = [np.mean(by_model[model], axis=0) for model in networks]
        cells = [" / ".join(f"{value:.3f}".lstrip("0") for value in mean) for mean in means]
        count = len(next(iter(by_model.values())))
        print(f"| {kind} | {'held out' if held_out else 'heard'} | {count} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
