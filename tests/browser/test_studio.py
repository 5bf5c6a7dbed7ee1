"""The studio in a browser: a caption corrected, a clip seen, music generated and opened as notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import synthetic
from driving import PATIENCE_MS, ROOT, App, free_port, fresh_page, keep

TINY = all(find_spec(name) for name in ("torch", "transformers", "peft"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A corpus of two clips, whose posteriors are known, and a tiny network where its classes are installed."""
    root = tmp_path_factory.mktemp("studio")
    (root / "cache").mkdir()
    audio = root / "corpus" / "audio"
    audio.mkdir(parents=True)
    rows = []
    for i, genre in enumerate(("rock", "jazz")):
        notes = synthetic.melody(8.0, seed=i)
        posteriors = synthetic.perfect(notes, 8.0, timbres=True)
        (audio / f"{i}.wav").write_bytes(keep(notes, 8.0, posteriors, root / "cache"))
        (audio / f"{i}.txt").write_text(f"tune {i}, {genre}\n")
        rows.append(
            {"audio": f"audio/{i}.wav", "caption": f"tune {i}, {genre}", "caption_by": "template", "title": f"Tune {i}",
             "artist": "", "genre": genre, "genre_by": "folder", "genre_probability": None, "work": f"|{i}",
             "split": "train", "source": f"{genre}/{i}.wav", "start_s": 0.0, "duration_s": 8.0, "rendered": True,
             "tempo": 120.0, "key": "C major", "timbres": 2}
        )  # fmt: skip
    (root / "corpus" / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    if TINY:
        from amtsep.studio.musicgen import write_tiny

        write_tiny(root / "tiny")
    return root


@pytest.fixture(scope="module")
def address(folder):
    """``amtsep studio``, as a person starts it."""
    env = dict(os.environ, AMTSEP_CACHE=str(folder / "cache"), PYTHONUNBUFFERED="1")
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH")])])
    log = folder / "server.log"
    command = [sys.executable, "-m", "amtsep", "studio", str(folder), "--no-browser", "--port", str(free_port())]
    with log.open("wb") as out:
        running = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        end = time.monotonic() + PATIENCE_MS / 1000
        while "amtsep studio: " not in (said := log.read_text(errors="replace")):
            assert running.poll() is None and time.monotonic() < end, said[-3000:]
            time.sleep(0.1)
        yield said.split("amtsep studio: ")[1].split()[0]
    finally:
        running.terminate()
        running.wait(60)


class Page(App):
    """What a person does with the studio."""

    def goto(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector(".amtsep-table tbody tr")

    def tab(self, name: str) -> None:
        self.page.locator(".lm-TabBar-tab, .p-TabBar-tab").filter(has_text=name).click()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).locator("visible=true").first.click()

    def field(self, label: str):
        return self.page.locator(".widget-text, .widget-inline-hbox").filter(has_text=label).locator("input").first


@pytest.fixture
def studio(chromium, folder, address):
    with fresh_page(chromium, Page, folder, address) as made:
        yield made


def test_a_caption_is_corrected_a_clip_is_seen_and_the_dashboard_takes_it(studio, folder):
    page = studio.page
    row = page.locator(".amtsep-table tbody tr").nth(1)
    row.dblclick(position={"x": 5, "y": 5})  # anywhere: selects
    row.locator("td.amtsep-caption").dblclick()
    area = row.locator("textarea")
    area.fill("slow jazz, played by hand")
    area.press("Enter")
    page.wait_for_selector(".amtsep-hand")
    assert (folder / "corpus" / "audio" / "1.txt").read_text() == "slow jazz, played by hand\n"
    page.wait_for_selector("text=/heard: [0-9]+ notes, 2 timbres/")
    studio.until("hub.notes.n > 0")
    page.get_by_role("button", name="中文").click()
    page.wait_for_selector("text=/听到 [0-9]+ 个音符/")
    page.get_by_role("button", name="English").click()
    page.wait_for_selector("text=/heard: [0-9]+ notes/")
    studio.press("Open in the dashboard")
    page.wait_for_function("() => document.querySelector('.amt-title b')?.textContent === '1.wav'")
    studio.until("hub.notes.n > 0")
    studio.press("Back to the studio")
    page.wait_for_selector(".amtsep-table tbody tr[aria-selected=true]")
    assert page.locator(".amtsep-hand").count() == 1


def test_a_tiny_network_learns_with_live_curves_and_what_it_makes_opens_as_notes(studio, folder):
    if not TINY:
        pytest.skip("transformers or peft is not installed (amtsep[studio])")
    page = studio.page
    studio.tab("Fine-tuning")
    studio.field("Network").fill("tiny")
    page.locator(".jupyter-widget-Collapse-header").locator("visible=true").click()
    for label, value in (("Steps", "3"), ("Batch", "1"), ("Batches a step", "1")):
        field = page.locator(".widget-inline-hbox").filter(has=page.get_by_text(label, exact=True)).locator("input")
        field.fill(value)
        field.press("Tab")
    studio.press("Train")
    page.wait_for_selector("text=Written: tuned/adapter")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.js-plotly-plot')].some(p => p.data?.[0]?.x?.length === 3)"
    )
    studio.tab("Generation")
    studio.press("Generate")
    page.wait_for_selector("text=Write what the music should be like.")
    page.locator("textarea").locator("visible=true").fill("slow music")
    seconds = studio.field("Length (s)")
    seconds.fill("2")
    seconds.press("Tab")
    studio.press("Generate")
    page.wait_for_selector("text=Written: generated/001-slow-music.wav")
    studio.press("Open in the dashboard")
    page.wait_for_function("() => document.querySelector('.amt-title b')?.textContent === '001-slow-music.wav'")
    studio.until("hub.transport.recording")
    assert json.loads((folder / "generated" / "001-slow-music.json").read_text())["prompt"] == "slow music"
