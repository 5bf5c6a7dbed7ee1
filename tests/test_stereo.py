"""Two channels as evidence for tracks: the measure of their balance, the place of a note, what sorting makes of it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amtsep import audio as audio_module
from amtsep.audio import from_samples, load_audio, spool_audio
from amtsep.clustering import Evidence, cluster, estimate_timbres
from amtsep.config import CleanUp, Clustering
from amtsep.decoding import embed_notes
from amtsep.errors import FormatError
from amtsep.notes import Notes, Track
from amtsep.panning import note_panning
from amtsep.posteriors import Posteriors, encode_db
from amtsep.rhythm.cleanup import clean
from amtsep.stereo import BINS_PER_OCTAVE, N_ROWS, StereoImage, StereoMeter

RATE = 22050
HOP_S = 256 / RATE


def panned(sound: np.ndarray, pan: float) -> np.ndarray:
    """At a pan-pot's place, (n, 2), by the law of constant power."""
    angle = (pan + 1) * np.pi / 4
    return (sound[:, None] * [np.cos(angle), np.sin(angle)]).astype(np.float32)


def tone(pitch: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """Five harmonics, each half as strong as the one before."""
    time = np.arange(int(seconds * rate)) / rate
    hz = 440 * 2 ** ((pitch - 69) / 12)
    return sum(0.2 * 0.5**h * np.sin(2 * np.pi * hz * (h + 1) * time) for h in range(5))


def row_of(pitch: float) -> int:
    return round((pitch - 21) * BINS_PER_OCTAVE / 12)


def image_of(samples: np.ndarray, rate: int = RATE) -> StereoImage | None:
    return from_samples(samples, rate, stereo=True).stereo


def played(rows: list[tuple[float, float, int, float]], seconds: float) -> tuple[np.ndarray, Notes]:
    """Sound and notes of (onset, offset, pitch, pan)."""
    sound = np.zeros((int(seconds * RATE), 2), np.float32)
    for onset, offset, pitch, pan in rows:
        first = int(onset * RATE)
        sound[first : first + int((offset - onset) * RATE)] += panned(tone(pitch, offset - onset), pan)
    return sound, Notes.build(*zip(*[row[:3] for row in rows], strict=True))


def posteriors_of(sound: np.ndarray, notes: Notes) -> Posteriors:
    """As a network would say: the notes, their harmonics' levels, and one sound for all."""
    frames = int(len(sound) / 256) + 1
    frame, level = np.zeros((88, frames), np.float32), np.full((306, frames), -120.0, np.float32)
    for note in notes:
        first, last = (int(round(t / HOP_S)) for t in (note.onset, note.offset))
        frame[note.pitch - 21, first:last] = 1.0
        for h in range(5):
            row = row_of(note.pitch + 12 * np.log2(h + 1))
            if row < 306:
                level[row, first:last] = np.maximum(level[row, first:last], -20.0 - 6.0 * h)
    embedding = np.zeros((88, frames, 2), np.int8)
    embedding[..., 0] = 127
    made = Posteriors(frame, frame, encode_db(level), HOP_S, len(sound) / RATE, 36, embedding, "test")
    return replace(made, stereo=image_of(sound))


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_each_pitch_has_the_balance_of_what_sounds_there(rate: int) -> None:
    sound = panned(tone(60, 4, rate), -0.5) + panned(tone(65, 4, rate), 0.8)
    image = image_of(sound, rate)
    assert image is not None and abs(image.balance.shape[1] * image.hop_s - 4.0) < 0.1
    middle = image.balance[:, 20:-20] / 127
    # Of constant power: the sine of the pan.
    assert np.allclose(middle[row_of(60)], np.sin(-0.5 * np.pi / 2), atol=0.03)
    assert np.allclose(middle[row_of(65)], np.sin(0.8 * np.pi / 2), atol=0.03)


def test_the_balance_does_not_depend_on_how_the_recording_comes_in_blocks() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, (3 * 44100, 2)).astype(np.float32)
    images = []
    for size in (1000, 1 << 19):
        meter = StereoMeter()
        for start in range(0, len(sound), size):
            meter.push(44100, sound[start : start + size])
        images.append(meter.finish())
    assert np.array_equal(images[0].balance, images[1].balance)


def test_what_is_no_stereo_has_no_image() -> None:
    sound = tone(60, 1).astype(np.float32)
    quiet = np.random.default_rng(0).normal(0, 1e-5, len(sound))
    assert image_of(sound) is None
    assert image_of(panned(sound, 0.0)) is None
    assert image_of(panned(sound, 0.0) + np.stack([quiet, -quiet], 1)) is None
    assert image_of(np.stack([sound, 0.3 * sound, 0 * sound, sound], 1)) is None
    assert image_of(np.zeros((RATE, 2), np.float32)) is None
    assert image_of(panned(sound, 0.3)) is not None


