"""The Python halves: what they send to the browser and what they make of its messages."""

from __future__ import annotations

import io
import time

import numpy as np
import pretty_midi
import pytest

from amtsep.notes import Notes
from widgets.panels.export import Export
from widgets.panels.player import Player
from widgets.panels.roll import Roll, pack_notes, thin
from widgets.panels.source import CHUNK_BYTES, Source
from widgets.panels.thresholds import Thresholds


def sent(part):
    """Catch what a part sends as messages."""
    box = []
    part.send = lambda content, buffers=None: box.append((content, buffers))
    return box


def deliver(part, message, buffers=()):
    part._receive(part, message, [memoryview(b) for b in buffers])


def upload(source, data, name="tune.wav", size=None):
    deliver(source, {"do": "upload", "name": name, "size": len(data) if size is None else size, "id": "a"})
    for at in range(0, max(1, len(data)), CHUNK_BYTES):
        deliver(source, {"do": "chunk", "id": "a", "at": at}, [data[at : at + CHUNK_BYTES]])


@pytest.mark.parametrize(("size", "word"), [(201_000_000, "limit is 200 MB"), (0, "is empty")])
def test_what_cannot_be_taken_is_refused_before_it_is_sent(session, size, word):
    source = Source(session)
    box = sent(source)
    deliver(source, {"do": "upload", "name": "big.wav", "size": size, "id": "a"})
    assert box[-1][0]["do"] == "refused"
    assert "big.wav" in session.status.text and word in session.status.text
    assert source.status["kind"] == "error"


def test_more_than_was_announced_is_not_taken(session):
    source = Source(session)
    sent(source)
    upload(source, b"x" * (3 * CHUNK_BYTES), size=CHUNK_BYTES + 1)
    assert session.status.kind == "error"
    assert session.audio.name == "tune.wav"


def test_demo_names_cannot_leave_their_folder(session):
    source = Source(session)
    sent(source)
    deliver(source, {"do": "demo", "id": "../../pyproject.toml"})
    session.wait(60)
    assert session.status.kind == "error" and session.audio.name == "tune.wav"


def test_an_unknown_message_is_said_on_the_status_line(session):
    deliver(Source(session), {"do": "nonsense"})
    assert session.status.kind == "error" and "nonsense" in session.status.values["error"]


def test_a_slider_step_changes_the_roll_and_is_answered(session):
    roll, thresholds = Roll(session), Thresholds(session)
    box = sent(thresholds)
    before = len(roll.notes_data)
    deliver(thresholds, {"do": "set", "values": {"onset_threshold": 0.8, "bogus": 3}, "lasting": False, "turn": 7})
    assert len(roll.notes_data) < before
    assert thresholds.values["onset_threshold"] == 0.8
    assert thresholds.count == len(session.notes) == len(roll.notes_data) // (7 * 4)
    assert box[-1][0] == {"do": "done", "turn": 7}


def test_a_slider_step_that_fails_is_answered_too(session):
    thresholds = Thresholds(session)
    box = sent(thresholds)
    deliver(thresholds, {"do": "set", "values": {"onset_threshold": "much"}, "turn": 8})
    assert box[-1][0] == {"do": "done", "turn": 8}
    assert session.status.kind == "error"


def test_packed_notes_are_columns_of_float32(true_notes):
    data = np.frombuffer(pack_notes(true_notes), np.float32).reshape(7, -1)
    assert np.allclose(data[0], true_notes.onset) and np.array_equal(data[2], true_notes.pitch)


def test_the_picture_has_the_shape_it_says_and_shows_the_notes(session, true_notes):
    roll = Roll(session)
    about = roll.about
    picture = np.frombuffer(roll.picture, np.uint8).reshape(about["frames"], about["bins"])
    note = int(np.argmax(true_notes.duration))
    middle = 0.5 * (true_notes.onset[note] + true_notes.offset[note])
    column = picture[round(middle / (about["hop"] * about["step"]))]
    assert column[3 * (int(true_notes.pitch[note]) - 21)] > 200 and np.median(column) < 40


def test_thinning_keeps_short_peaks():
    picture = np.zeros((10, 1003), np.uint8)
    picture[4, 1001] = 255
    small, step = thin(picture, most=1200)
    assert small.size <= 1200 and step == 9 and small[4, 1001 // 9] == 255


def test_a_roll_shows_a_table_of_notes_alone(true_notes):
    roll = Roll(true_notes)
    assert len(roll.notes_data) == len(true_notes) * 28
    assert roll.about["duration"] == pytest.approx(true_notes.end)
    assert len(Roll(Notes.empty()).notes_data) == 0


def test_the_recording_reaches_the_browser_whole(session):
    player = Player(session)
    box = sent(player)
    start, got = 0, []
    while start < player.sound["samples"]:
        deliver(player, {"do": "sound", "version": player.sound["version"], "start": start})
        got.append(np.frombuffer(box[-1][1][0], "<i2"))
        start += len(got[-1])
    assert np.allclose(np.concatenate(got) / 32767.0, session.audio.samples, atol=1e-4)


def test_saved_midi_opens_with_the_notes_on_the_screen(session):
    export = Export(session)
    box = sent(export)
    deliver(export, {"do": "export", "format": "midi"})
    message, buffers = box[-1]
    assert message["name"] == "tune.mid"
    midi = pretty_midi.PrettyMIDI(io.BytesIO(buffers[0]))
    assert sum(len(i.notes) for i in midi.instruments) == len(session.notes)


def test_saving_nothing_gets_a_sentence():
    from widgets.state.session import Session

    export = Export(Session())
    deliver(export, {"do": "export", "format": "midi"})
    assert "open a recording first" in export.session.status.text


def test_slider_step_is_quick_on_five_minutes(transcriber):
    import synthetic

    from widgets.state.session import Session

    notes = synthetic.melody(300.0)
    transcriber.posteriors = synthetic.perfect(notes, 300.0)
    session = Session()
    session.open(synthetic.wav_bytes(synthetic.sound(notes, 300.0)), name="long.wav")
    session.wait(120)
    Roll(session), Thresholds(session)
    times = []
    for value in np.linspace(0.3, 0.7, 15):
        before = time.perf_counter()
        session.set_decoding(lasting=False, onset_threshold=float(value))
        times.append(time.perf_counter() - before)
    # 30 ms is the aim on a quiet machine; a busy one gets room.
    assert np.median(times) < 0.12, times


def test_a_wrong_reference_is_called_no_midi_and_the_sentence_goes_with_a_good_one(session, true_notes):
    from amtsep.formats import midi_bytes

    source = Source(session)
    box = sent(source)

    def reference(data, name):
        deliver(source, {"do": "upload", "name": name, "size": len(data), "id": "r", "reference": True})
        deliver(source, {"do": "chunk", "id": "r", "at": 0}, [data])
        session.wait(60)

    reference(b"no notes at all", "truth.txt")
    assert "truth.txt is not a MIDI file" in source.status["text"] and "WAV" not in source.status["text"]
    assert session.reference is None and session.audio.name == "tune.wav"
    reference(midi_bytes(true_notes), "truth.mid")
    assert source.status["kind"] == "idle" and len(session.reference) == len(true_notes)
    assert box
