"""Another network than the one before: what a person has named, laid under the notes and chosen stays theirs."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import synthetic

from widgets.panels.compare import Compare
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
