"""What happens to sound between an instrument and a file: equalisation, rooms, noise, band limits, clipping, codecs.

Every function takes and returns (n,) float32 at `rate` and draws from the generator it is given. None of them moves the
sound in time: the filters are zero-phase or start with the direct sound.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

Samples = NDArray[np.float32]


def random_curve(rng: np.random.Generator, frequencies: NDArray[np.float64], depth_db: float) -> NDArray[np.float64]:
    """A smooth random gain over log frequency, as factors: a value an octave or so, `depth_db` standard deviation."""
    knots = np.geomspace(30.0, 12000.0, int(rng.integers(4, 10)))
    values = np.clip(rng.normal(0.0, depth_db, len(knots)), -3 * depth_db, 2 * depth_db)
    gain_db = np.interp(np.log(np.maximum(frequencies, 20.0)), np.log(knots), values)
    return np.asarray(10.0 ** (gain_db / 20.0))


def band_limit_curve(rng: np.random.Generator, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """A random high-pass, low-pass or both, as a telephone, an old disc or a small loudspeaker has."""
    curve = np.ones_like(frequencies)
    kind = rng.integers(3)
    if kind != 0:
        cut, order = np.exp(rng.uniform(np.log(2500.0), np.log(9000.0))), rng.uniform(2, 12)
        curve /= np.sqrt(1.0 + (frequencies / cut) ** (2 * order))
    if kind != 1:
        cut, order = np.exp(rng.uniform(np.log(40.0), np.log(250.0))), rng.uniform(1, 4)
        curve /= np.sqrt(1.0 + (cut / np.maximum(frequencies, 1.0)) ** (2 * order))
    return curve


def change_level(rng: np.random.Generator, audio: Samples, rate: int, range_db: tuple[float, float]) -> Samples:
    """One change from a level to another or back, within 20 ms to 4 s: what a crescendo or the next movement does."""
    n = len(audio)
    middle, length = rng.uniform(0.1, 0.9) * n, np.exp(rng.uniform(np.log(0.02), np.log(4.0))) * rate
    ramp = np.clip((np.arange(n) - middle) / length + 0.5, 0.0, 1.0)
    quieter_db = rng.uniform(*range_db) * (ramp if rng.random() < 0.5 else 1.0 - ramp)
    return audio * (10.0 ** (quieter_db / 20.0)).astype(np.float32)


def impulse_response(rng: np.random.Generator, rate: int) -> Samples:
    """A synthetic room: direct sound, a few early reflections, a tail of noise that decays faster where it is high."""
    decay_s = float(np.exp(rng.uniform(np.log(0.12), np.log(1.6))))
    n = int(min(decay_s, 1.0) * rate)
    time = np.arange(n) / rate
    tail = np.zeros(n)
    noise = rfft(rng.standard_normal(n))
    frequencies = np.fft.rfftfreq(n, 1.0 / rate)
    for low, high, factor in ((0.0, 500.0, 1.0), (500.0, 2500.0, 0.85), (2500.0, rate / 2 + 1, 0.5)):
        band = irfft(np.where((frequencies >= low) & (frequencies < high), noise, 0), n)
        tail += band * np.exp(-6.91 * time / (decay_s * factor))
    before = int(rng.uniform(0.002, 0.02) * rate)
    tail[:before] = 0.0
    for _ in range(int(rng.integers(2, 8))):
        tail[int(rng.uniform(0.002, 0.05) * rate) % n] += rng.normal(0.0, 2.0)
    tail /= np.sqrt(np.sum(tail**2)) + 1e-9
    # Direct to reverberant energy from close (+12 dB) to far (-3 dB).
    tail *= 10.0 ** (-rng.uniform(-3.0, 12.0) / 20.0)
    tail[0] = 1.0
    return tail.astype(np.float32)


def filter_zero_phase(samples: Samples, rate: int, curves: list[NDArray[np.float64]], room: Samples | None) -> Samples:
    """Apply gain curves (on the grid of `spectrum_grid`) and, if given, a room, in one transform."""
    n = len(samples)
    size = padded_length(n)
    spectrum = rfft(samples, size)
    for curve in curves:
        spectrum *= curve
    if room is not None:
        spectrum *= rfft(room, size)
    return np.asarray(irfft(spectrum, size)[:n], dtype=np.float32)


def padded_length(n: int) -> int:
    """Length of the transforms of `filter_zero_phase` for n samples: room for a second of reverberation."""
    return int(next_fast_len(n + 22050, real=True))


def spectrum_grid(n: int, rate: int) -> NDArray[np.float64]:
    """Frequencies in Hz at which `filter_zero_phase` wants its curves for n samples."""
    return np.asarray(np.fft.rfftfreq(padded_length(n), 1.0 / rate))


def add_noise(rng: np.random.Generator, samples: Samples, floor_db: tuple[float, float] = (-65.0, -22.0)) -> Samples:
    """Add noise between white and brown at a random level under the signal's own."""
    n = len(samples)
    spectrum = rfft(rng.standard_normal(n).astype(np.float32))
    slope = rng.uniform(0.0, 1.0)
    noise = irfft(spectrum * np.maximum(np.arange(len(spectrum)), 20.0) ** -slope, n)
    level = float(np.sqrt(np.mean(samples**2))) * 10.0 ** (rng.uniform(*floor_db) / 20.0)
    return np.asarray(samples + noise * (level / (float(np.std(noise)) + 1e-12)), dtype=np.float32)


