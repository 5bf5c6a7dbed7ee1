"""Scores to sound: MIDI and MusicXML played with a General MIDI soundfont, by FluidSynth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtsep.errors import DataError
from amtsep.notes import Notes, Track

if TYPE_CHECKING:
    from music21.stream.base import Measure, Score

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
    from music21 import converter
    from music21.stream.base import Measure, Score
    from music21.tempo import TempoIndication

    try:
        score = converter.parse(path, format="musicxml", forceSource=True)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises
        raise DataError(f"{path.name} is no MusicXML that can be read; export it again.") from error
    if not isinstance(score, Score) or not score.parts:
        raise DataError(f"{path.name} is no MusicXML that can be read; export it again.")
    score.toSoundingPitch(inPlace=True)
    parts = [list(part.getElementsByClass(Measure)) for part in score.parts]
    lengths = [max(float(own.duration.quarterLength) for own in bar if own) for bar in zip_longest(*parts)]
    order = _played(score, parts)
    starts = np.concatenate([[0.0], np.cumsum([lengths[bar] for bar in order])]).tolist()
    rows: list[list[float]] = []
    tracks, marks = [], []
    for number, (part, bars) in enumerate(zip(score.parts, parts)):
        instrument = part.getInstrument(returnDefault=True)
        program = instrument.midiProgram if instrument is not None else 0
        tracks.append(Track(part.partName or f"Part {number + 1}", min(max(program or 0, 0), 127)))
        inside = [list(_sounding(bar)) for bar in bars]
        told = [
            [(float(mark.offset), mark.getSoundingMetronomeMark()) for mark in bar.getElementsByClass(TempoIndication)]
            for bar in bars
        ]
        held: dict[int, int] = {}
        for start, which in zip(starts, order):
            if which >= len(bars):
                continue
            marks += [(start + at, mark) for at, mark in told[which]]
            for at, length, pitch, goes_on, is_tied in inside[which]:
                row = held.pop(pitch, None) if goes_on else None
                if row is None or abs(rows[row][1] - start - at) > 1e-3:
                    row = len(rows)
                    rows.append([start + at, 0.0, pitch, number])
                rows[row][1] = start + at + length
                if is_tied:
                    held[pitch] = row
    table = np.array(rows, np.float64).reshape(-1, 4)
    tempo = _tempo_map(marks)
    pitches, part_of = table[:, 2:].astype(np.int64).T
    return Notes.build(tempo(table[:, 0]), tempo(table[:, 1]), pitches, track=part_of, tracks=tracks)


def _sounding(bar: Measure) -> Iterator[tuple[float, float, int, bool, bool]]:
    """Start and length in quarter notes, pitch, whether a tie leads to it, whether one leads on; no grace notes."""
    for element in bar.flatten().notes:
        start, length = float(element.offset), float(element.quarterLength)
        for note in getattr(element, "notes", (element,)):
            kind = note.tie.type if note.tie is not None else ""
            for pitch in note.pitches if length > 0 else ():
                yield start, length, pitch.midi, kind in ("stop", "continue"), kind in ("start", "continue")


def _played(score: Score, parts: Sequence[Sequence[Measure]]) -> list[int]:
    """Which bars are played, in their order: those of each movement (bars are counted anew in it) by its signs.

    music21 copies a part for every repeat sign in it, with all that stands in it, which takes minutes for a quartet. So
    it is given bars that hold nothing but the signs; those of any part hold for all.
    """
    from music21 import exceptions21, repeat, spanner, stream

    bars = [_bare(i, own) for i, own in enumerate(zip_longest(*parts))]
    brackets: dict[tuple[int, ...], str] = {}
    for part, own in zip(score.parts, parts):
        place = {id(bar): i for i, bar in enumerate(own)}
        for bracket in part.recurse().getElementsByClass(spanner.RepeatBracket):
            under = tuple(sorted(place[id(bar)] for bar in bracket.getSpannedElements() if id(bar) in place))
            if under:
                brackets.setdefault(under, bracket.number)
    _start_sections(bars, {i for under in brackets for i in range(under[0], under[-1] + 1)})
    numbers = [bar.number or 0 for bar in max(parts, key=len)]
    first = [0, *(i for i in range(1, len(bars)) if numbers[i] < numbers[i - 1]), len(bars)]
    order: list[int] = []
    for start, stop in zip(first, first[1:]):
        movement = stream.Part(bars[start:stop])
        for under, number in brackets.items():
            if start <= under[0] and under[-1] < stop:
                movement.insert(0.0, spanner.RepeatBracket([bars[i] for i in under], number=number))
        # Signs that do not fit together are left unplayed, as a reader would leave them.
        try:
            played = list(repeat.Expander(movement).process().getElementsByClass(stream.Measure))
        except (exceptions21.Music21Exception, repeat.ExpanderException):
            played = bars[start:stop]
        order += [int(bar.groups[0]) for bar in played]
    return order


def _bare(index: int, together: Sequence[Measure | None]) -> Measure:
    """A bar with the signs of any part's, and its index as its group."""
    from music21.bar import Barline, Repeat
    from music21.duration import Duration
    from music21.repeat import RepeatExpression
    from music21.stream.base import Measure

    bare = Measure(number=index + 1)
    bare.duration = Duration(1.0)
    bare.groups.append(str(index))
    there: set[type] = set()
    for own in together:
        for side in ("leftBarline", "rightBarline"):
            line = getattr(own, side, None)
            if isinstance(line, Repeat):
                setattr(bare, side, Repeat(direction=line.direction, times=line.times))
            elif line is not None and getattr(bare, side) is None:
                setattr(bare, side, Barline(line.type))
        for sign in own.getElementsByClass(RepeatExpression) if own is not None else ():
            if type(sign) not in there:
                there.add(type(sign))
                bare.insert(0.0, type(sign)())
    return bare


def _start_sections(bars: Sequence[Measure], endings: set[int]) -> None:
    """Set the sign that is left out where a section begins after one that is repeated (or has ended)."""
    from music21.bar import Repeat

    begin, is_open = 0, False
    for i, bar in enumerate(bars):
        left, right = bar.leftBarline, bar.rightBarline
        is_open = is_open or (isinstance(left, Repeat) and left.direction == "start")
        ends = isinstance(right, Repeat) and right.direction == "end"
        if ends and not is_open and begin and begin <= i:
            bars[begin].leftBarline = Repeat(direction="start")
        if ends or (right is not None and right.type == "final"):
            begin, is_open = i + 1, False
            while begin in endings:
                begin += 1


def _tempo_map(marks: Sequence[tuple[float, Any]]) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Quarter notes to seconds, by the tempo marks of all parts; `QUARTERS_A_MINUTE` where none says anything."""
    told = {start: mark.getQuarterBPM() for start, mark in marks if not mark.numberImplicit or mark.text is not None}
    # Without a number a mark of words has the one that is usual for it.
    places = {0.0: QUARTERS_A_MINUTE} | {start: float(bpm) for start, bpm in sorted(told.items()) if bpm}
    starts = np.array(sorted(places))
    second = 60.0 / np.array([places[start] for start in starts])
    at = np.concatenate([[0.0], np.cumsum(np.diff(starts) * second[:-1])])

    def seconds(quarters: ArrayLike) -> NDArray[np.float64]:
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
