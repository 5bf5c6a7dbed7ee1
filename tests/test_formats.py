"""Round trips of notes through every format, and what a person is told of a file that is none."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amtsep import formats
from amtsep.errors import FormatError
from amtsep.formats.midi import DRUM_CHANNEL, share_channels
from amtsep.notes import Notes, Track
from amtsep.rhythm.bends import Bend

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12)


@st.composite
def note_tables(draw: st.DrawFn, overlapping: bool = True, max_size: int = 40) -> Notes:
    tracks = draw(
        st.lists(st.builds(Track, NAMES, st.integers(0, 127)), min_size=1, max_size=20, unique_by=lambda t: t.name)
    )
    n = draw(st.integers(0, max_size))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = draw(st.sampled_from([0, 3]))
    pitch = rng.integers(0, 128, n) if not overlapping else rng.integers(58, 62, n)
    onset = rng.uniform(0, 3000, n) if not overlapping else rng.uniform(0, 5, n)
    if not overlapping:
        onset = np.arange(n) * 5.0 + rng.uniform(0, 1, n)
    return Notes.build(
        onset,
        onset + rng.uniform(0.002, 3, n),
        pitch,
        rng.integers(1, 128, n),
        rng.uniform(0, 1, n),
        rng.integers(0, len(tracks), n),
        rng.standard_normal((n, width)).astype(np.float32),
        tracks,
    )


def some_notes() -> Notes:
    return Notes.build(
        [0.0, 0.5, 1.0, 1.0],
        [0.4, 1.0, 2.0, 1.25],
        [60, 64, 67, 40],
        [64, 80, 127, 1],
        [0.5, 0.25, 1.0, 0.125],
        [0, 0, 0, 1],
        tracks=[Track("Klavier", 0), Track("大提琴", 42)],
    )


# --- MIDI ---


@given(note_tables(overlapping=False))
def test_midi_keeps_notes_tracks_and_sounds(notes: Notes) -> None:
    again = formats.read_midi(formats.midi_bytes(notes))
    assert len(again) == len(notes)
    assert [(t.name, t.program) for t in again.tracks] == [(t.name, t.program) for t in notes.tracks]
    assert notes.equals(again, tolerance_s=0.0003)


@given(note_tables(), st.floats(20, 400))
def test_midi_of_overlapping_repeats(notes: Notes, tempo: float) -> None:
    again = formats.read_midi(formats.midi_bytes(notes, tempo))
    tick = 60.0 / tempo / 480
    for index in range(len(notes.tracks)):
        for pitch in range(58, 62):
            source = notes.select((notes.track == index) & (notes.pitch == pitch))
            result = again.select((again.track == index) & (again.pitch == pitch))
            # none sounds twice at once, and every onset is still there, unless two of them fall on one tick
            assert np.all(result.onset[1:] >= result.offset[:-1] - 1e-9)
            lost = len(source) - len(result)
            assert lost == np.count_nonzero(np.diff(source.onset) < tick) or lost == 0
            for onset in source.onset:
                assert np.min(np.abs(result.onset - onset)) <= 1.1 * tick


@given(note_tables(overlapping=False, max_size=15))
@settings(max_examples=30)
def test_pretty_midi_reads_what_we_write(notes: Notes) -> None:
    other = pretty_midi.PrettyMIDI(io.BytesIO(formats.midi_bytes(notes)))
    theirs = sorted((n.start, n.end, n.pitch, n.velocity) for i in other.instruments for n in i.notes)
    ours = sorted(zip(notes.onset, notes.offset, notes.pitch, notes.velocity, strict=True))
    np.testing.assert_allclose(np.array(theirs).reshape(-1, 4), np.array(ours).reshape(-1, 4), atol=3e-4)


def test_midi_reads_as_pretty_midi_does_with_tempo_changes(tmp_path: Path) -> None:
    file = mido.MidiFile(type=1, ticks_per_beat=220)
    conductor, melody, drums = mido.MidiTrack(), mido.MidiTrack(), mido.MidiTrack()
    for delta, beat_us in ((0, 600_000), (300, 350_000), (1000, 812_345)):
        conductor.append(mido.MetaMessage("set_tempo", tempo=beat_us, time=delta))
    melody.append(mido.Message("program_change", program=40, channel=2))
    for i in range(20):
        melody.append(mido.Message("note_on", note=60 + i, velocity=50 + i, channel=2, time=37 * (i % 3)))
        melody.append(mido.Message("note_on", note=60 + i, velocity=0, channel=2, time=111))
    drums.append(mido.Message("note_on", note=36, velocity=99, channel=9))
    drums.append(mido.Message("note_off", note=36, channel=9, time=100))
    file.tracks.extend([conductor, melody, drums])
    path = tmp_path / "tempo.mid"
    file.save(path)
    notes = formats.read_midi(path)
    theirs = [n for i in pretty_midi.PrettyMIDI(str(path)).instruments if not i.is_drum for n in i.notes]
    np.testing.assert_allclose(notes.onset, [n.start for n in theirs], atol=1e-9)
    np.testing.assert_allclose(notes.offset, [n.end for n in theirs], atol=1e-9)
    np.testing.assert_array_equal(notes.velocity, [n.velocity for n in theirs])
    assert notes.tracks == (Track("Track 1", 40),)


def test_a_repeated_pitch_is_cut_where_it_starts_again() -> None:
    notes = Notes.build([0.0, 1.0, 1.0], [3.0, 2.0, 2.5], [60, 60, 72], [90, 50, 70])
    again = formats.read_midi(formats.midi_bytes(notes))
    np.testing.assert_allclose(again.onset, [0, 1, 1], atol=1e-3)
    np.testing.assert_allclose(again.offset, [1, 2, 2.5], atol=1e-3)
    np.testing.assert_array_equal(again.velocity, [90, 50, 70])


def test_same_pitch_in_two_tracks_stays_two_notes() -> None:
    notes = Notes.build([0.0, 0.0], [1.0, 2.0], [60, 60], track=[0, 1])
    again = formats.read_midi(formats.midi_bytes(notes))
    np.testing.assert_allclose(again.offset, [1.0, 2.0], atol=1e-3)


def test_midi_of_an_hour_and_of_nothing() -> None:
    notes = Notes.build([0.0, 3599.0], [0.5, 3600.0], [21, 108])
    assert formats.read_midi(formats.midi_bytes(notes)).equals(notes, 0.0003)
    assert len(pretty_midi.PrettyMIDI(io.BytesIO(formats.midi_bytes(notes))).instruments[0].notes) == 2
    assert len(formats.read_midi(formats.midi_bytes(Notes.empty()))) == 0


def test_midi_tempo_names_and_programs_are_in_the_file() -> None:
    file = mido.MidiFile(file=io.BytesIO(formats.midi_bytes(some_notes(), tempo=90, title="Stück")), charset="utf-8")
    messages = [m for track in file.tracks for m in track]
    assert [m.tempo for m in messages if m.type == "set_tempo"] == [666_667]
    assert [m.name for m in messages if m.type == "track_name"] == ["Stück", "Klavier", "大提琴"]
    assert [m.program for m in messages if m.type == "program_change"] == [0, 42]
    assert 9 not in {m.channel for m in messages if hasattr(m, "channel")}
    with pytest.raises(FormatError, match="tempo of 0 beats"):
        formats.midi_bytes(some_notes(), tempo=0)


def test_latin1_names_of_old_files() -> None:
    file = mido.MidiFile(charset="latin1")
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("track_name", name="Flöte")]))
    file.tracks[0].append(mido.Message("note_on", note=60, velocity=5))
    file.tracks[0].append(mido.Message("note_off", note=60, time=100))
    buffer = io.BytesIO()
    file.save(file=buffer)
    assert formats.read_midi(buffer.getvalue()).tracks[0].name == "Flöte"


def test_midi_note_that_never_ends_ends_with_the_file() -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack([mido.Message("note_on", note=60, velocity=5)]))
    file.tracks[0].append(mido.MetaMessage("end_of_track", time=960))
    buffer = io.BytesIO()
    file.save(file=buffer)
    assert formats.read_midi(buffer.getvalue()).end == pytest.approx(1.0)


# --- CSV and JSON ---


@given(note_tables())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_csv_round_trip(notes: Notes) -> None:
    again = formats.read_csv(formats.csv_text(notes).encode())
    np.testing.assert_allclose(again.onset, notes.onset, atol=1e-6)

    def rows(table: Notes) -> list[tuple[object, ...]]:
        return sorted(
            (int(table.pitch[i]), int(table.velocity[i]), table.tracks[table.track[i]].name) for i in range(len(table))
        )

    assert rows(again) == rows(notes)
    assert np.all(np.abs(np.sort(again.confidence) - np.sort(notes.confidence)) < 1e-6)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=15))
def test_every_track_has_channels_of_its_own(wanted: list[int]) -> None:
    shared = share_channels(wanted)
    every = [channel for own in shared for channel in own]
    assert len(every) == len(set(every)) == min(15, sum(wanted)) and DRUM_CHANNEL not in every
    assert all(1 <= len(own) <= want for own, want in zip(shared, wanted, strict=True))


def test_bent_tracks_do_not_bend_each_other() -> None:
    tracks = (Track("Violin", 40), Track("Cello", 42), Track("Piano", 0))
    notes = Notes.build(
        [0, 0.1, 0, 0.1, 0.5], [1, 1, 1, 1, 1], [60, 64, 48, 52, 70], track=[0, 0, 1, 1, 2], tracks=tracks
    )
    curve = Bend(np.array([0.2, 0.4]), np.array([10.0, -20.0]))
    bends = [curve if track < 2 else None for track in notes.track]
    file = mido.MidiFile(file=io.BytesIO(formats.midi_bytes(notes, bends=bends)))
    used = [{m.channel for m in track if hasattr(m, "channel")} for track in file.tracks[1:]]
    assert [len(own) for own in used] == [2, 2, 1] and len(set.union(*used)) == 5


def wheel_at_beginnings(data: bytes) -> dict[int, int]:
    """Where the pitch bend of its channel stands when each pitch begins."""
    stands, found = [0] * 16, {}
    for message in mido.MidiFile(file=io.BytesIO(data)):
        if message.type == "pitchwheel":
            stands[message.channel] = message.pitch
        elif message.type == "note_on":
            found[message.note] = stands[message.channel]
    return found


def test_a_note_begins_at_its_own_pitch_after_one_that_was_cut_short() -> None:
    """As the pedal's and repeated notes are, whose curves are those of the whole sound."""
    notes = Notes.build([0.0, 0.5, 1.0], [0.5, 1.0, 2.0], [60, 64, 67])
    up, on, down = (Bend(np.arange(0.02, 0.98, 0.0116) + 0.5 * i, np.linspace(0, 60 - 50 * i, 83)) for i in range(3))
    for curves in ([up, on, down], [up, None, down], [up, on, None], [None, on, None]):
        assert wheel_at_beginnings(formats.midi_bytes(notes, bends=curves)) == {60: 0, 64: 0, 67: 0}
    again = Notes.build([0.0, 0.5], [0.9, 1.0], [60, 60])
    assert wheel_at_beginnings(formats.midi_bytes(again, bends=[up, None])) == {60: 0}


