"""Keeps a session on disk while one works, so that a reload, a crash or a restart costs nothing.

Each recording that is opened has a folder of its own with the members of a session file (see `session_file`),
the posteriors excepted, which wait in the cache. It is written after every change, in a thread, to a temporary name
that then takes the place of the one before.

A state is more than one file, and only ``session.json`` says which: tables of notes are written under names of their
own first, then ``session.json`` with these names takes the place of the one before, and what no one names any more
goes last. So the state before can be read until the one after is there whole, wherever the writing ends.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amtsep import formats
from amtsep.errors import FormatError
from widgets.state import history
from widgets.state.edits import worked_on
from widgets.state.session import Session
from widgets.state.session_file import MAX_ORIGINAL, WRITTEN, Saved, about_text, read_members, sound_bytes
from widgets.state.words import Status

KEEP = 10
"""Sessions that are kept (for each visitor, where several share a server)."""
MAX_BYTES = 8 << 30
"""Of all visitors together."""
PAUSE_S = 0.15
"""Between two writings while a slider is being dragged."""
KEPT = ["audio", "state", "written", "reference", "turn", "steps"]
"""What of a session is worth writing when it changes."""
ABOUT, SOUND, REFERENCE, ORIGINAL = "session.json", "audio.flac", "reference.json", "original"
NAMES = "members"
"""Where ``session.json`` says which files the tables of notes are in."""


def folder() -> Path:
    """Where sessions are kept: ``AMTSEP_SESSIONS``, or the user's folder for data."""
    given = os.environ.get("AMTSEP_SESSIONS")
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return base / "amtsep" / "sessions"


@dataclass(frozen=True)
class Entry:
    """A kept session, as the list shows it."""

    id: str
    name: str
    duration: float
    """Seconds of the recording."""
    saved: float
    """When, in seconds since 1970."""
    changes: int
    """Corrections by hand."""
    notes: int
    audio: str
    """Names the samples: two sessions of one recording have the same."""

    def to_dict(self) -> dict[str, Any]:
        """The plain form that travels to the browser."""
        return asdict(self)


