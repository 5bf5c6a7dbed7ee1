"""`Notes`: the one table of note events that every other part reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Track:
    """What a timbre is in the output: a name and a General MIDI sound (0-127), or a drum kit.

    Notes of a kit are strokes: their pitch is a key of General MIDI's percussion.
    """

    name: str = "Notes"
    program: int = 0
    drums: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.program <= 127:
            raise ValueError(f"{self.program} is no General MIDI sound; they are numbered 0 to 127.")


class Note(NamedTuple):
    """One row of a table, as plain numbers: what looping over `Notes` gives."""

    onset: float
    """Seconds."""
    offset: float
    """Seconds."""
    pitch: int
    """MIDI number."""
    velocity: int
    confidence: float
    track: int
    """Index into the table's `tracks`."""


@dataclass(frozen=True, eq=False)
class Notes:
    """Note events as a structure of arrays, one entry a note, sorted by onset, then pitch.

    ``len(notes)``, ``notes[0]`` and ``for note in notes`` work as with a list of `Note`; ``notes[10:20]``,
    ``notes[notes.pitch > 60]`` and ``notes[[1, 5]]`` are tables again.

    Parameters
    ----------
    onset, offset
        Seconds, float64; ``0 <= onset < offset``.
    pitch
        MIDI numbers, int16, 0 to 127.
    velocity
        1 to 127, int16.
    confidence
        In [0, 1], float32.
    track
        Index into `tracks`, int16.
    embedding
        (n, D) float32, unit length; D = 0 where there is none.
    tracks
        The tracks that `track` points into; at least one.
    panning
        (n, 2) float32: where each note lies between the channels of a stereo recording, -1 (left) to 1 (right), and how
        sure that is, in [0, 1]; ``None`` where nobody knows.

    Raises
    ------
    ValueError
        If the arrays differ in length or hold values out of range.
    """

    onset: NDArray[np.float64]
    offset: NDArray[np.float64]
    pitch: NDArray[np.int16]
    velocity: NDArray[np.int16]
    confidence: NDArray[np.float32]
    track: NDArray[np.int16]
    embedding: NDArray[np.float32]
    tracks: tuple[Track, ...] = field(default=(Track(),))
    panning: NDArray[np.float32] | None = None

    # Ways to files and back, which `amtsep.formats` provides: see `write_midi`, `read_midi` and their like there.
    to_midi: ClassVar[Callable[..., Path]]
    to_csv: ClassVar[Callable[..., Path]]
    to_json: ClassVar[Callable[..., Path]]
    to_musicxml: ClassVar[Callable[..., Path]]
    to_jams: ClassVar[Callable[..., Path]]
    to_pretty_midi: ClassVar[Callable[..., Any]]
    to_dataframe: ClassVar[Callable[..., Any]]
    _repr_html_: ClassVar[Callable[[Notes], str]]
    from_midi: ClassVar[Callable[..., Notes]]
    from_csv: ClassVar[Callable[..., Notes]]
    from_json: ClassVar[Callable[..., Notes]]
    from_jams: ClassVar[Callable[..., Notes]]

    def joined(self, other: Notes) -> tuple[Notes, NDArray[np.intp]]:
        """Both tables' notes, the other's tracks behind ours, and where each stood: from ``len(self)`` on in `other`.

        Embeddings are kept where both have one of the same length; panning where one of them has it, quite unsure for
        the other's notes.
        """
        width = self.embedding.shape[1] if self.embedding.shape[1] == other.embedding.shape[1] else 0
        onset, offset, pitch, velocity, confidence = (
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("onset", "offset", "pitch", "velocity", "confidence")
        )
        track = np.concatenate([self.track, other.track + len(self.tracks)]).astype(np.int16)
        embedding = np.concatenate([self.embedding[:, :width], other.embedding[:, :width]])
        order = np.lexsort((track, pitch, onset))
        tracks = [*self.tracks, *other.tracks]
        panning = _pannings((self, other))
        table = Notes.build(onset, offset, pitch, velocity, confidence, track, embedding, tracks, panning)
        return table, order

    def parted(self) -> tuple[Notes, Notes]:
        """The notes that are no strokes and those that are, a table each with its own tracks: what `joined` joins."""
        return self._of_kind(False), self._of_kind(True)

    def _of_kind(self, drums: bool) -> Notes:
        own = [number for number, track in enumerate(self.tracks) if track.drums == drums]
        chosen = self.select(self.struck == drums)
        tracks = [self.tracks[number] for number in own] or [Track(drums=drums)]
        return chosen.with_tracks(np.searchsorted(own, chosen.track), tracks)

    @classmethod
    def build(
        cls,
        onset: ArrayLike,
        offset: ArrayLike,
        pitch: ArrayLike,
        velocity: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
        track: ArrayLike | None = None,
        embedding: ArrayLike | None = None,
        tracks: Sequence[Track] | None = None,
        panning: ArrayLike | None = None,
    ) -> Notes:
        """Make a table from anything array-like: fills what is left out, sorts, checks.

        Left out, velocity is 80, confidence 1, track 0, and `tracks` is as long as `track` needs; nobody knows the
        panning.
        """
        on = np.asarray(onset, np.float64).reshape(-1)
        n = len(on)
        off = np.asarray(offset, np.float64).reshape(-1)
        pit = _whole(pitch, "pitch")
        vel = np.full(n, 80, np.int16) if velocity is None else _whole(velocity, "velocity")
        conf = np.ones(n, np.float32) if confidence is None else np.asarray(confidence, np.float32).reshape(-1)
        trk = np.zeros(n, np.int16) if track is None else _whole(track, "track number")
        emb = np.zeros((n, 0), np.float32) if embedding is None else np.asarray(embedding, np.float32)
        if emb.ndim != 2 or not (len(off) == len(pit) == len(vel) == len(conf) == len(trk) == len(emb) == n):
            raise ValueError("The columns of a note table must have the same length.")
        pan = None if panning is None else np.asarray(panning, np.float32)
        if pan is not None and pan.shape != (n, 2):
            raise ValueError("The panning of a note table must have two values a note.")
        if tracks is None:
            count = max(int(trk.max()) + 1 if n else 1, 1)
            tracks = (Track(),) if count == 1 else tuple(Track(f"Timbre {i + 1}") for i in range(count))
        order = np.lexsort((trk, pit, on))
        pan = None if pan is None else pan[order]
        table = cls(
            on[order], off[order], pit[order], vel[order], conf[order], trk[order], emb[order], tuple(tracks), pan
        )
        table.validate()
        return table

    @classmethod
    def empty(cls, tracks: Sequence[Track] = (Track(),)) -> Notes:
        """A table with no notes."""
        return cls.build([], [], [], tracks=tracks)

    def validate(self) -> None:
        """Raise ``ValueError`` with a sentence if a column holds a value out of its range."""
        if not len(self):
            return
        if not (np.all(np.isfinite(self.onset)) and np.all(np.isfinite(self.offset))):
            raise ValueError("A note has an onset or offset that is not a number.")
        if np.any(self.onset < 0) or np.any(self.offset <= self.onset):
            raise ValueError("A note starts before zero or ends before it starts.")
        if self.pitch.min() < 0 or self.pitch.max() > 127:
            raise ValueError("A pitch lies outside the MIDI range 0 to 127.")
        if self.velocity.min() < 1 or self.velocity.max() > 127:
            raise ValueError("A velocity lies outside 1 to 127.")
        if not np.all((self.confidence >= 0) & (self.confidence <= 1)):
            raise ValueError("A confidence lies outside 0 to 1.")
        if self.track.min() < 0 or self.track.max() >= len(self.tracks):
            raise ValueError("A note points to a track that does not exist.")

    def __len__(self) -> int:
        return len(self.onset)

    def __iter__(self) -> Iterator[Note]:
        columns = (self.onset, self.offset, self.pitch, self.velocity, self.confidence, self.track)
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield Note(*row)

    @overload
    def __getitem__(self, which: int | np.integer) -> Note: ...

    @overload
    def __getitem__(self, which: slice | ArrayLike) -> Notes: ...

    def __getitem__(self, which: Any) -> Note | Notes:
        if isinstance(which, (int, np.integer)):
            columns = (self.onset, self.offset, self.pitch, self.velocity, self.confidence, self.track)
            return Note(*(column[which].item() for column in columns))
        index = np.arange(len(self))[which if isinstance(which, slice) else np.asarray(which)]
        return self.select(index)

    def __repr__(self) -> str:
        span = f"{self.onset[0]:.2f}-{self.end:.2f} s" if len(self) else "empty"
        return f"Notes({len(self)} notes, {len(self.tracks)} track(s), {span})"

    @property
    def end(self) -> float:
        """Seconds at which the last note ends; 0 for an empty table."""
        return float(self.offset.max()) if len(self) else 0.0

    def intervals(self) -> NDArray[np.float64]:
        """(n, 2) onsets and offsets in seconds: what `mir_eval.transcription` takes, with `frequencies`."""
        return np.stack([self.onset, self.offset], axis=1)

    def frequencies(self) -> NDArray[np.float64]:
        """Frequencies of the pitches in Hz, A4 = 440 Hz."""
        return np.asarray(440.0 * 2.0 ** ((self.pitch.astype(np.float64) - 69.0) / 12.0))

    @property
    def duration(self) -> NDArray[np.float64]:
        """Seconds, a value a note."""
        return self.offset - self.onset

    @property
    def struck(self) -> NDArray[np.bool_]:
        """(n,) which notes are strokes: those on tracks of drums."""
        return np.array([track.drums for track in self.tracks], bool)[self.track]

    def select(self, which: ArrayLike) -> Notes:
        """The notes at these indices or where this mask is true; tracks stay as they are."""
        index = np.asarray(which)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        index = np.sort(index.astype(np.intp).reshape(-1))
        return replace(
            self,
            onset=self.onset[index],
            offset=self.offset[index],
            pitch=self.pitch[index],
            velocity=self.velocity[index],
            confidence=self.confidence[index],
            track=self.track[index],
            embedding=self.embedding[index],
            panning=None if self.panning is None else self.panning[index],
        )

    def with_tracks(self, track: ArrayLike, tracks: Sequence[Track]) -> Notes:
        """The same notes with other track numbers (a value a note, in this table's order)."""
        table = replace(self, track=np.asarray(track, np.int16).reshape(-1), tracks=tuple(tracks))
        table.validate()
        return table

    def by_track(self) -> Iterator[tuple[Track, Notes]]:
        """Each track with its own notes."""
        for index, track in enumerate(self.tracks):
            yield track, self.select(self.track == index)

    def equals(self, other: Notes, tolerance_s: float = 0.0) -> bool:
        """Whether two tables hold the same notes and tracks, times within `tolerance_s`; embeddings do not count."""
        return (
            len(self) == len(other)
            and self.tracks == other.tracks
            and bool(np.all(np.abs(self.onset - other.onset) <= tolerance_s))
            and bool(np.all(np.abs(self.offset - other.offset) <= tolerance_s))
            and bool(np.array_equal(self.pitch, other.pitch))
            and bool(np.array_equal(self.velocity, other.velocity))
            and bool(np.array_equal(self.track, other.track))
        )

    @staticmethod
    def concatenate(tables: Sequence[Notes]) -> Notes:
        """Join tables; the tracks of each follow those of the one before."""
        if not tables:
            return Notes.empty()
        shift = np.cumsum([0] + [len(t.tracks) for t in tables])
        width = max(t.embedding.shape[1] for t in tables)
        embeddings = [
            t.embedding if t.embedding.shape[1] == width else np.zeros((len(t), width), np.float32) for t in tables
        ]
        return Notes.build(
            np.concatenate([t.onset for t in tables]),
            np.concatenate([t.offset for t in tables]),
            np.concatenate([t.pitch for t in tables]),
            np.concatenate([t.velocity for t in tables]),
            np.concatenate([t.confidence for t in tables]),
            np.concatenate([t.track + s for t, s in zip(tables, shift[:-1], strict=True)]),
            np.concatenate(embeddings),
            [track for t in tables for track in t.tracks],
            _pannings(tables),
        )


def _pannings(tables: Sequence[Notes]) -> NDArray[np.float32] | None:
    """Panning of the notes of several tables: quite unsure where a table has none, ``None`` where no table has any."""
    if all(t.panning is None for t in tables):
        return None
    return np.concatenate([np.zeros((len(t), 2), np.float32) if t.panning is None else t.panning for t in tables])


def _whole(values: ArrayLike, what: str) -> NDArray[np.int16]:
    """Values as int16, unless one of them is no whole number or would wrap around."""
    given = np.asarray(values).reshape(-1)
    if given.dtype != np.int16 and len(given):
        limits = np.iinfo(np.int16)
        if not np.all((given >= limits.min) & (given <= limits.max)) or np.any(given != np.floor(given)):
            raise ValueError(f"A {what} is no whole number in its range.")
    return given.astype(np.int16)
