"""Against a reference, or what another network finds: which notes are in both, and which in one, as sliders move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Bytes, Dict

from amtsep.config import FrontEnd
from amtsep.evaluation.metrics import Score, frame_score, match, onset_f1
from amtsep.evaluation.separation import separated_onset
from amtsep.notes import Notes
from widgets.panels.panel import Panel
from widgets.places import DEMOS
from widgets.state.session import Session
from widgets.state.written import pitched

HEAT_STEPS = 13


def hits(reference: Notes, estimate: Notes, *, offsets: bool = False) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which notes of the reference are found, and which of the estimate are right, as `amtsep evaluate` counts them."""
    found, right = np.zeros(len(reference), bool), np.zeros(len(estimate), bool)
    pairs = match(reference, estimate, offsets=offsets)
    found[pairs[:, 0]] = right[pairs[:, 1]] = True
    return found, right


def figures_of(reference: Notes, estimate: Notes, hop_s: float) -> dict[str, Any]:
    """The figures that the panel shows; every note counts as it is shown, so unisons of two parts are not fused."""
    n, m = len(reference), len(estimate)
    matched, ended = len(match(reference, estimate)), len(match(reference, estimate, offsets=True))
    parts = len(np.unique(reference.track))
    return {
        "onset": vars(Score.of(matched, n, m)),
        "offset": vars(Score.of(ended, n, m)),
        "frame": vars(frame_score(reference, estimate, hop_s)[0]),
        "separated": vars(separated_onset(reference, estimate)) if parts > 1 else None,
        "hits": matched,
        "misses": n - matched,
        "extras": m - matched,
    }


class Compare(Panel):
    """Precision, recall and F1 against a reference MIDI or a second network, and the F1 of other thresholds."""

    scores = Dict().tag(sync=True)
    verdict = Bytes(b"").tag(sync=True)
    """A byte a note of the estimate (1 = right), then a byte a note of the reference (1 = missed)."""
    heat = Dict().tag(sync=True)
    truth = Bool(False).tag(sync=True)
    """Whether the open recording is a bundled clip, whose true notes are at hand."""
    about = Dict().tag(sync=True)
    """Names of the ``networks`` that can be laid under the notes, and of those that are ``writers``; whether a
    recording is there ("open"), and whether its notes were "written", so that no thresholds can be tried."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="compare", **kwargs)
        self.follow(self._update, ["notes", "reference"])
        self.follow(self._on_settings, "state")
        self.follow(self._look_for_truth, "audio")
        self.follow(self._clear_heat, ["reference", "posteriors", "written"])
        self.follow(self._about, ["audio", "model", "written", "absent"])
        self._update()
        self._about()

    def _about(self, _change: Any = None) -> None:
        session = self.session
        others = [name for model, name in session.networks.items() if session.brought or model != session.model]
        self.about = {
            "networks": others if session.audio is not None else [],
            "writers": session.writers,
            "open": session.audio is not None,
            "written": session.written is not None,
        }

    def do_network(self, message: dict[str, Any], _buffers: Any) -> None:
        """Lay what another network finds under the notes."""
        for model, name in self.session.networks.items():
            if name == str(message["value"]):
                self.session.compare_with(model)
                break

    def do_take(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Work on the notes of the reference."""
        session = self.session
        if session.reference is not None and not session.reference_heard:
            session.take(session.reference, session.reference_name)

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
        if self.session.reference is None:
            self.scores, self.verdict = {}, b""
            return
        reference, notes = pitched(self.session.reference), self.session.notes
        found, right = hits(reference, notes)
        hop_s = self.session.posteriors.hop_s if self.session.posteriors is not None else FrontEnd().hop_s
        with self.hold_sync():
            self.scores = self._named() | figures_of(reference, notes, hop_s)
            self.verdict = right.astype(np.uint8).tobytes() + (~found).astype(np.uint8).tobytes()

    def _named(self) -> dict[str, Any]:
        """What the figures are against; ``behind`` what another network finds with the settings of now."""
        session = self.session
        behind = session.reference_behind
        return {"name": session.reference_name, "heard": session.reference_heard, "behind": behind}

    def _on_settings(self, _change: Any = None) -> None:
        """A setting may change and the notes stay."""
        if self.scores and self.scores["behind"] != self.session.reference_behind:
            self.scores = self.scores | self._named()

    def do_clear(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Take the reference away."""
        self.session.set_reference(None)

    def do_heat(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Onset F1 over a grid of onset and frame thresholds, in a thread."""
        session = self.session
        reference, posteriors, decode = session.reference, session.posteriors, session.decode_others()
        if reference is None or posteriors is None or session.written is not None or self.heat.get("working"):
            return
        true = pitched(reference)
        grid = np.round(np.linspace(0.1, 0.9, HEAT_STEPS), 3)

        def work() -> list[list[float]]:
            return [
                [onset_f1(true, decode(onset_threshold=float(x), frame_threshold=float(y))) for x in grid] for y in grid
            ]

        def show(table: list[list[float]]) -> None:
            if session.reference is reference and session.posteriors is posteriors:
                self.heat = {"grid": grid.tolist(), "f1": table}

        self.heat = {"working": True}
        session.aside(work, show, self._clear_heat)
