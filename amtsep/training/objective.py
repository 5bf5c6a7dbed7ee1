"""What training minimises: the losses of a batch and their weighted sum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from amtsep.config import Training
from amtsep.nets.cqt import CQT
from amtsep.training.data import Batch
from amtsep.training.losses import focal_loss, note_contrastive_loss, pool_notes


def compute_losses(net: nn.Module, features: CQT, batch: Batch, settings: Training) -> dict[str, Tensor]:
    """Losses of a batch: ``loss`` (the weighted sum), ``onset``, ``frame`` and, with a timbre branch, ``timbre``."""
    with torch.no_grad(), torch.autocast(batch.audio.device.type, enabled=False):
        power = features(batch.audio)
    onset, frame, embedding = net(power)
    losses = {
        "onset": focal_loss(onset, batch.onset, settings.onset_alpha, settings.onset_gamma),
        "frame": focal_loss(frame, batch.frame, settings.frame_alpha, settings.frame_gamma),
    }
    # Targets are rare, so a mean over all units is small; the factor brings it near one.
    total = 100.0 * (settings.onset_weight * losses["onset"] + losses["frame"])
    if embedding is not None:
        with torch.autocast(batch.audio.device.type, enabled=False):
            pooled = pool_notes(embedding, batch.notes)
            losses["timbre"] = note_contrastive_loss(pooled, batch.label, settings.timbre_temperature)
        total = total + settings.timbre_weight * losses["timbre"]
    return {"loss": total, **losses}
