"""A recording with known notes, and the posteriors that a perfect network would give for it."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from amtsep.notes import Notes
from amtsep.posteriors import Posteriors, encode_db

RATE = 22050
HOP = 256


def melody(seconds: float = 12.0, seed: int = 0) -> Notes:
    """A tune over a bass: two voices, notes of a quarter to a whole second."""
    rng = np.random.default_rng(seed)
    rows = []
    for low, high, length in ((60, 84, 0.25), (36, 55, 0.75)):
        time = 0.25
        pitch = int(rng.integers(low, high))
        while time + length < seconds - 0.2:
            pitch = int(np.clip(pitch + rng.integers(-4, 5), low, high))
            rows.append((time, time + length * 0.9, pitch, int(rng.integers(60, 110))))
            time += length
    onset, offset, pitches, velocity = np.array(rows).T
    return Notes.build(onset, offset, pitches, velocity)


def sound(notes: Notes, seconds: float) -> np.ndarray:
    """Plain tones with three harmonics, float32 at `RATE`."""
    out = np.zeros(int(seconds * RATE), np.float32)
    for onset, offset, pitch, velocity in zip(notes.onset, notes.offset, notes.pitch, notes.velocity):
        first, last = int(onset * RATE), min(int(offset * RATE), len(out))
        if last - first < 2:
            continue
        time = np.arange(last - first) / RATE
        frequency = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
        tone = sum(np.sin(2 * np.pi * k * frequency * time) / k for k in (1, 2, 3))
        fade = np.minimum(1.0, np.minimum(time / 0.005, (time[-1] - time) / 0.01)) * np.exp(-time)
        out[first:last] += (0.12 * velocity / 127.0 * tone * fade).astype(np.float32)
    return out


SPLIT_PITCH = 58
"""Notes under this sound of another timbre than those over it."""


def beat(seconds: float) -> np.ndarray:
    """The drum posterior, (5, T), of a kick and a snare in turn every half second, and a hi-hat twice as often."""
    hop_s = HOP / RATE
    drums = np.zeros((5, int(seconds * RATE) // HOP + 1), np.float32)
    for k, time in enumerate(np.arange(0.25, seconds - 0.3, 0.25)):
        at = round(time / hop_s)
        drums[2, at - 1 : at + 2] = 0.3, 0.6, 0.3
        if k % 2 == 0:
            drums[k // 2 % 2, at - 1 : at + 2] = 0.4, 0.95, 0.4
    return drums


def perfect(notes: Notes, seconds: float, seed: int = 0, timbres: bool = False, drums: bool = False) -> Posteriors:
    """Posteriors with a peak of 0.3 to 0.95 at each onset, the confidence differing from note to note; without drums,
    or with `beat`.
    """
    rng = np.random.default_rng(seed)
    frames = int(seconds * RATE) // HOP + 1
    hop_s = HOP / RATE
    onset = rng.uniform(0, 0.04, (88, frames)).astype(np.float32)
    frame = rng.uniform(0, 0.04, (88, frames)).astype(np.float32)
    level = np.full((306, frames), -95.0, np.float32)
    for on, off, pitch in zip(notes.onset, notes.offset, notes.pitch):
        row, first, last = int(pitch) - 21, round(on / hop_s), min(round(off / hop_s), frames - 1)
        height = rng.uniform(0.3, 0.95)
        for step, part in ((-1, 0.5), (0, 1.0), (1, 0.5)):
            onset[row, first + step] = height * part
        frame[row, first:last] = 0.9
        for harmonic, shift in enumerate((0, 36, 57, 72)):
            centre = 3 * row + shift
            if centre < 306:
                level[centre, first:last] = -25.0 - 8.0 * harmonic
    struck = beat(seconds) if drums else np.zeros((5, frames), np.float32)
    embedding = None
    if timbres:
        centres = rng.normal(size=(2, 12))
        rows = centres[(np.arange(88) + 21 >= SPLIT_PITCH).astype(int)]
        values = rows[:, None, :] + 0.25 * rng.normal(size=(88, frames, 12))
        values /= np.linalg.norm(values, axis=2, keepdims=True)
        embedding = np.round(values * 127).astype(np.int8)
    return Posteriors(onset, frame, encode_db(level), hop_s, seconds, embedding=embedding, drums=struck)


def wav_bytes(samples: np.ndarray, rate: int = RATE, kind: str = "WAV") -> bytes:
    """The samples as a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()
