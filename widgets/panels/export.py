"""Take it home: every format is made here as bytes and saved by the browser, named after the recording."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from traitlets import Bool, Unicode

from amtsep import formats
from amtsep.config import Quantisation
from amtsep.errors import FormatError
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.bends import Bend, bend_curves
from amtsep.rhythm.music import Music, PedalSpans, with_drums
from widgets.panels.panel import Panel
from widgets.state.curves import pack_curves
from widgets.state.kit import NONE
from widgets.state.session import Session
from widgets.state.session_file import ENDING, Saved, write_session

Curves = list[Bend | None] | None
BENT = ("midi", "csv", "json")
"""Formats that have a place for pitch curves."""
DRUMS = "drums"
"""What stands for the drums where a track is asked for by its number."""


def stem(session: Session) -> str:
    """Name of the recording without its ending, safe as a file name."""
    name = PurePath(getattr(session.audio, "name", "") or "notes").stem
    return "".join(c if c.isalnum() or c in " -_.()" else "_" for c in name).strip() or "notes"


@dataclass(frozen=True)
class Work:
    """What a file is made of, as it was when it was asked for."""

    notes: Notes
    title: str
    source: str
    beats: Callable[[], Beats | None]
    posteriors: Posteriors | None
    saved: Saved | None
    pedal: PedalSpans | None = None
    strokes: Notes = NONE
    bends: bool = False
    """Whether pitch curves are found and written."""
    quantisation: Quantisation = Quantisation()  # noqa: RUF009 - frozen
    track: int | str | None = None
    """The one track that is asked for, by its number, or `DRUMS`."""

    def everything(self) -> tuple[Notes, Curves]:
        """Notes and strokes as one table, or a track alone, and a curve (or None) each where there are to be any."""
        if self.track == DRUMS:
            return self.strokes, [None] * len(self.strokes) if self.bends else None
        curves: Curves = None
        if self.bends and self.posteriors is not None:
            curves = bend_curves(self.notes, self.posteriors)
        if self.track is None:
            music = with_drums(Music(self.notes, bends=curves), self.strokes)
            return music.notes, music.bends
        index = int(self.track)
        # Found among all notes: those of other tracks cover some of its harmonics.
        own = np.flatnonzero(self.notes.track == index)
        alone = self.notes.select(own).with_tracks([0] * len(own), (self.notes.tracks[index],))
        return alone, None if curves is None else [curves[i] for i in own]


def _midi(work: Work) -> bytes:
    # The bars of a sequencer lie on those of the score.
    notes, curves = work.everything()
    return formats.midi_bytes(notes, title=work.title, beats=work.beats(), bends=curves, pedal=work.pedal)


def _musicxml(work: Work) -> bytes:
    return formats.musicxml_bytes(
        work.everything()[0], title=work.title, beats=work.beats(), quantisation=work.quantisation
    )


def _csv(work: Work) -> bytes:
    return formats.csv_text(*work.everything()).encode()


def _json(work: Work) -> bytes:
    notes, curves = work.everything()
    return formats.json_text(notes, {"source": work.source}, bends=curves, pedal=work.pedal).encode()


def _posteriors(work: Work) -> bytes:
    if work.posteriors is None:
        raise FormatError("There are no posteriors to save: open a recording first.")
    file = io.BytesIO()
    work.posteriors.save(file)
    return file.getvalue()


def _session(work: Work) -> bytes:
    if work.saved is None:
        raise FormatError("There is nothing to save yet: open a recording first.")
    return write_session(work.saved)


FORMATS: dict[str, tuple[str, str, Callable[[Work], bytes]]] = {
    "midi": (".mid", "audio/midi", _midi),
    "musicxml": (".musicxml", "application/vnd.recordare.musicxml+xml", _musicxml),
    "csv": (".csv", "text/csv", _csv),
    "json": (".json", "application/json", _json),
    "posteriors": (".npz", "application/octet-stream", _posteriors),
    "session": (ENDING, "application/zip", _session),
}


def _pedal_of(pedal: PedalSpans, track: int | str | None) -> PedalSpans | None:
    """The pedal of all tracks, or of one, which is the first of its file; drums have none."""
    if track is None:
        return pedal
    own = None if track == DRUMS else pedal.get(int(track))
    return None if own is None else {0: own}


class Export(Panel):
    """Buttons that save the notes."""

    name = Unicode("notes").tag(sync=True)
    bends = Bool(False).tag(sync=True)
    """Write pitch curves, too: as pitch bend in MIDI, as columns in CSV and JSON."""

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="export", **kwargs)
        self.follow(self._on_notes, "notes")

    def _on_notes(self, _change: Any = None) -> None:
        self.name = stem(self.session)

    def do_export(self, message: dict[str, Any], _buffers: Any) -> None:
        """Make one file in a thread and hand it to the browser."""
        session = self.session
        if session.audio is None and not len(session.everything):
            raise FormatError("There is nothing to save yet: open a recording first.")
        ending, kind, make = FORMATS[str(message["format"])]
        notes, state = session.notes, session.state
        name = stem(session)
        saved = None if session.audio is None or session.posteriors is None else session.snapshot()
        source = getattr(session.audio, "name", "")
        track = message.get("track")
        if track is not None:
            name += f" - {(NONE.tracks[0] if track == DRUMS else notes.tracks[int(track)]).name}"
        work = Work(
            notes,
            stem(session),
            source,
            session.beats_to_be(),
            session.posteriors,
            saved,
            _pedal_of(session.pedal, track),
            session.strokes,
            self.bends and message["format"] in BENT,
            session.quantisation,
            track,
        )

        def made(data: bytes) -> None:
            self.send({"do": "file", "name": name + ending, "type": kind}, [data])
            # One track, or what the network said, is not the work done here.
            if track is None and message["format"] != "posteriors":
                session.exported(state)

        session.aside(lambda: make(work), made, lambda: self.send({"do": "no_file"}))

    def do_curves(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Send the pitch curves of all notes, for the files that the page makes itself; see `pack_curves`."""
        notes, posteriors = self.session.notes, self.session.posteriors

        def made(curves: list[Bend | None]) -> None:
            about, points = pack_curves(notes, curves)
            self.send({"do": "curves", "curves": about}, [points])

        none: list[Bend | None] = [None] * len(notes)
        self.session.aside(lambda: none if posteriors is None else bend_curves(notes, posteriors), made)
