"""``amtsep export``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from amtsep.errors import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep export``."""
    parser.description = (
        "Write an ONNX file from waveform to posteriors, of dynamic length, for ONNX Runtime here or in a browser.\n"
        "Audio has a length that is a multiple of 256 samples (512 at 44,100 Hz) and a level of one,\n"
        "as the settings of the front end in the file say (a running level, or the mean energy)."
    )
    parser.add_argument("weights", type=Path, help="weights file (.safetensors)")
    parser.add_argument("-o", "--output", type=Path, help="ONNX file to write (default: beside the weights)")
    parser.add_argument(
        "--input-rate",
        type=int,
        choices=(22050, 44100),
        default=22050,
        help="Hz of the audio it takes; at 44100 it is halved in the graph (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="how the network's weights are stored; it computes in 32 bits (default: %(default)s)",
    )
    parser.add_argument(
        "--compare",
        action="append",
        type=_dataset,
        metavar="DATASET=DIR",
        help="write no file: print size and F1 of every variant on a data set (again for more; see amtsep evaluate)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="with --compare: N recordings of each, evenly chosen")
    parser.add_argument("--threads", type=int, metavar="N", help="with --compare: processor threads")


def run(args: argparse.Namespace) -> int:
    """Export and say where to, or compare the variants."""
    if args.compare:
        return _compare(args)
    from amtsep.nets.checkpoint import read_checkpoint
    from amtsep.nets.export import export_onnx

    if not read_checkpoint(args.weights).calibrated:
        print(
            f"{args.weights.name} is not calibrated, so that the default thresholds will not suit it: "
            f"'amtsep calibrate {args.weights} --bank DIR' writes weights that are.",
            file=sys.stderr,
        )

    # Beside the weights lies the plain file; a variant gets a name that says which.
    rate = "" if args.input_rate == 22050 else f"-{args.input_rate}"
    precision = "" if args.precision == "float32" else f"-{args.precision}"
    output = args.output or args.weights.with_name(f"{args.weights.stem}{rate}{precision}.onnx")
    print(export_onnx(args.weights, output, args.input_rate, args.precision))
    return 0


def _compare(args: argparse.Namespace) -> int:
    from amtsep.evaluation.readers import recordings
    from amtsep.evaluation.variants import compare_variants, table

    for dataset, root in args.compare:
        found = recordings(dataset, root)
        if args.limit and len(found) > args.limit:
            found = [found[i * len(found) // args.limit] for i in range(args.limit)]
        if not found:
            raise DataError(f"{root} holds no recording of {dataset}; check the path.")
        print(f"{args.weights.name} on {dataset}, {len(found)} recordings:\n")
        print(table(compare_variants(args.weights, found, args.threads, _show)), flush=True)
        print()
    return 0


def _show(done: float, total: float, what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:.0f} of {total:.0f}  {what[:60]:60}", end="\r", file=sys.stderr, flush=True)


def _dataset(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator or not name or not folder:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form DATASET=DIR (guitarset=data/guitarset)")
    return name, Path(folder)
