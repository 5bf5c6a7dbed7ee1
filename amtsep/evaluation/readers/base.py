"""What every reader yields: a `Recording`, made of the parts of a `Ensemble`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtsep.config import FrontEnd
from amtsep.errors import DataError
from amtsep.notes import Notes, Track
from amtsep.stereo import StereoImage

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".m4a")
SPLITS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
"""Folder names that say which split a file belongs to."""


@dataclass(frozen=True, eq=False)
class Part:
    """One instrument of a piece: its sound (several files are summed) and its notes (on track 0)."""

    name: str
    sources: tuple[Path, ...]
    notes: Notes
    program: int = 0


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A piece with a sound file a part, from which mixes of any of the parts are made."""

    name: str
    parts: tuple[Part, ...]
    split: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recording:
    """Something to transcribe, with its truth.

    Parameters
    ----------
    name
        Unique within the data set.
    dataset
        The reader's name.
    sources
        Sound files; several are summed in equal parts, and turned down if the sum would clip.
    reference
        The true notes, a track a part.
    group
        What recordings made of the same material share (the piece): they are not independent of each other.
    split
        "train", "dev", "test" or "" where the data set's layout does not say.
    metadata
        Anything else that the data set tells.
    """

    name: str
    dataset: str
    sources: tuple[Path, ...]
    reference: Notes
    group: str = ""
    split: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(track.name for track in self.reference.tracks)

    @property
    def n_parts(self) -> int:
        """How many parts have notes."""
        return max(len(np.unique(self.reference.track)), 1)

    def audio(self) -> NDArray[np.float32]:
        """(n,) float32 at 22,050 Hz, read now: the sum of the sources, turned down if it would clip."""
        return mix_samples([_samples(path) for path in self.sources])

    def stereo(self) -> StereoImage | None:
        """How the channels of the sound share what is heard; ``None`` of one channel, or of a sum of files."""
        if len(self.sources) != 1 or _channels(self.sources[0]) == 1:
            return None
        from amtsep.audio import load_audio

        return load_audio(self.sources[0], resampler="soxr", stereo=True).stereo

    def content_hash(self) -> str:
        """SHA-256 over the bytes of the sound files: what a cache of results is keyed with."""
        digest = hashlib.sha256(b"equal sum, peak 1")
        for path in self.sources:
            digest.update(_file_hash(path, path.stat().st_mtime_ns).encode())
        return digest.hexdigest()


def mix_samples(stems: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Equal sum of mono stems, short ones padded with silence, scaled to a peak of 1 only where it would clip."""
    total = np.zeros(max(len(stem) for stem in stems), np.float32)
    for stem in stems:
        total[: len(stem)] += stem
    peak = float(np.abs(total).max(initial=0.0))
    return total / np.float32(peak) if peak > 1.0 and len(stems) > 1 else total


def mixes_of(
    pieces: Sequence[Ensemble], dataset: str, sizes: Sequence[int] | None, per_size: int | None = None, seed: int = 0
) -> list[Recording]:
    """Recordings of chosen numbers of parts.

    Parameters
    ----------
    pieces
        With their parts.
    dataset
        Name that the recordings carry.
    sizes
        Numbers of parts; ``None`` mixes all parts of each piece.
    per_size
        At most so many mixes of a size and a piece, drawn with `seed` so that every part comes about equally often;
        ``None`` takes every combination. Single parts are never left out.
    seed
        Of the draw.
    """
    found: list[Recording] = []
    for piece in pieces:
        count = len(piece.parts)
        for size in [count] if sizes is None else sorted(set(sizes)):
            if size < 1 or size > count:
                continue
            for chosen in _choose(count, size, per_size, seed):
                found.append(mix(piece, chosen, dataset))
    return found


def mix(piece: Ensemble, chosen: Sequence[int], dataset: str) -> Recording:
    """One recording from some parts of a piece."""
    parts = [piece.parts[i] for i in chosen]
    tables = [
        part.notes.with_tracks(np.zeros(len(part.notes), np.int16), [Track(part.name, part.program)]) for part in parts
    ]
    whole = len(parts) == len(piece.parts)
    name = piece.name if whole and len(parts) > 1 else f"{piece.name}/{'+'.join(part.name for part in parts)}"
    return Recording(
        name=name,
        dataset=dataset,
        sources=tuple(path for part in parts for path in part.sources),
        reference=Notes.concatenate(tables),
        group=piece.name,
        split=piece.split,
        metadata=piece.metadata,
    )


def _choose(count: int, size: int, limit: int | None, seed: int) -> Iterator[tuple[int, ...]]:
    everything = list(combinations(range(count), size))
    if limit is None or size == 1 or len(everything) <= limit:
        yield from everything
        return
    order = np.random.default_rng([seed, count, size]).permutation(len(everything))
    used = np.zeros(count)
    left = [everything[i] for i in order]
    for _ in range(limit):
        best = min(left, key=lambda combination: (used[list(combination)].sum(), used[list(combination)].max()))
        left.remove(best)
        used[list(best)] += 1
        yield best


def notes_of(onset: ArrayLike, offset: ArrayLike, pitch: ArrayLike, velocity: ArrayLike | None = None) -> Notes:
    """A note table from a data set's columns: pitches rounded, notes of no length or before zero mended."""
    start = np.maximum(np.asarray(onset, np.float64), 0.0)
    end = np.maximum(np.asarray(offset, np.float64), start + 0.001)
    loud = None if velocity is None else np.clip(np.round(np.asarray(velocity, np.float64)), 1, 127)
    return Notes.build(start, end, np.round(np.asarray(pitch, np.float64)), loud)


def with_track(notes: Notes, name: str, program: int = 0) -> Notes:
    """The notes on one named track."""
    return notes.with_tracks(np.zeros(len(notes), np.int16), [Track(name, program)])


def find_audio(folder: Path, stem: str) -> Path | None:
    """The sound file of this name in any known format."""
    for suffix in AUDIO_SUFFIXES:
        for candidate in (folder / f"{stem}{suffix}", folder / f"{stem}{suffix.upper()}"):
            if candidate.is_file():
                return candidate
    return None


def split_of(path: Path, root: Path) -> str:
    """Which split a file belongs to, by the names of its folders (the root's own name included)."""
    for name in reversed((root.resolve().name, *path.relative_to(root).parts[:-1])):
        if name.lower() in SPLITS:
            return SPLITS[name.lower()]
    return ""


def existing_root(root: str | Path, dataset: str, hint: str) -> Path:
    """The folder, or a `DataError` that says where the data set is published."""
    folder = Path(root)
    if not folder.is_dir():
        raise DataError(f"The folder {folder} does not exist. {dataset}: {hint}")
    return folder


def read_columns(path: Path, delimiter: str | None = None) -> list[list[str]]:
    """The rows of a text table, comments (#) and empty lines left out."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            rows.append([cell.strip() for cell in (text.split(delimiter) if delimiter else text.split())])
    return rows


@lru_cache(maxsize=24)
def _samples(path: Path) -> NDArray[np.float32]:
    from amtsep.audio import load_audio

    # soxr always: which resampler is used must not depend on whether torch was imported before.
    samples = load_audio(path, sample_rate=FrontEnd.sample_rate, resampler="soxr").samples
    samples.setflags(write=False)
    return samples


def _channels(path: Path) -> int:
    """How many channels a file says that it has; 0 where it does not say."""
    import soundfile

    try:
        return int(soundfile.info(path).channels)
    except (RuntimeError, OSError):  # of other formats
        return 0


@lru_cache(maxsize=4096)
def _file_hash(path: Path, modified_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
