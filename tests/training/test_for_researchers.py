"""What a researcher meets: settings from a file, choices, folders that are not empty, calibration, plugins."""

from __future__ import annotations

import json
import signal
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric (pip install 'amtsep[train]')")

from amtsep import plugins  # noqa: E402
from amtsep.cli import main  # noqa: E402
from amtsep.config import TRAININGS  # noqa: E402
from amtsep.errors import DataError  # noqa: E402
from amtsep.formats import write_midi  # noqa: E402
from amtsep.notes import Notes  # noqa: E402
from amtsep.training.loop import Journal  # noqa: E402
from amtsep.training.settings import from_file  # noqa: E402

TINY = {"steps": 2, "batch_size": 1, "workers": 0, "max_notes": 16, "dev_clips": 0, "mixing": {"clip_s": 1.0}}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_from_a_file_of_settings_to_calibrated_weights(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps(TINY))
    command = ["train", "--bank", str(bank), "--out", str(out), "--config-file", str(config)]
    command += ["--accelerator", "cpu", "--precision", "32-true", "--threads", "1"]
    assert main(command) == 0
    assert torch.get_num_threads() == 1
    settings = json.loads((out / "settings.json").read_text()) if (out / "settings.json").is_file() else None
    assert settings is None or settings["steps"] == 2
    # A second training does not write over the first.
    assert main(command) == 1
    sentence = said(capsys)
    assert "not empty" in sentence and "--resume" in sentence
    weights = next(out.glob("*.safetensors"))
    assert main(["calibrate", str(weights), "--bank", str(bank), "--clips", "1"]) == 0
    assert weights.with_suffix(".calibrated.safetensors").is_file()
    # On songs beside the clips, if there are any where one says.
    songs = tmp_path / "songs"
    also = ["calibrate", str(weights), "--bank", str(bank), "--clips", "1", "--songs", str(songs)]
    assert main(also) == 1 and "songs" in said(capsys)
    songs.mkdir()
    soundfile.write(songs / "one.wav", np.random.default_rng(0).normal(0.0, 0.1, 22050), 22050)
    write_midi(Notes.build([0.1, 0.5], [0.4, 0.9], [60, 64]), songs / "one.mid")
    assert main(also) == 0 and "examples 2," in capsys.readouterr().out
    report = tmp_path / "report"
    evaluate = ["evaluate", "--dataset", "bank", "--root", str(bank), "--limit", "1", "--no-heat-map", "--no-cache"]
    model = ["--model", str(weights.with_suffix(".calibrated.safetensors")), "--timbres", "none", "-o", str(report)]
    assert main([*evaluate, *model]) == 0
    assert json.loads((report / "report.json").read_text())


def test_who_is_asked_to_end_keeps_all_and_goes_on(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps({**TINY, "steps": 4}))
    command = ["train", "--bank", str(bank), "--out", str(out), "--config-file", str(config)]
    command += ["--accelerator", "cpu", "--precision", "32-true", "--threads", "1"]
    stepped = Journal.stepped

    def ended(journal: Journal, evaluate: bool) -> None:
        stepped(journal, evaluate)
        if journal.state.step == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Journal, "stepped", ended)
    assert main(command) == 0
    assert "go on with --resume" in capsys.readouterr().out
    monkeypatch.undo()
    assert main([*command, "--resume"]) == 0
    assert "2/4" in capsys.readouterr().err, "it begins where it was"


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [("--timbre-loss", "infonze", "infonce"), ("--memory", "long", "hebbian"), ("--balance", "even", "resistor")],
)
def test_a_wrong_word_names_the_choices(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, known: str
) -> None:
    assert main(["train", "--bank", str(bank), "--out", str(tmp_path / "run"), option, value]) == 1
    text = said(capsys)
    assert value in text and known in text and "should not have happened" not in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "values",
    [{"stepz": 1}, {"steps": "many"}, {"mixing": 3}, {"mixing": {"clip": 3}}, {"learn_front_end": 1}, [1]],
)
def test_a_wrong_file_of_settings_is_refused(tmp_path: Path, values: object) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"settings\.json"):
        from_file(path, TRAININGS["light"])


def test_a_package_outside_is_imported_and_one_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", "amtsep.no_such_module", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    plugins.load.cache_clear()
    try:
        with pytest.raises(Exception, match="'mine' .*cannot be imported"):
            plugins.load()
        monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("fine", "json", plugins.GROUP)])
        assert plugins.load() == ("fine",)
    finally:
        plugins.load.cache_clear()