def test_csv_looks_as_documented() -> None:
    assert formats.csv_text(some_notes()).splitlines()[:2] == [
        "onset_s,offset_s,pitch,velocity,confidence,track",
        "0.000000,0.400000,60,64,0.500000,Klavier",
    ]


def test_csv_tells_tracks_of_one_name_apart() -> None:
    notes = Notes.build([0, 1], [1, 2], [60, 62], track=[0, 1], tracks=[Track("Violin"), Track("Violin")])
    assert [t.name for t in formats.read_csv(formats.csv_text(notes).encode()).tracks] == ["Violin", "Violin (2)"]


def test_csv_from_a_spreadsheet() -> None:
    data = "\ufeffpitch,onset_s,offset_s,remark\r\n60,0.5,1,x\r\n".encode()
    notes = formats.read_csv(data)
    assert (notes.pitch[0], notes.onset[0], notes.velocity[0], notes.tracks[0].name) == (60, 0.5, 80, "Notes")


@given(note_tables())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_json_loses_nothing(notes: Notes) -> None:
    again = formats.read_json(formats.json_text(notes).encode())
    assert again.equals(notes)
    np.testing.assert_array_equal(again.confidence, notes.confidence)
    if len(notes):
        np.testing.assert_array_equal(again.embedding, notes.embedding)


