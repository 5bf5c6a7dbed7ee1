"""What is kept while one works: after a crash, a reload, a restart nothing that the person had is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_parts import deliver, sent

from amtsep.cache import folder
from widgets.panels.roll import Roll
from widgets.panels.source import Source
from widgets.state import autosave as autosaves
from widgets.state.autosave import Autosave
from widgets.state.edits import Note
from widgets.state.session import Session


def opened(recording, name="tune.wav", shared=False, visitor=""):
    """A session that is kept, with a recording open."""
    session = Session()
    kept = Autosave(session, shared)
    kept.visitor(visitor)
    session.open(recording, name=name)
    session.wait(60)
    assert session.status.kind == "info", session.status
    return session, kept


def another():
    """What a page that comes after a crash has."""
    session = Session()
    return session, Autosave(session)


@pytest.fixture
def other(true_notes):
    import synthetic

    return synthetic.wav_bytes(0.5 * synthetic.sound(true_notes, 12.0))


def wait_for_cache():
    import time

    for _ in range(200):
        if list(folder("posteriors").glob("*.npz")):
            return
        time.sleep(0.05)


def test_everything_is_there_after_a_crash(transcriber, recording, true_notes):
    session, kept = opened(recording)
    session.set_decoding(onset_threshold=0.42)
    session.delete(np.asarray([0, 3]))
    session.replace_notes(np.asarray([], np.intp), [Note(1.0, 2.0, 70, 99)])
    session.assign(np.asarray([5]), 1)
    session.set_track(1, name="Violín")
    session.set_reference(true_notes, "truth.mid")
    kept.flush()
    wait_for_cache()
    again, after = another()
    (entry,) = after.recent()
    assert (entry.name, entry.changes, entry.notes) == ("tune.wav", 5, len(session.notes))
    after.go_on(entry.id)
    again.wait(60)
    assert again.state == session.state
    assert again.notes.equals(session.notes, 1e-4)
    assert again.reference.equals(true_notes, 1e-4) and again.reference_name == "truth.mid"
    assert transcriber.calls == 1, "the posteriors come from the cache"
    assert after.recent() == [], "what is open is not offered"


def test_going_on_is_possible_when_the_cache_is_gone(transcriber, recording):
    session, kept = opened(recording)
    session.delete(np.asarray([0]))
    kept.flush()
    wait_for_cache()
    for path in folder("posteriors").glob("*.npz"):
        path.unlink()
    again, after = another()
    after.go_on(after.recent()[0].id)
    again.wait(60)
    assert again.notes.equals(session.notes, 1e-4) and transcriber.calls == 2


def test_a_crash_while_writing_leaves_the_state_before(transcriber, recording, monkeypatch):
    session, kept = opened(recording)
    session.delete(np.asarray([0]))
    kept.flush()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "crash")))
    session.delete(np.asarray([0]))
    kept.flush()
    monkeypatch.undo()
    os.environ["AMTSEP_SESSIONS"] = str(kept.where.parent)
    try:
        again, after = another()
        after.go_on(after.recent()[0].id)
        again.wait(60)
    finally:
        del os.environ["AMTSEP_SESSIONS"]
    assert len(again.state.edits) == 1


def told(slot):
    """What a person finds who goes on with a kept session; that it cannot be read is a finding, too."""
    page, kept = another()
    kept.go_on(slot)
    page.wait(60)
    kept.close()
    if page.audio is None:
        return page.status.text
    heading = None if page.written is None else page.written.by
    laid_under = None if page.reference is None else len(page.reference)
    return heading, len(page.notes), page.reference_name, laid_under, len(page.state.edits), page.state.tracks[0].name


def bring(page):
    """Work on what was laid under the notes: a table of notes comes, and one goes."""
    page.take(page.reference, "mine.mid")
    page.set_track(0, name="Mine")


def go_back(page):
    """Have the network's notes again: one goes, and one comes."""
    page.use("light")
    page.wait(60)


