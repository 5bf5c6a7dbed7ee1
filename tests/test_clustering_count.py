"""Learning to count timbres: mixes with a known number, their files, and the fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amtsep.clustering import Evidence, estimate_timbres
from amtsep.clustering.assign import distortion, refine
from amtsep.clustering.count import FEATURES, drift_axes, drifting_distortion, features, median
from amtsep.clustering.encoder import WEIGHTS, NoteEncoder, shipped
from amtsep.clustering.points import note_points
from amtsep.notes import Notes
from amtsep.synthesis.bank import NOTE_DTYPE, Bank, BankWriter, Stem
from amtsep.synthesis.generate import Recipe, Voice
from amtsep.synthesis.instruments import Instrument
from amtsep.synthesis.music import Piece
from amtsep.synthesis.scores import SCORE_DTYPE
from amtsep.synthesis.songs import in_range, plan_songs, roles_of
from amtsep.training.timbres.__main__ import main
from amtsep.training.timbres.drawing import LARGEST, draw_mix, mix_song, songs_of, synthetic_notes
from amtsep.training.timbres.fitting import fit, predict, validate
from amtsep.training.timbres.hearing import HeardMix, load_examples, save_examples

RATE = 22050


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Six timbres, two stems each, three seconds of six notes; the last timbre is held out."""
    folder = tmp_path_factory.mktemp("bank")
    rng = np.random.default_rng(0)
    with BankWriter(folder, sample_rate=RATE, clip_samples=3 * RATE, seed=0) as writer:
        for index in range(12):
            audio, notes = np.zeros(3 * RATE), []
            for k in range(6):
                pitch, start = int(rng.integers(48, 84)), 0.1 + 0.45 * k
                time = np.arange(int(0.4 * RATE)) / RATE
                at = round(start * RATE)
                audio[at : at + len(time)] += 0.2 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)
                notes.append((0, start, start + 0.4, pitch, 80, start + 0.4))
            stem = Stem(
                timbre=f"test:{index // 2}", family=f"family {index // 2}", category="synth", source="test", program=80,
                kind="random", piece=None, part=0, split="train", held_out=index >= 10,
            )  # fmt: skip
            writer.append((audio * 32767).astype(np.int16), np.array(notes, NOTE_DTYPE), stem)
    return Bank.open(folder)


def test_a_mix_comes_again_from_its_seed_with_notes_where_it_sounds(bank: Bank) -> None:
    first, truth = draw_mix(bank, "train", 3, spoil=False)
    again, _ = draw_mix(bank, "train", 3, spoil=False)
    assert np.array_equal(first, again)
    level = [np.mean(first[round(a * RATE) : round(b * RATE)] ** 2) for a, b in zip(truth.onset, truth.offset)]
    silence = np.mean(first[: round(0.09 * RATE)] ** 2)
    assert min(level) > 100 * silence
    assert np.mean(first**2) == pytest.approx(1.0, rel=1e-3)


def test_mixes_of_many_sizes_and_never_a_held_out_timbre(bank: Bank) -> None:
    counts = [len(draw_mix(bank, "train", seed, spoil=False)[1].tracks) for seed in range(20)]
    assert min(counts) == 1 and 4 <= max(counts) <= 5


def test_heard_notes_are_labelled_by_the_nearest_onset() -> None:
    truth = Notes.build([0.0, 1.0, 1.0], [0.9, 2.0, 2.0], [60, 60, 67], track=[0, 1, 0])
    heard = Notes.build([0.02, 0.96, 1.01, 3.0], [1, 2, 2, 4], [60, 60, 67, 60])
    assert HeardMix(heard, truth).labels().tolist() == [0, 1, 0, -1]
    assert HeardMix(heard, truth).timbres == 2


def test_examples_survive_their_file(tmp_path: Path) -> None:
    examples = [HeardMix(synthetic_notes(seed), synthetic_notes(seed + 10)) for seed in range(3)]
    save_examples(tmp_path / "mixes.npz", examples)
    loaded = load_examples(tmp_path / "mixes.npz")
    assert len(loaded) == 3
    for a, b in zip(examples, loaded):
        assert a.heard.equals(b.heard) and a.truth.equals(b.truth)
        assert np.array_equal(a.heard.embedding, b.heard.embedding)


def test_fitted_weights_count_better_than_chance_and_state_a_fair_probability() -> None:
    notes = [synthetic_notes(seed, seed % 4 + 1, 150) for seed in range(80)]
    tables = [features(Evidence(n), LARGEST) for n in notes]
    timbres = [len(np.unique(n.track)) for n in notes]
    report = validate(tables, timbres, 0.01)
    assert report["exact"] > 0.6
    chance = predict(fit(tables, timbres, 0.01), tables)
    assert np.allclose(chance.sum(axis=1), 1.0)
    right = chance.argmax(axis=1) + 1 == np.array(timbres)
    assert abs(chance.max(axis=1).mean() - right.mean()) < 0.15


