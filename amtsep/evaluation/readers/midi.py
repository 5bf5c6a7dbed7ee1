"""Notes from the MIDI files of data sets: `amtsep.formats.read_midi`, its errors those of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from amtsep.errors import DataError, FormatError
from amtsep.formats import read_midi
from amtsep.notes import Notes


def midi_notes(path: Path, *, sustain: bool = False, drums: bool = False) -> Notes:
    """The notes of a standard MIDI file, a track an instrument that plays; see `amtsep.formats.read_midi`.

    Raises
    ------
    DataError
        If the file is no MIDI file.
    """
    try:
        notes = read_midi(path, sustain=sustain, drums=drums)
    except FormatError as error:
        raise DataError(f"{path.name} cannot be read as a MIDI file; fetch the data set again.") from error
    playing, track = np.unique(notes.track, return_inverse=True)
    return notes.with_tracks(track, [notes.tracks[i] for i in playing]) if len(notes) else Notes.empty()
