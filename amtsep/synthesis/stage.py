"""Where the parts of a song stand between two loudspeakers: as a producer pans a band, or an ensemble sits on a stage.

What evaluation needs is not only parts at a place each, but also what must not be torn in two: pianos that lie from one
side to the other by pitch, guitars played twice, pads without a place, echoes that go from side to side, and songs with
everything in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, istft, stft

from amtsep.synthesis.augment import impulse_response

Samples = NDArray[np.float32]

SCENES = ("studio", "stage", "middle")
"""A band panned by a producer, an ensemble before two microphones, and all in the middle."""
FORMS = {
    **dict.fromkeys(("piano", "keys", "mallet", "plucked"), {"point": 0.5, "spread": 0.5}),
    "organ": {"point": 0.5, "spread": 0.25, "wide": 0.25},
    "guitar": {"point": 0.65, "twice": 0.35},
    "synth": {"point": 0.5, "wide": 0.3, "echo": 0.2},
    "strings": {"point": 0.7, "wide": 0.3},
}
"""Chances of what a part is in a studio, by category of instrument: at a point, spread over its pitches, played twice,
wide without a place, or with echoes from side to side."""
EAR_S = 0.5e-3
"""Longest delay between the microphones of a stage."""
HEARD_HARMONICS = 20
SEGMENT = 2048


@dataclass(frozen=True)
class Place:
    """Where a part is: a pan-pot from -1 (left) to 1 (right), what it is there, and how far that reaches."""

    pan: float = 0.0
    form: str = "point"
    """"point", "spread" (from `pan - width` for low notes to `pan + width` for high ones; a negative width the other
    way round), "twice" (at both sides), "wide" or "echo"."""
    width: float = 0.0
    delay_s: float = 0.0
    """Of the left channel; negative of the right."""


def draw_places(rng: np.random.Generator, parts: Sequence[tuple[str, float]], scene: str) -> list[Place]:
    """Places of the parts of a song, each given by its category of instrument and its median pitch."""
    count = len(parts)
    if scene == "middle":
        return [Place()] * count
    if scene == "stage":
        seats = rng.permutation(np.linspace(-0.75, 0.75, count) if count > 1 else np.zeros(1))
        return [Place(float(s), delay_s=float(s) * EAR_S) for s in seats + rng.uniform(-0.08, 0.08, count)]
    lead = max(range(count), key=lambda i: parts[i][1])
    side = float(rng.choice([-1.0, 1.0]))
    places = []
    for index, (kind, _) in enumerate(parts):
        chances = FORMS.get(kind, {"point": 1.0})
        form = str(rng.choice(list(chances), p=list(chances.values())))
        pan, width = float(rng.uniform(-0.06, 0.06)), 0.0
        if form == "spread":
            width = float(rng.uniform(0.3, 0.8) * rng.choice([-1.0, 1.0]))
        elif form == "twice":
            width = float(rng.uniform(0.6, 1.0))
        elif kind != "bass" and index != lead and form != "wide":
            pan, side = side * float(rng.uniform(0.3, 0.95)), -side
        places.append(Place(pan, form, width))
    return places


def place_part(
    rng: np.random.Generator, audio: Samples, notes: NDArray[np.void], place: Place, rate: int, room: Samples | None
) -> Samples:
    """A part at its place, (n, 2); with `room`, the two channels hear its tail apart, as two places of one room do."""
    if place.form == "spread":
        both = _spread(audio, notes, place, rate)
    elif place.form == "twice":
        late, second = int(rng.uniform(0.008, 0.025) * rate), np.zeros_like(audio)
        take = _slid(audio, 2.0 ** (float(rng.uniform(4.0, 9.0)) / 1200.0), rate)[: len(audio) - late]
        second[late : late + len(take)] = take
        both = _panned(audio, -place.width) + _panned(second, place.width)
    elif place.form == "wide":
        both = np.stack([_smeared(rng, audio, rate) for _ in range(2)], axis=1)
    else:
        both = _panned(audio, place.pan)
    if place.form == "echo":
        step, strength = int(rng.uniform(0.25, 0.5) * rate), float(rng.uniform(0.25, 0.45))
        for number in range(1, 5):
            echo = _panned(audio[: -number * step], 0.9 * (-1.0) ** number) * np.float32(strength**number)
            both[number * step :] += echo
    if place.delay_s:
        channel = 0 if place.delay_s > 0 else 1
        turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(both), 1.0 / rate) * abs(place.delay_s))
        both[:, channel] = np.fft.irfft(np.fft.rfft(both[:, channel]) * turn, len(both))
    if room is not None:
        other = impulse_response(rng, rate)
        alike = np.float32(np.linalg.norm(room[1:]) / max(float(np.linalg.norm(other[1:])), 1e-9))
        middle = both.mean(axis=1)
        for channel, tail in enumerate((room.copy(), other * alike)):
            tail[0] = 0.0
            both[:, channel] += fftconvolve(middle, tail)[: len(both)]
    return np.asarray(both, np.float32)


def _gains(pan: Any) -> tuple[Any, Any]:
    """Of the two channels, by the law of constant power; one at the middle."""
    angle = (np.asarray(pan) + 1.0) * np.pi / 4
    return np.sqrt(2.0) * np.cos(angle), np.sqrt(2.0) * np.sin(angle)


def _panned(audio: Samples, pan: float) -> Samples:
    left, right = _gains(pan)
    return np.stack([audio * np.float32(left), audio * np.float32(right)], axis=1)


def _slid(audio: Samples, ratio: float, rate: int) -> Samples:
    """A part a little higher, each half second at its time: as a second take is never the first."""
    from amtsep.audio import resample

    step, fade = rate // 2, rate // 50
    rise = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    found = np.zeros(len(audio) + step, np.float32)
    for start in range(0, len(audio), step):
        # Some more of it than is needed: read faster, it gets shorter.
        piece = resample(audio[start : start + step + 2 * fade], rate, round(rate / ratio))[: step + fade]
        if start:
            piece[:fade] *= rise[: len(piece)]
        if len(piece) > step:
            piece[step:] *= rise[::-1][: len(piece) - step]
        found[start : start + len(piece)] += piece
    return found[: len(audio)]


def _smeared(rng: np.random.Generator, audio: Samples, rate: int) -> Samples:
    """All frequencies as strong as before, each at a phase of its own, within some milliseconds."""
    n = int(0.03 * rate)
    tail = rng.standard_normal(n) * np.exp(-np.arange(n) / (0.006 * rate))
    tail[0] += 1.0
    spectrum = np.fft.rfft(tail)
    tail = np.fft.irfft(spectrum / np.maximum(np.abs(spectrum), 1e-6), n)
    return np.asarray(fftconvolve(audio, tail)[: len(audio)], np.float32)


def _spread(audio: Samples, notes: NDArray[np.void], place: Place, rate: int) -> Samples:
    """Every note at its own place: what of the spectrum is nearest to one of its harmonics goes there."""
    hz, times, spectrum = stft(audio, rate, nperseg=SEGMENT, noverlap=SEGMENT * 3 // 4)
    low, high = np.quantile(notes["pitch"], [0.05, 0.95]) if len(notes) else (60.0, 61.0)
    claimed, pulled = np.full(spectrum.shape, 1e-3), np.full(spectrum.shape, 1e-3 * place.pan)
    for row in notes:
        share = np.clip((row["pitch"] - low) / max(high - low, 12.0), 0.0, 1.0)
        pan = np.clip(place.pan + place.width * (2.0 * share - 1.0), -1.0, 1.0)
        first, last = np.searchsorted(times, (row["onset"] - 0.03, row["offset"] + 0.2))
        whole = 440.0 * 2.0 ** ((row["pitch"] - 69) / 12) * np.arange(1, HEARD_HARMONICS + 1)
        away = np.abs(hz[:, None] - whole[None]) / np.maximum(0.02 * whole, 1.2 * hz[1])
        near = np.exp(-0.5 * np.min(away, axis=1) ** 2)[:, None]
        claimed[:, first:last] += near
        pulled[:, first:last] += near * pan
    both = np.zeros((len(audio), 2), np.float32)
    for channel, gain in enumerate(_gains(pulled / claimed)):
        sound = istft(spectrum * gain, rate, nperseg=SEGMENT, noverlap=SEGMENT * 3 // 4)[1]
        both[: len(sound), channel] = sound[: len(both)]
    return both
