"""Orthogonal steps: what they are, that they learn, that they go on after a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")
from torch import nn  # noqa: E402

from amtsep.config import Training  # noqa: E402
from amtsep.training.optim import build_optimizer, orthogonalise  # noqa: E402

SETTINGS = Training(optimizer="muon", learning_rate=1e-2, muon_scale=2.0)


def _net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 1, 1)
    )


def _loss(net: nn.Module, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 2, 8, 8, generator=generator)
    wanted = x[:, :1, 2:-2, 2:-2] * x[:, 1:, 1:-3, 2:-2]
    return (net(x) - wanted).square().mean()


@pytest.mark.parametrize("shape", [(16, 72), (32, 18), (12, 12)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape) * 1e-3))
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3
    assert float(orthogonalise(torch.zeros(shape)).abs().max()) == 0.0


def test_a_step_is_orthogonal_for_maps_and_adamw_for_the_rest() -> None:
    net, same = _net(), _net()
    settings = replace(SETTINGS, weight_decay=0.0)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for one, s in ((net, settings), (same, replace(settings, optimizer="adamw"))):
        optimizer = build_optimizer(one, s)
        generator = torch.Generator().manual_seed(1)
        for p in one.parameters():
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()
    for name, p in net.named_parameters():
        step = before[name] - p.detach()
        if name in ("0.weight", "3.weight"):
            values = torch.linalg.svdvals(step.flatten(1)) / (1e-2 * 2.0)
            assert float(values.min()) > 0.6 and float(values.max()) < 1.3, name
        else:
            torch.testing.assert_close(p, same.get_parameter(name))


def test_it_learns_and_weights_decay() -> None:
    net = _net()
    optimizer = build_optimizer(net, SETTINGS)
    first = float(_loss(net, 99).detach())
    for k in range(150):
        optimizer.zero_grad()
        _loss(net, k).backward()
        optimizer.step()
    assert float(_loss(net, 99).detach()) < 0.5 * first
    still = nn.Conv2d(2, 8, 3)
    optimizer = build_optimizer(still, replace(SETTINGS, weight_decay=0.5))
    still.weight.grad = torch.zeros_like(still.weight)
    size = float(still.weight.detach().norm())
    optimizer.step()
    assert float(still.weight.detach().norm()) == pytest.approx(size * (1 - 1e-2 * 2.0 * 0.5), rel=1e-5)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="adamw"):
        build_optimizer(_net(), replace(SETTINGS, optimizer="sgd"))
