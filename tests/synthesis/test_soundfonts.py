"""FluidSynth: found, driven sample-accurately, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amtsep.errors import DataError
from amtsep.synthesis import soundfonts
from amtsep.synthesis.expression import Expression
from amtsep.synthesis.instruments import general_midi
from amtsep.synthesis.onsets import measure
from amtsep.synthesis.scores import SCORE_DTYPE
from amtsep.synthesis.soundfonts import RATE, FontTimbre, Synthesizer, find_soundfonts, profile, render_font

needs_fluidsynth = pytest.mark.skipif(not soundfonts.available(), reason="FluidSynth is not installed")


def test_a_missing_soundfont_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no soundfont"):
        find_soundfonts((tmp_path / "none.sf2",))


def test_a_named_soundfont_comes_in_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "My Font.sf2").write_bytes(b"")
    assert find_soundfonts((tmp_path / "My Font.sf2",))["my-font"] == tmp_path / "My Font.sf2"


def test_a_key_struck_again_is_let_go_first_and_only_once() -> None:
    events = [(0, 1, 60, 90), (50, 1, 60, 90), (80, 0, 60, 0), (100, 0, 60, 0)]
    assert soundfonts._untangle(events) == [(0, 1, 60, 90), (50, 0, 60, 0), (50, 1, 60, 90), (100, 0, 60, 0)]


@pytest.fixture(scope="module")
def font() -> Path:
    if not soundfonts.available():
        pytest.skip("FluidSynth is not installed")
    fonts = find_soundfonts()
    if "timgm" not in fonts:
        pytest.skip("TimGM6mb.sf2 is neither installed nor in pretty_midi's wheel")
    return fonts["timgm"]


@needs_fluidsynth
def test_piano_is_measured_and_of_use(font: Path) -> None:
    found = profile(Synthesizer(), font, 0, 0, general_midi()[0])
    assert found.verdict == "" and found.transpose == 0
    assert np.median(found.delay) < 0.015
    low, high = found.times(36, 100), found.times(96, 100)
    assert low[1] > high[1] > 0.2  # low strings ring longer


@needs_fluidsynth
def test_effects_are_dropped(font: Path) -> None:
    assert profile(Synthesizer(), font, 0, 101, general_midi()[101]).verdict.startswith(
        ("slow", "unsteady", "does not")
    )


@needs_fluidsynth
@pytest.mark.parametrize("program", [0, 24, 56, 60, 73])
def test_labels_are_where_the_level_says(font: Path, program: int) -> None:
    """Notes rendered alone, at pitches between the measured ones, against the rule applied to the rendering."""
    synthesizer = Synthesizer()
    found = profile(synthesizer, font, 0, program, general_midi()[program])
    assert found.verdict == ""
    timbre = FontTimbre("x", font, found, general_midi()[program], False)
    errors = []
    for pitch in found.pitches[1:-1:2]:
        score = np.array([(1.0, 1.8, pitch + 1, 85)], SCORE_DTYPE)
        audio, labels = render_font(synthesizer, timbre, score, 3.0, Expression())
        shape = measure(audio, RATE, 1.8)
        assert shape is not None and len(labels) == 1
        errors.append(shape.onset_s - float(labels["onset"][0]))
        assert labels["onset"][0] == pytest.approx(1.0, abs=0.002)
    assert np.median(np.abs(errors)) < 0.012


@needs_fluidsynth
def test_rendering_is_the_same_bit_for_bit(font: Path) -> None:
    events = np.array([(10, 1, 60, 90), (300, 0, 60, 0)])
    a, b = Synthesizer(), Synthesizer()
    assert a.select(font, 0, 0) and b.select(font, 0, 0)
    first = a.render(events, 600)
    assert np.array_equal(first, b.render(events, 600))
    assert np.allclose(first, a.render(events, 600), atol=1e-4)  # nothing to be heard is left of the clip before
    assert not np.any(first[: 10 * 64]) and np.abs(first).max() > 1e-3


@needs_fluidsynth
@pytest.mark.parametrize("program", [0, 11, 46, 48, 73])
def test_little_is_heard_outside_the_labels_of_audible_sound(
    font: Path, program: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short notes of sounds that ring, of sounds that are damped, and of sounds that sustain."""
    from amtsep.synthesis import onsets

    monkeypatch.setattr(onsets, "RELEASED_SHARE", 1.0)
    synthesizer = Synthesizer()
    found = profile(synthesizer, font, 0, program, general_midi()[program])
    timbre = FontTimbre("x", font, found, general_midi()[program], False)
    for pitch in found.pitches[2:-2:4]:
        score = np.array([(0.5, 0.75, pitch, 90)], SCORE_DTYPE)
        audio, labels = render_font(synthesizer, timbre, score, 9.0, Expression())
        loud = np.sqrt(np.mean(audio[int(0.52 * RATE) : int(0.7 * RATE)] ** 2))
        end = int((float(labels["offset"][0]) + 0.05) * RATE)
        rest = audio[end : end + 4410]
        assert len(rest) < 2000 or np.sqrt(np.mean(rest**2)) < 0.2 * loud
