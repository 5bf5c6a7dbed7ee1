"""Normalisation of loudness: quiet passages, offsets, silence around the music, blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amtsep.audio import Audio, load_audio
from amtsep.config import Decoding, FrontEnd
from amtsep.decoding import decode
from amtsep.inference import Transcriber
from amtsep.loudness import Conditioning, Loudness, condition
from amtsep.notes import Notes

DEMOS = Path(__file__).resolve().parents[1] / "notebooks" / "demos"
MODES = ("mean", "running")
RATE, HOP = 22050, 256


def settings(mode: str) -> FrontEnd:
    return FrontEnd(normalisation=mode)


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 0.1).astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


@pytest.fixture(scope="module")
def piano() -> np.ndarray:
    return load_audio(next(DEMOS.glob("Piano*.ogg"))).samples[: 12 * RATE]


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber("light")


def notes_of(transcriber: Transcriber, samples: np.ndarray, mode: str) -> Notes:
    transcriber.engine.front_end = replace(transcriber.engine.front_end, normalisation=mode)
    return decode(transcriber(Audio(samples.astype(np.float32), RATE)), Decoding())


def found(reference: Notes, notes: Notes, shift: float = 0.0) -> int:
    """How many notes of `reference`, `shift` seconds later, are among `notes` within 50 ms."""
    near = np.abs(notes.onset[None] - reference.onset[:, None] - shift) < 0.05
    return int((near & (notes.pitch[None] == reference.pitch[:, None])).any(axis=1).sum())


@pytest.mark.parametrize("mode", MODES)
def test_the_size_of_blocks_does_not_matter(mode: str) -> None:
    samples = noise(3.3)
    whole = Loudness(settings(mode)).push(samples).finish()
    pieces = Loudness(settings(mode))
    for start in range(0, len(samples), 999):
        pieces.push(samples[start : start + 999])
    for a, b in zip((whole.gain, whole.offset), (pieces.finish().gain, pieces.finish().offset)):
        np.testing.assert_allclose(b, a, rtol=1e-12)
    part = whole.apply(samples[5000:9000], 5000)
    np.testing.assert_array_equal(part, whole.apply(samples)[5000:9000])
    assert level_db(whole.apply(samples)) == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("mode", MODES)
def test_an_offset_is_taken_out_and_silence_around_changes_nothing(mode: str) -> None:
    samples = noise(5.0)
    plain = condition(samples, settings(mode))
    np.testing.assert_allclose(condition(samples + np.float32(0.3), settings(mode)), plain, rtol=5e-4, atol=2e-5)
    before, after = np.zeros(40 * HOP, np.float32), np.zeros(10 * RATE, np.float32)
    padded = condition(np.concatenate([before, samples, after]), settings(mode))
    # In the hops that it begins and ends in, the sound fills a part of what is averaged.
    inner = slice(HOP, -RATE)
    np.testing.assert_allclose(padded[len(before) :][: len(samples)][inner], plain[inner], rtol=2e-3, atol=2e-3)
    assert not padded[: len(before) - HOP].any()


def test_a_running_level_finds_each_passage_and_keeps_to_sudden_changes() -> None:
    quiet = noise(20.0) * np.float32(0.01)
    samples = np.concatenate([noise(20.0, 2), quiet, noise(20.0, 3)])
    heard = condition(samples, settings("running"))
    for start in (1, 10, 19 - 1, 21, 30, 39 - 1, 41, 50):
        assert abs(level_db(heard[start * RATE : (start + 1) * RATE])) < 1.5, f"at {start} s"
    mean = condition(samples, settings("mean"))
    assert level_db(mean[30 * RATE : 31 * RATE]) < -35
    hiss = np.concatenate([noise(20.0, 2), noise(20.0) * np.float32(0.0015)])
    assert level_db(condition(hiss, settings("running"))[30 * RATE :]) < -14, "56 dB under the music is no music"


def test_nothing_at_all_stays_nothing() -> None:
    for mode in MODES:
        for samples in (np.zeros(0, np.float32), np.zeros(5, np.float32), np.full(3000, 0.3, np.float32)):
            heard = condition(samples, settings(mode))
            assert heard.shape == samples.shape and np.abs(heard).max(initial=0.0) < 1e-2


def test_levels_in_db_are_those_that_the_gain_took_away() -> None:
    conditioning = Conditioning(HOP, np.zeros(10), np.full(10, 10.0))
    np.testing.assert_allclose(conditioning.level_db(0, 12), -20.0)


@pytest.mark.parametrize("mode", MODES)
def test_notes_of_a_recording_with_an_offset_or_with_silence_around(
    transcriber: Transcriber, piano: np.ndarray, mode: str
) -> None:
    """An offset of 0.3 lost 14 of 210 notes."""
    reference = notes_of(transcriber, piano, mode)
    shifted = notes_of(transcriber, piano * np.float32(0.7) + np.float32(0.3), mode)
    assert len(shifted) == len(reference) == found(reference, shifted)
    before, after = np.zeros(300 * HOP, np.float32), np.zeros(900 * HOP, np.float32)
    padded = notes_of(transcriber, np.concatenate([before, piano, after]), mode)
    assert len(padded) == len(reference) == found(reference, padded, len(before) / RATE)


def test_notes_of_a_quiet_passage_beside_a_loud_one(transcriber: Transcriber, piano: np.ndarray) -> None:
    """40 dB under two loud minutes, 200 of 210 notes were lost with one mean level."""
    loud = np.tile(piano, 3)
    samples = np.concatenate([loud, piano * np.float32(0.01), loud])
    reference = notes_of(transcriber, piano, "running")
    kept = found(reference, notes_of(transcriber, samples, "running"), len(loud) / RATE)
    assert kept >= 0.93 * len(reference)
    assert found(reference, notes_of(transcriber, samples, "mean"), len(loud) / RATE) < 0.6 * len(reference)


@pytest.mark.parametrize(
    ("hop", "start", "count"), [(256, 0, 2560), (256, 700, 900), (7, 0, 70), (7, 11, 1), (7, 33, 0)]
)
def test_between_the_middles_of_hops_both_curves_go_straight(hop: int, start: int, count: int) -> None:
    offset, gain = np.random.default_rng(1).uniform(0.5, 2.0, (2, 10))
    samples = np.linspace(-1.0, 1.0, count, dtype=np.float32)
    places, middles = np.arange(start, start + count), (np.arange(10) + 0.5) * hop
    expected = (samples - np.interp(places, middles, offset)) * np.interp(places, middles, gain)
    np.testing.assert_allclose(Conditioning(hop, offset, gain).apply(samples, start), expected, atol=1e-6)
