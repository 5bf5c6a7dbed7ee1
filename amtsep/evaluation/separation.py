"""Timbre-separated metrics: which track belongs to which part, and how right the tracks then are.

A separating transcription has no names for its tracks, so every figure is taken under the best one-to-one assignment of
estimated tracks to reference parts (Kuhn-Munkres, by ``scipy.optimize.linear_sum_assignment``): by note onset F1, or by
the error between piano rolls, as the permutation that minimises the training loss would be chosen. Notes are matched by
`amtsep.evaluation.metrics.match`, that is by mir_eval, within each assigned pair; nothing is fused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from amtsep.evaluation.metrics import ONSET_TOLERANCE_S, Score, match, piano_roll, roll_score, unison_groups
from amtsep.notes import Notes

AssignBy = Literal["f1", "roll"]


@dataclass(frozen=True)
class PartScore:
    """Figures of one reference part under the assignment."""

    part: str
    track: int | None
    """Estimated track that was assigned, ``None`` where there were too few."""
    onset: Score
    onset_offset: Score
    frame: Score


@dataclass(frozen=True)
class Unisons:
    """What became of notes that two parts play together (one pitch, onsets within 50 ms)."""

    groups: int
    """Reference unisons."""
    heard: int
    """Of these, with at least one owner's note found in its own track."""
    both: int
    """Of these, with every owner's note found in its own track."""
    claimed: int
    """Unisons in the estimate."""
    false: int
    """Of these, where the reference has no unison."""

    @property
    def recall(self) -> float:
        """Share of the unisons that got all owners; nan where there are none."""
        return self.both / self.groups if self.groups else float("nan")


@dataclass(frozen=True)
class Separated:
    """All timbre-separated figures of one recording (scores in [0, 1])."""

    parts: tuple[PartScore, ...]
    macro_onset_f1: float
    """Mean over parts of onset F1; a part without a track counts 0."""
    macro_onset_offset_f1: float
    macro_frame_f1: float
    micro_onset: Score
    """From the summed counts; notes of surplus tracks are false positives."""
    micro_onset_offset: Score
    n_parts: int
    n_tracks: int
    homogeneity: float
    """Of the tracks of matched notes: does a track hold one part only; nan where no note matched."""
    completeness: float
    """Does a part lie in one track only."""
    v_measure: float
    unisons: Unisons
    assigned_by: AssignBy = "f1"

    def figures(self) -> dict[str, float]:
        """The figures under flat names, for tables and averages."""
        return {
            "macro_onset_f1": self.macro_onset_f1,
            "macro_onset_offset_f1": self.macro_onset_offset_f1,
            "macro_frame_f1": self.macro_frame_f1,
            "micro_onset_f1": self.micro_onset.f1,
            "micro_onset_offset_f1": self.micro_onset_offset.f1,
            "homogeneity": self.homogeneity,
            "completeness": self.completeness,
            "v_measure": self.v_measure,
            "unison_recall": self.unisons.recall,
            "track_error": float(self.n_tracks - self.n_parts),
        }


@dataclass(frozen=True)
class TrackCounts:
    """How well the number of timbres was found, over recordings."""

    n: int
    exact: float
    """Share with the right number."""
    mean_error: float
    """Mean of |estimated - true|."""
    confusion: dict[tuple[int, int], int] = field(default_factory=dict)
    """(true, estimated) → recordings."""


