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
from amtsep.posteriors import Posteriors
from widgets.state import network
from widgets.state.network import local_transcriber

__all__ = ["key", "local_transcriber", "store", "transcriber", "with_drums"]


def key(audio: Audio, model: str) -> str:
    """Name for the posteriors of these samples by this network and these weights."""
    digest = hashlib.sha256(np.ascontiguousarray(audio.samples).data)
    digest.update(str(audio.sample_rate).encode())
    return cache.posteriors_key(digest.hexdigest(), model_hash(model))


def store(name: str, posteriors: Posteriors) -> None:
    """Keep posteriors under this name, in a thread."""
    threading.Thread(target=cache.store_posteriors, args=(name, posteriors), name="amtsep-cache", daemon=True).start()


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


def with_drums(posteriors: Posteriors, audio: Audio, progress: Any = None) -> Posteriors:
    """Posteriors with what there is to hear of drums, for those that were made without."""
    if network.available():
        with suppress(network.UnreachableError):
            return replace(posteriors, drums=network.hear_drums(bool(posteriors.tuning), audio, progress))
    return inference.with_drums(posteriors, audio, progress)
