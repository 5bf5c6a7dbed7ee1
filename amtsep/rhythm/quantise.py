"""Times to note values: where in its bar each note is written, and how long.

For every track and beat the grid that explains the onsets best at the least complexity is chosen, neighbouring beats
preferring the same kind of grid (dynamic programming); a note is then as long as to the next one of its voice unless
it clearly stops before. The unit is `TICKS` to the quarter note.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Quantisation
from amtsep.notes import Notes
from amtsep.rhythm.beats import Beats

Index = NDArray[np.int_]
Values = NDArray[np.float64]

TICKS = 24
"""To the quarter note: a thirty-second has 3, an eighth of a triplet 8."""
SIMPLE_GRIDS = (1, 2, 4, 3, 8, 6)
COMPOUND_GRIDS = (1, 3, 6, 2, 4, 12)
TRIPLE = frozenset((3, 6))
COLLISION_COST = 4.0
"""Two instants of one track at one place of the grid that are too far apart for a chord."""
HELD = np.linspace(0.4, 1.1, 71)
"""Shares of its written length for which a note may be held: what is tried."""
HELD_PRIOR = 0.2
"""Standard deviation of that share over recordings."""
PARTS = (1, 2, 4)
"""Parts of a beat at which a note may end before the next begins."""
PARTS_OF_THREE = (1, 3, 6)
COMPOUND_BEAT = 3 * TICKS // 2
SHORTEST = TICKS // 4
"""No note that is followed by a rest is written shorter."""


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars and beats of a score in ticks.

    Parameters
    ----------
    beat_tick
        (n,) of each beat; the first bar begins at 0 and is full, so that a pickup begins later.
    bar_tick
        (B + 1,) of each bar line, the last after the last bar.
    bar_metre
        (B,) index into the metres of the beats.
    bar_beat
        (B,) index of the beat on which each bar begins; -1 for the one with the pickup.
    """

    beat_tick: Index
    bar_tick: Index
    bar_metre: Index
    bar_beat: Index


