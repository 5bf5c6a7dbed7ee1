"""Numbers of tracks that stay: by order of entry at first, by overlap with the earlier result afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from amtsep.clustering.points import Labels
from amtsep.notes import Notes, Track

SAME_ONSET_S = 0.05
"""Notes of two tables are the same where their pitch agrees and their onsets lie this close."""


def same_notes(a: Notes, b: Notes) -> tuple[Labels, Labels]:
    """Index pairs of the notes that two tables share: equal pitch, nearest onset within 50 ms."""
    if not len(a) or not len(b):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    # One axis for both: pitches far apart, onsets inside.
    span = max(float(a.onset[-1]), float(b.onset[-1])) + 1.0
    key_a, key_b = a.pitch * span + a.onset, b.pitch * span + b.onset
    order = np.argsort(key_b, kind="stable")
    sorted_b = key_b[order]
    right = np.minimum(np.searchsorted(sorted_b, key_a), len(b) - 1)
    left = np.maximum(right - 1, 0)
    at = np.where(np.abs(sorted_b[left] - key_a) <= np.abs(sorted_b[right] - key_a), left, right)
    good = np.abs(sorted_b[at] - key_a) <= SAME_ONSET_S
    return np.flatnonzero(good), order[at[good]].astype(np.intp)


def entry_order(notes: Notes, labels: Labels) -> Labels:
    """Renumber clusters 0, 1, ... in the order in which their first notes start."""
    if not len(labels):
        return labels
    _, first, dense = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[dense.reshape(-1)]


def keep_numbers(notes: Notes, labels: Labels, previous: Notes | None) -> Labels:
    """Renumber clusters so that each keeps the track number that most of its sounding time had before.

    The pairing is one to one and maximises the shared time (Kuhn-Munkres). Clusters without a counterpart get the
    lowest free numbers in order of entry; a number whose track has gone stays free, so the others keep theirs.
    """
    labels = entry_order(notes, labels)
    if previous is None or not len(previous) or not len(labels):
        return labels
    from scipy.optimize import linear_sum_assignment

    mine, theirs = same_notes(notes, previous)
    count = int(labels.max()) + 1
    overlap = np.zeros((count, len(previous.tracks)))
    np.add.at(overlap, (labels[mine], previous.track[theirs].astype(np.intp)), notes.duration[mine] + 0.05)
    number = np.full(count, -1, np.intp)
    rows, columns = linear_sum_assignment(-overlap)
    shared = overlap[rows, columns] > 0
    number[rows[shared]] = columns[shared]
    taken = set(number.tolist())
    free = iter(i for i in range(2 * count + len(previous.tracks)) if i not in taken)
    for row in range(count):
        if number[row] < 0:
            number[row] = next(free)
    return number[labels]


def name_tracks(labels: Labels, previous: Notes | None) -> tuple[Track, ...]:
    """Tracks for these numbers: those of the earlier result keep name and sound, new ones are "Timbre 1" and so on."""
    count = int(labels.max()) + 1 if len(labels) else 1
    old = () if previous is None else previous.tracks
    tracks = []
    for i in range(count):
        track = old[i] if i < len(old) else Track()
        tracks.append(track if track.name != Track().name else replace(track, name=f"Timbre {i + 1}"))
    return tuple(tracks)


def match_tracks(previous: Notes, notes: Notes) -> Notes:
    """The notes with their tracks renumbered and named after those of an earlier result.

    Parameters
    ----------
    previous
        The earlier result; its notes need not be the same.
    notes
        The new one.

    Examples
    --------
    >>> before = Notes.build([0, 1, 2], [1, 2, 3], [60, 70, 61], track=[0, 1, 0])
    >>> after = Notes.build([0, 1, 2, 3], [1, 2, 3, 4], [60, 70, 61, 71], track=[1, 0, 1, 0])
    >>> match_tracks(before, after).track.tolist()
    [0, 1, 0, 1]
    """
    labels = keep_numbers(notes, notes.track.astype(np.intp), previous)
    return notes.with_tracks(labels, name_tracks(labels, previous))
