"""Scores to sound: MIDI and MusicXML played with a General MIDI soundfont, by FluidSynth."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.notes import Notes, Track

if TYPE_CHECKING:
    from amtsep.synthesis.soundfonts import Synthesizer

NOTATION = frozenset({".musicxml", ".mxl", ".xml"})
SCORES = frozenset({".mid", ".midi", ".smf", ".kar"}) | NOTATION
"""Endings of what is rendered."""
TAIL_S = 1.5
PEAK = 0.7
QUARTERS_A_MINUTE = 96.0
"""Of notation that gives no tempo."""
UNPLAYED_VELOCITY = 80


def read_score(path: Path) -> Notes:
    """Notes of a MIDI or MusicXML file, with a track an instrument, drums of MIDI included.

    Raises
    ------
    FormatError, DataError
        If the file cannot be read or holds no notes.
    """
    if path.suffix.lower() in NOTATION:
        notes = _notation(path)
    else:
        from amtsep.formats import read_midi

        notes = read_midi(path, sustain=True, drums=True)
    if not len(notes):
        raise DataError(f"{path.name} holds no notes; leave it out, or export it again.")
    return notes


def _notation(path: Path) -> Notes:
    from amtsep.synthesis.written import read_written

    try:
        written = read_written(path)
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise DataError(f"{path.name} is no MusicXML that can be read; export it again.") from error
    notes = written.notes[~written.notes["grace"]]
    quarter = 60.0 / QUARTERS_A_MINUTE
    tracks = [Track(f"Part {i + 1}", min(max(p, 0), 127)) for i, p in enumerate(written.programs)]
    onset = notes["start"] * quarter
    return Notes.build(onset, onset + notes["length"] * quarter, notes["pitch"], track=notes["part"], tracks=tracks)


@lru_cache(1)
def _synthesizer() -> Synthesizer:
    from amtsep.synthesis.soundfonts import Synthesizer

    return Synthesizer()


def soundfont_path(given: str | None) -> Path:
    """The soundfont to render with: the one named, or the first that this machine has.

    Raises
    ------
    DataError
        If there is none.
    """
    from amtsep.synthesis.soundfonts import find_soundfonts

    found = find_soundfonts((given,) if given else ())
    if not found:
        raise DataError("There is no soundfont here; name an .sf2 or .sf3 file with --soundfont.")
    return next(iter(found.values()))


def render(notes: Notes, soundfont: Path) -> tuple[NDArray[np.float32], int]:
    """Mono samples, peak at `PEAK`, and their rate in Hz.

    Raises
    ------
    DataError
        If FluidSynth is not installed, or cannot read the soundfont.
    """
    from amtsep.synthesis.soundfonts import BLOCK, RATE

    synthesizer = _synthesizer()
    blocks = int(np.ceil((notes.end + TAIL_S) * RATE / BLOCK))
    total = np.zeros(blocks * BLOCK, np.float32)
    for track, own in notes.by_track():
        if not len(own):
            continue
        bank, program = (128, 0) if track.drums else (0, track.program)
        if not synthesizer.select(soundfont, bank, program) and not synthesizer.select(soundfont, bank, 0):
            continue
        start = np.round(own.onset * RATE / BLOCK).astype(np.int64)
        stop = np.maximum(np.round(own.offset * RATE / BLOCK).astype(np.int64), start + 1)
        pitch, velocity = own.pitch.astype(np.int64), own.velocity.astype(np.int64)
        on = np.stack([start, np.ones_like(start), pitch, velocity], axis=1)
        off = np.stack([stop, np.zeros_like(stop), pitch, np.zeros_like(stop)], axis=1)
        events = np.concatenate([off, on])
        # At one block the old note is let go before the new one is struck.
        total += synthesizer.render(events[np.lexsort((events[:, 1], events[:, 0]))], blocks)
    peak = float(np.abs(total).max(initial=0.0))
    return (total * np.float32(PEAK / peak) if peak > 0 else total), RATE
