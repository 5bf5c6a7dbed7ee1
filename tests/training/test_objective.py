"""Timbre losses, the weights of losses against each other, and training of the timbre branch alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")

from amtsep.config import Network, Training, network_of  # noqa: E402
from amtsep.nets.checkpoint import load_checkpoint  # noqa: E402
from amtsep.nets.cqt import CQT  # noqa: E402
from amtsep.nets.model import TranscriberNet  # noqa: E402
from amtsep.training import balance as balancing  # noqa: E402
from amtsep.training.balance import BALANCES, Balance, surgery  # noqa: E402
from amtsep.training.data import Batch  # noqa: E402
from amtsep.training.losses import (  # noqa: E402
    TIMBRE_LOSSES,
    Embedded,
    affinity_loss,
    info_nce,
    note_points,
    timbre_loss,
    unit_points,
)
from amtsep.training.objective import TimbreAlone, compute_losses, trained_part  # noqa: E402
from amtsep.training.teacher import Teacher  # noqa: E402

SETTINGS = Training(network="base", max_units=64)
CONTRASTIVE = sorted(set(TIMBRE_LOSSES) - {"affinity", "affinity-leaky"})


def some_notes(parts: int = 3, count: int = 12, padding: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, M, 3) notes on rows of their own, and their labels."""
    notes = torch.zeros(1, count + padding, 3, dtype=torch.int64)
    label = torch.full((1, count + padding), -1)
    for k in range(count):
        notes[0, k] = torch.tensor([20 + 3 * k, 2 * k, 2 * k + 8 + k])
        label[0, k] = k % parts
    return notes, label


def embedding_of(notes: torch.Tensor, label: torch.Tensor, dim: int = 6, blur: float = 0.0) -> torch.Tensor:
    """Every part on an axis of its own; with a blur of 1, noise."""
    torch.manual_seed(0)
    field = torch.randn(len(notes), dim, 88, 60)
    for clip in range(len(notes)):
        for (row, first, last), part in zip(notes[clip].tolist(), label[clip].tolist(), strict=True):
            if part >= 0:
                axis = torch.eye(dim)[part][:, None].expand(-1, last - first)
                field[clip, :, row, first:last] = blur * field[clip, :, row, first:last] + (1 - blur) * axis
    return torch.nn.functional.normalize(field, dim=1).requires_grad_()


def measured(name: str, embedding: torch.Tensor, notes: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return timbre_loss(embedding, notes, label, replace(SETTINGS, timbre_loss=name))


@pytest.mark.parametrize("name", sorted(TIMBRE_LOSSES))
def test_parts_that_are_told_apart_cost_less_than_mixed_ones(name: str) -> None:
    notes, label = some_notes()
    good = measured(name, embedding_of(notes, label), notes, label).item()
    middling = measured(name, embedding_of(notes, label, blur=0.3), notes, label).item()
    swapped = label.clone()
    swapped[0, :12] = label[0, torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2])]
    wrong = measured(name, embedding_of(notes, label), notes, swapped).item()
    assert good < middling < wrong
    if name in ("affinity", "affinity-leaky"):
        assert good == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("name", sorted(TIMBRE_LOSSES))
def test_gradients_reach_the_notes_alone_and_are_finite(name: str) -> None:
    notes, label = some_notes()
    embedding = embedding_of(notes, label, blur=0.5)
    gradient = torch.autograd.grad(measured(name, embedding, notes, label), embedding)[0]
    assert bool(torch.isfinite(gradient).all()) and gradient.abs().sum() > 1e-3
    sounding = torch.zeros(88, 60, dtype=torch.bool)
    for row, first, last in notes[0, :12].tolist():
        sounding[row, first:last] = True
    assert gradient[0].abs().sum(dim=0)[~sounding].max() == 0.0


@pytest.mark.parametrize("name", sorted(TIMBRE_LOSSES))
def test_neither_the_order_of_notes_nor_the_names_of_parts_matter(name: str) -> None:
    notes, label = some_notes()
    embedding = embedding_of(notes, label, blur=0.5)
    # More units than there are, since which of them are sampled may depend on the order.
    settings = replace(SETTINGS, timbre_loss=name, max_units=400)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    renamed = torch.where(label < 0, label, 2 - label)
    once = timbre_loss(embedding, notes, label, settings).item()
    again = timbre_loss(embedding, notes[:, order], renamed[:, order], settings).item()
    assert again == pytest.approx(once, rel=1e-4)


