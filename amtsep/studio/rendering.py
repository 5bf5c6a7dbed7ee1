"""Scores to sound: MIDI and MusicXML played with a General MIDI soundfont, by FluidSynth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """Notes of MusicXML as it is played: repeats with their endings, tempo marks, ties joined."""
    from music21 import converter, repeat
    from music21.exceptions21 import Music21Exception
    from music21.stream.base import Score

    try:
        score = converter.parse(path, format="musicxml", forceSource=True)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises
        raise DataError(f"{path.name} is no MusicXML that can be read; export it again.") from error
    if not isinstance(score, Score) or not score.parts:
        raise DataError(f"{path.name} is no MusicXML that can be read; export it again.")
    # Signs that do not fit together are left unplayed, as a reader would leave them.
    with suppress(Music21Exception, repeat.ExpanderException):
        score = score.expandRepeats()
    rows: list[tuple[float, float, int, int]] = []
    tracks, marks = [], []
    for number, part in enumerate(score.parts):
        instrument = part.getInstrument(returnDefault=True)
        program = instrument.midiProgram if instrument is not None else 0
        tracks.append(Track(part.partName or f"Part {number + 1}", min(max(program or 0, 0), 127)))
        flat = part.flatten()
        marks += [(float(start), mark) for start, _, mark in flat.metronomeMarkBoundaries()]
        for element in flat.stripTies().notes:
            start, length = float(element.offset), float(element.quarterLength)
            if length > 0:  # no grace note
                rows += [(start, start + length, pitch.midi, number) for pitch in element.pitches]
    tempo = _tempo_map(marks)
    onset, offset, pitch, part_of = zip(*rows) if rows else ((), (), (), ())
    return Notes.build(tempo(onset), tempo(offset), pitch, track=part_of, tracks=tracks)


def _tempo_map(marks: Sequence[tuple[float, Any]]) -> Callable[[Sequence[float]], NDArray[np.float64]]:
    """Quarter notes to seconds, by the tempo marks of all parts; `QUARTERS_A_MINUTE` where none says anything."""
    told = {start: mark.getQuarterBPM() for start, mark in marks if not mark.numberImplicit or mark.text is not None}
    # Without a number a mark of words has the one that is usual for it.
    places = {0.0: QUARTERS_A_MINUTE} | {start: float(bpm) for start, bpm in sorted(told.items()) if bpm}
    starts = np.array(sorted(places))
    second = 60.0 / np.array([places[start] for start in starts])
    at = np.concatenate([[0.0], np.cumsum(np.diff(starts) * second[:-1])])

    def seconds(quarters: Sequence[float]) -> NDArray[np.float64]:
        given = np.asarray(quarters, np.float64)
        which = np.searchsorted(starts, given, side="right") - 1
        return at[which] + (given - starts[which]) * second[which]

    return seconds


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
