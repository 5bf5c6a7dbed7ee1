"""``amtsep export``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep export``."""
    parser.add_argument("weights", type=Path, help="weights file (.safetensors)")
    parser.add_argument("-o", "--output", type=Path, help="ONNX file to write (default: beside the weights)")


def run(args: argparse.Namespace) -> int:
    """Export and say where to."""
    from amtsep.nets.export import export_onnx

    print(export_onnx(args.weights, args.output or args.weights.with_suffix(".onnx")))
    return 0