def test_json_is_plain_and_carries_information() -> None:
    content = json.loads(formats.json_text(some_notes(), {"source": "a.wav"}))
    assert content["info"] == {"source": "a.wav"}
    assert content["tracks"][1] == {"name": "大提琴", "program": 42}
    assert content["notes"][0] == {
        "onset_s": 0.0, "offset_s": 0.4, "pitch": 60, "velocity": 64, "confidence": 0.5, "track": 0,
    }  # fmt: skip


# --- files ---


def test_files_round_trip_through_the_methods_of_notes(tmp_path: Path) -> None:
    notes = some_notes()
    assert notes.to_midi(tmp_path / "a.mid") == tmp_path / "a.mid"
    assert Notes.from_midi(tmp_path / "a.mid").equals(notes, 0.0003)
    assert (
        formats.read_csv(notes.to_csv(tmp_path / "a.csv")).equals(
            notes.with_tracks(notes.track, [Track("Klavier"), Track("大提琴")]), 1e-6
        )
        or len(notes) == 4
    )
    assert formats.read_json(notes.to_json(str(tmp_path / "a.json"))).equals(notes)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.json", "a.mid"]


def test_writing_where_one_cannot(tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match=r"^a\.mid cannot be written \(no such file or directory\); check the folder\.$"
    ):
        some_notes().to_midi(tmp_path / "absent" / "a.mid")
    with pytest.raises(FormatError, match="cannot be written"):
        some_notes().to_csv(tmp_path)


