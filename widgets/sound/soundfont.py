"""The General MIDI soundfont that the browser plays notes with: found on this machine, never shipped."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def find_soundfont() -> Path | None:
    """``AMTSEP_SOUNDFONT``, or TimGM6mb from the pretty_midi wheel or the system, or ``None``."""
    given = os.environ.get("AMTSEP_SOUNDFONT")
    candidates = [Path(given)] if given else []
    spec = importlib.util.find_spec("pretty_midi")
    if spec is not None and spec.origin:
        candidates.append(Path(spec.origin).parent / "TimGM6mb.sf2")
    candidates.append(Path("/usr/share/sounds/sf2/TimGM6mb.sf2"))
    return next((p for p in candidates if p.is_file()), None)


def read_soundfont() -> bytes | None:
    """The soundfont's bytes, or ``None``."""
    path = find_soundfont()
    return None if path is None else path.read_bytes()
