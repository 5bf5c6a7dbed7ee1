"""Timbre-agnostic transcription metrics, pure functions on `Notes`.

Note matching is `mir_eval.transcription` (Raffel et al., ISMIR 2014): a maximum bipartite matching of notes whose
onsets lie within 50 ms and whose pitches lie within 50 cents, optionally with offsets within the larger of 50 ms and
20 % of the reference note's length, and optionally with velocities (Hawthorne et al., ICLR 2018).

Deviations from the standard, all of them:

- *Fused unisons.* Notes of **two parts** on one pitch with onsets within 50 ms count as one note, on both sides: a
  transcription without timbre cannot and need not tell them apart. The fused note has the earlier onset and the later
  offset. ``fuse_unisons=False`` keeps them apart. Two such notes of one part are never fused.
- *Matching pitch by pitch.* Pitches of `Notes` are whole semitones, so 50 cents means equality, and the matching of a
  recording is the union of the matchings of its pitches: equal in size to one call of mir_eval, and much faster.
- *Frames* are counted on two boolean piano rolls (88 pitches, frame ``t`` sounds where ``onset <= t * hop < offset``)
  instead of mir_eval's lists of frequencies; the figures are those of ``mir_eval.multipitch`` (a test compares them).
- *Empty against empty* scores 1 in every figure (mir_eval says 0): nothing was to be found and nothing was claimed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from mir_eval import transcription, util
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN, N_PITCHES
from amtsep.notes import Notes

ONSET_TOLERANCE_S = 0.05
OFFSET_RATIO = 0.2
OFFSET_MIN_TOLERANCE_S = 0.05
VELOCITY_TOLERANCE = 0.1
BIAS_WINDOW_S = 0.1
"""Onsets up to this far apart are paired when the onset bias is measured."""

Pairs = NDArray[np.intp]
"""(n, 2) indices (reference note, estimated note)."""


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1, each in [0, 1]."""

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, true_positives: float, n_reference: float, n_estimate: float) -> Score:
        """From counts; nothing expected and nothing claimed is a perfect score."""
        if n_reference == 0 and n_estimate == 0:
            return cls(1.0, 1.0, 1.0)
        precision = true_positives / n_estimate if n_estimate else 0.0
        recall = true_positives / n_reference if n_reference else 0.0
        total = n_reference + n_estimate
        return cls(float(precision), float(recall), float(2.0 * true_positives / total))


@dataclass(frozen=True)
class Agnostic:
    """All timbre-agnostic figures of one recording (scores in [0, 1], times in seconds)."""

    onset: Score
    """Notes matched by onset and pitch."""
    onset_offset: Score
    """Notes matched by onset, pitch and offset."""
    onset_offset_velocity: Score | None
    """The same with velocity; ``None`` where the reference has one velocity for all notes."""
    frame: Score
    frame_accuracy: float
    """TP / (TP + FP + FN) over frames and pitches (Poliner and Ellis 2007)."""
    average_overlap: float
    """Mean overlap ratio of the notes matched by onset and pitch; 0 where none is, nan where there are no notes."""
    onset_bias_s: float
    """Median of estimated minus reference onset over notes paired within 100 ms; positive = late; nan where none is."""
    onset_unbiased: Score
    """`onset` after `onset_bias_s` was taken off the estimate: data sets exist whose clock is not that of the sound."""
    onset_offset_unbiased: Score
    """`onset_offset` after the same."""
    frame_unbiased: Score
    """`frame` after the same."""
    onset_wide: Score
    """Notes matched by pitch and onset within `BIAS_WINDOW_S`."""
    n_reference: int
    n_estimate: int

    def figures(self) -> dict[str, float]:
        """The figures under flat names, for tables and averages."""
        flat = {
            "onset_f1": self.onset.f1,
            "onset_precision": self.onset.precision,
            "onset_recall": self.onset.recall,
            "onset_offset_f1": self.onset_offset.f1,
            "onset_offset_precision": self.onset_offset.precision,
            "onset_offset_recall": self.onset_offset.recall,
            "frame_f1": self.frame.f1,
            "frame_precision": self.frame.precision,
            "frame_recall": self.frame.recall,
            "frame_accuracy": self.frame_accuracy,
            "average_overlap": self.average_overlap,
            "onset_bias_s": self.onset_bias_s,
            "onset_unbiased_f1": self.onset_unbiased.f1,
            "onset_offset_unbiased_f1": self.onset_offset_unbiased.f1,
            "frame_unbiased_f1": self.frame_unbiased.f1,
            "onset_100ms_f1": self.onset_wide.f1,
        }
        if self.onset_offset_velocity is not None:
            flat["onset_offset_velocity_f1"] = self.onset_offset_velocity.f1
        return flat


