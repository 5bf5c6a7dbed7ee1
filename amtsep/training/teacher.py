"""Distillation (Hinton, Vinyals and Dean 2015): a small network learns the posteriors of a large one beside the notes.

And, where it is told to, its embedding (compare the hints of Romero et al. 2015): the student then tells timbres apart
in the space that the teacher does.

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
    dim
        Of the student's embedding, where the teacher's is learned; 0 leaves its timbre branch out, which is cheaper.
    timbres
        Weights of a network whose embedding is taught in place of this one's.

    Raises
    ------
    ModelError
        If a front end is another one, or the embedding has not so many dimensions.
    """

    def __init__(
        self, path: Path, front_end: FrontEnd, half: bool = True, dim: int = 0, timbres: Path | None = None
    ) -> None:
        super().__init__()
        self.half_precision = half
        self.net = _hearer(path, front_end, dim if timbres is None else 0)
        self.timbres = _hearer(timbres, front_end, dim) if timbres is not None and dim else None

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, power: Tensor) -> Heard:
        """Power (B, n_bins, T) to logits and embedding, float32; ``None`` for what is not learned or not taught."""
        with torch.autocast(power.device.type, torch.bfloat16, enabled=self.half_precision):
            heard = self.net(power)
            if self.timbres is not None:
                heard = heard._replace(embedding=self.timbres(power).embedding)
        embedding, offset = (None if output is None else output.float() for output in heard[2:])
        return Heard(heard.onset.float(), heard.frame.float(), embedding, offset)


def _hearer(path: Path, front_end: FrontEnd, dim: int) -> nn.Module:
    """The network of `path`, as it was trained; without its timbre branch where `dim` is 0."""
    net, checkpoint = load_checkpoint(path)
    if checkpoint.network.learned_front_end or not front_end.transforms_like(checkpoint.front_end):
        raise ModelError(f"{path.name} was trained on another front end; a teacher must hear what the student hears.")
    own = checkpoint.network.embedding_dim
    if dim and own != dim:
        raise ModelError(
            f"The embedding of {path.name} has {own} dimensions and the student's {dim}: leave its weight "
            "(embedding_weight) at 0, or choose another teacher."
        )
    if not dim:
        net.timbre = None
    net.requires_grad_(False).eval()
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def distillation_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """Mean over all units of the divergence of the student's probability from the teacher's, in nats; 0 where equal."""
    logits, target = logits.float(), torch.sigmoid(taught)
    entropy = functional.binary_cross_entropy_with_logits(taught, target)
    return functional.binary_cross_entropy_with_logits(logits, target) - entropy


def embedding_distance(embedding: Tensor, taught: Tensor, sounding: Tensor) -> Tensor:
    """Mean of 1 - cosine of the student's and the teacher's unit vectors, where it sounds; 0 where they are equal.

    Parameters
    ----------
    embedding, taught
        (B, D, 88, T), unit length along D.
    sounding
        (B, 88, T) target of the frames, the weight of each.
    """
    cosine = (embedding.float() * taught).sum(dim=1)
    return ((1.0 - cosine) * sounding).sum() / sounding.sum().clamp_min(1.0)
