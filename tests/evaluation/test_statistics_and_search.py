"""Bootstrap intervals, paired comparison, and the threshold search."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_material import HOP, music

from amtsep.config import Decoding
from amtsep.evaluation.search import search
from amtsep.evaluation.statistics import bootstrap, compare
from amtsep.notes import Notes


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        interval = bootstrap(rng.normal(0.7, 0.1, 30), seed=trial, resamples=500)
        assert interval.low <= interval.mean <= interval.high
        inside += interval.low <= 0.7 <= interval.high
    assert 0.88 <= inside / 200 <= 0.99


def test_interval_of_groups_is_wider_than_of_their_copies_taken_as_independent() -> None:
    values = np.repeat(np.random.default_rng(1).normal(0.7, 0.1, 6), 15)
    groups = [str(i // 15) for i in range(90)]
    grouped, single = bootstrap(values, groups), bootstrap(values)
    assert grouped.high - grouped.low > 2 * (single.high - single.low)
    assert (grouped.n, grouped.n_groups) == (90, 6)


def test_interval_leaves_nan_out_and_repeats_with_its_seed() -> None:
    values = [0.5, float("nan"), 0.7]
    assert bootstrap(values).mean == pytest.approx(0.6)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
    assert np.isnan(bootstrap([float("nan")]).mean)


def test_paired_comparison_sees_what_the_intervals_hide() -> None:
    rng = np.random.default_rng(2)
    a = rng.uniform(0.3, 0.9, 40)
    better = compare(a, a + rng.normal(0.02, 0.01, 40))
    assert better.difference.low > 0 and better.p_better > 0.99
    assert better.wins > better.losses
    same = compare(a, a)
    assert same.difference.mean == 0 and same.p_better == 0.5
    with pytest.raises(ValueError, match="same recordings"):
        compare(a, a[:-1])


class Toy:
    """A recording whose best thresholds are `onset` and `frame`: the farther off, the more is wrong."""

    def __init__(self, truth: Notes, onset: float, frame: float) -> None:
        self.truth, self.onset, self.frame, self.calls = truth, onset, frame, 0

    def __call__(self, decoding: Decoding) -> Notes:
        self.calls += 1
        keep = 1 - abs(decoding.onset_threshold - self.onset)
        length = 1 - 0.9 * abs(decoding.frame_threshold - self.frame)
        kept = self.truth.select(np.arange(int(keep * len(self.truth))))
        return Notes.build(kept.onset, kept.onset + kept.duration * length, kept.pitch)


@pytest.mark.parametrize(("mode", "target"), [("staged", "onset_f1"), ("joint", "onset_offset_f1")])
def test_search_finds_the_best_thresholds(mode, target) -> None:
    truth = music(1, 400)
    toys = [Toy(truth, 0.31, 0.62), Toy(truth, 0.31, 0.62)]
    found = search(toys, [truth, truth], HOP, searched_on="dev", target=target, mode=mode)
    assert found.decoding.onset_threshold == pytest.approx(0.31, abs=0.06)
    if mode == "staged":
        assert found.decoding.frame_threshold == pytest.approx(0.62, abs=0.06)
    assert found.figure == max(value for _, _, value in found.trace)
    assert toys[0].calls < 80


def test_search_keeps_the_other_settings_and_says_oracle() -> None:
    truth = music(1, 50)
    start = Decoding(min_note_length=0.1)
    found = search([Toy(truth, 0.5, 0.5)], [truth], HOP, searched_on="dev", start=start, rounds=1, points=3)
    assert found.decoding.min_note_length == 0.1
    assert found.label("dev") == "oracle"
    assert "dev" in found.label("test") and "oracle" not in found.label("test")
