"""What a training can be told to do otherwise: another architecture, a learned front end, a teacher, less data."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric (pip install 'amtsep[train]')")

from amtsep.audio import Audio  # noqa: E402
from amtsep.cli import main  # noqa: E402
from amtsep.config import BASELINES, NETWORKS, Mixing, Training, network_of  # noqa: E402
from amtsep.errors import DataError, ModelError  # noqa: E402
from amtsep.inference import Transcriber  # noqa: E402
from amtsep.nets.baselines import BasicPitchTranscriber  # noqa: E402
from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from amtsep.nets.cqt import CQT, LearnedCQT  # noqa: E402
from amtsep.nets.export import export_onnx  # noqa: E402
from amtsep.nets.model import build_network, count_parameters  # noqa: E402
from amtsep.notes import Notes  # noqa: E402
from amtsep.posteriors import Posteriors  # noqa: E402
from amtsep.synthesis.bank import Bank  # noqa: E402
from amtsep.synthesis.mixing import LeaveOut, Mixer  # noqa: E402
from amtsep.training import loop  # noqa: E402
from amtsep.training.calibration import Example, calibrate  # noqa: E402
from amtsep.training.loop import Run, train  # noqa: E402
from amtsep.training.teacher import distillation_loss  # noqa: E402

TINY = Training(
    steps=3, batch_size=1, workers=0, warm_up=1, mixing=Mixing(clip_s=1.0), max_notes=16, ema_decay=0.5, dev_clips=0
)


def _run(bank: Path, out: Path, **rest: object) -> Run:
    return Run(bank, out, accelerator="cpu", precision="32-true", **rest)  # type: ignore[arg-type]


def test_basic_pitch_trains_calibrates_and_transcribes(bank: Path, tmp_path: Path) -> None:
    assert count_parameters(build_network(BASELINES["basic-pitch"])) == 16_782
    weights = train(replace(TINY, network="basic-pitch"), _run(bank, tmp_path))
    net, _ = load_checkpoint(weights)
    assert isinstance(net, BasicPitchTranscriber)
    checkpoint = calibrate(weights, tmp_path / "calibrated.safetensors", bank, count=1)
    assert checkpoint.network.architecture == "basic-pitch" and checkpoint.info["calibration"]["examples"] == 1
    rng = np.random.default_rng(0)
    audio = Audio(0.1 * rng.standard_normal(22050 * 40).astype(np.float32), 22050, "noise")
    posteriors = Transcriber(tmp_path / "calibrated.safetensors", device="cpu")(audio)
    assert posteriors.onset.shape == (88, posteriors.n_frames) and posteriors.embedding is None
    # 40 s are three chunks: with a halo too short, their seams would differ from the whole.
    with torch.no_grad():
        power = CQT()(
            torch.from_numpy(audio.samples / np.sqrt(np.mean(audio.samples**2)))[None, : 22050 // 256 * 10240]
        )
        onset = torch.sigmoid(net(power)[0] + checkpoint.onset_shift)[0].numpy()
    inside = onset.shape[1] - 60
    np.testing.assert_allclose(posteriors.onset[:, :inside], onset[:, :inside], atol=2e-3)


def test_a_learned_front_end_starts_as_the_transform_learns_and_comes_back(bank: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    audio = torch.randn(1, 22528)
    torch.testing.assert_close(LearnedCQT()(audio), CQT()(audio))
    settings = replace(TINY, learn_front_end=True, learning_rate=1e-2)
    weights = train(settings, _run(bank, tmp_path))
    net, checkpoint = load_checkpoint(weights)
    assert checkpoint.network == network_of(settings) and checkpoint.network.learned_front_end
    assert net.cqt is not None
    with torch.no_grad():
        change = float((net.cqt(audio) / CQT()(audio) - 1).abs().mean())
    assert 1e-4 < change < 0.5
    sound = Audio(0.1 * audio[0].numpy(), 22050, "noise")
    export_onnx(weights, tmp_path / "learned.onnx")
    here, there = Transcriber(weights, device="cpu")(sound), Transcriber(tmp_path / "learned.onnx")(sound)
    np.testing.assert_allclose(here.onset, there.onset, atol=1e-3)
    np.testing.assert_allclose(here.frame, there.frame, atol=1e-3)
    train(replace(settings, steps=4), _run(bank, tmp_path, resume=True))
    assert load_checkpoint(weights)[1].info["step"] == 4


def test_a_student_comes_nearer_to_its_teacher(bank: Path, tmp_path: Path) -> None:
    weights = train(replace(TINY, steps=1, seed=3), _run(bank, tmp_path / "teacher"))
    settings = replace(TINY, steps=12, teacher_weight=20.0, learning_rate=1e-2)
    log = tmp_path / "student" / "log.csv"
    train(replace(settings, steps=1), _run(bank, tmp_path / "student", teacher=weights))
    first = float(next(csv.DictReader(log.open()))["teacher"])
    train(settings, _run(bank, tmp_path / "student", teacher=weights))
    # The mean over twelve steps: the first alone is where it began.
    assert 0.0 < float(next(csv.DictReader(log.open()))["teacher"]) < 0.7 * first
    logits = torch.linspace(-3, 3, 13)
    assert float(distillation_loss(logits, logits)) == pytest.approx(0.0, abs=1e-6)
    assert float(distillation_loss(logits + 1, logits)) > 0.01
    with pytest.raises(ModelError, match="exclude each other"):
        train(replace(settings, learn_front_end=True), _run(bank, tmp_path / "both", teacher=weights))


def test_a_student_tells_timbres_apart_in_its_teachers_space(bank: Path, tmp_path: Path) -> None:
    small = replace(NETWORKS["light"], channels=4, embedding_channels=6, embedding_dim=5)
    for name, network in (("small", small), ("other", replace(small, embedding_dim=4))):
        torch.manual_seed(3)
        save_checkpoint(tmp_path / f"{name}.safetensors", build_network(network), Checkpoint(network))
    with patch.dict(NETWORKS, {"small": small}):
        settings = replace(TINY, network="small", steps=12, timbre_weight=0.0, teacher_weight=0.0, learning_rate=1e-2)
        settings = replace(settings, embedding_weight=20.0)
        log = tmp_path / "student" / "log.csv"
        taught = {"teacher": tmp_path / "small.safetensors"}
        train(replace(settings, steps=1), _run(bank, tmp_path / "student", **taught))
        first = float(next(csv.DictReader(log.open()))["embedding"])
        train(settings, _run(bank, tmp_path / "student", **taught))
        assert 0.0 < float(next(csv.DictReader(log.open()))["embedding"]) < 0.8 * first
        with pytest.raises(ModelError, match="4 dimensions and the student's 5"):
            train(settings, _run(bank, tmp_path / "no", teacher=tmp_path / "other.safetensors"))
        # One teaches the notes, another one the timbres: only the other one's embedding has to suit.
        both = {"teacher": tmp_path / "other.safetensors", "timbre_teacher": tmp_path / "small.safetensors"}
        train(replace(settings, steps=1), _run(bank, tmp_path / "two", **both))
        found = float(next(csv.DictReader((tmp_path / "two" / "log.csv").open()))["embedding"])
        assert found == pytest.approx(first, rel=1e-3)
        # With the notes frozen its branch alone learns, from the teacher's embedding alone.
        train(replace(settings, freeze_notes=True), _run(bank, tmp_path / "branch", **taught))
        rows = list(csv.DictReader((tmp_path / "branch" / "log.csv").open()))
        assert "teacher" not in rows[-1] and 0.0 < float(rows[-1]["embedding"]) < 0.8 * first


def test_two_stages_begin_with_few_timbres_and_parts(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Bank.open(bank)
    few = Mixer(opened, Mixing(clip_s=1.0, parts=(0.5, 0.5)), seed=3, timbres=2)
    clips = [few.clip(i) for i in range(20)]
    assert {int(t) for clip in clips for t in clip.timbres} == {0, 1} and len(few._names) == 2
    asked: list[tuple[int, bool]] = []
    original = loop.open_stream

    def spy(settings: Training, run: Run, fabric: object, step: int, few: bool) -> object:
        asked.append((step, few))
        return original(settings, run, fabric, step, few)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "open_stream", spy)
    settings = replace(TINY, steps=4, stages=2, first_stage=0.5, first_stage_timbres=2)
    train(settings, _run(bank, tmp_path))
    train(replace(settings, steps=5), _run(bank, tmp_path, resume=True))
    assert asked == [(0, True), (2, False), (4, False)]


def test_stems_can_be_left_out_by_family_source_and_score(bank: Path, tmp_path: Path) -> None:
    opened = Bank.open(bank)
    # Programs of 0 and more are soundfonts'; this bank has nothing else, and nothing but random scores.
    for leave_out in (LeaveOut(sources=frozenset({"soundfont"})), LeaveOut(scores=frozenset({"random"}))):
        with pytest.raises(DataError, match="left out"):
            Mixer(opened, Mixing(clip_s=1.0), leave_out=leave_out)
    opened.stems = [
        replace(s, source="guitarset", timbre="guitarset:01") if s.timbre == "test:1" else s for s in opened.stems
    ]
    opened.stems = [replace(s, kind="music") if s.timbre == "test:2" else s for s in opened.stems]
    opened.stems = [replace(s, program=-1) if s.timbre == "test:3" else s for s in opened.stems]
    for name, gone in {"real": "guitarset:01", "guitarset": "guitarset:01", "recorded": "test:3"}.items():
        mixer = Mixer(opened, Mixing(clip_s=1.0), leave_out=LeaveOut(sources=frozenset({name})))
        assert set(mixer._names) == {"test:0", "guitarset:01", "test:2", "test:3"} - {gone}
    music = Mixer(opened, Mixing(clip_s=1.0), leave_out=LeaveOut(scores=frozenset({"random"})))
    assert music._names == ["test:2"]
    with pytest.raises(DataError, match=r"no source 'fluidr4' .* recorded"):
        train(TINY, _run(bank, tmp_path, leave_out=LeaveOut(sources=frozenset({"fluidr4"}))))


def test_ends_that_calibration_looks_at_are_those_that_the_decoder_means() -> None:
    sound = Notes.build([0.0, 1.0], [0.9, 1.2], [60, 62])
    key = replace(sound, offset=np.array([0.5, 1.6]))
    posteriors = Posteriors(*(np.zeros((88, 4), np.float32),) * 2, np.zeros((306, 4), np.uint8), 0.5, 2.0)
    example = Example(posteriors, sound, key)
    assert example.ending("sound").offset.tolist() == [0.9, 1.2]
    assert example.ending("key").offset.tolist() == [0.5, 1.6]
    assert example.ending("auto").offset == pytest.approx([0.52, 1.2])
    assert Example(posteriors, sound).ending("auto") is sound


def test_teachers_with_nothing_to_teach_are_refused_in_one_sentence(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["train", "--config", "base", "--bank", str(bank), "--out", str(tmp_path / "run"), "--steps", "1"]
    assert main([*run, "--timbre-teacher", "base.safetensors"]) == 1
    assert "goes with a --teacher" in capsys.readouterr().err
    assert main([*run, "--freeze-notes", "--teacher", "base.safetensors"]) == 1
    assert "embedding_weight above 0" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
