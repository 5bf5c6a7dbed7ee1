"""Notes as JAMS (JSON Annotated Music Specification, Humphrey et al. 2014), the way annotations of music are published.

A track is an annotation of the namespace ``note_midi``; its name and sound stand in the annotation's sandbox. JAMS has
no velocity: it stands in the sandbox too, and is 80 where other programs wrote the file.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from amtsep.errors import FormatError
from amtsep.formats.files import Readable, Target, check_table, check_values, read_file, write_file
from amtsep.notes import Notes, Track

NAMESPACES = ("note_midi", "note_hz")


def jams_text(notes: Notes, title: str = "", duration_s: float | None = None) -> str:
    """The notes as the text of a JAMS file; `duration_s` is the recording's, by default the end of the last note."""
    seconds = notes.end if duration_s is None else duration_s
    annotations = []
    for track, own in notes.by_track():
        data = [
            {"time": n.onset, "duration": n.offset - n.onset, "value": float(n.pitch), "confidence": n.confidence}
            for n in own
        ]
        sandbox = {"name": track.name, "program": track.program, "velocity": own.velocity.tolist()}
        if track.drums:
            sandbox["drums"] = True
        annotations.append(
            {
                "namespace": "note_midi",
                "time": 0,
                "duration": seconds,
                "annotation_metadata": {"annotation_tools": "amtsep", "data_source": "program", "version": ""},
                "data": data,
                "sandbox": sandbox,
            }
        )
    about = {
        "title": title,
        "artist": "",
        "release": "",
        "duration": seconds,
        "identifiers": {},
        "jams_version": "0.3.4",
    }
    content = {"annotations": annotations, "file_metadata": about, "sandbox": {}}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_jams(notes: Notes, path: Target, title: str = "", duration_s: float | None = None) -> Path:
    """Write a JAMS file; see `jams_text`."""
    return write_file(path, jams_text(notes, title, duration_s).encode("utf-8"))


def read_jams(source: Readable, *, name: str | None = None) -> Notes:
    """Read the notes of a JAMS file: a track for each annotation of the namespace ``note_midi`` (or ``note_hz``).

    Pitches with cents, as GuitarSet has them, are rounded; observations without a length are left out.

    Raises
    ------
    FormatError
        If the file is absent or of another kind, holds no notes' annotation, or impossible notes.
    """
    data, name = read_file(source, name, "JAMS file")
    wrong = f"{name} is not a JAMS file that can be read; export it as JAMS 0.3."
    try:
        every = json.loads(data.decode("utf-8-sig"))["annotations"]
        chosen: list[dict[str, Any]] = []
        for namespace in NAMESPACES:
            chosen = chosen or [a for a in every if a["namespace"] == namespace]
        if not chosen:
            raise FormatError(f"{name} holds no annotation of notes (namespace note_midi); choose another file.")
        rows: list[tuple[float, float, float, float, float, int]] = []
        tracks = []
        for index, annotation in enumerate(chosen):
            own = _observations(annotation["data"])
            box = annotation.get("sandbox") or {}
            velocity = box.get("velocity", [])
            velocity = velocity if len(velocity) == len(own) else [80] * len(own)
            source_name = str((annotation.get("annotation_metadata") or {}).get("data_source", ""))
            title = str(box.get("name", "") or (f"String {source_name}" if source_name.isdecimal() else ""))
            default = "Notes" if len(chosen) == 1 else f"Timbre {index + 1}"
            tracks.append(Track(title or default, int(box.get("program", 0)), bool(box.get("drums", False))))
            for note, strength in zip(own, velocity, strict=True):
                if not note["duration"]:
                    continue
                pitch = float(note["value"])
                if annotation["namespace"] == "note_hz":
                    pitch = 69.0 + 12.0 * math.log2(pitch / 440.0)
                trust = note.get("confidence")
                onset = max(0.0, float(note["time"]))
                row = (onset, onset + float(note["duration"]), float(round(pitch)), float(strength))
                rows.append((*row, 1.0 if trust is None else float(trust), index))
                check_values(rows[-1][:5])
        table = np.array(rows, np.float64).reshape(-1, 6)
        on, off, pitches, loud, sure, which = table.T
        notes = Notes.build(on, off, pitches, loud, sure, which, tracks=tracks)
    except FormatError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise FormatError(wrong) from error
    return check_table(notes, name)


def _observations(data: Any) -> list[dict[str, Any]]:
    """Rows of an annotation; JAMS allows a map of columns, too."""
    if isinstance(data, dict):
        return [dict(zip(data, row)) for row in zip(*data.values())]
    return list(data)
