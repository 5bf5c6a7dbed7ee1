"""The timbre branch: memories, phase, what older weights and small runtimes make of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch (pip install 'amtsep[train]')")

from amtsep.config import NETWORKS, FrontEnd  # noqa: E402
from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from amtsep.nets.cqt import CQT  # noqa: E402
from amtsep.nets.model import TranscriberNet  # noqa: E402
from amtsep.nets.timbre import HEADS, MEMORIES, LinearAttention, Memory  # noqa: E402

BASE = NETWORKS["base"]
SHIPPED = Path(__file__).resolve().parents[2] / "models" / "base.safetensors"
OTHERS = sorted(set(MEMORIES) - {"none"})


def memory_of(name: str, channels: int = 8) -> Memory:
    """A memory whose output projection does something."""
    torch.manual_seed(0)
    kind = MEMORIES[name]
    assert kind is not None
    memory = kind(channels)
    torch.nn.init.normal_(memory.out.weight)
    return memory.eval()


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the shipped weights are not here")
def test_shipped_weights_fit_the_default_and_every_memory_starts_from_what_they_say() -> None:
    net, checkpoint = load_checkpoint(SHIPPED)
    assert checkpoint.network.memory == "none" and not checkpoint.network.phase
    power = torch.rand(1, 306, 60)
    expected = net(power)
    for name in OTHERS:
        other = TranscriberNet(replace(BASE, memory=name)).eval()
        absent, surplus = other.load_state_dict(net.state_dict(), strict=False)
        assert not surplus and absent and all(key.startswith("timbre.memory.") for key in absent)
        for a, b in zip(expected, other(power), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", OTHERS)
def test_a_memory_carries_far_and_forgets_what_does_not_sound(name: str) -> None:
    memory = memory_of(name)
    x, posterior = torch.rand(1, 8, 88, 200), torch.full((1, 1, 88, 200), 0.3)
    posterior[..., 100:150] = 0.0
    before = memory(x, posterior)[..., :50]
    heard, silent = x.clone(), x.clone()
    heard[..., 150:] += 1.0
    silent[..., 100:150] += 1.0
    assert not torch.allclose(memory(heard, posterior)[..., :50], before, atol=1e-3)
    if name == "notes":  # its segments hold sound and silence together, weighted
        return
    torch.testing.assert_close(memory(silent, posterior)[..., :50], before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_a_memory_of_silence_or_of_twice_the_length_stays_finite_and_alike(name: str) -> None:
    memory = memory_of(name)
    # A multiple of the segment's length, so that repeating the clip repeats its segments.
    x, posterior = torch.rand(1, 8, 88, 86), torch.rand(1, 1, 88, 86)
    assert bool(torch.isfinite(memory(x, torch.zeros_like(posterior))).all())
    twice = memory(torch.cat([x, x], dim=-1), torch.cat([posterior, posterior], dim=-1))
    torch.testing.assert_close(twice[..., :86], memory(x, posterior), atol=1e-4, rtol=1e-4)


def test_linear_attention_is_the_weighted_mean_that_its_definition_says() -> None:
    torch.manual_seed(1)
    memory = LinearAttention(8)
    x, posterior = torch.rand(1, 8, 2, 3), torch.rand(1, 1, 2, 3)
    q, k, v = (p.flatten(2)[0].T.reshape(6, HEADS, 2) for p in memory.project(x).chunk(3, dim=1))
    q, k = torch.nn.functional.elu(q) + 1, torch.nn.functional.elu(k) + 1
    weight = torch.einsum("ihd,jhd->hij", q, k) * posterior.flatten()
    weight = weight / weight.sum(dim=-1, keepdim=True)
    expected = torch.einsum("hij,jhd->ihd", weight, v).reshape(6, 8).T.reshape(1, 8, 2, 3)
    torch.testing.assert_close(memory.recall(x, posterior), expected, atol=1e-4, rtol=1e-4)


def test_no_gradient_of_the_timbre_reaches_the_frame_posterior() -> None:
    net = TranscriberNet(replace(BASE, memory="flow"))
    torch.nn.init.normal_(net.timbre.memory.out.weight)  # type: ignore[union-attr]
    embedding = net(torch.rand(1, 306, 40))[2]
    assert embedding is not None
    embedding[:, 0].sum().backward()
    assert net.frame_out.weight.grad is None and net.stem[0].weight.grad is not None


@pytest.mark.parametrize("phase", [False, True])
def test_the_embedding_alone_is_the_same_and_trains_the_branch_alone(phase: bool) -> None:
    net = TranscriberNet(replace(BASE, memory="hebbian", phase=phase)).eval()
    torch.nn.init.normal_(net.timbre.memory.out.weight)  # type: ignore[union-attr]
    power, advance = CQT().with_phase(torch.randn(1, 256 * 40))
    given = advance if phase else None
    alone = net.embed(power, given)
    torch.testing.assert_close(alone, net(power, given)[2])
    alone[:, 0].sum().backward()
    moved = {name for name, p in net.named_parameters() if p.grad is not None}
    assert moved == {name for name, _ in net.named_parameters() if name.startswith("timbre.")}


def test_phase_asked_for_but_not_given_is_an_error() -> None:
    with pytest.raises(ValueError, match="phase"):
        TranscriberNet(replace(BASE, phase=True))(torch.rand(1, 306, 20))
    with pytest.raises(ValueError, match="hopfield"):
        TranscriberNet(replace(BASE, memory="hopfield"))


@pytest.mark.parametrize("detune", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("row", [60, 120, 180, 250])
def test_the_phase_advances_by_the_distance_from_the_bin(row: int, detune: float) -> None:
    settings, cqt = FrontEnd(), CQT()
    rate, hop = settings.sample_rate, settings.hop_length
    frequency = settings.f_min * 2 ** ((row + detune) / 36)
    tone = np.sqrt(2) * np.sin(2 * np.pi * frequency * np.arange(hop * 120) / rate)
    power, advance = cqt.with_phase(torch.tensor(tone, dtype=torch.float32)[None])
    torch.testing.assert_close(power, cqt(torch.tensor(tone, dtype=torch.float32)[None]))
    real, imaginary = advance[0, :, row, 60].tolist()
    level = next(k for k, rows in cqt._rows.items() if rows.start <= row < rows.stop)
    centre = settings.f_min * 2 ** (row / 36)
    expected = 2 * np.pi * (frequency - centre) * hop / cqt.oversampling[level] / rate
    assert np.hypot(real, imaginary) > 0.98
    assert np.angle(complex(real, imaginary)) == pytest.approx(np.angle(np.exp(1j * expected)), abs=0.02)


def test_silence_has_no_phase() -> None:
    _, advance = CQT().with_phase(1e-4 * torch.randn(1, 256 * 60))
    assert float(advance.abs().max()) < 1e-2


@pytest.mark.parametrize("options", [{"memory": name} for name in OTHERS] + [{"phase": True}])
def test_onnx_with_options_equals_torch(tmp_path: Path, options: dict[str, object]) -> None:
    pytest.importorskip("onnx")
    from amtsep.audio import Audio
    from amtsep.inference import Transcriber
    from amtsep.nets.export import export_onnx

    torch.manual_seed(4)
    network = replace(BASE, blocks=((1, 1),), **options)  # type: ignore[arg-type]
    net = TranscriberNet(network).eval()
    if net.timbre is not None and net.timbre.memory is not None:
        torch.nn.init.normal_(net.timbre.memory.out.weight)
    weights = tmp_path / "base.safetensors"
    save_checkpoint(weights, net, Checkpoint(network))
    path = export_onnx(weights, tmp_path / "base.onnx")
    for seconds in (0.3, 1.7):
        noise = (np.random.default_rng(5).standard_normal(int(22050 * seconds)) * 0.1).astype(np.float32)
        a, b = (Transcriber(p)(Audio(noise, 22050, "noise")) for p in (path, weights))
        assert a.embedding is not None and b.embedding is not None
        assert np.abs(a.embedding.astype(int) - b.embedding).max() <= 2
