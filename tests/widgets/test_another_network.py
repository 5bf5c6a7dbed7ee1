"""Another network than the one before: what a person has named, laid under the notes and chosen stays theirs."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic

from amtsep.audio import from_samples
from amtsep.cache import folder
from widgets.panels.compare import Compare
from widgets.panels.thresholds import Thresholds
from widgets.state import cache
from widgets.state.autosave import Autosave
from widgets.state.session import Session

SECONDS = 12.0


def low(notes):
    return notes.pitch < synthetic.SPLIT_PITCH


@pytest.fixture
def heard(transcriber, true_notes):
    """Two voices told apart by every network, as `transcriber` gives them."""
    transcriber.posteriors = synthetic.perfect(true_notes, SECONDS, timbres=True)
    return transcriber


@pytest.fixture
def two(heard, recording):
    session = Session("base")
    session.open(recording, name="tune.wav", wait=True)
    session.set_timbres(2)
    return session


# --- names of tracks -------------------------------------------------------------------------------------------------


def voices(session):
    """The name of the track that most notes of the lower voice are on, and of the higher one's."""
    table = session.notes
    return [table.tracks[np.bincount(table.track[voice]).argmax()].name for voice in (low(table), ~low(table))]


@pytest.mark.parametrize("late", [True, False], ids=["the lower voice begins later", "the higher voice does"])
def test_tracks_keep_their_names_where_another_network_finds_another_one_first(two, heard, true_notes, late) -> None:
    first = int(two.notes.track[low(two.notes)][0])
    two.set_track(first, name="Bass")
    two.set_track(1 - first, name="Flute")
    assert voices(two) == ["Bass", "Flute"]
    missed = (low(true_notes) == late) & (true_notes.onset < 3.0)
    heard.posteriors = synthetic.perfect(true_notes.select(~missed), SECONDS, timbres=True)
    two.use("light")
    two.wait(60)
    assert two.model == "light" and voices(two) == ["Bass", "Flute"]


# --- what was laid under the notes -----------------------------------------------------------------------------------


def test_a_reference_that_is_behind_is_still_so_when_another_network_is_chosen(two) -> None:
    compare = Compare(two)
    two.compare_with("light")
    two.wait(60)
    found_at = two.state.decoding.onset_threshold
    two.set_decoding(onset_threshold=0.3)
    assert compare.scores["behind"]
    two.use("large")
    two.wait(60)
    assert two.model == "large" and compare.scores["name"] == "light" and compare.scores["behind"]
    two.set_decoding(onset_threshold=found_at)
    assert not compare.scores["behind"], "these are the settings that it was found with"


def test_a_reference_that_is_behind_is_still_so_when_notes_are_brought(two, true_notes) -> None:
    compare = Compare(two)
    two.compare_with("light")
    two.wait(60)
    two.set_decoding(onset_threshold=0.3)
    two.take(replace(true_notes), "mine.mid")
    assert compare.scores["name"] == "light" and compare.scores["behind"]


def test_a_reference_that_is_behind_is_still_so_when_the_session_is_reopened(two) -> None:
    two.compare_with("light")
    two.wait(60)
    two.set_decoding(onset_threshold=0.3)
    again = Session("base")
    compare = Compare(again)
    again.open_saved(io.BytesIO(two.saved()), "tune.amtsep")
    again.wait(60)
    assert compare.scores["name"] == "light" and compare.scores["behind"]


# --- the network of a reopened session -------------------------------------------------------------------------------


def made_by(model, notes):
    """A session file of a page that listens with this network."""
    session = Session(model)
    posteriors = replace(synthetic.perfect(notes, SECONDS), model=f"{Path(model).stem} 0a1b2c3d")
    session.show(from_samples(synthetic.sound(notes, SECONDS), synthetic.RATE, name="tune.wav"), posteriors)
    return session.saved()


def reopened(data):
    """A page that begins with `base`, and goes on with a session file."""
    session = Session("base")
    session.open_saved(io.BytesIO(data), "tune.amtsep")
    session.wait(60)
    assert session.status.kind == "info", session.status
    return session


def without_model(data):
    """The session file as it was before the network was kept in it."""
    old = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(old, "w") as out:
        for name in archive.namelist():
            member = archive.read(name)
            if name == "session.json":
                about = json.loads(member)
                del about["model"]
                member = json.dumps(about).encode()
            out.writestr(name, member)
    return old.getvalue()


@pytest.mark.parametrize("of_now", [True, False], ids=["of now", "of before"])
def test_a_reopened_session_shows_its_network_and_any_other_can_be_chosen(heard, true_notes, of_now) -> None:
    data = made_by("light", true_notes)
    session = reopened(data if of_now else without_model(data))
    thresholds, compare = Thresholds(session), Compare(session)
    assert thresholds.network["name"] == "light" and thresholds.network["brought"] == ""
    assert "base" in compare.about["networks"] and "light" not in compare.about["networks"]
    thresholds._receive(thresholds, {"do": "model", "value": "base"}, [])
    session.wait(60)
    assert heard.calls == 1 and thresholds.network["name"] == "base" and session.posteriors is heard.posteriors


@pytest.mark.parametrize("of_now", [True, False], ids=["of now", "of before"])
def test_a_network_that_is_not_here_is_named_and_none_passes_for_it(heard, true_notes, of_now) -> None:
    data = made_by("/home/ada/mine.onnx", true_notes)
    assert b"ada" not in data, "where one's own network lies is nobody else's business"
    name = "mine.onnx" if of_now else "mine"
    session = reopened(data if of_now else without_model(data))
    again = reopened(session.saved())
    for page in (session, again):
        thresholds, compare = Thresholds(page), Compare(page)
        assert (thresholds.network["name"], thresholds.network["brought"]) == ("", name)
        assert {"base", "light"} <= set(compare.about["networks"])
        page.use("base")
        page.wait(60)
        assert page.posteriors is heard.posteriors
        assert (thresholds.network["name"], thresholds.network["brought"]) == ("base", "")


def test_a_kept_session_is_heard_again_by_its_own_network(heard, recording, monkeypatch) -> None:
    session = Session("light")
    kept = Autosave(session)
    session.open(recording, name="tune.wav", wait=True)
    session.delete(np.array([0]))
    kept.close()
    asked = []
    monkeypatch.setattr(cache, "transcriber", lambda model, device: asked.append(model) or heard)
    monkeypatch.setenv("AMTSEP_CACHE", str(folder("posteriors").parent / "elsewhere"))  # what was heard is let go
    page = Session("base")
    after = Autosave(page)
    after.go_on(after.recent()[0].id)
    page.wait(60)
    assert asked == ["light"] and page.model == "light" and len(page.notes) == len(session.notes)
    after.close()
