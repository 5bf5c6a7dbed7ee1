"""Train the drum network: on mixes of a bank with drums, drums alone, and mixes without any.

python -m amtsep.training.drums --bank bank --out drums.safetensors --minutes 16
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from amtsep.config import DrumDecoding, DrumNetwork, FrontEnd, Mixing, Training
from amtsep.decoding import find_strokes
from amtsep.drums import CLASSES
from amtsep.errors import AmtsepError, DataError
from amtsep.evaluation.drums import f1_of, stroke_counts
from amtsep.nets.cqt import CQT
from amtsep.nets.drums import DrumNet, DrumsEndToEnd, export_drums, load_drums, save_drums
from amtsep.synthesis.bank import DRUMS, Bank
from amtsep.synthesis.mixing import Clip, Mixer, stroke_targets
from amtsep.training.calibration import shifted
from amtsep.training.loop import schedule
from amtsep.training.losses import focal_loss
from amtsep.training.optim import build_optimizer


@dataclass(frozen=True)
class DrumTraining:
    """Settings of the drum network's training."""

    network: DrumNetwork = DrumNetwork()
    minutes: float = 10.0
    batch_size: int = 5
    learning_rate: float = 3e-3
    warm_up: int = 100
    alpha: float = 0.4
    gamma: float = 1.0
    seed: int = 5
    dev_clips: int = 48
    mixing: Mixing = Mixing(clip_s=6.0, drums=0.9, drums_alone=0.4, drum_level_db=(-9.0, 9.0))


def batch_of(clips: Sequence[Clip], front_end: FrontEnd) -> tuple[torch.Tensor, torch.Tensor]:
    """Audio (B, N) and targets (B, 5, T)."""
    n_frames = len(clips[0].audio) // front_end.hop_length
    audio = np.stack([clip.audio for clip in clips])
    wanted = np.stack([stroke_targets(clip.strokes, n_frames, front_end.hop_s) for clip in clips])
    return torch.from_numpy(audio), torch.from_numpy(wanted)


def f1_by_class(
    posteriors: Sequence[NDArray[np.float32]],
    clips: Sequence[Clip],
    hop_s: float,
    shifts: Sequence[float],
    decoding: DrumDecoding = DrumDecoding(),  # noqa: B008 - frozen
) -> NDArray[np.float64]:
    """F1 of every class over all clips together, strokes within 50 ms counted."""
    counts = np.zeros((len(CLASSES), 3))
    column = np.asarray(shifts, np.float32)[:, None]
    for posterior, clip in zip(posteriors, clips):
        found = find_strokes(shifted(posterior, column), hop_s, decoding)
        counts += stroke_counts(clip.strokes.astype(np.float64), np.stack([found.time, found.kind], axis=1))
    return f1_of(counts)


def best_shifts(
    posteriors: Sequence[NDArray[np.float32]], clips: Sequence[Clip], hop_s: float
) -> tuple[tuple[float, ...], NDArray[np.float64]]:
    """Shift of each class's logits with which the default threshold does best on these clips, and the F1 it gives."""
    grid = np.arange(-2.0, 4.01, 0.25)
    table = np.array([f1_by_class(posteriors, clips, hop_s, [x] * len(CLASSES)) for x in grid])
    return tuple(float(grid[k]) for k in table.argmax(axis=0)), table.max(axis=0)


def train_drums(
    bank: Path, settings: DrumTraining, init: DrumNet | None = None
) -> tuple[DrumNet, tuple[float, ...], dict[str, object]]:
    """Train for the minutes that the settings say; gives a moving average, its shifts, and what it reached.

    Raises
    ------
    DataError
        If the bank has no stems of drums.
    """
    opened, front_end = Bank.open(bank), FrontEnd(normalisation="running")
    if not any(stem.category == DRUMS for stem in opened.stems):
        raise DataError(f"{bank} has no drums: make a bank with 'amtsep synthesize --groove DIR --drum-kits DIR'.")
    torch.manual_seed(settings.seed)
    net = (init or DrumNet(settings.network, front_end)).train()
    features = CQT(front_end)
    mixer = Mixer(opened, settings.mixing, front_end, settings.seed)
    plain = replace(settings.mixing, augment=False)
    dev = [Mixer(opened, plain, front_end, settings.seed, split="dev").clip(i) for i in range(settings.dev_clips)]
    optimizer = build_optimizer(net, replace(Training(), learning_rate=settings.learning_rate))
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    began, step, total, bar = time.monotonic(), 0, 0.0, tqdm(mininterval=5.0)
    while (progress := (time.monotonic() - began) / (60.0 * settings.minutes)) < 1.0:
        clips = [mixer.clip(step * settings.batch_size + k) for k in range(settings.batch_size)]
        audio, wanted = batch_of(clips, front_end)
        with torch.no_grad():
            power = features(audio)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule(step, progress, settings.warm_up)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(power)
        loss = 100.0 * focal_loss(logits, wanted, settings.alpha, settings.gamma)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update_parameters(net)
        step += 1
        total = loss.item() if step == 1 else 0.98 * total + 0.02 * loss.item()
        bar.update()
        bar.set_postfix(loss=f"{total:.4f}", refresh=False)
    bar.close()
    trained: DrumNet = average.module.eval()  # type: ignore[assignment]
    posteriors = [drum_posterior(trained, clip.audio) for clip in dev]
    shifts, figures = best_shifts(posteriors, dev, front_end.hop_s)
    info: dict[str, object] = {
        "steps": step,
        "hours": round(step * settings.batch_size * settings.mixing.clip_s / 3600, 2),
        "development": dict(zip(CLASSES, figures.round(3).tolist())),
    }
    return trained, shifts, info


@torch.no_grad()
def drum_posterior(net: DrumNet, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """(5, T) in [0, 1] of a clip that is at its level already."""
    return np.asarray(DrumsEndToEnd(net).eval()(torch.from_numpy(audio)[None])[0].numpy())


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, and write weights and an ONNX file beside them."""
    settings = DrumTraining()
    parser = argparse.ArgumentParser(
        prog="python -m amtsep.training.drums", description="Train the network that hears drums."
    )
    parser.add_argument("--bank", type=Path, required=True, help="folder of a bank with drums")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.safetensors)")
    parser.add_argument("--init", type=Path, help="weights to go on from")
    parser.add_argument("--minutes", type=float, default=settings.minutes, help="how long (default %(default)s)")
    parser.add_argument("--seed", type=int, default=settings.seed, help="of chance (default %(default)s)")
    parser.add_argument(
        "--dev-clips", type=int, default=settings.dev_clips, help="to calibrate on (default %(default)s)"
    )
    args = parser.parse_args(arguments)
    if not args.minutes > 0 or args.dev_clips < 1:
        parser.error("--minutes must be over 0, and --dev-clips 1 or more")
    settings = replace(settings, minutes=args.minutes, seed=args.seed, dev_clips=args.dev_clips)
    try:
        net, shifts, info = train_drums(args.bank, settings, load_drums(args.init).net if args.init else None)
    except AmtsepError as error:
        print(error, file=sys.stderr)
        return 1
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_drums(args.out, net, shifts, info)
    print(f"{export_drums(args.out, args.out.with_suffix('.onnx'))}: {info}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
