"""From the bytes of a recording to blocks of samples: libsndfile first, FFmpeg's libraries for what it refuses.

WAV, FLAC, OGG, Opus, MP3, AIFF go through libsndfile (soundfile); M4A/AAC, WebM/Opus (what a browser records), the
sound of MP4 and whatever else libsndfile refuses go through FFmpeg's libraries (PyAV).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Limits
from amtsep.errors import AudioError

Item = tuple[int, NDArray[np.float32], float]
"""Sample rate, samples (frames, channels), and how long the whole is expected to be, in seconds, or 0."""

READABLE = "WAV, FLAC, OGG, Opus, MP3, M4A, MP4 or WebM"
BLOCK_SAMPLES = 1 << 19
"""Samples over all channels that are decoded at a time."""

# Containers that hold sound in themselves. Playlists (HLS, concat, DASH) are left out on purpose: an uploaded one could
# make the server open files and addresses of the uploader's choice.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,aac,flac,wav,w64,aiff,caf,au,asf,avi,flv,mpeg,mpegts,amr,ac3,eac3,dts,"
    "ape,wv,tta,oma,voc"
)


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """One decoder could not make sense of the file; the other may."""


def decode(handle: BinaryIO, name: str, limits: Limits) -> Iterator[Item]:
    """Blocks of (rate, (frames, channels) samples, expected length in s or 0) from the first decoder that knows how.

    Raises
    ------
    AudioError
        If none does, there is no sound, or it has more channels than it may.
    """
    unreadable = AudioError("{name} is not a recording that can be read; use {kinds}.", name=name, kinds=READABLE)
    for decoder in (_decode_soundfile, _decode_av):
        handle.seek(0)
        delivered = False
        try:
            for item in decoder(handle, name, limits):
                delivered = True
                yield item
        except _Unreadable:
            if delivered:
                return
            continue
        if delivered:
            return
        if decoder is _decode_soundfile:
            # FFmpeg finds a stream without a packet in any text; only a header that libsndfile reads is a recording's.
            unreadable = AudioError("{name} holds no sound (zero samples); record or export it again.", name=name)
    raise unreadable


def _check_channels(channels: int, name: str, limits: Limits) -> None:
    if not 1 <= channels <= limits.max_channels:
        raise AudioError(
            "{name} claims {channels} channels: its header is damaged; export it again.", name=name, channels=channels
        )


def _decode_soundfile(handle: BinaryIO, name: str, limits: Limits) -> Iterator[Item]:
    import soundfile

    try:
        with soundfile.SoundFile(_Nameless(handle)) as file:
            _check_channels(file.channels, name, limits)
            rate, expected = int(file.samplerate), _declared_frames(file) / max(file.samplerate, 1)
            while True:
                block = file.read(max(1, BLOCK_SAMPLES // file.channels), dtype="float32", always_2d=True)
                if not len(block):
                    return
                yield rate, block, expected
    except AudioError:
        raise
    except Exception as error:
        raise _Unreadable from error


def _declared_frames(file: Any) -> float:
    """Frames the header promises; libsndfile counts what a truncated WAV still holds, and logs the difference."""
    cut = re.search(r"^data\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    # A size near 2 or 4 GB is what a program writes that streams and cannot know it.
    if cut and 0 < int(cut[2]) < int(cut[1]) < 2**31 - 2**16:
        return float(file.frames) * int(cut[1]) / int(cut[2])
    return float(file.frames)


class _Nameless:
    """A file object without a name, so that libsndfile goes by the content and never by a misleading extension."""

    def __init__(self, handle: BinaryIO) -> None:
        self.read, self.seek, self.tell = handle.read, handle.seek, handle.tell

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)

    def write(self, data: bytes) -> int:  # soundfile asks for it, and never calls it when reading
        raise io.UnsupportedOperation("write")


def _decode_av(handle: BinaryIO, name: str, limits: Limits) -> Iterator[Item]:
    import av

    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}
    try:
        container = av.open(handle, mode="r", options=options, metadata_errors="ignore")
    except Exception as error:
        raise _Unreadable from error
    with container:
        if not container.streams.audio:
            raise AudioError("{name} holds no sound; give a recording ({kinds}).", name=name, kinds=READABLE)
        stream = container.streams.audio[0]
        length = container.duration / 1e6 if container.duration and container.duration > 0 else 0.0
        pending: list[NDArray[np.float32]] = []
        rate = held = 0
        converter, shape = None, None
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                break
            except av.error.EOFError:
                break
            except av.error.InvalidDataError:
                continue  # a damaged packet: the rest may be sound
            except Exception as error:
                raise _Unreadable from error
            for frame in frames:
                assert isinstance(frame, av.AudioFrame)
                _check_channels(frame.layout.nb_channels, name, limits)
                described = (frame.format.name, frame.layout.name, frame.sample_rate)
                if described != shape:
                    # A stream may change under way (HE-AAC announces half its rate): start afresh with what it is now.
                    if pending:
                        yield rate, np.concatenate(pending), length
                        pending, held = [], 0
                    # Packed samples: planes of more than seven channels are read where there are none.
                    converter = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
                    shape, rate = described, int(frame.sample_rate)
                assert converter is not None
                try:
                    converted = converter.resample(frame)
                except Exception as error:
                    raise _Unreadable from error
                for part in converted:
                    flat = part.to_ndarray().reshape(-1, part.layout.nb_channels)
                    pending.append(np.array(flat, dtype=np.float32))
                    held += pending[-1].size
                if held >= BLOCK_SAMPLES:
                    yield rate, np.concatenate(pending), length
                    pending, held = [], 0
        if pending:
            yield rate, np.concatenate(pending), length