@pytest.mark.parametrize("rate", [1000, 1024])
def test_a_rate_so_low_that_columns_would_lie_a_second_apart_gives_no_image_and_no_error(rate: int) -> None:
    meter = StereoMeter()
    meter.push(rate, panned(tone(40, 3.0, rate), -0.6))
    assert meter.finish() is None
    assert from_samples(panned(tone(40, 3.0, rate), -0.6), rate, stereo=True).stereo is None


def test_reading_gives_the_same_samples_and_measures_only_where_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    path = tmp_path / "song.wav"
    soundfile.write(path, panned(tone(60, 2), 0.5), RATE)
    measured = load_audio(path, stereo=True)
    with spool_audio(path, stereo=True) as spooled:
        assert np.array_equal(spooled.stereo.balance, measured.stereo.balance)

    def never() -> None:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(audio_module, "StereoMeter", never)
    plain = load_audio(path)
    assert plain.stereo is None and np.array_equal(plain.samples, measured.samples)
    with spool_audio(path) as spooled:
        assert spooled.stereo is None


def test_posteriors_keep_the_image_and_older_files_have_none(tmp_path: Path) -> None:
    sound, notes = played([(0.2, 1.0, 60, -0.5), (1.0, 1.8, 64, 0.5)], 2.0)
    made = posteriors_of(sound, notes)
    made.save(tmp_path / "new.npz")
    kept = Posteriors.load(tmp_path / "new.npz").stereo
    assert np.array_equal(kept.balance, made.stereo.balance) and kept.hop_s == made.stereo.hop_s
    replace(made, stereo=None).save(tmp_path / "old.npz")
    assert Posteriors.load(tmp_path / "old.npz").stereo is None


@pytest.mark.parametrize(
    "balance", [np.zeros((N_ROWS, 90_000), np.int8), np.zeros((3, 40), np.int8), np.zeros((N_ROWS, 40))]
)
def test_a_file_with_an_image_that_cannot_be_is_refused(tmp_path: Path, balance: np.ndarray) -> None:
    sound, notes = played([(0.2, 1.0, 60, -0.5)], 2.0)
    file = io.BytesIO()
    posteriors_of(sound, notes).save(file)
    file.seek(0)
    arrays = dict(np.load(file)) | {"stereo": balance}
    np.savez_compressed(tmp_path / "bad.npz", **arrays)
    with pytest.raises(FormatError, match="posterior file"):
        Posteriors.load(tmp_path / "bad.npz")


def test_notes_that_sound_together_each_have_their_own_place() -> None:
    sound, notes = played([(0.2, 1.0, 60, -0.7), (0.2, 1.0, 64, 0.6), (0.3, 1.1, 55, 0.0), (1.2, 1.4, 67, 0.6)], 2.0)
    place, sure = note_panning(notes, posteriors_of(sound, notes)).T
    true = np.sin(np.array([-0.7, 0.6, 0.0, 0.6]) * np.pi / 2)
    order = np.array([0, 1, 2, 3])
    assert np.allclose(place[order], true, atol=0.12) and sure.min() > 0.5


def test_a_note_hidden_under_another_or_without_a_place_is_less_sure_of_it() -> None:
    sound, notes = played([(0.2, 1.2, 48, -0.8), (0.2, 1.2, 60, 0.8), (1.5, 2.5, 60, 0.8), (2.7, 3.7, 52, 0.0)], 4.0)
    rng = np.random.default_rng(1)
    # The last one: two halves of other phases and strengths at every moment, as a wide pad is.
    for channel in range(2):
        for _ in range(40):
            begin = int(rng.uniform(2.7, 3.6) * RATE)
            part = tone(52 + rng.uniform(-0.2, 0.2), 0.1) * rng.uniform(0.2, 1.5)
            sound[begin : begin + len(part), channel] += part.astype(np.float32)
    sure = note_panning(notes, posteriors_of(sound, notes))[:, 1]
    covered, alone, wide = sure[1], sure[2], sure[3]
    assert covered < alone and wide < 0.9 * alone


def table(count: int, parts: int, apart: float, rng: np.random.Generator) -> tuple[Notes, np.ndarray]:
    """Notes in turn of some parts whose sounds lie so far apart."""
    owner = np.arange(count) % parts
    onset = 0.25 * np.arange(count)
    # Registers far apart from part to part or none at all would decide already.
    pitch = 60 + rng.integers(0, 12, count)
    x = np.zeros((count, 8))
    x[:, 0] = 1.0
    x[np.arange(count), 1 + owner] += apart
    x += rng.normal(0, 0.12, x.shape)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Notes.build(onset, onset + 0.24, pitch, embedding=x.astype(np.float32)), owner


def with_places(notes: Notes, place: np.ndarray, sure: np.ndarray | float) -> Notes:
    panning = np.stack([place, np.broadcast_to(sure, place.shape)], axis=1).astype(np.float32)
    return replace(notes, panning=panning)


def right(track: np.ndarray, owner: np.ndarray) -> float:
    """Share of the notes on the right one of two tracks."""
    share = float(np.mean(track == owner))
    return max(share, 1 - share)


