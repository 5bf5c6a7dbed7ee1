"""The experiment of lesson 5, run once for all: ``python -m widgets.lessons.alpha`` writes ``alpha.json`` beside it.

Every pair of a frame and an onset weight trains the same small network on the same small set from the same start; what
it has learned is measured on clips of other scores and timbres.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from amtsep.config import FrontEnd
from widgets.lessons.small import SmallSet, SmallTraining, onset_ms, small_set, tail_ms

FRAME_ALPHAS = (0.8, 0.2, 0.25)
ONSET_ALPHAS = (0.95, 0.94, 0.10, 0.06)
STEPS = (20, 80)
FILE = Path(__file__).with_name("alpha.json")


def measure(training: SmallTraining, clips: SmallSet) -> dict[str, float]:
    """What a training has learned: ``tail_ms`` and ``onset_ms`` (see `widgets.lessons.small`), means over clips."""
    hop_s, rows = FrontEnd().hop_s, []
    for power, notes in zip(clips.power, clips.notes):
        onset, frame = training.hear(power)
        rows.append((tail_ms(frame, notes, hop_s), onset_ms(onset, notes, hop_s)))
    tail, width = np.mean(rows, axis=0)
    return {"tail_ms": round(float(tail), 1), "onset_ms": round(float(width), 1)}


def run() -> list[dict[str, Any]]:
    """All pairs, at the end of few and of many steps."""
    train, test = small_set(), small_set(seed=7)
    rows: list[dict[str, Any]] = []
    for frame_alpha in FRAME_ALPHAS:
        for onset_alpha in ONSET_ALPHAS:
            training = SmallTraining(train, frame_alpha, onset_alpha)
            for steps in STEPS:
                while training.steps < steps:
                    training.step()
                found = measure(training, test)
                rows.append({"frame_alpha": frame_alpha, "onset_alpha": onset_alpha, "steps": steps, **found})
                print(rows[-1], flush=True)
    return rows


def load() -> list[dict[str, Any]]:
    """The rows that `run` gave."""
    rows: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return rows


if __name__ == "__main__":
    FILE.write_text(json.dumps(run(), indent=0) + "\n", encoding="utf-8")