@pytest.mark.parametrize("name", CONTRASTIVE)
def test_a_solo_and_an_empty_clip_contribute_nothing(name: str) -> None:
    notes, label = some_notes()
    both = embedding_of(torch.cat([notes, notes, notes]), torch.cat([label, label, label]), blur=0.5)
    empty, solo = torch.full_like(label, -1), torch.where(label < 0, label, 0)
    alone = measured(name, both[:1], notes, label)
    together = measured(name, both, torch.cat([notes] * 3), torch.cat([label, solo, empty]))
    torch.testing.assert_close(together, alone)
    assert torch.autograd.grad(together, both)[0][1:].abs().max() == 0.0


def test_affinity_asks_a_solo_for_one_point_and_nothing_of_an_empty_clip() -> None:
    notes, label = some_notes(parts=1)
    for name in ("affinity", "affinity-leaky"):
        assert measured(name, embedding_of(notes, label), notes, label).item() == pytest.approx(0.0, abs=1e-5)
        assert measured(name, embedding_of(notes, label, blur=0.6), notes, label).item() > 0.01
        nothing = measured(name, embedding_of(notes, label, blur=0.6), notes, torch.full_like(label, -1))
        assert nothing.item() == 0.0


def test_affinity_of_small_matrices_equals_that_of_all_pairs() -> None:
    notes, label = some_notes()
    points = unit_points(embedding_of(notes, label, blur=0.5), notes, label, 64)
    known = points.label[0] >= 0
    v, y = points.vector[0, known], torch.nn.functional.one_hot(points.label[0, known], 3).float()
    expected = (v @ v.T - y @ y.T).square().mean()
    torch.testing.assert_close(affinity_loss(points, 0.1), expected, atol=1e-5, rtol=1e-4)


def test_leaky_affinity_forgives_opposites_and_the_squared_one_does_not() -> None:
    vector = torch.tensor([[[1.0, 0], [1, 0], [-1, 0], [-1, 0]]])
    frames = torch.arange(4)[None]
    points = Embedded(vector, torch.tensor([[0, 0, 1, 1]]), torch.zeros(1, 4, dtype=torch.int64), frames, frames + 1)
    assert TIMBRE_LOSSES["affinity-leaky"][0](points, 0.1).item() < 0.01 < 0.4 < affinity_loss(points, 0.1).item()


def test_a_unison_is_not_pulled_apart_from_itself() -> None:
    """Two notes of two parts on the same units: no embedding could be in both places."""
    notes, label = some_notes(parts=2)
    notes[0, 1] = notes[0, 0]
    embedding = embedding_of(notes, label)
    points = note_points(embedding, notes, label)
    assert bool(points.shared[0, 0, 1]) and not bool(points.strangers[0, 0, 1]) and bool(points.strangers[0, 0, 3])
    row, first, last = notes[0, 0].tolist()
    for name in ("prototype", "affinity"):
        gradient = torch.autograd.grad(measured(name, embedding, notes, label), embedding)[0]
        assert gradient[0, :, row, first:last].abs().max() == 0.0


def test_sampled_units_are_sounding_distinct_and_rightly_labelled() -> None:
    notes, label = some_notes()
    field = torch.arange(88 * 60.0).reshape(1, 1, 88, 60)
    for most in (20, 64, 1000):
        points = unit_points(field, notes, label, most)
        known = points.label[0] >= 0
        total = int((notes[0, :12, 2] - notes[0, :12, 1]).sum())
        assert int(known.sum()) == min(most, total)
        places = points.vector[0, known, 0].long().tolist()
        assert len(set(places)) == len(places)
        for place, part in zip(places, points.label[0, known].tolist(), strict=True):
            row, frame = divmod(place, 60)
            k = (row - 20) // 3
            assert int(notes[0, k, 1]) <= frame < int(notes[0, k, 2]) and int(label[0, k]) == part
        assert len(set(points.row[0, known].tolist())) == 12


def test_pairs_far_in_pitch_weigh_more_in_the_wide_loss() -> None:
    vector = torch.nn.functional.normalize(torch.tensor([[[1.0, 0], [1, 0], [0.6, 0.8], [0, 1], [0, 1]]]), dim=-1)
    frames = torch.arange(5)[None]

    def loss(name: str, row: list[int]) -> float:
        points = Embedded(vector, torch.tensor([[0, 0, 0, 1, 1]]), torch.tensor([row]), frames, frames + 1)
        return TIMBRE_LOSSES[name][0](points, 0.15).item()

    near, far = [40, 41, 42, 40, 41], [40, 41, 64, 40, 41]
    assert loss("infonce-wide", far) > loss("infonce-wide", near) > 0
    assert loss("infonce", far) == loss("infonce", near)


