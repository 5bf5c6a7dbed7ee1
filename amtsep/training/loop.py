"""The training loop, on Lightning Fabric: one function, from a bank of stems to weights."""

from __future__ import annotations

import copy
import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from amtsep.config import SEQUENCES, Training, front_end_of, network_of
from amtsep.errors import DataError, ModelError
from amtsep.files import replacing
from amtsep.nets.checkpoint import Checkpoint, save_checkpoint
from amtsep.nets.cqt import CQT
from amtsep.nets.model import AnyNet, build_network, count_parameters
from amtsep.nets.transfer import transfer
from amtsep.sequence.checkpoint import save_sequence
from amtsep.sequence.network import SequenceNet
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.mixing import LeaveOut, Mixer
from amtsep.training.allocator import trim_memory
from amtsep.training.balance import Balance
from amtsep.training.data import Batch, ClipStream, development_clips, loader
from amtsep.training.development import FIGURES, Development, Figures
from amtsep.training.objective import compute_losses, trained_part
from amtsep.training.optim import build_optimizer
from amtsep.training.sequence import (
    SequenceBatch,
    SequenceDevelopment,
    SequenceStream,
    build_sequence,
    sequence_losses,
    sequence_network_of,
)
from amtsep.training.teacher import Teacher

Trained = AnyNet | SequenceNet
Same = TypeVar("Same", bound=nn.Module)
LOG_EVERY = 50
"""Steps over which the logged losses are averaged: a single batch says little."""


@dataclass(frozen=True)
class Run:
    """Where a training reads and writes, and on what it runs."""

    bank: Path
    out: Path
    devices: int = 1
    num_nodes: int = 1
    accelerator: str = "auto"
    precision: str = "bf16-mixed"
    compile: bool = False
    resume: bool = False
    init: Path | None = None
    """Weights to start from, where their shapes fit."""
    teacher: Path | None = None
    """Weights of a network whose posteriors are learned beside the notes."""
    timbre_teacher: Path | None = None
    """Weights of a network whose embedding is learned in place of the teacher's."""
    sources: tuple[tuple[str, Path], ...] = ()
    """(Data set, folder) whose training halves a sequence network learns from beside the bank."""
    leave_out: LeaveOut = LeaveOut()  # noqa: RUF009 - frozen
    max_minutes: float = math.inf
    """Wall-clock limit; the learning rate follows whichever of steps and minutes is further on."""


@dataclass
class Standing:
    """Where a training is: what resuming needs beside the tensors."""

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    """Highest mean of the development figures."""
    stale: int = 0
    """Evaluations since then."""


class Clock:
    """Seconds of training, the same on every process: one that ends before the others would leave them waiting."""

    def __init__(self, fabric: Fabric, before: float, limit: float) -> None:
        self.fabric, self.limit = fabric, limit
        self.started = time.monotonic() - before

    def now(self) -> float:
        """Seconds by this process's own clock, those before a restart included."""
        return time.monotonic() - self.started

    def __call__(self) -> float:
        """Seconds by the first process's clock; every process must ask together."""
        now = self.now()
        if self.fabric.world_size == 1 or math.isinf(self.limit):
            return now
        return float(self.fabric.broadcast(now))


