"""The drum network from its command: seconds, on tones and clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (pip install 'amtsep[train]')")
pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric (pip install 'amtsep[train]')")

from amtsep.nets.drums import load_drums  # noqa: E402
from amtsep.synthesis.bank import DRUMS, NOTE_DTYPE, BankWriter, Stem  # noqa: E402
from amtsep.training.drums import main  # noqa: E402

RATE = 22050


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tone again and again and a stem of clicks for either split."""
    folder = tmp_path_factory.mktemp("kit")
    n = 7 * RATE
    with BankWriter(folder, RATE, n, 0) as writer:
        for split in ("train", "dev"):
            tone, notes, clicks, strokes = np.zeros(n), [], np.zeros(n), []
            for start in np.arange(0.1, 6.4, 0.5):
                time = np.arange(int(0.4 * RATE)) / RATE
                tone[int(start * RATE) :][: len(time)] = 0.3 * np.sin(2 * np.pi * 440 * time)
                notes.append((0, start, start + 0.4, 69, 80, start + 0.3))
                clicks[int((start + 0.2) * RATE) :][:400] = np.random.default_rng(1).normal(0.0, 0.2, 400)
                strokes.append((0, start + 0.2, start + 0.25, 38, 80, start + 0.25))
            about = ("random", None, 0, split, False)
            stem = Stem("test:tone", "tone", "synth", "test", 80, *about)
            writer.append((tone * 32767).astype(np.int16), np.array(notes, NOTE_DTYPE), stem)
            drums = Stem("drums:kit", "kit", DRUMS, DRUMS, 0, *about)
            writer.append((clicks * 32767).astype(np.int16), np.array(strokes, NOTE_DTYPE), drums)
    return folder


def test_it_is_trained_goes_on_and_runs(kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "drums.safetensors"
    brief = ["--bank", str(kit), "--minutes", "0.001", "--dev-clips", "1"]
    assert main([*brief, "--out", str(out)]) == 0
    assert out.with_suffix(".onnx").is_file() and "'snare'" in capsys.readouterr().out
    heard = load_drums(out)(torch.zeros(1, 256 * 40))
    assert heard.shape[:2] == (1, 5) and bool(((heard >= 0) & (heard <= 1)).all())
    assert main([*brief, "--out", str(tmp_path / "more.safetensors"), "--init", str(out)]) == 0
    # With nothing learned, going on would have begun from chance again.
    first, then = (load_drums(path).net for path in (out, tmp_path / "more.safetensors"))
    steps = [float((a - b).detach().abs().max()) for a, b in zip(first.parameters(), then.parameters())]
    assert 0.0 < max(steps) < 0.05


def test_a_bank_without_drums_is_answered_in_a_sentence(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--bank", str(bank), "--minutes", "0.001", "--out", str(tmp_path / "d.safetensors")]) == 1
    assert "has no drums" in capsys.readouterr().err and not list(tmp_path.iterdir())
