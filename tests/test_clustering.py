"""What a user notices of the clustering: who plays what, how many there are, what stays, what a correction does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.metrics import v_measure_score

from amtsep.clustering import (
    METHODS,
    cluster,
    double_unisons,
    embedding_map,
    estimate_timbres,
    match_tracks,
    track_memberships,
)
from amtsep.clustering.assign import Tree, merges, ward_tree
from amtsep.clustering.count import FEATURES, count_model
from amtsep.clustering.points import Points, compress, normalize, note_points
from amtsep.config import Clustering
from amtsep.notes import Notes, Track
from amtsep.training.timbres.drawing import synthetic_notes

AXES = np.eye(16)


def blobs(counts: list[int], spread: float = 0.1, seed: int = 0, closeness: float = 0.0) -> Notes:
    """Notes of timbres with orthogonal mean embeddings, one after the other, every timbre in its turn."""
    rng = np.random.default_rng(seed)
    track = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    centre = AXES[track] + closeness * AXES[0]
    x = normalize(centre + spread * rng.normal(size=(len(track), 16)))
    onset = 0.25 * np.arange(len(track))
    return Notes.build(onset, onset + 0.24, rng.integers(55, 75, len(track)), track=track, embedding=x)


def agreement(a: Notes, b: Notes) -> float:
    return float(v_measure_score(a.track, b.track))


def by_entry(track: np.ndarray) -> bool:
    _, first = np.unique(track, return_index=True)
    return bool(np.all(np.diff(first) > 0))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_separates_clear_timbres(method: str) -> None:
    # Very unequal sizes, but for the dense affinity of spectral clustering, in which a crowd outweighs a few.
    truth = blobs([90, 60, 40] if method == "spectral" else [300, 40, 6])
    found = cluster(truth, Clustering(timbres=3, method=method))
    assert agreement(truth, found) > 0.97
    assert [t.name for t in found.tracks] == ["Timbre 1", "Timbre 2", "Timbre 3"]
    assert by_entry(found.track)


def test_only_the_tracks_change() -> None:
    truth = blobs([20, 20])
    found = cluster(truth, Clustering(timbres=2))
    for name in ("onset", "offset", "pitch", "velocity", "confidence", "embedding"):
        assert np.array_equal(getattr(found, name), getattr(truth, name))


def test_the_same_notes_give_the_same_tracks() -> None:
    notes = synthetic_notes(4, 4, 900)
    first, second = (cluster(notes, Clustering(timbres=4)) for _ in range(2))
    assert np.array_equal(first.track, second.track)


@pytest.mark.parametrize("counts", [[80], [60, 60], [120, 40, 15], [50, 50, 50, 50], [90, 60, 40, 40, 30]])
def test_clear_timbres_are_counted(counts: list[int]) -> None:
    estimate = estimate_timbres(blobs(counts, spread=0.08))
    assert estimate.timbres == len(counts)


def test_a_solo_stays_one_track() -> None:
    notes = blobs([150], spread=0.15)
    assert len(cluster(notes).tracks) == 1


def test_probabilities_cover_every_number_and_add_up() -> None:
    estimate = estimate_timbres(synthetic_notes(2, 3, 200), Clustering(max_timbres=6))
    assert len(estimate.probability) == len(estimate.criterion) == len(estimate.silhouette) == 6
    assert sum(estimate.probability) == pytest.approx(1.0)
    assert estimate.probability[estimate.timbres - 1] == max(estimate.probability)


def test_surer_of_the_number_where_timbres_are_clear() -> None:
    clear, blurred = (
        estimate_timbres(blobs([60, 60, 60], spread, closeness=c)) for spread, c in ((0.08, 0), (0.35, 1))
    )
    assert clear.probability[2] > blurred.probability[2] + 0.2


def test_three_notes_cannot_be_more_than_three_timbres() -> None:
    notes = blobs([1, 1, 1])
    assert sum(estimate_timbres(notes).probability[:3]) == pytest.approx(1.0)
    assert len(np.unique(cluster(notes, Clustering(timbres=8)).track)) == 3


def test_no_notes_and_one_note() -> None:
    none = Notes.build([], [], [], embedding=np.zeros((0, 16)))
    assert len(cluster(none)) == 0 and len(cluster(none).tracks) == 1
    assert estimate_timbres(none).timbres == 1
    assert embedding_map(none).shape == (0, 2)
    one = Notes.build([0], [1], [60], embedding=AXES[:1])
    assert cluster(one).track.tolist() == [0] and embedding_map(one).shape == (1, 2)
    assert cluster(one, Clustering(timbres=3)).track.tolist() == [0]


@pytest.mark.parametrize("copies", [(12,), (7, 7), (40,) * 5])
def test_notes_that_sound_exactly_alike_are_sorted_in_the_end(copies: tuple[int, ...]) -> None:
    """A sequencer repeats a sound to the last bit: rounding once left such notes without a nearest pair, for ever."""
    for seed in range(20):
        sounds = np.random.default_rng(seed).normal(size=(len(copies), 32)).astype(np.float32)
        embedding = np.repeat(sounds / np.linalg.norm(sounds, axis=1, keepdims=True), copies, axis=0)
        onset = 0.5 * np.arange(len(embedding))
        notes = Notes.build(onset, onset + 0.4, np.full(len(onset), 60), embedding=embedding)
        found = cluster(notes, Clustering(timbres=len(copies)))
        assert len(set(zip(found.track.tolist(), np.repeat(np.arange(len(copies)), copies).tolist()))) == len(copies)


def test_equal_and_silent_embeddings_do_no_harm() -> None:
    equal = Notes.build([0, 1, 2], [1, 2, 3], [60, 61, 62], embedding=np.repeat(AXES[:1], 3, axis=0))
    assert len(cluster(equal, Clustering(timbres=2))) == 3
    silent = Notes.build([0, 1, 2], [1, 2, 3], [60, 61, 62], embedding=np.zeros((3, 16)))
    assert np.all(np.isfinite(track_memberships(cluster(silent, Clustering(timbres=2)))))


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match="timbre branch"):
        cluster(Notes.build([0], [1], [60]))
    notes = blobs([5, 5])
    with pytest.raises(ValueError, match="no clustering method 'best'"):
        cluster(notes, Clustering(timbres=2, method="best"))
    with pytest.raises(ValueError, match="only 10 notes"):
        cluster(notes, Clustering(timbres=2), given={10: 0})
    with pytest.raises(ValueError, match="timbres is 0; give a number from 1 on"):
        cluster(notes, Clustering(timbres=0))


# What stays


def test_tracks_keep_number_name_and_sound_when_a_threshold_moves() -> None:
    truth = blobs([80, 60, 40], seed=3)
    before = cluster(truth, Clustering(timbres=3))
    named = before.with_tracks(before.track, (Track("Flute", 73), Track("Cello", 42), Track("Harp", 46)))
    # The notes that decided the order of entry are gone, as with a higher onset threshold.
    late = named.select(np.arange(len(named)) > 30).select(np.arange(len(named) - 31) % 4 != 0)
    late = late.select(np.flatnonzero(late.track != 0).tolist() + np.flatnonzero(late.track == 0)[5:].tolist())
    after = cluster(late, Clustering(timbres=3), previous=named)
    assert after.tracks == named.tracks
    assert np.mean(after.track == late.track) > 0.97


def test_fewer_timbres_leave_the_others_their_numbers() -> None:
    truth = blobs([80, 50, 40, 30])
    before = cluster(truth, Clustering(timbres=4))
    after = cluster(truth, Clustering(timbres=3), previous=before)
    kept = [t for t in range(4) if np.mean(after.track[before.track == t] == t) > 0.9]
    assert len(kept) >= 3
    again = cluster(truth, Clustering(timbres=4), previous=after)
    assert np.array_equal(np.bincount(again.track), np.bincount(before.track))


def test_match_tracks_follows_most_of_the_time() -> None:
    before = cluster(blobs([30, 30, 30]), Clustering(timbres=3))
    turned = before.with_tracks((before.track + 1) % 3, before.tracks)
    assert np.array_equal(match_tracks(before, turned).track, before.track)
    elsewhere = Notes.build([500.0, 501.0], [501.0, 502.0], [60, 61], track=[1, 0])
    assert sorted(match_tracks(before, elsewhere).track.tolist()) == [0, 1]


@hypothesis_settings(max_examples=25, deadline=None)
@drawn(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 5))
def test_any_table_gets_tracks_numbered_by_entry(seed: int, n: int, timbres: int) -> None:
    rng = np.random.default_rng(seed)
    onset = rng.uniform(0, 10, n)
    notes = Notes.build(
        onset, onset + rng.uniform(0.05, 3, n), rng.integers(21, 109, n), embedding=rng.normal(size=(n, 4))
    )
    found = cluster(notes, Clustering(timbres=timbres))
    assert len(np.unique(found.track)) == min(timbres, n) == len(found.tracks)
    assert by_entry(found.track)
    fixed = {int(i): int(rng.integers(0, 3)) for i in rng.choice(n, min(n, 4), replace=False)}
    taught = cluster(notes, Clustering(timbres=timbres), given=fixed)
    assert all(taught.track[i] == t for i, t in fixed.items())
    assert np.allclose(track_memberships(taught).sum(axis=1), 1.0)


# Taught by hand


def corrected(truth: Notes, found: Notes, count: int, seed: int) -> tuple[dict[int, int], np.ndarray]:
    """What a person would say of `count` wrong notes, and the true part of every note in the numbers of `found`."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((len(truth.tracks), len(found.tracks)))
    np.add.at(table, (truth.track, found.track), 1.0)
    part = dict(zip(*(index.tolist() for index in linear_sum_assignment(-table))))
    meant = np.array([part[int(t)] for t in truth.track])
    wrong = np.flatnonzero(meant != found.track)
    chosen = np.random.default_rng(seed).choice(wrong, min(count, len(wrong)), replace=False)
    return {int(i): int(meant[i]) for i in chosen}, meant


