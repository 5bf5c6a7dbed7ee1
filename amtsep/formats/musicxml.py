"""Notation (out only), quantised by a steady tempo; it holds no confidence and no embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from amtsep.errors import FormatError
from amtsep.formats.files import TEMPO, Target, unique_names, write_file
from amtsep.notes import Notes


def musicxml_bytes(notes: Notes, tempo: float = TEMPO, divisions: int = 4, title: str = "") -> bytes:
    """Notation, quantised: each onset and ending goes to the nearest 1/`divisions` of a beat at a steady `tempo`.

    Needs music21, which the light install leaves out. The steady tempo is an assumption: on a free performance the bars
    will drift from the music.

    Raises
    ------
    FormatError
        If music21 is not installed, or there is nothing to write.
    """
    try:
        from music21 import chord, instrument, metadata, note, stream
        from music21 import tempo as music21_tempo
        from music21.musicxml.m21ToXml import GeneralObjectExporter
    except ImportError:
        raise FormatError("MusicXML needs music21, which is not installed; run: pip install music21") from None
    if not len(notes):
        raise FormatError("There are no notes to write as MusicXML; lower the thresholds first.")
    beats_per_s = tempo / 60.0
    score = stream.Score()
    score.metadata = metadata.Metadata(title=title or "Transcription", composer="transcribed by amtsep")
    names = unique_names(notes.tracks)
    for (track, own), part_name in zip(notes.by_track(), names, strict=True):
        part = stream.Part(id=part_name)
        part.partName = part_name
        try:
            sound = instrument.instrumentFromMidiProgram(int(track.program))
            sound.partName = part_name
            part.insert(0, sound)
        except Exception:  # music21 knows no class for a few programs: the name alone will do
            pass
        part.insert(0, music21_tempo.MetronomeMark(number=round(tempo, 2)))
        grid_on = np.round(own.onset * beats_per_s * divisions).astype(int)
        grid_off = np.maximum(np.round(own.offset * beats_per_s * divisions).astype(int), grid_on + 1)
        # What starts together becomes a chord, as long as its longest note and no longer than until the next one:
        # one voice a part stays readable, which many overlapping voices do not.
        starts = np.unique(grid_on)
        for position, start in enumerate(starts):
            members = np.flatnonzero(grid_on == start)
            end = int(grid_off[members].max())
            if position + 1 < len(starts):
                end = min(end, int(starts[position + 1]))
            pitches = sorted({int(p) for p in own.pitch[members]})
            element = note.Note(pitches[0]) if len(pitches) == 1 else chord.Chord(pitches)
            element.quarterLength = (end - int(start)) / divisions
            element.volume.velocity = int(own.velocity[members].max())
            part.insert(float(start) / divisions, element)
        if not len(own):
            part.append(note.Rest(quarterLength=4.0))
        score.insert(0, part)
    return bytes(GeneralObjectExporter(score).parse())


def write_musicxml(notes: Notes, path: Target, tempo: float = TEMPO, divisions: int = 4, title: str = "") -> Path:
    """Write a MusicXML file (.musicxml); see `musicxml_bytes`."""
    return write_file(path, musicxml_bytes(notes, tempo, divisions, title))
