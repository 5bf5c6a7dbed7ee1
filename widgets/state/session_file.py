"""One file that holds a session: the recording, the posteriors, thresholds, edits, tracks; reopens as it was.

A zip archive (``.amtsep``) of ``session.json``, ``posteriors.npz``, ``audio.flac`` (24 bit) and, where there are any,
``reference.json`` and ``written.json``. The autosave keeps the same members, without the posteriors, in a folder.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, BinaryIO

import numpy as np

from amtsep import formats
from amtsep.audio import Audio, clock
from amtsep.config import CleanUp, Clustering, Decoding, FrontEnd, Limits
from amtsep.errors import FormatError
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from widgets.state import history
from widgets.state.edits import Edits, Kit, Note, State, TrackView, check
from widgets.state.original import Original
from widgets.state.written import Written, kept

VERSION, PLAIN_VERSION = 3, 2
"""Since version 2 the energy tolerance is in seconds. Version 3 is written where notes are none that thresholds decode,
so that an older amtsep does not show others in their place; all other sessions are still of version 2."""
ENDING = ".amtsep"
MAX_UNPACKED = 4 << 30
"""Bytes that the members of a session file may unpack to: an hour with its embedding takes 2 GB."""
MAX_ORIGINAL = 400 << 20
"""Bytes of the recording as it was brought: a larger one is not kept beside the copy that the network heard."""
MAX_TEXT = 64 << 20
"""Bytes of ``session.json``, ``reference.json`` and ``written.json``."""
WRITTEN = "written.json"


@dataclass(frozen=True, eq=False)
class Saved:
    """A session as it is kept."""

    audio: Audio
    posteriors: Posteriors | None
    """``None`` where only the name of the posteriors in the cache is kept."""
    state: State
    reference: Notes | None = None
    reference_name: str = ""
    reference_heard: bool = False
    """Whether the reference is what another network found."""
    written: Written | None = None
    """The notes, where they are not decoded from posteriors."""
    sorted: Notes | None = None
    """The decoded notes with their timbres, so that tracks keep their numbers."""
    key: str = ""
    turn: int = 0
    original: Original | None = None
    """The recording as it was brought."""
    undo: tuple[State, ...] = ()
    """Steps to take back, the latest last; the autosave keeps them, a session file does not."""
    redo: tuple[State, ...] = ()
    reference_settings: tuple[object, ...] | None = None
    """What the reference was found with: a clean-up and, where thresholds decoded it, these and the clustering;
    ``None`` where no network found it, or where it was not kept."""
    model: str = ""
    """How the network is called that was chosen; empty in sessions of before that was kept."""


def sound_bytes(audio: Audio) -> tuple[bytes, float]:
    """A recording as FLAC, and the factor that it is played with.

    24-bit samples end at full scale; what lies over it is turned down.
    """
    import soundfile

    sound = io.BytesIO()
    gain = max(1.0, float(np.max(np.abs(audio.samples))) if len(audio.samples) else 0.0)
    soundfile.write(sound, audio.samples / gain, audio.sample_rate, format="FLAC", subtype="PCM_24")
    return sound.getvalue(), gain


def about_text(saved: Saved, gain: float, more: dict[str, Any] | None = None) -> str:
    """``session.json``."""
    grouped = saved.sorted
    about = {
        "amtsep_session": PLAIN_VERSION if saved.written is None else VERSION,
        "name": saved.audio.name,
        "gain": gain,
        "state": asdict(saved.state),
        "reference_name": saved.reference_name,
        "reference_heard": saved.reference_heard,
        "reference_settings": _plain(saved.reference_settings),
        "written": None if saved.written is None else {"by": saved.written.by, "network": saved.written.network},
        "posteriors": saved.key,
        "model": saved.model,
        "turn": saved.turn,
        "sorted": None
        if grouped is None
        else [grouped.pitch.tolist(), np.round(grouped.onset, 4).tolist(), grouped.track.tolist()],
        **(more or {}),
    }
    return json.dumps(about, ensure_ascii=False)


def write_session(saved: Saved) -> bytes:
    """The bytes of a session file."""
    if saved.posteriors is None:
        raise FormatError("A session without posteriors cannot be saved as a file.")
    sound, gain = sound_bytes(saved.audio)
    network = io.BytesIO()
    saved.posteriors.save(network)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("session.json", about_text(saved, gain))
        archive.writestr("audio.flac", sound)
        archive.writestr("posteriors.npz", network.getvalue())
        if saved.reference is not None:
            archive.writestr("reference.json", formats.json_text(saved.reference))
        if saved.written is not None:
            archive.writestr(WRITTEN, formats.json_text(saved.written.table()))
        original = None if saved.original is None else saved.original.read(MAX_ORIGINAL)
        if original is not None:
            archive.writestr("original", original)
    return out.getvalue()


def read_session(file: BinaryIO, name: str, limits: Limits = Limits()) -> Saved:  # noqa: B008 - a frozen value
    """What `write_session` wrote, every value checked.

    Raises
    ------
    FormatError
        If the file is none, is damaged, holds what cannot be, is over the limits, or comes from a newer version.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            size = {member.filename: member.file_size for member in archive.infolist()}
            texts = sum(size.get(member, 0) for member in ("session.json", "reference.json", WRITTEN))
            if sum(size.values()) > MAX_UNPACKED or texts > MAX_TEXT:
                raise FormatError("{name} unpacks to more than a session can hold; it was not opened.", name=name)

            def read(member: str) -> bytes | None:
                return archive.read(member) if member in size else None

            saved = read_members(read, name, limits)
            posteriors = Posteriors.load(io.BytesIO(archive.read("posteriors.npz")))
    except FormatError:
        raise
    except _DAMAGE as error:
        raise _damaged(name) from error
    if abs(posteriors.duration_s - saved.audio.duration_s) > 1.0:
        raise _damaged(name)
    # The key would name posteriors of this computer's cache; the file brings its own.
    return replace(saved, posteriors=posteriors, key="", turn=0)