def test_command_writes_weights_that_say_what_they_are_made_of(tmp_path: Path) -> None:
    out = tmp_path / "weights.json"
    main(["fit", "--synthetic", "12", "--out", str(out)])
    model = json.loads(out.read_text())
    assert "12 examples" in model["made_of"] and len(model["weight"]) == len(model["features"])


def test_all_is_fitted_again_with_one_command_that_goes_on_where_it_was_broken_off(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="fitting needs torch (pip install 'amtsep[train]')")
    command = [
        "refit",
        "--bank",
        str(bank.folder),
        "--work",
        str(tmp_path / "heard"),
        "--out",
        str(tmp_path / "note_encoder.json"),
    ]
    command += ["--mixes", "12", "--steps", "4"]
    main(command)
    encoder = NoteEncoder.of(json.loads((tmp_path / "note_encoder.json").read_text()))
    assert encoder.networks == shipped(WEIGHTS).networks[:2], "it was fitted to what ships"
    assert "mixes of a bank" in encoder.count["made_of"] and len(encoder.count["weight"]) == len(FEATURES)
    notes = Notes.build([0.0], [0.5], [60])
    assert encoder(notes.pitch, np.ones((1, 48), np.float32) / 4.0).shape == (1, 32)

    def deaf(*_: object) -> None:
        raise AssertionError("what lies in the folder is not heard again")

    monkeypatch.setattr("amtsep.training.timbres.encoder.hear_mix", deaf)
    main(command)


def piano(n: int = 900, seed: int = 0, steps: float = 0.0) -> Notes:
    """One timbre over five octaves, its embedding drifting with pitch along a bow; `steps` makes it three registers."""
    rng = np.random.default_rng(seed)
    pitch = np.clip(np.round(rng.normal(62, 12, n)), 24, 100)
    octaves = (pitch - 62) / 12
    if steps:
        octaves = np.where(np.abs(octaves) < 0.5, 0.0, steps * np.sign(octaves))
    x = np.zeros((n, 16))
    x[:, 0], x[:, 1], x[:, 2] = 1.0, 0.6 * octaves, 0.25 * octaves**2
    onset = np.sort(rng.uniform(0, n / 8, n))
    return Notes.build(onset, onset + 0.4, pitch, embedding=x + 0.08 * rng.normal(size=x.shape))


def test_a_drift_over_the_range_leaves_little_for_a_second_timbre_to_explain() -> None:
    def gains(notes: Notes) -> tuple[float, float]:
        table = features(Evidence(notes), 3)
        return float(table[1, FEATURES.index("gain")]), float(table[1, FEATURES.index("drift_gain")])

    plain, drifting = gains(piano())
    assert plain > 0.5 and drifting < 0.4 * plain
    # Two clear timbres of one register: no drift explains them.
    notes = synthetic_notes(3, 2, 300)
    low = np.random.default_rng(0).integers(55, 70, len(notes))
    one_register = Notes.build(notes.onset, notes.offset, low, embedding=notes.embedding, track=notes.track)
    assert gains(one_register)[1] > 0.4


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any))
def test_the_number_errs_by_less_than_any_other_would(parts: list[int]) -> None:
    chance = np.array(parts) / sum(parts)
    numbers = np.arange(1, len(parts) + 1)
    error = (np.abs(numbers[:, None] - numbers) * chance).sum(axis=1)
    assert error[median(chance) - 1] <= error.min() + 1e-9


def test_a_long_piano_piece_stays_one_track() -> None:
    assert [estimate_timbres(piano(n, seed)).timbres for n, seed in ((300, 1), (900, 2), (2500, 3))] == [1, 1, 1]


def test_a_cluster_that_may_drift_leaves_no_more_than_one_that_may_not() -> None:
    notes = synthetic_notes(5, 3, 200)
    points = note_points(notes)
    for k in (1, 2, 3):
        labels, centroids = refine(points, np.arange(len(points)) % k, k)
        drifting = drifting_distortion(points, drift_axes(notes), labels, k)
        assert 0.0 < drifting <= distortion(points, labels, centroids) + 1e-9


