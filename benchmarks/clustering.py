"""How well notes are told apart by timbre, how well the number of timbres is found, how long it takes.

    python -m amtsep.training.timbres hear --bank bank --model base.safetensors --count 150 --out dev.npz
    python benchmarks/clustering.py agreement dev.npz      # methods and weak evidence, K given and estimated
    python benchmarks/clustering.py count dev.npz          # exact K, confusion, calibration of the stated probability
    python benchmarks/clustering.py taught dev.npz         # after 0, 3, 5, 10 corrected notes
    python benchmarks/clustering.py unisons dev.npz        # notes of two timbres that got both, and false doubles
    python benchmarks/clustering.py time                   # on a quiet machine: seconds over the number of notes

Figures of 'agreement': V-measure over heard notes that match a true one, and micro onset F1 of the tracks under the
best assignment. All but 'hear' and 'time' work on files that 'hear' wrote. For a data set with stems, which may be
reported but never tuned on, the first step is

    python benchmarks/clustering.py hear --dataset bach10 --root DATA/bach10 --model base --out bach10.npz

(posteriors are taken from the cache of `amtsep evaluate`, and left there).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import v_measure_score

from amtsep.clustering import METHODS, cluster, double_unisons, estimate_timbres
from amtsep.clustering.count import count_model
from amtsep.clustering.points import note_points
from amtsep.config import Clustering
from amtsep.evaluation.separation import evaluate_separated
from amtsep.notes import Notes, Track
from amtsep.training.timbres.drawing import synthetic_notes
from amtsep.training.timbres.hearing import HeardMix, load_examples, save_examples

HOP_S = 256 / 22050


def v_measure(example: HeardMix, track: NDArray[np.int16]) -> float:
    """Agreement of tracks and parts over the heard notes that match a true one."""
    labels = example.labels()
    known = labels >= 0
    return float(v_measure_score(labels[known], track[known])) if known.any() else float("nan")


def accuracy(example: HeardMix, track: NDArray[np.int16]) -> float:
    """Share of the matched notes on the right track, under the best assignment."""
    labels = example.labels()
    known = labels >= 0
    table = np.zeros((int(labels.max(initial=0)) + 1, int(track.max(initial=0)) + 1))
    np.add.at(table, (labels[known], track[known]), 1.0)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / max(table.sum(), 1.0))


def f1(example: HeardMix, notes: Notes) -> float:
    """Micro onset F1 of the tracks."""
    return evaluate_separated(example.truth, notes, HOP_S).micro_onset.f1


def agreement(examples: Sequence[HeardMix], with_f1: bool) -> None:
    """Methods alone, then with weak evidence; K given, then estimated."""
    several = [example for example in examples if example.timbres > 1]
    print(f"{len(several)} mixes of 2 to 8 timbres, K given")
    print(
        f"{'method':18}{'alone':>9}{'+ time':>9}{'+ register':>12}{'both':>9}   (V-measure; then share of notes right)"
    )
    variants = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
    for method in METHODS:
        cells = []
        alone = [METHODS[method](note_points(e.heard), min(e.timbres, len(e.heard)), 0) for e in several]
        cells.append(measure(several, alone))
        for monophony, register in variants[1:]:
            settings = Clustering(method=method, monophony=monophony, register=register)
            found = [cluster(e.heard, replace(settings, timbres=e.timbres)).track for e in several]
            cells.append(measure(several, found))
        print(f"{method:18}" + "".join(f"{v:9.3f}" for v, _ in cells) + "   " + "".join(f"{a:9.3f}" for _, a in cells))
    if not with_f1:
        return
    print("\nmicro onset F1 by the true number of timbres, default settings: one track, K given, K estimated")
    for k in sorted({e.timbres for e in examples}):
        chosen = [e for e in examples if e.timbres == k]
        one = np.mean([f1(e, e.heard.with_tracks(np.zeros(len(e.heard)), e.heard.tracks)) for e in chosen])
        given = np.mean([f1(e, cluster(e.heard, Clustering(timbres=k))) for e in chosen])
        guessed = np.mean([f1(e, cluster(e.heard)) for e in chosen])
        print(f"{k}  {len(chosen):4} mixes  {one:.3f}  {given:.3f}  {guessed:.3f}")


def measure(examples: Sequence[HeardMix], tracks: Sequence[NDArray]) -> tuple[float, float]:
    """Mean V-measure and share of notes right."""
    pairs = [(v_measure(e, t), accuracy(e, t)) for e, t in zip(examples, tracks)]
    return tuple(np.nanmean(pairs, axis=0).tolist())


def reliability(stated: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 5) -> tuple[float, list[str]]:
    """Expected calibration error (Naeini et al. 2015), and a row for every bin of the stated probability."""
    inside = np.clip((stated * bins).astype(int), 0, bins - 1)
    rows, error = [], 0.0
    for b in np.unique(inside):
        mine = inside == b
        error += mine.mean() * abs(stated[mine].mean() - right[mine].mean())
        rows.append(f"{stated[mine].mean():7.2f}{right[mine].mean():9.2f}{mine.sum():7}")
    return float(error), rows


def count(examples: Sequence[HeardMix], weights: Path | None, with_f1: bool) -> None:
    """Exact rate, error, F1 with K given and estimated, confusion and calibration of the stated probability."""
    model = count_model(weights) if weights else None
    estimates = [estimate_timbres(example.heard, model=model) for example in examples]
    truth = np.array([example.timbres for example in examples])
    found = np.array([estimate.timbres for estimate in estimates])
    chance = np.array([estimate.probability for estimate in estimates])
    head = "timbres  mixes  exact  mean |error|  stated" + ("   F1: one track  K given  K estimated" if with_f1 else "")
    print(head)
    rows: list[list[float]] = []
    if with_f1:
        for example, k in zip(examples, found):
            tracks = [np.zeros(len(example.heard))]
            tracks += [cluster(example.heard, Clustering(timbres=int(n))).track for n in (example.timbres, k)]
            rows.append([f1(example, with_labels(example.heard, labels)) for labels in tracks])
    for k in [*np.unique(truth), 0]:
        mine = truth == k if k else truth > 0
        line = f"{k or 'all':>7}{mine.sum():7}{(found == truth)[mine].mean():7.3f}"
        line += f"{np.abs(found - truth)[mine].mean():14.2f}{chance.max(axis=1)[mine].mean():8.2f}"
        if with_f1:
            one, given, guessed = np.array(rows)[mine].mean(axis=0)
            line += f"{one:15.3f}{given:9.3f}{guessed:13.3f}"
        print(line)
    error, table = reliability(chance.max(axis=1), found == truth)
    loss = -np.log(chance[np.arange(len(truth)), truth - 1] + 1e-9).mean()
    print(f"log loss {loss:.3f}; expected calibration error {error:.3f}; stated probability, share right, mixes:")
    print("\n".join(table))
    print("confusion, true by row, found 1 to 8 by column:")
    for k in np.unique(truth):
        print(f"{k:3}" + "".join(f"{np.sum((truth == k) & (found == n)):5}" for n in range(1, 9)))


def with_labels(notes: Notes, labels: NDArray) -> Notes:
    """The notes on numbered tracks."""
    return notes.with_tracks(labels.astype(int), [Track(str(n)) for n in range(int(labels.max(initial=0)) + 1)])


def correct(example: HeardMix, found: Notes, number: int, seed: int) -> dict[int, int]:
    """Tracks that a person would give to `number` wrong notes, drawn at random."""
    labels = example.labels()
    known = np.flatnonzero(labels >= 0)
    table = np.zeros((int(labels.max()) + 1, len(found.tracks)))
    np.add.at(table, (labels[known], found.track[known]), 1.0)
    part_track = {int(p): int(t) for p, t in zip(*linear_sum_assignment(-table))}
    # Parts that got no track: a new one each.
    for part in range(len(table)):
        part_track.setdefault(part, max(part_track.values()) + 1)
    meant = np.array([part_track[int(label)] for label in labels[known]])
    wrong = np.flatnonzero(meant != found.track[known])
    chosen = np.random.default_rng(seed).choice(wrong, min(number, len(wrong)), replace=False)
    return {int(known[i]): int(meant[i]) for i in chosen}


def taught(examples: Sequence[HeardMix], settings: Clustering, timbres: Sequence[int]) -> None:
    """Share of notes right after corrections: the corrected notes alone, and all that follows."""
    chosen = [e for e in examples if e.timbres in timbres]
    print(f"{len(chosen)} mixes of {timbres}; corrected notes, share right if only they change, share right, V, F1")
    before = [cluster(e.heard, replace(settings, timbres=e.timbres)) for e in chosen]
    for number in (0, 3, 5, 10):
        rows = []
        for seed, (example, first) in enumerate(zip(chosen, before)):
            said = correct(example, first, number, seed)
            plain = first.track.copy()
            plain[list(said)] = list(said.values())
            now = cluster(example.heard, replace(settings, timbres=example.timbres), first, said) if said else first
            rows.append(
                (
                    accuracy(example, plain),
                    accuracy(example, now.track),
                    v_measure(example, now.track),
                    f1(example, now),
                )
            )
        print(f"{number:3}  " + "  ".join(f"{x:.4f}" for x in np.nanmean(rows, axis=0)))


def unisons(examples: Sequence[HeardMix]) -> None:
    """Doubled notes over the evidence asked for: unisons that got all owners, false doubles, micro onset F1."""
    several = [e for e in examples if e.timbres > 1]
    plain = [cluster(e.heard, Clustering(timbres=e.timbres)) for e in several]
    for evidence in (np.inf, 6.0, 4.5, 3.0, 2.0, 1.0):
        settings = Clustering(unison_evidence=evidence)
        tables = [double_unisons(notes, settings) for notes in plain]
        scores = [evaluate_separated(e.truth, t, HOP_S) for e, t in zip(several, tables)]
        groups, both = (sum(getattr(s.unisons, name) for s in scores) for name in ("groups", "both"))
        false = sum(s.unisons.false for s in scores)
        added = sum(len(t) - len(n) for t, n in zip(tables, plain))
        micro = np.mean([s.micro_onset.f1 for s in scores])
        print(
            f"evidence {evidence:4}: {both} of {groups} unisons whole, {added} doubled, {false} false, F1 {micro:.4f}"
        )


def hear(dataset: str, root: Path, model: str, sizes: Sequence[int], per_size: int | None, out: Path) -> None:
    """A data set's recordings, or mixes of its parts, as a network hears them."""
    from amtsep.cache import folder
    from amtsep.decoding import decode, embed_notes
    from amtsep.evaluation.readers import DATASETS, recordings
    from amtsep.evaluation.runner import posteriors_of
    from amtsep.inference import Transcriber, model_hash

    transcriber, key, examples = Transcriber(model, device="cpu"), model_hash(model), []
    mixes = sizes if DATASETS[dataset].pieces else None
    for recording in recordings(dataset, root, mixes, per_size=per_size):
        posteriors = posteriors_of(recording, transcriber, key, folder("posteriors"))
        notes = embed_notes(decode(posteriors), posteriors)
        if len(notes) >= 4:
            examples.append(HeardMix(notes, recording.reference))
    save_examples(out, examples)
    print(f"{len(examples)} recordings")


