"""A sampler over single recorded notes: a folder with pitches in its file names, or notes made up by a formula.

Every note of a part is a recorded note of the nearest pitch, shifted by at most two semitones (with detuning, vibrato
and slides) by reading it at another speed; how hard it was played chooses among the dynamics; of several equal ones
they take turns. The onset of each recording is found by the rule of `amtsep.synthesis.onsets`, and the recording is
placed so that it falls on the onset of the score.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.pitch import pitch_number
from amtsep.synthesis.expression import HAMMERED_VELOCITY, Expression
from amtsep.synthesis.guard import refuse
from amtsep.synthesis.instruments import HELD_OUT_RECORDED, RECORDED, Instrument
from amtsep.synthesis.onsets import DEFAULT_RULE, HOP_S, LabelRule, NoteShape, decibel, energy_of, measure, smooth
from amtsep.synthesis.pedal import sounding_until, struck_again
from amtsep.synthesis.pitch import sounding_offset
from amtsep.synthesis.scores import tidy, with_keys
from amtsep.synthesis.sfz import read_sfz

RATE = 22050
_OVER = 2
"""Recordings are kept at twice the rate, so that reading between samples by a cubic costs no treble."""
_DB_A_STEP = 0.25
"""Level over MIDI velocity."""
_LONGEST_S = 8
"""Seconds read of a recording."""
_LEAD_S = 0.03
"""Kept of a recording before its onset."""

_BREATHING = frozenset({"strings", "reed", "brass", "pipe", "voice", "organ", "synthetic", "other"})
"""Classes whose players can let a note come in softly."""

_NOTE_NAME = re.compile(r"(?:^|[_\-. ])([A-Ga-g])(s|#|b|♯|♭)?(-?\d)(?:v(\d+))?(?=$|[_\-. ])")
_DYNAMICS = {
    "pianississimo": 20, "pianissimo": 32, "piano": 48, "mezzo-piano": 62, "mezzo-forte": 78, "forte": 95,
    "fortissimo": 112, "molto-pianissimo": 26, "cresc-decresc": 70,
}  # fmt: skip
_AUDIO = {".ogg", ".wav", ".flac", ".mp3", ".aif", ".aiff"}
_PLAIN = {"normal", "arco-normal", "non-vibrato", "molto-vibrato", "nonlegato", "vibrato", "staccato"}


def pitch_in(name: str) -> int | None:
    """MIDI pitch in a file name ("violin_As4_15_forte" -> 70; "A4" -> 69; "C#3" -> 49), None where there is none."""
    found = _NOTE_NAME.search(name)
    if found is None:
        return None
    return pitch_number(f"{found[1]}{found[2] or ''}{found[3]}")


def _velocity(name: str) -> int:
    """How hard a note was played: a word for dynamics, or a layer of sixteen ("A4v12"); 75 where nothing is said."""
    for part in name.split("_"):
        if part in _DYNAMICS:
            return _DYNAMICS[part]
    found = _NOTE_NAME.search(name)
    return min(8 * int(found[4]), 127) if found is not None and found[4] else 75


@dataclass(frozen=True)
class Sample:
    """One recorded note: samples at twice the rate, from a little before its onset."""

    pitch: int
    velocity: int
    samples: NDArray[np.float32]
    onset_s: float
    """Of the note in `samples`."""
    end_s: float
    """Where it has audibly ended in `samples` by itself."""
    gain: float = 1.0
    """Brings its sustained level to -20 dBFS; how loud it was played stays in its colour."""


@dataclass(frozen=True)
class SampleSet:
    """All samples of one instrument."""

    name: str
    instrument: Instrument
    samples: tuple[Sample, ...]
    held_out: bool = False
    by_pitch: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @staticmethod
    def build(name: str, instrument: Instrument, samples: list[Sample], held_out: bool = False) -> SampleSet:
        """Put an index over `samples`; narrows the instrument's range to what they reach."""
        pitches = np.array(sorted({s.pitch for s in samples}))
        if not len(pitches):
            raise DataError(f"No usable note was found for {name}.")
        low, high = max(instrument.low, int(pitches[0]) - 1), min(instrument.high, int(pitches[-1]) + 1)
        near = {}
        for pitch in range(low, high + 1):
            distance = np.abs(np.array([s.pitch for s in samples]) - pitch)
            if distance.min() <= 2:
                near[pitch] = tuple(np.flatnonzero(distance <= max(int(distance.min()), 1)).tolist())
        return SampleSet(name, replace(instrument, low=low, high=high), tuple(samples), held_out, near)


