"""Build the API reference from the docstrings, and check its links: ``make api``; then open build/api/index.html.

Nothing is fetched: the pages hold their own styles and search. Ends non-zero where a link leads nowhere.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urldefrag

from traitlets import TraitType

from amtsep.formats import _Way

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "build" / "api"
PACKAGES = ("amtsep", "widgets")
LEFT_OUT = re.compile(r"\.__main__$|^widgets\.lessons")
OUTSIDE = ("http://", "https://", "mailto:", "data:", "javascript:")


def broken_links(folder: Path) -> list[str]:
    """Links of the pages under a folder that lead to no page, or to no place in one."""
    pages = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}
    places = {path: set(re.findall(r'\bid="([^"]*)"', text)) for path, text in pages.items()}
    broken = []
    for path, text in pages.items():
        body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        for link in sorted(set(re.findall(r'\bhref="([^"]*)"', body))):
            if link.startswith(OUTSIDE):
                continue
            address, place = urldefrag(unescape(link))
            target = (path.parent / unquote(address)).resolve() if address else path
            if target not in pages and not target.is_file():
                broken.append(f"{path.relative_to(folder)}: {link} leads to no page")
            elif place and target in places and unescape(place) not in places[target]:
                broken.append(f"{path.relative_to(folder)}: {link} leads to no place there")
    return broken


def modules() -> list[str]:
    """Every module of the packages, imported: what one of them lacks is said before anything is written."""
    names = []
    for package in PACKAGES:
        where = [str(ROOT / package)]
        names += [package, *(m.name for m in pkgutil.walk_packages(where, f"{package}."))]
    names = [name for name in names if not LEFT_OUT.search(name)]
    for name in names:
        module = importlib.import_module(name)
        for kind in vars(module).values():
            if isinstance(kind, type):
                for own, trait in list(vars(kind).items()):
                    if isinstance(trait, TraitType):
                        trait.__doc__ = ""  # that of the library: ours stands under the line
                    elif isinstance(trait, _Way):
                        function = getattr(kind, own)
                        setattr(kind, own, function if trait.method else staticmethod(function))
        # What a package gives only when it is asked for, pdoc would not see.
        if "__getattr__" in vars(module):
            vars(module).update({public: getattr(module, public) for public in module.__all__})
    return names


def main() -> int:
    sys.path.insert(0, str(ROOT))
    try:
        import pdoc
        import pdoc.render
    except ModuleNotFoundError:
        print("pdoc is missing: pip install -r requirements/docs.txt (make api does it)", file=sys.stderr)
        return 1
    pdoc.render.configure(docformat="numpy", footer_text="amtsep", search=True, show_source=False)
    pdoc.pdoc(*modules(), output_directory=TARGET)
    wrong = broken_links(TARGET)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{TARGET / 'index.html'}: {sum(1 for _ in TARGET.rglob('*.html'))} pages, {len(wrong)} broken links")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
