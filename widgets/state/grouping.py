"""From notes to notes with tracks: clustering by timbre where there are embeddings, and a person's own sorting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes, Track
from widgets.state.edits import State, nearest


@dataclass(frozen=True)
class Grouping:
    """What came of the clustering: how many timbres, and how probable each number of them is."""

    available: bool = False
    """Whether the network gave embeddings to cluster by."""
    timbres: int = 1
    probability: tuple[float, ...] = ()
    """Of 1, 2, … timbres."""
    centroids: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    problem: BaseException | None = field(default=None, compare=False)
    """Why the clustering failed, if it did: the notes are then in one track."""


def track_name(state: State, index: int) -> str:
    """The name a person has given, or "Timbre 1" and so on."""
    given = state.tracks[index].name if index < len(state.tracks) else ""
    return given or f"Timbre {index + 1}"


def name_tracks(notes: Notes, state: State) -> Notes:
    """Tracks with the names and sounds of the state."""
    tracks = tuple(
        Track(track_name(state, i), state.tracks[i].program if i < len(state.tracks) else 0)
        for i in range(max(len(state.tracks), len(notes.tracks)))
    )
    return notes.with_tracks(notes.track, tracks)


def group(
    notes: Notes, state: State, before: Notes | None, known: Grouping, *, thorough: bool = True
) -> tuple[Notes, Grouping]:
    """Give every decoded note its track.

    Parameters
    ----------
    notes
        Decoded notes, with embeddings where the network has a timbre branch.
    state
        Number of timbres, notes taught by hand, tracks merged by hand.
    before
        The result before this one: tracks keep the number that most of their notes had.
    known
        The grouping that `before` came from.
    thorough
        False while a slider is being dragged: notes then go to the nearest of the known timbres.
    """
    track = np.zeros(len(notes), np.intp)
    result = Grouping()
    given = _given(notes, state)
    if notes.embedding.shape[1] and len(notes):
        if not thorough and known.centroids:
            result = known
            centroids = np.asarray(known.centroids, np.float32)
            likeness = notes.embedding @ centroids.T
            likeness[:, ~centroids.any(axis=1)] = -2.0
            track = np.argmax(likeness, axis=1)
        else:
            try:
                track, result = _cluster(notes, state, before, given, known)
            except Exception as error:
                result = Grouping(problem=error)
    for index, number in given.items():
        track[index] = number
    return _with_tracks(notes, track), result


def merged(notes: Notes, state: State) -> Notes:
    """The notes after the joins that a person has asked for, in order."""
    track = notes.track.astype(np.intp)
    for source, target in state.merged:
        track = np.where(track == source, target, track)
    return _with_tracks(notes, track)


def _with_tracks(notes: Notes, track: NDArray[np.intp]) -> Notes:
    count = max(int(track.max()) + 1 if len(track) else 1, 1)
    return notes.with_tracks(track, tuple(Track(f"Timbre {i + 1}") for i in range(count)))


def _given(notes: Notes, state: State) -> dict[int, int]:
    """Index and track of the notes that a person has sorted."""
    if not state.taught:
        return {}
    taught = np.asarray(state.taught, np.float64)
    index = nearest(notes, taught[:, :2])
    return {int(i): int(t) for i, t in zip(index, taught[:, 2], strict=True) if i >= 0}


def _cluster(
    notes: Notes, state: State, before: Notes | None, given: dict[int, int], known: Grouping
) -> tuple[NDArray[np.intp], Grouping]:
    from amtsep.clustering import cluster, estimate_timbres

    settings = state.clustering
    estimate = estimate_timbres(notes, settings)
    wanted = settings.timbres or estimate.timbres
    table = cluster(notes, replace(settings, timbres=wanted), previous=before, given=given or None)
    track = table.track.astype(np.intp)
    centroids = np.zeros((int(track.max()) + 1, notes.embedding.shape[1]), np.float32)
    np.add.at(centroids, track, notes.embedding)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True) + 1e-9
    return track, Grouping(True, estimate.timbres, estimate.probability, tuple(map(tuple, centroids.tolist())))
