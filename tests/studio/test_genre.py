"""Genres told apart on sounds made for the purpose: no leak, an honest page, answers that may be 'unknown'."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="torch is not installed (amtsep[studio])")
pytest.importorskip("librosa", reason="librosa is not installed (amtsep[studio])")
pytest.importorskip("sklearn", reason="scikit-learn is not installed (amtsep[studio])")

import torch

from amtsep import cli
from amtsep.errors import Cancelled, DataError, ModelError
from amtsep.studio import genre_data
from amtsep.studio.config import GenreSettings
from amtsep.studio.genre import (
    Classifier,
    at_temperature,
    calibrated_loss,
    calibration_error,
    confusion,
    fit_temperature,
    rejection_threshold,
    train,
)
from amtsep.studio.genre_data import features, read_examples
from amtsep.studio.genre_report import text
from amtsep.studio.splitting import groups_of

RATE = 22_050
SETTINGS = GenreSettings(segment_s=1.0, epochs=12, channels=(8, 8, 8, 8), dense=16, batch_size=16)


def sound(kind: str, seed: int, seconds: float = 3.0) -> np.ndarray:
    """Noise in bursts, a low buzz, or high bells."""
    rng, t = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    f = rng.uniform(0.9, 1.1)
    if kind == "noise":
        return (0.2 * rng.standard_normal(len(t)) * (np.sin(2 * np.pi * 3 * f * t) > 0)).astype(np.float32)
    if kind == "buzz":
        return (0.2 * np.sign(np.sin(2 * np.pi * 80 * f * t)) + 0.002 * rng.standard_normal(len(t))).astype(np.float32)
    bell = np.sin(2 * np.pi * 1500 * f * t) * np.exp(-4 * (t % 0.5))
    return (0.3 * bell + 0.002 * rng.standard_normal(len(t))).astype(np.float32)


@pytest.fixture(scope="module")
def gtzan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gtzan")
    for number, kind in enumerate(("noise", "buzz", "bells")):
        (root / kind).mkdir()
        for i in range(8):
            soundfile.write(root / kind / f"{kind}.{i:05d}.wav", sound(kind, 100 * number + i), RATE)
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def test_both_learn_what_is_easy_and_predict_says_so(
    gtzan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = read_examples(gtzan, SETTINGS)
    classifier, outcomes, curves = train(examples, SETTINGS)
    tested = {o.kind: o for o in outcomes if o.split == "test"}
    assert all(o.accuracy(classifier.genres) >= 0.8 for o in tested.values())
    assert curves[-1]["train"] < curves[0]["train"]
    table = confusion(tested["cnn"], classifier.genres)
    assert table.shape == (3, 4) and table.sum() == len(tested["cnn"].truth) == 6
    path = classifier.save(tmp_path / "genre.safetensors")
    again = Classifier.load(path)
    one = features(gtzan / "buzz" / "buzz.00000.wav", SETTINGS)
    for kind in ("cnn", "baseline"):
        assert np.allclose(again.probabilities([one], kind), classifier.probabilities([one], kind), atol=1e-6)
    (tmp_path / "new.wav").write_bytes((gtzan / "buzz" / "buzz.00000.wav").read_bytes())
    assert cli.main(["genre", "predict", str(path), str(tmp_path / "new.wav"), "--json", "--baseline"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert max(said["probabilities"], key=said["probabilities"].get) == "buzz"
    assert cli.main(["genre", "predict", str(path), str(tmp_path / "absent.wav")]) == 1
    assert "absent.wav" in capsys.readouterr().err
    guess, probability = again.guess(tmp_path / "new.wav")
    assert guess in (*classifier.genres, "unknown") and 0 < probability <= 1


def test_train_command_writes_a_page_that_says_what_it_is_of(
    gtzan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed")
    monkeypatch.setattr("amtsep.studio.genre_cli.DEFAULT", SETTINGS)
    assert cli.main(["genre", "train", str(gtzan), "-o", str(tmp_path / "g"), "--epochs", "2"]) == 0
    out = capsys.readouterr().out
    page = (tmp_path / "g" / "genre.html").read_text(encoding="utf-8")
    assert "| baseline | test |" in out and "<td>baseline</td><td>test</td>" in page
    assert "answers by truth" in page and "calibration" in page
    assert "synthetic" not in out


def test_a_resumed_training_equals_one_that_was_not_interrupted(gtzan: Path, tmp_path: Path) -> None:
    settings, state = replace(SETTINGS, epochs=5, least_gain=0.0), tmp_path / "training.pt"
    examples = read_examples(gtzan, settings)
    whole, _, curves = train(examples, settings)
    with pytest.raises(DataError, match="no training to go on with"):
        train(examples, settings, None, state, True)
    with pytest.raises(Cancelled):
        train(examples, settings, lambda what, done, total: what != "epochs" or done < 2, state)
    with pytest.raises(DataError, match="other recordings or settings"):
        train(examples, replace(settings, dropout=0.0), None, state, True)
    epochs = []
    parts, _, again = train(examples, settings, lambda what, n, total: epochs.append(n), state, True)
    assert epochs[-3:] == [3, 4, 5] and again == curves
    one, two = (c.parts["cnn"].tensors for c in (whole, parts))
    assert all(torch.equal(one[name], two[name]) for name in one) and parts.parts["cnn"].threshold == (
        whole.parts["cnn"].threshold
    )
    assert not state.exists()


def test_synthetic_data_is_called_so(gtzan: Path) -> None:
    examples = [replace(e, synthetic=True) for e in read_examples(gtzan, SETTINGS)]
    classifier, outcomes, _ = train(examples, replace(SETTINGS, epochs=1))
    assert "synthetic audio" in text(classifier, outcomes)


def test_no_work_and_no_artist_is_on_two_sides(tmp_path: Path) -> None:
    for genre in ("a", "b"):
        for artist in range(6):
            for take in range(3):
                path = tmp_path / genre / f"{genre} artist {artist}" / f"song {take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    examples = read_examples(tmp_path, SETTINGS)
    for artist in {e.path.parent.name for e in examples}:
        assert len({e.split for e in examples if e.path.parent.name == artist}) == 1
    assert {e.split for e in examples if e.genre == "a"} == {"train", "validation", "test"}


def test_a_corpus_is_split_as_its_manifest_says(tmp_path: Path) -> None:
    rows = [
        {"audio": f"audio/{genre}{i}.flac", "genre": genre, "genre_by": "folder", "work": f"{genre} {i}", "artist": "",
         "rendered": True, "split": ("train", "test", "validation", "train", "train")[i]}
        for genre in ("a", "b") for i in range(5)
    ]  # fmt: skip
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    examples = read_examples(tmp_path, SETTINGS)
    assert [e.split for e in examples] == [row["split"] for row in rows]
    assert all(e.synthetic for e in examples)


def test_artists_divide_no_label_that_has_too_few_of_them() -> None:
    works, labels = [f"w{i}" for i in range(8)], ["a"] * 4 + ["b"] * 4
    known = ["ann", "ann", "bob", "cy", "di", "di", "ed", ""]
    assert groups_of(works, known, labels) == ["w0", "w0", "w2", "w3", "w4", "w4", "w6", "w7"]
    assert groups_of(works, ["ann"] * 4 + ["bob"] * 4, labels) == works


def test_fma_is_read_by_its_table(tmp_path: Path) -> None:
    lines = ["track_id,track,track,artist", ",genre_top,title,id", "track_id,,,"]
    # Headings as FMA has them: the first column has no name.
    lines[0] = ",track,track,artist"
    for number in range(12):
        (tmp_path / "000").mkdir(exist_ok=True)
        (tmp_path / "000" / f"{number:06d}.mp3").touch()
        lines.append(f"{number},{'Rock' if number % 2 else 'Jazz'},t{number},{number // 2 % 3 * 2 + number % 2}")
    (tmp_path / "tracks.csv").write_text("\n".join(lines), encoding="utf-8")
    examples = read_examples(tmp_path, SETTINGS)
    assert len(examples) == 12 and {e.genre for e in examples} == {"rock", "jazz"}
    assert len({e.group for e in examples}) == 6


def test_features_are_computed_once_and_a_damaged_cache_is_made_anew(
    gtzan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path))
    path = gtzan / "bells" / "bells.00001.wav"
    first = features(path, SETTINGS)
    assert first.segments.shape[1:] == (20, 43) and np.isfinite(first.statistics).all()

    def unused(*rest: object, **named: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr(genre_data, "load_audio", unused)
        assert np.array_equal(features(path, SETTINGS).segments, first.segments)
    for file in (tmp_path / "mfcc").glob("*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    assert np.array_equal(features(path, SETTINGS).segments, first.segments)


def test_calibration_and_rejection() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    # Sure of itself four times too much: right in about six of ten.
    logits = np.log(np.full((400, 3), 0.2))
    seen = np.where(rng.random(400) < 0.6, truth, (truth + 1) % 3)
    logits[np.arange(400), seen] = np.log(0.6)
    logits *= 4
    temperature = fit_temperature(logits, truth)
    good = logits.argmax(axis=1) == truth
    assert 3 < temperature < 5.5
    assert calibration_error(at_temperature(logits, temperature), good) < 0.05
    assert calibration_error(at_temperature(logits, 1.0), good) > 0.3
    # Being too sure costs nothing that calibration mends.
    assert calibrated_loss(logits, truth) == pytest.approx(calibrated_loss(logits / 4, truth), abs=1e-3)
    sure = np.array([[0.9, 0.1], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8]])
    assert rejection_threshold(sure, np.array([0, 0, 1, 1]), 0.95) == 0.6
    assert rejection_threshold(sure[:0], np.zeros(0, int), 0.95) == 0.0


def test_without_recordings_to_choose_by_one_still_learns(gtzan: Path) -> None:
    examples = [replace(e, split="train") for e in read_examples(gtzan, SETTINGS)]
    classifier, outcomes, _ = train(examples, replace(SETTINGS, epochs=2))
    assert not outcomes and {part.temperature for part in classifier.parts.values()} == {1.0}


def test_too_little_data_and_a_wrong_model_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "rock").mkdir()
    (tmp_path / "rock" / "a.wav").touch()
    with pytest.raises(DataError, match="it has: rock 1"):
        read_examples(tmp_path, SETTINGS)
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="no genre classifier"):
        Classifier.load(tmp_path / "x.safetensors")
