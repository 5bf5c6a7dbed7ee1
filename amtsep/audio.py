"""Recordings: decode any common format, mix to mono, resample, keep to the limits.

Decoders (`amtsep.decoders`) run in a child process (`amtsep.isolation`), since what is decoded may come from anybody.
They give blocks that are resampled as they come, so memory beyond the result is a few megabytes however long the
recording.

Resampling is soxr's, or torchaudio's where torch is loaded already and torchaudio imports; the two agree within -80 dB
below 8 kHz (-72 dB above, where soxr is the less exact one for some ratios). Only this module imports torchaudio.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import ceil, gcd
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal, Protocol, Union, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtsep.config import FrontEnd, Limits, Progress
from amtsep.containers import ends_in_the_middle, is_plain_wav
from amtsep.decoders import BLOCK_SAMPLES, READABLE, decode
from amtsep.errors import AudioError, Cancelled
from amtsep.isolation import decode_apart
from amtsep.stereo import StereoImage, StereoMeter

Source = Union[str, "PathLike[str]", bytes, bytearray, memoryview, BinaryIO]
Resampler = Literal["auto", "soxr", "torchaudio"]
Block = tuple[int, NDArray[np.float32]]
"""Sample rate and (frames, channels) float32."""

IN_MEMORY = 1 << 24
"""Samples, twelve minutes, beyond which a recording that is only gone through lies in a file."""
MIN_RATE, MAX_RATE = 1_000, 1_000_000
"""Sample rates in Hz outside these mean a damaged header."""
BROKEN_PEAK = 16.0
"""Float files over this peak were written in integer units; they are brought back to full scale."""
LARGEST = 2.0**32
"""No unit goes so far: what a float file holds beyond is no sample, and would bring all others down to nothing."""


class Samples(Protocol):
    """What of an array is needed to go through a recording: its length, and stretches of it."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]: ...


class Recording(Protocol):
    """A recording, wherever its samples lie: `Audio` or `Spooled`."""

    @property
    def samples(self) -> Samples: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def remark(self) -> str: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def stereo(self) -> StereoImage | None: ...


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording: mono, in memory.

    Parameters
    ----------
    samples
        (n,) float32, full scale ±1, n ≥ 1.
    sample_rate
        Hz; `load_audio` makes it 22,050.
    name
        What the recording is called in messages and file names: the file's name without its folder.
    remark
        A sentence the user should see (the file was damaged, samples were replaced), or "".
    stereo
        How its two channels shared what is heard, where it had two and that was asked for.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    name: str = "recording"
    remark: str = ""
    stereo: StereoImage | None = None

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError("Audio samples must be a one-dimensional float32 array; see amtsep.audio.from_samples.")
        if self.sample_rate <= 0:
            raise ValueError("A sample rate must be positive.")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def __repr__(self) -> str:
        return f"Audio({self.name!r}, {self.duration_s:.2f} s, {self.sample_rate} Hz)"


class StoredSamples:
    """Samples in a file, read a stretch at a time, by several threads if need be.

    Parameters
    ----------
    store
        Holds them as float32.
    count
        How many.
    factor
        They are multiplied by.
    """

    def __init__(self, store: BinaryIO, count: int, factor: np.float32) -> None:
        self._store, self._count, self._factor = store, count, factor
        self._lock = Lock()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]:
        start, stop, step = span.indices(self._count)
        with self._lock:
            self._store.seek(4 * start)
            data = self._store.read(4 * max(stop - start, 0))
        found = np.frombuffer(data, np.float32)[::step]
        return found if self._factor == 1.0 else found * self._factor


@dataclass(frozen=True, eq=False)
class Spooled:
    """A recording whose samples lie in a temporary file: see `spool_audio`. For the rest it is as `Audio`."""

    samples: StoredSamples
    sample_rate: int
    name: str = "recording"
    remark: str = ""
    stereo: StereoImage | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


