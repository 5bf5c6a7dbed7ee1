"""The cache: where it is, what its names follow from, that damage and limits lose nothing but time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from amtsep import cache, inference
from amtsep.inference import model_hash, models_folder
from amtsep.posteriors import Posteriors


@pytest.fixture
def posteriors() -> Posteriors:
    rng = np.random.default_rng(0)
    onset, frame = rng.random((2, 88, 50)).astype(np.float32)
    return Posteriors(onset, frame, np.zeros((306, 50), np.uint8), 0.0116, 0.58)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path / "cache"))


@pytest.mark.skipif(sys.platform != "linux", reason="the folder's name is that of Linux")
def test_it_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AMTSEP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder("scores") == tmp_path / "amtsep" / "scores"


def test_what_is_stored_comes_back(posteriors: Posteriors) -> None:
    assert cache.load_posteriors("a") is None
    cache.store_posteriors("a", posteriors)
    found = cache.load_posteriors("a")
    assert found is not None and np.abs(found.onset - posteriors.onset).max() < 1e-4


def test_a_network_given_by_its_path_is_known_by_its_weights(tmp_path: Path) -> None:
    """One's own network, trained on, must not find the posteriors of what it was before."""
    own = tmp_path / "own.onnx"
    own.write_bytes((models_folder() / "light.onnx").read_bytes())
    first = model_hash(own)
    assert first == model_hash("light")
    own.write_bytes(own.read_bytes() + b"\0")
    os.utime(own, ns=(1, 1))
    assert model_hash(own) != first
    assert cache.posteriors_key("sound", first) != cache.posteriors_key("sound", model_hash(own))


def test_the_ones_used_longest_ago_go_first(posteriors: Posteriors) -> None:
    place = cache.folder("posteriors")
    for age, name in enumerate(("new", "old", "older")):
        cache.store_posteriors(name, posteriors)
        os.utime(place / f"{name}.npz", (1e9 - age, 1e9 - age))
    size = (place / "new.npz").stat().st_size
    cache.trim(place, 2 * size)
    assert sorted(p.stem for p in place.iterdir()) == ["new", "old"]


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(posteriors: Posteriors, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    cache.store_posteriors("a", posteriors)
    assert cache.load_posteriors("a") is None


def test_other_code_of_what_posteriors_hold_gives_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that estimates the tuning in another way would else show what the one before has kept."""
    before = model_hash("light")
    for name in ("loudness.py", "stereo.py", "tuning.py"):
        with monkeypatch.context() as changed:
            changed.setattr(
                inference, "_file_hash", lambda path, _modified, name=name: "other" if path.name == name else path.name
            )
            other = model_hash("light")
            changed.setattr(inference, "_file_hash", lambda path, _modified: path.name)
            assert other != model_hash("light"), name
    assert model_hash("light") == before
