"""From a drag to the picture in the lessons: ``python benchmarks/lesson_drags.py`` opens each in a real JupyterLab.

Runs the first three cells of the lessons that are named (all), drags the first slider of every piece over twelve steps,
and prints the median and the slowest time in milliseconds from the pointer's move to changed data in the picture. Asks
for Chromium and Playwright, as the browser tests do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from driving import find_chromium, fresh_page  # noqa: E402
from labs import TOKEN, Lab, workshop  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from widgets.lessons import build  # noqa: E402

STEPS = 12


def main() -> None:
    """Open, drag, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", help="numbers, as 4 6 8 (all)")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of every lesson after the drags")
    args = parser.parse_args()
    names = [n for n in build.lessons() if not args.lessons or str(int(n[:2])) in args.lessons]
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made)
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        with workshop(folder, str(folder / "mine"), "--token", TOKEN) as address:
            for name in names:
                url = f"{address}/lab/workspaces/{name}/tree/{args.language}/{name}.ipynb?reset&token={TOKEN}"
                with fresh_page(browser, Lab, folder, url) as lab:
                    lab.page.set_viewport_size({"width": 1360, "height": 1000})
                    code = [c.name for c in build.read(name, args.language)[1] if c.kind == "code"]
                    for number, cell_name in enumerate(code):
                        if cell_name.startswith("answer") or cell_name in ("export", "page"):
                            break
                        lab.run_through(number)
                        cell = lab.cell(number)
                        if not cell.locator(".widget-slider").count() or cell_name in ("live", "make"):
                            continue
                        times = lab.drag(cell, steps=STEPS)
                        print(
                            f"{name:14s} {cell_name:10s} median {statistics.median(times):6.0f} ms, "
                            f"slowest {max(times):6.0f} ms; load {os.getloadavg()[0]:.1f}",
                            flush=True,
                        )
                    if args.pictures:
                        args.pictures.mkdir(parents=True, exist_ok=True)
                        lab.page.set_viewport_size({"width": 1360, "height": 6000})
                        lab.page.wait_for_timeout(2000)
                        lab.page.screenshot(path=args.pictures / f"{name}.{args.language}.png")
        browser.close()


if __name__ == "__main__":
    main()
