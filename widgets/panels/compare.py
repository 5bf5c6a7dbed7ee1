"""Against a reference: which notes are hits, misses and extras, live with the sliders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Bytes, Dict

from amtsep.notes import Notes
from widgets.panels.panel import Panel
from widgets.places import DEMOS
from widgets.state.session import Session

ONSET_TOLERANCE_S = 0.05
OFFSET_RATIO, OFFSET_MIN_S = 0.2, 0.05
HEAT_STEPS = 13


def hits(
    reference: Notes, estimate: Notes, *, offsets: bool = False, tracks: bool = False
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which notes of the reference are found, and which of the estimate are right.

    Equal pitch, onsets within 50 ms; with `offsets` also offsets within 50 ms or 20 % of the reference's length. Taken
    in order of time, which for onsets alone gives as many pairs as any matching could.
    """
    found, right = np.zeros(len(reference), bool), np.zeros(len(estimate), bool)
    for pitch in np.intersect1d(reference.pitch, estimate.pitch):
        a, b = np.flatnonzero(reference.pitch == pitch), np.flatnonzero(estimate.pitch == pitch)
        i = j = 0
        while i < len(a) and j < len(b):
            gap = estimate.onset[b[j]] - reference.onset[a[i]]
            if gap > ONSET_TOLERANCE_S:
                i += 1
            elif gap < -ONSET_TOLERANCE_S:
                j += 1
            else:
                room = max(OFFSET_MIN_S, OFFSET_RATIO * (reference.offset[a[i]] - reference.onset[a[i]]))
                ends = abs(estimate.offset[b[j]] - reference.offset[a[i]]) <= room
                if not offsets or ends:
                    found[a[i]] = right[b[j]] = True
                i, j = i + 1, j + 1
    return found, right


def score(hit: float, expected: float, claimed: float) -> dict[str, float]:
    """Precision, recall and F1."""
    precision = hit / claimed if claimed else float(expected == 0)
    recall = hit / expected if expected else float(claimed == 0)
    total = precision + recall
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / total if total else 0.0}


def frame_score(reference: Notes, estimate: Notes, hop_s: float) -> dict[str, float]:
    """Precision, recall and F1 over the cells of the piano roll."""
    frames = int(np.ceil(max(reference.end, estimate.end) / hop_s)) + 1
    a, b = _roll(reference, hop_s, frames), _roll(estimate, hop_s, frames)
    return score(float((a & b).sum()), float(a.sum()), float(b.sum()))


def _roll(notes: Notes, hop_s: float, frames: int) -> NDArray[np.bool_]:
    steps = np.zeros((128, frames + 1), np.int32)
    first = np.round(notes.onset / hop_s).astype(np.intp)
    last = np.maximum(first + 1, np.round(notes.offset / hop_s).astype(np.intp))
    np.add.at(steps, (notes.pitch, np.minimum(first, frames)), 1)
    np.add.at(steps, (notes.pitch, np.minimum(last, frames)), -1)
    return np.cumsum(steps, axis=1)[:, :frames] > 0


def separated_score(reference: Notes, estimate: Notes) -> dict[str, float] | None:
    """Onset score with tracks: the best assignment of tracks to parts; ``None`` where the reference has one part."""
    parts, tracks = np.unique(reference.track), np.unique(estimate.track)
    if len(parts) < 2:
        return None
    from scipy.optimize import linear_sum_assignment

    counts = np.array(
        [
            [
                int(hits(reference.select(reference.track == p), estimate.select(estimate.track == t))[0].sum())
                for t in tracks
            ]
            for p in parts
        ]
    ).reshape(len(parts), len(tracks))
    rows, columns = linear_sum_assignment(-counts)
    return score(float(counts[rows, columns].sum()), len(reference), len(estimate))


class Compare(Panel):
    """Precision, recall and F1 against a reference MIDI, and the F1 of other thresholds."""

    scores = Dict().tag(sync=True)
    verdict = Bytes(b"").tag(sync=True)
    """A byte a note of the estimate (1 = right), then a byte a note of the reference (1 = missed)."""
    heat = Dict().tag(sync=True)
    truth = Bool(False).tag(sync=True)
    """Whether the open recording is a bundled clip, whose true notes are at hand."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="compare", **kwargs)
        self.session.observe(self._update, ["notes", "reference"])
        self.session.observe(self._look_for_truth, "audio")
        self.session.observe(self._clear_heat, ["reference", "posteriors"])
        self._update()

    def _truth_file(self) -> Path | None:
        name = Path(getattr(self.session.audio, "name", "") or "none")
        path = DEMOS / f"{name.stem}.mid"
        return path if name.suffix == ".ogg" and path.is_file() else None

    def _look_for_truth(self, _change: Any = None) -> None:
        self.truth = self._truth_file() is not None

    def do_truth(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Compare with the true notes of the bundled clip."""
        path = self._truth_file()
        if path is not None:
            self.session.set_reference(Notes.from_midi(path), path.name)

    def _clear_heat(self, _change: Any = None) -> None:
        self.heat = {}

    def _update(self, _change: Any = None) -> None:
        reference, notes = self.session.reference, self.session.notes
        if reference is None:
            self.scores, self.verdict = {}, b""
            return
        found, right = hits(reference, notes)
        ended, _ = hits(reference, notes, offsets=True)
        n, m = len(reference), len(notes)
        hop_s = self.session.posteriors.hop_s if self.session.posteriors is not None else 256 / 22050
        with self.hold_sync():
            self.scores = {
                "name": self.session.reference_name,
                "onset": score(float(found.sum()), n, m),
                "offset": score(float(ended.sum()), n, m),
                "frame": frame_score(reference, notes, hop_s),
                "separated": separated_score(reference, notes),
                "hits": int(found.sum()),
                "misses": int((~found).sum()),
                "extras": int((~right).sum()),
            }
            self.verdict = right.astype(np.uint8).tobytes() + (~found).astype(np.uint8).tobytes()

    def do_clear(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Take the reference away."""
        self.session.set_reference(None)

    def do_heat(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Onset F1 over a grid of onset and frame thresholds."""
        session = self.session
        if session.reference is None or session.posteriors is None:
            return
        grid = np.round(np.linspace(0.1, 0.9, HEAT_STEPS), 3)
        table = []
        for frame in grid:
            row = []
            for onset in grid:
                notes = session.decode(onset_threshold=float(onset), frame_threshold=float(frame))
                found, _ = hits(session.reference, notes)
                row.append(score(float(found.sum()), len(session.reference), len(notes))["f1"])
            table.append(row)
        self.heat = {"grid": grid.tolist(), "f1": table}
