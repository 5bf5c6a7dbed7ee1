"""The sampler: pitches from names, true onsets, offsets that can be heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from amtsep.errors import DataError
from amtsep.synthesis.expression import Expression
from amtsep.synthesis.pitch import sounding_offset
from amtsep.synthesis.sampler import RATE, SampleSet, load_folder, pitch_in, render_samples, synthetic_set
from amtsep.synthesis.scores import SCORE_DTYPE


@pytest.mark.parametrize(
    ("name", "pitch"),
    [
        ("violin_As4_15_forte_arco-normal", 70),
        ("A4", 69),
        ("piano-C#3-v5", 49),
        ("Bb2", 46),
        ("C-1", 0),
        ("drum", None),
    ],
)
def test_pitch_in_file_names(name: str, pitch: int | None) -> None:
    assert pitch_in(name) == pitch


def _note(pitch: float, seconds: float = 1.2, lead: float = 0.2) -> np.ndarray:
    t = np.arange(int((seconds + lead + 0.2) * RATE)) / RATE
    f = 440 * 2 ** ((pitch - 69) / 12)
    tone = sum(np.sin(2 * np.pi * f * k * t) / k for k in range(1, 7))
    return (0.1 * ((t > lead) & (t < lead + seconds)) * tone).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("samples") / "violin"
    root.mkdir()
    for name, pitch in {"C4": 60, "D4": 62, "E4": 64, "Fs4": 66, "A5": 69}.items():  # the last is misnamed by an octave
        soundfile.write(root / f"violin_{name}_1_forte_arco-normal.wav", _note(pitch), RATE)
    soundfile.write(root / "violin_G4_phrase_forte_arco-normal.wav", _note(67), RATE)
    return root


def test_notes_not_at_their_pitch_and_phrases_are_passed_over(folder: Path) -> None:
    found = load_folder(folder)
    assert [s.pitch for s in found.samples] == [60, 62, 64, 66]
    assert found.instrument.family == "violin" and not found.held_out


def test_labels_are_where_the_sound_is(folder: Path) -> None:
    found = load_folder(folder)
    score = np.array([(0.5, 1.0, 60, 90), (2.0, 2.25, 63, 90), (3.0, 8.0, 67, 90)], SCORE_DTYPE)
    audio, labels = render_samples(np.random.default_rng(0), found, score, 9.0, Expression(detune=20.0))
    assert labels["pitch"].tolist() == [60, 63, 67]
    loud = np.abs(audio) > 0.02
    for label in labels:
        on = int(label["onset"] * RATE)
        off = int(label["offset"] * RATE)
        first = on - 2000 + int(np.argmax(loud[on - 2000 : off]))
        assert first / RATE == pytest.approx(float(label["onset"]), abs=0.006)
        assert loud[off - 700 : off].any() or off == 9 * RATE
        assert not loud[off + 1600 : off + 4000].any()
    # The recordings last 1.2 s: a longer note ends when its recording does.
    assert labels["offset"][2] == pytest.approx(4.2, abs=0.1)


def test_shifted_notes_sound_at_the_pitch_of_the_label(folder: Path) -> None:
    found = load_folder(folder)
    for pitch in (59, 61, 65, 67):
        score = np.array([(0.5, 1.5, pitch, 90)], SCORE_DTYPE)
        audio, _ = render_samples(np.random.default_rng(0), found, score, 3.0, Expression())
        assert sounding_offset(audio[int(0.5 * RATE) :], RATE, pitch) == 0


def test_louder_velocity_is_louder(folder: Path) -> None:
    found = load_folder(folder)
    levels = []
    for velocity in (40, 100):
        score = np.array([(0.5, 1.5, 62, velocity)], SCORE_DTYPE)
        audio, _ = render_samples(np.random.default_rng(0), found, score, 3.0, Expression())
        levels.append(float(np.sqrt(np.mean(audio**2))))
    assert levels[1] > 2 * levels[0]


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No usable note"):
        load_folder(tmp_path)


def test_octaves_are_told_apart() -> None:
    note = _note(60)[int(0.2 * RATE) :]
    assert sounding_offset(note, RATE, 60) == 0
    assert sounding_offset(note, RATE, 48) == 12
    assert sounding_offset(note, RATE, 72) == -12
    assert sounding_offset(note, RATE, 63) is None
    assert sounding_offset(np.random.default_rng(0).normal(0, 1, RATE), RATE, 60) is None


def test_synthetic_timbres_are_playable_and_differ() -> None:
    sets: list[SampleSet] = [synthetic_set(i) for i in range(6)]
    assert all(len(s.samples) >= 4 for s in sets)
    assert len({s.instrument.family for s in sets}) >= 2
    again = synthetic_set(3)
    assert np.array_equal(again.samples[0].samples, sets[3].samples[0].samples)


def test_a_note_that_comes_in_softly_is_labelled_where_it_stands(folder: Path) -> None:
    found = load_folder(folder)
    onsets = np.arange(8) * 1.1 + 0.1
    score = np.array([(t, t + 0.9, 60 + 2 * (i % 3), 90) for i, t in enumerate(onsets)], SCORE_DTYPE)
    audio, labels = render_samples(np.random.default_rng(3), found, score, 9.0, Expression(swelled=1.0))
    late = labels["onset"] - onsets
    assert (late >= 0).all() and late.max() > 0.03  # the rule moves the label into the rise
    for onset in labels["onset"]:
        power = [np.mean(audio[int((onset + d) * RATE) :][: int(0.01 * RATE)] ** 2) for d in (-0.03, 0.01, 0.4)]
        before, at, sustained = 10 * np.log10(np.array(power) + 1e-12)
        assert at > sustained - 13 and before < sustained - 11
