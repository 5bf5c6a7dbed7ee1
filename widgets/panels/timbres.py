"""Tracks: how many timbres, what each is called, how it sounds and whether it shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Dict, Int, List

from amtsep.clustering.sounds import bank_for, suggest_programs
from amtsep.config import DrumDecoding
from amtsep.notes import Notes
from widgets.panels.panel import Panel
from widgets.state.edits import DRUMS, MAX_TRACKS
from widgets.state.grouping import called_by_sound, given_names, places
from widgets.state.session import Session

METHOD_NAMES = ["ward-kmeans", "ward", "kmeans", "spectral", "mixture", "target-and-rest"]
KIT_FIELDS = {"when": str, "threshold": float, "volume": float, "mute": bool, "solo": bool, "hidden": bool}
FIELDS = {"name": str, "program": int, "volume": float, "mute": bool, "solo": bool, "hidden": bool, "color": int}


class Timbres(Panel):
    """A slider for the number of timbres and a row a track."""

    rows: List[dict[str, Any]] = List().tag(sync=True)
    about = Dict().tag(sync=True)
    edited = Bool(False).tag(sync=True)
    kit = Dict().tag(sync=True)
    """The drums: whether they are listened for, from which height a stroke counts, how many there are."""
    count = Int(1)
    """How many timbres there are; setting it gives the number, 0 has it estimated."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="timbres", **kwargs)
        self._guessed: tuple[Notes, list[list[int]]] | None = None
        self.follow(self._update, ["notes", "grouping", "state", "written"])
        self.follow(self._on_kit, ["strokes", "state", "posteriors"])
        self._update()
        self._on_kit()
        self.observe(self._on_count, "count")

    def _on_count(self, change: Any) -> None:
        """A number set from Python."""
        if change["new"] != (self.about["wanted"] or self.about["shown"]):
            self.session.set_timbres(int(change["new"]) or None)
            self._update()

    def _update(self, _change: Any = None) -> None:
        session = self.session
        notes, state = session.notes, session.state
        counts = (
            np.bincount(notes.track, minlength=len(notes.tracks)) if len(notes) else np.zeros(len(notes.tracks), int)
        )
        guesses = self._guesses()
        place = places(notes, len(notes.tracks))
        names = given_names(state, session.written)
        self.rows = [
            {
                "index": i,
                "place": place[i],
                "name": track.name,
                "given": bool(i < len(names) and names[i]),
                "instrument": called_by_sound(state, session.written, i),
                "program": track.program,
                "color": state.tracks[i].color if i < len(state.tracks) else i,
                "count": int(counts[i]),
                "guess": guesses[i] if i < len(guesses) else [],
            }
            for i, track in enumerate(notes.tracks)
            if counts[i] or not len(notes)
        ]
        grouping = session.grouping
        posteriors = session.posteriors
        self.about = {
            "available": posteriors is not None and posteriors.embedding is not None,
            # Of written notes: who wrote them, and what their tracks go by.
            "writer": "" if session.written is None else session.written.by,
            "sorted_by": state.sorted_by if session.written is not None else "sound",
            "by_hand": len(state.edits.added),
            "heard": bool(len(notes)),
            "wanted": state.clustering.timbres or 0,
            "at_least": state.clustering.min_timbres,
            "found": grouping.timbres,
            "shown": grouping.tracks,
            "probability": list(grouping.probability),
            "method": state.clustering.method,
            "methods": METHOD_NAMES,
            "most": MAX_TRACKS,
        }
        self.count = self.about["wanted"] or self.about["shown"]
        self.edited = bool(state.edits or state.strokes or state.taught or state.merged)

    def _on_kit(self, _change: Any = None) -> None:
        session = self.session
        kit, posteriors = session.state.kit, session.posteriors
        wrote = session.written is not None and session.written.strokes is not None
        self.kit = {
            "when": kit.when,
            "threshold": kit.threshold,
            "start": DrumDecoding.threshold,
            "count": len(session.strokes),
            "listened": wrote or (posteriors is not None and posteriors.drums is not None),
            "written": wrote,
        }

    def do_kit(self, message: dict[str, Any], _buffers: Any) -> None:
        """Change what is set about drums."""
        try:
            values = {k: KIT_FIELDS[k](v) for k, v in dict(message["values"]).items() if k in KIT_FIELDS}
            if values.get("when", "auto") not in DRUMS:
                raise ValueError(f"drums are {', '.join(DRUMS)}, not {values['when']}")
            self.session.set_kit(lasting=bool(message.get("lasting", True)), **values)
        finally:
            self.send({"do": "kit_done" if "turn" in message else "tracked", "turn": message.get("turn")})

    def _guesses(self) -> list[list[int]]:
        """General MIDI programs that the tracks may be; none where another network than the bank's has listened."""
        session = self.session
        notes = session.notes
        if self._guessed is None or self._guessed[0] is not notes:
            posteriors = session.posteriors
            bank = bank_for(posteriors.model) if posteriors is not None and notes.embedding.shape[1] else None
            guesses = [] if bank is None else suggest_programs(notes, path=bank, pooled=self._pooled(notes))
            self._guessed = (notes, guesses)
        return self._guessed[1]

    def _pooled(self, notes: Notes) -> NDArray[np.float32] | None:
        """What the network itself says of the notes; an encoder makes something else of it."""
        from amtsep.decoding import pooled_embeddings

        posteriors = self.session.posteriors
        if (
            posteriors is None
            or posteriors.embedding is None
            or posteriors.embedding.shape[2] == notes.embedding.shape[1]
        ):
            return None
        # What was made by hand has no say.
        heard = pooled_embeddings(notes, posteriors)
        return np.where(np.any(notes.embedding, axis=1, keepdims=True), heard, np.float32(0.0))

    def do_timbres(self, message: dict[str, Any], _buffers: Any) -> None:
        """How many; 0 = estimate, negative = estimate and at least so many."""
        try:
            wanted = int(message["value"])
            self.session.set_timbres(
                wanted if wanted > 0 else None, at_least=max(1, -wanted), lasting=bool(message.get("lasting", True))
            )
        finally:
            self.send({"do": "done", "turn": message.get("turn")})

    def do_sort(self, message: dict[str, Any], _buffers: Any) -> None:
        """What the tracks of written notes go by."""
        self.session.sort_by(str(message["value"]))

    def do_sort_hand_made(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Put notes made by hand on the tracks that sound like them."""
        self.session.sort_hand_made()

    def do_method(self, message: dict[str, Any], _buffers: Any) -> None:
        """How notes are clustered."""
        method = str(message["value"])
        if method in METHOD_NAMES:
            self.session.set(clustering=replace(self.session.state.clustering, method=method))

    def do_track(self, message: dict[str, Any], _buffers: Any) -> None:
        """Change a track."""
        try:
            self._change_track(int(message["index"]), dict(message["values"]))
        finally:
            self.send({"do": "tracked"})

    def _change_track(self, index: int, values: dict[str, Any]) -> None:
        changes = {k: FIELDS[k](v) for k, v in values.items() if k in FIELDS}
        if "program" in changes:
            changes["program"] = min(127, max(0, changes["program"]))
        if "name" in changes:
            changes["name"] = changes["name"].strip()[:60]
        if "color" in changes:
            self.session.recolour(index, changes.pop("color"))
        if changes:
            self.session.set_track(index, **changes)

    def do_merge(self, message: dict[str, Any], _buffers: Any) -> None:
        """Join two tracks."""
        self.session.merge(int(message["index"]), int(message["into"]))

    def do_drop_edits(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Forget what was corrected by hand."""
        self.session.drop_edits()
