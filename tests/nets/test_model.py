"""The network: sizes, harmonic stacking, traps known from others, checkpoints, export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch (pip install 'amtsep[train]')")

from amtsep.config import NETWORKS  # noqa: E402
from amtsep.errors import ModelError  # noqa: E402
from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from amtsep.nets.cqt import CQT  # noqa: E402
from amtsep.nets.model import HarmonicStack, TranscriberNet, count_parameters  # noqa: E402


@pytest.mark.parametrize(("name", "most"), [("light", 20_000), ("base", 151_000)])
def test_networks_are_as_small_as_they_say(name: str, most: int) -> None:
    assert 10_000 < count_parameters(TranscriberNet(NETWORKS[name])) <= most


def test_harmonics_of_a_tone_line_up_on_its_fundamental() -> None:
    rate, hop, pitch = 22050, 256, 36  # A3 = 220 Hz
    time = np.arange(hop * 100) / rate
    tone = sum(np.sin(2 * np.pi * 220.0 * k * time) / k for k in range(1, 8))
    level = CQT()(torch.tensor(tone, dtype=torch.float32)[None])
    harmonics = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    stacked = HarmonicStack(harmonics, 36, 264)(torch.log10(level + 1e-6))[0, :, :, 50]
    row = 3 * pitch
    assert int(stacked[1:].sum(dim=0).argmax()) == row
    # Channel h of the fundamental's row holds the h-th harmonic: all are loud there, and half the frequency is silent.
    assert bool((stacked[1:, row] > -3.5).all())
    assert float(stacked[0, row]) < -5.0
    # Shifted the wrong way, channel 2 would hold the harmonic an octave under the row.
    assert float(stacked[2, row + 36]) > -3.5 > -5.0 > float(stacked[1, row - 36])


def test_stack_is_zero_where_a_harmonic_lies_outside() -> None:
    feature = torch.ones(1, 306, 4)
    stacked = HarmonicStack((0.5, 1.0, 7.0), 36, 264)(feature)[0]
    assert stacked[0, :36].abs().max() == 0 and stacked[0, 36:].min() == 1
    assert stacked[1].min() == 1
    assert stacked[2, 306 - 101 :].abs().max() == 0 and stacked[2, : 306 - 101].min() == 1


@pytest.mark.parametrize("name", ["light", "base"])
def test_output_shapes_and_unit_embeddings(name: str) -> None:
    net = TranscriberNet(NETWORKS[name]).eval()
    onset, frame, embedding, offset = net(torch.rand(2, 306, 30))
    assert offset is not None and onset.shape == frame.shape == offset.shape == (2, 88, 30)
    if name == "base":
        assert embedding is not None and embedding.shape == (2, 16, 88, 30)
        assert torch.allclose(embedding.norm(dim=1), torch.ones(2, 88, 30), atol=1e-2)
    else:
        assert embedding is None


@pytest.mark.parametrize("name", ["light", "base"])
def test_nothing_beyond_the_halo_reaches_a_frame(name: str) -> None:
    net = TranscriberNet(NETWORKS[name]).eval()
    power = torch.rand(1, 306, 2 * net.halo + 21)
    changed = power.clone()
    changed[..., :10] = 5.0
    centre = net.halo + 10
    for a, b in zip(net(power), net(changed), strict=True):
        if a is not None:
            # Not to the last bit: how a convolution is cut into threads may change with the load of the machine.
            torch.testing.assert_close(a[..., centre:], b[..., centre:], atol=1e-5, rtol=0.0)


def test_checkpoint_round_trip_and_damage(tmp_path: Path) -> None:
    net = TranscriberNet(NETWORKS["light"]).eval()
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, net, Checkpoint(NETWORKS["light"], onset_shift=0.5, info={"steps": 3}))
    again, checkpoint = load_checkpoint(path)
    power = torch.rand(1, 306, 20)
    assert torch.equal(net(power)[0], again(power)[0])
    assert checkpoint.onset_shift == 0.5 and checkpoint.info == {"steps": 3} and checkpoint.network == NETWORKS["light"]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"net\.safetensors"):
        load_checkpoint(path)
    with pytest.raises(ModelError, match="does not exist"):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", ["light", "base"])
def test_onnx_equals_torch_for_any_length(tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnx")
    from amtsep.audio import Audio
    from amtsep.inference import Transcriber
    from amtsep.nets.export import export_onnx

    torch.manual_seed(3)
    net = TranscriberNet(NETWORKS[name]).eval()
    weights = tmp_path / f"{name}.safetensors"
    save_checkpoint(weights, net, Checkpoint(NETWORKS[name], onset_shift=2.0, frame_shift=1.0))
    path = export_onnx(weights, tmp_path / f"{name}.onnx")
    for seconds in (0.3, 2.0):
        rng = np.random.default_rng(5)
        audio = Audio((rng.standard_normal(int(22050 * seconds)) * 0.1).astype(np.float32), 22050, "noise")
        a, b = Transcriber(path)(audio), Transcriber(weights)(audio)
        np.testing.assert_allclose(a.onset, b.onset, atol=1e-3)
        np.testing.assert_allclose(a.frame, b.frame, atol=1e-3)
        assert np.abs(a.spectrogram.astype(int) - b.spectrogram).max() <= 1
        assert a.offset is not None and b.offset is not None
        np.testing.assert_allclose(a.offset, b.offset, atol=1e-3)
        if name == "base":
            assert a.embedding is not None and b.embedding is not None and a.embedding.shape == (88, a.n_frames, 16)
            assert np.abs(a.embedding.astype(int) - b.embedding).max() <= 1


def test_an_engine_adds_harmonics_while_it_convolves(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import onnx
    import onnxruntime

    from amtsep.nets.export import export_onnx

    weights = tmp_path / "light.safetensors"
    save_checkpoint(weights, TranscriberNet(NETWORKS["light"]), Checkpoint(NETWORKS["light"]))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    exported = export_onnx(weights, tmp_path / "light.onnx")
    onnxruntime.InferenceSession(str(exported), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(str(tmp_path / "optimised.onnx")).graph.node
    if not any("nchwc" in node.domain for node in nodes):
        pytest.skip("on this processor ONNX Runtime does not lay out channels in blocks")
    assert any(n.op_type == "Add" and "/blocks/" in n.name for n in onnx.load(str(exported)).graph.node)
    assert not [n.name for n in nodes if n.op_type == "Add" and "/blocks/" in n.name]


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"head_channels": 16, "octaves": False, "block_harmonics": (1, 2, 5)},
        {"shared_head": True, "embedding_channels": 0, "embedding_dim": 0},
        {"offset_head": False, "embedding_harmonic": 8, "embedding_by_pitch": True},
        {"phase": True},
        {"memory": "statistics"},
    ],
    ids=lambda shape: ", ".join(shape) or "base",
)
def test_an_exported_file_computes_no_frame_of_its_halo_and_gives_the_rest(tmp_path: Path, shape: dict) -> None:
    pytest.importorskip("onnx")
    import onnx
    import onnxruntime

    from amtsep.nets.export import export_onnx
    from amtsep.nets.model import EndToEnd

    torch.manual_seed(3)
    net = TranscriberNet(replace(NETWORKS["base"], **shape)).eval()
    weights = tmp_path / "base.safetensors"
    save_checkpoint(weights, net, Checkpoint(net.network))
    whole = EndToEnd(net)
    frames = 2 * whole.halo + 30
    model = onnx.load(str(export_onnx(weights, tmp_path / "base.onnx")))
    last = next(n for n in reversed(model.graph.node) if n.op_type == "Conv" and "/blocks" in n.name)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.output[0]))
    audio = torch.randn(1, frames * net.front_end.hop_length)
    *found, trunk = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"audio": audio.numpy()})
    with torch.no_grad():
        heard = whole(audio)
    kept = slice(whole.halo, -whole.halo)
    for name, output in zip(("onset", "frame"), found[:2], strict=True):
        np.testing.assert_allclose(output[..., kept], getattr(heard, name)[..., kept], atol=1e-4)
    if heard.embedding is not None:
        np.testing.assert_allclose(found[3][0, :, kept], heard.embedding[0, ..., kept].permute(1, 2, 0), atol=1e-3)
    # What a memory remembers of a chunk is all of it.
    if net.network.memory == "none":
        assert trunk.shape[-1] <= 30 + 2 * 6


def test_export_uses_only_operators_that_small_runtimes_have(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from amtsep.nets.export import export_onnx

    weights = tmp_path / "base.safetensors"
    save_checkpoint(weights, TranscriberNet(NETWORKS["base"]), Checkpoint(NETWORKS["base"]))
    model = onnx.load(str(export_onnx(weights, tmp_path / "base.onnx")))
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    about = json.loads({p.key: p.value for p in model.metadata_props}["amtsep"])
    assert about["name"] == "base" and about["halo"] > 0
    assert not any(a.name == "auto_pad" and a.s not in (b"", b"NOTSET") for n in model.graph.node for a in n.attribute)
