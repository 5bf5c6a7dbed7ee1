from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import synthetic  # noqa: E402

SECONDS = 12.0


@pytest.fixture(scope="session")
def true_notes():
    return synthetic.melody(SECONDS)


@pytest.fixture(scope="session")
def posteriors(true_notes):
    return synthetic.perfect(true_notes, SECONDS)


@pytest.fixture(scope="session")
def recording(true_notes):
    return synthetic.wav_bytes(synthetic.sound(true_notes, SECONDS))


class FakeTranscriber:
    """Stands in for the network: gives prepared posteriors, reporting progress on the way; counts its calls."""

    def __init__(self, posteriors):
        self.posteriors = posteriors
        self.calls = 0
        self.gate = None

    def __call__(self, audio, progress=None, drums=False):
        from amtsep.errors import Cancelled

        self.calls += 1
        for i in range(5):
            if self.gate is not None:
                self.gate.wait(5)
            if (
                progress is not None
                and progress(audio.duration_s * (i + 1) / 5, audio.duration_s, "transcribe") is False
            ):
                raise Cancelled("cancelled")
        return self.posteriors


@pytest.fixture
def transcriber(posteriors, monkeypatch, tmp_path):
    """Put in place of the network, with a cache of its own."""
    from widgets.state import cache

    fake = FakeTranscriber(posteriors)
    monkeypatch.setattr(cache, "transcriber", lambda model, device: fake)
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AMTSEP_SESSIONS", str(tmp_path / "sessions"))
    yield fake
    # Work that was cancelled would else go on with the network and the cache of the next test.
    if fake.gate is not None:
        fake.gate.set()
    for thread in threading.enumerate():
        if thread.name in ("amtsep-work", "amtsep-cache"):
            thread.join(10)


@pytest.fixture
def session(transcriber, recording):
    """A session with the synthetic recording open."""
    from widgets.state.session import Session

    session = Session()
    session.open(recording, name="tune.wav")
    session.wait(60)
    assert session.status.kind == "info", session.status
    return session
