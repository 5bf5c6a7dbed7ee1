"""The committed bundle is what its source builds to, and says the same in every language."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

WIDGETS = Path(__file__).resolve().parents[2] / "widgets"
JS = WIDGETS / "js"


@pytest.fixture(scope="session")
def npm() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the bundle cannot be rebuilt")
    if not (JS / "node_modules" / "esbuild").is_dir():
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=JS, capture_output=True, timeout=240)
        if done.returncode:
            pytest.skip("npm ci failed (no network?): the bundle cannot be rebuilt")
    return node


def test_bundle_matches_its_source(npm, tmp_path):
    subprocess.run([npm, "build.mjs", "--out", str(tmp_path)], cwd=JS, check=True, timeout=120)
    for name in ("amtsep.js", "amtsep.css"):
        built, committed = (tmp_path / name).read_text(), (WIDGETS / "static" / name).read_text()
        assert built == committed, f"widgets/static/{name} is stale: run 'npm ci && npm run build' in widgets/js"


def test_types_hold(npm):
    done = subprocess.run(
        [npm, "node_modules/typescript/bin/tsc", "-p", "."], cwd=JS, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout


def test_nothing_is_fetched_from_elsewhere():
    for path in [*(p for p in (WIDGETS / "static").iterdir() if p.suffix != ".gz"), *(WIDGETS / "share").rglob("*.j2")]:
        text = path.read_text()
        # Names of formats, which nobody fetches: SVG's, and the document type of MusicXML.
        names = ("http://www.w3.org", "http://www.musicxml.org")
        found = [u for u in re.findall(r"https?://[\w.-]+", text) if not u.startswith(names)]
        assert not found, f"{path.name} names {found}"


def words(language: str) -> dict[str, str]:
    text = (JS / "src" / "words" / f"{language}.ts").read_text()
    return dict(re.findall(r'^  (\w+):\s*"((?:[^"\\]|\\.)*)",$', text, re.M))


def test_both_languages_have_every_sentence_with_the_same_blanks():
    en, zh = words("en"), words("zh")
    assert len(en) > 40 and en.keys() == zh.keys()
    for key in en:
        assert set(re.findall(r"\{\w+\}", en[key])) == set(re.findall(r"\{\w+\}", zh[key])), key


def test_every_status_of_the_python_half_has_words():
    keys = set()
    for path in WIDGETS.rglob("*.py"):
        keys |= set(re.findall(r'Status\("\w+", "(\w+)"', path.read_text()))
    assert keys and keys <= words("en").keys()