def load_folder(folder: Path, rule: LabelRule = DEFAULT_RULE, collection: str = "samples") -> SampleSet:
    """Read the single notes of one instrument: a folder, or an SFZ file.

    A folder that holds SFZ files is read by the one with the most regions. Without any, files are named with
    underscores or dashes between parts, one of them the pitch; the part before or after may name the dynamics; an
    ``index.tsv`` beside them goes before the names. Phrases,
    effects, tremolos, harmonics and glissandi are passed over. In either case, so are notes that do not sound at their
    pitch.
    """
    import soundfile
    import soxr

    folder = Path(folder)
    name = folder.stem if folder.is_file() else folder.name
    instrument = RECORDED.get(name, Instrument(name, "other", 21, 108, False))
    samples: list[Sample] = []
    files = [folder] if folder.is_file() else sorted(folder.glob("*.sfz"))
    mapped = max(files, key=lambda path: len(read_sfz(path)), default=None)
    if mapped is not None:
        samples = _mapped_samples(mapped, rule)
        return SampleSet.build(f"{collection}:{name}", instrument, samples, name in HELD_OUT_RECORDED)
    listed = _index_of(folder)
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _AUDIO):
        if listed is not None:
            if path.name not in listed:
                continue
            pitch, cents = listed[path.name]
        else:
            parts = path.stem.split("_")
            if len(parts) == 5 and (parts[2] == "phrase" or parts[4] not in _PLAIN):
                continue
            found, cents = pitch_in(path.stem), 0.0
            if found is None:
                continue
            pitch = found
        with soundfile.SoundFile(path) as file:
            data, rate = file.read(_LONGEST_S * file.samplerate, dtype="float32", always_2d=True), file.samplerate
        mono = data.mean(axis=1)
        speed = 2.0 ** (-cents / 1200)
        if rate * speed != RATE:
            mono = soxr.resample(mono, rate * speed, RATE)
        sample = make_sample(mono, pitch, _velocity(path.stem), rule)
        if sample is not None:
            samples.append(sample)
    return SampleSet.build(f"{collection}:{name}", instrument, samples, name in HELD_OUT_RECORDED)


def _index_of(folder: Path) -> dict[str, tuple[int, float]] | None:
    """MIDI pitch and cents over it by file name, where a collection says them in an ``index.tsv``; None without one.

    The table lies in the instrument's folder or beside it, with the columns ``file`` (its last part is the name),
    ``midi`` and ``cents``.
    """
    for place, prefix in ((folder, ""), (folder.parent, f"{folder.name}/")):
        path = place / "index.tsv"
        if path.is_file():
            with open(path, encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file, delimiter="\t") if row["file"].startswith(prefix)]
            return {Path(row["file"]).name: (int(row["midi"]), float(row["cents"] or 0.0)) for row in rows}
    return None


def instruments_in(root: Path) -> dict[str, Path]:
    """Instruments of a collection by name, for `load_folder`: SFZ files in it, or else its folders; or one SFZ file."""
    root = refuse(root, "a collection of samples")
    if root.is_file():
        return {root.stem: root}
    found = [path for path in sorted(root.glob("*.sfz")) if read_sfz(path)] or sorted(
        p for p in root.iterdir() if p.is_dir()
    )
    for path in found:
        refuse(path, "samples of an instrument")
    return {path.stem if path.is_file() else path.name: path for path in found}


