"""Segments cut one by one, as a network learns them, and joined to one recording with its timbres."""

from __future__ import annotations

import numpy as np

from amtsep.notes import Notes, Track
from amtsep.posteriors import Posteriors
from amtsep.sequence import Vocabulary, encode
from amtsep.sequence.segments import cut, join

SLOTS = Vocabulary("slots", slots=4)
HIGH, LOW = 72, 48


def duet() -> Notes:
    """A low part holds over from segment to segment; a high one enters first, rests in the second segment, returns."""
    return Notes.build(
        [0.1, 0.6, 1.5, 2.4, 4.2, 4.6, 4.7],
        [0.5, 1.1, 2.6, 4.4, 4.5, 5.0, 5.2],
        [HIGH, HIGH + 2, LOW, LOW + 2, HIGH + 4, HIGH, LOW],
        track=[0, 0, 1, 1, 0, 0, 1],
        tracks=[Track("a"), Track("b")],
    )


def heard(notes: Notes) -> Posteriors:
    """Posteriors whose embedding tells high notes from low ones."""
    n_frames, hop_s = 520, 0.0116
    embedding = np.zeros((88, n_frames, 2), np.int8)
    embedding[40:, :, 0], embedding[:40, :, 1] = 127, 127
    roll = np.full((88, n_frames), 0.5, np.float32)
    return Posteriors(roll, roll, np.zeros((306, n_frames), np.uint8), hop_s, n_frames * hop_s, 36, embedding)


def rows(notes: Notes) -> list[tuple[float, float, int, str]]:
    return [
        (round(float(a), 3), round(float(b), 3), int(p), notes.tracks[t].name)
        for a, b, p, t in zip(notes.onset, notes.offset, notes.pitch, notes.track)
    ]


def test_a_segment_numbers_its_own_slots_what_is_held_over_first() -> None:
    said = [[SLOTS.describe(int(t)) for t in cut(duet(), k * SLOTS.segment_s, SLOTS)] for k in range(3)]
    assert said[0][:5] == ["tie", "time 10", "slot 0", "velocity 1", "pitch 72"]
    assert said[1][:3] == ["slot 0", "pitch 48", "tie"], "alone, it is the first, although it entered second"
    assert said[2][:3] == ["slot 0", "pitch 50", "tie"] and "slot 1" in said[2]


def test_programs_are_cut_as_the_whole_recording_is_encoded() -> None:
    vocabulary = Vocabulary()
    notes = duet().with_tracks(duet().track, [Track("Flute", 73), Track("Cello", 42)])
    whole = encode(notes, vocabulary)
    for index, tokens in enumerate(whole):
        assert np.array_equal(cut(notes, index * vocabulary.segment_s, vocabulary), tokens)


def test_what_is_cut_is_joined_by_ties_and_by_sound() -> None:
    notes = duet()
    segments = [cut(notes, k * SLOTS.segment_s, SLOTS) for k in range(3)]
    expected = [(a, b, p, "Timbre 1" if p >= HIGH else "Timbre 2") for a, b, p, _ in rows(notes)]
    assert rows(join(segments, SLOTS, heard(notes))) == expected
    # Without embeddings nothing says that the high part of the third segment is the one of the first.
    names = {p: name for _, _, p, name in rows(join(segments, SLOTS))}
    assert names[LOW + 2] == names[LOW] == "Timbre 2" and names[HIGH + 4] == "Timbre 3"


def test_silence_and_nonsense_are_joined_to_nothing() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, len(SLOTS), 60).astype(np.int32) for _ in range(3)]
    join([*noise, np.zeros(0, np.int32)], SLOTS, heard(duet())).validate()
    assert len(join([np.array([2, 1], np.int32)] * 2, SLOTS, heard(duet()))) == 0
