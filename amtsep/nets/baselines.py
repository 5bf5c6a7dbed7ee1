"""A baseline to train on the same data as ours: so that architecture and data can be told apart.

`BasicPitchNet` is the architecture of Bittner et al., "A Lightweight Instrument-Agnostic Model for Polyphonic Note
Transcription and Multipitch Estimation", ICASSP 2022 (note and onset heads, batch-normalised log CQT, a stack of
harmonics, 39-bin kernels), as it is released: the note branch starts from the harmonic stack itself.

It takes log-CQT features (B, 1, n_bins, T): 36 bins an octave, bin 0 = A0. Deviations from the paper: kernels have no
unit-norm constraint, and strides are centred on our CQT, whose every third bin is a semitone's centre.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import N_PITCHES, FrontEnd, Network
from amtsep.nets.cqt import CQT, LogPower
from amtsep.nets.layers import Heard

HARMONICS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
BINS_A_SEMITONE = 3


class BasicPitchOutput(NamedTuple):
    """Logits: `frame` and `onset` (B, 88, T), `contour` (B, 264, T), three bins a semitone."""

    frame: Tensor
    onset: Tensor
    contour: Tensor


class BasicPitchNet(nn.Module):
    """Basic Pitch's layers on features of ours: 16,782 parameters, as published.

    Parameters
    ----------
    channels_in
        1 for the log CQT, which is stacked here; another number for features that are stacked already.
    filters
        Of the note and the onset branch.
    bins_per_octave
        Of the features.
    """

    def __init__(
        self, channels_in: int = 1, filters: int = 32, bins_per_octave: int = FrontEnd.bins_per_octave
    ) -> None:
        super().__init__()
        if bins_per_octave != 12 * BINS_A_SEMITONE:
            raise ValueError("The Basic Pitch baseline needs 36 bins an octave.")
        self.stacked = channels_in != 1
        self.shifts = tuple(round(bins_per_octave * float(np.log2(h))) for h in HARMONICS)
        width = channels_in if self.stacked else len(HARMONICS)
        self.normalise = nn.BatchNorm2d(channels_in)
        # Kernels are (frequency, time): 39 bins = 13 semitones, a little over an octave.
        self.contour_wide = nn.Conv2d(width, 8, (39, 3), padding="same")
        self.contour_norm = nn.BatchNorm2d(8)
        self.contour_out = nn.Conv2d(8, 1, 5, padding="same")
        self.note_in = nn.Conv2d(1, filters, 7, stride=(3, 1))
        self.note_out = nn.Conv2d(filters, 1, (3, 7), padding="same")
        self.onset_in = nn.Conv2d(width, filters, 5, stride=(3, 1))
        self.onset_norm = nn.BatchNorm2d(filters)
        self.onset_out = nn.Conv2d(filters + 1, 1, 3, padding="same")
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, n_bins, T) → frame and onset logits, each (B, 88, T)."""
        output = self.outputs(features)
        return output.frame, output.onset

    def outputs(self, features: Tensor) -> BasicPitchOutput:
        """All three heads; the contour has no labels of its own here: supervise it with frames at the middle bins."""
        x = self.normalise(features)
        if not self.stacked:
            x = stack_harmonics(x, self.shifts, N_PITCHES * BINS_A_SEMITONE)
        else:
            x = x[:, :, : N_PITCHES * BINS_A_SEMITONE]
        contour = self.contour_out(functional.relu(self.contour_norm(self.contour_wide(x))))
        note = self.note_out(functional.relu(self.note_in(functional.pad(torch.sigmoid(contour), (3, 3, 3, 1)))))
        onset = functional.relu(self.onset_norm(self.onset_in(functional.pad(x, (2, 2, 2, 0)))))
        onset = self.onset_out(torch.cat([torch.sigmoid(note), onset], dim=1))
        return BasicPitchOutput(note[:, 0], onset[:, 0], contour[:, 0])


class BasicPitchTranscriber(nn.Module):
    """`BasicPitchNet` with the inputs and outputs of `amtsep.nets.model.TranscriberNet`, for the same training.

    The contour head is not supervised: the note head learns through it. Biases of the outputs start where ours do.

    Parameters
    ----------
    network, front_end
        Kept for the checkpoint.
    """

    timbre = None
    cqt: CQT | None = None

    def __init__(self, network: Network, front_end: FrontEnd = FrontEnd()) -> None:  # noqa: B008 - frozen
        super().__init__()
        self.network, self.front_end = network, front_end
        # The batch normalisation that follows has an affine of its own.
        self.log_power = LogPower(front_end.log_floor).requires_grad_(False)
        self.layers = BasicPitchNet(bins_per_octave=front_end.bins_per_octave)
        for out, prior in ((self.layers.note_out, 0.05), (self.layers.onset_out, 0.01)):
            nn.init.constant_(out.bias, math.log(prior / (1 - prior)))  # type: ignore[arg-type]

    def forward(self, power: Tensor, phase: Tensor | None = None) -> Heard:
        """(B, n_bins, T) power to onset and frame logits, each (B, 88, T); `phase` is not looked at."""
        frame, onset = self.layers(self.log_power(power)[:, None])
        return Heard(onset, frame)

    @property
    def halo(self) -> int:
        """Frames of context at either end: contour 1 + 2, note 3 + 3, onset 1."""
        return 10


def stack_harmonics(x: Tensor, shifts: tuple[int, ...], n_out: int) -> Tensor:
    """(B, C, n_bins, T) → (B, C · len(shifts), n_out, T): bin k of shift s holds input bin k + s, zero outside."""
    below = max(0, -min(shifts))
    above = max(0, n_out + max(shifts) - x.shape[2])
    padded = functional.pad(x, (0, 0, below, above))
    return torch.cat([padded[:, :, below + s : below + s + n_out] for s in shifts], dim=1)