def test_unknown_names_are_refused() -> None:
    notes, label = some_notes()
    with pytest.raises(ValueError, match="infonce"):
        measured("triplet", embedding_of(notes, label), notes, label)
    with pytest.raises(ValueError, match="resistor"):
        Balance("uncertainty")


# -- balances


def test_resistors_make_every_loss_count_the_same() -> None:
    balance = Balance("resistor")
    total, weights = balance.combine({"a": torch.tensor(4.0), "b": torch.tensor(1.0), "c": torch.tensor(0.5)})
    parts = [float(weights[k]) * v for k, v in (("a", 4.0), ("b", 1.0), ("c", 0.5))]
    assert parts == pytest.approx([parts[0]] * 3)
    assert sum(float(w) for w in weights.values()) == pytest.approx(3.0)
    # Nine times the resistance of 4, 1 and 0.5 in parallel.
    assert float(total) == pytest.approx(9.0 / (1 / 4 + 1 + 2))
    for _ in range(20):
        _, weights = balance.combine({"a": torch.tensor(4.0), "b": torch.tensor(1.0), "c": torch.tensor(50.0)})
    assert 0.02 < float(weights["c"]) < 0.5, "the mean follows slowly"


def test_dynamic_weights_favour_the_loss_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancing, "WINDOW", 5)
    balance = Balance("dwa")
    weights = torch.ones(2)
    for step in range(10):
        weights = balance.weights(torch.tensor([1.0, 1.0 if step < 5 else 0.2]))
        if step < 9:
            assert weights.tolist() == [1.0, 1.0]
    assert weights[0] > 1.1 > 0.9 > weights[1] and float(weights.sum()) == pytest.approx(2.0)


@pytest.mark.parametrize("method", BALANCES)
def test_a_balance_is_the_same_from_run_to_run_and_alone_changes_nothing(method: str) -> None:
    def history() -> list[float]:
        balance = Balance(method)
        return [float(balance.combine({"a": torch.tensor(1.0 + k), "b": torch.tensor(2.0)})[0]) for k in range(5)]

    assert history() == history() and np.isfinite(history()).all()
    assert float(Balance(method).combine({"timbre": torch.tensor(0.7)})[0]) == pytest.approx(0.7)


def test_surgery_removes_conflicts_on_shared_parameters_and_keeps_the_rest() -> None:
    one, two = [torch.tensor([1.0, 0.0]), torch.tensor([3.0])], [torch.tensor([-1.0, 1.0]), None]
    shared, own = surgery([one, two])
    # (1, 0) loses its part along (-1, 1); (-1, 1) its part along (1, 0).
    assert shared is not None and shared.tolist() == pytest.approx([0.5, 1.5])
    assert own is not None and own.tolist() == [3.0]
    agreeing, _ = surgery([one, [torch.tensor([1.0, 1.0]), None]])
    assert agreeing is not None and agreeing.tolist() == pytest.approx([2.0, 1.0])


def small_batch(clips: int = 2) -> Batch:
    notes, label = some_notes()
    torch.manual_seed(2)
    audio = torch.randn(clips, 256 * 60)
    onset, frame, offset = ((torch.rand(clips, 88, 60) < 0.1).float() for _ in range(3))
    label = label.expand(clips, -1)
    return Batch(audio, onset, frame, offset, notes.expand(clips, -1, -1), label, torch.where(label < 0, -1, label))


@pytest.mark.parametrize("method", ["fixed", "pcgrad"])
def test_gradients_add_up_over_batches(method: str) -> None:
    """Where losses do not conflict, surgery gives the plain gradient; two halves are one whole."""
    layer, balance = torch.nn.Linear(3, 2), Balance(method)
    for _ in range(2):
        total, _ = balance.combine({"a": layer(torch.ones(3)).sum(), "b": layer.weight.sum()})
        balance.backward(torch.Tensor.backward, layer, total, 0.5)
    assert layer.weight.grad is not None and layer.bias.grad is not None
    np.testing.assert_allclose(layer.weight.grad, np.full((2, 3), 2.0), atol=1e-5)
    np.testing.assert_allclose(layer.bias.grad, np.ones(2), atol=1e-5)


def test_surgery_on_several_devices_is_refused() -> None:
    layer = torch.nn.Linear(1, 1)
    balance = Balance("pcgrad")
    total, _ = balance.combine({"a": layer.weight.sum(), "b": -layer.weight.sum()})
    with pytest.raises(ValueError, match="one device"):
        balance.backward(torch.Tensor.backward, layer, total, 1.0, world=2)


