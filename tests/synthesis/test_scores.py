"""Random scores: playable, varied, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amtsep.synthesis.instruments import HELD_OUT_PROGRAMS, general_midi
from amtsep.synthesis.scores import SCORE_DTYPE, monophonic, random_score, tidy

CLIP = 9.0
PIANO, VIOLIN, FLUTE = (general_midi()[i] for i in (0, 40, 73))


def test_general_midi_lists_112_programs() -> None:
    table = general_midi()
    assert len(table) == 112
    assert all(21 <= i.low < i.high <= 108 for i in table)
    assert [table[i].family for i in (0, 24, 40, 71, 73)] == ["piano", "guitar", "violin", "clarinet", "flute"]
    assert len(HELD_OUT_PROGRAMS) >= 4


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([PIANO, VIOLIN, FLUTE]))
def test_every_note_lies_in_clip_and_range_and_no_pitch_overlaps_itself(seed: int, instrument) -> None:  # type: ignore[no-untyped-def]
    score = random_score(np.random.default_rng(seed), instrument, CLIP)
    assert np.all((score["onset"] >= 0) & (score["offset"] <= CLIP) & (score["offset"] > score["onset"]))
    assert np.all((score["pitch"] >= instrument.low) & (score["pitch"] <= instrument.high))
    assert np.all((score["velocity"] >= 1) & (score["velocity"] <= 127))
    for pitch in np.unique(score["pitch"]):
        mine = score[score["pitch"] == pitch]
        assert np.all(mine["offset"][:-1] <= mine["onset"][1:] + 1e-9)


def test_a_flute_plays_one_note_at_a_time_and_a_piano_chords() -> None:
    flute = [random_score(np.random.default_rng(i), FLUTE, CLIP) for i in range(20)]
    assert all(np.all(s["offset"][:-1] <= s["onset"][1:] + 1e-9) for s in flute)
    piano = [random_score(np.random.default_rng(i), PIANO, CLIP) for i in range(20)]
    assert sum(bool(np.any(s["offset"][:-1] > s["onset"][1:] + 0.05)) for s in piano) > 10


def test_all_pitches_of_the_range_come_and_the_middle_more_often() -> None:
    counts = np.zeros(128)
    for seed in range(400):
        counts += np.bincount(random_score(np.random.default_rng(seed), FLUTE, CLIP)["pitch"], minlength=128)
    inside = counts[FLUTE.low : FLUTE.high + 1]
    assert inside.min() > 0
    third = len(inside) // 3
    assert inside[third : 2 * third].mean() > 1.3 * inside[:third].mean()


def test_the_hard_cases_come_up() -> None:
    """Fast repetitions of a pitch, very short and very long notes, rests of half a second and more."""
    repeated = short = long = rests = 0
    for seed in range(100):
        s = random_score(np.random.default_rng(seed), PIANO, CLIP)
        for pitch in np.unique(s["pitch"]):
            gaps = np.diff(s["onset"][s["pitch"] == pitch])
            repeated += int(np.sum(gaps < 0.2))
        duration = s["offset"] - s["onset"]
        short, long = short + int(np.sum(duration < 0.1)), long + int(np.sum(duration > 2))
        ends = np.maximum.accumulate(s["offset"]) if len(s) else np.zeros(0)
        rests += int(np.sum(s["onset"][1:] - ends[:-1] > 0.5))
    assert min(repeated, short, long, rests) > 40


def test_the_same_seed_gives_the_same_score() -> None:
    a, b = (random_score(np.random.default_rng(5), PIANO, CLIP) for _ in range(2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, random_score(np.random.default_rng(6), PIANO, CLIP))


def test_tidy_ends_a_note_where_its_pitch_is_struck_again() -> None:
    score = np.array([(0.0, 2.0, 60, 80), (1.0, 1.5, 60, 80), (0.5, 30.0, 64, 80), (8.99, 9.5, 70, 80)], SCORE_DTYPE)
    out = tidy(score, CLIP)
    assert out["offset"].tolist() == pytest.approx([1.0, 9.0, 1.5])


def test_monophonic_keeps_the_upper_voice() -> None:
    score = np.array([(0.0, 2.0, 60, 80), (0.0, 1.0, 67, 80), (1.0, 2.0, 65, 80)], SCORE_DTYPE)
    assert monophonic(score)["pitch"].tolist() == [67, 65]
