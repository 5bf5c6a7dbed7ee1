"""Notes as CSV, a note a line; it names the track of a note, not its sound."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amtsep.errors import FormatError
from amtsep.formats.files import (
    COLUMNS,
    Readable,
    Target,
    check_table,
    check_values,
    read_file,
    unique_names,
    write_file,
)
from amtsep.notes import Notes, Track

if TYPE_CHECKING:
    from amtsep.rhythm.bends import Bend


def csv_text(notes: Notes, bends: Sequence[Bend | None] | None = None) -> str:
    """A table with the header ``onset_s,offset_s,pitch,velocity,confidence,track``; `track` is the track's name.

    With `bends` (a curve a note, or None), also ``cents`` and ``bend_cents``: mean of the curve, and half of what it
    spans; empty for a note without one.
    """
    names = unique_names(notes.tracks)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS if bends is None else (*COLUMNS, "cents", "bend_cents"))
    for i in range(len(notes)):
        onset = round(float(notes.onset[i]), 6)
        offset = max(round(float(notes.offset[i]), 6), onset + 1e-6)
        writer.writerow(
            (
                f"{onset:.6f}",
                f"{offset:.6f}",
                int(notes.pitch[i]),
                int(notes.velocity[i]),
                f"{float(notes.confidence[i]):.6f}",
                names[int(notes.track[i])],
                *_bend_columns(bends, i),
            )
        )
    return out.getvalue()


def _bend_columns(bends: Sequence[Bend | None] | None, index: int) -> tuple[str, ...]:
    if bends is None:
        return ()
    bend = bends[index]
    return ("", "") if bend is None else (f"{bend.mean:.1f}", f"{bend.depth:.1f}")


def write_csv(notes: Notes, path: Target, bends: Sequence[Bend | None] | None = None) -> Path:
    """Write a CSV file in UTF-8; see `csv_text`."""
    return write_file(path, csv_text(notes, bends).encode("utf-8"))


def read_csv(source: Readable, *, name: str | None = None) -> Notes:
    """Read a CSV file with at least the columns `onset_s`, `offset_s` and `pitch`; tracks come in order of appearance.

    Raises
    ------
    FormatError
        If the file is absent, lacks a column, or a row holds something else than its column says (the row is named).
    """
    data, name = read_file(source, name, "CSV file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{name} is not a CSV file in UTF-8; save it as CSV (UTF-8).") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        missing = [column for column in COLUMNS[:3] if column not in (reader.fieldnames or ())]
        if missing:
            raise FormatError(f"{name} has no column {missing[0]}; the first line must be {','.join(COLUMNS)}.")
        rows = list(reader)
    except csv.Error as error:
        raise FormatError(f"{name} is not a CSV file that can be read ({error}); save it again.") from error
    numbers: list[list[float]] = []
    tracks: dict[str, int] = {}
    which: list[int] = []
    for line, row in enumerate(rows, start=2):
        try:
            values = [float(row[c]) for c in COLUMNS[:3]]
            values += [float(row.get(c) or default) for c, default in (("velocity", 80), ("confidence", 1))]
            check_values(values)
        except (TypeError, ValueError) as error:
            raise FormatError(f"{name}, line {line}, cannot be used ({error}); correct or delete that line.") from None
        numbers.append(values)
        which.append(tracks.setdefault(row.get("track") or "Notes", len(tracks)))
    columns = np.array(numbers, np.float64).reshape(-1, 5).T
    onset, offset, pitch, velocity, confidence = columns
    notes = Notes.build(
        onset, offset, pitch, velocity, confidence, which, tracks=[Track(n) for n in tracks] or [Track()]
    )
    return check_table(notes, name)
