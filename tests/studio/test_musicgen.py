"""Fine-tuning and generation, with the real classes and a random tiny network."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="torch is not installed (amtsep[studio])")
pytest.importorskip("transformers", reason="transformers is not installed (amtsep[studio])")
pytest.importorskip("peft", reason="peft is not installed (amtsep[studio])")

import torch

from amtsep import cli
from amtsep.errors import Cancelled, DataError, ModelError
from amtsep.notes import Notes
from amtsep.studio import musicgen, tuning
from amtsep.studio.config import SampleSettings, TuneSettings
from amtsep.studio.musicgen import codec_mark, codes_of, delayed, load, write_tiny
from amtsep.studio.sampling import generate, generate_codes, melody_chroma
from amtsep.studio.tuning import Item, chosen, gradients, loss_of, prepare, read_items, tune

SETTINGS = TuneSettings(
    steps=6, batch_size=2, accumulate=2, learning_rate=3e-3, warm_up=2, checkpoint_every=3, validate_every=3, rank=4
)
SAMPLE = SampleSettings(seconds=1.0, window_s=2.0, overlap_s=0.6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "net")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of a second or so, of different lengths."""
    root = tmp_path_factory.mktemp("corpus")
    (root / "audio").mkdir()
    rows = []
    for i in range(4):
        t = np.arange(8000 + 1600 * i) / 8000
        soundfile.write(root / "audio" / f"{i}.wav", 0.4 * np.sin(2 * np.pi * 220 * (i + 1) * t), 8000)
        split = "validation" if i == 3 else "train"
        caption = f"piece {('one', 'two', 'three', 'slow')[i]}"
        rows.append({"audio": f"audio/{i}.wav", "caption": caption, "split": split})
    (root / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return root


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A network of no size is slower with several, and far slower beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def made_up(seed: int, steps: int) -> Item:
    codes = torch.from_numpy(np.random.default_rng(seed).integers(0, 1024, (4, steps)))
    return Item(f"piece {'one' if seed else 'two'}", codes)


def grads(tiny: Path, items: list[Item], batches: list[list[int]]) -> dict[str, Any]:
    network = load(str(tiny))
    model = prepare(network, replace(SETTINGS, full=True))
    gradients(model, network, items, batches, replace(SETTINGS, drop_text=0.0), 0)
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_the_delay_pattern_is_the_networks_own(tiny: Path) -> None:
    network = load(str(tiny))
    codes = made_up(1, 7).codes
    given, target = delayed([codes], network.pad)
    _, pattern = network.model.decoder.build_delay_pattern_mask(
        torch.cat([torch.full((4, 1), network.pad), codes], 1), pad_token_id=network.pad, max_length=7 + 4
    )
    assert torch.equal(torch.cat([given[0, :, :1], target[0].masked_fill(target[0] == -100, network.pad)], 1), pattern)
    assert torch.equal(given[0], pattern[:, :-1])
    assert int((delayed([codes, codes[:, :3]], network.pad)[1][1] != -100).sum()) == 3 * 4


def test_every_item_of_a_batch_is_in_the_loss(tiny: Path) -> None:
    network = load(str(tiny))
    one, two, other = made_up(1, 9), made_up(2, 6), made_up(3, 6)
    with torch.no_grad():
        both, count = loss_of(network.model, network, [one, two])
        alone = [loss_of(network.model, network, [item]) for item in (one, two)]
        changed, _ = loss_of(network.model, network, [one, other])
    assert count == 4 * 15 == sum(n for _, n in alone)
    assert float(both) == pytest.approx(sum(float(loss) for loss, _ in alone), rel=1e-4)
    assert abs(float(changed - both)) > 1e-3


def test_gradients_are_really_accumulated(tiny: Path) -> None:
    items = [made_up(1, 9), made_up(2, 6)]
    together, apart = grads(tiny, items, [[0, 1]]), grads(tiny, items, [[0], [1]])
    last_only = grads(tiny, items, [[1]])
    assert together.keys() == apart.keys() and len(together) > 10
    for name, gradient in together.items():
        assert torch.allclose(apart[name], gradient, atol=1e-6, rtol=1e-3), name
    assert any(not torch.allclose(last_only[n], g, atol=1e-4, rtol=1e-2) for n, g in together.items())


def test_every_item_comes_before_any_comes_again() -> None:
    settings = TuneSettings(batch_size=2, accumulate=2, seed=3)
    seen = [i for step in range(3) for own in chosen(6, settings, step) for i in own]
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))


