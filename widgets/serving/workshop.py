"""``amtsep workshop``: JupyterLab on copies of the lessons, or the lessons as pages; by the dashboard's rules."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from amtsep.errors import AmtsepError
from widgets.places import NOTEBOOKS, SHARE
from widgets.serving.server import MESSAGE_BYTES, Serve, ServerError, address, check, environment, has_display, settings

WORKSHOP = NOTEBOOKS / "workshop"
LANGUAGES = ("en", "zh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``amtsep workshop``."""
    parser.add_argument(
        "folder",
        nargs="?",
        default="amtsep-workshop",
        help="where your copies of the lessons go; what is there stays as it is (%(default)s)",
    )
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the first page (%(default)s)")
    parser.add_argument("--pages", action="store_true", help="show the lessons as pages, without code, with Voilà")
    parser.add_argument("--html", action="store_true", help="run all lessons and write them as HTML into FOLDER")
    parser.add_argument("--port", type=int, default=8888, help="first port to try (%(default)s)")
    parser.add_argument("--host", default=Serve.host, help="address to listen on (this computer only)")
    parser.add_argument("--token", help="ask visitors for this token; 'auto' makes one; needed for other addresses")
    parser.add_argument(
        "--browser", action=argparse.BooleanOptionalAction, help="open a browser (if there is a display)"
    )


def run(args: argparse.Namespace) -> int:
    """Do what the options say; returns the exit status."""
    if args.html:
        return render(Path(args.folder), args.language)
    open_browser = has_display() if args.browser is None else args.browser
    serve = check(
        Serve(
            port=args.port, host=args.host, token=args.token, preheat=0, open_browser=open_browser, idle_timeout=7200.0
        )
    )
    if args.pages:
        return show_pages(serve, args.language)
    folder = copy_lessons(Path(args.folder))
    print(f"Your copies of the lessons: {folder}", flush=True)
    lab = subprocess.Popen(lab_command(serve, folder, args.language), env=lab_environment(serve))

    def end(*_: object) -> None:
        lab.terminate()

    # What ends this process ends JupyterLab and its kernels: nobody would find them again.
    signal.signal(signal.SIGTERM, end)
    while True:
        try:
            return max(lab.wait(), 0)
        except KeyboardInterrupt:
            # JupyterLab has been told too, and asks whether it is meant.
            continue


def copy_lessons(folder: Path) -> Path:
    """Copy what is not there yet, so that nobody's answers are lost; returns the folder's whole path.

    Raises
    ------
    ServerError
        Where the folder cannot be written.
    """
    if not WORKSHOP.is_dir():
        raise ServerError(f"This installation holds no lessons ({WORKSHOP} is missing); install amtsep again.")
    target = folder.expanduser().resolve()
    try:
        for path in sorted(WORKSHOP.rglob("*")):
            place = target / path.relative_to(WORKSHOP)
            if path.is_file() and "source" not in path.relative_to(WORKSHOP).parts and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
    except OSError as error:
        raise ServerError(f"{target} cannot be written ({error.strerror}); name another folder.") from None
    return target


def lab_environment(serve: Serve) -> dict[str, str]:
    """The dashboard's, and settings that keep JupyterLab from asking whether it may fetch news."""
    env = environment(serve)
    env["JUPYTER_CONFIG_PATH"] = os.pathsep.join([str(SHARE), *filter(None, [env.get("JUPYTER_CONFIG_PATH")])])
    return env


def lab_command(serve: Serve, folder: Path, language: str) -> list[str]:
    """The command that starts JupyterLab there; without a token only for this computer."""
    page = f"/lab/tree/{language}/index.ipynb"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.ip={serve.host}",
        f"--ServerApp.port={serve.port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.default_url={page}",
        f"--ServerApp.tornado_settings={{'websocket_max_message_size': {MESSAGE_BYTES}}}",
        "--ServerApp.kernel_websocket_connection_class=widgets.serving.prompt.PromptConnection",
        # Nothing may be asked of the internet: neither news nor a list of extensions.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if not serve.open_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    if serve.token:
        command.append(f"--IdentityProvider.token={serve.token}")
        print(f"amtsep workshop: {address(serve)}", flush=True)
    return command


