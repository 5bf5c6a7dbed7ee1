"""The stem bank: rendered stems and their notes in one folder, memory-mapped for training, and packed for travel.

A bank is a folder with

- ``audio.i16``: raw little-endian int16, all stems one after the other, each exactly ``clip_samples`` long;
- ``notes.npy``: a structured array (`NOTE_DTYPE`), sorted by stem, then onset;
- ``stems.json``: version, sample rate, clip length, seed, and what each stem is (`Stem`).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Progress
from amtsep.errors import Cancelled, DataError

VERSION = 2
VOICE = "voice"
"""`Stem.source` of what made-up singers sing."""
PATCH_PROGRAM = -2
"""`Stem.program` of stems played with patches of synthesizers."""
NOTE_DTYPE = np.dtype(
    [
        ("stem", "<i4"), ("onset", "<f4"), ("offset", "<f4"), ("pitch", "<i2"), ("velocity", "<i2"),
        ("key_offset", "<f4"),
    ]
)  # fmt: skip
"""One note of a stem, seconds from the start of the clip, pitch and velocity as in MIDI: `offset` is where its sound
ends by the label rule, `key_offset` where it was let go. In a stem of drums a row is a stroke, its pitch the key."""
DRUMS = "drums"
"""`Stem.category` of drum stems, which have strokes for notes."""


@dataclass(frozen=True)
class Stem:
    """What one stem of a bank is.

    `timbre` names the sounding instrument uniquely ("fluidr3:40"); stems of one excerpt of real music share `piece`,
    and `part` tells them apart.
    """

    timbre: str
    family: str
    category: str
    source: str
    program: int
    kind: str
    piece: str | None
    part: int
    split: str
    held_out: bool

    def to_json(self) -> dict[str, Any]:
        """As in ``stems.json`` (there, `category` is called ``class``)."""
        row = asdict(self)
        row["class"] = row.pop("category")
        return row

    @staticmethod
    def from_json(row: dict[str, Any]) -> Stem:
        """Read a row of ``stems.json``."""
        row = dict(row)
        row["category"] = row.pop("class")
        return Stem(**{f.name: row[f.name] for f in fields(Stem)})


class Bank:
    """A bank opened for reading; its audio stays on disk until it is looked at."""

    def __init__(
        self,
        audio: NDArray[np.int16],
        notes: NDArray[np.void],
        stems: list[Stem],
        sample_rate: int,
        seed: int,
        folder: Path | None = None,
    ) -> None:
        self.samples = audio
        self.all_notes = notes
        self.stems = stems
        self.sample_rate = sample_rate
        self.seed = seed
        self.folder = folder
        self._starts = np.searchsorted(notes["stem"], np.arange(len(stems) + 1))

    @cached_property
    def digest(self) -> str:
        """What tells a bank from another one, by all its notes: eight digits."""
        return hashlib.sha256(self.all_notes.tobytes()).hexdigest()[:8]

    @classmethod
    def open(cls, folder: str | Path) -> Bank:
        """Open the bank in `folder`; raises `DataError` where there is none or its files do not fit together."""
        folder = Path(folder)
        try:
            head = json.loads((folder / "stems.json").read_text(encoding="utf-8"))
            notes = np.load(folder / "notes.npy", allow_pickle=False)
            n, length = len(head["stems"]), int(head["clip_samples"])
            stems = [Stem.from_json(row) for row in head["stems"]]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{folder} is not a stem bank ({type(error).__name__}: {error}); make one with `amtsep synthesize`."
            ) from error
        if head.get("version") != VERSION or notes.dtype != NOTE_DTYPE:
            raise DataError(f"{folder} is of another version of amtsep: make it again with `amtsep synthesize`.")
        path = folder / "audio.i16"
        if not path.is_file() or path.stat().st_size != 2 * n * length:
            raise DataError(f"{path} does not hold the {n} stems that stems.json lists: make the bank again.")
        audio = np.memmap(path, dtype="<i2", mode="r", shape=(n, length)) if n else np.zeros((0, length), np.int16)
        return cls(audio, notes, stems, int(head["sample_rate"]), int(head["seed"]), folder)

    def __len__(self) -> int:
        return len(self.stems)

    def __repr__(self) -> str:
        return f"Bank({len(self)} stems, {self.hours:.2f} h, {len(self.all_notes)} notes)"

    @property
    def clip_samples(self) -> int:
        """Samples of each stem."""
        return int(self.samples.shape[1])

    @property
    def clip_s(self) -> float:
        """Seconds of each stem."""
        return self.clip_samples / self.sample_rate

    @property
    def hours(self) -> float:
        """Hours of all stems together."""
        return len(self) * self.clip_s / 3600

    def audio(self, index: int) -> NDArray[np.int16]:
        """Samples of stem `index`, (clip_samples,) int16; a view of the file."""
        return self.samples[index]

    def notes(self, index: int) -> NDArray[np.void]:
        """Notes of stem `index` as a slice of `NOTE_DTYPE`."""
        return self.all_notes[self._starts[index] : self._starts[index + 1]]

    def pack(self, path: str | Path, kbps: int = 52, which: Iterable[int] | None = None) -> Path:
        """Write the bank as one compressed file (a zip of Ogg Vorbis, notes and list).

        Parameters
        ----------
        path
            The file to write.
        kbps
            Aimed rate of the audio; at 52 two hours take about 52 MiB.
        which
            Stems to keep; all where it is left out.
        """
        import soundfile

        keep = list(range(len(self))) if which is None else [int(i) for i in which]
        path = Path(path)
        notes = [self.notes(i).copy() for i in keep]
        for new, part in enumerate(notes):
            part["stem"] = new
        joined = np.concatenate(notes) if notes else np.zeros(0, NOTE_DTYPE)
        # libsndfile's compression level runs from best (0) to smallest (1).
        # Measured on stems at 22.05 kHz: 27, 37 and 50 kbit/s at levels 0.8, 0.53 and 0.27.
        level = float(np.clip((60 - kbps) / 42, 0, 1))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for new, i in enumerate(keep):
                buffer = io.BytesIO()
                with soundfile.SoundFile(
                    buffer, "w", self.sample_rate, 1, format="OGG", subtype="VORBIS", compression_level=level
                ) as out:
                    # Written in blocks: one long write overflows the stack of some builds of libsndfile.
                    for k in range(0, self.clip_samples, 16384):
                        out.write(self.samples[i, k : k + 16384])
                archive.writestr(f"{new:06d}.ogg", buffer.getvalue())
            buffer = io.BytesIO()
            np.save(buffer, joined, allow_pickle=False)
            archive.writestr("notes.npy", buffer.getvalue(), zipfile.ZIP_DEFLATED)
            head = _head([self.stems[i] for i in keep], self.sample_rate, self.clip_samples, self.seed)
            archive.writestr("stems.json", json.dumps(head), zipfile.ZIP_DEFLATED)
        return path


def unpack(path: str | Path, folder: str | Path, progress: Progress | None = None) -> Bank:
    """Write a packed bank out to `folder` and open it; raises `DataError` if `path` is not one."""
    import soundfile

    path, folder = Path(path), Path(folder)
    try:
        archive = zipfile.ZipFile(path)
        head = json.loads(archive.read("stems.json"))
        notes = np.load(io.BytesIO(archive.read("notes.npy")), allow_pickle=False)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a packed stem bank; fetch or pack it again.") from error
    length = int(head["clip_samples"])
    with archive, BankWriter(folder, int(head["sample_rate"]), length, int(head["seed"])) as writer:
        starts = np.searchsorted(notes["stem"], np.arange(len(head["stems"]) + 1))
        for i, row in enumerate(head["stems"]):
            audio, _ = soundfile.read(io.BytesIO(archive.read(f"{i:06d}.ogg")), dtype="int16")
            whole = np.zeros(length, np.int16)
            whole[: min(len(audio), length)] = audio[:length]
            writer.append(whole, notes[starts[i] : starts[i + 1]], Stem.from_json(row))
            if progress is not None and progress(i + 1, len(head["stems"]), "unpacking") is False:
                raise Cancelled("Unpacking was stopped.")
    return Bank.open(folder)


def merge(folders: Sequence[str | Path], out: str | Path) -> Bank:
    """Join banks into a new one in `out`.

    Raises
    ------
    DataError
        If one cannot be opened, if they differ in rate or length of a clip, or if `out` is one of them.
    """
    banks = [Bank.open(folder) for folder in folders]
    if not banks:
        raise DataError("There is no bank to join; name their folders.")
    first = banks[0]
    for folder, bank in zip(folders, banks):
        if Path(folder).resolve() == Path(out).resolve():
            raise DataError(f"{out} is one of the banks to be joined; write the new one elsewhere.")
        if (bank.sample_rate, bank.clip_samples) != (first.sample_rate, first.clip_samples):
            raise DataError(
                f"{folder} has clips of {bank.clip_s:g} s at {bank.sample_rate} Hz and {folders[0]} of "
                f"{first.clip_s:g} s at {first.sample_rate} Hz; make them alike with --clip."
            )
    with BankWriter(out, first.sample_rate, first.clip_samples, first.seed) as writer:
        for bank in banks:
            for index, stem in enumerate(bank.stems):
                writer.append(np.asarray(bank.audio(index), np.int16), bank.notes(index), stem)
    return Bank.open(out)


FILES = ("audio.i16", "notes.npy", "stems.json")
"""Of a bank, in the order in which they take their places: without the last one there is none."""


class BankWriter:
    """Write a bank stem by stem; it is complete once closed (use it as a context manager).

    A bank that is in the folder stays until then, for those who read it, too; what is not finished leaves it alone.
    """

    def __init__(self, folder: str | Path, sample_rate: int, clip_samples: int, seed: int) -> None:
        self.folder = Path(folder)
        self._fresh = self.folder / ".new"
        self._fresh.mkdir(parents=True, exist_ok=True)
        self.sample_rate, self.clip_samples, self.seed = sample_rate, clip_samples, seed
        self._audio = open(self._fresh / "audio.i16", "wb")  # noqa: SIM115 - closed by close()
        self._notes: list[NDArray[np.void]] = []
        self._stems: list[Stem] = []

    def append(self, audio: NDArray[np.int16], notes: NDArray[np.void], stem: Stem) -> int:
        """Add one stem, `audio` (clip_samples,) int16 and its notes; returns its index."""
        if audio.shape != (self.clip_samples,) or audio.dtype != np.int16:
            raise ValueError(f"A stem is {self.clip_samples} samples of int16, not {audio.shape} of {audio.dtype}.")
        index = len(self._stems)
        self._audio.write(audio.astype("<i2", copy=False).tobytes())
        rows = np.sort(notes.astype(NOTE_DTYPE), order=["onset", "pitch"])
        rows["stem"] = index
        self._notes.append(rows)
        self._stems.append(stem)
        return index

    def __len__(self) -> int:
        return len(self._stems)

    def close(self) -> None:
        """Write notes and list, and put all in its place."""
        if self._audio.closed:
            return
        self._audio.close()
        notes = np.concatenate(self._notes) if self._notes else np.zeros(0, NOTE_DTYPE)
        np.save(self._fresh / "notes.npy", notes, allow_pickle=False)
        head = _head(self._stems, self.sample_rate, self.clip_samples, self.seed)
        (self._fresh / "stems.json").write_text(json.dumps(head), encoding="utf-8")
        (self.folder / "stems.json").unlink(missing_ok=True)  # a bank half written must not open
        for name in FILES:
            (self._fresh / name).replace(self.folder / name)
        self._fresh.rmdir()

    def __enter__(self) -> BankWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
            return
        self._audio.close()
        for name in FILES:
            (self._fresh / name).unlink(missing_ok=True)
        self._fresh.rmdir()


def _head(stems: list[Stem], sample_rate: int, clip_samples: int, seed: int) -> dict[str, Any]:
    return {
        "version": VERSION,
        "sample_rate": sample_rate,
        "clip_samples": clip_samples,
        "seed": seed,
        "stems": [s.to_json() for s in stems],
    }
