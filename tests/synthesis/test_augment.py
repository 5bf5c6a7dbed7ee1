"""What is done to sound keeps its place in time."""

from __future__ import annotations

import av
import numpy as np
import pytest
import soundfile

from amtsep.synthesis import augment

RATE = 22050


def _clicks() -> tuple[np.ndarray, np.ndarray]:
    """Short clicks half a second apart over two seconds, and where they are."""
    at = np.array([0.25, 0.77, 1.31, 1.8])
    times = (np.arange(2 * RATE)[:, None] - np.round(at * RATE)[None]) / RATE
    wave = (times >= 0) * np.exp(-np.maximum(times, 0) / 0.002) * np.sin(2 * np.pi * 1700 * times)
    return wave.sum(axis=1).astype(np.float32), np.round(at * RATE).astype(int)


@pytest.mark.parametrize(("name", "setting"), [(name, x) for name, (_, few) in augment.CODECS.items() for x in few])
def test_a_coder_leaves_clicks_where_they_are(name: str, setting: float) -> None:
    there = {"vorbis": True, "mp3": "MP3" in soundfile.available_formats(), "aac": "aac" in av.codecs_available}
    if not there[name]:
        pytest.skip(f"this build of libsndfile or FFmpeg has no {name}")
    clicks, places = _clicks()
    assert augment.codec_delay(name, setting, RATE) is not None
    out = augment.coded(clicks, RATE, name, setting)
    assert out.shape == clicks.shape and out.dtype == np.float32
    assert 0.0 < np.mean((out - clicks) ** 2) / np.mean(clicks**2) < 0.9
    for place in places:
        near = slice(place - 1500, place + 1500)
        likeness = np.correlate(out[near], clicks[near], "full")
        assert abs(int(np.argmax(likeness)) - (len(clicks[near]) - 1)) <= RATE // 1000
        # Most of what is heard is heard from the click on: a coder's forerunner is far softer.
        assert np.sum(out[place - 1000 : place - 22] ** 2) < 0.5 * np.sum(out[place - 22 : place + 200] ** 2)


def test_a_coder_that_is_missing_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> np.ndarray:
        raise OSError("no such encoder")

    augment.codec_delay.cache_clear()
    for name, (_, settings) in augment.CODECS.items():
        monkeypatch.setitem(augment.CODECS, name, (missing, settings))
    clicks, _ = _clicks()
    assert augment.through_codec(np.random.default_rng(0), clicks, RATE) is clicks
    augment.codec_delay.cache_clear()


def test_the_same_draw_gives_the_same_sound_and_silence_stays_silent() -> None:
    clicks, _ = _clicks()
    for seed in range(6):
        first, again = (augment.through_codec(np.random.default_rng(seed), clicks, RATE) for _ in range(2))
        assert np.array_equal(first, again)
    assert np.abs(augment.through_codec(np.random.default_rng(1), np.zeros(4000, np.float32), RATE)).max() < 1e-3
