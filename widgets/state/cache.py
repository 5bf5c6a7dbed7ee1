"""The cache (`amtsep.cache`) as a page uses it: keys of samples, writing in a thread, the loaded network."""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np

from amtsep import cache, inference
from amtsep.audio import Audio
from amtsep.inference import model_hash
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.sequence.files import mark, writes_notes
from widgets.state import network
from widgets.state.network import local_transcriber, local_writer

__all__ = ["key", "local_transcriber", "local_writer", "store", "transcriber", "with_drums", "writer"]


def key(audio: Audio, model: str) -> str:
    """Name for the posteriors of these samples by this network and these weights, and for the notes that it wrote."""
    digest = hashlib.sha256(np.ascontiguousarray(audio.samples).data)
    digest.update(str(audio.sample_rate).encode())
    return cache.posteriors_key(digest.hexdigest(), mark(model) if writes_notes(model) else model_hash(model))


def store(name: str, posteriors: Posteriors, notes: Notes | None = None) -> None:
    """Keep posteriors, and the notes that were written with them, under this name, in a thread."""

    def run() -> None:
        if notes is not None:
            cache.store_notes(name, notes)
        cache.store_posteriors(name, posteriors)

    threading.Thread(target=run, name="amtsep-cache", daemon=True).start()


def transcriber(model: str, device: str) -> Any:
    """The network: that of the process which all pages of a server share, or one of our own."""
    if not network.available():
        return local_transcriber(model, device)

    def run(audio: Any, progress: Any = None, drums: bool = False) -> Posteriors:
        try:
            return network.transcribe(model, device, audio, progress, drums)
        except network.UnreachableError:
            return cast(Posteriors, local_transcriber(model, device)(audio, progress=progress, drums=drums))

    return run


def writer(model: str, device: str) -> Any:
    """A network that writes its notes: posteriors and notes of a recording; run where `transcriber` is."""
    if not network.available():
        return local_writer(model, device)

    def run(audio: Any, progress: Any = None) -> tuple[Posteriors, Notes]:
        try:
            return network.write(model, device, audio, progress)
        except network.UnreachableError:
            return cast(tuple[Posteriors, Notes], local_writer(model, device)(audio, progress=progress))

    return run


def with_drums(posteriors: Posteriors, audio: Audio, progress: Any = None) -> Posteriors:
    """Posteriors with what there is to hear of drums, for those that were made without."""
    if network.available():
        with suppress(network.UnreachableError):
            return replace(posteriors, drums=network.hear_drums(bool(posteriors.tuning), audio, progress))
    return inference.with_drums(posteriors, audio, progress)
