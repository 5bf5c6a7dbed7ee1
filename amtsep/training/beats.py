"""Train the beat network on written music played with expression: ``python -m amtsep.training.beats SCORES OUT``.

SCORES is a folder of MusicXML (searched for ``.mxl`` and ``.musicxml``); the polyphonic part of music21's corpus is
added. One piece in five, by a checksum of its name, is held out: it is never trained on, and the figures of
``benchmarks/rhythm.py`` come from there. Bach10's chorales are left out wherever they come from.
"""

from __future__ import annotations

import argparse
import pickle
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.notes import Notes
from amtsep.rhythm.beats import Beats
from amtsep.rhythm.features import CHANNELS, FRAME_S, LEAD_FRAMES, features
from amtsep.rhythm.network import KERNEL
from amtsep.synthesis.guard import refuse
from amtsep.synthesis.music import is_bach10, music21_folders
from amtsep.synthesis.performance import as_heard, draw_playing, drum_part, perform
from amtsep.synthesis.scores import SCORE_DTYPE
from amtsep.synthesis.written import Written, read_written

HELD_OUT_SHARE = 5
DRUMS_SHARE = 0.35
"""Of performances that have a drum part, where they are asked for."""
DRUM_SCALE = 0.3
"""Least scale of the rows of drums, of which weights from before there were any know nothing."""
WEIGHTS = torch.tensor([0.7, 1.3])
"""Of beats and of downbeats in the loss: downbeats are harder, and rarer."""


def held_out(name: str) -> bool:
    """Whether a piece is kept for evaluation; movements and files of one work go the same way."""
    return zlib.crc32(name.split(".")[0].split("_")[0].encode()) % HELD_OUT_SHARE == 0


def load_pieces(scores: Path, cache: Path | None = None) -> list[tuple[str, Written]]:
    """(file, piece) of every score that can be read, but for Bach10's."""
    if cache is not None and cache.exists():
        return pickle.loads(cache.read_bytes())  # our own file
    files = sorted(p for p in refuse(scores, "scores").rglob("*") if p.suffix in (".mxl", ".musicxml"))
    for folder in music21_folders():
        files += sorted(p for p in folder.rglob("*") if p.suffix in (".mxl", ".xml", ".musicxml"))
    found = []
    for file in files:
        try:
            piece = read_written(file)
        except (DataError, ValueError):
            continue
        tables = []
        for part in range(len(piece.programs)):
            own = piece.notes[(piece.notes["part"] == part) & ~piece.notes["grace"]]
            table = np.zeros(len(own), SCORE_DTYPE)
            table["onset"], table["offset"] = own["start"] / 2, (own["start"] + own["length"]) / 2
            table["pitch"] = own["pitch"]
            tables.append(table)
        if not is_bach10(f"{piece.title} {file.name}", tables) and len(piece.notes) > 24 and len(piece.bars) > 3:
            found.append((str(file), piece))
    if cache is not None:
        cache.write_bytes(pickle.dumps(found))
    return found


