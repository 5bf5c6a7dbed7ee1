"""The recording as it was brought: what one hears on the page, while the network hears a copy of its own."""

from __future__ import annotations

import io
import threading
from os import PathLike
from pathlib import Path
from typing import Any

from amtsep.audio import playback_flac
from amtsep.config import Limits

MAX_SAMPLES = 100_000_000
"""Of all channels together, as the browser holds them (four bytes each): seventeen minutes of stereo at 48 kHz. Of
longer recordings the channels are mixed, and those that are too long even so are heard as the network hears them."""


class Original:
    """A recording's own bytes.

    Parameters
    ----------
    source
        Path, bytes, or a binary file object, which is read from its beginning.
    name
        As in messages.
    """

    def __init__(self, source: Any, name: str) -> None:
        self.source, self.name = source, name
        self._lock = threading.Lock()

    def read(self, at_most: int) -> bytes | None:
        """All of it; ``None`` where it is gone or larger than so many bytes."""
        try:
            with self._lock:
                if isinstance(self.source, (str, PathLike)):
                    path = Path(self.source)
                    return path.read_bytes() if path.stat().st_size <= at_most else None
                if isinstance(self.source, (bytes, bytearray, memoryview)):
                    return bytes(self.source) if memoryview(self.source).nbytes <= at_most else None
                size = self.source.seek(0, io.SEEK_END)
                self.source.seek(0)
                return bytes(self.source.read()) if size <= at_most else None
        except (OSError, ValueError, AttributeError):
            return None

    def sound(self, limits: Limits) -> bytes | None:
        """As FLAC, full band and stereo where it is; ``None`` where there is no more in it than the network hears."""
        data = self.read(int(limits.max_upload_mb * 1e6))
        if data is None:
            return None
        return playback_flac(data, name=self.name, limits=limits, max_samples=MAX_SAMPLES)