def test_parts_that_sound_alike_are_told_apart_by_where_they_are() -> None:
    rng = np.random.default_rng(0)
    notes, owner = table(120, 2, 0.1, rng)
    place = np.where(owner == 0, -0.6, 0.5) + rng.normal(0, 0.1, 120)
    stereo = with_places(notes, place, rng.uniform(0.6, 1.0, 120))
    two = Clustering(timbres=2)
    assert right(cluster(notes, two).track, owner) < 0.85
    assert right(cluster(stereo, two).track, owner) > 0.97
    assert right(cluster(stereo, replace(two, stereo=0.0)).track, owner) < 0.85
    assert estimate_timbres(stereo).timbres == 2


@pytest.mark.parametrize("weight", [1.0, 1.5, 3.0])
def test_two_sounds_at_one_place_stay_two_timbres_beside_a_third_at_the_other_side(weight: float) -> None:
    rng = np.random.default_rng(5)
    notes, owner = table(180, 3, 0.8, rng)
    assert estimate_timbres(notes).timbres == 3
    stereo = with_places(notes, np.where(owner == 2, 1.0, -1.0) + rng.normal(0, 0.1, 180), 0.9)
    assert estimate_timbres(stereo, Clustering(stereo=weight)).timbres == 3


def test_a_piano_from_side_to_side_is_one_track_beside_another_instrument() -> None:
    rng = np.random.default_rng(3)
    notes, owner = table(160, 2, 0.45, rng)
    pitch = np.where(owner == 0, rng.integers(36, 90, 160), 64).astype(np.int16)
    notes = replace(notes, pitch=pitch)
    place = np.where(owner == 0, np.clip((pitch - 63) / 30, -0.9, 0.9), 0.0) + rng.normal(0, 0.06, 160)
    stereo = with_places(notes, place, 0.9)
    assert right(cluster(stereo, Clustering(timbres=2)).track, owner) > 0.96
    piano = stereo.select(owner == 0)
    assert estimate_timbres(piano).timbres == 1


def test_guitars_at_both_sides_and_echoes_from_side_to_side_are_not_torn_in_two() -> None:
    rng = np.random.default_rng(4)
    notes, owner = table(160, 2, 0.45, rng)
    # Played twice, the balance of the two takes goes to and fro, and no note is sure of it.
    twice = np.where(owner == 0, rng.uniform(-0.6, 0.6, 160), 0.0)
    stereo = with_places(notes, twice, np.where(owner == 0, 0.3, 0.95))
    assert right(cluster(stereo, Clustering(timbres=2)).track, owner) > 0.96
    # Every fourth note of the lead is an echo at one side or the other.
    echo = np.where((owner == 0) & (np.arange(160) % 8 < 2), rng.choice([-0.8, 0.8], 160), 0.0)
    stereo = with_places(notes, echo, 0.9)
    assert right(cluster(stereo, Clustering(timbres=2)).track, owner) > 0.96


def test_one_channel_one_place_or_no_confidence_is_sorted_as_by_sound_alone() -> None:
    rng = np.random.default_rng(1)
    notes, _ = table(150, 3, 0.6, rng)
    alone = cluster(notes, Clustering(timbres=3)).track
    assert Evidence(notes).points.x.tobytes() == Evidence(notes, 0.0).points.x.tobytes()
    wide = with_places(notes, rng.uniform(-1, 1, 150), 0.0)
    aside = with_places(notes, np.full(150, 0.7), rng.uniform(0.2, 1.0, 150))
    for stereo in (wide, aside):
        assert np.array_equal(cluster(stereo, Clustering(timbres=3)).track, alone)
        assert estimate_timbres(stereo).timbres == estimate_timbres(notes).timbres
    left_out = cluster(with_places(notes, rng.uniform(-1, 1, 150), 1.0), Clustering(timbres=3, stereo=0.0))
    assert np.array_equal(left_out.track, alone)


def test_notes_keep_their_places_where_the_clean_up_sorts_them_anew() -> None:
    pair = Notes.build([0, 0], [1, 1], [60, 60], panning=[[-1, 1], [1, 1]])
    cleaned = clean(pair.with_tracks([1, 0], [Track("A"), Track("B")]), CleanUp(strength=0.5)).notes
    assert cleaned.track.tolist() == [0, 1] and cleaned.panning[:, 0].tolist() == [1, -1]


def test_no_notes_is_no_error() -> None:
    notes = with_places(Notes.build([], [], [], embedding=np.zeros((0, 8))), np.zeros(0), 1.0)
    assert len(cluster(notes)) == 0
    sound, found = played([(0.2, 1.0, 60, -0.5)], 2.0)
    posteriors = posteriors_of(sound, found)
    assert embed_notes(Notes.empty(), posteriors).panning.shape == (0, 2)
    assert embed_notes(found, posteriors).panning.shape == (1, 2)
    with pytest.raises(ValueError, match="one channel"):
        note_panning(found, replace(posteriors, stereo=None))


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="stereo is -1"):
        Clustering(stereo=-1.0)
