"""What the tests and the benchmark drive the lessons with: a workshop's JupyterLab, and a hand that drags."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from driving import PATIENCE_MS, ROOT, App, free_port

TOKEN = "a-token-for-the-class"

PICTURES = """cell => [...cell.querySelectorAll('.js-plotly-plot')].map(plot => {
    const told = (_, v) => ArrayBuffer.isView(v) ? [...v] : v;
    const shapes = (plot.layout.shapes || []).map(s => [s.x0, s.x1, s.y0, s.y1]);
    return JSON.stringify([(plot.data || []).map(d => [d.x, d.y, d.z, d.marker]), shapes], told);
}).join()"""
"""All that the plotly pictures of a cell show, as one string."""

WATCH = (
    "([cell, limit]) => { const pictures = "
    + PICTURES
    + """; const before = pictures(cell); const plots = [...cell.querySelectorAll('.js-plotly-plot')]; let from = 0;
    const begin = () => { from = performance.now(); };
    addEventListener('pointermove', begin, { capture: true, once: true });
    return { done: new Promise(resolve => {
        const end = took => {
            for (const plot of plots) plot.removeListener('plotly_afterplot', look);
            removeEventListener('pointermove', begin, true);
            resolve(took);
        };
        const look = () => {
            if (!from || pictures(cell) === before) return;
            requestAnimationFrame(() => setTimeout(() => end(performance.now() - from), 0));
        };
        for (const plot of plots) plot.on('plotly_afterplot', look);
        setTimeout(() => end(null), limit);
    }) }; }"""
)
"""Begins to watch the pictures of a cell; the promise is the milliseconds from the next move of the pointer on, until
what has changed is on the screen; null where nothing has."""

CUT = """cell => [...cell.querySelectorAll('.widget-label')]
    .filter(label => label.offsetWidth && label.scrollWidth > label.clientWidth).map(label => label.innerText)"""
"""Labels of a cell that are not to be read to their end."""


@contextlib.contextmanager
def workshop(folder: Path, *arguments: str, short: bool = True):
    """``amtsep workshop``; gives the address that its pages begin with."""
    port = free_port()
    env = dict(os.environ, PYTHONPATH=str(ROOT), AMTSEP_LESSONS="short" if short else "")
    env["JUPYTERLAB_SETTINGS_DIR"] = env["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "settings")
    command = [sys.executable, "-m", "widgets.serving.workshop", "--no-browser", f"--port={port}", *arguments]
    with (folder / "workshop.log").open("wb") as log:
        running = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + PATIENCE_MS / 1000
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20).close()
                break
            if running.poll() is not None or time.monotonic() > end:
                raise RuntimeError((folder / "workshop.log").read_text(errors="replace")[-3000:])
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


class StillError(AssertionError):
    """A slider was moved, and no picture changed."""


class Lab(App):
    """What a student does with a notebook in JupyterLab."""

    def goto(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector(".jp-CodeCell .cm-content")
        # A cell run before the kernel is there would only bring a dialog.
        self.page.wait_for_selector("text=/Python 3.*Idle/")

    def cell(self, number: int):
        """The code cell of this number, from 0."""
        return self.page.locator(".jp-CodeCell").nth(number)

    def run_through(self, number: int):
        """Run a cell to its end; gives the cell."""
        cell = self.cell(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        done = "cell => /\\[\\d+\\]/.test(cell.querySelector('.jp-InputPrompt').innerText)"
        self.page.wait_for_function(done, arg=cell.element_handle())
        if cell.locator(".amtsep-piece").count():
            plots = "cell => [...cell.querySelectorAll('.js-plotly-plot')]"
            drawn = f"cell => ({plots})(cell).every(plot => plot.querySelector('.main-svg') && plot.data?.length)"
            self.page.wait_for_function(drawn, arg=cell.element_handle())
        return cell

    def run(self, number: int):
        """Run a cell, and wait for its pictures; gives the cell."""
        cell = self.run_through(number)
        cell.locator(".js-plotly-plot .main-svg").first.wait_for()
        return cell

    def drag(self, cell, label: str | None = None, steps: int = 1, number: int = 0, patience_ms: int = PATIENCE_MS):
        """Drag a slider of a cell (by its label, or by its number) away from where it is.

        Gives the milliseconds to each changed picture. A move that leaves the slider's value where it was is no step;
        where the picture stays as it is for `patience_ms`, the drag ends with a `StillError`.
        """
        found = cell.locator(".widget-slider")
        slider = (found.filter(has_text=label) if label else found).nth(number)
        handle, track = slider.locator(".noUi-handle"), slider.locator(".noUi-target")
        handle.scroll_into_view_if_needed()
        at, room = handle.bounding_box(), track.bounding_box()
        x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
        left, right = x - room["x"], room["x"] + room["width"] - x
        return self._pull(cell, handle, (x, y), 0.9 * (right if right > left else -left), steps, patience_ms)

    def drag_threshold(self, cell, name: str, steps: int = 1, patience_ms: int = PATIENCE_MS) -> list[float]:
        """The same of a threshold of the dashboard's own panel."""
        slider = cell.get_by_role("slider", name=name)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        low, at, high = (float(slider.get_attribute(f"aria-value{k}")) for k in ("min", "now", "max"))
        start = (box["x"] + box["width"] * (at - low) / (high - low), box["y"] + box["height"] / 2)
        return self._pull(
            cell, slider, start, 0.4 * box["width"] * (1 if 2 * at < low + high else -1), steps, patience_ms
        )

    def _pull(self, cell, handle, start: tuple[float, float], length: float, steps: int, patience_ms: int):
        """Press at a place, go so many pixels to the right in steps, and let go; milliseconds to each picture."""
        x, y = start
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        times = []
        said = ("aria-valuenow", "aria-valuetext")
        try:
            for step in range(1, steps + 1):
                # Both moments are taken in the page: what lies between them and this process is no part of it.
                watching = self.page.evaluate_handle(WATCH, [cell.element_handle(), patience_ms])
                before = [handle.get_attribute(name) for name in said]
                self.page.mouse.move(x + length * step / steps, y)
                if [handle.get_attribute(name) for name in said] == before:
                    continue
                took = watching.evaluate("watching => watching.done")
                if took is None:
                    raise StillError("A slider was moved, and no picture changed.")
                times.append(float(took))
        finally:
            self.page.mouse.up()
        return times