def add_hum(rng: np.random.Generator, samples: Samples, rate: int) -> Samples:
    """Add mains hum, 50 or 60 Hz with some harmonics."""
    time = np.arange(len(samples)) / rate
    base = float(rng.choice([50.0, 60.0]))
    hum = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6.28)) for k in (1, 2, 3, 4))
    level = float(np.sqrt(np.mean(samples**2))) * 10.0 ** (rng.uniform(-50.0, -28.0) / 20.0)
    return np.asarray(samples + level * hum, dtype=np.float32)


def clip_softly(rng: np.random.Generator, samples: Samples) -> Samples:
    """Saturate: the peak lies 0 to 9 dB over the bend."""
    drive = 10.0 ** (rng.uniform(0.0, 9.0) / 20.0) / (float(np.abs(samples).max()) + 1e-9)
    return np.asarray(np.tanh(samples * drive) / drive, dtype=np.float32)


def _vorbis(samples: Samples, rate: int, level: float) -> Samples:
    """Ogg Vorbis at a compression level of libsndfile's, 0 best to 1 smallest."""
    return _sound_file(samples, rate, format="OGG", subtype="VORBIS", compression_level=level)


def _mp3(samples: Samples, rate: int, level: float) -> Samples:
    """MP3 at a constant rate; the levels 0.6 to 0.9 are about 64 to 24 kbit/s at 22,050 Hz."""
    kind = {"subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
    return _sound_file(samples, rate, format="MP3", compression_level=level, **kind)


def _sound_file(samples: Samples, rate: int, **kind: Any) -> Samples:
    with io.BytesIO() as memory:
        with soundfile.SoundFile(memory, "w", rate, 1, **kind) as file:
            # In blocks: one long write overflows the stack of some builds of libsndfile.
            for start in range(0, len(samples), 16384):
                file.write(samples[start : start + 16384])
        memory.seek(0)
        return np.asarray(soundfile.read(memory, dtype="float32")[0])


def _aac(samples: Samples, rate: int, kbps: float) -> Samples:
    """AAC (FFmpeg's encoder), packet by packet without a container, which would cut what the encoder puts before."""
    import av

    coder = av.CodecContext.create("aac", "w")
    assert isinstance(coder, av.AudioCodecContext)
    coder.sample_rate, coder.layout, coder.format = rate, "mono", "fltp"
    coder.bit_rate, coder.thread_count, coder.options = int(1000 * kbps), 1, {"aac_coder": "fast"}
    coder.open()
    size = coder.frame_size
    whole = np.pad(samples, (0, -len(samples) % size))[None]
    packets = []
    for start in range(0, whole.shape[1], size):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(whole[:, start : start + size]), "fltp", "mono")
        frame.sample_rate, frame.pts = rate, start
        packets += coder.encode(frame)
    packets += coder.encode(None)
    reader = av.CodecContext.create("aac", "r")
    assert isinstance(reader, av.AudioCodecContext)
    reader.extradata, reader.thread_count = coder.extradata, 1
    decoded = [frame.to_ndarray()[0] for packet in [*packets, None] for frame in reader.decode(packet)]
    return np.concatenate(decoded).astype(np.float32)


CODECS: dict[str, tuple[Callable[[Samples, int, float], Samples], tuple[float, ...]]] = {
    "vorbis": (_vorbis, (0.7, 0.8, 0.9, 1.0)),
    "mp3": (_mp3, (0.6, 0.7, 0.8, 0.9)),
    "aac": (_aac, (16.0, 24.0, 32.0, 48.0)),
}
"""Coders by name, each with the settings that are drawn from: levels of compression, or kbit/s."""


@lru_cache(maxsize=64)
def codec_delay(name: str, setting: float, rate: int) -> int | None:
    """By how many samples a coder puts the sound off, measured with bursts of noise; None where it is missing.

    It is not the same everywhere: libsndfile takes MP3's delay off itself where the file's first frame has room to
    tell it, which it has not at low rates.
    """
    rng = np.random.default_rng(0)
    n = 2 * rate
    bursts = (0.2 * rng.standard_normal(n) * (np.arange(n) % (rate // 3) < rate // 10)).astype(np.float32)
    try:
        decoded = CODECS[name][0](bursts, rate, setting)
    except Exception:  # whatever a build without this coder says
        return None
    size = int(next_fast_len(len(decoded) + n, real=True))
    likeness = irfft(rfft(decoded, size) * np.conj(rfft(bursts, size)), size)
    return int(np.argmax(likeness[: len(decoded)]))


def through_codec(rng: np.random.Generator, samples: Samples, rate: int) -> Samples:
    """Encode and decode at a low rate, with Ogg Vorbis, MP3 or AAC, and take the coder's delay off.

    A coder that this machine lacks is passed over.
    """
    name = str(rng.choice(list(CODECS)))
    setting = float(rng.choice(CODECS[name][1]))
    return coded(samples, rate, name, setting)


def coded(samples: Samples, rate: int, name: str, setting: float) -> Samples:
    """`samples` as a coder of `CODECS` gives them back, of the same length and in time; as they are without it."""
    delay = codec_delay(name, setting, rate)
    if delay is None:
        return samples
    scale = np.float32(0.9 / (float(np.abs(samples).max()) + 1e-9))
    # As much silence behind as the delay: what some coders lose at the end is then none of the sound.
    decoded = CODECS[name][0](np.pad(samples * scale, (0, delay)), rate, setting)[delay : delay + len(samples)]
    result = np.zeros_like(samples)
    result[: len(decoded)] = decoded / scale
    return result
