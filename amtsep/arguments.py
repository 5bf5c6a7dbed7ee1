"""Options that several commands have, each declared once."""

from __future__ import annotations

import argparse
from contextlib import suppress

from amtsep.config import Clustering


def weight(text: str) -> float:
    """A number from 0 on."""
    with suppress(ValueError):
        if 0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 on")


def share(text: str) -> float:
    """A number in [0, 1]."""
    with suppress(ValueError):
        if 0.0 <= float(text) <= 1.0:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to 1")


def seconds(text: str) -> float:
    """Seconds, not negative."""
    with suppress(ValueError):
        if 0.0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a time in seconds")


def add_stereo(group: argparse._ArgumentGroup) -> None:
    """Declare ``--stereo``."""
    group.add_argument(
        "--stereo",
        type=weight,
        metavar="W",
        default=Clustering.stereo,
        help="how much both channels of a stereo recording count for tracks; 0: not (%(default)g)",
    )
