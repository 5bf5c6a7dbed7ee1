"""A map of the notes by timbre: two dimensions of their embeddings, linked both ways with the roll's selection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from traitlets import Bytes

from amtsep.notes import Notes
from widgets.panels.panel import Panel
from widgets.state.session import Session


def project(notes: Notes) -> NDArray[np.float32]:
    """The two principal components of the embeddings, (n, 2) in [-1, 1]; notes without one lie in the middle."""
    from amtsep.clustering import embedding_map

    plane = np.zeros((len(notes), 2), np.float32)
    heard = np.flatnonzero(notes.embedding.any(axis=1))
    if len(heard) > 2:
        positions = embedding_map(notes.select(heard))
        plane[heard] = positions / (np.abs(positions).max() + 1e-9)
    return plane


class NoteMap(Panel):
    """Points of the notes' timbre embeddings; a lasso there selects in the roll, and the other way round."""

    points = Bytes(b"").tag(sync=True)
    """(n, 2) float32 in the order of the note table; empty where the network gives no embeddings."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="map", **kwargs)
        self._visible = True
        self.follow(self._update, "notes")
        self._update()

    def do_visible(self, message: dict[str, Any], _buffers: Any) -> None:
        """Whether anybody sees the map: while not, it costs a slider step nothing."""
        self._visible = bool(message["value"])
        self._update()

    def _update(self, _change: Any = None) -> None:
        if not self._visible:
            return
        notes: Notes = self.session.notes
        self.points = project(notes).tobytes() if notes.embedding.shape[1] >= 2 else b""
