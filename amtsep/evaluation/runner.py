"""Run a system over recordings and score it: posteriors cached, decoding and scoring as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from amtsep.audio import Audio
from amtsep.cache import load_posteriors, posteriors_key, store_posteriors
from amtsep.config import Clustering, Decoding, FrontEnd, Progress
from amtsep.decoding import Decoder, embed_notes
from amtsep.errors import Cancelled
from amtsep.evaluation.instruments import Instruments, evaluate_instruments
from amtsep.evaluation.metrics import Agnostic, evaluate_agnostic
from amtsep.evaluation.readers import Recording
from amtsep.evaluation.separation import Separated, TrackCounts, count_tracks, evaluate_separated, relabel
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors

HOP_S = FrontEnd().hop_s
Timbres = Literal["given", "estimated"]


class Transcribes(Protocol):
    """Anything that makes posteriors of a recording, such as `amtsep.inference.Transcriber`."""

    def __call__(self, audio: Audio, /) -> Posteriors: ...


@dataclass(frozen=True, eq=False)
class Result:
    """One recording's figures, with the notes that they were taken from."""

    recording: Recording
    estimate: Notes
    agnostic: Agnostic
    given: Separated | None = None
    """Tracks by clustering into the true number of timbres."""
    estimated: Separated | None = None
    """Tracks by clustering into an estimated number."""
    written: Separated | None = None
    """Tracks as the network wrote them."""
    instruments: Instruments | None = None
    """Where it named them."""

    tracks: Notes | None = None
    """The notes in the tracks that were found last, in the order of the parts that they fit."""

    def figures(self) -> dict[str, float]:
        """All figures under flat names; separated ones begin with ``given_`` or ``estimated_``."""
        flat = dict(self.agnostic.figures())
        separated = (("given", self.given), ("estimated", self.estimated), ("written", self.written))
        for prefix, scores in separated:
            if scores is not None:
                flat.update({f"{prefix}_{name}": value for name, value in scores.figures().items()})
        return flat | (self.instruments.figures() if self.instruments is not None else {})


def posteriors_of(
    recording: Recording, transcriber: Transcribes, model_hash: str = "", cache: Path | None = None
) -> Posteriors:
    """Posteriors of a recording, from the cache where the same sound met the same weights before.

    Parameters
    ----------
    recording
        Its sound is read only where the cache has nothing.
    transcriber
        Makes what is missing.
    model_hash
        Of the weights; without it nothing is cached, since nothing would tell two networks apart.
    cache
        Folder; ``None`` caches nothing.
    """
    key = posteriors_key(recording.content_hash(), model_hash) if cache is not None and model_hash else ""
    known = load_posteriors(key, cache) if key else None
    posteriors = known or transcriber(Audio(recording.audio(), FrontEnd.sample_rate, recording.name))
    if posteriors.embedding is not None and posteriors.stereo is None:
        image = recording.stereo()
        posteriors = posteriors if image is None else replace(posteriors, stereo=image)
    if key and posteriors is not known:
        store_posteriors(key, posteriors, cache)
    return posteriors


def _one_by_one(recordings: Sequence[Recording], progress: Progress | None) -> Iterator[Recording]:
    """The recordings, `progress` being told of each before it and of the end; raises `Cancelled` where it says so."""
    for number, recording in enumerate(recordings):
        if progress is not None and progress(number, len(recordings), recording.name) is False:
            raise Cancelled("The evaluation was cancelled.")
        yield recording
    if progress is not None:
        progress(len(recordings), len(recordings), "")


def evaluate_recordings(
    recordings: Sequence[Recording],
    transcriber: Transcribes,
    decoding: Decoding | None = None,
    *,
    model_hash: str = "",
    cache: Path | None = None,
    timbres: Sequence[Timbres] = (),
    fuse_unisons: bool = True,
    progress: Progress | None = None,
    clustering: Clustering = Clustering(),  # noqa: B008 - frozen
) -> list[Result]:
    """Transcribe and score recordings, one at a time (memory does not grow with their number).

    Parameters
    ----------
    recordings
        From `amtsep.evaluation.readers.recordings()`.
    transcriber
        Sound to posteriors.
    decoding
        Thresholds; the defaults where left out.
    model_hash, cache
        See `posteriors_of`.
    timbres
        "given" and/or "estimated": also score tracks, where the posteriors hold embeddings.
    fuse_unisons
        See `amtsep.evaluation.metrics.evaluate_agnostic`.
    progress
        Called with recordings done and in all.
    clustering
        How tracks are made, the number of timbres apart.

    Raises
    ------
    Cancelled
        If `progress` returns ``False``.
    """
    setting = decoding or Decoding()
    results = []
    for recording in _one_by_one(recordings, progress):
        posteriors = posteriors_of(recording, transcriber, model_hash, cache)
        notes = Decoder(posteriors)(setting)
        wanted = timbres if posteriors.embedding is not None else ()
        if wanted:
            notes = embed_notes(notes, posteriors)
        results.append(score(recording, notes, posteriors.hop_s, wanted, fuse_unisons, clustering))
    return results


