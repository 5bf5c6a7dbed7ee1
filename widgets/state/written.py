"""Notes that no threshold decodes: what a sequence network wrote, or a file that a person has brought."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from amtsep.errors import FormatError
from amtsep.formats.midi import program_name
from amtsep.notes import Notes, Track
from widgets.state.edits import MAX_TRACKS, State, new_track

UNNAMED = re.compile(r"(Notes|Timbre \d+|Program \d+|)")
"""Names of tracks that nobody gave."""
BY_SOUND = re.compile(r"(Notes|Track \d+|)")
"""Names that say less than the sound that the track came with."""


@dataclass(frozen=True, eq=False)
class Written:
    """A table of notes as it came, on no more tracks than the app has."""

    notes: Notes
    by: str
    """The network that wrote them, or the file that they come from."""
    network: bool = True
    """Whether a network did."""
    strokes: Notes | None = None
    """Its drums; ``None`` where those of the recording are listened for as ever."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of each track, empty where it came without one."""
        named = zip(self.notes.tracks, self.instruments, strict=True)
        return tuple("" if sound or UNNAMED.fullmatch(track.name) else track.name for track, sound in named)

    @cached_property
    def instruments(self) -> tuple[bool, ...]:
        """Whether a track is called by its General MIDI sound: a network meant that, or its file says no more."""
        told = any(track.program for track in self.notes.tracks)
        return tuple(
            track.name.startswith("Program ")
            or track.name == program_name(track.program)
            or (told and BY_SOUND.fullmatch(track.name) is not None)
            for track in self.notes.tracks
        )

    def table(self) -> Notes:
        """Notes and strokes together, as they are kept; `kept` reads it."""
        plain = replace(self.notes, embedding=np.zeros((len(self.notes), 0), np.float32))
        return plain if self.strokes is None else plain.joined(self.strokes)[0]


def written(notes: Notes, by: str, duration_s: float, *, network: bool) -> Written:
    """What was written of a recording of this length; of more tracks than there can be, the smallest share the last.

    Raises
    ------
    FormatError
        If a file holds no note within the recording.
    """
    inside = notes.select(notes.onset < duration_s)
    inside = replace(inside, offset=np.maximum(np.minimum(inside.offset, duration_s), inside.onset + 1e-3))
    kit = np.array([track.drums for track in inside.tracks], bool)[inside.track]
    own = pitched(inside)
    if not network and not len(own):
        sentence = "{name} holds no notes within the recording; choose the MIDI file that belongs to it."
        raise FormatError(sentence, name=by)
    struck = inside.select(kit)
    strokes = None
    if network or len(struck):
        strokes = struck.with_tracks(np.zeros(len(struck), np.int16), (Track("Drums", drums=True),))
    return Written(_fitted(own), by, network, strokes)


def pitched(notes: Notes) -> Notes:
    """The notes of a table that are no strokes."""
    kit = np.array([track.drums for track in notes.tracks], bool)[notes.track]
    return notes.select(~kit) if kit.any() else notes


def kept(table: Notes, by: str, network: bool) -> Written:
    """From `Written.table`."""
    return written(table, by, np.inf, network=network)


def _fitted(notes: Notes) -> Notes:
    """On at most `MAX_TRACKS` tracks, all of which have notes."""
    counts = np.bincount(notes.track, minlength=len(notes.tracks))
    full = [int(i) for i in np.flatnonzero(counts)]
    own = full if len(full) <= MAX_TRACKS else sorted(sorted(full, key=lambda i: -counts[i])[: MAX_TRACKS - 1])
    place = {track: i for i, track in enumerate(own)}
    tracks = [notes.tracks[i] for i in own] + ([Track("Others")] if len(own) < len(full) else [])
    index = np.array([place.get(int(track), len(own)) for track in notes.track], np.int16)
    return notes.with_tracks(index, tracks or (Track(),))


def with_sounds(state: State, came: Written | None) -> State:
    """A state whose tracks have the sounds that came with the notes, except those that a person has named."""
    tracks = () if came is None else came.notes.tracks
    told = any(track.program for track in tracks)
    views = list(state.tracks) + [new_track(i) for i in range(len(state.tracks), len(tracks))]
    for i, view in enumerate(views):
        if not view.name:
            program = tracks[i].program if told and i < len(tracks) else new_track(i).program
            views[i] = replace(view, program=program)
    return replace(state, tracks=tuple(views))