def entries(where: Path) -> list[Entry]:
    """The kept sessions of a folder, the latest first."""
    found = []
    for path in where.glob(f"*/{ABOUT}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            about = json.loads(path.read_text(encoding="utf-8"))
            entry = Entry(**about["entry"])
            found.append(entry)
    return sorted(found, key=lambda e: e.saved, reverse=True)


class Autosave:
    """Follows a session and keeps it.

    Parameters
    ----------
    session
        What to keep.
    shared
        Whether visitors who do not know one another use this server: each then sees only what `visitor` names, and
        nothing is kept before that is called.
    """

    def __init__(self, session: Session, shared: bool = False) -> None:
        self.session, self.shared = session, shared
        self.where: Path | None = None if shared else folder() / "own"
        self.saved_turn = 0
        """Number of the last correction that is safely on disk."""
        self.on_saved: Callable[[], None] = lambda: None
        self.earlier: Entry | None = None
        """What is kept of the same recording from before, with corrections that the present session lacks."""
        self.left: Entry | None = None
        """The session with corrections that the present one took the place of."""
        self._audio: Any = None
        self._work: dict[str, tuple[Path, Saved, Entry]] = {}
        """What is to be written, the latest of each session."""
        self._digest = ""
        self._gain = 1.0
        self._stored: tuple[Path, Any, int] | None = None
        self._named: set[str] = set()
        """Files that the ``session.json`` written last names."""
        self._wake = threading.Condition()
        self._writing = False
        self._thread: threading.Thread | None = None
        self._complained = False
        self._closed = False
        self._last: Entry | None = None
        session.observe(self._on_change, KEPT)
        atexit.register(self.flush)

    def close(self) -> None:
        """Write what is left, and follow the session no longer."""
        self.session.unobserve(self._on_change, KEPT)
        self.flush()
        atexit.unregister(self.flush)
        self.on_saved = lambda: None
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    # --- the list ---------------------------------------------------------------------------------------------------

    def visitor(self, name: str) -> None:
        """Who this page belongs to, on a shared server: a secret that the browser keeps."""
        if self.shared and len(name) >= 16:
            self.where = folder() / hashlib.sha256(name.encode()).hexdigest()[:32]

    def recent(self) -> list[Entry]:
        """Kept sessions to go on with, without the one that is open."""
        return [] if self.where is None else [e for e in entries(self.where) if e.id != self.session.slot][:KEEP]

    def go_on(self, id: str, then: Callable[[], None] | None = None) -> None:
        """Open a kept session; raises `FormatError` if it is not there."""
        entry = next((e for e in self.recent() if e.id == id), None)
        if entry is None or self.where is None:
            raise FormatError("That session is no longer kept; open the recording again.")
        read = _reader(self.where / entry.id)
        self.flush()
        self.session.restore(lambda: read_members(read, entry.name, self.session.limits), entry.name, entry.id, then)

    # --- keeping ----------------------------------------------------------------------------------------------------

    def _on_change(self, _change: Any = None) -> None:
        session = self.session
        if session.audio is None or session.posteriors is None or self.where is None:
            return
        if session.audio is not self._audio:
            self._begin(self.where)
        saved = session.snapshot()
        entry = Entry(
            session.slot,
            saved.audio.name,
            saved.audio.duration_s,
            time.time(),
            worked_on(saved.state),
            len(session.notes),
            self._digest,
        )
        with self._wake:
            self._work[entry.id] = (self.where, saved, entry)
            self._last = entry
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="amtsep-autosave", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def _begin(self, where: Path) -> None:
        """Another recording is open: choose where it is kept."""
        session = self.session
        before = self._last
        self._audio = session.audio
        self._digest = hashlib.sha256(memoryview(session.audio.samples).cast("B")).hexdigest()[:32]
        known = entries(where)
        self.left = before if before is not None and before.changes and before.id != session.slot else None
        if session.slot:
            self.earlier = None
            return
        same = [e for e in known if e.audio == self._digest]
        untouched = next((e for e in same if not e.changes), None)
        self.earlier = next((e for e in same if e.changes), None)
        session.slot = uuid.uuid4().hex[:16] if untouched is None else untouched.id

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything is on disk."""
        with self._wake:
            self._wake.wait_for(lambda: not self._work and not self._writing, timeout_s)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: bool(self._work) or self._closed, 30.0)
                if not self._work:
                    self._thread = None
                    return
                work, self._writing = self._work.pop(next(iter(self._work))), True
            try:
                self._write(*work)
                self._complained = False
            except Exception as error:
                self._complain(error)
            finally:
                del work  # it holds the recording
                with self._wake:
                    self._writing = False
                    self._wake.notify_all()
            time.sleep(PAUSE_S)

    def _write(self, root: Path, saved: Saved, entry: Entry) -> None:
        where = root / entry.id
        about = where / ABOUT
        known = self._stored
        if known is not None and known[0] == where and _changed(about) not in (0, known[2]):
            # Another page has gone on with this session: what is done here is kept beside it.
            entry = Entry(**{**asdict(entry), "id": uuid.uuid4().hex[:16]})
            if self.session.slot == where.name:
                self.session.slot = entry.id
            where = root / entry.id
            about = where / ABOUT
        new = not where.is_dir()
        where.mkdir(parents=True, exist_ok=True)
        if known is None or known[0] != where or known[1] is not saved.audio or not (where / SOUND).is_file():
            self._write_sound(where, saved)
        names = _write_tables(where, saved)
        history_of = history.pack(saved.state, saved.undo, saved.redo)
        more = {"entry": entry.to_dict(), "history": history_of, NAMES: names}
        _replace(about, about_text(saved, self._gain, more).encode())
        self._stored = (where, saved.audio, _changed(about))
        self.saved_turn = saved.turn
        self._tell(self.on_saved)
        named = {name for name in names.values() if name is not None}
        _let_go(where, named | self._named)  # a page that reloads may be reading the state before
        self._named = named
        if new:
            _trim(root, where)

    def _write_sound(self, where: Path, saved: Saved) -> None:
        """The recording, in place of none or of the same one: a folder has one recording as long as it is there."""
        sound, gain = sound_bytes(saved.audio)
        _replace(where / SOUND, sound)
        original = None if saved.original is None else saved.original.read(MAX_ORIGINAL)
        if original is not None:
            _replace(where / ORIGINAL, original)
        self._gain = gain

    def _complain(self, error: BaseException) -> None:
        """A full disk costs nothing yet, but the person must know that nothing is being kept."""
        if self._complained:
            return
        self._complained = True
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        status = Status("error", "not_kept", {"why": why})
        self._tell(lambda: setattr(self.session, "status", status))

    def _tell(self, call: Callable[[], None]) -> None:
        self.session.soon(call)


def _write_tables(where: Path, saved: Saved) -> dict[str, str | None]:
    """Write the tables of notes beside those of the state before; returns the file of each member, if it has one.

    A file is called by what it holds: the same table again is there already.
    """
    names: dict[str, str | None] = {}
    for member, table in (
        (REFERENCE, saved.reference),
        (WRITTEN, None if saved.written is None else saved.written.table()),
    ):
        names[member] = None
        if table is not None:
            data = formats.json_text(table).encode()
            path = where / f"{Path(member).stem}-{hashlib.sha256(data).hexdigest()[:16]}.json"
            if not path.is_file():
                _replace(path, data)
            names[member] = path.name
    return names


def _let_go(where: Path, named: set[str]) -> None:
    """Delete tables of notes that no state needs."""
    for member in (REFERENCE, WRITTEN):
        for path in where.glob(f"{Path(member).stem}*.json"):
            if path.name not in named:
                with contextlib.suppress(OSError):  # it does no harm, and goes the next time
                    path.unlink()


def _reader(where: Path) -> Callable[[str], bytes | None]:
    """Members of a kept session, for `read_members`, which begins with ``session.json``.

    Before tables had names of their own they were called as in a session file.
    """
    names: dict[str, str | None] = {}

    def read(member: str) -> bytes | None:
        name = names.get(member, member)
        if name is None:
            return None
        if member in names:
            return (where / name).read_bytes()  # what is named is there, or the session is damaged
        path = where / name
        data = path.read_bytes() if path.is_file() else None
        if member == ABOUT and data is not None:
            names.update(json.loads(data).get(NAMES, {}))
        return data

    return read


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that at no moment half of it is there."""
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _trim(root: Path, current: Path) -> None:
    """Let go of what is over `KEEP`: first what nobody has worked on, then the oldest; and of what fills the disk."""
    known = [e for e in entries(root) if e.id != current.name]
    spare = sorted(known, key=lambda e: (e.changes > 0, e.saved))
    for entry in spare[: max(0, len(known) + 1 - KEEP)]:
        shutil.rmtree(root / entry.id, ignore_errors=True)
    sounds = sorted(root.parent.glob(f"*/*/{SOUND}"), key=_changed, reverse=True)
    total = 0
    for path in sounds:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
            original = path.with_name(ORIGINAL)
            total += original.stat().st_size if original.is_file() else 0
            if total > MAX_BYTES and path.parent != current:
                shutil.rmtree(path.parent, ignore_errors=True)