def load_audio(
    source: Source,
    *,
    name: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    progress: Progress | None = None,
    sample_rate: int = FrontEnd.sample_rate,
    resampler: Resampler = "auto",
    apart: bool = True,
    stereo: bool = False,
) -> Audio:
    """Decode a recording to mono float32 at `sample_rate`.

    Parameters
    ----------
    source
        Path, the bytes of a file, or a binary file object (seekable or not; it is left open).
    name
        Shown in messages; by default the file's name.
    limits
        `max_duration_s` holds for every source, `max_upload_mb` for bytes and file objects.
    progress
        Called with seconds decoded, seconds in all (the same number while the length is unknown) and a caption.
    sample_rate
        Hz of the result.
    resampler
        "soxr", "torchaudio", or "auto": torchaudio where torch is loaded already and torchaudio imports, else soxr.
    apart
        Decode in a child process, which a damaged or hostile file may end and nothing else; a plain WAV file, where
        there is nothing to decode, is read here.
    stereo
        Measure on the way how two channels share what is heard (see `amtsep.stereo`).

    Returns
    -------
    Audio
        Silent recordings are fine. Channels are averaged; where they cancel each other, the first is taken.

    Raises
    ------
    AudioError
        If the source is absent, empty, no recording, without usable samples, or over a limit.
    Cancelled
        If `progress` returns ``False``.

    Examples
    --------
    >>> from amtsep.audio import from_samples, load_audio, wav_bytes
    >>> load_audio(wav_bytes(from_samples([0.0] * 8000, 8000)), name="a.wav").sample_rate
    22050
    """
    name, handle, owned = _open(source, name, limits)
    try:
        return cast("Audio", _collect(handle, name, limits, sample_rate, resampler, progress, apart, None, stereo))
    finally:
        if owned:
            handle.close()


def _collect(
    handle: BinaryIO,
    name: str,
    limits: Limits,
    sample_rate: int,
    resampler: Resampler,
    progress: Progress | None,
    apart: bool,
    open_store: Callable[[], BinaryIO] | None,
    stereo: bool,
) -> Audio | Spooled:
    cut = ends_in_the_middle(handle)
    reader = decode_apart if apart and not is_plain_wav(handle) else decode

    def collector() -> _Collector:
        meter = StereoMeter() if stereo else None
        return _Collector(name, sample_rate, resampler, limits, progress, cut, open_store, meter)

    return _collected(lambda: reader(handle, name, limits), collector)


def _collected(
    blocks: Callable[[], Iterable[tuple[int, NDArray[np.float32], float]]], collector: Callable[[], _Collector]
) -> Audio | Spooled:
    """What a collector makes of blocks; of the first channel alone, where the channels take each other away."""
    for first_channel in (False, True):
        found = collector()
        for rate, block, expected_s in blocks():
            found.push(rate, block, expected_s, first_channel)
        if not found.cancelled_out:
            break
    return found.finish()


PLAYBACK_RATES = (44_100, 48_000)
"""What sound cards play: other rates over 22,050 Hz are brought to the first, or the second where they divide it."""


def playback_flac(
    source: Source,
    *,
    name: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    max_samples: int = sys.maxsize,
) -> bytes | None:
    """A recording for listening: FLAC, 16 bit, its first two channels, at 44.1 or 48 kHz.

    Parameters
    ----------
    source, name, limits
        As for `load_audio`.
    max_samples
        Of all channels together; where there would be more, the channels are mixed.

    Returns
    -------
    bytes or None
        ``None`` where mono at 22,050 Hz holds as much, or there is too much even when mixed.

    Raises
    ------
    AudioError
        If the source is no recording.

    Examples
    --------
    >>> import soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros((4410, 2), np.float32), 44100, format="WAV")
    >>> soundfile.info(io.BytesIO(playback_flac(file.getvalue()))).channels
    2
    """
    import soundfile

    name, handle, owned = _open(source, name, limits)
    out = io.BytesIO()
    try:
        blocks = (decode if is_plain_wav(handle) else decode_apart)(handle, name, limits)
        rate, block, expected_s = next(iter(blocks), (0, np.zeros((0, 1), np.float32), 0.0))
        channels = min(2, block.shape[1] if block.ndim > 1 else 1)
        if not MIN_RATE <= rate <= MAX_RATE or (channels == 1 and rate <= FrontEnd.sample_rate):
            return None
        usual, other = PLAYBACK_RATES
        target = other if other % rate == 0 or rate % other == 0 else usual
        if expected_s * target * channels > max_samples:
            channels = 1
        streams = [_make_resampler(rate, target, "auto") for _ in range(channels)] if rate != target else []
        written = 0
        with soundfile.SoundFile(out, "w", target, channels, "PCM_16", format="FLAC") as file:

            def write(sound: NDArray[np.float32]) -> None:
                nonlocal written
                written += sound.size
                file.write(np.clip(np.nan_to_num(sound), -1.0, 1.0))

            while True:
                block = block[:, None] if block.ndim == 1 else block
                if np.max(np.abs(block), initial=0.0) > BROKEN_PEAK:
                    return None
                sound = block[:, :2] if channels == 2 else block.mean(axis=1, dtype=np.float32, keepdims=True)
                if streams:
                    parts = [s.push(np.ascontiguousarray(sound[:, i])) for i, s in enumerate(streams)]
                    sound = np.stack(parts, axis=1)
                write(sound)
                if written > max_samples:
                    return None
                item = next(iter(blocks), None)
                if item is None:
                    break
                again, block, _ = item
                if again != rate or block.ndim != 2 or block.shape[1] < channels:
                    return None
            if streams:
                write(np.stack([s.finish() for s in streams], axis=1))
        return out.getvalue()
    finally:
        if owned:
            handle.close()


