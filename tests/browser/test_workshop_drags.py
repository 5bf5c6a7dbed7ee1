"""The lessons in a real JupyterLab: every one of them moves when something is dragged, and none asks the internet."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="The lessons need torch")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")

from driving import fresh_page, write_notebook  # noqa: E402
from labs import CUT, TOKEN, Lab, workshop  # noqa: E402

from widgets.lessons import build  # noqa: E402


def pieces() -> dict[str, str]:
    """The first piece of every lesson, as its notebook makes it; of the last one, whose first cells train, a later."""
    found = {}
    for name in build.lessons():
        code = build.code_cells((build.SOURCE / f"{name}.py").read_text(encoding="utf-8"))
        lines = code["begin"].splitlines()
        first = code["resistors"] if name.startswith("10") else "\n".join(lines[3:])
        found[name] = f"{lines[0]}\n{first}"
    return found


@pytest.mark.timeout(600)
def test_in_every_lesson_a_drag_changes_the_picture_and_nothing_is_asked_of_others(chromium, tmp_path):
    """One page and one kernel for the first pieces of all ten; whatever is not this computer is refused and counted."""
    lessons = pieces()
    with workshop(tmp_path, str(tmp_path / "mine"), "--token", TOKEN) as address:
        write_notebook(tmp_path / "mine" / "pieces.ipynb", *lessons.values())
        url = f"{address}/lab/tree/pieces.ipynb?token={TOKEN}"
        with fresh_page(chromium, Lab, tmp_path, url) as lab:
            for number, name in enumerate(lessons):
                cell = lab.run(number)
                if name.startswith("07"):  # its first piece is the dashboard's own panel
                    assert lab.drag_threshold(cell, "Onset threshold")
                else:
                    assert lab.drag(cell), name
                assert not cell.evaluate(CUT), "labels are read to their end"
            assert not lab.page.locator(".Toastify__toast").count(), "JupyterLab asks nothing either"
            assert not lab.page.locator("[data-mime-type*=stderr]").count()
            # anywidget says so of a model that took two seconds to begin: a figure of ours misses nothing by it.
            lab.problems[:] = [p for p in lab.problems if "Failed to initialize model" not in p]
