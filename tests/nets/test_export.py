"""ONNX files: equal to torch at both input rates and in every precision, and made of what small runtimes have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch (pip install 'amtsep[train]')")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx (pip install 'amtsep[train]')")

from amtsep.audio import Audio, resample  # noqa: E402
from amtsep.clustering.encoder import encoder_for  # noqa: E402
from amtsep.clustering.encoder import shipped as shipped_encoder  # noqa: E402
from amtsep.config import NETWORKS  # noqa: E402
from amtsep.errors import ModelError  # noqa: E402
from amtsep.inference import Transcriber, available_models, models_folder  # noqa: E402
from amtsep.nets.checkpoint import Checkpoint, save_checkpoint  # noqa: E402
from amtsep.nets.export import (  # noqa: E402
    INPUT_RATES,
    OPERATORS,
    PRECISIONS,
    Decimate,
    export_onnx,
    network_weights,
)
from amtsep.nets.model import TranscriberNet  # noqa: E402

WAYS = [(rate, precision) for rate in INPUT_RATES for precision in PRECISIONS]
SMALLEST_HALF = 2.0**-24
"""Smallest 16-bit float over zero."""


def shipped() -> list[Path]:
    return [models_folder() / f"{name}.safetensors" for name in available_models()]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int, str], Path]:
    """Every variant of the shipped networks."""
    folder = tmp_path_factory.mktemp("variants")
    made = {}
    for weights in shipped():
        for rate, precision in WAYS:
            name = f"{weights.stem}-{rate}-{precision}.onnx"
            made[weights.stem, rate, precision] = export_onnx(weights, folder / name, rate, precision)
    return made


def music(rate: int, seconds: float) -> np.ndarray:
    """Decaying harmonic notes over a little noise: the same sound at either rate, nothing over 9.5 kHz."""
    time = np.arange(int(seconds * rate)) / rate
    rng = np.random.default_rng(4)
    sound = np.zeros(len(time))
    for start, pitch in ((0.1, 48), (0.4, 64), (0.7, 67), (1.0, 84), (1.3, 40)):
        since = time - start
        envelope = np.where(since > 0, np.exp(-np.maximum(since, 0) * 3), 0.0) * np.clip(since / 0.005, 0, 1)
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        for k in range(1, 20):
            if k * frequency < 9500:
                sound += envelope * np.sin(2 * np.pi * k * frequency * time + rng.uniform(0, 6)) / k
    return (0.1 * sound).astype(np.float32)


@pytest.mark.parametrize("weights", shipped(), ids=lambda p: p.stem)
@pytest.mark.parametrize("seconds", [0.31, 2.0])
def test_float32_equals_torch(files, weights: Path, seconds: float) -> None:
    audio = Audio(music(22050, seconds), 22050, "music")
    expected = Transcriber(weights, device="cpu")(audio)
    found = Transcriber(files[weights.stem, 22050, "float32"])(audio)
    assert found.onset.max() > 0.3 or seconds < 1
    np.testing.assert_allclose(found.onset, expected.onset, atol=1e-3)
    np.testing.assert_allclose(found.frame, expected.frame, atol=1e-3)
    assert np.abs(found.spectrogram.astype(int) - expected.spectrogram).max() <= 1


@pytest.mark.parametrize("name", [p.stem for p in shipped()])
def test_44100_hz_gives_what_resampling_gives(files, name: str) -> None:
    """What is left is the two filters' difference between 10.1 and 11 kHz and the rounding of 255 products."""
    high = music(44100, 2.0)
    low = resample(high, 44100, 22050)
    a = Transcriber(files[name, 44100, "float32"])(Audio(high, 44100, "music"))
    b = Transcriber(files[name, 22050, "float32"])(Audio(low, 22050, "music"))
    assert a.n_frames == b.n_frames and a.hop_s == b.hop_s
    assert b.onset.max() > 0.3
    np.testing.assert_allclose(a.onset, b.onset, atol=0.01)
    np.testing.assert_allclose(a.frame, b.frame, atol=0.01)
    loud = b.level_db() > -60
    assert np.abs(a.level_db() - b.level_db())[loud].max() <= 1.0


def test_chunks_do_not_show_at_44100_hz(files) -> None:
    audio = Audio(music(44100, 3.0), 44100, "music")
    path = files["light", 44100, "float32"]
    whole, pieces = Transcriber(path, chunk_frames=10_000)(audio), Transcriber(path, chunk_frames=60)(audio)
    np.testing.assert_allclose(whole.onset, pieces.onset, atol=1e-4)
    np.testing.assert_allclose(whole.frame, pieces.frame, atol=1e-4)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]} Hz, {way[1]}")
def test_however_base_is_exported_its_notes_are_told_apart_by_what_was_fitted_to_it(files, way) -> None:
    encoder = shipped_encoder()
    assert encoder is not None
    name = Transcriber(files[("base", *way)]).engine.name
    assert encoder_for(name, encoder.inputs) is not None


@pytest.mark.parametrize(
    ("frequency", "kept"), [(1000.0, True), (10_000.0, True), (12_100.0, False), (20_000.0, False)]
)
def test_decimation_keeps_what_it_should_and_stops_what_would_fold(frequency: float, kept: bool) -> None:
    time = np.arange(8192) / 44100
    tone = torch.tensor(np.sin(2 * np.pi * frequency * time), dtype=torch.float32)
    halved = Decimate()(tone[None])[0]
    assert len(halved) == 4096
    middle = slice(200, -200)
    if kept:  # in phase, too: sample n lies on sample 2 n
        np.testing.assert_allclose(halved[middle], tone[::2][middle], atol=1e-4)
    else:
        assert float(halved[middle].abs().max()) < 2e-5


