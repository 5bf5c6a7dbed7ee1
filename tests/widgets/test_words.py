"""Every error that the app can show has a sentence in each language of the page."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from amtsep.audio import load_audio
from amtsep.errors import AudioError
from widgets.panels.source import Source

ROOT = Path(__file__).resolve().parents[2]
SPOKEN = [
    "amtsep/audio.py",
    "amtsep/decoders.py",
    "amtsep/isolation.py",
    "amtsep/formats/musicxml.py",
    *(f"widgets/state/{name}.py" for name in ("session", "session_file", "autosave", "network", "written")),
    *(f"widgets/panels/{name}.py" for name in ("source", "export", "compare", "score", "timbres", "roll")),
]
PROGRAMMERS = ("must be an array", "mode 'rb'", "torchaudio", "holds numbers that are none", "looks like")
"""What only a call from Python can meet stays in English."""
CLASSES = {"AudioError", "FormatError", "ModelError"}


def translations() -> dict[str, str]:
    text = (ROOT / "widgets/js/src/words/errors_zh.ts").read_text(encoding="utf-8")
    pairs = re.findall(r'^  ("(?:[^"\\]|\\.)*"): ("(?:[^"\\]|\\.)*"),$', text, re.MULTILINE)
    return {json.loads(key): json.loads(value) for key, value in pairs}


def templates(path: str) -> tuple[list[str], list[int]]:
    """The sentences that a module raises, and the lines of those that are put together where they are raised."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found, loose = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            if [getattr(t, "id", "") for t in node.targets] == ["sentence"]:
                found.append(node.value.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in CLASSES and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                found.append(first.value)
            elif isinstance(first, ast.JoinedStr):
                said = "".join(str(v.value) for v in first.values if isinstance(v, ast.Constant))
                if not any(word in said for word in PROGRAMMERS):
                    loose.append(node.lineno)
    return [re.sub(r":[^{}]*}", "}", text) for text in found], loose


@pytest.mark.parametrize("path", SPOKEN)
def test_each_sentence_has_a_translation_with_the_same_blanks(path):
    known = translations()
    found, loose = templates(path)
    assert not loose, f"{path}: give a template and its values, so that the page can translate it: lines {loose}"
    for text in found:
        if not any(word in text for word in PROGRAMMERS):
            assert text in known, f"errors_zh.ts lacks: {text}"
            assert set(re.findall(r"{\w+}", known[text])) == set(re.findall(r"{\w+}", text)), text


def test_nothing_is_translated_that_nobody_says():
    more = [
        "amtsep/posteriors.py",
        "amtsep/inference.py",
        *(f"amtsep/formats/{n}.py" for n in ("files", "midi", "json")),
    ]
    said = {text for path in [*SPOKEN, *more] for text in templates(path)[0]}
    assert set(translations()) <= said


THIRD = """import type { Language } from "../i18n";

export const eo: Language = {
  words: { language: "Esperanto", play: "Ludi" },
  errors: { "{name} holds no sound; give a recording ({kinds}).": "{name} enhavas neniun sonon." },
  sounds: [["Pianoj", "Granda piano|2|3|4|5|6|7|8"]],
};
"""
LOOK = """
const hub = { prefs: { language: "eo" }, tracks: [] };
const KEY = "{name} holds no sound; give a recording ({kinds}).";
console.log(JSON.stringify({
  languages: LANGUAGES, after: nextLanguage("zh"), named: wordIn("eo", "play"), english: wordIn("eo", "pause"),
  error: sentence(hub, { key: KEY, values: { name: "a.wav" }, text: "t" }),
  sound: sounds("eo")[0][1].split("|")[0],
}));
"""


def test_a_third_language_is_one_file_and_its_name(tmp_path):
    """Words, errors of the library and names of sounds; what it lacks is said in English."""
    js = ROOT / "widgets" / "js"
    esbuild = js / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        pytest.skip("esbuild is not installed: npm ci in widgets/js")
    shutil.copytree(js / "src", tmp_path / "src")
    (tmp_path / "src/words/eo.ts").write_text(THIRD)
    i18n = (tmp_path / "src/i18n.ts").read_text(encoding="utf-8")
    i18n = 'import { eo } from "./words/eo";\n' + i18n.replace("  zh: { words", "  eo,\n  zh: { words")
    (tmp_path / "src/i18n.ts").write_text(i18n, encoding="utf-8")
    names = "LANGUAGES, nextLanguage, sentence, sounds, wordIn"
    (tmp_path / "src/look.ts").write_text(f'import {{ {names} }} from "./i18n";\n{LOOK}', encoding="utf-8")
    command = [str(esbuild), "src/look.ts", "--bundle", "--format=esm", "--outfile=look.mjs", "--log-level=error"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = json.loads(subprocess.run(["node", "look.mjs"], cwd=tmp_path, check=True, capture_output=True).stdout)
    assert found == {
        "languages": ["en", "eo", "zh"],
        "after": {"code": "en", "name": "English"},
        "named": "Ludi",
        "english": "Pause",
        "error": "a.wav enhavas neniun sonon.",
        "sound": "Granda piano",
    }


def test_an_error_of_the_decoder_keeps_its_parts_across_processes():
    with pytest.raises(AudioError, match=r"letter \{1\}.wav is not a recording") as caught:
        load_audio(b"These are words, not sound. " * 50, name="letter {1}.wav")
    sentence, values = caught.value.parts()
    assert sentence in translations() and values["name"] == "letter {1}.wav"


def test_the_status_line_gets_key_values_and_text(session):
    source = Source(session)
    session.open(b"", name="nothing.wav")
    session.wait(60)
    assert source.status["key"] == "{name} is empty (0 bytes); record or export it again."
    assert source.status["values"] == {"name": "nothing.wav"}
    assert source.status["text"].startswith("nothing.wav is empty")
