"""The studio's page without a browser: what is kept, what is said, what goes on when something goes wrong."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import widgets.studio
from amtsep.errors import Cancelled, DataError
from amtsep.studio.config import CorpusSettings, SampleSettings
from widgets.studio.desk import Desk
from widgets.studio.page import Studio
from widgets.studio.words import ZH, say, speak
from widgets.studio.work import Work

ROOM = Path(widgets.studio.__file__).parent
WORDS = {"looking", "cutting", "features", "epochs"}
"""Said by what `amtsep.studio` tells of its work."""


@pytest.fixture(autouse=True)
def english() -> Any:
    yield
    speak("en")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus of three clips, one of them guessed."""
    (tmp_path / "corpus" / "audio").mkdir(parents=True)
    rows = []
    for i, (genre, by, split) in enumerate([("rock", "folder", "train"), ("jazz", "folder", "validation"),
                                            ("jazz", "guess", "test")]):  # fmt: skip
        t = np.arange(22050) / 22050
        soundfile.write(tmp_path / "corpus" / "audio" / f"{i}.wav", 0.4 * np.sin(2 * np.pi * 220 * (i + 1) * t), 22050)
        (tmp_path / "corpus" / "audio" / f"{i}.txt").write_text(f"caption {i}\n")
        rows.append(
            {"audio": f"audio/{i}.wav", "caption": f"caption {i}", "caption_by": "template", "title": f"Tune {i}",
             "artist": "", "genre": genre, "genre_by": by, "genre_probability": 0.8 if by == "guess" else None,
             "work": f"|tune {i}", "split": split, "source": f"in/{genre}/{i}.wav", "start_s": 0.0, "duration_s": 1.0,
             "rendered": True, "tempo": 120.0, "key": "A minor", "timbres": 2}
        )  # fmt: skip
    (tmp_path / "corpus" / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path


def test_everything_the_studio_says_is_said_in_chinese() -> None:
    said = set(WORDS)
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
                said |= {n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)} - {"train", "name"}
    said.add("Name a folder of recordings or scores.")  # errors of the desk itself
    said.add("Write what the music should be like.")
    assert said - set(ZH) == set(), "English without Chinese"
    assert set(ZH) - said == set(), "Chinese that nobody says"
    for english, chinese in ZH.items():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), english


def test_a_caption_that_was_corrected_is_kept_in_every_place(folder: Path) -> None:
    studio = Studio(folder)
    assert len(studio.corpus.table.rows) == 3 and "3 works" in studio.corpus.sums.value
    studio.corpus.correct("audio/1.wav", "slow  jazz,\nwith brushes")
    row = studio.corpus.table.rows[1]
    assert (row["caption"], row["caption_by"]) == ("slow jazz, with brushes", "hand")
    assert (folder / "corpus" / "audio" / "1.txt").read_text() == "slow jazz, with brushes\n"
    (folder / "corpus" / "manifest.jsonl").unlink()
    studio.corpus.correct("audio/1.wav", "lost?")
    assert "is no corpus" in studio.desk.works["corpus"].said.value and len(studio.corpus.table.rows) == 3
    studio.close()


def test_another_language_keeps_what_was_entered(folder: Path) -> None:
    studio = Studio(folder, "en")
    studio.generate.prompt.value = "slow music"
    studio.tune.rate.value = 3e-4
    studio.tabs.selected_index = 3
    studio.head.language = "zh"
    assert studio.tabs.titles == ("语料", "曲风", "微调", "生成") and studio.tabs.selected_index == 3
    assert studio.generate.prompt.value == "slow music" and studio.tune.rate.value == 3e-4
    assert "部作品" in studio.corpus.sums.value
    studio.close()


def test_who_comes_to_a_page_that_has_waited_sees_what_is_there_now(folder: Path) -> None:
    manifest = folder / "corpus" / "manifest.jsonl"
    text = manifest.read_text()
    manifest.unlink()
    studio = Studio(folder)
    assert not studio.corpus.table.rows
    manifest.write_text(text)
    studio.head._handle_custom_msg({"do": "here"}, [])
    assert len(studio.corpus.table.rows) == 3 and studio.corpus.body.layout.display is None
    studio.close()


