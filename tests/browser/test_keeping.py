"""Nothing lost: what is there after a reload, a kernel or a server that dies, a connection that breaks."""

from __future__ import annotations

import os
import signal

import mido
import psutil
from driving import Server
from links import Link


def look(app, name):
    """A picture for whoever wants to see it: AMTSEP_SHOTS names a folder."""
    if os.environ.get("AMTSEP_SHOTS"):
        app.page.screenshot(path=f"{os.environ['AMTSEP_SHOTS']}/{name}.png")


def kernel_of(app) -> psutil.Process:
    """The process behind a page."""
    key = app.page.evaluate("() => JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    return next(p for p in psutil.process_iter(["cmdline"]) if any(key in a for a in p.info["cmdline"] or []))


def correct(app, count=2):
    """Delete the first notes, as a hand would."""
    n = app.hub("hub.notes.n")
    app.hub(f"hub.select([...Array({count}).keys()])")
    app.page.keyboard.press("Delete")
    app.until(f"hub.notes.n === {n - count}")
    return n - count


def kept(app):
    app.until("hub.keeper.pending === 0 && hub.keeper.kept.id")


def banner(app, kind):
    line = app.page.locator(f".amt-banner.amt-{kind}")
    line.wait_for()
    return line.inner_text()


def start_again(app, n):
    """Press the button of the banner; everything is there."""
    app.page.click(".amt-again")
    app.page.wait_for_function("() => document.querySelector('.amt-title b')?.textContent === 'tune.wav'")
    app.until(f"hub.notes.n === {n} && hub.transport.recording")


def test_after_a_reload_the_page_offers_to_go_on(opened):
    app = opened
    app.slider("Onset threshold").press("ArrowRight")
    n = correct(app)
    kept(app)
    app.page.once("dialog", lambda d: d.accept())
    app.page.reload()
    first = app.page.locator(".amt-recents .amt-recent").first
    first.wait_for()
    assert "tune.wav" in first.inner_text() and "2 corrections" in first.inner_text()
    look(app, "go-on")
    first.click()
    app.until(f"hub.notes.n === {n} && hub.transport.recording")
    assert app.page.locator(".amt-title b").inner_text() == "tune.wav"


def test_leaving_with_corrections_that_no_file_holds_warns(opened):
    app = opened
    asked = []
    app.page.on("dialog", lambda d: (asked.append(d.type), d.dismiss()))
    n = correct(app)
    app.page.close(run_before_unload=True)
    app.page.wait_for_timeout(1500)
    assert asked == ["beforeunload"]
    # Who stays still has a program that answers.
    app.page.keyboard.press("Control+z")
    app.until(f"hub.notes.n === {n + 2}")
    app.page.keyboard.press("Control+y")
    app.until(f"hub.notes.n === {n}")
    app.download(".amt-save")
    app.until("!hub.history.unsaved")
    app.page.close(run_before_unload=True)
    app.page.wait_for_event("close")
    assert asked == ["beforeunload"]


def test_a_kernel_that_dies_costs_nothing(opened):
    app = opened
    n = correct(app)
    kept(app)
    kernel_of(app).kill()
    assert "has stopped" in banner(app, "gone") and "still here" in banner(app, "gone")
    look(app, "gone")
    # Corrections go on in the page, and can be taken back.
    n = correct(app, 3)
    app.page.keyboard.press("Control+z")
    app.until(f"hub.notes.n === {n + 3}")
    n = correct(app, 1)
    path = app.download(".amt-rescue")
    assert path.name == "tune.mid"
    midi = mido.MidiFile(path)
    assert sum(m.type == "note_on" for t in midi.tracks for m in t) == n
    start_again(app, n)
    assert not app.page.locator(".amt-banner").is_visible()


def test_a_connection_that_breaks_and_comes_back(app, server):
    link = Link(int(server.url.split(":")[2].split("/")[0]))
    app.goto(f"http://127.0.0.1:{link.port}/")
    app.open("tune.wav")
    n = correct(app)
    link.cut()
    assert "connection" in banner(app, "lost")
    look(app, "lost")
    n = correct(app, 1)
    link.mend()
    app.page.locator(".amt-banner").wait_for(state="hidden")
    kept(app)
    assert app.hub("hub.notes.n") == n
    # The program has the correction too: a slider does not bring the note back.
    app.slider("Minimum length").press("ArrowRight")
    app.slider("Minimum length").press("ArrowLeft")
    app.page.wait_for_timeout(600)
    assert app.hub("hub.notes.n") == n
    link.close()


def test_a_server_that_is_killed_leaves_nothing_behind_and_can_be_started_again(app, files, tmp_path):
    (tmp_path / "cache").symlink_to(files / "cache")
    server = Server(tmp_path)
    app.goto(server.url)
    app.open("tune.wav")
    n = correct(app)
    kept(app)
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert children
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(10)
    assert "connection" in banner(app, "lost")
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, [p.cmdline() for p in alive]
    n = correct(app, 1)
    port = server.url.split(":")[2].split("/")[0]
    again = Server(tmp_path, "--port", port)
    try:
        assert again.url == server.url
        assert "has stopped" in banner(app, "gone")
        start_again(app, n)
    finally:
        again.stop()
