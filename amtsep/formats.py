"""Notes in and out of files: standard MIDI, CSV, JSON, and MusicXML (out only).

Each format has a function that makes the bytes or text (what a browser downloads), one that writes a file and one that
reads it back. Files are replaced in one step, so an interrupted program never leaves half of one.

Deviations worth knowing: MIDI and MusicXML hold no confidence and no embedding, and in MIDI two notes of one pitch in
one track cannot sound at once, so there the earlier one ends where the later one starts (see `separate_repeats`). CSV
names the track of a note, not its sound. JSON loses nothing.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Union, cast

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import FormatError
from amtsep.notes import Notes, Track

Target = Union[str, "PathLike[str]"]
Readable = Union[str, "PathLike[str]", bytes, BinaryIO]

TEMPO = 120.0
"""Beats a minute of a MIDI file that is given none: only its grid, the notes stay where they are in seconds."""
TICKS_PER_BEAT = 960
COLUMNS = ("onset_s", "offset_s", "pitch", "velocity", "confidence", "track")
JSON_FORMAT = "amtsep-notes"
JSON_VERSION = 1


# --- MIDI ------------------------------------------------------------------------------------------------------------


def separate_repeats(notes: Notes, shortest_s: float = 0.001) -> Notes:
    """End each note where the next one of its pitch and track starts, as MIDI needs it.

    Of notes that start together (within `shortest_s`) only the longest stays, with the highest velocity among them.
    """
    order = np.lexsort((notes.onset, notes.pitch, notes.track))
    onset, offset, velocity = notes.onset[order], notes.offset[order].copy(), notes.velocity[order].copy()
    key = notes.track[order].astype(np.int64) * 128 + notes.pitch[order]
    keep = np.ones(len(order), bool)
    last = -1
    for i in range(len(order)):
        if last >= 0 and key[i] == key[last]:
            if onset[i] - onset[last] < shortest_s:
                offset[last], velocity[last] = max(offset[i], offset[last]), max(velocity[i], velocity[last])
                keep[i] = False
                continue
            offset[last] = min(offset[last], onset[i])
        last = i
    new_offset, new_velocity, kept = notes.offset.copy(), notes.velocity.copy(), np.ones(len(order), bool)
    new_offset[order], new_velocity[order], kept[order] = offset, velocity, keep
    return replace(notes, offset=new_offset, velocity=new_velocity).select(kept)


def midi_bytes(notes: Notes, tempo: float = TEMPO, title: str = "") -> bytes:
    """A standard MIDI file (type 1): a tempo track, then one track a timbre with its name and General MIDI program.

    Parameters
    ----------
    notes
        Times are kept to within a quarter of a millisecond at 120 beats a minute.
    tempo
        Beats a minute, 10 to 960; sets the grid only.
    title
        Name of the tempo track.

    Raises
    ------
    FormatError
        If the tempo is out of range.
    """
    import mido

    if not 10.0 <= tempo <= 960.0:
        raise FormatError(f"A tempo of {tempo:g} beats a minute cannot be written; use 10 to 960.")
    # The tempo is stored in whole microseconds a beat: take the ticks from what the reader will see.
    beat_us = round(60e6 / tempo)
    ticks_per_beat = TICKS_PER_BEAT if tempo <= 160 else TICKS_PER_BEAT // 2
    ticks_per_s = ticks_per_beat * 1e6 / beat_us
    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat, charset="utf-8")
    conductor = mido.MidiTrack()
    if title:
        conductor.append(mido.MetaMessage("track_name", name=title, time=0))
    conductor.append(mido.MetaMessage("set_tempo", tempo=beat_us, time=0))
    conductor.append(mido.MetaMessage("time_signature", numerator=4, denominator=4, time=0))
    file.tracks.append(conductor)

    separated = separate_repeats(notes, shortest_s=1.0 / ticks_per_s)
    channels = [c for c in range(16) if c != 9]  # 9 is for drums
    for index, (track, own) in enumerate(separated.by_track()):
        channel = channels[index % len(channels)]
        start = np.round(own.onset * ticks_per_s).astype(np.int64)
        end = np.maximum(np.round(own.offset * ticks_per_s).astype(np.int64), start + 1)
        # At one tick, endings come before beginnings: a repeated note is not cut off by the end of the one before.
        events = [(int(t), 0, int(p), 0) for t, p in zip(end, own.pitch, strict=True)]
        events += [(int(t), 1, int(p), int(v)) for t, p, v in zip(start, own.pitch, own.velocity, strict=True)]
        events.sort()
        out = mido.MidiTrack()
        out.append(mido.MetaMessage("track_name", name=track.name, time=0))
        out.append(mido.Message("program_change", program=int(track.program), channel=channel, time=0))
        now = 0
        for tick, is_onset, pitch, velocity in events:
            kind = "note_on" if is_onset else "note_off"
            out.append(mido.Message(kind, note=pitch, velocity=velocity, channel=channel, time=tick - now))
            now = tick
        file.tracks.append(out)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def write_midi(notes: Notes, path: Target, tempo: float = TEMPO, title: str = "") -> Path:
    """Write a standard MIDI file; see `midi_bytes`."""
    return _write(path, midi_bytes(notes, tempo, title))


def read_midi(source: Readable, *, name: str | None = None) -> Notes:
    """Read a standard MIDI file of any type, tempo changes included; drums are left out, the pedal is not applied.

    Each (track, channel, program) that plays becomes a track; so does a named one that plays nothing. A note that is
    never ended ends with the last event of the file.

    Raises
    ------
    FormatError
        If the file is absent or no MIDI file.
    """
    import mido

    data, name = _read(source, name, "MIDI file")
    try:
        file = mido.MidiFile(file=io.BytesIO(data), charset="latin1", clip=True)
        return _notes_of_midi(file)
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise FormatError(f"{name} is not a MIDI file that can be read; export it as standard MIDI (.mid).") from error


def _notes_of_midi(file: Any) -> Notes:
    tempo_changes: list[tuple[int, int]] = []
    raw: list[tuple[int, int, int, int, int]] = []  # start tick, end tick, pitch, velocity, part
    parts: dict[tuple[int, int, int], int] = {}
    tracks: list[Track] = []
    for track_index, messages in enumerate(file.tracks):
        now, name = 0, ""
        program = [0] * 16
        sounding: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        before, has_program = len(tracks), False
        for message in messages:
            now += message.time
            if message.type == "set_tempo":
                tempo_changes.append((now, message.tempo))
            elif message.type == "track_name" and not name:
                name = _text(message.name)
            elif message.type == "program_change":
                program[message.channel], has_program = message.program, True
            elif message.type in ("note_on", "note_off") and message.channel != 9:
                key = (message.channel, message.note)
                if message.type == "note_on" and message.velocity > 0:
                    part_key = (track_index, message.channel, program[message.channel])
                    if part_key not in parts:
                        parts[part_key] = len(tracks)
                        tracks.append(Track(name or f"Track {len(tracks) + 1}", program[message.channel]))
                    sounding.setdefault(key, []).append((now, message.velocity, parts[part_key]))
                elif sounding.get(key):
                    start, velocity, part = sounding[key].pop(0)
                    raw.append((start, now, message.note, velocity, part))
        for (_, pitch), left in sounding.items():
            raw.extend((start, now, pitch, velocity, part) for start, velocity, part in left)
        for index in range(before, len(tracks)):
            if name and tracks[index].name != name:  # the name came after the first note
                tracks[index] = replace(tracks[index], name=name)
        if len(tracks) == before and has_program and name:
            tracks.append(Track(name, next((p for p in program if p), 0)))
    if not raw:
        return Notes.empty(tracks or (Track(),))
    table = np.array([row for row in raw if row[1] > row[0]], np.int64).reshape(-1, 5)
    onset, offset = (_tick_times(table[:, i], tempo_changes, file.ticks_per_beat) for i in (0, 1))
    return Notes.build(onset, offset, table[:, 2], table[:, 3], track=table[:, 4], tracks=tracks)


def _tick_times(ticks: NDArray[np.int64], changes: list[tuple[int, int]], ticks_per_beat: int) -> NDArray[np.float64]:
    """Seconds of ticks under a tempo map of (tick, microseconds a beat)."""
    if ticks_per_beat < 0:  # SMPTE: frames a second in the high byte, ticks a frame in the low one
        return ticks / float((256 - ((ticks_per_beat >> 8) & 0xFF)) * (ticks_per_beat & 0xFF))
    tempo_map = dict([(0, 500_000), *sorted(changes, key=lambda change: change[0])])
    at = np.array(sorted(tempo_map), np.int64)
    seconds_a_tick = np.array([tempo_map[int(t)] for t in at], np.float64) / (1e6 * ticks_per_beat)
    starts = np.concatenate([[0.0], np.cumsum(np.diff(at) * seconds_a_tick[:-1])])
    which = np.searchsorted(at, ticks, side="right") - 1
    return cast("NDArray[np.float64]", starts[which] + (ticks - at[which]) * seconds_a_tick[which])


def _text(latin1: str) -> str:
    """MIDI says nothing of how text is coded: UTF-8 where it is valid, else Latin-1."""
    try:
        return latin1.encode("latin1").decode("utf-8").strip("\0")
    except UnicodeError:
        return latin1.strip("\0")


# --- CSV -------------------------------------------------------------------------------------------------------------


def csv_text(notes: Notes) -> str:
    """A table with the header ``onset_s,offset_s,pitch,velocity,confidence,track``; `track` is the track's name."""
    names = _unique_names(notes.tracks)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for i in range(len(notes)):
        onset = round(float(notes.onset[i]), 6)
        offset = max(round(float(notes.offset[i]), 6), onset + 1e-6)
        writer.writerow(
            (
                f"{onset:.6f}",
                f"{offset:.6f}",
                int(notes.pitch[i]),
                int(notes.velocity[i]),
                f"{float(notes.confidence[i]):.6f}",
                names[int(notes.track[i])],
            )
        )
    return out.getvalue()


