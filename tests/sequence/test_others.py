"""Others' networks behind the same commands, against a stand-in for the package that runs them."""

from __future__ import annotations

import inspect
import sys
import types
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from amtsep import formats
from amtsep.cli import main
from amtsep.sequence.files import OTHERS as NAMES
from amtsep.sequence.files import writes_notes
from amtsep.sequence.others import OTHERS, RATE, OtherTranscriber

RECORDS: list[tuple[str, object]] = []


class StandIn:
    """What `mt3_infer.load_model` gives: a flute and a stroke, wherever it listens."""

    def transcribe(self, audio: np.ndarray, sr: int = 16000) -> mido.MidiFile:
        RECORDS.append(("transcribe", (len(audio) / sr, audio.dtype, sr)))
        file = mido.MidiFile(ticks_per_beat=480)
        track = mido.MidiTrack()
        track.append(mido.Message("program_change", program=73, time=0))
        track.append(mido.Message("note_on", note=69, velocity=90, time=480))
        track.append(mido.Message("note_on", note=38, velocity=90, channel=9, time=0))
        track.append(mido.Message("note_off", note=38, channel=9, time=48))
        track.append(mido.Message("note_off", note=69, time=432))
        file.tracks.append(track)
        return file


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    """A module with the interface of mt3-infer 0.2, its weights not here yet."""
    RECORDS.clear()
    stand_in = types.ModuleType("mt3_infer")

    def get_model_info(model: str) -> dict:
        where = {"source_url": "https://example.org/weights"}
        return {"checkpoint": {"path": f".mt3_checkpoints/{model}/w.pth", "size_mb": 176.0, "download": where}}

    def load_model(
        model: str = "default", checkpoint_path=None, device="auto", cache=True, auto_download=True, **kwargs
    ):
        RECORDS.append(("load", (model, device)))
        return StandIn()

    stand_in.get_model_info, stand_in.load_model = get_model_info, load_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mt3_infer", stand_in)
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MT3_CHECKPOINT_DIR", str(tmp_path / "cache" / "mt3"))
    return stand_in


@pytest.fixture
def song(tmp_path: Path) -> Path:
    time = np.arange(2 * 22050) / 22050
    soundfile.write(tmp_path / "song.wav", 0.3 * np.sin(2 * np.pi * 440 * time), 22050)
    return tmp_path / "song.wav"


@pytest.fixture(autouse=True)
def afresh() -> None:
    """The network of the test before is not kept."""
    from amtsep import batch

    batch._writer.cache_clear()


def test_their_notes_go_through_our_exports_and_terms_come_before_the_first_download(
    package: types.ModuleType, song: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from amtsep.sequence import others

    monkeypatch.setattr(others.OtherTranscriber.__init__, "__defaults__", ("auto", None, "light"))
    command = ["transcribe", str(song), "--model", "mt3", "--device", "cpu", "--no-bars"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "176 MB" in said.err and "example.org" in said.err and "Terms: no licence" in said.err
    assert "2 notes in 2 tracks" in said.out
    assert list(RECORDS) == [("load", ("mt3_pytorch", "cpu")), ("transcribe", (2.0, np.dtype(np.float32), RATE))]
    notes = formats.read_midi(song.with_suffix(".mid"), drums=True)
    assert {(notes.tracks[n.track].program, n.pitch) for n in notes} == {(73, 69), (0, 38)}
    assert notes.onset[0] == pytest.approx(0.5, abs=0.01)
    weights = tmp_path / "cache" / "mt3" / "mt3_pytorch" / "w.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"there")
    OtherTranscriber("mt3", "cpu", ears="light")
    assert "Terms" not in capsys.readouterr().err, "they are told once"
    pytest.importorskip("plotly")
    command = ["evaluate", "--audio", str(song), "--reference", str(song.with_suffix(".mid")), "--model", "mt3"]
    assert main([*command, "--device", "cpu", "-o", str(tmp_path / "report")]) == 0
    said = capsys.readouterr().out
    assert "no thresholds" in said and "multi-instrument F1" in said and "| all | 1 | 1.000" in said


def test_without_package_or_weights_there_is_one_sentence(
    package: types.ModuleType, song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise RuntimeError("Failed to download checkpoint\nlong story")

    monkeypatch.setattr(package, "load_model", offline)
    assert main(["transcribe", str(song), "--model", "yourmt3"]) == 1
    said = capsys.readouterr().err
    assert "could not be fetched" in said and "--model base" in said and "long story" not in said
    monkeypatch.setitem(sys.modules, "mt3_infer", None)
    assert main(["transcribe", str(song), "--model", "mr-mt3"]) == 1
    said = capsys.readouterr().err
    assert "pip install 'amtsep[sequence]'" in said and len(said.strip().splitlines()) == 1
    assert not song.with_suffix(".mid").exists()


def test_names_are_known_everywhere() -> None:
    assert tuple(OTHERS) == NAMES and all(writes_notes(name) for name in NAMES) and not writes_notes("base")


def test_the_installed_package_has_the_interface_that_is_used() -> None:
    mt3_infer = pytest.importorskip(
        "mt3_infer", reason="others' networks need mt3-infer (pip install 'amtsep[sequence]')"
    )
    known = inspect.signature(mt3_infer.load_model).parameters
    assert {"model", "device"} <= set(known)
    assert list(inspect.signature(mt3_infer.MT3Base.transcribe).parameters)[1:3] == ["audio", "sr"]
    for other in OTHERS.values():
        checkpoint = mt3_infer.get_model_info(other.key)["checkpoint"]
        assert checkpoint["path"].startswith(".mt3_checkpoints/") and checkpoint["download"]["source_url"]
