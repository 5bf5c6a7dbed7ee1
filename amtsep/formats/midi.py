"""Standard MIDI files: one writer and one reader.

MIDI holds no confidence and no embedding, and two notes of one pitch in one track cannot sound at once, so there the
earlier one ends where the later one starts (see `separate_repeats`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import FormatError
from amtsep.formats.files import TEMPO, Readable, Target, check_table, read_file, write_file
from amtsep.formats.tempo_map import TempoMap, steady_map, tempo_map
from amtsep.notes import Notes, Track
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.key import bar_keys

if TYPE_CHECKING:
    from amtsep.rhythm.bends import Bend
    from amtsep.rhythm.metre import Metre

TICKS_PER_BEAT = 960
DRUM_CHANNEL = 9
CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
SUSTAIN = 64
"""Number of the sustain pedal's controller."""
PEDAL_DOWN = 64
"""Values from here on hold the sustain pedal down."""
ENDLESS = re.compile(rb"[\x80-\xff]{4096}")
"""A number in a MIDI file goes on while its bytes are 128 or more: three are legal, a text may have some hundreds, and
reading so many as a number takes the time of their square."""
BEND_RANGE = 2
"""Semitones either way that pitch bend spans: what every synthesizer takes for granted."""


def program_name(program: int) -> str:
    """What General MIDI calls a sound (0 to 127)."""
    from pretty_midi import program_to_instrument_name

    return str(program_to_instrument_name(program))


def separate_repeats(notes: Notes, shortest_s: float = 0.001) -> Notes:
    """End each note where the next one of its pitch and track starts; see `separate_repeats_of`."""
    return separate_repeats_of(notes, shortest_s)[0]


