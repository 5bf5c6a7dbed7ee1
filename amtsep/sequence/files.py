"""Which models write their notes themselves: by name, or by the header of their weights, without torch."""

from __future__ import annotations

import json
import os
from pathlib import Path

FORMAT = "amtsep-sequence-1"
LONGEST_HEADER = 16 << 20
OTHERS = ("mt3", "mr-mt3", "yourmt3")
"""Names of others' networks (see `amtsep.sequence.others`)."""


def writes_notes(model: str | os.PathLike[str] | None) -> bool:
    """Whether a model is a sequence network, ours or others', by its name or file."""
    return model is not None and (str(model) in OTHERS or is_sequence(model))


def is_sequence(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds the weights of a sequence network; no error whatever it is."""
    path = Path(path)
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= LONGEST_HEADER else {}
        return bool(header["__metadata__"]["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False
