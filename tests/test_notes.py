"""The note table: what it refuses, so that nothing impossible travels further."""

from __future__ import annotations

import numpy as np
import pytest

from amtsep import formats
from amtsep.errors import FormatError
from amtsep.notes import Notes, Track


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("confidence", 5.0, "confidence"),
        ("confidence", float("nan"), "confidence"),
        ("confidence", -0.1, "confidence"),
        ("pitch", 65596, "pitch"),  # 60 after wrapping around
        ("pitch", 60.7, "pitch"),
        ("pitch", float("nan"), "pitch"),
        ("pitch", 128, "pitch"),
        ("velocity", 65600, "velocity"),
        ("velocity", 0, "velocity"),
        ("track", 70000, "track"),
        ("track", -1, "track"),
        ("offset", float("inf"), "offset"),
    ],
)
def test_an_impossible_value_is_refused_in_words(column: str, value: float, sentence: str) -> None:
    columns = {"onset": [0.0, 1.0], "offset": [0.5, 1.5], "pitch": [60, 62]}
    good = {"velocity": 80, "confidence": 0.5, "track": 0}
    columns[column] = [*columns.get(column, [good.get(column, 0)] * 2)[:1], value]
    with pytest.raises(ValueError, match=sentence):
        Notes.build(**columns, tracks=[Track()])


def test_whole_numbers_of_any_kind_are_taken() -> None:
    notes = Notes.build([0.0], [1.0], np.array([60.0]), np.array([80], np.uint8), track=np.array([0], np.int64))
    assert notes.pitch.dtype == notes.velocity.dtype == notes.track.dtype == np.int16


@pytest.mark.parametrize("program", [300, -1, 128])
def test_a_sound_that_does_not_exist_is_refused_at_once(program: int) -> None:
    """Not only when the tracks are written as MIDI."""
    with pytest.raises(ValueError, match="General MIDI"):
        Track("Organ", program)
    text = formats.json_text(Notes.build([0.0], [1.0], [60])).replace('"program": 0', f'"program": {program}')
    with pytest.raises(FormatError, match="not a note file"):
        formats.read_json(text.encode())


def test_notes_and_strokes_are_parted_with_their_own_tracks() -> None:
    tracks = [Track("Kit", drums=True), Track("Flute", 73), Track("Toms", drums=True), Track("Bass", 32)]
    notes = Notes.build([0, 1, 2, 3], [0.5, 1.5, 2.5, 3.5], [36, 72, 45, 40], track=[0, 1, 2, 3], tracks=tracks)
    pitched, strokes = notes.parted()
    assert [(t.name, own.pitch.tolist()) for t, own in pitched.by_track()] == [("Flute", [72]), ("Bass", [40])]
    assert [(t.name, own.pitch.tolist()) for t, own in strokes.by_track()] == [("Kit", [36]), ("Toms", [45])]
    for table, count in ((pitched, (2, 0)), (strokes, (0, 2)), (Notes.empty(), (0, 0))):
        assert tuple(map(len, table.parted())) == count


def test_panning_goes_with_its_notes_into_joined_tables() -> None:
    late = Notes.build([2, 1], [3, 2], [60, 62], panning=[[-0.5, 0.9], [0.25, 1.0]])
    early = Notes.build([0.5, 1.5], [1, 2], [40, 41])
    expected = [[0, 0], [0.25, 1.0], [0, 0], [-0.5, 0.9]]
    for table in (late.joined(early)[0], early.joined(late)[0], Notes.concatenate([late, early])):
        np.testing.assert_allclose(table.panning, expected, rtol=1e-6)
    assert early.joined(early)[0].panning is None
    with pytest.raises(ValueError, match="panning"):
        Notes.build([0.0], [1.0], [60], panning=[[0.0, 1.0], [0.0, 1.0]])
