"""The optimizers of the loop: AdamW, or orthogonalised momentum (Muon) for the convolutions and AdamW for the rest.

Muon (Jordan, Jin, Boza, You, Cesista, Newhouse and Bernstein, "Muon: An optimizer for hidden layers in neural
networks", 2024) takes the momentum of a weight matrix and steps along the nearest matrix with orthonormal rows or
columns: every direction that the gradients agree on, however weak, is followed at the same speed. The nearest such
matrix comes from a few Newton-Schulz iterations, which need matrix products alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from amtsep.config import Training

MOMENTUM = 0.95
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration from the source: singular values in (0, 1] go to about one (0.7 to 1.2) in five
rounds, sooner than by the ones that converge exactly."""
BETAS = (0.9, 0.98)
"""Of AdamW."""


def orthogonalise(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Bring all singular values of a matrix near one, by Newton-Schulz iterations in single precision.

    Parameters
    ----------
    matrix
        (m, n).
    rounds
        Iterations.

    Returns
    -------
    Tensor
        (m, n) float32; zero where `matrix` is.
    """
    a, b, c = QUINTIC
    x = matrix.float()
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.mT
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.AdamW):
    """AdamW whose groups with a ``muon_scale`` take orthogonalised momentum steps instead.

    Such a group holds weights of two dimensions or more, seen as (first dimension, all others). Its learning rate is
    ``lr * muon_scale``, times the root of m / n where the matrix is taller than wide, so that outputs of layers of any
    shape move alike; its weight decay is decoupled, as AdamW's.

    Parameters
    ----------
    groups
        As for AdamW; ``muon_scale`` (a float, or None for AdamW) in each.
    lr
        Of AdamW.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__([{"muon_scale": None, **group} for group in groups], lr=lr, betas=BETAS)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step."""
        groups = self.param_groups
        for group in groups:
            if group["muon_scale"] is not None:
                self._orthogonal_step(group)
        self.param_groups = [group for group in groups if group["muon_scale"] is None]
        try:
            return super().step(closure)
        finally:
            self.param_groups = groups

    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        rate = group["lr"] * group["muon_scale"]
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
                # AdamW looks for it in every state that is loaded.
                state["step"] = torch.zeros(())
            state["step"] += 1
            momentum = state["momentum"].lerp_(weight.grad, 1.0 - MOMENTUM)
            # Nesterov: the momentum as it would be after this gradient came once more.
            ahead = weight.grad.lerp(momentum, MOMENTUM)
            update = orthogonalise(ahead.flatten(1))
            tall = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
            weight.mul_(1.0 - rate * group["weight_decay"])
            weight.add_(update.view_as(weight).to(weight.dtype), alpha=-rate * tall)


def build_optimizer(net: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """The optimizer that `settings` name, over the parameters of `net`.

    With "adamw", weights decay, and biases, norms and the front end's affine do not. With "muon", convolutions of more
    than one output channel take orthogonal steps, with decay; everything else takes AdamW's, without.
    """
    parameters = [p for p in net.parameters() if p.requires_grad]
    if settings.optimizer == "adamw":
        decayed, plain = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
        return torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=BETAS,
        )
    if settings.optimizer == "muon":
        maps = [p for p in parameters if p.ndim == 4 and p.shape[0] > 1]
        rest = [p for p in parameters if not (p.ndim == 4 and p.shape[0] > 1)]
        return Muon(
            [
                {"params": maps, "weight_decay": settings.weight_decay, "muon_scale": settings.muon_scale},
                {"params": rest, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
        )
    raise ValueError(f"The optimizer is 'adamw' or 'muon', not {settings.optimizer!r}.")
