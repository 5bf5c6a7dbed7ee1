"""A `Score` written as MusicXML 4.0 (partwise), valid against its schema.

Written directly: a three-minute piece takes a fraction of a second, which an edit in the app can wait for. Every note
has the identifier ``n<index>``, the further parts of a tied one ``n<index>-2`` and so on, so that an engraving can be
tied back to the notes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from html import escape
from operator import itemgetter
from typing import Any

import numpy as np

from amtsep.rhythm.engraving import Piece, pieces_of_bar
from amtsep.rhythm.metre import Metre
from amtsep.rhythm.quantise import TICKS
from amtsep.rhythm.score import Score, ScorePart

STEPS = "FCGDAEB"
NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
CLEFS = {
    "treble": ("G", 2, 0), "treble-8": ("G", 2, -1), "bass": ("F", 4, 0), "bass-8": ("F", 4, -1), "alto": ("C", 3, 0),
    "percussion": ("percussion", 0, 0),
}  # fmt: skip
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
DRUM_PLACES: dict[int, tuple[str, int, str]] = {
    35: ("F", 4, "normal"), 36: ("F", 4, "normal"), 37: ("C", 5, "x"), 38: ("C", 5, "normal"), 39: ("C", 5, "x"),
    40: ("C", 5, "normal"), 41: ("G", 4, "normal"), 42: ("G", 5, "x"), 43: ("A", 4, "normal"), 44: ("D", 4, "x"),
    45: ("A", 4, "normal"), 46: ("G", 5, "circle-x"), 47: ("D", 5, "normal"), 48: ("D", 5, "normal"),
    49: ("A", 5, "x"), 50: ("E", 5, "normal"), 51: ("F", 5, "x"), 52: ("A", 5, "x"), 53: ("F", 5, "diamond"),
    55: ("A", 5, "x"), 57: ("A", 5, "x"), 59: ("F", 5, "x"),
}  # fmt: skip
"""General MIDI drum sounds on the percussion staff: step, octave, notehead."""
TEMPO_CHANGE = 0.2
"""A change of tempo for this share, kept for `TEMPO_BARS` bars, is marked."""
TEMPO_BARS = 3


def spell(pitch: int, fifth: int) -> tuple[str, int, int]:
    """Step, alteration and octave of a MIDI pitch spelled at a place on the line of fifths.

    Examples
    --------
    >>> spell(60, 12)
    ('B', 1, 3)
    """
    step = STEPS[(fifth + 1) % 7]
    alter = (fifth + 1) // 7
    octave = (pitch - alter - NATURAL[step]) // 12 - 1
    return step, alter, octave


def musicxml_text(score: Score, title: str = "", rights: str = "") -> str:
    """The whole file as text."""
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">',
        '<score-partwise version="4.0">',
        f"<work><work-title>{_text(title or 'Transcription')}</work-title></work>",
        "<identification>",
    ]
    if rights:
        out.append(f"<rights>{_text(rights)}</rights>")
    out += ["<encoding><software>amtsep</software></encoding>", "</identification>", "<part-list>"]
    names = _names(score.parts)
    for i, (part, name) in enumerate(zip(score.parts, names, strict=True), start=1):
        sound = 1 if part.drums else part.track.program + 1
        channel = 10 if part.drums else [c for c in range(1, 17) if c != 10][(i - 1) % 15]
        out.append(
            f'<score-part id="P{i}"><part-name>{_text(name)}</part-name>'
            f'<score-instrument id="P{i}-I1"><instrument-name>{_text(name)}</instrument-name></score-instrument>'
            f'<midi-instrument id="P{i}-I1"><midi-channel>{channel}</midi-channel>'
            f"<midi-program>{sound}</midi-program></midi-instrument></score-part>"
        )
    out.append("</part-list>")
    layout = _Layout(score)
    for i, part in enumerate(score.parts, start=1):
        out.append(f'<part id="P{i}">')
        out += _measures(score, part, layout, first=i == 1)
        out.append("</part>")
    out.append("</score-partwise>")
    return "\n".join(out) + "\n"


class _Layout:
    """What all parts share: which bars there are, how short the first is, tempo marks."""

    def __init__(self, score: Score) -> None:
        bars, beats = score.bars, score.beats
        self.lines = [int(t) for t in bars.bar_tick]
        self.metres: list[Metre] = [beats.metres[i] for i in bars.bar_metre]
        starts = [int(p.notes["start"].min()) for p in score.parts if len(p.notes)]
        first = min(starts, default=0)
        # Bars before the music begins are left out, and so are the beats before it in its first bar: a pickup.
        self.skip = 0
        while self.skip + 2 < len(self.lines) and self.lines[self.skip + 1] <= first:
            self.skip += 1
        start = self.lines[self.skip]
        beat = int(self.metres[self.skip].beat * TICKS)
        self.offset = max(first - start, 0) // beat * beat
        self.pickup = self.offset > 0
        self.tempo = self._tempi(score)

    def _tempi(self, score: Score) -> dict[int, float]:
        """Beats a minute by bar, where a mark stands."""
        beats = score.beats
        if len(beats) < 2:
            return {0: 120.0}
        curve = beats.tempo_curve()
        ticks = score.bars.beat_tick
        bars = np.searchsorted(self.lines, ticks, side="right") - 1
        count = len(self.lines) - 1
        by_bar = np.array([float(np.median(curve[bars == i])) if np.any(bars == i) else np.nan for i in range(count)])
        known = np.flatnonzero(np.isfinite(by_bar))
        if not len(known):
            return {self.skip: beats.tempo}
        by_bar = np.interp(np.arange(count), known, by_bar[known])
        marks: dict[int, float] = {}
        last = 0.0
        for i in range(self.skip, count):
            stretch = by_bar[i : i + TEMPO_BARS]
            if (
                not marks
                or len(stretch) == TEMPO_BARS
                and np.all(np.abs(np.log(stretch / last)) > np.log(1 + TEMPO_CHANGE))
            ):
                last = float(np.median(by_bar[i : i + 8]))
                marks[i] = last
        return marks


def _measures(score: Score, part: ScorePart, layout: _Layout, first: bool) -> list[str]:
    out: list[str] = []
    notes = part.notes
    lanes = {}
    for staff in range(part.staves):
        for voice in range(2):
            chosen = notes[(notes["staff"] == staff) & (notes["voice"] == voice)]
            if len(chosen):
                lanes[staff, voice] = _events(chosen)
    triples = _triples_by_bar(score, part, layout)
    count = len(layout.lines) - 1
    before: Metre | None = None
    key: int | None = None
    for i in range(layout.skip, count):
        offset = layout.offset if i == layout.skip else 0
        start, stop, metre = layout.lines[i] + offset, layout.lines[i + 1], layout.metres[i]
        implicit = ' implicit="yes"' if i == layout.skip and layout.pickup else ""
        number = i - layout.skip + (0 if layout.pickup else 1)
        out.append(f'<measure number="{number}"{implicit}>')
        sharps = _written_key(score.keys[min(i, len(score.keys) - 1)], part)
        if metre != before or sharps != key:
            out += _attributes(
                part, metre if metre != before else None, sharps if sharps != key else None, before is None
            )
        before, key = metre, sharps
        if first and i in layout.tempo:
            out += _tempo(layout.tempo[i], metre)
        written = False
        for staff in range(part.staves):
            state: dict[tuple[str, int], int] = {}
            own = [v for v in range(2) if (staff, v) in lanes and _plays(lanes[staff, v], start, stop)] or [0]
            for voice in own:
                if written:
                    out.append(f"<backup><duration>{stop - start}</duration></backup>")
                written = True
                events = _cut(lanes.get((staff, voice), []), start, stop)
                symbols = pieces_of_bar(
                    [e[:5] for e in events], metre, triples.get((staff, i), frozenset()), stop - start, offset
                )
                graces = {e[0]: e[5] for e in events if e[5]}
                stem = "" if len(own) < 2 else ("up" if voice == 0 else "down")
                for symbol in symbols:
                    if symbol.members and not symbol.tied_from:
                        for g in graces.get(symbol.start, ()):
                            out += _grace(notes, g, part, staff, voice, sharps, state, lanes[staff, voice])
                    lane = lanes.get((staff, voice), [])
                    out += _symbol(symbol, lane, part, staff, voice, sharps, state, stem, start)
        if i == count - 1:
            out.append('<barline location="right"><bar-style>light-heavy</bar-style></barline>')
        out.append("</measure>")
    return out


def _written_key(sharps: int, part: ScorePart) -> int:
    """The signature that a part's player reads."""
    if part.drums:
        return 0
    if part.transposition:
        sharps += _shift(-part.transposition)
        sharps = sharps - 12 if sharps > 7 else sharps + 12 if sharps < -7 else sharps
    return sharps


