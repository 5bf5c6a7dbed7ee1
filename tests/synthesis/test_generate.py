"""The whole way to a bank: from the seed to the same bits."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from amtsep.synthesis import cli, guitarset
from amtsep.synthesis.bank import PATCH_PROGRAM, Bank
from amtsep.synthesis.generate import Recipe, Sources, Voice, level, plan, synthesize
from amtsep.synthesis.instruments import HELD_OUT_PROGRAMS, general_midi
from amtsep.synthesis.mixing import kind_of
from amtsep.synthesis.music import Piece
from amtsep.synthesis.scores import SCORE_DTYPE


def _voices() -> list[Voice]:
    return [
        Voice(f"fluidr3:{i}", "fluidr3", v, i, i in HELD_OUT_PROGRAMS, v.weight)
        for i, v in enumerate(general_midi())
        if v.weight > 0
    ]


def _pieces() -> list[Piece]:
    out = []
    for k in range(24):
        parts = []
        for low in (72, 64, 55, 45):
            rows = [(0.4 * i, 0.4 * i + 0.35, low + (5 * i + k) % 12, 0) for i in range(100)]
            parts.append(np.array(rows, SCORE_DTYPE))
        out.append(Piece(f"p{k}", "", tuple(parts)))
    return out


def test_plan_keeps_held_out_timbres_and_pieces_out_of_training() -> None:
    voices = _voices()
    orders = plan(Recipe(hours=3), voices, _pieces())
    train, dev = [o for o in orders if o.split == "train"], [o for o in orders if o.split == "dev"]
    assert not any(voices[o.voice].held_out for o in train)
    assert {voices[o.voice].program for o in dev if voices[o.voice].held_out} == set(HELD_OUT_PROGRAMS)
    names = [{o.piece.split("@")[0] for o in part if o.piece} for part in (train, dev)]
    assert names[0] and names[1] and not names[0] & names[1]
    assert abs(len(orders) - 1200) < 15
    assert 0.04 < sum(voices[o.voice].held_out for o in orders) / len(orders) < 0.06
    music = [o for o in train if o.piece]
    assert 0.3 < len(music) / len(train) <= 0.55


def test_parts_of_a_piece_go_to_different_timbres_that_can_play_them() -> None:
    voices = _voices()
    pieces: dict[str, list] = {}  # type: ignore[type-arg]
    for order in plan(Recipe(hours=3), voices, _pieces()):
        if order.piece is not None and order.score is not None:
            pieces.setdefault(order.piece, []).append(order)
            instrument = voices[order.voice].instrument
            assert order.score["pitch"].min() >= instrument.low and order.score["pitch"].max() <= instrument.high
    assert all(len({o.voice for o in p}) == len(p) for p in pieces.values())
    assert np.mean([len(p) for p in pieces.values()]) > 2


def test_level_brings_any_stem_to_the_same_loudness_without_clipping() -> None:
    t = np.arange(9 * 22050) / 22050
    for gain in (1e-3, 5.0):
        whole = level((gain * np.sin(2 * np.pi * 440 * t)).astype(np.float32), 22050, -20.0)
        assert whole is not None
        assert 20 * np.log10(np.sqrt(np.mean((whole / 32768.0) ** 2))) == pytest.approx(-20, abs=0.2)
    click = np.zeros(9 * 22050, np.float32)
    click[::2205] = 1.0
    whole = level(click, 22050, -20.0)
    assert whole is not None and np.abs(whole.astype(int)).max() < 32768
    assert level(np.zeros(9 * 22050, np.float32), 22050, -20.0) is None


def test_a_bank_without_any_source_but_formulas(tmp_path: Path) -> None:
    """Synthetic timbres only: runs anywhere, and the seed decides every bit, however many processes work."""
    recipe = Recipe(hours=0.05, seed=3, synthetic=1.0, recorded=0.0)
    one = synthesize(tmp_path / "a", recipe, Sources(), jobs=1)
    two = synthesize(tmp_path / "b", recipe, Sources(), jobs=2)
    assert len(one) == len(two) >= 15
    assert np.array_equal(one.samples, two.samples) and np.array_equal(one.all_notes, two.all_notes)
    assert one.stems == two.stems
    for i in range(len(one)):
        audio, notes = one.audio(i) / 32768.0, one.notes(i)
        assert np.abs(audio).max() > 0.02 and len(notes) >= 3
        for note in notes:  # no label without sound
            a, b = int(note["onset"] * 22050), int(note["offset"] * 22050)
            assert np.sqrt(np.mean(audio[a:b] ** 2)) > 1e-4
    assert isinstance(Bank.open(tmp_path / "a"), Bank)


def test_a_cluster_renders_the_same_bank(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    recipe = Recipe(hours=0.02, seed=3, synthetic=1.0, recorded=0.0)
    one = synthesize(tmp_path / "a", recipe, Sources(), jobs=1)
    two = synthesize(tmp_path / "b", recipe, Sources(), jobs=2, dask="local:2")
    assert len(one) and one.stems == two.stems and np.array_equal(one.samples, two.samples)


def _collection(root: Path) -> Path:
    """Three patches of tones, one of them of a bank that is kept back, and one that was dropped."""
    from test_patches import played, tone

    from amtsep.synthesis import patches

    rows = []
    for k, bank in enumerate(("Organ", "Pads", "olivers-other")):
        known = patches.Description(f"p{k}", f"{bank}/{k}", f"family-{k}", "synth", 50, 80, k == 1)
        patch, notes = patches.survey(known, played(lambda p: tone(p), known))
        patches._write(root / patch.name, notes)
        rows.append(patch)
    rows.append(replace(rows[0], name="none", verdict="slow"))
    (root / patches.LIST).write_text("".join(json.dumps(asdict(r)) + "\n" for r in rows))
    return root


def test_patches_get_their_share_and_keep_what_is_held_out(tmp_path: Path) -> None:
    recipe = Recipe(hours=0.08, seed=1, synthetic=1.0, recorded=0.0, voices=0.0, patches=0.4, held_out=0.1)
    made = _collection(tmp_path / "zyn")
    bank = synthesize(tmp_path / "bank", recipe, Sources(patches={"zyn": made}), jobs=1)
    mine = [s for s in bank.stems if s.program == PATCH_PROGRAM]
    assert {s.timbre for s in mine} == {"zyn:p0", "zyn:p1", "zyn:p2"}
    assert 0.3 < np.mean([s.source == "zyn" for s in bank.stems if s.split == "train"]) < 0.5
    assert {(s.timbre, s.split) for s in mine if s.held_out} == {("zyn:p2", "dev")}
    assert {kind_of(s) for s in bank.stems} == {"patch", "synthetic"}
    for i, stem in enumerate(bank.stems):
        notes = bank.notes(i)
        if stem.timbre == "zyn:p1":
            assert np.all(notes["onset"][1:] >= notes["offset"][:-1] - 0.15)  # one voice


def test_singers_enter_a_bank_with_labels_on_their_sound(tmp_path: Path) -> None:
    bank = synthesize(tmp_path / "bank", Recipe(hours=0.04, seed=2, voices=1.0, dev=0.0), Sources(), jobs=1)
    assert len(bank) >= 10 and {kind_of(s) for s in bank.stems} == {"voice"}
    assert {s.category for s in bank.stems} == {"voice"}
    for i in range(len(bank)):
        audio, notes = bank.audio(i) / 32768.0, bank.notes(i)
        for note in notes:
            a, b = int(note["onset"] * 22050), int(note["offset"] * 22050)
            assert np.sqrt(np.mean(audio[a:b] ** 2)) > 1e-3


def test_only_training_players_of_guitarset_are_listed(tmp_path: Path) -> None:
    for name in ("00_A_comp_mic", "02_A_solo_mic", "03_A_comp_mic", "05_B_solo_mic", "01_Rock3-148-C_comp_mic"):
        (tmp_path / f"{name}.tsv").write_text("")
    assert [p.stem for p in guitarset.takes(tmp_path)] == ["00_A_comp_mic", "02_A_solo_mic"]


def _run(*options: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(list(options)))


def test_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--out", str(tmp_path / "b"), "--samples", str(tmp_path / "none")) != 0
    assert "There is no folder" in capsys.readouterr().err
    assert _run("--out", str(tmp_path / "b"), "--soundfont", str(tmp_path / "x.sf2")) != 0
    assert "no soundfont" in capsys.readouterr().err
    assert _run("--out", str(tmp_path / "b"), "--hours", "0") != 0
    assert not (tmp_path / "b").exists()


def test_guitarset_windows_carry_the_annotation(tmp_path: Path) -> None:
    import soundfile

    rate = 16000
    audio = np.random.default_rng(0).normal(0, 0.1, 20 * rate).astype(np.float32)
    soundfile.write(tmp_path / "00_A_solo_mic.ogg", audio[: 15 * rate], rate)
    rows = [(0.5, 1.0, 60, 80), (2.0, 3.0, 62, 80), (8.5, 9.7, 64, 80), (10.0, 11.0, 60, 80), (12.0, 12.5, 61, 1)]
    np.savetxt(tmp_path / "00_A_solo_mic.tsv", rows)
    first, second = guitarset.windows(tmp_path / "00_A_solo_mic.tsv", 9.0, 22050)
    assert first[1]["onset"].tolist() == [0.5, 2.0, 8.5] and first[1]["offset"][-1] == 9.0
    # The note that sounds on began before the window.
    assert second[1]["onset"].tolist() == pytest.approx([-0.5, 1.0, 3.0])
    assert second[1]["offset"][0] == pytest.approx(0.7)
    shifted = guitarset.windows(tmp_path / "00_A_solo_mic.tsv", 9.0, 22050, shift_s=-0.01)[0][1]
    assert shifted["onset"].tolist() == pytest.approx([0.49, 1.99, 8.49])
