"""Drums: strokes out of posteriors, a track of their own in what is written, kits and performances, the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amtsep.config import DrumDecoding
from amtsep.decoding import decode_drums, drum_notes, find_strokes, has_drums, strokes_of
from amtsep.drums import CLASS_KEYS, CLASSES, class_of_key, class_of_kind
from amtsep.formats import read_midi
from amtsep.notes import Notes, Track
from amtsep.posteriors import Posteriors

HOP_S = 256 / 22050


def posterior_of(strokes: list[tuple[float, int]], seconds: float = 12.0, height: float = 0.9) -> np.ndarray:
    found = np.zeros((5, round(seconds / HOP_S)), np.float32)
    for time, kind in strokes:
        place = time / HOP_S
        for frame in range(int(place) - 1, int(place) + 3):
            found[kind, frame] = max(found[kind, frame], height * max(0.0, 1.0 - 0.5 * abs(frame - place)))
    return found


def test_strokes_are_found_at_their_times_and_of_their_classes() -> None:
    wanted = [(0.5, 0), (0.5, 2), (1.0, 1), (1.25, 2), (1.29, 2), (2.0, 4), (2.5, 3)]
    strokes = find_strokes(posterior_of(wanted), HOP_S)
    assert list(zip(strokes.kind.tolist(), np.round(strokes.time, 2).tolist())) == [
        (k, pytest.approx(t, abs=0.011)) for t, k in wanted
    ]


def test_drums_are_there_where_many_sure_strokes_come_together() -> None:
    beat = [(0.5 * k, k % 2) for k in range(1, 20)]
    assert has_drums(find_strokes(posterior_of(beat), HOP_S))
    assert not has_drums(find_strokes(posterior_of(beat[:3]), HOP_S))
    assert not has_drums(find_strokes(posterior_of(beat, height=0.7), HOP_S))
    assert (
        len(strokes_of(posterior_of(beat[:3]), HOP_S, "auto"))
        == 0
        < len(strokes_of(posterior_of(beat[:3]), HOP_S, "on"))
    )
    assert not len(strokes_of(posterior_of(beat), HOP_S, "off"))


def test_drums_come_back_from_a_midi_file_on_their_channel(tmp_path: Path) -> None:
    drums = drum_notes(find_strokes(posterior_of([(1.0, 0), (2.0, 1), (3.0, 4)]), HOP_S, DrumDecoding()))
    tune = Notes.build([1.0, 2.0], [1.5, 2.5], [60, 62], tracks=[Track("Timbre 1", 12)])
    both, order = tune.joined(drums)
    assert [t.drums for t in both.tracks] == [False, True] and sorted(order.tolist()) == list(range(5))
    path = both.to_midi(tmp_path / "song.mid")
    assert set(read_midi(path, drums=True).pitch.tolist()) == {60, 62, 36, 38, 49}
    assert read_midi(path, drums=True).tracks[1].drums
    assert set(read_midi(path).pitch.tolist()) == {60, 62}


def test_posteriors_keep_what_was_heard_of_drums(tmp_path: Path) -> None:
    drums = posterior_of([(0.3, 1)], seconds=1.0)
    empty = np.zeros((88, drums.shape[1]), np.float32)
    plain = Posteriors(empty, empty, np.zeros((306, drums.shape[1]), np.uint8), HOP_S, 1.0)
    replace(plain, drums=drums).save(tmp_path / "a.npz")
    again = Posteriors.load(tmp_path / "a.npz")
    assert again.drums is not None and np.allclose(again.drums, drums, atol=1e-5)
    assert decode_drums(again, "on").pitch.tolist() == [38] and not len(decode_drums(plain, "on"))


def test_every_class_is_written_as_a_key_of_its_own() -> None:
    assert [class_of_key(key) for key in CLASS_KEYS] == list(range(len(CLASSES)))
    assert class_of_kind("tambourine") == class_of_key(100) == -1


def test_a_kit_plays_what_is_asked_for_when_it_is_asked_for(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    from amtsep.synthesis.drums import RATE, load_kit, render_drums
    from amtsep.synthesis.scores import SCORE_DTYPE

    rng = np.random.default_rng(1)
    for name in ("kick_1", "snare_1", "hihat-closed_1"):
        sound = rng.normal(size=4000) * np.exp(-np.arange(4000) / 600.0)
        soundfile.write(tmp_path / f"{name}.wav", np.concatenate([np.zeros(500), sound]) * 0.2, RATE)
    kit = load_kit(tmp_path)
    assert kit is not None and set(kit.strokes) == {"kick", "snare", "hihat-closed"}
    score = np.array([(0.5, 0.55, 36, 100), (1.0, 1.05, 51, 90), (1.5, 1.55, 77, 90)], SCORE_DTYPE)
    audio, played = render_drums(rng, kit, score, 2.0)
    # A kit without a ride plays it on the hi-hat, and says so; it cannot play a wood block at all.
    assert played["pitch"].tolist() == [36, 42]
    for onset in (0.5, 1.0):
        before, after = (
            audio[int((onset + a) * RATE) : int((onset + b) * RATE)] for a, b in ((-0.02, -0.005), (0.0, 0.02))
        )
        assert np.abs(after).max() > 20.0 * np.abs(before).max(initial=1e-6)


def test_the_shipped_network_hears_a_drummer_and_not_a_piano() -> None:
    from amtsep.audio import from_samples, load_audio
    from amtsep.inference import hear_drums, models_folder

    if not (models_folder() / "drums.onnx").is_file():
        pytest.skip("the drum network is not shipped yet")
    piano = next((Path(__file__).parents[1] / "notebooks" / "demos").glob("Piano*.ogg"))
    assert not len(strokes_of(hear_drums(load_audio(piano)), HOP_S, "auto"))
    rng, rate = np.random.default_rng(3), 22050
    audio = np.zeros(12 * rate, np.float32)
    time = np.arange(rate // 4) / rate
    kick = np.sin(2 * np.pi * (60 * time + 4 * (1 - np.exp(-time * 40)))) * np.exp(-time * 18)
    snare = (rng.normal(size=len(time)) * 0.5 + np.sin(2 * np.pi * 190 * time)) * np.exp(-time * 22)
    for beat in range(23):
        at = int(0.5 * beat * rate) + 2000
        audio[at : at + len(time)] += 0.3 * (snare if beat % 2 else kick)
    found = strokes_of(hear_drums(from_samples(audio, rate)), HOP_S, "auto")
    truth = np.array([0.5 * beat + 2000 / rate for beat in range(23)])
    near = np.abs(found.onset[:, None] - truth[None]).min(axis=0) < 0.05
    assert near.mean() > 0.9
