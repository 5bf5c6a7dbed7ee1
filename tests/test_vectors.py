"""Shared vectors: the library and the page's TypeScript find the same notes, correct them alike and write one MIDI."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "widgets" / "static" / "amtsep.js"
CLUSTERING, VECTORS, EDITS, MIDI, NOTATION = (
    json.loads((HERE / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("clustering", "decoding", "edits", "midi", "notation")
)

RUN = """
import { readFileSync } from "node:fs";
import { Decoder } from "BUNDLE";
const { rule, settings, cases } = JSON.parse(readFileSync("VECTORS", "utf-8"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const share = (text) => Float32Array.from(bytes(text), (b) => Math.fround(b / 255));
console.log(JSON.stringify(cases.map(({ onset, frame, offset, spectrogram, frames, hop, duration }) => {
  const tables = { onset: share(onset), frame: share(frame), offset: share(offset), spectrogram: bytes(spectrogram) };
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


RUN_EDITS = """
import { readFileSync } from "node:fs";
import { NONE, apply, edit } from "BUNDLE";
console.log(JSON.stringify(JSON.parse(readFileSync("VECTORS", "utf-8")).map(({ decoded, end, steps }) => {
  let edits = NONE;
  return steps.map(({ message }) => {
    edits = edit(edits, apply(decoded, edits), message, end);
    return apply(decoded, edits);
  });
})));
"""

RUN_FILES = """
import { readFileSync } from "node:fs";
import { csvFile, midiFile } from "BUNDLE";
const text = (bytes) => Buffer.from(bytes).toString("base64");
const cases = JSON.parse(readFileSync("VECTORS", "utf-8"));
console.log(JSON.stringify(cases.map(({ title, tracks, notes, strokes, bends }) => ({
  bytes: text(midiFile(notes, title, tracks, strokes)),
  bent: text(midiFile(notes, title, tracks, strokes, bends)),
  csv: csvFile(notes, tracks, strokes),
  bent_csv: csvFile(notes, tracks, strokes, bends),
}))));
"""


def run(script: str, name: str) -> list:
    """What the page's bundle makes of vectors."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the page's modules cannot be run")
    script = script.replace("BUNDLE", BUNDLE.as_uri()).replace("VECTORS", str(HERE / "vectors" / f"{name}.json"))
    done = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def made(name: str):
    spec = importlib.util.spec_from_file_location("vectors_make", HERE / "vectors" / "make.py")
    assert spec is not None and spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    return json.loads(make.text(name))


def test_the_vectors_are_what_the_library_decodes() -> None:
    now = made("decoding")
    assert (now["rule"], now["settings"]) == (VECTORS["rule"], VECTORS["settings"]), "run tests/vectors/make.py"
    for case, again in zip(VECTORS["cases"], now["cases"], strict=True):
        for expected, found in zip(case["notes"], again["notes"], strict=True):
            check(expected, found)


def test_the_page_decodes_the_same_notes() -> None:
    n_notes = 0
    for case, found_of_case in zip(VECTORS["cases"], run(RUN, "decoding"), strict=True):
        for expected, found in zip(case["notes"], found_of_case, strict=True):
            check(expected, {name: [note[name] for note in found] for name in expected})
            n_notes += len(found)
    assert n_notes > 300


def check_table(expected: list[dict], found: list[dict], step: object = "") -> None:
    whole = ("pitch", "velocity", "track", "hand")
    assert [[n[k] for k in whole] for n in found] == [[n[k] for k in whole] for n in expected], step
    for name in ("onset", "offset"):
        np.testing.assert_allclose([n[name] for n in found], [n[name] for n in expected], rtol=0, atol=1e-12)


def test_the_vectors_are_what_the_session_makes_of_corrections() -> None:
    assert made("edits") == EDITS, "run tests/vectors/make.py"
    kinds = [step["message"]["what"] for case in EDITS for step in case["steps"]]
    assert {"add", "change", "delete", "split", "join"} <= set(kinds)


def test_the_page_corrects_notes_in_the_same_way() -> None:
    for case, tables in zip(EDITS, run(RUN_EDITS, "edits"), strict=True):
        for step, table in zip(case["steps"], tables, strict=True):
            check_table(step["table"], table, step["message"])


def test_the_vectors_are_the_files_that_the_library_writes() -> None:
    assert made("midi") == MIDI, "run tests/vectors/make.py"


def test_the_page_writes_the_same_midi_and_csv() -> None:
    for case, found in zip(MIDI, run(RUN_FILES, "midi"), strict=True):
        for name, file in found.items():
            assert file == case[name], name


RUN_NOTATION = """
import { readFileSync } from "node:fs";
import { musicxmlFile } from "BUNDLE";
const { rule, cases } = JSON.parse(readFileSync("VECTORS", "utf-8"));
console.log(JSON.stringify(cases.map(({ title, tracks, notes, grid }) =>
  musicxmlFile(notes, title, tracks, grid, rule))));
"""


def test_the_vectors_are_the_notation_of_the_library() -> None:
    assert made("notation") == NOTATION, "run tests/vectors/make.py"
    files = "".join(case["file"] for case in NOTATION["cases"])
    for symbol in ("<tie ", "<tuplet ", "<grace ", "<chord/>", "<backup>", "<dot/>", "<beam ", 'implicit="yes"'):
        assert files.count(symbol) > 1, symbol
    keys = {int(key) for key in re.findall(r"<fifths>(-?\d+)<", files)}
    assert min(keys) < -3 and max(keys) > 3, "flats and sharps"


def test_the_page_writes_the_same_notation() -> None:
    for case, found in zip(NOTATION["cases"], run(RUN_NOTATION, "notation"), strict=True):
        assert found.splitlines() == case["file"].splitlines()


RUN_CLUSTERING = """
import { readFileSync } from "node:fs";
import { Decoder, Draw, NoteEncoder, cluster, estimateTimbres, group } from "BUNDLE";
const { rule, settings, count, draws, heard, cases } = JSON.parse(readFileSync("VECTORS", "utf-8"));
const draw = () => new Draw(rule.stream);
const sorted = (values) => values.sort((a, b) => a - b);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const share = (text) => Float32Array.from(bytes(text), (b) => Math.fround(b / 255));
const { decoding, frames, dim, hop, duration } = heard;
const tables = { onset: share(heard.onset), frame: share(heard.frame), spectrogram: bytes(heard.spectrogram) };
const embedding = new Int8Array(bytes(heard.embedding).buffer);
const posteriors = { ...tables, embedding, dim, frames, bins: 306, perOctave: 36, hop, duration };
const decoder = new Decoder(posteriors, decoding.rule);
const encoder = NoteEncoder.for(heard.encoder, heard.model, dim);
const notes = new Decoder(posteriors, decoding.rule, encoder).notes(decoding.settings);
const strangers = ["drawn", "drawn 0123456789ac", ""].map((model) => NoteEncoder.for(heard.encoder, model, dim));
strangers.push(NoteEncoder.for(heard.encoder, heard.model, dim + 1));
console.log(JSON.stringify({
  some: draws.some.map(([n, size]) => sorted(draw().some(n, size))),
  weighted: sorted(draw().weighted(Array.from({ length: 1000 }, (_, i) => ((i + 1) % 7) + 1), 60)),
  heard: decoder.notes(decoding.settings).map((note) => [...note.embedding]),
  pooled: notes.map((note) => [...note.pooled]),
  encoded: notes.map((note) => [...note.embedding]),
  strangers,
  cases: cases.map(({ notes, tracks, steps }) => {
    const table = notes.map(([onset, offset, pitch, velocity, confidence, ...embedding]) =>
      ({ onset, offset, pitch, velocity, confidence, embedding }));
    const others = table.filter((_, i) => i % 5);
    let [before, known] = [null, null];
    return {
      probability: estimateTimbres(table, settings, count, rule).probability,
      tracks: Object.fromEntries(Object.keys(tracks).map((k) =>
        [k, [...cluster(table, { ...settings, timbres: Number(k) }, rule)]])),
      steps: steps.map(({ state, thorough, table: which }) => {
        const own = [table, others][which];
        const { track, grouping } = group(own, state, before, known, thorough, count, rule);
        before = own.map((note, i) => ({ ...note, track: track[i] }));
        known = grouping;
        return { track: [...track], timbres: grouping.timbres, tracks: grouping.tracks };
      }),
    };
  }),
}));
"""


def test_the_vectors_are_what_the_library_clusters() -> None:
    now = made("clustering")
    for name in ("rule", "settings", "count", "draws"):
        assert now[name] == CLUSTERING[name], f"{name}: run tests/vectors/make.py"
    assert now["heard"]["encoder"] == CLUSTERING["heard"]["encoder"], "run tests/vectors/make.py"
    heard = {"heard": now["heard"]["expected"], "encoded": now["heard"]["encoded"]}
    check_clustering({**heard, "cases": now["cases"], **now["draws"]})


def check_clustering(found: dict) -> None:
    np.testing.assert_allclose(found["heard"], CLUSTERING["heard"]["expected"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["encoded"], CLUSTERING["heard"]["encoded"], rtol=0, atol=1e-5)
    for expected, case in zip(CLUSTERING["cases"], found["cases"], strict=True):
        np.testing.assert_allclose(case["probability"], expected["probability"], rtol=0, atol=1e-6)
        assert case["tracks"] == expected["tracks"]
        for number, (step, now) in enumerate(zip(expected["steps"], case["steps"], strict=True)):
            wanted = {name: step[name] for name in ("track", "timbres", "tracks")}
            assert {name: now[name] for name in wanted} == wanted, f"step {number}"


def test_the_page_clusters_as_the_library_does() -> None:
    found = run(RUN_CLUSTERING, "clustering")
    assert found["some"] == [chosen for _, _, chosen in CLUSTERING["draws"]["some"]]
    assert found["weighted"] == CLUSTERING["draws"]["weighted"]
    check_clustering(found)
    assert found["pooled"] == found["heard"], "the guesses of instruments go by what the network itself says"
    assert found["strangers"] == [None] * 4, "what another network says is left as it is"
    assert {step["tracks"] for case in CLUSTERING["cases"] for step in case["steps"]} >= {2, 3, 4}
