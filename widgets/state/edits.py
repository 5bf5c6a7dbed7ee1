"""`State`: everything a person has set or corrected, as one frozen value, so that undo is a list of values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from amtsep.config import ENDS, CleanUp, Clustering, Decoding, DrumDecoding
from amtsep.notes import Notes, Track
from amtsep.rhythm.beats import Beats
from widgets.state.bars import BeatEdits, edited_beats

MAX_TRACKS = 8
LONGEST_S = 1e6
"""No note of any recording begins so late: what a file says beyond it is damage."""
ANCHOR_TOLERANCE_S = 0.06
"""A decoded note is the one an edit speaks of if its pitch is equal and its onset this near."""


@dataclass(frozen=True)
class Note:
    """One note drawn or corrected by hand; times in seconds, `track` an index."""

    onset: float
    offset: float
    pitch: int
    velocity: int = 80
    track: int = 0
    id: int = 0
    """Names a note among those made by hand, from 1; 0 where it has no number yet."""


@dataclass(frozen=True)
class Edits:
    """Corrections by hand, kept over whatever the thresholds decode.

    A changed note is a removed one and an added one, so that a correction survives a threshold that would drop or
    bring back the decoded note.
    """

    removed: tuple[tuple[int, float], ...] = ()
    """(pitch, onset in seconds) of decoded notes that are struck out."""
    added: tuple[Note, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.added)

    def __len__(self) -> int:
        return len(self.removed) + len(self.added)

    def put_in(self, notes: Iterable[Note], above: int | None = None) -> Edits:
        """With these notes; those without a number, or with one that is in use, get the next ones over `above`."""
        highest = max([note.id for note in self.added] + [above or 0])
        used = {note.id for note in self.added}
        more = []
        for note in notes:
            if not note.id or note.id in used:
                highest += 1
                note = replace(note, id=highest)
            used.add(note.id)
            highest = max(highest, note.id)
            more.append(note)
        return replace(self, added=self.added + tuple(more))


@dataclass(frozen=True)
class TrackView:
    """How a track looks and sounds in the app; `color` counts through the palette of the browser half."""

    name: str = ""
    program: int = 0
    color: int = 0
    volume: float = 1.0
    mute: bool = False
    solo: bool = False
    hidden: bool = False


DRUMS = ("auto", "on", "off")
SORTED_BY = ("writer", "sound")


@dataclass(frozen=True)
class Kit:
    """The drums of the app: whether there are any, from which height a stroke counts, and how they sound and show."""

    when: str = "auto"
    """"on", "off", or "auto": where the recording has drums."""
    threshold: float = DrumDecoding.threshold
    volume: float = 1.0
    mute: bool = False
    solo: bool = False
    hidden: bool = False


PROGRAMS = (0, 71, 42, 73, 40, 24, 56, 19)
"""General MIDI sounds that new tracks get in turn, so that one hears them apart; a person names the right ones."""


def new_track(index: int) -> TrackView:
    """A track nobody has touched."""
    return TrackView(color=index, program=PROGRAMS[index % len(PROGRAMS)])


@dataclass(frozen=True)
class State:
    """What undo goes back to."""

    decoding: Decoding = field(default_factory=Decoding)
    clustering: Clustering = field(default_factory=Clustering)
    edits: Edits = field(default_factory=Edits)
    tracks: tuple[TrackView, ...] = (TrackView(),)
    taught: tuple[tuple[int, float, int], ...] = ()
    """(pitch, onset in seconds, track): notes that a person has assigned to a track."""
    merged: tuple[tuple[int, int], ...] = ()
    """(from, into): timbres that a person has joined, in order."""
    found: int = 0
    """The number of timbres that *Auto* has arrived at, 0 before it has: its next estimate starts from there."""
    beats: BeatEdits = ()
    """Corrections of the beats found, in order: (kind, value)."""
    clean_up: CleanUp = field(default_factory=CleanUp)
    """What is tidied in the decoded notes before corrections are laid over them."""
    kit: Kit = field(default_factory=Kit)
    strokes: Edits = field(default_factory=Edits)
    """Corrections of the drum strokes, whose pitch is a General MIDI drum sound."""
    sorted_by: str = "writer"
    """What written notes (see `widgets.state.written`) are in tracks by: the "writer", as they came, or the "sound"
    under them. Decoded notes know only sound."""


def nearest(notes: Notes, anchors: NDArray[np.float64], skip: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """Index of the note that each (pitch, onset) row of `anchors` (n, 2) speaks of, or -1, each note at most once.

    Notes at which `skip` is true are not meant.
    """
    found = np.full(len(anchors), -1, np.intp)
    if not len(notes) or not len(anchors):
        return found
    taken = np.zeros(len(notes), bool) if skip is None else skip.copy()
    for i, (pitch, onset) in enumerate(anchors):
        first, last = np.searchsorted(notes.onset, (onset - ANCHOR_TOLERANCE_S, onset + ANCHOR_TOLERANCE_S))
        near = np.arange(first, last)
        near = near[(notes.pitch[near] == int(pitch)) & ~taken[near]]
        if len(near):
            found[i] = near[np.argmin(np.abs(notes.onset[near] - onset))]
            taken[found[i]] = True
    return found


def apply_edits(notes: Notes, edits: Edits) -> tuple[Notes, NDArray[np.int32]]:
    """Lay corrections over decoded notes; returns the table and the number of each note made by hand (0 = decoded)."""
    if not edits:
        return notes, np.zeros(len(notes), np.int32)
    struck = nearest(notes, np.asarray(edits.removed, np.float64).reshape(-1, 2))
    keep = np.ones(len(notes), bool)
    keep[struck[struck >= 0]] = False
    base = notes.select(keep)
    added = edits.added
    if not added:
        return base, np.zeros(len(base), np.int32)
    count = max(len(notes.tracks), 1 + max(note.track for note in added))
    tracks = tuple(notes.tracks) + tuple(Track(f"Timbre {i + 1}") for i in range(len(notes.tracks), count))
    width = notes.embedding.shape[1]
    n = len(base)
    onset = np.concatenate([base.onset, [note.onset for note in added]])
    pitch = np.concatenate([base.pitch, [note.pitch for note in added]])
    track = np.concatenate([base.track, [note.track for note in added]])
    hand = np.asarray([0] * n + [note.id for note in added], np.int32)
    table = Notes.build(
        onset,
        np.concatenate([base.offset, [note.offset for note in added]]),
        pitch,
        np.concatenate([base.velocity, [note.velocity for note in added]]),
        np.concatenate([base.confidence, np.ones(len(added), np.float32)]),
        track,
        np.concatenate([base.embedding, np.zeros((len(added), width), np.float32)]),
        tracks,
    )
    order = np.lexsort((track.astype(np.int16), pitch.astype(np.int16), onset))
    return table, hand[order]


def strike(edits: Edits, notes: Notes, hand_ids: NDArray[np.int32], index: NDArray[np.intp]) -> Edits:
    """Take these notes out: decoded ones are struck, those made by hand (named by their number) are forgotten."""
    struck = tuple((int(notes.pitch[i]), round(float(notes.onset[i]), 6)) for i in index if not hand_ids[i])
    gone = {int(hand_ids[i]) for i in index if hand_ids[i]}
    return Edits(edits.removed + struck, tuple(note for note in edits.added if note.id not in gone))


def check(state: State) -> None:
    """Raise ``ValueError`` with a sentence if a value of a state that was read from a file is impossible."""
    decoding, clustering = state.decoding, state.clustering
    _require(0 <= decoding.onset_threshold <= 1 and 0 <= decoding.frame_threshold <= 1, "a threshold")
    _require(0 <= decoding.offset_threshold <= 1 and decoding.ends in ENDS, "where notes end")
    _require(0 <= decoding.min_note_length <= 60 and 0 <= decoding.energy_tolerance <= 60, "a length")
    _require(0 <= decoding.min_pitch <= decoding.max_pitch <= 127, "the pitch range")
    _require(0 <= state.clean_up.strength <= 1, "the strength of the clean-up")
    edited_beats(Beats.steady(120.0, 10.0), state.beats)
    timbres = clustering.timbres
    _require(timbres is None or 1 <= timbres <= MAX_TRACKS, "the number of timbres")
    _require(1 <= clustering.max_timbres <= MAX_TRACKS, "the highest number of timbres")
    _require(1 <= clustering.min_timbres <= MAX_TRACKS, "the lowest number of timbres")
    _require(0 <= state.found <= MAX_TRACKS, "the number of timbres found")
    _require(1 <= len(state.tracks) <= MAX_TRACKS, "the number of tracks")
    for view in state.tracks:
        _require(0 <= view.program <= 127 and 0 <= view.color < 1000 and 0 <= view.volume <= 4, "a track")
    kit = state.kit
    _require(state.sorted_by in SORTED_BY, "what notes are sorted by")
    _require(kit.when in DRUMS and 0 <= kit.threshold <= 1 and 0 <= kit.volume <= 4, "the drums")
    for note in state.edits.added + state.strokes.added:
        _require(0 <= note.onset < note.offset < LONGEST_S, "a note's time")
        _require(0 <= note.pitch <= 127 and 1 <= note.velocity <= 127, "a note's pitch or velocity")
        _require(0 <= note.track < MAX_TRACKS, "a note's track")
        _require(0 < note.id < 1 << 24, "a note's number")
    for pitch, onset in state.edits.removed + state.strokes.removed:
        _require(0 <= pitch <= 127 and 0 <= onset < LONGEST_S, "a note that was taken out")
    for pitch, onset, track in state.taught:
        _require(0 <= pitch <= 127 and 0 <= onset < LONGEST_S and 0 <= track < MAX_TRACKS, "a note that was sorted")
    for pair in state.merged:
        _require(all(0 <= track < MAX_TRACKS for track in pair), "a joined track")


def _require(possible: bool, what: str) -> None:
    if not possible:
        raise ValueError(f"{what} lies outside its range")


def worked_on(state: State) -> int:
    """How many corrections by hand a state holds: notes changed, sorted, tracks joined or named, beats
    corrected."""
    named = sum(1 for view in state.tracks if view.name)
    bars = max(len(state.beats) - 1, 1) if state.beats else 0
    return len(state.edits) + len(state.strokes) + len(state.taught) + len(state.merged) + named + bars


def hand_work(state: State) -> tuple[object, ...]:
    """What of a state is work by hand, to see whether there is any that no file holds."""
    names = tuple(view.name for view in state.tracks if view.name)
    return state.edits, state.strokes, state.taught, state.merged, state.beats, names