@pytest.mark.parametrize("later", [bring, go_back])
def test_wherever_the_writing_ends_one_state_can_be_read_whole(transcriber, recording, true_notes, monkeypatch, later):
    session, kept = opened(recording)
    session.delete(np.asarray([0, 3]))
    session.set_reference(true_notes, "mine.mid")
    if later is go_back:
        bring(session)
    kept.close()
    wait_for_cache()
    place, copy = kept.where / session.slot, kept.where.parent / "copy"
    shutil.copytree(place, copy)
    before = told(session.slot)
    later(session)
    real = {name: getattr(Path, name) for name in ("replace", "unlink")}
    found, ended = [], False
    for last in range(30):
        page, again = another()
        again.go_on(session.slot)
        page.wait(60)
        again.close()
        later(page)
        again = Autosave(page)
        steps = iter(range(30))
        died = []

        def step(name, path, *args, steps=steps, last=last, died=died, **kwargs):
            if next(steps) >= last or died:
                died.append(path)
                raise OSError(errno.EIO, "the program was killed")
            return real[name](path, *args, **kwargs)

        for name in real:
            monkeypatch.setattr(Path, name, lambda *a, name=name, step=step, **k: step(name, *a, **k))
        page.steps += 1  # all that has changed is written at once
        again.close()
        for name, call in real.items():
            monkeypatch.setattr(Path, name, call)
        found.append(told(session.slot))
        shutil.rmtree(place)
        shutil.copytree(copy, place)
        ended = not died
        if ended:
            break
    assert ended and len(found) > 4 and found[-1] != before and set(found) == {before, found[-1]}
    assert found == sorted(found, key=lambda state: state != before), "the state after stays once it is there"


def test_tables_that_no_state_needs_are_deleted(transcriber, recording, true_notes):
    session, kept = opened(recording)
    for i in range(3):
        session.set_reference(true_notes.select(true_notes.onset > i), "truth.mid")
        kept.flush()
    session.set_reference(None)
    kept.flush()
    session.set_track(0, name="Bass")
    kept.flush()
    left = {path.name for path in (kept.where / session.slot).iterdir()}
    assert left == {"audio.flac", "original", "session.json"}


@pytest.mark.parametrize("left", [False, True], ids=["whole", "with a table that an interrupted writing left"])
def test_a_session_kept_before_tables_had_names_of_their_own_opens(transcriber, recording, true_notes, left):
    session, kept = opened(recording)
    session.delete(np.asarray([0]))
    session.set_reference(true_notes, "truth.mid")
    if not left:
        session.take(true_notes.select(true_notes.onset > 2.0), "mine.mid")
    kept.close()
    place = kept.where / session.slot
    about = json.loads((place / autosaves.ABOUT).read_text(encoding="utf-8"))
    for member, name in about.pop("members").items():
        if name is not None:
            (place / name).rename(place / member)
    (place / autosaves.ABOUT).write_text(json.dumps(about), encoding="utf-8")
    if left:
        shutil.copy(place / "reference.json", place / "written.json")
    heading, notes, name, laid_under, changes, _ = told(session.slot)
    assert (heading, notes) == (None if left else "mine.mid", len(session.notes))
    assert (name, laid_under, changes) == ("truth.mid", len(true_notes), 1)
    assert not (place / "written.json").exists(), "going on keeps it as it is kept now"


def test_a_full_disk_is_said_once_and_stops_nothing(transcriber, recording, monkeypatch):
    session, kept = opened(recording)
    kept.flush()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(autosaves, "_replace", full)
    session.delete(np.asarray([0]))
    kept.flush()
    session._inbox.get(timeout=5)()
    while not session._inbox.empty():
        session._inbox.get()()
    assert session.status.key == "not_kept" and "No space" in session.status.values["why"]
    assert len(session.state.edits) == 1


def test_opening_the_same_recording_again_does_not_touch_earlier_work(transcriber, recording):
    session, kept = opened(recording)
    session.delete(np.asarray([0, 1]))
    kept.flush()
    fresh, after = opened(recording)
    assert after.earlier is not None and after.earlier.changes == 2
    fresh.set_decoding(onset_threshold=0.7)
    after.flush()
    assert [e.changes for e in after.recent()] == [2]
    after.go_on(after.earlier.id)
    fresh.wait(60)
    assert len(fresh.state.edits) == 2


