"""Reading real music, leaving Bach10 out, and cutting excerpts."""

from __future__ import annotations

import zipfile
from pathlib import Path

import mido
import numpy as np
import pytest

from amtsep.synthesis.music import (
    BACH10_MELODIES,
    BACH10_TITLES,
    Piece,
    excerpt,
    intervals,
    is_bach10,
    load_scores,
    read_midi_piece,
    read_musicxml,
)
from amtsep.synthesis.scores import SCORE_DTYPE

XML = """<?xml version="1.0"?>
<score-partwise><work><work-title>Test</work-title></work>
<part-list><score-part id="P1"/><score-part id="P2"/></part-list>
<part id="P1">
 <measure number="1"><attributes><divisions>2</divisions></attributes>
  <direction><sound tempo="60"/></direction>
  <note><pitch><step>C</step><octave>5</octave></pitch><duration>2</duration></note>
  <note><chord/><pitch><step>E</step><alter>-1</alter><octave>5</octave></pitch><duration>2</duration></note>
  <note><grace/><pitch><step>D</step><octave>5</octave></pitch></note>
  <note><rest/><duration>2</duration></note>
  <note><pitch><step>G</step><octave>4</octave></pitch><duration>4</duration><tie type="start"/></note>
  <backup><duration>8</duration></backup>
  <note><pitch><step>C</step><octave>3</octave></pitch><duration>8</duration></note>
 </measure>
 <measure number="2">
  <note><pitch><step>G</step><octave>4</octave></pitch><duration>2</duration><tie type="stop"/></note>
  <note><pitch><step>A</step><octave>4</octave></pitch><duration>6</duration></note>
 </measure>
</part>
<part id="P2">
 <measure number="1"><attributes><divisions>1</divisions><transpose><chromatic>-2</chromatic></transpose></attributes>
  <note><pitch><step>D</step><octave>4</octave></pitch><duration>4</duration></note></measure>
 <measure number="2"><note><rest/><duration>4</duration></note></measure>
</part></score-partwise>"""


def test_musicxml_chords_voices_ties_rests_and_transposition(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", XML)
    piece = read_musicxml(tmp_path / "a.mxl")
    assert piece.title == "Test"
    first, second = piece.parts
    got = [(n["onset"], n["offset"], int(n["pitch"])) for n in first]
    assert got == [(0, 4, 48), (0, 1, 72), (0, 1, 75), (2, 5, 67), (5, 8, 69)]
    assert [(n["onset"], n["offset"], int(n["pitch"])) for n in second] == [(0, 4, 60)]


def _midi(path: Path) -> None:
    midi = mido.MidiFile(ticks_per_beat=100)
    track = mido.MidiTrack()
    track += [
        mido.MetaMessage("set_tempo", tempo=500000, time=0),
        mido.Message("note_on", note=60, velocity=70, time=100),
        mido.Message("note_on", note=38, velocity=70, channel=9, time=0),
        mido.MetaMessage("set_tempo", tempo=1000000, time=100),
        mido.Message("note_off", note=60, time=100),
    ]
    midi.tracks.append(track)
    midi.save(str(path))


def test_midi_follows_the_tempo_map_and_leaves_drums_out(tmp_path: Path) -> None:
    _midi(tmp_path / "a.mid")
    piece = read_midi_piece(tmp_path / "a.mid")
    assert len(piece.parts) == 1
    assert piece.parts[0].tolist() == [(0.5, 2.0, 60, 70)]


def _line(pitches: list[int]) -> np.ndarray:
    rows = [(0.5 * i, 0.5 * i + 0.45, p, 0) for i, p in enumerate(pitches)]
    return np.array(rows, SCORE_DTYPE)


@pytest.mark.parametrize("melody", BACH10_MELODIES)
def test_bach10_is_known_by_its_melody_in_any_key(melody: tuple[int, ...]) -> None:
    pitches = np.concatenate([[65], 65 + np.cumsum(melody)]).tolist()
    assert is_bach10("Untitled", [_line([50, 52, 53]), _line([pitches[0]] + pitches)])
    assert intervals(pitches) == melody


def test_bach10_is_known_by_its_title() -> None:
    assert len(BACH10_TITLES) >= 10
    assert is_bach10("BWV 327: Für deinen Thron tret' ich hiermit", [])
    assert is_bach10("Christe, du Beistand deiner Kreuzgemeine".replace("gemeine", "gemeinde"), [])
    assert not is_bach10("Wachet auf, ruft uns die Stimme", [_line(list(range(60, 84)))])


def test_load_scores_reads_a_folder_once_and_leaves_bach10_out(tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    scores.mkdir()
    _midi(scores / "a.mid")
    _midi(scores / "Ach Gott und Herr.mid")
    (scores / "broken.mid").write_bytes(b"nonsense")
    (scores / "b.musicxml").write_text(XML)
    first = load_scores([scores], tmp_path / "cache")
    assert [p.name for p in first] == ["a", "b"]
    again = load_scores([scores], tmp_path / "cache")
    assert [p.name for p in again] == ["a", "b"]
    assert all(
        np.array_equal(x, y) for p, q in zip(first, again, strict=True) for x, y in zip(p.parts, q.parts, strict=True)
    )


def test_excerpt_keeps_parts_together_and_within_the_clip() -> None:
    melody = [60 + (7 * i) % 12 for i in range(200)]
    piece = Piece("x", "x", (_line(melody), _line([p - 12 for p in melody])))
    for seed in range(30):
        parts = excerpt(np.random.default_rng(seed), piece, 9.0)
        assert parts is not None and len(parts) == 2
        upper, lower = parts
        assert upper["onset"].min() >= 0 and upper["offset"].max() <= 9.0
        shift = set((upper["pitch"][:5].astype(int) - lower["pitch"][:5].astype(int)).tolist())
        if len(upper) == len(lower):
            assert shift == {12}
            # The parts are early or late by some ten milliseconds, not more.
            assert abs(np.median(upper["onset"] - lower["onset"])) < 0.08
    a, b = (excerpt(np.random.default_rng(3), piece, 9.0) for _ in range(2))
    assert a is not None and b is not None and np.array_equal(a[0], b[0])