def train(settings: Training, run: Run, watch: Callable[[int, dict[str, float]], object] | None = None) -> Path:
    """Train a network and return the path of its weights (the moving average).

    `watch` is called after every step with its number and the losses; where it returns ``False``, training ends there.

    Writes ``last.safetensors`` and ``best.safetensors`` (weights with metadata, the best by the mean of the development
    figures), ``state/`` (what resuming needs), ``log.csv`` and TensorBoard events into `run.out`.
    """
    fabric = Fabric(
        accelerator=run.accelerator,
        devices=run.devices,
        num_nodes=run.num_nodes,
        precision=run.precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    fabric.seed_everything(settings.seed)
    run.out.mkdir(parents=True, exist_ok=True)
    net, module, losses_of = begin(settings, run, fabric)
    balance = Balance(settings.balance)
    optimizer = build_optimizer(net, settings)
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=moving_average(settings.ema_decay), use_buffers=False
    ).to(fabric.device)
    compiled: Any = torch.compile(module) if run.compile else module
    wrapped, stepping = fabric.setup(compiled, optimizer)
    # Not before: moments are put where the parameters lie, and nothing moves them with the network.
    state = restore(run.out / "state", net, average, optimizer) if run.resume else Standing()
    check_material(settings, run, fabric.print)
    stage = 0
    clip_hours = settings.mixing.clip_s / 3600 * settings.batch_size * settings.accumulate * fabric.world_size
    journal = Journal(settings, run, fabric.device, net, average, state, clip_hours) if fabric.is_global_zero else None
    limit = 60.0 * run.max_minutes
    clock = Clock(fabric, state.seconds, limit)
    evaluated = True
    wrapped.train()
    while True:
        state.seconds = clock()
        progress = max(state.step / settings.steps, state.seconds / limit)
        if progress >= 1.0:
            break
        current = 1 if settings.stages == 2 and progress < settings.first_stage else 2
        if current != stage:
            stage, batches = current, open_stream(settings, run, fabric, state.step, few=current == 1)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule(state.step, progress, settings.warm_up)
        for part in range(settings.accumulate):
            batch = next(batches).to(fabric.device)
            with fabric.no_backward_sync(wrapped, enabled=part + 1 < settings.accumulate):
                losses = losses_of(wrapped, batch, balance)
                balance.backward(fabric.backward, net, losses["loss"], 1.0 / settings.accumulate, fabric.world_size)
            if journal is not None:
                journal.add(losses)
        fabric.clip_gradients(wrapped, stepping, max_norm=settings.clip_norm)
        stepping.step()
        # Gradients that are kept would be added to the next step's: the network then learns an echo of old batches.
        stepping.zero_grad(set_to_none=True)
        average.update_parameters(net)
        state.step += 1
        evaluated = state.step % settings.evaluate_every == 0
        if state.step % LOG_EVERY == 0:
            trim_memory()
        if journal is not None:
            state.seconds = clock.now()
            journal.stepped(evaluated)
            if state.step % settings.checkpoint_every == 0:
                keep(run, settings, net, average, optimizer, state, clip_hours)
        if watch is not None:
            go_on = watch(state.step, {name: float(value.detach()) for name, value in losses.items()})
            if fabric.broadcast(go_on is False):
                break
        if evaluated and settings.patience is not None and fabric.broadcast(state.stale) >= settings.patience:
            break
    if journal is not None:
        journal.close(not evaluated)
        keep(run, settings, net, average, optimizer, state, clip_hours)
    return run.out / "last.safetensors"


Losses = Callable[[Any, Any, Balance], dict[str, Tensor]]
"""Losses of a batch: the module, wrapped or not, the batch, and what weighs them against each other."""


