"""The bank: what is written is read, what is broken is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from amtsep.errors import DataError
from amtsep.synthesis.bank import FILES, NOTE_DTYPE, Bank, BankWriter, Stem, unpack

N = 9 * 22050


def _stem(i: int, piece: str | None = None) -> Stem:
    return Stem(f"test:{i}", "violin", "strings", "test", 40, "random", piece, i, "train", False)


def _write(folder: Path, count: int = 3) -> None:
    rng = np.random.default_rng(0)
    with BankWriter(folder, 22050, N, seed=7) as writer:
        for i in range(count):
            t = np.arange(N) / 22050
            audio = (6000 * np.sin(2 * np.pi * 220 * (i + 1) * t) + rng.normal(0, 3, N)).astype(np.int16)
            notes = np.array([(0, 2.0, 3.0, 60, 90, 2.9), (0, 0.5, 1.5, 57 + i, 80, 1.4)][: 2 if i else 1], NOTE_DTYPE)
            assert writer.append(audio, notes, _stem(i, "piece" if i else None)) == i


def test_round_trip(tmp_path: Path) -> None:
    _write(tmp_path / "bank")
    bank = Bank.open(tmp_path / "bank")
    assert (len(bank), bank.clip_samples, bank.seed, bank.clip_s) == (3, N, 7, 9.0)
    assert bank.audio(1).dtype == np.int16 and abs(int(bank.audio(1).max()) - 6000) < 200
    assert [len(bank.notes(i)) for i in range(3)] == [1, 2, 2]
    assert bank.notes(2)["onset"].tolist() == [0.5, 2.0]
    assert bank.stems[2] == _stem(2, "piece")
    rows = json.loads((tmp_path / "bank" / "stems.json").read_text())["stems"]
    assert rows[0]["class"] == "strings" and rows[0]["piece"] is None


def test_packed_bank_travels_small_and_sounds_the_same(tmp_path: Path) -> None:
    _write(tmp_path / "bank")
    bank = Bank.open(tmp_path / "bank")
    packed = bank.pack(tmp_path / "bank.zip", which=[0, 2])
    # Two hours in 60 MiB is 8.5 kB a second.
    assert packed.stat().st_size < 2 * 9 * 8500
    again = unpack(packed, tmp_path / "again")
    assert again.stems == [bank.stems[0], bank.stems[2]]
    assert np.array_equal(again.notes(1)["pitch"], bank.notes(2)["pitch"])
    a, b = bank.audio(2).astype(float), again.audio(1).astype(float)
    assert np.sum((a - b) ** 2) < 0.02 * np.sum(a**2)


def test_a_bank_that_is_not_finished_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a stem bank"):
        Bank.open(tmp_path)
    with pytest.raises(RuntimeError), BankWriter(tmp_path / "b", 22050, N, 0) as writer:
        writer.append(np.zeros(N, np.int16), np.zeros(0, NOTE_DTYPE), _stem(0))
        raise RuntimeError
    with pytest.raises(DataError, match="not a stem bank"):
        Bank.open(tmp_path / "b")


def test_a_bank_stays_until_the_one_that_takes_its_place_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    _write(folder)
    before = Bank.open(folder)
    sound = before.audio(2).copy()
    with pytest.raises(RuntimeError), BankWriter(folder, 22050, N, 0) as writer:
        writer.append(np.zeros(N, np.int16), np.zeros(0, NOTE_DTYPE), _stem(0))
        raise RuntimeError
    assert len(Bank.open(folder)) == 3 and sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    with BankWriter(folder, 22050, N, 0) as writer:
        writer.append(np.zeros(N, np.int16), np.zeros(0, NOTE_DTYPE), _stem(0))
    assert len(Bank.open(folder)) == 1 and sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    # Whoever reads the old one goes on: a training would have been killed by what is no longer there.
    assert np.array_equal(before.audio(2), sound)


def test_truncated_audio_is_noticed(tmp_path: Path) -> None:
    _write(tmp_path / "bank")
    with open(tmp_path / "bank" / "audio.i16", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(DataError, match="does not hold the 3 stems"):
        Bank.open(tmp_path / "bank")


def test_a_file_that_is_no_packed_bank(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"hello")
    with pytest.raises(DataError, match="not a packed stem bank"):
        unpack(tmp_path / "x.zip", tmp_path / "y")


def test_the_writer_refuses_another_length(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="198450"), BankWriter(tmp_path / "b", 22050, N, 0) as writer:
        writer.append(np.zeros(5, np.int16), np.zeros(0, NOTE_DTYPE), _stem(0))
