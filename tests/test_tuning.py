"""Recordings beside 440 Hz: measured, brought back for the network, told as they were."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from amtsep.audio import Audio, resample
from amtsep.config import Decoding
from amtsep.decoding import decode
from amtsep.evaluation.metrics import onset_f1
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.rhythm.bends import bend_curves, concert_pitch, tuning_cents
from amtsep.tuning import in_tune, measure

sys.path.insert(0, str(Path(__file__).parent / "widgets"))

import synthetic  # noqa: E402

RATE = 22050


def detuned(notes: Notes, seconds: float, cents: float) -> tuple[Audio, Notes]:
    """Notes as sound so many cents off (and as much faster), and where they are then."""
    ratio = 2.0 ** (cents / 1200.0)
    sound = resample(synthetic.sound(notes, seconds), round(RATE * ratio), RATE)
    return Audio(sound, RATE), Notes.build(notes.onset / ratio, notes.offset / ratio, notes.pitch)


@pytest.mark.parametrize("cents", [-40.0, -12.0, 0.0, 45.0])
def test_tuning_is_measured_and_only_what_is_far_off_is_brought_back(cents):
    audio, _ = detuned(synthetic.melody(6.0), 6.0, cents)
    found, agreement = measure(audio)
    assert found == pytest.approx(cents, abs=3.0) and agreement > 0.3
    tuned = in_tune(audio)
    assert in_tune(tuned) is tuned
    if abs(cents) < 20:
        assert tuned.samples is audio.samples and tuned.stretch == 1.0
    else:
        assert measure(Audio(np.asarray(tuned.samples[:]), RATE))[0] == pytest.approx(0.0, abs=3.0)


def test_noise_has_no_tuning():
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32)
    assert in_tune(Audio(noise, RATE)).stretch == 1.0


def test_a_recording_between_two_semitones_is_heard_like_one_in_tune(tmp_path):
    notes = synthetic.melody(8.0)
    transcriber = Transcriber("light", threads=1)
    straight, truth = detuned(notes, 8.0, 0.0)
    best = onset_f1(truth, decode(transcriber(straight), Decoding()))
    audio, truth = detuned(notes, 8.0, 43.0)
    posteriors = transcriber(audio)
    found = decode(posteriors, Decoding())
    assert best > 0.8 and onset_f1(truth, found) > best - 0.05
    assert concert_pitch(tuning_cents(posteriors)) == pytest.approx(concert_pitch(43.0), abs=1.0)
    curves = [c for c in bend_curves(found, posteriors) if c is not None]
    assert np.median([c.mean for c in curves]) == pytest.approx(43.0, abs=4.0), "bends are told from 440 Hz"
    posteriors.save(tmp_path / "p.npz")
    again = Posteriors.load(tmp_path / "p.npz")
    assert again.tuning == pytest.approx(posteriors.tuning) and again.hop_s == posteriors.hop_s


def test_a_recording_that_is_retuned_is_so_once_for_notes_and_drums(monkeypatch):
    from amtsep import inference

    calls = []

    def counted(audio):
        calls.append(audio)
        return in_tune(audio)

    monkeypatch.setattr(inference, "in_tune", counted)
    audio, _ = detuned(synthetic.melody(3.0), 3.0, 43.0)
    posteriors = Transcriber("light", threads=1)(audio, drums=True)
    assert abs(posteriors.tuning) > 20 and len(calls) == 1
    assert posteriors.drums is not None and posteriors.drums.shape == (5, posteriors.n_frames)