def test_a_given_note_keeps_its_track_and_those_like_it_follow() -> None:
    rng = np.random.default_rng(0)
    # Two timbres, the second in two shades; the clustering cuts between the shades.
    centre = np.array([AXES[0], AXES[0] + 0.9 * AXES[1], AXES[0] + 2.5 * AXES[2]])
    shade = np.repeat([0, 1, 2], [40, 40, 40])
    x = normalize(normalize(centre)[shade] + 0.05 * rng.normal(size=(120, 16)))
    order = rng.permutation(120)
    onset = 0.3 * np.arange(120)
    notes = Notes.build(onset, onset + 0.25, np.full(120, 60), embedding=x[order])
    shade = shade[order]
    before = cluster(notes, Clustering(timbres=2))
    assert np.all(before.track[shade == 0] == before.track[shade == 1][0])
    other = int(before.track[shade == 2][0])
    said = {int(i): other for i in np.flatnonzero(shade == 1)[:2]}
    after = cluster(notes, Clustering(timbres=2), previous=before, given=said)
    assert all(after.track[i] == t for i, t in said.items())
    assert np.mean(after.track[shade == 1] == other) > 0.9
    assert np.mean(after.track[shade == 0] == other) < 0.1


def test_a_number_that_is_not_there_makes_a_new_track() -> None:
    truth = blobs([40, 40, 12])
    before = cluster(truth, Clustering(timbres=2))
    index = np.flatnonzero(truth.track == 2)
    after = cluster(truth, Clustering(timbres=2), previous=before, given={int(index[0]): 2, int(index[1]): 2})
    assert np.mean(after.track[index] == 2) > 0.9
    assert np.mean(after.track[truth.track < 2] == 2) < 0.05


