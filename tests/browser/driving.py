"""What the browser tests (and the latency benchmark) drive the page with: a server, a Chromium, a person's hands."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "widgets"))

import synthetic  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20.0
PATIENCE_MS = 120_000
"""How long anything may take before a test gives it up: a busy machine is slow, and only a fault is never done."""


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome on this machine that runs (Ubuntu's chromium-browser may be a stub for snap)."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    bundled = sorted(map(str, cache.glob("chromium-*/chrome-linux*/chrome")))
    for path in filter(None, [os.environ.get("AMTSEP_CHROMIUM"), *map(shutil.which, names), *bundled]):
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def keep(notes, seconds, posteriors, folder: Path) -> bytes:
    """A recording whose posteriors are in the cache; returns the file."""
    from amtsep.audio import load_audio
    from widgets.state import cache
    from widgets.state.session import default_model

    data = synthetic.wav_bytes(synthetic.sound(notes, seconds))
    (folder / "posteriors").mkdir(parents=True, exist_ok=True)
    posteriors.save(folder / "posteriors" / f"{cache.key(load_audio(data, name='x.wav'), default_model())}.npz")
    return data


def free_port() -> int:
    """A port of this computer that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells."""
    listed = [
        {"cell_type": "code", "execution_count": None, "id": f"c{i}", "metadata": {}, "outputs": [], "source": source}
        for i, source in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": listed, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content))
    return path


@contextlib.contextmanager
def jupyterlab(notebook: Path, files: Path, *cells: str):
    """Write a notebook of code cells and serve its folder in JupyterLab; gives the notebook's address there."""
    write_notebook(notebook, *cells)
    port = free_port()
    env = dict(os.environ, AMTSEP_CACHE=str(files / "cache"), PYTHONPATH=str(ROOT))
    options = (
        f"--port={port}",
        "--ServerApp.token=",
        "--ServerApp.password=",
        f"--ServerApp.root_dir={notebook.parent}",
    )
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *options]
    running = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/lab/tree/{notebook.name}"
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(20)


@contextlib.contextmanager
def fresh_page(browser, kind, folder: Path, url: str, **options):
    """A page in a context of its own, as a `kind` (an `App`, or its like); it ends without an error or a visitor.

    `options` are Playwright's for a context, beside or in place of ours.
    """
    ours = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark", "locale": "en-GB"}
    context = browser.new_context(**{**ours, "accept_downloads": True, **options})
    made = kind(context.new_page(), folder)
    made.goto(url)
    yield made
    context.close()
    assert not made.problems, made.problems
    assert not made.outside, f"The page asked for {made.outside}"


class Server:
    """A dashboard as a person starts it: a command, which has the app in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        env = dict(os.environ, AMTSEP_CACHE=str(folder / "cache"), PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")
        env["PYTHONFAULTHANDLER"] = "1"
        self.log = folder / f"server-{time.monotonic_ns()}.log"
        port = [] if "--port" in arguments else ["--port", str(free_port())]
        command = [sys.executable, "-m", "amtsep", "dashboard", "--no-browser", *port, *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        end = time.monotonic() + PATIENCE_MS / 1000
        self.url = ""
        while not self.url:
            text = self.log.read_text(errors="replace")
            if "amtsep dashboard: " in text:
                self.url = text.split("amtsep dashboard: ")[1].split()[0]
            elif self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The dashboard did not start:\n{text[-3000:]}")
            else:
                time.sleep(0.1)

    def get(self, path: str) -> int:
        """HTTP status of a path under the address."""
        try:
            return urllib.request.urlopen(self.url.split("?")[0] + path, timeout=60).status
        except urllib.error.HTTPError as error:
            return error.code

    def account(self) -> str:
        """What it has said; if it no longer answers, it is ended, and where it stood is part of that."""
        try:
            urllib.request.urlopen(self.url.split("?")[0] + "voila/static/voila.js", timeout=20).close()
            state = "It answers."
        except urllib.error.HTTPError as error:
            state = f"It answers: {error.code}."
        except OSError as error:
            for app in psutil.Process(self.process.pid).children():
                app.send_signal(signal.SIGABRT)  # faulthandler writes down every thread
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            state = f"It does not answer ({error}), and ended with {self.process.poll()}."
        return f"{state}\n{self.log.read_text(errors='replace')[-4000:]}"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)


class App:
    """What a person does with the page."""

    def __init__(self, page, files: Path) -> None:
        self.page, self.files = page, files
        self.problems: list[str] = []
        self.outside: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda e: self.problems.append(str(e)))
        page.route("**/*", self._only_here)

    def _only_here(self, route) -> None:
        """The network cable is out: whatever is not this computer fails, and is remembered."""
        url = route.request.url
        if "://127.0.0.1" in url or "://localhost" in url or url.startswith(("data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def goto(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector(".amt-player .amt-play")

    def open(self, name: str) -> None:
        # The title comes before the sound: until then the player still holds the recording that was open before.
        self.page.evaluate(f"() => {{ globalThis.before = {self.HUB}.transport.recording; }}")
        self.page.set_input_files(".amt-file", str(self.files / name))
        self.page.wait_for_function("n => document.querySelector('.amt-title b')?.title === n", arg=name)
        self.page.wait_for_function(f"() => {self.HUB}.notes.n > 0")
        self.until("![null, globalThis.before].includes(hub.transport.recording)")

    HUB = "[...globalThis[Symbol.for('amtsep.hubs')].values()].at(-1)"

    def hub(self, expression: str):
        """Something of the browser's shared state."""
        return self.page.evaluate(f"() => {{ const hub = {self.HUB}; return {expression}; }}")

    def until(self, expression: str) -> None:
        """Wait for an expression over the shared state to hold."""
        self.page.wait_for_function(f"() => {{ const hub = {self.HUB}; return {expression}; }}")

    def fingers(self, *ways: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """Fingers on the roll, each from one place of it to another."""
        box = self.page.locator(".amt-canvas").bounding_box()
        touch = self.page.context.new_cdp_session(self.page)
        for step in range(6):
            there = [[a + step / 5 * (b - a) for a, b in zip(*way, strict=True)] for way in ways]
            places = [{"x": box["x"] + x, "y": box["y"] + y, "id": i} for i, (x, y) in enumerate(there)]
            kind = "touchMove" if step else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def looks(self, selector: str):
        """A control of the box over *View*, which is opened for it where it waits there."""
        if not self.page.locator(selector).is_visible():
            self.page.click(".amt-view-opener")
        return self.page.locator(selector)

    def slider(self, label: str):
        return self.page.get_by_role("slider", name=label)

    def pixels(self, layer: str) -> np.ndarray:
        """A layer of the roll as (height, width, 4)."""
        data, width, height = self.page.evaluate(
            """name => {
                const c = document.querySelector(`.amt-layer-${name}`);
                const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                let s = '';
                for (let i = 0; i < d.length; i += 8192) s += String.fromCharCode(...d.subarray(i, i + 8192));
                return [btoa(s), c.width, c.height];
            }""",
            layer,
        )
        import base64

        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)

    def download(self, selector: str) -> Path:
        with self.page.expect_download() as waiting:
            self.page.click(selector)
        path = self.files / "downloads" / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path