def lay_bars(beats: Beats) -> Bars:
    """Where the beats and bar lines of a recording are in a score."""
    n = len(beats)
    length = np.array([int(m.beat * TICKS) for m in beats.metres])[beats.metre] if n else np.zeros(0, int)
    tick = np.concatenate([[0], np.cumsum(length)[:-1]]) if n else np.zeros(0, int)
    lines = np.flatnonzero(beats.downbeat)
    if not len(lines):
        lines = np.zeros(1, int)
    metres = [beats.metres[beats.metre[i]] for i in lines]
    starts: list[int] = []
    which: list[int] = []
    first: list[int] = []
    pickup = int(tick[lines[0]]) if n else 0
    lead = 0
    if pickup:
        bar = int(metres[0].bar * TICKS)
        lead = (bar - pickup % bar) % bar
        for k in range((pickup + lead) // bar):
            starts.append(k * bar)
            which.append(int(beats.metre[lines[0]]))
            first.append(-1)
    tick = tick + lead
    for i, line in enumerate(lines):
        starts.append(int(tick[line]))
        which.append(int(beats.metre[line]))
        first.append(int(line))
        if i + 1 == len(lines):
            bar = int(metres[i].bar * TICKS)
            rest = int(tick[-1] + length[-1] - tick[line])
            for k in range(1, -(-rest // bar)):  # beats without a bar line after the last one
                starts.append(int(tick[line]) + k * bar)
                which.append(int(beats.metre[line]))
                first.append(-1)
            end = starts[-1] + bar
    return Bars(tick, np.array([*starts, end]), np.array(which), np.array(first))


@dataclass(frozen=True, eq=False)
class Placed:
    """Notes on the grid, in the order of the table: start (ticks), whether a grace note, whether a beat has triplets.

    Parameters
    ----------
    start
        (n,) ticks.
    grace
        (n,) written as a grace note before what starts there.
    triple
        Set of (track, beat) whose grid is of triplets in a simple metre.
    """

    start: Index
    grace: NDArray[np.bool_]
    triple: frozenset[tuple[int, int]]


def place(notes: Notes, beats: Beats, bars: Bars, settings: Quantisation, lane: Index | None = None) -> Placed:
    """Put onsets on the grid.

    Parameters
    ----------
    lane
        (n,) what shares a grid: the track (default), or finer, such as track and hand.
    """
    lanes = notes.track.astype(int) if lane is None else lane
    position = beats.position(notes.onset)
    if beats.swing:
        position = _straightened(position)
    start = np.zeros(len(notes), int)
    grace = np.zeros(len(notes), bool)
    triple: set[tuple[int, int]] = set()
    for value in np.unique(lanes):
        own = np.flatnonzero(lanes == value)
        beat, slot, small, kinds = _place_lane(position[own], notes.onset[own], notes.duration[own], beats, settings)
        # `slot` counts in parts of a beat; beats differ in length where the metre changes.
        last = len(bars.beat_tick) - 1
        safe = np.clip(beat, 0, last)
        step = np.array([int(m.beat * TICKS) for m in beats.metres])[beats.metre[safe]]
        start[own] = bars.beat_tick[safe] + (beat - safe) * step + np.round(slot * step).astype(int)
        grace[own] = small
        triple |= {(int(value), b) for b in kinds}
    return Placed(np.maximum(start, 0), grace, frozenset(triple))


def _straightened(position: Values) -> Values:
    whole = np.floor(position)
    inside = position - whole
    late = inside[(inside > 0.57) & (inside < 0.72)]
    middle = float(np.median(late)) if len(late) else 2 / 3
    even = np.where(inside < middle, inside * 0.5 / middle, 0.5 + (inside - middle) * 0.5 / (1 - middle))
    return whole + even


def _place_lane(
    position: Values, onset: Values, length: Values, beats: Beats, settings: Quantisation
) -> tuple[Index, Values, NDArray[np.bool_], set[int]]:
    """Beat, place in it (0 to 1), whether a grace note, and beats of triplets, for the notes of one lane."""
    n = len(position)
    order = np.argsort(onset, kind="stable")
    instant = np.zeros(n, int)
    instant[order] = np.concatenate([[0], np.cumsum(np.diff(onset[order]) > settings.chord_s)])
    count = int(instant.max()) + 1 if n else 0
    size = np.bincount(instant, minlength=count)
    at = np.bincount(instant, position, minlength=count) / np.maximum(size, 1)
    longest = np.zeros(count)
    np.maximum.at(longest, instant, length)
    # What lies just before a beat belongs to it: a chord is not torn apart by the beat that it makes.
    beat_of = np.floor(at + settings.early).astype(int)
    inside = at - beat_of
    periods = np.diff(beats.time) if len(beats) > 1 else np.array([0.5])
    compound = np.array([m.compound for m in beats.metres])
    whole = compound[beats.metre].mean() > 0.5 if len(beats) else False
    grids = COMPOUND_GRIDS if whole else SIMPLE_GRIDS
    costs = np.array(settings.compound_costs if whole else settings.simple_costs)
    occupied, begins = np.unique(beat_of, return_index=True)
    ends = np.append(begins[1:], count)
    table = np.zeros((len(occupied), len(grids)))
    for row, (b, a, z) in enumerate(zip(occupied, begins, ends, strict=True)):
        x = inside[a:z]
        period = periods[np.clip(b, 0, len(periods) - 1)]
        spread = np.hypot(settings.spread_s / period, settings.spread)
        for k, g in enumerate(grids):
            near = np.round(x * g)
            error = (x - near / g) / spread
            table[row, k] = costs[k] + 0.5 * float(np.minimum(error**2, 12.0).sum())
            table[row, k] += COLLISION_COST * float(np.sum(np.diff(near) == 0))
    kind = np.array([g in TRIPLE for g in grids])
    free = np.array([g == 1 for g in grids])
    switch = settings.switch_cost * ((kind[:, None] != kind[None, :]) & ~free[:, None] & ~free[None, :])
    chosen = _best_path(table, switch)
    grid = np.array(grids)[chosen][np.searchsorted(occupied, beat_of)] if count else np.zeros(0, int)
    near = np.round(inside * grid).astype(int)
    place_in = near / np.maximum(grid, 1)
    small = np.zeros(count, bool)
    for i in range(count - 1):
        same = beat_of[i] + place_in[i] >= beat_of[i + 1] + place_in[i + 1] - 1e-9
        if same and longest[i] < settings.grace_s and longest[i] < 0.6 * longest[i + 1]:
            small[i] = True
            beat_of[i], place_in[i] = beat_of[i + 1], place_in[i + 1]
    triples: set[int] = set()
    if not whole:
        for row, b in enumerate(occupied):
            if grids[chosen[row]] in TRIPLE:
                used = place_in[begins[row] : ends[row]] * 2
                if np.any(np.abs(used - np.round(used)) > 1e-6):
                    triples.add(int(b))
    return beat_of[instant], place_in[instant], small[instant], triples


def _best_path(emission: Values, switch: Values) -> Index:
    """Columns of the cheapest path through the rows."""
    if not len(emission):
        return np.zeros(0, int)
    score = emission[0]
    back = np.zeros(emission.shape, int)
    for i in range(1, len(emission)):
        step = score[:, None] + switch
        back[i] = step.argmin(axis=0)
        score = step.min(axis=0) + emission[i]
    path = np.zeros(len(emission), int)
    path[-1] = int(score.argmin())
    for i in range(len(emission) - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return path


def held_share(sounded: Values, gap: Values, settings: Quantisation) -> float:
    """Share of its written length for which the players hold a note, from how far notes reach towards the next.

    Most notes are followed at once by the next of their line, some by a rest as long as they are. The share is the one
    that explains most of what is heard so.

    Parameters
    ----------
    sounded
        (n,) how long each instant of a line sounds, in ticks.
    gap
        (n,) ticks to the next instant of the line.

    Returns
    -------
    float
        Between 0.4 and 1.1; `Quantisation.held_share` for an empty table.
    """
    ratio = np.log(np.clip(sounded / np.maximum(gap, 1), 0.02, 2.0))[:, None]

    def near(share: Values) -> Values:
        return np.asarray(np.exp(-0.5 * ((ratio - np.log(share)) / settings.held_spread) ** 2))

    likely = np.log(0.7 * near(HELD) + 0.2 * near(HELD / 2) + 0.05).sum(axis=0)
    usual = -0.5 * ((HELD - settings.held_share) / HELD_PRIOR) ** 2
    return float(HELD[int((likely + usual).argmax())])


def lengths(
    start: Index, sounded: Values, following: Index, period_ticks: float, settings: Quantisation, held: float
) -> Index:
    """Written length of notes of one voice, in ticks: to the next, or to a simpler place before it and a rest.

    Parameters
    ----------
    start
        (n,) ticks.
    sounded
        (n,) how long each sounds, in ticks at the tempo there.
    following
        (n,) tick at which the next of the voice starts; where there is none, the end of the bar or later.
    period_ticks
        Length of a beat.
    held
        Share of its written length that a note sounds; see `held_share`.
    """
    gap = np.maximum(following - start, 1)
    period = int(period_ticks)
    meant = np.maximum(sounded, 0.5) / held

    def far(length: Values) -> Values:
        off = (np.log(np.maximum(length, 1)) - np.log(meant)) / settings.held_spread
        return np.asarray(0.5 * np.minimum(off**2, 40.0))

    best, out = np.where(meant > gap, 0.0, far(gap)), gap.copy()
    # A beat with an onset at a third has no end at a half or a quarter.
    sixteenth = max(period // 4, 1)
    three = (np.mod(start, period) % sixteenth > 0) | (np.mod(following, period) % sixteenth > 0)
    if period % COMPOUND_BEAT == 0:
        three[:] = True
    for parts, thirds, cost in zip(PARTS, PARTS_OF_THREE, settings.end_costs, strict=True):
        step = period / np.where(three, thirds, parts)
        for turn in (np.floor, np.ceil):
            length = np.round(turn((start + meant) / step) * step - start)
            possible = (length >= SHORTEST) & (gap - length >= settings.shortest_rest)
            own = cost + far(length)
            better = possible & (own < best)
            best, out = np.where(better, own, best), np.where(better, length, out)
    return out.astype(int)
