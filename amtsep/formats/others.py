"""Notes as the objects of other libraries: PrettyMIDI and pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amtsep.formats.files import TEMPO
from amtsep.notes import Notes

if TYPE_CHECKING:
    import pandas
    import pretty_midi


def to_pretty_midi(notes: Notes, tempo: float = TEMPO) -> pretty_midi.PrettyMIDI:
    """A `pretty_midi.PrettyMIDI` with an instrument a track; times as they are, `tempo` is a grid only."""
    import pretty_midi

    result = pretty_midi.PrettyMIDI(initial_tempo=tempo)
    for track, own in notes.by_track():
        instrument = pretty_midi.Instrument(track.program, is_drum=track.drums, name=track.name)
        instrument.notes = [pretty_midi.Note(n.velocity, n.pitch, n.onset, n.offset) for n in own]
        result.instruments.append(instrument)
    return result


def to_dataframe(notes: Notes) -> pandas.DataFrame:
    """A `pandas.DataFrame` with a row a note; ``track`` is the track's name.

    Raises
    ------
    ImportError
        If pandas is not installed: it is no dependency of amtsep.
    """
    import pandas

    columns: dict[str, Any] = {
        name: getattr(notes, name) for name in ("onset", "offset", "pitch", "velocity", "confidence")
    }
    return pandas.DataFrame({**columns, "track": [notes.tracks[i].name for i in notes.track]})
