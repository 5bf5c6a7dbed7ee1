"""The label rule: where a note begins and where it has audibly ended, from the level of the note alone.

One rule labels every source (soundfonts, recorded notes, synthetic timbres), so that a network does not have to learn
which source it hears. *Onset*: the first time at which the note's short-time level comes within `onset_db` of its
sustained level. *Sustained level*: the upper quartile of the level in the first 300 ms after the note can be heard at
all, which is near the peak of a plucked sound and near the plateau of a blown one. *End*: the level has fallen
`release_db` under what it was when the note was let go, or `decay_db` under its peak, whichever comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelRule:
    """Settings of the rule; levels in dB, times in milliseconds."""

    onset_db: float = -12.0
    """An onset is where the level first comes this close to the sustained level."""
    release_db: float = 20.0
    """A note let go has ended when it has fallen by this much."""
    decay_db: float = 30.0
    """A held note that dies away has ended when it has fallen this far under its peak."""
    smoothing_ms: float = 8.0
    """Length of the Hann window over the energy."""
    sustained_ms: float = 300.0
    """Span after the first sound from which the sustained level is taken."""


DEFAULT_RULE = LabelRule()


@dataclass(frozen=True)
class NoteShape:
    """What `measure` finds out about one isolated note; times in seconds from the start of the signal, levels in dB."""

    onset_s: float
    end_s: float
    """Audible end; the end of the signal where the note has not ended by then."""
    decayed_s: float
    """Time at which the held note falls `decay_db` under its peak; infinite where it does not die away."""
    release_s: float
    """From note-off to `release_db` less; not a number without a note-off."""
    sustained_db: float
    peak_db: float


_DIP_MS = 25
"""A level under the target for longer than this separates what came before from the note."""
HOP_S = 0.001
"""Spacing of the level's values in seconds."""


def smooth(energy: NDArray[np.float64], width_ms: float) -> NDArray[np.float64]:
    """Energy (one value a millisecond) under a centred Hann window of `width_ms`, sum one."""
    n = max(int(round(width_ms / (HOP_S * 1000))), 1)
    window = np.hanning(n + 2)[1:-1]
    return np.convolve(energy, window / window.sum(), mode="same")


def energy_of(samples: NDArray[np.floating], sample_rate: int) -> NDArray[np.float64]:
    """Mean square of each millisecond of `samples` (n,); value i stands for the time (i + 1/2) ms."""
    edges = np.round(np.arange(0, int(len(samples) / (sample_rate * HOP_S)) + 1) * sample_rate * HOP_S).astype(np.intp)
    if len(edges) < 2:
        return np.zeros(1)
    squares = np.square(samples[: edges[-1]], dtype=np.float64)
    return np.add.reduceat(squares, edges[:-1]) / np.diff(edges)


