"""Posteriors to notes: what a user would see for simple posteriors, and what holds for any."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amtsep.config import Decoding
from amtsep.decoding import RELEASE_S, Decoder, decode, embed_notes, find_segments
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors

HOP = 0.01
PLAIN = Decoding(onset_threshold=0.3, frame_threshold=0.3, inferred_onsets=False, leftover_notes=False)


def make(notes: list[tuple[int, int, int]], frames: int = 300, height: float = 0.9) -> Posteriors:
    """Posteriors that hold notes (row, first frame, last frame + 1)."""
    onset, frame = np.zeros((2, 88, frames), np.float32)
    for row, first, last in notes:
        onset[row, first] = height
        onset[row, first + 1] = height / 2
        frame[row, first:last] = 0.8
    return Posteriors(onset, frame, np.zeros((306, frames), np.uint8), HOP, frames * HOP)


def test_a_note_is_found_where_it_is() -> None:
    notes = decode(make([(39, 50, 120)]), PLAIN)
    assert notes.pitch.tolist() == [60]
    assert notes.onset[0] == pytest.approx(0.5, abs=HOP) and notes.offset[0] == pytest.approx(1.2, abs=HOP)


def test_a_pitch_that_starts_again_ends_the_note_before() -> None:
    notes = decode(make([(10, 20, 100), (10, 60, 100)]), PLAIN)
    assert len(notes) == 2
    assert notes.offset[0] == pytest.approx(notes.onset[1], abs=HOP)


def test_a_gap_shorter_than_the_tolerance_does_not_end_a_note() -> None:
    posteriors = make([(10, 20, 100)])
    posteriors.frame[10, 50:58] = 0.0
    assert decode(posteriors, PLAIN).offset[0] == pytest.approx(1.0, abs=HOP)
    posteriors.frame[10, 50:70] = 0.0
    assert decode(posteriors, PLAIN).offset[0] == pytest.approx(0.5, abs=HOP)


def test_short_notes_go_and_pitch_range_holds() -> None:
    posteriors = make([(10, 20, 24), (40, 20, 100), (60, 20, 100)])
    assert decode(posteriors, PLAIN).pitch.tolist() == [61, 81]
    from dataclasses import replace

    assert decode(posteriors, replace(PLAIN, max_pitch=70)).pitch.tolist() == [61]
    assert len(decode(posteriors, replace(PLAIN, min_note_length=2.0))) == 0


def test_of_two_onsets_too_close_the_higher_stays() -> None:
    posteriors = make([(10, 20, 100)])
    posteriors.onset[10, 24] = 0.4
    notes = decode(posteriors, PLAIN)
    assert len(notes) == 1 and notes.confidence[0] > 0.4


def test_inferred_onsets_find_a_rise_that_the_network_missed() -> None:
    from dataclasses import replace

    posteriors = make([(10, 20, 100), (30, 20, 100)])
    posteriors.onset[30] = 0.0
    assert len(decode(posteriors, PLAIN)) == 1
    notes = decode(posteriors, replace(PLAIN, inferred_onsets=True))
    assert sorted(notes.pitch.tolist()) == [31, 51]


def test_leftover_notes_fill_what_has_no_onset() -> None:
    from dataclasses import replace

    posteriors = make([(10, 20, 100)])
    posteriors.frame[30, 50:120] = 0.7
    found = decode(posteriors, replace(PLAIN, leftover_notes=True))
    assert found.pitch.tolist() == [31, 51]
    assert found.confidence[1] < PLAIN.onset_threshold


def test_a_leftover_that_is_unsure_is_no_note() -> None:
    from dataclasses import replace

    posteriors = make([(10, 20, 100)])
    posteriors.frame[30, 50:120] = 0.6
    half_way = replace(PLAIN, leftover_notes=True)
    assert decode(posteriors, half_way).pitch.tolist() == [31]
    assert decode(posteriors, replace(half_way, frame_threshold=0.15)).pitch.tolist() == [31, 51]


@pytest.mark.parametrize(
    ("ends", "let_go", "last"),
    [
        ("sound", 60, 99.5),
        ("key", 60, 60),
        ("auto", 60, 60 + RELEASE_S / HOP),
        ("auto", 99, 99.5),
        ("auto", None, 99.5),
    ],
)
def test_a_note_ends_where_it_is_let_go_or_where_it_has_died_away(ends: str, let_go: int | None, last: float) -> None:
    from dataclasses import replace

    posteriors = make([(10, 20, 100)])
    offset = np.zeros_like(posteriors.onset)
    if let_go is not None:
        offset[10, let_go - 1 : let_go + 2] = 0.3, 0.8, 0.3
    notes = decode(replace(posteriors, offset=offset), replace(PLAIN, ends=ends))
    assert notes.offset[0] == pytest.approx(last * HOP, abs=0.3 * HOP)


def test_louder_notes_get_a_higher_velocity() -> None:
    posteriors = make([(10, 20, 100), (30, 150, 220)])
    posteriors.spectrogram[30, 20:100] = 180
    posteriors.spectrogram[90, 150:220] = 140
    notes = decode(posteriors, PLAIN)
    assert notes.velocity[0] > notes.velocity[1] + 10


def test_an_onset_between_two_frames_is_placed_between_them() -> None:
    posteriors = make([(10, 20, 100)])
    posteriors.onset[10, 20:22] = 0.8
    assert decode(posteriors, PLAIN).onset[0] == pytest.approx(20.5 * HOP, abs=0.3 * HOP)


def test_nothing_in_nothing_out() -> None:
    assert len(decode(make([], frames=0), Decoding())) == 0
    assert len(decode(make([], frames=100), Decoding())) == 0


posterior_arrays = st.integers(1, 60).flatmap(
    lambda t: st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).random((2, 88, t)).astype(np.float32)
    )
)


@settings(max_examples=40, deadline=None)
@given(posterior_arrays, st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.integers(1, 15), st.booleans(), st.booleans())
def test_any_posteriors_give_a_valid_table_without_overlaps(
    values: np.ndarray, onset: float, frame: float, tolerance: int, inferred: bool, leftover: bool
) -> None:
    posteriors = Posteriors(
        values[0] ** 4, values[1] ** 2, np.zeros((306, values.shape[2]), np.uint8), HOP, values.shape[2] * HOP
    )
    notes = decode(posteriors, Decoding(onset, frame, 0.03, tolerance, inferred, leftover))
    notes.validate()
    assert (notes.duration >= 0.03 - 1e-9).all() or leftover
    assert notes.end <= posteriors.duration_s + 1e-9
    for pitch in np.unique(notes.pitch):
        line = notes.select(notes.pitch == pitch)
        assert (line.onset[1:] >= line.offset[:-1] - HOP).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_segments_are_what_a_plain_loop_finds(seed: int, tolerance: int) -> None:
    frame = np.random.default_rng(seed).random((3, 40)).astype(np.float32)
    expected = []
    for row in range(3):
        start, silent = None, 0
        for t, value in enumerate([*frame[row].tolist(), *[0.0] * (tolerance + 1)]):
            if value >= 0.6:
                start, silent = (t if start is None else start), 0
            elif start is not None:
                silent += 1
                if silent == tolerance or t == 40 + tolerance:
                    expected.append((row, start, t - silent + 1))
                    start, silent = None, 0
    found = find_segments(frame, 0.6, tolerance)
    assert list(zip(found.row.tolist(), found.start.tolist(), found.end.tolist(), strict=True)) == expected


def test_note_embeddings_are_weighted_means_of_unit_length() -> None:
    posteriors = make([(10, 20, 100), (30, 20, 100)])
    embedding = np.zeros((88, 300, 4), np.int8)
    embedding[10, :, 0], embedding[30, :, 1] = 127, 127
    from dataclasses import replace

    with_embedding = replace(posteriors, embedding=embedding)
    notes = embed_notes(decode(with_embedding, PLAIN), with_embedding)
    np.testing.assert_allclose(notes.embedding, [[1, 0, 0, 0], [0, 1, 0, 0]], atol=1e-3)
    with pytest.raises(ValueError, match="timbre"):
        embed_notes(Notes.empty(), posteriors)


def test_posterior_file_round_trip(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from amtsep.errors import FormatError

    posteriors = make([(39, 50, 120)])
    posteriors.save(tmp_path / "a.npz")
    again = Posteriors.load(tmp_path / "a.npz")
    np.testing.assert_allclose(again.onset, posteriors.onset, atol=1e-5)
    assert again.duration_s == posteriors.duration_s
    assert decode(again, PLAIN).equals(decode(posteriors, PLAIN), tolerance_s=1e-3)
    (tmp_path / "bad.npz").write_text("no")
    with pytest.raises(FormatError, match=r"bad\.npz"):
        Posteriors.load(tmp_path / "bad.npz")


def test_five_minutes_with_three_thousand_notes_decode_quickly() -> None:
    import time

    rng = np.random.default_rng(0)
    frames = 25_840
    posteriors = make(
        [
            (int(r), int(t), int(t + d))
            for r, t, d in zip(
                rng.integers(10, 80, 3000), rng.integers(0, frames - 120, 3000), rng.integers(8, 90, 3000), strict=True
            )
        ],
        frames,
    )
    decoder = Decoder(posteriors)
    seconds = []
    for step in range(5):
        start = time.process_time()
        notes = decoder(Decoding(onset_threshold=0.3 + 0.01 * step))
        seconds.append(time.process_time() - start)
    assert len(notes) > 2500
    # The aim is 30 ms on an idle core (benchmarks/ measures it); here a machine under load must not fail the test.
    assert min(seconds) < 0.09


def test_decoding_does_not_import_torch() -> None:
    code = "import sys, amtsep.decoding, amtsep.posteriors, amtsep.notes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
