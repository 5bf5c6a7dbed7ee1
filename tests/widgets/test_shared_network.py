"""One process runs the network for all pages: the same posteriors as at home, and no loss if it ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from amtsep.audio import Audio
from amtsep.errors import Cancelled
from amtsep.inference import available_models
from widgets.state import cache, network
from widgets.state.network import Helper, UnreachableError

pytestmark = pytest.mark.skipif("light" not in available_models(), reason="the light network is not installed")


@pytest.fixture(scope="module")
def helper():
    made = Helper()
    made.keep()
    yield made
    made.close()


@pytest.fixture
def told(helper, monkeypatch):
    for name, value in helper.environment().items():
        monkeypatch.setenv(name, value)
    wait_until_there(helper)
    return helper


def wait_until_there(helper):
    import time
    from multiprocessing.connection import Client

    for _ in range(600):
        try:
            Client(helper.address, authkey=helper.key).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the process does not answer")


@pytest.fixture
def audio():
    time = np.arange(3 * 22050) / 22050
    return Audio((0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 22050, "a.wav")


def test_the_same_posteriors_come_back(told, audio):
    seen = []
    found = cache.transcriber("light", "cpu")(audio, progress=lambda *p: seen.append(p))
    expected = cache.local_transcriber("light", "cpu")(audio)
    assert np.allclose(found.onset, expected.onset, atol=1e-6) and np.allclose(found.frame, expected.frame, atol=1e-6)
    assert np.array_equal(found.spectrogram, expected.spectrogram)
    assert (found.duration_s, found.model) == (expected.duration_s, expected.model)
    assert seen and seen[-1][0] == pytest.approx(3.0, abs=0.1)
    assert not list(told.folder.glob("*/*.npy")), "nothing is left lying about"


def test_drums_come_back_with_the_notes_or_after_them(told, audio):
    found = cache.transcriber("light", "cpu")(audio, drums=True)
    assert found.drums.shape == (5, found.n_frames)
    later = cache.with_drums(replace(found, drums=None), audio)
    assert np.allclose(later.drums, found.drums, atol=1e-6)
    assert not list(told.folder.glob("*/*.npy")), "nothing is left lying about"


def test_cancelling_frees_it_for_the_next(told, audio):
    long = Audio(np.tile(audio.samples, 20), 22050, "long.wav")
    with pytest.raises(Cancelled):
        network.transcribe("light", "cpu", long, progress=lambda *_: False)
    assert network.transcribe("light", "cpu", audio).n_frames > 200


def test_without_it_a_page_runs_the_network_itself(helper, audio, monkeypatch, tmp_path):
    monkeypatch.setenv(network.ADDRESS, str(tmp_path / "nobody"))
    monkeypatch.setenv(network.KEY, "00")
    with pytest.raises(UnreachableError):
        network.transcribe("light", "cpu", audio)
    assert cache.transcriber("light", "cpu")(audio).n_frames > 200


def test_a_wrong_key_gets_nothing(told, audio, monkeypatch):
    monkeypatch.setenv(network.KEY, "00" * 32)
    with pytest.raises(Exception, match="digest|rejected"):
        network.transcribe("light", "cpu", audio)


def test_a_sequence_network_writes_its_notes_over_there(told, audio, tmp_path):
    pytest.importorskip("torch", reason="a sequence network needs torch (pip install 'amtsep[train]')")
    from tiny_sequence import write_tiny

    weights = str(write_tiny(tmp_path / "tiny.safetensors"))
    seen = []
    posteriors, notes = cache.writer(weights, "cpu")(audio, progress=lambda *p: seen.append(p))
    expected, written = network.local_writer(weights, "cpu")(audio)
    assert np.allclose(posteriors.onset, expected.onset, atol=1e-6) and posteriors.model == expected.model
    assert notes.equals(written, 1e-9)
    assert seen[-1][2] == "Writing notes"
    assert cache.key(audio, weights) != cache.key(audio, "light")
    assert not list(told.folder.glob("*/*.npy")), "nothing is left lying about"