def timed(work: Callable[[], object], repeats: int = 7) -> tuple[float, float, int]:
    """Least wall time in ms, CPU time of that run in ms, involuntary context switches over all."""
    import resource

    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    best = (np.inf, 0.0)
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    return 1e3 * best[0], 1e3 * best[1], resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches


def times() -> None:
    """Estimate of K and clustering over the number of notes."""
    print(f"{os.cpu_count()} cores; ms wall (CPU), involuntary switches")
    print(f"{'notes':>7}{'estimate':>18}{'cluster, K given':>22}{'cluster, K estimated':>26}")
    for n in (100, 300, 1000, 3000, 10000, 30000):
        notes = synthetic_notes(1, 5, n)
        before = cluster(notes, Clustering(timbres=5))
        cells = [
            timed(lambda notes=notes: estimate_timbres(notes)),
            timed(lambda notes=notes: cluster(notes, Clustering(timbres=5))),
            timed(lambda notes=notes, before=before: cluster(notes, previous=before)),
        ]
        print(f"{len(notes):7}" + "".join(f"{wall:11.1f} ({cpu:.1f}) {switches:4}" for wall, cpu, switches in cells))


def main() -> None:
    """Run one of the measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("agreement", "count", "taught", "unisons", "hear", "time"))
    parser.add_argument("examples", nargs="*", type=Path, help=".npz files of 'hear'")
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("AMTSEP_DATA", "../shared/data")))
    parser.add_argument("--model", default="base")
    parser.add_argument("--timbres", type=int, nargs="*", default=[3, 4, 5])
    parser.add_argument("--dataset", default="bach10")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 2, 3, 4])
    parser.add_argument("--per-size", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--weights", type=Path, help="of 'count': a file instead of the weights that ship")
    parser.add_argument("--f1", action="store_true", help="also onset F1 of the tracks (slower)")
    args = parser.parse_args()
    examples = [example for path in args.examples for example in load_examples(path)]
    if args.what == "agreement":
        agreement(examples, args.f1)
    elif args.what == "count":
        count(examples, args.weights, args.f1)
    elif args.what == "taught":
        taught(examples, Clustering(), args.timbres)
    elif args.what == "unisons":
        unisons(examples)
    elif args.what == "hear":
        hear(args.dataset, args.root, args.model, args.sizes, args.per_size, args.out)
    else:
        times()


if __name__ == "__main__":
    main()
