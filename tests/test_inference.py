"""Recordings to posteriors with the shipped weights: golden outputs, chunks, progress, cancel, damaged files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from amtsep import inference
from amtsep.audio import Audio
from amtsep.config import Decoding
from amtsep.decoding import Decoder
from amtsep.errors import Cancelled, ModelError
from amtsep.inference import Transcriber, available_models, conditioned
from amtsep.loudness import Conditioning

GOLDEN = Path(__file__).parent / "golden"
RATE = 22050


def tune(seconds: float = 4.0) -> Audio:
    """Plucked tones on a C major scale, one every half second: sound that needs no file."""
    samples = np.zeros(int(RATE * seconds), np.float32)
    for k, pitch in enumerate([60, 62, 64, 65, 67, 69, 71, 72][: int(seconds / 0.5)]):
        start = int((0.1 + 0.5 * k) * RATE)
        time = np.arange(min(int(0.45 * RATE), len(samples) - start)) / RATE
        tone = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * h * time) / h**1.5 for h in range(1, 8))
        fade = np.minimum(1.0, np.minimum(time / 0.004, (time[-1] - time) / 0.02))
        samples[start : start + len(time)] += (0.2 * tone * np.exp(-2.5 * time) * fade).astype(np.float32)
    return Audio(samples, RATE, "scale")


@pytest.mark.parametrize("model", available_models())
def test_a_plain_scale_comes_out_note_by_note(model: str) -> None:
    notes = Decoder(Transcriber(model)(tune()))(Decoding())
    strong = notes.select(notes.confidence >= np.sort(notes.confidence)[-8])
    assert strong.pitch.tolist() == [60, 62, 64, 65, 67, 69, 71, 72]
    np.testing.assert_allclose(strong.onset, 0.1 + 0.5 * np.arange(8), atol=0.03)
    assert len(notes) <= 10


@pytest.mark.parametrize("model", available_models())
def test_outputs_are_those_that_were_shipped(model: str) -> None:
    """Golden file, made by tests/golden/make.py: a change of runtime or front end must not move what people get."""
    golden = np.load(GOLDEN / f"{model}.npz")
    posteriors = Transcriber(model)(tune(2.0))
    np.testing.assert_allclose(posteriors.onset[39:52], golden["onset"], atol=2e-3)
    np.testing.assert_allclose(posteriors.frame[39:52], golden["frame"], atol=2e-3)


@pytest.mark.parametrize("model", available_models())
def test_chunks_do_not_show(model: str) -> None:
    audio = tune()
    whole = Transcriber(model, chunk_frames=10_000)(audio)
    pieces = Transcriber(model, chunk_frames=100)(audio)
    np.testing.assert_allclose(pieces.onset, whole.onset, atol=1e-5)
    np.testing.assert_allclose(pieces.frame, whole.frame, atol=1e-5)


@pytest.mark.parametrize("model", available_models())
def test_torch_and_onnx_agree(model: str) -> None:
    pytest.importorskip("torch", reason="torch comes with amtsep[train]")
    a, b = Transcriber(model)(tune(2.0)), Transcriber(model, backend="torch", device="cpu")(tune(2.0))
    np.testing.assert_allclose(a.onset, b.onset, atol=1e-3)
    np.testing.assert_allclose(a.frame, b.frame, atol=1e-3)


def test_level_of_the_recording_does_not_matter() -> None:
    audio = tune(2.0)
    quiet = Audio(audio.samples * np.float32(0.01), RATE, "quiet")
    a, b = Transcriber()(audio), Transcriber()(quiet)
    np.testing.assert_allclose(a.onset, b.onset, atol=5e-3)
    assert abs(int(a.spectrogram.max()) - int(b.spectrogram.max()) - 80) <= 1, "40 dB are 80 half dB"


def test_silence_and_a_few_samples_give_no_notes() -> None:
    for samples in (np.zeros(RATE, np.float32), np.zeros(1, np.float32), np.full(100, 0.1, np.float32)):
        posteriors = Transcriber()(Audio(samples, RATE, "nothing"))
        assert len(Decoder(posteriors)(Decoding())) == 0


def test_progress_is_in_seconds_and_cancels() -> None:
    seen: list[tuple[float, float]] = []
    Transcriber(chunk_frames=100)(tune(), lambda done, total, what: seen.append((done, total)))
    assert seen[-1] == (4.0, 4.0) and [d for d, _ in seen] == sorted(d for d, _ in seen) and len(seen) == 4
    with pytest.raises(Cancelled):
        Transcriber(chunk_frames=100)(tune(), lambda done, total, what: False)


def test_unknown_and_damaged_models_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="'none'"):
        Transcriber("none")
    with pytest.raises(ModelError, match="does not exist"):
        Transcriber(tmp_path / "mine.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        Transcriber(tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match="device"):
        Transcriber(device="tpu")
    models = tmp_path / "models"
    shutil.copytree(inference.models_folder(), models)
    (models / "light.onnx").write_bytes((models / "light.onnx").read_bytes()[:-1] + b"x")
    monkeypatch.setattr(inference, "models_folder", lambda: models)
    with pytest.raises(ModelError, match="checksum"):
        Transcriber("light")


def test_outside_of_a_recording_is_silence() -> None:
    samples, plain = np.arange(1, 6, dtype=np.float32), Conditioning(4, np.zeros(2), np.ones(2))
    assert conditioned(samples, plain, -2, 3).tolist() == [0, 0, 1, 2, 3]
    assert conditioned(samples, plain, 3, 8).tolist() == [4, 5, 0, 0, 0]
    assert conditioned(samples, plain, 7, 9).tolist() == [0, 0]
    assert conditioned(samples, plain, -5, -2).tolist() == [0, 0, 0]
