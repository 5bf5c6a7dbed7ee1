"""Beats, bars, key, spelling and notation of notes, as a musician would check them."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path
from xml.etree import ElementTree

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amtsep import formats
from amtsep.config import BeatTracking, CleanUp, Quantisation
from amtsep.notes import Notes, Track
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.cleanup import clean
from amtsep.rhythm.features import FRAME_S
from amtsep.rhythm.key import find_key
from amtsep.rhythm.metre import Metre
from amtsep.rhythm.pedal import by_key, by_sound, find_pedal
from amtsep.rhythm.score import make_score
from amtsep.rhythm.spelling import fifths
from amtsep.rhythm.tracking import GUARD, find_beats, track_beats
from tests.rhythm.schema import musicxml_schema

DEMOS = Path(__file__).resolve().parents[2] / "notebooks" / "demos"


def demo(word: str) -> Notes:
    return formats.read_midi(next(DEMOS.glob(f"{word}*.mid")))


def waltz(bars: int = 16, period: float = 0.5, slowing: float = 0.0) -> tuple[Notes, np.ndarray]:
    """A bass on one, chords on two and three, a melody in quarters and eighths; beats may grow longer to the end."""
    lengths = period * (1 + slowing * np.linspace(0, 1, 3 * bars))
    beats = 0.4 + np.concatenate([[0.0], np.cumsum(lengths)])
    roots = [48, 53, 55, 48, 45, 50, 43, 48]
    rows = []
    for bar in range(bars):
        root = roots[bar % len(roots)]
        a, b, c, d = beats[3 * bar : 3 * bar + 4]
        rows.append((a, d, root))
        for start, end in ((b, c), (c, d)):
            rows += [(start, start + 0.8 * (end - start), root + 12 + k) for k in (0, 4, 7)]
        top = 72 + (0, 2, 4, 5, 7, 5, 4, 2)[bar % 8]
        rows += [(a, b, top), (b, (b + c) / 2, top + 2), ((b + c) / 2, c, top), (c, d, top - 1)]
    table = np.array(rows)
    return Notes.build(table[:, 0], table[:, 1], table[:, 2]), beats


def test_a_waltz_that_slows_down_has_its_beats_and_its_bars() -> None:
    notes, truth = waltz(slowing=0.5)
    beats = track_beats(notes)
    found = [np.min(np.abs(beats.time - t)) < 0.07 for t in truth[:-1]]
    assert np.mean(found) > 0.95
    assert beats.main_metre == Metre(3, 4)
    lines = beats.time[beats.downbeat]
    assert np.mean([np.min(np.abs(lines - t)) < 0.07 for t in truth[:-1:3]]) > 0.85
    assert beats.tempo_curve()[3] > 1.2 * beats.tempo_curve()[-4]


@pytest.mark.parametrize(("word", "metre", "key"), [("Duet", Metre(3, 4), 1), ("Chorale", Metre(3, 4), 1)])
def test_demos_have_the_metre_and_the_key_that_they_are_written_in(word: str, metre: Metre, key: int) -> None:
    beats = track_beats(demo(word))
    assert beats.main_metre == metre
    assert beats.key == key and not beats.minor


@pytest.mark.parametrize("count", [10, 40, 61])
def test_no_chain_of_beats_is_better_than_the_one_found(count: int) -> None:
    settings = BeatTracking(min_tempo=60 / (9 * FRAME_S), max_tempo=60 / (7 * FRAME_S))
    lengths = (7, 8, 9)
    beat = (np.random.default_rng(count).random(count) ** 3).astype(np.float32)
    p = np.clip(beat.astype(float), 1e-4, 1 - 1e-4)
    silence = np.concatenate([[0.0], np.cumsum(np.log1p(-p))])
    prior = {n: -0.5 * (np.log(n * FRAME_S * settings.usual_tempo / 60) / settings.tempo_spread) ** 2 for n in lengths}

    def best(frame: int, length: int) -> tuple[float, list[int]]:
        """Of the chains that go on from a beat, the last one having been so long before it."""
        own = settings.beat_weight * np.log(p[frame]) + settings.tempo_weight * prior[length]
        ways = [(silence[-1] - silence[min(frame + GUARD + 1, count)], [frame])]
        for n in lengths:
            if frame + n < count:
                change = min(abs(np.log(n / length)) / settings.tempo_change, settings.largest_cost)
                since, until = frame + GUARD + 1, max(frame + n - GUARD, frame + GUARD + 1)
                value, chain = best(frame + n, n)
                ways.append((value - change + silence[until] - silence[since], [frame, *chain]))
        value, chain = max(ways)
        return value + own, chain

    starts = [(frame, n, *best(frame, n)) for frame in range(count) for n in lengths]
    value, chain = max((silence[max(f - GUARD, 0)] + prior[n] + value, chain) for f, n, value, chain in starts)
    assert find_beats(beat, settings).tolist() == chain


def test_few_notes_still_have_beats() -> None:
    for notes in (Notes.empty(), Notes.build([0.5], [1.0], [60]), Notes.build([0, 0.01], [1, 1], [60, 64])):
        assert len(track_beats(notes)) >= 2


def test_key_and_spelling_follow_the_music() -> None:
    scale = np.array([62, 64, 66, 67, 69, 71, 73, 74] * 4)  # D major
    on = np.arange(len(scale)) * 0.4
    notes = Notes.build(on, on + 0.38, scale)
    assert find_key(notes) == (2, False)
    assert set(fifths(scale, on, 2) % 7) and 6 in fifths(scale, on, 2), "F sharp, not G flat"
    flat = np.array([60, 62, 63, 65, 67, 68, 70, 72] * 4)  # E flat major, from C
    assert -3 in fifths(flat, on, -3) and 9 not in fifths(flat, on, -3), "E flat, not D sharp"


def test_a_key_change_is_written_where_it_is_and_nowhere_else() -> None:
    from amtsep.formats import midi_bytes, musicxml_bytes
    from amtsep.rhythm.key import bar_keys

    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72])  # two bars of C major, then of A flat major
    pitch = np.concatenate([np.tile(scale, 8), np.tile(scale - 4, 8)])
    on = np.arange(len(pitch)) * 0.5
    notes = Notes.build(on, on + 0.45, pitch)
    beats = Beats.steady(120, notes.end)
    lines, keys = bar_keys(notes, beats)
    change = int(np.flatnonzero(np.diff(keys))[0]) + 1
    assert set(keys.tolist()) == {0, -4} and np.count_nonzero(np.diff(keys)) == 1
    assert abs(lines[change] - 32.0) <= 2.0
    text = musicxml_bytes(notes, None, "", beats).decode()
    assert [part.split("<")[0] for part in text.split("<fifths>")[1:]] == ["0", "-4"]
    assert "<alter>1</alter>" not in text, "flats, no sharps"
    messages = mido.MidiFile(file=io.BytesIO(midi_bytes(notes, beats=beats))).tracks[0]
    assert [m.key for m in messages if m.type == "key_signature"] == ["C", "Ab"]
    half = notes.select(np.arange(64))
    assert set(bar_keys(half, Beats.steady(120, half.end))[1].tolist()) == {0}
    drums = half.with_tracks(np.zeros(64, int), (Track("Drums", 0, drums=True),))
    assert bar_keys(drums, beats)[1].tolist() == [0]


# --- edits -----------------------------------------------------------------------------------------------------------


def test_beats_are_edited_and_saved() -> None:
    beats = Beats.steady(120, 8.0)
    assert beats.doubled().tempo == pytest.approx(240) and beats.halved().tempo == pytest.approx(60)
    shifted = beats.with_downbeat_shifted(1)
    assert np.flatnonzero(shifted.downbeat)[0] == 1
    assert np.flatnonzero(beats.with_metre(Metre(3, 4)).downbeat)[:3].tolist() == [0, 3, 6]
    dragged = beats.with_bar_line(4, 2.2)
    assert dragged.time[4] == pytest.approx(2.2) and dragged.time[2] == pytest.approx(1.1)
    assert dragged.time[8] == beats.time[8], "the next bar line stays"
    tapped = beats.tapped([1.0, 1.4, 1.8, 2.2])
    assert {1.0, 1.4, 1.8, 2.2} <= set(np.round(tapped.time, 6)) and np.all(np.diff(tapped.time) > 0)
    assert Beats.from_dict(tapped.to_dict()).equals(tapped, 1e-6)
    with pytest.raises(ValueError):
        Beats.from_dict({"time": [1.0, 0.5], "downbeat": [1, 0], "metre": [0, 0], "confidence": [1, 1], "metres": []})


# --- notation --------------------------------------------------------------------------------------------------------


def measures(notes: Notes, beats: Beats, **settings: bool) -> ElementTree.Element:
    text = formats.musicxml_bytes(notes, beats=beats, quantisation=Quantisation(**settings))
    return ElementTree.fromstring(text)


def rhythm(part: ElementTree.Element) -> list[str]:
    """Of each symbol its type and dots, "r" for a rest, "~" where a tie goes on, "3" in a triplet."""
    out = []
    for note in part.iter("note"):
        if note.find("chord") is not None or note.find("grace") is not None:
            continue
        text = "r" if note.find("rest") is not None else ""
        text += (note.findtext("type") or "bar") + "." * len(note.findall("dot"))
        text += "3" * (note.find("time-modification") is not None)
        out.append(text + "~" * any(t.get("type") == "start" for t in note.findall("tie")))
    return out


def line(starts: list[float], length: float | None = None, period: float = 0.5) -> Notes:
    """A melody that begins at these beats, each note held to the next (or for `length` beats)."""
    on = np.array(starts[:-1]) * period
    off = np.array(starts[1:]) * period if length is None else on + length * period
    return Notes.build(on, off, 72 + np.arange(len(on)) % 3)


@pytest.mark.parametrize(
    ("starts", "written"),
    [
        ([0, 1, 2, 3, 4], ["quarter"] * 4),
        ([0, 1.5, 2, 3, 4], ["quarter.", "eighth", "quarter", "quarter"]),
        ([0, 0.5, 1.5, 2, 4], ["eighth", "quarter", "eighth", "half"]),
        ([0, 1 / 3, 2 / 3, 1, 2, 4], ["eighth3"] * 3 + ["quarter", "half"]),
        ([0, 0.75, 1, 2, 4], ["eighth.", "16th", "quarter", "half"]),
        ([0, 3, 5, 8], ["half.", "quarter~", "quarter", "half."]),
        ([0, 2.5, 4], ["half~", "eighth", "quarter."]),
    ],
)
def test_rhythms_are_written_as_one_writes_them(starts: list[float], written: list[str]) -> None:
    notes = line(starts)
    assert rhythm(measures(notes, Beats.steady(120, notes.end - 0.01))) == written


def test_six_eight_is_written_in_dotted_beats() -> None:
    notes = line([0, 1 / 3, 2 / 3, 1, 2])
    beats = Beats.build(np.arange(3) * 0.5, bar_metres=Metre(6, 8))
    assert rhythm(measures(notes, beats)) == ["eighth", "eighth", "eighth", "quarter."]


def test_short_notes_are_written_with_rests() -> None:
    notes = line([0, 1, 2, 3, 4], length=0.25)
    assert rhythm(measures(notes, Beats.steady(120, 1.9)))[:2] == ["eighth", "reighth"]


@pytest.mark.parametrize("held", [0.5, 0.7, 1.0])
def test_a_detached_tune_is_not_written_with_rests_and_a_rest_under_it_is_one(held: float) -> None:
    beats = Beats.steady(120, 12.0)
    tune = np.arange(20) * 0.5
    long = tune[::4]
    off_beat = tune[1::2]
    notes = Notes.build(
        np.concatenate([tune, long, off_beat]),
        np.concatenate([tune + 0.5 * held, long + 2.0 * held, off_beat + 0.25 * held]),
        np.concatenate([76 + np.arange(20) % 3, np.full(5, 48), np.full(10, 60)]),
        track=np.repeat([0, 1, 2], [20, 5, 10]),
        tracks=[Track("Flute", 73), Track("Bass", 43), Track("Chords", 24)],
    )
    parts = make_score(notes, beats).parts
    # Quarters; whole notes; eighths on every second beat, each followed by a rest.
    assert [set(part.notes["length"][:-1].tolist()) for part in parts] == [{24}, {96}, {12}]


def test_every_bar_of_every_part_is_full() -> None:
    for word in ("Chorale", "Duet", "Piano"):
        notes = demo(word)
        beats = track_beats(notes)
        root = measures(notes, beats)
        for part in root.findall("part"):
            full, time = 0, (4, 4)
            for number, bar in enumerate(part.findall("measure")):
                place, longest = 0, 0
                for item in bar:
                    if item.tag == "attributes" and item.find("time") is not None:
                        time = (int(item.findtext("time/beats") or 4), int(item.findtext("time/beat-type") or 4))
                    step = int(item.findtext("duration") or 0)
                    if item.tag == "backup":
                        assert place == longest, "each voice fills the bar"
                        place -= step
                    elif item.tag == "note" and item.find("chord") is None:
                        place += step
                    longest = max(longest, place)
                full = 24 * 4 * time[0] // time[1]
                assert place == longest and (longest == full or (number == 0 and bar.get("implicit") == "yes"))


def test_musicxml_is_valid() -> None:
    schema = musicxml_schema()
    if schema is None:
        pytest.skip("the MusicXML schema (partitura, lxml) is not installed")
    from lxml import etree

    drums = Notes.build(np.arange(8) * 0.25, np.arange(8) * 0.25 + 0.1, [36, 42, 38, 42] * 2, tracks=[Track("Drums")])
    tables = [demo("Chorale"), demo("Piano"), waltz()[0], line([0, 1 / 3, 2 / 3, 1, 2.25, 3, 8.5, 9])]
    odd = [Track("A & <B>", 65), Track("A", 71)]
    tables.append(Notes.build([0, 0.5], [0.4, 1], [70, 72], track=[0, 1], tracks=odd))
    for notes in tables:
        for transposed in (False, True):
            text = formats.musicxml_bytes(notes, quantisation=Quantisation(transposed=transposed), title="<&>")
            assert schema.validate(etree.fromstring(text)), schema.error_log.filter_from_errors()[:3]
    score = make_score(drums, Beats.steady(120, 2.0), is_drums=lambda track: track.name == "Drums")
    text = formats.notation.musicxml_text(score).encode()
    assert schema.validate(etree.fromstring(text)), schema.error_log.filter_from_errors()[:3]
    assert b"<unpitched>" in text and b"percussion" in text


def test_music21_reads_what_sounds() -> None:
    music21 = pytest.importorskip("music21")
    notes = Notes.build([0, 0.5, 1.0], [0.5, 1.0, 2.0], [58, 60, 63], tracks=[Track("Clarinet", 71)])
    beats = Beats.steady(120, 1.9)
    for transposed in (False, True):
        text = formats.musicxml_bytes(notes, beats=beats, quantisation=Quantisation(transposed=transposed))
        score = music21.converter.parseData(text.decode(), format="musicxml").toSoundingPitch()
        assert [p.midi for n in score.flatten().notes for p in n.pitches] == [58, 60, 63]


def test_a_piano_has_two_staves_and_a_flute_one() -> None:
    score = make_score(demo("Piano"), track_beats(demo("Piano")))
    assert [p.staves for p in score.parts] == [2]
    left = score.parts[0].notes[score.parts[0].notes["staff"] == 1]
    assert np.mean(left["pitch"]) < 60
    assert [p.staves for p in make_score(demo("Duet"), track_beats(demo("Duet"))).parts] == [1, 1]


def test_every_note_has_its_identifier_in_the_score() -> None:
    notes = demo("Duet")
    text = formats.musicxml_bytes(notes).decode()
    assert {int(n) for n in re.findall(r'id="n(\d+)"', text)} == set(range(len(notes)))


@pytest.mark.parametrize("tempo", [None, 100.0])
def test_no_beats_are_as_none_given(tempo: float | None) -> None:
    notes = Notes.build([0.0, 0.5, 1.0], [0.4, 0.9, 1.5], [60, 62, 64])
    assert formats.musicxml_bytes(notes, tempo, beats=Beats.build([])) == formats.musicxml_bytes(notes, tempo)


def test_a_grace_note_is_written_before_its_note_in_whatever_voice() -> None:
    """Here that note is held under another, so that it is in the lower voice."""
    notes = Notes.build([5.46, 5.5, 6.5], [5.51, 7.5, 7.0], [55, 59, 68], tracks=[Track("Guitar", 24)])
    written = list(measures(notes, Beats.steady(60, 12.0)).iter("note"))
    at = next(i for i, note in enumerate(written) if note.find("grace") is not None)
    assert [note.get("id") for note in written[at : at + 2]] == ["n0", "n1"]
    assert written[at].findtext("voice") == written[at + 1].findtext("voice") == "2"


@st.composite
def performances(draw: st.DrawFn) -> tuple[Notes, Beats]:
    """Some instruments play, on the beat or not, some notes just before others; and beats that may end too soon."""
    tracks = [Track("Piano"), Track("Guitar", 24), Track("Flute", 73), Track("Kit", drums=True), Track("Bass", 32)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 40))
    grid = draw(st.sampled_from([0.25, 0.5, 1 / 3, 0.01]))
    early = rng.random(n) < 0.2
    onset = np.round(rng.uniform(0, 8, n) / grid) * grid + rng.normal(0, draw(st.sampled_from([0.0, 0.01, 0.03])), n)
    onset = np.maximum(onset - early * rng.uniform(0.03, 0.08, n), 0.0)
    length = np.where(early, 0.05, rng.choice([0.1, 0.5, 1, 2, 4], n) * rng.uniform(0.3, 1.1, n))
    track = rng.choice(draw(st.sampled_from([[0], [1], [3], [0, 1, 2, 3, 4]])), n)
    notes = Notes.build(onset, onset + length, rng.integers(36, 90, n), track=track, tracks=tracks)
    metre = Metre.parse(draw(st.sampled_from(["4/4", "3/4", "6/8", "2/2", "5/8", "3/8"])))
    end = notes.end * draw(st.sampled_from([0.5, 1.0, 1.5]))
    beats = Beats.steady(draw(st.floats(50, 180)), end, metre, draw(st.sampled_from([0.0, 0.3, 1.0])))
    return notes, beats.with_downbeat_shifted(draw(st.integers(0, 3)))


@given(performances())
def test_every_note_of_a_score_is_written_once(performance: tuple[Notes, Beats]) -> None:
    score = make_score(*performance)
    written = re.findall(r'id="n(\d+)"', formats.notation.musicxml_text(score))
    assert sorted(map(int, written)) == sorted(int(i) for part in score.parts for i in part.notes["note"])


# --- MIDI ------------------------------------------------------------------------------------------------------------


def midi_bars(data: bytes) -> list[float]:
    """Seconds of the bar lines that a sequencer would draw."""
    file = mido.MidiFile(file=io.BytesIO(data))
    tempi, signatures = [], []
    now = 0
    for message in file.tracks[0]:
        now += message.time
        if message.type == "set_tempo":
            tempi.append((now, message.tempo))
        if message.type == "time_signature":
            signatures.append((now, message.numerator * 4 * file.ticks_per_beat // message.denominator))
    end = max(sum(m.time for m in t) for t in file.tracks)
    lines = []
    for i, (start, bar) in enumerate(signatures):
        stop = signatures[i + 1][0] if i + 1 < len(signatures) else end
        lines += list(range(start, stop, bar))

    def seconds(tick: int) -> float:
        total = 0.0
        for i, (start, tempo) in enumerate(tempi):
            stop = tempi[i + 1][0] if i + 1 < len(tempi) else tick
            total += max(min(stop, tick) - start, 0) * tempo * 1e-6 / file.ticks_per_beat
        return total

    return [seconds(t) for t in lines]


def test_bars_of_the_midi_file_lie_on_those_of_the_recording() -> None:
    notes, truth = waltz(slowing=0.3)
    beats = Beats.build(truth, bar_metres=Metre(3, 4))
    data = formats.midi_bytes(notes, beats=beats)
    assert formats.read_midi(data).equals(notes, 0.002), "the notes stay as played"
    lines = midi_bars(data)
    for t in truth[:-1:3]:
        assert min(abs(t - line) for line in lines) < 0.001
    pickup = beats.with_downbeat_shifted(2)
    lines = midi_bars(formats.midi_bytes(notes, beats=pickup))
    for t in pickup.time[pickup.downbeat][:-1]:
        assert min(abs(t - line) for line in lines) < 0.001


# --- clean-up and pedal ----------------------------------------------------------------------------------------------


def test_clean_up_drops_what_it_says_and_nothing_at_strength_nought() -> None:
    notes = Notes.build(
        [0.0, 0.51, 0.0, 1.0, 1.03, 2.0],
        [0.5, 0.8, 0.4, 1.5, 1.5, 2.4],
        [60, 60, 72, 64, 64, 67],
        velocity=[100, 70, 50, 90, 80, 90],
        confidence=[0.9, 0.25, 0.2, 0.9, 0.5, 0.9],
    )
    assert clean(notes, CleanUp(strength=0.0)).notes.equals(notes)
    cleaned = clean(notes, CleanUp(strength=0.5))
    assert cleaned.notes.pitch.tolist() == [60, 64, 67]
    assert cleaned.notes.offset[0] == pytest.approx(0.8), "the fragment is joined"
    assert len(cleaned.dropped) == 3
    kept = clean(notes, CleanUp(strength=0.5, harmonic_ghosts=False))
    assert 72 in kept.notes.pitch


def test_pedal_is_found_where_ends_lie_together_and_goes_both_ways() -> None:
    on = np.arange(12) * 0.25
    off = np.repeat([1.0, 2.0, 3.0], 4)
    notes = Notes.build(on, off, 48 + np.arange(12))
    found = find_pedal(notes)
    assert len(found) == 3 and np.allclose(found.spans[:, 1], [1.0, 2.0, 3.0], atol=0.05)
    short = by_key(notes, found)
    assert short.duration.mean() < 0.6 * notes.duration.mean()
    assert by_sound(short, found).equals(notes, 0.06)
    staccato = Notes.build(on, on + 0.1, 48 + np.arange(12))
    assert len(find_pedal(staccato)) == 0


@pytest.mark.parametrize(("change", "size"), [(-1, 3), (1, 5)])
def test_a_beat_lost_or_one_too_many_does_not_shift_the_bars_after_it(change: int, size: int) -> None:
    from amtsep.config import BeatTracking
    from amtsep.rhythm.bars import STATES
    from amtsep.rhythm.tracking import find_bars

    places = [i % 4 for i in range(48)]
    if change < 0:
        del places[22]
    else:
        places.insert(22, 2)
    said = np.zeros((len(STATES) + 1, len(places)), np.float32)
    for i, place in enumerate(places):
        said[STATES.index((4, place)), i] = 4.0
    downbeat, sizes = find_bars(said, BeatTracking())
    assert np.flatnonzero(downbeat).tolist() == [i for i, place in enumerate(places) if place == 0]
    assert sizes == [4] * 5 + [size] + [4] * 6


def test_drums_alone_have_beats_and_become_a_percussion_staff() -> None:
    from amtsep.config import MusicReading
    from amtsep.rhythm.music import read_music

    bar = [(0, 36), (0, 42), (0.5, 42), (1, 38), (1, 42), (1.5, 42)]
    rows = [(0.3 + 0.5 * (2 * k + at), pitch) for k in range(24) for at, pitch in bar]
    onset, pitch = np.array(sorted(rows)).T
    strokes = Notes.build(onset, onset + 0.1, pitch, tracks=(Track("Drums", drums=True),))
    for notes in (Notes.empty(), Notes.build(np.arange(12) * 2 + 0.3, np.arange(12) * 2 + 2.2, [48, 53] * 6)):
        music = read_music(notes, None, MusicReading(), drums=strokes)
        assert music.beats is not None
        steps = 60 / music.beats.tempo / 0.5
        assert any(abs(steps - k) < 0.1 for k in (0.5, 1, 2)), music.beats.tempo
        near = [np.min(np.abs(music.beats.time - t)) for t in onset[pitch == 38]]
        assert np.mean(np.array(near) < 0.05) > 0.9 or steps > 1.5
        text = formats.musicxml_bytes(music.notes, beats=music.beats).decode()
        assert "percussion" in text and "<unpitched>" in text


def test_a_score_made_without_beats_knows_which_tracks_are_drums(tmp_path: Path) -> None:
    from amtsep.rhythm.music import read_music

    onset, struck = np.arange(0, 32, 0.5), np.arange(0, 32, 0.25)
    piano = Notes.build(onset, onset + 0.45, np.tile([61, 63, 65, 66, 68, 70, 72, 73], 8), tracks=[Track("Piano")])
    kit = Notes.build(struck, struck + 0.05, np.tile([36, 42, 38, 42], 32), tracks=[Track("Drums", drums=True)])
    # Taken for notes, the strokes make 12/8 of it.
    told = read_music(piano, drums=kit)
    assert told.beats is not None and told.beats.main_metre == Metre(2, 4)
    expected = formats.musicxml_bytes(told.notes, beats=told.beats)
    piano.joined(kit)[0].to_musicxml(tmp_path / "score.musicxml")
    assert (tmp_path / "score.musicxml").read_bytes() == expected


class Counted:
    """A row of events that counts how often one of them is looked at."""

    def __init__(self, events: list[tuple[int, int, tuple, tuple]]) -> None:
        self.events, self.looks = events, 0

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, index: int) -> tuple[int, int, tuple, tuple]:
        self.looks += 1
        return self.events[index]


def test_the_notation_of_hours_does_not_take_their_square() -> None:
    from amtsep.formats.notation import _cut, _plays
    from amtsep.rhythm.score import _instants

    events = Counted([(24 * i, 24 * i + 12, (), ()) for i in range(50_000)])
    # Half a million ticks on: what sounds into the bar, and what begins in it.
    found = _cut(events, 600_000 - 20, 600_000 + 20)  # type: ignore[arg-type]
    assert found == [(0, 8, (24_999,), True, False, ()), (20, 32, (25_000,), False, False, ())]
    assert _plays(events, 600_000, 600_012) and not _plays(events, 600_012, 600_024)  # type: ignore[arg-type]
    assert events.looks < 300
    rng = np.random.default_rng(0)
    start, sounded = np.sort(rng.integers(0, 60_000, 100_000)), rng.uniform(1, 50, 100_000)
    began = time.process_time()
    instants, middle, index = _instants(start, sounded)
    assert time.process_time() - began < 2.0
    for i in range(0, len(instants), 5_000):
        assert middle[i] == np.median(sounded[start == instants[i]]) and np.all(index[start == instants[i]] == i)
