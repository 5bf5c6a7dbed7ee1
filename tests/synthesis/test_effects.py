"""Effects keep time, pitch and level, and are heard."""

from __future__ import annotations

import numpy as np
import pytest

from amtsep.synthesis import effects
from amtsep.synthesis.onsets import measure
from amtsep.synthesis.pitch import sounding_offset

RATE = 22050
ALL = [effects.amplifier, effects.tremolo, effects.chorus, effects.rotary, effects.compress]


def _note() -> np.ndarray:
    t = np.arange(int(1.5 * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 9))
    return np.asarray(0.1 * tone * (t > 0.3) * np.exp(-(t - 0.3) * 2), np.float32)


@pytest.mark.parametrize("effect", ALL)
def test_an_effect_keeps_onset_pitch_and_level(effect) -> None:  # type: ignore[no-untyped-def]
    note = _note()
    before = measure(note, RATE)
    assert before is not None
    for seed in range(6):
        wet = effect(np.random.default_rng(seed), note, RATE)
        shape = measure(wet, RATE)
        assert wet.dtype == np.float32 and wet.shape == note.shape and shape is not None
        assert abs(shape.onset_s - before.onset_s) < 0.012
        assert sounding_offset(wet[int(0.3 * RATE) :], RATE, 57) == 0
        assert np.mean(wet**2) == pytest.approx(np.mean(note**2), rel=1e-3)
        assert np.mean((wet - note) ** 2) > 1e-4 * np.mean(note**2)
    assert np.array_equal(wet, effect(np.random.default_rng(5), note, RATE))


def test_compression_brings_soft_and_loud_nearer() -> None:
    t = np.arange(2 * RATE) / RATE
    x = (np.sin(2 * np.pi * 300 * t) * np.where(t < 1, 0.5, 0.05)).astype(np.float32)
    y = effects.compress(np.random.default_rng(0), x, RATE)
    ratio = [np.std(z[: RATE // 2]) / np.std(z[-RATE // 4 :]) for z in (x, y)]
    assert ratio[1] < 0.8 * ratio[0]


def test_silence_and_what_is_not_electric_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    note = _note()
    assert effects.electric(rng, note, RATE, "reed") is note
    for effect in ALL:
        assert not effect(rng, np.zeros(4000, np.float32), RATE).any()