def _shift(semitones: int) -> int:
    steps = (7 * semitones) % 12
    return steps if steps <= 6 else steps - 12


# An event of a voice: start, end, notes (rows), grace notes (rows) before it.
_Event = tuple[int, int, tuple[np.void, ...], tuple[np.void, ...]]
# The part of one in a bar: start, end, indices, whether it comes tied, whether it goes on tied, grace notes.
_Cut = tuple[int, int, tuple[int, ...], bool, bool, tuple[Any, ...]]


def _events(chosen: np.ndarray) -> list[_Event]:
    """Chords of a voice in order, cut where the next begins."""
    grace: dict[int, list[np.void]] = {}
    chords: dict[int, list[np.void]] = {}
    for row in chosen:
        (grace if row["grace"] else chords).setdefault(int(row["start"]), []).append(row)
    starts = sorted(chords)
    out: list[_Event] = []
    for j, start in enumerate(starts):
        rows = chords[start]
        end = start + max(max(int(r["length"]) for r in rows), 1)
        if j + 1 < len(starts):
            end = min(end, starts[j + 1])
        out.append((start, end, tuple(rows), tuple(grace.get(start, ()))))
    return out


def _between(events: list[_Event], start: int, stop: int) -> range:
    """Indices of the events of a voice that sound between two ticks: sorted, none of them goes on beside the next."""
    return range(bisect_right(events, start, key=itemgetter(1)), bisect_left(events, stop, key=itemgetter(0)))


