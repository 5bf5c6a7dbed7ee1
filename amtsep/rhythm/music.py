"""What there is to know of a recording beside its notes, found in one go: beats, bends, pedal, tuning, clean-up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Decoding, MusicReading, Pedal
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.bends import Bend, bend_curves, tuning_cents
from amtsep.rhythm.cleanup import clean
from amtsep.rhythm.metre import Metre
from amtsep.rhythm.pedal import by_key, find_pedal, has_pedal
from amtsep.rhythm.tracking import track_beats

PedalSpans = dict[int, list[tuple[float, float]]]
"""(down, up) in seconds by track number."""


@dataclass(frozen=True, eq=False)
class Music:
    """The outcome of `read_music`.

    Parameters
    ----------
    notes
        Cleaned where that was asked for, and as long as keys are down where the pedal was.
    beats
        Or None where none were looked for.
    bends
        A curve a note of `notes`, or None.
    pedal
        (down, up) in seconds by track number.
    tuning
        Cents by which the recording is off A = 440 Hz; None where it was not asked for or there are no posteriors.
    """

    notes: Notes
    beats: Beats | None = None
    bends: list[Bend | None] | None = None
    pedal: PedalSpans = field(default_factory=dict)
    tuning: float | None = None


def with_drums(music: Music, drums: Notes) -> Music:
    """The same with a track of drums behind the others."""
    if not len(drums):
        return music
    notes, order = music.notes.joined(drums)
    bends = None
    if music.bends is not None:
        known = [*music.bends, *([None] * len(drums))]
        bends = [known[i] for i in order]
    return replace(music, notes=notes, bends=bends)


def for_pedal(decoding: Decoding) -> Decoding:
    """The settings by which notes are decoded that `pedalled` is to have: it looks where sounds end, not keys."""
    return replace(decoding, ends="sound")


def pedalled(notes: Notes, settings: Pedal = Pedal()) -> tuple[Notes, PedalSpans]:  # noqa: B008 - frozen
    """Notes of piano-like tracks, which end with their sound, as long as keys may have been down; and the pedal."""
    pedal: PedalSpans = {}
    offset: NDArray[np.float64] = notes.offset.copy()
    for number, track in enumerate(notes.tracks):
        own = np.flatnonzero(notes.track == number)
        if has_pedal(track) and len(own):
            found = find_pedal(notes.select(own), settings)
            pedal[number] = [(float(a), float(b)) for a, b in found.spans]
            offset[own] = by_key(notes.select(own), found, settings).offset
    return replace(notes, offset=offset), pedal


def read_music(
    notes: Notes,
    posteriors: Posteriors | None = None,
    settings: MusicReading = MusicReading(),  # noqa: B008 - frozen
    tempo: float | None = None,
    drums: Notes | None = None,
    tuning: bool = True,
) -> Music:
    """Clean up, find beats, bends and pedal, as far as `settings` ask for it.

    Parameters
    ----------
    notes
        As decoded, with or without tracks.
    posteriors
        Of the same recording; without them there are no bends and no tuning.
    settings
        See `amtsep.config.MusicReading`.
    tempo
        Beats a minute: a steady grid instead of the beats of the music.
    drums
        Strokes of the same recording: they tell of the beats, and become a track behind the others.
    tuning
        Whether to find how far the recording is off A = 440 Hz.
    """
    notes = clean(notes, settings.clean_up).notes
    beats = None
    strokes = Notes.empty() if drums is None else drums
    if settings.bars and len(notes) + len(strokes):
        together, order = notes.joined(strokes)
        if tempo is not None:
            beats = Beats.steady(tempo, together.end)
        else:
            beats = track_beats(together, settings.beats, together.struck | (order >= len(notes)))
        if settings.metre is not None:
            beats = beats.with_metre(Metre.parse(settings.metre))
    bends = None
    if settings.bends and posteriors is not None:
        bends = bend_curves(notes, posteriors, settings.bend_curves)
    pedal: PedalSpans = {}
    if settings.pedal:
        notes, pedal = pedalled(notes, settings.pedalling)
    cents = tuning_cents(posteriors, notes) if tuning and posteriors is not None else None
    return with_drums(Music(notes, beats, bends, pedal, cents), strokes)
