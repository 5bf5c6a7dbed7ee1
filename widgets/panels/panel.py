"""`Panel`: what the widgets have in common: the browser module, messages by name, errors on the status line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
from traitlets import Dict, Unicode

from widgets.places import STATIC
from widgets.state.session import Session
from widgets.state.words import Status


class Panel(anywidget.AnyWidget):
    """A widget around a `Session`.

    The browser half sends ``{"do": name, ...}`` with binary buffers; the method ``do_<name>(message, buffers)`` of the
    subclass answers. An error in it becomes the session's status.
    """

    # Text, not paths: anywidget would watch the files, and hold on to every panel that was ever made.
    _esm = (STATIC / "amtsep.js").read_text(encoding="utf-8")
    _css = (STATIC / "amtsep.css").read_text(encoding="utf-8")

    panel = Unicode("").tag(sync=True)
    session_id = Unicode("").tag(sync=True)
    prefs = Dict().tag(sync=True)
    """Language and theme to begin with; empty = what the browser prefers or remembers."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        self.session = session or Session()
        self._followed: list[tuple[Callable[[Any], None], str | list[str]]] = []
        super().__init__(session_id=self.session.id, **kwargs)
        self.on_msg(self._receive)

    def follow(self, handler: Callable[[Any], None], names: str | list[str]) -> None:
        """Have `handler` called when these traits of the session change, until the panel is closed."""
        self.session.observe(handler, names)
        self._followed.append((handler, names))

    def close(self) -> None:
        """Take the panel off every page and out of memory; the session goes on."""
        if self.comm is None:  # already; ipywidgets asks again when it is collected
            return
        for handler, names in self._followed:
            self.session.unobserve(handler, names)
        self._followed.clear()
        self.unobserve_all()
        self.on_msg(self._receive, remove=True)
        self.layout.close()
        super().close()

    def do_anew(self, _message: dict[str, Any], _buffers: Any) -> None:
        """A page that has lost the connection for a while, and what was said meanwhile, asks for everything again."""
        self.send_state([name for name in self.keys if not name.startswith("_")])
        self.send({"do": "all"})

    def _receive(self, _widget: Any, message: Any, buffers: Any) -> None:
        with self.session.guard():
            name = str(message.get("do", "")) if isinstance(message, dict) else ""
            handler = getattr(self, f"do_{name}", None)
            if handler is None:
                self.session.status = Status("error", "unexpected", {"error": f"unknown message {name!r}"})
                return
            handler(message, buffers or [])


class Tabs(Panel):
    """Chooses which of the panels below it shows."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="tabs", **kwargs)
