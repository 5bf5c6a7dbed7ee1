"""What training minimises: the losses of a batch and their weighted sum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from amtsep.config import Training, network_of
from amtsep.errors import DataError
from amtsep.nets.cqt import CQT, LearnedCQT
from amtsep.nets.layers import Heard
from amtsep.nets.model import AnyNet, TranscriberNet
from amtsep.training.balance import Balance
from amtsep.training.data import Batch
from amtsep.training.losses import focal_loss, timbre_loss
from amtsep.training.teacher import Teacher, distillation_loss, embedding_distance


class TimbreAlone(nn.Module):
    """A network of which the timbre branch trains and nothing else.

    Everything else is in evaluation mode, without gradients, and the heads are left out: a step costs less than half.
    """

    def __init__(self, net: TranscriberNet) -> None:
        super().__init__()
        self.net = net

    def train(self, mode: bool = True) -> TimbreAlone:
        """Set the mode of the timbre branch."""
        super().train(False)
        assert self.net.timbre is not None
        self.net.timbre.train(mode)
        self.training = mode
        return self

    def forward(self, power: Tensor, phase: Tensor | None = None) -> Tensor:
        """(B, n_bins, T) to (B, D, 88, T); see `TranscriberNet.embed`."""
        return self.net.embed(power, phase)


def trained_part(net: AnyNet, settings: Training) -> nn.Module:
    """The module to train: the network, or its timbre branch alone, with what does not train frozen.

    Raises
    ------
    DataError
        If the timbre branch is to be trained alone and there is none.
    """
    if not settings.freeze_notes:
        return net
    if not isinstance(net, TranscriberNet) or net.timbre is None:
        raise DataError(
            f"The network '{settings.network}' has no timbre branch; --freeze-notes leaves nothing to train."
        )
    net.requires_grad_(False)
    net.timbre.requires_grad_(True)
    return TimbreAlone(net)


def compute_losses(
    net: nn.Module,
    features: CQT,
    batch: Batch,
    settings: Training,
    balance: Balance | None = None,
    teacher: Teacher | None = None,
) -> dict[str, Tensor]:
    """Losses of a batch.

    Parameters
    ----------
    net
        What `trained_part` returned, wrapped or not.
    features
        The front end.
    batch
        Clips with their targets.
    settings
        Weights and kinds of losses.
    balance
        What weighs them against each other; the weights of the settings alone where it is left out.
    teacher
        A network whose posteriors are to be learned beside the notes, with the notes frozen its embedding alone; it
        hears the clips without their drums where the batch has them so.

    Returns
    -------
    dict
        ``loss`` (the weighted sum), ``onset`` and ``frame`` (but with the notes frozen), ``offset`` (with such a head),
        ``timbre`` (with a timbre branch), ``teacher`` (with one), ``embedding`` (with one that teaches it), and what
        `balance` made of their weights as ``weight_onset`` and so on.
    """
    learned = isinstance(features, LearnedCQT)
    with torch.set_grad_enabled(learned), torch.autocast(batch.audio.device.type, enabled=False):
        power, phase = features.with_phase(batch.audio) if network_of(settings).phase else (features(batch.audio), None)
        taught: Heard | None = None
        if teacher is not None:
            taught = teacher(power if batch.drumless is None else features(batch.drumless))
    losses: dict[str, Tensor] = {}
    terms: dict[str, Tensor] = {}
    embedding: Tensor | None
    if settings.freeze_notes:
        embedding = net(power, phase)
    else:
        onset, frame, embedding, offset = net(power, phase)
        losses["onset"] = focal_loss(onset, batch.onset, settings.onset_alpha, settings.onset_gamma)
        losses["frame"] = focal_loss(frame, batch.frame, settings.frame_alpha, settings.frame_gamma)
        # Targets are rare, so a mean over all units is small; the factor brings it near one.
        terms = {"onset": 100.0 * settings.onset_weight * losses["onset"], "frame": 100.0 * losses["frame"]}
        if offset is not None:
            losses["offset"] = focal_loss(offset, batch.offset, settings.onset_alpha, settings.onset_gamma)
            terms["offset"] = 100.0 * settings.offset_weight * losses["offset"]
        if taught is not None:
            parts = [settings.onset_weight * distillation_loss(onset, taught.onset)]
            parts.append(distillation_loss(frame, taught.frame))
            if offset is not None and taught.offset is not None:
                parts.append(settings.offset_weight * distillation_loss(offset, taught.offset))
            losses["teacher"] = torch.stack(parts).sum()
            terms["teacher"] = 100.0 * settings.teacher_weight * losses["teacher"]
    if embedding is not None:
        with torch.autocast(batch.audio.device.type, enabled=False):
            losses["timbre"] = timbre_loss(embedding, batch.notes, batch.label, settings, batch.family)
            if taught is not None and taught.embedding is not None:
                losses["embedding"] = embedding_distance(embedding, taught.embedding, batch.frame)
                terms["embedding"] = settings.embedding_weight * losses["embedding"]
        terms["timbre"] = settings.timbre_weight * losses["timbre"]
    total, weights = (balance or Balance()).combine(terms)
    return {"loss": total, **losses, **{f"weight_{name}": value for name, value in weights.items()}}
