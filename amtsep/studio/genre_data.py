"""What a genre classifier learns from: recordings with a genre, a work and, where known, an artist; their features."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import load_audio
from amtsep.batch import SOUND
from amtsep.cache import folder
from amtsep.errors import AudioError, DataError
from amtsep.files import replacing
from amtsep.studio.config import GenreSettings
from amtsep.studio.corpus import MANIFEST, read_manifest
from amtsep.studio.names import UNKNOWN, about
from amtsep.studio.splitting import FEWEST, groups_by_label, groups_of, split_by_group

VERSION = 2
TEMPI = np.geomspace(40.0, 320.0, 25)
"""Beats a minute at which the pulse of a recording is looked at: eight an octave."""


@dataclass(frozen=True)
class Example:
    """A recording to learn from.

    Parameters
    ----------
    group
        What must not be on both sides of a split (`groups_of`).
    synthetic
        Whether it was rendered from a score.
    """

    path: Path
    genre: str
    group: str
    split: str
    synthetic: bool = False


@dataclass(frozen=True, eq=False)
class Features:
    """Of one recording.

    Parameters
    ----------
    segments
        (S, coefficients, frames) MFCC of every whole segment; one, filled up with its mean, of a shorter recording.
    statistics
        (D,) means and deviations of MFCC, of their differences and of chroma, the tempo, and how strongly the onsets
        pulse at each of `TEMPI`: the baseline's.
    """

    segments: NDArray[np.float32]
    statistics: NDArray[np.float32]


def read_examples(root: Path, settings: GenreSettings) -> list[Example]:
    """Examples of a corpus of ours, of an FMA set (with its ``tracks.csv``), or of folders named by genre, as GTZAN's.

    A corpus is split as its manifest says; the others by work and artist (`groups_of`), stratified by genre.

    Raises
    ------
    DataError
        If there are not two genres with three groups each.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder; name a corpus, or a folder with a folder for each genre.")
    told: list[str] = []
    if (root / MANIFEST).is_file():
        rows = [r for r in read_manifest(root) if r["genre"] != UNKNOWN and r["genre_by"] != "guess"]
        found = [(root / r["audio"], r["genre"], r["work"], r["artist"], bool(r["rendered"])) for r in rows]
        told = [r["split"] for r in rows]
    elif (table := _fma_table(root)) is not None:
        found = _fma(root, table)
    else:
        found = []
        for path in sorted(root.rglob("*")):
            inner = PurePath(path.relative_to(root))
            if path.suffix.lower() in SOUND and not path.name.startswith(".") and path.is_file():
                one = about(inner)
                found.append((path, one.genre, one.work, one.artist, False))
        found = [one for one in found if one[1] != UNKNOWN]
    genres = [one[1] for one in found]
    groups = groups_of([one[2] for one in found], [one[3] for one in found], genres)
    many = groups_by_label(groups, genres)
    if len(many) < 2 or min(many.values()) < FEWEST:
        said = ", ".join(f"{genre} {count}" for genre, count in many.items()) or "none"
        raise DataError(f"{root} needs two genres or more, of three works (or artists) each; it has: {said}.")
    splits = told or split_by_group(groups, genres, settings.validation, settings.test, settings.seed)
    return [Example(p, g, group, s, made) for (p, g, _, _, made), group, s in zip(found, groups, splits)]


def _fma_table(root: Path) -> Path | None:
    places = (root / "tracks.csv", root / "fma_metadata" / "tracks.csv", root.parent / "fma_metadata" / "tracks.csv")
    return next((place for place in places if place.is_file()), None)


def _fma(root: Path, table: Path) -> list[tuple[Path, str, str, str, bool]]:
    """``000/000002.mp3`` by track number, with genre and artist from two rows of headings."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        heads = list(zip(next(rows, []), next(rows, [])))
        try:
            genre, artist = heads.index(("track", "genre_top")), heads.index(("artist", "id"))
        except ValueError:
            raise DataError(f"{table} is no table of FMA (track, genre_top is missing).") from None
        whole = [row for row in rows if len(row) == len(heads) and row[0].isdigit()]
    told = {row[0].zfill(6): (row[genre], row[artist]) for row in whole}
    found = []
    for path in sorted(root.rglob("*.mp3")):
        name, by = told.get(path.stem, ("", ""))
        if name:
            found.append((path, name.lower(), path.stem, by, False))
    return found


def features(path: Path, settings: GenreSettings) -> Features:
    """Features of a recording, from the cache where they are there.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    import librosa

    try:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise AudioError(f"{path} cannot be read; check the path.") from error
    named = ("sample_rate", "coefficients", "fft", "hop", "segment_s", "most_s")
    shape = {k: v for k, v in asdict(settings).items() if k in named}
    key = hashlib.sha256(f"{VERSION}{content}{json.dumps(shape, sort_keys=True)}".encode()).hexdigest()[:40]
    place = folder("mfcc") / f"{key}.npz"
    try:
        with np.load(place, allow_pickle=False) as kept:
            return Features(kept["segments"], kept["statistics"])
    except Exception:  # noqa: BLE001 - absent or damaged: made anew
        pass
    rate = settings.sample_rate
    sound = load_audio(path, sample_rate=rate).samples[: int(settings.most_s * rate)]
    sound = np.pad(sound, (0, max(settings.fft - len(sound), 0)))
    power = np.abs(librosa.stft(sound, n_fft=settings.fft, hop_length=settings.hop)) ** 2
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=rate, n_mels=128))
    mfcc = librosa.feature.mfcc(S=mel, sr=rate, n_mfcc=settings.coefficients).astype(np.float32)
    chroma = librosa.feature.chroma_stft(S=power, sr=rate, tuning=0.0)
    envelope = librosa.onset.onset_strength(S=mel, sr=rate)
    pulse = librosa.feature.tempogram(onset_envelope=envelope, sr=rate, hop_length=settings.hop)
    tempo = float(np.atleast_1d(librosa.feature.tempo(tg=pulse, sr=rate, hop_length=settings.hop))[0])
    lags = librosa.tempo_frequencies(len(pulse), sr=rate, hop_length=settings.hop)
    pulses = np.interp(TEMPI, lags[:0:-1], pulse.mean(axis=1)[:0:-1])
    change = np.diff(mfcc, axis=1) if mfcc.shape[1] > 1 else np.zeros_like(mfcc)
    summed = [f(x, axis=1) for x in (mfcc, change, chroma) for f in (np.mean, np.std)]
    statistics = np.concatenate([*summed, [tempo, envelope.mean(), envelope.std()], pulses]).astype(np.float32)
    frames = int(settings.segment_s * rate / settings.hop)
    if mfcc.shape[1] < frames:
        filled = np.repeat(mfcc.mean(axis=1, keepdims=True), frames, axis=1)
        filled[:, : mfcc.shape[1]] = mfcc
        mfcc = filled
    count = mfcc.shape[1] // frames
    segments = mfcc[:, : count * frames].reshape(len(mfcc), count, frames).transpose(1, 0, 2).copy()
    found = Features(segments, statistics)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary, temporary.open("wb") as out:
            np.savez(out, segments=found.segments, statistics=found.statistics)
    except Exception:  # noqa: BLE001 - a full disk or a read-only home: then nothing is kept
        pass
    return found


def chosen(examples: Sequence[Example], split: str) -> list[int]:
    """Which examples are in a split."""
    return [i for i, example in enumerate(examples) if example.split == split]
