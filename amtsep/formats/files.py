"""What all formats share: files replaced in one step, sources of any kind, values that can be a note."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Union
from zipfile import ZipFile

import numpy as np

from amtsep.config import Limits
from amtsep.errors import FormatError
from amtsep.files import reason, replacing
from amtsep.notes import Notes, Track

Target = Union[str, "PathLike[str]"]
Readable = Union[str, "PathLike[str]", bytes, BinaryIO]

TEMPO = 120.0
"""Beats a minute of a MIDI file that is given none: only its grid, the notes stay where they are in seconds."""
LIMITS = Limits()
COLUMNS = ("onset_s", "offset_s", "pitch", "velocity", "confidence", "track")


def write_file(path: Target, data: bytes) -> Path:
    """Write `data` in one step; raises `FormatError`."""
    with replacing(path) as file:
        file.write_bytes(data)
    return Path(path)


def read_file(source: Readable, name: str | None, kind: str, limits: Limits = LIMITS) -> tuple[bytes, str]:
    """Content and name of a file of notes; raises `FormatError` where it is absent or larger than any such file is."""
    most = int(limits.max_text_mb * 1e6)
    if isinstance(source, bytes):
        return _bounded(source, name or f"The {kind}", most)
    if isinstance(source, (str, PathLike)):
        path = Path(source)
        name = name or path.name
        try:
            with path.open("rb") as file:
                return _bounded(file.read(most + 1), name, most)
        except FileNotFoundError:
            raise FormatError(f"{name} does not exist; check the path of the {kind}.") from None
        except (OSError, ValueError) as error:
            raise FormatError(f"{name} cannot be read ({reason(error)}); check the path of the {kind}.") from error
    return _bounded(source.read(most + 1), name or f"The {kind}", most)


def _bounded(data: bytes, name: str, most: int) -> tuple[bytes, str]:
    if len(data) > most:
        sentence = "{name} is larger than {limit:g} MB, which no file of notes is; it was not opened."
        raise FormatError(sentence, name=name, limit=most / 1e6)
    return data, name


def read_member(archive: ZipFile, member: str, name: str, limits: Limits = LIMITS) -> bytes:
    """What a member of an archive holds; raises `FormatError` where it unpacks to more than it may."""
    most = int(limits.max_text_mb * 1e6)
    with archive.open(member) as file:
        return _bounded(file.read(most + 1), name, most)[0]


def check_table(notes: Notes, name: str, limits: Limits = LIMITS) -> Notes:
    """The notes themselves; raises `FormatError` where they are more, or last longer, than any music."""
    if len(notes) > limits.max_notes:
        raise FormatError(f"{name} holds {len(notes):,} notes, over the limit of {limits.max_notes:,}; cut it.")
    if len(notes) and notes.end > limits.max_end_s:
        hours, most = notes.end / 3600, limits.max_end_s / 3600
        raise FormatError(f"{name} lasts {hours:,.0f} hours, over the limit of {most:g}; its times are damaged.")
    return notes


def check_values(values: Sequence[float]) -> None:
    """Raise ValueError, naming what is wrong, unless (onset, offset, pitch, velocity, confidence) can be a note."""
    onset, offset, pitch, velocity, confidence = values
    if not (np.isfinite(onset) and np.isfinite(offset) and 0 <= onset < offset):
        raise ValueError(f"a note from {onset:g} to {offset:g} s")
    if not (0 <= pitch <= 127 and pitch == int(pitch)):
        raise ValueError(f"pitch {pitch:g} is not a MIDI number from 0 to 127")
    if not (1 <= velocity <= 127 and velocity == int(velocity)):
        raise ValueError(f"velocity {velocity:g} is not a whole number from 1 to 127")
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence {confidence:g} is not between 0 and 1")


def unique_names(tracks: Sequence[Track]) -> list[str]:
    """Track names, told apart where two are alike or empty."""
    names: list[str] = []
    for index, track in enumerate(tracks):
        base = track.name.strip() or f"Track {index + 1}"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base} ({count})"
        names.append(name)
    return names
