"""Drum strokes against a reference: onset F1 of every class, 50 ms either side (Vogl et al. 2017).

MDB Drums (Southall et al. 2017) is read from its folder: a recording, and beside it ``NAME.class.txt`` with a time in
seconds and one of KD, SD, HH, TT, CY, OT a line; OT (tambourines, sidesticks and the like) is none of our classes and
is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mir_eval import util
from numpy.typing import NDArray

from amtsep.drums import CLASSES
from amtsep.errors import DataError

TOLERANCE_S = 0.05
_MDB = {"KD": 0, "SD": 1, "HH": 2, "TT": 3, "CY": 4}


@dataclass(frozen=True, eq=False)
class DrumRecording:
    """A recording and its strokes, (n, 2): time in seconds and class."""

    audio: Path
    strokes: NDArray[np.float64]


def read_mdb_drums(root: Path) -> list[DrumRecording]:
    """The recordings of a folder of MDB Drums.

    Raises
    ------
    DataError
        If there are none.
    """
    found = []
    for path in sorted(root.glob("*.class.txt")):
        stem = path.name.removesuffix(".class.txt")
        audio = next((p for ext in ("ogg", "wav", "flac") if (p := root / f"{stem}.{ext}").is_file()), None)
        if audio is None:
            continue
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        strokes = [(float(time), _MDB[name]) for time, name in rows if name in _MDB]
        found.append(DrumRecording(audio, np.array(strokes, np.float64).reshape(-1, 2)))
    if not found:
        raise DataError(f"{root} holds no recordings of MDB Drums: give the folder with its .class.txt files.")
    return found


def stroke_counts(
    reference: NDArray[np.float64], estimate: NDArray[np.float64], tolerance_s: float = TOLERANCE_S
) -> NDArray[np.float64]:
    """Hits, strokes in the reference and strokes found, (5, 3), a row a class; strokes are (n, 2) times and classes."""
    counts = np.zeros((len(CLASSES), 3))
    for kind in range(len(CLASSES)):
        truth = np.sort(reference[reference[:, 1] == kind, 0])
        found = np.sort(estimate[estimate[:, 1] == kind, 0])
        hits = len(util.match_events(truth, found, tolerance_s)) if len(truth) and len(found) else 0
        counts[kind] = hits, len(truth), len(found)
    return counts


def f1_of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of every class, (5,); 1 where there was nothing to find and nothing was found."""
    total = counts[:, 1] + counts[:, 2]
    return np.where(total > 0, 2.0 * counts[:, 0] / np.maximum(total, 1.0), 1.0)
