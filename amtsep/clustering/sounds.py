"""What a track may sound like: the nearest of a bank of recorded instruments. A guess, and said as one.

Files beside this module (``sounds.json`` for `base`, ``sounds_large.json`` for `large`) hold the mean embedding of 53
instruments, single notes of each, as the network named in them hears them (``python tools/sounds.py`` makes them). As
`base` hears held-out notes of the same instruments, the nearest is the right one for 40 of 53, and it is among the
nearest three for 52; of other recordings a clarinet or a violin is found, a bassoon is taken for its neighbours, and a
guitar or a piano in a room is often not near anything.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.clustering.encoder import of_each_network, weights_in
from amtsep.notes import Notes

SOUNDS = Path(__file__).parent / "sounds.json"
LEAST = 0.75
"""Cosine under which nothing is near enough to be named."""


@cache
def sounds(path: Path = SOUNDS) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.float64]]:
    """What the network's weights are called, General MIDI program of each sound (n,), their unit vectors (n, D)."""
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    programs = np.array([sound["program"] for sound in table["sounds"]])
    vectors = np.array([sound["centroid"] for sound in table["sounds"]], np.float64)
    return tuple(table["networks"]), programs, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def bank_for(model: str) -> Path | None:
    """The bank that was heard with the weights that `Posteriors.model` names, in whatever file these came."""
    own = weights_in(model)
    return next((path for path in of_each_network(SOUNDS) if own in sounds(path)[0]), None)


def suggest_programs(
    notes: Notes, most: int = 3, path: Path = SOUNDS, pooled: NDArray[np.float32] | None = None
) -> list[list[int]]:
    """General MIDI programs that each track may be, the likeliest first.

    Parameters
    ----------
    notes
        With tracks.
    most
        How many programs a track at most.
    path
        The bank (see `bank_for`).
    pooled
        What the network that the bank was heard with says of each note (`amtsep.decoding.pooled_embeddings`), where
        that is not what the notes hold.

    Returns
    -------
    list of list of int
        One list a track of `notes`; empty where nothing is near enough, or there are no embeddings.
    """
    _, programs, vectors = sounds(path)
    heard = notes.embedding if pooled is None else pooled
    guesses: list[list[int]] = []
    for track in range(len(notes.tracks)):
        own = np.flatnonzero(notes.track == track)
        if not len(own) or heard.shape[1] != vectors.shape[1]:
            guesses.append([])
            continue
        mean = (heard[own] * notes.duration[own, None]).sum(axis=0, dtype=np.float64)
        likeness = vectors @ (mean / (np.linalg.norm(mean) + 1e-9))
        order = [int(i) for i in np.argsort(-likeness) if likeness[i] >= LEAST]
        guesses.append(list(dict.fromkeys(int(programs[i]) for i in order))[:most])
    return guesses
