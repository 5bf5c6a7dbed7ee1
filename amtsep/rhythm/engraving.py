"""Note values of a voice: what is written over bar lines, beats and triplets, as notes that can be drawn.

A note of any length becomes tied notes of the values that notation has, parted where the metre wants to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from amtsep.rhythm.metre import Metre
from amtsep.rhythm.quantise import TICKS

VALUES: dict[int, tuple[str, int]] = {
    96: ("whole", 0), 48: ("half", 0), 24: ("quarter", 0), 12: ("eighth", 0), 6: ("16th", 0), 3: ("32nd", 0),
    144: ("whole", 1), 72: ("half", 1), 36: ("quarter", 1), 18: ("eighth", 1), 9: ("16th", 1), 192: ("breve", 0),
}  # fmt: skip
"""Ticks to the type of a note and its dots."""
TRIPLET_VALUES: dict[int, tuple[str, int]] = {
    16: ("quarter", 0), 8: ("eighth", 0), 4: ("16th", 0), 2: ("32nd", 0), 12: ("eighth", 1), 32: ("half", 0),
}  # fmt: skip
"""The same in a triplet: three in the time of two."""
FLAGS = {"eighth": 1, "16th": 2, "32nd": 3}
"""Beams of a note."""


@dataclass(frozen=True)
class Piece:
    """One symbol of a voice: a chord, or a rest where `members` is empty.

    `members` index into the caller's notes; `start` and `length` are ticks from the bar line; `tuplet` is "", "start",
    "inside" or "stop"; `beams` has one of "begin", "continue", "end", "forward hook", "backward hook" a level.
    """

    start: int
    length: int
    kind: str
    dots: int
    members: tuple[int, ...] = ()
    tied_from: bool = False
    tied_to: bool = False
    tuplet: str = ""
    beams: tuple[str, ...] = ()
    whole_bar: bool = False


def pieces_of_bar(
    events: Iterable[tuple[int, int, tuple[int, ...], bool, bool]],
    metre: Metre,
    triple: frozenset[int],
    bar: int,
    offset: int = 0,
) -> list[Piece]:
    """Symbols of one voice in one bar.

    Parameters
    ----------
    events
        (start, end, members, comes tied, goes on tied) in ticks from the bar line, sorted, without overlap.
    metre
        Of the bar.
    triple
        Which beats of the bar (from 0) hold triplets.
    bar
        Ticks that the bar has.
    offset
        Ticks that a shortened first bar lacks at its start.
    """
    beat = int(metre.beat * TICKS)
    result: list[Piece] = []
    now = 0
    if not events:
        return [Piece(0, bar, "", 0, whole_bar=True)]
    for start, end, members, tied_from, tied_to in events:
        if start > now:
            result += _split(now, start, (), False, False, metre, beat, triple, offset)
        result += _split(start, end, members, tied_from, tied_to, metre, beat, triple, offset)
        now = end
    if now < bar:
        result += _split(now, bar, (), False, False, metre, beat, triple, offset)
    return _beamed(_bracketed(result, beat, triple, offset), metre, beat, offset)


def _split(
    start: int,
    end: int,
    members: tuple[int, ...],
    tied_from: bool,
    tied_to: bool,
    metre: Metre,
    beat: int,
    triple: frozenset[int],
    offset: int,
) -> list[Piece]:
    parts: list[Piece] = []
    now = start
    while now < end:
        place = now + offset
        number = place // beat
        if number in triple and not metre.compound:
            if (
                place % beat == 0
                and end - now >= beat
                and (end - now) in VALUES
                and _plain(place, end + offset, beat, triple)
            ):
                length, (kind, dots) = end - now, VALUES[end - now]
            elif place % beat == 0 and end - now >= beat:
                length, (kind, dots) = beat, VALUES.get(beat, ("quarter", 0))
            else:
                left = min(end, (number + 1) * beat - offset) - now
                length = next((v for v in (16, 12, 8, 4, 2) if v <= left and v in TRIPLET_VALUES), left)
                if length == 12 and left != 12:
                    length = 8
                kind, dots = TRIPLET_VALUES.get(length, ("32nd", 0))
                tuplet = "inside"
                parts.append(Piece(now, length, kind, dots, members, tuplet=tuplet))
                now += length
                continue
        else:
            length = _longest(place, end - now, metre, beat, triple, rest=not members)
            kind, dots = VALUES.get(length, ("32nd", 0))
        parts.append(Piece(now, length, kind, dots, members))
        now += length
    if not members:
        return parts
    last = len(parts) - 1
    return [
        replace(p, tied_from=tied_from if i == 0 else True, tied_to=tied_to if i == last else True)
        for i, p in enumerate(parts)
    ]


def _plain(place: int, end: int, beat: int, triple: frozenset[int]) -> bool:
    """Whether a note that begins on a beat may run on to `end`: it does not stop inside a beat of triplets."""
    return end % beat == 0 or end // beat not in triple


def _longest(place: int, left: int, metre: Metre, beat: int, triple: frozenset[int], rest: bool) -> int:
    """Longest value, at most `left`, that can be written at `place` without hiding the metre."""
    bar = int(metre.bar * TICKS)
    inside = place % beat
    for value in sorted(VALUES, reverse=True):
        if value > left:
            continue
        end = place + value
        if end // beat != place // beat and end % beat and end // beat in triple:
            continue
        if inside + value <= beat:  # within a beat
            dotted = VALUES[value][1]
            base = value * 2 // 3 if dotted else value
            unit = base // 2 if dotted else base
            if metre.compound and value == 12 and inside % 12:
                continue
            if inside % max(min(unit, 12), 3) and value > 3:
                continue
            if not metre.compound and inside and dotted and inside % base and rest:
                continue
            return value
        if rest and inside:
            continue
        if metre.compound:
            if inside == 0 and value in (36, 72, 144) and (value != 72 or place % 72 == 0 or metre.beats_per_bar == 3):
                return value
            continue
        if inside == 0:
            if value % beat and not (value == 36 and not rest and beat == 24):
                continue
            if metre.beats_per_bar == 4 and place < bar // 2 < end:
                if place == 0 and not (rest and value == 72):
                    return value
                if place == beat and value in (2 * beat, 3 * beat) and not rest:
                    return value
                continue
            if metre.beats_per_bar == 3 and rest and value == 2 * beat and place:
                continue
            return value
        # Syncopation: from the middle of a beat to the middle or the end of the next, within half a bar.
        half = bar // 2 if metre.beats_per_bar == 4 else bar
        if inside * 2 == beat and value in (beat, beat * 3 // 2) and place // half == (end - 1) // half:
            return value
    return _remainder(place, left, beat)


def _remainder(place: int, left: int, beat: int) -> int:
    """Something that can be written: at most up to the next beat."""
    left = min(left, beat - place % beat)
    return next((v for v in (24, 12, 6, 3) if v <= left), left)


def _bracketed(parts: Sequence[Piece], beat: int, triple: frozenset[int], offset: int) -> list[Piece]:
    """Brackets around the triplets of each beat."""
    result = list(parts)
    groups: dict[int, list[int]] = {}
    for i, p in enumerate(result):
        if p.tuplet:
            groups.setdefault((p.start + offset) // beat, []).append(i)
    for own in groups.values():
        if len(own) > 1:
            result[own[0]] = replace(result[own[0]], tuplet="start")
            result[own[-1]] = replace(result[own[-1]], tuplet="stop")
    return result


def _beamed(parts: Sequence[Piece], metre: Metre, beat: int, offset: int) -> list[Piece]:
    """Beams over what lies in one beat (of eighths alone: in half a bar of 4/4)."""
    result = list(parts)
    groups: list[list[int]] = []
    last = None
    for i, p in enumerate(result):
        number = (p.start + offset) // beat
        if not p.members or p.kind not in FLAGS:
            last = None
            continue
        if last == number:
            groups[-1].append(i)
        else:
            groups.append([i])
        last = number
    if metre.beats_per_bar in (2, 4) and not metre.compound:
        merged: list[list[int]] = []
        for group in groups:
            if merged and _pairs(result, merged[-1], group, beat, offset):
                merged[-1] = merged[-1] + group
            else:
                merged.append(group)
        groups = merged
    for group in groups:
        if len(group) < 2:
            continue
        levels = [FLAGS[result[i].kind] for i in group]
        for j, i in enumerate(group):
            beams = []
            for level in range(1, levels[j] + 1):
                before = j > 0 and levels[j - 1] >= level
                after = j + 1 < len(group) and levels[j + 1] >= level
                if before and after:
                    beams.append("continue")
                elif after:
                    beams.append("begin")
                elif before:
                    beams.append("end")
                else:
                    beams.append("backward hook" if j + 1 == len(group) or j > 0 else "forward hook")
            result[i] = replace(result[i], beams=tuple(beams))
    return result


def _pairs(parts: Sequence[Piece], one: Sequence[int], other: Sequence[int], beat: int, offset: int) -> bool:
    """Whether two beats of two plain eighths each are the halves of one half bar."""
    if len(one) != 2 or len(other) != 2 or other[0] != one[-1] + 1:
        return False
    plain = all(parts[i].kind == "eighth" and not parts[i].tuplet and not parts[i].dots for i in (*one, *other))
    return plain and (parts[one[0]].start + offset) % (2 * beat) == 0
