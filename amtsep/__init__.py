"""amtsep: a recording in, separate and editable note tracks out, one for each timbre in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import amtsep.formats  # gives `Notes` its ways in and out of files
from amtsep.lazy import lazily

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
_MODULES = {
    "audio": ["Audio", "from_samples", "load_audio"],
    "clustering": ["cluster"],
    "config": ["Clustering", "Decoding"],
    "decoding": ["Decoder", "decode", "embed_notes"],
    "errors": ["AmtsepError", "AudioError", "Cancelled", "FormatError", "ModelError"],
    "inference": ["Transcriber"],
    "notes": ["Note", "Notes", "Track"],
    "pipeline": ["separate", "transcribe"],
    "posteriors": ["Posteriors"],
}
__all__ = [*sorted(name for names in _MODULES.values() for name in names), "__version__"]
_get = lazily(__name__, _MODULES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("amtsep")
        except PackageNotFoundError:  # a checkout that was never installed
            return "0"
    return _get(name)


def __dir__() -> list[str]:
    return sorted(__all__)