def _mapped_samples(path: Path, rule: LabelRule) -> list[Sample]:
    import soundfile
    import soxr

    samples: list[Sample] = []
    read: set[tuple[Path, float, int]] = set()
    for region in read_sfz(path):
        if (region.path, region.pitch, region.offset) in read:
            continue
        read.add((region.path, region.pitch, region.offset))
        with soundfile.SoundFile(region.path) as file:
            file.seek(min(region.offset, file.frames))
            data, rate = file.read(_LONGEST_S * file.samplerate, dtype="float32", always_2d=True), file.samplerate
        pitch = round(region.pitch)
        # A recording between two keys is brought to the nearer one.
        speed = 2.0 ** ((pitch - region.pitch) / 12)
        mono = data.mean(axis=1) * np.float32(10 ** (region.volume_db / 20))
        if rate * speed != RATE:
            mono = soxr.resample(mono, rate * speed, RATE)
        sample = make_sample(mono, pitch, region.velocity, rule)
        if sample is not None:
            samples.append(sample)
    return samples


def make_sample(mono: NDArray[np.float32], pitch: int, velocity: int, rule: LabelRule = DEFAULT_RULE) -> Sample | None:
    """Trim, measure and oversample one note; None where it is silent, too slow, or not at its pitch."""
    shape = measure(mono, RATE, None, rule)
    # Recordings begin with silence of any length: the pitched part of the rule looks at what follows it.
    if shape is not None:
        skip = max(int((shape.onset_s - 0.3) * RATE), 0)
        mono = mono[skip:]
        shape = measure(mono, RATE, None, rule, pitch)
    if shape is None:
        return None
    start = int(shape.onset_s * RATE)
    if sounding_offset(mono[start:], RATE, pitch) != 0:
        return None
    cut = cut_note(mono, shape, rule)
    if cut is None:
        return None
    body, onset, end, gain = cut
    return Sample(pitch, velocity, oversample(body), onset, end, gain)


def cut_note(
    mono: NDArray[np.float32], shape: NoteShape, rule: LabelRule = DEFAULT_RULE, end_s: float = np.inf
) -> tuple[NDArray[np.float32], float, float, float] | None:
    """Trim a measured note: its samples from a little before the onset, onset and end in them, and its gain.

    Parameters
    ----------
    mono
        (n,) at `RATE`.
    shape
        What `amtsep.synthesis.onsets.measure` found in it.
    end_s
        Where it ends at the latest, in seconds of `mono`.

    Returns
    -------
    samples, onset_s, end_s, gain
        As in `Sample`, but at `RATE`; None where less than 50 ms of it can be heard.
    """
    start = int(shape.onset_s * RATE)
    cut = max(start - int(_LEAD_S * RATE), 0)
    body = mono[cut:].copy()
    lead = min(start - cut, int(0.005 * RATE))
    if lead > 1:
        body[:lead] *= np.linspace(0, 1, lead, dtype=np.float32)
    # The audible end of a recorded note: the last time its level is over what the rule allows.
    energy = energy_of(body, RATE)
    slow = decibel(smooth(energy, 40.0))
    floor = max(shape.sustained_db - rule.release_db - 2, shape.peak_db - rule.decay_db)
    loud = np.flatnonzero(slow > floor)
    end = min((int(loud[-1]) + 1) * HOP_S if len(loud) else 0.0, end_s - cut / RATE)
    onset = shape.onset_s - cut / RATE
    if end - onset < 0.05:
        return None
    stop = min(len(body), int((end + 0.25) * RATE))
    body = body[:stop]
    fade = min(int(0.05 * RATE), len(body))
    body[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    gain = float(10 ** (-(shape.sustained_db + 20) / 20))
    return body, onset, min(end, len(body) / RATE), gain


def oversample(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples at `RATE` as `Sample` keeps them."""
    import soxr

    return soxr.resample(samples, RATE, RATE * _OVER, quality="HQ").astype(np.float32)


def _read(samples: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values of `samples` at fractional positions by a four-point cubic (Catmull-Rom)."""
    i = np.floor(position).astype(np.intp)
    f = (position - i).astype(np.float32)
    i += 2
    p = np.concatenate([np.zeros(2, np.float32), samples, np.zeros(3, np.float32)])
    i = np.clip(i, 1, len(p) - 3)
    a, b, c, d = p[i - 1], p[i], p[i + 1], p[i + 2]
    return b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)))


