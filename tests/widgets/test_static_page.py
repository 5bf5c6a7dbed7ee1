"""The static page's session does with a recording what the dashboard's does, and each opens the other's files."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import synthetic

from amtsep.audio import from_samples
from widgets.state.session import Session
from widgets.state.session_file import PLAIN_VERSION, read_session, write_session

WEB = Path(__file__).resolve().parents[2] / "web"
SECONDS = 12.0
RUN = """
import { readFileSync, writeFileSync } from "node:fs";
const { Session } = await import("SRC/session.js");
const { readSession, writeSession } = await import("SRC/saved.js");
const json = (path) => JSON.parse(readFileSync(path, "utf-8"));
const [file, out, steps] = process.argv.slice(1);
const session = new Session(json("SRC/settings.json"), json("CLUSTERING/timbre_count.json"), null);
const kept = await readSession(new Uint8Array(readFileSync(file)));
session.open(kept.posteriors, session.read(kept.state), kept.sorted);
const table = () => session.notes.map((n) => [n.pitch, n.onset, n.offset, n.track, n.velocity]);
const tables = [table()];
for (const [what, ...values] of JSON.parse(steps)) {
  session[what](...values);
  tables.push(table());
}
const sound = { samples: new Float32Array(22050 * 12).fill(0.25), rate: 22050 };
const about = { name: "tune.wav", state: session.saved(), sorted: session.last.sorted, original: null };
writeFileSync(out, await writeSession({ ...about, posteriors: session.posteriors, sound }));
console.log(JSON.stringify({ tables, rows: session.rows(), content: session.content() }));
"""
READ = """
import { readFileSync } from "node:fs";
const { readSession } = await import("SRC/saved.js");
for (const file of process.argv.slice(1)) {
  const read = readSession(new Uint8Array(readFileSync(file)));
  console.log(await read.then(() => "read", () => "none"));
}
"""


def page(file: Path, out: Path, steps: list) -> dict:
    """What the page makes of a session file and of steps of work; it leaves a session file of its own."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the page's modules cannot be run")
    script = RUN.replace("SRC", (WEB / "src").as_posix())
    script = script.replace("CLUSTERING", (WEB.parent / "amtsep" / "clustering").as_posix())
    command = [node, "--input-type=module", "-e", script, str(file), str(out), json.dumps(steps)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_table(table: list, session: Session) -> None:
    notes = session.notes
    assert [[row[0], row[3]] for row in table] == np.stack([notes.pitch, notes.track], 1).tolist()
    # A file holds posteriors in 16 bits.
    for column, name, within in ((1, "onset", 1e-5), (2, "offset", 1e-5), (4, "velocity", 1)):
        np.testing.assert_allclose([row[column] for row in table], getattr(notes, name), rtol=0, atol=within)


@pytest.fixture
def session():
    notes = synthetic.melody(SECONDS)
    made = Session(model="light")
    posteriors = synthetic.perfect(notes, SECONDS, timbres=True)
    made.show(from_samples(synthetic.sound(notes, SECONDS), synthetic.RATE, name="tune.wav"), posteriors)
    yield made
    made.close()


def test_the_page_does_what_the_dashboard_does(session, tmp_path):
    saved = tmp_path / "tune.amtsep"
    session.set_timbres(2)
    session.set_track(0, name="Tune", program=73)
    session.delete(np.array([4]))
    saved.write_bytes(write_session(session.snapshot()))
    notes = session.notes
    tables = [session.notes]
    here = [int(notes.pitch[7]), float(notes.onset[7]), 0]
    there = int(1 - notes.track[7])
    steps = [
        ["edit", {"what": "assign", "at": [here], "track": there}],
        ["thresholds", {"onset_threshold": 0.55}, True],
        ["timbres", 3, True],
        ["merge", 2, 0],
        ["undo"],
        ["edit", {"what": "assign", "at": [here], "track": 5}],
        ["timbres", 0, True],
        ["timbres", -2, True],
        ["change", 1, {"name": "Bass", "program": 33, "color": 0}],
        ["dropEdits"],
    ]
    found = page(saved, tmp_path / "page.amtsep", steps)
    check_table(found["tables"][0], session)
    work = [
        lambda: session.assign(np.array([7]), there),
        lambda: session.set_decoding(onset_threshold=0.55),
        lambda: session.set_timbres(3),
        lambda: session.merge(2, 0),
        session.undo,
        lambda: session.assign(session.find([here]), 5),
        lambda: session.set_timbres(None),
        lambda: session.set_timbres(None, at_least=2),
        lambda: (session.set_track(1, name="Bass", program=33), session.recolour(1, 0)),
        session.drop_edits,
    ]
    for step, table, do in zip(steps, found["tables"][1:], work, strict=True):
        do()
        tables.append(session.notes)
        try:
            check_table(table, session)
        except AssertionError as error:
            raise AssertionError(f"after {step}") from error
    assert len({len(set(t.track.tolist())) for t in tables}) > 1, "the work has changed something"
    views = session.state.tracks
    rows = {row["index"]: row for row in found["rows"]}
    for i in set(session.notes.track.tolist()):
        assert (rows[i]["name"], rows[i]["program"], rows[i]["color"]) == (
            session.notes.tracks[i].name,
            views[i].program,
            views[i].color,
        )
    assert len(found["content"]["tracks"]) == len(rows)
    # The page's own file, opened by the dashboard.
    again = read_session(io.BytesIO((tmp_path / "page.amtsep").read_bytes()), "page.amtsep")
    with zipfile.ZipFile(tmp_path / "page.amtsep") as archive:
        assert json.loads(archive.read("session.json"))["amtsep_session"] == PLAIN_VERSION
    assert again.state.edits == session.state.edits and again.state.tracks[:2] == views[:2]
    assert np.allclose(again.audio.samples, 0.25, atol=1e-6) and len(again.audio.samples) == 12 * 22050
    assert again.posteriors is not None
    np.testing.assert_array_equal(again.posteriors.embedding, session.posteriors.embedding)
    np.testing.assert_allclose(again.posteriors.frame, session.posteriors.frame, atol=2e-5)


def test_a_damaged_session_is_none(session, tmp_path):
    good = write_session(session.snapshot())
    bad = (good[:-30], good[:2000], b"", b"PK" + bytes(500), good[:900] + bytes([good[900] ^ 255]) + good[901:])
    files = [tmp_path / f"{i}.amtsep" for i in range(1 + len(bad))]
    for file, content in zip(files, (good, *bad), strict=True):
        file.write_bytes(content)
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the page's modules cannot be run")
    command = [node, "--input-type=module", "-e", READ.replace("SRC", (WEB / "src").as_posix()), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["read", "none", "none", "none", "none", "none"], done.stderr
