"""The browser's half of a lesson's figure, in Node: what Python says before there is a picture is not lost."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import widgets.lessons

SOURCE = Path(widgets.lessons.__file__).with_name("figure.js")

TALK = """
import fs from "fs";
const code = fs.readFileSync(process.argv[2], "utf8");
const { default: figure } = await import("data:text/javascript," + encodeURIComponent(code));
class Model {
  constructor(state) { this.state = { ...state }; this.calls = []; }
  get(name) { return this.state[name]; }
  set(name, value) {
    if (this.state[name] === value) return;
    this.state[name] = value;
    this.calls.filter(([on]) => on === `change:${name}`).forEach(([, call]) => call());
  }
  on(...call) { this.calls.push(call); }
  off(name, call) { this.calls = this.calls.filter((c) => c[1] !== call); }
}
globalThis.ResizeObserver = class { observe() {} };
const seen = [];
const plotly = { default: () => {
  let told;
  return { initialize({ model }) { told = model; }, render() {
    seen.push(["drawn", told.get("_widget_data")]);
    for (const name of ["restyle", "update"]) {
      told.on(`change:_py2js_${name}`, () => {
        const value = told.get(`_py2js_${name}`);
        if (value !== null) seen.push([name, value]);
      });
    }
    return () => {};
  } };
} };
let arrive;
globalThis[Symbol.for("amtsep.plotly")] = new Map([["7", new Promise((resolve) => { arrive = resolve; })]]);
const models = { line: new Model({}), library: new Model({ version: "7" }) };
const model = new Model({ _line: "line", _library: "library", _widget_data: [], _py2js_update: {} });
model.widget_manager = { get_model: async (name) => models[name] };
const say = (name, value) => { models.line.set(name, value); models.line.set(name, null); };

const one = figure();
one.initialize({ model });
await new Promise((resolve) => setTimeout(resolve, 1));
say("_py2js_update", "before the whole was told");
models.line.set("_widget_data", ["the whole"]);
say("_py2js_restyle", "while plotly was on its way");
const drawn = one.render({ model, el: { clientWidth: 1 } });
arrive(plotly);
await drawn;
say("_py2js_update", "at last");
console.log(JSON.stringify(seen));
"""


def test_what_is_said_while_plotly_is_on_its_way_is_drawn_when_it_has_come(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    (tmp_path / "talk.mjs").write_text(TALK, encoding="utf-8")
    run = subprocess.run([node, tmp_path / "talk.mjs", SOURCE], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [
        ["drawn", ["the whole"]],
        ["restyle", "while plotly was on its way"],
        ["update", "at last"],
    ]
