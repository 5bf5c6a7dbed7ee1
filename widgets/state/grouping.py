"""From notes to notes with tracks: clustering by timbre where there are embeddings, and a person's own sorting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Clustering
from amtsep.formats.midi import program_name
from amtsep.notes import Notes, Track
from amtsep.posteriors import Posteriors
from widgets.state.edits import MAX_TRACKS, Edits, State, nearest
from widgets.state.written import Written

if TYPE_CHECKING:
    from amtsep.clustering import Evidence

STAY = 3.0
"""*Auto* changes its mind for a number of timbres that is so many times as probable as the one it is at: else a step of
a slider that hardly changes the notes could sort all of them anew."""


@dataclass(frozen=True)
class Grouping:
    """What came of the clustering: how many timbres, and how probable each number of them is."""

    available: bool = False
    """Whether the network gave embeddings to cluster by."""
    timbres: int = 1
    """The number that *Auto* holds to be right."""
    tracks: int = 1
    """How many there are to see, timbres that are joined counted once."""
    probability: tuple[float, ...] = ()
    """Of 1, 2, … timbres."""
    centroids: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    problem: BaseException | None = field(default=None, compare=False)
    """Why the clustering failed, if it did: the notes are then in one track."""


def places(notes: Notes, count: int) -> list[int]:
    """The place of each track in the list that a person sees: those with notes in order, then the empty ones."""
    full = np.bincount(notes.track, minlength=count)[:count] > 0
    order = np.argsort(~full, kind="stable")
    place = np.empty(count, np.intp)
    place[order] = np.arange(count)
    return [int(i) for i in place]


def given_names(state: State, came: Written | None) -> tuple[str, ...]:
    """Names of the tracks: a person's, or those that written notes came with; empty where there is none."""
    came_with = came.names if came is not None and state.sorted_by == "writer" else ()
    own = tuple(view.name for view in state.tracks)
    count = max(len(own), len(came_with))
    both = zip(own + ("",) * (count - len(own)), came_with + ("",) * (count - len(came_with)), strict=True)
    return tuple(mine or theirs for mine, theirs in both)


def called_by_sound(state: State, came: Written | None, index: int) -> bool:
    """Whether a track without a name is called by its General MIDI sound, as a network that names instruments means."""
    if came is None or state.sorted_by != "writer" or index >= len(came.instruments):
        return False
    return came.instruments[index]


def name_tracks(notes: Notes, state: State, came: Written | None = None) -> Notes:
    """Tracks with the names and sounds of the state; those without a name are called by the sound that a network or a
    file means, or numbered as a person sees them."""
    names = given_names(state, came)
    count = max(len(state.tracks), len(notes.tracks))
    tracks = []
    for i, place in enumerate(places(notes, count)):
        program = state.tracks[i].program if i < len(state.tracks) else 0
        unnamed = program_name(program) if called_by_sound(state, came, i) else f"Timbre {place + 1}"
        tracks.append(Track((names[i] if i < len(names) else "") or unnamed, program))
    return notes.with_tracks(notes.track, tracks)


def group(
    notes: Notes,
    state: State,
    before: Notes | None,
    known: Grouping,
    *,
    thorough: bool = True,
    came: Written | None = None,
) -> tuple[Notes, Grouping]:
    """Give every decoded or written note its track.

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
    came
        What the notes were written as, if they were; None where they were decoded.
    """
    track = np.zeros(len(notes), np.intp)
    result = Grouping()
    given = _given(notes, state)
    if came is not None and state.sorted_by == "writer":
        track = came.notes.track.astype(np.intp)
        result = Grouping(timbres=len(came.notes.tracks), tracks=len(came.notes.tracks))
    elif notes.embedding.shape[1] and len(notes):
        if not thorough and known.centroids:
            result = known
            centroids = np.asarray(known.centroids, np.float32)
            likeness = _heard(notes, state.clustering) @ centroids.T
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


def held(best: int, probability: tuple[float, ...], before: int) -> int:
    """The estimated number of timbres, or the one before where that is nearly as probable (see `STAY`)."""
    if 1 <= before <= len(probability) and probability[before - 1] * STAY > probability[best - 1]:
        return before
    return best


