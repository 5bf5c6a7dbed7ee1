"""`Posteriors`: what the network says about a recording, and the border between slow and fast.

Everything left of this value runs once for a recording; everything right of it runs while a slider is dragged, on
NumPy alone.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amtsep.config import N_PITCHES, FrontEnd, Limits
from amtsep.errors import FormatError
from amtsep.files import replacing
from amtsep.stereo import N_ROWS, StereoImage

FORMAT_VERSION = 1
DB_STEP = 0.5
DB_FLOOR = -120.0
MOST_BINS, MOST_DIMENSIONS = 1024, 128
"""Of a spectrogram's frequencies, and of an embedding, in a file that is to be believed."""


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Posteriors of one recording, time in frames along the last axis.

    Parameters
    ----------
    onset, frame
        (88, T) float32 in [0, 1]: probability that pitch ``21 + row`` starts, or sounds, in a frame.
    spectrogram
        (n_bins, T) uint8: constant-Q level of the recording, lowest bin first; ``dB = value * 0.5 - 120`` re full
        scale.
    hop_s
        Seconds from frame to frame; frame ``t`` is centred on ``t * hop_s``.
    duration_s
        Length of the recording.
    bins_per_octave
        Of `spectrogram`, whose bin 0 is A0.
    embedding
        (88, T, D) int8, 127 times a vector of unit length, or ``None`` where the network has no timbre branch. Eight
        bits keep an hour of it in half a gigabyte and turn a vector by less than half a degree.
    model
        Name of the network that made them, and after a blank, where it tells timbres apart, the first digits of the
        SHA-256 of its file.
    offset
        (88, T) float32 in [0, 1]: probability that a note of this pitch is let go in a frame, or ``None`` where the
        network does not say.
    drums
        (5, T) float32 in [0, 1]: probability that a class of `amtsep.drums` is struck in a frame, or ``None`` where
        nobody listened for them.
    tuning
        Cents from 440 Hz that the recording was brought back by for the network (see `amtsep.tuning`): rows and bins
        count from a pitch that lies so much higher.
    stereo
        How the two channels of the recording share what is heard, or ``None`` where it has one, where both are the
        same, or where nobody asked. Its rows count from 440 Hz, whatever the tuning.
    """

    onset: NDArray[np.float32]
    frame: NDArray[np.float32]
    spectrogram: NDArray[np.uint8]
    hop_s: float
    duration_s: float
    bins_per_octave: int = 36
    embedding: NDArray[np.int8] | None = None
    model: str = ""
    offset: NDArray[np.float32] | None = None
    drums: NDArray[np.float32] | None = None
    tuning: float = 0.0
    stereo: StereoImage | None = None

    def __post_init__(self) -> None:
        if self.onset.shape != self.frame.shape or self.onset.ndim != 2:
            raise ValueError("Onset and frame posteriors must both be (88, T).")
        if self.onset.shape[0] != N_PITCHES:
            raise ValueError(f"Posteriors are (88, T), a row a pitch; these are {self.onset.shape}.")
        for name in ("onset", "frame", "offset"):
            values = getattr(self, name)
            # NaN compares with nothing. Rounding may leave a probability a little over one.
            if values is not None and values.size and not (values.min() >= -1e-3 and values.max() <= 1.001):
                raise ValueError(f"The {name} posterior lies outside 0 to 1; logits must go through a sigmoid first.")
        if self.offset is not None and self.offset.shape != self.onset.shape:
            raise ValueError("The offset posterior must be (88, T), as the others.")
        if self.spectrogram.shape[1] != self.n_frames:
            raise ValueError("The spectrogram must have as many frames as the posteriors.")
        if self.embedding is not None and self.embedding.shape[:2] != self.onset.shape:
            raise ValueError("The embedding must be (88, T, D).")

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return int(self.onset.shape[1])

    def level_db(self) -> NDArray[np.float32]:
        """The spectrogram in dB re full scale, (n_bins, T) float32."""
        return self.spectrogram.astype(np.float32) * np.float32(DB_STEP) + np.float32(DB_FLOOR)

    def save(self, path: str | PathLike[str] | BinaryIO) -> None:
        """Write an ``.npz`` (posteriors as 16-bit fixed point: exact to 8e-6); a file is replaced in one step.

        Raises
        ------
        FormatError
            If the file cannot be written.
        """
        arrays = {
            "format_version": np.int64(FORMAT_VERSION),
            "onset": quantize(self.onset),
            "frame": quantize(self.frame),
            "spectrogram": self.spectrogram,
            "hop_s": np.float64(self.hop_s),
            "duration_s": np.float64(self.duration_s),
            "bins_per_octave": np.int64(self.bins_per_octave),
            "model": np.str_(self.model),
            "tuning": np.float64(self.tuning),
        }
        if self.embedding is not None:
            arrays["embedding"] = self.embedding
        if self.offset is not None:
            arrays["offset"] = quantize(self.offset)
        if self.drums is not None:
            arrays["drums"] = quantize(self.drums)
        if self.stereo is not None:
            arrays["stereo"], arrays["stereo_hop_s"] = self.stereo.balance, np.float64(self.stereo.hop_s)
        if not isinstance(path, (str, PathLike)):
            np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
            return
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | PathLike[str] | BinaryIO, limits: Limits = Limits()) -> Posteriors:  # noqa: B008
        """Read what `save` wrote; what the file announces is checked before any of it is read.

        Raises
        ------
        FormatError
            If the file is absent, is no posterior file, comes from a newer version, or is longer than the limits.
        """
        name = Path(path).name if isinstance(path, (str, PathLike)) else "The posterior file"
        damaged = f"{name} is not a posterior file of amtsep; make one with 'amtsep transcribe --posteriors'."
        try:
            with zipfile.ZipFile(path) as archive:
                kinds = {member.removesuffix(".npy"): _kind(archive, member) for member in archive.namelist()}
                _check(kinds, name, damaged, limits)
            if not isinstance(path, (str, PathLike)):
                path.seek(0)
            with np.load(path, allow_pickle=False) as data:
                if int(data["format_version"]) > FORMAT_VERSION:
                    raise FormatError("{name} was written by a newer amtsep; update amtsep to open it.", name=name)
                hop_s, duration_s = float(data["hop_s"]), float(data["duration_s"])
                frames = kinds["onset"][1][1]
                # The last frame of a recording begins within it.
                if not (1e-4 < hop_s < 1.0 and duration_s >= 0.0 and abs(frames * hop_s - duration_s) <= 1.0 + hop_s):
                    raise FormatError(damaged)
                return cls(
                    onset=dequantize(data["onset"]),
                    frame=dequantize(data["frame"]),
                    spectrogram=data["spectrogram"],
                    hop_s=hop_s,
                    duration_s=duration_s,
                    bins_per_octave=int(data["bins_per_octave"]),
                    embedding=data["embedding"] if "embedding" in data.files else None,
                    model=str(data["model"]),
                    offset=dequantize(data["offset"]) if "offset" in data.files else None,
                    drums=dequantize(data["drums"]) if "drums" in data.files else None,
                    tuning=_cents(data),
                    stereo=StereoImage(data["stereo"], float(data["stereo_hop_s"])) if "stereo" in data.files else None,
                )
        except FormatError:
            raise
        except FileNotFoundError:
            raise FormatError(f"{name} does not exist; check the path of the posterior file.") from None
        except Exception as error:  # of zip, zlib, NumPy, memory: whatever a damaged archive comes to
            raise FormatError(damaged) from error


def _cents(data: Any) -> float:
    """The tuning that a file tells, of which older ones know nothing; raises ``ValueError`` where it is none."""
    cents = float(data["tuning"]) if "tuning" in data.files else 0.0
    if not abs(cents) <= 100.0:
        raise ValueError("The tuning lies outside its range.")
    return cents


Kind = tuple[str, tuple[int, ...]]
"""Kind of the numbers and shape of an array."""


def _kind(archive: zipfile.ZipFile, member: str) -> Kind:
    """What the head of an array in an archive announces, without reading the array."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return dtype.str.lstrip("<|="), shape


