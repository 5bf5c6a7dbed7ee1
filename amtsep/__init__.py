"""amtsep: a recording in, separate and editable note tracks out, one for each timbre in it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import amtsep.formats  # gives `Notes` its ways in and out of files

if TYPE_CHECKING:
    from amtsep.audio import Audio, from_samples, load_audio
    from amtsep.clustering import cluster
    from amtsep.config import Clustering, Decoding
    from amtsep.decoding import Decoder, decode, embed_notes
    from amtsep.errors import AmtsepError, AudioError, Cancelled, FormatError, ModelError
    from amtsep.inference import Transcriber
    from amtsep.notes import Note, Notes, Track
    from amtsep.pipeline import separate, transcribe
    from amtsep.posteriors import Posteriors

    __version__: str

# Names are looked up when they are first used, so that `amtsep --help` does not wait for SciPy and ONNX Runtime.
_HOMES = {
    "Audio": "audio",
    "from_samples": "audio",
    "load_audio": "audio",
    "cluster": "clustering",
    "Clustering": "config",
    "Decoding": "config",
    "Decoder": "decoding",
    "decode": "decoding",
    "embed_notes": "decoding",
    "AmtsepError": "errors",
    "AudioError": "errors",
    "Cancelled": "errors",
    "FormatError": "errors",
    "ModelError": "errors",
    "Transcriber": "inference",
    "Note": "notes",
    "Notes": "notes",
    "Track": "notes",
    "separate": "pipeline",
    "transcribe": "pipeline",
    "Posteriors": "posteriors",
}
__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("amtsep")
        except PackageNotFoundError:  # a checkout that was never installed
            return "0"
    if name not in _HOMES:
        raise AttributeError(f"module 'amtsep' has no attribute '{name}'")
    return getattr(import_module(f"amtsep.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