def write_csv(notes: Notes, path: Target) -> Path:
    """Write a CSV file in UTF-8; see `csv_text`."""
    return _write(path, csv_text(notes).encode("utf-8"))


def read_csv(source: Readable, *, name: str | None = None) -> Notes:
    """Read a CSV file with at least the columns `onset_s`, `offset_s` and `pitch`; tracks come in order of appearance.

    Raises
    ------
    FormatError
        If the file is absent, lacks a column, or a row holds something else than its column says (the row is named).
    """
    data, name = _read(source, name, "CSV file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{name} is not a CSV file in UTF-8; save it as CSV (UTF-8).") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        missing = [column for column in COLUMNS[:3] if column not in (reader.fieldnames or ())]
        if missing:
            raise FormatError(f"{name} has no column {missing[0]}; the first line must be {','.join(COLUMNS)}.")
        rows = list(reader)
    except csv.Error as error:
        raise FormatError(f"{name} is not a CSV file that can be read ({error}); save it again.") from error
    numbers: list[list[float]] = []
    tracks: dict[str, int] = {}
    which: list[int] = []
    for line, row in enumerate(rows, start=2):
        try:
            values = [float(row[c]) for c in COLUMNS[:3]]
            values += [float(row.get(c) or default) for c, default in (("velocity", 80), ("confidence", 1))]
            _check_values(values)
        except (TypeError, ValueError) as error:
            raise FormatError(f"{name}, line {line}, cannot be used ({error}); correct or delete that line.") from None
        numbers.append(values)
        which.append(tracks.setdefault(row.get("track") or "Notes", len(tracks)))
    columns = np.array(numbers, np.float64).reshape(-1, 5).T
    onset, offset, pitch, velocity, confidence = columns
    return Notes.build(
        onset, offset, pitch, velocity, confidence, which, tracks=[Track(n) for n in tracks] or [Track()]
    )


