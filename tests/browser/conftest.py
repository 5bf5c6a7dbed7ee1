"""The real page in a real browser: Voilà serves the notebook, Chromium opens it.

The posteriors of the synthetic recordings wait in the cache, so that these tests ask nothing of the weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1] / "widgets")]

import synthetic  # noqa: E402
from driving import SECONDS, App, Server, find_chromium, fresh_page, keep  # noqa: E402

from amtsep.notes import Notes  # noqa: E402


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with recordings to upload, and a cache folder."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "cache").mkdir()
    notes = synthetic.melody(SECONDS)
    posteriors = synthetic.perfect(notes, SECONDS, timbres=True)
    (folder / "tune.wav").write_bytes(keep(notes, SECONDS, posteriors, folder / "cache"))
    other = synthetic.melody(8.0, seed=3)
    (folder / "other.wav").write_bytes(keep(other, 8.0, synthetic.perfect(other, 8.0), folder / "cache"))
    band = synthetic.melody(12.0, seed=5)
    heard = synthetic.perfect(band, 12.0, timbres=True, drums=True)
    (folder / "band.wav").write_bytes(keep(band, 12.0, heard, folder / "cache"))
    tone = Notes.build([0.1], [7.9], [69])
    (folder / "tone.wav").write_bytes(keep(tone, 8.0, synthetic.perfect(tone, 8.0), folder / "cache"))
    notes.to_midi(folder / "truth.mid")
    (folder / "letter.wav").write_bytes(b"These are words, not sound. " * 100)
    return folder


@pytest.fixture(scope="session")
def server(files):
    running = Server(files)
    yield running
    running.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What the server has said stands beside a failure."""
    report = yield
    running = item.funcargs.get("server")
    if report.failed and isinstance(running, Server):
        report.sections.append(("server", running.account()))
    return report


@pytest.fixture(scope="session")
def chromium():
    path = find_chromium()
    if path is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def app(chromium, server, files):
    """A fresh page."""
    with fresh_page(chromium, App, files, server.url) as made:
        yield made


@pytest.fixture
def opened(app):
    """A page with the tune open."""
    app.open("tune.wav")
    return app
