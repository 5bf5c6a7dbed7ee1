"""Strings bent, slid on and hammered on: heard, and at the label's pitch for most of a note."""

from __future__ import annotations

import numpy as np

from amtsep.synthesis.expression import Expression, alone, draw
from amtsep.synthesis.instruments import Instrument
from amtsep.synthesis.pitch import sounding_offset
from amtsep.synthesis.sampler import RATE, SampleSet, make_sample, render_samples
from amtsep.synthesis.scores import SCORE_DTYPE

LINE = np.array([(0.2 + 0.6 * k, 0.75 + 0.6 * k, 60 + k % 5, 80) for k in range(40)], SCORE_DTYPE)


def test_bent_notes_are_at_their_pitch_for_most_of_their_time() -> None:
    times = np.arange(0, 25, 0.002)
    bent = Expression(bent=1.0, bend_cents=200.0, bend_s=0.2).curve(times, LINE)
    kinds = set()
    for note in LINE:
        own = bent[(times >= note["onset"]) & (times < note["offset"])]
        assert np.mean(np.abs(own) < 50) > 0.55 and np.abs(own).max() > 150
        kinds.add((abs(own[0]) > 100, abs(own[-1]) > 100))
    # Bent into, up and back, away at the end.
    assert kinds == {(True, False), (False, False), (False, True)}
    outside = np.min(np.abs(times[:, None] - LINE["onset"]), axis=1) > 0.6
    assert not bent[outside & (times > LINE["offset"][-1])].any()


def test_chords_are_not_bent() -> None:
    chords = np.sort(np.concatenate([LINE, LINE]), order="onset")
    chords["pitch"][1::2] += 4
    assert not alone(chords).any() and alone(LINE).all()
    times = np.arange(0, 25, 0.01)
    shaken = Expression(bent=1.0, vibrato_cents=30.0, lone=True, hammered=1.0)
    assert not shaken.curve(times, chords).any() and not shaken.hammers(chords).any()
    assert shaken.curve(times, LINE).any() and 0.5 < shaken.hammers(LINE).mean() < 1.0


def test_hammered_notes_are_those_near_the_one_before_in_any_order() -> None:
    leaps = LINE.copy()
    leaps["pitch"][::2] += 12
    every = Expression(hammered=1.0)
    assert not every.hammers(leaps).any() and not Expression().hammers(LINE).any()
    turned = np.random.default_rng(0).permutation(len(LINE))
    assert np.array_equal(every.hammers(LINE[turned]), every.hammers(LINE)[turned])


def test_only_guitars_are_bent() -> None:
    rng = np.random.default_rng(0)
    guitars = [draw(rng, False, False, "guitar") for _ in range(60)]
    assert 10 < sum(e.bent > 0 for e in guitars) < 50 and 10 < sum(e.hammered > 0 for e in guitars) < 50
    assert not any(e.bent or e.hammered for e in (draw(rng, False, False, "piano") for _ in range(60)))


def test_a_sampled_guitar_is_heard_at_its_pitch_and_its_hammered_notes_are_softer() -> None:
    t = np.arange(int(2.2 * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 261.63 * k * t) / k for k in range(1, 9)) * np.exp(-1.5 * t)
    made = make_sample(np.concatenate([np.zeros(2000), 0.1 * tone]).astype(np.float32), 60, 80)
    assert made is not None
    guitar = SampleSet.build("test:guitar", Instrument("guitar", "guitar", 40, 84, False), [made])
    score = np.array([(0.2 + 0.5 * k, 0.7 + 0.5 * k, 59 + k % 3, 80) for k in range(8)], SCORE_DTYPE)
    bent, labels = render_samples(np.random.default_rng(0), guitar, score, 5.0, Expression(bent=1.0, bend_s=0.05))
    plain, _ = render_samples(np.random.default_rng(0), guitar, score, 5.0, Expression())
    hammered = Expression(hammered=1.0)
    soft, soft_labels = render_samples(np.random.default_rng(0), guitar, score, 5.0, hammered)
    assert len(labels) == len(soft_labels) == 8
    softer = []
    for note, on in zip(labels, hammered.hammers(score), strict=True):
        own = slice(int((note["onset"] + 0.1) * RATE), int((note["offset"] - 0.1) * RATE))
        assert sounding_offset(bent[own], RATE, int(note["pitch"])) == 0
        level = [float(np.sqrt(np.mean(x[own] ** 2))) for x in (soft, plain)]
        softer.append(bool(level[0] < 0.75 * level[1]) == bool(on))
    assert all(softer) and 3 <= hammered.hammers(score).sum() < 8
