"""What training may never hear: the material that figures are reported on.

Bach10, Slakh and MAPS are for evaluation alone, and so is every half of a data set that is called by one of
`HELD_OUT_SPLITS`, such as GuitarSet's players 03 to 05. Scores of Bach10's chorales are kept out by
`amtsep.synthesis.music.is_bach10`, wherever they come from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from amtsep.errors import DataError
from amtsep.synthesis.bank import Stem

EVALUATION_ONLY = ("bach10", "slakh", "maps")
"""Data sets that are never trained on, by the names that the readers know them by."""
HELD_OUT_SPLITS = ("dev", "valid", "validation", "test")
"""Names of folders whose files are not for training, as the readers know them."""
TRAIN_PLAYERS = ("00", "01", "02")
"""GuitarSet's players that may be trained on."""

ON_PURPOSE = "AMTSEP_LEARN_FROM"
"""Environment variable that lets evaluation data through, for those whose figures are reported on other data: its value
says so in words, ``bach10 although it is for evaluation``."""

_NAMED = re.compile(r"(?:bach[-_ ]?10|(?:baby[-_ ]?)?slakh(?:2100)?|maps)(?![a-z0-9])", re.IGNORECASE)


def meant(name: str) -> bool:
    """Whether a person has said in words that this evaluation data is to be learned from."""
    said = os.environ.get(ON_PURPOSE, "").strip()
    return said == f"{name} although it is for evaluation"


def refuse(path: Path, what: str) -> Path:
    """Give `path` back unless it lies in, or is named as, an evaluation-only data set.

    Parameters
    ----------
    path
        A file or folder of material to train on.
    what
        What it was to be used as, for the sentence.

    Raises
    ------
    DataError
        If it does. The names of all folders above it count, also those behind links.
    """
    parts = [*Path(path).parts, *Path(path).resolve().parts]
    for part in parts:
        if _NAMED.match(part) and not meant(part):
            raise DataError(
                f"{path} cannot be used as {what}: '{part}' is evaluation data, which training must not hear; "
                f"give another folder, or set {ON_PURPOSE}='{part} although it is for evaluation' if you mean it."
            )
    return Path(path)


def refuse_split(path: Path, what: str) -> Path:
    """Give `path` back unless its own name says that it is not the training half; raises `DataError`."""
    refuse(path, what)
    if Path(path).resolve().name.lower() in HELD_OUT_SPLITS:
        raise DataError(
            f"{path} cannot be used as {what}: it is the half of the data set that is kept for evaluation; "
            "give the one for training."
        )
    return Path(path)


def refuse_recording(dataset: str, name: str, split: str) -> None:
    """Raise `DataError` where a recording that a reader names is not one to learn from."""
    player = dataset == "guitarset" and name[:2] not in TRAIN_PLAYERS
    if meant(dataset):
        return
    if dataset in EVALUATION_ONLY or split in HELD_OUT_SPLITS or player:
        raise DataError(
            f"{name} of {dataset} is for evaluation and must not be learned from; "
            "give recordings of a training half (a folder 'train')."
        )


def refuse_stems(stems: Iterable[Stem]) -> None:
    """Raise `DataError` where a bank holds stems of evaluation data."""
    for source, timbre in sorted({(stem.source, stem.timbre) for stem in stems}):
        stranger = source == "guitarset" and timbre.split(":", 1)[-1] not in TRAIN_PLAYERS
        if (_NAMED.match(source) or stranger) and not meant(source):
            raise DataError(f"The bank holds '{timbre}' of {source}, which is evaluation data: make the bank again.")