def _check_values(values: Sequence[float]) -> None:
    """Raise ValueError, naming what is wrong, unless (onset, offset, pitch, velocity, confidence) can be a note."""
    onset, offset, pitch, velocity, confidence = values
    if not (np.isfinite(onset) and np.isfinite(offset) and 0 <= onset < offset):
        raise ValueError(f"a note from {onset:g} to {offset:g} s")
    if not (0 <= pitch <= 127 and pitch == int(pitch)):
        raise ValueError(f"pitch {pitch:g} is not a MIDI number from 0 to 127")
    if not (1 <= velocity <= 127 and velocity == int(velocity)):
        raise ValueError(f"velocity {velocity:g} is not a whole number from 1 to 127")
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence {confidence:g} is not between 0 and 1")


def _unique_names(tracks: Sequence[Track]) -> list[str]:
    """Track names, told apart where two are alike or empty."""
    names: list[str] = []
    for index, track in enumerate(tracks):
        base = track.name.strip() or f"Track {index + 1}"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base} ({count})"
        names.append(name)
    return names


# --- JSON ------------------------------------------------------------------------------------------------------------


def json_text(notes: Notes, info: Mapping[str, Any] | None = None) -> str:
    """Everything as JSON: ``format``, ``version``, ``info``, ``tracks`` and ``notes``, a note a line.

    `info` is any JSON value map (settings, source) for people and other programs; `read_json` does not need it.
    """
    tracks = [{"name": t.name, "program": int(t.program)} for t in notes.tracks]
    lines = []
    for i in range(len(notes)):
        note: dict[str, Any] = {
            "onset_s": float(notes.onset[i]),
            "offset_s": float(notes.offset[i]),
            "pitch": int(notes.pitch[i]),
            "velocity": int(notes.velocity[i]),
            "confidence": _short(notes.confidence[i]),
            "track": int(notes.track[i]),
        }
        if notes.embedding.shape[1]:
            note["embedding"] = [_short(value) for value in notes.embedding[i]]
        lines.append("    " + json.dumps(note, allow_nan=False))
    head = {"format": JSON_FORMAT, "version": JSON_VERSION, "info": dict(info or {}), "tracks": tracks}
    opening = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False)[:-2]
    body = "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"
    return f'{opening},\n  "notes": {body}\n}}\n'


