"""Made-up singers: their pitches, where their labels sit, and that they differ."""

from __future__ import annotations

import numpy as np
import pytest

from amtsep.synthesis.onsets import measure
from amtsep.synthesis.pitch import sounding_offset
from amtsep.synthesis.sampler import RATE
from amtsep.synthesis.scores import SCORE_DTYPE
from amtsep.synthesis.voices import render_voice, singer

SOLO = [s for s in range(40) if singer(s).singers == 1]
CHOIR = [s for s in range(40) if singer(s).singers > 1]


def _apart(who, steps=(2, 7, 12, 16)):  # type: ignore[no-untyped-def]
    return np.array([(0.6 + 1.2 * k, 1.2 + 1.2 * k, who.low + d, 90) for k, d in enumerate(steps)], SCORE_DTYPE)


def test_notes_apart_begin_and_end_by_the_rule_and_sound_at_their_pitch() -> None:
    starts, ends, right, total = [], [], 0, 0
    for seed in SOLO[:5] + CHOIR[:1]:
        who = singer(seed)
        score = _apart(who)
        audio, notes = render_voice(np.random.default_rng(seed), who, score, 5.5)
        assert notes["pitch"].tolist() == score["pitch"].tolist()
        for wanted, note in zip(score, notes, strict=True):
            assert -0.04 < note["onset"] - wanted["onset"] < 0.15
            a = int((wanted["onset"] - 0.02) * RATE)  # after the consonant
            piece = audio[a : int((wanted["offset"] + 0.4) * RATE)]
            shape = measure(piece, RATE, wanted["offset"] - wanted["onset"] + 0.02, pitch=int(note["pitch"]))
            assert shape is not None
            starts.append(a / RATE + shape.onset_s - note["onset"])
            ends.append(note["offset"] - wanted["offset"])
            total += 1
            right += (
                sounding_offset(audio[int(note["onset"] * RATE) :][: int(0.6 * RATE)], RATE, int(note["pitch"])) == 0
            )
    assert abs(np.median(starts)) < 0.012 and np.quantile(np.abs(starts), 0.9) < 0.05
    assert 0.0 <= np.median(ends) < 0.1
    assert right >= 0.85 * total


@pytest.mark.parametrize("seed", SOLO[:4])
def test_where_a_joined_note_is_labelled_its_pitch_has_arrived(seed: int) -> None:
    """A legato line: just after each label the fundamental is nearer to the new note than to the old one."""
    who = singer(seed)
    steps = (4, 9, 5, 12, 7)
    score = np.array([(0.5 + 0.6 * k, 1.1 + 0.6 * k, who.low + d, 90) for k, d in enumerate(steps)], SCORE_DTYPE)
    audio, notes = render_voice(np.random.default_rng(seed), who, score, 4.5)
    assert len(notes) == len(steps)
    for before, note in zip(notes[:-1], notes[1:], strict=True):
        a = int(note["onset"] * RATE)
        x = audio[a : a + int(0.12 * RATE)]
        power = np.abs(np.fft.rfft(x * np.hanning(len(x)), 1 << 16)) ** 2
        hz = np.arange(len(power)) * RATE / (1 << 16)

        def comb(pitch: int, power: np.ndarray = power, hz: np.ndarray = hz) -> float:
            f0 = 440 * 2 ** ((pitch - 69) / 12)
            return float(sum(power[np.argmin(np.abs(hz - f0 * k))] for k in range(1, 7)))

        assert comb(int(note["pitch"])) > comb(int(before["pitch"]))


def test_chords_become_a_line_and_empty_scores_silence() -> None:
    who = singer(SOLO[0])
    chord = np.array([(0.5, 1.5, who.low + d, 90) for d in (3, 7, 10)], SCORE_DTYPE)
    audio, notes = render_voice(np.random.default_rng(0), who, chord, 3.0)
    assert len(notes) == 1 and np.abs(audio).max() > 0.01
    audio, notes = render_voice(np.random.default_rng(0), who, chord[:0], 3.0)
    assert len(notes) == 0 and not audio.any()


def test_the_same_numbers_give_the_same_song_and_others_another() -> None:
    who = singer(SOLO[1])
    one = render_voice(np.random.default_rng(1), who, _apart(who), 5.5)[0]
    assert np.array_equal(one, render_voice(np.random.default_rng(1), who, _apart(who), 5.5)[0])
    assert not np.allclose(one, render_voice(np.random.default_rng(2), who, _apart(who), 5.5)[0])
    assert len({singer(s).voice for s in range(40)}) == 4 and SOLO and CHOIR
