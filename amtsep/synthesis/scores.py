"""Random scores: lines, chords and the cases that transcription finds hard.

Lines follow the idea of drawing every pitch of the range from a weighted bag and going on to the nearest of the next
few, which gives melodies instead of leaps; durations come from a truncated normal around note values at a drawn tempo;
chords add +4, +5, +7 and +12 semitones, whose harmonics overlap. Segments of other kinds (repetitions, trills,
staccato, slow notes, runs, wide chords, octaves) are strung between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.synthesis.instruments import Instrument

SCORE_DTYPE = np.dtype([("onset", "<f8"), ("offset", "<f8"), ("pitch", "<i2"), ("velocity", "<i2")])
LABEL_DTYPE = np.dtype([*((name, SCORE_DTYPE[name]) for name in SCORE_DTYPE.names or ()), ("key_offset", "<f8")])
"""A note of a rendered part: `offset` is where its sound ends by the label rule, `key_offset` where it was let go."""
"""A note of a score: seconds, MIDI pitch, MIDI velocity."""

OCTAVE_WEIGHTS = (1.0, 3.0, 5.0, 6.0, 5.0, 3.0, 1.0)
"""How often the octaves of a range are drawn, low to high (interpolated over the range)."""

_CHORD_STEPS = np.array([4, 5, 7, 12])


@dataclass(frozen=True)
class Style:
    """Shares of the kinds of segments, which need not sum to one, and what their notes are drawn from."""

    line: float = 4.0
    legato: float = 2.0
    chords: float = 3.0
    wide: float = 1.0
    repeated: float = 1.5
    trill: float = 0.7
    staccato: float = 1.2
    slow: float = 2.0
    run: float = 0.8
    octaves: float = 0.7
    octave_weights: tuple[float, ...] = OCTAVE_WEIGHTS
    """How often the octaves of a range are drawn, low to high (interpolated over the range)."""
    ahead: int = 4
    """Of so many next pitches the nearest is taken: 1 leaps about, more go by small steps."""
    longer: float = 0.0
    """Octaves of duration (twice as long for each) that note values are moved by."""


def with_keys(score: NDArray[np.void]) -> NDArray[np.void]:
    """A score as `LABEL_DTYPE`: a note is let go where it ends."""
    labels = np.zeros(len(score), LABEL_DTYPE)
    for name in SCORE_DTYPE.names or ():
        labels[name] = score[name]
    labels["key_offset"] = score["offset"]
    return labels


def tidy(score: NDArray[np.void], clip_s: float, shortest_s: float = 0.02) -> NDArray[np.void]:
    """Sort, cut to the clip, and let a note end where its pitch is struck again.

    Notes whose onset lies outside ``[0, clip_s - 0.03)`` or that would be shorter than `shortest_s` are left out.
    """
    score = score[(score["onset"] >= 0) & (score["onset"] < clip_s - 0.03)]
    score = np.sort(score, order=["pitch", "onset"])
    out = score.copy()
    out["offset"] = np.minimum(out["offset"], clip_s)
    same = np.flatnonzero(out["pitch"][1:] == out["pitch"][:-1])
    out["offset"][same] = np.minimum(out["offset"][same], out["onset"][same + 1])
    if "key_offset" in (out.dtype.names or ()):
        out["key_offset"] = np.clip(out["key_offset"], out["onset"], clip_s)
        out["key_offset"][same] = np.minimum(out["key_offset"][same], out["onset"][same + 1])
    out = out[out["offset"] - out["onset"] >= shortest_s]
    return np.sort(out, order=["onset", "pitch"])


def monophonic(score: NDArray[np.void], overlap_s: float = 0.0) -> NDArray[np.void]:
    """Keep one note at a time: the highest of a chord, each ending where the next begins (plus `overlap_s`)."""
    if not len(score):
        return score
    order = np.lexsort((-score["pitch"].astype(int), score["onset"]))
    rows = score[order]
    keep = [0]
    for i in range(1, len(rows)):
        if rows["onset"][i] - rows["onset"][keep[-1]] > 0.03:
            keep.append(i)
    out = rows[keep].copy()
    out["offset"][:-1] = np.minimum(out["offset"][:-1], out["onset"][1:] + overlap_s)
    return out[out["offset"] > out["onset"]]


class _Bag:
    """Every pitch of a range at least once, the middle octaves more often, in an order that moves by small steps."""

    def __init__(self, rng: np.random.Generator, low: int, high: int, style: Style) -> None:
        self._rng, self.low, self.high, self._ahead = rng, low, high, style.ahead
        pitches = np.arange(low, high + 1)
        place = np.linspace(0, len(style.octave_weights) - 1, len(pitches))
        weights = np.interp(place, np.arange(len(style.octave_weights)), style.octave_weights)
        counts = np.maximum(np.round(weights).astype(int), 1)
        self._all = np.repeat(pitches, counts)
        self._next: list[int] = []
        self._last = int(rng.choice(self._all))

    def draw(self) -> int:
        """The nearest of the next few; sometimes simply the next, for a leap."""
        if len(self._next) < self._ahead:
            self._next += self._rng.permutation(self._all).tolist()
        if self._rng.random() < 0.12:
            i = 0
        else:
            ahead = np.abs(np.array(self._next[: self._ahead]) - self._last)
            i = int(np.argmin(np.where(ahead == 0, 3, ahead)))
        self._last = self._next.pop(i)
        return self._last


def random_score(
    rng: np.random.Generator, instrument: Instrument, clip_s: float, style: Style = Style(), shortest_s: float = 0.05
) -> NDArray[np.void]:
    """Draw a part for one instrument.

    Parameters
    ----------
    rng
        Source of chance; the same state gives the same score.
    instrument
        Range, and whether it plays one note at a time.
    clip_s
        Length in seconds.
    style
        How often the kinds of segments come.
    shortest_s
        No note is shorter.

    Returns
    -------
    ndarray
        `SCORE_DTYPE`, sorted by onset; monophonic where the instrument is (but for a rare double stop of strings).
    """
    width = instrument.high - instrument.low
    low, high = instrument.low, instrument.high
    if width > 24 and rng.random() < 0.7:
        # One clip stays in a part of a wide range, as a part of a piece does.
        span = int(rng.integers(14, width))
        low += int(rng.integers(0, width - span + 1))
        high = low + span
    bag = _Bag(rng, low, high, style)
    beat = 60.0 / float(np.exp(rng.uniform(np.log(50), np.log(170)))) * 2.0**style.longer
    base = float(rng.uniform(45, 105))
    spread = float(rng.uniform(3, 18))
    names = ["line", "legato", "chords", "wide", "repeated", "trill", "staccato", "slow", "run", "octaves"]
    weights = np.array([getattr(style, name) for name in names])
    if instrument.mono:
        strings = instrument.category == "strings"
        weights[2] *= 0.12 if strings else 0
        weights[3] = 0
        weights[9] *= 0.3 if strings else 0
    weights /= weights.sum()
    rows: list[tuple[float, float, int, float]] = []
    now = float(rng.uniform(0, 0.8))
    while now < clip_s - 0.2:
        kind = str(rng.choice(names, p=weights))
        until = min(now + float(rng.uniform(1.5, 6.0)), clip_s)
        loud = base + float(rng.normal(0, 8))
        segment = _SEGMENTS[kind](rng, bag, now, until, beat)
        for onset, duration, pitch in segment:
            if low - 1 <= pitch <= high + 1 and instrument.low <= pitch <= instrument.high:
                rows.append((onset, onset + max(duration, shortest_s), pitch, loud + float(rng.normal(0, spread))))
        ends = [r[1] for r in rows]
        now = max(until, max(ends[-1:], default=0.0) if rng.random() < 0.5 else until)
        if rng.random() < 0.25:
            now += float(rng.uniform(0.1, 1.5))
    score = np.zeros(len(rows), SCORE_DTYPE)
    for i, (onset, offset, pitch, velocity) in enumerate(rows):
        score[i] = (onset, offset, pitch, int(np.clip(round(velocity), 25, 122)))
    if instrument.mono and weights[2] + weights[9] == 0:
        score = monophonic(np.sort(score, order="onset"), 0.0)
    return tidy(score, clip_s)


_Notes = Iterator[tuple[float, float, int]]


def _value(rng: np.random.Generator, beat: float, mean: float = -0.7, spread: float = 1.1) -> float:
    """Seconds: log2 of beats from a truncated normal, from 1/32 (1/8 beat) to a little over a whole note."""
    while True:
        x = rng.normal(mean, spread)
        if -3.0 <= x <= 2.15:
            return beat * 2.0 ** float(x)


def _gap(rng: np.random.Generator, duration: float) -> float:
    """From the end of a note to the next onset; below zero they overlap."""
    return float(np.clip(rng.normal(0.0, 0.12), -0.4, 0.8)) * duration


def _line(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    mean = float(rng.uniform(-1.6, 0.2))
    while now < until:
        duration = _value(rng, beat, mean, 0.7)
        yield now, duration, bag.draw()
        now += max(duration + _gap(rng, duration), 0.06)


def _legato(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    mean = float(rng.uniform(-1.4, 0.2))
    while now < until:
        duration = max(_value(rng, beat, mean, 0.5), 0.08)
        yield now, duration, bag.draw()
        now += duration


def _chords(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    mean = float(rng.uniform(-1.2, 0.4))
    while now < until:
        duration = _value(rng, beat, mean, 0.6)
        root = bag.draw()
        # Longer notes are doubled more often.
        more = rng.binomial(3, float(np.clip(0.25 + 0.3 * duration, 0.2, 0.75)))
        spread = float(rng.choice([0.0, 0.004, 0.015, 0.04], p=[0.3, 0.4, 0.2, 0.1]))
        steps = np.concatenate([[0], np.cumsum(rng.choice(_CHORD_STEPS, more))])
        for i, step in enumerate(steps):
            late = i * spread * float(rng.uniform(0.5, 1.2))
            held = duration * float(rng.uniform(0.85, 1.05))
            yield now + late, held, root + int(step)
        now += max(duration + _gap(rng, duration), 0.08)


def _wide(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    """Wide chords of up to six notes, and accompaniment figures under them."""
    while now < until:
        duration = max(_value(rng, beat, 0.3, 0.6), 0.15)
        pitches = {bag.draw() for _ in range(2)} | {
            int(p) for p in rng.choice(np.arange(bag.low, bag.high + 1), int(rng.integers(1, 5)))
        }
        broken = float(rng.choice([0.0, 0.01, 0.06, beat / 4], p=[0.4, 0.3, 0.15, 0.15]))
        for i, pitch in enumerate(sorted(pitches)):
            yield now + i * broken + float(rng.uniform(0, 0.006)), max(duration - i * broken, 0.1), pitch
        now += duration + max(_gap(rng, duration), -0.1)


def _repeated(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    """The same notes again and again, slow to fast, let go or held to the next stroke."""
    while now < until:
        step = max(beat * float(rng.choice([0.25, 1 / 3, 0.5, 1.0])), float(rng.uniform(0.085, 0.14)))
        held = float(rng.choice([0.4, 0.7, 0.95, 1.0]))
        pitches = [bag.draw()]
        if rng.random() < 0.3:
            pitches.append(pitches[0] + int(rng.choice(_CHORD_STEPS)))
        for _ in range(int(rng.integers(3, 9))):
            for pitch in pitches:
                yield now + float(rng.normal(0, 0.004)), step * held, pitch
            now += step


def _trill(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    pitch, interval = bag.draw(), int(rng.choice([1, 2, 2, 3, 12]))
    step = float(rng.uniform(0.07, 0.14))
    until = min(until, now + float(rng.uniform(0.5, 2.0)))
    upper = False
    while now < until:
        yield now, step, pitch + interval * upper
        upper = not upper
        now += step * float(rng.uniform(0.93, 1.07))
    yield now, max(_value(rng, beat), 0.15), pitch


def _staccato(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    step = max(beat * float(rng.choice([0.25, 0.5, 0.5, 1.0])), 0.11)
    while now < until:
        if rng.random() < 0.85:
            yield now, float(rng.uniform(0.06, 0.12)), bag.draw()
        now += step * float(rng.choice([1, 1, 1, 2]))


def _slow(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    while now < until:
        duration = float(rng.uniform(1.2, 4.0))
        yield now, duration, bag.draw()
        now += duration + max(_gap(rng, duration), -0.05)


def _run(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    """Scales and arpeggios, fast."""
    while now < until:
        step = float(rng.uniform(0.075, 0.18))
        up = 1 if rng.random() < 0.5 else -1
        intervals = [2, 2, 1, 2, 2, 2, 1] if rng.random() < 0.6 else [4, 3, 5]
        if rng.random() < 0.15:
            intervals = [1]
        pitch = bag.draw()
        for i in range(int(rng.integers(5, 14))):
            if not bag.low <= pitch <= bag.high:
                break
            yield now, step * float(rng.uniform(0.8, 1.0)), pitch
            pitch += up * intervals[i % len(intervals)]
            now += step
        duration = _value(rng, beat)
        yield now, duration, bag.draw()
        now += duration


def _octaves(rng: np.random.Generator, bag: _Bag, now: float, until: float, beat: float) -> _Notes:
    """A line doubled at the octave or twelfth: the hardest of chords, all harmonics of the upper note hidden."""
    above = int(rng.choice([12, 12, 19, 24]))
    for onset, duration, pitch in _line(rng, bag, now, until, beat):
        yield onset, duration, pitch
        if pitch + above <= bag.high:
            yield onset + float(rng.normal(0, 0.005)), duration * float(rng.uniform(0.7, 1.0)), pitch + above


_SEGMENTS = {
    "line": _line,
    "legato": _legato,
    "chords": _chords,
    "wide": _wide,
    "repeated": _repeated,
    "trill": _trill,
    "staccato": _staccato,
    "slow": _slow,
    "run": _run,
    "octaves": _octaves,
}
