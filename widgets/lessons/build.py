"""The workshop's notebooks out of their sources: ``python -m widgets.lessons.build``.

A lesson has three sources in ``notebooks/workshop/source``: ``NN.py`` with its code cells, each under a line
``# %% name``, and its words in ``NN.en.md`` and ``NN.zh.md``. A line ``[[name]]`` there stands for the cell, a line
``[[hint]]`` or ``[[solution name]]`` folds what follows up to ``[[end]]`` away; a solution shows the code of its cell
(``# %% solution name``), which is in no notebook as a cell. So both languages have the same code, and a test has it
that they have the same cells.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from widgets.lessons.text import LANGUAGES
from widgets.places import NOTEBOOKS

WORKSHOP = NOTEBOOKS / "workshop"
SOURCE = WORKSHOP / "source"
FOLDED = {"hint": {"en": "Hint", "zh": "提示"}, "solution": {"en": "Solution", "zh": "答案"}}
PLACE = re.compile(r"\[\[(\w+)(?: (\w+))?\]\]")


@dataclass(frozen=True)
class Cell:
    """One cell: `kind` is markdown or code, `name` that of the code cell or the number of the text."""

    kind: str
    name: str
    source: str


class SourceError(ValueError):
    """A source that cannot be built; the sentence names file and place."""


def code_cells(text: str) -> dict[str, str]:
    """Name to code, in the order of the file."""
    parts = re.split(r"^# %% (.+)$", text, flags=re.MULTILINE)
    return {name.strip(): code.strip() for name, code in zip(parts[1::2], parts[2::2])}


def cells(words: str, code: dict[str, str], language: str, file: str = "") -> list[Cell]:
    """The cells of a lesson in one language."""
    found: list[Cell] = []
    prose: list[str] = []
    folded = False

    def close() -> None:
        text = "\n".join(prose).strip()
        if text:
            found.append(Cell("markdown", f"text{len(found)}", text))
        prose.clear()

    for line in words.splitlines():
        place = PLACE.fullmatch(line.strip())
        if place is None:
            prose.append(line)
            continue
        what, name = place[1], place[2]
        if what in FOLDED:
            prose.append(f"<details><summary>{FOLDED[what][language]}</summary>\n")
            folded = True
            if what == "solution":
                key = f"solution {name}"
                if key not in code:
                    raise SourceError(f"{file}: there is no code for [[{key}]].")
                prose += ["```python", code[key], "```", ""]
        elif what == "end":
            if not folded:
                raise SourceError(f"{file}: [[end]] without a [[hint]] or [[solution]].")
            prose += ["", "</details>"]
            folded = False
        elif what in code:
            close()
            found.append(Cell("code", what, code[what].replace("LANGUAGE", repr(language))))
        else:
            raise SourceError(f"{file}: there is no code for [[{what}]].")
    if folded:
        raise SourceError(f"{file}: a [[hint]] or [[solution]] without its [[end]].")
    close()
    return found


def notebook(made: list[Cell], title: str, language: str) -> dict[str, Any]:
    """Cells to a notebook without outputs."""
    rows: list[dict[str, Any]] = []
    for number, cell in enumerate(made):
        entry: dict[str, Any] = {
            "cell_type": cell.kind,
            "id": f"{number:02d}-{re.sub('[^a-zA-Z0-9]', '-', cell.name)}",
            "metadata": {},
            "source": cell.source.splitlines(keepends=True),
        }
        if cell.kind == "code":
            entry |= {"execution_count": None, "outputs": []}
        rows.append(entry)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}, "title": title, "language": language}
    return {"cells": rows, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def lessons(source: Path = SOURCE) -> list[str]:
    """Names of the lessons: 01_listen and so on."""
    return sorted(path.stem for path in source.glob("[0-9][0-9]_*.py"))


def title(words: str) -> str:
    """The first heading."""
    found = re.search(r"^# (.+)$", words, re.MULTILINE)
    return found[1].strip() if found else ""


def summary(words: str) -> str:
    """The first paragraph after the heading: what the index says of a lesson."""
    paragraphs = [p.strip() for p in words.split("\n\n") if p.strip()]
    return re.sub(r"\s+", " ", paragraphs[1]) if len(paragraphs) > 1 else ""


def read(name: str, language: str, source: Path = SOURCE) -> tuple[str, list[Cell]]:
    """Title and cells of a lesson."""
    file = source / f"{name}.{language}.md"
    words = file.read_text(encoding="utf-8")
    code = code_cells((source / f"{name}.py").read_text(encoding="utf-8"))
    return title(words), cells(words, code, language, file.name)


def index(language: str, source: Path = SOURCE) -> str:
    """The index page: the words of ``index.LANGUAGE.md`` with the list of lessons in place of ``[[lessons]]``."""
    rows = []
    for name in lessons(source):
        words = (source / f"{name}.{language}.md").read_text(encoding="utf-8")
        rows.append(f"- **[{title(words)}]({name}.ipynb)**. {summary(words)}")
    words = (source / f"index.{language}.md").read_text(encoding="utf-8")
    return words.replace("[[lessons]]", "\n".join(rows))


def built(source: Path = SOURCE) -> dict[str, str]:
    """Every notebook as text, by its path under ``notebooks/workshop``."""
    made: dict[str, str] = {}
    for language in LANGUAGES:
        for name in lessons(source):
            head, content = read(name, language, source)
            made[f"{language}/{name}.ipynb"] = _text(notebook(content, head, language))
        page = index(language, source)
        made[f"{language}/index.ipynb"] = _text(notebook([Cell("markdown", "index", page)], title(page), language))
    return made


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write the notebooks; with ``--check``, only say whether they are up to date."""
    parser = argparse.ArgumentParser(description="Build the workshop's notebooks from their sources.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a notebook is out of date")
    args = parser.parse_args(argv)
    status = 0
    for name, text in built().items():
        path = WORKSHOP / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        status = 1
        print(f"{'out of date' if args.check else 'written'}: {path.relative_to(WORKSHOP)}")
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return status if args.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