def visible(notes: Notes, state: State) -> set[int]:
    """Numbers of the tracks that hold notes, after the joins."""
    return set(merged(notes, state).track.tolist())


def merged(notes: Notes, state: State) -> Notes:
    """The notes after the joins that a person has asked for, in order."""
    track = notes.track.astype(np.intp)
    for source, target in state.merged:
        track = np.where(track == source, target, track)
    return _with_tracks(notes, track)


def sorted_by_ear(table: Notes, hand_ids: NDArray[np.int32], state: State, posteriors: Posteriors) -> Edits:
    """The corrections of a state, its notes by hand in the tracks that sound most like them.

    Parameters
    ----------
    table, hand_ids
        Notes as they are shown; of each the number that names it among those made by hand, 0 for others. Where there
        are no others, those by hand are told apart among themselves.
    """
    from amtsep.clustering import cluster
    from amtsep.decoding import embed_notes

    hand = hand_ids > 0
    if not hand.any():
        return state.edits
    heard = embed_notes(table, posteriors)
    if hand.all():
        track = cluster(heard, state.clustering).track
    else:
        tracks = np.unique(table.track[~hand])
        means = np.stack([heard.embedding[~hand & (table.track == t)].mean(axis=0) for t in tracks])
        means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-9
        track = np.where(hand, tracks[np.argmax(heard.embedding @ means.T, axis=1)], table.track)
    place = {int(number): int(t) for number, t in zip(hand_ids[hand], track[hand], strict=True)}
    return replace(
        state.edits, added=tuple(replace(note, track=place.get(note.id, note.track)) for note in state.edits.added)
    )


def _with_tracks(notes: Notes, track: NDArray[np.intp]) -> Notes:
    count = max(int(track.max()) + 1 if len(track) else 1, 1)
    return notes.with_tracks(track, tuple(Track(f"Timbre {i + 1}") for i in range(count)))


def _heard(notes: Notes, settings: Clustering, evidence: Evidence | None = None) -> NDArray[np.float32]:
    """What notes are compared by while a slider moves: their sound and, in a stereo recording, their place."""
    if notes.panning is None:
        return notes.embedding
    from amtsep.clustering import Evidence

    return (evidence or Evidence(notes, settings.stereo)).points.x.astype(np.float32)


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
    from amtsep.clustering import Evidence, cluster, estimate_timbres

    settings = state.clustering
    evidence = Evidence(notes, settings.stereo)
    estimate = estimate_timbres(notes, settings, evidence=evidence)
    found = held(estimate.timbres, estimate.probability, state.found)

    def sort(timbres: int, before: Notes | None) -> Notes:
        exactly = replace(settings, timbres=timbres)
        return cluster(notes, exactly, previous=before, given=given or None, evidence=evidence)

    fresh = set(given.values()) - set(before.track.tolist()) if before is not None else set()
    if fresh and settings.timbres is not None and settings.timbres > len(fresh):
        # A track that has just been taught: who sounds like its notes is found first, so that it keeps its number.
        before = sort(settings.timbres - len(fresh), before)
    wanted = found
    if settings.timbres is not None:
        wanted = min(settings.timbres + len({source for source, _ in state.merged}), MAX_TRACKS)
    table = sort(wanted, before)
    for _ in range(2 if settings.timbres is not None and state.merged else 0):
        # The number is that of tracks as a person sees them; a timbre that was joined may not be there any more.
        more = (settings.timbres or 1) - len(visible(table, state))
        if not more or not 1 <= wanted + more <= MAX_TRACKS:
            break
        wanted += more
        table = sort(wanted, before)
    track = table.track.astype(np.intp)
    heard = _heard(notes, settings, evidence)
    centroids = np.zeros((int(track.max()) + 1, heard.shape[1]), np.float32)
    np.add.at(centroids, track, heard)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True) + 1e-9
    tracks = len(visible(table, state))
    return track, Grouping(True, found, tracks, estimate.probability, tuple(map(tuple, centroids.tolist())))
