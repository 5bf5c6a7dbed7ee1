"""Notes in and out of files: standard MIDI, CSV, JSON, JAMS, and MusicXML (out only).

Each format has a function that makes the bytes or text (what a browser downloads), one that writes a file and one that
reads it back. Files are replaced in one step, so an interrupted program never leaves half of one. What a format cannot
hold is said in its module.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

from amtsep.lazy import lazily
from amtsep.notes import Notes

if TYPE_CHECKING:
    from amtsep.formats.csv import csv_text, read_csv, write_csv
    from amtsep.formats.files import COLUMNS, TEMPO, Readable, Target
    from amtsep.formats.html import notes_html
    from amtsep.formats.jams import jams_text, read_jams, write_jams
    from amtsep.formats.json import JSON_FORMAT, JSON_VERSION, json_text, read_json, write_json
    from amtsep.formats.midi import TICKS_PER_BEAT, midi_bytes, read_midi, separate_repeats, write_midi
    from amtsep.formats.musicxml import musicxml_bytes, write_musicxml
    from amtsep.formats.others import to_dataframe, to_pretty_midi

__all__ = [
    "COLUMNS",
    "JSON_FORMAT",
    "JSON_VERSION",
    "TEMPO",
    "TICKS_PER_BEAT",
    "Readable",
    "Target",
    "csv_text",
    "jams_text",
    "json_text",
    "midi_bytes",
    "musicxml_bytes",
    "notes_html",
    "read_csv",
    "read_jams",
    "read_json",
    "read_midi",
    "separate_repeats",
    "to_dataframe",
    "to_pretty_midi",
    "write_csv",
    "write_jams",
    "write_json",
    "write_midi",
    "write_musicxml",
]

__getattr__ = lazily(
    __name__,
    {
        "csv": ["csv_text", "read_csv", "write_csv"],
        "files": ["COLUMNS", "TEMPO", "Readable", "Target"],
        "html": ["notes_html"],
        "jams": ["jams_text", "read_jams", "write_jams"],
        "json": ["JSON_FORMAT", "JSON_VERSION", "json_text", "read_json", "write_json"],
        "midi": ["TICKS_PER_BEAT", "midi_bytes", "read_midi", "separate_repeats", "write_midi"],
        "musicxml": ["musicxml_bytes", "write_musicxml"],
        "notation": [],
        "others": ["to_dataframe", "to_pretty_midi"],
    },
)


class _Way:
    """A way of `Notes` to files or from them: a function of this package, imported when it is first asked for."""

    def __init__(self, function: str, method: bool) -> None:
        self.function, self.method = function, method

    def __get__(self, notes: Notes | None, owner: type[Notes]) -> Any:
        function = __getattr__(self.function)
        return MethodType(function, notes) if self.method and notes is not None else function


# A note table knows no file format: its ways in and out are these functions, given to it here (`amtsep` sees to it that
# this has happened before anybody holds a table).
for _name, _function in {
    "to_midi": "write_midi",
    "to_csv": "write_csv",
    "to_json": "write_json",
    "to_musicxml": "write_musicxml",
    "to_jams": "write_jams",
    "to_pretty_midi": "to_pretty_midi",
    "to_dataframe": "to_dataframe",
    "_repr_html_": "notes_html",
    "from_midi": "read_midi",
    "from_csv": "read_csv",
    "from_json": "read_json",
    "from_jams": "read_jams",
}.items():
    setattr(Notes, _name, _Way(_function, method=not _name.startswith("from_")))
