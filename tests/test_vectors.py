"""Shared vectors: the library and the page's TypeScript find the very same notes."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
VECTORS = json.loads((HERE / "vectors" / "decoding.json").read_text(encoding="utf-8"))

RUN = """
import { readFileSync } from "node:fs";
import { Decoder } from "BUNDLE";
const { rule, settings, cases } = JSON.parse(readFileSync("VECTORS", "utf-8"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const share = (text) => Float32Array.from(bytes(text), (b) => Math.fround(b / 255));
console.log(JSON.stringify(cases.map(({ onset, frame, spectrogram, frames, hop, duration }) => {
  const tables = { onset: share(onset), frame: share(frame), spectrogram: bytes(spectrogram) };
  const decoder = new Decoder({ ...tables, frames, bins: 306, perOctave: 36, hop, duration }, rule);
  return settings.map((values) => decoder.notes(values));
})));
"""


def check(expected: dict, found: dict) -> None:
    for name in ("pitch", "velocity"):
        assert found[name] == expected[name]
    # Sums are taken in other orders; the power of two of a height may differ in its last bit.
    for name, within in (("onset", 1e-12), ("offset", 1e-12), ("confidence", 2e-7)):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=within)


def test_the_vectors_are_what_the_library_decodes() -> None:
    spec = importlib.util.spec_from_file_location("vectors_make", HERE / "vectors" / "make.py")
    assert spec is not None and spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    made = json.loads(make.text())
    assert (made["rule"], made["settings"]) == (VECTORS["rule"], VECTORS["settings"]), "run tests/vectors/make.py"
    for case, now in zip(VECTORS["cases"], made["cases"], strict=True):
        for expected, found in zip(case["notes"], now["notes"], strict=True):
            check(expected, found)


def test_the_page_decodes_the_same_notes() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the page's decoder cannot be run")
    bundle = HERE.parent / "widgets" / "static" / "amtsep.js"
    script = RUN.replace("BUNDLE", bundle.as_uri()).replace("VECTORS", str(HERE / "vectors" / "decoding.json"))
    done = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    n_notes = 0
    for case, found_of_case in zip(VECTORS["cases"], json.loads(done.stdout), strict=True):
        for expected, found in zip(case["notes"], found_of_case, strict=True):
            check(expected, {name: [note[name] for note in found] for name in expected})
            n_notes += len(found)
    assert n_notes > 300