def evaluate_separated(
    reference: Notes,
    estimate: Notes,
    hop_s: float,
    *,
    assign_by: AssignBy = "f1",
    onset_tolerance_s: float = ONSET_TOLERANCE_S,
) -> Separated:
    """Score a transcription with tracks under the best assignment of its tracks to the parts.

    Parameters
    ----------
    reference, estimate
        Truth and transcription; tracks without notes are left out of account.
    hop_s
        Seconds between frames.
    assign_by
        "f1" (note onsets) or "roll" (fewest differing frames).
    onset_tolerance_s
        Largest distance of matched onsets.

    Returns
    -------
    Separated
        All figures.
    """
    truth, found = _tables(reference), _tables(estimate)
    parts, tracks = sorted(truth), sorted(found)
    n_frames = int(np.ceil(max(reference.end, estimate.end) / hop_s)) + 1
    true_rolls = {p: piano_roll(truth[p], hop_s, n_frames) for p in parts}
    rolls = {t: piano_roll(found[t], hop_s, n_frames) for t in tracks}
    chosen = _assign(
        [truth[p] for p in parts],
        [found[t] for t in tracks],
        [true_rolls[p] for p in parts],
        [rolls[t] for t in tracks],
        assign_by,
        onset_tolerance_s,
    )
    empty = Notes.empty()
    silent = np.zeros((88, n_frames), bool)
    scores: list[PartScore] = []
    hits = hits_offset = 0
    for number, part in enumerate(parts):
        track = tracks[chosen[number]] if number in chosen else None
        notes = empty if track is None else found[track]
        matched = len(match(truth[part], notes, onset_tolerance_s=onset_tolerance_s))
        ended = len(match(truth[part], notes, onset_tolerance_s=onset_tolerance_s, offsets=True))
        hits, hits_offset = hits + matched, hits_offset + ended
        scores.append(
            PartScore(
                reference.tracks[part].name,
                track,
                Score.of(matched, len(truth[part]), len(notes)),
                Score.of(ended, len(truth[part]), len(notes)),
                roll_score(true_rolls[part], silent if track is None else rolls[track])[0],
            )
        )
    owner = {parts[number]: tracks[track] for number, track in chosen.items()}
    homogeneity, completeness, v_measure = _label_scores(reference, estimate, onset_tolerance_s)
    return Separated(
        parts=tuple(scores),
        macro_onset_f1=_mean([score.onset.f1 for score in scores], len(tracks)),
        macro_onset_offset_f1=_mean([score.onset_offset.f1 for score in scores], len(tracks)),
        macro_frame_f1=_mean([score.frame.f1 for score in scores], len(tracks)),
        micro_onset=Score.of(hits, len(reference), len(estimate)),
        micro_onset_offset=Score.of(hits_offset, len(reference), len(estimate)),
        n_parts=len(parts),
        n_tracks=len(tracks),
        homogeneity=homogeneity,
        completeness=completeness,
        v_measure=v_measure,
        unisons=_unisons(reference, estimate, owner, onset_tolerance_s),
        assigned_by=assign_by,
    )


def separated_onset(reference: Notes, estimate: Notes, *, onset_tolerance_s: float = ONSET_TOLERANCE_S) -> Score:
    """`Separated.micro_onset` alone, without rolls: fast enough to follow a slider."""
    truth, found = list(_tables(reference).values()), list(_tables(estimate).values())
    chosen = _assign(truth, found, [], [], "f1", onset_tolerance_s)
    hits = sum(len(match(truth[i], found[j], onset_tolerance_s=onset_tolerance_s)) for i, j in chosen.items())
    return Score.of(hits, len(reference), len(estimate))


def relabel(reference: Notes, estimate: Notes, *, onset_tolerance_s: float = ONSET_TOLERANCE_S) -> Notes:
    """The estimate with its tracks in the order of the parts that they were assigned to, surplus tracks after them."""
    truth, found = _tables(reference), _tables(estimate)
    parts, tracks = sorted(truth), sorted(found)
    chosen = _assign([truth[p] for p in parts], [found[t] for t in tracks], [], [], "f1", onset_tolerance_s)
    number = {tracks[track]: parts[part] for part, track in chosen.items()}
    free = len(reference.tracks)
    names = list(reference.tracks)
    for track in range(len(estimate.tracks)):
        if track not in number:
            number[track] = free
            names.append(estimate.tracks[track])
            free += 1
    return estimate.with_tracks([number[int(track)] for track in estimate.track], names)


