"""Hands of a keyboard on two staves, and voices on a staff."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Quantisation
from amtsep.notes import Notes, Track

Index = NDArray[np.int_]
Values = NDArray[np.float64]

KEYBOARDS = frozenset([*range(0, 8), *range(16, 24), 10, 11, 12, 46])
"""General MIDI programs that are written on two staves: pianos, organs, mallets with two hands, the harp."""
SPLITS = np.arange(40, 81)
"""Lowest pitch of the right hand: what is tried."""
SPAN = 13
"""Semitones that a hand reaches without effort."""
VOICES = 2
"""On a staff."""


def two_staves(track: Track, notes: Notes) -> bool:
    """Whether a track is written for two hands: it sounds like a keyboard, or is unnamed, and is both wide and full."""
    if len(notes) < 2:
        return False
    low, high = np.percentile(notes.pitch, [4, 96])
    overlapping = float(np.mean(notes.onset[1:] < np.maximum.accumulate(notes.offset)[:-1] - 0.05))
    wide = high - low > 19 and low < 57 and high > 62
    return bool(track.program in KEYBOARDS and wide and overlapping > 0.1)


def hands(start: Index, end: Index, pitch: Index) -> Index:
    """0 for the right hand (upper staff), 1 for the left, of notes on the grid (ticks), sorted by start.

    A split pitch for every instant, near what it was before, near middle C, within the reach of each hand, and through
    the widest gap of the chord.
    """
    n = len(pitch)
    if not n:
        return np.zeros(0, int)
    instants, first = np.unique(start, return_index=True)
    stops = np.append(first[1:], n)
    k = len(SPLITS)
    cost = np.zeros((len(instants), k))
    for i, (a, z) in enumerate(zip(first, stops, strict=True)):
        # Hands hold what still sounds.
        back = max(a - 24, 0)
        held = np.flatnonzero(end[back:a] > start[a]) + back
        chord = np.sort(np.concatenate([pitch[a:z], pitch[held]])) if len(held) else np.sort(pitch[a:z])
        right = chord[None, :] >= SPLITS[:, None]
        low = np.where(right, 200, chord[None, :])
        high = np.where(right, chord[None, :], -200)
        left_span = np.where(~right.all(axis=1), chord[0] * -1.0 + np.where(right, -200, chord[None, :]).max(axis=1), 0)
        right_span = np.where(right.any(axis=1), chord[-1] - np.where(right, chord[None, :], 400).min(axis=1), 0)
        cost[i] += 0.5 * np.maximum(left_span - SPAN, 0) + 0.5 * np.maximum(right_span - SPAN, 0)
        # A split close to a note of either side is a bad one.
        nearest_low = SPLITS - np.where(low < 200, low, -200).max(axis=1)
        nearest_high = np.where(high > -200, high, 400).min(axis=1) - SPLITS
        cost[i] += np.exp(-np.minimum(nearest_low, nearest_high + 1) / 2.0)
        cost[i] += 0.012 * np.abs(SPLITS - 60)
        cost[i] += 0.25 * (np.sum(~right, axis=1) > 5) + 0.25 * (np.sum(right, axis=1) > 5)
    move = 0.12 * np.abs(SPLITS[:, None] - SPLITS[None, :])
    score = cost[0]
    origin = np.zeros((len(instants), k), int)
    for i in range(1, len(instants)):
        step = score[:, None] + move
        origin[i] = step.argmin(axis=0)
        score = step.min(axis=0) + cost[i]
    path = np.zeros(len(instants), int)
    path[-1] = int(score.argmin())
    for i in range(len(instants) - 1, 0, -1):
        path[i - 1] = origin[i, path[i]]
    split = np.repeat(SPLITS[path], stops - first)
    return np.where(pitch >= split, 0, 1)


def voices(start: Index, sounded: Values, pitch: Index, settings: Quantisation) -> Index:
    """Voice (0 upper, 1 lower) of each note of a staff, sorted by start, then pitch.

    Notes that start together and sound about as long are a chord of one voice; a second voice opens only where a note
    is held clearly beyond the next ones.
    """
    n = len(start)
    result = np.zeros(n, int)
    if n < 2:
        return result
    instants, first = np.unique(start, return_index=True)
    stops = np.append(first[1:], n)
    following = np.append(instants[1:], instants[-1] + int(max(sounded.max(), 1)))
    ends = [-(10**9)] * VOICES
    last_pitch: list[float | None] = [None] * VOICES
    for i, (a, z) in enumerate(zip(first, stops, strict=True)):
        now, gap = int(instants[i]), max(int(following[i] - instants[i]), 1)
        members = np.arange(a, z)
        held = sounded[members] > gap * 1.6 + 3
        # What is held by a voice from before and still sounds over this instant.
        busy = [ends[v] > now + max(0.25 * gap, 2) for v in range(VOICES)]
        if held.any() and not held.all() and z - a > 1:
            # Part of the chord goes on under (or over) what moves.
            upper = float(pitch[members[held]].mean()) > float(pitch[members[~held]].mean())
            own = np.where(held, 0 if upper else 1, 1 if upper else 0)
            result[members] = own
        else:
            middle = float(pitch[members].mean())
            costs = []
            for v in range(VOICES):
                cost = settings.second_voice * v
                if busy[v]:
                    cost += 4.0
                other = last_pitch[1 - v]
                if busy[1 - v] and other is not None:
                    # The voice that is held keeps its side.
                    wrong = middle > other if v == 1 else middle < other
                    cost += 3.0 * wrong
                costs.append(cost)
            if not any(busy):
                voice = 0
                if held.all() and i + 1 < len(instants):
                    # Held through the next instants: a lower voice if those lie over it.
                    later = pitch[stops[i] : stops[i] + 4]
                    voice = 1 if len(later) and float(later.mean()) > middle and z - a == 1 else 0
            else:
                voice = int(np.argmin(costs))
            result[members] = voice
        for v in range(VOICES):
            mine = members[result[members] == v]
            if len(mine):
                ends[v] = now + int(np.median(sounded[mine]))
                last_pitch[v] = float(pitch[mine].mean())
    return result
