"""Examples with a known number of timbres: clusters drawn on the sphere, mixes of a bank's stems, songs of a bank.

What is drawn is sound (or, without a network, embeddings) and its notes; what a network makes of it is the business of
`amtsep.training.timbres.hearing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.notes import Notes
from amtsep.synthesis import augment
from amtsep.synthesis.bank import Bank

Values = NDArray[np.float64]
PARTS = (0.17, 0.2, 0.19, 0.18, 0.11, 0.07, 0.05, 0.03)
"""Chance of 1, 2, ... timbres in a mix."""
LARGEST = len(PARTS)


def synthetic_notes(seed: int, timbres: int | None = None, n_notes: int | None = None, dim: int = 16) -> Notes:
    """Clusters on the sphere that imitate embeddings of a mix; `track` is the truth.

    Unequal numbers of notes, a spread of its own and a drift with pitch for every timbre, some notes between two
    timbres, some astray; each timbre plays one note at a time, or chords, in a register of its own, or over the whole
    keyboard, where it drifts far and not along a line.
    """
    rng = np.random.default_rng(seed)
    k = timbres or int(rng.integers(1, LARGEST + 1))
    keyboard = rng.random() < (0.5 if k == 1 else 0.2)
    n = n_notes or int(np.exp(rng.uniform(np.log(25 * k), np.log((1500 if keyboard and k == 1 else 300) * k))))
    share = np.exp(rng.normal(0.0, 0.7, k))
    counts = np.maximum(np.round(n * share / share.sum()).astype(int), 4)
    clear = rng.random() < 0.35
    unclear = 0.0 if clear else rng.uniform(0.0, 0.08)
    length_s = n * 0.3 / np.sqrt(k)
    centroids = rng.normal(size=(k, dim))
    for index in range(1, k):
        if rng.random() < 0.3:  # of one family
            centroids[index] = centroids[rng.integers(index)] + 0.8 * rng.normal(size=dim)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    columns: list[Values] = []
    for index in range(k):
        m = counts[index]
        voices = 1 if rng.random() < 0.6 else int(rng.integers(2, 5))
        edges = np.sort(rng.uniform(0.0, length_s, m // voices + 1))
        begin = np.resize(edges, m) if voices == 1 else np.repeat(edges, voices)[:m]
        sounding = np.resize(np.append(np.diff(edges), 0.5), m) if voices == 1 else np.full(m, 0.4)
        wide = keyboard and index == 0
        pitch = (
            rng.normal(rng.uniform(55, 70), rng.uniform(8, 14), m)
            if wide
            else rng.normal(rng.uniform(45, 80), rng.uniform(3, 9), m)
        )
        pitch = np.clip(np.round(pitch), 21, 108)
        spread = np.exp(rng.uniform(np.log(0.2), np.log(0.45 if clear else 0.9))) / np.sqrt(dim)
        drift = rng.normal(size=dim) * rng.uniform(0.0, 0.1 if clear else 0.9) / np.sqrt(dim)
        x = centroids[index] + spread * rng.normal(size=(m, dim)) + drift * ((pitch - pitch.mean()) / 6.0)[:, None]
        if wide:
            octaves = (pitch - pitch.mean()) / 12.0
            along = rng.normal(size=(2, dim)) / np.sqrt(dim) * rng.uniform(0.2, 1.0, (2, 1))
            x += along[0] * octaves[:, None] + along[1] * octaves[:, None] ** 2
        between = rng.random(m) < unclear
        other = centroids[rng.integers(k, size=m)]
        x[between] = 0.55 * x[between] + 0.45 * other[between]
        astray = rng.random(m) < unclear / 3.0
        x[astray] = rng.normal(size=(int(astray.sum()), dim))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        end = begin + np.clip(sounding, 0.05, 1.5)
        columns.append(np.column_stack([begin, end, pitch, rng.uniform(0.4, 1.0, m), np.full(m, index), x]))
    table = np.concatenate(columns)
    return Notes.build(
        table[:, 0],
        table[:, 1],
        table[:, 2],
        confidence=table[:, 3],
        track=table[:, 4].astype(int),
        embedding=table[:, 5:],
    )


HELD_OUT = ("with", "without", "only")
"""Which timbres of a development split take part: with those that no training hears, without them, or only those."""


def draw_mix(
    bank: Bank, split: str, seed: int, spoil: bool = True, held_out: str = "with"
) -> tuple[NDArray[np.float32], Notes]:
    """A mix of 1 to 8 timbres, 9 to 36 s: samples (mean energy one) and its notes, a track a timbre.

    A timbre plays several stems of the bank one after the other, at one level and through one filter, so that it has as
    many notes as in a real recording. Timbres are of different families in four mixes of five. `held_out` is one of
    `HELD_OUT`.
    """
    rng = np.random.default_rng([seed, 7])
    rate = bank.sample_rate
    stems: dict[str, list[int]] = {}
    for index, stem in enumerate(bank.stems):
        wanted = held_out == "with" or stem.held_out == (held_out == "only")
        if stem.split == split and wanted and (split != "train" or not stem.held_out):
            stems.setdefault(stem.timbre, []).append(index)
    names = sorted(stems)
    k = int(rng.choice(np.arange(1, LARGEST + 1), p=PARTS))
    segments = int(rng.integers(1, 5))
    apart, families, chosen = rng.random() < 0.8, set[str](), list[str]()
    order = rng.permutation(len(names))
    # A timbre with many stems is a real instrument more often than not: those first, for half of the mixes.
    if rng.random() < 0.5:
        order = order[np.argsort([-min(len(stems[names[i]]), segments) for i in order], kind="stable")]
    for index in order:
        family = bank.stems[stems[names[index]][0]].family
        if len(chosen) < k and not (apart and family in families):
            chosen.append(names[index])
            families.add(family)
    length = bank.clip_samples
    mix = np.zeros(segments * length, np.float32)
    grid = augment.spectrum_grid(length, rate)
    rows: list[Values] = []
    for part, name in enumerate(chosen):
        gain = np.float32(10.0 ** (np.clip(rng.normal(0.0, 4.0), -10.0, 10.0) / 20.0))
        curves = [augment.random_curve(rng, grid, 4.0)] if spoil and rng.random() < 0.3 else []
        turns = np.resize(rng.permutation(stems[name]), segments)
        for position, stem in enumerate(turns):
            audio = bank.audio(int(stem)).astype(np.float32) / np.float32(32768.0)
            if curves:
                audio = augment.filter_zero_phase(audio, rate, curves, None)
            mix[position * length : (position + 1) * length] += gain * audio
            notes: Any = bank.notes(int(stem))
            shift = position * length / rate
            rows.append(
                np.column_stack(
                    [notes["onset"] + shift, notes["offset"] + shift, notes["pitch"], np.full(len(notes), part)]
                )
            )
    if spoil:
        mix = _spoil(rng, mix, rate)
    return _finished(mix, rate, np.concatenate(rows))


def _spoil(rng: np.random.Generator, mix: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """A room and noise, now and then."""
    if rng.random() < 0.3:
        mix = augment.filter_zero_phase(mix, rate, [], augment.impulse_response(rng, rate))
    return augment.add_noise(rng, mix) if rng.random() < 0.3 else mix


def _finished(mix: NDArray[np.float32], rate: int, table: Values) -> tuple[NDArray[np.float32], Notes]:
    """The mix at mean energy one, and rows of onset, offset, pitch and part as notes, a track a timbre."""
    table = table[(table[:, 0] >= 0) & (table[:, 0] < len(mix) / rate - 0.05)]
    # A part with a note or two is no timbre that anybody could tell.
    kept = np.isin(table[:, 3], np.flatnonzero(np.bincount(table[:, 3].astype(int)) >= 4))
    table = table[kept]
    _, part_of = np.unique(table[:, 3], return_inverse=True)
    mix /= np.sqrt(np.mean(mix**2)) + np.float32(1e-6)
    return mix, Notes.build(table[:, 0], table[:, 1], table[:, 2], track=part_of)


def songs_of(bank: Bank) -> dict[str, list[int]]:
    """Stems of each song of a bank that `amtsep.synthesis.songs` made."""
    songs: dict[str, list[int]] = {}
    for index, stem in enumerate(bank.stems):
        songs.setdefault(stem.piece or stem.timbre, []).append(index)
    return dict(sorted(songs.items()))


def mix_song(
    bank: Bank, stems: Sequence[int], seed: int, shortest_s: float = 20.0
) -> tuple[NDArray[np.float32], Notes]:
    """A song from its stems: each at a level and, often, through a filter of its own; a room, noise; a part of it."""
    rng = np.random.default_rng([seed, 11])
    rate, length = bank.sample_rate, bank.clip_samples
    mix = np.zeros(length, np.float32)
    grid = augment.spectrum_grid(length, rate)
    rows: list[Values] = []
    for part, stem in enumerate(stems):
        audio = bank.audio(stem).astype(np.float32) / np.float32(32768.0)
        if rng.random() < 0.5:
            audio = augment.filter_zero_phase(audio, rate, [augment.random_curve(rng, grid, 4.0)], None)
        mix += np.float32(10.0 ** (np.clip(rng.normal(0.0, 4.0), -8.0, 8.0) / 20.0)) * audio
        notes: Any = bank.notes(stem)
        rows.append(np.column_stack([notes["onset"], notes["offset"], notes["pitch"], np.full(len(notes), part)]))
    mix = _spoil(rng, mix, rate)
    kept_s = float(rng.uniform(min(shortest_s, bank.clip_s), bank.clip_s))
    return _finished(mix[: round(kept_s * rate)], rate, np.concatenate(rows))
