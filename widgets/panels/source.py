"""Where recordings come from: bundled clips, uploads in chunks, the microphone; and the line that says what goes on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from traitlets import Dict, List

from amtsep.errors import AudioError, FormatError
from widgets.panels.panel import Panel
from widgets.places import DEMOS
from widgets.state.autosave import Autosave
from widgets.state.corrections import correct_all
from widgets.state.session import Session
from widgets.state.session_file import ENDING

CHUNK_BYTES = 1 << 20
"""An upload travels in pieces of this size: far under any message limit of a server or proxy."""


def demos(folder: Path | None = None) -> list[dict[str, str]]:
    """The bundled clips: file name and a name for people."""
    where = DEMOS if folder is None else folder
    return [{"id": p.name, "name": p.stem.replace("_", " ").replace("-", " ")} for p in sorted(where.glob("*.ogg"))]


class _Upload:
    """Bytes that arrive in order, kept on disk until they are complete."""

    def __init__(self, id: str, name: str, size: int, reference: bool) -> None:
        self.id, self.name, self.size, self.received = id, name, size, 0
        self.reference = reference
        """Whether it was chosen as true notes to compare with, whatever its name."""
        self.waiting = False
        """Whether the browser has been asked to go back to `received`."""
        self.file = cast(BinaryIO, tempfile.TemporaryFile(prefix="amtsep-"))  # noqa: SIM115 - closed by its owner


class Source(Panel):
    """Choose a clip, drop or pick a file, record; see how far the work is; cancel it."""

    demos: List[dict[str, str]] = List().tag(sync=True)
    about = Dict().tag(sync=True)
    status = Dict().tag(sync=True)
    progress: Any = Dict(allow_none=True).tag(sync=True)
    limits = Dict().tag(sync=True)
    recent: List[dict[str, Any]] = List().tag(sync=True)
    """Kept sessions to go on with, the latest first."""
    offer = Dict().tag(sync=True)
    """A kept session that the person may want now, and why: ``same`` recording, or ``left`` for this one."""
    kept = Dict().tag(sync=True)
    """Where the session that is open is kept, and the number of the last correction that is safely there."""

    def __init__(self, session: Session | None = None, autosave: Autosave | None = None, **kwargs: Any) -> None:
        super().__init__(session, panel="source", **kwargs)
        self._autosave = autosave
        if autosave is not None:
            autosave.on_saved = self._on_saved
        self.demos = demos()
        self.limits = {
            "megabytes": self.session.limits.max_upload_mb,
            "minutes": self.session.limits.max_duration_s / 60.0,
            "chunk": CHUNK_BYTES,
        }
        self._upload: _Upload | None = None
        self.follow(self._on_status, "status")
        self.follow(self._on_progress, "progress")
        self.follow(self._on_audio, "audio")
        self._on_status()
        self._on_audio()
        self._on_progress()

    def _on_status(self, _change: Any = None) -> None:
        status = self.session.status.to_dict()
        if self._autosave is not None and self._autosave.shared:
            status["details"] = ""  # how the server is built is no visitor's business
        self.status = status

    def _on_progress(self, _change: Any = None) -> None:
        p = self.session.progress
        self.progress = None if p is None else {"done": p.done, "total": p.total, "what": p.what}

    def _on_audio(self, _change: Any = None) -> None:
        audio = self.session.audio
        self.about = (
            {}
            if audio is None
            else {
                "name": audio.name,
                "duration": audio.duration_s,
                "recording": self.session.version,
            }
        )
        self.offer = {}
        if self._autosave is not None and audio is not None:
            same, left = self._autosave.earlier, self._autosave.left
            if same is not None:
                self.offer = {"why": "same", **same.to_dict()}
            elif left is not None:
                self.offer = {"why": "left", **left.to_dict()}

    def _on_saved(self) -> None:
        """The autosave has caught up."""
        assert self._autosave is not None
        self.kept = {"id": self.session.slot, "turn": self._autosave.saved_turn}

    def _list(self) -> None:
        if self._autosave is not None:
            self.recent = [entry.to_dict() for entry in self._autosave.recent()]

    # --- messages ---------------------------------------------------------------------------------------------------

    def do_demo(self, message: dict[str, Any], _buffers: Any) -> None:
        """Open a bundled clip."""
        name = Path(str(message["id"])).name
        self.session.open(DEMOS / name)

    def do_hello(self, message: dict[str, Any], _buffers: Any) -> None:
        """A page has come: what can it go on with? A page that has lost its program says what it still holds."""
        if self._autosave is None:
            return
        self._autosave.visitor(str(message.get("visitor", "")))
        self._list()

    def do_go_on(self, message: dict[str, Any], _buffers: Any) -> None:
        """Open a kept session, with the corrections that the page has made since."""
        if self._autosave is None:
            raise FormatError("No sessions are kept here.")
        edits = list(message.get("edits", []))
        self._autosave.go_on(str(message["id"]), lambda: correct_all(self.session, edits))

    def do_list(self, _message: dict[str, Any], _buffers: Any) -> None:
        """The list of kept sessions is about to be looked at."""
        self._list()

    def do_ping(self, message: dict[str, Any], _buffers: Any) -> None:
        """Is anybody there?"""
        self.send({"do": "pong", "n": message.get("n")})

    def do_cancel(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Stop the transcription."""
        self.session.cancel()

    def do_upload(self, message: dict[str, Any], _buffers: Any) -> None:
        """Begin an upload, in place of one under way: refuse at once what is over the limit."""
        name, size, id = str(message["name"]), int(message["size"]), str(message["id"])
        self._drop_upload()
        limit = self.session.limits.max_upload_mb
        with self._refusing(id):
            if size > limit * 1e6:
                raise AudioError(
                    "{name} is {size:.0f} MB; the limit is {limit:g} MB: shorten or compress it.",
                    name=name,
                    size=size / 1e6,
                    limit=limit,
                )
            if size <= 0:
                raise AudioError("{name} is empty: it holds no sound. Choose another file.", name=name)
            self._upload = _Upload(id, name, size, bool(message.get("reference")))
            self.send({"do": "got", "id": id, "received": 0})

    def do_chunk(self, message: dict[str, Any], buffers: Any) -> None:
        """The piece that begins at byte `at`; answered so that the browser sends no more than the connection carries.

        A piece that comes too early (one before it was lost) is not taken: the browser is told where to go on.
        """
        upload = self._expected(message)
        if upload is None:
            return
        at, data = int(message["at"]), memoryview(buffers[0]).cast("B")
        if at > upload.received or at < 0:
            if not upload.waiting:
                upload.waiting = True
                self.send({"do": "got", "id": upload.id, "received": upload.received, "back": True})
            return
        new = data[upload.received - at :]
        if at + len(data) > upload.size:
            with self._refusing(upload.id):
                sentence = "{name} is larger than it said; the upload was stopped. Send it again."
                raise AudioError(sentence, name=upload.name)
        with self._refusing(upload.id):
            try:
                upload.file.write(new)
            except OSError as error:
                why = error.strerror or error
                sentence = "{name} could not be stored ({why}): free some disk space."
                raise AudioError(sentence, name=upload.name, why=why) from error
        if self._upload is not upload:
            return
        upload.waiting = False
        upload.received += len(new)
        self.send({"do": "got", "id": upload.id, "received": upload.received})
        if upload.received == upload.size:
            self._upload = None
            upload.file.seek(0)
            self.received(upload.file, upload.name, reference=upload.reference)

    def do_where(self, message: dict[str, Any], _buffers: Any) -> None:
        """How far an upload has come: asked after a silence, `sent` being the bytes that have left the browser."""
        upload = self._expected(message)
        if upload is not None:
            lost = upload.received < int(message.get("sent", 0))
            self.send({"do": "got", "id": upload.id, "received": upload.received, "back": lost})

    def do_drop_upload(self, message: dict[str, Any], _buffers: Any) -> None:
        """The person has changed their mind."""
        if self._upload is not None and message.get("id") in (None, self._upload.id):
            self._drop_upload()

    def _expected(self, message: dict[str, Any]) -> _Upload | None:
        """The upload that a message speaks of; what belongs to none is refused, which the page shows."""
        if self._upload is None or self._upload.id != str(message.get("id")):
            self.send({"do": "refused", "id": message.get("id")})
            return None
        return self._upload

    @contextmanager
    def _refusing(self, id: str) -> Iterator[None]:
        """Stop the upload and tell the browser before an error goes to the status line."""
        try:
            yield
        except AudioError:
            self._drop_upload()
            self.send({"do": "refused", "id": id, "said": True})
            raise

    def received(self, file: BinaryIO, name: str, *, reference: bool = False) -> None:
        """A whole file has arrived."""
        ending = Path(name).suffix.lower()
        if reference or ending in (".mid", ".midi"):
            self.session.open_reference(file, name)
        elif ending == ENDING:
            self.session.open_saved(file, name)
        else:
            self.session.open(file, name=name)

    def do_clear_status(self, _message: dict[str, Any], _buffers: Any) -> None:
        """The person has read the error."""
        from widgets.state.words import Status

        self.session.status = Status()

    def _drop_upload(self) -> None:
        if self._upload is not None:
            self._upload.file.close()
            self._upload = None
