"""Uploads, as the program's side sees them: pieces in disorder, lost, twice, of another upload; none loses a file."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from test_parts import deliver, sent, upload

from widgets.panels.source import CHUNK_BYTES, Source

PIECE = 50_000


@pytest.fixture
def source(session):
    return Source(session)


@pytest.fixture
def long(true_notes):
    import synthetic

    return synthetic.wav_bytes(np.tile(synthetic.sound(true_notes, 12.0), 5))


def chunk(source, data, at, id="a"):
    deliver(source, {"do": "chunk", "id": id, "at": at}, [data[at : at + PIECE]])


def begin(source, data, id="a", name="long.wav"):
    deliver(source, {"do": "upload", "name": name, "size": len(data), "id": id})


def opened(session):
    session.wait(60)
    return session.audio.name, round(session.audio.duration_s)


def test_an_upload_in_pieces_is_transcribed(session, source, long):
    box = sent(source)
    assert len(long) > 2 * CHUNK_BYTES
    upload(source, long, "long.wav")
    assert opened(session) == ("long.wav", 60)
    assert [m["received"] for m, _ in box if m["do"] == "got"][-1] == len(long)


def test_pieces_that_overtake_one_another_are_asked_for_again(session, source, long):
    box = sent(source)
    begin(source, long)
    for at in (0, 2 * PIECE, 3 * PIECE, PIECE):
        chunk(source, long, at)
    back = [m for m, _ in box if m.get("back")]
    assert [m["received"] for m in back] == [PIECE], "asked once, not for each piece that came too early"
    for at in range(2 * PIECE, len(long), PIECE):
        chunk(source, long, at)
    assert opened(session) == ("long.wav", 60)


def test_a_lost_piece_is_found_when_the_browser_asks(session, source, long):
    box = sent(source)
    begin(source, long)
    chunk(source, long, 0)
    deliver(source, {"do": "where", "id": "a", "sent": 2 * PIECE})  # the second piece never came
    assert box[-1][0] == {"do": "got", "id": "a", "received": PIECE, "back": True}
    for at in range(PIECE, len(long), PIECE):
        chunk(source, long, at)
    assert opened(session) == ("long.wav", 60)


def test_a_piece_sent_twice_counts_once(session, source, long):
    sent(source)
    begin(source, long)
    for at in range(0, len(long), PIECE):
        chunk(source, long, max(0, at - PIECE // 2))
        chunk(source, long, at)
    assert opened(session) == ("long.wav", 60)


def test_a_second_file_is_not_hindered_by_pieces_of_the_first(session, source, long, recording):
    box = sent(source)
    begin(source, long, "a")
    chunk(source, long, 0, "a")
    begin(source, recording, "b", "second.wav")
    for at in range(0, len(recording), PIECE):
        chunk(source, recording, at, "b")
        chunk(source, long, at + PIECE, "a")
    assert opened(session) == ("second.wav", 12)
    assert {m["id"] for m, _ in box if m["do"] == "refused"} == {"a"}


def test_what_belongs_to_no_upload_is_refused_by_name(source):
    box = sent(source)
    deliver(source, {"do": "chunk", "id": "gone", "at": 0}, [b"x"])
    deliver(source, {"do": "where", "id": "gone", "sent": 1})
    assert [m for m, _ in box] == [{"do": "refused", "id": "gone"}] * 2


def test_a_full_disk_is_said(session, source, long):
    box = sent(source)
    begin(source, long)

    class Full:
        def write(self, _data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    source._upload.file = Full()
    chunk(source, long, 0)
    assert box[-1][0]["do"] == "refused"
    assert "long.wav" in session.status.text and "No space left" in session.status.text


def test_a_reference_is_read_beside_the_recording(session, source, true_notes):
    from amtsep.formats import midi_bytes

    sent(source)
    upload(source, midi_bytes(true_notes), "truth.mid")
    session.wait(60)
    assert session.reference_name == "truth.mid" and len(session.reference) == len(true_notes)
    assert session.audio.name == "tune.wav"
