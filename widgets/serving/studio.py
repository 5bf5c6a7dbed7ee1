"""``amtsep studio``: the page of corpora, genres and generation, by the dashboard's rules, for this computer only."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from amtsep.errors import AmtsepError
from widgets.places import NOTEBOOKS
from widgets.serving.server import Serve, ServerError, run

NOTEBOOK = NOTEBOOKS / "studio.ipynb"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``amtsep studio``: no address for others, since its page reads and writes folders by name."""
    parser.add_argument("folder", nargs="?", default=".", help="that the page works in (%(default)s)")
    parser.add_argument("--language", choices=("en", "zh"), help="of the page (what the browser prefers)")
    parser.add_argument("--port", type=int, default=Serve.port, help="first port to try (%(default)s)")
    parser.add_argument(
        "--browser", action=argparse.BooleanOptionalAction, help="open a browser (if there is a display)"
    )


def main(argv: list[str] | None = None) -> int:
    """``python -m widgets.serving.studio``."""
    parser = argparse.ArgumentParser(prog="amtsep studio", description=__doc__)
    add_arguments(parser)
    args = parser.parse_args(argv)
    folder = Path(args.folder).expanduser()
    try:
        if not folder.is_dir():
            raise ServerError(f"{folder} is no folder; name the one to work in.")
        os.environ["AMTSEP_STUDIO"] = str(folder.resolve())
        os.environ["AMTSEP_LANGUAGE"] = args.language or ""
        # A page that is gone for a while may have a training behind it.
        serve = Serve(port=args.port, sessions=4, idle_timeout=7200.0, open_browser=args.browser)
        return run(serve, NOTEBOOK, "studio", "lesson")
    except AmtsepError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
