"""The sustain pedal: down and up with the harmony, heard in what is rendered, told in the labels."""

from __future__ import annotations

import numpy as np
import pytest

from amtsep.synthesis import soundfonts
from amtsep.synthesis.expression import Expression
from amtsep.synthesis.instruments import Instrument, general_midi
from amtsep.synthesis.pedal import draw_pedal, sounding_until, struck_again
from amtsep.synthesis.sampler import RATE, SampleSet, make_sample, render_samples
from amtsep.synthesis.scores import SCORE_DTYPE

CHORDS = [(48, 60, 64, 67), (41, 57, 60, 65), (43, 59, 62, 67), (48, 60, 64, 72)]


def _song() -> np.ndarray:
    """A chord a second and a half, each followed by two broken ones of its notes."""
    rows = []
    for k, chord in enumerate(CHORDS * 2):
        rows += [(1.5 * k + 0.2 + step, 1.5 * k + 0.5 + step, p, 80) for step in (0.0, 0.5, 1.0) for p in chord[1:]]
        rows.append((1.5 * k + 0.2, 1.5 * k + 0.5, chord[0], 80))
    return np.sort(np.array(rows, SCORE_DTYPE), order="onset")


def test_the_pedal_changes_with_the_harmony() -> None:
    song = _song()
    chords, between = 0, 0
    for seed in range(40):
        spans = draw_pedal(np.random.default_rng(seed), song, 12.5)
        assert np.all(spans[:, 1] > spans[:, 0]) and np.all(spans[1:, 0] > spans[:-1, 1])
        for up in spans[spans[:, 1] < 12.0, 1]:
            # Up just before the next chord, or while it is struck; a few changes come once a bar has been long.
            near = np.min(np.abs(up - (0.2 + 1.5 * np.arange(9))))
            chords, between = chords + (near < 0.21), between + (near >= 0.21)
    assert chords > 120 and between < 0.3 * chords
    assert not len(draw_pedal(np.random.default_rng(0), song[:0], 9.0))


def test_notes_sound_until_the_pedal_goes_up_or_their_string_is_struck_again() -> None:
    spans = np.array([(1.0, 2.0), (2.2, 3.0)])
    ends = np.array([0.5, 1.0, 1.5, 2.0, 2.1, 2.5, 3.5])
    assert sounding_until(ends, spans).tolist() == [0.5, 1.0, 2.0, 2.0, 2.1, 3.0, 3.5]
    assert sounding_until(ends, np.zeros((0, 2))) is ends
    score = np.array([(1.0, 1.2, 60, 80), (1.1, 1.4, 62, 80), (1.6, 1.8, 60, 80)], SCORE_DTYPE)
    assert struck_again(score, np.array([2.0, 2.0, 2.0])).tolist() == [1.6, 2.0, 2.0]


PART = np.array([(0.5, 0.8, 60, 90), (0.9, 1.2, 64, 90), (3.2, 3.5, 67, 90)], SCORE_DTYPE)
DOWN = np.array([(0.6, 2.5)])


def _level(audio: np.ndarray, rate: int, at: float) -> float:
    return float(np.sqrt(np.mean(audio[int((at - 0.03) * rate) : int((at + 0.03) * rate)] ** 2)))


def _check(audio: np.ndarray, labels: np.ndarray, dry: np.ndarray, dry_labels: np.ndarray, rate: int) -> None:
    """Two notes sound on to the pedal's end and not beyond, the third has none."""
    assert labels["pitch"].tolist() == [60, 64, 67]
    assert labels["key_offset"] == pytest.approx(dry_labels["key_offset"], abs=0.003)
    assert labels["onset"] == pytest.approx(dry_labels["onset"], abs=0.003)
    assert np.all(labels["offset"][:2] >= 2.45) and np.all(labels["offset"][:2] < 2.8)
    assert labels["offset"][2] == pytest.approx(dry_labels["offset"][2], abs=0.003)
    assert _level(audio, rate, 2.3) > 30 * _level(dry, rate, 2.3)
    assert _level(audio, rate, 3.1) < 0.1 * _level(audio, rate, 2.3)
    assert _level(audio, rate, 3.3) == pytest.approx(_level(dry, rate, 3.3), rel=0.1)


def test_a_sampled_piano_rings_on() -> None:
    t = np.arange(int(4.2 * RATE)) / RATE
    samples = []
    for pitch in (60, 64, 67):
        f = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * f * k * t) / k for k in range(1, 7)) * np.exp(-0.6 * t)
        made = make_sample(np.concatenate([np.zeros(2000), 0.1 * tone]).astype(np.float32), pitch, 90)
        assert made is not None
        samples.append(made)
    piano = SampleSet.build("test:piano", Instrument("piano", "piano", 24, 105, False), samples)
    (wet, labels), (dry, dry_labels) = (
        render_samples(np.random.default_rng(0), piano, PART, 4.5, Expression(), pedal=pedal) for pedal in (DOWN, None)
    )
    _check(wet, labels, dry, dry_labels, RATE)


def test_a_soundfont_piano_rings_on() -> None:
    fonts = soundfonts.find_soundfonts() if soundfonts.available() else {}
    if "timgm" not in fonts:
        pytest.skip("FluidSynth or TimGM6mb.sf2 is not installed")
    synthesizer = soundfonts.Synthesizer()
    found = soundfonts.Profile(
        0, 0, (48, 60, 72, 84), ((0.005,) * 4,) * 2, (12.0, 10.0, 8.0, 6.0), (0.2,) * 4, 0, ""
    )  # fmt: skip
    piano = soundfonts.FontTimbre("timgm:0", fonts["timgm"], found, general_midi()[0], False)
    (wet, labels), (dry, dry_labels), (again, _) = (
        soundfonts.render_font(synthesizer, piano, PART, 4.5, Expression(), pedal=pedal) for pedal in (DOWN, None, None)
    )
    _check(wet, labels, dry, dry_labels, soundfonts.RATE)
    # The pedal is up again for the part after it.
    assert again == pytest.approx(dry, abs=1e-3)
