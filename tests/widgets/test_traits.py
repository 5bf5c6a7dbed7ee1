"""What a notebook can observe and set: the notes of a roll, the thresholds."""

from __future__ import annotations

import pytest

from amtsep.notes import Notes
from widgets import Player, Roll, Session, Thresholds


def test_a_roll_shows_the_notes_that_are_set() -> None:
    roll = Roll(Notes.build([0.0], [1.0], [60]))
    assert roll.about["duration"] == 1.0
    seen = []
    roll.observe(lambda change: seen.append(len(change["new"])), "notes")
    roll.notes = Notes.build([0.0, 1.0], [0.9, 4.0], [60, 64])
    assert seen == [2]
    assert len(roll.notes_data) == 2 * 7 * 4
    assert roll.about["duration"] == 4.0, "longer notes lengthen the roll"


def test_a_rolls_notes_can_be_linked_with_a_player() -> None:
    from traitlets import link

    roll, player = Roll(Notes.build([0.0], [1.0], [60])), Player(Notes.empty())
    link((roll, "notes"), (player, "notes"))
    roll.notes = Notes.build([0.0, 1.0], [0.9, 4.0], [60, 64])
    assert player.session.notes is roll.notes
    assert player.about["duration"] == 4.0


def test_notes_of_a_recording_follow_from_it(posteriors, recording) -> None:
    from amtsep.audio import load_audio

    session = Session()
    session.show(load_audio(recording, name="x.wav"), posteriors)
    roll = Roll(session)
    before = session.notes
    with pytest.raises(ValueError, match="through the session"):
        roll.notes = Notes.empty()
    assert session.notes is before is roll.notes


def test_thresholds_have_traits_that_go_both_ways(posteriors, recording) -> None:
    from amtsep.audio import load_audio

    session = Session()
    session.show(load_audio(recording, name="x.wav"), posteriors)
    thresholds = Thresholds(session)
    assert len(session.notes) > 0
    thresholds.min_note_length = 5.0
    assert session.state.decoding.min_note_length == 5.0
    assert len(session.notes) == 0
    seen = []
    thresholds.observe(lambda change: seen.append(change["new"]), "onset_threshold")
    session.set_decoding(onset_threshold=0.7)
    assert seen == [0.7]
