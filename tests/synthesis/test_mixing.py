"""Mixes that are read faster or slower: sound, notes, ends by the key and drums' strokes move together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from amtsep.config import Mixing
from amtsep.synthesis.bank import DRUMS, NOTE_DTYPE, Bank, BankWriter, Stem
from amtsep.synthesis.mixing import Mixer, resampled

RATE = 22050
PLAIN = Mixing(
    clip_s=4.0, parts=(1.0,), drums=2.0, drum_level_db=(-36.0, -36.0), part_equalizer=0.0, effects=0.0, room=0.0,
    equalizer=0.0, band_limit=0.0, noise=0.0, hum=0.0, compression=0.0, clipping=0.0, codec=0.0, dynamics=0.0,
    tuning=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A tone of 440 Hz again and again, let go before it ends; and clicks, as drums."""
    folder = tmp_path_factory.mktemp("bank")
    n = 6 * RATE
    time = np.arange(n) / RATE
    tone, notes, clicks, strokes = np.zeros(n), [], np.zeros(n), []
    for start in np.arange(0.1, 5.6, 0.5):
        tone += 0.3 * np.sin(2 * np.pi * 440 * time) * ((time >= start) & (time < start + 0.4))
        notes.append((0, start, start + 0.4, 69, 80, start + 0.3))
        clicks[round((start + 0.45) * RATE)] = 0.9
        strokes.append((0, start + 0.45, start + 0.5, 38, 80, start + 0.5))
    stem = Stem("test:tone", "tone", "synth", "test", 80, "random", None, 0, "train", False)
    with BankWriter(folder, RATE, n, 0) as writer:
        writer.append((tone * 32767).astype(np.int16), np.array(notes, NOTE_DTYPE), stem)
        kit = replace(stem, timbre="drums:kit", category=DRUMS, source=DRUMS)
        writer.append((clicks * 32767).astype(np.int16), np.array(strokes, NOTE_DTYPE), kit)
    return Bank.open(folder)


def _cents(audio: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 16 * len(audio)))
    at = np.argmax(spectrum) * RATE / (16 * len(audio))
    return float(1200 * np.log2(at / 440.0))


def test_a_detuned_mix_keeps_its_labels(bank: Bank) -> None:
    mixer = Mixer(bank, PLAIN, seed=4)
    heard = []
    for index in range(8):
        clip = mixer.clip(index)
        assert len(clip.audio) == mixer.n_samples
        level = np.abs(clip.audio) / np.abs(clip.audio).max()
        sharp = np.abs(np.diff(clip.audio))
        onset, offset, _, _, key = clip.notes[(clip.notes[:, 0] > 0.1) & (clip.notes[:, 1] < 3.9)].T
        first = int((onset[2] + 0.02) * RATE)
        cents = _cents(clip.audio[first : first + int(0.36 * RATE)])
        heard.append(cents)
        speed = 2 ** (cents / 1200)
        # The notes keep the proportions that they had, at the speed that is heard.
        assert np.diff(onset) == pytest.approx(0.5 / speed, abs=1e-3)
        assert offset - onset == pytest.approx(0.4 / speed, abs=1e-3)
        assert key - onset == pytest.approx(0.3 / speed, abs=1e-3)
        for a, b in zip(onset, offset):
            assert level[int((a - 0.004) * RATE)] < 0.05 < level[int(a * RATE) : int((a + 0.003) * RATE)].max()
            assert level[int((b + 0.004) * RATE)] < 0.05 < level[int((b - 0.003) * RATE) : int(b * RATE)].max()
        for stroke in clip.strokes[clip.strokes[:, 0] < 3.9, 0]:
            near = sharp[max(int((stroke - 0.02) * RATE), 0) : int((stroke + 0.02) * RATE)]
            assert abs(np.argmax(near) - min(0.02, stroke) * RATE) < 0.001 * RATE + 1
    assert np.abs(heard).max() <= 50.5 and min(heard) < -8 and max(heard) > 8


def test_a_share_is_detuned_and_the_others_are_as_they_were(bank: Bank) -> None:
    some, none = (Mixer(bank, replace(PLAIN, tuning=share), seed=4) for share in (0.3, 0.0))
    same = [np.array_equal(some.clip(i).audio, none.clip(i).audio) for i in range(24)]
    assert 10 <= sum(same) < 24
    plain = Mixer(bank, replace(PLAIN, augment=False), seed=4).clip(0)
    as_is = Mixer(bank, replace(PLAIN, augment=False, tuning=0.0), seed=4).clip(0)
    assert np.array_equal(plain.audio, as_is.audio)


@pytest.mark.parametrize("tuning", [0.0, 1.0])
def test_a_mix_without_its_drums_is_the_same_otherwise(bank: Bank, tuning: float) -> None:
    """A teacher hears it: its sound must fit the mix's notes to the sample, whatever was done to the mix."""
    loud = replace(PLAIN, drum_level_db=(0.0, 0.0), tuning=tuning, equalizer=1.0, room=1.0, noise=1.0)
    for index in range(4):
        clip, usual = (Mixer(bank, settings, seed=4).clip(index) for settings in (replace(loud, drumless=True), loud))
        silent = Mixer(bank, replace(loud, drum_level_db=(-200.0, -200.0)), seed=4).clip(index)
        assert clip.drumless is not None and usual.drumless is None
        np.testing.assert_array_equal(clip.audio, usual.audio)
        # Without clicks at all it is what clicks too soft to be heard leave.
        np.testing.assert_allclose(clip.drumless, silent.audio, atol=1e-4)
        assert np.abs(clip.audio - clip.drumless).max() > 0.1
    bare = Mixer(bank, replace(loud, drums=0.0, drumless=True), seed=4).clip(0)
    np.testing.assert_array_equal(bare.audio, bare.drumless)


def test_a_bank_of_short_stems_is_never_read_past_its_end(bank: Bank) -> None:
    whole = Mixer(bank, replace(PLAIN, clip_s=6.0), seed=4)
    for index in range(8):
        assert whole._read_length(index) <= max(bank.clip_samples, whole.n_samples)


def test_reading_at_another_speed_keeps_time() -> None:
    clicks = np.zeros(20000, np.float32)
    clicks[[3000, 12000]] = 1.0
    for length in (19430, 20570):
        out = resampled(clicks, length)
        assert len(out) == length
        found = [int(np.argmax(out[: length // 2])), length // 2 + int(np.argmax(out[length // 2 :]))]
        assert found == pytest.approx([3000 * length / 20000, 12000 * length / 20000], abs=1.0)