def separate_repeats_of(notes: Notes, shortest_s: float = 0.001) -> tuple[Notes, NDArray[np.intp]]:
    """End each note where the next one of its pitch and track starts, as MIDI needs it.

    Of notes that start together (within `shortest_s`) only the longest stays, with the highest velocity among them.
    Gives the notes that stay and where each stood in the table.
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
    return replace(notes, offset=new_offset, velocity=new_velocity).select(kept), np.flatnonzero(kept)


def midi_bytes(
    notes: Notes,
    tempo: float = TEMPO,
    title: str = "",
    mark: str = "",
    beats: Beats | None = None,
    bends: Sequence[Bend | None] | None = None,
    pedal: Mapping[int, Sequence[tuple[float, float]]] | None = None,
    bend_range: int = BEND_RANGE,
    metre: Metre | None = None,
) -> bytes:
    """A standard MIDI file (type 1): a tempo track, then one track a timbre with its name and General MIDI program.

    Parameters
    ----------
    notes
        Times are kept to within a quarter of a millisecond at 120 beats a minute.
    tempo
        Quarter notes a minute, 10 to 960; sets the grid only. Not used where `beats` are given.
    title
        Name of the tempo track.
    mark
        A text at the head of the tempo track, for programs.
    beats
        Of the recording: the file gets their tempo map and metre, so that bars lie where the music has them.
    bends
        A curve a note, or None for none: written as pitch bend, notes that overlap on channels of their own (as MPE
        does), the range sent as RPN 0.
    pedal
        By track number: (down, up) in seconds of the sustain pedal, written as controller 64.
    bend_range
        Semitones either way that the pitch bend spans.
    metre
        Time signature where no beats are given, 4/4 by default.

    Raises
    ------
    FormatError
        If the tempo is out of range.
    """
    import mido

    if beats is None and not 10.0 <= tempo <= 960.0:
        raise FormatError(f"A tempo of {tempo:g} beats a minute cannot be written; use 10 to 960.")
    rate = tempo if beats is None else beats.tempo
    ticks_per_beat = TICKS_PER_BEAT if rate <= 160 else TICKS_PER_BEAT // 2
    grid = steady_map(tempo, ticks_per_beat, metre) if beats is None else tempo_map(beats, ticks_per_beat)
    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat, charset="utf-8")
    file.tracks.append(_conductor(grid, title, mark, beats, notes))

    separated, position = separate_repeats_of(notes, shortest_s=60.0 / max(rate, 10.0) / ticks_per_beat)
    rows_of = [np.flatnonzero(separated.track == index) for index in range(len(separated.tracks))]
    owns = [separated.select(rows) for rows in rows_of]
    curves_of = [[bends[position[r]] if bends is not None else None for r in rows] for rows in rows_of]
    bents = [any(curve is not None for curve in curves) for curves in curves_of]
    pitched = [index for index, track in enumerate(separated.tracks) if not track.drums]
    shared = share_channels([len(set(_channels(owns[i], CHANNELS))) if bents[i] else 1 for i in pitched])
    channels_of = dict(zip(pitched, shared, strict=True))
    for index, track in enumerate(separated.tracks):
        own, curves, bent = owns[index], curves_of[index], bents[index]
        start = grid.ticks(own.onset)
        end = np.maximum(grid.ticks(own.offset), start + 1)
        channels = channels_of.get(index, [DRUM_CHANNEL])
        lanes = _channels(own, channels) if len(channels) > 1 else channels * len(own)
        used = sorted(set(lanes)) or channels[:1]
        # At one tick: endings, then wheel and pedal, then beginnings: a repeated note is not cut off by the end of the
        # one before, and begins at its own pitch.
        events: list[tuple[int, int, int, Any]] = []
        for i in range(len(own)):
            pitch, lane = int(own.pitch[i]), lanes[i]
            events.append((int(end[i]), 0, pitch, _note("note_off", pitch, 0, lane)))
            events.append((int(start[i]), 2, pitch, _note("note_on", pitch, int(own.velocity[i]), lane)))
            if bent:
                events += _wheel(curves[i], lane, grid, int(start[i]), int(end[i]), bend_range)
        for down, up in (pedal or {}).get(index, ()):
            for time, value in ((down, 127), (up, 0)):
                tick = int(grid.ticks(np.array([max(time, 0.0)]))[0])
                for lane in used:
                    message = mido.Message("control_change", control=SUSTAIN, value=value, channel=lane)
                    events.append((tick, 1, 0, message))
        events.sort(key=lambda event: event[:3])
        out = mido.MidiTrack()
        out.append(mido.MetaMessage("track_name", name=track.name, time=0))
        for lane in used:
            out.append(mido.Message("program_change", program=int(track.program), channel=lane, time=0))
            if bent:
                for control, value in ((101, 0), (100, 0), (6, bend_range), (38, 0)):
                    out.append(mido.Message("control_change", control=control, value=value, channel=lane, time=0))
        now = 0
        for tick, _, _, message in events:
            message.time = tick - now
            out.append(message)
            now = tick
        file.tracks.append(out)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _conductor(grid: TempoMap, title: str, mark: str, beats: Beats | None, notes: Notes) -> Any:
    """The first track: title, tempi, time signatures, keys."""
    import mido

    out = mido.MidiTrack()
    if title:
        out.append(mido.MetaMessage("track_name", name=title, time=0))
    if mark:
        out.append(mido.MetaMessage("text", text=mark, time=0))
    events: list[tuple[int, int, Any]] = []
    for tick, microseconds in zip(grid.tick.tolist(), grid.tempo.tolist(), strict=True):
        events.append((tick, 0, mido.MetaMessage("set_tempo", tempo=microseconds)))
    for tick, metre in grid.signatures:
        clocks = int(24 * metre.beat_quarters)
        message = mido.MetaMessage(
            "time_signature", numerator=metre.beats, denominator=metre.beat_type, clocks_per_click=max(clocks, 1)
        )
        events.append((tick, 1, message))
    if beats is not None:
        names = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
        minors = ("Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m")
        lines, sharps = bar_keys(notes, beats)
        at = np.concatenate([[0], grid.ticks(lines[1:])]).astype(int)
        for i in range(len(sharps)):
            if i == 0 or sharps[i] != sharps[i - 1]:
                key = (minors if beats.minor else names)[int(np.clip(sharps[i], -7, 7)) + 7]
                events.append((int(at[i]), 2, mido.MetaMessage("key_signature", key=key)))
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        message.time = tick - now
        out.append(message)
        now = tick
    return out


def _note(kind: str, pitch: int, velocity: int, channel: int) -> Any:
    import mido

    # A table of notes holds nothing that MIDI does not: to check each value again takes longer than all else here.
    return mido.Message(kind, skip_checks=True, note=pitch, velocity=velocity, channel=channel)


def share_channels(wanted: Sequence[int]) -> list[list[int]]:
    """Channels of each pitched track, its own as long as there are enough: pitch bend and program hold for a channel.

    Parameters
    ----------
    wanted
        How many each track could do with, 1 or more.

    Returns
    -------
    list
        Every track has one; those that want more get one more each in turn until all are given away. From the
        sixteenth track on channels are shared.
    """
    counts = [1] * len(wanted)
    left = len(CHANNELS) - len(wanted)
    while left > 0 and any(count < want for count, want in zip(counts, wanted, strict=True)):
        for i, want in enumerate(wanted):
            if left > 0 and counts[i] < want:
                counts[i] += 1
                left -= 1
    firsts = np.cumsum([0, *counts])
    return [[CHANNELS[(first + i) % len(CHANNELS)] for i in range(n)] for first, n in zip(firsts, counts, strict=False)]


def _channels(own: Notes, channels: Sequence[int]) -> list[int]:
    """A channel a note, free of other notes for as long as it sounds where there are enough."""
    free_at = dict.fromkeys(channels, -1.0)
    lanes = []
    for onset, offset in zip(own.onset.tolist(), own.offset.tolist(), strict=True):
        # The first one where nothing sounds any more, else the one that ends first.
        lane = next((c for c in channels if free_at[c] <= onset), min(free_at, key=lambda c: free_at[c]))
        free_at[lane] = offset
        lanes.append(lane)
    return lanes


def _wheel(
    curve: Bend | None, lane: int, grid: TempoMap, start: int, end: int, bend_range: int
) -> list[tuple[int, int, int, Any]]:
    """Pitch bend of one note: from its first value at its onset on, back to the middle for a note without a curve."""
    import mido

    if curve is None or not len(curve.time):
        return [(start, 1, 0, mido.Message("pitchwheel", pitch=0, channel=lane))]
    ticks = np.maximum(grid.ticks(curve.time), start)
    values = np.clip(np.round(curve.cents / (100.0 * bend_range) * 8192), -8192, 8191).astype(int)
    out, last = [], None
    for i, (tick, value) in enumerate(zip(ticks.tolist(), values.tolist(), strict=True)):
        if i and tick >= end:  # a curve may go on after a note that was cut short: the next one begins there
            break
        if value != last:
            out.append((start if i == 0 else tick, 1, i, mido.Message("pitchwheel", pitch=value, channel=lane)))
        last = value
    return out


def write_midi(
    notes: Notes,
    path: Target,
    tempo: float = TEMPO,
    title: str = "",
    mark: str = "",
    beats: Beats | None = None,
    bends: Sequence[Bend | None] | None = None,
    pedal: Mapping[int, Sequence[tuple[float, float]]] | None = None,
    bend_range: int = BEND_RANGE,
    metre: Metre | None = None,
) -> Path:
    """Write a standard MIDI file; see `midi_bytes`."""
    return write_file(path, midi_bytes(notes, tempo, title, mark, beats, bends, pedal, bend_range, metre))


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
        sentence = "{name} is not a MIDI file that can be read; export it as standard MIDI (.mid)."
        raise FormatError(sentence, name=name) from error
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
                        tracks.append(
                            Track(
                                name or f"Track {len(tracks) + 1}",
                                program[message.channel],
                                message.channel == DRUM_CHANNEL,
                            )
                        )
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
