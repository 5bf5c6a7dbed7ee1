"""Clips for training, mixed on the fly from a bank of stems: audio, targets, and who plays what."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN, N_PITCHES, FrontEnd, Mixing
from amtsep.errors import DataError
from amtsep.loudness import condition
from amtsep.synthesis import augment
from amtsep.synthesis.bank import PATCH_PROGRAM, Bank, Stem
from amtsep.synthesis.guard import refuse_stems

N_ROOMS = 48


@dataclass(frozen=True, eq=False)
class Clip:
    """A training example.

    Parameters
    ----------
    audio
        (n,) float32 at the front end's rate, normalised as this says, mean energy near one.
    notes
        (m, 4) float32: onset and offset in seconds (an onset before the clip is negative), pitch, part.
    timbres
        Index into the bank's timbres, a value a part; no timbre twice.
    """

    audio: NDArray[np.float32]
    notes: NDArray[np.float32]
    timbres: NDArray[np.int64]


def kind_of(stem: Stem) -> str:
    """Which of `Mixing.sources` a stem belongs to."""
    if stem.source == "guitarset":
        return "real"
    if stem.source == "synthetic":
        return "synthetic"
    if stem.program == PATCH_PROGRAM:
        return "patch"
    return "soundfont" if stem.program >= 0 else "recorded"


KINDS = ("recorded", "soundfont", "synthetic", "real", "patch")
"""What `kind_of` says."""
SCORES = ("random", "music")
"""What `Stem.kind` says."""


@dataclass(frozen=True)
class LeaveOut:
    """Stems not to draw from, for ablations."""

    families: frozenset[str] = frozenset()
    """Instrument families."""
    sources: frozenset[str] = frozenset()
    """Kinds of sound (`KINDS`) or names of collections and soundfonts (`Stem.source`)."""
    scores: frozenset[str] = frozenset()
    """Kinds of scores (`SCORES`)."""

    def keeps(self, stem: Stem) -> bool:
        """Whether `stem` may be drawn."""
        return not (
            stem.family in self.families
            or stem.source in self.sources
            or kind_of(stem) in self.sources
            or stem.kind in self.scores
        )

    def check(self, bank: Bank) -> None:
        """Raise `DataError` for a name that nothing in `bank` has: an ablation that leaves nothing out misleads."""
        known = {
            "family": (self.families, {s.family for s in bank.stems}),
            "source": (self.sources, {s.source for s in bank.stems} | set(KINDS)),
            "score": (self.scores, set(SCORES)),
        }
        for what, (names, there) in known.items():
            for name in sorted(names - there):
                raise DataError(f"The bank knows no {what} '{name}' to leave out; it has {', '.join(sorted(there))}.")


class Mixer:
    """Draws clips from a bank; clip ``i`` of a seed is always the same.

    Parameters
    ----------
    bank
        The stems.
    mixing, front_end
        Settings.
    seed
        Of everything that is drawn.
    split
        ``"train"`` (never a held-out timbre) or ``"dev"``.
    leave_out
        Stems not to use.
    timbres
        Draw from so many timbres alone, chosen by `seed`; ``None`` draws from all.
    """

    def __init__(
        self,
        bank: Bank,
        mixing: Mixing = Mixing(),  # noqa: B008 - frozen
        front_end: FrontEnd = FrontEnd(),  # noqa: B008
        seed: int = 0,
        split: str = "train",
        leave_out: LeaveOut = LeaveOut(),  # noqa: B008
        timbres: int | None = None,
    ) -> None:
        self.bank, self.mixing, self.front_end, self.seed = bank, mixing, front_end, seed
        refuse_stems(bank.stems)
        usable = [
            i
            for i, stem in enumerate(bank.stems)
            if stem.split == split and (split != "train" or not stem.held_out) and leave_out.keeps(stem)
        ]
        if not usable:
            raise DataError(
                f"The bank holds no stems of the split '{split}', or all were left out; make one with "
                "'amtsep synthesize', or leave less out."
            )
        if timbres is not None:
            every = sorted({bank.stems[i].timbre for i in usable})
            few = set(np.random.default_rng([seed, 5]).permutation(every)[:timbres].tolist())
            usable = [i for i in usable if bank.stems[i].timbre in few]
        # Drawing a timbre first, then a stem of it, lets a rare instrument be heard as often as a piano.
        by_timbre: dict[str, list[int]] = defaultdict(list)
        by_piece: dict[str, list[int]] = defaultdict(list)
        for i in usable:
            by_timbre[bank.stems[i].timbre].append(i)
            piece = bank.stems[i].piece
            if piece is not None:
                by_piece[piece].append(i)
        self._names = sorted(by_timbre)
        self._by_timbre = [by_timbre[name] for name in self._names]
        self._index = {name: k for k, name in enumerate(self._names)}
        self._pieces = [stems for _, stems in sorted(by_piece.items()) if len(stems) > 1]
        # Square root: between every timbre alike and every stem alike.
        weights = np.sqrt([len(stems) for stems in self._by_timbre])
        kinds = np.array([kind_of(bank.stems[stems[0]]) for stems in self._by_timbre])
        for kind, share in mixing.sources:
            weights[kinds == kind] *= share / max(weights[kinds == kind].sum(), 1e-9)
        self._weights = weights / weights.sum()
        rng = np.random.default_rng([seed, 1])
        self._rooms = [augment.impulse_response(rng, front_end.sample_rate) for _ in range(N_ROOMS)]

    @property
    def n_samples(self) -> int:
        """Length of a clip: whole frames."""
        front_end = self.front_end
        return round(self.mixing.clip_s * front_end.sample_rate / front_end.hop_length) * front_end.hop_length

    def clip(self, index: int) -> Clip:
        """Clip number `index`."""
        rng = np.random.default_rng([self.seed, 2, index])
        mixing, rate, n = self.mixing, self.front_end.sample_rate, self.n_samples
        weights = np.asarray(mixing.parts)
        count = int(rng.choice(len(weights), p=weights / weights.sum())) + 1
        together = count > 1 and bool(self._pieces) and rng.random() < mixing.same_piece
        stems = self._draw_piece(rng, count) if together else self._draw_any(rng, count)
        latest = max(self.bank.clip_samples - n, 0)
        common = int(rng.integers(latest + 1))
        mix = np.zeros(n, np.float32)
        rows: list[NDArray[np.float32]] = []
        kept: list[int] = []
        grid = augment.spectrum_grid(n, rate) if mixing.augment else None
        for stem in stems:
            start = common if together else int(rng.integers(latest + 1))
            audio = self.bank.audio(stem)[start : start + n].astype(np.float32) / 32768.0
            audio = np.pad(audio, (0, n - len(audio)))
            notes = self._notes(stem, start, n)
            power = float(np.mean(audio**2))
            if power < 1e-9 or not len(notes):
                continue
            if grid is not None and rng.random() < mixing.part_equalizer:
                audio = augment.filter_zero_phase(audio, rate, [augment.random_curve(rng, grid, 5.0)], None)
            gain = 10.0 ** (np.clip(rng.normal(0.0, mixing.part_gain_db), -18.0, 12.0) / 20.0)
            mix += audio * np.float32(gain if together or count > 1 else 1.0)
            timbre = self._index[self.bank.stems[stem].timbre]
            if timbre not in kept:
                kept.append(timbre)
            # Two stems of one timbre (a guitar's chords and its solo) are one part: nothing tells them apart.
            notes[:, 3] = kept.index(timbre)
            rows.append(notes)
        table = np.concatenate(rows) if rows else np.zeros((0, 4), np.float32)
        audio = self._spoil(rng, mix, grid) if grid is not None else mix
        if self.front_end.normalisation == "running":
            if grid is not None and rng.random() < mixing.dynamics:
                audio = augment.change_level(rng, audio, rate, mixing.dynamics_db)
            audio = condition(audio, self.front_end)
        low, high = mixing.level_db if mixing.augment else (0.0, 0.0)
        level = 10.0 ** (rng.uniform(low, high) / 20.0)
        if self.front_end.normalisation == "mean":
            level /= np.sqrt(np.mean(audio**2)) + 1e-6
        return Clip(audio * np.float32(level), table, np.asarray(kept, np.int64))

    def _draw_piece(self, rng: np.random.Generator, count: int) -> list[int]:
        stems = self._pieces[int(rng.integers(len(self._pieces)))]
        chosen = rng.permutation(len(stems))[: max(count, 2)]
        return [stems[int(k)] for k in chosen]

    def _draw_any(self, rng: np.random.Generator, count: int) -> list[int]:
        count = min(count, len(self._names))
        timbres = rng.choice(len(self._names), count, replace=False, p=self._weights)
        return [self._by_timbre[int(t)][int(rng.integers(len(self._by_timbre[int(t)])))] for t in timbres]

    def _notes(self, stem: int, start: int, n: int) -> NDArray[np.float32]:
        notes: Any = self.bank.notes(stem)
        rate = self.front_end.sample_rate
        table = np.zeros((len(notes), 4), np.float32)
        table[:, 0] = notes["onset"] - start / rate
        table[:, 1] = notes["offset"] - start / rate
        table[:, 2] = notes["pitch"]
        return table[(table[:, 1] > 0.0) & (table[:, 0] < n / rate)]

    def _spoil(
        self, rng: np.random.Generator, mix: NDArray[np.float32], grid: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        mixing, rate = self.mixing, self.front_end.sample_rate
        curves: list[NDArray[np.float64]] = []
        if rng.random() < mixing.equalizer:
            curves.append(augment.random_curve(rng, grid, 4.0))
        if rng.random() < mixing.band_limit:
            curves.append(augment.band_limit_curve(rng, grid))
        room = self._rooms[int(rng.integers(N_ROOMS))] if rng.random() < mixing.room else None
        if curves or room is not None:
            mix = augment.filter_zero_phase(mix, rate, curves, room)
        if rng.random() < mixing.clipping:
            mix = augment.clip_softly(rng, mix)
        if rng.random() < mixing.noise:
            mix = augment.add_noise(rng, mix)
        if rng.random() < mixing.hum:
            mix = augment.add_hum(rng, mix, rate)
        if rng.random() < mixing.codec:
            mix = augment.through_codec(rng, mix, rate)
        return mix


def targets(notes: NDArray[np.float32], n_frames: int, hop_s: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the network should say for these notes.

    Parameters
    ----------
    notes
        (m, 4): onset, offset in seconds, pitch, part.
    n_frames, hop_s
        Frame t is centred on ``t * hop_s``.

    Returns
    -------
    onset, frame
        (88, T) float32. An onset is 1 within half a frame of its time and falls to 0 one frame further, so the targets
        know the time between two frames. A frame is 1 from onset to offset, and a fraction where a note starts or ends
        within it.
    """
    onset = np.zeros((N_PITCHES, n_frames), np.float32)
    frame = np.zeros((N_PITCHES, n_frames), np.float32)
    for start_s, end_s, pitch, _ in notes:
        row = int(pitch) - MIDI_MIN
        if not 0 <= row < N_PITCHES:
            continue
        start, end = start_s / hop_s, end_s / hop_s
        first, last = max(int(np.floor(start - 1.5)), 0), min(int(np.ceil(start + 1.5)) + 1, n_frames)
        if start > -0.5 and first < last:
            distance = np.abs(np.arange(first, last) - start)
            np.maximum(onset[row, first:last], np.clip(1.5 - distance, 0.0, 1.0), out=onset[row, first:last])
        first, last = max(int(np.floor(start - 0.5)), 0), min(int(np.ceil(end + 0.5)) + 1, n_frames)
        if first < last:
            cells = np.arange(first, last)
            overlap = np.clip(np.minimum(cells + 0.5, end) - np.maximum(cells - 0.5, start), 0.0, 1.0)
            np.maximum(frame[row, first:last], overlap, out=frame[row, first:last])
    return onset, frame
