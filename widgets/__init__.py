"""The app: one observable `Session` and a widget for each thing one does with it.

``Dashboard("song.wav")`` in a notebook is the same page that ``python -m widgets`` serves with Voilà.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Compare", "Dashboard", "Export", "NoteMap", "Player", "Roll", "Session", "Source", "Thresholds", "Timbres"]

if TYPE_CHECKING:
    from widgets.compare import Compare
    from widgets.dashboard import Dashboard
    from widgets.embedding import NoteMap
    from widgets.export import Export
    from widgets.player import Player
    from widgets.roll import Roll
    from widgets.session import Session
    from widgets.source import Source
    from widgets.thresholds import Thresholds
    from widgets.timbres import Timbres

_HOME = {
    "Compare": "compare",
    "Dashboard": "dashboard",
    "Export": "export",
    "NoteMap": "embedding",
    "Player": "player",
    "Roll": "roll",
    "Session": "session",
    "Source": "source",
    "Thresholds": "thresholds",
    "Timbres": "timbres",
}


def __getattr__(name: str) -> Any:
    """Import a widget when it is first asked for: the launcher needs none of them."""
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"widgets.{_HOME[name]}"), name)
    raise AttributeError(f"module 'widgets' has no attribute {name!r}")
