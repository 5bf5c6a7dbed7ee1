"""Distillation (Hinton, Vinyals and Dean 2015): a small network learns the posteriors of a large one beside the notes.

What the teacher says of a unit that the notes call silent, a harmonic or the end of a note, tells the student how
likely it was, where the notes only tell that it was not. The logits are taken as the teacher learned them, before
calibration: the student's own losses pull to the same bias, and its calibration comes after.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import FrontEnd
from amtsep.errors import ModelError
from amtsep.nets.checkpoint import load_checkpoint
from amtsep.nets.layers import Heard


class Teacher(nn.Module):
    """A trained network that hears the student's features.

    Parameters
    ----------
    path
        Its weights; a calibration in them is left aside.
    front_end
        The student's.
    half
        Run in bfloat16.

    Raises
    ------
    ModelError
        If its front end is another one.
    """

    def __init__(self, path: Path, front_end: FrontEnd, half: bool = True) -> None:
        super().__init__()
        net, checkpoint = load_checkpoint(path)
        if checkpoint.network.learned_front_end or not front_end.transforms_like(checkpoint.front_end):
            raise ModelError(
                f"{path.name} was trained on another front end; a teacher must hear what the student hears."
            )
        # Timbre is not taught; without its branch the teacher is cheaper.
        net.timbre = None
        self.net, self.half_precision = net.requires_grad_(False).eval(), half
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, power: Tensor) -> Heard:
        """(B, n_bins, T) power to onset, frame and, where it has learned them, offset logits, (B, 88, T) float32."""
        with torch.autocast(power.device.type, torch.bfloat16, enabled=self.half_precision):
            onset, frame, _, offset = self.net(power)
        return Heard(onset.float(), frame.float(), offset=None if offset is None else offset.float())


def distillation_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """Mean over all units of the divergence of the student's probability from the teacher's, in nats; 0 where equal."""
    logits, target = logits.float(), torch.sigmoid(taught)
    entropy = functional.binary_cross_entropy_with_logits(taught, target)
    return functional.binary_cross_entropy_with_logits(logits, target) - entropy
