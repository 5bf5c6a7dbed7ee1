"""Singers that do not exist: a glottal source through moving formants, rendered straight from a score.

A singer's tone is a sum of harmonics; each harmonic's strength at each moment is that of the source (which falls with
frequency, less so when sung louder) times the response of five resonances (the vowel). The fundamental glides, scoops,
vibrates and drifts; syllables begin with nothing, a breath, a plosive, a fricative or a voiced consonant. A choir is
several such singers on one line.

Labels follow what singers mean: the pitch is the note's, whatever vibrato, scoop and intonation do to it; the onset is
where the vowel's level has come up by the rule of `amtsep.synthesis.onsets` *and* the fundamental has come within half
a semitone of its target (`ARRIVED_CENTS`); consonants come before it. A note ends half way down its release.

Formant frequencies: the table of average formants of singers by voice and vowel that is printed in Csound's manual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from amtsep.synthesis.instruments import Instrument
from amtsep.synthesis.onsets import DEFAULT_RULE, LabelRule
from amtsep.synthesis.sampler import RATE
from amtsep.synthesis.scores import monophonic, tidy, with_keys

ARRIVED_CENTS = 50.0
"""A glide has arrived where it is this close to the note's pitch."""
SHORTEST_S = 0.1
"""Shorter notes are not sung."""
_HOP = 64
_TOP_HZ = 10400.0
_EDGE_S = 0.015

# Voice: centre frequencies (Hz) of five formants for the vowels a, e, i, o, u.
_FORMANTS: dict[str, tuple[tuple[int, ...], ...]] = {
    "bass": (
        (600, 1040, 2250, 2450, 2750), (400, 1620, 2400, 2800, 3100), (250, 1750, 2600, 3050, 3340),
        (400, 750, 2400, 2600, 2900), (350, 600, 2400, 2675, 2950),
    ),
    "tenor": (
        (650, 1080, 2650, 2900, 3250), (400, 1700, 2600, 3200, 3580), (290, 1870, 2800, 3250, 3540),
        (400, 800, 2600, 2800, 3000), (350, 600, 2700, 2900, 3300),
    ),
    "alto": (
        (800, 1150, 2800, 3500, 4950), (400, 1600, 2700, 3300, 4950), (350, 1700, 2700, 3700, 4950),
        (450, 800, 2830, 3500, 4950), (325, 700, 2530, 3500, 4950),
    ),
    "soprano": (
        (800, 1150, 2900, 3900, 4950), (350, 2000, 2800, 3600, 4950), (270, 2140, 2950, 3900, 4950),
        (450, 800, 2830, 3800, 4950), (325, 700, 2700, 3800, 4950),
    ),
}  # fmt: skip
_RANGES = {"bass": (38, 65), "tenor": (45, 72), "alto": (52, 77), "soprano": (57, 84)}
_NASAL = (260, 1100, 2300, 2900, 3500)
"""Formants of hummed consonants."""


@dataclass(frozen=True)
class Singer:
    """How one singer, or one choir, sings.

    Parameters
    ----------
    voice
        "bass", "tenor", "alto" or "soprano".
    low, high
        MIDI pitches sung.
    singers
        More than one make a choir.
    tract
        Formants are those of the table times this.
    corner_hz, tilt
        The source falls with `tilt` times 6 dB an octave above the corner.
    singing_formant_db
        The third to fifth formants' lift.
    vowels
        Which of the five vowels are sung.
    breath_db
        Breath against the tone.
    vibrato_cents, vibrato_hz
        Peak depth and rate; the depth is 0 for a straight voice.
    scoops, syllabic, consonants
        Shares in [0, 1]: of notes that are scooped into, of joined notes with a syllable of their own, of syllables
        that begin with a consonant.
    glide_s
        Length of a glide between joined notes.
    off_cents
        Standard deviation of the intonation, a value a note.
    """

    voice: str
    low: int
    high: int
    singers: int
    tract: float
    corner_hz: float
    tilt: float
    singing_formant_db: float
    vowels: tuple[int, ...]
    breath_db: float
    vibrato_cents: float
    vibrato_hz: float
    scoops: float
    syllabic: float
    consonants: float
    glide_s: float
    off_cents: float

    @property
    def instrument(self) -> Instrument:
        """As an instrument that scores are written for."""
        family = "choir" if self.singers > 1 else f"{self.voice}-voice"
        return Instrument(family, "voice", self.low, self.high, True)


