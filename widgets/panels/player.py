"""Sound: the recording and the transcription, played by the browser alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from traitlets import Dict

from amtsep.notes import Notes
from widgets.panels.roll import Roll
from widgets.state.session import Session

SOUND_CHUNK = 1 << 19
"""Samples (16-bit) in one message to the browser."""


class Player(Roll):
    """Transport bar: play, loop, cross-fader, speed. Follows the same session as any `Roll` beside it."""

    sound = Dict().tag(sync=True)
    """What can be asked for: `version` changes with the recording."""

    def __init__(self, session: Session | Notes | None = None, **kwargs: Any) -> None:
        super().__init__(session, **kwargs)
        self.panel = "player"
        self._version = 0
        self.session.observe(self._on_audio, "audio")
        self._on_audio()

    def _on_audio(self, _change: Any = None) -> None:
        audio = self.session.audio
        self._version += 1
        self.sound = (
            {}
            if audio is None
            else {
                "version": self._version,
                "samples": len(audio.samples),
                "rate": audio.sample_rate,
                "name": audio.name,
            }
        )

    def _on_posteriors(self, _change: Any = None) -> None:
        """The picture is the roll's."""
        posteriors = self.session.posteriors
        self.about = {"duration": self.session.notes.end if posteriors is None else posteriors.duration_s}

    def do_sound(self, message: dict[str, Any], _buffers: Any) -> None:
        """Send a piece of the recording, 16-bit."""
        audio = self.session.audio
        start = int(message["start"])
        if audio is None or int(message["version"]) != self._version or start < 0:
            return
        piece = audio.samples[start : start + SOUND_CHUNK]
        data = np.round(np.clip(piece, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        self.send({"do": "sound", "version": self._version, "start": start}, [data])

    def do_soundfont(self, _message: dict[str, Any], _buffers: Any) -> None:
        """Send the General MIDI soundfont, if there is one on this machine."""
        from widgets.sound.soundfont import read_soundfont

        data = read_soundfont()
        if data is None:
            self.send({"do": "soundfont", "size": 0})
            return
        self.send({"do": "soundfont", "size": len(data)}, [data])
