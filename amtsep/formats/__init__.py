"""Notes in and out of files: standard MIDI, CSV, JSON, JAMS, and MusicXML (out only).

Each format has a function that makes the bytes or text (what a browser downloads), one that writes a file and one that
reads it back. Files are replaced in one step, so an interrupted program never leaves half of one. What a format cannot
hold is said in its module.
"""

from amtsep.formats.csv import csv_text, read_csv, write_csv
from amtsep.formats.files import COLUMNS, TEMPO, Readable, Target
from amtsep.formats.html import notes_html
from amtsep.formats.jams import jams_text, read_jams, write_jams
from amtsep.formats.json import JSON_FORMAT, JSON_VERSION, json_text, read_json, write_json
from amtsep.formats.midi import TICKS_PER_BEAT, midi_bytes, read_midi, separate_repeats, write_midi
from amtsep.formats.musicxml import musicxml_bytes, write_musicxml
from amtsep.formats.others import to_dataframe, to_pretty_midi
from amtsep.notes import Notes

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

# A note table knows no file format: its ways in and out are these functions, given to it here (`amtsep` sees to it that
# this has happened before anybody holds a table).
Notes.to_midi = write_midi
Notes.to_csv = write_csv
Notes.to_json = write_json
Notes.to_musicxml = write_musicxml
Notes.to_jams = write_jams
Notes.to_pretty_midi = to_pretty_midi
Notes.to_dataframe = to_dataframe
Notes._repr_html_ = notes_html
Notes.from_midi = staticmethod(read_midi)
Notes.from_csv = staticmethod(read_csv)
Notes.from_json = staticmethod(read_json)
Notes.from_jams = staticmethod(read_jams)
