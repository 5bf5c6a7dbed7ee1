"""Metrics: a reference against itself is perfect; each kind of damage moves the figures it should, as by hand."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from evaluation_material import HOP, music, shifted, tables
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from amtsep import formats
from amtsep.evaluation.metrics import (
    Score,
    evaluate_agnostic,
    fuse,
    match,
    onset_bias,
    piano_roll,
    unison_groups,
)
from amtsep.evaluation.separation import evaluate_separated
from amtsep.notes import Notes


def test_reference_against_itself_is_perfect() -> None:
    reference = music()
    scores = evaluate_agnostic(reference, reference, HOP)
    assert scores.onset == scores.onset_offset == scores.frame == Score(1.0, 1.0, 1.0)
    assert scores.onset_offset_velocity == Score(1.0, 1.0, 1.0)
    assert scores.frame_accuracy == scores.average_overlap == 1.0
    assert scores.onset_bias_s == 0.0


@given(tables)
@settings(max_examples=40, deadline=None)
def test_any_table_against_itself_is_perfect(notes: Notes) -> None:
    figures = evaluate_agnostic(notes, notes, HOP).figures()
    for name in ("onset_f1", "onset_offset_f1", "frame_f1", "frame_accuracy", "onset_unbiased_f1", "frame_unbiased_f1"):
        assert figures[name] == 1.0
    separated = evaluate_separated(notes, notes, HOP)
    assert separated.macro_onset_f1 == separated.micro_onset.f1 == 1.0


def test_midi_round_trip_keeps_every_figure_at_one(tmp_path) -> None:
    reference = music()
    back = formats.read_midi(formats.write_midi(reference, tmp_path / "a.mid"))
    scores = evaluate_agnostic(reference, back, HOP)
    assert scores.onset.f1 == scores.onset_offset.f1 == 1.0
    assert scores.onset_offset_velocity is not None and scores.onset_offset_velocity.f1 == 1.0
    assert scores.frame.f1 > 0.99  # MIDI's clock moves a note's end by under a millisecond
    separated = evaluate_separated(reference, back, HOP)
    assert separated.macro_onset_f1 == separated.v_measure == 1.0


def test_shift_of_60_ms_is_seen_by_onsets_and_bias_alone() -> None:
    reference = music()
    scores = evaluate_agnostic(reference, shifted(reference, 0.06), HOP)
    assert scores.onset.f1 == scores.onset_offset.f1 == 0.0
    assert scores.onset_bias_s == pytest.approx(0.06)
    assert scores.onset_unbiased.f1 == scores.onset_offset_unbiased.f1 == scores.onset_wide.f1 == 1.0
    assert scores.frame_unbiased.f1 > 0.99
    # 0.06 s of 0.5 s leave each note, and as much is false: F1 = 0.44 / 0.5, to the frame grid.
    assert scores.frame.f1 == pytest.approx(0.88, abs=0.02)


def test_every_tenth_note_dropped_costs_a_tenth_of_recall() -> None:
    reference = music(4, 50)
    kept = reference.select(np.arange(200) % 10 != 0)
    scores = evaluate_agnostic(reference, kept, HOP)
    assert scores.onset.precision == scores.onset_offset.precision == 1.0
    assert scores.onset.recall == scores.onset_offset.recall == pytest.approx(0.9)
    assert scores.onset.f1 == pytest.approx(2 * 0.9 / 1.9)
    assert scores.frame.precision == 1.0
    assert scores.frame.recall == pytest.approx(0.9, abs=0.01)
    assert scores.onset_bias_s == 0.0


def test_halved_offsets_move_offsets_and_frames_but_no_onset() -> None:
    reference = music()
    half = Notes.build(
        reference.onset, reference.onset + reference.duration / 2, reference.pitch, reference.velocity,
        track=reference.track, tracks=reference.tracks,
    )  # fmt: skip
    scores = evaluate_agnostic(reference, half, HOP)
    assert scores.onset.f1 == 1.0
    assert scores.onset_offset.f1 == 0.0
    assert scores.average_overlap == pytest.approx(0.5)
    assert scores.frame.precision == 1.0
    assert scores.frame.recall == pytest.approx(0.5, abs=0.03)


def test_swapped_parts_move_nothing_and_mixed_parts_move_separation_alone() -> None:
    reference = music(2)
    swapped = reference.with_tracks(1 - reference.track, reference.tracks[::-1])
    assert evaluate_separated(reference, swapped, HOP).macro_onset_f1 == 1.0
    # A fifth of the first part's notes is given to the second.
    first = np.flatnonzero(reference.track == 0)
    track = reference.track.copy()
    track[first[::5]] = 1
    mixed = reference.with_tracks(track, reference.tracks)
    assert evaluate_agnostic(reference, mixed, HOP).onset.f1 == 1.0
    separated = evaluate_separated(reference, mixed, HOP)
    by_hand = (2 * 40 / (50 + 40), 2 * 50 / (50 + 60))
    assert [part.onset.f1 for part in separated.parts] == pytest.approx(by_hand)
    assert separated.macro_onset_f1 == pytest.approx(np.mean(by_hand))
    assert separated.micro_onset.f1 == pytest.approx(90 / 100)
    assert 0 < separated.v_measure < 1


def test_false_velocities_move_the_velocity_figure_alone() -> None:
    reference = music()
    rng = np.random.default_rng(1)
    other = Notes.build(
        reference.onset, reference.offset, reference.pitch, rng.integers(1, 127, len(reference)),
        track=reference.track, tracks=reference.tracks,
    )  # fmt: skip
    scores = evaluate_agnostic(reference, other, HOP)
    assert scores.onset_offset.f1 == 1.0
    assert scores.onset_offset_velocity is not None and scores.onset_offset_velocity.f1 < 0.5
    plain = Notes.build(reference.onset, reference.offset, reference.pitch)
    assert evaluate_agnostic(plain, other, HOP).onset_offset_velocity is None


@given(tables, tables, st.booleans())
@settings(max_examples=60, deadline=None)
def test_matching_pitch_by_pitch_is_as_large_as_mir_evals_own(a: Notes, b: Notes, offsets: bool) -> None:
    expected = 0
    if len(a) and len(b):
        expected = len(
            mir_eval.transcription.match_notes(
                np.stack([a.onset, a.offset], 1),
                mir_eval.util.midi_to_hz(a.pitch.astype(float)),
                np.stack([b.onset, b.offset], 1),
                mir_eval.util.midi_to_hz(b.pitch.astype(float)),
                offset_ratio=0.2 if offsets else None,
            )
        )
    pairs = match(a, b, offsets=offsets)
    assert len(pairs) == expected
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert np.array_equal(a.pitch[pairs[:, 0]], b.pitch[pairs[:, 1]])


def test_frames_and_velocities_say_what_mir_eval_says() -> None:
    reference = music(seed=3)
    rng = np.random.default_rng(4)
    onset = reference.onset + rng.normal(0, 0.03, len(reference))
    estimate = Notes.build(
        np.maximum(onset, 0), np.maximum(onset, 0) + rng.uniform(0.2, 0.7, len(reference)),
        reference.pitch + (rng.random(len(reference)) < 0.1),
        np.clip(reference.velocity + rng.integers(-20, 20, len(reference)), 1, 127),
        track=reference.track, tracks=reference.tracks,
    )  # fmt: skip
    scores = evaluate_agnostic(reference, estimate, HOP, fuse_unisons=False)
    n = int(np.ceil(max(reference.end, estimate.end) / HOP)) + 1
    times = np.arange(n) * HOP
    hz = mir_eval.util.midi_to_hz(np.arange(21.0, 109.0))
    lists = [[hz[column] for column in piano_roll(t, HOP, n).T] for t in (reference, estimate)]
    frames = mir_eval.multipitch.metrics(times, lists[0], times, lists[1])
    assert (scores.frame.precision, scores.frame.recall, scores.frame_accuracy) == pytest.approx(frames[:3])
    columns = [
        (np.stack([t.onset, t.offset], 1), mir_eval.util.midi_to_hz(t.pitch.astype(float)), t.velocity.astype(float))
        for t in (reference, estimate)
    ]
    theirs = mir_eval.transcription_velocity.precision_recall_f1_overlap(*columns[0], *columns[1])
    assert scores.onset_offset_velocity is not None
    assert scores.onset_offset_velocity.f1 == pytest.approx(theirs[2])
    assert 0.1 < theirs[2] < 0.9


def test_unisons_of_two_parts_count_once_and_apart_on_request() -> None:
    reference = Notes.build(
        [0.0, 0.04, 1.0, 2.0, 2.06], [0.5, 0.9, 1.5, 2.5, 2.5], [60, 60, 62, 64, 64], track=[0, 1, 0, 0, 1]
    )
    fused = fuse(reference)
    assert len(fused) == 4  # 60 ms apart stay two notes
    assert (fused.onset[0], fused.offset[0]) == (0.0, 0.9)
    one_track = Notes.build([0.02, 1.0, 2.0, 2.06], [0.9, 1.5, 2.5, 2.5], [60, 62, 64, 64])
    assert evaluate_agnostic(reference, one_track, HOP).onset.f1 == 1.0
    apart = evaluate_agnostic(reference, one_track, HOP, fuse_unisons=False)
    assert apart.onset.recall == pytest.approx(4 / 5)
    # Two notes of one part are never fused.
    assert len(fuse(Notes.build([0.0, 0.03], [0.5, 0.6], [60, 60]))) == 2
    assert unison_groups(reference) == [[0, 1]]


def test_three_parts_on_one_pitch_fuse_to_one_note() -> None:
    notes = Notes.build([0.0, 0.02, 0.05, 0.09], [1, 1, 1.2, 1], [60] * 4, track=[0, 1, 2, 0])
    fused = fuse(notes)
    assert fused.onset.tolist() == [0.0, 0.09]
    assert fused.offset.tolist() == [1.2, 1.0]


def test_empty_tables() -> None:
    nothing, some = Notes.empty(), music(1, 3)
    silence = evaluate_agnostic(nothing, nothing, HOP)
    assert silence.onset.f1 == 1.0 and np.isnan(silence.average_overlap)
    for a, b in ((nothing, some), (some, nothing)):
        scores = evaluate_agnostic(a, b, HOP)
        assert scores.onset.f1 == scores.frame.f1 == scores.average_overlap == 0.0
        assert np.isnan(scores.onset_bias_s)
        assert evaluate_separated(a, b, HOP).macro_onset_f1 == 0.0


def test_bias_of_one_in_three_late_notes_is_a_median_not_a_mean() -> None:
    reference = music(1, 30)
    late = np.where(np.arange(30) % 3 == 0, 0.04, 0.0)
    estimate = Notes.build(reference.onset + late, reference.offset + late, reference.pitch)
    assert onset_bias(reference, estimate) == 0.0


@given(tables)
@settings(max_examples=30, deadline=None)
def test_roll_agrees_with_its_definition(notes: Notes) -> None:
    # Where a time falls on a frame to within rounding, either answer is right.
    edges = np.concatenate([notes.onset, notes.offset]) / HOP
    off_grid = np.abs(edges - np.round(edges))
    assume(bool(((off_grid == 0) | (off_grid > 1e-6)).all()))
    n = int(np.ceil(notes.end / HOP)) + 1
    expected = np.zeros((88, n), bool)
    times = np.arange(n) * HOP
    for onset, offset, pitch in zip(notes.onset, notes.offset, notes.pitch, strict=True):
        expected[pitch - 21] |= (times >= onset - 1e-10) & (times < offset - 1e-10)
    assert np.array_equal(piano_roll(notes, HOP, n), expected)
