"""Notes that no threshold decodes: a sequence network's, and those of a file that a person brings."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import numpy as np
import pytest
import synthetic

from amtsep import formats
from amtsep.cache import folder
from amtsep.errors import FormatError
from amtsep.notes import Notes, Track
from widgets.panels.compare import Compare
from widgets.panels.roll import Roll, pack_notes
from widgets.panels.thresholds import Thresholds
from widgets.panels.timbres import Timbres
from widgets.state import cache, network
from widgets.state.edits import Note
from widgets.state.session import Session

SECONDS = 12.0


def said(true_notes: Notes) -> Notes:
    """What the network writes: the tune in tracks that have nothing to do with its two voices, and two strokes."""
    tune = true_notes.with_tracks(
        np.arange(len(true_notes)) % 2, (Track("Program 73", 73), Track("Program 42", 42))
    )  # fmt: skip
    drums = Notes.build([1.0, 2.0], [1.05, 2.05], [36, 38], tracks=[Track("Drums", drums=True)])
    return tune.joined(drums)[0]


class FakeWriter:
    def __init__(self, posteriors, notes) -> None:
        self.posteriors, self.notes, self.calls = posteriors, notes, 0

    def __call__(self, audio, progress=None):
        self.calls += 1
        progress(audio.duration_s, audio.duration_s, "Writing notes")
        return self.posteriors, self.notes


@pytest.fixture
def heard(true_notes):
    return synthetic.perfect(true_notes, SECONDS, timbres=True)


@pytest.fixture
def writer(transcriber, heard, true_notes, monkeypatch):
    """A sequence network that can be chosen, beside one that gives posteriors."""
    fake = FakeWriter(heard, said(true_notes))
    transcriber.posteriors = heard
    monkeypatch.setattr(network, "installed", lambda: ["mt3"])
    monkeypatch.setattr(cache, "writer", lambda model, device: fake)
    return fake


@pytest.fixture
def tune(writer, recording):
    session = Session("mt3")
    session.open(recording, name="tune.wav", wait=True)
    return session


def by_voice(notes: Notes) -> bool:
    """Whether tracks are the two voices of the tune, which lie apart in pitch."""
    low = set(notes.track[notes.pitch < synthetic.SPLIT_PITCH].tolist())
    high = set(notes.track[notes.pitch >= synthetic.SPLIT_PITCH].tolist())
    return len(low) == len(high) == 1 and low != high


def test_written_notes_are_shown_as_they_came_and_no_slider_changes_them(tune, true_notes) -> None:
    assert np.array_equal(tune.notes.pitch, true_notes.pitch)
    assert [track.program for track in tune.notes.tracks] == [73, 42]
    assert tune.strokes.pitch.tolist() == [36, 38], "its drums are drums"
    before = tune.notes
    for value in (0.1, 0.9):
        tune.set_decoding(onset_threshold=value, frame_threshold=value, min_note_length=0.5, min_pitch=60)
        assert tune.notes.equals(before)
    tune.delete(np.array([0]))
    assert len(tune.notes) == len(before) - 1, "they can be corrected"
    tune.undo()
    assert tune.notes.equals(before)


def test_the_panels_say_so(tune) -> None:
    thresholds, roll, compare = Thresholds(tune), Roll(tune), Compare(tune)
    assert thresholds.resting == {"by": "mt3", "network": True} and thresholds.missed == 0
    assert thresholds.network["name"] == "mt3" and {"base", "light"} < set(thresholds.network["models"])
    assert thresholds.network["writers"] == compare.about["writers"] == ["mt3"]
    assert roll.tracks["sure"] == 0.0, "no written note is drawn as an unsure one"
    assert compare.about["written"] and "mt3" not in compare.about["networks"]
    timbres = Timbres(tune)
    assert (timbres.about["writer"], timbres.about["sorted_by"]) == ("mt3", "writer")
    assert [row["instrument"] for row in timbres.rows] == [True, True], "called flute and cello, in any language"
    assert timbres.kit["written"] and timbres.kit["listened"] and timbres.kit["count"] == 2
    thresholds._receive(thresholds, {"do": "model", "value": "base"}, [])
    tune.wait(60)
    assert thresholds.resting == {} and tune.model == "base" and len(tune.notes)
    assert timbres.about["writer"] == "" and not compare.about["written"]


def test_the_same_recording_again_comes_from_the_cache(tune, writer, recording) -> None:
    for _ in range(200):  # it is written in a thread
        if list(folder("posteriors").glob("*.npz")):
            break
        time.sleep(0.05)
    notes, strokes = tune.notes, tune.strokes
    tune.open(recording, name="tune.wav", wait=True)
    assert writer.calls == 1
    assert tune.notes.equals(notes) and tune.strokes.equals(strokes)


def test_written_notes_are_sorted_by_what_is_heard_under_them_and_back(tune) -> None:
    timbres = Timbres(tune)
    assert not by_voice(tune.notes)
    timbres._receive(timbres, {"do": "sort", "value": "sound"}, [])
    assert by_voice(tune.notes) and timbres.about["sorted_by"] == "sound"
    assert not any(row["instrument"] for row in timbres.rows), "a timbre is no instrument"
    tune.set_timbres(1)
    assert len(set(tune.notes.track.tolist())) == 1
    tune.undo()
    tune.undo()
    assert not by_voice(tune.notes) and [t.program for t in tune.notes.tracks] == [73, 42]


def test_notes_made_by_hand_go_to_the_track_that_sounds_like_them(writer, recording, true_notes) -> None:
    session = Session("base")
    session.open(recording, name="tune.wav", wait=True)
    session.set_timbres(2)
    assert by_voice(session.notes)
    lowest, highest = int(np.argmin(session.notes.pitch)), int(np.argmax(session.notes.pitch))
    low, high = int(session.notes.track[lowest]), int(session.notes.track[highest])
    some = [session.table.note(lowest), session.table.note(highest)]
    session.delete(np.array([lowest, highest]))
    session.replace_notes(np.zeros(0, np.intp), [replace(some[0], track=high), replace(some[1], track=low)])
    assert not by_voice(session.notes)
    session.sort_hand_made()
    assert by_voice(session.notes) and np.count_nonzero(session.hand_ids) == 2
    session.undo()
    assert not by_voice(session.notes)


def test_notes_made_by_hand_alone_are_told_apart(writer, recording, true_notes) -> None:
    session = Session("base")
    session.open(recording, name="tune.wav", wait=True)
    session.delete(np.arange(len(session.notes)))
    session.replace_notes(np.zeros(0, np.intp), [Note(n.onset, n.offset, n.pitch) for n in true_notes])
    session.set_timbres(2)
    assert len(set(session.notes.track.tolist())) == 1
    session.sort_hand_made()
    assert by_voice(session.notes) and len(session.notes) == len(true_notes)


def test_written_by_a_network_that_is_not_here(tune, monkeypatch) -> None:
    saved = tune.saved()
    monkeypatch.setattr(network, "installed", lambda: [])
    other = Session("base")
    other.open_saved(io.BytesIO(saved), "tune.amtsep")
    other.wait(60)
    panel = Thresholds(other)
    assert other.written.by == panel.network["brought"] == "mt3" and panel.network["name"] == ""
    panel._receive(panel, {"do": "model", "value": "base"}, [])
    other.wait(60)
    assert other.written is None and panel.network["name"] == "base"


def test_a_midi_that_is_brought_is_worked_on_and_sorted(writer, recording, true_notes, tmp_path) -> None:
    session = Session("base")
    session.open(recording, name="tune.wav", wait=True)
    found = len(session.notes)
    parts = tuple(Track(name, program) for name, program in (("Horn", 60), ("", 0), ("Lute", 24)))
    mixed = true_notes.with_tracks(np.arange(len(true_notes)) % 3, parts)
    session.open_reference(io.BytesIO(formats.midi_bytes(mixed)), "mine.mid")
    session.wait(60)
    compare, thresholds, timbres = Compare(session), Thresholds(session), Timbres(session)
    compare._receive(compare, {"do": "take"}, [])
    assert session.status.kind != "error", session.status
    assert len(session.notes) == len(true_notes) and session.reference is None
    assert {"Horn", "Lute"} <= {row["name"] for row in timbres.rows if row["given"]}
    assert thresholds.resting == {"by": "mine.mid", "network": False} and thresholds.network["brought"] == "mine.mid"
    session.sort_by("sound")
    assert by_voice(session.notes)
    thresholds._receive(thresholds, {"do": "model", "value": "base"}, [])
    session.wait(60)
    assert len(session.notes) == found and thresholds.resting == {}
    assert session.reference_name == "mine.mid", "what was brought is not lost"


def test_drums_of_a_midi_are_taken_with_it_and_do_not_count_as_notes(writer, recording, true_notes, heard) -> None:
    session = Session("base")
    session.open(recording, name="tune.wav", wait=True)
    compare, timbres, roll = Compare(session), Timbres(session), Roll(session)
    whole, _ = true_notes.joined(Notes.build([1.0, 2.5], [1.1, 2.6], [36, 42], tracks=[Track("Kit", drums=True)]))
    session.open_reference(io.BytesIO(formats.midi_bytes(whole)), "band.mid")
    session.wait(60)
    assert compare.scores["hits"] + compare.scores["misses"] == len(true_notes), "strokes are no notes"
    assert roll.reference_data == pack_notes(session.reference.select(session.reference.track == 0))
    saved = Session("base")
    saved.open_saved(io.BytesIO(session.saved()), "band.amtsep")
    saved.wait(60)
    for one in (session, saved):
        one.take(one.reference, "band.mid")
        assert one.strokes.pitch.tolist() == [36, 42] and len(one.notes) == len(true_notes)
    assert timbres.kit["written"] and timbres.kit["count"] == 2
    session.use("base")
    session.wait(60)
    assert len(session.reference) == len(whole), "the strokes came back to where they were"


def test_files_call_tracks_by_the_sound_that_was_meant(tune, true_notes) -> None:
    assert [track.name for track in tune.notes.tracks] == ["Flute", "Cello"]
    tune.set_track(1, program=43)
    assert [track.name for track in tune.notes.tracks] == ["Flute", "Contrabass"], "another sound, another name"
    tune.set_track(1, name="Low")
    assert tune.notes.tracks[1].name == "Low"
    tune.sort_by("sound")
    assert tune.notes.tracks[0].name == "Timbre 1", "a timbre is no instrument"
    parts = (Track("", 56), Track("Solo", 40))
    brought = true_notes.with_tracks(np.arange(len(true_notes)) % 2, parts)
    tune.take(Notes.from_midi(io.BytesIO(formats.midi_bytes(brought))), "mine.mid")
    tune.sort_by("writer")
    assert tune.notes.tracks[0].name == "Trumpet" and Timbres(tune).rows[0]["instrument"]


def test_a_midi_of_another_recording_is_refused_and_nothing_changes(tune) -> None:
    before = tune.notes
    with pytest.raises(FormatError, match="late.mid holds no notes within the recording"):
        tune.take(Notes.build([100.0], [101.0], [60]), "late.mid")
    assert tune.notes is before and tune.written.by == "mt3"


def test_more_tracks_than_the_app_has_share_the_last(tune) -> None:
    many = Notes.build(np.arange(11) * 0.9, np.arange(11) * 0.9 + 0.5, [60] * 11, track=range(11))
    tune.take(many, "many.mid")
    assert len(tune.notes) == 11 and len(tune.notes.tracks) == 8
    assert tune.notes.tracks[7].name == "Others"


def test_a_second_network_is_a_reference_that_is_no_truth(writer, recording, true_notes) -> None:
    session = Session("base")
    session.open(recording, name="tune.wav", wait=True)
    compare = Compare(session)
    notes = session.notes
    compare._receive(compare, {"do": "network", "value": "mt3"}, [])
    session.wait(60)
    assert session.notes is notes and session.model == "base", "what is open stays"
    assert compare.scores["name"] == "mt3" and compare.scores["heard"]
    assert compare.scores["hits"] + compare.scores["misses"] == len(true_notes)
    assert len(compare.verdict) == len(notes) + len(true_notes)
    assert not compare.scores["behind"]
    session.set_decoding(onset_threshold=0.8)
    assert not compare.scores["behind"], "no threshold decodes what is written"
    compare._receive(compare, {"do": "take"}, [])
    assert session.written is None, "a network is chosen, not brought"


def test_a_reference_that_was_heard_says_when_settings_have_moved_on(tune, true_notes) -> None:
    compare = Compare(tune)
    compare._receive(compare, {"do": "network", "value": "base"}, [])
    tune.wait(60)
    assert compare.scores["hits"] and not compare.scores["behind"]
    tune.set_decoding(min_note_length=0.5)
    assert compare.scores["behind"]
    before = compare.scores["hits"]
    tune.set_decoding(onset_threshold=0.95, frame_threshold=0.95, leftover_notes=False, min_note_length=0.06)
    compare._receive(compare, {"do": "network", "value": "base"}, [])
    tune.wait(60)
    assert not compare.scores["behind"] and compare.scores["hits"] <= before
    tune.set_reference(true_notes, "truth.mid")
    tune.set_decoding(onset_threshold=0.5)
    assert not compare.scores["behind"], "a file is what it is"


def test_written_notes_come_back_with_the_session(tune, writer, recording) -> None:
    tune.sort_by("sound")
    tune.delete(np.array([3]))
    tune.compare_with("base")
    tune.wait(60)
    other = Session("base")
    other.open_saved(io.BytesIO(tune.saved()), "tune.amtsep")
    other.wait(60)
    assert other.status.kind == "info", other.status
    assert other.notes.equals(tune.notes, 1e-6) and other.strokes.equals(tune.strokes, 1e-6)
    assert other.written.by == other.model == "mt3" and other.reference_heard and other.reference_name == "base"
    other.sort_by("writer")
    tune.sort_by("writer")
    assert other.notes.equals(tune.notes, 1e-6)
    assert writer.calls == 1, "what was written is kept, not written anew"


def test_a_session_kept_while_one_works_comes_back(tune, writer) -> None:
    from widgets.state.autosave import Autosave

    keeper = Autosave(tune)
    tune.delete(np.array([3]))
    keeper.flush()
    other = Session("mt3")
    again = Autosave(other)
    again.go_on(again.recent()[0].id)
    other.wait(60)
    assert other.notes.equals(tune.notes, 1e-6) and other.written.by == "mt3"
    keeper.close()
    again.close()
    plain = Session("mt3")
    plain.show(tune.audio, tune.posteriors)
    assert plain.written is None
