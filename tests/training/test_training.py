"""Losses, clips mixed on the fly, and a loop that learns: in seconds, on a bank of sines."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric (pip install 'amtsep[train]')")

from amtsep.config import FrontEnd, Mixing, Training  # noqa: E402
from amtsep.nets.checkpoint import load_checkpoint  # noqa: E402
from amtsep.synthesis.bank import Bank  # noqa: E402
from amtsep.synthesis.mixing import LeaveOut, Mixer, targets  # noqa: E402
from amtsep.training.data import ClipStream, collate, loader  # noqa: E402
from amtsep.training.loop import Run, schedule, train  # noqa: E402
from amtsep.training.losses import focal_loss, pool_notes  # noqa: E402
from amtsep.training.objective import compute_losses  # noqa: E402

RATE = 22050
TINY = Training(
    steps=4,
    batch_size=2,
    workers=0,
    warm_up=2,
    checkpoint_every=2,
    mixing=Mixing(clip_s=1.5),
    max_notes=16,
    ema_decay=0.5,
    evaluate_every=3,
    dev_clips=2,
)


def test_positives_weigh_less_with_a_small_alpha_and_soft_targets_have_their_minimum_there() -> None:
    miss = focal_loss(torch.tensor([-2.0]), torch.tensor([1.0]), 0.2, 1.0)
    false = focal_loss(torch.tensor([2.0]), torch.tensor([0.0]), 0.2, 1.0)
    assert float(miss) == pytest.approx(float(false) / 4, rel=1e-4)
    logits = torch.linspace(-3, 3, 61)
    losses = [float(focal_loss(x[None], torch.tensor([0.5]), 0.5, 1.0)) for x in logits]
    assert abs(float(logits[int(np.argmin(losses))])) < 0.11
    extreme = focal_loss(torch.tensor([60.0, -60.0]), torch.tensor([0.0, 1.0]), 0.2, 1.0)
    assert torch.isfinite(extreme)


def test_pooled_notes_are_means_over_their_frames() -> None:
    embedding = torch.zeros(1, 2, 88, 10)
    embedding[0, 0, 5, 2:6] = 1.0
    embedding[0, 1, 5, 6:8] = 1.0
    pooled = pool_notes(embedding, torch.tensor([[[5, 2, 6], [5, 6, 8], [5, 2, 10], [0, 0, 0]]]))
    np.testing.assert_allclose(pooled[0, 0], [1, 0], atol=1e-5)
    np.testing.assert_allclose(pooled[0, 1], [0, 1], atol=1e-5)
    np.testing.assert_allclose(pooled[0, 2], np.array([4, 2]) / np.sqrt(20), atol=1e-5)
    assert float(pooled[0, 3].abs().max()) == 0.0


def test_targets_know_the_time_between_frames() -> None:
    onset, frame = targets(np.array([[0.10, 0.30, 60, 0], [-0.5, 0.05, 72, 0]], np.float32), 60, 0.01)
    assert onset[39, 9:12].tolist() == pytest.approx([0.5, 1.0, 0.5], abs=1e-4)
    assert onset[51].max() == 0.0, "a note that sounds before the clip has no onset in it"
    assert frame[39, 15] == 1.0 and frame[39, 35] == 0.0 and frame[51, 2] == 1.0
    between, _ = targets(np.array([[0.105, 0.30, 60, 0]], np.float32), 60, 0.01)
    assert between[39, 10] == pytest.approx(1.0, abs=1e-4) and between[39, 11] == pytest.approx(1.0, abs=1e-4)


def test_a_clip_comes_again_from_its_number_and_held_out_stems_stay_out(bank: Path) -> None:
    opened = Bank.open(bank)
    a, b = (Mixer(opened, Mixing(clip_s=1.5), seed=7) for _ in range(2))
    assert np.array_equal(a.clip(3).audio, b.clip(3).audio) and np.array_equal(a.clip(3).notes, b.clip(3).notes)
    assert not np.array_equal(a.clip(3).audio, a.clip(4).audio)
    for index in range(20):
        clip = a.clip(index)
        assert np.isfinite(clip.audio).all() and len(clip.audio) == a.n_samples
        assert set(clip.notes[:, 3]) <= set(range(len(clip.timbres)))
    sines = Mixer(opened, Mixing(clip_s=1.5), seed=7, leave_out=LeaveOut(frozenset({"square"})))
    assert all(name in ("test:0", "test:2") for name in sines._names)


def test_labels_of_a_clip_match_its_sound(bank: Path) -> None:
    mixer = Mixer(Bank.open(bank), Mixing(clip_s=1.5, parts=(1.0,), augment=False), seed=1)
    for index in range(5):
        clip = mixer.clip(index)
        level = np.abs(clip.audio).reshape(-1, 147).max(axis=1) if len(clip.audio) % 147 == 0 else None
        centre = [float(np.mean(row[:2].clip(0, 1.4))) for row in clip.notes if row[1] - max(row[0], 0) > 0.2]
        for time in centre:
            at = int(time * RATE)
            assert np.abs(clip.audio[at - 200 : at + 200]).max() > 0.1, (index, level)


def test_gradients_are_cleared_between_steps(bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the learning rate at zero every step sees the same network; kept gradients would grow from step to step."""
    norms: list[float] = []
    original = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *args: object, **kwargs: object) -> object:
        norms.append(float(sum(p.grad.norm() for g in self.param_groups for p in g["params"] if p.grad is not None)))
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.fill_(1e6)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    train(replace(TINY, learning_rate=0.0, clip_norm=1e9), Run(bank, tmp_path, accelerator="cpu", precision="32-true"))
    assert len(norms) == 4 and max(norms) < 1e5