def test_held_out_timbres_can_be_chosen_or_left_out(tmp_path: Path) -> None:
    with BankWriter(tmp_path, sample_rate=RATE, clip_samples=RATE, seed=0) as writer:
        for index in range(6):
            stem = Stem(f"t:{index}", f"f{index}", "synth", "test", 80, "random", None, 0, "dev", index >= 3)
            times = [(0.1 * k, 0.1 * k + 0.09) for k in range(6)]
            notes = np.array([(0, on, off, 50 + index, 80, off) for on, off in times], NOTE_DTYPE)
            writer.append(np.full(RATE, 1000, np.int16), notes, stem)
    small = Bank.open(tmp_path)
    for held_out, allowed in (("only", {53, 54, 55}), ("without", {50, 51, 52})):
        heard = {int(p) for s in range(6) for p in draw_mix(small, "dev", s, False, held_out)[1].pitch}
        assert heard and heard <= allowed


def voices() -> list[Voice]:
    table = [
        ("piano", 24, 105, False), ("guitar", 40, 84, False), ("organ", 36, 96, False), ("bass", 28, 65, True),
        ("reed", 55, 90, True), ("strings", 55, 98, True), ("keys", 30, 98, False),
    ]  # fmt: skip
    made = [Voice(f"v:{c}", "v", Instrument(c, c, low, high, mono), 0, False, 1.0) for c, low, high, mono in table]
    return [*made, Voice("v:held", "v", Instrument("held", "piano", 21, 108, False), 0, True, 99.0)]


def pop_song() -> Piece:
    """A minute and a half of melody and of chords with a bass under them."""
    melody = [(t, t + 0.4, 64 + int(t * 7) % 12, 80) for t in np.arange(0, 90, 0.5)]
    chords = [(t, t + 0.9, p, 70) for t in np.arange(0, 90, 1.0) for p in (36 + int(t) % 5, 52, 55, 60)]
    return Piece("pop", "pop", (np.array(melody, SCORE_DTYPE), np.array(chords, SCORE_DTYPE)))


def test_songs_have_one_to_four_voices_that_fit_and_none_that_is_held_out() -> None:
    known = voices()
    orders = plan_songs(Recipe(clip_s=40.0, seed=3), known, [pop_song()], 40)
    songs: dict[str, list[int]] = {}
    for order in orders:
        songs.setdefault(str(order.piece), []).append(order.voice)
        instrument = known[order.voice].instrument
        assert not known[order.voice].held_out
        if order.score is not None:
            assert order.score["pitch"].min() >= instrument.low and order.score["pitch"].max() <= instrument.high
            assert order.score["offset"].max() <= 40.0
    assert len(songs) == 40
    assert {len(voices) for voices in songs.values()} == {1, 2, 3}
    assert all(len(set(voices)) == len(voices) for voices in songs.values())
    again = plan_songs(Recipe(clip_s=40.0, seed=3), known, [pop_song()], 40)
    assert [(o.voice, o.piece) for o in orders] == [(o.voice, o.piece) for o in again]


def test_notes_out_of_range_move_by_octaves() -> None:
    score = np.array([(0, 1, 20, 64), (1, 2, 50, 64), (2, 3, 101, 64)], SCORE_DTYPE)
    assert in_range(score, 40, 70, 5.0)["pitch"].tolist() == [44, 50, 65]


def test_chords_may_be_split_in_a_bass_and_the_rest() -> None:
    found = [dict(roles_of(np.random.default_rng(seed), pop_song().parts, 3)) for seed in range(8)]
    split = [roles for roles in found if "bass" in roles]
    assert split and all(roles["bass"]["pitch"].max() < 50 <= roles["chords"]["pitch"].min() for roles in split)


def test_a_song_is_the_sum_of_its_stems_or_the_beginning_of_it(tmp_path: Path) -> None:
    with BankWriter(tmp_path, sample_rate=RATE, clip_samples=30 * RATE, seed=0) as writer:
        for part in range(2):
            notes = np.array([(0, 0.5 * k, 0.5 * k + 0.4, 60 + part, 80, 0.5 * k + 0.4) for k in range(60)], NOTE_DTYPE)
            sound = np.round(3000 * np.sin(np.arange(30 * RATE) * (0.1 + 0.05 * part))).astype(np.int16)
            writer.append(
                sound, notes, Stem(f"t:{part}", "f", "synth", "v", 0, "music", "song 0000", part, "train", False)
            )
    bank = Bank.open(tmp_path)
    assert songs_of(bank) == {"song 0000": [0, 1]}
    mix, truth = mix_song(bank, [0, 1], 5)
    assert 20.0 <= len(mix) / RATE <= 30.0 and np.mean(mix**2) == pytest.approx(1.0, rel=1e-3)
    assert set(truth.pitch.tolist()) == {60, 61} and truth.onset.max() < len(mix) / RATE
