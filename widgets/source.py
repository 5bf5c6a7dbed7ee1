"""Where recordings come from: bundled clips, uploads in chunks, the microphone; and the line that says what goes on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

from traitlets import Dict, List

from amtsep import formats
from amtsep.errors import AudioError
from widgets.part import Part
from widgets.server import DEMOS
from widgets.session import Session
from widgets.session_file import ENDING

CHUNK_BYTES = 1 << 20
"""An upload travels in pieces of this size: far under any message limit of a server or proxy."""


def demos(folder: Path | None = None) -> list[dict[str, str]]:
    """The bundled clips: file name and a name for people."""
    where = DEMOS if folder is None else folder
    return [{"id": p.name, "name": p.stem.replace("_", " ").replace("-", " ")} for p in sorted(where.glob("*.ogg"))]


class _Upload:
    """Bytes that arrive in order, kept on disk until they are complete."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size, self.received, self.next = name, size, 0, 0
        self.file = cast(BinaryIO, tempfile.TemporaryFile(prefix="amtsep-"))  # noqa: SIM115 - closed by its owner


class Source(Part):
    """Choose a clip, drop or pick a file, record; see how far the work is; cancel it."""

    demos: List[dict[str, str]] = List().tag(sync=True)
    about = Dict().tag(sync=True)
    status = Dict().tag(sync=True)
    progress: Any = Dict(allow_none=True).tag(sync=True)
    limits = Dict().tag(sync=True)

    def __init__(self, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(session, part="source", **kwargs)
        self.demos = demos()
        self.limits = {
            "megabytes": self.session.limits.max_upload_mb,
            "minutes": self.session.limits.max_duration_s / 60.0,
            "chunk": CHUNK_BYTES,
        }
        self._upload: _Upload | None = None
        self.session.observe(self._on_status, "status")
        self.session.observe(self._on_progress, "progress")
        self.session.observe(self._on_audio, "audio")
        self._on_status()
        self._on_audio()
        self._on_progress()

    def _on_status(self, _change: Any = None) -> None:
        self.status = self.session.status.to_dict()

    def _on_progress(self, _change: Any = None) -> None:
        p = self.session.progress
        self.progress = None if p is None else {"done": p.done, "total": p.total, "what": p.what}

    def _on_audio(self, _change: Any = None) -> None:
        audio = self.session.audio
        self.about = {} if audio is None else {"name": audio.name, "duration": audio.duration_s}

    # --- messages ---------------------------------------------------------------------------------------------------

    def do_demo(self, message: dict[str, Any], _buffers: Any) -> None:
        """Open a bundled clip."""
        name = Path(str(message["id"])).name
        self.session.open(DEMOS / name)

    def do_cancel(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Stop the transcription."""
        self.session.cancel()

    def do_upload(self, message: dict[str, Any], _buffers: Any) -> None:
        """Begin an upload: refuse at once what is over the limit."""
        name, size = str(message["name"]), int(message["size"])
        self._drop_upload()
        limit = self.session.limits.max_upload_mb
        if size > limit * 1e6:
            self.send({"do": "refused"})
            raise AudioError(f"{name} is {size / 1e6:.0f} MB; the limit is {limit:g} MB: shorten or compress it.")
        if size == 0:
            self.send({"do": "refused"})
            raise AudioError(f"{name} is empty: it holds no sound. Choose another file.")
        self._upload = _Upload(name, size)
        self.send({"do": "go", "id": message.get("id")})

    def do_chunk(self, message: dict[str, Any], buffers: Any) -> None:
        """One piece; answered so that the browser sends no more than the connection carries."""
        upload = self._upload
        if upload is None or int(message["index"]) != upload.next:
            self.send({"do": "refused"})
            return
        data = bytes(buffers[0])
        upload.received += len(data)
        if upload.received > upload.size or upload.received > self.session.limits.max_upload_mb * 1e6:
            self._drop_upload()
            self.send({"do": "refused"})
            raise AudioError(f"{message.get('name', 'The file')} is larger than it said; the upload was stopped.")
        upload.file.write(data)
        upload.next += 1
        self.send({"do": "got", "received": upload.received})
        if upload.received == upload.size:
            self._upload = None
            upload.file.seek(0)
            self.received(upload.file, upload.name)

    def do_drop_upload(self, _message: dict[str, Any], _buffers: Any) -> None:
        """The person has changed their mind."""
        self._drop_upload()

    def received(self, file: BinaryIO, name: str) -> None:
        """A whole file has arrived."""
        ending = Path(name).suffix.lower()
        if ending == ENDING:
            self.session.open_saved(file, name)
        elif ending in (".mid", ".midi"):
            self.session.set_reference(formats.read_midi(file, name=name), name)
        else:
            self.session.open(file, name=name)

    def do_clear_status(self, _message: dict[str, Any], _buffers: Any) -> None:
        """The person has read the error."""
        from widgets.words import Status

        self.session.status = Status()

    def _drop_upload(self) -> None:
        if self._upload is not None:
            self._upload.file.close()
            self._upload = None
