"""Serve the page that transcribes in the browser, or collect its files: ``python web/serve.py [--help]``.

The page is static: any web server does, ``python -m http.server`` in the root of the checkout too. This one hands out
nothing but the page's own files, and isolates it (two headers), so that the network may use several threads.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = "web/"
FILES = (
    "models/base.onnx",
    "models/light.onnx",
    "amtsep/clustering/note_encoder.json",
    "amtsep/clustering/sounds.json",
    "amtsep/clustering/timbre_count.json",
    "widgets/static/amtsep.js",
    "widgets/static/amtsep.css",
    f"{PAGE}index.html",
    f"{PAGE}style.css",
    f"{PAGE}icon.svg",
    f"{PAGE}manifest.webmanifest",
    f"{PAGE}sw.js",
    f"{PAGE}src/*",
    f"{PAGE}vendor/*",
    "notebooks/demos/*.ogg",
)
"""All that the page is made of, relative to the root of the checkout."""
PORTS = range(8870, 8890)


def files() -> list[str]:
    """Paths of the page's files, relative to the root."""
    return sorted(p.relative_to(ROOT).as_posix() for pattern in FILES for p in ROOT.glob(pattern) if p.is_file())


def collect(folder: Path) -> None:
    """Copy the page with everything that it needs into a folder that a web server can hand out."""
    for name in files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    onward = f'<meta http-equiv="refresh" content="0; url={PAGE}">'
    (folder / "index.html").write_text(f'<!doctype html><meta charset="utf-8">{onward}<title>amtsep</title>\n')


TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".webmanifest": "application/manifest+json"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """The page's files and nothing else."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, **TYPES}

    def send_head(self):  # type: ignore[no-untyped-def]  # noqa: D102
        path = self.path.split("?")[0].lstrip("/")
        if path == "":
            self.send_response(302)
            self.send_header("Location", f"/{PAGE}")
            self.end_headers()
            return None
        if path != PAGE and path not in files():
            self.send_error(404)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nobody reads a line a file."""


def make_server() -> http.server.ThreadingHTTPServer:
    """A server on the first free port of this computer."""
    handler = functools.partial(Handler, directory=str(ROOT))
    for port in PORTS:
        try:
            return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            continue
    raise SystemExit(f"No port from {PORTS.start} to {PORTS.stop - 1} is free.")


def main() -> None:
    """Serve, or collect."""
    parser = argparse.ArgumentParser(description="The page that transcribes in the browser.")
    parser.add_argument("--collect", type=Path, metavar="DIR", help="copy its files into DIR instead, for a host")
    folder: Path | None = parser.parse_args().collect
    if folder is not None:
        collect(folder)
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        print(f"{folder}: {size / 1e6:.1f} MB; hand it out with any web server")
        return
    server = make_server()
    print(f"amtsep in the browser: http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