def evaluate_agnostic(
    reference: Notes,
    estimate: Notes,
    hop_s: float,
    *,
    fuse_unisons: bool = True,
    onset_tolerance_s: float = ONSET_TOLERANCE_S,
) -> Agnostic:
    """Score a transcription without regard to its tracks.

    Notes of two parts on one pitch whose onsets lie within 50 ms count as one note on both sides; see the module.

    Parameters
    ----------
    reference, estimate
        The truth and the transcription; tracks matter for fusing only.
    hop_s
        Seconds between the frames of the frame-level figures (the model's hop).
    fuse_unisons
        Whether two parts' notes on one pitch that start together count as one.
    onset_tolerance_s
        Largest distance of matched onsets.

    Returns
    -------
    Agnostic
        All figures.

    Examples
    --------
    >>> from amtsep.notes import Notes
    >>> truth = Notes.build([0.0, 1.0], [0.5, 1.5], [60, 64])
    >>> evaluate_agnostic(truth, truth, 256 / 22050).onset.f1
    1.0
    """
    if fuse_unisons:
        reference, estimate = fuse(reference), fuse(estimate)
    n_ref, n_est = len(reference), len(estimate)
    pairs = match(reference, estimate, onset_tolerance_s=onset_tolerance_s)
    with_offset = match(reference, estimate, onset_tolerance_s=onset_tolerance_s, offsets=True)

    def scored(found: Pairs) -> Score:
        return Score.of(len(found), n_ref, n_est)

    onset, onset_offset = scored(pairs), scored(with_offset)
    frame, accuracy = frame_score(reference, estimate, hop_s)
    bias = onset_bias(reference, estimate)
    unbiased = onset, onset_offset, frame
    if np.isfinite(bias) and bias != 0.0:
        on_time = moved(estimate, -bias)
        unbiased = (
            scored(match(reference, on_time, onset_tolerance_s=onset_tolerance_s)),
            scored(match(reference, on_time, onset_tolerance_s=onset_tolerance_s, offsets=True)),
            frame_score(reference, on_time, hop_s)[0],
        )
    velocity = None
    if n_ref and np.ptp(reference.velocity) > 0:
        velocity = Score.of(len(_velocity_matches(reference, estimate, with_offset)), n_ref, n_est)
    return Agnostic(
        onset=onset,
        onset_offset=onset_offset,
        onset_offset_velocity=velocity,
        frame=frame,
        frame_accuracy=accuracy,
        average_overlap=average_overlap(reference, estimate, pairs),
        onset_bias_s=bias,
        onset_unbiased=unbiased[0],
        onset_offset_unbiased=unbiased[1],
        frame_unbiased=unbiased[2],
        onset_wide=scored(match(reference, estimate, onset_tolerance_s=BIAS_WINDOW_S)),
        n_reference=n_ref,
        n_estimate=n_est,
    )


def match(
    reference: Notes,
    estimate: Notes,
    *,
    onset_tolerance_s: float = ONSET_TOLERANCE_S,
    offsets: bool = False,
) -> Pairs:
    """Match notes with ``mir_eval.transcription.match_notes``; (n, 2) indices (reference, estimate), by reference."""
    found: list[Pairs] = []
    here, there = _by_pitch(reference.pitch), _by_pitch(estimate.pitch)
    for pitch in sorted(here.keys() & there.keys()):
        ref, est = here[pitch], there[pitch]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            local = transcription.match_notes(
                np.stack([reference.onset[ref], reference.offset[ref]], 1),
                np.full(len(ref), util.midi_to_hz(pitch)),
                np.stack([estimate.onset[est], estimate.offset[est]], 1),
                np.full(len(est), util.midi_to_hz(pitch)),
                onset_tolerance=onset_tolerance_s,
                offset_ratio=OFFSET_RATIO if offsets else None,
                offset_min_tolerance=OFFSET_MIN_TOLERANCE_S,
            )
        if local:
            table = np.asarray(local, np.intp)
            found.append(np.stack([ref[table[:, 0]], est[table[:, 1]]], 1))
    if not found:
        return np.zeros((0, 2), np.intp)
    pairs = np.concatenate(found)
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


