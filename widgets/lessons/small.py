"""A small set and a small network: what can be trained while one watches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor

from amtsep.config import MIDI_MIN, FrontEnd, Network, Training
from amtsep.nets.model import TranscriberNet
from amtsep.synthesis import sampler
from amtsep.synthesis.augment import impulse_response
from amtsep.synthesis.expression import Expression
from amtsep.synthesis.mixing import targets
from amtsep.synthesis.scores import random_score
from amtsep.training.losses import focal_loss
from amtsep.training.optim import build_optimizer
from widgets.lessons import material
from widgets.lessons.kit import RATE

Values = NDArray[np.float32]

SMALL = Network(name="small", channels=8, blocks=((1, 1), (1, 2)), head_channels=6)
"""Four thousand parameters: a step takes some hundredths of a second."""


def effort(full: int, short: int) -> int:
    """`full` steps for a student; `short` where ``AMTSEP_LESSONS=short`` says that only the way through is tried."""
    return short if os.environ.get("AMTSEP_LESSONS") == "short" else full


@dataclass(frozen=True, eq=False)
class SmallSet:
    """Clips with what a network should say.

    Parameters
    ----------
    power
        (N, 306, T) constant-Q power.
    onset, frame
        (N, 88, T) targets.
    notes
        A table of (onset s, offset s, pitch, part) a clip.
    """

    power: Tensor
    onset: Tensor
    frame: Tensor
    notes: tuple[Values, ...]


@cache
def small_set(clips: int = 6, seconds: float = 1.8, seed: int = 3) -> SmallSet:
    """Random scores, two at a time, played by made-up timbres in a room with a little noise."""
    hop_s, columns = FrontEnd().hop_s, []
    for k in range(clips):
        rng = np.random.default_rng([seed, k])
        room = impulse_response(rng, RATE)
        sound: Values = np.zeros(round(seconds * RATE), np.float32)
        tables = []
        for part in range(2):
            made = material.timbre(seed * 10 + (k + part) % 4)
            score = random_score(rng, made.instrument, seconds, shortest_s=0.1)
            audio, played = sampler.render_samples(rng, made, score, seconds, Expression())
            sound += audio
            tables.append(np.stack([played[n].astype(np.float32) for n in ("onset", "offset", "pitch")], axis=1))
        sound = signal.fftconvolve(sound, room)[: len(sound) // 256 * 256].astype(np.float32)
        sound += rng.normal(0, 1e-3, len(sound)).astype(np.float32)
        power = material.power(sound)
        table = np.pad(np.concatenate(tables), ((0, 0), (0, 1)))
        columns.append((power, *targets(table, power.shape[1], hop_s), table))
    powers, onsets, frames, notes = zip(*columns)
    stacks = [torch.from_numpy(np.stack(a)) for a in (powers, onsets, frames)]
    return SmallSet(stacks[0], stacks[1], stacks[2], notes)


class SmallTraining:
    """A small network on a small set: `step` trains, `hear` says what it has learned.

    Parameters
    ----------
    data
        Clips.
    frame_alpha, onset_alpha, gamma
        Of the focal losses.
    seed
        Of weights and batches.
    network
        Its shape.
    """

    def __init__(
        self,
        data: SmallSet,
        frame_alpha: float = Training.frame_alpha,
        onset_alpha: float = Training.onset_alpha,
        gamma: float = Training.frame_gamma,
        seed: int = 1,
        network: Network = SMALL,
    ) -> None:
        torch.manual_seed(seed)
        self.data, self.alphas, self.gamma = data, (frame_alpha, onset_alpha), gamma
        self.net = TranscriberNet(network)
        settings = Training(optimizer="muon")
        self.optimizer = build_optimizer(self.net, settings)
        self.rng = np.random.default_rng(seed)
        self.steps = 0
        self.losses: list[tuple[float, float]] = []

    def step(self, batch: int = 3) -> tuple[float, float]:
        """One step; returns the onset and the frame loss (times a hundred)."""
        which = self.rng.choice(len(self.data.power), batch, replace=False)
        self.net.train()
        heard = self.net(self.data.power[which])
        frame_loss = focal_loss(heard.frame, self.data.frame[which], self.alphas[0], self.gamma)
        onset_loss = focal_loss(heard.onset, self.data.onset[which], self.alphas[1], self.gamma)
        loss = 100.0 * (Training.onset_weight * onset_loss + frame_loss)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        self.losses.append((100 * onset_loss.item(), 100 * frame_loss.item()))
        return self.losses[-1]

    def hear(self, power: Tensor) -> tuple[Values, Values]:
        """Onset and frame posterior of one clip's power, (306, T): each (88, T)."""
        # Statistics of the clip itself: the running ones have not settled after so few steps.
        self.net.train()
        with torch.no_grad():
            heard = self.net(power[None])
        return torch.sigmoid(heard.onset)[0].numpy(), torch.sigmoid(heard.frame)[0].numpy()


def tail_ms(posterior: Values, notes: Values, hop_s: float, most: int = 30) -> float:
    """How long the frame posterior stays over one half after a note's true end, in ms, a mean over notes."""
    lengths = []
    for _, end, pitch, _ in notes:
        first = int(np.ceil(end / hop_s + 0.5))
        after = posterior[int(pitch) - MIDI_MIN, first : first + most]
        again = [n[0] for n in notes if n[2] == pitch and n[0] > end - 0.03]
        room = int(min(again) / hop_s) - first if again else most
        after = after[: max(room, 0)]
        if len(after) >= 3:
            low = np.flatnonzero(after < 0.5)
            lengths.append(float(low[0] if len(low) else len(after)))
    return 1000 * hop_s * float(np.mean(lengths)) if lengths else 0.0


def onset_ms(posterior: Values, notes: Values, hop_s: float) -> float:
    """For how long the onset posterior of a note is over half of its highest value, in ms, a mean over notes.

    An onset proper is two or three frames wide, 23 to 35 ms; a posterior that stays up through the note is a frame's.
    """
    lengths = []
    for start, end, pitch, _ in notes:
        first, last = round(start / hop_s), max(round(end / hop_s), round(start / hop_s) + 4)
        here = posterior[int(pitch) - MIDI_MIN, max(first - 2, 0) : last]
        lengths.append(float((here > 0.5 * here.max(initial=1e-6)).sum()))
    return 1000 * hop_s * float(np.mean(lengths)) if lengths else 0.0
