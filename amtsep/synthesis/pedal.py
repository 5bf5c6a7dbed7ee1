"""The sustain pedal in made-up parts: when it goes down and up, and how long notes sound because of it.

Pianists change the pedal with the harmony: it goes up as a new chord or bass is struck and down again when that sounds
(or, more simply, down with a chord and up before the next), and some passages have none. What is let go meanwhile
sounds on until the pedal goes up, its string is struck again, or it has died away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PEDALLED = frozenset({"piano", "electric-piano", "vibraphone", "celesta", "tubular-bells", "harp"})
"""Families whose notes sound on: by a pedal, the harp's until a hand damps them. Harpsichords have none."""
_TOGETHER_S = 0.05
"""Notes this close are one chord."""


def draw_pedal(rng: np.random.Generator, score: NDArray[np.void], clip_s: float) -> NDArray[np.float64]:
    """When the pedal of a part is down.

    Parameters
    ----------
    rng
        Source of chance.
    score
        The notes, with `onset` and `pitch`.
    clip_s
        Length of the part in seconds.

    Returns
    -------
    ndarray
        (k, 2) seconds: down and up, one after the other; the last may go up after `clip_s`.
    """
    shortest, longest = rng.uniform(0.3, 0.7), float(np.exp(rng.uniform(np.log(1.2), np.log(6.0))))
    syncopated, dry = rng.random() < 0.7, rng.uniform(0.0, 0.35)
    changes = [*_harmonies(score, shortest, longest), clip_s + 1.0]
    spans: list[tuple[float, float]] = []
    for now, then in zip(changes, changes[1:], strict=False):
        if syncopated:
            down, up = now + rng.uniform(0.08, 0.25), then + rng.uniform(0.0, 0.06)
        else:
            down, up = now + rng.uniform(-0.03, 0.05), then - rng.uniform(0.03, 0.2)
        if rng.random() >= dry and up - down > 0.1:
            spans.append((max(down, 0.0), up))
    return np.array(spans, np.float64).reshape(-1, 2)


def _harmonies(score: NDArray[np.void], shortest: float, longest: float) -> list[float]:
    """Times at which the harmony of a part changes: another bass, a chord of other notes, or a bar that is over."""
    if not len(score):
        return []
    notes = np.sort(score, order="onset")
    starts = np.flatnonzero(np.diff(notes["onset"], prepend=-1.0) > _TOGETHER_S)
    bass_under = float(np.quantile(notes["pitch"], 0.3))
    changes: list[float] = []
    held: set[int] = set()
    for first, last in zip(starts, [*starts[1:], len(notes)], strict=True):
        at, pitches = float(notes["onset"][first]), notes["pitch"][first:last].astype(int)
        names = {int(p) % 12 for p in pitches}
        lowest = int(pitches.min())
        other_bass = lowest <= bass_under and lowest % 12 not in held
        other_chord = len(names) >= 3 and len(names - held) >= 2
        since = at - changes[-1] if changes else np.inf
        if since >= shortest and (other_bass or other_chord or since >= longest):
            changes.append(at)
            held = set()
        held |= names
    return changes


def sounding_until(ends: NDArray[np.float64], spans: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where notes let go at `ends` (n,) are damped: there, or where the pedal that was down then goes up.

    `spans` (k, 2) as of `draw_pedal`; any unit.
    """
    if not len(spans):
        return ends
    at = np.searchsorted(spans[:, 0], ends, side="left") - 1
    up = spans[np.maximum(at, 0), 1]
    return np.where((at >= 0) & (ends < up), up, ends)


def struck_again(score: NDArray[np.void], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """`ends` (n,) of a part's notes, none after the next onset of its pitch."""
    out = np.array(ends, np.float64)
    order = np.lexsort((score["onset"], score["pitch"]))
    a, b = order[:-1], order[1:]
    same = score["pitch"][a] == score["pitch"][b]
    out[a[same]] = np.minimum(out[a[same]], score["onset"][b[same]])
    return out