def render_samples(
    rng: np.random.Generator,
    instrument: SampleSet,
    score: NDArray[np.void],
    clip_s: float,
    expression: Expression,
    rule: LabelRule = DEFAULT_RULE,
    pedal: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.void]]:
    """Play a part with recorded notes; `pedal` (k, 2) is when the sustain pedal goes down and up, in seconds.

    Returns
    -------
    audio, notes
        22.05 kHz mono float32 of `clip_s`, and the score with its true onsets and ends.
    """
    total = int(round(clip_s * RATE))
    out = np.zeros(total, np.float32)
    labels = with_keys(score[np.isin(score["pitch"], list(instrument.by_pitch))])
    labels = np.sort(labels, order="onset")
    step = 64
    grid = np.arange(0, total + RATE, step) / RATE
    cents = expression.curve(grid, labels)
    hammered = expression.hammers(labels)
    if pedal is not None:
        labels["offset"] = struck_again(labels, sounding_until(labels["offset"], pedal))
    turns: dict[int, int] = {}
    release = float(rng.uniform(0.06, 0.12))
    slurred = rng.random() < 0.4
    mono = instrument.instrument.mono
    swelling = expression.swelled if instrument.instrument.category in _BREATHING else 0.0
    for k in range(len(labels)):
        onset, offset = float(labels["onset"][k]), float(labels["offset"][k])
        pitch, velocity = int(labels["pitch"][k]), int(labels["velocity"][k])
        duration = offset - onset
        sample = _choose(rng, instrument, pitch, velocity, duration, turns)
        shift = pitch - sample.pitch
        first = max(int(np.ceil((onset - sample.onset_s) * RATE)), 0)
        # How long the recording sounds at this speed, and where the note ends.
        speed0 = 2.0 ** (shift / 12)
        natural = onset + (sample.end_s - sample.onset_s) / speed0
        ended = min(offset, natural)
        fade_s = release if duration > 0.12 else min(release, 0.06)
        follows = mono and k + 1 < len(labels) and 0 <= labels["onset"][k + 1] - offset < 0.02
        if follows:
            fade_s = min(fade_s, 0.05)
        last = min(int((offset + fade_s) * RATE) + 1, total)
        if offset >= natural:
            last = min(int((natural + 0.3) * RATE), total)
        if last - first < 32:
            labels["offset"][k] = onset
            continue
        n = last - first
        times = (first + np.arange(n)) / RATE
        at = np.interp(times, grid, cents)
        speed = 2.0 ** ((shift + at / 100) / 12)
        # The position at the onset is the recording's onset, whatever the pitch did on the way there.
        walked = np.concatenate([[0.0], np.cumsum(speed[:-1])])
        here = float(np.interp(onset, times, walked))
        position = (walked - here) / RATE + sample.onset_s
        inside = (position >= 0) & (position < len(sample.samples) / (RATE * _OVER))
        legato = slurred and mono and k > 0 and onset - labels["offset"][k - 1] < 0.03 and duration > 0.15
        legato = legato or bool(hammered[k])
        if legato and sample.end_s - sample.onset_s > duration + 0.15:
            # A slurred note has no attack of its own: come in some way into the recording, quickly.
            position = position + float(rng.uniform(0.03, 0.08))
            rise = 0.02
            inside = (times >= onset - 0.002) & (position < len(sample.samples) / (RATE * _OVER))
            gain = np.clip((times - onset + 0.002) / rise, 0, 1)
        else:
            gain = np.ones(n)
        sound = _read(sample.samples, np.where(inside, position, 0.0) * RATE * _OVER) * inside * gain
        if not legato and rng.random() < swelling:
            soft, labels["onset"][k] = _swell(rng, np.asarray(sound, np.float32), times, onset, offset, rule)
            sound = soft.astype(np.float64)
        if offset < natural:
            # Release: a raised cosine; it is down by 10 dB at six tenths of its length.
            x = np.clip((times - offset) / fade_s, 0, 1)
            sound = sound * (0.5 + 0.5 * np.cos(np.pi * x))
            ended = min(offset + 0.6 * fade_s, natural)
        if hammered[k]:
            velocity = int(velocity * HAMMERED_VELOCITY)
        scale = sample.gain * 10 ** ((velocity - 90) * _DB_A_STEP / 20)
        out[first:last] += (sound * scale).astype(np.float32)
        labels["offset"][k] = ended
    return out, tidy(labels, clip_s)


