"""Notes to `Beats`: a small network says where beats are likely, dynamic programming makes a steady whole of it.

Beats are a semi-Markov chain over (time, length of the beat before it), as in the bar-pointer models of Krebs, Böck and
Widmer (2015) but with explicit lengths; bars are a hidden Markov model over the beats found. Beats that a user has set
can be barred again without finding them anew (`find_bars`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from amtsep.config import BeatTracking
from amtsep.notes import Notes
from amtsep.rhythm.bars import BEATS_PER_BAR, STATES, at_beats, beat_columns
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.features import FRAME_S, LEAD_FRAMES, TOGETHER_S, features
from amtsep.rhythm.key import find_key
from amtsep.rhythm.metre import Metre
from amtsep.rhythm.network import BAR_WEIGHTS, DRUM_WEIGHTS, WEIGHTS, load

Values = NDArray[np.float64]
AHEAD = 10
"""Blocks of frames for which what the search for beats needs is made ready at a time: so few that it stays in the
processor's cache."""
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
        (n,) which notes are strokes of drums; by default those on tracks of drums.

    Returns
    -------
    Beats
        From the first note or before it to the last or after it. With fewer than two notes, 120 a minute.
    """
    if len(notes) < 2:
        return Beats.steady(120.0, max(notes.end, 2.0))
    struck = notes.struck if drums is None else drums
    beat, down = _heard(notes, struck)
    frames = find_beats(beat, settings)
    time = refine(frames, notes, beat)
    time = _cover(time[time >= 0], notes)  # a beat before the recording begins can be drawn nowhere
    said = _read(notes, time, beat, down, struck)
    beat_at = at_beats(beat, time)
    compound = _compound(said)
    downbeat, per_bar = find_bars(said, settings)
    swing = not compound and _swings(notes, time)
    key, minor = find_key(notes.select(~struck))
    metres = [_metre(n, compound) for n in per_bar]
    gaps = np.log(np.diff(time))
    change = np.abs(np.diff(gaps))
    steady = np.exp(-np.concatenate([change[:1], change, change[-1:]])[: len(time)] * 3.0) if len(time) > 2 else 1.0
    confidence = np.clip(beat_at * steady, 0.0, 1.0)
    return Beats.build(time, downbeat, metres or Metre(), confidence, key, minor, swing)


def _heard(notes: Notes, struck: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probability of a beat and of a downbeat a frame."""
    return load(DRUM_WEIGHTS if struck.any() else WEIGHTS)(features(notes, struck))


def _metre(beats_per_bar: int, compound: bool) -> Metre:
    return Metre(3 * beats_per_bar, 8) if compound else Metre(beats_per_bar, 4)


