"""Written music played with expression: rubato, phrase ends, ritardandi, swing, asynchrony; and as it is heard.

The beats of what comes out are known, which those of recordings seldom are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN, N_PITCHES
from amtsep.notes import Notes, Track
from amtsep.rhythm.beats import Beats
from amtsep.synthesis.written import Written

STEP = 1 / 24
"""Quarter notes from one point of a tempo curve to the next."""


@dataclass(frozen=True)
class Playing:
    """How a piece is played.

    Parameters
    ----------
    tempo
        Beats a minute at rest.
    drift, drift_beats
        Standard deviation of the slow changes of tempo (logarithm) and how many beats they take.
    flutter
        Standard deviation of the change from beat to beat (logarithm).
    phrase_bars, phrase_end
        Every so many bars the last beat or two are drawn out by this share.
    ritardando, ritardando_beats
        Share by which the last beats grow longer towards the end.
    jitter_s, spread_s, lag_s
        Standard deviations in seconds: of a note, of an instant of the score, of a part as a whole.
    swing
        Place of the second eighth in a beat of two: 0.5 is straight.
    articulation
        Share of the written length that is held.
    fermata
        By how much a beat with a fermata is longer.
    """

    tempo: float
    drift: float = 0.0
    drift_beats: float = 12.0
    flutter: float = 0.0
    phrase_bars: int = 4
    phrase_end: float = 0.0
    ritardando: float = 0.0
    ritardando_beats: int = 4
    jitter_s: float = 0.0
    spread_s: float = 0.0
    lag_s: float = 0.0
    swing: float = 0.5
    articulation: float = 0.95
    fermata: float = 1.0


def draw_playing(rng: np.random.Generator, piece: Written, freedom: float = 1.0) -> Playing:
    """A way of playing `piece`, at random; `freedom` 0 is a machine, 1 from steady to very free."""
    beat = piece.metres[0].beat_quarters
    starts = np.unique(piece.notes["start"])
    # The median step between instants of the score stays playable and not too slow.
    step = float(np.median(np.diff(starts))) / beat if len(starts) > 1 else 1.0
    slow, fast = 60 * step / 1.1, 60 * step / 0.13
    tempo = float(np.exp(rng.normal(np.log(92), 0.33)))
    tempo = float(np.clip(tempo, max(slow, 34), max(min(fast, 208), 36)))
    free = freedom * float(rng.choice([0.15, 0.6, 1.0, 1.4], p=[0.2, 0.3, 0.3, 0.2]))
    simple = not piece.metres[0].compound
    return Playing(
        tempo=tempo,
        drift=0.09 * free * float(rng.uniform(0.3, 1.2)),
        drift_beats=float(rng.uniform(5, 20)),
        flutter=0.035 * free * float(rng.uniform(0.3, 1.3)),
        phrase_bars=int(rng.choice([2, 4, 4, 8])),
        phrase_end=0.25 * free * float(rng.uniform(0, 1)),
        ritardando=0.7 * free * float(rng.uniform(0, 1)),
        ritardando_beats=int(rng.integers(2, 9)),
        jitter_s=freedom * float(rng.uniform(0.003, 0.016)),
        spread_s=freedom * float(rng.uniform(0.002, 0.012)),
        lag_s=freedom * float(rng.uniform(0.0, 0.012)),
        swing=float(rng.uniform(0.58, 0.68)) if simple and rng.random() < 0.1 * freedom else 0.5,
        articulation=float(rng.uniform(0.55, 1.05)),
        fermata=1.0 + freedom * float(rng.uniform(0.0, 1.2)),
    )


def tempo_curve(rng: np.random.Generator, piece: Written, playing: Playing) -> NDArray[np.float64]:
    """Seconds at each `STEP` of a quarter note of the piece, from 0."""
    count = int(np.ceil(piece.end / STEP)) + 2
    quarters = np.arange(count) * STEP
    beat = piece.metres[0].beat_quarters
    lengths = np.array([m.beat_quarters for m in piece.metres])
    which = np.clip(np.searchsorted(piece.bars, quarters + 1e-9, side="right") - 1, 0, len(lengths) - 1)
    # A beat keeps its length where the metre changes.
    seconds_a_quarter = 60.0 / playing.tempo / lengths[which]
    log = np.zeros(count)
    if playing.drift:
        knots = np.arange(0, piece.end / beat + 2 * playing.drift_beats, playing.drift_beats)
        log += np.interp(quarters / beat, knots, rng.normal(0, playing.drift, len(knots)))
    if playing.flutter:
        beats = int(piece.end / beat) + 3
        log += np.interp(quarters / beat, np.arange(beats), rng.normal(0, playing.flutter, beats))
    if playing.phrase_end:
        for i in range(playing.phrase_bars, len(piece.bars), playing.phrase_bars):
            stop = piece.bars[i]
            near = (quarters >= stop - 1.5 * lengths[i]) & (quarters < stop)
            place = (quarters[near] - stop + 1.5 * lengths[i]) / (1.5 * lengths[i])
            log[near] += playing.phrase_end * rng.uniform(0.2, 1.0) * place
    if playing.ritardando:
        span = playing.ritardando_beats * beat
        log += playing.ritardando * np.clip((quarters - (piece.end - span)) / span, 0, 1) ** 2
    held = piece.notes["start"][piece.notes["fermata"]]
    for start in np.unique(held):
        length = float(piece.notes["length"][(piece.notes["start"] == start)].max())
        inside = (quarters >= start - 1e-9) & (quarters < start + length - 1e-9)
        log[inside] += np.log(playing.fermata)
    return np.concatenate([[0.0], np.cumsum(seconds_a_quarter * np.exp(log) * STEP)[:-1]])


def perform(
    rng: np.random.Generator, piece: Written, playing: Playing, lead_s: float = 0.3
) -> tuple[Notes, Beats, NDArray[np.intp]]:
    """Play a piece.

    Returns
    -------
    Notes
        One track a part.
    Beats
        Where they truly are; those with a downbeat know their metre.
    ndarray
        (n,) which written note each played one is (grace notes too).
    """
    curve = tempo_curve(rng, piece, playing)
    grid = np.arange(len(curve)) * STEP

    def seconds(quarters: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(quarters, grid, curve) + lead_s

    written = piece.notes
    start = written["start"].astype(float)
    if playing.swing != 0.5:
        beat = piece.metres[0].beat_quarters
        inside = np.mod(start + 1e-9, beat) / beat
        late = np.where(
            inside < 0.5, inside * playing.swing / 0.5, playing.swing + (inside - 0.5) * (1 - playing.swing) / 0.5
        )
        start = start + np.where(inside > 0.02, (late - inside) * beat, 0.0)
    instants, index = np.unique(np.round(start, 4), return_inverse=True)
    together = rng.normal(0, 1, len(instants))[index] * playing.spread_s
    parts = len(piece.programs)
    lag = rng.normal(0, 1, max(parts, int(written["part"].max()) + 1))[written["part"]] * playing.lag_s
    n = len(written)
    onset = seconds(start) + together + lag + rng.normal(0, 1, n) * playing.jitter_s
    grace = written["grace"]
    onset = np.where(grace, onset - rng.uniform(0.06, 0.11, n), onset)
    held = np.clip(playing.articulation + rng.normal(0, 0.08, n), 0.3, 1.1)
    length = (seconds(written["start"] + written["length"]) - seconds(written["start"].astype(float))) * held
    length = np.where(grace, 0.08, length)
    onset = np.maximum(onset, 0.0)
    offset = onset + np.maximum(length, 0.05)
    places, down = piece.beats()
    accent = np.zeros(n)
    near = np.clip(np.searchsorted(places, written["start"] - 1e-6), 0, len(places) - 1)
    on_beat = np.abs(places[near] - written["start"]) < 1e-6
    accent[on_beat] += rng.uniform(0, 5)
    accent[on_beat & down[near]] += rng.uniform(0, 5)
    swell = 10 * np.sin(onset * rng.uniform(0.2, 0.9) + rng.uniform(0, 6.28))
    velocity = np.clip(np.round(70 + accent + swell + rng.normal(0, 7, n)), 25, 122)
    order = np.lexsort((written["part"], written["pitch"], onset))
    tracks = [Track(f"Part {i + 1}", int(p)) for i, p in enumerate(piece.programs)]
    notes = Notes.build(
        onset[order], offset[order], written["pitch"][order], velocity[order], track=written["part"][order],
        tracks=tracks,
    )  # fmt: skip
    times = seconds(places)
    before = places < 0
    if np.any(before):  # beats of a pickup that begins after them
        period = seconds(np.array([piece.metres[0].beat_quarters]))[0] - lead_s
        times[before] = lead_s + places[before] / piece.metres[0].beat_quarters * period
    keep = times >= 0
    beats = Beats.build(times[keep], down[keep], piece.metres)
    return notes, beats, order


def as_heard(rng: np.random.Generator, notes: Notes, noise: float = 1.0) -> Notes:
    """What a transcriber might make of it: notes missed, ghosts an octave or a twelfth over, fragments, one track."""
    n = len(notes)
    if not n or noise <= 0:
        return notes
    kept = np.flatnonzero(rng.random(n) >= rng.uniform(0, 0.15) * noise)
    ghost = np.flatnonzero(rng.random(n) < rng.uniform(0, 0.08) * noise)
    broken = np.flatnonzero((rng.random(n) < rng.uniform(0, 0.06) * noise) & (notes.duration > 0.25))
    late = rng.random(len(ghost)) < 0.3
    ghost_on = notes.onset[ghost] + np.where(late, rng.uniform(0, 1, len(ghost)) * notes.duration[ghost] * 0.8, 0.0)
    ghost_pitch = notes.pitch[ghost] + rng.choice([12, 19, -12, 24], len(ghost))
    middle = notes.onset[broken] + rng.uniform(0.3, 0.7, len(broken)) * notes.duration[broken]
    onset = np.concatenate([notes.onset[kept] + rng.normal(0, 0.006 * noise, len(kept)), ghost_on, middle])
    length = np.concatenate(
        [
            notes.duration[kept] * np.clip(rng.normal(0.95, 0.15, len(kept)), 0.3, 1.5),
            rng.uniform(0.06, 0.3, len(ghost)),
            notes.offset[broken] - middle,
        ]
    )
    pitch = np.concatenate([notes.pitch[kept], ghost_pitch, notes.pitch[broken]])
    source = np.concatenate([kept, ghost, broken])
    onset = np.maximum(onset, 0.0)
    keep = (pitch >= MIDI_MIN) & (pitch < MIDI_MIN + N_PITCHES)
    source = source[keep]
    velocity = np.clip(np.round(notes.velocity[source] + rng.normal(0, 8, len(source))), 1, 127)
    return Notes.build(
        onset[keep], (onset + np.maximum(length, 0.05))[keep], pitch[keep], velocity,
        track=notes.track[source], tracks=notes.tracks,
    )  # fmt: skip


KICK, SNARE, HAT, CRASH = 36, 38, 42, 49


def drum_part(rng: np.random.Generator, beats: Beats) -> Notes:
    """A plain drum part for beats: kick on the first, snare on the back beats, cymbals between, with freedom and fills.

    Bars of two and four have the snare on every second beat (or, half as slow, on the third), bars of three on the
    second and third or on the third alone, beats of three parts have three strokes of the hi-hat.
    """
    n = len(beats)
    out: list[tuple[float, int, float]] = []
    lines = np.flatnonzero(beats.downbeat)
    slow = rng.random() < 0.2
    busy = float(rng.uniform(0.0, 0.5))
    miss = float(rng.uniform(0.0, 0.12))
    parts = int(rng.choice([1, 2, 2, 4]))
    waltz_last = rng.random() < 0.3

    def put(place: float, pitch: int, loud: float) -> None:
        if rng.random() >= miss and 0 <= place <= n - 1:
            out.append((float(beats.seconds(place)) + rng.normal(0, 0.006), pitch, loud + rng.normal(0, 7)))

    for number, (first, last) in enumerate(zip(lines.tolist(), [*lines[1:].tolist(), n], strict=True)):
        count = int(last - first)
        compound = beats.metres[beats.metre[first]].compound
        divided = 3 if compound else parts
        for k in range(count):
            for j in range(divided):
                put(first + k + j / divided, HAT, 80 if j == 0 else 60)
            if count % 2 == 0:
                snare = (k == count // 2) if slow and count == 4 else k % 2 == 1
            else:
                snare = k == count - 1 if waltz_last else k > 0
            if snare:
                put(first + k, SNARE, 95)
            elif k == 0 or (count == 4 and not slow and rng.random() < 0.7):
                put(first + k, KICK, 100)
            if rng.random() < busy:
                put(float(first + k + rng.choice([1 / 3, 2 / 3] if compound else [0.5, 0.25, 0.75])), KICK, 75)
            if rng.random() < 0.3 * busy:
                put(float(first + k + rng.choice([1 / 3, 2 / 3] if compound else [0.25, 0.75])), SNARE, 45)
        if number % 4 == 0 and rng.random() < 0.4:
            put(float(first), CRASH, 100)
    if not out:
        return Notes.empty()
    table = np.array(sorted(out))
    onset = np.maximum(table[:, 0], 0.0)
    return Notes.build(
        onset, onset + 0.1, table[:, 1], np.clip(np.round(table[:, 2]), 1, 127),
        tracks=(Track("Drums", drums=True),),
    )  # fmt: skip
