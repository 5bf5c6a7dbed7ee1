"""``amtsep train``."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from amtsep.config import TRAININGS
from amtsep.errors import DataError
from amtsep.synthesis.mixing import KINDS, SCORES, LeaveOut

OVERRIDES = (
    "steps", "batch_size", "accumulate", "optimizer", "learning_rate", "muon_scale", "seed", "workers", "dev_clips",
    "evaluate_every", "patience", "learn_front_end", "normalisation", "stages", "teacher_weight",
    "timbre_loss", "timbre_weight", "memory", "phase", "balance", "freeze_notes", "vocabulary", "label_smoothing",
    "source_exponent",
)  # fmt: skip
"""Options that replace the setting of the same name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep train``."""
    parser.add_argument("--config", choices=sorted(TRAININGS), default="light", help="which network (default: light)")
    parser.add_argument(
        "--config-file", type=Path, help="JSON with any setting of amtsep.config.Training; options count over it"
    )
    parser.add_argument("--bank", type=Path, required=True, help="folder of a stem bank made by 'amtsep synthesize'")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and logs")
    parser.add_argument("--steps", type=int, help="optimizer steps")
    parser.add_argument("--minutes", type=float, help="end after so many minutes, the learning rate having come down")
    parser.add_argument("--batch-size", type=int, help="clips a step and device")
    parser.add_argument("--accumulate", type=int, help="batches a step")
    parser.add_argument("--optimizer", choices=("adamw", "muon"), help="muon: orthogonal steps for the convolutions")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument(
        "--muon-scale", type=float, help="learning rate of muon's orthogonal steps over --learning-rate"
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int, help="processor threads of PyTorch (default: all cores)")
    parser.add_argument("--workers", type=int, help="processes that mix clips")
    parser.add_argument("--dev-clips", type=int, help="development clips that the F1 in the log is of; 0 for none")
    parser.add_argument("--evaluate-every", type=int, help="steps from one such evaluation to the next")
    parser.add_argument("--patience", type=int, help="end after so many evaluations without a better one")
    parser.add_argument("--learn-front-end", action="store_true", default=None, help="train the CQT's kernels too")
    parser.add_argument(
        "--normalisation", choices=("mean", "running"), help="level that clips are brought to one by (running)"
    )
    parser.add_argument("--stages", type=int, choices=(1, 2), help="2: a few timbres and parts first, then all")
    parser.add_argument("--teacher", type=Path, help="weights of a network whose posteriors are learned too")
    parser.add_argument(
        "--timbre-teacher", type=Path, help="weights of a network whose embedding is learned in place of the teacher's"
    )
    parser.add_argument("--teacher-weight", type=float, help="of these beside the notes")
    parser.add_argument("--timbre-loss", help="infonce, supcon, prototype, affinity, ...: see training/losses.py")
    parser.add_argument("--timbre-weight", type=float, help="of the timbre loss beside the others")
    parser.add_argument("--memory", help="of the timbre branch: none, hebbian, linear, flow, statistics or notes")
    parser.add_argument("--phase", action="store_true", default=None, help="let the timbre branch see the phase")
    parser.add_argument("--balance", help="of the losses: fixed, resistor, dwa, resistor-dwa or pcgrad")
    parser.add_argument("--freeze-notes", action="store_true", default=None, help="train the timbre branch alone")
    sequence = parser.add_argument_group("sequence networks")
    sequence.add_argument("--vocabulary", choices=("slots", "programs"), help="what voices are (slots)")
    sequence.add_argument("--label-smoothing", type=float, help="share of a target that goes to all tokens (0.1)")
    sequence.add_argument(
        "--source", action="append", type=source, default=[], metavar="DATASET=FOLDER",
        help="a data set whose training half is learned from beside the bank, such as guitarset=FOLDER; again for more",
    )  # fmt: skip
    sequence.add_argument(
        "--source-exponent", type=float, help="power of the sources' sizes by which they are drawn from (0.3)"
    )
    parser.add_argument("--init", type=Path, help="weights to start from")
    parser.add_argument("--leave-out", default="", help="instrument families not to train on, with commas")
    parser.add_argument(
        "--leave-out-source",
        default="",
        help=f"kinds of stems not to train on ({', '.join(KINDS)}) or names of soundfonts and collections, with commas",
    )
    parser.add_argument("--leave-out-score", default="", help=f"scores not to train on: {' or '.join(SCORES)}")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --out")
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--num-nodes", type=int, default=1)
    parser.add_argument("--precision", choices=("bf16-mixed", "32-true"), default="bf16-mixed")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument(
        "--no-augment", action="store_true", help="mix stems without rooms, equalisation, noise, codecs"
    )


def source(text: str) -> tuple[str, Path]:
    """A data set and its folder."""
    name, found, folder = text.partition("=")
    if not (name and found and folder):
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form DATASET=FOLDER, such as guitarset=FOLDER")
    return name, Path(folder)


def named(text: str) -> frozenset[str]:
    """Names with commas between them."""
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def run(args: argparse.Namespace) -> int:
    """Train and say where the weights are."""
    from amtsep.training import settings as given
    from amtsep.training.allocator import keep_memory
    from amtsep.training.loop import Run, train

    settings = TRAININGS[args.config]
    if args.config_file is not None:
        settings = given.from_file(args.config_file, settings)
    settings = replace(settings, **{k: v for k in OVERRIDES if (v := getattr(args, k)) is not None})
    if args.minutes is not None and not args.minutes > 0:
        raise DataError("--minutes must be more than 0.")
    if args.minutes and args.steps is None:
        settings = replace(settings, steps=10**9)
    if args.no_augment:
        settings = replace(settings, mixing=replace(settings.mixing, augment=False))
    given.check(settings)
    if args.timbre_teacher is not None and not (args.teacher is not None and settings.embedding_weight):
        raise DataError("--timbre-teacher goes with a --teacher and, in --config-file, an embedding_weight above 0.")
    if args.teacher is not None and settings.freeze_notes and not settings.embedding_weight:
        raise DataError(
            "With --freeze-notes a teacher can teach its embedding alone: set embedding_weight above 0 in "
            "--config-file, or leave one of the two out."
        )
    if not args.resume and args.out.is_dir() and any(args.out.iterdir()):
        raise DataError(f"{args.out} is not empty: go on with --resume, or give another folder with --out.")
    if args.threads is not None:
        import torch

        if args.threads < 1:
            raise DataError("--threads must be 1 or more.")
        torch.set_num_threads(args.threads)
    where = Run(
        bank=args.bank,
        out=args.out,
        devices=args.devices,
        num_nodes=args.num_nodes,
        accelerator=args.accelerator,
        precision=args.precision,
        compile=args.compile,
        resume=args.resume,
        init=args.init,
        teacher=args.teacher,
        timbre_teacher=args.timbre_teacher,
        sources=tuple(args.source),
        leave_out=LeaveOut(*(named(x) for x in (args.leave_out, args.leave_out_source, args.leave_out_score))),
        **({"max_minutes": args.minutes} if args.minutes else {}),
    )
    keep_memory()
    with asked_to_stop() as stop:
        print(f"Weights: {train(settings, where, lambda step, losses: not stop.is_set())}")
    if stop.is_set():
        print(f"Stopped early; go on with --resume --out {args.out}.")
    return 0


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Set by Ctrl-C or a request to end: the step under way is finished and all is kept; a second one ends at once."""
    stop = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
