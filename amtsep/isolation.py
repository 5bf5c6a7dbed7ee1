"""Decoding in a child process: a recording that crashes a decoder, or would take all memory, ends the child alone.

The parent sends nothing but the name of a file; the child sends blocks of samples, each behind a header of fixed size,
and at last that all went well or a sentence. It may use so much memory and so many seconds of a processor
(`Limits`), opens no network, and is ended when it falls silent.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Limits
from amtsep.decoders import Item, decode
from amtsep.errors import AudioError

HEADER = struct.Struct("<cIIId")
"""Kind, sample rate (or bytes of text), frames, channels, expected length in seconds."""
BLOCK, DONE, ERROR = b"B", b"D", b"E"
MOST_BYTES = 1 << 26
"""Of one block or sentence; what announces more is no message of ours."""

_CHILD = "import sys; from amtsep.isolation import serve; serve(sys.argv[1:])"


def decode_apart(handle: BinaryIO, name: str, limits: Limits) -> Iterator[Item]:
    """What `amtsep.decoders.decode` gives for a file, from a child process.

    Raises
    ------
    AudioError
        If the child says so, dies, or uses up its time or memory.
    """
    with _named(handle, name, limits) as path:
        words = [str(limits.decoder_memory_mb), str(limits.decoder_cpu_s), str(limits.max_channels), name, path]
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, *(os.fsencode(word) if os.name == "posix" else word for word in words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONSAFEPATH": "1", **_FEW_THREADS, **_where_we_are()},
        )
        assert child.stdout is not None
        try:
            yield from _blocks(child.stdout, child, name, limits)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


_FEW_THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _where_we_are() -> dict[str, str]:
    """The child finds this very package, wherever the parent found it."""
    root = str(Path(__file__).resolve().parents[1])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}


@contextmanager
def _named(handle: BinaryIO, name: str, limits: Limits) -> Iterator[str]:
    """Name of a file with the content of `handle`: its own, or a copy of what only memory holds."""
    own = getattr(handle, "name", None)
    if isinstance(own, (str, bytes)) and os.path.isfile(own):
        with suppress(OSError, AttributeError, ValueError):
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(own)):
                yield os.path.abspath(os.fsdecode(own))
                return
    try:
        with tempfile.TemporaryDirectory(prefix="amtsep-") as folder:
            path = Path(folder) / "recording"
            handle.seek(0)
            with path.open("wb") as file:
                shutil.copyfileobj(handle, file, 1 << 20)
            yield str(path)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise AudioError(
            "{name} cannot be unpacked ({said}); make room for temporary files.", name=name, said=said
        ) from error


def _blocks(pipe: IO[bytes], child: subprocess.Popen[bytes], name: str, limits: Limits) -> Iterator[Item]:
    while True:
        head = _read(pipe, HEADER.size, limits.decoder_silence_s)
        if len(head) < HEADER.size:
            raise _epitaph(child, name, limits)
        kind, first, frames, channels, expected_s = HEADER.unpack(head)
        size = {BLOCK: frames * channels * 4, ERROR: first, DONE: 0}.get(kind, MOST_BYTES + 1)
        body = _read(pipe, size, limits.decoder_silence_s) if size <= MOST_BYTES else b""
        if len(body) < size:
            raise _epitaph(child, name, limits)
        if kind == DONE:
            return
        if kind == ERROR:
            sentence, values = json.loads(body)
            raise AudioError(sentence, **values)
        yield first, np.frombuffer(body, np.float32).reshape(frames, channels), expected_s


def _read(pipe: IO[bytes], size: int, silence_s: float) -> bytes:
    """So many bytes, or fewer where the child ends or falls silent before."""
    got = bytearray()
    while len(got) < size:
        if os.name == "posix" and not select.select([pipe], [], [], silence_s)[0]:
            break
        piece = os.read(pipe.fileno(), min(size - len(got), 1 << 20))
        if not piece:
            break
        got += piece
    return bytes(got)


def _epitaph(child: subprocess.Popen[bytes], name: str, limits: Limits) -> AudioError:
    """Why a child ended that did not say so."""
    try:
        status = child.wait(timeout=1)
    except subprocess.TimeoutExpired:
        sentence = "{name} keeps its decoder busy without giving any sound; it is damaged: export it again."
        return AudioError(sentence, name=name)
    if status in (-24, -9) or status == 137:
        sentence = "{name} takes more time or memory to decode than it may ({limit:g} s); export it again."
        return AudioError(sentence, name=name, limit=limits.decoder_cpu_s)
    sentence = "{name} crashes its decoder; it is damaged, or of an odd kind: convert it to WAV or FLAC."
    return AudioError(sentence, name=name)


def serve(words: list[str]) -> None:
    """In the child: decode the file and write its blocks to standard output."""
    memory_mb, cpu_s, channels = (float(word) for word in words[:3])
    name, path = words[3:]
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    # Whatever a library prints must not get among the blocks.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _confine(int(memory_mb) << 20, int(cpu_s))
    try:
        with Path(path).open("rb") as handle:
            for rate, block, expected_s in decode(handle, name, Limits(max_channels=int(channels))):
                for some in _portions(block):
                    _send(out, HEADER.pack(BLOCK, rate, *some.shape, expected_s), some.tobytes())
        _send(out, HEADER.pack(DONE, 0, 0, 0, 0.0))
    except AudioError as error:
        _refuse(out, error)
    except MemoryError:
        sentence = "{name} takes more than {limit:g} MB of memory to decode; export it again."
        _refuse(out, AudioError(sentence, name=name, limit=memory_mb))
    except BrokenPipeError:
        return
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        _refuse(out, AudioError("{name} cannot be read ({said}); check the file.", name=name, said=said))


def _portions(block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    step = max(1, MOST_BYTES // 4 // max(block.shape[1], 1))
    for start in range(0, len(block), step):
        yield np.ascontiguousarray(block[start : start + step], np.float32)


def _refuse(out: IO[bytes], error: AudioError) -> None:
    text = json.dumps(error.parts()).encode("ascii")
    _send(out, HEADER.pack(ERROR, len(text), 0, 0, 0.0), text)


def _send(out: IO[bytes], *parts: bytes) -> None:
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[out.write(view) :]


def _confine(memory: int, cpu_s: int) -> None:
    """Limits of memory and processor time, where the system has them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, amount in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            _, hard = resource.getrlimit(kind)
            most = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
            resource.setrlimit(kind, (most, most))
