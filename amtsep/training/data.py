"""Batches of mixed clips with their targets, made in worker processes."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from amtsep.config import MIDI_MIN, N_PITCHES, FrontEnd, Mixing
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.mixing import Clip, LeaveOut, Mixer, offset_targets, targets

Moved = TypeVar("Moved", bound="Tensors")


class Tensors:
    """A frozen dataclass of tensors, some of which may be missing, that moves as one."""

    def to(self: Moved, device: torch.device) -> Moved:
        """Copy to a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: Moved) -> Moved:
        """Where a graphics card fetches it while something is computed; a `DataLoader` calls this by its name."""
        return self._each(Tensor.pin_memory)

    def _each(self: Moved, change: Callable[[Tensor], Tensor]) -> Moved:
        return type(self)(**{name: change(value) for name, value in vars(self).items() if value is not None})


@dataclass(frozen=True, eq=False)
class Batch(Tensors):
    """Tensors of B clips.

    Parameters
    ----------
    audio
        (B, N).
    onset, frame, offset
        (B, 88, T) targets.
    notes
        (B, M, 3) int64 row, first frame, last frame + 1.
    label
        (B, M) int64 part, -1 for padding.
    family
        (B, M) int64 family of the part's instrument, -1 for padding.
    drumless
        (B, N), `audio` without its drums, where the clips have it.
    """

    audio: Tensor
    onset: Tensor
    frame: Tensor
    offset: Tensor
    notes: Tensor
    label: Tensor
    family: Tensor
    drumless: Tensor | None = None


def collate(clips: list[Clip], front_end: FrontEnd, max_notes: int, rng: np.random.Generator) -> Batch:
    """Make a batch of clips."""
    n_frames = len(clips[0].audio) // front_end.hop_length
    onsets, frames, offsets, tables, labels, families = [], [], [], [], [], []
    for clip in clips:
        onset, frame = targets(clip.notes, n_frames, front_end.hop_s)
        onsets.append(onset)
        frames.append(frame)
        offsets.append(offset_targets(clip.notes, n_frames, front_end.hop_s))
        table, label = np.zeros((max_notes, 3), np.int64), np.full(max_notes, -1, np.int64)
        rows = clip.notes[:, 2].astype(np.int64) - MIDI_MIN
        first = np.clip(np.round(clip.notes[:, 0] / front_end.hop_s), 0, n_frames).astype(np.int64)
        last = np.clip(np.round(clip.notes[:, 1] / front_end.hop_s), 0, n_frames).astype(np.int64)
        usable = np.flatnonzero((rows >= 0) & (rows < N_PITCHES) & (last - first >= 3))
        usable = rng.permutation(usable)[:max_notes]
        table[: len(usable)] = np.stack([rows[usable], first[usable], last[usable]], axis=1)
        label[: len(usable)] = clip.notes[usable, 3].astype(np.int64)
        tables.append(table)
        labels.append(label)
        family = np.full(max_notes, -1, np.int64)
        if len(clip.families):
            family[: len(usable)] = clip.families[label[: len(usable)]]
        families.append(family)
    arrays = ([clip.audio for clip in clips], onsets, frames, offsets, tables, labels, families)
    drumless = [clip.drumless for clip in clips if clip.drumless is not None]
    without = torch.from_numpy(np.stack(drumless)) if len(drumless) == len(clips) else None
    return replace(Batch(*(torch.from_numpy(np.stack(a)) for a in arrays)), drumless=without)


Made = TypeVar("Made")


def batch_numbers(first: int) -> Iterator[int]:
    """Numbers of the batches that this worker of a loader makes, from `first` on for ever."""
    info = get_worker_info()
    return itertools.count(first + info.id, info.num_workers) if info else itertools.count(first)


class ClipStream(IterableDataset[Batch]):
    """An endless stream of batches; workers and ranks take every k-th.

    Parameters
    ----------
    folder
        The bank.
    first
        Number of the first batch, for resuming.
    rank, world
        This process and how many there are.
    leave_out, timbres
        See `Mixer`.
    """

    def __init__(
        self,
        folder: Path,
        mixing: Mixing,
        front_end: FrontEnd,
        batch_size: int,
        max_notes: int,
        seed: int,
        first: int = 0,
        rank: int = 0,
        world: int = 1,
        leave_out: LeaveOut = LeaveOut(),  # noqa: B008 - frozen
        timbres: int | None = None,
    ) -> None:
        self.folder, self.mixing, self.front_end = folder, mixing, front_end
        self.batch_size, self.max_notes, self.seed = batch_size, max_notes, seed
        self.first, self.rank, self.world = first, rank, world
        self.leave_out, self.timbres = leave_out, timbres

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches for ever."""
        bank = Bank.open(self.folder)
        mixer = Mixer(bank, self.mixing, self.front_end, self.seed, leave_out=self.leave_out, timbres=self.timbres)
        for number in batch_numbers(self.first):
            base = (number * self.world + self.rank) * self.batch_size
            clips = [mixer.clip(base + k) for k in range(self.batch_size)]
            yield collate(clips, self.front_end, self.max_notes, np.random.default_rng([self.seed, 3, number]))


def loader(stream: IterableDataset[Made], workers: int, device: torch.device) -> DataLoader[Made]:
    """A loader with `workers` processes for a network on `device`; with none, batches are made in the loop."""
    return DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=device.type == "cuda",
        worker_init_fn=_leave_signals,
        # Its own: a training that goes on has chance as it was, whatever a loader draws when it begins.
        generator=torch.Generator(),
    )


def _leave_signals(_worker: int) -> None:
    """A request to end is for the loop, which finishes its step with what the workers bring; they end with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def development_clips(folder: Path, mixing: Mixing, front_end: FrontEnd, count: int, seed: int) -> list[Clip]:
    """Clips of the development split, without augmentation, always the same."""
    mixer = Mixer(Bank.open(folder), replace(mixing, augment=False), front_end, seed, split="dev")
    return [mixer.clip(i) for i in range(count)]
