"""The page conditions a recording as the library does, whatever rule its network was trained with."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amtsep.config import FrontEnd
from amtsep.loudness import Loudness

ROOT = Path(__file__).resolve().parents[1]
RUN = """
import { readFileSync } from "node:fs";
import { conditioning } from "SCRIPT";
const rule = JSON.parse(readFileSync("SETTINGS", "utf-8")).loudness;
const { hop, hopSeconds, fronts, files } = JSON.parse(process.argv[1]);
console.log(JSON.stringify(files.map((file) => {
  const bytes = readFileSync(file);
  const sound = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return fronts.map((front) => {
    const { offset, gain, fill, lift } = conditioning(sound, hop, hopSeconds, front, rule);
    const chunk = new Float32Array(3000);
    fill(chunk, -700);
    return { offset: [...offset], gain: [...gain], chunk: [...chunk], lift: [lift(0), lift(3)] };
  });
})));
"""


def sounds() -> list[np.ndarray]:
    """Loud and quiet with an offset, silence between; shorter than a window; nothing."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(22050 * 14).astype(np.float32)
    level = np.repeat([0.5, 0.0, 0.004, 0.2, 0.02, 0.0, 0.3], 22050 * 2).astype(np.float32)
    return [noise * level + np.float32(0.3) * (level > 0), noise[:5000] * np.float32(0.1), np.zeros(600, np.float32)]


def test_the_page_takes_the_same_offset_and_level(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: the page's code cannot be run")
    fronts = [replace(FrontEnd(), normalisation=rule) for rule in ("mean", "running")]
    files = []
    for index, sound in enumerate(sounds()):
        files.append(str(tmp_path / f"{index}.f32"))
        sound.tofile(files[-1])
    told = {
        "hop": fronts[0].hop_length,
        "hopSeconds": fronts[0].hop_s,
        "fronts": [{k: getattr(f, k) for k in ("normalisation", "level_window_s", "level_floor_db")} for f in fronts],
        "files": files,
    }
    web = ROOT / "web" / "src"
    script = RUN.replace("SCRIPT", (web / "loudness.js").as_uri()).replace("SETTINGS", str(web / "settings.json"))
    done = subprocess.run(
        [node, "--input-type=module", "-e", script, "--", json.dumps(told)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for sound, by_front in zip(sounds(), json.loads(done.stdout), strict=True):
        for front, found in zip(fronts, by_front, strict=True):
            ours = Loudness(front).push(sound).finish()
            np.testing.assert_allclose(found["offset"], ours.offset, rtol=0, atol=1e-9)
            np.testing.assert_allclose(found["gain"], ours.gain, rtol=1e-9)
            np.testing.assert_allclose(found["lift"], ours.level_db(0, 4)[[0, 3]], rtol=0, atol=1e-4)
            chunk = np.array(found["chunk"])
            part = ours.apply(sound[: 3000 - 700])
            assert not chunk[:700].any()
            np.testing.assert_allclose(chunk[700 : 700 + len(part)], part, rtol=2e-5, atol=1e-6 * ours.gain.max())