def show_pages(serve: Serve, language: str) -> int:
    """Serve all lessons with Voilà until interrupted."""
    os.environ.update(environment(serve))
    try:
        from traitlets.config import Config
        from voila.app import Voila
    except ImportError as error:
        raise ServerError(f"The pages need {error.name}: install it with 'pip install amtsep[app]'.") from None
    config = settings(serve, "lesson")
    config["VoilaConfiguration"] |= {"preheat_kernel": False, "progressive_rendering": True}
    config["VoilaExecutor"] = {"timeout": 600}
    base, _, token = address(serve).partition("?")
    print(f"amtsep workshop: {base}voila/render/{language}/index.ipynb{'?' + token if token else ''}", flush=True)
    # From copies: the last lesson writes beside itself, and the installation may be read-only, or somebody's checkout.
    with tempfile.TemporaryDirectory(prefix="amtsep-lessons-") as made, contextlib.suppress(KeyboardInterrupt):
        Voila.launch_instance(argv=[str(for_looking(copy_lessons(Path(made))))], config=Config(config))
    return 0


def for_looking(folder: Path) -> Path:
    """Take out of copies what tells a reader to run cells: a page has none to be seen. Returns the folder."""
    for path in folder.glob("*/*.ipynb"):
        notebook = json.loads(path.read_text("utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                paragraphs = "".join(cell["source"]).split("\n\n")
                cell["source"] = "\n\n".join(p for p in paragraphs if "**Shift + Enter**" not in p)
        path.write_text(json.dumps(notebook, ensure_ascii=False), "utf-8")
    return folder


def render(folder: Path, language: str) -> int:
    """Run every lesson and write it, with its pictures and sounds, as HTML; returns the exit status.

    The pages stand alone, without the internet: what they share, plotly, lies beside them once.
    """
    import nbformat
    import plotly
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    from widgets.lessons.still import LIBRARY

    target = folder.expanduser().resolve()
    try:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", target / LIBRARY)
    except OSError as error:
        raise ServerError(f"{target} cannot be written ({error.strerror}); name another folder.") from None
    env = environment(Serve()) | {"AMTSEP_LESSONS_AS": "html"}
    for path in sorted((WORKSHOP / language).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as work:
            client = NotebookClient(
                notebook, timeout=900, store_widget_state=False, resources={"metadata": {"path": work}}
            )
            client.execute(env=env)
        text, _ = HTMLExporter(template_name="lab").from_notebook_node(notebook)
        (target / f"{path.stem}.html").write_text(alone(text), encoding="utf-8")
        print(target / f"{path.stem}.html", flush=True)
    return 0


def alone(page: str) -> str:
    """A page of nbconvert without what it would fetch from elsewhere, and with links to its fellows."""
    from widgets.lessons.still import LIBRARY

    # The other language's pages are in no folder beside these.
    page = re.sub(r'<a href="\.\./\w+/index\.ipynb"[^>]*>[^<]*</a>', "", page)
    page = re.sub(r'<script[^>]*src="https?://[^"]*"[^>]*>\s*</script>', "", page)
    page = re.sub(
        r'<script type="module">(?:(?!</script>).)*https?://(?:(?!</script>).)*mermaid.*?</script>',
        "",
        page,
        flags=re.DOTALL,
    )
    page = re.sub(r'href="(\d\d_\w+|index)\.ipynb"', r'href="\1.html"', page)
    return page.replace("<head>", f'<head><script src="{LIBRARY}"></script>', 1)


def main(argv: list[str] | None = None) -> int:
    """``python -m widgets.serving.workshop``."""
    parser = argparse.ArgumentParser(prog="amtsep workshop", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except AmtsepError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