def singer(seed: int) -> Singer:
    """The singer of a number: a trained voice or that of a song, alone or in a choir."""
    rng = np.random.default_rng([seed, 8111])
    voice = str(rng.choice(list(_FORMANTS), p=[0.22, 0.28, 0.25, 0.25]))
    low, high = _RANGES[voice]
    shift = int(rng.integers(-2, 3))
    choir = rng.random() < 0.25
    trained = choir or rng.random() < 0.4
    vibrates = rng.random() < (0.85 if trained else 0.5)
    count = int(rng.choice([1, 2, 5])) if rng.random() < 0.25 else 5
    return Singer(
        voice=voice,
        low=low + shift,
        high=high + shift,
        singers=int(rng.integers(3, 7)) if choir else 1,
        tract=float(rng.uniform(0.93, 1.1)),
        corner_hz=float(np.exp(rng.uniform(np.log(250), np.log(1100)))),
        tilt=float(rng.uniform(1.0, 2.0)),
        singing_formant_db=float(rng.uniform(3, 12)) if trained else float(rng.uniform(-4, 5)),
        vowels=tuple(int(v) for v in rng.permutation(5)[:count]),
        breath_db=float(rng.uniform(-48, -30)) if trained else float(rng.uniform(-42, -18)),
        vibrato_cents=float(rng.uniform(25, 90) if trained else rng.uniform(10, 45)) if vibrates else 0.0,
        vibrato_hz=float(rng.uniform(4.7, 6.8)),
        scoops=float(rng.uniform(0, 0.25) if trained else rng.uniform(0, 0.6)),
        syllabic=float(rng.uniform(0.2, 1.0)),
        consonants=float(rng.uniform(0.0, 0.95)),
        glide_s=float(rng.uniform(0.05, 0.16)),
        off_cents=float(rng.uniform(4, 14)),
    )


@dataclass(frozen=True)
class _Sung:
    """What is decided about one note before it is rendered, the same for all singers of a choir."""

    onset: float
    offset: float
    pitch: int
    velocity: int
    joined: bool
    """The tone goes on from the note before, without a new syllable."""
    vowel: int
    consonant: str
    """"", "plosive", "fricative", "voiced" or "breath"."""
    consonant_s: float
    scoop_cents: float
    scoop_s: float
    attack_s: float


def _plan(rng: np.random.Generator, who: Singer, score: NDArray[np.void]) -> list[_Sung]:
    """Syllables for the notes of a line that does not overlap itself."""
    out: list[_Sung] = []
    for note in score:
        onset, offset = float(note["onset"]), float(note["offset"])
        gap = onset - out[-1].offset if out else 9.0
        linked = gap < 0.06
        syllable = not linked or int(note["pitch"]) == out[-1].pitch or rng.random() < who.syllabic
        consonant, length = "", 0.0
        if syllable:
            if rng.random() < who.consonants or (linked and int(note["pitch"]) == out[-1].pitch):
                consonant = str(rng.choice(["plosive", "fricative", "voiced"], p=[0.35, 0.3, 0.35]))
                length = float(rng.uniform(0.04, 0.1 if consonant != "fricative" else 0.14))
            elif gap > 0.4 and rng.random() < 0.4:
                consonant, length = "breath", float(rng.uniform(0.15, 0.35))
            if linked:
                length = min(length, 0.35 * (out[-1].offset - out[-1].onset))
        scooped = syllable and rng.random() < who.scoops
        out.append(
            _Sung(
                onset, offset, int(note["pitch"]), int(note["velocity"]), not syllable,
                int(rng.choice(who.vowels)) if syllable else out[-1].vowel,
                consonant, length,
                float(rng.uniform(60, 220)) if scooped else 0.0, float(rng.uniform(0.025, 0.07)),
                float(np.exp(rng.uniform(np.log(0.012), np.log(0.07)))),
            )
        )  # fmt: skip
    # A note ends where the consonant of the next begins.
    for k in range(len(out) - 1):
        nxt = out[k + 1]
        limit = nxt.onset if nxt.joined or not nxt.consonant else nxt.onset - nxt.consonant_s
        if out[k].offset > limit or nxt.joined:
            out[k] = replace(out[k], offset=max(limit, out[k].onset + 0.04))
    return out