def _check(kinds: dict[str, Kind], name: str, damaged: str, limits: Limits) -> None:
    """Raise `FormatError` unless these are the arrays of a recording that is not too long."""
    shapes = [kinds.get(key, ("", ()))[1] for key in ("onset", "frame", "spectrogram")]
    onset, frame, spectrogram = shapes
    scalars = ("format_version", "hop_s", "duration_s", "bins_per_octave", "model")
    if (
        len(onset) != 2
        or onset != frame
        or onset[0] != N_PITCHES
        or len(spectrogram) != 2
        or spectrogram[1] != onset[1]
        or not 1 <= spectrogram[0] <= MOST_BINS
        or [kinds[key][0] for key in ("onset", "frame", "spectrogram")] != ["u2", "u2", "u1"]
        or any(key not in kinds or kinds[key][1] != () for key in scalars)
        or len(kinds["model"][0]) > 8
    ):
        raise FormatError(damaged)
    if "embedding" in kinds:
        kind, shape = kinds["embedding"]
        if kind != "i1" or len(shape) != 3 or shape[:2] != onset or not 1 <= shape[2] <= MOST_DIMENSIONS:
            raise FormatError(damaged)
    if "stereo" in kinds:
        kind, shape = kinds["stereo"]
        columns = shape[1] if len(shape) == 2 else 0
        # A column has about four frames; one that is there for less than two makes no sense and much memory.
        if kind != "i1" or shape[:1] != (N_ROWS,) or not 1 <= columns <= onset[1] // 2 + 64:
            raise FormatError(damaged)
    frames = limits.max_duration_s / FrontEnd().hop_s + 2
    if onset[1] > frames:
        raise FormatError(
            f"{name} holds posteriors of {onset[1] * FrontEnd().hop_s / 3600:,.1f} hours, more than this computer's "
            "memory has room for; it was not opened."
        )


def quantize(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """[0, 1] to 16-bit fixed point."""
    return np.round(np.clip(values, 0.0, 1.0) * 65535.0).astype(np.uint16)


def dequantize(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The inverse of `quantize`."""
    return values.astype(np.float32) / np.float32(65535.0)


def encode_db(level_db: NDArray[np.float32]) -> NDArray[np.uint8]:
    """DB re full scale to the bytes that `Posteriors.spectrogram` holds (-120 to +7.5 dB in half dB)."""
    steps = level_db - np.float32(DB_FLOOR)
    steps /= np.float32(DB_STEP)
    return np.clip(np.round(steps, out=steps), 0, 255, out=steps).astype(np.uint8)