def begin(settings: Training, run: Run, fabric: Fabric) -> tuple[Trained, nn.Module, Losses]:
    """The network, what of it trains, and how its losses are found.

    Raises
    ------
    DataError
        For a source beside the bank where no sequence network is trained.
    ModelError
        For options that exclude each other.
    """
    if settings.network in SEQUENCES:
        if run.teacher is not None or settings.freeze_notes:
            raise ModelError("A sequence network has no teacher and no timbre branch: leave --teacher, --freeze-notes.")
        heard = build_sequence(settings, run.init)
        fast = run.precision == "bf16-mixed"
        return heard, heard, lambda module, batch, _: sequence_losses(module, heard.trunk, batch, settings, fast)
    if run.sources:
        raise DataError("--source is for sequence networks; others learn from a bank, which 'amtsep synthesize' makes.")
    front_end = front_end_of(settings)
    net = build_network(network_of(settings), front_end)
    if run.init is not None:
        print(f"{run.init.name}: {transfer(net, run.init)}")
    features = net.cqt if net.cqt is not None else CQT(front_end).to(fabric.device)
    teacher = None
    if run.teacher is not None:
        if settings.learn_front_end:
            raise ModelError("A learned front end and a teacher exclude each other: they would hear different things.")
        dim = network_of(settings).embedding_dim if settings.embedding_weight else 0
        half = run.precision != "32-true"
        teacher = Teacher(run.teacher, front_end, half, dim, run.timbre_teacher).to(fabric.device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses_of(module: Any, batch: Batch, balance: Balance) -> dict[str, Tensor]:
        return compute_losses(module, features, batch, settings, balance, teacher)

    return net, trained_part(net, settings), losses_of


def check_material(settings: Training, run: Run, say: Callable[[str], object]) -> None:
    """Raise `DataError` here, not in a worker, where the bank has nothing for these settings to mix.

    `say` is told what it has too little of.
    """
    bank = Bank.open(run.bank)
    run.leave_out.check(bank)
    if settings.network not in SEQUENCES:
        Mixer(bank, settings.mixing, front_end_of(settings), settings.seed, leave_out=run.leave_out)
    asked, there = settings.mixing.clip_s, bank.clip_s
    if asked > there:
        say(f"Clips last {asked:g} s and the bank's stems {there:g} s: the rest is silence; give 'mixing': 'clip_s'.")


def open_stream(settings: Training, run: Run, fabric: Fabric, step: int, few: bool) -> Iterator[Batch | SequenceBatch]:
    """Batches from `step` on; with `few`, those of the first of two stages."""
    mixing = settings.mixing
    if few:
        mixing = replace(mixing, parts=mixing.parts[: settings.first_stage_parts])
    if settings.network in SEQUENCES:
        network = sequence_network_of(settings)
        sequences = SequenceStream(
            run.bank,
            run.sources,
            network,
            replace(settings, mixing=mixing),
            front_end_of(settings),
            first=step * settings.accumulate,
            rank=fabric.global_rank,
            world=fabric.world_size,
            leave_out=run.leave_out,
            timbres=settings.first_stage_timbres if few else None,
        )
        return iter(loader(sequences, settings.workers, fabric.device))
    stream = ClipStream(
        run.bank,
        mixing,
        front_end_of(settings),
        settings.batch_size,
        settings.max_notes,
        settings.seed,
        first=step * settings.accumulate,
        rank=fabric.global_rank,
        world=fabric.world_size,
        leave_out=run.leave_out,
        timbres=settings.first_stage_timbres if few else None,
    )
    return iter(loader(stream, settings.workers, fabric.device))


class Journal:
    """What the first process tells and keeps: progress bar, log, development figures, the best weights.

    `stepped` and `close` evaluate if told to and if the settings name development clips.
    """

    def __init__(
        self,
        settings: Training,
        run: Run,
        device: torch.device,
        net: Trained,
        average: torch.optim.swa_utils.AveragedModel,
        state: Standing,
        clip_hours: float,
    ) -> None:
        self.settings, self.run, self.net, self.average, self.state = settings, run, net, average, state
        self.clip_hours = clip_hours
        self.development: Callable[[Any], Figures] | None = None
        if settings.dev_clips and isinstance(net, SequenceNet):
            self.development = SequenceDevelopment(run.bank, settings, net, device)
        elif settings.dev_clips and not isinstance(net, SequenceNet):
            clips = development_clips(run.bank, settings.mixing, net.front_end, settings.dev_clips, settings.seed)
            self.development = Development(clips, net.front_end, device)
        # Written when nothing can be refused any more: what is refused leaves the folder as it was.
        self.log = Log(run.out, state.step)
        (run.out / "settings.json").write_text(json.dumps(asdict(settings), indent=1))
        print(f"{settings.network}: {count_parameters(net):,} parameters on {device}")
        total = settings.steps if math.isinf(run.max_minutes) else None
        self.bar = tqdm(total=total, initial=state.step, mininterval=5.0)
        self.shown: dict[str, str] = {}
        self.sums: dict[str, Tensor] = {}
        self.batches = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        """Note a batch's losses, as tensors: reading one would have a GPU waited for at every step."""
        for name, value in losses.items():
            self.sums[name] = self.sums[name] + value.detach() if name in self.sums else value.detach()
        self.batches += 1

    def stepped(self, evaluate: bool) -> None:
        """Go on by a step."""
        self.bar.update()
        if evaluate or self.state.step % LOG_EVERY == 0:
            self._write(evaluate)

    def close(self, evaluate: bool) -> None:
        """Finish."""
        if self.batches or evaluate:
            self._write(evaluate)
        self.bar.close()
        hours, seconds = self.state.step * self.clip_hours, max(self.state.seconds, 1e-9)
        print(f"{hours:.2f} hours of audio in {seconds / 60:.1f} minutes: {hours / seconds:.4f} a second")

    def _write(self, evaluate: bool) -> None:
        state = self.state
        figures = self._evaluate() if evaluate else {}
        hours, minutes = state.step * self.clip_hours, state.seconds / 60
        totals = {name: float(value) / self.batches for name, value in self.sums.items()}
        self.sums, self.batches = {}, 0
        self.log.write(state.step, {**totals, "hours": hours, "minutes": minutes}, figures)
        if "loss" in totals:
            self.shown["loss"] = f"{totals['loss']:.4f}"
        self.shown["rt"] = f"{hours * 60 / max(minutes, 1e-9):.0f}x"
        self.bar.set_postfix(self.shown)

    def _evaluate(self) -> dict[str, float]:
        if self.development is None:
            return {}
        state = self.state
        figures = self.development(averaged(self.net, self.average))
        if figures.mean > state.best:
            state.best, state.stale = figures.mean, 0
            path = self.run.out / "best.safetensors"
            save_weights(path, self.settings, self.net, self.average, state, self.clip_hours, figures)
        else:
            state.stale += 1
        self.shown["dev F1"] = f"{figures.onset:.3f}"
        return figures.columns()


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """The update of a moving average of weights that forgets its first steps: its memory grows with their number.

    With a constant decay a short training keeps much of the weights that it began with.
    """

    @torch.no_grad()
    def update(average: Any, current: Any, count: Any) -> None:
        rate = min(decay, (1.0 + float(count)) / (10.0 + float(count)))
        torch._foreach_lerp_(average, current, 1.0 - rate)

    return update


def schedule(step: int, progress: float, warm_up: int) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine to a hundredth."""
    rise = min((step + 1) / max(warm_up, 1), 1.0)
    return rise * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))))


def averaged(net: Same, average: torch.optim.swa_utils.AveragedModel) -> Same:
    """A copy with the averaged weights and the running statistics of the last ones."""
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for target, source in zip(twin.parameters(), average.module.parameters(), strict=True):
            target.copy_(source)
    return twin.eval()


def save_weights(
    path: Path,
    settings: Training,
    net: Trained,
    average: torch.optim.swa_utils.AveragedModel,
    state: Standing,
    clip_hours: float,
    figures: Figures | None = None,
) -> None:
    """Write the averaged weights with what is known of them."""
    info: dict[str, Any] = {"training": asdict(settings), "hours": round(state.step * clip_hours, 2), **asdict(state)}
    if figures is not None:
        info["development"] = {name: round(value, 4) for name, value in figures.columns().items()}
    if isinstance(net, SequenceNet):
        save_sequence(path, averaged(net, average), info)
    else:
        save_checkpoint(path, averaged(net, average), Checkpoint(net.network, net.front_end, info=info))


def keep(
    run: Run,
    settings: Training,
    net: Trained,
    average: torch.optim.swa_utils.AveragedModel,
    optimizer: Any,
    state: Standing,
    clip_hours: float,
) -> None:
    """Write weights, and what resuming needs: one file, so that all of it is of one step (tensors: no pickle)."""
    save_weights(run.out / "last.safetensors", settings, net, average, state, clip_hours)
    folder = run.out / "state"
    folder.mkdir(exist_ok=True)
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in values.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors |= {f"random.cuda.{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    kept = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    with replacing(folder / "state.safetensors") as temporary:
        save_file(kept, str(temporary), metadata={"state": json.dumps(asdict(state))})


def restore(folder: Path, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> Standing:
    """Read what `keep` wrote."""
    path = folder / "state.safetensors"
    try:
        with safe_open(str(path), framework="pt") as file:
            about = (file.metadata() or {}).get("state") or (folder / "state.json").read_text()  # as it was before 0.2
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        state = Standing(**json.loads(about))
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no state of a training to go on from; leave --resume out to start anew."
        ) from None
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged; leave --resume out to start anew.") from error

    def under(prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    try:
        net.load_state_dict(under("net."))
        average.load_state_dict(under("average."))
    except RuntimeError:
        raise DataError(f"{path} is of another network; give the --config that it was begun with.") from None
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in under("optimizer.").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    random = under("random.")
    if "cpu" in random:
        torch.set_rng_state(random["cpu"])
    cuda = [random[f"cuda.{i}"] for i in range(torch.cuda.device_count()) if f"cuda.{i}" in random]
    if cuda and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
    return state


class Log:
    """CSV, and TensorBoard where it is installed."""

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "log.csv"
        self.fields: list[str] = []
        if step > 0 and self.path.is_file():
            with self.path.open(newline="") as file:
                self.fields = next(csv.reader(file), [])
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.board: Any = SummaryWriter(str(folder))
        except ImportError:
            self.board = None

    def write(self, step: int, values: dict[str, float], figures: dict[str, float]) -> None:
        """Append a row; `figures` is empty in most, and its columns then too."""
        row = {"step": str(step), **{name: f"{value:.6g}" for name, value in {**values, **figures}.items()}}
        new = not self.fields
        if new:
            self.fields = ["step", *values, *FIGURES]
        with self.path.open("w" if new else "a", newline="") as file:
            writer = csv.DictWriter(file, self.fields, restval="", extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow(row)
        if self.board is not None:
            for name, value in {**values, **figures}.items():
                if np.isfinite(value):
                    self.board.add_scalar(name, value, step)
