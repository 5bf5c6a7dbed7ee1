"""The app: one observable `Session` and a widget for each thing one does with it.

``Dashboard("song.wav")`` in a notebook is the same page that ``python -m widgets`` serves with Voilà.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "Compare",
    "Dashboard",
    "Export",
    "NoteMap",
    "Player",
    "Roll",
    "Score",
    "Session",
    "Source",
    "Studio",
    "Thresholds",
    "Timbres",
]

if TYPE_CHECKING:
    from widgets.panels.compare import Compare
    from widgets.panels.export import Export
    from widgets.panels.map import NoteMap
    from widgets.panels.player import Player
    from widgets.panels.roll import Roll
    from widgets.panels.score import Score
    from widgets.panels.source import Source
    from widgets.panels.thresholds import Thresholds
    from widgets.panels.timbres import Timbres
    from widgets.serving.dashboard import Dashboard
    from widgets.state.session import Session
    from widgets.studio.page import Studio

_HOME = {
    "Compare": "panels.compare",
    "Dashboard": "serving.dashboard",
    "Export": "panels.export",
    "NoteMap": "panels.map",
    "Player": "panels.player",
    "Roll": "panels.roll",
    "Score": "panels.score",
    "Session": "state.session",
    "Source": "panels.source",
    "Studio": "studio.page",
    "Thresholds": "panels.thresholds",
    "Timbres": "panels.timbres",
}


def __getattr__(name: str) -> Any:
    """Import a widget when it is first asked for: the launcher needs none of them."""
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"widgets.{_HOME[name]}"), name)
    raise AttributeError(f"module 'widgets' has no attribute {name!r}")
