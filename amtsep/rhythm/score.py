"""`Score`: notes written down. Beats in, bars and note values out; knows no file format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Quantisation
from amtsep.notes import Notes, Track
from amtsep.rhythm import quantise, spelling, voices
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.key import bar_keys
from amtsep.rhythm.quantise import TICKS, Bars

SCORE_NOTE = np.dtype(
    [
        ("note", "<i4"),
        ("start", "<i4"),
        ("length", "<i4"),
        ("pitch", "<i2"),
        ("fifth", "<i2"),
        ("staff", "<i2"),
        ("voice", "<i2"),
        ("grace", "?"),
    ]
)
"""A note of a score: index into the table it comes from, start and length in ticks (`quantise.TICKS` to the quarter),
MIDI pitch as written (a transposed part sounds otherwise), spelling on the line of fifths, staff and voice from 0."""

TRANSPOSITION = {
    9: 24, 13: 12, 14: 0, 24: -12, 25: -12, 26: -12, 27: -12, 28: -12, 29: -12, 30: -12, 31: -12,
    32: -12, 33: -12, 34: -12, 35: -12, 36: -12, 37: -12, 38: -12, 39: -12, 43: -12,
    56: -2, 59: -2, 60: -7, 64: -2, 65: -9, 66: -14, 67: -21, 69: -7, 71: -2, 72: 12,
}  # fmt: skip
"""General MIDI programs of instruments that sound other than written: semitones from written to sounding."""


@dataclass(frozen=True, eq=False)
class ScorePart:
    """One track written down.

    Parameters
    ----------
    track
        Its name and sound.
    notes
        `SCORE_NOTE`, sorted by staff, voice, start, pitch.
    staves
        1, or 2 for the hands of a keyboard.
    clefs
        One a staff: "treble", "treble-8", "bass", "bass-8", "alto", "percussion".
    transposition
        Semitones from what is written to what sounds; only of a part written for its player.
    triple
        (staff, beat) that hold triplets.
    drums
        Whether pitches are General MIDI drum sounds.
    """

    track: Track
    notes: NDArray[np.void]
    staves: int
    clefs: tuple[str, ...]
    transposition: int = 0
    triple: frozenset[tuple[int, int]] = frozenset()
    drums: bool = False


@dataclass(frozen=True, eq=False)
class Score:
    """A piece written down: parts over common bars.

    Parameters
    ----------
    parts
        One a track that plays.
    beats
        What the bars come from.
    bars
        The same in ticks.
    keys
        Sharps (flats negative) of the key signature of each bar as it sounds.
    """

    parts: tuple[ScorePart, ...]
    beats: Beats
    bars: Bars
    keys: tuple[int, ...] = (0,)


def make_score(
    notes: Notes,
    beats: Beats,
    settings: Quantisation = Quantisation(),  # noqa: B008 - frozen
    is_drums: Callable[[Track], bool] | None = None,
) -> Score:
    """Write notes down.

    Parameters
    ----------
    notes
        Of one recording, as transcribed and edited; they stay as they are.
    beats
        Of the same recording.
    settings
        See `amtsep.config.Quantisation`.
    is_drums
        Tells tracks of drums, whose pitches are General MIDI drum sounds; by default one whose `drums` says so.
    """
    bars = quantise.lay_bars(beats)
    tells = is_drums or (lambda track: bool(getattr(track, "drums", False)))
    fifth = np.zeros(len(notes), int)
    drums = np.array([tells(t) for t in notes.tracks], bool)[notes.track] if len(notes) else np.zeros(0, bool)
    tuned = np.flatnonzero(~drums)
    lines, sharps = bar_keys(notes.select(~drums), beats)
    if len(tuned):
        chord_time = _joined(notes.onset[tuned], settings.chord_s)
        in_bar = np.clip(np.searchsorted(lines, notes.onset[tuned] + 0.05, side="right") - 1, 0, None)
        fifth[tuned] = spelling.fifths(notes.pitch[tuned].astype(int), chord_time, sharps[in_bar])
    drafts = []
    for number, track in enumerate(notes.tracks):
        own = np.flatnonzero(notes.track == number)
        if len(own):
            drafts.append(_draft(notes, own, track, beats, bars, fifth[own], tells(track), settings))
    # Those who play together hold notes alike: a tune tells how short the chords under it are played.
    spans = [np.zeros((2, 0)), *(_spans(draft) for draft in drafts if not draft.drums)]
    sounded, gap = np.concatenate(spans, axis=1)
    held = quantise.held_share(sounded, gap, settings)
    parts = [_part(draft, held, beats, bars, settings) for draft in drafts]
    whole = _enough_bars(bars, parts)
    return Score(tuple(parts), beats, whole, _keys(whole, beats, lines, sharps))


def _keys(bars: Bars, beats: Beats, lines: NDArray[np.float64], sharps: NDArray[np.int_]) -> tuple[int, ...]:
    """The signature of each bar of a score; one that begins on no beat (a pickup's, one added) has its neighbour's."""
    keys = []
    for i, first in enumerate(bars.bar_beat):
        if first < 0:
            keys.append(sharps[-1] if i else sharps[0])
        else:
            line = int(np.searchsorted(lines, beats.time[first] + 1e-6, side="right")) - 1
            keys.append(sharps[max(line, 0)])
    return tuple(int(k) for k in keys)


def _joined(onset: NDArray[np.float64], within: float) -> NDArray[np.float64]:
    """Onsets, those of one chord made equal."""
    first = np.concatenate([[True], np.diff(onset) > within])
    return onset[np.flatnonzero(first)][np.cumsum(first) - 1]


@dataclass(frozen=True, eq=False)
class _Draft:
    """A part whose notes have places and staves, and neither voices nor lengths yet."""

    track: Track
    notes: Notes
    table: NDArray[np.void]
    sounded: NDArray[np.float64]
    """How long each note sounds, in ticks."""
    keyboard: bool
    triple: frozenset[tuple[int, int]]
    drums: bool


def _draft(
    notes: Notes,
    own: NDArray[np.intp],
    track: Track,
    beats: Beats,
    bars: Bars,
    fifth: NDArray[np.int_],
    drums: bool,
    settings: Quantisation,
) -> _Draft:
    table = notes.select(own)
    pitch = table.pitch.astype(int)
    keyboard = not drums and voices.two_staves(track, table)
    if keyboard:
        rough = np.round(beats.position(table.onset) * 8).astype(int)
        ends = np.round(beats.position(table.offset) * 8).astype(int)
        order = np.lexsort((pitch, rough))
        staff = np.zeros(len(own), int)
        staff[order] = voices.hands(rough[order], ends[order], pitch[order])
    else:
        staff = np.zeros(len(own), int)
    placed = quantise.place(table, beats, bars, settings, staff)
    sounded = (beats.position(table.offset) - beats.position(table.onset)) * _beat_ticks(beats, table.onset)
    out = np.zeros(len(own), SCORE_NOTE)
    out["note"], out["start"], out["grace"] = own, placed.start, placed.grace
    out["pitch"], out["fifth"], out["staff"] = pitch, fifth, staff
    return _Draft(track, table, out, sounded, keyboard, placed.triple, drums)


def _spans(draft: _Draft) -> NDArray[np.float64]:
    """(2, n) how long the instants of each staff sound, and how long it is to the next, in ticks."""
    rows = [np.zeros((2, 0))]
    for staff in np.unique(draft.table["staff"]):
        own = np.flatnonzero((draft.table["staff"] == staff) & ~draft.table["grace"])
        if len(own):
            instants, sounded, _ = _instants(draft.table["start"][own], draft.sounded[own])
            rows.append(np.stack([sounded[:-1], np.diff(instants)]))
    return np.concatenate(rows, axis=1)


def _instants(
    start: NDArray[np.int_], sounded: NDArray[np.float64]
) -> tuple[NDArray[np.int_], NDArray[np.float64], NDArray[np.intp]]:
    """Ticks at which something starts, how long it sounds (the median of a chord), and the instant of each note."""
    instants, index = np.unique(start, return_inverse=True)
    # The middle of each stretch of the notes in order: looking for every instant among all notes takes their square.
    ordered = sounded[np.lexsort((sounded, index))]
    first = np.searchsorted(np.sort(index), np.arange(len(instants)))
    size = np.diff(np.append(first, len(index)))
    return instants, 0.5 * (ordered[first + (size - 1) // 2] + ordered[first + size // 2]), index


def _part(draft: _Draft, held: float, beats: Beats, bars: Bars, settings: Quantisation) -> ScorePart:
    """A part in voices, with the lengths of its notes; see `quantise.held_share` for `held`."""
    track, keyboard, drums = draft.track, draft.keyboard, draft.drums
    sounded, out = draft.sounded, draft.table.copy()
    pitch, end = out["pitch"].astype(int), int(bars.bar_tick[-1])
    for s in range(2 if keyboard else 1):
        mine = np.flatnonzero((out["staff"] == s) & ~out["grace"])
        mine = mine[np.lexsort((pitch[mine], out["start"][mine]))]
        if not drums and _is_line(draft.notes.select(mine)):
            voice = np.zeros(len(mine), int)
        elif drums:
            voice = np.where(np.isin(pitch[mine], (35, 36, 44)), 1, 0)
        else:
            voice = voices.voices(out["start"][mine].astype(int), sounded[mine] / held, pitch[mine], settings)
        out["voice"][mine] = voice
        for v in np.unique(voice):
            one = mine[voice == v]
            out["length"][one] = _lengths(
                out["start"][one].astype(int), sounded[one], bars, beats, settings, drums, end, held
            )
    _join_graces(out)
    out = _without_doubles(out)
    transposition = TRANSPOSITION.get(track.program, 0) if not drums else 0
    clefs = _clefs(out, track, keyboard, drums)
    if settings.transposed and transposition:
        out["pitch"] -= transposition
        out["fifth"] += _fifths_of(-transposition)
        clefs = ("treble",) if track.program not in (*range(32, 40), 43) else ("bass",)
    else:
        transposition = 0
    out = out[np.lexsort((out["pitch"], ~out["grace"], out["start"], out["voice"], out["staff"]))]
    return ScorePart(track, out, 2 if keyboard else 1, clefs, transposition, draft.triple, drums)


def _is_line(notes: Notes) -> bool:
    """Whether a track plays one note at a time, but for notes that ring into the next."""
    if len(notes) < 2:
        return True
    apart = np.diff(notes.onset)
    over = np.maximum.accumulate(notes.offset)[:-1] - notes.onset[1:]
    moving = apart > 0.05
    return bool(np.mean(moving & (over > 0.1) & (over > 0.4 * np.maximum(notes.duration[1:], 0.05))) < 0.12)


def _beat_ticks(beats: Beats, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ticks of the beat at each time."""
    if not len(beats):
        return np.full(len(seconds), float(TICKS))
    ticks = np.array([int(m.beat * TICKS) for m in beats.metres], float)
    at = np.clip(np.searchsorted(beats.time, seconds, side="right") - 1, 0, len(beats) - 1)
    return ticks[beats.metre[at]]


def _lengths(
    start: NDArray[np.int_],
    sounded: NDArray[np.float64],
    bars: Bars,
    beats: Beats,
    settings: Quantisation,
    drums: bool,
    end: int,
    held: float,
) -> NDArray[np.int_]:
    """Written lengths of one voice, sorted by start; members of a chord get one length."""
    instants, middle, index = _instants(start, sounded)
    following = np.append(instants[1:], max(end, int(instants[-1]) + 1))
    bar = np.clip(np.searchsorted(bars.bar_tick, instants, side="right") - 1, 0, len(bars.bar_metre) - 1)
    beat = np.array([int(m.beat * TICKS) for m in beats.metres])[bars.bar_metre[bar]]
    if drums:  # a stroke lasts to the next, at most a beat
        to_beat = beat - np.mod(instants - bars.bar_tick[bar], beat)
        return np.minimum(following - instants, to_beat)[index]
    period = float(np.median(beat))
    # The last note of a voice fills its bar where it sounds for most of it.
    next_bar = bars.bar_tick[np.minimum(bar + 1, len(bars.bar_tick) - 1)]
    stop = int(np.ceil((instants[-1] + middle[-1] - 0.3 * period) / period) * period)
    following[-1] = max(int(next_bar[-1]), stop)
    return quantise.lengths(instants, middle, following, period, settings, held)[index]


def _join_graces(table: NDArray[np.void]) -> None:
    """Put every grace note in the voice of what it stands before: of two chords, the one nearer in pitch."""
    for i in np.flatnonzero(table["grace"]):
        here = (table["staff"] == table["staff"][i]) & (table["start"] == table["start"][i]) & ~table["grace"]
        main = np.flatnonzero(here)
        if len(main):
            away = np.abs(table["pitch"][main] - table["pitch"][i])
            table["voice"][i] = table["voice"][main[np.lexsort((table["voice"][main], away))[0]]]


def _without_doubles(table: NDArray[np.void]) -> NDArray[np.void]:
    """One of each pitch at one place of a voice; grace notes of one pitch at one place likewise."""
    keys = np.stack([table[name].astype(int) for name in ("staff", "voice", "start", "grace", "pitch")])
    _, first = np.unique(keys, axis=1, return_index=True)
    return table[np.sort(first)]


def _fifths_of(semitones: int) -> int:
    """Steps along the line of fifths of an interval, as simply spelled as can be (-5 to 6)."""
    steps = (7 * semitones) % 12
    return steps if steps <= 6 else steps - 12


def _clefs(table: NDArray[np.void], track: Track, keyboard: bool, drums: bool) -> tuple[str, ...]:
    if drums:
        return ("percussion",)
    if keyboard:
        return ("treble", "bass")
    middle = float(np.median(table["pitch"]))
    if track.program in (24, 25, 26, 27, 28, 29, 30, 31):
        return ("treble-8",)
    if track.program in (*range(32, 40), 43):
        return ("bass-8",)
    if track.program in (42, 57, 58, 70) and middle < 67:
        return ("bass",)
    if track.program == 41 and middle < 72:
        return ("alto",)
    return ("treble",) if middle >= 59 else ("bass",)


def _enough_bars(bars: Bars, parts: list[ScorePart]) -> Bars:
    """Bars until the last note has ended, the last one repeated."""
    end = max((int((p.notes["start"] + p.notes["length"]).max()) for p in parts), default=0)
    lines, metre, first = list(bars.bar_tick), list(bars.bar_metre), list(bars.bar_beat)
    step = int(lines[-1] - lines[-2])
    # Beats after the end, tracked or added, make no empty bars.
    while len(lines) > 2 and lines[-2] >= end:
        lines.pop()
        metre.pop()
        first.pop()
    while lines[-1] < end:
        lines.append(lines[-1] + step)
        metre.append(metre[-1])
        first.append(-1)
    return Bars(bars.beat_tick, np.array(lines), np.array(metre), np.array(first))