def test_five_corrected_notes_help() -> None:
    before_right, after_right = [], []
    for seed in range(100, 130):
        truth = synthetic_notes(seed, 4, 200)
        before = cluster(truth, Clustering(timbres=4))
        said, meant = corrected(truth, before, 5, seed)
        after = cluster(truth, Clustering(timbres=4), previous=before, given=said)
        others = np.setdiff1d(np.arange(len(truth)), list(said))
        before_right.append(np.mean(before.track[others] == meant[others]))
        after_right.append(np.mean(after.track[others] == meant[others]))
    assert np.mean(after_right) > np.mean(before_right) + 0.01


# Weak evidence, unisons, and the rest


def test_a_voice_does_not_overlap_itself() -> None:
    rng = np.random.default_rng(1)
    n = 120
    onset = np.repeat(0.5 * np.arange(n), 2)
    track = np.tile([0, 1], n)
    x = normalize(AXES[track] + 0.5 * rng.normal(size=(2 * n, 16)))
    truth = Notes.build(onset, onset + 0.48, np.where(track == 0, 72, 50), track=track, embedding=x)
    alone = cluster(truth, Clustering(timbres=2, monophony=0, register=0))
    helped = cluster(truth, Clustering(timbres=2, monophony=1, register=0))
    assert agreement(truth, helped) > agreement(truth, alone) + 0.1


