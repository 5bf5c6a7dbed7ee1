"""The life of the app: what is closed is freed, what has not changed is not computed again, undo is exact."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import threading
import time
import weakref

import numpy as np
import pytest
import synthetic

from amtsep import formats
from amtsep.audio import load_audio
from amtsep.config import Decoding
from widgets import Dashboard, Roll
from widgets.panels.compare import Compare
from widgets.panels.export import Export
from widgets.state import history, session_file
from widgets.state.autosave import ABOUT, Autosave
from widgets.state.corrections import correct
from widgets.state.edits import Edits, Note, State
from widgets.state.session import Session
from widgets.state.session_file import read_session


@pytest.fixture
def two():
    """A session at once, with a network that tells two voices apart."""
    return shown(Session())


def shown(session):
    notes = synthetic.melody(6.0)
    audio = load_audio(synthetic.wav_bytes(synthetic.sound(notes, 6.0)), name="two.wav")
    session.show(audio, synthetic.perfect(notes, 6.0, timbres=True))
    return session


# --- closing ---------------------------------------------------------------------------------------------------------


def test_a_closed_dashboard_leaves_nothing_in_memory(transcriber):
    from ipywidgets.widgets import widget

    before = len(widget._instances)
    dashboard = Dashboard()
    shown(dashboard.session)
    held = [weakref.ref(x) for x in (dashboard.session, dashboard.session.posteriors, dashboard.roll, dashboard.source)]
    dashboard.close()
    dashboard.close()
    del dashboard
    for _ in range(100):  # a thread that was writing lets go when it is done
        gc.collect()
        if not any(ref() for ref in held):
            break
        time.sleep(0.05)
    assert [ref() for ref in held] == [None] * 4
    assert len(widget._instances) == before


def test_a_closed_panel_follows_no_longer_and_the_others_do(two):
    first, second = Roll(two), Roll(two)
    data = first.notes_data
    first.close()
    two.set_decoding(onset_threshold=0.9, leftover_notes=False)
    assert first.notes_data == data and second.notes_data != data


def test_a_page_that_was_away_gets_everything_anew(two, monkeypatch):
    roll = Roll(two)
    said = []
    monkeypatch.setattr(roll, "send_state", lambda key=None: said.append(set(key)))
    roll._receive(None, {"do": "anew"}, [])
    assert {"notes_data", "tracks", "picture", "about", "history"} <= said[0]
    assert not {"_esm", "_css"} & said[0], "the program itself has not been lost"


# --- nothing twice ---------------------------------------------------------------------------------------------------


def test_only_what_the_clustering_depends_on_has_it_done_again(two, monkeypatch):
    from widgets.state import session as module

    calls = []
    real = module.group
    monkeypatch.setattr(module, "group", lambda *a, **k: calls.append(1) or real(*a, **k))
    roll, notes = Roll(two), two.notes
    two.set_track(0, volume=0.4)
    two.set_track(0, mute=True)
    assert roll.tracks["mix"][0] == {"volume": 0.4, "mute": True, "solo": False, "hidden": False}
    two.undo()
    assert two.notes is notes and not calls, "neither volume nor mute changes a note"
    two.delete(np.asarray([0]))
    two.set_track(0, name="Bass")
    two.undo()
    assert not calls and len(two.notes) == len(notes) - 1
    two.set_decoding(onset_threshold=0.6)
    two.set_timbres(2)
    two.assign(np.asarray([1]), 1)
    assert len(calls) == 3


# --- notes by their number -------------------------------------------------------------------------------------------


def test_of_two_notes_drawn_at_one_place_one_can_be_deleted(two):
    n = len(two.notes)
    for length in (0.5, 0.3):
        correct(two, {"what": "add", "notes": [{"onset": 1.0, "offset": 1.0 + length, "pitch": 100}]})
    assert len(two.notes) == n + 2
    mine = np.flatnonzero(two.notes.pitch == 100)
    short = mine[np.argmin(two.notes.offset[mine])]
    correct(two, {"what": "delete", "at": [[100, 1.0, int(two.hand_ids[short])]]})
    left = np.flatnonzero(two.notes.pitch == 100)
    assert len(left) == 1 and two.notes.offset[left[0]] == pytest.approx(1.5)
    # A decoded note under a drawn one is meant only where no number is given.
    assert list(two.find([[100, 1.0, 0]])) == [] and len(two.find([[100, 1.0]])) == 1


def test_a_note_keeps_its_number_while_it_is_moved(two):
    correct(two, {"what": "add", "notes": [{"onset": 1.0, "offset": 1.5, "pitch": 100}]})
    number = int(two.hand_ids.max())
    # Two steps of a key, the second said before the page has seen what the first did.
    for pitch in (101, 102):
        note = {"onset": 1.0, "offset": 1.5, "pitch": pitch}
        correct(two, {"what": "change", "at": [[100, 1.0, number]], "notes": [note]})
    assert list(two.notes.pitch[two.hand_ids == number]) == [102]


def test_notes_of_old_session_files_get_numbers(two):
    data = io.BytesIO(two.saved())
    state = json.loads(json.dumps(session_file.asdict(read_session(data, "s.amtsep").state)))
    old = {"onset": 1.0, "offset": 1.5, "pitch": 60, "velocity": 80, "track": 0}
    state["edits"]["added"] = [old, old]
    assert [note.id for note in session_file._state(state).edits.added] == [1, 2]


# --- undo ------------------------------------------------------------------------------------------------------------


def test_undo_in_the_middle_of_a_drag_goes_to_its_beginning(two):
    two.set_decoding(onset_threshold=0.4)
    two.set_decoding(lasting=False, onset_threshold=0.5)
    two.set_decoding(lasting=False, onset_threshold=0.6)
    two.undo()
    assert two.state.decoding.onset_threshold == 0.4
    two.redo()
    assert two.state.decoding.onset_threshold == 0.6


def test_what_changes_nothing_is_no_step_and_keeps_what_can_be_done_again(two):
    two.set_decoding(onset_threshold=0.7)
    two.undo()
    steps = len(two._undo)
    two.set_decoding(onset_threshold=two.state.decoding.onset_threshold)
    two.set_decoding(lasting=False, onset_threshold=0.3)
    two.set_decoding(onset_threshold=two._pending.decoding.onset_threshold)
    two.delete(np.zeros(0, np.intp))
    first = two.table.note(0)
    two.change([(0, first)])
    assert len(two._undo) == steps and two.can_redo
    two.assign(np.asarray([0]), first.track)
    two.assign(np.asarray([0]), first.track)
    assert len(two._undo) == steps + 1, "said twice, it is one correction"


def test_the_history_buttons_follow_a_step_that_leaves_the_notes_as_they_are(two):
    roll = Roll(two)
    two.set_decoding(lasting=False, onset_threshold=0.6)
    assert not roll.history["undo"]
    two.set_decoding(lasting=True, onset_threshold=0.6)
    assert roll.history["undo"]


def test_a_reload_loses_no_undo(session):
    autosave = Autosave(session)
    session.set_decoding(onset_threshold=0.6)
    session.delete(np.asarray([0]))
    session.replace_notes(np.zeros(0, np.intp), [Note(1.0, 1.5, 100)])
    session.set_track(0, name="Bass")
    session.undo()
    states = [*session._undo, session.state, *session._redo]
    autosave.flush()
    page = Session()
    again = Autosave(page)
    again.go_on(again.recent()[0].id)
    page.wait(60)
    assert [*page._undo, page.state, *page._redo] == states
    page.redo()
    assert page.state.tracks[0].name == "Bass"
    for _ in range(4):
        page.undo()
    assert page.state == states[0] and not page.can_undo
    # The history is no part of a file that one gives away.
    assert read_session(io.BytesIO(session.saved()), "s.amtsep").undo == ()
    about = next(again.where.glob(f"*/{ABOUT}"))
    again.flush()
    assert "history" in json.loads(about.read_text())


def test_sessions_of_before_told_the_energy_tolerance_in_frames(session):
    autosave = Autosave(session)
    session.set_decoding(energy_tolerance=0.09)
    session.set_track(0, name="Bass")
    autosave.flush()
    about = next(autosave.where.glob(f"*/{ABOUT}"))
    values = json.loads(about.read_text())
    values["amtsep_session"] = 1
    for state in (values["state"], *values["history"]["undo"]):
        if "decoding" in state:
            state["decoding"]["energy_tolerance"] = round(state["decoding"]["energy_tolerance"] * 22050 / 256)
    assert values["state"]["decoding"]["energy_tolerance"] == 8
    about.write_text(json.dumps(values))
    page = Session()
    again = Autosave(page)
    again.go_on(again.recent()[0].id)
    page.wait(60)
    assert page.state == session.state and page.state.decoding.energy_tolerance == 0.09
    page.undo()
    page.undo()
    assert page.state.decoding == Decoding() and not page.can_undo


def test_a_long_history_is_bounded_and_a_damaged_one_ends_where_the_damage_is():
    states = [State()]
    for i in range(100):
        notes = [Note(i + k / 100, i + k / 100 + 0.1, 60) for k in range(40)]
        states.append(State(edits=Edits(((60, float(i)),)).put_in(notes)))
    packed = history.pack(states[-1], states[:-1], ())
    assert len(json.dumps(packed)) < history.MOST_BYTES * 1.2
    values = json.loads(json.dumps(packed))
    undo, redo = history.unpack(values, states[-1], session_file._state)
    assert 5 < len(undo) < 100 and list(undo) == states[-1 - len(undo) : -1] and redo == ()
    values["undo"][3] = {"decoding": {"onset_threshold": 7}}
    assert len(history.unpack(values, states[-1], session_file._state)[0]) == 3
    assert history.unpack("nonsense", states[-1], session_file._state) == ((), ())


# --- nobody waits ----------------------------------------------------------------------------------------------------


def test_wait_works_in_a_notebook_too(transcriber, recording):
    async def cell():
        session = Session()
        session.open(recording, name="tune.wav")
        session.wait(30)
        return session

    assert len(asyncio.run(cell()).notes)


def test_wait_gives_up_where_nothing_moves(transcriber, recording):
    session = Session()
    transcriber.gate = threading.Event()
    session.open(recording, name="tune.wav")
    with pytest.raises(TimeoutError, match="no progress for 0.5 seconds"):
        session.wait(0.5)
    transcriber.gate.set()
    session.wait(60)
    assert len(session.notes)


@pytest.mark.parametrize("what", ["musicxml", "heat"])
def test_the_page_answers_while_a_file_or_a_map_is_made(two, monkeypatch, what):
    gate = threading.Event()

    def slow(*_args, **_kwargs):
        assert gate.wait(20)
        return b"<score/>"

    async def page():
        export, compare = Export(two), Compare(two)
        sent = []
        export.send = lambda content, buffers=None: sent.append((content, buffers))
        two.set_reference(two.notes, "truth.mid")
        if what == "musicxml":
            monkeypatch.setattr(formats, "musicxml_bytes", slow)
            export.do_export({"format": "musicxml"}, [])
        else:
            monkeypatch.setattr("widgets.panels.compare.onset_f1", lambda *_: len(slow()) / 100)
            compare.do_heat({}, [])
            assert compare.heat == {"working": True}
        two.set_decoding(onset_threshold=0.7)  # a hand goes on
        gate.set()
        for _ in range(2000):
            if sent or compare.heat.get("f1"):
                break
            await asyncio.sleep(0.01)
        return sent, compare.heat

    sent, heat = asyncio.run(page())
    if what == "musicxml":
        assert sent == [({"do": "file", "name": "two.musicxml", "type": sent[0][0]["type"]}, [b"<score/>"])]
    else:
        assert np.shape(heat["f1"]) == (13, 13)
