"""Losses on logits and embeddings, in single precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from amtsep.config import Training


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


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings with known parts: a clip's notes, or a sample of its sounding units.

    Parameters
    ----------
    vector
        (B, M, D), unit length.
    label
        (B, M) int64 part, -1 for padding.
    row
        (B, M) int64 pitch row.
    first, last
        (B, M) int64 frames from `first` to before `last`.
    """

    vector: Tensor
    label: Tensor
    row: Tensor
    first: Tensor
    last: Tensor

    @property
    def pairs(self) -> Tensor:
        """(B, M, M), whether both are points and not one and the same."""
        valid = self.label >= 0
        apart = ~torch.eye(self.label.shape[1], dtype=torch.bool, device=self.label.device)
        return valid[:, :, None] & valid[:, None, :] & apart

    @property
    def same(self) -> Tensor:
        """(B, M, M), whether one part plays both."""
        return self.pairs & (self.label[:, :, None] == self.label[:, None, :])

    @property
    def shared(self) -> Tensor:
        """(B, M, M), whether two parts sound in one unit there: a unison, which can have no embedding of either."""
        together = (self.first[:, :, None] < self.last[:, None, :]) & (self.first[:, None, :] < self.last[:, :, None])
        pitch = self.row[:, :, None] == self.row[:, None, :]
        return self.pairs & ~self.same & pitch & together

    @property
    def strangers(self) -> Tensor:
        """(B, M, M), whether different parts play the two, apart."""
        return self.pairs & ~self.same & ~self.shared


def note_points(embedding: Tensor, notes: Tensor, label: Tensor) -> Embedded:
    """The notes of a clip as points (shapes as in `pool_notes`)."""
    row, first, last = notes.unbind(dim=-1)
    return Embedded(pool_notes(embedding, notes), label, row, first, last)