def count_tracks(pairs: Sequence[tuple[int, int]]) -> TrackCounts:
    """Exact rate, mean absolute error and confusion of (true, estimated) numbers of timbres."""
    if not pairs:
        return TrackCounts(0, float("nan"), float("nan"))
    table = np.asarray(pairs, np.int64)
    confusion: dict[tuple[int, int], int] = {}
    for true, guess in table.tolist():
        confusion[true, guess] = confusion.get((true, guess), 0) + 1
    error = np.abs(table[:, 1] - table[:, 0])
    return TrackCounts(len(table), float(np.mean(error == 0)), float(error.mean()), dict(sorted(confusion.items())))


def _tables(notes: Notes) -> dict[int, Notes]:
    return {int(track): notes.select(notes.track == track) for track in np.unique(notes.track)}


def _assign(
    truth: Sequence[Notes],
    found: Sequence[Notes],
    true_rolls: Sequence[NDArray[np.bool_]],
    rolls: Sequence[NDArray[np.bool_]],
    assign_by: AssignBy,
    tolerance_s: float,
) -> dict[int, int]:
    """Part number → track number, one to one, as many as the fewer of the two."""
    if not truth or not found:
        return {}
    cost = np.zeros((len(truth), len(found)))
    for i, part in enumerate(truth):
        for j, track in enumerate(found):
            if assign_by == "roll":
                # Error left when the two are paired, beyond what both leave when neither is.
                cost[i, j] = (
                    np.count_nonzero(true_rolls[i] ^ rolls[j])
                    - np.count_nonzero(true_rolls[i])
                    - np.count_nonzero(rolls[j])
                )
            else:
                hits = len(match(part, track, onset_tolerance_s=tolerance_s))
                cost[i, j] = -Score.of(hits, len(part), len(track)).f1
    rows, columns = linear_sum_assignment(cost)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True)}


def _label_scores(reference: Notes, estimate: Notes, tolerance_s: float) -> tuple[float, float, float]:
    """Clustering quality apart from transcription: tracks against parts over matched notes, unisons left out.

    Rosenberg and Hirschberg (EMNLP 2007). Which owner of a unison a note was matched to is arbitrary, so such notes say
    nothing about the clustering.
    """
    from sklearn.metrics import homogeneity_completeness_v_measure

    pairs = match(reference, estimate, onset_tolerance_s=tolerance_s)
    doubled = {index for group in unison_groups(reference, tolerance_s) for index in group}
    kept = np.array([pair for pair in pairs.tolist() if pair[0] not in doubled], np.intp).reshape(-1, 2)
    if not len(kept):
        return float("nan"), float("nan"), float("nan")
    three = homogeneity_completeness_v_measure(reference.track[kept[:, 0]], estimate.track[kept[:, 1]])
    return float(three[0]), float(three[1]), float(three[2])


def _unisons(reference: Notes, estimate: Notes, owner: dict[int, int], tolerance_s: float) -> Unisons:
    groups = unison_groups(reference, tolerance_s)
    right: set[int] = set()
    for part, track in owner.items():
        ref = np.flatnonzero(reference.track == part)
        est = np.flatnonzero(estimate.track == track)
        pairs = match(reference.select(ref), estimate.select(est), onset_tolerance_s=tolerance_s)
        right.update(ref[pairs[:, 0]].tolist())
    claimed = unison_groups(estimate, tolerance_s)
    false = 0
    for group in claimed:
        onset, pitch = float(estimate.onset[group[0]]), int(estimate.pitch[group[0]])
        near = any(
            int(reference.pitch[g[0]]) == pitch and abs(float(reference.onset[g[0]]) - onset) <= 2 * tolerance_s
            for g in groups
        )
        false += not near
    return Unisons(
        groups=len(groups),
        heard=sum(any(i in right for i in group) for group in groups),
        both=sum(all(i in right for i in group) for group in groups),
        claimed=len(claimed),
        false=false,
    )


def _mean(values: Sequence[float], n_tracks: int) -> float:
    if values:
        return float(np.mean(values))
    return 1.0 if n_tracks == 0 else 0.0
