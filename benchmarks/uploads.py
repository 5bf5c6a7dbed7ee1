"""Do uploads arrive? Sizes over slowed links, many tries each, in the real page: ``python benchmarks/uploads.py``.

Each try sends a file through a proxy that passes on so many bytes a second, holds each piece up for a moment, and (with
``--breaks``) breaks every connection once on the way. The file is a recording of many hours, so the program has
something to say about it (that it is too long) exactly when all of it is there. Prints a row a size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT)]

from driving import App, Server, find_chromium  # noqa: E402
from links import Link  # noqa: E402

SIZES = {5: 1.0, 80: 10.0, 400: 40.0}
"""Megabytes of the file, and megabytes a second that the link carries."""


def recording(path: Path, megabytes: int) -> Path:
    """An 8-bit WAV of 100 samples a second."""
    size = megabytes * 1_000_000
    header = b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += b"\1\0\1\0" + (100).to_bytes(4, "little") * 2 + b"\1\0\x08\0data" + (size - 44).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return path


def attempt(page, name: str, path: Path, timeout_s: float) -> str:
    """Send one file; "arrived", "refused in words" or "vanished"."""
    page.set_input_files(".amt-file", str(path))
    try:
        page.wait_for_function(
            "() => document.querySelector('.amt-status.amt-error') && !document.querySelector('.amt-work .amt-bar')",
            timeout=1000 * timeout_s,
        )
    except Exception:
        return "vanished"
    text = page.locator(".amt-status.amt-error").inner_text()
    page.click(".amt-dismiss")
    page.wait_for_selector(".amt-status.amt-error", state="hidden")
    return "arrived" if name in text and "did not arrive" not in text else "refused in words"


def main() -> None:
    """Run all tries and print the table."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), choices=list(SIZES), metavar="MB")
    parser.add_argument("--breaks", action="store_true", help="break the connection once in each try")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder), "--max-upload", "500")
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            print("MB    MB/s  breaks  tries  arrived  refused in words  vanished  median s")
            for size in args.sizes:
                path = recording(Path(folder, f"big{size}.wav"), size)
                link = Link(int(server.url.rsplit(":", 1)[1].strip("/")), SIZES[size] * 1e6, 0.001)
                page = browser.new_page()
                page.set_default_timeout(120_000)
                App(page, Path(folder)).goto(f"http://127.0.0.1:{link.port}/")
                results, times = [], []
                for _ in range(args.tries):
                    if args.breaks:
                        at = 0.4 * size / SIZES[size]
                        threading.Timer(at, link.cut).start()
                        threading.Timer(at + 2.0, link.mend).start()
                    began = time.monotonic()
                    results.append(attempt(page, path.name, path, 120 + 8 * size / SIZES[size]))
                    times.append(time.monotonic() - began)
                counts = [results.count(kind) for kind in ("arrived", "refused in words", "vanished")]
                median = sorted(times)[len(times) // 2]
                row = f"{size:<5} {SIZES[size]:<5g} {'one' if args.breaks else 'none':<7} {args.tries:<6}"
                print(f"{row} {counts[0]:<8} {counts[1]:<17} {counts[2]:<9} {median:.1f}", flush=True)
                page.close()
                link.close()
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
