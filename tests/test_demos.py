"""The bundled clips are music of the right length whose notes are where their MIDI files say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amtsep.audio import Audio, load_audio
from amtsep.notes import Notes

DEMOS = Path(__file__).resolve().parents[1] / "notebooks" / "demos"
CLIPS = sorted(DEMOS.glob("*.ogg"))


def clip(word: str) -> tuple[Audio, Notes]:
    path = next(p for p in CLIPS if p.name.startswith(word))
    return load_audio(path), Notes.from_midi(path.with_suffix(".mid"))


def test_there_are_three() -> None:
    assert [p.name.split("_")[0] for p in CLIPS] == ["Chorale", "Duet", "Piano"]


@pytest.mark.parametrize("path", CLIPS, ids=lambda p: p.stem)
def test_clip_is_short_small_and_loud_enough(path: Path) -> None:
    audio, notes = load_audio(path), Notes.from_midi(path.with_suffix(".mid"))
    assert 15 <= audio.duration_s <= 30
    assert path.stat().st_size < 600_000
    assert 0.3 < np.abs(audio.samples).max() <= 1.0
    assert notes.end < audio.duration_s
    assert notes.velocity.std() > 3, "it has dynamics"


@pytest.mark.parametrize("path", CLIPS, ids=lambda p: p.stem)
def test_sound_and_notes_agree(path: Path) -> None:
    """The level around each note's partials rises at its onset, and most of all with no shift between the two."""
    audio, notes = load_audio(path), Notes.from_midi(path.with_suffix(".mid"))
    window, rate = 2048, audio.sample_rate

    def partials_db(time_s: float, pitch: int) -> float:
        start = int(time_s * rate)
        piece = audio.samples[max(start, 0) : max(start, 0) + window]
        spectrum = (
            np.abs(np.fft.rfft(piece * np.hanning(len(piece)), window)) if len(piece) else np.zeros(window // 2 + 1)
        )
        bins = np.arange(1, 4) * 440.0 * 2 ** ((pitch - 69) / 12) * window / rate
        return float(20 * np.log10(sum(spectrum[round(b) - 1 : round(b) + 2].max() for b in bins) + 1e-4))

    def mean_rise(shift_s: float) -> float:
        rises = [
            partials_db(t + shift_s, p) - partials_db(t + shift_s - window / rate, p)
            for t, p in zip(notes.onset, notes.pitch)
            if t > 0.3
        ]
        return float(np.mean(rises))

    right = mean_rise(0.0)
    assert right > 4.0
    assert right > mean_rise(0.12) + 2
    assert right > mean_rise(-0.12) + 2


def test_piano_has_octave_doublings() -> None:
    _, notes = clip("Piano")
    assert [t.program for t in notes.tracks] == [0]
    doubled = sum(
        bool(np.any((np.abs(notes.onset - t) < 0.04) & (notes.pitch == p + 12)))
        for t, p in zip(notes.onset, notes.pitch)
    )
    assert doubled >= 20


def test_duet_and_chorale_have_a_timbre_a_part() -> None:
    for word, parts in (("Duet", 2), ("Chorale", 4)):
        _, notes = clip(word)
        assert len({t.program for t in notes.tracks}) == len({t.name for t in notes.tracks}) == parts
        assert all(len(own) >= 20 for _, own in notes.by_track())


def test_the_chorale_is_none_that_evaluation_uses() -> None:
    bach10 = (
        "Ach Gott", "Ach lieben", "Christe der", "Christe du", "Die Nacht", "Die Sonn", "Herr Gott", "deinen Thron",
        "Jesus", "Nun bitten",
    )  # fmt: skip
    name = next(p.stem for p in CLIPS if p.stem.startswith("Chorale")).replace("_", " ")
    assert not any(title.lower() in name.lower() for title in bach10)
