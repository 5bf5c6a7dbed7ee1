"""What drums cost: Slakh mixes with and without a drum part on kits that are never trained on.

    python benchmarks/drummed.py --slakh DIR --groove DIR --kits DIR --model base [--level -3] [--limit 12]

The drums play performances of the Groove MIDI Dataset's test drummers, so many dB over or under the sum of the stems.
Onset / onset+offset / frame F1 at the default thresholds, means over mixes; then how the drum network hears the part:
F1 of every class over all strokes, 50 ms, and in how many mixes *auto* finds drums. ``--strokes`` is the latter alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.config import FrontEnd
from amtsep.decoding import decode, find_strokes, has_drums
from amtsep.drums import CLASSES, class_of_key
from amtsep.evaluation.drums import f1_of, stroke_counts
from amtsep.evaluation.metrics import evaluate_agnostic
from amtsep.evaluation.readers import recordings
from amtsep.inference import Transcriber, hear_drums
from amtsep.notes import Notes
from amtsep.synthesis.drums import (
    RATE,
    TEST_KITS,
    Kit,
    Performance,
    excerpt_of,
    hydrogen_kit,
    read_performances,
    render_drums,
)


def kits_of(root: Path) -> list[Kit]:
    """The kits that are kept for tests."""
    return [hydrogen_kit(root / name) for name in sorted(TEST_KITS)]


@dataclass(frozen=True, eq=False)
class Mix:
    """A mix without and with drums, and what is played in it."""

    name: str
    plain: NDArray[np.float32]
    drummed: NDArray[np.float32]
    notes: Notes
    strokes: NDArray[np.float64]
    """(n, 2): time in seconds and class."""


def drum_part(
    seed: int, kits: list[Kit], performances: list[Performance], seconds: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A drum part of so many seconds and its strokes of a class, (n, 2), always the same for a seed."""
    rng = np.random.default_rng([seed, 97])
    kit, performance = kits[seed % len(kits)], performances[int(rng.integers(len(performances)))]
    sound, played = render_drums(rng, kit, excerpt_of(rng, performance, seconds), seconds)
    strokes = np.array([(onset, class_of_key(int(key))) for onset, _, key, _ in played], np.float64).reshape(-1, 2)
    return sound, strokes[strokes[:, 1] >= 0]


def mixes(args: argparse.Namespace) -> Iterator[Mix]:
    """One after the other."""
    kits = kits_of(args.kits)
    performances = [p for p in read_performances(args.groove) if p.split == "test"]
    for number, recording in enumerate(recordings("slakh", args.slakh, (2, 3, 4))[: args.limit]):
        plain = recording.audio()
        drums, strokes = drum_part(number, kits, performances, len(plain) / RATE)
        drums = np.pad(drums[: len(plain)], (0, max(len(plain) - len(drums), 0)))
        gain = np.sqrt(np.mean(plain**2) / max(float(np.mean(drums**2)), 1e-12)) * 10.0 ** (args.level / 20.0)
        yield Mix(recording.name, plain, plain + drums * np.float32(gain), recording.reference, strokes)


class Heard:
    """What the drum network makes of the parts, added up."""

    def __init__(self) -> None:
        self.counts = np.zeros((len(CLASSES), 3))
        self.found = {"without": 0, "with drums": 0}
        self.mixes = 0

    def add(self, mix: Mix) -> None:
        """Listen to both sounds of a mix."""
        plain, strokes = (
            find_strokes(hear_drums(Audio(sound, RATE, mix.name)), FrontEnd().hop_s)
            for sound in (mix.plain, mix.drummed)
        )
        self.found["without"] += has_drums(plain)
        self.found["with drums"] += has_drums(strokes)
        self.counts += stroke_counts(mix.strokes, np.stack([strokes.time, strokes.kind], axis=1))
        self.mixes += 1

    def __str__(self) -> str:
        figures = f1_of(self.counts)
        cells = ", ".join(f"{name} {f1:.3f} ({int(n)})" for name, f1, n in zip(CLASSES, figures, self.counts[:, 1]))
        found = ", ".join(f"{what} in {count} of {self.mixes}" for what, count in self.found.items())
        return f"strokes: {cells}; mean of the first three {figures[:3].mean():.3f}\ndrums are found: {found}"


def main() -> None:
    """Print both rows, and the drums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("slakh", "groove", "kits"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--level", type=float, default=-3.0)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--strokes", action="store_true", help="only the drums")
    args = parser.parse_args()
    names = [] if args.strokes else args.model or ["base"]
    networks = {model: Transcriber(model, device="cpu") for model in names}
    heard = Heard()
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for mix in mixes(args):
        heard.add(mix)
        for model, network in networks.items():
            for what, sound in (("without", mix.plain), ("with drums", mix.drummed)):
                posteriors = network(Audio(sound, RATE, mix.name))
                scores = evaluate_agnostic(mix.notes, decode(posteriors), posteriors.hop_s)
                rows.setdefault((model, what), []).append((scores.onset.f1, scores.onset_offset.f1, scores.frame.f1))
    for (model, what), found in rows.items():
        print(f"{model} {what}: " + " / ".join(f"{x:.3f}" for x in np.mean(found, axis=0)) + f" ({len(found)} mixes)")
    print(heard)


if __name__ == "__main__":
    main()
