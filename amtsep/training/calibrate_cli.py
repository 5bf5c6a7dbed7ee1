"""``amtsep calibrate``: shift a network's logits so that the default thresholds are the best ones."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from amtsep.errors import DataError

if TYPE_CHECKING:
    from amtsep.nets.checkpoint import Checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep calibrate``."""
    parser.description = (
        "Find the shifts of a network's outputs with which the default thresholds give the best notes on mixes of a "
        "bank's development split, and write the weights with them. With --models, also export to ONNX and keep the "
        "checksums: what the program then finds by name."
    )
    parser.add_argument("weights", type=Path, help="weights of a training (OUT/best.safetensors)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bank", type=Path, help="folder of a bank made by 'amtsep synthesize'")
    source.add_argument("--shifts-of", type=Path, metavar="WEIGHTS", help="take those of other weights as they are")
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
    from amtsep.training.calibration import calibrate, take_shifts
    from amtsep.training.release import release

    if args.clips < 1:
        raise DataError("--clips must be 1 or more.")
    if args.shifts_of is not None and args.songs:
        raise DataError("--songs are for finding shifts; leave them out with --shifts-of.")
    if not args.weights.is_file():
        raise DataError(f"{args.weights} does not exist; give the best.safetensors of a training.")

    def calibrated(weights: Path, out: Path) -> Checkpoint:
        if args.shifts_of is not None:
            found = take_shifts(weights, out, args.shifts_of)
        else:
            found = calibrate(weights, out, args.bank, args.clips, args.songs)
        shifts = f"onset shift {found.onset_shift}, frame shift {found.frame_shift}, offset shift {found.offset_shift}"
        print(f"{out}: {shifts} ({', '.join(f'{name} {value}' for name, value in found.info['calibration'].items())})")
        return found

    if args.models is not None:
        release(args.weights, args.models, calibrated)
    else:
        calibrated(args.weights, args.output or args.weights.with_suffix(".calibrated.safetensors"))
    return 0