@contextmanager
def spool_audio(
    source: Source,
    *,
    name: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    progress: Progress | None = None,
    sample_rate: int = FrontEnd.sample_rate,
    stereo: bool = False,
) -> Iterator[Audio | Spooled]:
    """Decode a recording into a temporary file, if it is a long one; parameters and errors are those of `load_audio`.

    The samples are those that `load_audio` gives, and are gone when the block ends.
    """
    name, handle, owned = _open(source, name, limits)
    with ExitStack() as stack:
        try:
            if owned:
                stack.callback(handle.close)

            def open_store() -> BinaryIO:
                return cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile(prefix="amtsep-")))

            found = _collect(handle, name, limits, sample_rate, "auto", progress, True, open_store, stereo)
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise AudioError(
                "{name} cannot be unpacked ({said}); make room for temporary files.", name=name, said=said
            ) from error
        yield found


def from_samples(
    samples: ArrayLike,
    sample_rate: int,
    name: str = "recording",
    *,
    target_rate: int = FrontEnd.sample_rate,
    stereo: bool = False,
) -> Audio:
    """Make an `Audio` from an array, shape (n,) or (n, channels), full scale ±1 or any integer type.

    With `stereo` it is measured how two channels share what is heard.

    Raises
    ------
    AudioError
        If there are no samples, one of them is not a finite number, or the array lies the other way round:
        (channels, n), as librosa has it with ``mono=False``.
    """
    array = np.asarray(samples)
    if array.ndim == 2 and array.shape[0] < array.shape[1] and array.shape[0] <= Limits.max_channels:
        raise AudioError(
            f"{name} has shape {array.shape}, which looks like (channels, samples); turn it about with samples.T."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise AudioError(f"{name} holds numbers that are none (NaN or infinite); mend it first, e.g. np.nan_to_num.")
    if array.dtype.kind in "iu":
        scale = float(np.iinfo(array.dtype).max) + 1.0
        middle = scale / 2.0 if array.dtype.kind == "u" else 0.0
        array = (array - middle) / (scale / 2.0 if array.dtype.kind == "u" else scale)
    array = array.astype(np.float32, copy=False)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2:
        raise AudioError(f"{name} must be an array of shape (samples,) or (samples, channels).")
    no_limits = Limits(max_duration_s=float("inf"), max_upload_mb=float("inf"))
    blocks = [(int(sample_rate), array, len(array) / max(sample_rate, 1))] if len(array) else []

    def collector() -> _Collector:
        return _Collector(name, target_rate, "auto", no_limits, None, meter=StereoMeter() if stereo else None)

    return cast("Audio", _collected(lambda: blocks, collector))


def resample(
    samples: NDArray[np.float32], rate_in: int, rate_out: int, resampler: Resampler = "soxr"
) -> NDArray[np.float32]:
    """Resample a mono array, shape (n,), in one call, to about ``n * rate_out / rate_in`` samples."""
    stream = _make_resampler(rate_in, rate_out, resampler)
    blocks = [stream.push(samples[i : i + BLOCK_SAMPLES]) for i in range(0, len(samples), BLOCK_SAMPLES)]
    return np.concatenate([*blocks, stream.finish()])


def wav_bytes(audio: Audio) -> bytes:
    """The recording as a 16-bit WAV file, what every browser plays."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(audio.samples, -1.0, 1.0), audio.sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


# --- opening ---------------------------------------------------------------------------------------------------------


def _open(source: Source, name: str | None, limits: Limits) -> tuple[str, BinaryIO, bool]:
    """Name, a seekable binary handle, and whether it is ours to close."""
    if isinstance(source, (str, PathLike)):
        path = Path(source)
        name = name or path.name or str(path)
        try:
            if path.is_dir():
                raise AudioError(
                    "{name} is a folder; give the path of a recording ({kinds}).", name=name, kinds=READABLE
                )
            handle: BinaryIO = path.open("rb")
        except FileNotFoundError:
            raise AudioError("{name} does not exist; check the path.", name=name) from None
        except (OSError, ValueError) as error:
            said = (getattr(error, "strerror", None) or str(error)).lower()
            sentence = "{name} cannot be opened ({said}); check path and permissions."
            raise AudioError(sentence, name=name, said=said) from error
        if path.stat().st_size == 0:
            handle.close()
            raise AudioError("{name} is empty (0 bytes); record or export it again.", name=name)
        return name, handle, True

    if isinstance(source, (bytes, bytearray, memoryview)):
        name = name or "The recording"
        handle, size = io.BytesIO(source), memoryview(source).nbytes
    else:
        name = name or _handle_name(source)
        if not hasattr(source, "read"):
            raise TypeError("A recording is a path, bytes, or a binary file object.")
        if isinstance(source.read(0), str):
            raise AudioError(f"{name} was opened as text; open it with mode 'rb'.")
        try:
            position = source.tell()
            size = source.seek(0, io.SEEK_END) - position
            source.seek(position)
            seekable = position == 0
        except (OSError, AttributeError):
            seekable = False
        if seekable:
            handle = source
        else:
            allowed = int(min(limits.max_upload_mb * 1e6 + 1, sys.maxsize))
            data = source.read(allowed)
            handle, size = io.BytesIO(data), len(data)
    if size == 0:
        raise AudioError("{name} is empty (0 bytes); record or export it again.", name=name)
    if size > limits.max_upload_mb * 1e6:
        raise AudioError(
            "{name} is larger than the limit of {limit:g} MB; cut it, or convert it to FLAC or MP3.",
            name=name,
            limit=limits.max_upload_mb,
        )
    return name, handle, handle is not source


def _handle_name(handle: Any) -> str:
    name = getattr(handle, "name", None)
    return Path(name).name if isinstance(name, str) and name else "The recording"


# --- collecting ------------------------------------------------------------------------------------------------------


class _Collector:
    """Takes decoded blocks, makes them mono and clean, resamples them, and grows the result in place, or in a file."""

    def __init__(
        self,
        name: str,
        target_rate: int,
        resampler: Resampler,
        limits: Limits,
        progress: Progress | None,
        cut: bool = False,
        open_store: Callable[[], BinaryIO] | None = None,
        meter: StereoMeter | None = None,
    ) -> None:
        self.cut, self.open_store, self.meter = cut, open_store, meter
        self.store: BinaryIO | None = None
        self.name, self.target_rate, self.resampler = name, target_rate, resampler
        self.limits, self.progress = limits, progress
        self.samples = np.zeros(0, np.float32)
        self.filled = self.received = self.broken = 0
        self.seconds = self.expected_s = self.peak = 0.0
        self.energy_mono = self.energy_channels = 0.0
        self.rate = 0
        self.stream: _Stream | None = None

    @property
    def cancelled_out(self) -> bool:
        """Whether averaging the channels lost all but -40 dB of what they hold (one channel is the other inverted)."""
        return self.energy_channels > 0 and self.energy_mono < 1e-4 * self.energy_channels

    def push(self, rate: int, block: NDArray[np.float32], expected_s: float, first_channel: bool = False) -> None:
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(
                "{name} claims {rate} samples a second: its header is damaged; export it again.",
                name=self.name,
                rate=rate,
            )
        self.expected_s = expected_s
        self._check_length(max(self.seconds, expected_s))
        block = block[:, None] if block.ndim == 1 else block
        sound = np.abs(block) <= LARGEST  # of NaN it is not true either
        broken = block.size - int(np.count_nonzero(sound))
        if broken:
            block = np.where(sound, block, np.float32(0.0))
        self.broken += broken
        self.received += block.size
        if self.meter is not None:
            self.meter.push(rate, block)
        block = block[:, :1] if first_channel else block
        mono = np.ascontiguousarray(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))
        if block.shape[1] > 1:
            self.energy_mono += float(np.sum(np.square(mono, dtype=np.float64)))
            self.energy_channels += float(np.sum(np.square(block, dtype=np.float64))) / block.shape[1]
        self.peak = max(self.peak, float(mono.max(initial=0.0)), -float(mono.min(initial=0.0)))
        if self.stream is None or rate != self.rate:
            if self.stream is not None:
                self._append(self.stream.finish())
            self.stream, self.rate = _make_resampler(rate, self.target_rate, self.resampler), rate
        self._append(self.stream.push(mono))
        self.seconds += len(mono) / rate
        self._check_length(self.seconds)
        if self.progress is not None:
            total = max(self.expected_s, self.seconds)
            if self.progress(self.seconds, total, f"Reading {self.name}") is False:
                raise Cancelled(f"Reading {self.name} was cancelled.")

    def finish(self) -> Audio | Spooled:
        if self.stream is not None:
            self._append(self.stream.finish())
        if not self.filled:
            raise AudioError("{name} holds no sound (zero samples); record or export it again.", name=self.name)
        if self.broken * 2 > self.received:
            raise AudioError(
                "{name} is damaged: less than half of its samples are numbers; export it again.", name=self.name
            )
        remarks = []
        if self.broken:
            remarks.append(f"{self.broken} samples of {self.name} were not numbers and were replaced by silence.")
        if self.expected_s and self.seconds < 0.98 * self.expected_s - 0.1:
            remarks.append(f"{self.name} ends early: {clock(self.seconds)} of {clock(self.expected_s)} could be read.")
        elif self.cut:
            remarks.append(f"{self.name} ends early: its end is missing, {clock(self.seconds)} could be read.")
        factor = np.float32(1.0 / self.peak if self.peak > BROKEN_PEAK else 1.0)
        if self.peak > BROKEN_PEAK:
            remarks.append(f"{self.name} was far over full scale and was turned down.")
        remark = " ".join(remarks)
        stereo = None if self.meter is None else self.meter.finish()
        if self.store is not None:
            self.store.flush()
            return Spooled(StoredSamples(self.store, self.filled, factor), self.target_rate, self.name, remark, stereo)
        self.samples.resize(self.filled, refcheck=False)
        if factor != 1.0:
            self.samples *= factor
        return Audio(self.samples, self.target_rate, self.name, remark, stereo)

    def _check_length(self, seconds: float) -> None:
        limit = self.limits.max_duration_s
        if seconds > limit + 0.5:
            raise AudioError(
                "{name} is {length} long or more, over the limit of {limit}; cut it into pieces.",
                name=self.name,
                length=clock(seconds),
                limit=clock(limit),
            )

    def _append(self, block: NDArray[np.float32]) -> None:
        end = self.filled + len(block)
        # The header's length is a hint, not a promise.
        hint = ceil(min(self.expected_s, self.limits.max_duration_s) * self.target_rate) + 4096
        if self.store is None and self.open_store is not None and max(end, hint) > IN_MEMORY:
            self.store = self.open_store()
            self.store.write(self.samples[: self.filled].data)
            self.samples = np.zeros(0, np.float32)
        if self.store is not None:
            self.store.write(np.ascontiguousarray(block, np.float32).data)
            self.filled = end
            return
        if end > len(self.samples):
            hint = min(hint, self.filled + 600 * self.target_rate)
            count = max(end, hint, self.filled + self.filled // 4)
            if not self.filled:
                self.samples = np.zeros(count, np.float32)
            else:  # in place (realloc), so that growing never holds two copies
                self.samples.resize(count, refcheck=False)
        self.samples[self.filled : end] = block
        self.filled = end


def clock(seconds: float) -> str:
    """A length for a sentence: "12.3 s", "4:05 min" or "2:41:00 h"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


# --- resampling ------------------------------------------------------------------------------------------------------


class _Stream(Protocol):
    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]: ...

    def finish(self) -> NDArray[np.float32]: ...