def write_json(notes: Notes, path: Target, info: Mapping[str, Any] | None = None) -> Path:
    """Write a JSON file; see `json_text`."""
    return _write(path, json_text(notes, info).encode("utf-8"))


def read_json(source: Readable, *, name: str | None = None) -> Notes:
    """Read what `write_json` wrote.

    Raises
    ------
    FormatError
        If the file is absent, of another kind, from a newer version, or holds impossible notes.
    """
    data, name = _read(source, name, "JSON file")
    wrong = f"{name} is not a note file of amtsep; write one with 'amtsep transcribe --json'."
    try:
        content = json.loads(data.decode("utf-8-sig"))
        if content["format"] != JSON_FORMAT:
            raise FormatError(wrong)
        if content["version"] > JSON_VERSION:
            raise FormatError(f"{name} was written by a newer amtsep; update amtsep to open it.")
        rows = content["notes"]
        tracks = [Track(str(t["name"]), int(t["program"])) for t in content["tracks"]]
        for row in rows:
            _check_values([float(row[c]) for c in COLUMNS[:5]])
        onset, offset, pitch, velocity, confidence, track = ([row[c] for row in rows] for c in COLUMNS)
        embedding = np.array([row.get("embedding", []) for row in rows], np.float32)
        embedding = embedding.reshape(len(rows), embedding.shape[1] if embedding.ndim == 2 else 0)
        return Notes.build(onset, offset, pitch, velocity, confidence, track, embedding, tracks or None)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FormatError(wrong) from error


