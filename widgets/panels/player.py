"""Sound: the recording and the transcription, played by the browser alone."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
from traitlets import Bool, Dict, Float

from amtsep.notes import Notes
from widgets.panels.roll import Roll
from widgets.state.session import Session

ORIGINAL_CHUNK = 1 << 20
"""Bytes in one message to the browser."""
SOUND_CHUNK = 1 << 19
"""Samples (16-bit) in one message to the browser."""


class Player(Roll):
    """Transport bar: play, loop, cross-fader, speed. Follows the same session as any `Roll` beside it."""

    sound = Dict().tag(sync=True)
    """What can be asked for: `version` changes with the recording."""
    playing = Bool(False).tag(sync=True)
    """Whether it sounds; setting it starts and stops (browsers want a click on the page before the first sound)."""
    speed = Float(1.0).tag(sync=True)
    """One quarter to two, the pitch kept."""
    position = Float(0.0).tag(sync=True)
    """Seconds, told every `report_s` while it plays and at its end; setting it jumps there."""
    report_s = Float(0.0).tag(sync=True)
    """How often `position` is told; 0, the default, leaves it out and the kernel in peace."""

    def __init__(self, session: Session | Notes | None = None, **kwargs: Any) -> None:
        super().__init__(session, **kwargs)
        self.panel = "player"
        self._version = 0
        self._full: bytes | None = None
        self.follow(self._on_audio, "audio")
        self._on_audio()

    def _on_audio(self, _change: Any = None) -> None:
        audio = self.session.audio
        self._version += 1
        self._full = None
        self.sound = (
            {}
            if audio is None
            else {
                "version": self._version,
                "recording": self.session.version,
                "original": self.session.original is not None,
                "samples": len(audio.samples),
                "rate": audio.sample_rate,
                "name": audio.name,
            }
        )

    def _on_posteriors(self, _change: Any = None) -> None:
        """The picture is the roll's."""
        posteriors = self.session.posteriors
        self.about = {"duration": self.session.notes.end if posteriors is None else posteriors.duration_s}

    def audition(self, pitch: int, program: int = 0, seconds: float = 0.8) -> None:
        """Sound one note at once, with a General MIDI program (0 to 127)."""
        self.send({"do": "audition", "pitch": int(pitch), "program": int(program), "seconds": float(seconds)})

    def do_sound(self, message: dict[str, Any], _buffers: Any) -> None:
        """Send a piece of the recording, 16-bit."""
        audio = self.session.audio
        start = int(message["start"])
        if audio is None or int(message["version"]) != self._version or start < 0:
            return
        piece = audio.samples[start : start + SOUND_CHUNK]
        data = np.round(np.clip(piece, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        self.send({"do": "sound", "version": self._version, "start": start}, [data])

    def do_original(self, message: dict[str, Any], _buffers: Any) -> None:
        """Send a piece of the recording as it was brought (FLAC); made in a thread when first asked for."""
        version, start, original = int(message["version"]), int(message["start"]), self.session.original
        if version != self._version or original is None or start < 0:
            return
        if start or self._full is not None:
            self._send_original(start)
            return

        def make() -> None:
            # What hinders it costs the listener some treble, and nothing else.
            with contextlib.suppress(Exception):
                sound = original.sound(self.session.limits)
                self.session.soon(lambda: begin(sound))

        def begin(sound: bytes | None) -> None:
            if sound is not None and version == self._version:
                self._full = sound
                self._send_original(0)

        threading.Thread(target=make, name="amtsep-original", daemon=True).start()

    def _send_original(self, start: int) -> None:
        if self._full is None:
            return
        size, piece = len(self._full), self._full[start : start + ORIGINAL_CHUNK]
        if start + len(piece) >= size:
            self._full = None
        self.send({"do": "original", "version": self._version, "start": start, "size": size}, [piece])

    def do_soundfont(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Send the General MIDI soundfont, if there is one on this machine."""
        from widgets.sound.soundfont import read_soundfont

        data = read_soundfont()
        if data is None:
            self.send({"do": "soundfont", "size": 0})
            return
        self.send({"do": "soundfont", "size": len(data)}, [data])