def test_chords_of_one_timbre_are_not_torn_apart() -> None:
    rng = np.random.default_rng(2)
    n = 60
    onset = np.concatenate([np.repeat(0.5 * np.arange(n), 3), 0.5 * np.arange(n) + 0.1])
    track = np.repeat([0, 1], [3 * n, n])
    x = normalize(AXES[track] + 0.12 * rng.normal(size=(4 * n, 16)))
    truth = Notes.build(onset, onset + 0.45, rng.integers(50, 80, 4 * n), track=track, embedding=x)
    assert agreement(truth, cluster(truth, Clustering(timbres=2))) > 0.95


def test_a_note_between_two_timbres_goes_to_both() -> None:
    rng = np.random.default_rng(3)
    n = 80
    onset = 0.3 * np.arange(n)
    track = np.arange(n) % 2
    centre = AXES[track].copy()
    both = np.array([20, 41, 60])
    centre[both] = AXES[0] + AXES[1]
    x = normalize(centre + 0.04 * rng.normal(size=(n, 16)))
    notes = Notes.build(onset, onset + 0.25, rng.integers(50, 80, n), embedding=x)
    plain = cluster(notes, Clustering(timbres=2))
    doubled = cluster(notes, Clustering(timbres=2, unisons=True))
    assert len(plain) == n and len(doubled) == n + 3
    for index in both:
        here = doubled.onset == notes.onset[index]
        assert sorted(doubled.track[here].tolist()) == [0, 1]
    assert len(double_unisons(plain)) == n + 3
    panning = np.stack([np.linspace(-1, 1, n), np.full(n, 0.5)], axis=1).astype(np.float32)
    doubled = double_unisons(replace(plain, panning=panning), Clustering(stereo=0.0))
    np.testing.assert_array_equal(doubled.panning, panning[np.searchsorted(onset, doubled.onset)])


def test_clear_notes_are_not_doubled() -> None:
    notes = cluster(blobs([60, 60, 60], spread=0.12), Clustering(timbres=3))
    assert len(double_unisons(notes)) <= len(notes) + 1


def test_memberships_are_sure_where_the_sound_is_clear() -> None:
    found = cluster(blobs([50, 50]), Clustering(timbres=2))
    sure = track_memberships(found)
    assert sure.shape == (100, 2)
    assert np.all(sure[np.arange(100), found.track] > 0.9)


def test_map_keeps_neighbours_together() -> None:
    truth = blobs([40, 40])
    plane = embedding_map(truth)
    centres = [plane[truth.track == t].mean(axis=0) for t in (0, 1)]
    apart = np.linalg.norm(centres[0] - centres[1])
    assert apart > 5 * plane[truth.track == 0].std(axis=0).max()
    assert np.allclose(plane, embedding_map(truth))


def test_long_recordings_are_compressed_without_loss() -> None:
    notes = blobs([3000, 1500, 60], spread=0.15)
    points = note_points(notes)
    small, member = compress(points, 400, 0)
    assert len(small) <= 400 and len(member) == len(notes)
    assert small.weight.sum() == pytest.approx(points.weight.sum())
    assert np.allclose((small.x * small.weight[:, None]).sum(axis=0), (points.x * points.weight[:, None]).sum(axis=0))
    assert agreement(notes, cluster(notes, Clustering(timbres=3))) > 0.97


def tree_of(points: Points) -> Tree:
    return Tree(merges(points), np.arange(len(points)))


def test_tree_agrees_with_scipy() -> None:
    from scipy.cluster.hierarchy import fcluster, linkage

    x = np.random.default_rng(5).normal(size=(120, 6))
    ours = tree_of(Points(x, np.ones(120)))
    tree = linkage(x, "ward")
    for k in range(1, 7):
        assert v_measure_score(fcluster(tree, k, "maxclust"), ours.cut(k)) == pytest.approx(1.0)