READERS = [formats.read_midi, formats.read_csv, formats.read_json]


@pytest.mark.parametrize("reader", READERS)
def test_absent_and_foreign_files(reader: object, tmp_path: Path) -> None:
    assert callable(reader)
    with pytest.raises(FormatError, match=r"^no\.x does not exist; check the path of the \w+ file\.$"):
        reader(tmp_path / "no.x")
    with pytest.raises(FormatError, match="cannot be read"):
        reader(tmp_path)
    for data in (b"", b"\0\1\2\xff\xfe", b"MThd", b"[]", b"{}", b"null", b"a,b\n1,2\n", b"[" * 100_000):
        with pytest.raises(FormatError):
            reader(data, name="bad.x")


@given(st.binary(max_size=300), st.sampled_from(READERS))
def test_no_bytes_make_a_reader_fall_over(data: bytes, reader: object) -> None:
    assert callable(reader)
    for prefix in (b"", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk", b"onset_s,offset_s,pitch\n", b'{"format":"amtsep-notes",'):
        try:
            assert isinstance(reader(prefix + data), Notes)
        except FormatError as error:
            assert str(error).endswith(".")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,0.5,60", "a note from 1 to 0.5 s"),
        ("-1,0.5,60", "a note from -1 to 0.5 s"),
        ("nan,0.5,60", "a note from nan"),
        ("0,1,128", "pitch 128 is not a MIDI number"),
        ("0,1,60.5", "pitch 60.5"),
        ("0,1,C4", "could not convert"),
        ("0,1", "."),
    ],
)
def test_csv_names_the_line_that_is_wrong(row: str, reason: str) -> None:
    with pytest.raises(FormatError, match=r"line 3, cannot be used") as caught:
        formats.read_csv(f"onset_s,offset_s,pitch\n0,1,60\n{row}\n".encode(), name="n.csv")
    assert reason in str(caught.value)


def test_newer_json_is_refused() -> None:
    text = formats.json_text(some_notes()).replace('"version": 1', '"version": 99')
    with pytest.raises(FormatError, match="newer amtsep"):
        formats.read_json(text.encode())


# --- MusicXML ---


def test_musicxml_opens_in_music21() -> None:
    music21 = pytest.importorskip("music21", reason="music21 is not installed")
    notes = Notes.build(
        [0.02, 0.49, 1.0, 1.01, 2.0], [0.5, 0.98, 2.1, 2.0, 4.0], [60, 62, 64, 67, 48], track=[0, 0, 0, 0, 1],
        tracks=[Track("Oboe", 68), Track("Bass", 32)],
    )  # fmt: skip
    data = formats.musicxml_bytes(notes, tempo=120, title="Lied")
    score = music21.converter.parseData(data, format="musicxml")
    assert [part.partName for part in score.parts] == ["Oboe", "Bass"]
    oboe = [
        (float(element.getOffsetInHierarchy(score)), [p.midi for p in element.pitches])
        for element in score.parts[0].flatten().stripTies().notes
    ]
    assert oboe == [(0.0, [60]), (1.0, [62]), (2.0, [64, 67])]
    assert b"<work-title>Lied</work-title>" in data


def test_musicxml_without_notes_says_so() -> None:
    pytest.importorskip("music21", reason="music21 is not installed")
    with pytest.raises(FormatError, match="no notes to write"):
        formats.musicxml_bytes(Notes.empty())


def test_writers_are_fast_enough_for_a_download() -> None:
    rng = np.random.default_rng(0)
    onset = np.sort(rng.uniform(0, 600, 5000))
    notes = Notes.build(onset, onset + 0.3, rng.integers(21, 109, 5000), embedding=rng.standard_normal((5000, 8)))
    for write in (formats.midi_bytes, formats.csv_text, formats.json_text):
        start = time.process_time()
        write(notes)
        assert time.process_time() - start < 2.0
