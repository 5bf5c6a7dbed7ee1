"""Fine-tuning: low-rank additions (LoRA, Hu et al., ICLR 2022) to a MusicGen, or all of its decoder.

Chance depends on the seed and the step's number alone, so a training that was resumed is the one that was not.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amtsep.errors import Cancelled, DataError, ModelError
from amtsep.files import replacing
from amtsep.studio.config import SampleSettings, TuneSettings
from amtsep.studio.corpus import read_manifest
from amtsep.studio.musicgen import ADAPTER, Network, codec_mark, codes_of, delayed, load

TARGETS = (
    r"decoder\.(model\.decoder\.layers\.\d+\..*(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
    r"|model\.decoder\.embed_tokens\.\d+|lm_heads\.\d+)"
)
"""Attention and feed-forward projections, embeddings, heads."""
STATE = "state.pt"
Watch = Callable[[int, dict[str, float]], object]
Reading = Callable[[int, int], object]
"""Called with how many clips have their codes, and of how many; ``False`` ends the work."""


@dataclass(frozen=True, eq=False)
class Item:
    """A clip to learn: its caption and its codes (K, T)."""

    text: str
    codes: Tensor


def read_items(corpus: Path, network: Network, reading: Reading | None = None) -> dict[str, list[Item]]:
    """Clips of a corpus by split, their codes computed or read from the cache."""
    mark = codec_mark(network)
    rows = [row for row in read_manifest(corpus) if row["split"] != "test"]
    items: dict[str, list[Item]] = {"train": [], "validation": [], "test": []}
    for number, row in enumerate(rows):
        if reading is not None and reading(number, len(rows)) is False:
            raise Cancelled
        codes = codes_of(network, corpus / row["audio"], mark, SampleSettings.window_s)
        items[row["split"]].append(Item(row["caption"], codes))
    if not items["train"]:
        raise DataError(f"{corpus} has no clip to train on; make it of more works.")
    return items


def loss_of(model: Any, network: Network, batch: Sequence[Item], drop: Sequence[bool] = ()) -> tuple[Tensor, int]:
    """Sum of the cross-entropies of every code of every item, and how many codes there are.

    Parameters
    ----------
    drop
        Items that are learned without their text.
    """
    device = next(model.parameters()).device
    tokens, mask = network.tokens([item.text for item in batch])
    if any(drop):
        # As guidance asks later: all words masked.
        mask = mask * (~torch.tensor(list(drop)))[:, None]
    given, target = delayed([item.codes for item in batch], network.pad)
    logits = model(
        input_ids=tokens.to(device),
        attention_mask=mask.to(device),
        decoder_input_ids=given.reshape(-1, given.shape[-1]).to(device),
    ).logits
    # What is conditioned by a prefix gives logits for that, too.
    logits = logits[:, -given.shape[-1] :].float().flatten(0, 1)
    flat = target.flatten().to(device)
    loss = torch.nn.functional.cross_entropy(logits, flat, ignore_index=-100, reduction="sum")
    return loss, int((target != -100).sum())


def chosen(count: int, settings: TuneSettings, step: int) -> list[list[int]]:
    """Which items make up the batches of a step: every item once before any comes again."""
    at = step * settings.accumulate * settings.batch_size
    batches = []
    for micro in range(settings.accumulate):
        own = []
        for i in range(settings.batch_size):
            epoch, place = divmod(at + micro * settings.batch_size + i, count)
            own.append(int(np.random.default_rng((settings.seed, epoch)).permutation(count)[place]))
        batches.append(own)
    return batches


def gradients(
    model: Any,
    network: Network,
    items: Sequence[Item],
    batches: Sequence[Sequence[int]],
    settings: TuneSettings,
    step: int,
    amp: bool = False,
) -> float:
    """Add up the gradients of all batches of a step; gives the mean loss of a code.

    Every code of every item counts alike, however the items are spread over batches: two batches of one give the
    gradient of one batch of two.
    """
    device = next(model.parameters()).device.type
    total = sum(items[i].codes.numel() for own in batches for i in own)
    summed = 0.0
    for micro, own in enumerate(batches):
        rng = np.random.default_rng((settings.seed, step, micro))
        drop = (rng.random(len(own)) < settings.drop_text).tolist()
        with torch.autocast(device, torch.bfloat16, enabled=amp):
            loss, _ = loss_of(model, network, [items[i] for i in own], drop)
        (loss / total).backward()
        summed += float(loss.detach())
    return summed / total


def learning_rate(settings: TuneSettings, step: int) -> float:
    """Rises over the warm-up, then falls along a cosine to a tenth."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(settings.steps - settings.warm_up, 1)
    return settings.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(done, 1.0)))


def prepare(network: Network, settings: TuneSettings) -> Any:
    """The model with what is to be trained, and everything else frozen."""
    torch.manual_seed(settings.seed)
    model = network.model
    model.requires_grad_(False)
    if settings.full:
        model.decoder.requires_grad_(True)
        return model
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.lora_dropout, target_modules=TARGETS
    )
    return get_peft_model(model, config)


def validation_loss(model: Any, network: Network, items: Sequence[Item]) -> float:
    """Mean loss of a code over all items."""
    model.eval()
    summed, count = 0.0, 0
    with torch.no_grad():
        for item in items:
            loss, own = loss_of(model, network, [item])
            summed, count = summed + float(loss), count + own
    model.train()
    return summed / max(count, 1)