def evaluate_notes(
    recordings: Sequence[Recording], transcribe: Callable[[Recording], Notes], hop_s: float = HOP_S
) -> list[Result]:
    """Score a system that gives notes: another tool, or a damaged reference."""
    return [score(recording, transcribe(recording), hop_s) for recording in recordings]


def evaluate_written(
    recordings: Sequence[Recording],
    transcribe: Callable[[Audio], Notes],
    *,
    named: bool = False,
    fuse_unisons: bool = True,
    progress: Progress | None = None,
) -> list[Result]:
    """Score a system that writes its notes itself, each on the track of its voice.

    Parameters
    ----------
    recordings
        From `amtsep.evaluation.readers.recordings()`.
    transcribe
        Sound to notes.
    named
        Whether the tracks' programs mean instruments.
    fuse_unisons
        See `amtsep.evaluation.metrics.evaluate_agnostic`.
    progress
        Called with recordings done and in all.

    Raises
    ------
    Cancelled
        If `progress` returns ``False``.
    """
    results = []
    for recording in _one_by_one(recordings, progress):
        notes = transcribe(Audio(recording.audio(), FrontEnd.sample_rate, recording.name))
        results.append(score_written(recording, notes, named, fuse_unisons))
    return results


def score_written(recording: Recording, notes: Notes, named: bool = False, fuse_unisons: bool = True) -> Result:
    """Figures of notes that come on tracks of their own, and with `named` of their instruments."""
    pitched, true = _pitched(notes), _pitched(recording.reference)
    return Result(
        recording,
        notes,
        evaluate_agnostic(true, pitched, HOP_S, fuse_unisons=fuse_unisons),
        written=evaluate_separated(true, pitched, HOP_S),
        instruments=evaluate_instruments(recording.reference, notes) if named else None,
    )


def _pitched(notes: Notes) -> Notes:
    """Notes without strokes, on the tracks that have any."""
    kept = [index for index, track in enumerate(notes.tracks) if not track.drums] or [0]
    table = notes.select(~np.array([track.drums for track in notes.tracks], bool)[notes.track])
    place = np.zeros(len(notes.tracks), np.int16)
    place[kept] = np.arange(len(kept))
    return table.with_tracks(place[table.track], [notes.tracks[index] for index in kept])


def score(
    recording: Recording,
    notes: Notes,
    hop_s: float = HOP_S,
    timbres: Sequence[Timbres] = (),
    fuse_unisons: bool = True,
    clustering: Clustering = Clustering(),  # noqa: B008 - frozen
) -> Result:
    """Figures of one recording; with `timbres`, the notes are clustered by their embeddings too."""
    separated: dict[str, Separated | None] = {"given": None, "estimated": None}
    tracks: Notes | None = None
    if timbres:
        # Imported here: evaluation without timbres needs no clustering.
        from amtsep.clustering import cluster

        for way in timbres:
            count = recording.n_parts if way == "given" else None
            tracks = cluster(notes, replace(clustering, timbres=count))
            separated[way] = evaluate_separated(recording.reference, tracks, hop_s)
    agnostic = evaluate_agnostic(recording.reference, notes, hop_s, fuse_unisons=fuse_unisons)
    if tracks is not None:
        tracks = relabel(recording.reference, tracks)
    return Result(recording, notes, agnostic, separated["given"], separated["estimated"], tracks=tracks)


def track_counts(results: Sequence[Result]) -> TrackCounts:
    """How well the number of timbres was estimated over recordings."""
    return count_tracks([(r.estimated.n_parts, r.estimated.n_tracks) for r in results if r.estimated is not None])


def decoders_of(
    recordings: Sequence[Recording], transcriber: Transcribes, model_hash: str = "", cache: Path | None = None
) -> list[Callable[[Decoding], Notes]]:
    """The threshold-independent part of every recording, for `amtsep.evaluation.search.search`."""
    return [Decoder(posteriors_of(recording, transcriber, model_hash, cache)) for recording in recordings]