def find_beats(beat: NDArray[np.float32], settings: BeatTracking) -> NDArray[np.intp]:
    """Frames of the best chain of beats under the network's probabilities (T,)."""
    p = np.clip(beat.astype(np.float64), 1e-4, 1 - 1e-4)
    count = len(p)
    low = max(int(round(60.0 / settings.max_tempo / FRAME_S)), 2 * GUARD + 1)
    high = max(int(round(60.0 / settings.min_tempo / FRAME_S)), low + 1)
    lengths = np.arange(low, min(high, max(count - 1, low + 1)) + 1)
    n = len(lengths)
    silent = np.concatenate([[0.0], np.cumsum(np.log1p(-p))])
    here = settings.beat_weight * np.log(p)
    change = np.abs(np.log(lengths[:, None] / lengths[None, :]))
    cost = np.minimum(change / settings.tempo_change, settings.largest_cost)
    prior = -0.5 * (np.log(lengths * FRAME_S / (60.0 / settings.usual_tempo)) / settings.tempo_spread) ** 2
    usual = settings.tempo_weight * prior
    # [t, j]: `silent` where the silence begins after a beat lengths[j] before frame t, which may lie before the first.
    padded = np.concatenate([np.zeros(high), silent, np.full(GUARD, silent[-1])])
    since = sliding_window_view(padded, n)[high + GUARD + 2 - low - n :, ::-1]
    # No beat looks back further than the longest length, and none less far than the shortest: so as many frames as that
    # are found together. Time runs backwards in `score`, the newest frame first, so that what a frame looks back at,
    # the frame lengths[0] before it, then lengths[1] ..., lies there in one piece.
    span = low * min(AHEAD, -(-count // low))
    score = np.full((span + high, n), -1e9)
    row, item = score.strides
    # [i, j, k]: the score of a beat lengths[j] before frame i, of which the one before was lengths[k] ago.
    back = as_strided(score[low:], (span, n, n), (row, row, item), writeable=False)
    previous, best = np.empty((low, n, n)), np.empty((low, n), np.intp)
    # Where in it, laid out flat, the row of each frame and length begins.
    rows = n * np.arange(low * n).reshape(low, n)
    chosen, value = np.empty((span, n), np.int16), np.empty((span, n))
    origin = np.empty((count, n), np.int16)
    ends, end_lengths = np.empty(count), np.empty(count, np.intp)
    for start in range(0, count, span):
        size = min(span, count - start)
        frame = np.minimum(start + np.arange(span)[::-1], count - 1)
        # What no beat changes: that nothing was heard since the beat before, or at all.
        until = silent[np.maximum(frame - GUARD, 0)][:, None]
        silence, first, heard = until - since[frame], until + prior, here[frame][:, None]
        for newest in range(span - low, span - size - low, -low):
            own = slice(newest, newest + low)
            np.subtract(back[own], cost, out=previous)
            previous.argmax(axis=2, out=best)
            chosen[own] = best
            best += rows
            going_on = np.add(previous.reshape(-1)[best], silence[own], out=value[own])
            now = np.maximum(going_on, first[own], out=score[own])
            now += heard[own]
            now += usual
        found, block = slice(span - size, span), slice(start, start + size)
        origin[block] = np.where(first > value, -1, chosen)[found][::-1]
        end_lengths[block] = score[found].argmax(axis=1)[::-1]
        ends[block] = score[found].max(axis=1)[::-1]
        score[span:] = score[:high].copy()
    ends += silent[-1] - silent[np.minimum(np.arange(count) + GUARD + 1, count)]
    t = int(ends.argmax())
    k = int(end_lengths[t])
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


def _read(
    notes: Notes,
    time: Values,
    beat: NDArray[np.float32],
    down: NDArray[np.float32],
    struck: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """What the second network says of each beat, logits of `STATES` first, (outputs, n)."""
    return load(BAR_WEIGHTS).logits(beat_columns(notes, time, beat, down, struck))


def _compound(said: NDArray[np.float32]) -> bool:
    """Whether beats mostly have three parts."""
    return bool(np.mean(said[len(STATES)]) > 0.0)


def _log_softmax(z: NDArray[np.float32]) -> Values:
    z = z.astype(np.float64) - z.max(axis=0)
    return np.asarray(z - np.log(np.exp(z).sum(axis=0)))


def find_bars(said: NDArray[np.float32], settings: BeatTracking) -> tuple[NDArray[np.bool_], list[int]]:
    """Which beats are downbeats, and how many beats each bar has (the last has those of its metre).

    Parameters
    ----------
    said
        (outputs, n) logits of the second network, those of `STATES` first.
    """
    n = said.shape[1]
    prior = dict(zip(BEATS_PER_BAR, settings.metre_prior, strict=True))
    rare = np.log([prior[m] / m for m, _ in STATES])
    # Of the network's word, what goes beyond how frequent each metre is.
    emission = settings.bar_weight * (_log_softmax(said[: len(STATES)]).T - settings.prior_share * rare)
    cost = _steps(settings)
    score = emission[0] - np.array([settings.pickup_cost if p else 0.0 for _, p in STATES])
    back = np.zeros((n, len(STATES)), np.int16)
    for i in range(1, n):
        values = score[:, None] - cost
        back[i] = values.argmax(axis=0)
        score = values.max(axis=0) + emission[i]
    path = np.zeros(n, int)
    path[-1] = int(score.argmax())
    for i in range(n - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    downbeat = np.array([STATES[k][1] == 0 for k in path])
    lines = np.flatnonzero(downbeat)
    sizes = [STATES[path[i]][0] for i in lines]
    # A bar in which a beat was lost or one too many found has as many as were found.
    for k, size in enumerate(np.diff(lines)):
        sizes[k] = int(size)
    return downbeat, sizes


def _steps(settings: BeatTracking) -> Values:
    """Cost of going from each state (rows) to each (columns) by one beat."""
    count = len(STATES)
    cost = np.full((count, count), np.inf)
    for i, (m, p) in enumerate(STATES):
        for j, (o, q) in enumerate(STATES):
            if p == q == 0:
                continue  # no bar has one beat
            if m == o:
                cost[i, j] = 0.0 if (q - p) % m == 1 % m else settings.slip_cost
            elif q == 0:
                cost[i, j] = settings.metre_change + (0.0 if p == m - 1 else settings.slip_cost)
    return cost


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
    struck = notes.struck if drums is None else drums
    beat, down = _heard(notes, struck)
    said = _read(notes, beats.time, beat, down, struck)
    downbeat, per_bar = find_bars(said, settings)
    compound = _compound(said)
    found = Beats.build(beats.time, downbeat, [_metre(n, compound) for n in per_bar] or Metre(), beats.confidence)
    return replace(found, key=beats.key, minor=beats.minor, swing=beats.swing)
