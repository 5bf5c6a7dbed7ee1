"""Learning to count timbres: mixes with a known number, their files, and the fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from amtsep.clustering.count import features
from amtsep.notes import Notes
from amtsep.synthesis.bank import NOTE_DTYPE, Bank, BankWriter, Stem
from amtsep.training.timbre_count import (
    LARGEST,
    Example,
    draw_mix,
    fit,
    load_examples,
    main,
    predict,
    save_examples,
    synthetic_notes,
    validate,
)

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
                notes.append((0, start, start + 0.4, pitch, 80))
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
    assert Example(heard, truth).labels().tolist() == [0, 1, 0, -1]
    assert Example(heard, truth).timbres == 2


def test_examples_survive_their_file(tmp_path: Path) -> None:
    examples = [Example(synthetic_notes(seed), synthetic_notes(seed + 10)) for seed in range(3)]
    save_examples(tmp_path / "mixes.npz", examples)
    loaded = load_examples(tmp_path / "mixes.npz")
    assert len(loaded) == 3
    for a, b in zip(examples, loaded):
        assert a.heard.equals(b.heard) and a.truth.equals(b.truth)
        assert np.array_equal(a.heard.embedding, b.heard.embedding)


def test_fitted_weights_count_better_than_chance_and_state_a_fair_probability() -> None:
    notes = [synthetic_notes(seed, seed % 4 + 1, 150) for seed in range(80)]
    tables = [features(n, LARGEST) for n in notes]
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
