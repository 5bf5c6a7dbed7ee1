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
    "plucked": replace(
        DEFAULT, onset_threshold=0.45, frame_threshold=0.25, energy_tolerance=0.09, leftover_notes=False
    ),
    "sung_bowed": replace(
        DEFAULT, onset_threshold=0.4, frame_threshold=0.3, min_note_length=0.12, energy_tolerance=0.19
    ),
}


DISCOUNT = 1.5
"""Logits taken off a peak's height before it is read as the chance of a true note."""
FAITH = 0.5
"""How far the threshold of a recording moves from the default to the one its own peaks ask for."""


def best_expected(heights: NDArray[np.float32], low: float = 0.3, high: float = 0.7) -> float:
    """The onset threshold that promises the highest F1 on these peaks.

    Read as chances p, the notes over a threshold are expected to hold the sum of their p true ones, and the recording
    the sum of all p: the expected F1 is twice the first over the count of notes plus the second (Lewis 1995).

    Parameters
    ----------
    heights
        Of all candidate onsets of a recording, in [0, 1].
    low, high
        The threshold stays between.
    """
    values = np.sort(heights[heights > 0.05].astype(np.float64))[::-1]
    if len(values) < 8:
        return DEFAULT.onset_threshold
    odds = values / (1.0 - values + 1e-6) * np.exp(-DISCOUNT)
    chance = odds / (1.0 + odds)
    found = np.cumsum(chance)
    expected = 2.0 * found / (np.arange(1, len(values) + 1) + found[-1])
    return float(np.clip(values[int(np.argmax(expected))], low, high))


def automatic(onset_heights: NDArray[np.float32], decoding: Decoding) -> Decoding:
    """`decoding` with the onset threshold moved towards the one that this recording's own peaks ask for.

    Mean onset F1 with `base` (default, this rule, best of a grid for each recording): Bach10 .867, .870, .880;
    GuitarSet .827, .827, .833; MAPS .751, .750, .755; Slakh stems .734, .734, .750. There is little to win: the
    calibrated default is close to the best threshold of every recording. The frame threshold had better stay.
    """
    wanted = best_expected(onset_heights)
    onset = DEFAULT.onset_threshold + FAITH * (wanted - DEFAULT.onset_threshold)
    return replace(decoding, onset_threshold=round(onset, 2), frame_threshold=DEFAULT.frame_threshold)
