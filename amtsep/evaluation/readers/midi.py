"""Notes from the MIDI files of data sets, with the sustain pedal where a data set's convention wants it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from amtsep.errors import DataError
from amtsep.evaluation.readers.base import notes_of
from amtsep.notes import Notes, Track

PEDAL_DOWN = 64
"""Controller values from here on hold the sustain pedal down."""


def midi_notes(path: Path, *, sustain: bool = False, drums: bool = False) -> Notes:
    """The notes of a standard MIDI file, a track an instrument.

    Parameters
    ----------
    path
        The file.
    sustain
        Whether a note lasts while the sustain pedal (controller 64) is down, until the same key is struck again: the
        convention for piano since Hawthorne et al. (ISMIR 2018).
    drums
        Whether to keep the drum channel.

    Raises
    ------
    DataError
        If the file is no MIDI file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pretty_midi

        try:
            midi = pretty_midi.PrettyMIDI(str(path))
        except Exception as error:
            raise DataError(f"{path.name} cannot be read as a MIDI file; fetch the data set again.") from error
    tables = []
    for number, instrument in enumerate(midi.instruments):
        if instrument.is_drum and not drums:
            continue
        notes = sorted(instrument.notes, key=lambda note: (note.start, note.pitch))
        if not notes:
            continue
        table = notes_of(
            [n.start for n in notes], [n.end for n in notes], [n.pitch for n in notes], [n.velocity for n in notes]
        )
        if sustain:
            changes = [(c.time, c.value) for c in instrument.control_changes if c.number == 64]
            table = hold(table, changes)
        name = instrument.name.strip() or f"Instrument {number + 1}"
        tables.append(table.with_tracks(np.zeros(len(table), np.int16), [Track(name, int(instrument.program) % 128)]))
    return Notes.concatenate(tables)


def hold(notes: Notes, pedal: list[tuple[float, int]]) -> Notes:
    """Lengthen notes released under the pedal to the pedal's release, or to the next note on that key.

    Parameters
    ----------
    notes
        Keys as they were pressed.
    pedal
        (time s, value) of controller 64.
    """
    if not pedal or not len(notes):
        return notes
    times = np.array([t for t, _ in sorted(pedal)])
    down = np.array([value >= PEDAL_DOWN for _, value in sorted(pedal)])
    offset = notes.offset.copy()
    for i in range(len(notes)):
        at = int(np.searchsorted(times, offset[i], side="right")) - 1
        if at >= 0 and down[at]:
            later = np.flatnonzero(~down[at:])
            offset[i] = times[at + later[0]] if len(later) else max(notes.end, float(times[-1]))
    for pitch in np.unique(notes.pitch):
        same = np.flatnonzero(notes.pitch == pitch)
        following = notes.onset[same[1:]]
        clear = following > notes.onset[same[:-1]]
        offset[same[:-1][clear]] = np.minimum(
            offset[same[:-1][clear]], np.maximum(following[clear], notes.offset[same[:-1][clear]])
        )
    return Notes.build(notes.onset, offset, notes.pitch, notes.velocity, tracks=notes.tracks)
