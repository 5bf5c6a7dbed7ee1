"""``amtsep calibrate``: shift a network's logits so that the default thresholds are the best ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from amtsep.errors import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep calibrate``."""
    parser.description = (
        "Find the shifts of a network's outputs with which the default thresholds give the best notes on mixes of a "
        "bank's development split, and write the weights with them. With --models, also export to ONNX and keep the "
        "checksums: what the program then finds by name."
    )
    parser.add_argument("weights", type=Path, help="weights of a training (OUT/best.safetensors)")
    parser.add_argument("--bank", type=Path, required=True, help="folder of a bank made by 'amtsep synthesize'")
    parser.add_argument("--clips", type=int, default=60, help="development mixes to calibrate on (default %(default)s)")
    parser.add_argument(
        "--songs",
        type=Path,
        action="append",
        default=[],
        help="folder of recordings, a MIDI file of the same name beside each, to calibrate on too (repeatable)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-o", "--output", type=Path, help="weights to write (default: WEIGHTS.calibrated.safetensors)")
    where.add_argument("--models", type=Path, help="folder of models to release the network into, instead")


def run(args: argparse.Namespace) -> int:
    """Calibrate and say where the weights are."""
    from amtsep.training.calibration import calibrate
    from amtsep.training.release import release

    if args.clips < 1:
        raise DataError("--clips must be 1 or more.")
    if not args.weights.is_file():
        raise DataError(f"{args.weights} does not exist; give the best.safetensors of a training.")
    if args.models is not None:
        print(release(args.weights, args.bank, args.models, args.clips, args.songs))
        return 0
    output = args.output or args.weights.with_suffix(".calibrated.safetensors")
    found = calibrate(args.weights, output, args.bank, args.clips, args.songs)
    figures = ", ".join(f"{name} {value}" for name, value in found.info["calibration"].items())
    print(f"{output}: onset shift {found.onset_shift}, frame shift {found.frame_shift} ({figures})")
    return 0