def test_training_lowers_the_loss_resumes_and_keeps_its_settings(bank: Path, tmp_path: Path) -> None:
    settings = replace(TINY, network="base", steps=6, learning_rate=1e-2)
    train(settings, Run(bank, tmp_path, accelerator="cpu", precision="bf16-mixed"))
    net, checkpoint = load_checkpoint(tmp_path / "last.safetensors")
    assert checkpoint.info["step"] == 6 and checkpoint.network.name == "base"
    train(replace(settings, steps=8), Run(bank, tmp_path, accelerator="cpu", resume=True))
    again, later = load_checkpoint(tmp_path / "last.safetensors")
    assert later.info["step"] == 8
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    # Evaluated at every third step, and at the end.
    assert [int(r["step"]) for r in rows] == [3, 6, 8]
    assert all(0.0 <= float(r["dev_f1"]) <= 1.0 and float(r["loss"]) > 0.0 for r in rows)
    best, about = load_checkpoint(tmp_path / "best.safetensors")
    means = {int(r["step"]): float(r["dev_mean"]) for r in rows}
    assert (
        about.info["best"] == pytest.approx(max(means.values()), abs=1e-4) == pytest.approx(means[about.info["step"]])
    )
    mixer = Mixer(Bank.open(bank), settings.mixing, seed=5)
    batch = collate([mixer.clip(i) for i in range(2)], FrontEnd(), 16, np.random.default_rng(0))
    from amtsep.nets.cqt import CQT

    losses = compute_losses(again, CQT(), batch, settings)
    assert all(torch.isfinite(v) for v in losses.values()) and set(losses) == {
        "loss",
        "onset",
        "frame",
        "offset",
        "timbre",
    }


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_training_that_was_cut_goes_on_as_if_it_had_not_been(bank: Path, tmp_path: Path, optimizer: str) -> None:
    settings = replace(TINY, optimizer=optimizer, learning_rate=1e-3, warm_up=1, weight_decay=0.0)
    run = Run(bank, tmp_path / "whole", accelerator="cpu", precision="32-true")
    monkey = pytest.MonkeyPatch()
    # The schedule would differ between the two lengths; nothing else may.
    monkey.setattr("amtsep.training.loop.schedule", lambda *_: 1.0)
    try:
        train(replace(settings, steps=4), run)
        cut = replace(run, out=tmp_path / "cut")
        train(replace(settings, steps=2), cut)
        train(replace(settings, steps=4), replace(cut, resume=True))
    finally:
        monkey.undo()
    whole, _ = load_checkpoint(tmp_path / "whole" / "last.safetensors")
    again, _ = load_checkpoint(tmp_path / "cut" / "last.safetensors")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_what_is_restored_goes_where_the_network_has_gone(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a graphics card moments that are read before the network moves stay behind, and the first step fails."""
    from lightning_fabric import Fabric

    run = Run(bank, tmp_path, accelerator="cpu", precision="32-true")
    train(replace(TINY, steps=1), run)
    done: list[str] = []
    setup, load = Fabric.setup, torch.optim.Optimizer.load_state_dict

    def moves(fabric: Fabric, *args: object, **options: object) -> object:
        done.append("moved")
        return setup(fabric, *args, **options)  # type: ignore[arg-type]

    def reads(optimizer: torch.optim.Optimizer, state: dict[str, object]) -> None:
        done.append("read")
        load(optimizer, state)

    monkeypatch.setattr(Fabric, "setup", moves)
    monkeypatch.setattr(torch.optim.Optimizer, "load_state_dict", reads)
    train(replace(TINY, steps=2), replace(run, resume=True))
    assert done == ["moved", "read"]


def test_batches_for_a_graphics_card_are_made_where_it_can_fetch_them(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = ClipStream(bank, Mixing(clip_s=1.0, drumless=True), FrontEnd(), 2, 8, seed=1)
    assert loader(stream, 0, torch.device("cuda")).pin_memory and not loader(stream, 0, torch.device("cpu")).pin_memory
    pinned: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    batch = next(iter(stream))
    again = batch.pin_memory()
    assert type(again) is type(batch) and len(pinned) == sum(value is not None for value in vars(batch).values())


def test_a_training_that_gets_no_better_ends(bank: Path, tmp_path: Path) -> None:
    settings = replace(TINY, steps=20, learning_rate=0.0, evaluate_every=1, patience=2, mixing=Mixing(clip_s=1.0))
    train(settings, Run(bank, tmp_path, accelerator="cpu", precision="32-true"))
    _, last = load_checkpoint(tmp_path / "last.safetensors")
    # Running means still move, so a later evaluation may have been better; the end comes two after the best.
    _, best = load_checkpoint(tmp_path / "best.safetensors")
    assert last.info["step"] == best.info["step"] + 2 < 20
    train(replace(settings, steps=2, dev_clips=0), Run(bank, tmp_path / "plain", accelerator="cpu"))
    assert not (tmp_path / "plain" / "best.safetensors").exists()


def test_learning_rate_rises_and_falls() -> None:
    assert schedule(0, 0.0, 100) < 0.02
    assert schedule(100, 0.01, 100) > 0.99
    assert schedule(1000, 1.0, 100) == pytest.approx(0.01)


def test_state_is_of_one_step_and_brings_the_random_numbers_back(bank: Path, tmp_path: Path) -> None:
    """Newer tensors were paired with an older step where the program was stopped between two files."""
    from amtsep.config import front_end_of, network_of
    from amtsep.errors import DataError
    from amtsep.nets.model import build_network
    from amtsep.training import loop
    from amtsep.training.optim import build_optimizer

    net = build_network(network_of(TINY), front_end_of(TINY))
    average = torch.optim.swa_utils.AveragedModel(net)
    optimizer = build_optimizer(net, TINY)
    run = Run(bank, tmp_path)
    torch.manual_seed(7)
    loop.keep(run, TINY, net, average, optimizer, loop.Standing(step=3), 0.1)
    expected, bias = torch.rand(4), net.stem[1].bias.detach().clone()
    with torch.no_grad():
        net.stem[1].bias += 1.0
    monkey = pytest.MonkeyPatch()
    monkey.setattr(loop.json, "dumps", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        loop.keep(run, TINY, net, average, optimizer, loop.Standing(step=4), 0.1)
    monkey.undo()
    state = loop.restore(tmp_path / "state", net, average, optimizer)
    assert state.step == 3
    assert torch.equal(net.stem[1].bias, bias)
    assert torch.equal(torch.rand(4), expected)
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["state.safetensors"]
    (tmp_path / "state" / "state.safetensors").write_bytes(b"broken")
    with pytest.raises(DataError, match="damaged"):
        loop.restore(tmp_path / "state", net, average, optimizer)