def example(
    rng: np.random.Generator, piece: Written, frames: int, drums: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (channels, frames) of a stretch of a performance, and its targets (2, frames): beat, downbeat.

    `drums` is the share of performances that have a drum part.
    """
    playing = draw_playing(rng, piece)
    notes, beats, _ = perform(rng, piece, playing)
    if rng.random() < 0.7:
        notes = as_heard(rng, notes, float(rng.uniform(0.3, 1.3)))
    if rng.random() < 0.3:  # a transcription without timbres has one track
        notes = notes.with_tracks(np.zeros(len(notes), np.int16), notes.tracks[:1])
    struck = np.zeros(len(notes), bool)
    if drums and rng.random() < drums:
        strokes = drum_part(rng, beats)
        if len(strokes):
            notes, order = notes.joined(strokes)
            struck = order >= len(order) - len(strokes)
    length = frames * FRAME_S
    begin = float(rng.uniform(-1.0, max(notes.end - 0.7 * length, 0.0)))
    begin = 0.0 if rng.random() < 0.25 else max(begin, 0.0)
    inside = (notes.onset >= begin) & (notes.onset < begin + length - 1.0)
    part, struck = notes.select(inside), struck[inside]
    part = Notes.build(
        part.onset - begin, np.minimum(part.offset - begin, length), part.pitch, part.velocity,
        track=part.track, tracks=part.tracks,
    )  # fmt: skip
    x = features(part, struck)[:, :frames]
    x = np.pad(x, ((0, 0), (0, frames - x.shape[1])))
    return x, targets(beats, begin, frames)


def chances(pieces: list[Written]) -> NDArray[np.float64]:
    """How often each piece is drawn: those in rare metres more often, short ones less than long ones."""
    kinds = [f"{p.metres[0].beats_per_bar}{p.metres[0].compound}" for p in pieces]
    share = {k: kinds.count(k) for k in set(kinds)}
    weight = np.array([share[k] ** -0.6 * min(len(p.bars), 60) ** 0.5 for k, p in zip(kinds, pieces, strict=True)])
    return np.asarray(weight / weight.sum())


class Learner:
    """The course of a training: AdamW in one cycle, gradients of at most 1, and a moving average of the weights."""

    def __init__(self, network: torch.nn.Module, rate: float, steps: int, decay: float, memory: float) -> None:
        self.network = network
        self.optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, rate, total_steps=steps, pct_start=0.05)
        slow = torch.optim.swa_utils.get_ema_multi_avg_fn(memory)
        self.average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=slow)
        self.running, self.began, self.steps = 0.0, time.time(), 0

    def step(self, loss: torch.Tensor, every: int) -> bool:
        """One step; a line, and true, every so many."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        self.steps += 1
        self.running = loss.item() if self.steps == 1 else 0.98 * self.running + 0.02 * loss.item()
        if self.steps % every:
            return False
        print(f"{self.steps} steps, loss {self.running:.4f}, {time.time() - self.began:.0f} s", flush=True)
        return True


def targets(beats: Beats, begin: float, frames: int) -> NDArray[np.float32]:
    """1 in the frame of each beat and downbeat, half in its neighbours; -1 (not counted) after the last beat."""
    out = np.zeros((2, frames), np.float32)
    for row, times in enumerate((beats.time, beats.time[beats.downbeat])):
        place = np.round((times - begin) / FRAME_S).astype(int) + LEAD_FRAMES
        for shift, value in ((-2, 0.25), (2, 0.25), (-1, 0.6), (1, 0.6), (0, 1.0)):
            at = place + shift
            at = at[(at >= 0) & (at < frames)]
            out[row, at] = np.maximum(out[row, at], value)
    last = int((beats.time[-1] - begin) / FRAME_S) + LEAD_FRAMES + 5
    first = int((beats.time[0] - begin) / FRAME_S) + LEAD_FRAMES - 5
    out[:, max(last, 0) :] = -1.0
    out[:, : max(first, 0)] = -1.0
    return out


class Network(torch.nn.Module):
    """The same as `amtsep.rhythm.network.BeatNetwork`, to train."""

    def __init__(
        self, channels: int = 24, layers: int = 11, dropout: float = 0.1, rows: int = len(CHANNELS), outputs: int = 2
    ) -> None:
        super().__init__()
        self.enter = torch.nn.Conv1d(rows, channels, 1)
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv1d(channels, channels, KERNEL, dilation=2**i, padding=KERNEL // 2 * 2**i)
            for i in range(layers)
        )
        self.mixes = torch.nn.ModuleList(torch.nn.Conv1d(channels, channels, 1) for _ in range(layers))
        self.leave = torch.nn.Conv1d(2 * channels, outputs, 1)
        self.drop = torch.nn.Dropout1d(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, outputs, T)."""
        elu = torch.nn.functional.elu
        h = elu(self.enter(x))
        total = torch.zeros_like(h)
        for convolution, mix in zip(self.convolutions, self.mixes, strict=True):
            y = mix(self.drop(elu(convolution(h))))
            h = h + y
            total = total + y
        return self.leave(elu(torch.cat([h, total], 1)))


def save(network: Any, mean: NDArray[np.float32], scale: NDArray[np.float32], path: Path) -> None:
    """Write the weights for `amtsep.rhythm.network`."""

    def array(tensor: torch.Tensor) -> NDArray[np.float16]:
        return tensor.detach().numpy().astype(np.float16)

    np.savez_compressed(
        path,
        mean=mean,
        scale=scale,
        enter=array(network.enter.weight[:, :, 0]),
        enter_bias=array(network.enter.bias),  # type: ignore[arg-type]
        kernels=np.stack([array(c.weight.permute(2, 0, 1)) for c in network.convolutions]),  # type: ignore[operator]
        biases=np.stack([array(c.bias) for c in network.convolutions]),  # type: ignore[arg-type]
        mixes=np.stack([array(c.weight[:, :, 0]) for c in network.mixes]),  # type: ignore[index]
        mix_biases=np.stack([array(c.bias) for c in network.mixes]),  # type: ignore[arg-type]
        leave=array(network.leave.weight[:, :, 0]),
        leave_bias=array(network.leave.bias),  # type: ignore[arg-type]
    )


def restore(network: Network, path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Put saved weights into a network; gives the mean and the scale of its features."""
    with np.load(path) as data:
        values = {name: torch.from_numpy(data[name].astype(np.float32)) for name in data.files}
    with torch.no_grad():
        network.enter.weight.copy_(values["enter"][:, :, None])
        network.enter.bias.copy_(values["enter_bias"])  # type: ignore[union-attr]
        network.leave.weight.copy_(values["leave"][:, :, None])
        network.leave.bias.copy_(values["leave_bias"])  # type: ignore[union-attr]
        for i, (convolution, mix) in enumerate(zip(network.convolutions, network.mixes, strict=True)):
            convolution.weight.copy_(values["kernels"][i].permute(1, 2, 0))  # type: ignore[union-attr, operator]
            convolution.bias.copy_(values["biases"][i])  # type: ignore[union-attr, operator]
            mix.weight.copy_(values["mixes"][i][:, :, None])  # type: ignore[union-attr, operator]
            mix.bias.copy_(values["mix_biases"][i])  # type: ignore[union-attr, operator]
    return values["mean"], values["scale"]


def train(
    pieces: list[Written],
    out: Path,
    steps: int,
    begin: Path | None = None,
    rate: float = 4e-3,
    batch: int = 6,
    frames: int = 2000,
    seed: int = 1,
    drums: float = 0.0,
) -> None:
    """Train and write; a line every 100 steps. With `begin`, from weights that were written before."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    weight = chances(pieces)

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        rows = [example(rng, pieces[rng.choice(len(pieces), p=weight)], frames, drums) for _ in range(batch)]
        return torch.from_numpy(np.stack([r[0] for r in rows])), torch.from_numpy(np.stack([r[1] for r in rows]))

    sample = torch.cat([draw()[0] for _ in range(8)])
    mean = sample.mean((0, 2))
    scale = sample.std((0, 2)).clamp(min=0.05)
    network = Network()
    if begin is not None:
        mean, scale = restore(network, begin)
        kits = [i for i, name in enumerate(CHANNELS) if name in ("kick", "snare", "cymbal")]
        if drums:
            scale[kits] = scale[kits].clamp(min=DRUM_SCALE)
    learner = Learner(network, rate, steps, 1e-3, 0.995)
    for _ in range(steps):
        x, y = draw()
        logits = network((x - mean[:, None]) / scale[:, None])
        counted = (y >= 0).float()
        loss = (
            torch.nn.functional.binary_cross_entropy_with_logits(
                logits, y.clamp(min=0), weight=counted * (1 + 3 * y.clamp(min=0)) * WEIGHTS[:, None], reduction="sum"
            )
            / counted.sum()
        )
        if learner.step(loss, 100):
            save(learner.average.module.eval(), mean.numpy(), scale.numpy(), out)
            learner.average.module.train()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--begin", type=Path, help="weights to go on from")
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--drums", action="store_true", help="a third of the performances have a drum part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="keep the scores that have been read here")
    args = parser.parse_args()
    pieces = [p for name, p in load_pieces(args.scores, args.cache) if not held_out(p.name)]
    print(f"{len(pieces)} pieces")
    share = DRUMS_SHARE if args.drums else 0.0
    train(pieces, args.out, args.steps, args.begin, args.rate, seed=args.seed, drums=share)


if __name__ == "__main__":
    main()
