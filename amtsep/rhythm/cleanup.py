"""Clean-up: a book of rules that make a transcription playable, each with a switch, all under one strength.

Every rule looks at notes alone and says what it would do to which of them; nothing is hidden: `clean` gives back what
was dropped, joined and cut, so that it can be shown and undone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amtsep.config import CleanUp
from amtsep.notes import Notes

Mask = NDArray[np.bool_]

KEPT, JOINED, GHOST, OUT_OF_RANGE, DOUBLE, SHORT = 0, 1, 2, 3, 4, 5
REASONS = ("kept", "joined", "harmonic_ghosts", "out_of_range", "double_hits", "short_notes")
"""What happened to a note, by number."""
HARMONIC_STEPS = (12, 19, 24, 28, 31, 34, 36)
"""Semitones from a note to its harmonics."""


@dataclass(frozen=True, eq=False)
class Cleaned:
    """The outcome of `clean`.

    Parameters
    ----------
    notes
        What is left.
    source
        (len(notes),) index in the table before.
    reason
        (n,) for each note of the table before: an index into `REASONS`.
    changed
        (len(notes),) whether a note that is left has another onset or end than before.
    before
        The table before.
    """

    notes: Notes
    source: NDArray[np.intp]
    reason: NDArray[np.int8]
    changed: Mask
    before: Notes

    @property
    def dropped(self) -> NDArray[np.intp]:
        """Indices in the table before of what is not left, joined fragments among them."""
        return np.flatnonzero(self.reason != KEPT)


def clean(notes: Notes, settings: CleanUp = CleanUp()) -> Cleaned:  # noqa: B008 - frozen
    """Apply the rules whose switches are on; a `strength` of 0 changes nothing.

    Parameters
    ----------
    notes
        As decoded, with or without tracks.
    settings
        See `amtsep.config.CleanUp`.
    """
    n = len(notes)
    reason = np.zeros(n, np.int8)
    onset, offset = notes.onset.copy(), notes.offset.copy()
    strength = settings.strength
    if not n or strength <= 0:
        return Cleaned(notes, np.arange(n), reason, np.zeros(n, bool), notes)
    if settings.double_hits:
        _double_hits(notes, offset, reason, strength)
    if settings.join_fragments:
        _join(notes, onset, offset, reason, strength)
    if settings.harmonic_ghosts:
        _ghosts(notes, onset, offset, reason, strength)
    if settings.out_of_range:
        _strays(notes, reason, strength)
    if settings.short_notes:
        _short(notes, onset, offset, reason, strength)
    if settings.long_tails or settings.monophonic:
        _ends(notes, onset, offset, reason, settings)
    left = np.flatnonzero(reason == KEPT)
    offset = np.maximum(offset, onset + 0.01)
    table = replace(notes, onset=onset, offset=offset).select(left)
    order = np.lexsort((table.track, table.pitch, table.onset))
    table = (
        table.select(np.arange(len(table))) if np.array_equal(order, np.arange(len(order))) else _sorted(table, order)
    )
    source = left[order]
    moved = (np.abs(table.onset - notes.onset[source]) > 1e-9) | (np.abs(table.offset - notes.offset[source]) > 1e-9)
    return Cleaned(table, source, reason, moved, notes)


def _sorted(notes: Notes, order: NDArray[np.intp]) -> Notes:
    columns = ("onset", "offset", "pitch", "velocity", "confidence", "track", "embedding")
    panning = None if notes.panning is None else notes.panning[order]
    return replace(notes, panning=panning, **{name: getattr(notes, name)[order] for name in columns})


def _lines(notes: Notes, reason: NDArray[np.int8]) -> list[NDArray[np.intp]]:
    """Indices of the kept notes of each track and pitch, in time."""
    key = notes.track.astype(int) * 128 + notes.pitch
    kept = np.flatnonzero(reason == KEPT)
    order = kept[np.lexsort((notes.onset[kept], key[kept]))]
    if not len(order):
        return []
    return np.split(order, np.flatnonzero(np.diff(key[order])) + 1)


def _double_hits(notes: Notes, offset: NDArray[np.float64], reason: NDArray[np.int8], strength: float) -> None:
    """One note struck twice within less time than a player needs is one note: the surer stays."""
    gap = 0.03 + 0.05 * strength
    for line in _lines(notes, reason):
        last = line[0]
        for i in line[1:]:
            if notes.onset[i] - notes.onset[last] < gap:
                weak, strong = (i, last) if notes.confidence[i] <= notes.confidence[last] else (last, i)
                offset[strong] = max(offset[strong], offset[weak])
                reason[weak] = DOUBLE
                last = strong
            else:
                last = i


def _join(
    notes: Notes, onset: NDArray[np.float64], offset: NDArray[np.float64], reason: NDArray[np.int8], strength: float
) -> None:
    """A note that goes on after a short gap, softer and less sure than it began, is the same note."""
    gap = 0.02 + 0.06 * strength
    for line in _lines(notes, reason):
        last = line[0]
        for i in line[1:]:
            near = onset[i] - offset[last] < gap
            weak = notes.confidence[i] < (0.15 + 0.3 * strength) or offset[i] - onset[i] < 0.05 + 0.05 * strength
            softer = notes.velocity[i] < notes.velocity[last] + 2
            if near and weak and softer and notes.confidence[i] < notes.confidence[last]:
                offset[last] = max(offset[last], offset[i])
                reason[i] = JOINED
            else:
                last = i


def _ghosts(
    notes: Notes, onset: NDArray[np.float64], offset: NDArray[np.float64], reason: NDArray[np.int8], strength: float
) -> None:
    """An octave, a twelfth or another harmonic over a louder note that sounds all the while, and less sure than it."""
    kept = np.flatnonzero(reason == KEPT)
    pitch, loud, sure = notes.pitch.astype(int), notes.velocity.astype(float), notes.confidence
    longest = float((offset - onset).max(initial=0.0))
    for i in kept:
        start = np.searchsorted(onset, onset[i] - longest - 0.05)
        stop = np.searchsorted(onset, onset[i] + 0.04)
        base = np.arange(start, stop)
        step = pitch[i] - pitch[base]
        base = base[np.isin(step, HARMONIC_STEPS) & (reason[base] == KEPT)]
        if not len(base):
            continue
        covers = (np.minimum(offset[base], offset[i]) - onset[i]) > 0.8 * (offset[i] - onset[i])
        louder = loud[base] > loud[i] + 14 - 8 * strength
        surer = sure[base] > sure[i] + 0.25 - 0.15 * strength
        weak = sure[i] < 0.25 + 0.35 * strength
        if weak and np.any(covers & louder & surer):
            reason[i] = GHOST


def _strays(notes: Notes, reason: NDArray[np.int8], strength: float) -> None:
    """Unsure notes far outside of where their track plays."""
    for track in np.unique(notes.track):
        own = np.flatnonzero((notes.track == track) & (reason == KEPT))
        if len(own) < 12:
            continue
        low, high = np.percentile(notes.pitch[own], [3, 97])
        reach = 16 - 7 * strength
        far = (notes.pitch[own] < low - reach) | (notes.pitch[own] > high + reach)
        unsure = notes.confidence[own] < 0.3 + 0.3 * strength
        reason[own[far & unsure]] = OUT_OF_RANGE


def _short(
    notes: Notes, onset: NDArray[np.float64], offset: NDArray[np.float64], reason: NDArray[np.int8], strength: float
) -> None:
    """Very short notes that are unsure are dropped; sure ones are held for as long as a finger takes to come up."""
    limit = 0.04 + 0.08 * strength
    short = (offset - onset < limit) & (reason == KEPT)
    unsure = notes.confidence < 0.2 + 0.4 * strength
    reason[short & unsure] = SHORT
    held = 0.06 + 0.05 * strength
    for line in _lines(notes, reason):
        # Not into the same pitch again.
        room = np.append(onset[line[1:]] - 0.005, np.inf)
        offset[line] = np.maximum(offset[line], np.minimum(onset[line] + held, room))


def _ends(
    notes: Notes,
    onset: NDArray[np.float64],
    offset: NDArray[np.float64],
    reason: NDArray[np.int8],
    settings: CleanUp,
) -> None:
    """Tails that reach into the next note of a line that plays one note at a time end there; small gaps close."""
    for track in np.unique(notes.track):
        own = np.flatnonzero((notes.track == track) & (reason == KEPT))
        if len(own) < 4:
            continue
        own = own[np.argsort(onset[own], kind="stable")]
        following = onset[own[1:]]
        apart = following - onset[own[:-1]]
        over = offset[own[:-1]] - following
        together = float(np.mean((over > 0.06) & (over > 0.3 * np.maximum(apart, 0.01))))
        mono = together < 0.12
        if mono and settings.long_tails:
            # A line: what rings into the next note for a little while is a tail, not a second voice.
            tail = (over > 0) & (over < 0.05 + 0.2 * settings.strength) & (apart > 0.04)
            offset[own[:-1][tail]] = following[tail]
        if mono and settings.monophonic:
            gap = -over
            close = (gap > 0) & (gap < 0.02 + 0.06 * settings.strength)
            offset[own[:-1][close]] = following[close]


def hard_to_play(notes: Notes, span: int = 15, fingers: int = 5) -> NDArray[np.float64]:
    """Times (s) at which a track asks more of one hand, or of a guitar, than it has: only a warning.

    Parameters
    ----------
    notes
        Of one track.
    span
        Semitones that can be reached at once.
    fingers
        Notes that can sound at once.
    """
    found = []
    for i in range(len(notes)):
        sounding = np.flatnonzero((notes.onset <= notes.onset[i] + 0.03) & (notes.offset > notes.onset[i] + 0.03))
        if len(sounding) > 1:
            wide = int(notes.pitch[sounding].max()) - int(notes.pitch[sounding].min()) > span
            if wide or len(sounding) > fingers:
                found.append(float(notes.onset[i]))
    return np.unique(np.array(found))
