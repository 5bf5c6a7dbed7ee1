"""What need not be computed twice: the network's posteriors by content of the recording, and the loaded network."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from amtsep.posteriors import Posteriors

MAX_BYTES = 1 << 30
"""The oldest files go when the folder holds more than this."""


def folder() -> Path:
    """Where posteriors are kept: ``AMTSEP_CACHE``, or the user's cache folder."""
    given = os.environ.get("AMTSEP_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "amtsep" / "posteriors"


def key(audio: Any, model: str) -> str:
    """Name for the posteriors of these samples by this network and these weights."""
    digest = hashlib.sha256(memoryview(audio.samples).cast("B"))
    digest.update(f"{audio.sample_rate}|{model}|{_weights(model)}".encode())
    return digest.hexdigest()[:40]


def _weights(model: str) -> str:
    """Size and time of the weight files, so that newer weights do not find older results."""
    from amtsep.inference import models_folder

    files = sorted(p for p in models_folder().glob(f"{model}.*") if p.is_file())
    return ";".join(f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files)


def load(name: str) -> Posteriors | None:
    """Posteriors under this name, or ``None``; a damaged file counts as absent and is deleted."""
    path = folder() / f"{name}.npz"
    if not path.is_file():
        return None
    try:
        posteriors = Posteriors.load(path)
        os.utime(path)
    except Exception:  # whatever NumPy, zip and zlib raise on damage
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return posteriors


def store(name: str, posteriors: Posteriors) -> None:
    """Keep posteriors under this name, in a thread; a full disk or a read-only home is no reason to fail."""

    def write() -> None:
        try:
            where = folder()
            where.mkdir(parents=True, exist_ok=True)
            part = where / f"{name}.{os.getpid()}.part"
            with part.open("wb") as file:
                posteriors.save(file)
            part.replace(where / f"{name}.npz")
            _trim(where)
        except OSError:
            pass

    threading.Thread(target=write, name="amtsep-cache", daemon=True).start()


def _trim(where: Path) -> None:
    files = sorted((p for p in where.glob("*.npz")), key=lambda p: p.stat().st_mtime, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > MAX_BYTES:
            path.unlink(missing_ok=True)


_lock = threading.Lock()


def transcriber(model: str, device: str) -> Any:
    """The loaded network; a kernel has one of each."""
    with _lock:
        return _load(model, device)


@lru_cache(maxsize=2)
def _load(model: str, device: str) -> Any:
    from amtsep.inference import Transcriber

    return Transcriber(model, device=device)
