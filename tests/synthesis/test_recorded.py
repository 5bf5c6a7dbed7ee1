"""One's own recordings become a bank, banks are joined, and evaluation data is let in only by a sentence."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amtsep.errors import DataError
from amtsep.notes import Notes, Track
from amtsep.synthesis import cli, guard
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.mixing import kind_of

RATE = 44100


def synthesize(out: Path, *options: object) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(["--out", str(out), "--clip", "4", *map(str, options)]))


def record(folder: Path, name: str, seconds: float = 9.0, program: int = 40) -> None:
    """A note of a second every second, and its MIDI file."""
    folder.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * RATE)) / RATE
    onset = np.arange(seconds - 1) + 0.5
    pitch = 60 + np.arange(len(onset)) % 5
    sound = np.zeros_like(time)
    for start, key in zip(onset, pitch):
        here = (time >= start) & (time < start + 0.8)
        sound[here] = 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * time[here])
    soundfile.write(folder / f"{name}.flac", sound, RATE)
    Notes.build(onset, onset + 0.8, pitch, tracks=[Track("", program)]).to_midi(folder / f"{name}.mid")


def test_recordings_become_a_bank_that_trains(tmp_path: Path) -> None:
    for instrument, program in (("violin", 40), ("flute", 73)):
        record(tmp_path / "mine" / instrument, "etude", program=program)
    record(tmp_path / "mine", "loose")
    assert synthesize(tmp_path / "bank", "--recordings", tmp_path / "mine") == 0
    bank = Bank.open(tmp_path / "bank")
    assert len(bank) == 6 and bank.sample_rate == 22050  # 4 + 4 s of 9 each; the last second is too short
    timbres = {stem.timbre: stem.family for stem in bank.stems}
    assert timbres.keys() == {"recordings:violin", "recordings:flute", "recordings:mine"}
    assert timbres["recordings:violin"] == "violin" and timbres["recordings:flute"] == "flute"
    assert {kind_of(stem) for stem in bank.stems} == {"real"}
    second = bank.notes(1)
    # What sounds on from the clip before keeps its frames.
    np.testing.assert_allclose(second["onset"], [-0.5, 0.5, 1.5, 2.5, 3.5], atol=0.01)
    # The sound lies where the notes say.
    level = np.abs(bank.audio(1).astype(float)).reshape(-1, 2205).max(axis=1)
    assert level[5:12].min() > 10 * level[14]


def test_banks_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "a", "one")
    record(tmp_path / "b", "two", 13.0)
    for name in "ab":
        assert synthesize(tmp_path / f"bank-{name}", "--recordings", tmp_path / name) == 0
    assert synthesize(tmp_path / "both", "--merge", tmp_path / "bank-a", tmp_path / "bank-b") == 0
    both, one, two = (Bank.open(tmp_path / name) for name in ("both", "bank-a", "bank-b"))
    assert both.stems == [*one.stems, *two.stems] and len(both) == 5
    np.testing.assert_array_equal(both.audio(len(one)), two.audio(0))
    np.testing.assert_array_equal(both.notes(len(one))["onset"], two.notes(0)["onset"])
    assert synthesize(tmp_path / "bank-a", "--merge", tmp_path / "bank-a", tmp_path / "bank-b") == 1
    assert "write the new one elsewhere" in capsys.readouterr().err
    assert len(Bank.open(tmp_path / "bank-a")) == len(one)
    assert synthesize(tmp_path / "other", "--recordings", tmp_path / "a", "--clip", 3) == 0
    assert synthesize(tmp_path / "both2", "--merge", tmp_path / "bank-a", tmp_path / "other") == 1
    assert "make them alike with --clip" in capsys.readouterr().err


def test_a_folder_without_pairs_says_what_to_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "a", "one")
    (tmp_path / "a" / "one.mid").unlink()
    assert synthesize(tmp_path / "bank", "--recordings", tmp_path / "a") == 1
    assert "give a folder of such pairs" in capsys.readouterr().err
    assert synthesize(tmp_path / "bank", "--recordings", tmp_path / "nowhere") == 2
    assert not (tmp_path / "bank").exists()


def test_evaluation_data_comes_in_by_a_sentence_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "bach10", "one")
    for said in ("", "bach10", "yes", "maps although it is for evaluation"):
        monkeypatch.setenv(guard.ON_PURPOSE, said)
        assert synthesize(tmp_path / "bank", "--recordings", tmp_path / "bach10") == 1
        assert "which training must not hear" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"set AMTSEP_LEARN_FROM='bach10 although it is for evaluation' if you mean it"):
        guard.refuse(tmp_path / "bach10", "recordings")
    monkeypatch.setenv(guard.ON_PURPOSE, "bach10 although it is for evaluation")
    assert synthesize(tmp_path / "bank", "--recordings", tmp_path / "bach10") == 0
    assert len(Bank.open(tmp_path / "bank")) == 2
