"""`amtsep workshop`: copies that nobody overwrites, the dashboard's rules, and what Binder reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from amtsep.cli import build_parser, workshop_arguments
from widgets.places import NOTEBOOK, ROOT
from widgets.serving.server import Serve, ServerError
from widgets.serving.workshop import alone, copy_lessons, for_looking, lab_command, main


def test_copies_hold_the_lessons_and_keep_what_somebody_wrote(tmp_path: Path) -> None:
    folder = copy_lessons(tmp_path / "mine")
    assert len(list((folder / "en").glob("[01]*.ipynb"))) == len(list((folder / "zh").glob("[01]*.ipynb"))) == 10
    assert (folder / "guide.zh.md").is_file()
    assert not (folder / "source").exists()
    (folder / "en" / "01_listen.ipynb").write_text("my answers")
    (folder / "en" / "02_filters.ipynb").unlink()
    copy_lessons(tmp_path / "mine")
    assert (folder / "en" / "01_listen.ipynb").read_text() == "my answers"
    assert (folder / "en" / "02_filters.ipynb").is_file(), "what is missing comes back"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="file"):
        copy_lessons(tmp_path / "file")


def test_others_are_served_only_with_a_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path), "--host", "0.0.0.0"]) == 2
    assert "--token" in capsys.readouterr().err


def test_jupyterlab_is_told_to_ask_nothing_of_the_internet(tmp_path: Path) -> None:
    command = lab_command(Serve(token="secret", open_browser=False), tmp_path, "zh")
    assert "--IdentityProvider.token=secret" in command
    assert "--LabApp.news_url=None" in command
    assert "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate" in command
    assert "--ServerApp.default_url=/lab/tree/zh/index.ipynb" in command
    assert "--no-browser" in command


def test_jupyterlab_asks_nobody_whether_it_may_fetch_news() -> None:
    from widgets.places import SHARE
    from widgets.serving.workshop import lab_environment

    path = lab_environment(Serve())["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]
    assert Path(path) == SHARE
    settings = json.loads((SHARE / "labconfig" / "page_config.json").read_text())
    assert settings["disabledExtensions"]["@jupyterlab/apputils-extension:announcements"]


def test_jupyterlab_ends_with_the_command_that_started_it(tmp_path: Path) -> None:
    stand_in = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    program = (
        "import sys\nfrom widgets.serving import workshop\n"
        f"workshop.lab_command = lambda *_: [sys.executable, '-c', {stand_in!r}]\n"
        f"sys.exit(workshop.main([{str(tmp_path / 'mine')!r}, '--no-browser']))"
    )
    running = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert "copies" in running.stdout.readline()
    lab = psutil.Process(int(running.stdout.readline()))
    running.terminate()
    assert running.wait(60) == 0
    assert not lab.is_running() or lab.status() == psutil.STATUS_ZOMBIE


def test_rendered_pages_link_to_each_other_and_to_no_other_address() -> None:
    page = alone(
        '<html><head><script src="https://cdnjs.cloudflare.com/require.js"></script></head>'
        '<body><a href="01_listen.ipynb">1</a> <a href="../zh/index.ipynb" target="_self">zh</a></body></html>'
    )
    assert "https://" not in page
    assert 'href="01_listen.html"' in page
    assert "zh" not in page, "only one language is written"
    assert '<script src="plotly.min.js">' in page


def test_a_page_without_code_does_not_ask_to_run_any(tmp_path: Path) -> None:
    copies = copy_lessons(tmp_path / "mine")
    before = (copies / "zh" / "01_listen.ipynb").read_text("utf-8")
    after = (for_looking(copies) / "zh" / "01_listen.ipynb").read_text("utf-8")
    assert "Shift + Enter" in before and "Shift + Enter" not in after
    assert len(json.loads(before)["cells"]) == len(json.loads(after)["cells"])
    assert 0 < len(before) - len(after) < 2000, "and says all the rest"


def test_the_command_line_passes_its_choices_on() -> None:
    words = ["workshop", "here", "--language", "zh", "--pages", "--port", "9000", "--no-browser"]
    parser, _ = build_parser(words)
    assert workshop_arguments(parser.parse_args(words)) == [
        "here", "--language", "zh", "--port", "9000", "--pages", "--no-browser",
    ]  # fmt: skip


def test_binder_finds_environment_and_dashboard() -> None:
    """As far as that goes without Binder: repo2docker reads environment.yml at the root unless binder/ holds another,
    and ``urlpath=voila/render/notebooks/dashboard.ipynb`` is served by voila's server extension."""
    for name in ("binder", ".binder", "requirements.txt", "Dockerfile", "environment.yaml"):
        assert not (ROOT / name).exists(), f"{name} would be read instead of environment.yml"
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    names = [d.split(">")[0].split("=")[0] for d in environment["dependencies"] if isinstance(d, str)]
    assert {"python", "pip", "voila", "jupyterlab", "ipywidgets", "anywidget", "plotly"} <= set(names)
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert any(line.startswith("-e .") for line in pip)
    assert NOTEBOOK.relative_to(ROOT).as_posix() == "notebooks/dashboard.ipynb"
