"""``python -m widgets``: serve the dashboard."""

from __future__ import annotations

import argparse
import sys

from amtsep.errors import AmtsepError
from widgets.serving.server import Serve, run


def parser(prog: str = "python -m widgets") -> argparse.ArgumentParser:
    """The command line; ``amtsep dashboard`` has the same."""
    p = argparse.ArgumentParser(prog=prog, description="Open the amtsep dashboard in a browser.")
    p.add_argument("file", nargs="?", help="a recording to open at once")
    p.add_argument("--model", metavar="NAME", help="network to begin with: a name, or a weights file (default: base)")
    p.add_argument("--port", type=int, default=Serve.port, help="first port to try (default: %(default)s)")
    p.add_argument("--host", default=Serve.host, help="address to listen on (default: %(default)s, this computer only)")
    p.add_argument("--token", help="ask visitors for this token; 'auto' makes one; needed for other addresses")
    p.add_argument("--max-upload", type=float, default=Serve.max_upload, metavar="MB", help="default: %(default)g")
    p.add_argument(
        "--idle-timeout",
        type=float,
        default=Serve.idle_timeout,
        metavar="S",
        help="keep the work of a page that has lost its connection for so many seconds (default: %(default)g)",
    )
    p.add_argument(
        "--preheat", type=int, default=Serve.preheat, metavar="N", help="pages kept ready (default: %(default)s)"
    )
    p.add_argument(
        "--sessions", type=int, default=Serve.sessions, metavar="N", help="pages open at once (default: %(default)s)"
    )
    browser = p.add_mutually_exclusive_group()
    browser.add_argument("--browser", dest="open_browser", action="store_true", default=None, help="open a browser")
    browser.add_argument("--no-browser", dest="open_browser", action="store_false", help="open no browser")
    return p


def main(argv: list[str] | None = None, prog: str = "python -m widgets") -> int:
    """Run the command line; returns the exit status."""
    args = parser(prog).parse_args(argv)
    try:
        return run(Serve(**vars(args)))
    except AmtsepError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
