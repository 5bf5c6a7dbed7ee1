"""A network's word on a piano whose pedal is down: it hears the keys come up, and the sounds end together."""

from __future__ import annotations

import numpy as np

from amtsep.posteriors import Posteriors

HOP = 0.01


def posteriors(phrases: int = 3) -> Posteriors:
    """Phrases of two seconds: four notes half a second apart, let go at once, which sound until the pedal comes up."""
    onset, frame, offset = np.zeros((3, 88, 200 * phrases + 50), np.float32)
    for phrase in range(phrases):
        for k, row in enumerate((30, 35, 39, 44)):
            first = 200 * phrase + 40 * k + 10
            onset[row, first] = 0.9
            frame[row, first : 200 * phrase + 195] = 0.8
            offset[row, first + 14 : first + 17] = 0.3, 0.8, 0.3
    level = np.full((306, frame.shape[1]), 100, np.uint8)
    return Posteriors(onset, frame, level, HOP, HOP * frame.shape[1], offset=offset)