_DAMAGE = (Exception,)
"""Whatever a damaged archive raises (zlib, zip, JSON, sound, memory) means the same to the person."""


def _damaged(name: str) -> FormatError:
    sentence = "{name} is no amtsep session or is damaged; choose a file saved with 'Session'."
    return FormatError(sentence, name=name)


def read_members(read: Callable[[str], bytes | None], name: str, limits: Limits) -> Saved:
    """A session without its posteriors from its members, every value checked; raises `FormatError`."""
    import soundfile

    try:
        about = json.loads(read("session.json") or b"")
        if int(about["amtsep_session"]) > VERSION:
            raise FormatError("{name} was written by a newer amtsep; update amtsep to open it.", name=name)
        _upgrade(about)
        state = _state(about["state"])
        gain = float(about["gain"])
        if not 1.0 <= gain < 1e6:
            raise ValueError("the gain lies outside its range")
        grouped = _sorted(about.get("sorted"))
        turn = int(about.get("turn", 0))
        text = read("reference.json")
        reference = None if text is None else formats.read_json(text, name=name)
        wrote, came = None, about.get("written")
        if came is not None:  # a table that nothing here speaks of is left of a writing that was interrupted
            text = read(WRITTEN)
            if text is None:
                raise ValueError("the notes as written are not there")
            wrote = kept(formats.read_json(text, name=name), str(came["by"]), bool(came["network"]))
        sound = read("audio.flac") or read("audio.wav") or b""  # the static page writes no FLAC
        with soundfile.SoundFile(io.BytesIO(sound)) as recording:
            if recording.channels != 1 or recording.samplerate <= 0 or recording.frames < 1:
                raise ValueError("the recording is none of ours")
            if recording.frames > limits.max_duration_s * recording.samplerate + 1:
                longest = clock(limits.max_duration_s)
                raise FormatError("{name} holds more than {length}; it was not opened.", name=name, length=longest)
            samples, rate = recording.read(dtype="float32"), recording.samplerate
        samples = (samples.reshape(-1) * np.float32(gain)).astype(np.float32)
        audio = Audio(samples, int(rate), str(about["name"]))
        named = str(about.get("reference_name", ""))
        brought = read("original")
        original = None if brought is None else Original(brought, audio.name)
        key = str(about.get("posteriors", ""))
        undo, redo = history.unpack(about.get("history"), state, _state)
        heard = bool(about.get("reference_heard", False))
        return Saved(
            audio,
            None,
            state,
            reference,
            named,
            heard,
            wrote,
            grouped,
            key,
            turn,
            original,
            undo,
            redo,
            _found_with(about.get("reference_settings")),
            str(about.get("model", "")),
        )
    except FormatError:
        raise
    except _DAMAGE as error:
        raise _damaged(name) from error


