"""Readers of public data sets: each yields `Recording`s (sound, true notes with parts, metadata).

``recordings("bach10", root, mixes=(2, 3, 4))`` is the one way in. No file is fetched: where a data set is absent, the
error says where it is published and how large it is. (mirdata reads several of these too; it is not used, because it
pins its own folder layouts and heavy dependencies, and its notes have no parts.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from amtsep.errors import DataError
from amtsep.evaluation.readers import ensembles, whole
from amtsep.evaluation.readers.base import Ensemble, Part, Recording, mix, mixes_of

__all__ = ["DATASETS", "Dataset", "Part", "Ensemble", "Recording", "mix", "mixes_of", "recordings"]


@dataclass(frozen=True)
class Dataset:
    """A data set that can be read."""

    title: str
    published: str
    """Where it is published and how large it is."""
    pieces: Callable[[str | Path, str], list[Ensemble]] | None = None
    """Reader of stems, from which mixes are made; or"""
    whole: Callable[[str | Path, str], list[Recording]] | None = None
    """reader of finished recordings."""
    per_size: int | None = None
    """Mixes of one size drawn from a piece, where all combinations would be too many."""


DATASETS: dict[str, Dataset] = {
    "bach10": Dataset(
        "Bach10",
        "published by the AIR Lab, University of Rochester (labsites.rochester.edu/air/resource.html), about 150 MB",
        pieces=ensembles.bach10,
    ),
    "urmp": Dataset(
        "URMP",
        "published on Dryad, doi:10.5061/dryad.ng3r749, 12.5 GB",
        pieces=ensembles.urmp,
    ),
    "phenicx": Dataset(
        "PHENICX-Anechoic",
        "published by the Music Technology Group, UPF (zenodo.org/records/840025), under 1 GB",
        pieces=ensembles.phenicx,
    ),
    "slakh": Dataset(
        "Slakh2100 / BabySlakh",
        "published on Zenodo, doi:10.5281/zenodo.4599666 (105 GB); BabySlakh doi:10.5281/zenodo.4603870 (0.9 GB)",
        pieces=ensembles.slakh,
        per_size=4,
    ),
    "stems": Dataset(
        "a folder of stems with MIDI",
        "make a folder a piece, with a sound and a MIDI file of one name for each part (violin.wav, violin.mid)",
        pieces=ensembles.stems,
    ),
    "guitarset": Dataset(
        "GuitarSet",
        "published on Zenodo, doi:10.5281/zenodo.3371780; annotation.zip (39 MB), audio_mono-mic.zip (0.7 GB)",
        whole=whole.guitarset,
    ),
    "maps": Dataset(
        "MAPS",
        "published by V. Emiya, Telecom Paris (adasp.telecom-paris.fr, 'MAPS Database'), about 31 GB",
        whole=whole.maps,
    ),
    "maestro": Dataset(
        "MAESTRO v3",
        "published by Magenta (magenta.tensorflow.org/datasets/maestro), 101 GB compressed, MIDI alone 56 MB",
        whole=whole.maestro,
    ),
    "musicnet": Dataset(
        "MusicNet",
        "published on Zenodo, doi:10.5281/zenodo.5120004, 11 GB; EM labels at benadar293.github.io",
        whole=whole.musicnet,
    ),
    "pairs": Dataset(
        "a folder of sound and MIDI pairs",
        "put each sound beside a MIDI file of the same name (song.wav, song.mid)",
        whole=whole.pairs,
    ),
}


def recordings(
    dataset: str,
    root: str | Path,
    mixes: Sequence[int] | None = None,
    *,
    split: str | None = None,
    per_size: int | None = None,
    seed: int = 0,
) -> list[Recording]:
    """The recordings of a data set.

    Parameters
    ----------
    dataset
        A key of `DATASETS`.
    root
        The folder that the data set (or some of it) lies in; it is searched at every depth.
    mixes
        For data sets with stems, the numbers of parts to mix; ``None`` mixes all parts of each piece. Data sets of
        whole recordings take ``None`` alone.
    split
        Keep only "train", "dev" or "test", as folders or the data set's own table say.
    per_size
        At most so many mixes of one size a piece; ``None`` takes the data set's own rule (all combinations, but four
        for Slakh).
    seed
        Of the draw of mixes.

    Raises
    ------
    DataError
        If the data set is not known, not there, or not laid out as published.
    """
    if dataset not in DATASETS:
        raise DataError(f"The data set {dataset!r} is not known; choose one of {', '.join(DATASETS)}.")
    facts = DATASETS[dataset]
    if facts.pieces is not None:
        pieces = facts.pieces(root, f"It is {facts.published}." if dataset != "stems" else facts.published)
        found = mixes_of(pieces, dataset, mixes, facts.per_size if per_size is None else per_size, seed)
    elif mixes is not None:
        raise DataError(f"{facts.title} holds finished recordings, so numbers of parts to mix cannot be chosen.")
    elif dataset == "maestro":
        found = whole.maestro(root, f"It is {facts.published}.", split or "")
    else:
        assert facts.whole is not None
        found = facts.whole(root, f"It is {facts.published}.")
    if split is not None:
        found = [recording for recording in found if recording.split == split]
    if not found:
        where = f" of split {split!r}" if split else ""
        raise DataError(f"No recording{where} of {facts.title} was found in {root}. Expected: {facts.published}.")
    return found
