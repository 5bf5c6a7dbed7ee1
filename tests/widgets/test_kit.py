"""Drums in the app: found with the notes, switched, corrected, undone, kept, and part of what is written."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

import numpy as np
import pytest
import synthetic

from amtsep.formats import read_midi
from widgets.panels.export import Export
from widgets.panels.roll import Roll
from widgets.panels.score import Score
from widgets.panels.timbres import Timbres
from widgets.state.session import Session
from widgets.state.session_file import read_session

KICK, SNARE, HIHAT = 36, 38, 42


@pytest.fixture
def posteriors(true_notes):
    return synthetic.perfect(true_notes, 12.0, drums=True)


def sent(panel):
    box = []
    panel.send = lambda content, buffers=None: box.append((content, buffers))
    return box


def edit(roll, what, **more):
    roll._receive(roll, {"do": "edit", "of": "strokes", "what": what, **more}, [])


def strokes(session, key):
    return session.strokes.onset[session.strokes.pitch == key]


def test_drums_are_heard_beside_the_notes_and_are_none_of_them(session):
    assert len(strokes(session, KICK)) == pytest.approx(12, abs=1)
    assert np.allclose(np.diff(strokes(session, KICK)), 1.0, atol=0.02)
    assert session.strokes.tracks[0].drums and not any(track.drums for track in session.notes.tracks)


def test_off_auto_and_on(session, transcriber):
    session.set_kit(when="off")
    assert len(session.strokes) == 0
    session.set_kit(when="auto")
    assert len(session.strokes) > 30
    assert transcriber.calls == 1, "what was heard once is kept"
    session.set_kit(threshold=0.8)  # the hi-hat is less sure
    assert len(strokes(session, HIHAT)) == 0 < len(strokes(session, KICK))
    session.undo()
    assert len(strokes(session, HIHAT)) > 0
    session.undo()
    assert session.state.kit.when == "off" and len(session.strokes) == 0


def test_drums_asked_for_later_are_heard_then(recording, transcriber, monkeypatch):
    from dataclasses import replace

    from widgets.state import cache

    whole = transcriber.posteriors
    transcriber.posteriors = replace(whole, drums=None)
    monkeypatch.setattr(cache, "with_drums", lambda posteriors, audio, progress=None: whole)
    session = Session()
    session.set_kit(when="off")
    session.open(recording, name="tune.wav")
    session.wait(60)
    notes = session.notes
    assert len(notes) and not len(session.strokes)
    session.set_kit(when="auto")
    session.wait(60)
    assert len(session.strokes) > 30 and session.notes is notes and session.status.kind != "error"


def test_strokes_are_put_in_and_taken_out_and_that_is_kept(session):
    roll = Roll(session)
    before = len(session.strokes)
    at = float(strokes(session, SNARE)[2])
    edit(roll, "delete", at=[[SNARE, at, 0]])
    edit(roll, "add", notes=[{"onset": 3.333, "offset": 3.383, "pitch": 49, "velocity": 96}])
    assert len(session.strokes) == before and session.unsaved
    assert len(roll.stroke_data) == before * 5 * 4
    assert not np.any(np.isclose(strokes(session, SNARE), at, atol=0.02))
    session.set_kit(threshold=0.55)
    assert np.allclose(strokes(session, 49), [3.333]), "a correction outlives a threshold"
    saved = read_session(io.BytesIO(session.saved()), "s.amtsep")
    assert saved.state == session.state and np.array_equal(saved.posteriors.drums > 0.5, session.posteriors.drums > 0.5)
    # What was put in by hand is taken out by its place.
    session.drop_stroke(49, 3.333)
    assert len(strokes(session, 49)) == 0
    for _ in range(4):
        session.undo()
    assert np.any(np.isclose(strokes(session, SNARE), at)) and not session.unsaved


def test_strokes_are_moved_and_made_louder_and_stay_the_same_ones(session):
    roll = Roll(session)
    before, beats = len(session.strokes), session.beats
    i = int(np.flatnonzero(session.strokes.pitch == SNARE)[1])
    at, velocity = float(session.strokes.onset[i]), int(session.strokes.velocity[i])
    louder = {"onset": at, "offset": at + 0.05, "pitch": SNARE, "velocity": velocity - 7}
    edit(roll, "change", at=[[SNARE, at, 0]], notes=[louder])
    number = int(session.stroke_ids.max())
    moved = {**louder, "onset": at + 0.2, "offset": at + 0.25, "pitch": HIHAT}
    edit(roll, "change", at=[[SNARE, at, number]], notes=[moved])
    assert len(session.strokes) == before and list(session.stroke_ids[session.stroke_ids > 0]) == [number]
    mine = session.strokes.select(session.stroke_ids == number)
    assert (mine.pitch[0], mine.velocity[0]) == (HIHAT, velocity - 7) and mine.onset[0] == pytest.approx(at + 0.2)
    assert session.beats is beats, "a stroke that is moved onto a beat does not move the beat"
    session.undo()
    session.undo()
    assert not session.stroke_ids.any() and float(session.strokes.onset[i]) == at
    edit(roll, "split", at=[[SNARE, at, 0]], time=at + 0.02)
    assert session.status.kind == "error" and len(session.strokes) == before


def test_strokes_corrected_while_the_link_was_broken_are_heard_once(session):
    roll = Roll(session)
    before = len(session.strokes)
    made = {"onset": 3.333, "offset": 3.383, "pitch": 49, "velocity": 96}
    for _ in range(2):
        edit(roll, "add", notes=[made], turn=7)
    assert len(session.strokes) == before + 1 and session.turn == 7


def test_the_lane_is_there_for_strokes_nobody_heard(session):
    roll = Roll(session)
    session.set_kit(when="on", threshold=1.0)
    assert len(session.strokes) == 0 and roll.kit["lane"]
    edit(roll, "add", notes=[{"onset": 1.0, "offset": 1.05, "pitch": KICK, "velocity": 96}])
    assert list(strokes(session, KICK)) == [1.0]


def test_the_row_of_the_drums(session):
    timbres, roll = Timbres(session), Roll(session)
    box = sent(timbres)
    assert timbres.kit["when"] == "auto" and timbres.kit["count"] == len(session.strokes) and timbres.kit["listened"]
    timbres._receive(timbres, {"do": "kit", "values": {"mute": True, "volume": 0.4, "bogus": 1}}, [])
    assert roll.kit == {"volume": 0.4, "mute": True, "solo": False, "hidden": False, "lane": False}
    timbres._receive(timbres, {"do": "kit", "values": {"threshold": 0.8}, "lasting": False, "turn": 3}, [])
    assert box[-1][0] == {"do": "kit_done", "turn": 3} and timbres.kit["count"] == len(session.strokes)
    timbres._receive(timbres, {"do": "kit", "values": {"when": "loud"}}, [])
    assert session.status.kind == "error" and session.state.kit.when == "auto"


def test_drums_are_written_as_drums(session):
    export = Export(session)
    box = sent(export)
    for kind in ("midi", "musicxml", "csv", "json"):
        export._receive(export, {"do": "export", "format": kind}, [])
    midi, xml, csv, json = (bytes(buffers[0]) for _, buffers in box)
    table = read_midi(midi, drums=True)
    kits = [i for i, track in enumerate(table.tracks) if track.drums]
    assert len(kits) == 1 and int((table.track == kits[0]).sum()) == len(session.strokes)
    assert b"<display-step>" in xml and b"<sign>percussion</sign>" in xml
    assert csv.count(b"Drums") == len(session.strokes) and b'"drums": true' in json
    box.clear()
    export._receive(export, {"do": "export", "format": "midi", "track": 0}, [])
    assert not any(track.drums for track in read_midi(bytes(box[0][1][0]), drums=True).tracks), "one track is one track"
    export._receive(export, {"do": "export", "format": "midi", "track": "drums"}, [])
    content, buffers = box[-1]
    alone = read_midi(bytes(buffers[0]), drums=True)
    assert content["name"] == "tune - Drums.mid" and [track.drums for track in alone.tracks] == [True]
    assert len(alone) == len(session.strokes)


def test_drums_tell_the_beats_and_stand_in_the_score(session):
    beats = session.beats
    session.set_kit(when="off")
    assert session.beats is not beats, "found anew without them"
    session.set_kit(when="auto")
    kicks = strokes(session, KICK)
    found = session.beats.time
    assert np.mean([np.abs(found - t).min() < 0.05 for t in kicks[1:-1]]) > 0.9
    score = Score(session)
    box = sent(score)
    score._receive(score, {"do": "visible", "value": True}, [])
    content, buffers = box[-1]
    assert b"<sign>percussion</sign>" in bytes(buffers[0])
    assert content["source"].count(-1) == len(session.strokes)
    notes = [i for i in content["source"] if i >= 0]
    assert len(notes) == len(set(notes)) > 0


def test_bends_are_written_where_they_are_asked_for(session):
    import mido

    export = Export(session)
    box = sent(export)

    def bent(data):
        file = mido.MidiFile(file=io.BytesIO(bytes(data)))
        return sum(message.type == "pitchwheel" for track in file.tracks for message in track)

    export._receive(export, {"do": "export", "format": "midi"}, [])
    export.bends = True
    export._receive(export, {"do": "export", "format": "midi"}, [])
    export._receive(export, {"do": "export", "format": "csv"}, [])
    assert bent(box[0][1][0]) == 0 < bent(box[1][1][0])
    assert b"bend_cents" in bytes(box[2][1][0])
    export._receive(export, {"do": "curves"}, [])
    content, buffers = box[3]
    told = {(pitch, onset) for pitch, onset, _ in content["curves"]}
    there = set(zip(session.notes.pitch.tolist(), session.notes.onset.tolist(), strict=True))
    assert told and told <= there, "the page has the curves for the files that it makes itself"
    assert len(buffers[0]) == 8 * sum(points for _, _, points in content["curves"])
    notes = read_midi(bytes(box[1][1][0]))
    assert len(notes) == pytest.approx(len(session.notes), abs=2)


def test_a_session_of_before_drums_opens_without_any(session):
    import json
    import zipfile

    old = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(session.saved())) as archive, zipfile.ZipFile(old, "w") as out:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "session.json":
                about = json.loads(data)
                del about["state"]["kit"], about["state"]["strokes"]
                data = json.dumps(about).encode()
            out.writestr(name, data)
    saved = read_session(io.BytesIO(old.getvalue()), "old.amtsep")
    assert saved.state.kit.when == "off" and not saved.state.strokes
    session.open_saved(io.BytesIO(old.getvalue()), "old.amtsep")
    session.wait(60)
    assert len(session.notes) and not len(session.strokes)


def test_drums_switched_on_while_something_else_runs_are_listened_for_then(transcriber, recording, monkeypatch):
    from widgets.state import cache

    with_drums, plain = transcriber.posteriors, replace(transcriber.posteriors, drums=None)
    monkeypatch.setattr(cache, "with_drums", lambda posteriors, audio, progress: with_drums)
    transcriber.posteriors, transcriber.gate = plain, threading.Event()
    session = Session()
    session.set_kit(when="off")
    session.open(recording, name="tune.wav")
    session.set_kit(when="on")
    transcriber.gate.set()
    session.wait(60)
    assert len(session.strokes) > 30


@pytest.fixture
def listening(transcriber, recording, monkeypatch):
    """A session that listens for drums, which goes on when the event is set."""
    from widgets.state import cache

    with_drums, gate = transcriber.posteriors, threading.Event()
    monkeypatch.setattr(cache, "with_drums", lambda *_args: (gate.wait(20), with_drums)[1])
    transcriber.posteriors = replace(with_drums, drums=None)
    session = Session()
    session.set_kit(when="off")
    session.open(recording, name="tune.wav", wait=True)
    session.set_kit(when="on")
    assert session.busy
    return session, gate


def test_drums_are_listened_for_on_where_notes_are_brought_meanwhile(listening, true_notes):
    session, gate = listening
    session.take(true_notes, "mine.mid")
    assert session.written.by == "mine.mid" and len(session.notes) == len(true_notes)
    gate.set()
    session.wait(60)
    assert len(session.strokes) > 30 and session.status.kind != "error"
    assert session.written.by == "mine.mid" and len(session.notes) == len(true_notes)


def test_drums_are_listened_for_in_a_session_that_was_saved_before_they_were_heard(listening):
    session, gate = listening
    data = session.saved()
    session.cancel()
    gate.set()
    again = Session()
    again.open_saved(io.BytesIO(data), "tune.amtsep")
    again.wait(60)
    assert again.state.kit.when == "on" and len(again.strokes) > 30 and len(again.notes) == len(session.notes)


def test_a_comparison_takes_the_turn_of_listening_for_drums_and_not_its_place(transcriber, recording, monkeypatch):
    from amtsep.errors import Cancelled
    from widgets.state import cache

    with_drums, gate, heard = transcriber.posteriors, threading.Event(), []

    def listen(posteriors, audio, progress):
        heard.append(gate.wait(5))
        if progress(0, 1, "read") is False:
            raise Cancelled("cancelled")
        return with_drums

    monkeypatch.setattr(cache, "with_drums", listen)
    transcriber.posteriors = replace(with_drums, drums=None)
    session = Session()
    session.set_kit(when="off")
    session.open(recording, name="tune.wav", wait=True)
    session.set_kit(when="on")
    session.compare_with("light")
    gate.set()
    session.wait(60)
    assert session.reference_name == "light" and len(session.strokes) > 30 and len(heard) == 2
