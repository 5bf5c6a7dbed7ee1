"""Multi-instrument F1, drums and leakage on cases that can be counted by hand."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("mir_eval", reason="evaluation needs mir_eval (pip install 'amtsep[evaluate]')")

from amtsep.evaluation.instruments import evaluate_instruments, multi_instrument  # noqa: E402
from amtsep.notes import Notes, Track  # noqa: E402

KIT = Track("Kit", drums=True)


def played(rows: list[tuple[float, float, int, int]], tracks: list[Track]) -> Notes:
    onset, offset, pitch, track = zip(*rows)
    return Notes.build(onset, offset, pitch, track=track, tracks=tracks)


TRUTH = played(
    [(0.0, 1.0, 60, 0), (1.0, 2.0, 62, 0), (0.0, 1.0, 40, 1), (0.5, 0.52, 36, 2), (1.5, 1.52, 38, 2)],
    [Track("Violin", 40), Track("Bass", 33), KIT],
)


def test_the_truth_is_perfect() -> None:
    figures = evaluate_instruments(TRUTH, TRUTH)
    assert figures.multi.f1 == figures.multi_class.f1 == 1.0 and figures.leakage == 1.0
    assert figures.drums is not None and figures.drums.f1 == 1.0


def test_a_note_counts_only_for_its_program_and_with_its_end() -> None:
    estimate = played(
        # Right; a cello's, which is of the violin's class; ended too early; a stroke of any length; a stroke missed.
        [(0.0, 1.0, 60, 0), (1.0, 2.0, 62, 1), (0.0, 0.5, 40, 2), (0.51, 0.9, 36, 3)],
        [Track("Violin", 40), Track("Cello", 42), Track("Bass", 33), KIT],
    )
    figures = evaluate_instruments(TRUTH, estimate)
    assert figures.multi.precision == pytest.approx(2 / 4) and figures.multi.recall == pytest.approx(2 / 5)
    assert figures.multi_class.precision == pytest.approx(3 / 4)
    assert multi_instrument(TRUTH, estimate, "flat").precision == pytest.approx(3 / 4)
    assert figures.drums is not None and figures.drums.precision == 1.0 and figures.drums.recall == 0.5
    assert figures.leakage == pytest.approx(3 / 2), "three instruments where two play"


def test_two_tracks_of_one_program_are_one_instrument_and_an_empty_track_is_none() -> None:
    estimate = played(
        [(0.0, 1.0, 60, 0), (1.0, 2.0, 62, 1)], [Track("First", 40), Track("Second", 40), Track("Nobody", 99)]
    )
    figures = evaluate_instruments(TRUTH, estimate)
    assert figures.multi.precision == 1.0 and figures.leakage == pytest.approx(1 / 2)


def test_without_drums_or_instruments_there_is_nothing_to_say() -> None:
    piano = played([(0.0, 1.0, 60, 0)], [Track("Piano", 0)])
    assert evaluate_instruments(piano, piano).drums is None
    only = played([(0.0, 0.02, 36, 0)], [KIT])
    assert math.isnan(evaluate_instruments(only, piano).leakage)