def onset_f1(reference: Notes, estimate: Notes, *, offsets: bool = False) -> float:
    """F1 alone, of notes matched by onset and pitch (and offset), as the tables are."""
    return Score.of(len(match(reference, estimate, offsets=offsets)), len(reference), len(estimate)).f1


def fuse(notes: Notes, tolerance_s: float = ONSET_TOLERANCE_S) -> Notes:
    """Make one note of what several tracks start together on one pitch.

    A fused note has the earliest onset, the latest offset, the greatest velocity and confidence, and the track of the
    note that came first. Onsets are compared with the first of the group, within `tolerance_s` (s, inclusive).
    """
    groups = unison_groups(notes, tolerance_s)
    if not groups:
        return notes
    onset, offset = notes.onset.copy(), notes.offset.copy()
    velocity, confidence = notes.velocity.copy(), notes.confidence.copy()
    keep = np.ones(len(notes), bool)
    for group in groups:
        first = group[0]
        members = np.asarray(group)
        onset[first] = onset[members].min()
        offset[first] = offset[members].max()
        velocity[first] = velocity[members].max()
        confidence[first] = confidence[members].max()
        keep[members[1:]] = False
    return Notes.build(
        onset[keep],
        offset[keep],
        notes.pitch[keep],
        velocity[keep],
        confidence[keep],
        notes.track[keep],
        notes.embedding[keep],
        notes.tracks,
    )


def unison_groups(notes: Notes, tolerance_s: float = ONSET_TOLERANCE_S) -> list[list[int]]:
    """Groups (two members or more) of notes of different tracks that start together on one pitch, as indices."""
    groups: list[list[int]] = []
    if len(notes.tracks) < 2:
        return groups
    for pitch in np.unique(notes.pitch):
        group: list[int] = []
        for index in np.flatnonzero(notes.pitch == pitch):
            near = group and round(float(notes.onset[index] - notes.onset[group[0]]), 6) <= tolerance_s
            if near and all(notes.track[index] != notes.track[member] for member in group):
                group.append(int(index))
                continue
            if len(group) > 1:
                groups.append(group)
            group = [int(index)]
        if len(group) > 1:
            groups.append(group)
    return groups


def piano_roll(notes: Notes, hop_s: float, n_frames: int | None = None) -> NDArray[np.bool_]:
    """(88, n_frames) boolean roll: frame ``t`` sounds where ``onset <= t * hop_s < offset``; other pitches are dropped.

    Parameters
    ----------
    notes
        Any table.
    hop_s
        Seconds from frame to frame, above 0.
    n_frames
        Width; left out, as many as the notes need.
    """
    first, last = frame_span(notes, hop_s)
    width = (int(last.max()) if len(last) else 0) if n_frames is None else n_frames
    # The number of notes that sound, as the running sum of their starts and ends: no loop over notes.
    edges = np.zeros((N_PITCHES, width + 1), np.int32)
    row = notes.pitch.astype(np.intp) - MIDI_MIN
    inside = (row >= 0) & (row < N_PITCHES)
    np.add.at(edges, (row[inside], np.minimum(first[inside], width)), 1)
    np.add.at(edges, (row[inside], np.minimum(last[inside], width)), -1)
    roll: NDArray[np.bool_] = np.cumsum(edges[:, :width], axis=1) > 0
    return roll


