"""Training of sequence networks, through the same command and loop as all others."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric (pip install 'amtsep[train]')")

from amtsep.cli import main  # noqa: E402
from amtsep.config import SEQUENCES, FrontEnd, Mixing, Training  # noqa: E402
from amtsep.errors import DataError  # noqa: E402
from amtsep.sequence import Vocabulary, decode  # noqa: E402
from amtsep.sequence.checkpoint import load_sequence  # noqa: E402
from amtsep.sequence.files import is_sequence  # noqa: E402
from amtsep.training import sequence  # noqa: E402
from amtsep.training.loop import Run, train  # noqa: E402
from amtsep.training.sequence import LEAD_S, BankSource, ReaderSource, collate, weights_of  # noqa: E402

# On the small trunk, and with as little else as there can be: seconds on two cores.
NETWORK = replace(
    SEQUENCES["sequence-tiny"], trunk="light", channels=2, width=32, heads=2, feed_forward=32, encoder_layers=1,
    decoder_layers=1, dropout=0.0, max_tokens=40,
)  # fmt: skip
TINY = Training(
    network="sequence-tiny", optimizer="adamw", learning_rate=1e-2, steps=4, batch_size=1, workers=0, warm_up=1,
    checkpoint_every=2, evaluate_every=4, dev_clips=1, ema_decay=0.5, mixing=Mixing(clip_s=2.1, augment=False),
)  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SEQUENCES, "sequence-tiny", NETWORK)


def test_a_batch_holds_the_notes_of_its_clips(bank: Path) -> None:
    source = BankSource(bank, Mixing(clip_s=2.9, augment=False), FrontEnd(), "slots", 3, "train")
    clips = [source.clip(index) for index in range(4)]
    batch = collate(clips, replace(NETWORK, max_tokens=400), FrontEnd(), np.random.default_rng(0))
    vocabulary = Vocabulary("slots")
    assert batch.start.shape == (4, 1) and len(batch.tokens) == 4
    for (_, notes), start, tokens in zip(clips, (batch.start[:, 0] / 22050).tolist(), batch.tokens.tolist()):
        found = decode([[t for t in tokens if t]], vocabulary)
        inside = (notes.onset >= LEAD_S + start) & (notes.onset < LEAD_S + start + vocabulary.segment_s - 0.01)
        pairs = list(zip(notes.onset[inside] - LEAD_S - start, notes.pitch[inside]))
        assert pairs
        for onset, pitch in pairs:
            near = np.abs(found.onset[found.pitch == pitch] - onset)
            assert len(near) and near.min() <= 0.0051


def test_it_trains_resumes_as_if_it_had_not_been_cut_and_tells_what_it_is(bank: Path, tmp_path: Path) -> None:
    run = Run(bank, tmp_path / "whole", accelerator="cpu", precision="32-true")
    monkey = pytest.MonkeyPatch()
    # The schedule would differ between the two lengths; nothing else may.
    monkey.setattr("amtsep.training.loop.schedule", lambda *_: 1.0)
    try:
        train(TINY, run)
        cut = replace(run, out=tmp_path / "cut")
        train(replace(TINY, steps=2, dev_clips=0), cut)
        train(replace(TINY, dev_clips=0), replace(cut, resume=True))
    finally:
        monkey.undo()
    whole, info = load_sequence(tmp_path / "whole" / "last.safetensors")
    again, _ = load_sequence(tmp_path / "cut" / "last.safetensors")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert is_sequence(tmp_path / "whole" / "best.safetensors") and info["step"] == 4
    (row,) = csv.DictReader((tmp_path / "whole" / "log.csv").open())
    assert (
        float(row["loss"]) > 0.0 and 0.0 <= float(row["dev_f1"]) <= 1.0 and 0.0 <= float(row["token_accuracy"]) <= 1.0
    )


def test_it_learns_a_clip_by_heart(bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = BankSource(bank, TINY.mixing, FrontEnd(normalisation="running"), "slots", 1, "train").clip(0)
    monkeypatch.setattr(BankSource, "clip", lambda *_: clip)
    losses: list[float] = []
    settings = replace(TINY, steps=60, dev_clips=0, label_smoothing=0.0)
    run = Run(bank, tmp_path, accelerator="cpu", precision="bf16-mixed")
    train(settings, run, lambda _, values: losses.append(values["loss"]))
    assert losses[-1] < 0.5 * losses[0]


def test_sources_are_drawn_by_size_to_a_power_and_evaluation_data_is_refused(tmp_path: Path) -> None:
    class Hours:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def clip(self, index: int) -> tuple:
            raise AssertionError

    assert weights_of([Hours(300.0), Hours(100.0)], 1.0).tolist() == pytest.approx([0.75, 0.25])
    assert weights_of([Hours(300.0), Hours(100.0)], 0.0).tolist() == pytest.approx([0.5, 0.5])
    assert weights_of([Hours(1000.0), Hours(1.0)], 0.3)[1] > 0.1
    folder = tmp_path / "bach10" / "train"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match="evaluation data"):
        ReaderSource("bach10", folder, 22050, FrontEnd(), 0)


def test_a_source_gives_windows_with_their_notes(tmp_path: Path, bank: Path) -> None:
    import soundfile

    folder = tmp_path / "guitarset" / "train"
    folder.mkdir(parents=True)
    time = np.arange(4 * 22050) / 22050
    soundfile.write(folder / "00_take.ogg", 0.3 * np.sin(2 * np.pi * 440 * time) * (time % 1 < 0.5), 22050)
    rows = "".join(f"{k}.0\t{k}.5\t69\t80\n" for k in range(4))
    (folder / "00_take.tsv").write_text(rows)
    # A take whose labels are known not to fit.
    soundfile.write(folder / "01_Rock3-148-C_comp_mic.ogg", 0.0 * time, 22050)
    (folder / "01_Rock3-148-C_comp_mic.tsv").write_text(rows)
    source = ReaderSource("guitarset", folder.parent, 2 * 22050, FrontEnd(normalisation="running"), 0)
    assert [recording.name for recording in source.found] == ["00_take"]
    audio, notes = source.clip(0)
    assert len(audio) == 2 * 22050 and source.seconds == pytest.approx(3.5)
    level = np.abs(audio[: len(audio) // 100 * 100]).reshape(-1, 100).max(axis=1)
    inside = notes.select((notes.onset > LEAD_S + 0.1) & (notes.onset < LEAD_S + 1.7))
    assert len(inside)
    for onset in inside.onset - LEAD_S:
        at = int(onset * 220.5)
        assert level[at + 10] > 5 * level[at - 10]


def test_the_command_refuses_what_does_not_fit(bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--bank", str(bank), "--out", str(tmp_path / "run"), "--accelerator", "cpu", "--steps", "1"]
    assert main(["train", "--config", "sequence-tiny", *out, "--teacher", "base.safetensors"]) == 1
    assert "sequence network" in capsys.readouterr().err
    assert main(["train", "--config", "light", *out[:3], str(tmp_path / "two"), "--source", "guitarset=x"]) == 1
    assert "--source is for sequence networks" in capsys.readouterr().err
    assert main(["train", "--config", "sequence-tiny", *out, "--source", "guitarset"]) == 2
    assert sequence.program_of(-1, "violin") == 40 and sequence.program_of(-2, "synth-pad") is None