def _upgrade(about: dict[str, Any]) -> None:
    """Say what an older version wrote in the terms of this one."""
    if int(about["amtsep_session"]) > 1:
        return
    past = about.get("history")
    lists = [past.get(name) or () for name in ("undo", "redo")] if isinstance(past, dict) else []
    for state in (about["state"], *(step for steps in lists for step in steps)):
        decoding = state.get("decoding") if isinstance(state, dict) else None
        if isinstance(decoding, dict) and "energy_tolerance" in decoding:
            # In frames, of the front end that there was.
            decoding["energy_tolerance"] = round(decoding["energy_tolerance"] * FrontEnd().hop_s, 2)


def _plain(settings: tuple[Any, ...] | None) -> list[dict[str, Any]] | None:
    return None if settings is None else [asdict(part) for part in settings]


def _found_with(values: Any) -> tuple[object, ...] | None:
    """What `_plain` made of `Saved.reference_settings`."""
    if not values:
        return None
    return tuple(_settings(kind, part) for kind, part in zip((CleanUp, Decoding, Clustering), values, strict=False))


def _sorted(columns: Any) -> Notes | None:
    """The notes as they were sorted; their ends do not matter."""
    if not columns:
        return None
    pitch, onset, track = columns
    onset = np.asarray(onset, np.float64)
    return Notes.build(onset, onset + 0.05, pitch, track=track)


def _state(values: dict[str, Any]) -> State:
    state = State(
        decoding=_settings(Decoding, values["decoding"]),
        clustering=_settings(Clustering, values["clustering"]),
        edits=_edits(values["edits"]),
        tracks=tuple(_settings(TrackView, track) for track in values["tracks"]),
        taught=tuple((int(p), float(t), int(k)) for p, t, k in values["taught"]),
        merged=tuple((int(a), int(b)) for a, b in values["merged"]),
        found=int(values.get("found", 0)),
        beats=tuple((str(kind), str(value)) for kind, value in values.get("beats", ())),
        clean_up=_settings(CleanUp, values.get("clean_up", {})),
        # Before drums were heard there were none in a session.
        kit=_settings(Kit, values.get("kit", {"when": "off"})),
        strokes=_edits(values.get("strokes", {"removed": (), "added": ()})),
        sorted_by=str(values.get("sorted_by", "writer")),
    )
    check(state)
    return state


def _edits(values: dict[str, Any]) -> Edits:
    """Corrections; those of files from before notes had numbers get them here."""
    removed = tuple((int(p), float(t)) for p, t in values["removed"])
    return Edits(removed).put_in([_settings(Note, note) for note in values["added"]])


def _settings(kind: Any, values: dict[str, Any]) -> Any:
    """A settings class from a dictionary, leaving out what this version does not know; raises ``ValueError``."""
    known = {f.name: str(f.type) for f in fields(kind)}
    return kind(**{k: _value(v, known[k]) for k, v in values.items() if k in known})


def _value(value: Any, kind: str) -> Any:
    """A value of JSON as the type of its field; raises ``ValueError`` where it is of another."""
    if value is None and kind.endswith("| None"):
        return None
    kind = kind.removesuffix(" | None")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "float" and number and math.isfinite(value):
        return float(value)
    if kind == "int" and number and value == int(value):
        return int(value)
    if (kind == "bool" and isinstance(value, bool)) or (kind == "str" and isinstance(value, str)):
        return value
    raise ValueError(f"{value!r} is no {kind}")
