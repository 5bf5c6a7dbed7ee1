"""A development set of songs: held-out timbres on kept pieces, mixed with and without drums on the beat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from amtsep.evaluation.readers.whole import pairs
from amtsep.synthesis import drums
from amtsep.synthesis.arrangements import Drummers, mix_songs, on_the_beat
from amtsep.synthesis.bank import NOTE_DTYPE, Bank, BankWriter, Stem
from amtsep.synthesis.generate import Recipe, Voice
from amtsep.synthesis.instruments import Instrument
from amtsep.synthesis.music import Piece
from amtsep.synthesis.scores import SCORE_DTYPE
from amtsep.synthesis.songs import plan_songs

RATE = 22050


def _piece(number: int) -> Piece:
    """A melody and chords over a bass, all on pitches of its own."""
    melody = [(t, t + 0.4, 60 + number, 80) for t in np.arange(0, 60, 0.5)]
    chords = [(t, t + 0.9, p + number % 3, 70) for t in np.arange(0, 60, 1.0) for p in (36, 52, 55)]
    return Piece(f"{number}", "", (np.array(melody, SCORE_DTYPE), np.array(chords, SCORE_DTYPE)))


def test_held_out_songs_play_kept_pieces_on_unseen_timbres_of_different_families() -> None:
    known = [
        Voice(f"v:{c}{i}{held}", "v", Instrument(f"{c}", c, 21, 108, c == "bass"), 0, held, 1.0)
        for c in ("piano", "guitar", "organ", "bass", "reed", "strings", "keys")
        for i in range(2)
        for held in (False, True)
    ]
    # Of every twelve pieces the sixth is kept; the others have nothing that a song could be made of.
    pieces = [_piece(k) if k % 12 == 5 else Piece("short", "", (_piece(k).parts[0][:3],)) for k in range(24)]
    orders = plan_songs(Recipe(clip_s=20.0, seed=3), known, pieces, 10, held_out=True)
    songs = {order.piece for order in orders}
    assert len(songs) == 10 and all(known[order.voice].held_out and order.split == "dev" for order in orders)
    for song in songs:
        own = [order for order in orders if order.piece == song]
        families = [known[order.voice].instrument.family for order in own]
        assert 2 <= len(own) <= 4 and len(set(families)) == len(families)
    with_all = plan_songs(Recipe(clip_s=20.0, seed=3), known, [_piece(0)], 4)
    assert not any(known[order.voice].held_out for order in with_all)


def test_drums_are_brought_to_the_beat() -> None:
    rng = np.random.default_rng(0)
    strokes = np.zeros(120, SCORE_DTYPE)
    strokes["onset"], strokes["pitch"], strokes["velocity"] = 1.3 + 0.25 * np.arange(120), 42, 90
    notes = 0.17 + 0.29 * np.arange(60) + rng.normal(0, 0.004, 60)
    moved = on_the_beat(strokes, notes)["onset"]
    inside = moved[moved < notes[-1]]
    away = np.min(np.abs(inside[:, None] - notes[None]), axis=1)
    assert np.mean(away < 0.03) > 0.9 and len(inside) > 50


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Two songs of two timbres, five seconds each."""
    folder = tmp_path_factory.mktemp("stems")
    n = 5 * RATE
    with BankWriter(folder, RATE, n, 0) as writer:
        for index in range(4):
            pitch, notes, time = 60 + 5 * index, [], np.arange(n) / RATE
            audio = 0.2 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)
            for k in range(8):
                notes.append((0, 0.2 + 0.5 * k, 0.6 + 0.5 * k, pitch, 80, 0.5 + 0.5 * k))
            stem = Stem(
                f"t:{index}", f"f{index}", "synth", "t", 6, "music", f"song {index // 2}", index % 2, "dev", True
            )
            writer.append((audio * 32767).astype(np.int16), np.array(notes, NOTE_DTYPE), stem)
    return Bank.open(folder)


def test_songs_are_written_as_a_data_set_with_and_without_drums(bank: Bank, tmp_path: Path) -> None:
    click = drums.make_stroke(np.concatenate([np.ones(40), np.zeros(4000)]).astype(np.float32))
    assert click is not None
    kit = drums.Kit("kit", {"kick": (click,), "snare": (click,), "hihat-closed": (click,)})
    beat = [(0.25 * k, 0.25 * k + 0.05, (36, 42, 38, 42)[k % 4], 100) for k in range(80)]
    drummer = Drummers((kit,), (drums.Performance("p", "dev", np.array(beat, SCORE_DTYPE)),))
    plain, with_drums = mix_songs(bank, tmp_path / "plain", 3), mix_songs(bank, tmp_path / "drums", 3, drummer)
    assert [p.name for p in plain] == [p.name for p in with_drums] == ["song-00.flac", "song-01.flac"]
    for place in ("plain", "drums"):
        found = pairs(tmp_path / place)
        assert [len(item.instruments) for item in found] == [2, 2] and all(len(i.reference) == 16 for i in found)
        assert sorted(set(found[1].reference.pitch.tolist())) == [70, 75]
        assert found[0].reference.onset[0] == pytest.approx(0.2, abs=0.003)
        # The sound's end, not the key's.
        assert found[0].reference.offset[0] == pytest.approx(0.6, abs=0.003)
    dry, wet = (soundfile.read(tmp_path / place / "song-00.flac")[0] for place in ("plain", "drums"))
    assert len(dry) == len(wet) == 5 * RATE
    # Take what both have in common out of the one with drums: the strokes are 3 dB under it.
    share = float(np.dot(dry, wet) / np.dot(dry, dry))
    rest = wet - share * dry
    level = 10 * np.log10(np.mean(rest**2) / np.mean((share * dry) ** 2))
    assert level == pytest.approx(-3.0, abs=0.5)
    assert np.array_equal(soundfile.read(mix_songs(bank, tmp_path / "again", 3)[0])[0], dry)
