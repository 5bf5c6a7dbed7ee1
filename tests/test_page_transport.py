"""The page's transport and keys in Node.js on a made-up sound card: loops add no voices, a key is one session's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

BUNDLE = Path(__file__).resolve().parents[1] / "widgets" / "static" / "amtsep.js"
CARD = """
globalThis.window = globalThis;
const listeners = {};
globalThis.document = {
  hidden: false, body: {}, querySelector: () => null, removeEventListener() {},
  addEventListener: (name, call) => (listeners[name] ??= []).push(call),
};
globalThis.localStorage = { getItem: () => null, setItem() {} };
globalThis.HTMLLabelElement = class {};
const param = () => new Proxy({ value: 0 }, { get: (own, name) => (name === "value" ? own.value : () => undefined) });
class Node {
  constructor() {
    for (const n of ["gain", "pan", "threshold", "ratio", "attack", "release", "frequency"]) this[n] = param();
  }
  connect(other) { return other; }
  disconnect() {} start() {} stop() {}
}
let card;
globalThis.GainNode = Node;
globalThis.AudioContext = class {
  constructor() {
    Object.assign(this, { currentTime: 0, state: "running", outputLatency: 0 });
    for (const n of ["Gain", "Analyser", "DynamicsCompressor", "StereoPanner", "Oscillator"]) {
      this[`create${n}`] = () => new Node();
    }
    card = this;
  }
  resume() {} close() {}
};
let tick = null;
globalThis.setInterval = (call) => { tick = call; return 1; };
globalThis.clearInterval = () => { tick = null; };
const { Hub, pack, shortcuts, unpack } = await import("BUNDLE");
"""
LOOP = """
const hub = new Hub("one");
hub.duration = 60;
const voices = [];
hub.transport.setSoundfont({ name: "x", instrument: (_context, _out, { when, duration }) => {
  const stop = (at) => { voice.to = Math.min(voice.to, at); };
  const voice = { from: when, to: when + duration, stop, release: stop };
  voices.push(voice);
  return voice;
} });
hub.setTracks([{ name: "a", program: 48, color: 0 }]);
hub.setNotes(unpack(pack([{ onset: 2, offset: 30, pitch: 60, velocity: 90 }])));
const { transport } = hub;
transport.setLoop({ from: 5, to: 7, on: true });
transport.seek(5);
await transport.play();
let most = 0;
for (let s = 0; s < 16; s += 0.03) {
  card.currentTime = s;
  tick?.();
  most = Math.max(most, voices.filter((v) => v.from <= s && v.to > s).length);
}
// The ruler takes the loop away and moves it while it plays.
transport.seek(5);
for (let s = 16; s < 20; s += 0.03) {
  card.currentTime = s;
  if (s > 17) Object.assign(transport.loop, { to: 7 + (s - 17), on: false });
  tick?.();
}
console.log(JSON.stringify({ most, playing: transport.playing, position: transport.position }));
"""
KEYS = """
const did = [];
for (const id of ["a", "b"]) {
  const hub = new Hub(id);
  shortcuts(hub);
  hub.actions.keys = () => ({ Delete: () => did.push(`${id} deletes`), "Mod+z": () => did.push(`${id} undoes`) });
  hub.transport.toggle = () => did.push(`${id} plays`);
}
const host = { dataset: { session: "a" } };
const target = { closest: (which) => (which === ".amt-host" ? host : {}), matches: () => false };
for (const e of [{ key: "Delete" }, { key: "z", ctrlKey: true }, { key: " " }, { key: " ", repeat: true }]) {
  for (const call of listeners.keydown) call({ target, preventDefault() {}, stopPropagation() {}, ...e });
}
console.log(JSON.stringify(did));
"""


def run(script: str):
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the page's modules cannot be run")
    script = CARD.replace("BUNDLE", BUNDLE.as_uri()) + script
    done = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_held_note_sounds_once_in_a_loop_and_a_loop_that_is_moved_plays_on() -> None:
    found = run(LOOP)
    assert found["most"] <= 2, "at the seam the one before may still fade"
    assert found["playing"] and 8.5 < found["position"] < 10


def test_keys_mean_the_session_that_has_the_focus() -> None:
    assert run(KEYS) == ["a deletes", "a undoes", "a plays"]
