"""What README.md promises, with the shipped networks: recordings become the right notes and the right tracks."""

from __future__ import annotations

import doctest
import functools
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import amtsep
from amtsep import load_audio, separate, transcribe
from amtsep.evaluation.metrics import evaluate_agnostic, match
from amtsep.evaluation.separation import separated_onset
from amtsep.notes import Notes

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(__file__).parent / "golden"
DEMOS = ROOT / "notebooks" / "demos"
HOP_S = 256 / 22050
# Onset F1 of the clips with `base` was .877, .970, .866, with `light` .854, .954, .817; of the tracks .862, .970, .866.
FLOORS = {"Chorale": (0.85, 0.83, 4, 0.82), "Duet": (0.95, 0.93, 2, 0.94), "Piano": (0.84, 0.79, 1, 0.84)}


def clip(word: str) -> tuple[Path, Notes]:
    (path,) = DEMOS.glob(f"{word}*.ogg")
    return path, Notes.from_midi(path.with_suffix(".mid"))


@functools.lru_cache
def separated(word: str) -> Notes:
    """The tracks of a clip by `base`, as `separate` finds them."""
    return separate(clip(word)[0], device="cpu")


@pytest.mark.parametrize("word", FLOORS)
def test_a_recording_becomes_its_notes_and_tracks(word: str) -> None:
    path, truth = clip(word)
    base, light, timbres, tracks = FLOORS[word]
    notes = separated(word)
    assert evaluate_agnostic(truth, notes, HOP_S).onset.f1 >= base
    assert len(np.unique(notes.track)) == timbres
    assert separated_onset(truth, notes).f1 >= tracks
    assert evaluate_agnostic(truth, transcribe(path, device="cpu"), HOP_S).onset.f1 >= light


@pytest.mark.parametrize("word", FLOORS)
def test_tracks_are_those_that_were_shipped(word: str) -> None:
    """Golden file, made by tests/golden/make.py; one note in a hundred may lie at the very threshold."""
    golden, notes = Notes.from_csv(GOLDEN / f"{word.lower()}.csv"), separated(word)
    pairs = match(golden, notes, onset_tolerance_s=0.005, offsets=True)
    assert len(pairs) >= 0.99 * max(len(golden), len(notes))
    same = golden.track[[a for a, _ in pairs]] == notes.track[[b for _, b in pairs]]
    assert same.mean() >= 0.99


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    import soundfile

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 2
    audio = load_audio(clip("Duet")[0])
    for name in set(re.findall(r'"(\w+\.(?:wav|flac|m4a|mp3))"', "".join(blocks))):
        kind = "FLAC" if name.endswith("flac") else "WAV"  # what a file is shows in its content, not in its name
        soundfile.write(tmp_path / name, audio.samples[: 4 * 22050], 22050, format=kind)
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
    assert (tmp_path / "song.mid").is_file() and (tmp_path / "song.npz").is_file()
    shutil.rmtree(tmp_path)


def test_examples_of_the_docstrings_are_right() -> None:
    tried = 0
    for module in pkgutil.walk_packages(amtsep.__path__, "amtsep."):
        if module.name.endswith("__main__"):
            continue
        try:
            found = importlib.import_module(module.name)
        except ImportError:
            continue  # a part of which an extra is not installed
        result = doctest.testmod(found)
        assert not result.failed, module.name
        tried += result.attempted
    assert tried > 15
