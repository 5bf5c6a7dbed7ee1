"""Standard MIDI files: one writer and one reader.

MIDI holds no confidence and no embedding, and two notes of one pitch in one track cannot sound at once, so there the
earlier one ends where the later one starts (see `separate_repeats`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import FormatError
from amtsep.formats.files import TEMPO, Readable, Target, check_table, read_file, write_file
from amtsep.notes import Notes, Track

TICKS_PER_BEAT = 960
DRUM_CHANNEL = 9
SUSTAIN = 64
"""Number of the sustain pedal's controller."""
PEDAL_DOWN = 64
"""Values from here on hold the sustain pedal down."""
ENDLESS = re.compile(rb"[\x80-\xff]{4096}")
"""A number in a MIDI file goes on while its bytes are 128 or more: three are legal, a text may have some hundreds, and
reading so many as a number takes the time of their square."""


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


def midi_bytes(notes: Notes, tempo: float = TEMPO, title: str = "", mark: str = "") -> bytes:
    """A standard MIDI file (type 1): a tempo track, then one track a timbre with its name and General MIDI program.

    Parameters
    ----------
    notes
        Times are kept to within a quarter of a millisecond at 120 beats a minute.
    tempo
        Beats a minute, 10 to 960; sets the grid only.
    title
        Name of the tempo track.
    mark
        A text at the head of the tempo track, for programs.

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
    if mark:
        conductor.append(mido.MetaMessage("text", text=mark, time=0))
    conductor.append(mido.MetaMessage("set_tempo", tempo=beat_us, time=0))
    conductor.append(mido.MetaMessage("time_signature", numerator=4, denominator=4, time=0))
    file.tracks.append(conductor)

    separated = separate_repeats(notes, shortest_s=1.0 / ticks_per_s)
    channels = [c for c in range(16) if c != DRUM_CHANNEL]
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


def write_midi(notes: Notes, path: Target, tempo: float = TEMPO, title: str = "", mark: str = "") -> Path:
    """Write a standard MIDI file; see `midi_bytes`."""
    return write_file(path, midi_bytes(notes, tempo, title, mark))


def read_midi(source: Readable, *, name: str | None = None, sustain: bool = False, drums: bool = False) -> Notes:
    """Read a standard MIDI file of any type, tempo changes included.

    Each (track, channel, program) that plays becomes a track; so does a named one that plays nothing. A note that is
    never ended ends with the last event of the file.

    Parameters
    ----------
    source
        Path, bytes or file object; `name` is what errors call it.
    sustain
        Whether a note lasts while the sustain pedal of its channel is down, until the same key is struck again: the
        convention of piano data sets since Hawthorne et al. (ISMIR 2018).
    drums
        Whether to keep the drum channel.

    Raises
    ------
    FormatError
        If the file is absent or no MIDI file.
    """
    import mido

    data, name = read_file(source, name, "MIDI file")
    try:
        if ENDLESS.search(data):
            raise ValueError("a number without an end")
        file = mido.MidiFile(file=io.BytesIO(data), charset="latin1", clip=True)
        notes = _notes_of_midi(file, sustain, drums)
    except Exception as error:
        raise FormatError(f"{name} is not a MIDI file that can be read; export it as standard MIDI (.mid).") from error
    return check_table(notes, name)


def _notes_of_midi(file: Any, sustain: bool, drums: bool) -> Notes:
    tempo_changes: list[tuple[int, int]] = []
    raw: list[tuple[int, int, int, int, int]] = []  # start tick, end tick, pitch, velocity, part
    parts: dict[tuple[int, int, int], int] = {}
    pedals: dict[int, list[tuple[int, int]]] = {}  # of a channel: tick, value
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
            elif message.type == "control_change" and message.control == SUSTAIN:
                pedals.setdefault(message.channel, []).append((now, message.value))
            elif message.type in ("note_on", "note_off") and (drums or message.channel != DRUM_CHANNEL):
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
    notes = Notes.build(onset, offset, table[:, 2], table[:, 3], track=table[:, 4], tracks=tracks)
    for channel, changes in pedals.items() if sustain else ():
        own = np.isin(notes.track, [part for (_, c, _), part in parts.items() if c == channel])
        ticks = np.array([tick for tick, _ in changes], np.int64)
        pedal = zip(_tick_times(ticks, tempo_changes, file.ticks_per_beat).tolist(), (v for _, v in changes))
        notes.offset[own] = hold(notes.select(own), list(pedal)).offset
    return notes


def hold(notes: Notes, pedal: Sequence[tuple[float, int]]) -> Notes:
    """Lengthen notes released under the pedal to the pedal's release, or to the next note on that key.

    Parameters
    ----------
    notes
        Keys as they were pressed.
    pedal
        (time s, value) of controller 64.
    """
    if not pedal or not len(notes):
        return notes
    times = np.array([t for t, _ in sorted(pedal)])
    down = np.array([value >= PEDAL_DOWN for _, value in sorted(pedal)])
    offset = notes.offset.copy()
    for i in range(len(notes)):
        at = int(np.searchsorted(times, offset[i], side="right")) - 1
        if at >= 0 and down[at]:
            later = np.flatnonzero(~down[at:])
            offset[i] = times[at + later[0]] if len(later) else max(notes.end, float(times[-1]))
    for pitch in np.unique(notes.pitch):
        same = np.flatnonzero(notes.pitch == pitch)
        following = notes.onset[same[1:]]
        clear = following > notes.onset[same[:-1]]
        offset[same[:-1][clear]] = np.minimum(
            offset[same[:-1][clear]], np.maximum(following[clear], notes.offset[same[:-1][clear]])
        )
    return replace(notes, offset=offset)


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
