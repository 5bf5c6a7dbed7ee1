"""From a drag to the picture in the lessons: ``python benchmarks/lesson_drags.py`` opens each in a real JupyterLab.

Runs the cells of the lessons that are named (all), drags every slider of every piece over some steps, and prints the
median and the slowest time in milliseconds from the pointer's move to the changed picture. At the end stands the median
over all sliders of each lesson. What changes no picture of its cell (how long a training will be) and what cannot be
read to its end is told too. Asks for Chromium and Playwright, as the browser tests do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from driving import find_chromium, fresh_page  # noqa: E402
from labs import CUT, TOKEN, Lab, StillError, workshop  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from widgets.lessons import build  # noqa: E402

STILL_MS = 5000
"""A picture that has not changed by then does not depend on the slider."""


def drag(lab: Lab, cell, name: str, steps: int) -> list[float]:
    """Drag every slider of a cell, and say how long it took; gives all times."""
    every: list[float] = []

    def try_one(label: str, pull: Callable[[], list[float]]) -> None:
        try:
            times = pull()
        except StillError:
            print(f"{name:26s} {label:38s} changes no picture", flush=True)
            return
        every.extend(times)
        told = f"median {statistics.median(times):5.0f} ms, slowest {max(times):5.0f} ms" if times else "no step"
        print(f"{name:26s} {label:38s} {told}; load {os.getloadavg()[0]:.1f}", flush=True)

    sliders = cell.locator(".widget-slider")
    for number in range(sliders.count()):
        label = sliders.nth(number).locator(".widget-label").inner_text()
        try_one(label, lambda number=number: lab.drag(cell, steps=steps, number=number, patience_ms=STILL_MS))
    for threshold in ("Onset threshold", "起音阈值"):
        if cell.get_by_role("slider", name=threshold).locator("visible=true").count() and not sliders.count():
            try_one(threshold, lambda name=threshold: lab.drag_threshold(cell, name, steps, STILL_MS))
    return every


def main() -> None:
    """Open, drag, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", help="numbers, as 4 6 8 (all)")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--steps", type=int, default=12, help="of every drag (%(default)s)")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of every cell after the drags")
    args = parser.parse_args()
    names = [n for n in build.lessons() if not args.lessons or str(int(n[:2])) in args.lessons]
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made)
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        with workshop(folder, str(folder / "mine"), "--token", TOKEN) as address:
            for name in names:
                url = f"{address}/lab/workspaces/{name}/tree/{args.language}/{name}.ipynb?reset&token={TOKEN}"
                with fresh_page(browser, Lab, folder, url, color_scheme="light") as lab:
                    lab.page.set_viewport_size({"width": 1366, "height": 1000})
                    every: list[float] = []
                    code = [c.name for c in build.read(name, args.language)[1] if c.kind == "code"]
                    for number, cell_name in enumerate(code):
                        cell = lab.run_through(number)
                        # What trains is no drag's affair.
                        if cell_name not in ("live", "page"):
                            every += drag(lab, cell, f"{name} {cell_name}", args.steps)
                        if cut := cell.evaluate(CUT):
                            print(f"{name} {cell_name}: cut: {', '.join(cut)}", flush=True)
                        if args.pictures:
                            args.pictures.mkdir(parents=True, exist_ok=True)
                            lab.page.mouse.move(5, 400)
                            cell.screenshot(path=args.pictures / f"{name}.{args.language}.{number}.{cell_name}.png")
                    if every:
                        print(
                            f"{name}: median of {len(every)} steps {statistics.median(every):.0f} ms, "
                            f"slowest {max(every):.0f} ms",
                            flush=True,
                        )
                    # One bad page is no reason to leave the others unseen.
                    for problem in lab.problems:
                        print(f"{name}: {problem}", flush=True)
                    lab.problems.clear()
        browser.close()


if __name__ == "__main__":
    main()
