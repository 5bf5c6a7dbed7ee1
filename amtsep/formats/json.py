"""Notes as JSON, which loses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from amtsep.errors import FormatError
from amtsep.formats.files import COLUMNS, Readable, Target, check_table, check_values, read_file, write_file
from amtsep.notes import Notes, Track

if TYPE_CHECKING:
    from amtsep.rhythm.beats import Beats
    from amtsep.rhythm.bends import Bend

JSON_FORMAT = "amtsep-notes"
JSON_VERSION = 1


def json_text(
    notes: Notes,
    info: Mapping[str, Any] | None = None,
    beats: Beats | None = None,
    bends: Sequence[Bend | None] | None = None,
    pedal: Mapping[int, Sequence[tuple[float, float]]] | None = None,
) -> str:
    """Everything as JSON: ``format``, ``version``, ``info``, ``tracks`` and ``notes``, a note a line.

    `info` is any JSON value map (settings, source) for people and other programs; `read_json` does not need it.
    With `beats` there is a map ``beats`` (see `Beats.to_dict`), with `bends` a note has ``bend_start_s``,
    ``bend_step_s`` and ``bend_cents``, a value a step, with `pedal` (by track number) a track has ``pedal_s``, pairs of
    when the sustain pedal goes down and up.
    """
    tracks: list[dict[str, Any]] = [
        {"name": t.name, "program": int(t.program), **({"drums": True} if t.drums else {})} for t in notes.tracks
    ]
    for index, spans in (pedal or {}).items():
        if len(spans):
            tracks[index]["pedal_s"] = [[round(float(down), 4), round(float(up), 4)] for down, up in spans]
    lines = []
    for i in range(len(notes)):
        note: dict[str, Any] = {
            "onset_s": float(notes.onset[i]),
            "offset_s": float(notes.offset[i]),
            "pitch": int(notes.pitch[i]),
            "velocity": int(notes.velocity[i]),
            "confidence": _short(notes.confidence[i]),
            "track": int(notes.track[i]),
        }
        if notes.embedding.shape[1]:
            note["embedding"] = [_short(value) for value in notes.embedding[i]]
        bend = None if bends is None else bends[i]
        if bend is not None and len(bend.time) > 1:
            note["bend_start_s"] = round(float(bend.time[0]), 4)
            note["bend_step_s"] = round(float(bend.time[1] - bend.time[0]), 6)
            note["bend_cents"] = [round(float(c), 1) for c in bend.cents]
        lines.append("    " + json.dumps(note, allow_nan=False))
    head: dict[str, Any] = {"format": JSON_FORMAT, "version": JSON_VERSION, "info": dict(info or {}), "tracks": tracks}
    if beats is not None:
        head["beats"] = beats.to_dict()
    opening = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False)[:-2]
    body = "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"
    return f'{opening},\n  "notes": {body}\n}}\n'


def write_json(
    notes: Notes,
    path: Target,
    info: Mapping[str, Any] | None = None,
    beats: Beats | None = None,
    bends: Sequence[Bend | None] | None = None,
    pedal: Mapping[int, Sequence[tuple[float, float]]] | None = None,
) -> Path:
    """Write a JSON file; see `json_text`."""
    return write_file(path, json_text(notes, info, beats, bends, pedal).encode("utf-8"))


def read_json(source: Readable, *, name: str | None = None) -> Notes:
    """Read what `write_json` wrote.

    Raises
    ------
    FormatError
        If the file is absent, of another kind, from a newer version, or holds impossible notes.
    """
    data, name = read_file(source, name, "JSON file")
    wrong = f"{name} is not a note file of amtsep; write one with 'amtsep transcribe --json'."
    try:
        content = json.loads(data.decode("utf-8-sig"))
        if content["format"] != JSON_FORMAT:
            raise FormatError(wrong)
        if content["version"] > JSON_VERSION:
            raise FormatError("{name} was written by a newer amtsep; update amtsep to open it.", name=name)
        rows = content["notes"]
        tracks = [Track(str(t["name"]), int(t["program"]), bool(t.get("drums", False))) for t in content["tracks"]]
        for row in rows:
            check_values([float(row[c]) for c in COLUMNS[:5]])
        onset, offset, pitch, velocity, confidence, track = ([row[c] for row in rows] for c in COLUMNS)
        embedding = np.array([row.get("embedding", []) for row in rows], np.float32)
        embedding = embedding.reshape(len(rows), embedding.shape[1] if embedding.ndim == 2 else 0)
        notes = Notes.build(onset, offset, pitch, velocity, confidence, track, embedding, tracks or None)
    except FormatError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise FormatError(wrong) from error
    return check_table(notes, name)


def _short(value: np.floating[Any]) -> float:
    """The shortest decimal that is still this float32."""
    return float(np.format_float_positional(np.float32(value), unique=True))