def frame_span(notes: Notes, hop_s: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First frame and first frame after, of every note (times are rounded to a nanosecond of a frame)."""
    first = np.ceil(np.round(notes.onset / hop_s, 9)).astype(np.intp)
    last = np.ceil(np.round(notes.offset / hop_s, 9)).astype(np.intp)
    return first, last


def frame_score(reference: Notes, estimate: Notes, hop_s: float) -> tuple[Score, float]:
    """Frame-level precision, recall, F1, and accuracy, over 88 pitches."""
    n_frames = int(np.ceil(max(reference.end, estimate.end) / hop_s)) + 1
    return roll_score(piano_roll(reference, hop_s, n_frames), piano_roll(estimate, hop_s, n_frames))


def roll_score(reference: NDArray[np.bool_], estimate: NDArray[np.bool_]) -> tuple[Score, float]:
    """The same of two boolean rolls of one shape."""
    hits = int(np.count_nonzero(reference & estimate))
    n_ref, n_est = int(np.count_nonzero(reference)), int(np.count_nonzero(estimate))
    union = n_ref + n_est - hits
    return Score.of(hits, n_ref, n_est), (hits / union if union else 1.0)


def onset_bias(reference: Notes, estimate: Notes) -> float:
    """Median of estimated minus reference onset (s) over notes paired within 100 ms; nan where there are none.

    The window is wider than the tolerance of the score: a bias of 60 ms leaves no note matched and must yet be seen.
    """
    errors = onset_errors(reference, estimate, BIAS_WINDOW_S)
    return float(np.median(errors)) if len(errors) else float("nan")


def onset_errors(reference: Notes, estimate: Notes, window_s: float = BIAS_WINDOW_S) -> NDArray[np.float64]:
    """Estimated minus reference onset, in seconds, of every pair within `window_s`."""
    pairs = match(reference, estimate, onset_tolerance_s=window_s)
    return estimate.onset[pairs[:, 1]] - reference.onset[pairs[:, 0]]


def moved(notes: Notes, seconds: float) -> Notes:
    """All notes so much later (earlier where negative), none before 0."""
    onset = np.maximum(notes.onset + seconds, 0.0)
    return replace(notes, onset=onset, offset=np.maximum(notes.offset + seconds, onset + 1e-3))


def average_overlap(reference: Notes, estimate: Notes, pairs: Pairs) -> float:
    """``mir_eval.transcription.average_overlap_ratio`` of matched pairs; nan where neither side has a note."""
    if not len(reference) and not len(estimate):
        return float("nan")  # silence found silent is right, and has no overlap to judge
    if not len(pairs):
        return 0.0
    ratio = transcription.average_overlap_ratio(
        np.stack([reference.onset, reference.offset], 1), np.stack([estimate.onset, estimate.offset], 1), pairs.tolist()
    )
    return float(ratio)


def per_pitch(reference: Notes, estimate: Notes) -> dict[int, tuple[int, int, int]]:
    """(matched, reference, estimated) notes for every MIDI pitch that occurs, for charts by pitch."""
    pairs = match(reference, estimate)
    hits = np.bincount(reference.pitch[pairs[:, 0]].astype(np.intp), minlength=128)
    ref = np.bincount(reference.pitch.astype(np.intp), minlength=128)
    est = np.bincount(estimate.pitch.astype(np.intp), minlength=128)
    return {int(p): (int(hits[p]), int(ref[p]), int(est[p])) for p in np.flatnonzero(ref + est)}


def mean(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; nan where none is."""
    array = np.asarray(values, np.float64)
    array = array[np.isfinite(array)]
    return float(array.mean()) if len(array) else float("nan")


def _by_pitch(pitch: NDArray[np.int16]) -> dict[int, NDArray[np.intp]]:
    order = np.argsort(pitch, kind="stable")
    values, starts = np.unique(pitch[order], return_index=True)
    return {int(v): part for v, part in zip(values, np.split(order, starts[1:]), strict=True)} if len(pitch) else {}


def _velocity_matches(reference: Notes, estimate: Notes, pairs: Pairs) -> Pairs:
    """Keep the pairs that ``mir_eval.transcription_velocity`` keeps, without its matrix of all notes by all notes."""
    if not len(pairs):
        return pairs
    low, high = int(reference.velocity.min()), int(reference.velocity.max())
    ref = (reference.velocity[pairs[:, 0]] - low) / max(1.0, float(high - low))
    est = estimate.velocity[pairs[:, 1]].astype(np.float64)
    line = np.linalg.lstsq(np.stack([est, np.ones_like(est)], 1), ref, rcond=None)[0]
    return pairs[np.abs(line[0] * est + line[1] - ref) < VELOCITY_TOLERANCE]