def _swell(
    rng: np.random.Generator,
    sound: NDArray[np.float32],
    times: NDArray[np.float64],
    onset: float,
    offset: float,
    rule: LabelRule,
) -> tuple[NDArray[np.float32], float]:
    """Let a note come in softly, as bows and breath do; returns it with its onset by the rule, measured again.

    The level rises from somewhere under the rule's threshold, evenly in dB. Recorded single notes mostly begin with an
    accent; without these a network fires where a soft note can first be heard, up to 100 ms before the rule's onset.
    """
    depth = float(rng.uniform(10.0, 34.0))
    rise = float(min(rng.uniform(0.03, 0.22), 0.4 * (offset - onset)))
    begin = onset - 0.25 * rise
    gain = 10.0 ** (-depth / 20.0 * np.clip(1.0 - (times - begin) / rise, 0.0, 1.0))
    soft = np.asarray(sound * gain, np.float32)
    shape = measure(soft, RATE, max(offset - float(times[0]), 0.05), rule)
    if shape is None:
        return sound, onset
    moved = float(times[0]) + shape.onset_s
    if not -0.02 <= moved - onset <= 0.8 * rise + 0.02:
        return sound, onset
    return soft, max(moved, onset)


def _choose(
    rng: np.random.Generator, instrument: SampleSet, pitch: int, velocity: int, duration: float, turns: dict[int, int]
) -> Sample:
    """The recording for a note: near in pitch and dynamics, long enough, and not always the same."""
    candidates = [instrument.samples[i] for i in instrument.by_pitch[pitch]]
    cost = np.array(
        [
            abs(s.velocity - velocity) / 25
            + 0.7 * abs(s.pitch - pitch)
            + 4.0 * max(min(duration, 2.5) - (s.end_s - s.onset_s), 0.0)
            + 0.25 * max((s.end_s - s.onset_s) - duration - 0.5, 0.0)
            for s in candidates
        ]
    )
    cost += rng.gumbel(0, 0.25, len(cost))
    order = np.argsort(cost)
    turn = turns.get(pitch, 0)
    turns[pitch] = turn + 1
    good = order[cost[order] < cost[order[0]] + 0.6]
    return candidates[int(good[turn % len(good)])]


def synthetic_instrument(seed: int) -> Instrument:
    """Kind, range and voices of the instrument that `synthetic_set` makes of the same seed."""
    rng = np.random.default_rng([seed, 7907])
    kind = str(rng.choice(["additive", "fm", "plucked", "pulse"]))
    struck = kind == "plucked" or rng.random() < 0.4
    low = int(rng.integers(33, 56))
    high = min(low + int(rng.integers(28, 46)), 100)
    mono = bool(rng.random() < 0.4) and not struck
    return Instrument(f"synthetic-{kind}{'-struck' if struck else ''}", "synthetic", low, high, mono)


