"""Notes to `Beats`: a small network says where beats are likely, dynamic programming makes a steady whole of it.

Beats are a semi-Markov chain over (time, length of the beat before it), as in the bar-pointer models of Krebs, Böck and
Widmer (2015) but with explicit lengths; bars are a hidden Markov model over the beats found. Beats that a user has set
can be barred again without finding them anew (`find_bars`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amtsep.config import BeatTracking
from amtsep.notes import Notes
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.features import FRAME_S, LEAD_FRAMES, TOGETHER_S, features
from amtsep.rhythm.key import find_key
from amtsep.rhythm.metre import Metre
from amtsep.rhythm.network import load

Values = NDArray[np.float64]

BEATS_PER_BAR = (2, 3, 4)
"""Bars that are looked for; others a user can set."""
GUARD = 3
"""Frames either side of a beat in which the network's doubt about where exactly it is does not count against it."""


def track_beats(notes: Notes, settings: BeatTracking = BeatTracking(), drums: NDArray[np.bool_] | None = None) -> Beats:  # noqa: B008
    """Find beats, bars, metre and key.

    Parameters
    ----------
    notes
        Of one recording; of all its tracks together.
    settings
        See `amtsep.config.BeatTracking`.
    drums
        (n,) which notes are strokes of drums.

    Returns
    -------
    Beats
        From the first note or before it to the last or after it. With fewer than two notes, 120 a minute.
    """
    if len(notes) < 2:
        return Beats.steady(120.0, max(notes.end, 2.0))
    beat, down = load()(features(notes, drums))
    frames = find_beats(beat, settings)
    time = refine(frames, notes, beat)
    time = _cover(time[time >= 0], notes)  # a beat before the recording begins can be drawn nowhere
    down_at, beat_at = _at(down, time), _at(beat, time)
    tuned = notes.select(~drums) if drums is not None else notes
    compound = is_compound(tuned, time)
    downbeat, per_bar = find_bars(beat_at, down_at, settings)
    swing = not compound and _swings(tuned, time)
    key, minor = find_key(tuned)
    metres = [_metre(n, compound) for n in per_bar]
    gaps = np.log(np.diff(time))
    change = np.abs(np.diff(gaps))
    steady = np.exp(-np.concatenate([change[:1], change, change[-1:]])[: len(time)] * 3.0) if len(time) > 2 else 1.0
    confidence = np.clip(beat_at * steady, 0.0, 1.0)
    return Beats.build(time, downbeat, metres or Metre(), confidence, key, minor, swing)


def _metre(beats_per_bar: int, compound: bool) -> Metre:
    return Metre(3 * beats_per_bar, 8) if compound else Metre(beats_per_bar, 4)


def find_beats(beat: NDArray[np.float32], settings: BeatTracking) -> NDArray[np.intp]:
    """Frames of the best chain of beats under the network's probabilities (T,)."""
    p = np.clip(beat.astype(np.float64), 1e-4, 1 - 1e-4)
    count = len(p)
    low = max(int(round(60.0 / settings.max_tempo / FRAME_S)), 2 * GUARD + 1)
    high = max(int(round(60.0 / settings.min_tempo / FRAME_S)), low + 1)
    lengths = np.arange(low, min(high, max(count - 1, low + 1)) + 1)
    silent = np.concatenate([[0.0], np.cumsum(np.log1p(-p))])
    here = settings.beat_weight * np.log(p)
    change = np.abs(np.log(lengths[:, None] / lengths[None, :]))
    cost = np.minimum(change / settings.tempo_change, settings.largest_cost)
    prior = -0.5 * (np.log(lengths * FRAME_S / (60.0 / settings.usual_tempo)) / settings.tempo_spread) ** 2
    n = len(lengths)
    # Row t % rows: a beat in frame t, of which the last was so long ago. No beat looks back further than the longest.
    rows = high + 1
    score = np.full((rows, n), -1e9)
    origin = np.zeros((count, n), np.int16)
    order = np.arange(n)
    rest = silent[-1] - silent[np.minimum(np.arange(count) + GUARD + 1, count)]
    end = (-np.inf, 0, 0)
    for t in range(count):
        previous = score[(t - lengths) % rows] - cost
        best = previous.argmax(axis=1)
        value = previous[order, best]
        since = np.maximum(t - lengths + GUARD + 1, 0)
        until = max(t - GUARD, 0)
        value = value + (silent[np.maximum(until, since)] - silent[since])
        first = silent[until] + prior
        begins = first > value
        origin[t] = np.where(begins, -1, best)
        here_now = np.where(begins, first, value) + here[t] + settings.tempo_weight * prior
        score[t % rows] = here_now
        k = int(here_now.argmax())
        end = max(end, (float(here_now[k] + rest[t]), -t, -k))
    t, k = -end[1], -end[2]
    chain = []
    while t >= 0:
        chain.append(int(t))
        before = int(origin[t, k])
        if before < 0:
            break
        t, k = t - int(lengths[k]), before
    return np.array(chain[::-1], np.intp)


