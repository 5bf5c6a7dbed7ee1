"""`Panel`: what the widgets have in common: the browser module, messages by name, errors on the status line."""

from __future__ import annotations

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

    _esm = STATIC / "amtsep.js"
    _css = STATIC / "amtsep.css"

    panel = Unicode("").tag(sync=True)
    session_id = Unicode("").tag(sync=True)
    prefs = Dict().tag(sync=True)
    """Language and theme to begin with; empty = what the browser prefers or remembers."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        self.session = session or Session()
        super().__init__(session_id=self.session.id, **kwargs)
        self.on_msg(self._receive)

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