@pytest.mark.parametrize("precision", PRECISIONS[1:])
@pytest.mark.parametrize("name", [p.stem for p in shipped()])
def test_smaller_weights_hardly_move_the_posteriors(files, name: str, precision: str) -> None:
    audio = Audio(music(22050, 2.0), 22050, "music")
    full, small = files[name, 22050, "float32"], files[name, 22050, precision]
    a, b = Transcriber(full)(audio), Transcriber(small)(audio)
    limit = {"float16": 0.01, "int8": 0.15}[precision]
    assert 0 < np.abs(a.onset - b.onset).max() < limit
    assert np.abs(a.frame - b.frame).max() < limit
    np.testing.assert_array_equal(a.spectrogram, b.spectrogram)  # the front end keeps its 32 bits
    saved = sum(int(np.prod(t.dims)) for t in network_weights(onnx.load(str(full))))
    share = {"float16": 2, "int8": 3}[precision]
    assert full.stat().st_size - small.stat().st_size > 0.85 * share * saved - 8192


def test_only_operators_of_the_cpu_and_web_runtimes(files) -> None:
    for path in files.values():
        model = onnx.load(str(path))
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        assert {node.op_type for node in model.graph.node} <= OPERATORS, path.name
        padding = [a.s for node in model.graph.node for a in node.attribute if a.name == "auto_pad"]
        assert set(padding) <= {b"", b"NOTSET"}, f"{path.name} leaves its padding to the runtime"
        assert model.graph.input[0].type.tensor_type.shape.dim[1].dim_param, "the length must be dynamic"


def test_floors_survive_in_a_browser(files) -> None:
    """What is added before a root or a logarithm of the network is not zero in 16 bits, the level's not in 32."""
    for path in files.values():
        graph = onnx.load(str(path)).graph
        makers = {output: node for node in graph.node for output in node.output}
        values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                values[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
        level = makers[next(o.name for o in graph.output if o.name == "level")]
        last = set(level.input)
        floors = []
        for node in graph.node:
            if node.op_type in ("Log", "Sqrt"):
                adding = makers[node.input[0]]
                kinds = ("Add", "Max", "Clip")
                assert adding.op_type in kinds, f"{path.name}: {node.op_type} of a value without a floor"
                floor = min(float(values[name]) for name in adding.input if name in values)
                is_level = bool(last & set(node.output))
                assert floor > (np.finfo(np.float32).tiny if is_level else SMALLEST_HALF), path.name
                floors.append(floor)
        assert len(floors) >= 2


@pytest.mark.parametrize("rate", INPUT_RATES)
def test_silence_is_silent(files, rate: int) -> None:
    for precision in PRECISIONS:
        posteriors = Transcriber(files["light", rate, precision])(Audio(np.zeros(rate, np.float32), rate, "silence"))
        assert np.isfinite(posteriors.onset).all() and posteriors.onset.max() < 0.3
        assert np.isfinite(posteriors.frame).all() and posteriors.spectrogram.max() == 0


def test_metadata_says_what_a_runtime_needs(files) -> None:
    for (name, rate, precision), path in files.items():
        about = json.loads({p.key: p.value for p in onnx.load(str(path)).metadata_props}["amtsep"])
        assert about["name"] == name and about["input_rate"] == rate and about["precision"] == precision
        assert about["halo"] > 0 and about["front_end"]["hop_length"] == 256


def test_wrong_rates_get_a_sentence(files, tmp_path: Path) -> None:
    audio = Audio(music(22050, 0.5), 22050, "tune.wav")
    with pytest.raises(ModelError, match=r"44100 Hz, and tune\.wav has 22050 Hz"):
        Transcriber(files["light", 44100, "float32"])(audio)
    with pytest.raises(ModelError, match="22050 or 44100"):
        export_onnx(shipped()[0], tmp_path / "x.onnx", 48000)
    with pytest.raises(ModelError, match="float16"):
        export_onnx(shipped()[0], tmp_path / "x.onnx", precision="int4")  # type: ignore[arg-type]


def test_command_names_variants_and_compares_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import soundfile

    from amtsep.cli import main
    from amtsep.notes import Notes

    weights = tmp_path / "small.safetensors"
    torch.manual_seed(0)
    save_checkpoint(weights, TranscriberNet(NETWORKS["light"]), Checkpoint(NETWORKS["light"]))
    assert main(["export", str(weights), "--input-rate", "44100", "--precision", "float16"]) == 0
    assert (tmp_path / "small-44100-float16.onnx").is_file()
    assert main(["export", str(weights)]) == 0
    assert (tmp_path / "small.onnx").is_file()
    soundfile.write(tmp_path / "tune.wav", music(22050, 2.0), 22050)
    Notes.build([0.1, 0.4], [0.6, 0.9], [48, 64]).to_midi(tmp_path / "tune.mid")
    capsys.readouterr()
    assert main(["export", str(weights), "--compare", f"pairs={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    for rate, precision in WAYS:
        assert f"| {rate:,} Hz | {precision} |" in printed
    assert "recommended" in printed
