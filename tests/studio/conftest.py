"""What the tests of the studio share."""

from __future__ import annotations

import functools
from importlib.util import find_spec

import pytest

from amtsep.audio import load_audio


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are decoded here: a process for each of hundreds of short files takes longer than all the rest."""
    for name in ("corpus", "genre_data", "musicgen"):
        if name != "musicgen" or find_spec("torch"):
            place = f"amtsep.studio.{name}.load_audio"
            monkeypatch.setattr(place, functools.partial(load_audio, apart=False))
