"""What tracks lose, and where: the same recordings with one thing after another known.

    python benchmarks/oracles.py --dataset slakh --root DATA/slakh/dev --mixes 2,3,4
    python benchmarks/oracles.py --dataset bach10 --root DATA/bach10/dev --mixes 2,3,4

Macro onset F1 of the tracks, means over recordings. 'number' is given instead of estimated; 'centres' are those of the
true notes' embeddings, each heard note with the nearest one; an 'owner' is the part of the true note that a heard note
is matched with, the others going to the nearest centre; with 'notes' the true ones stand in place of the heard ones,
so that what is left are the faults of embedding and clustering.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.cache import folder
from amtsep.clustering import cluster
from amtsep.clustering.points import nearest, normalize, note_points
from amtsep.clustering.stability import name_tracks
from amtsep.config import Clustering
from amtsep.decoding import decode, embed_notes
from amtsep.evaluation.metrics import match
from amtsep.evaluation.readers import recordings
from amtsep.evaluation.runner import HOP_S, posteriors_of
from amtsep.evaluation.separation import evaluate_separated
from amtsep.inference import Transcriber, model_hash
from amtsep.notes import Notes

Labels = NDArray[np.intp]


def by_centres(heard: Notes, truth: Notes, part: Labels) -> Labels:
    """For each heard note the part whose true notes sound most like it."""
    true, points = note_points(truth), note_points(heard)
    centres = [np.average(true.x[part == p], axis=0, weights=true.weight[part == p]) for p in range(part.max() + 1)]
    return nearest(points.x, normalize(np.array(centres)))


def by_owner(heard: Notes, truth: Notes, part: Labels) -> Labels:
    """For each heard note the part of the true note it is matched with, else as `by_centres`."""
    found = by_centres(heard, truth, part)
    pairs = match(truth, heard)
    found[pairs[:, 1]] = part[pairs[:, 0]]
    return found


def tracked(notes: Notes, part: Labels) -> Notes:
    """The notes with a track a part."""
    return notes.with_tracks(part, name_tracks(part, None))


Way = Callable[[Notes, Notes, Labels], Notes]
WAYS: dict[str, Way] = {
    "as it comes": lambda heard, truth, part: cluster(heard),
    "number": lambda heard, truth, part: cluster(heard, Clustering(timbres=int(part.max()) + 1)),
    "number, centres": lambda heard, truth, part: tracked(heard, by_centres(heard, truth, part)),
    "number, owners": lambda heard, truth, part: tracked(heard, by_owner(heard, truth, part)),
    "notes": lambda heard, truth, part: cluster(truth),
    "notes, number": lambda heard, truth, part: cluster(truth, Clustering(timbres=int(part.max()) + 1)),
    "notes, number, centres": lambda heard, truth, part: tracked(truth, by_centres(truth, truth, part)),
}
"""By what is known: tracks from the heard notes, the true ones (both with embeddings), and the true ones' parts."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--mixes", default="2,3,4", help="parts of the mixes (%(default)s)")
    parser.add_argument("--model", default="base")
    args = parser.parse_args()
    sizes = [int(size) for size in args.mixes.split(",")]
    transcriber, key = Transcriber(args.model), model_hash(args.model)
    scores: dict[str, dict[int, list[tuple[float, bool]]]] = {way: {size: [] for size in sizes} for way in WAYS}
    for recording in recordings(args.dataset, args.root, tuple(sizes)):
        posteriors = posteriors_of(recording, transcriber, key, folder("posteriors"))
        heard, truth = (embed_notes(notes, posteriors) for notes in (decode(posteriors), recording.reference))
        parts, part = np.unique(truth.track, return_inverse=True)
        for way, sort in WAYS.items():
            tracks = sort(heard, truth, part.reshape(-1))
            score = evaluate_separated(recording.reference, tracks, HOP_S).macro_onset_f1
            scores[way][len(parts)].append((score, len(np.unique(tracks.track)) == len(parts)))
    print(f"| known | {' | '.join(f'{size} parts' for size in sizes)} | all | number right |")
    print("|---|" + "---|" * (len(sizes) + 2))
    for way, found in scores.items():
        every = [row for rows in found.values() for row in rows]
        cells = [f"{np.mean([score for score, _ in rows]):.3f}" for rows in [*found.values(), every]]
        right = "" if "number" in way else f"{sum(right for _, right in every)} of {len(every)}"
        print(f"| {way} | {' | '.join(cells)} | {right} |")


if __name__ == "__main__":
    main()
