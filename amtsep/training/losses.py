"""Losses on logits and embeddings, in single precision."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal_loss(logits: Tensor, target: Tensor, alpha: float, gamma: float) -> Tensor:
    """Binary focal loss (Lin et al. 2017) for soft targets, mean over all units.

    Parameters
    ----------
    logits, target
        Any equal shape; targets in [0, 1].
    alpha
        Weight of positives; 1 - alpha is that of negatives. Under one half, onsets stay sharp and endings clean.
    gamma
        Exponent of the modulating factor ``|target - p|``.
    """
    logits, target = logits.float(), target.float()
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    distance = (target - torch.sigmoid(logits)).abs().clamp_min(1e-6)
    weight = alpha * target + (1.0 - alpha) * (1.0 - target)
    return (weight * distance**gamma * cross_entropy).mean()


def pool_notes(embedding: Tensor, notes: Tensor) -> Tensor:
    """Mean embedding of every note over its frames, to unit length.

    Parameters
    ----------
    embedding
        (B, D, 88, T).
    notes
        (B, M, 3) int64: row, first frame, last frame + 1; rows of padding have an empty span.

    Returns
    -------
    Tensor
        (B, M, D).
    """
    batch, dim, rows, frames = embedding.shape
    sums = functional.pad(embedding.float().cumsum(dim=-1), (1, 0)).permute(0, 2, 3, 1)  # (B, 88, T + 1, D)
    flat = sums.reshape(batch, rows * (frames + 1), dim)
    base = notes[..., 0] * (frames + 1)
    ends = (base + notes[..., 2])[..., None].expand(-1, -1, dim)
    starts = (base + notes[..., 1])[..., None].expand(-1, -1, dim)
    total = flat.gather(1, ends) - flat.gather(1, starts)
    return functional.normalize(total, dim=-1, eps=1e-4)


def note_contrastive_loss(pooled: Tensor, label: Tensor, temperature: float) -> Tensor:
    """Contrastive loss among the notes of a clip, labels = parts: InfoNCE (van den Oord et al. 2018) for every pair.

    A companion of the anchor is compared with all strangers; other companions do not compete with it, as they would in
    the supervised form of Khosla et al. (2020), so that a part with many notes may close up on one point.

    Parameters
    ----------
    pooled
        (B, M, D), unit length.
    label
        (B, M) int64, the part of every note, -1 for padding.
    temperature
        Of the softmax over similarities.

    Returns
    -------
    Tensor
        Mean over the notes that have both a companion and a stranger in their clip; zero, with a gradient of zero,
        where a batch has none: a solo contributes nothing.
    """
    similarity = pooled @ pooled.transpose(1, 2) / temperature
    valid = label >= 0
    pair = valid[:, :, None] & valid[:, None, :]
    equal = label[:, :, None] == label[:, None, :]
    same = pair & equal & ~torch.eye(label.shape[1], dtype=torch.bool, device=label.device)
    strangers = similarity.masked_fill(~(pair & ~equal), -1e4).logsumexp(dim=-1, keepdim=True)
    per_pair = functional.softplus(strangers - similarity) * same
    count = same.sum(dim=-1)
    anchors = (count > 0) & (pair & ~equal).any(dim=-1)
    per_note = per_pair.sum(dim=-1) / count.clamp_min(1)
    return (per_note * anchors).sum() / anchors.sum().clamp_min(1)