# -- the objective


@pytest.mark.parametrize("method", BALANCES)
def test_every_balance_gives_all_parameters_gradients(method: str) -> None:
    settings = replace(SETTINGS, balance=method)
    net, balance = TranscriberNet(network_of(settings)), Balance(method)
    losses = compute_losses(net, CQT(), small_batch(), settings, balance)
    balance.backward(torch.Tensor.backward, net, losses["loss"], 1.0)
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    names = {"onset", "frame", "offset", "timbre"}
    assert set(losses) - {"loss"} - names == (
        {f"weight_{n}" for n in names} if balance.running is not None or "dwa" in method else set()
    )


def test_frozen_notes_stay_as_they_are_to_the_last_bit() -> None:
    settings = replace(SETTINGS, freeze_notes=True, memory="statistics", phase=True)
    net = TranscriberNet(network_of(settings))
    assert isinstance(net.network, Network) and net.network.memory == "statistics" and net.network.phase
    before = {k: v.clone() for k, v in net.state_dict().items()}
    module = trained_part(net, settings).train()
    assert isinstance(module, TimbreAlone) and net.timbre is not None and net.timbre.training and not net.stem.training
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    losses = compute_losses(module, CQT(), small_batch(), settings, Balance())
    assert set(losses) == {"loss", "timbre"}
    losses["loss"].backward()
    optimizer.step()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(k.startswith("timbre.") for k in changed)
    assert any("running_mean" in k for k in changed)


def test_a_teacher_hears_the_clips_without_their_drums() -> None:
    path = Path(__file__).parents[2] / "models" / "light.safetensors"
    student, checkpoint = load_checkpoint(path)
    features, settings = CQT(checkpoint.front_end), replace(SETTINGS, network="light")
    teacher, batch = Teacher(path, checkpoint.front_end, half=False), small_batch()
    batch = replace(batch, audio=torch.sin(torch.arange(2 * 256 * 60) * 2 * torch.pi * 220 / 22050).reshape(2, -1))
    struck = batch.audio + 3.0 * torch.randn_like(batch.audio) * (torch.arange(256 * 60) % 5000 < 500)

    def distance(batch: Batch) -> float:
        with torch.no_grad():
            return float(compute_losses(student.eval(), features, batch, settings, teacher=teacher)["teacher"])

    # It says of itself what it says; of the struck clip it is taught what it says of the other.
    assert distance(batch) == pytest.approx(0.0, abs=1e-7)
    assert distance(replace(batch, audio=struck)) == pytest.approx(0.0, abs=1e-7)
    assert distance(replace(batch, audio=struck, drumless=batch.audio)) > 1e-4


def test_the_default_loss_is_that_of_the_shipped_network() -> None:
    notes, label = some_notes()
    embedding = embedding_of(notes, label, blur=0.5)
    points = note_points(embedding, notes, label)
    similarity = (points.vector @ points.vector.transpose(1, 2) / 0.15)[0].detach().numpy()
    known, total, anchors = label[0].numpy(), 0.0, 0
    for i in range(12):
        strange = [similarity[i, j] for j in range(12) if known[j] != known[i]]
        same = [similarity[i, j] for j in range(12) if known[j] == known[i] and j != i]
        total += float(np.mean([np.log(np.exp(s) + np.exp(strange).sum()) - s for s in same]))
        anchors += 1
    assert Training().timbre_loss == "infonce"
    assert info_nce(points, 0.15).item() == pytest.approx(total / anchors, rel=1e-4)


@pytest.mark.parametrize("options", [{"balance": "pcgrad"}, {"balance": "resistor-dwa"}, {"freeze_notes": True}])
def test_steps_under_lightning_fabric(options: dict[str, object]) -> None:
    """The loop's own wrapper and precision: it refuses gradients that do not come from its `backward`."""
    fabric_module = pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric")
    fabric = fabric_module.Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    settings = replace(SETTINGS, **options)  # type: ignore[arg-type]
    net, balance = TranscriberNet(network_of(settings)), Balance(settings.balance)
    module = trained_part(net, settings)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    wrapped, optimizer = fabric.setup(module, optimizer)
    wrapped.train()
    assert net.stem.training is not settings.freeze_notes
    history = []
    for _ in range(6):
        losses = compute_losses(wrapped, CQT(), small_batch(), settings, balance)
        balance.backward(fabric.backward, net, losses["loss"], 1.0, fabric.world_size)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        history.append(losses["timbre"].item())
    assert history[-1] < history[0]
