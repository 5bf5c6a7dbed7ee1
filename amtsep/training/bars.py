"""Train the network that finds bars among beats: ``python -m amtsep.training.bars SCORES OUT``.

The pieces, how they are played and what is held out are those of `amtsep.training.beats`; the beats are those that the
tracker finds in them, and true ones that are a little off, half as many and twice as many.
"""

from __future__ import annotations

import argparse
import pickle
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from amtsep.config import BeatTracking
from amtsep.notes import Notes
from amtsep.rhythm.bars import COLUMNS, STATES, beat_columns
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.features import features
from amtsep.rhythm.network import load
from amtsep.rhythm.tracking import find_beats, refine
from amtsep.synthesis.performance import as_heard, draw_playing, drum_part, perform
from amtsep.synthesis.written import Written
from amtsep.training.beats import Learner, Network, chances, held_out, load_pieces, save

NEAR_S = 0.07
LEVELS = (1.0, 0.5, 2.0)
"""Beats as one would count them; twice as many; half as many. Learned beside, and not used: see docs/experiments.md."""
OUTPUTS = len(STATES) + 1 + len(LEVELS)
"""Rows that the network gives: logits of `STATES`, of a beat of three parts, of `LEVELS`."""
Example = tuple[NDArray[np.float16], NDArray[np.int64]]
"""Columns (COLUMNS, n), and labels (3, n): index into `STATES`, three parts or two, index into `LEVELS`; -1 unknown."""


def labels(found: NDArray[np.float64], beats: Beats) -> NDArray[np.int64]:
    """What the network is to say of beats that were found, given the true ones."""
    out = np.full((3, len(found)), -1, np.int64)
    near = np.clip(np.searchsorted(beats.time, found), 1, len(beats) - 1)
    near -= found - beats.time[near - 1] < beats.time[near] - found
    hit = np.abs(beats.time[near] - found) < NEAR_S
    ratio = np.median(np.diff(found)) / np.median(np.diff(beats.time[max(near[0] - 1, 0) : near[-1] + 2]))
    level = int(np.argmin(np.abs(np.log(ratio / np.array(LEVELS)))))
    clear = abs(np.log(ratio / LEVELS[level])) < 0.17
    agrees = float(np.mean(hit)) > (0.45 if level == 1 else 0.8)
    if not (clear and agrees):
        return out
    out[2] = level
    if level:
        return out
    lines = np.flatnonzero(beats.downbeat)
    bar = np.searchsorted(lines, near, side="right") - 1
    sizes = np.diff(np.append(lines, len(beats)))
    for i in np.flatnonzero(hit):
        metre = beats.metres[beats.metre[near[i]]]
        out[1, i] = int(metre.compound)
        first = lines[bar[i]] if bar[i] >= 0 else lines[0] - metre.beats_per_bar
        whole = bar[i] < 0 or sizes[bar[i]] == metre.beats_per_bar or bar[i] == len(lines) - 1
        state = (metre.beats_per_bar, int(near[i] - first))
        if whole and state in STATES:
            out[0, i] = STATES.index(state)
    return out


def examples(rng: np.random.Generator, piece: Written) -> list[Example]:
    """A stretch of a performance with the beats that are found in it, and with the true ones changed a little."""
    notes, beats, _ = perform(rng, piece, draw_playing(rng, piece))
    if rng.random() < 0.6:
        notes = as_heard(rng, notes, float(rng.uniform(0.3, 1.3)))
    if rng.random() < 0.3:
        notes = notes.with_tracks(np.zeros(len(notes), np.int16), notes.tracks[:1])
    length = float(rng.uniform(25, 80))
    begin = 0.0 if rng.random() < 0.4 else float(rng.uniform(0, max(notes.end - length, 0.0) + 1e-6))
    drums = drum_part(rng, beats) if rng.random() < 0.25 else Notes.empty()
    struck = np.zeros(len(notes), bool)
    if len(drums):
        notes, order = notes.joined(drums)
        struck = order >= len(order) - len(drums)
    inside = (notes.onset >= begin) & (notes.onset < begin + length)
    if inside.sum() < 30 or (inside & ~struck).sum() < 12:
        return []
    struck = struck[inside]
    part = notes.select(inside)
    part = Notes.build(
        part.onset - begin, part.offset - begin, part.pitch, part.velocity, track=part.track, tracks=part.tracks
    )
    own = (beats.time >= begin - 0.2) & (beats.time < begin + length)
    true = Beats(beats.time[own] - begin, beats.downbeat[own], beats.metre[own], beats.confidence[own], beats.metres)
    if len(true) < 12 or not true.downbeat.any():
        return []
    # Half of the time the drums help to find the beats only through their strokes, not at all the other half.
    beat, down = load()(features(part, struck))
    found = refine(find_beats(beat, BeatTracking()), part, beat)
    found = found[found >= 0]
    exact = true.time + rng.normal(0, 0.01, len(true))
    sets = [found, exact]
    kind = rng.random()
    if kind < 0.35:
        sets.append(exact[int(rng.integers(2)) :: 2])
    elif kind < 0.7:
        sets.append(np.sort(np.concatenate([exact, (exact[1:] + exact[:-1]) / 2])))
    out = []
    for times in sets:
        times = np.maximum.accumulate(times)
        times = times[np.concatenate([[True], np.diff(times) > 0.05])]
        if len(times) < 10:
            continue
        target = labels(times, true)
        if np.all(target < 0):
            continue
        out.append((beat_columns(part, times, beat, down, struck).astype(np.float16), target))
    return out


