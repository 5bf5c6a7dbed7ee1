"""Notes to tracks by how they sound: how many timbres there are, and who plays each note.

    cluster(notes)                       tracks; their number estimated
    cluster(notes, Clustering(timbres=3))
    cluster(notes, previous=before)      track numbers follow the earlier result
    cluster(notes, given={17: 2})        note 17 is track 2; the rest follows
    estimate_timbres(notes)              a probability for every number of timbres

NumPy only (SciPy for one assignment problem); nothing here takes time or memory of the order of the number of notes
squared.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from amtsep.clustering.assign import METHODS
from amtsep.clustering.constraints import check_given
from amtsep.clustering.count import TimbreEstimate, estimate_timbres
from amtsep.clustering.evidence import Evidence
from amtsep.clustering.points import Labels, Values, note_points
from amtsep.clustering.soft import Memberships, as_it_is, memberships, unison_partners
from amtsep.clustering.stability import keep_numbers, match_tracks, name_tracks
from amtsep.config import Clustering
from amtsep.notes import Notes

__all__ = [
    "Evidence",
    "METHODS",
    "Memberships",
    "TimbreEstimate",
    "cluster",
    "double_unisons",
    "embedding_map",
    "estimate_timbres",
    "match_tracks",
    "track_memberships",
]


def _assign(
    evidence: Evidence, settings: Clustering, previous: Notes | None, given: Mapping[int, int] | None
) -> Labels:
    """A track number for every note."""
    if settings.method not in METHODS:
        raise ValueError(f"There is no clustering method '{settings.method}'; choose one of {', '.join(METHODS)}.")
    if settings.timbres is not None and settings.timbres < 1:
        raise ValueError("The number of timbres must be at least 1.")
    notes, points = evidence.notes, evidence.points
    table = check_given(given, len(notes))
    k = settings.timbres or estimate_timbres(notes, settings, evidence=evidence).timbres
    k = max(1, min(k, len(notes)))
    labels = METHODS[settings.method](points, k, settings.seed)
    number = keep_numbers(notes, memberships(evidence, labels, k, settings).labels(), previous)
    if table:
        # Only now do clusters have the numbers that a person saw and meant.
        number[list(table)] = list(table.values())
        used, dense = np.unique(number, return_inverse=True)
        inner = {index: int(np.searchsorted(used, track)) for index, track in table.items()}
        soft = memberships(evidence, dense.reshape(-1), len(used), settings, inner)
        number = used[soft.labels()]
        number[list(table)] = list(table.values())
    return number


def cluster(
    notes: Notes,
    settings: Clustering = Clustering(),  # noqa: B008 - frozen
    previous: Notes | None = None,
    given: Mapping[int, int] | None = None,
    evidence: Evidence | None = None,
) -> Notes:
    """Give every note a track by its timbre embedding.

    Parameters
    ----------
    notes
        With embeddings; their tracks are not looked at.
    settings
        How many timbres (estimated if ``None``), the method, the weak evidence.
    previous
        An earlier result, maybe of other notes: a track keeps the number, name and sound that most of its notes had,
        and a number that nobody has any more stays empty. Without it tracks are numbered by order of entry.
    given
        Note index to track number, as a person says: these notes get it, and the rest follows. The numbers are those of
        the result without `given` (and with the same `previous`); a number that is not there makes a new track.
    evidence
        Of these notes, where it is known already: of several calls the second one need not compute it again.

    Returns
    -------
    Notes
        The same notes with tracks; with ``settings.unisons``, some of them twice.

    Raises
    ------
    ValueError
        If the notes hold no embedding, or a setting or given track is out of range.

    Examples
    --------
    >>> notes = Notes.build([0, 1, 2, 3], [1, 2, 3, 4], [60, 62, 61, 64], embedding=[[1, 0], [0, 1], [1, 0], [0, 1]])
    >>> cluster(notes, Clustering(timbres=2)).track.tolist()
    [0, 1, 0, 1]
    """
    if not len(notes):
        note_points(notes)
        return notes.with_tracks([], name_tracks(np.zeros(0, np.intp), previous))
    evidence = evidence or Evidence(notes, settings.stereo)
    number = _assign(evidence, settings, previous, given)
    found = notes.with_tracks(number, name_tracks(number, previous))
    return double_unisons(found, settings, evidence) if settings.unisons else found


def double_unisons(
    notes: Notes,
    settings: Clustering = Clustering(),  # noqa: B008 - frozen
    evidence: Evidence | None = None,
) -> Notes:
    """Notes with tracks, and a second copy of those that two timbres play at once, on the other's track.

    Raises
    ------
    ValueError
        If the notes hold no embedding.
    """
    evidence = evidence or Evidence(notes, settings.stereo)
    points = evidence.points
    if not len(notes):
        return notes
    used, dense = np.unique(notes.track, return_inverse=True)
    soft = as_it_is(points, dense.reshape(-1).astype(np.intp), len(used))
    partner = unison_partners(evidence, soft, settings.unison_evidence)
    doubled = np.flatnonzero(partner >= 0)
    if not len(doubled):
        return notes
    copies = notes.select(doubled).with_tracks(used[partner[doubled]], notes.tracks)
    columns = ("onset", "offset", "pitch", "velocity", "confidence", "track", "embedding")
    both = {name: np.concatenate([getattr(notes, name), getattr(copies, name)]) for name in columns}
    panning = None if notes.panning is None else np.concatenate([notes.panning, notes.panning[doubled]])
    return Notes.build(**both, tracks=notes.tracks, panning=panning)


def track_memberships(notes: Notes, settings: Clustering = Clustering()) -> Values:  # noqa: B008 - frozen
    """Probability of each track for every note, (n, tracks), for notes that have tracks."""
    k = len(notes.tracks)
    return memberships(Evidence(notes, settings.stereo), notes.track.astype(np.intp), k, settings).probability


def embedding_map(notes: Notes) -> Values:
    """Positions of the notes in a plane, (n, 2) in about [-1, 1]: the two principal components of the embeddings.

    The sign of an axis is chosen so that its largest weight is positive: the map does not flip between two runs.
    """
    points = note_points(notes)
    if not len(points):
        return np.zeros((0, 2))
    centred = points.x - np.average(points.x, axis=0, weights=points.weight)
    _, axes = np.linalg.eigh((centred * points.weight[:, None]).T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    plane = centred @ axes
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