def _short(value: np.floating[Any]) -> float:
    """The shortest decimal that is still this float32."""
    return float(np.format_float_positional(np.float32(value), unique=True))


# --- MusicXML --------------------------------------------------------------------------------------------------------


def musicxml_bytes(notes: Notes, tempo: float = TEMPO, divisions: int = 4, title: str = "") -> bytes:
    """Notation, quantised: each onset and ending goes to the nearest 1/`divisions` of a beat at a steady `tempo`.

    Needs music21, which the light install leaves out. The steady tempo is an assumption: on a free performance the bars
    will drift from the music.

    Raises
    ------
    FormatError
        If music21 is not installed, or there is nothing to write.
    """
    try:
        from music21 import chord, instrument, metadata, note, stream
        from music21 import tempo as music21_tempo
        from music21.musicxml.m21ToXml import GeneralObjectExporter
    except ImportError:
        raise FormatError("MusicXML needs music21, which is not installed; run: pip install music21") from None
    if not len(notes):
        raise FormatError("There are no notes to write as MusicXML; lower the thresholds first.")
    beats_per_s = tempo / 60.0
    score = stream.Score()
    score.metadata = metadata.Metadata(title=title or "Transcription", composer="transcribed by amtsep")
    names = _unique_names(notes.tracks)
    for (track, own), part_name in zip(notes.by_track(), names, strict=True):
        part = stream.Part(id=part_name)
        part.partName = part_name
        try:
            sound = instrument.instrumentFromMidiProgram(int(track.program))
            sound.partName = part_name
            part.insert(0, sound)
        except Exception:  # music21 knows no class for a few programs: the name alone will do
            pass
        part.insert(0, music21_tempo.MetronomeMark(number=round(tempo, 2)))
        grid_on = np.round(own.onset * beats_per_s * divisions).astype(int)
        grid_off = np.maximum(np.round(own.offset * beats_per_s * divisions).astype(int), grid_on + 1)
        # What starts together becomes a chord, as long as its longest note and no longer than until the next one:
        # one voice a part stays readable, which many overlapping voices do not.
        starts = np.unique(grid_on)
        for position, start in enumerate(starts):
            members = np.flatnonzero(grid_on == start)
            end = int(grid_off[members].max())
            if position + 1 < len(starts):
                end = min(end, int(starts[position + 1]))
            pitches = sorted({int(p) for p in own.pitch[members]})
            element = note.Note(pitches[0]) if len(pitches) == 1 else chord.Chord(pitches)
            element.quarterLength = (end - int(start)) / divisions
            element.volume.velocity = int(own.velocity[members].max())
            part.insert(float(start) / divisions, element)
        if not len(own):
            part.append(note.Rest(quarterLength=4.0))
        score.insert(0, part)
    return bytes(GeneralObjectExporter(score).parse())


def write_musicxml(notes: Notes, path: Target, tempo: float = TEMPO, divisions: int = 4, title: str = "") -> Path:
    """Write a MusicXML file (.musicxml); see `musicxml_bytes`."""
    return _write(path, musicxml_bytes(notes, tempo, divisions, title))


# --- files -----------------------------------------------------------------------------------------------------------


def _write(path: Target, data: bytes) -> Path:
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # a pipe or a device cannot be replaced; a folder is refused here
            target.write_bytes(data)
            return target
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FormatError(f"{target.name or target} cannot be written ({reason}); check the folder.") from error
    return target


def _umask() -> int:
    """What new files may be, without changing it for a moment as os.umask would."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o022


def _read(source: Readable, name: str | None, kind: str) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, name or f"The {kind}"
    if isinstance(source, (str, PathLike)):
        path = Path(source)
        name = name or path.name
        try:
            return path.read_bytes(), name
        except FileNotFoundError:
            raise FormatError(f"{name} does not exist; check the path of the {kind}.") from None
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise FormatError(f"{name} cannot be read ({reason}); check the path of the {kind}.") from error
    return source.read(), name or f"The {kind}"