def refine(frames: NDArray[np.intp], notes: Notes, beat: NDArray[np.float32], reach_s: float = 0.06) -> Values:
    """Times of beats: the mean of the onsets near each, weighed by nearness, or the top of the curve without any."""
    time = (frames - LEAD_FRAMES) * FRAME_S
    inner = (frames > 0) & (frames < len(beat) - 1)
    a, b, c = (beat[np.clip(frames + k, 0, len(beat) - 1)].astype(np.float64) for k in (-1, 0, 1))
    bend = a - 2 * b + c
    shift = np.where(inner & (bend < -1e-6), 0.5 * (a - c) / np.where(bend < -1e-6, bend, -1.0), 0.0)
    time = time + np.clip(shift, -0.5, 0.5) * FRAME_S
    start, stop = np.searchsorted(notes.onset, time - reach_s), np.searchsorted(notes.onset, time + reach_s)
    out = time.copy()
    for i in np.flatnonzero(stop > start):
        near = notes.onset[start[i] : stop[i]]
        weight = np.exp(-0.5 * ((near - time[i]) / (0.5 * reach_s)) ** 2)
        out[i] = float((near * weight).sum() / weight.sum())
    rising = np.concatenate([[True], np.diff(out) > 0.05])
    return np.where(rising, out, time)


def _cover(time: Values, notes: Notes) -> Values:
    """Beats before the first and after the last, at the tempo found there, until every onset lies between two."""
    if len(time) < 2:
        return Beats.steady(120.0, max(notes.end, 2.0)).time
    first, last = float(time[1] - time[0]), float(np.median(np.diff(time)[-3:]))
    before = np.arange(1, max(int(np.ceil((time[0] - notes.onset[0] - 0.05) / first)), 0) + 1)
    after = np.arange(1, max(int(np.ceil((notes.end - time[-1] - 0.05) / last)), 0) + 1)
    head = time[0] - first * before[::-1]
    if len(head) and head[0] < 0:  # times are not negative: the first beat of a pickup may be cut short
        head = head[head >= 0]
    return np.concatenate([head, time, time[-1] + last * after])


def _at(curve: NDArray[np.float32], time: Values) -> Values:
    """The highest value of a curve within a frame of each time."""
    frames = np.round(time / FRAME_S).astype(int) + LEAD_FRAMES
    return np.max([curve[np.clip(frames + k, 0, len(curve) - 1)].astype(np.float64) for k in (-1, 0, 1)], axis=0)


