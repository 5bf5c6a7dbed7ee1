"""The label rule on sounds whose true onset is known."""

from __future__ import annotations

import numpy as np
import pytest

from amtsep.synthesis.onsets import audible_end, measure

RATE = 22050
T = np.arange(2 * RATE) / RATE


def _tone(envelope: np.ndarray, hz: float = 220.0) -> np.ndarray:
    return (0.1 * envelope * np.sin(2 * np.pi * hz * T)).astype(np.float32)


def test_abrupt_onset_is_found_within_three_milliseconds() -> None:
    shape = measure(_tone((T > 0.3) * 1.0), RATE)
    assert shape is not None
    assert shape.onset_s == pytest.approx(0.3, abs=0.003)


@pytest.mark.parametrize("decay", [3.0, 8.0, 20.0])
def test_plucked_onset_does_not_move_with_the_decay(decay: float) -> None:
    shape = measure(_tone((T > 0.3) * np.exp(-np.maximum(T - 0.3, 0) * decay)), RATE)
    assert shape is not None
    assert shape.onset_s == pytest.approx(0.3, abs=0.003)


def test_slow_attack_is_labelled_where_it_comes_within_twelve_decibels() -> None:
    # A linear rise of 100 ms is at -12 dB after a quarter of it.
    shape = measure(_tone(np.clip((T - 0.3) / 0.1, 0, 1)), RATE)
    assert shape is not None
    assert shape.onset_s == pytest.approx(0.325, abs=0.004)


def test_a_click_before_the_note_is_not_its_onset() -> None:
    shape = measure(_tone((T > 0.45) + 0.6 * ((T > 0.3) & (T < 0.31))), RATE)
    assert shape is not None
    assert shape.onset_s == pytest.approx(0.45, abs=0.004)


@pytest.mark.parametrize("hz", [35, 50])
def test_pulses_of_a_low_note_do_not_delay_it(hz: float) -> None:
    pulses = sum(np.cos(2 * np.pi * hz * k * (T - 0.3)) for k in range(1, 30))
    shape = measure((0.02 * (T > 0.3) * pulses).astype(np.float32), RATE)
    assert shape is not None
    assert shape.onset_s == pytest.approx(0.3, abs=0.006)


def test_level_does_not_move_the_onset() -> None:
    tone = _tone(np.clip((T - 0.3) / 0.05, 0, 1))
    loud, soft = measure(tone, RATE), measure(tone * 0.03, RATE)
    assert loud is not None and soft is not None
    assert loud.onset_s == pytest.approx(soft.onset_s, abs=1e-4)


def test_silence_has_no_shape() -> None:
    assert measure(np.zeros(RATE, np.float32), RATE) is None


def test_release_is_the_time_to_twenty_decibels_less() -> None:
    # After note-off at 1.2 s the level falls by 100 dB a second.
    envelope = np.where(T < 1.2, 1.0, 10 ** (-100 * np.maximum(T - 1.2, 0) / 20)) * (T > 0.3)
    shape = measure(_tone(envelope), RATE, note_off_s=1.2)
    assert shape is not None
    assert shape.release_s == pytest.approx(0.2, abs=0.03)
    assert shape.end_s == pytest.approx(1.4, abs=0.03)


def test_a_note_that_dies_away_ends_before_its_key_is_let_go() -> None:
    assert audible_end(0.0, 5.0, decay_s=1.0, release_s=0.3) == pytest.approx(1.0)
    # Let go, it counts as ended half way down its release.
    assert audible_end(0.0, 0.5, decay_s=np.inf, release_s=0.3) == pytest.approx(0.65)
    # Half decayed (15 of 30 dB), it has 15 dB left to fall: three quarters of a 20 dB release.
    assert audible_end(0.0, 0.5, decay_s=1.0, release_s=0.2) == pytest.approx(0.575)


def test_noise_before_the_tone_is_not_its_onset_where_the_pitch_is_known() -> None:
    noise = np.random.default_rng(0).normal(0, 0.03, len(T)) * ((T > 0.3) & (T < 0.38))
    sound = (_tone((T > 0.38) * 1.0, 587.0) + noise).astype(np.float32)
    by_level, by_pitch = measure(sound, RATE), measure(sound, RATE, pitch=74)
    assert by_level is not None and by_pitch is not None
    assert by_level.onset_s < 0.35
    assert by_pitch.onset_s == pytest.approx(0.38, abs=0.006)


@pytest.mark.parametrize("pitch", [50, 60, 72, 84, 96])
def test_knowing_the_pitch_does_not_move_a_clean_onset(pitch: int) -> None:
    hz = 440 * 2 ** ((pitch - 69) / 12)
    for envelope in ((T > 0.3) * 1.0, np.clip((T - 0.3) / 0.08, 0, 1)):
        a, b = measure(_tone(envelope, hz), RATE), measure(_tone(envelope, hz), RATE, pitch=pitch + 0.2)
        assert a is not None and b is not None
        assert b.onset_s == pytest.approx(a.onset_s, abs=0.004)
