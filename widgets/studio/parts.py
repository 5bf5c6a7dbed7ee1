"""What the views are built of: fields that remember what was entered, the table, and a clip to see and hear."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as ipw
from traitlets import Dict, List, Unicode

from widgets.panels.player import Player
from widgets.panels.roll import Roll
from widgets.state.session import Session
from widgets.studio.desk import Desk, Row
from widgets.studio.words import language, say

HERE = Path(__file__).parent
STYLE = (HERE / "studio.css").read_text(encoding="utf-8")
LABEL = {"description_width": "190px"}


class Fields:
    """A person's choices by name, kept at the desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.widgets: dict[str, Any] = {}

    def add(self, name: str, widget: Any) -> Any:
        """A field that begins with what was entered last."""
        if name in self.desk.fields:
            widget.value = self.desk.fields[name]

        def keep(change: Any) -> None:
            self.desk.fields[name] = change["new"]

        widget.observe(keep, "value")
        self.widgets[name] = widget
        return widget

    def text(self, name: str, label: str, value: str, width: str = "470px") -> Any:
        """A line of text, told when Enter is pressed or the field is left."""
        widget = ipw.Text(value=value, description=label, continuous_update=False, style=LABEL, layout={"width": width})
        return self.add(name, widget)

    def whole(self, name: str, label: str, value: int, low: int, high: int) -> Any:
        """A whole number."""
        return self.add(name, ipw.BoundedIntText(value, min=low, max=high, description=label, style=LABEL,
                                                 layout={"width": "310px"}))  # fmt: skip

    def number(self, name: str, label: str, value: float, low: float, high: float, step: float) -> Any:
        """A number."""
        return self.add(name, ipw.BoundedFloatText(value, min=low, max=high, step=step, description=label, style=LABEL,
                                                   layout={"width": "310px"}))  # fmt: skip

    def tick(self, name: str, label: str, value: bool) -> Any:
        """A box to tick."""
        return self.add(name, ipw.Checkbox(value, description=label, indent=False, layout={"width": "auto"}))

    def values(self) -> dict[str, Any]:
        """All of them."""
        return {name: widget.value for name, widget in self.widgets.items()}


def button(label: str, does: Callable[[], object], style: str = "", tip: str = "") -> Any:
    """A button as wide as its words."""
    made = ipw.Button(description=label, button_style=style, tooltip=tip or None, layout={"width": "auto"})
    made.on_click(lambda _: does())
    return made


def row(*children: Any) -> ipw.HBox:
    """Side by side, going on below where a screen is narrow."""
    return ipw.HBox(children, layout={"flex_flow": "row wrap", "align_items": "center", "overflow": "visible"})


def fold(title: str, *children: Any, opened: bool = False) -> ipw.Accordion:
    """Something to open."""
    inner = ipw.VBox(children)
    return ipw.Accordion([inner], titles=(title,), selected_index=0 if opened else None)


def dim(text: str) -> ipw.HTML:
    """A quiet line."""
    return ipw.HTML(f'<span class="amtsep-dim">{html.escape(text)}</span>')


class Head(anywidget.AnyWidget):
    """The page's name and language; the browser says which language it prefers."""

    _esm = (HERE / "head.js").read_text(encoding="utf-8")
    _css = STYLE
    title = Unicode("").tag(sync=True)
    folder = Unicode("").tag(sync=True)
    language = Unicode("en").tag(sync=True)
    asked = Unicode("").tag(sync=True)


class Table(anywidget.AnyWidget):
    """The clips of a corpus, with captions to correct."""

    _esm = (HERE / "table.js").read_text(encoding="utf-8")
    rows: Any = List().tag(sync=True)
    selected = Unicode("").tag(sync=True)
    guesses = Dict().tag(sync=True)
    words = Dict().tag(sync=True)

    def __init__(self, select: Callable[[str], None], correct: Callable[[str, str], None]) -> None:
        self._select, self._correct = select, correct
        super().__init__(words=_words())
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: dict[str, Any], _buffers: Any) -> None:
        if message.get("do") == "select":
            self._select(str(message["audio"]))
        elif message.get("do") == "caption":
            self._correct(str(message["audio"]), str(message["text"]))


SENT = ("audio", "title", "artist", "genre", "genre_by", "genre_probability", "split", "start_s", "duration_s", "tempo",
        "key", "timbres", "caption", "caption_by")  # fmt: skip
"""Of a row, to the browser."""


def sent(rows: list[Row]) -> list[Row]:
    """What the table shows of rows, of corpora made by hand too."""
    plain: Row = {
        "title": "",
        "artist": "",
        "genre": "unknown",
        "split": "",
        "start_s": 0.0,
        "duration_s": 0.0,
        "caption": "",
    }
    return [{name: row.get(name, plain.get(name)) for name in SENT} for row in rows]


def _words() -> dict[str, str]:
    return {
        "title": say("Title"), "genre": say("Genre"), "split": say("Part"), "time": say("Time"),
        "tempo": say("Tempo"), "key": say("Key"), "timbres": say("Timbres"), "caption": say("Caption"),
        "train": say("training"), "validation": say("validation"), "test": say("test"), "all": say("all parts"),
        "filter": say("Search"), "count": say("{n} clips", n="{n}"), "guess": say("guess"),
        "hand": say("corrected by hand"), "correct": say("correct"),
        "back": say("Page before"), "on": say("Next page"),
    }  # fmt: skip


class Clip(ipw.VBox):
    """A recording: its roll over the spectrogram, its sound, and the way into the dashboard."""

    def __init__(self, session: Session, open_in_dashboard: Callable[[], None], height: int = 300) -> None:
        prefs = {"theme": "light", "language": language()}
        self.session = session
        self.head = ipw.HTML(layout={"flex": "1 1 auto"})
        self.status = ipw.HTML()
        self.go = button(
            say("Open in the dashboard"), open_in_dashboard, "primary",
            say("Transcribed, told apart into timbres, to tune, correct and export"),
        )  # fmt: skip
        self.roll = Roll(session, height=height, prefs=prefs)
        self.player = Player(session, prefs=prefs)
        super().__init__([row(self.head, self.go), self.status, self.roll, self.player])
        self.add_class("amtsep-clip")
        session.observe(self._follow, ["status", "progress"])
        self._follow()

    def _follow(self, _change: Any = None) -> None:
        """An error in place; what is being done; else how many notes and timbres were found."""
        status, progress = self.session.status, self.session.progress
        if status.kind == "error":
            said = html.escape(status.text or str(status.values.get("error", status.key)))
            self.status.value = f'<div class="amtsep-bad" role="alert">{said}</div>'
        elif self.session.busy:
            done = f" {progress.done / progress.total:.0%}" if progress is not None and progress.total else ""
            self.status.value = f'<span class="amtsep-dim" role="status">{say("listening")}…{done}</span>'
        elif self.session.audio is not None:
            notes = self.session.notes
            said = say("heard: {n} notes, {t} timbres", n=len(notes), t=len(notes.tracks))
            self.status.value = f'<span class="amtsep-dim" role="status">{html.escape(said)}</span>'
        else:
            self.status.value = ""

    def close(self) -> None:
        """Leave the page; the session goes on."""
        if self.comm is None:
            return
        self.session.unobserve(self._follow, ["status", "progress"])
        self.roll.close()
        self.player.close()
        super().close()
