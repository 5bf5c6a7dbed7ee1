"""A tiny bank to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amtsep.synthesis.bank import NOTE_DTYPE, BankWriter, Stem

RATE = 22050


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve stems of sines and squares, three seconds each."""
    folder = tmp_path_factory.mktemp("bank")
    rng = np.random.default_rng(0)
    with BankWriter(folder, sample_rate=RATE, clip_samples=3 * RATE, seed=0) as writer:
        for index in range(12):
            audio, notes = np.zeros(3 * RATE), []
            for k in range(5):
                pitch, start = int(rng.integers(48, 84)), 0.1 + 0.55 * k
                time = np.arange(int(0.5 * RATE)) / RATE
                wave = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)
                at = round(start * RATE)
                audio[at : at + len(time)] += 0.2 * (np.sign(wave) if index % 2 else wave)
                notes.append((0, start, start + 0.5, pitch, 80, start + 0.4))
            stem = Stem(
                timbre=f"test:{index % 4}",
                family="square" if index % 2 else "sine",
                category="synth",
                source="test",
                program=80,
                kind="random",
                piece=f"p{index // 3}" if index < 6 else None,
                part=index % 3,
                split="dev" if index >= 10 else "train",
                held_out=False,
            )
            writer.append((audio * 32767).astype(np.int16), np.array(notes, NOTE_DTYPE), stem)
    return folder
