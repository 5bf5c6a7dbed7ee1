"""Notes survive the way through tokens and back, and a network that keeps to the grammar can say nothing senseless."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amtsep.notes import Notes, Track
from amtsep.sequence import Grammar, Vocabulary, decode, encode, on_grid
from amtsep.sequence.tokens import END, PAD, TIE

VOCABULARIES = (
    Vocabulary(),
    Vocabulary("slots", slots=4),
    Vocabulary(velocities=8, steps=50, step_s=0.02),
)
# Few pitches and tracks: unisons, repeats and notes struck again must be common.
EVENT = st.tuples(
    st.floats(0, 9, allow_nan=False), st.floats(0.001, 6), st.integers(60, 63), st.integers(1, 127), st.integers(0, 3)
)
TRACKS = (Track("Piano", 0), Track("Flute", 73), Track("Kit", drums=True), Track("Strings", 48))


def table(events: list[tuple[float, float, int, int, int]]) -> Notes:
    if not events:
        return Notes.empty()
    onset, length, pitch, velocity, track = (np.array(column) for column in zip(*events))
    return Notes.build(onset, onset + length, pitch, velocity, track=track, tracks=TRACKS)


def rows(notes: Notes) -> list[tuple]:
    """What a listener hears, in an order of its own."""
    return sorted(
        (round(a, 6), round(b, 6), int(p), int(v), notes.tracks[k].program, notes.tracks[k].name, notes.tracks[k].drums)
        for a, b, p, v, k in zip(notes.onset, notes.offset, notes.pitch, notes.velocity, notes.track)
    )


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@given(events=st.lists(EVENT, max_size=25))
@settings(max_examples=150, deadline=None)
def test_there_and_back_is_the_grid(vocabulary: Vocabulary, events: list) -> None:
    notes = table(events)
    said = encode(notes, vocabulary)
    back = decode(said, vocabulary)
    expected = on_grid(notes, vocabulary)
    assert rows(back) == rows(expected)
    assert rows(on_grid(expected, vocabulary)) == rows(expected), "the grid is where it ends"
    # No time is further off than half a step, but that notes are at least a step long, and one ends for the next.
    for onset in back.onset:
        assert np.abs(notes.onset - onset).min() <= vocabulary.step_s / 2 + 1e-9


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@given(events=st.lists(EVENT, max_size=25))
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_keeps_to_the_grammar(vocabulary: Vocabulary, events: list) -> None:
    held: set[tuple[int, int]] = set()
    for tokens in encode(table(events), vocabulary):
        grammar = Grammar(vocabulary, held)
        for token in tokens.tolist():
            assert grammar.allowed()[token], [vocabulary.describe(t) for t in tokens]
            grammar.push(token)
        assert grammar.ended and np.flatnonzero(grammar.allowed()).tolist() == [PAD]
        held = grammar.sounding


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_whoever_keeps_to_the_grammar_comes_to_an_end(vocabulary: Vocabulary) -> None:
    """A network that knows nothing, drawing legal tokens only: sequences end, and every token of theirs counts."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        grammar, said = Grammar(vocabulary, {(0, 60), (1, 72)}), []
        while not grammar.ended and len(said) < 5000:
            allowed = np.flatnonzero(grammar.allowed())
            assert len(allowed), "there is always something to say"
            said.append(int(rng.choice(allowed)))
            grammar.push(said[-1])
        assert said[-1] == END
        notes = decode([said], vocabulary)
        again = decode(encode(notes, vocabulary, 1), vocabulary)
        assert rows(again) == rows(on_grid(notes, vocabulary))
        assert len(again) == len(notes) and np.allclose(again.onset, notes.onset)


@given(st.lists(st.lists(st.integers(0, len(Vocabulary()) - 1), max_size=40), max_size=4))
@settings(max_examples=200, deadline=None)
def test_senseless_tokens_are_passed_over(segments: list[list[int]]) -> None:
    notes = decode(segments, Vocabulary())
    assert (notes.offset > notes.onset).all() and (notes.offset <= len(segments) * 2.04 + 0.011).all()


def test_a_short_piece_in_words() -> None:
    """A note held into the second segment is tied there, and ends there."""
    vocabulary = Vocabulary()
    notes = Notes.build([0.5, 0.5, 1.0], [2.5, 0.75, 1.01], [60, 64, 36], track=[0, 0, 1], tracks=TRACKS[:3:2])
    said = [[vocabulary.describe(token) for token in tokens] for tokens in encode(notes, vocabulary)]
    assert said == [
        ["tie", "time 50", "program 0", "velocity 1", "pitch 60", "pitch 64", "time 75", "velocity 0", "pitch 64",
         "time 100", "velocity 1", "drum 36", "end"],
        ["program 0", "pitch 60", "tie", "time 46", "program 0", "velocity 0", "pitch 60", "end"],
    ]  # fmt: skip
    # A note that is not tied has ended.
    without = [encode(notes, vocabulary)[0], np.array([TIE, END])]
    assert decode(without, vocabulary).offset.max() == pytest.approx(2.04)


def test_slots_go_by_the_order_of_entry() -> None:
    vocabulary = Vocabulary("slots", slots=2)
    notes = Notes.build([0.0, 1.0, 1.5], [0.5, 1.4, 1.8], [50, 60, 70], track=[3, 0, 1], tracks=TRACKS)
    found = decode(encode(notes, vocabulary), vocabulary)
    assert [track.name for track in found.tracks] == ["Timbre 1", "Timbre 2"]
    assert found.track.tolist() == [0, 1, 1], "who comes when all slots are taken shares the last"


def test_velocities_are_in_the_middle_of_their_bin() -> None:
    vocabulary = Vocabulary(velocities=16)
    for velocity in range(1, 128):
        loudness = vocabulary.loudness(velocity)
        assert 1 <= loudness <= 16 and vocabulary.loudness(vocabulary.velocity(loudness)) == loudness
        assert abs(vocabulary.velocity(loudness) - velocity) <= 4


def test_a_vocabulary_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"kind": "notes"}, {"steps": 0}, {"velocities": 0}, {"slots": 129}):
        with pytest.raises(ValueError):
            Vocabulary(**wrong)