class _Same:
    """No resampling to do."""

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        return block

    def finish(self) -> NDArray[np.float32]:
        return np.zeros(0, np.float32)


class _Soxr:
    """soxr at its highest quality: flat to 0.91 of the lower Nyquist frequency, nothing above it, linear phase."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        import soxr

        self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="VHQ")

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", self._stream.resample_chunk(block))

    def finish(self) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", self._stream.resample_chunk(np.zeros(0, np.float32), last=True))


class _Torchaudio:
    """torchaudio's windowed sinc, made to match soxr's response, run block by block with overlap."""

    ZEROS = 96
    """Zero crossings a side: transition band 0.91 to 1.0 of the lower Nyquist frequency at over 100 dB."""
    ROLLOFF = 0.956
    BETA = 11.5
    MAX_KERNEL = 1 << 22

    def __init__(self, rate_in: int, rate_out: int, function: Callable[..., Any]) -> None:
        self._function = function
        step = gcd(rate_in, rate_out)
        self._in, self._out = rate_in // step, rate_out // step
        reach = ceil(self.ZEROS * self._in / (min(self._in, self._out) * self.ROLLOFF)) + self._in
        self._context = ceil(reach / self._in) * self._in
        self._pending = np.zeros(0, np.float32)
        self._before = 0  # samples of context at the head of what is pending
        self._received = self._made = 0

    @classmethod
    def affordable(cls, rate_in: int, rate_out: int) -> bool:
        """Whether the polyphase kernel stays small: rates without a common divisor would need gigabytes."""
        step = gcd(rate_in, rate_out)
        phases, width = rate_out // step, 2 * cls.ZEROS * max(1.0, rate_in / rate_out) + rate_in // step
        return phases * width <= cls.MAX_KERNEL

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        self._received += len(block)
        self._pending = np.concatenate([self._pending, block])
        body = len(self._pending) - self._before - self._context
        body -= body % self._in
        return self._convert(body, body + self._context) if body > 0 else np.zeros(0, np.float32)

    def finish(self) -> NDArray[np.float32]:
        body = len(self._pending) - self._before
        left = max(round(self._received * self._out / self._in) - self._made, 0)
        return self._convert(body, body)[:left] if body else np.zeros(0, np.float32)

    def _convert(self, body: int, until: int) -> NDArray[np.float32]:
        import torch

        with torch.no_grad():
            made = self._function(
                # In double precision, because torchaudio computes its kernel in the precision of the sound: single
                # precision places the phases badly enough for errors of -75 dB.
                torch.from_numpy(self._pending[: self._before + until]).double(),
                self._in,
                self._out,
                lowpass_filter_width=self.ZEROS,
                rolloff=self.ROLLOFF,
                resampling_method="sinc_interp_kaiser",
                beta=self.BETA,
            ).numpy()
        start = self._before // self._in * self._out
        result = made[start : start + ceil(body * self._out / self._in)].astype(np.float32, copy=True)
        keep = min(self._context, self._before + body)
        keep -= keep % self._in
        self._pending = self._pending[self._before + body - keep :]
        self._before = keep
        self._made += len(result)
        return result


def torchaudio_resample() -> Callable[..., Any] | None:
    """`torchaudio.functional.resample`, or ``None`` where torchaudio is absent or does not load.

    Its Linux wheel needs the CUDA libraries of the default torch wheel and fails, in several ways, beside a torch for
    the CPU alone.
    """
    try:
        from torchaudio.functional import resample as function
    except Exception:
        return None
    return cast("Callable[..., Any]", function)


def _make_resampler(rate_in: int, rate_out: int, resampler: Resampler) -> _Stream:
    if resampler not in ("auto", "soxr", "torchaudio"):
        raise ValueError(f"The resampler is 'auto', 'soxr' or 'torchaudio', not {resampler!r}.")
    if rate_in == rate_out:
        return _Same()
    # Importing torch takes seconds and hundreds of megabytes: never for this alone.
    wanted = resampler == "torchaudio" or (resampler == "auto" and "torch" in sys.modules)
    if wanted and _Torchaudio.affordable(rate_in, rate_out):
        function = torchaudio_resample()
        if function is not None:
            return _Torchaudio(rate_in, rate_out, function)
        if resampler == "torchaudio":
            raise AudioError("torchaudio cannot be imported here; install it beside torch, or use resampler='soxr'.")
    return _Soxr(rate_in, rate_out)
