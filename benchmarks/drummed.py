"""What drums cost: Slakh mixes with and without a drum part on kits that are never trained on.

    python benchmarks/drummed.py --slakh DIR --groove DIR --kits DIR --model base [--level -3] [--limit 12]

The drums play performances of the Groove MIDI Dataset's test drummers, so many dB over or under the sum of the stems.
Onset / onset+offset / frame F1 at the default thresholds, means over mixes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.decoding import decode
from amtsep.evaluation.metrics import evaluate_agnostic
from amtsep.evaluation.readers import recordings
from amtsep.inference import Transcriber
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


def drum_part(seed: int, kits: list[Kit], performances: list[Performance], seconds: float) -> NDArray[np.float32]:
    """A drum part of so many seconds, always the same for a seed."""
    rng = np.random.default_rng([seed, 97])
    kit, performance = kits[seed % len(kits)], performances[int(rng.integers(len(performances)))]
    return render_drums(rng, kit, excerpt_of(rng, performance, seconds), seconds)[0]


def mixes(args: argparse.Namespace) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32], object]]:
    """Name, sound without drums, sound with them, and the true notes."""
    kits = kits_of(args.kits)
    performances = [p for p in read_performances(args.groove) if p.split == "test"]
    for number, recording in enumerate(recordings("slakh", args.slakh, (2, 3, 4))[: args.limit]):
        plain = recording.audio()
        drums = drum_part(number, kits, performances, len(plain) / RATE)[: len(plain)]
        drums = np.pad(drums, (0, len(plain) - len(drums)))
        gain = np.sqrt(np.mean(plain**2) / max(float(np.mean(drums**2)), 1e-12)) * 10.0 ** (args.level / 20.0)
        yield recording.name, plain, plain + drums * np.float32(gain), recording.reference


def main() -> None:
    """Print both rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("slakh", "groove", "kits"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--level", type=float, default=-3.0)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    networks = {model: Transcriber(model, device="cpu") for model in args.model or ["base"]}
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for name, plain, drummed, truth in mixes(args):
        for model, network in networks.items():
            for what, sound in (("without", plain), ("with drums", drummed)):
                posteriors = network(Audio(sound, RATE, name))
                scores = evaluate_agnostic(truth, decode(posteriors), posteriors.hop_s)  # type: ignore[arg-type]
                rows.setdefault((model, what), []).append((scores.onset.f1, scores.onset_offset.f1, scores.frame.f1))
    for (model, what), found in rows.items():
        print(f"{model} {what}: " + " / ".join(f"{x:.3f}" for x in np.mean(found, axis=0)) + f" ({len(found)} mixes)")


if __name__ == "__main__":
    main()
