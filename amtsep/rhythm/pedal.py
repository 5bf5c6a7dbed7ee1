"""The sustain pedal of piano-like tracks, from how the ends of notes lie together.

Under the pedal notes ring on after their keys are up and stop together when it comes up: many ends at one instant, of
notes that began at different times. From one such release to the next change the pedal is taken to be down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Pedal
from amtsep.notes import Notes, Track

PIANO_LIKE = frozenset([*range(0, 8), 11, 46])
"""General MIDI programs with a pedal: pianos, vibraphone, harp."""


@dataclass(frozen=True, eq=False)
class Pedalling:
    """Where the pedal is down: (k, 2) seconds from down to up, rising, without overlap."""

    spans: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.spans)


def has_pedal(track: Track) -> bool:
    """Whether the sound of a track is that of an instrument with a pedal."""
    return track.program in PIANO_LIKE and not track.drums


def find_pedal(notes: Notes, settings: Pedal = Pedal()) -> Pedalling:  # noqa: B008 - frozen
    """Estimate the pedal of one piano-like track.

    Parameters
    ----------
    notes
        Of the track, each ending where its sound ends.
    settings
        See `amtsep.config.Pedal`.
    """
    if len(notes) < 4:
        return Pedalling(np.zeros((0, 2)))
    ends = np.argsort(notes.offset)
    offset, onset = notes.offset[ends], notes.onset[ends]
    releases: list[tuple[float, float]] = []
    i = 0
    while i < len(offset):
        j = i
        while j + 1 < len(offset) and offset[j + 1] - offset[i] < settings.together_s:
            j += 1
        group = slice(i, j + 1)
        begun = onset[group]
        instants = 1 + int(np.sum(np.diff(np.sort(begun)) > settings.apart_s))
        if instants >= settings.instants:
            # Down since shortly after the second of the instants that it has held.
            first = float(np.sort(begun)[0])
            releases.append((first + settings.delay_s, float(np.mean(offset[group]))))
        i = j + 1
    spans: list[list[float]] = []
    for down, up in releases:
        down = max(down, spans[-1][1] + settings.delay_s if spans else 0.0)
        if up - down > settings.shortest_s:
            spans.append([down, up])
    return Pedalling(np.array(spans, np.float64).reshape(-1, 2))


def by_key(notes: Notes, pedalling: Pedalling, settings: Pedal = Pedal()) -> Notes:  # noqa: B008 - frozen
    """Notes of a track as long as their keys may have been down: what rings on under the pedal ends at the next note.

    With the pedal written beside them they sound as before.
    """
    if not len(pedalling) or not len(notes):
        return notes
    offset = notes.offset.copy()
    starts = np.unique(notes.onset)
    for down, up in pedalling.spans:
        held = np.flatnonzero((notes.offset > down) & (notes.offset <= up + settings.together_s) & (notes.onset < up))
        for i in held:
            after = starts[np.searchsorted(starts, notes.onset[i] + settings.apart_s) :]
            if len(after) and after[0] < offset[i]:
                # The key cannot come up before the pedal is down without ending the sound.
                offset[i] = max(float(after[0]), down + 0.02, notes.onset[i] + 0.05)
    return replace(notes, offset=np.minimum(offset, notes.offset))


def by_sound(notes: Notes, pedalling: Pedalling) -> Notes:
    """The inverse: notes whose keys come up under the pedal sound until it comes up, or their pitch starts again."""
    if not len(pedalling) or not len(notes):
        return notes
    offset = notes.offset.copy()
    for down, up in pedalling.spans:
        held = (notes.offset >= down) & (notes.offset < up)
        offset[held] = up
    order = np.lexsort((notes.onset, notes.pitch))
    same = np.flatnonzero(np.diff(notes.pitch[order]) == 0)
    offset[order[same]] = np.minimum(offset[order[same]], notes.onset[order[same + 1]])
    return replace(notes, offset=np.maximum(offset, notes.offset))