def find_bars(beat: Values, down: Values, settings: BeatTracking) -> tuple[NDArray[np.bool_], list[int]]:
    """Which beats are downbeats, and how many beats each bar has (one that is cut short has those of its metre).

    Parameters
    ----------
    beat, down
        (n,) the network's probabilities at each beat.
    """
    n = len(down)
    # Of what the network takes for a beat, the share that it takes for a downbeat.
    share = np.clip(down / np.maximum(beat, 0.05), 0.02, 0.98)
    evidence = np.log(share / (1.0 - share)) + settings.downbeat_bias
    states = [(m, p) for m in BEATS_PER_BAR for p in range(m)]
    index = {state: i for i, state in enumerate(states)}
    emission = np.where(np.array([p == 0 for _, p in states])[None, :], evidence[:, None], 0.0)
    prior = dict(zip(BEATS_PER_BAR, settings.metre_prior, strict=True))
    score = np.array([np.log(prior[m]) - (settings.pickup_cost if p else 0.0) for m, p in states]) + emission[0]
    back = np.zeros((n, len(states)), np.int16)
    for i in range(1, n):
        new = np.empty(len(states))
        for m, p in states:
            k = index[m, p]
            if p:
                back[i, k] = index[m, p - 1]
                new[k] = score[back[i, k]]
            else:
                ends = [index[o, o - 1] for o in BEATS_PER_BAR]
                values = [score[e] - (0.0 if o == m else settings.metre_change) for o, e in zip(BEATS_PER_BAR, ends)]
                best = int(np.argmax(values))
                back[i, k], new[k] = ends[best], values[best]
        score = new + emission[i]
    path = np.zeros(n, int)
    path[-1] = int(score.argmax())
    for i in range(n - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    downbeat = np.array([states[k][1] == 0 for k in path])
    return downbeat, [states[path[i]][0] for i in np.flatnonzero(downbeat)]


def is_compound(notes: Notes, time: Values) -> bool:
    """Whether beats are mostly parted in three: the places of onsets within them say it."""
    inside = np.mod(Beats.build(time).position(_instants(notes)), 1.0)
    inner = inside[(inside > 0.12) & (inside < 0.88)]
    if len(inner) < 4:
        return False

    def near(grid: list[float]) -> Values:
        return np.exp(-0.5 * (np.min(np.abs(inner[:, None] - np.array(grid)), axis=1) / 0.05) ** 2)

    three, two = near([1 / 3, 2 / 3]), near([0.5, 0.25, 0.75])
    return bool(three.sum() > 1.3 * two.sum())


def _swings(notes: Notes, time: Values) -> bool:
    """Whether the second of two eighths comes late: many onsets near two thirds of a beat, few at one third or half."""
    inside = np.mod(Beats.build(time).position(_instants(notes)), 1.0)
    late = np.sum((inside > 0.57) & (inside < 0.72))
    other = np.sum((inside > 0.28) & (inside < 0.57))
    return bool(late >= 8 and late > 3 * other)


def _instants(notes: Notes) -> Values:
    """Onsets, those that sound together as one."""
    onset = notes.onset
    chord = np.concatenate([[0], np.cumsum(np.diff(onset) > TOGETHER_S)])
    first = np.flatnonzero(np.concatenate([[True], np.diff(chord) > 0]))
    return np.add.reduceat(onset, first) / np.diff(np.append(first, len(onset)))


def rebar(
    beats: Beats,
    notes: Notes,
    settings: BeatTracking = BeatTracking(),  # noqa: B008 - frozen
    drums: NDArray[np.bool_] | None = None,
) -> Beats:
    """Bars and metre found again for beats that stay as they are."""
    if len(beats) < 2 or len(notes) < 2:
        return beats
    beat, down = load()(features(notes, drums))
    downbeat, per_bar = find_bars(_at(beat, beats.time), _at(down, beats.time), settings)
    compound = is_compound(notes, beats.time)
    found = Beats.build(beats.time, downbeat, [_metre(n, compound) for n in per_bar] or Metre(), beats.confidence)
    return replace(found, key=beats.key, minor=beats.minor, swing=beats.swing)
