"""The training loop, on Lightning Fabric: one function, from a bank of stems to weights."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from amtsep.config import NETWORKS, FrontEnd, Training
from amtsep.nets.checkpoint import Checkpoint, save_checkpoint
from amtsep.nets.cqt import CQT
from amtsep.nets.model import TranscriberNet, count_parameters
from amtsep.training.data import Batch, ClipStream, loader
from amtsep.training.objective import compute_losses
from amtsep.training.optim import build_optimizer

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
    leave_out: frozenset[str] = frozenset()
    max_minutes: float = math.inf
    """Wall-clock limit; the learning rate follows whichever of steps and minutes is further on."""


def train(settings: Training, run: Run) -> Path:
    """Train a network and return the path of its weights (the moving average).

    Writes ``last.safetensors`` (weights with metadata), ``state/`` (what resuming needs), ``log.csv`` and TensorBoard
    events into `run.out`.
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
    front_end = FrontEnd()
    net = TranscriberNet(NETWORKS[settings.network], front_end)
    if run.init is not None:
        load_matching(net, run.init)
    features = CQT(front_end).to(fabric.device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(net, settings)
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.ema_decay), use_buffers=False
    ).to(fabric.device)
    state: dict[str, Any] = {"step": 0, "seconds": 0.0}
    if run.resume:
        state = restore(run.out / "state", net, average, optimizer)
    compiled: Any = torch.compile(net) if run.compile else net
    wrapped, optimizer = fabric.setup(compiled, optimizer)
    stream = ClipStream(
        run.bank,
        settings.mixing,
        front_end,
        settings.batch_size,
        settings.max_notes,
        settings.seed,
        first=state["step"] * settings.accumulate,
        rank=fabric.global_rank,
        world=fabric.world_size,
        leave_out=run.leave_out,
    )
    batches: Iterator[Batch] = iter(loader(stream, settings.workers))
    log = Log(run.out, state["step"]) if fabric.is_global_zero else None
    if log is not None:
        (run.out / "settings.json").write_text(json.dumps(asdict(settings), indent=1))
        print(f"{settings.network}: {count_parameters(net):,} parameters on {fabric.device}")
    started = time.monotonic() - state["seconds"]
    clip_hours = settings.mixing.clip_s / 3600 * settings.batch_size * settings.accumulate * fabric.world_size
    bar = tqdm(total=settings.steps, initial=state["step"], disable=not fabric.is_global_zero, mininterval=5.0)
    wrapped.train()
    step = state["step"]
    sums: dict[str, float] = {}
    since = 0
    while step < settings.steps and time.monotonic() - started < 60 * run.max_minutes:
        elapsed = time.monotonic() - started
        progress = max(step / settings.steps, elapsed / (60 * run.max_minutes))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule(step, progress, settings.warm_up)
        for part in range(settings.accumulate):
            batch = next(batches).to(fabric.device)
            with fabric.no_backward_sync(wrapped, enabled=part + 1 < settings.accumulate):
                losses = compute_losses(wrapped, features, batch, settings)
                fabric.backward(losses["loss"] / settings.accumulate)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / settings.accumulate
        fabric.clip_gradients(wrapped, optimizer, max_norm=settings.clip_norm)
        optimizer.step()
        # Gradients that are kept would be added to the next step's: the network then learns an echo of old batches.
        optimizer.zero_grad(set_to_none=True)
        average.update_parameters(net)
        step += 1
        bar.update()
        since += 1
        if log is not None and (step % LOG_EVERY == 0 or step == settings.steps):
            seconds = time.monotonic() - started
            totals = {name: value / since for name, value in sums.items()}
            sums, since = {}, 0
            log.write(step, {**totals, "hours": step * clip_hours, "minutes": seconds / 60})
            bar.set_postfix(loss=f"{totals['loss']:.4f}", rt=f"{step * clip_hours * 3600 / seconds:.0f}x")
        if log is not None and (step % settings.checkpoint_every == 0):
            state = {"step": step, "seconds": time.monotonic() - started}
            keep(run, settings, net, average, optimizer, state, step * clip_hours)
    bar.close()
    if log is not None:
        keep(
            run,
            settings,
            net,
            average,
            optimizer,
            {"step": step, "seconds": time.monotonic() - started},
            step * clip_hours,
        )
    return run.out / "last.safetensors"


def schedule(step: int, progress: float, warm_up: int) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine to a hundredth."""
    rise = min((step + 1) / max(warm_up, 1), 1.0)
    return rise * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))))


def load_matching(net: nn.Module, path: Path) -> list[str]:
    """Copy the tensors of a weights file whose name and shape fit; returns the names that were not found."""
    found = load_file(str(path))
    own = net.state_dict()
    fitting = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict(fitting, strict=False)
    return sorted(set(own) - set(fitting))


def averaged(net: TranscriberNet, average: torch.optim.swa_utils.AveragedModel) -> TranscriberNet:
    """A copy with the averaged weights and the running statistics of the last ones."""
    copy = TranscriberNet(net.network, net.front_end)
    copy.load_state_dict(net.state_dict())
    with torch.no_grad():
        for target, source in zip(copy.parameters(), average.module.parameters(), strict=True):
            target.copy_(source)
    return copy.eval()


def keep(
    run: Run, settings: Training, net: TranscriberNet, average: Any, optimizer: Any, state: dict[str, Any], hours: float
) -> None:
    """Write weights, and what resuming needs (tensors only: no pickle)."""
    info = {"training": asdict(settings), "hours": round(hours, 2), **state}
    checkpoint = Checkpoint(net.network, net.front_end, info=info)
    save_checkpoint(run.out / "last.safetensors", averaged(net, average), checkpoint)
    folder = run.out / "state"
    folder.mkdir(exist_ok=True)
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in values.items()}
    save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, str(folder / "state.safetensors"))
    (folder / "state.json").write_text(json.dumps(state))


def restore(folder: Path, net: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Read what `keep` wrote."""
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    tensors = load_file(str(folder / "state.safetensors"))

    def under(prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    net.load_state_dict(under("net."))
    average.load_state_dict(under("average."))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in under("optimizer.").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


class Log:
    """CSV, and TensorBoard where it is installed."""

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "log.csv"
        self.fields: list[str] = []
        self.append = step > 0
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.board: Any = SummaryWriter(str(folder))
        except ImportError:
            self.board = None

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append a row."""
        new = not self.fields and not self.append
        self.fields = ["step", *values]
        with self.path.open("w" if new else "a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(self.fields)
            writer.writerow([step, *(f"{v:.6g}" for v in values.values())])
        if self.board is not None:
            for name, value in values.items():
                if np.isfinite(value):
                    self.board.add_scalar(name, value, step)