def test_only_low_rank_additions_learn_and_they_are_where_they_should_be(tiny: Path) -> None:
    model = prepare(load(str(tiny)), SETTINGS)
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    assert all("lora_" in n for n in names)
    for part in ("self_attn.q_proj", "encoder_attn.v_proj", "out_proj", "fc1", "fc2", "lm_heads.3", "embed_tokens.0"):
        assert any(part in n for n in names), part
    assert not any(n for n in names if "text_encoder" in n or "audio_encoder" in n)


def test_a_resumed_training_equals_one_that_was_not_interrupted(tiny: Path, corpus: Path, tmp_path: Path) -> None:
    tune(str(tiny), corpus, tmp_path / "whole", SETTINGS)
    tune(str(tiny), corpus, tmp_path / "parts", SETTINGS, watch=lambda step, figures: step < 4)
    with pytest.raises(DataError, match="--resume"):
        tune(str(tiny), corpus, tmp_path / "parts", SETTINGS)
    with pytest.raises(DataError, match="other settings"):
        tune(str(tiny), corpus, tmp_path / "parts", replace(SETTINGS, learning_rate=1.0), resume=True)
    tune(str(tiny), corpus, tmp_path / "parts", SETTINGS, resume=True)
    one, two = (torch.load(tmp_path / n / tuning.STATE, weights_only=True) for n in ("whole", "parts"))
    assert one["step"] == two["step"] == 6
    assert all(torch.equal(one["weights"][name], two["weights"][name]) for name in one["weights"])
    logs = [list(csv.DictReader((tmp_path / n / "log.csv").open(encoding="utf-8"))) for n in ("whole", "parts")]
    assert logs[0] == logs[1] and len(logs[0]) == 6 and logs[0][2]["validation"] and not logs[0][0]["validation"]


def test_it_learns_one_clip_by_heart_and_what_it_learned_is_sampled(tiny: Path, corpus: Path, tmp_path: Path) -> None:
    only = tmp_path / "only"
    (only / "audio").mkdir(parents=True)
    (only / "audio" / "0.wav").write_bytes((corpus / "audio" / "0.wav").read_bytes())
    (only / "manifest.jsonl").write_text((corpus / "manifest.jsonl").read_text(encoding="utf-8").splitlines()[0])
    losses = []
    settings = replace(SETTINGS, steps=10, batch_size=1, accumulate=1, learning_rate=2e-2, full=True, drop_text=0.0)
    tune(str(tiny), only, tmp_path / "full", settings, watch=lambda step, f: losses.append(f["loss"]))
    assert losses[-1] < 0.9 * losses[0]
    adapter = tune(str(tiny), corpus, tmp_path / "lora", replace(SETTINGS, learning_rate=5e-2))
    with pytest.raises(DataError, match="is an adapter"):
        tune(str(adapter), corpus, tmp_path / "more", SETTINGS)
    for path in (tmp_path / "full" / "model", adapter):
        sound = generate(load(str(path)), "piece one", SAMPLE)
        assert sound.duration_s == pytest.approx(1.0, abs=0.05) and np.isfinite(sound.samples).all()
    tuned, before = (generate_codes(load(str(p)), "piece one", SAMPLE) for p in (adapter, tiny))
    assert not torch.equal(tuned, before)