def _plays(events: list[_Event], start: int, stop: int) -> bool:
    return len(_between(events, start, stop)) > 0


def _cut(
    events: list[_Event], start: int, stop: int
) -> list[tuple[int, int, tuple[int, ...], bool, bool, tuple[Any, ...]]]:
    """Events of a bar in ticks from its start; members are indices into `events`."""
    out: list[_Cut] = []
    for k in _between(events, start, stop):
        a, z, _, grace = events[k]
        out.append(
            (max(a, start) - start, min(z, stop) - start, (k,), a < start, z > stop, grace if a >= start else ())
        )
    return out


def _triples_by_bar(score: Score, part: ScorePart, layout: _Layout) -> dict[tuple[int, int], frozenset[int]]:
    out: dict[tuple[int, int], set[int]] = {}
    ticks = score.bars.beat_tick
    for staff, beat in part.triple:
        if 0 <= beat < len(ticks):
            bar = int(np.searchsorted(layout.lines, ticks[beat], side="right")) - 1
            if 0 <= bar < len(layout.metres):
                step = int(layout.metres[bar].beat * TICKS)
                out.setdefault((staff, bar), set()).add((int(ticks[beat]) - layout.lines[bar]) // step)
    return {place: frozenset(beats) for place, beats in out.items()}


def _attributes(part: ScorePart, metre: Metre | None, sharps: int | None, everything: bool) -> list[str]:
    """What changes at a bar: its metre, its key, and in the first bar everything else."""
    out = ["<attributes>"]
    if everything:
        out.append(f"<divisions>{TICKS}</divisions>")
    if sharps is not None:
        out.append(f"<key><fifths>{sharps}</fifths></key>")
    if metre is not None:
        out.append(f"<time><beats>{metre.beats}</beats><beat-type>{metre.beat_type}</beat-type></time>")
    if everything:
        if part.staves > 1:
            out.append(f"<staves>{part.staves}</staves>")
        for s, clef in enumerate(part.clefs, start=1):
            sign, line, octave = CLEFS[clef]
            number = f' number="{s}"' if part.staves > 1 else ""
            middle = f"<line>{line}</line>" if line else ""
            change = f"<clef-octave-change>{octave}</clef-octave-change>" if octave else ""
            out.append(f"<clef{number}><sign>{sign}</sign>{middle}{change}</clef>")
        if part.transposition:
            octaves = int(part.transposition / 12)
            chromatic = part.transposition - 12 * octaves
            diatonic = -((-chromatic * 7 + 6) // 12) if chromatic < 0 else (chromatic * 7 + 6) // 12
            change = f"<octave-change>{octaves}</octave-change>" if octaves else ""
            out.append(
                f"<transpose><diatonic>{diatonic}</diatonic><chromatic>{chromatic}</chromatic>{change}</transpose>"
            )
    out.append("</attributes>")
    return out


def _tempo(tempo: float, metre: Metre) -> list[str]:
    unit = {24: ("quarter", ""), 36: ("quarter", "<beat-unit-dot/>"), 48: ("half", ""), 12: ("eighth", "")}
    name, dot = unit.get(int(metre.beat * TICKS), ("quarter", ""))
    quarters = tempo * metre.beat_quarters
    return [
        f'<direction placement="above"><direction-type><metronome><beat-unit>{name}</beat-unit>{dot}'
        f"<per-minute>{round(tempo)}</per-minute></metronome></direction-type>"
        f'<sound tempo="{quarters:.2f}"/></direction>'
    ]


def _pitch(row: np.void, part: ScorePart) -> tuple[str, str, str]:
    """The element that says where a note is, its step and octave as a key, its notehead."""
    if part.drums:
        step, octave, head = DRUM_PLACES.get(int(row["pitch"]), ("E", 5, "x"))
        text = f"<unpitched><display-step>{step}</display-step><display-octave>{octave}</display-octave></unpitched>"
        return text, "", "" if head == "normal" else f"<notehead>{head}</notehead>"
    step, alter, octave = spell(int(row["pitch"]), int(row["fifth"]))
    change = f"<alter>{alter}</alter>" if alter else ""
    return f"<pitch><step>{step}</step>{change}<octave>{octave}</octave></pitch>", f"{step}{octave}", ""


def _accidental(row: np.void, part: ScorePart, sharps: int, state: dict[tuple[str, int], int]) -> str:
    """What must be written before a note, by the key and by what stood before it in the bar."""
    if part.drums:
        return ""
    step, alter, octave = spell(int(row["pitch"]), int(row["fifth"]))
    place = STEPS.index(step)
    of_key = (sharps - place + 6) // 7  # sharps come in the order F C G D A E B, flats in the other
    valid = state.get((step, octave), of_key)
    if alter == valid or alter not in ACCIDENTALS:
        return ""
    state[step, octave] = alter
    return f"<accidental>{ACCIDENTALS[alter]}</accidental>"


def _grace(
    notes: np.ndarray,
    row: np.void,
    part: ScorePart,
    staff: int,
    voice: int,
    sharps: int,
    state: dict[tuple[str, int], int],
    lane: list[_Event],
) -> list[str]:
    where, _, head = _pitch(row, part)
    staff_text = f"<staff>{staff + 1}</staff>" if part.staves > 1 else ""
    return [
        f'<note id="n{int(row["note"])}"><grace slash="yes"/>{where}<voice>{staff * 4 + voice + 1}</voice>'
        f"<type>eighth</type>{_accidental(row, part, sharps, state)}{head}{staff_text}</note>"
    ]


def _symbol(
    symbol: Piece,
    lane: list[_Event],
    part: ScorePart,
    staff: int,
    voice: int,
    sharps: int,
    state: dict[tuple[str, int], int],
    stem: str,
    bar_start: int,
) -> list[str]:
    tail = f"<staff>{staff + 1}</staff>" if part.staves > 1 else ""
    number = f"<voice>{staff * 4 + voice + 1}</voice>"
    kind = f"<type>{symbol.kind}</type>" + "<dot/>" * symbol.dots if symbol.kind else ""
    tuplet = (
        "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>"
        if symbol.tuplet
        else ""
    )
    bracket = f'<tuplet type="{symbol.tuplet}"/>' if symbol.tuplet in ("start", "stop") else ""
    duration = f"<duration>{symbol.length}</duration>"
    if not symbol.members:
        whole = ' measure="yes"' if symbol.whole_bar else ""
        notations = f"<notations>{bracket}</notations>" if bracket else ""
        return [f"<note><rest{whole}/>{duration}{number}{kind}{tuplet}{tail}{notations}</note>"]
    out = []
    event = lane[symbol.members[0]]
    stems = f"<stem>{stem}</stem>" if stem else ""
    for j, row in enumerate(event[2]):
        where, _, head = _pitch(row, part)
        ties = ""
        notations = bracket if j == 0 else ""
        if not part.drums:
            if symbol.tied_from:
                ties += '<tie type="stop"/>'
                notations += '<tied type="stop"/>'
            if symbol.tied_to:
                ties += '<tie type="start"/>'
                notations += '<tied type="start"/>'
        accidental = _accidental(row, part, sharps, state)
        if symbol.tied_from and accidental:
            accidental = ""  # a tie carries its accidental over the bar line
        name = f"n{int(row['note'])}"
        if symbol.tied_from:
            name += f"-{bar_start + symbol.start}"
        beams = "".join(f'<beam number="{k}">{b}</beam>' for k, b in enumerate(symbol.beams, start=1)) if j == 0 else ""
        chord = "<chord/>" if j else ""
        marks = f"<notations>{notations}</notations>" if notations else ""
        out.append(
            f'<note id="{name}">{chord}{where}{duration}{ties}{number}{kind}{accidental}{tuplet}{stems}{head}{tail}'
            f"{beams}{marks}</note>"
        )
    return out


def _names(parts: Sequence[ScorePart]) -> list[str]:
    names: list[str] = []
    for i, part in enumerate(parts, start=1):
        base = part.track.name.strip() or f"Track {i}"
        name, number = base, 2
        while name in names:
            name, number = f"{base} {number}", number + 1
        names.append(name)
    return names


def _text(text: str) -> str:
    """Escaped, without what XML cannot hold."""
    return escape("".join(c for c in text if c >= " " or c in "\t\n"), quote=False)