def _step(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth step from 0 (x <= 0) to 1 (x >= 1)."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _wander(rng: np.random.Generator, n: int, corner_hz: float) -> NDArray[np.float64]:
    """Noise below a frequency at the control rate, standard deviation one."""
    pole = float(np.exp(-2 * np.pi * corner_hz * _HOP / RATE))
    noise = lfilter([1 - pole], [1, -pole], rng.normal(0, 1, n + 400))[400:]
    return np.asarray(noise / max(float(noise.std()), 1e-9))


def _response(
    hz: NDArray[np.float64], formants: NDArray[np.float64], lift: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Parallel resonances of a vocal tract at frequencies `hz` (n,) for formants (n, 5)."""
    width = np.array([70.0, 90.0, 120.0, 140.0, 180.0])
    # Levels of the formants: what follows from their places in a tube is near enough to a fall with frequency.
    gain = np.array([1.0, 0.7, 0.35, 0.3, 0.2]) * lift
    out = np.full(len(hz), 0.02 + 0j)
    for i in range(5):
        f = formants[:, i]
        # Neighbours have opposite signs, as the resonances of a tube have: no zeros between them.
        out = out + (-1) ** i * gain[i] * width[i] * f / (f * f - hz * hz + 1j * hz * width[i]) * (hz / f) ** 0.3
    return out


def _sing(
    rng: np.random.Generator, who: Singer, notes: list[_Sung], total: int, rule: LabelRule
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """One singer's sound, and where each note has come up and ends (s)."""
    frames = total // _HOP + 2
    at = np.arange(frames) * _HOP / RATE
    cents = np.zeros(frames)
    amplitude, loudness = np.zeros(frames), np.zeros(frames)
    formants = np.zeros((frames, 5))
    table = np.log(np.array(_FORMANTS[who.voice], np.float64) * who.tract * rng.normal(1, 0.01))
    onsets, ends = np.zeros(len(notes)), np.zeros(len(notes))
    target = [100.0 * n.pitch + float(np.clip(rng.normal(0, who.off_cents), -30, 30)) for n in notes]
    cents[:] = target[0]
    formants[:] = table[notes[0].vowel]
    consonants = np.zeros(total)
    for k, note in enumerate(notes):
        last = k + 1 == len(notes)
        # Pitch: from the note before to this one; a scoop comes on top of it.
        glide = min(who.glide_s, 0.5 * (note.offset - note.onset))
        begin = note.onset - (0.6 if note.joined else 1.0) * glide
        if k and note.onset - notes[k - 1].offset < 0.3:
            cents = np.where(at >= begin, cents + (target[k] - target[k - 1]) * _step((at - begin) / glide), cents)
        elif k:
            cents = np.where(at >= note.onset - 0.1, target[k], cents)
        scoop = np.where(at >= note.onset, np.exp(-np.maximum(at - note.onset, 0) / note.scoop_s), 1.0)
        here = (at >= note.onset - 0.05) & (at < note.offset)
        cents = np.where(here, cents - note.scoop_cents * scoop, cents)
        near = np.abs(cents - target[k]) <= ARRIVED_CENTS
        arrived = note.onset
        late = np.flatnonzero(here & (at > note.onset - glide) & near)
        if len(late):
            arrived = float(at[late[0]])
        # Level.
        rise = _step((at - note.onset + (_EDGE_S if note.joined else 0.25 * note.attack_s))
                     / (2 * _EDGE_S if note.joined else note.attack_s))  # fmt: skip
        joined_on = not last and notes[k + 1].joined
        release = 2 * _EDGE_S if joined_on else float(np.clip(0.3 * (note.offset - note.onset), 0.03, 0.11))
        stop = note.offset - (_EDGE_S if joined_on else 0.0)
        fall = 1 - _step((at - stop) / release)
        db = (note.velocity - 90) * 0.25
        length = max(note.offset - note.onset, 0.05)
        swell = 3.0 * np.sin(np.pi * np.clip((at - note.onset) / length, 0, 1)) - 1.5
        env = rise * fall * 10 ** ((db + swell) / 20)
        amplitude += env
        loudness = np.where(here, db, loudness)
        level_at = note.onset
        if not note.joined:
            span = env[(at >= note.onset) & (at < note.onset + 0.3)]
            if len(span):
                first = np.flatnonzero(env >= 10 ** (rule.onset_db / 20) * np.quantile(span, 0.75))
                level_at = float(at[first[0]]) if len(first) else note.onset
        onsets[k] = max(level_at, arrived) if note.joined or note.scoop_cents else level_at
        ends[k] = note.offset if joined_on else stop + 0.6 * release
        # Vowel, and what comes before it.
        formants[at >= note.onset - note.consonant_s] = table[note.vowel]
        if note.consonant:
            _consonant(rng, who, note, at, amplitude, formants, consonants, 10 ** (db / 20))
    width = int(0.05 * RATE / _HOP) | 1
    window = np.hanning(width + 2)[1:-1]
    pad = np.pad(formants, ((width // 2, width // 2), (0, 0)), mode="edge")
    tract = np.exp(np.stack([np.convolve(pad[:, i], window / window.sum(), mode="valid") for i in range(5)], axis=1))
    # Vibrato sets in some way into a note; the pitch is never quite still.
    depth = np.zeros(frames)
    for note in notes:
        if note.offset - note.onset > 0.35:
            delay = float(rng.uniform(0.1, 0.4))
            depth += np.where(at < note.offset, _step((at - note.onset - delay) / 0.3), 0.0) * (at >= note.onset)
    rate = who.vibrato_hz * (1 + 0.05 * _wander(rng, frames, 1.0))
    turn = 2 * np.pi * (np.cumsum(rate) * _HOP / RATE + rng.random())
    depth = np.convolve(np.minimum(depth, 1), np.full(9, 1 / 9), mode="same") * who.vibrato_cents
    cents = cents + depth * np.sin(turn) + 6 * _wander(rng, frames, 2.0) + 3 * _wander(rng, frames, 30.0)
    amplitude = amplitude * (1 + 0.04 * _wander(rng, frames, 8.0)) * (1 + 0.08 * depth / 60 * np.sin(turn + 1.0))
    f0 = 440.0 * 2 ** ((cents / 100 - 69) / 12)
    tract[:, 0] = np.maximum(tract[:, 0], 1.02 * f0)  # high voices open the mouth until the first formant has come up
    voiced = _tone(rng, who, f0, amplitude, loudness, tract, total)
    level = float(np.sqrt(np.mean(voiced[np.abs(voiced) > 1e-4] ** 2))) if np.any(np.abs(voiced) > 1e-4) else 1.0
    breath = _breath(rng, amplitude, tract, notes, total) * level * 10 ** (who.breath_db / 20)
    return voiced + breath + consonants * level, onsets, ends


def _tone(
    rng: np.random.Generator,
    who: Singer,
    f0: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    loudness: NDArray[np.float64],
    tract: NDArray[np.float64],
    total: int,
) -> NDArray[np.float64]:
    """The voiced sound: harmonics of `f0` as strong as source and tract make them."""
    ramp = np.arange(_HOP) / _HOP

    def wide(x: NDArray) -> NDArray:
        return (x[:-1, None] + np.diff(x)[:, None] * ramp).reshape(-1)[:total]

    on = amplitude > 1e-5
    if not on.any():
        return np.zeros(total)
    phase = np.cumsum(wide(f0)) * (2 * np.pi / RATE)
    turn = np.exp(1j * phase)
    carrier = np.ones(total, complex)
    out = np.zeros(total)
    lift = np.array([1, 1, *[10 ** (who.singing_formant_db / 20)] * 3])
    # Louder is brighter.
    corner = who.corner_hz * 2 ** (loudness / 12)
    first = float(10 ** (rng.uniform(0, 5) / 20))
    for k in range(1, int(_TOP_HZ / f0[on].min()) + 1):
        carrier = carrier * turn
        hz = k * f0
        keep = np.clip((_TOP_HZ - hz) / 400, 0, 1) * amplitude
        if not np.any(keep > 1e-6):
            continue
        source = (1 + (hz / corner) ** 2) ** (-who.tilt / 2) * (first if k == 1 else 1.0)
        strength = keep * source * _response(hz, tract, lift)
        out += wide(strength.real) * carrier.real - wide(strength.imag) * carrier.imag
    return out


def _breath(
    rng: np.random.Generator,
    amplitude: NDArray[np.float64],
    tract: NDArray[np.float64],
    notes: list[_Sung],
    total: int,
) -> NDArray[np.float64]:
    """Noise that goes with the tone, coloured by each note's vowel."""
    out = np.zeros(total)
    for note in notes:
        a, b = max(int((note.onset - 0.05) * RATE), 0), min(int((note.offset + 0.15) * RATE), total)
        if b - a < 64:
            continue
        x = rng.normal(0, 1, b - a)
        x[1:] -= 0.9 * x[:-1]
        place = tract[min((a + b) // 2 // _HOP, len(tract) - 1)]
        y = sum(_resonate(x, float(f), w) for f, w in zip(place[1:4], (150, 250, 350)))
        edge = min(int(0.04 * RATE), (b - a) // 2)
        gate = np.ones(b - a)
        gate[:edge] = np.linspace(0, 1, edge)
        gate[-edge:] = np.linspace(1, 0, edge)
        out[a:b] += gate * np.asarray(y) / max(float(np.std(y)), 1e-9)
    at = np.arange(total) / _HOP
    return out * np.interp(at, np.arange(len(amplitude)), amplitude)


def _resonate(x: NDArray[np.float64], hz: float, width: float) -> NDArray[np.float64]:
    """A resonance of two poles."""
    radius = float(np.exp(-np.pi * width / RATE))
    return np.asarray(lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hz / RATE), radius**2], x))


def _consonant(
    rng: np.random.Generator,
    who: Singer,
    note: _Sung,
    at: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    formants: NDArray[np.float64],
    out: NDArray[np.float64],
    strength: float,
) -> None:
    """Add what comes before a vowel to `out`; a voiced one is sung: it changes `amplitude` and `formants`."""
    begin, end = note.onset - note.consonant_s, note.onset
    if note.consonant == "voiced":
        inside = _step((at - begin) / 0.02) * (1 - _step((at - end + 0.01) / 0.02))
        hum = float(10 ** (rng.uniform(-22, -14) / 20)) * strength
        np.copyto(amplitude, np.maximum(amplitude, inside * hum))
        closed = (at >= begin) & (at < end)
        formants[closed] = np.log(np.array(_NASAL) * who.tract)
        return
    a, b = int(begin * RATE), min(int((end + 0.01) * RATE), len(out))
    a = max(a, 0)
    n = b - a
    if n < 64:
        return
    noise = rng.normal(0, 1, n)
    if note.consonant == "plosive":
        # A pause, then a burst.
        hz, width, db = rng.uniform(1200, 4500), 1500.0, rng.uniform(-20, -8)
        burst = max(n - int(rng.uniform(0.01, 0.025) * RATE), 0)
        shape = np.zeros(n)
        shape[burst:] = np.exp(-np.arange(n - burst) / (0.006 * RATE))
    elif note.consonant == "fricative":
        hz, width, db = rng.uniform(2500, 8000), 2500.0, rng.uniform(-26, -10)
        shape = np.sin(np.pi * np.arange(n) / n) ** 0.5
    else:
        hz, width, db = rng.uniform(1000, 2500), 1800.0, rng.uniform(-34, -22)
        shape = np.linspace(0.2, 1, n) * np.clip((n - np.arange(n)) / (0.06 * RATE), 0, 1)
    y = _resonate(noise, hz, width)
    out[a:b] += shape * y / max(float(np.std(y)), 1e-9) * 10 ** (db / 20) * strength


def render_voice(
    rng: np.random.Generator, who: Singer, score: NDArray[np.void], clip_s: float, rule: LabelRule = DEFAULT_RULE
) -> tuple[NDArray[np.float32], NDArray[np.void]]:
    """Sing a melody.

    Parameters
    ----------
    rng
        Draws syllables, scoops and everything that differs from note to note.
    who
        The singer or choir.
    score
        `amtsep.synthesis.scores.SCORE_DTYPE` notes; chords are thinned out to one line.
    clip_s
        Seconds of the result.
    rule
        Where a level has come up.

    Returns
    -------
    audio, notes
        22.05 kHz mono float32, and the notes with their onsets and ends as sung (of a choir: the median singer's).
    """
    total = int(round(clip_s * RATE))
    line = monophonic(score)
    line = line[(line["offset"] - line["onset"] >= SHORTEST_S) & (line["onset"] < clip_s - SHORTEST_S)]
    line = line[(line["pitch"] >= who.low) & (line["pitch"] <= who.high)]
    if not len(line):
        return np.zeros(total, np.float32), with_keys(line)
    notes = _plan(rng, who, line)
    sounds, onsets, ends = [], [], []
    for k in range(who.singers):
        late = float(np.clip(rng.normal(0, 0.015), -0.035, 0.035)) if k else 0.0
        own = [_moved(note, late, float(np.clip(rng.normal(0, 0.008), -0.02, 0.02))) for note in notes] if k else notes
        sound, on, end = _sing(rng, _like(rng, who) if k else who, own, total, rule)
        sounds.append(sound)
        onsets.append(on)
        ends.append(end)
    labels = with_keys(line)
    labels["key_offset"] = [note.offset for note in notes]
    labels["onset"] = np.median(onsets, axis=0)
    labels["offset"] = np.maximum(np.median(ends, axis=0), labels["onset"] + 0.03)
    audio = np.sum(sounds, axis=0)
    audio *= 0.1 / max(float(np.sqrt(np.mean(audio**2))), 1e-9)
    return audio.astype(np.float32), tidy(labels, clip_s)


def _moved(note: _Sung, late: float, own: float) -> _Sung:
    """A note as another singer of the choir times it."""
    shift = late + (own if not note.joined else 0.0)
    return replace(note, onset=max(note.onset + shift, 0.0), offset=note.offset + late)


def _like(rng: np.random.Generator, who: Singer) -> Singer:
    """Another member of the same choir."""
    return replace(
        who,
        tract=who.tract * float(rng.normal(1, 0.03)),
        corner_hz=who.corner_hz * float(np.exp(rng.normal(0, 0.2))),
        vibrato_cents=who.vibrato_cents * float(rng.uniform(0.4, 1.3)),
        vibrato_hz=who.vibrato_hz * float(rng.normal(1, 0.07)),
        off_cents=who.off_cents + 6.0,
    )