def tune(
    name: str,
    corpus: Path,
    out: Path,
    settings: TuneSettings = TuneSettings(),  # noqa: B008 - frozen
    resume: bool = False,
    watch: Watch | None = None,
    reading: Reading | None = None,
) -> Path:
    """Fine-tune; `out` gets ``adapter/`` (or ``model/``), ``log.csv``, TensorBoard events, and what resuming needs.

    Parameters
    ----------
    watch
        Called after each step with its number and the figures; where it returns ``False``, training ends there and can
        be resumed.

    Raises
    ------
    DataError, ModelError
        If the corpus or the weights are of no use, or `out` holds another training, or an ``adapter/`` (``model/``)
        that no training left there.
    """
    state_file = out / STATE
    if state_file.is_file() and not resume:
        raise DataError(f"{out} holds a training already; add --resume to go on, or name another folder with -o.")
    target = _target(out, settings)
    if os.path.lexists(target) and not state_file.is_file():
        # Saving replaces it; without a training's state beside it, it may be anything, even the network to be tuned.
        raise DataError(f"{target} is there and would be replaced, and is of no training; name another folder with -o.")
    if (Path(name) / ADAPTER).is_file():
        raise DataError(f"{name} is an adapter; name the network it belongs to, or go on with --resume.")
    network = load(name)
    name = network.name
    device = "cuda" if torch.cuda.is_available() else "cpu"
    items = read_items(corpus, network, reading)
    model = prepare(network, settings).to(device)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(
        trained.values(), settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay
    )
    begin = _recall(state_file, name, settings, trained, optimizer, device) if state_file.is_file() else 0
    out.mkdir(parents=True, exist_ok=True)
    amp = settings.amp and device == "cuda"
    log = _Log(out, begin)
    model.train()
    # Batch statistics of the codec and dropout of what is frozen have no say in this.
    network.model.audio_encoder.eval()
    network.model.text_encoder.eval()
    try:
        for step in range(begin, settings.steps):
            torch.manual_seed(settings.seed * 1_000_003 + step)
            rate = learning_rate(settings, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            batches = chosen(len(items["train"]), settings, step)
            loss = gradients(model, network, items["train"], batches, settings, step, amp)
            norm = float(torch.nn.utils.clip_grad_norm_(trained.values(), settings.clip_norm))
            optimizer.step()
            figures = {"loss": loss, "norm": norm, "learning_rate": rate}
            last = step + 1 == settings.steps
            if items["validation"] and (last or (step + 1) % settings.validate_every == 0):
                figures["validation"] = validation_loss(model, network, items["validation"])
                network.model.audio_encoder.eval()
                network.model.text_encoder.eval()
            log(step + 1, figures)
            end = watch is not None and watch(step + 1, figures) is False
            if end or last or (step + 1) % settings.checkpoint_every == 0:
                _keep(state_file, name, settings, step + 1, trained, optimizer)
            if end:
                break
    finally:
        log.close()
    return _save(model, network, out, settings)


def _keep(path: Path, name: str, settings: TuneSettings, step: int, trained: dict[str, Tensor], optimizer: Any) -> None:
    weights = {n: p.detach().cpu() for n, p in trained.items()}
    content = {"name": name, "settings": asdict(settings), "step": step, "weights": weights}
    with replacing(path) as temporary:
        torch.save({**content, "optimizer": optimizer.state_dict()}, temporary)


def _recall(
    path: Path, name: str, settings: TuneSettings, trained: dict[str, Tensor], optimizer: Any, device: str
) -> int:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        same = state["name"] == name and state["settings"] == asdict(settings)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises
        raise ModelError(f"{path} cannot be read; begin anew in another folder.") from error
    if not same or set(state["weights"]) != set(trained):
        raise DataError(f"{path.parent} holds a training of another network or with other settings; give the same.")
    with torch.no_grad():
        for key, tensor in state["weights"].items():
            trained[key].copy_(tensor)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _target(out: Path, settings: TuneSettings) -> Path:
    return out / ("model" if settings.full else "adapter")


def _save(model: Any, network: Network, out: Path, settings: TuneSettings) -> Path:
    target = _target(out, settings)
    fresh = out / f".{target.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    model.save_pretrained(fresh)
    if settings.full:
        network.tokenizer.save_pretrained(fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return target


class _Log:
    """``log.csv``, and TensorBoard's events where that is installed."""

    FIGURES = ("loss", "validation", "norm", "learning_rate")

    def __init__(self, out: Path, begin: int) -> None:
        path = out / "log.csv"
        rows = []
        if begin and path.is_file():
            with path.open(newline="", encoding="utf-8") as before:
                # What came after the last checkpoint is done again.
                rows = [row for row in csv.reader(before) if row and row[0].isdigit() and int(row[0]) <= begin]
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerows([["step", *self.FIGURES], *rows])
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "events"), purge_step=begin + 1)
        except ImportError:
            pass

    def __call__(self, step: int, figures: dict[str, float]) -> None:
        self._rows.writerow([step, *(f"{figures[n]:.8g}" if n in figures else "" for n in self.FIGURES)])
        self._file.flush()
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close both."""
        self._file.close()
        if self._board is not None:
            self._board.close()
