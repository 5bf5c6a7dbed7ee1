"""What a researcher meets: settings from a file, choices, folders that are not empty, calibration, plugins."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric (pip install 'amtsep[train]')")

from amtsep import plugins  # noqa: E402
from amtsep.cli import main  # noqa: E402
from amtsep.config import TRAININGS, FrontEnd, Mixing  # noqa: E402
from amtsep.errors import DataError  # noqa: E402
from amtsep.formats import write_midi  # noqa: E402
from amtsep.nets.checkpoint import load_checkpoint  # noqa: E402
from amtsep.notes import Notes  # noqa: E402
from amtsep.synthesis.bank import Bank  # noqa: E402
from amtsep.synthesis.generate import collections  # noqa: E402
from amtsep.synthesis.mixing import Mixer, kind_of  # noqa: E402
from amtsep.training.data import ClipStream, loader  # noqa: E402
from amtsep.training.loop import Journal  # noqa: E402
from amtsep.training.settings import check, from_file  # noqa: E402

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
    # What goes on from other weights may keep their shifts; weights without any have none to give, and say so.
    calibrated, kept = weights.with_suffix(".calibrated.safetensors"), tmp_path / "models"
    take = ["calibrate", str(weights), "--models", str(kept), "--shifts-of"]
    assert main([*take, str(weights)]) == 1 and "no shifts to take" in said(capsys)
    assert main([*take, str(calibrated)]) == 0
    (released,) = kept.glob("*.safetensors")
    taken, given = (load_checkpoint(path)[1] for path in (released, calibrated))
    assert (taken.onset_shift, taken.frame_shift) == (given.onset_shift, given.frame_shift) != (0.0, 0.0)
    assert len((kept / "SHA256SUMS").read_text().splitlines()) == 2
    # Thresholds that do not fit are said before a network goes out.
    assert main(["export", str(weights)]) == 0 and "is not calibrated" in said(capsys)
    assert main(["export", str(released)]) == 0 and "not calibrated" not in said(capsys)
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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "0"], "must be 1 or more"),
        (["--batch-size", "0"], "must be 1 or more"),
        (["--workers", "-1"], "must be 0 or more"),
        (["--minutes", "-1"], "--minutes must be more than 0"),
        (["--init", "absent.safetensors"], "absent.safetensors does not exist"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    out = tmp_path / "run"
    assert main(["train", "--bank", str(bank), "--out", str(out), "--accelerator", "cpu", *words]) == 1
    assert sentence in said(capsys) and not list(out.glob("*"))


@pytest.mark.parametrize(
    "values",
    [{"steps": None}, {"patience": "abc"}, {"normalisation": "loud"}, {"mixing": {"clip_s": 0}}, {"memory": 3}],
)
def test_values_of_another_kind_are_refused(tmp_path: Path, values: dict[str, object]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values))
    with pytest.raises(DataError):
        check(from_file(path, TRAININGS["light"]))
    path.write_text(json.dumps({"patience": None, "memory": "none"}))
    check(from_file(path, TRAININGS["light"]))


def test_a_bank_without_development_stems_leaves_nothing_behind(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Bank.open(bank)
    stems = [replace(stem, split="train") for stem in opened.stems]
    only = Bank(opened.samples, opened.all_notes, stems, opened.sample_rate, opened.seed, bank)
    monkeypatch.setattr(Bank, "open", lambda folder: only)
    config, out = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps({**TINY, "dev_clips": 4}))
    words = ["train", "--bank", str(bank), "--out", str(out), "--config-file", str(config), "--accelerator", "cpu"]
    words += ["--precision", "32-true"]
    assert main(words) == 1 and "--dev-clips 0" in said(capsys)
    assert main([*words, "--dev-clips", "0"]) == 0


def test_clips_longer_than_what_there_is_are_told(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "tiny.json"
    words = ["--bank", str(bank), "--config-file", str(config), "--accelerator", "cpu", "--precision", "32-true"]
    for clip_s, told in ((1.0, False), (Bank.open(bank).clip_s + 3.0, True)):
        config.write_text(json.dumps({**TINY, "mixing": {"clip_s": clip_s}}))
        assert main(["train", *words, "--out", str(tmp_path / str(told))]) == 0
        assert ("silence" in capsys.readouterr().out) is told


def test_going_on_with_another_network_is_a_sentence(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps(TINY))
    words = ["train", "--bank", str(bank), "--out", str(out), "--config-file", str(config), "--accelerator", "cpu"]
    assert main([*words, "--precision", "32-true"]) == 0
    assert main([*words, "--precision", "32-true", "--config", "base", "--resume", "--steps", "4"]) == 1
    assert "of another network" in said(capsys)


def test_kinds_that_are_not_named_are_not_drawn(bank: Path) -> None:
    opened = Bank.open(bank)
    kinds = sorted({kind_of(stem) for stem in opened.stems if stem.split == "train"})
    for kind in kinds:
        mixing = Mixing(clip_s=1.0, augment=False, sources=((kind, 1.0),), same_piece=0.0, song=0.0, drums=0.0)
        mixer = Mixer(opened, mixing)
        drawn = {mixer._names[k] for k in np.flatnonzero(mixer._weights)}
        of_kind = {stem.timbre for stem in opened.stems if kind_of(stem) == kind}
        assert drawn and drawn <= of_kind
    with pytest.raises(DataError, match="none of the kinds"):
        Mixer(opened, Mixing(clip_s=1.0, sources=(("nothing", 1.0),)))


def test_collections_of_one_name_are_not_taken_for_one(tmp_path: Path) -> None:
    for name in ("one/samples", "two/samples", "voice"):
        (tmp_path / name).mkdir(parents=True)
    assert list(collections([tmp_path / "one/samples"], "samples")) == ["samples"]
    for folders in (["one/samples", "two/samples"], ["voice"]):
        with pytest.raises(DataError, match="rename it"):
            collections([tmp_path / name for name in folders], "samples")


def test_a_bank_is_judged_by_mixes_that_calibration_did_not_see(bank: Path) -> None:
    from amtsep.bank_dataset import bank_mixes
    from amtsep.training.calibration import development_examples

    seen: list[bytes] = []

    class Listening:
        def __call__(self, audio):
            seen.append(audio.samples.tobytes())

    development_examples(bank, Listening(), 4)
    assert len(seen) == 4 and not set(seen) & {mix.audio().tobytes() for mix in bank_mixes(bank, "")[:4]}


def test_a_request_to_end_leaves_the_workers_to_the_loop(bank: Path) -> None:
    mixing = Mixing(clip_s=1.0, augment=False)
    batches = iter(loader(ClipStream(bank, mixing, FrontEnd(), 1, 16, 1), 1, torch.device("cpu")))
    first = next(batches)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(batches._workers[0].pid, number)
    # More than lay ready.
    assert all(next(batches).audio.shape == first.audio.shape for _ in range(12))
    assert batches._workers[0].is_alive()
