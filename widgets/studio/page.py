"""The page of the studio."""

from __future__ import annotations

import asyncio
import html
import os
from pathlib import Path
from typing import Any

import ipywidgets as ipw

from amtsep.errors import AmtsepError
from amtsep.studio.corpus import MANIFEST, read_manifest
from widgets.lessons.kit import refresh
from widgets.serving.dashboard import Dashboard
from widgets.studio.desk import Desk
from widgets.studio.parts import Head, button
from widgets.studio.views import CorpusView, GenerateView, GenreView, TuneView
from widgets.studio.words import LANGUAGES, say, speak

LOOK_S = 1.0
"""Between two looks at the curves of a training."""


class Studio(ipw.VBox):
    """Corpus, genres, fine-tuning and generation in four tabs, and the dashboard for what comes out.

    Parameters
    ----------
    folder
        That paths on the page are below.
    language
        ``en`` or ``zh``; by default what the browser prefers.

    Examples
    --------
    >>> from widgets import Studio
    >>> Studio(".")  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path = ".", language: str | None = None) -> None:
        self.desk = Desk(Path(folder).expanduser().resolve())
        self._read()
        self.dashboard: Dashboard | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.head = Head(folder=str(self.desk.folder), asked=language or "")
        super().__init__([self.head])
        self.add_class("amtsep-studio")
        self.views: tuple[Any, ...] = ()
        self.tabs = ipw.Tab()
        speak(language or "en")
        self._build()
        self.head.observe(self._on_language, "language")
        self.head.on_msg(lambda *_: self._read())
        self._look()

    def _read(self) -> None:
        """What lies in the folder now: somebody has come to the page, which may have waited for long."""
        desk = self.desk
        if (desk.where / MANIFEST).is_file():
            try:
                if read_manifest(desk.where) != desk.rows:
                    desk.open(desk.corpus)
            except AmtsepError as error:
                desk.works["corpus"].tell(str(error), bad=True)
        desk.pieces()

    def _build(self) -> None:
        """The views, in the language of now; what was entered and what is running is at the desk, and stays."""
        at = self.tabs.selected_index or 0
        before = (*self.views, self.tabs)
        self.head.title = say("amtsep studio")
        self.tune = TuneView(self.desk)
        self.corpus = CorpusView(self.desk, self.into_dashboard)
        self.generate = GenerateView(self.desk, self.into_dashboard)
        self.views = (self.corpus, GenreView(self.desk), self.tune, self.generate)
        titles = (say("Corpus"), say("Genres"), say("Fine-tuning"), say("Generation"))
        self.tabs = ipw.Tab(self.views, titles=titles, selected_index=at)
        if self.dashboard is None:
            self.children = (self.head, self.tabs)
        for old in before:
            old.close()

    def _on_language(self, change: Any) -> None:
        if change["new"] in LANGUAGES:
            speak(change["new"])
            self._build()

    def into_dashboard(self, path: Path) -> None:
        """Open a recording in the dashboard, in the place of the page."""
        self.dashboard = Dashboard(str(path), language=self.head.language)
        back = button("← " + say("Back to the studio"), self.back)
        strip = ipw.HBox([back, ipw.HTML(f"<b>{html.escape(path.name)}</b>", layout={"margin": "0 0 0 14px"})])
        strip.add_class("amtsep-strip")
        self.children = (strip, self.dashboard)
        self.add_class("amtsep-over")

    def back(self) -> None:
        """To the studio; the dashboard keeps what was done there."""
        dashboard, self.dashboard = self.dashboard, None
        self.remove_class("amtsep-over")
        self.children = (self.head, self.tabs)
        if dashboard is not None:
            dashboard.close()

    def _look(self) -> None:
        self.tune.look()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._timer = loop.call_later(LOOK_S, self._look)

    def close(self) -> None:
        """End all work and take the page away."""
        if self.comm is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self.dashboard is not None:
            self.dashboard.close()
        for view in (*self.views, self.tabs, self.head):
            view.close()
        self.desk.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        refresh(self)
        return super()._repr_mimebundle_(**kwargs)


def from_environment() -> Studio:
    """The page that the launcher serves: its choices come as environment variables of the kernel."""
    return Studio(os.environ.get("AMTSEP_STUDIO") or ".", os.environ.get("AMTSEP_LANGUAGE") or None)