def test_codes_are_computed_once(tiny: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMTSEP_CACHE", str(tmp_path))
    network = load(str(tiny))
    first = read_items(corpus, network)
    assert [len(first[name]) for name in ("train", "validation")] == [3, 1]
    assert first["train"][0].codes.shape == (4, 25) and first["train"][0].text == "piece one"

    def unused(*rest: object, **named: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(musicgen, "load_audio", unused)
    again = codes_of(network, corpus / "audio" / "0.wav", codec_mark(network), SampleSettings.window_s)
    assert torch.equal(again, first["train"][0].codes)


def test_the_same_seed_gives_the_same_and_long_pieces_are_continued(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load(str(tiny))
    prompts: list[int] = []
    real = network.model.generate

    def spying(**given: Any) -> Any:
        prompts.append(given["decoder_input_ids"].shape[1] if "decoder_input_ids" in given else 0)
        return real(**given)

    monkeypatch.setattr(network.model, "generate", spying, raising=False)
    long = replace(SAMPLE, seconds=4.5)
    one = generate_codes(network, "slow music", long)
    # 25 steps a second, windows of 50 with 15 of the one before.
    assert one.shape == (4, 112) and prompts == [0, 15, 15]
    assert torch.equal(one, generate_codes(network, "slow music", long))
    assert not torch.equal(one, generate_codes(network, "slow music", replace(long, seed=1)))
    # A shorter piece begins as the longer one does: the windows before are not touched by those behind.
    assert torch.equal(one[:, :50], generate_codes(network, "slow music", replace(long, seconds=2.0)))
    audio = generate(network, "slow music", long)
    assert audio.duration_s == pytest.approx(4.48, abs=0.05) and audio.sample_rate == 8000


def test_a_melody_of_ours_leads_a_melody_network(tiny: Path, tmp_path: Path) -> None:
    melody = load(str(write_tiny(tmp_path / "melody", melody=True)))
    one = Notes.build([0.0, 0.5], [0.5, 1.0], [60, 64])
    two = Notes.build([0.0, 0.5], [0.5, 1.0], [62, 69])
    codes = [generate_codes(melody, "music", replace(SAMPLE, guidance=1.0), notes) for notes in (one, two, one)]
    assert torch.equal(codes[0], codes[2]) and not torch.equal(codes[0], codes[1])
    with pytest.raises(ModelError, match="takes no melody"):
        generate_codes(load(str(tiny)), "music", SAMPLE, one)


def test_a_melody_leads_under_guidance_and_over_several_windows(tmp_path: Path) -> None:
    melody = load(str(write_tiny(tmp_path / "melody", melody=True)))
    with torch.no_grad():  # random weights hardly listen: louder, the melody is heard in every code
        melody.model.audio_enc_to_dec_proj.weight.mul_(50)
    at = np.arange(8) * 0.5
    one, two = (Notes.build(at, at + 0.5, 60 + np.array(steps)) for steps in ([0, 2, 4, 5] * 2, [1, 3, 6, 8] * 2))
    # The second tune is the first one for two seconds: up to there, both sound alike.
    late = Notes.build(at, at + 0.5, np.concatenate([one.pitch[:4], two.pitch[4:]]))
    long = replace(SAMPLE, seconds=3.4, guidance=3.0)
    codes = [generate_codes(melody, "music", long, notes) for notes in (one, two, late, one)]
    assert torch.equal(codes[0], codes[3]) and codes[0].shape == (4, 85)
    assert not torch.equal(codes[0][:, :50], codes[1][:, :50])
    # A window hears the melody of its own time: the second one begins at 1.4 s with what was made before.
    assert torch.equal(codes[0][:, :50], codes[2][:, :50]) and not torch.equal(codes[0][:, 50:], codes[2][:, 50:])


def test_generation_tells_how_far_it_is_and_ends_when_asked(tiny: Path) -> None:
    seen: list[tuple[float, float]] = []
    generate_codes(load(str(tiny)), "music", replace(SAMPLE, seconds=3.0), progress=lambda *at: seen.append(at))
    assert len(seen) > 60 and seen[-1] == (3.0, 3.0) and [s for s, _ in seen] == sorted(s for s, _ in seen)
    with pytest.raises(Cancelled):
        generate_codes(load(str(tiny)), "music", SAMPLE, progress=lambda done, _: done < 0.5)


def test_melody_is_the_highest_note_and_rests_hold_it() -> None:
    notes = Notes.build([0.0, 0.0, 1.0], [0.5, 0.5, 1.5], [48, 64, 69])
    chroma = melody_chroma(notes, 0.0, 2.0, hop_s=0.25)
    assert chroma.argmax(axis=1).tolist() == [4, 4, 4, 4, 9, 9, 9, 9] and (chroma.sum(axis=1) == 1).all()
    assert melody_chroma(notes, 5.0, 0.5, hop_s=0.25).argmax(axis=1).tolist() == [9, 9]
    with pytest.raises(DataError, match="no melody"):
        melody_chroma(Notes.empty(), 0.0, 1.0)


def test_the_commands_train_sample_and_give_notes(
    tiny: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, wav = tmp_path / "tuned", tmp_path / "new.wav"
    words = ["--model", str(tiny), "--steps", "2", "--batch-size", "1", "--accumulate", "1"]
    assert cli.main(["generate", "train", str(corpus), "-o", str(out), *words]) == 0
    assert "terms of the weights" in capsys.readouterr().out and (out / "events").is_dir()
    notes = Notes.build([0.0], [0.5], [60])
    monkeypatch.setattr("amtsep.pipeline.separate", lambda path: notes)
    said = ["generate", "sample", "piece one", "--model", str(out / "adapter"), "-o", str(wav), "--seconds", "1"]
    assert cli.main([*said, "--notes"]) == 0
    assert soundfile.info(wav).duration == pytest.approx(1.0, abs=0.05) and Notes.from_midi(wav.with_suffix(".mid"))
    assert cli.main(["generate", "sample", "x", "--model", str(tmp_path / "absent")]) == 1
    assert "cannot be had" in capsys.readouterr().err
    assert musicgen.terms("facebook/musicgen-small").startswith("CC BY-NC")
