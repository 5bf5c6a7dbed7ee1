"""Sliders of the decoding, with the histogram of what they act on."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from traitlets import Bytes, Dict, Float, Int

from amtsep.config import CleanUp, Decoding
from amtsep.posteriors import Posteriors
from widgets.panels.panel import Panel
from widgets.state.presets import PRESETS, automatic
from widgets.state.session import Session

BINS = 50
OWN = ["onset_threshold", "frame_threshold", "min_note_length"]
"""What is a trait of the widget, too."""


TIDY = "tidy_"
"""Before the names of the clean-up's settings in `Thresholds.values`."""


def _tidy(settings: CleanUp) -> dict[str, Any]:
    return {TIDY + name: value for name, value in asdict(settings).items()}


def histogram(heights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Counts in `BINS` bins over [0, 1], float32."""
    return np.histogram(heights, BINS, (0.0, 1.0))[0].astype(np.float32)


class Thresholds(Panel):
    """Onset threshold, frame threshold, minimum note length and the finer settings of the decoding.

    The three have a trait each, which can be observed, linked and set from Python.
    """

    onset_threshold = Float(Decoding.onset_threshold)
    frame_threshold = Float(Decoding.frame_threshold)
    min_note_length = Float(Decoding.min_note_length)
    values = Dict().tag(sync=True)
    defaults = Dict().tag(sync=True)
    presets = Dict().tag(sync=True)
    onset_histogram = Bytes(b"").tag(sync=True)
    frame_histogram = Bytes(b"").tag(sync=True)
    network = Dict().tag(sync=True)
    """Name of the network, and of all that are installed; or what the notes were ``brought`` in or by: a file, or a
    network that is not here."""
    resting = Dict().tag(sync=True)
    """Who has written the notes, where thresholds do not act on them: ``by``, and whether that is a ``network``."""
    count = Int(0).tag(sync=True)
    missed = Int(0).tag(sync=True)
    """How many of the notes were found without a start (see `Decoding.leftover_notes`)."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="thresholds", **kwargs)
        self.defaults = asdict(Decoding()) | _tidy(CleanUp())
        self.presets = {name: asdict(decoding) for name, decoding in PRESETS.items()}
        self.follow(self._on_state, "state")
        self.follow(self._on_posteriors, "posteriors")
        self.follow(self._on_notes, "notes")
        self.follow(self._on_model, ["model", "written", "absent"])
        self._on_state()
        self._on_posteriors()
        self._on_notes()
        self._on_model()
        self.observe(self._on_own, OWN)

    def _on_own(self, change: Any) -> None:
        """A threshold set from Python."""
        if change["new"] != getattr(self.session.state.decoding, change["name"]):
            self.session.set_decoding(**{change["name"]: change["new"]})

    def _on_state(self, _change: Any = None) -> None:
        before = self.values.get("inferred_onsets")
        state = self.session.state
        self.values = asdict(state.decoding) | _tidy(state.clean_up)
        for name in OWN:
            setattr(self, name, self.values[name])
        if before is not None and before != self.values["inferred_onsets"]:
            self._on_posteriors()

    def _on_notes(self, _change: Any = None) -> None:
        session = self.session
        self.count = len(session.notes)
        by_hand = session.hand_ids > 0 if len(session.hand_ids) == self.count else np.zeros(self.count, bool)
        unsure = session.notes.confidence < session.state.decoding.onset_threshold
        decoded = session.posteriors is not None and session.written is None
        self.missed = int(np.count_nonzero(unsure & ~by_hand)) if decoded else 0

    def _on_posteriors(self, _change: Any = None) -> None:
        posteriors: Posteriors | None = self.session.posteriors
        if posteriors is None:
            self.onset_histogram = self.frame_histogram = b""
            return
        self.onset_histogram = histogram(self.session.onset_heights()).tobytes()
        self.frame_histogram = histogram(posteriors.frame.reshape(-1)).tobytes()

    def _on_model(self, _change: Any = None) -> None:
        session = self.session
        names, came = session.networks, session.written
        brought = (session.absent if came is None else came.by) if session.brought else ""
        self.resting = {} if came is None else {"by": came.by, "network": came.network}
        self.network = {
            "name": "" if brought else names[session.model], "models": list(names.values()), "writers": session.writers,
            "brought": brought,
        }  # fmt: skip

    def do_model(self, message: dict[str, Any], _buffers: Any) -> None:
        """Listen with another network."""
        name = str(message["value"])
        for model, called in self.session.networks.items():
            if called == name:
                self.session.use(model)
                break

    def do_auto(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Pick thresholds from this recording's posteriors."""
        session = self.session
        if session.posteriors is not None:
            session.set(decoding=automatic(session.onset_heights(), session.state.decoding))

    def do_set(self, message: dict[str, Any], _buffers: Any) -> None:
        """A step of a slider; the answer lets the browser send the next one."""
        try:
            state = self.session.state
            given = {k: type(self.defaults[k])(v) for k, v in dict(message["values"]).items() if k in self.defaults}
            tidy = {k.removeprefix(TIDY): v for k, v in given.items() if k.startswith(TIDY)}
            decoding = replace(state.decoding, **{k: v for k, v in given.items() if not k.startswith(TIDY)})
            clean_up = replace(state.clean_up, **tidy)
            self.session.set(lasting=bool(message.get("lasting", True)), decoding=decoding, clean_up=clean_up)
        finally:
            self.send({"do": "done", "turn": message.get("turn")})
