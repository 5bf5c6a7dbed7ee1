"""One file that holds a session: the recording, the posteriors, thresholds, edits, tracks; reopens as it was.

A zip archive (``.amtsep``) of ``session.json``, ``posteriors.npz``, ``audio.flac`` (24 bit) and, where there is one,
``reference.json``.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, fields
from typing import Any, BinaryIO

import numpy as np

from amtsep import formats
from amtsep.audio import Audio
from amtsep.config import Clustering, Decoding
from amtsep.errors import FormatError
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from widgets.state import Edits, Note, State, TrackView

VERSION = 1
ENDING = ".amtsep"
MAX_UNPACKED = 4 << 30
"""Bytes that the members of a session file may unpack to: an hour with its embedding takes 2 GB."""


def write_session(audio: Audio, posteriors: Posteriors, state: State, reference: Notes | None, name: str) -> bytes:
    """The bytes of a session file."""
    import soundfile

    sound = io.BytesIO()
    peak = float(np.max(np.abs(audio.samples))) if len(audio.samples) else 0.0
    # 24-bit samples end at full scale; what lies over it is turned down and the factor kept.
    gain = max(1.0, peak)
    soundfile.write(sound, audio.samples / gain, audio.sample_rate, format="FLAC", subtype="PCM_24")
    network = io.BytesIO()
    posteriors.save(network)
    about = {
        "amtsep_session": VERSION,
        "name": audio.name,
        "gain": gain,
        "state": asdict(state),
        "reference_name": name,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("session.json", json.dumps(about, ensure_ascii=False, indent=1))
        archive.writestr("audio.flac", sound.getvalue())
        archive.writestr("posteriors.npz", network.getvalue())
        if reference is not None:
            archive.writestr("reference.json", formats.json_text(reference))
    return out.getvalue()


def read_session(file: BinaryIO, name: str) -> tuple[Audio, Posteriors, State, Notes | None, str]:
    """What `write_session` wrote.

    Raises
    ------
    FormatError
        If the file is none, is damaged, or comes from a newer version.
    """
    import soundfile

    try:
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED:
                raise FormatError(f"{name} unpacks to more than a session can hold; it was not opened.")
            about = json.loads(archive.read("session.json"))
            if int(about["amtsep_session"]) > VERSION:
                raise FormatError(f"{name} was written by a newer amtsep; update amtsep to open it.")
            samples, rate = soundfile.read(io.BytesIO(archive.read("audio.flac")), dtype="float32")
            posteriors = Posteriors.load(io.BytesIO(archive.read("posteriors.npz")))
            reference = None
            if "reference.json" in archive.namelist():
                reference = formats.read_json(io.BytesIO(archive.read("reference.json")), name=name)
        samples = (samples.reshape(-1) * np.float32(about["gain"])).astype(np.float32)
        audio = Audio(samples, int(rate), str(about["name"]))
        return audio, posteriors, _state(about["state"]), reference, str(about.get("reference_name", ""))
    except FormatError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
        raise FormatError(f"{name} is no amtsep session or is damaged; choose a file saved with 'Session'.") from error


def _state(values: dict[str, Any]) -> State:
    edits = values["edits"]
    return State(
        decoding=_settings(Decoding, values["decoding"]),
        clustering=_settings(Clustering, values["clustering"]),
        edits=Edits(
            tuple((int(p), float(t)) for p, t in edits["removed"]),
            tuple(_settings(Note, note) for note in edits["added"]),
        ),
        tracks=tuple(_settings(TrackView, track) for track in values["tracks"]),
        taught=tuple((int(p), float(t), int(k)) for p, t, k in values["taught"]),
        merged=tuple((int(a), int(b)) for a, b in values["merged"]),
    )


def _settings(kind: Any, values: dict[str, Any]) -> Any:
    """A settings class from a dictionary, leaving out what this version does not know."""
    known = {f.name for f in fields(kind)}
    return kind(**{k: v for k, v in values.items() if k in known})