def unit_points(embedding: Tensor, notes: Tensor, label: Tensor, most: int) -> Embedded:
    """At most so many sounding units of a clip, at even distances along its notes laid end to end.

    Units in which two parts sound are left out: they have no part of their own.
    """
    row, first, last = notes.unbind(dim=-1)
    length = (last - first).clamp_min(0) * (label >= 0)
    ends = length.cumsum(dim=-1)
    total = ends[:, -1:]
    place = torch.arange(most, device=label.device)[None]
    # Whole numbers: places must not depend on the device's rounding.
    place = torch.where(total > most, place * total // most, place.expand(len(label), -1))
    valid = place < total
    which = torch.searchsorted(ends, place, right=True).clamp_max(label.shape[1] - 1)
    frame = first.gather(1, which) + place - (ends - length).gather(1, which)
    frame = frame.clamp(0, embedding.shape[-1] - 1)
    unit_row = row.gather(1, which)
    index = (unit_row * embedding.shape[-1] + frame)[:, None].expand(-1, embedding.shape[1], -1)
    vector = embedding.float().flatten(2).gather(2, index).transpose(1, 2)
    unit_label = torch.where(valid, label.gather(1, which), -1)
    covered = (frame[..., None] >= first[:, None]) & (frame[..., None] < last[:, None])
    covered &= unit_row[..., None] == row[:, None]
    unison = (covered & (label[:, None] >= 0) & (label[:, None] != unit_label[..., None])).any(dim=-1)
    unit_label = torch.where(unison, -1, unit_label)
    return Embedded(vector, unit_label, unit_row, frame, frame + 1)


def info_nce(points: Embedded, temperature: float, weight: Tensor | None = None) -> Tensor:
    """InfoNCE (van den Oord et al. 2018) for every pair of one part.

    A companion of the anchor is compared with all strangers; other companions do not compete with it, as they would in
    the supervised form of Khosla et al. (2020), so that a part with many notes may close up on one point.

    Parameters
    ----------
    points
        Of a batch of clips.
    temperature
        Of the softmax over similarities.
    weight
        (B, M, M) of the pairs of one part; all alike where left out.

    Returns
    -------
    Tensor
        Mean over the points that have both a companion and a stranger in their clip; zero, with a gradient of zero,
        where a batch has none: a solo contributes nothing.
    """
    similarity = points.vector @ points.vector.transpose(1, 2) / temperature
    same, strangers = points.same, points.strangers
    against = similarity.masked_fill(~strangers, -1e4).logsumexp(dim=-1, keepdim=True)
    share = same.float() if weight is None else same * weight
    per_pair = functional.softplus(against - similarity) * share
    anchors = same.any(dim=-1) & strangers.any(dim=-1)
    per_point = per_pair.sum(dim=-1) / share.sum(dim=-1).clamp_min(1e-6)
    return (per_point * anchors).sum() / anchors.sum().clamp_min(1)


def wide_info_nce(points: Embedded, temperature: float) -> Tensor:
    """`info_nce` in which a pair counts more the further its pitches are apart: a timbre changes over its range.

    Neighbours in pitch sound alike and find together by themselves; a cluster breaks between its registers. A pair an
    octave apart counts twice, two octaves three times as much as one of the same pitch.
    """
    distance = (points.row[:, :, None] - points.row[:, None, :]).abs().float()
    return info_nce(points, temperature, 1.0 + distance / 12.0)


NEAR_SEMITONES, NEAR_WEIGHT = 3, 3.0
"""Strangers in a clip at most so far from an anchor count so many times: there, pitch says nothing of timbre."""


def batch_info_nce(points: Embedded, temperature: float, family: Tensor) -> Tensor:
    """`wide_info_nce` with the strangers of all clips of a batch, those near in pitch in the anchor's own counted more.

    A clip has a handful of timbres and a batch several times as many. Two parts of one family in different clips are
    left out: collections have the same instruments, and some the same recordings.

    Parameters
    ----------
    points
        Notes of a batch.
    temperature
        Of the softmax over similarities.
    family
        (B, M) int64 family of each note's part.

    Returns
    -------
    Tensor
        As `info_nce`; a solo contributes, if another clip has a part of another family.
    """
    clips, count = points.label.shape
    clip = torch.arange(clips, device=points.label.device)[:, None].expand(-1, count).reshape(-1)
    flat_family, row, valid = family.reshape(-1), points.row.reshape(-1), (points.label >= 0).reshape(-1)
    here = clip[:, None] == clip[None]
    abroad = ~here & valid[:, None] & valid[None] & (flat_family[:, None] != flat_family[None])
    vectors = points.vector.reshape(clips * count, -1)
    similarity = vectors @ vectors.T / temperature
    distance = (row[:, None] - row[None]).abs().float()

    def over_batch(within: Tensor) -> Tensor:
        return torch.block_diag(*within.float()) > 0.5

    same, strangers = over_batch(points.same), over_batch(points.strangers)
    bias = (strangers & (distance <= NEAR_SEMITONES)) * math.log(NEAR_WEIGHT)
    against = (similarity + bias).masked_fill(~(strangers | abroad), -1e4).logsumexp(dim=-1, keepdim=True)
    share = same * (1.0 + distance / 12.0)
    per_point = (functional.softplus(against - similarity) * share).sum(dim=-1) / share.sum(dim=-1).clamp_min(1e-6)
    anchors = same.any(dim=-1) & (strangers | abroad).any(dim=-1)
    return (per_point * anchors).sum() / anchors.sum().clamp_min(1)


def supervised_contrastive(points: Embedded, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2): companions, too, compete for the anchor.

    Mean over the points that have both a companion and a stranger, zero where there are none: without strangers it
    would only spread a solo's notes evenly.
    """
    similarity = points.vector @ points.vector.transpose(1, 2) / temperature
    same, strangers = points.same, points.strangers
    total = similarity.masked_fill(~(same | strangers), -1e4).logsumexp(dim=-1, keepdim=True)
    per_point = ((total - similarity) * same).sum(dim=-1) / same.sum(dim=-1).clamp_min(1)
    anchors = same.any(dim=-1) & strangers.any(dim=-1)
    return (per_point * anchors).sum() / anchors.sum().clamp_min(1)


def prototype_loss(points: Embedded, temperature: float) -> Tensor:
    """Every point against the means of the parts, its own without itself (GE2E, Wan et al. 2018).

    What a clustering around centres will ask is what is trained. Notes of a unison have no part of their own and ask
    nothing. Zero for solos.
    """
    clear = (points.label >= 0) & ~points.shared.any(dim=-1)
    member = one_hot(points) * clear[..., None]
    sums, count = member.transpose(1, 2) @ points.vector, member.sum(dim=1)  # (B, C, D), (B, C)
    others = functional.normalize(sums, dim=-1, eps=1e-4)
    own = functional.normalize(member @ sums - points.vector * clear[..., None], dim=-1, eps=1e-4)
    similarity = points.vector @ others.transpose(1, 2) / temperature
    strange = (count[:, None, :] > 0) & (member == 0)
    near = (points.vector * own).sum(dim=-1) / temperature
    against = similarity.masked_fill(~strange, -1e4).logsumexp(dim=-1)
    companions = (member * count[:, None, :]).sum(dim=-1) > 1
    anchors = clear & companions & strange.any(dim=-1)
    return (functional.softplus(against - near) * anchors).sum() / anchors.sum().clamp_min(1)


def affinity_loss(points: Embedded, temperature: float) -> Tensor:
    """Squared affinity, mean of (VV^T - YY^T)^2 over all pairs of a clip (deep clustering, Hershey et al. 2016).

    Computed as |V^T V|^2 - 2 |V^T Y|^2 + |Y^T Y|^2, matrices of D x D at most. Points of a unison are left out; a solo
    asks for one point, as it should. There is no `temperature`.
    """
    clear = ((points.label >= 0) & ~points.shared.any(dim=-1))[..., None]
    v, y = points.vector * clear, one_hot(points) * clear
    squares = [
        (a.transpose(1, 2) @ b).square().sum(dim=(1, 2)) * sign for a, b, sign in ((v, v, 1), (v, y, -2), (y, y, 1))
    ]
    count = clear.sum(dim=(1, 2))
    return (torch.stack(squares).sum(dim=0) / count.square().clamp_min(1)).sum() / (count > 0).sum().clamp_min(1)


def leaky_affinity_loss(points: Embedded, temperature: float) -> Tensor:
    """Squared affinity that forgives negative similarity between parts: there, a LeakyReLU (slope 0.1) comes first.

    Parts on opposite sides are as well told apart as those at right angles. It takes the n x n form.
    """
    similarity = points.vector @ points.vector.transpose(1, 2)
    same, strangers = points.same, points.strangers
    error = torch.where(same, similarity - 1.0, functional.leaky_relu(similarity, 0.1)).square()
    counted = same | strangers
    per_clip = (error * counted).sum(dim=(1, 2)) / counted.sum(dim=(1, 2)).clamp_min(1)
    return per_clip.sum() / counted.any(dim=2).any(dim=1).sum().clamp_min(1)


def one_hot(points: Embedded) -> Tensor:
    """(B, M, C), zero for padding."""
    classes = int(points.label.max()) + 1 if points.label.numel() else 1
    return functional.one_hot(points.label.clamp_min(0), max(classes, 1)).float() * (points.label >= 0)[..., None]


PointLoss = Callable[[Embedded, float], Tensor]

TIMBRE_LOSSES: dict[str, tuple[PointLoss, bool]] = {
    "infonce": (info_nce, False),
    "infonce-units": (info_nce, True),
    "infonce-wide": (wide_info_nce, False),
    "supcon": (supervised_contrastive, False),
    "prototype": (prototype_loss, False),
    "affinity": (affinity_loss, True),
    "affinity-leaky": (leaky_affinity_loss, True),
}
"""By the name in `amtsep.config.Training.timbre_loss`: the loss, and whether its points are units and not notes."""


BATCH_LOSS = "infonce-batch"
"""The loss that knows the families of all clips' parts, by its name in `amtsep.config.Training.timbre_loss`."""


def timbre_loss(
    embedding: Tensor, notes: Tensor, label: Tensor, settings: Training, family: Tensor | None = None
) -> Tensor:
    """The timbre loss that the settings name.

    Parameters
    ----------
    embedding
        (B, D, 88, T), unit length.
    notes
        (B, M, 3) int64: row, first frame, last frame + 1.
    label
        (B, M) int64 part, -1 for padding.
    settings
        `timbre_loss`, `timbre_temperature`, `max_units`.
    family
        (B, M) int64 family of each part, for the loss over a whole batch.

    Raises
    ------
    ValueError
        If there is no such loss.
    """
    if settings.timbre_loss == BATCH_LOSS and family is not None:
        return batch_info_nce(note_points(embedding, notes, label), settings.timbre_temperature, family)
    if settings.timbre_loss not in TIMBRE_LOSSES:
        names = ", ".join([*TIMBRE_LOSSES, BATCH_LOSS])
        raise ValueError(f"There is no timbre loss '{settings.timbre_loss}'; choose one of {names}.")
    loss, units = TIMBRE_LOSSES[settings.timbre_loss]
    if units:
        return loss(unit_points(embedding, notes, label, settings.max_units), settings.timbre_temperature)
    return loss(note_points(embedding, notes, label), settings.timbre_temperature)
