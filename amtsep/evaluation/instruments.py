"""Metrics of transcriptions that name instruments: multi-instrument F1, drums, and instrument leakage.

*Multi-instrument F1* (Gardner et al. 2022, MT3, section 4.2): a note counts as found if onset (50 ms), pitch and
program match, and for a note that is no stroke its offset too (the larger of 50 ms and 20 % of its length); strokes
match by onset and key alone. `Granularity` says when two programs are one: in full, by General MIDI's 16 classes, or
not at all ("flat": drums or not), as MT3 reports it.

*Leakage* (Tan et al. 2024, MR-MT3): the number of instruments in the transcription over that in the truth, 1 where both
are as many; above 1 parts leak into instruments that do not play.

Matching is mir_eval's, as in `amtsep.evaluation.metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from amtsep.evaluation.metrics import Score, match
from amtsep.notes import Notes, Track

Granularity = Literal["full", "class", "flat"]
CLASS_SIZE = 8
"""Programs of one class in General MIDI (pianos, chromatic percussion, organs, ...)."""
DRUMS = -1


@dataclass(frozen=True)
class Instruments:
    """Figures of one recording."""

    multi: Score
    """Notes with their offsets and programs, and strokes."""
    multi_class: Score
    """The same by General MIDI's classes."""
    drums: Score | None
    """Strokes alone; ``None`` where there are none in truth or transcription."""
    leakage: float
    """Instruments in the transcription over those in the truth, drums not counted; nan where there are none in it."""

    def figures(self) -> dict[str, float]:
        """The figures under flat names, for tables and averages."""
        flat = {
            "multi_f1": self.multi.f1,
            "multi_precision": self.multi.precision,
            "multi_recall": self.multi.recall,
            "multi_class_f1": self.multi_class.f1,
            "leakage": self.leakage,
        }
        if self.drums is not None:
            flat["drum_f1"] = self.drums.f1
        return flat


def evaluate_instruments(reference: Notes, estimate: Notes) -> Instruments:
    """Score a transcription whose tracks have programs.

    Examples
    --------
    >>> from amtsep.notes import Notes, Track
    >>> truth = Notes.build([0.0], [1.0], [60], tracks=[Track("Violin", 40)])
    >>> wrong = Notes.build([0.0], [1.0], [60], tracks=[Track("Cello", 42)])
    >>> figures = evaluate_instruments(truth, wrong)
    >>> figures.multi.f1, figures.multi_class.f1, figures.leakage
    (0.0, 1.0, 1.0)
    """
    strokes = _strokes(reference), _strokes(estimate)
    hits = len(match(*strokes))
    played = _programs(reference), _programs(estimate)
    return Instruments(
        multi=multi_instrument(reference, estimate, "full"),
        multi_class=multi_instrument(reference, estimate, "class"),
        drums=Score.of(hits, *map(len, strokes)) if any(map(len, strokes)) else None,
        leakage=len(played[1]) / len(played[0]) if played[0] else float("nan"),
    )


def multi_instrument(reference: Notes, estimate: Notes, granularity: Granularity = "full") -> Score:
    """Notes matched by onset, offset, pitch and instrument, strokes by onset and key; see the module."""
    ref, est = _instruments(reference, granularity), _instruments(estimate, granularity)
    hits = 0
    for instrument in sorted(set(ref.tolist()) & set(est.tolist())):
        own = reference.select(ref == instrument), estimate.select(est == instrument)
        hits += len(match(*own, offsets=instrument != DRUMS))
    return Score.of(hits, len(reference), len(estimate))


def _instrument(track: Track, granularity: Granularity) -> int:
    if track.drums:
        return DRUMS
    return {"full": track.program, "class": track.program // CLASS_SIZE, "flat": 0}[granularity]


def _instruments(notes: Notes, granularity: Granularity) -> NDArray[np.int64]:
    return np.array([_instrument(track, granularity) for track in notes.tracks], np.int64)[notes.track]


def _strokes(notes: Notes) -> Notes:
    return notes.select(_instruments(notes, "flat") == DRUMS)


def _programs(notes: Notes) -> set[int]:
    return set(_instruments(notes, "full").tolist()) - {DRUMS}
