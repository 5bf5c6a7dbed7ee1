"""The encoder of whole notes: whom it serves, what it leaves alone, what it brings, and how it is fitted again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amtsep.clustering import cluster, encoder
from amtsep.clustering.count import count_model, weights_for
from amtsep.clustering.encoder import WEIGHTS, NoteEncoder, encoder_for, stretches
from amtsep.config import Clustering
from amtsep.decoding import decode, embed_notes, pooled_embeddings, with_stretches
from amtsep.inference import Transcriber, available_models, networks_of
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors

HOP_S = 256 / 22050
DIM = 16


def shipped() -> NoteEncoder:
    return NoteEncoder.of(json.loads(WEIGHTS.read_text(encoding="utf-8")))


def heard(model: str, frames: int = 400, seed: int = 0) -> tuple[Notes, Posteriors]:
    """Notes, and posteriors with an embedding that changes from frame to frame."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(88, frames, DIM)) + 2.0 * rng.normal(size=(88, 1, DIM))
    x *= 127.0 / np.linalg.norm(x, axis=2, keepdims=True)
    level = np.full((88, frames), 0.5, np.float32)
    posteriors = Posteriors(
        level, level, np.zeros((306, frames), np.uint8), HOP_S, frames * HOP_S, embedding=x.astype(np.int8), model=model
    )
    onset = np.sort(rng.uniform(0.0, 4.0, 60))
    notes = Notes.build(onset, onset + rng.uniform(0.03, 0.5, 60), rng.integers(30, 90, 60))
    return notes, posteriors


@pytest.mark.parametrize("model", [name for name in available_models() if name != "light"])
def test_each_network_that_tells_timbres_apart_has_an_encoder(model: str) -> None:
    name = Transcriber(model, device="cpu", threads=1).engine.name
    assert name == f"{model} {networks_of(model)[0]}"
    own = encoder_for(name, DIM)
    assert own is not None, "run 'python -m amtsep.training.timbres refit' for the new network (docs/training.md)"
    # Behind them may stand networks of before, whose posteriors people have kept.
    assert own.networks[:2] == tuple(networks_of(model))
    assert not own.count or weights_for(own.width) == own.count, "the number goes by how wide an encoder's word is"


@pytest.mark.parametrize("model", ["base", "", "base 0123456789ab", "mine 0123456789ab"])
def test_what_another_network_says_is_left_as_it_is(model: str) -> None:
    notes, posteriors = heard(model)
    assert np.array_equal(embed_notes(notes, posteriors).embedding, pooled_embeddings(notes, posteriors))


def test_a_network_of_these_weights_and_another_width_is_left_as_it_is() -> None:
    assert encoder_for(f"base {shipped().networks[0]}", DIM) is not None
    assert encoder_for(f"base {shipped().networks[0]}", DIM - 1) is None


def test_without_its_file_notes_are_sorted_as_the_network_hears_them(monkeypatch: pytest.MonkeyPatch) -> None:
    notes, posteriors = heard(f"base {shipped().networks[0]}")
    monkeypatch.setattr(encoder, "shipped", lambda _path: None)
    assert embed_notes(notes, posteriors).embedding.shape == (60, DIM)


def test_the_number_goes_by_weights_of_the_encoder_for_what_it_has_been_over_alone() -> None:
    assert weights_for(shipped().width) == shipped().count
    assert weights_for(DIM) == count_model() != shipped().count


def test_notes_get_unit_vectors_and_each_its_own_whatever_others_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    notes, posteriors = heard(f"base {shipped().networks[1]}")
    found = embed_notes(notes, posteriors).embedding
    assert found.shape[0] == 60 and found.shape[1] > DIM
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    alone = embed_notes(notes.select(np.array([7])), posteriors).embedding
    np.testing.assert_allclose(alone, found[[7]], atol=1e-5)
    monkeypatch.setattr(encoder, "BLOCK", 13)
    np.testing.assert_allclose(embed_notes(notes, posteriors).embedding, found, atol=1e-5)
    assert embed_notes(Notes.empty(), posteriors).embedding.shape == (0, found.shape[1])


def test_the_attack_and_the_rest_of_a_note_lie_within_the_recording_and_are_never_empty() -> None:
    first = np.array([0, 0, 1, 50, 50, 50, 399])
    last = np.array([1, 2, 4, 51, 60, 200, 400])
    for begin, end in stretches(first, last):
        assert np.all((begin >= 0) & (begin < end) & (end <= 400))
    (attack, until), (rest, _) = stretches(first, last)
    assert (attack[5], until[5], rest[5]) == (48, 58, 60)


def test_transcribing_without_timbres_does_not_read_it() -> None:
    code = "import sys; from amtsep import transcribe; print('amtsep.clustering.encoder' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_tracks_of_a_demo_are_found_as_well_as_without() -> None:
    """The chorale of the demos, whose parts are known."""
    from amtsep.audio import load_audio
    from amtsep.evaluation.separation import evaluate_separated
    from amtsep.formats import read_midi

    demos = Path(__file__).resolve().parents[1] / "notebooks" / "demos"
    name = "Chorale_Bach_Aus_meines_Herzens_Grunde"
    truth = read_midi(demos / f"{name}.mid")
    posteriors = Transcriber("base", device="cpu", threads=1)(load_audio(demos / f"{name}.ogg"))
    notes = decode(posteriors)
    parts = Clustering(timbres=len(np.unique(truth.track)))

    def tracks(posteriors: Posteriors) -> float:
        found = cluster(embed_notes(notes, posteriors), parts)
        return float(evaluate_separated(truth, found, posteriors.hop_s).micro_onset.f1)

    assert embed_notes(notes, posteriors).embedding.shape[1] > DIM, "the encoder is at work"
    assert tracks(posteriors) > tracks(replace(posteriors, model="base")) - 0.01


def test_what_is_written_is_what_is_read() -> None:
    notes, posteriors = heard("")
    pooled = with_stretches(notes, posteriors, pooled_embeddings(notes, posteriors))
    one = shipped()
    again = NoteEncoder.of(json.loads(one.text(made_of="a test")))
    np.testing.assert_allclose(again(notes.pitch, pooled), one(notes.pitch, pooled), atol=1e-3)
