"""Seconds from a file to notes in tracks on the static page, in Chromium: ``python benchmarks/web_speed.py``.

The recording is a bundled clip, repeated to the length. What the page's own server says lets the network use threads;
``--plain`` measures what one thread takes. Says the browser's, and the page's own view of the time, a line a run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "web"), str(ROOT / "tests" / "browser")]

import serve  # noqa: E402
from driving import find_chromium  # noqa: E402

CLIP = ROOT / "notebooks" / "demos" / "Chorale_Bach_Aus_meines_Herzens_Grunde.ogg"
OPENED = """n => amtsepPage.model.get('about').name === n && !amtsepPage.model.get('progress')
    && document.querySelectorAll('.amt-tracks .amt-track').length"""


def recording(folder: Path, minutes: float) -> Path:
    """The clip, over and over."""
    samples, rate = soundfile.read(CLIP, dtype="float32", always_2d=True)
    wanted = int(60 * minutes * rate)
    path = folder / f"{minutes:g} minutes.flac"
    soundfile.write(path, np.tile(samples, (-(-wanted // len(samples)), 1))[:wanted], rate)
    return path


def main() -> None:
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", choices=["base", "light"], default="base")
    parser.add_argument("--plain", action="store_true", help="without isolation: one thread")
    args = parser.parse_args()
    if args.plain:
        serve.Handler.end_headers = serve.http.server.SimpleHTTPRequestHandler.end_headers
    server = serve.make_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p:
        path = recording(Path(folder), args.minutes)
        browser = p.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        for run in range(args.runs):
            page = browser.new_context(locale="en-GB", service_workers="block").new_page()
            page.set_default_timeout(600_000)
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.wait_for_selector(".amt-welcome .amt-demo")
            if args.model != "base":
                page.evaluate("m => amtsepPage.do_model({ value: m })", args.model)
            start = time.perf_counter()
            page.set_input_files(".amt-file", str(path))
            page.wait_for_function(OPENED, arg=path.name)
            seconds = time.perf_counter() - start
            isolated, cores = page.evaluate("() => [crossOriginIsolated, navigator.hardwareConcurrency]")
            notes, tracks = page.evaluate("() => [amtsepPage.notes.length, amtsepPage.session.rows().length]")
            threads = min(4, cores) if isolated else 1
            what = f"{args.model}, {args.minutes:g} min, {threads} threads, {cores} cores"
            print(f"run {run + 1}: {seconds:.1f} s ({what}; {notes} notes in {tracks} tracks)", flush=True)
            page.context.close()
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main()
