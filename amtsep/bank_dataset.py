"""A bank's development mixes as a data set: ``amtsep evaluate --dataset bank --root BANK``.

It stands outside the rooms because evaluation knows nothing of synthesis; `amtsep.plugins.load` brings it in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.config import FrontEnd, Mixing
from amtsep.evaluation.readers import DATASETS, Dataset, Recording
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.mixing import Mixer, clip_notes

COUNT = 60
SEED = 12
"""Another one than the calibration's: what thresholds were found on is not what they are judged by."""
MIXING = Mixing(clip_s=9.0, augment=False, part_gain_db=3.0)


@dataclass(frozen=True, eq=False)
class BankMix(Recording):
    """A mix that is drawn when it is asked for."""

    root: Path = Path()
    index: int = 0

    def audio(self) -> NDArray[np.float32]:
        """(n,) float32 at 22,050 Hz."""
        return (_mixer(self.root).clip(self.index).audio * np.float32(0.1)).astype(np.float32)

    def content_hash(self) -> str:
        """Of the samples: two banks, or a bank made anew, are not taken for each other."""
        return hashlib.sha256(self.audio().tobytes()).hexdigest()


@lru_cache(maxsize=2)
def _mixer(root: Path) -> Mixer:
    return Mixer(Bank.open(root), MIXING, FrontEnd(), SEED, split="dev")


def bank_mixes(root: str | Path, _hint: str) -> list[Recording]:
    """The first `COUNT` mixes of a bank's development split, with their notes, a track a part."""
    folder = Path(root)
    mixer = _mixer(folder)
    found: list[Recording] = []
    for index in range(COUNT):
        notes = clip_notes(mixer.clip(index), MIXING.clip_s, parts=True)
        found.append(BankMix(f"mix {index:02d}", "bank", (), notes, split="dev", root=folder, index=index))
    return found


DATASETS["bank"] = Dataset(
    "a bank's development mixes", "made by 'amtsep synthesize'; give the bank's folder", whole=bank_mixes
)
