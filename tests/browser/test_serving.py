"""The page behind a token, after a reload, and as a cell of a notebook in JupyterLab."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from driving import App, Server, jupyterlab


def test_a_token_is_asked_for_and_opens_the_page(chromium, files):
    server = Server(files, "--token", "auto", "--preheat", "0")
    try:
        bare, token = server.url.split("?token=")
        assert len(token) > 20
        answer = urllib.request.urlopen(bare, timeout=60)
        assert "login" in answer.url, "without the token one is sent to the login page"
        context = chromium.new_context()
        app = App(context.new_page(), files)
        app.goto(server.url)
        assert app.page.locator(".amt-card").is_visible()
        assert not app.outside
        context.close()
    finally:
        server.stop()


def test_a_recording_given_at_the_start_is_open_already(chromium, files):
    server = Server(files, str(files / "tune.wav"), "--preheat", "0")
    try:
        context = chromium.new_context()
        app = App(context.new_page(), files)
        app.goto(server.url)
        app.page.wait_for_selector(".amt-title b")
        assert app.page.locator(".amt-title b").inner_text() == "tune.wav"
        context.close()
    finally:
        server.stop()


def test_after_a_reload_the_page_works_again(opened, server):
    opened.page.reload()
    opened.page.wait_for_selector(".amt-player .amt-play")
    opened.open("tune.wav")
    assert opened.hub("hub.notes.n") > 0


def test_in_jupyterlab_the_dashboard_is_a_cell(chromium, files, tmp_path):
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    sources = (
        f"from widgets import Dashboard\nDashboard({str(files / 'tune.wav')!r})",
        "from amtsep import Notes\nfrom widgets import Roll\n"
        "notes = Notes.build([0, 1], [0.9, 3], [60, 64])\nRoll(notes)",
        "from widgets import Player\nPlayer(notes)",
    )
    with jupyterlab(tmp_path / "app.ipynb", files, *sources) as address:
        context = chromium.new_context(viewport={"width": 1500, "height": 1000})
        app = App(context.new_page(), files)
        page = app.page
        page.goto(address)
        page.wait_for_selector(".jp-CodeCell .cm-content")
        # A cell run before the kernel is there would only bring a dialog.
        page.wait_for_selector("text=/Python 3.*Idle/")
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_selector(".amtsep-app .amt-title b")
        app.until("hub.notes.n > 0")
        assert page.locator(".amtsep-app .amt-title b").inner_text() == "tune.wav"
        box = page.locator(".amtsep-app").bounding_box()
        assert box["height"] == pytest.approx(720, abs=4), "a cell's output, not the whole page"
        n = app.hub("hub.notes.n")
        app.slider("Minimum length").press("End")
        app.until(f"hub.notes.n !== {n}")
        page.screenshot(path=files / "lab.png")
        # Parts alone, each around notes that were given to it.
        page.locator(".jp-CodeCell .cm-content").nth(1).click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_function("() => document.querySelectorAll('.amt-canvas').length === 2")
        app.until("hub.notes.n === 2 && hub.actions.roll().window.t1 >= 3")
        page.wait_for_timeout(500)
        layer = page.locator(".amt-canvas").nth(1).locator(".amt-layer-notes")
        painted = "c => c.getContext('2d').getImageData(60, 30, c.width - 60, c.height - 80).data.some(v => v > 0)"
        assert layer.evaluate(painted)
        page.locator(".jp-CodeCell .cm-content").nth(2).click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_function("() => document.querySelectorAll('.amt-play').length === 2")
        app.until("hub.notes.n === 2 && !hub.actions.roll")
        page.locator(".amt-play").nth(1).click()
        app.until("hub.transport.playing && hub.transport.position > 0.2")
        app.until("hub.transport.level() > 0.001")
        context.close()