def test_a_weight_of_two_is_two_points() -> None:
    x = np.random.default_rng(6).normal(size=(40, 5))
    twice = tree_of(Points(np.repeat(x, 2, axis=0), np.ones(80)))
    heavy = tree_of(Points(x, np.full(40, 2.0)))
    for k in range(1, 6):
        assert v_measure_score(twice.cut(k)[::2], heavy.cut(k)) == pytest.approx(1.0)


def test_a_few_notes_of_another_timbre_are_not_lost_beside_a_long_part_that_changes_over_its_range() -> None:
    rng = np.random.default_rng(8)
    turn = np.linspace(-0.8, 0.8, 600)
    wide = np.stack([np.cos(turn), np.sin(turn)], axis=1) @ np.eye(2, 8)
    x = np.vstack([wide, np.tile(np.eye(8)[4], (25, 1))]) + rng.normal(0.0, 0.12, (625, 8))
    part = np.repeat([0, 1], [600, 25])
    order = rng.permutation(625)
    onset = 0.2 * np.arange(625)
    pitch = np.concatenate([36 + 30 * (turn + 0.8), np.full(25, 72)])[order]
    notes = Notes.build(onset, onset + 0.15, pitch.astype(int), confidence=np.ones(625), embedding=x[order])
    found = cluster(notes, Clustering(timbres=2)).track
    assert v_measure_score(part[order], found) > 0.95


def test_shipped_weights_say_how_they_were_made() -> None:
    model = count_model()
    assert model["features"] == list(FEATURES)
    assert len(model["weight"]) == len(model["mean"]) == len(model["scale"]) == len(FEATURES)
    assert model["made_of"]


def test_clustering_needs_no_torch() -> None:
    code = "import json, sys, amtsep.clustering; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    assert "torch" not in loaded and "sklearn" not in loaded


def test_points_and_pairs_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the app sorts: the number is estimated, then the notes are sorted, some of them taught, unisons looked for."""
    from amtsep.clustering import evidence
    from widgets.state.edits import State
    from widgets.state.grouping import Grouping, group

    asked: list[str] = []
    for name in ("note_points", "overlapping_pairs", "neighbour_pairs"):
        real = getattr(evidence, name)
        monkeypatch.setattr(evidence, name, lambda notes, name=name, real=real: asked.append(name) or real(notes))
    notes = synthetic_notes(3, 3, 200)
    settings = Clustering(unisons=True, timbres=2)
    table, grouping = group(notes, State(clustering=settings, taught=((60, 0.0, 1),)), None, Grouping())
    assert grouping.problem is None and len(table) >= len(notes)
    assert sorted(asked) == ["neighbour_pairs", "note_points", "overlapping_pairs"]
    asked.clear()
    before = ward_tree.cache_info().misses
    cluster(notes, Clustering(unisons=True))
    assert sorted(asked) == ["neighbour_pairs", "note_points", "overlapping_pairs"]
    assert ward_tree.cache_info().misses == before + 2  # for the number and for the sorting


def test_wards_tree_is_that_of_merging_the_two_cheapest_clusters_one_by_one():
    rng = np.random.default_rng(5)
    x = normalize(rng.normal(size=(4, 6))[rng.integers(0, 4, 60)] + 0.5 * rng.normal(size=(60, 6)))
    x[40:50] = x[:10]  # points that are the same, too
    points = Points(x, rng.uniform(0.2, 2.0, 60))
    clusters = {(i,): (x[i], points.weight[i]) for i in range(60)}
    while clusters:
        if len(clusters) <= 8:
            labels = tree_of(points).cut(len(clusters))
            assert {tuple(np.flatnonzero(labels == k)) for k in range(labels.max() + 1)} == set(clusters)
        if len(clusters) == 1:
            break
        (a, (mean_a, weight_a)), (b, (mean_b, weight_b)) = min(
            ((one, other) for one in clusters.items() for other in clusters.items() if one[0] < other[0]),
            key=lambda pair: (
                pair[0][1][1] * pair[1][1][1] / (pair[0][1][1] + pair[1][1][1])
                * np.sum((pair[0][1][0] - pair[1][1][0]) ** 2)
            ),
        )  # fmt: skip
        del clusters[a], clusters[b]
        total = weight_a + weight_b
        clusters[tuple(sorted(a + b))] = (weight_a * mean_a + weight_b * mean_b) / total, total