def synthetic_set(seed: int, rule: LabelRule = DEFAULT_RULE) -> SampleSet:
    """An instrument that does not exist: additive, FM, plucked string or filtered pulse, drawn by `seed`.

    Each is written out as single notes, every third semitone, and played by the same sampler as recorded ones.
    """
    instrument = synthetic_instrument(seed)
    kind, struck, low, high = (
        instrument.family.split("-")[1],
        instrument.family.endswith("-struck"),
        instrument.low,
        instrument.high,
    )
    rng = np.random.default_rng([seed, 7919])
    tilt, even, wobble = rng.uniform(0.6, 2.2), rng.uniform(0.05, 1.0), rng.normal(0, 4, 40)
    stretch = float(rng.choice([0.0, 0.0, 1e-4, 4e-4])) if kind == "additive" else 0.0
    ratio, index = float(rng.choice([1, 1, 2, 3])), rng.uniform(0.5, 4.0)
    attack = float(np.exp(rng.uniform(np.log(0.002), np.log(0.05)))) if not struck else 0.002
    half = float(np.exp(rng.uniform(np.log(0.12), np.log(0.9))))
    tremolo, noise = (float(rng.uniform(0, 0.25)) if rng.random() < 0.3 else 0.0), float(rng.uniform(0, 0.02))
    width = float(rng.uniform(0.1, 0.5))
    t = np.arange(int(3.5 * RATE)) / RATE
    samples = []
    for pitch in range(low, high + 1, 3):
        f0 = 440.0 * 2 ** ((pitch - 69) / 12)
        count = max(min(int(10000 / f0), 32), 1)
        n = np.arange(1, count + 1)
        lead = int(0.05 * RATE)
        if struck:
            fall = half * (261.6 / f0) ** 0.5
            envelope = 2.0 ** (-t / fall)
        else:
            envelope = 1 - np.exp(-t / attack)
            envelope *= 1 + tremolo * np.sin(2 * np.pi * rng.uniform(3, 7) * t)
        if kind == "fm":
            bright = index * min(1.0, 3000 / (f0 * ratio * index)) * (envelope if struck else 1.0)
            wave = np.sin(2 * np.pi * f0 * t + bright * np.sin(2 * np.pi * f0 * ratio * t))
        elif kind == "plucked":
            place = width
            amplitude = np.abs(np.sin(np.pi * n * place)) / n**1.1
            wave = sum(
                a * np.exp(-t * k * 0.25 * tilt * f0 / 261.6) * np.sin(2 * np.pi * f0 * k * t + k)
                for k, a in zip(n, amplitude, strict=True)
            )
        else:
            if kind == "pulse":
                amplitude = np.abs(np.sin(np.pi * n * width)) / n**tilt
            else:
                amplitude = np.where(n % 2 == 0, even, 1.0) / n**tilt * 10 ** (wobble[:count] / 20)
            phase = rng.uniform(0, 2 * np.pi, count)
            places = n * np.sqrt(1 + stretch * n**2)
            wave = sum(
                a * np.sin(2 * np.pi * f0 * k * t + p) * (np.exp(-t * (k - 1) * 0.4) if struck else 1.0)
                for k, a, p in zip(places, amplitude, phase, strict=True)
                if f0 * k < 10500
            )
        x = np.asarray(wave) * envelope
        x = x / np.sqrt(np.mean(x[: RATE // 3] ** 2) + 1e-12) * 0.1
        if noise:
            x = x + noise * 0.1 * rng.normal(0, 1, len(x)) * envelope
        x[: int(0.001 * RATE)] *= np.linspace(0, 1, int(0.001 * RATE))
        note = np.concatenate([np.zeros(lead), x]).astype(np.float32)
        sample = make_sample(note, pitch, 75, rule)
        if sample is not None:
            samples.append(sample)
    return SampleSet.build(f"synthetic:{seed}", instrument, samples)
