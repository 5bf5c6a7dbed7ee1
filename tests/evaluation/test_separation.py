"""Separated metrics: assignment, surplus and missing tracks, unisons, number of timbres."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_material import HOP, music

from amtsep.evaluation.separation import count_tracks, evaluate_separated, relabel
from amtsep.notes import Notes, Track


def test_surplus_track_lowers_micro_precision_and_no_part() -> None:
    reference = music(2)
    extra = Notes.build(np.arange(20) + 0.7, np.arange(20) + 0.9, np.full(20, 100))
    estimate = Notes.concatenate([reference, extra])
    scores = evaluate_separated(reference, estimate, HOP)
    assert scores.macro_onset_f1 == 1.0
    assert scores.micro_onset.precision == pytest.approx(100 / 120)
    assert scores.micro_onset.recall == 1.0
    assert (scores.n_parts, scores.n_tracks) == (2, 3)


def test_parts_without_a_track_count_zero() -> None:
    reference = music(4)
    merged = reference.with_tracks(np.zeros(len(reference), int), [Track("all")])
    scores = evaluate_separated(reference, merged, HOP)
    assert sorted(part.onset.f1 for part in scores.parts) == pytest.approx([0, 0, 0, 2 * 50 / 250])
    assert scores.macro_onset_f1 == pytest.approx(0.1)
    assert [part.track for part in scores.parts].count(None) == 3
    assert scores.homogeneity == pytest.approx(0.0)
    assert scores.completeness == pytest.approx(1.0)


def test_split_part_is_homogeneous_but_not_complete() -> None:
    reference = music(2)
    track = reference.track.copy()
    track[np.flatnonzero(track == 0)[::2]] = 2
    split = reference.with_tracks(track, [Track("a"), Track("b"), Track("c")])
    scores = evaluate_separated(reference, split, HOP)
    assert scores.homogeneity == pytest.approx(1.0)
    assert scores.completeness < 0.9


def test_assignment_by_roll_may_differ_from_the_one_by_notes() -> None:
    # Track "long" shares the part's long note, track "many" its many short ones.
    reference = Notes.build([0, 10, 10.5, 11, 11.5], [9, 10.1, 10.6, 11.1, 11.6], [60, 62, 62, 62, 62])
    estimate = Notes.build(
        [0, 10, 10.5, 11, 11.5], [9, 10.1, 10.6, 11.1, 11.6], [60, 62, 62, 62, 62], track=[0, 1, 1, 1, 1]
    )
    assert evaluate_separated(reference, estimate, HOP, assign_by="f1").parts[0].track == 1
    assert evaluate_separated(reference, estimate, HOP, assign_by="roll").parts[0].track == 0


def test_unisons_ask_for_both_owners_and_count_false_doubles() -> None:
    reference = Notes.build([0, 0, 1, 2, 2], [0.5, 0.5, 1.5, 2.5, 2.5], [60, 60, 62, 64, 64], track=[0, 1, 0, 0, 1])
    once = Notes.build([0, 1, 2, 2], [0.5, 1.5, 2.5, 2.5], [60, 62, 64, 64], track=[0, 0, 0, 1])
    unisons = evaluate_separated(reference, once, HOP).unisons
    assert (unisons.groups, unisons.heard, unisons.both, unisons.claimed, unisons.false) == (2, 2, 1, 1, 0)
    assert unisons.recall == 0.5
    doubled = Notes.build(
        [0, 0, 1, 1, 2, 2], [0.5, 0.5, 1.5, 1.5, 2.5, 2.5], [60, 60, 62, 62, 64, 64], track=[0, 1, 0, 1, 0, 1]
    )
    unisons = evaluate_separated(reference, doubled, HOP).unisons
    assert (unisons.both, unisons.claimed, unisons.false) == (2, 3, 1)
    assert np.isnan(evaluate_separated(music(2), music(2), HOP).unisons.recall)


def test_relabel_puts_tracks_in_the_order_of_the_parts() -> None:
    reference = music(3)
    turned = reference.with_tracks((reference.track + 1) % 3, [Track("x"), Track("y"), Track("z")])
    assert np.array_equal(relabel(reference, turned).track, reference.track)


def test_number_of_timbres() -> None:
    counts = count_tracks([(2, 2), (2, 3), (4, 2), (1, 1)])
    assert counts.exact == 0.5
    assert counts.mean_error == pytest.approx(3 / 4)
    assert counts.confusion == {(1, 1): 1, (2, 2): 1, (2, 3): 1, (4, 2): 1}
