"""One process that runs the network for all pages of a server: each page's own process stays small.

The server starts it (``python -m widgets.state.network``); the pages' processes find it by two environment
variables. Samples go over a local socket, posteriors come back as files of arrays in a folder that only this user can
read. Where the process cannot be reached, a page runs the network itself.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from functools import lru_cache
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep import formats, inference
from amtsep.audio import Audio
from amtsep.errors import AmtsepError, Cancelled, ModelError
from amtsep.inference import DRUM_MODEL
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.sequence.files import installed, writes_notes
from amtsep.tuning import in_tune
from widgets.state.parent import VARIABLE, end_with_parent

ADDRESS, KEY = "AMTSEP_INFERENCE", "AMTSEP_INFERENCE_KEY"
ARRAYS = ("onset", "frame", "spectrogram", "embedding", "offset", "drums")
NUMBERS = ("hop_s", "duration_s", "bins_per_octave", "model", "tuning")
NOTES = "notes.json"
"""What a network has written, beside the arrays."""
MODEL = "AMTSEP_MODEL"
"""The network that the server was told to begin with."""


class UnreachableError(Exception):
    """There is no such process, or it has ended."""


_lock = threading.Lock()


def default_model() -> str:
    """The installed network that tells timbres apart, or the light one."""
    return "base" if "base" in inference.available_models() else "light"


def first_model() -> str:
    """The network that a page begins with."""
    return os.environ.get(MODEL) or default_model()


def choices(*more: str) -> dict[str, str]:
    """Networks to choose from, and how each is called: those that give posteriors, then those that write notes.

    `more` are chosen already; one's own is called by its file, for where that lies is no visitor's business.
    """
    names = dict.fromkeys((*inference.available_models(), *installed(), first_model(), *more))
    return {name: Path(name).name for name in names if name}


def local_transcriber(model: str, device: str) -> Any:
    """The loaded network; a process has one of each."""
    with _lock:
        return _load_network(model, device)


def local_writer(model: str, device: str) -> Any:
    """The loaded network that writes notes; a process has the one used last."""
    with _lock:
        return _load_writer(model, device)


@lru_cache(maxsize=1)
def _load_writer(model: str, device: str) -> Any:
    from amtsep.sequence.writers import load_writer

    return load_writer(model, device)[0]


@lru_cache(maxsize=2)
def _load_network(model: str, device: str) -> Any:
    from amtsep.inference import Transcriber

    return Transcriber(model, device=device)


# --- a page's side ---------------------------------------------------------------------------------------------------


def available() -> bool:
    """Whether this process was told of one."""
    return bool(os.environ.get(ADDRESS) and os.environ.get(KEY))


def transcribe(model: str, device: str, audio: Audio, progress: Any = None, drums: bool = False) -> Posteriors:
    """A recording's posteriors, computed over there; with what there is to hear of drums where that is asked for.

    Raises
    ------
    UnreachableError
        If the process is not there, or ends on the way.
    Cancelled
        If `progress` returns ``False``.
    ModelError
        If the network cannot be run.
    """
    return _load(_ask((model, device, audio.sample_rate, drums), audio, progress))


def write(model: str, device: str, audio: Audio, progress: Any = None) -> tuple[Posteriors, Notes]:
    """A recording's posteriors and the notes that a sequence network wrote over there.

    Raises as `transcribe` does.
    """
    folder = _ask((model, device, audio.sample_rate, False), audio, progress)
    notes = formats.read_json(folder / NOTES)
    return _load(folder), notes


def hear_drums(tuned: bool, audio: Audio, progress: Any = None) -> NDArray[np.float32]:
    """The drum posterior of a recording, which is brought near 440 Hz first where it was for the notes (`tuned`).

    Raises as `transcribe` does.
    """
    folder = _ask((DRUM_MODEL, "", audio.sample_rate, tuned), audio, progress)
    heard = np.load(folder / "drums.npy", allow_pickle=False)
    shutil.rmtree(folder, ignore_errors=True)
    return np.asarray(heard, np.float32)


def _ask(request: tuple[str, str, int, bool], audio: Audio, progress: Any) -> Path:
    """Have a recording heard over there; returns the folder with the outcome."""
    try:
        with Client(os.environ[ADDRESS], authkey=bytes.fromhex(os.environ[KEY])) as line:
            line.send(request)
            line.send_bytes(np.ascontiguousarray(audio.samples).view(np.uint8).data)
            while True:
                kind, value = line.recv()
                if kind == "progress":
                    if progress is not None and progress(*value) is False:
                        raise Cancelled("cancelled")
                elif kind == "done":
                    return Path(value)
                else:
                    sentence, values = value
                    raise ModelError(sentence, **values)
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise UnreachableError from error


def _load(folder: Path) -> Posteriors:
    values: dict[str, Any] = {}
    for path in folder.glob("*.npy"):
        loaded = np.load(path, allow_pickle=False)
        values[path.stem] = loaded if path.stem in ARRAYS else loaded.item()
    shutil.rmtree(folder, ignore_errors=True)
    return Posteriors(**values)


# --- the process -----------------------------------------------------------------------------------------------------


def serve(address: str, key: bytes) -> None:
    """Answer pages until the server ends."""

    turn = threading.Lock()
    folder = Path(address).parent

    def answer(line: Connection) -> None:
        with line, suppress(OSError, EOFError, ValueError):
            model, device, rate, drums = line.recv()
            samples = np.frombuffer(line.recv_bytes(), np.float32)

            def report(done: float, total: float, what: str) -> bool:
                line.send(("progress", (done, total, what)))  # fails when the page has changed its mind
                return True

            notes: Notes | None = None
            try:
                while not turn.acquire(timeout=0.5):
                    report(0.0, 0.0, "transcribe")
                try:
                    audio = Audio(samples, rate)
                    if model == DRUM_MODEL:
                        found = {"drums": inference.hear_drums(in_tune(audio) if drums else audio, progress=report)}
                    else:
                        if writes_notes(model):
                            posteriors, notes = local_writer(model, device)(audio, progress=report)
                        else:
                            posteriors = local_transcriber(model, device)(audio, progress=report, drums=drums)
                        found = {name: getattr(posteriors, name) for name in (*ARRAYS, *NUMBERS)}
                finally:
                    turn.release()
            except AmtsepError as error:
                line.send(("error", error.parts()))
                return
            where = Path(tempfile.mkdtemp(dir=folder))
            for name, value in found.items():
                if value is not None:
                    np.save(where / f"{name}.npy", value)
            if notes is not None:
                formats.write_json(notes, where / NOTES)
            try:
                line.send(("done", str(where)))
            except OSError:
                shutil.rmtree(where, ignore_errors=True)

    with suppress(OSError):
        os.unlink(address)
    with Listener(address, backlog=64, authkey=key) as door:
        while True:
            try:
                line = door.accept()
            except Exception:  # whoever called has not shown the key, or has gone
                continue
            threading.Thread(target=answer, args=(line,), daemon=True).start()


class Helper:
    """Starts the process, and starts it again if it ends; belongs to the server."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="amtsep-"))
        pipe = rf"\\.\pipe\amtsep-{secrets.token_hex(8)}"
        self.address = pipe if sys.platform == "win32" else str(self.folder / "line")
        self.key = secrets.token_bytes(32)
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        """What the pages' processes are told."""
        return {ADDRESS: self.address, KEY: self.key.hex()}

    def keep(self) -> None:
        """Start the process if it is not there."""
        if self.process is None or self.process.poll() is not None:
            env = {**os.environ, **self.environment(), VARIABLE: str(os.getpid())}
            self.process = subprocess.Popen([sys.executable, "-m", "widgets.state.network"], env=env)

    def close(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    """The process itself."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it

    def warm() -> None:
        with suppress(Exception):  # what hinders it is said when a recording asks for the network
            model = first_model()
            (local_writer if writes_notes(model) else local_transcriber)(model, "auto")

    threading.Thread(target=warm, daemon=True).start()
    serve(os.environ[ADDRESS], bytes.fromhex(os.environ[KEY]))


if __name__ == "__main__":
    main()