def draw_examples(pieces: list[Written], seconds: float, seed: int) -> list[Example]:
    """As many examples as can be made in so many seconds; rare metres more often, long pieces more often."""
    rng = np.random.default_rng(seed)
    weight = chances(pieces)
    out: list[Example] = []
    end = time.time() + seconds
    while time.time() < end:
        out += examples(rng, pieces[rng.choice(len(pieces), p=weight)])
    return out


def train(
    data: list[Example], out: Path, steps: int, rate: float = 3e-3, batch: int = 32, width: int = 128, seed: int = 1
) -> None:
    """Train and write; a line every 200 steps."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    everything = np.concatenate([x.astype(np.float32) for x, _ in data], axis=1)
    mean = torch.from_numpy(everything.mean(1))
    scale = torch.from_numpy(everything.std(1)).clamp(min=0.05)
    network = Network(channels=32, layers=5, dropout=0.2, rows=COLUMNS, outputs=OUTPUTS)
    learner = Learner(network, rate, steps, 2e-2, 0.99)

    def entropy(z: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        """Mean over what is known; 0 where nothing is."""
        loss = torch.nn.functional.cross_entropy(z, goal, ignore_index=-1, reduction="sum")
        return loss / (goal >= 0).sum().clamp(min=1)

    for _ in range(steps):
        x = np.zeros((batch, COLUMNS, width), np.float32)
        y = np.full((batch, 3, width), -1, np.int64)
        for row in range(batch):
            columns, target = data[rng.integers(len(data))]
            n = columns.shape[1]
            first = int(rng.integers(0, max(n - 24, 1)))
            count = min(n - first, width)
            x[row, :, :count] = (columns[:, first : first + count] - mean.numpy()[:, None]) / scale.numpy()[:, None]
            y[row, :, :count] = target[:, first : first + count]
        z = network(torch.from_numpy(x))
        goal = torch.from_numpy(y)
        k = len(STATES)
        three = goal[:, 1].float()
        loss = (
            entropy(z[:, :k], goal[:, 0])
            + 0.3
            * torch.nn.functional.binary_cross_entropy_with_logits(
                z[:, k], three.clamp(min=0), weight=(three >= 0).float()
            )
            + 0.3 * entropy(z[:, k + 1 :], goal[:, 2])
        )
        learner.step(loss, 200)
    save(learner.average.module.eval(), mean.numpy(), scale.numpy(), out)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0, help="time for making examples")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="keep the scores that have been read here")
    parser.add_argument("--examples", type=Path, help="keep the examples here, or take them from here")
    args = parser.parse_args()
    if args.examples is not None and args.examples.exists():
        data = pickle.loads(args.examples.read_bytes())  # our own file
    else:
        pieces = [p for _, p in load_pieces(args.scores, args.cache) if not held_out(p.name)]
        data = draw_examples(pieces, 60 * args.minutes, args.seed)
        if args.examples is not None:
            args.examples.write_bytes(pickle.dumps(data))
    print(f"{len(data)} examples")
    train(data, args.out, args.steps, seed=args.seed)


if __name__ == "__main__":
    main()
