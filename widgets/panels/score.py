"""The score: engraved in the browser by Verovio from MusicXML that is made here."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from typing import Any

import numpy as np
from traitlets import Bool, Dict

from amtsep import formats
from amtsep.config import RECOMMENDED_CLEAN_UP, CleanUp
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.cleanup import clean
from widgets.panels.export import stem
from widgets.panels.panel import Panel
from widgets.places import STATIC
from widgets.state.session import Session

ENGINE = STATIC / "verovio.js.gz"
REST_S = 0.3
"""Seconds without a change after which the score is made anew: no slider waits for it."""


class Score(Panel):
    """Bars, staves and a page that follows the playhead; half and double tempo, metre and downbeat to set."""

    beats = Dict().tag(sync=True)
    """What is shown of the beats: tempo, metre, key, how sure they are, and the times of bar lines."""
    transposed = Bool(False).tag(sync=True)
    tidy = Bool(True).tag(sync=True)
    """Leave fragments and ghosts out of the score (see `amtsep.rhythm.cleanup`); the notes themselves stay."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="score", **kwargs)
        self._visible = False
        self._grid = False
        self._stale = True
        self._made = 0
        """Counts the scores that were begun."""
        self._timer: asyncio.TimerHandle | None = None
        self.follow(self._later, ["notes", "strokes", "state"])
        self.follow(self._forget, "audio")
        self.transposed = self.session.quantisation.transposed
        self.observe(self._on_transposed, "transposed")
        self.observe(self._later, ["transposed", "tidy"])

    def do_visible(self, message: dict[str, Any], _buffers: Any) -> None:
        """Make the score when its tab is looked at; again for a page that has been built again and holds none."""
        self._visible = bool(message["value"])
        if self._visible and (self._stale or message.get("empty")):
            self._make()

    def do_grid(self, message: dict[str, Any], _buffers: Any) -> None:
        """Bar lines are wanted in the roll (to snap to, to count), whether the score is looked at or not."""
        self._grid = bool(message["value"])
        if self._grid and not self.beats and not self._visible:
            self._show_beats()

    def do_anew(self, message: dict[str, Any], buffers: Any) -> None:
        """The score travels as a message: it is made again, too."""
        super().do_anew(message, buffers)
        self._later()

    def close(self) -> None:
        """Nothing is made for a panel that is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._visible = False
        super().close()

    def do_engine(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Hand the engraver to the browser, once and only when a score is looked at."""
        self.send({"do": "engine"}, [gzip.decompress(ENGINE.read_bytes())])

    def do_beats(self, message: dict[str, Any], _buffers: Any) -> None:
        """A correction of the beats (see `widgets.state.bars`), or ``tap``; ``none`` takes them all back."""
        edit = (str(message["edit"]), str(message.get("value", "")))
        self.session.edit_beats(None if edit[0] == "none" else edit)

    def _forget(self, _change: Any = None) -> None:
        """Another recording: its bars are not those that are drawn in the roll."""
        self.beats = {}
        self._later()

    def _on_transposed(self, _change: Any = None) -> None:
        # What is saved as MusicXML is written as it is shown.
        self.session.quantisation = replace(self.session.quantisation, transposed=self.transposed)

    def _later(self, change: Any = None) -> None:
        if change is not None and change["name"] == "state" and change["old"].beats == change["new"].beats:
            return  # what else of a state shows in a score comes with the notes
        self._stale = True
        if not self._visible and not (self._grid or self.beats):
            return
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._timer = asyncio.get_running_loop().call_later(REST_S, self._make)
        except RuntimeError:
            self._make()

    def _show_beats(self) -> None:
        """Find the beats alone, in a thread."""
        self._made += 1
        number, session = self._made, self.session
        find = session.beats_to_be()

        def work() -> dict[str, Any]:
            beats = find()
            return {} if beats is None else about(beats, session.tuning)

        def show(made: dict[str, Any]) -> None:
            if number == self._made:
                self.beats = made

        session.aside(work, show)

    def _make(self) -> None:
        """Find the beats and write the score, in a thread; what has been overtaken is not shown."""
        self._timer = None
        if not self._visible:
            self._show_beats()
            return
        self._stale = False
        self._made += 1
        number, session = self._made, self.session
        notes, strokes = session.notes, session.strokes
        find, title = session.beats_to_be(), stem(session).replace("_", " ")
        settings = session.quantisation
        # What is tidied in the roll already is not tidied twice.
        strength = RECOMMENDED_CLEAN_UP if self.tidy and not session.state.clean_up.strength else 0.0

        def work() -> tuple[dict[str, Any], list[int], bytes]:
            beats = find()
            if beats is None or not len(notes) + len(strokes):
                return {}, [], b""
            cleaned = clean(notes, CleanUp(strength=strength))
            # Strokes of drums are none of the notes in the roll: -1.
            table, order = (
                cleaned.notes.joined(strokes) if len(strokes) else (cleaned.notes, np.arange(len(cleaned.notes)))
            )
            source = np.concatenate([cleaned.source, np.full(len(strokes), -1)])[order]
            text = formats.musicxml_bytes(table, None, title, beats, settings)
            return about(beats, session.tuning), source.tolist(), text

        def show(made: tuple[dict[str, Any], list[int], bytes]) -> None:
            if number == self._made:
                self.beats, source, text = made
                self.send({"do": "score", "source": source}, [text])

        session.aside(work, show)


def about(beats: Beats, tuning: float | None = None) -> dict[str, Any]:
    """What the page shows of beats."""
    return {
        "tempo": round(beats.tempo, 1),
        "metre": str(beats.main_metre),
        "key": beats.key,
        "minor": beats.minor,
        "sure": round(float(np.mean(beats.confidence)), 2) if len(beats) else 0.0,
        "time": np.round(beats.time, 4).tolist(),
        "bar": np.flatnonzero(beats.downbeat).tolist(),
        "tuning": None if tuning is None else round(tuning, 1),
    }
