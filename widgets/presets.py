"""Thresholds to begin with, and thresholds picked for a recording from its own posteriors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Decoding

DEFAULT = Decoding()
PRESETS: dict[str, Decoding] = {
    "balanced": DEFAULT,
    "clean": replace(DEFAULT, onset_threshold=0.65, frame_threshold=0.4, min_note_length=0.1, leftover_notes=False),
    "everything": replace(DEFAULT, onset_threshold=0.25, frame_threshold=0.2, min_note_length=0.04),
    "plucked": replace(DEFAULT, onset_threshold=0.45, frame_threshold=0.25, leftover_notes=False, energy_tolerance=8),
    "sung_bowed": replace(DEFAULT, onset_threshold=0.4, frame_threshold=0.3, min_note_length=0.12, energy_tolerance=16),
}


def valley(heights: NDArray[np.float32], low: float = 0.2, high: float = 0.8) -> float:
    """The threshold between noise and notes: Otsu's split of the peaks' heights, on a logit scale.

    Peaks of a network that is sure of itself pile up near 0 and 1; the split that leaves the least variance within the
    two piles (Otsu 1979) lies in the valley between them, wherever this recording has it.
    """
    values = heights[(heights > 0.05) & (heights < 0.999)].astype(np.float64)
    if len(values) < 8:
        return DEFAULT.onset_threshold
    logit = np.sort(np.log(values / (1.0 - values)))
    n = len(logit)
    left = np.arange(1, n)
    sums = np.cumsum(logit)
    mean_left = sums[:-1] / left
    mean_right = (sums[-1] - sums[:-1]) / (n - left)
    between = left * (n - left) * (mean_left - mean_right) ** 2
    cut = int(np.argmax(between))
    middle = 0.5 * (logit[cut] + logit[cut + 1])
    return float(np.clip(1.0 / (1.0 + np.exp(-middle)), low, high))


def automatic(onset_heights: NDArray[np.float32], decoding: Decoding) -> Decoding:
    """`decoding` with the onset threshold in the valley of this recording, the frame threshold in proportion."""
    onset = round(valley(onset_heights), 2)
    ratio = DEFAULT.frame_threshold / DEFAULT.onset_threshold
    return replace(decoding, onset_threshold=onset, frame_threshold=round(float(np.clip(onset * ratio, 0.15, 0.5)), 2))
