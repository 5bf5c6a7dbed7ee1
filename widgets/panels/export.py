"""Take it home: every format is made here as bytes and saved by the browser, named after the recording."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from traitlets import Unicode

from amtsep import formats
from amtsep.errors import FormatError
from amtsep.notes import Notes
from widgets.panels.panel import Panel
from widgets.state.session import Session
from widgets.state.session_file import ENDING


def stem(session: Session) -> str:
    """Name of the recording without its ending, safe as a file name."""
    name = PurePath(getattr(session.audio, "name", "") or "notes").stem
    return "".join(c if c.isalnum() or c in " -_.()" else "_" for c in name).strip() or "notes"


def _midi(session: Session, notes: Notes) -> bytes:
    # The bars of a sequencer lie on those of the score.
    return formats.midi_bytes(notes, title=stem(session), beats=session.beats)


def _musicxml(session: Session, notes: Notes) -> bytes:
    return formats.musicxml_bytes(notes, title=stem(session), beats=session.beats)


def _csv(_session: Session, notes: Notes) -> bytes:
    return formats.csv_text(notes).encode()


def _json(session: Session, notes: Notes) -> bytes:
    return formats.json_text(notes, {"source": getattr(session.audio, "name", "")}).encode()


def _posteriors(session: Session, _notes: Notes) -> bytes:
    if session.posteriors is None:
        raise FormatError("There are no posteriors to save: open a recording first.")
    file = io.BytesIO()
    session.posteriors.save(file)
    return file.getvalue()


def _session(session: Session, _notes: Notes) -> bytes:
    return session.saved()


FORMATS: dict[str, tuple[str, str, Callable[[Session, Notes], bytes]]] = {
    "midi": (".mid", "audio/midi", _midi),
    "musicxml": (".musicxml", "application/vnd.recordare.musicxml+xml", _musicxml),
    "csv": (".csv", "text/csv", _csv),
    "json": (".json", "application/json", _json),
    "posteriors": (".npz", "application/octet-stream", _posteriors),
    "session": (ENDING, "application/zip", _session),
}


class Export(Panel):
    """Buttons that save the notes."""

    name = Unicode("notes").tag(sync=True)

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="export", **kwargs)
        self.session.observe(self._on_notes, "notes")

    def _on_notes(self, _change: Any = None) -> None:
        self.name = stem(self.session)

    def do_export(self, message: dict[str, Any], _buffers: Any) -> None:
        """Make one file and hand it to the browser."""
        if self.session.audio is None and not len(self.session.notes):
            raise FormatError("There is nothing to save yet: open a recording first.")
        ending, kind, make = FORMATS[str(message["format"])]
        notes = self.session.notes
        name = stem(self.session)
        if message.get("track") is not None:
            index = int(message["track"])
            name += f" - {notes.tracks[index].name}"
            notes = notes.select(notes.track == index).with_tracks(
                [0] * int((notes.track == index).sum()), (notes.tracks[index],)
            )
        # One track, or what the network said, is not the work done here.
        whole = message.get("track") is None and message["format"] != "posteriors"
        self.send({"do": "file", "name": name + ending, "type": kind}, [make(self.session, notes)])
        if whole:
            self.session.exported()
