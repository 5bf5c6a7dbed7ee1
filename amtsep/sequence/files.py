"""Which models write their notes themselves: by name, or by the header of their weights, without torch."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from pathlib import Path

FORMAT = "amtsep-sequence-1"
LONGEST_HEADER = 16 << 20
OTHERS = ("mt3", "mr-mt3", "yourmt3")
"""Names of others' networks (see `amtsep.sequence.others`)."""


def writes_notes(model: str | os.PathLike[str] | None) -> bool:
    """Whether a model is a sequence network, ours or others', by its name or file."""
    return model is not None and (str(model) in OTHERS or weights(model) is not None)


def weights(model: str | os.PathLike[str]) -> Path | None:
    """Weights of a sequence network of ours, by its path or as it was shipped; ``None`` where a model is none."""
    from amtsep.inference import models_folder

    named = models_folder() / f"{model}.safetensors"
    return next((path for path in (Path(model), named) if is_sequence(path)), None)


def installed() -> list[str]:
    """Names of the sequence networks that can run here: the shipped ones, and others' where their package is."""
    from amtsep.inference import models_folder

    found: list[str] = []
    if importlib.util.find_spec("torch") is not None:
        found += sorted(path.stem for path in models_folder().glob("*.safetensors") if is_sequence(path))
    return found + (list(OTHERS) if importlib.util.find_spec("mt3_infer") is not None else [])


def mark(model: str | os.PathLike[str]) -> str:
    """Changes with everything that what a network writes follows from: its weights, and the code that runs it.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    from importlib import metadata

    from amtsep.inference import find_model, model_hash

    if str(model) in OTHERS:
        try:
            version = metadata.version("mt3-infer")
        except metadata.PackageNotFoundError:
            version = ""
        return f"{model} {version} {model_hash('base')}"
    digest = hashlib.sha256(model_hash(weights(model) or find_model(model, ".safetensors")).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
