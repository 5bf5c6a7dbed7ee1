"""Recordings to posteriors with the shipped weights: golden outputs, chunks, progress, cancel, damaged files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from amtsep import inference, openvino_engine
from amtsep.audio import Audio
from amtsep.config import Decoding
from amtsep.decoding import Decoder
from amtsep.errors import Cancelled, ModelError
from amtsep.inference import Transcriber, available_models, conditioned
from amtsep.loudness import Conditioning
from amtsep.onnx_graph import without_outputs

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
    if "embedding" in golden:
        # Unit vectors, where something sounds.
        assert posteriors.embedding is not None
        found = posteriors.embedding[39:52][golden["frame"] > 0.3].astype(np.float32)
        assert (found * golden["embedding"]).sum(axis=1).min() > 0.999
    assert (posteriors.embedding is not None) == ("embedding" in golden)


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


def test_the_runtime_tells_nobody(tmp_path: Path) -> None:
    """ONNX Runtime's telemetry, on by default, leaves its traces in the user's cache."""
    code = "from amtsep.inference import Transcriber; Transcriber()"
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "TMPDIR"), str(tmp_path))
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env={**environment, **places}, check=True)
    assert not [path.name for path in tmp_path.rglob("*") if path.is_file()]


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


def test_posteriors_with_little_memory_are_the_same() -> None:
    audio = tune(3.0)
    plain, lean = Transcriber("base", chunk_frames=100)(audio), Transcriber("base", chunk_frames=100)(audio, lean=True)
    assert isinstance(lean.embedding, np.memmap)
    np.testing.assert_array_equal(lean.embedding, plain.embedding)
    np.testing.assert_array_equal(lean.onset, plain.onset)


def test_peak_memory_does_not_hold_the_recording() -> None:
    """Ten minutes more cost what their posteriors take, and not their samples as well."""
    resource = pytest.importorskip("resource")
    code = (
        "import sys, resource, numpy as np, amtsep.inference as i\n"
        "from amtsep.audio import spool_audio, wav_bytes, Audio\n"
        "class Silent:\n"
        "    name, halo, sample_rate, front_end, at_once = 'x', 0, 22050, i.FrontEnd(), 2\n"
        "    def __call__(self, s):\n"
        "        t = len(s) // 256; z = np.zeros((88, t), 'f4')\n"
        "        return {'onset': z, 'frame': z, 'level': np.zeros((306, t), 'f4'),"
        " 'embedding': np.zeros((88, t, 16), 'f4')}\n"
        "i.choose_engine = lambda *a: Silent()\n"
        "with spool_audio(sys.argv[1]) as audio: i.Transcriber()(audio, lean=True)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    import soundfile

    for minutes in (1, 11):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.wav"
            soundfile.write(path, np.zeros(60 * minutes * RATE, np.int16), RATE)
            found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(found.stdout) * (1 if sys.platform == "darwin" else 1024))
    a_minute = (peaks[1] - peaks[0]) / 10
    assert a_minute < 1.35 * 60 * 86.13 * (88 * 8 + 306), f"{a_minute / 2**20:.1f} MiB a minute"
    assert resource


# --- engines ---------------------------------------------------------------------------------------------------------


def openvino() -> None:
    pytest.importorskip("openvino", reason="OpenVINO comes with amtsep[fast]")
    if not openvino_engine.usable():
        pytest.skip("this processor does not multiply in bfloat16")


@pytest.mark.parametrize("model", available_models())
def test_openvino_finds_the_same_notes(model: str) -> None:
    openvino()
    audio = tune()
    a, b = Transcriber(model, backend="onnx")(audio), Transcriber(model, backend="openvino", chunk_frames=150)(audio)
    np.testing.assert_allclose(b.onset, a.onset, atol=0.05)
    np.testing.assert_allclose(b.frame, a.frame, atol=0.05)
    # The front end is in single precision: a quarter of a decibel is a step of this picture.
    assert np.abs(a.spectrogram.astype(int) - b.spectrogram).max() <= 1
    assert (a.embedding is None) == (b.embedding is None)
    one, other = Decoder(a)(Decoding()), Decoder(b)(Decoding())
    assert one.pitch.tolist() == other.pitch.tolist()
    np.testing.assert_allclose(other.onset, one.onset, atol=0.005)
    if model == "light":  # which gains nothing from less
        np.testing.assert_allclose(b.onset, a.onset, atol=1e-4)


@pytest.mark.parametrize("backend", ["onnx", "openvino", "torch"])
def test_without_timbre_the_posteriors_are_the_same(backend: str) -> None:
    if backend == "openvino":
        openvino()
    if backend == "torch":
        pytest.importorskip("torch", reason="torch comes with amtsep[train]")
    audio = tune(2.0)
    for model in available_models():
        a, b = (Transcriber(model, "cpu", backend, timbre=timbre)(audio) for timbre in (True, False))
        assert b.embedding is None
        np.testing.assert_allclose(b.onset, a.onset, atol=1e-6)
        np.testing.assert_allclose(b.frame, a.frame, atol=1e-6)


def test_a_graph_loses_what_only_the_unwanted_output_needed() -> None:
    base, light = ((inference.models_folder() / f"{name}.onnx").read_bytes() for name in ("base", "light"))
    less = without_outputs(base, ["embedding"])
    assert b"/inner/net/timbre/spectral" in base and b"/inner/net/timbre" not in less
    assert without_outputs(light, ["embedding"]) == light
    with pytest.raises(ValueError, match="no whole ONNX model"):
        without_outputs(base[:-1], ["embedding"])


def test_an_engine_that_is_not_there_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "usable", lambda: False)
    with pytest.raises(ModelError, match="OpenVINO is not installed"):
        Transcriber("light", backend="openvino")


def test_chunks_side_by_side_come_in_their_order_and_stop_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber = Transcriber("light", threads=1)
    whole = transcriber(tune())
    beside = Transcriber("light", threads=1, chunk_frames=50)
    run = 0

    class Slow:
        """Every other chunk takes longer."""

        halo, front_end, sample_rate = beside.engine.halo, beside.engine.front_end, beside.engine.sample_rate
        name, at_once, engine = "slow", 3, beside.engine

        def __call__(self, samples: np.ndarray) -> inference.Arrays:
            nonlocal run
            run += 1
            time.sleep(0.05 * (run % 2))
            return self.engine(samples)

    beside.engine = Slow()
    told: list[float] = []
    found = beside(tune(), lambda done, _total, _what: told.append(done))
    np.testing.assert_allclose(found.onset, whole.onset, atol=1e-5)
    assert told == sorted(told) and len(told) == 7
    run = 0
    with pytest.raises(Cancelled):
        beside(tune(), lambda *_: False)
    assert run < 7


@pytest.mark.parametrize(("cores", "used"), [(1, 1), (2, 2), (5, 4), (6, 6), (7, 6), (8, 8), (64, 8)])
def test_as_many_processors_work_as_there_are(cores: int, used: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    from amtsep.inference import OnnxEngine, find_model

    asked = []
    made = onnxruntime.InferenceSession

    def session(graph, options, **more):
        asked.append(options.intra_op_num_threads)
        options.intra_op_num_threads = 1
        return made(graph, options, **more)

    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    engine = OnnxEngine(find_model("light", ".onnx"))
    assert engine.at_once * asked[0] == used