def test_opening_another_recording_says_what_is_kept(transcriber, recording, other):
    session, kept = opened(recording)
    source = Source(session, kept)
    session.delete(np.asarray([0]))
    session.open(other, name="other.wav")
    session.wait(60)
    assert source.offer["why"] == "left" and source.offer["name"] == "tune.wav"
    kept.flush()
    deliver(source, {"do": "go_on", "id": source.offer["id"]})
    session.wait(60)
    assert session.audio.name == "tune.wav" and len(session.state.edits) == 1


def test_ten_are_kept_and_work_by_hand_longest(transcriber, true_notes):
    import synthetic

    sound = synthetic.sound(true_notes, 12.0)
    for i in range(13):
        session, kept = opened(synthetic.wav_bytes((0.3 + 0.05 * i) * sound), f"{i}.wav")
        if i == 0:
            session.delete(np.asarray([0]))
        kept.flush()
    names = [e.name for e in another()[1].recent()]
    assert names == [*[f"{i}.wav" for i in range(12, 3, -1)], "0.wav"]


def test_untouched_sessions_of_one_recording_are_one(transcriber, recording):
    for _ in range(3):
        opened(recording)[1].flush()
    assert len(another()[1].recent()) == 1


def test_two_pages_on_one_session_lose_nothing(transcriber, recording):
    session, kept = opened(recording)
    session.delete(np.asarray([0]))
    kept.flush()
    second, after = another()
    after.go_on(after.recent()[0].id)
    second.wait(60)
    second.delete(np.asarray([0]))
    after.flush()
    session.set_track(0, name="Piano")
    kept.flush()
    assert {(e.changes) for e in another()[1].recent()} == {2}
    assert len(another()[1].recent()) == 2


def test_on_a_shared_server_visitors_see_only_their_own(transcriber, recording):
    first, second = "a" * 20, "b" * 20
    session, kept = opened(recording, shared=True, visitor=first)
    session.delete(np.asarray([0]))
    kept.flush()
    for visitor, count in ((first, 1), (second, 0), ("", 0)):
        page = Autosave(Session(), shared=True)
        page.visitor(visitor)
        assert len(page.recent()) == count


def test_a_damaged_kept_session_gets_a_sentence_and_changes_nothing(session, transcriber, recording):
    kept = Autosave(session)
    other, first = opened(recording)
    first.flush()
    entry = first.where / other.slot
    (entry / "audio.flac").write_bytes(b"no sound")
    kept.go_on(other.slot)
    session.wait(60)
    assert session.status.kind == "error" and "tune.wav" in session.status.text
    assert session.audio.name == "tune.wav" and len(session.notes)


def test_a_correction_that_comes_twice_counts_once(session):
    roll = Roll(session)
    sent(roll)
    note = {"onset": 1.0, "offset": 1.5, "pitch": 90, "velocity": 80, "track": 0}
    for _ in range(2):
        deliver(roll, {"do": "edit", "what": "add", "notes": [note], "turn": 7})
    assert (session.notes.pitch == 90).sum() == 1 and roll.history["turn"] == 7


def test_a_page_brings_the_corrections_that_its_program_did_not_keep(transcriber, recording):
    session, kept = opened(recording)
    roll = Roll(session)
    note = {"onset": 1.0, "offset": 1.5, "pitch": 90, "velocity": 80, "track": 0}
    deliver(roll, {"do": "edit", "what": "add", "notes": [note], "turn": 3})
    kept.flush()
    again, after = another()
    source = Source(again, after)
    sent(source)
    deliver(source, {"do": "hello"})
    later = [{"what": "add", "notes": [{**note, "pitch": p}], "turn": t} for p, t in ((90, 3), (91, 4))]
    deliver(source, {"do": "go_on", "id": source.recent[0]["id"], "edits": later})
    again.wait(60)
    assert [(again.notes.pitch == p).sum() for p in (90, 91)] == [1, 1]


def test_unsaved_is_what_no_file_holds(session):
    roll = Roll(session)
    assert not roll.history["unsaved"]
    session.delete(np.asarray([0]))
    assert roll.history["unsaved"]
    session.exported()
    assert not roll.history["unsaved"]
    session.undo()
    session.redo()
    assert not roll.history["unsaved"]
