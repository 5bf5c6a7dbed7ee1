"""Take it home: every format is made here as bytes and saved by the browser, named after the recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from amtsep.errors import FormatError
from amtsep.notes import Notes
from widgets.part import Part
from widgets.session import Session


def stem(session: Session) -> str:
    """Name of the recording without its ending, safe as a file name."""
    name = PurePath(getattr(session.audio, "name", "") or "notes").stem
    return "".join(c if c.isalnum() or c in " -_.()" else "_" for c in name).strip() or "notes"


def _midi(notes: Notes) -> bytes:
    from amtsep import formats

    return formats.midi_bytes(notes)


def _csv(notes: Notes) -> bytes:
    from amtsep import formats

    return formats.csv_text(notes).encode()


def _json(notes: Notes) -> bytes:
    from amtsep import formats

    return formats.json_text(notes).encode()


FORMATS: dict[str, tuple[str, str, Callable[[Notes], bytes]]] = {
    "midi": (".mid", "audio/midi", _midi),
    "csv": (".csv", "text/csv", _csv),
    "json": (".json", "application/json", _json),
}


class Export(Part):
    """Buttons that save the notes."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, part="export", **kwargs)

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
        self.send({"do": "file", "name": name + ending, "type": kind}, [make(notes)])
