"""The whole page: every widget around one session."""

from __future__ import annotations

import contextlib
import os
import threading
from os import PathLike
from typing import Any

import ipywidgets as ipw

from amtsep.config import Limits
from amtsep.sequence.files import writes_notes
from widgets.panels.compare import Compare
from widgets.panels.export import Export
from widgets.panels.map import NoteMap
from widgets.panels.panel import Tabs
from widgets.panels.player import Player
from widgets.panels.roll import Roll
from widgets.panels.score import Score
from widgets.panels.source import Source
from widgets.panels.thresholds import Thresholds
from widgets.panels.timbres import Timbres
from widgets.state.autosave import Autosave
from widgets.state.session import Session


class Dashboard(ipw.Box):
    """Transcribe, tune, listen, correct and save, on one screen.

    Parameters
    ----------
    source
        A recording to open at once: path, bytes or file object.
    session
        A `Session` to show; a new one by default.
    language
        ``en`` or ``zh``; by default what the browser prefers.
    theme
        ``dark`` or ``light``; by default what the browser prefers.

    Examples
    --------
    >>> from widgets import Dashboard
    >>> Dashboard("song.wav")  # doctest: +SKIP
    """

    def __init__(
        self,
        source: str | PathLike[str] | bytes | None = None,
        *,
        session: Session | None = None,
        language: str | None = None,
        theme: str | None = None,
        model: str | None = None,
        device: str = "auto",
        limits: Limits | None = None,
        **kwargs: Any,
    ) -> None:
        self.session = session or Session(model=model, device=device, limits=limits)
        prefs = {k: v for k, v in (("language", language), ("theme", theme)) if v}
        shared = bool(os.environ.get("AMTSEP_SHARED"))
        self.autosave = Autosave(self.session, shared=shared)
        self._own_session = session is None
        self.source = Source(self.session, autosave=self.autosave, prefs=prefs)
        self.roll = Roll(self.session, prefs=prefs)
        self.player = Player(self.session, prefs=prefs)
        self.thresholds = Thresholds(self.session, prefs=prefs)
        self.export = Export(self.session, prefs=prefs)
        self.tabs = Tabs(self.session, prefs=prefs)
        self.timbres = Timbres(self.session, prefs=prefs)
        self.map = NoteMap(self.session, prefs=prefs)
        self.compare = Compare(self.session, prefs=prefs)
        self.score = Score(self.session, prefs=prefs)
        under = (self.thresholds, self.tabs, self.timbres, self.map, self.score, self.compare, self.export)
        self._panels = (self.source, self.roll, *under, self.player)
        self._side = ipw.Box(under)
        self._side.add_class("amtsep-side")
        super().__init__(children=(self.source, self.roll, self._side, self.player), **kwargs)
        self.add_class("amtsep-app")
        if source is not None:
            self.session.open(source)

    def close(self) -> None:
        """Take the page away and free what it held; what was done is kept. A session that was given goes on."""
        if self.comm is None:  # already; ipywidgets asks again when it is collected
            return
        self.autosave.close()
        for panel in self._panels:
            panel.close()
        for box in (self._side, self):
            box.children = ()
            box.layout.close()
        self._side.close()
        if self._own_session:
            self.session.close()
        super().close()


def warm(session: Session) -> None:
    """Load the network in a thread, so that the first recording need not wait for it."""

    def begin() -> None:
        # What hinders it is said when a recording asks for the network.
        with contextlib.suppress(Exception):
            import amtsep.clustering
            import amtsep.decoding  # noqa: F401
            from widgets.state import cache, network

            if not network.available():  # else one process has it for all pages
                load = cache.local_writer if writes_notes(session.model) else cache.local_transcriber
                load(session.model, session.device)

    threading.Thread(target=begin, name="amtsep-warm", daemon=True).start()


def from_environment() -> Dashboard:
    """The page that the launcher serves: its choices come as environment variables of the kernel."""
    limits = Limits()
    upload = os.environ.get("AMTSEP_MAX_UPLOAD_MB")
    if upload:
        limits = Limits(max_duration_s=limits.max_duration_s, max_upload_mb=float(upload))
    dashboard = Dashboard(os.environ.get("AMTSEP_OPEN") or None, limits=limits)
    warm(dashboard.session)
    return dashboard
