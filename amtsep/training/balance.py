"""How losses that are trained together are weighed against each other.

- ``fixed``: as they come, with the weights of the settings.
- ``resistor``: weights that make every loss count the same, as resistors in parallel do under one voltage: with a
  running mean L_i of each loss, the weight is n (1 / L_i) / sum_j (1 / L_j), so that the weighted sum is n^2 times the
  resistance of the losses in parallel. The smallest loss, which is nearest to being solved, gets the largest weight.
- ``dwa``: dynamic weight averaging (Liu, Johns and Davison 2019): a loss that fell less than the others between the
  last two windows of steps gets more weight.
- ``resistor-dwa``: the product of both.
- ``pcgrad``: gradient surgery (Yu et al. 2020): a loss's gradient on shared parameters loses what points against
  another's. A backward pass for every loss.

Weights have a mean of one and are never differentiated. The state is a few numbers; it begins anew when a training is
resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

BALANCES = ("fixed", "resistor", "dwa", "resistor-dwa", "pcgrad")
MOMENTUM = 0.98
"""Of the running mean of a loss: some fifty steps."""
WINDOW = 100
"""Steps over which dynamic weight averaging takes a mean; in the paper an epoch, of which there are none here."""
SOFTNESS = 2.0
"""Temperature of dynamic weight averaging, as in the paper."""


class Balance:
    """Weights of losses, one step after the other.

    Parameters
    ----------
    method
        One of `BALANCES`.
    """

    def __init__(self, method: str = "fixed") -> None:
        if method not in BALANCES:
            raise ValueError(f"There is no balance '{method}'; choose one of {', '.join(BALANCES)}.")
        self.method = method
        self.running: Tensor | None = None
        self.sums: Tensor | None = None
        self.count = 0
        self.windows: list[Tensor] = []
        self._terms: list[Tensor] = []

    def weights(self, losses: Tensor) -> Tensor:
        """Take note of the losses of a step, (n,), and give their weights, (n,), with a mean of one."""
        values = losses.detach().float().clamp_min(1e-8)
        result = torch.ones_like(values)
        if "resistor" in self.method:
            self.running = values if self.running is None else MOMENTUM * self.running + (1.0 - MOMENTUM) * values
            result = result / self.running
        if "dwa" in self.method:
            self.sums = values if self.sums is None else self.sums + values
            self.count += 1
            if self.count == WINDOW:
                self.windows = [*self.windows[-1:], self.sums / WINDOW]
                self.sums, self.count = None, 0
            if len(self.windows) == 2:
                result = result * torch.softmax(self.windows[1] / self.windows[0] / SOFTNESS, dim=0)
        return result * (len(result) / result.sum())

    def combine(self, terms: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses, and the weights by name (none where they are fixed)."""
        self._terms = list(terms.values())
        stacked = torch.stack(self._terms)
        if self.method in ("fixed", "pcgrad"):
            return stacked.sum(), {}
        found = self.weights(stacked)
        return (found * stacked).sum(), dict(zip(terms, found, strict=True))

    def backward(self, run: Callable[..., Any], net: nn.Module, total: Tensor, scale: float, world: int = 1) -> None:
        """Add the gradients of the last losses that were combined.

        Parameters
        ----------
        run
            What calls `backward` of a loss and passes ``retain_graph`` on, such as that of Lightning Fabric.
        net
            Whose parameters are trained.
        total
            The first that `combine` returned.
        scale
            Factor of the gradients: one over the batches of a step.
        world
            Processes that train together.
        """
        terms, self._terms = self._terms, []
        if self.method != "pcgrad" or len(terms) < 2:
            run(total * scale)
            return
        if world > 1:
            raise ValueError(
                "Gradient surgery (--balance pcgrad) works on one device; choose another balance or --devices 1."
            )
        parameters = [p for p in net.parameters() if p.requires_grad]
        before = [p.grad for p in parameters]
        gradients: list[list[Tensor | None]] = []
        for k, term in enumerate(terms):
            for parameter in parameters:
                parameter.grad = None
            run(term, retain_graph=k + 1 < len(terms))
            gradients.append([p.grad for p in parameters])
        for parameter, old, gradient in zip(parameters, before, surgery(gradients), strict=True):
            if gradient is None:
                parameter.grad = old
            else:
                parameter.grad = gradient * scale if old is None else old + gradient * scale


def surgery(gradients: Sequence[Sequence[Tensor | None]]) -> list[Tensor | None]:
    """Sum of the losses' gradients, each without what conflicts with another's on parameters that they share.

    Parameters
    ----------
    gradients
        For every loss, one a parameter, ``None`` where the loss does not depend on it.

    Returns
    -------
    list
        One a parameter.
    """
    owners = [sum(g is not None for g in column) for column in zip(*gradients, strict=True)]
    shared = [k for k, count in enumerate(owners) if count > 1]

    def flat(row: Sequence[Tensor | None]) -> Tensor:
        like = [next(r[k] for r in gradients if r[k] is not None) for k in shared]
        parts = [torch.zeros_like(m) if row[k] is None else row[k] for k, m in zip(shared, like, strict=True)]  # type: ignore[arg-type]
        return torch.cat([part.reshape(-1).float() for part in parts])  # type: ignore[union-attr]

    result: list[Tensor | None] = [
        next((g for g in column if g is not None), None) for column in zip(*gradients, strict=True)
    ]
    if not shared:
        return result
    rows = [flat(row) for row in gradients]
    total = torch.zeros_like(rows[0])
    for i, row in enumerate(rows):
        changed = row.clone()
        # The paper draws the order of the others; a fixed one keeps a training the same from run to run.
        for j, other in enumerate(rows):
            if i != j:
                changed -= (changed @ other).clamp_max(0.0) / other.square().sum().clamp_min(1e-12) * other
        total += changed
    place = 0
    for k in shared:
        like = result[k]
        assert like is not None
        result[k] = total[place : place + like.numel()].reshape(like.shape).to(like.dtype)
        place += like.numel()
    return result
