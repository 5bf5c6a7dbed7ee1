"""Evaluation data stays out of training: whoever takes a guard away meets one of these."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amtsep.config import Decoding, Mixing
from amtsep.errors import DataError
from amtsep.evaluation.readers import DATASETS, recordings
from amtsep.evaluation.readers.base import SPLITS
from amtsep.evaluation.readers.ensembles import bach10
from amtsep.synthesis import cli, guard, guitarset
from amtsep.synthesis.bank import NOTE_DTYPE, Bank, BankWriter, Stem
from amtsep.synthesis.mixing import Mixer
from amtsep.synthesis.music import is_bach10, load_scores
from amtsep.synthesis.scores import SCORE_DTYPE
from amtsep.training.timbres.hearing import hear_recordings

STEM = Stem("guitarset:00", "guitar", "guitar", "guitarset", 24, "music", None, 0, "train", False)


def _synthesize(out: Path, *options: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(["--out", str(out), "--no-soundfonts", "--hours", "0.01", *options]))


@pytest.mark.parametrize("option", ["--samples", "--scores", "--guitarset"])
@pytest.mark.parametrize("name", ["bach10", "Bach10/dev", "slakh2100", "babyslakh", "MAPS_MUS-bk_xmas1", "maps/dev/x"])
def test_folders_of_evaluation_sets_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    folder = tmp_path / "data" / name
    (folder / "violin").mkdir(parents=True)
    (folder / "a.mid").write_bytes(b"")
    assert _synthesize(tmp_path / "bank", option, str(folder)) == 1
    assert "which training must not hear" in capsys.readouterr().err
    # Not by way of the folder above, nor by a link with another name.
    (tmp_path / "link").symlink_to(folder)
    assert _synthesize(tmp_path / "bank", option, str(tmp_path / "link")) == 1
    if option != "--guitarset":
        assert _synthesize(tmp_path / "bank", option, str(tmp_path / "data")) == 1
        assert "which training must not hear" in capsys.readouterr().err
    assert not (tmp_path / "bank").exists()


def test_other_names_are_let_through(tmp_path: Path) -> None:
    for name in ("roadmaps", "mapsy", "bach", "bach-chorales", "philharmonia"):
        guard.refuse(tmp_path / name, "anything")


@pytest.mark.parametrize("split", ["dev", "test", "validation"])
def test_a_development_half_of_guitarset_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str
) -> None:
    folder = tmp_path / "guitarset" / split
    folder.mkdir(parents=True)
    # Even were a training player's take in it.
    (folder / "00_BN1-129-Eb_comp_mic.tsv").write_text("0 1 60 80\n")
    assert _synthesize(tmp_path / "bank", "--guitarset", str(folder)) == 1
    assert "kept for evaluation" in capsys.readouterr().err


def test_readers_and_guards_mean_the_same_by_their_names(data_root: Path) -> None:
    assert set(guard.HELD_OUT_SPLITS) == {name for name, split in SPLITS.items() if split != "train"}
    assert set(guard.EVALUATION_ONLY) <= set(DATASETS)
    root = data_root / "guitarset"
    if not root.is_dir():
        pytest.skip("AMTSEP_DATA has no guitarset")
    split = {r.name: r.split for r in recordings("guitarset", root)}
    trained = {path.stem for path in guitarset.takes(root)}
    assert trained and {split[name] for name in trained} == {"train"}
    assert {name[:2] for name, s in split.items() if s != "train"}.isdisjoint(guard.TRAIN_PLAYERS)
    for name, s in split.items():
        if s != "train":
            with pytest.raises(DataError, match="must not be learned from"):
                guard.refuse_recording("guitarset", name, s)
        else:
            guard.refuse_recording("guitarset", name, s)


def test_recordings_of_evaluation_sets_teach_nothing_whatever_their_split() -> None:
    for dataset, name, split in (("bach10", "01-x", "train"), ("maps", "x", ""), ("maestro", "x", "test")):
        with pytest.raises(DataError, match="for evaluation"):
            guard.refuse_recording(dataset, name, split)
    guard.refuse_recording("maestro", "x", "train")


@pytest.mark.parametrize("dataset", ["bach10", "guitarset"])
def test_the_number_of_timbres_is_not_learned_from_them(dataset: str, data_root: Path) -> None:
    folder = data_root / dataset / "dev"
    if not folder.is_dir():
        pytest.skip(f"AMTSEP_DATA has no {dataset}/dev")
    with pytest.raises(DataError, match="must not be learned from"):
        hear_recordings(dataset, folder, folder / "none.safetensors", 1, Decoding())


def test_a_bank_with_evaluation_stems_is_not_mixed(tmp_path: Path) -> None:
    with BankWriter(tmp_path, sample_rate=22050, clip_samples=22050, seed=0) as writer:
        notes = np.array([(0, 0.1, 0.5, 60, 80, 0.4)] * 3, NOTE_DTYPE)
        writer.append((1000 * np.sin(np.arange(22050) / 10)).astype(np.int16), notes, STEM)
    bank = Bank.open(tmp_path)
    assert len(Mixer(bank, Mixing(clip_s=0.9)).clip(0).notes) > 0
    for stranger in (
        replace(STEM, timbre="guitarset:03"),
        replace(STEM, timbre="slakh:1", source="slakh"),
        replace(STEM, timbre="Bach10:violin", source="Bach10"),
    ):
        bank.stems = [stranger]
        with pytest.raises(DataError, match="evaluation data"):
            Mixer(bank, Mixing(clip_s=0.9))


def test_scores_of_the_ten_chorales_stay_out(tmp_path: Path, data_root: Path) -> None:
    import mido

    if not (data_root / "bach10").is_dir():
        pytest.skip("AMTSEP_DATA has no bach10")
    scores = tmp_path / "scores"
    scores.mkdir()
    pieces = bach10(data_root / "bach10", "")
    assert pieces
    for number, piece in enumerate([None, *pieces]):
        # The melody as it was played, in another key and under another name, among other parts.
        pitches = [60, 62, 59, 64, 60, 67] * 8 if piece is None else [int(p) + 3 for p in piece.parts[0].notes.pitch]
        track = mido.MidiTrack()
        for pitch in pitches:
            track.append(mido.Message("note_on", note=pitch, velocity=80, time=0))
            track.append(mido.Message("note_off", note=pitch, velocity=0, time=240))
        midi = mido.MidiFile()
        midi.tracks.append(track)
        midi.save(scores / f"piece{number}.mid")
        if piece is not None:
            table = np.zeros(len(pitches), SCORE_DTYPE)
            table["pitch"], table["onset"] = pitches, np.arange(len(pitches))
            table["offset"] = table["onset"] + 0.9
            assert is_bach10("a song", [table]), piece.name
    assert [piece.name for piece in load_scores([scores], tmp_path / "cache")] == ["piece0"]