def test_errors_stand_in_place_and_what_was_there_stays(folder: Path) -> None:
    desk = Desk(folder)
    desk.open("corpus")
    with pytest.raises(DataError, match="is no corpus"):
        desk.open("nothing here")
    assert len(desk.rows) == 3 and desk.corpus == "corpus"
    desk.make(" ; ", "new", CorpusSettings(hear=False))
    assert "Name a folder" in desk.works["corpus"].said.value and "amtsep-bad" in desk.works["corpus"].said.value
    desk.generate("slow music", "no such network", SampleSettings())
    assert "amtsep-bad" in desk.works["generate"].said.value and desk.made == []
    desk.generate("  ", "tiny", SampleSettings())
    assert "Write what" in desk.works["generate"].said.value or "not installed" in desk.works["generate"].said.value
    desk.guess("genre")
    assert "no genre classifier" in desk.works["genre"].said.value or "not installed" in desk.works["genre"].said.value
    desk.close()


def test_guesses_stand_beside_the_truth_and_wrong_ones_are_marked(folder: Path) -> None:
    studio = Studio(folder)
    one = {"answer": "rock", "probabilities": {"jazz": 0.2, "rock": 0.8}}
    unsure = {"answer": "unknown", "probabilities": {"jazz": 0.45, "rock": 0.55}}
    studio.desk.guesses = {f"audio/{i}.wav": {"cnn": p, "baseline": one} for i, p in enumerate((one, unsure, one))}
    told = studio.corpus.table.guesses
    assert told["audio/0.wav"] == {"text": "guess rock 80%", "right": True}
    assert told["audio/1.wav"] == {"text": "guess rock? 55%", "right": False}
    assert told["audio/2.wav"]["right"] is None, "a guess is no truth to be compared with"
    studio.close()


def test_curves_of_a_training_in_a_terminal_are_followed(folder: Path) -> None:
    studio = Studio(folder)
    (folder / "tuned").mkdir()
    log = folder / "tuned" / "log.csv"
    log.write_text("step,loss,validation,norm,learning_rate\n1,6.5,,1,0.1\n2,6.0,6.2,1,0.1\n")
    studio.tune.look()
    losses, held = studio.tune.figure.data
    assert list(losses.y) == [6.5, 6.0] and list(held.x) == [2] and list(held.y) == [6.2]
    studio.tune.look()
    log.write_text(log.read_text() + "3,5.5,,1,0.1\n4,5")  # in the middle of a line
    studio.tune.look()
    assert list(losses.y)[:3] == [6.5, 6.0, 5.5]
    studio.close()


def test_work_goes_on_beside_the_page_tells_how_far_it_is_and_ends_when_asked() -> None:
    begun, go = threading.Event(), threading.Event()

    def function(report: Any) -> str:
        report("counting", 1, 4)
        begun.set()
        go.wait(20)
        if not report("counting", 2, 4):
            raise Cancelled
        return "done"

    async def page() -> list[str]:
        work, said = Work(), []
        work.start("counting", function, lambda result: result)
        while not begun.is_set() or work.bar.value != 0.25:
            await asyncio.sleep(0.01)
        said.append(work.text.value)
        work.start("other", lambda _: None, lambda _: "refused while something runs")
        work.cancel()
        go.set()
        while work.running:
            await asyncio.sleep(0.01)
        said.append(work.said.value)
        work.start("counting", lambda _: 1 // 0, lambda result: result)
        while work.running:
            await asyncio.sleep(0.01)
        return [*said, work.said.value]

    counting, stopped, wrong = asyncio.run(asyncio.wait_for(page(), 60))
    assert "counting · 1 / 4" in counting and "Stopped." in stopped
    assert "ZeroDivisionError" in wrong and 'role="alert"' in wrong
    assert say("Stopped.") == "Stopped."