def decibel(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """10 log10 with a floor at -120 dB."""
    return 10 * np.log10(np.maximum(energy, 1e-12))


def _rise(level: NDArray[np.float64], first: int, rule: LabelRule) -> tuple[float, float] | None:
    """Where a level (dB, a value a millisecond) comes up to its sustained value; that place, and the value.

    The way up is followed backwards from where the level is all but reached: dips shorter than a period of a low note
    do not count, but a click of a key or of the tongue with a pause after it is not the onset.
    """
    span = level[first : first + int(rule.sustained_ms)]
    if len(span) < 20:
        return None
    sustained = float(np.quantile(span, 0.75))
    target = sustained + rule.onset_db
    begin = max(first - 200, 0)
    reached = begin + int(np.argmax(level[begin:] >= sustained - 3))
    under = begin + np.flatnonzero(level[begin:reached] < target)
    k = begin
    if len(under):
        last = np.append(np.flatnonzero(np.diff(under) > 1), len(under) - 1)
        first_of = np.append(0, last[:-1] + 1)
        long = (last - first_of + 1 > _DIP_MS) | (under[first_of] == begin)
        if long.any():
            k = int(under[last[long][-1]]) + 1
    at = float(k)
    if k > 0 and level[k] > level[k - 1]:
        at -= float(np.clip((level[k] - target) / (level[k] - level[k - 1]), 0, 1))
    return at, sustained


def _pitched_level(
    samples: NDArray[np.floating], sample_rate: int, pitch: float, length: int
) -> NDArray[np.float64] | None:
    """Level of the first six harmonics of `pitch`, a value a millisecond: each shifted to 0 Hz and smoothed over 20 ms.

    Smoothing the amplitude over 20 ms moves a -12 dB crossing as much as smoothing the energy over 8 ms.
    """
    f0 = 440.0 * 2 ** ((pitch - 69) / 12)
    if f0 < 130:
        return None
    length = min(length, 1500)
    edges = np.round(np.arange(length + 1) * sample_rate * HOP_S).astype(np.intp)
    edges = edges[edges <= len(samples)]
    if len(edges) < 30:
        return None
    x = np.asarray(samples[: edges[-1]], np.float64)
    window = np.hanning(22)[1:-1]
    window /= window.sum()
    turn = np.exp(-2j * np.pi * f0 / sample_rate * np.arange(len(x)))
    carrier = np.ones(len(x), complex)
    total = np.zeros(len(edges) - 1)
    for k in range(1, 7):
        if f0 * (k + 0.5) > sample_rate / 2:
            break
        carrier = carrier * turn
        short = np.add.reduceat(x * carrier, edges[:-1]) / np.diff(edges)
        total += np.abs(np.convolve(short, window, mode="same")) ** 2
    return decibel(2 * total)


def measure(
    samples: NDArray[np.floating],
    sample_rate: int,
    note_off_s: float | None = None,
    rule: LabelRule = DEFAULT_RULE,
    pitch: float | None = None,
) -> NoteShape | None:
    """Apply the rule to one isolated note.

    Parameters
    ----------
    samples
        (n,) mono, the note alone; silence before it does not matter.
    sample_rate
        Hz.
    note_off_s
        Where the key was let go, in seconds, if it is known.
    rule
        Settings.
    pitch
        MIDI pitch, if it is known: then noise before the tone (bow, breath, keys) is not taken for its onset. Notes
        under 130 Hz are too slow for this and go by their level alone.

    Returns
    -------
    NoteShape or None
        None where there is nothing to hear (peak under -70 dBFS) or less than 20 ms of it.
    """
    energy = energy_of(samples, sample_rate)
    off = len(energy) if note_off_s is None else min(int(note_off_s / HOP_S), len(energy))
    level = decibel(smooth(energy, rule.smoothing_ms))
    slow = decibel(smooth(energy, 40.0))
    if off < 20:
        return None
    peak = float(slow[:off].max())
    if peak < -70:
        return None
    # A swell may reach its peak late: what counts as audible is set by the first second after the first sound.
    first = int(np.argmax(slow[:off] > peak - 30))
    near = float(slow[first : min(first + 1000, off)].max())
    first = int(np.argmax(level[:off] > near - 20))
    found = _rise(level[:off], first, rule)
    if found is None:
        return None
    at, sustained = found
    if pitch is not None:
        tone = _pitched_level(samples, sample_rate, pitch, off)
        pitched = None if tone is None else _rise(tone, first, rule)
        if pitched is not None:
            at = max(at, pitched[0])
    k = int(at)
    onset = (at + 0.5) * HOP_S
    # The natural decay.
    floor = peak - rule.decay_db
    top = k + int(np.argmax(slow[k:off]))
    last = int(np.flatnonzero(slow[:off] >= floor)[-1])
    decayed = np.inf
    if last < off - 30:
        decayed = (last + 1) * HOP_S
    elif off - top > 800:
        tail = slow[max(top + 200, off - 1500) : off - 25]
        slope = (tail[0] - tail[-1]) / (len(tail) * HOP_S) if len(tail) > 400 else 0.0
        if slope > 1.0:
            decayed = off * HOP_S + max(float(tail[-1]) - floor, 0.0) / slope
    # The release.
    release = np.nan
    if note_off_s is None:
        end = min(decayed, len(energy) * HOP_S)
    else:
        before = float(np.median(slow[max(off - 120, k) : max(off - 20, k + 1)]))
        under = max(before - rule.release_db, -90.0)
        tail = slow[off:]
        loud = np.flatnonzero(tail >= under)
        release = (int(loud[-1]) + 1) * HOP_S if len(loud) else 0.0
        if len(loud) and len(tail) > 300 and loud[-1] >= len(tail) - 25:
            # Not there yet when the signal ends: go on at the rate so far, up to eight seconds.
            fallen = before - float(np.median(tail[-150:-25]))
            release = min(release * rule.release_db / max(fallen, 1.0), 8.0)
        end = min(decayed, note_off_s + release)
    return NoteShape(onset, end, decayed, release, sustained, peak)


RELEASED_SHARE = 0.5
"""How far into its release a note counts as ended: half the fall to `LabelRule.release_db`, about 10 dB.

Where a player lets go is what a score holds; the last audible moment comes much later on a piano or a pad. On stems of
produced songs and on a Disklavier, labels at the last audible moment made a network end notes 140-200 ms late, on winds
and strings the two hardly differ.
"""


def audible_end(
    onset_s: float,
    note_off_s: float,
    decay_s: float,
    release_s: float,
    rule: LabelRule = DEFAULT_RULE,
) -> float:
    """End of a note from the times measured on its like.

    A note that has died away for a part of its decay has less left to fall after note-off, so its release is shorter.

    Parameters
    ----------
    onset_s, note_off_s
        Seconds.
    decay_s
        From onset to `rule.decay_db` under the peak (infinite for a sound that sustains).
    release_s
        From note-off to `rule.release_db` less.
    """
    held = max(note_off_s - onset_s, 0.0)
    if not np.isfinite(decay_s):
        return note_off_s + RELEASED_SHARE * release_s
    if held >= decay_s:
        return onset_s + decay_s
    left = rule.decay_db * (1 - held / decay_s)
    return min(note_off_s + RELEASED_SHARE * release_s * min(1.0, left / rule.release_db), onset_s + decay_s)
