"""What the lessons listen to: the demo clips with their true notes, and tones made by a formula. Nothing is fetched."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio, load_audio
from amtsep.config import FrontEnd
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from widgets.lessons.kit import RATE
from widgets.places import DEMOS

CLIPS = {
    "piano": "Piano_Joplin_Maple_Leaf_Rag",
    "duet": "Duet_Petzold_Minuet_in_G",
    "chorale": "Chorale_Bach_Aus_meines_Herzens_Grunde",
}
"""Short names of the demo clips; what plays in each is told in notebooks/demos/README.md."""

Sound = NDArray[np.float32]


@cache
def clip(name: str) -> Audio:
    """A demo clip: ``piano``, ``duet`` or ``chorale``."""
    return load_audio(DEMOS / f"{CLIPS[name]}.ogg")


@cache
def truth(name: str) -> Notes:
    """Its true notes, a track an instrument."""
    return Notes.from_midi(DEMOS / f"{CLIPS[name]}.mid")


def excerpt(name: str, start_s: float = 0.0, length_s: float = 6.0) -> Sound:
    """Some seconds of a demo clip, (n,) float32 at 22,050 Hz, n a multiple of the hop."""
    first = round(start_s * RATE)
    hop = FrontEnd().hop_length
    count = round(length_s * RATE / hop) * hop
    samples = clip(name).samples[first : first + count]
    return np.pad(samples, (0, count - len(samples))).astype(np.float32)


@cache
def posteriors(name: str, model: str = "base") -> Posteriors:
    """What the shipped network says about a demo clip (computed once in a session, a second or two)."""
    from amtsep.inference import Transcriber

    return Transcriber(model)(clip(name))


@cache
def _front_end() -> Any:
    import torch

    from amtsep.nets.cqt import CQT

    # Some seconds of sound are little work: threads that wait for each other on a busy computer take longer.
    torch.set_num_threads(1)
    return CQT()


def power(samples: Sound) -> NDArray[np.float32]:
    """Constant-Q power as the network hears it, (306, T): the mean energy of the excerpt is one."""
    import torch

    energy = float(np.mean(np.square(samples, dtype=np.float64)))
    with torch.no_grad():
        sound = torch.from_numpy(np.asarray(samples * np.float32(max(energy, 1e-12) ** -0.5), np.float32))
        found: NDArray[np.float32] = _front_end()(sound[None])[0].numpy()
    return found


def decibels(values: NDArray[Any], floor: float = 1e-7) -> NDArray[np.float32]:
    """Power to dB, silence at the floor."""
    return np.asarray(10.0 * np.log10(np.asarray(values) + floor), np.float32)


def tone(
    pitch: float,
    length_s: float = 1.0,
    harmonics: int = 8,
    tilt: float = 1.0,
    even: float = 1.0,
    attack_s: float = 0.01,
) -> Sound:
    """A steady tone of `harmonics` partials whose amplitudes fall as n ** -tilt, even ones weighted by `even`."""
    t = np.arange(round(length_s * RATE)) / RATE
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    sound = np.zeros(len(t))
    for n in range(1, harmonics + 1):
        if n * f0 < 0.45 * RATE:
            sound += (even if n % 2 == 0 else 1.0) * n**-tilt * np.sin(2 * np.pi * n * f0 * t + 0.7 * n * n)
    fade = np.clip(np.minimum(t / attack_s, (length_s - t) / 0.03), 0.0, 1.0)
    return np.asarray(0.25 * sound * fade, np.float32)


def chord(pitches: tuple[float, ...], length_s: float = 1.0, **options: Any) -> Sound:
    """Several tones at once; options as for `tone`."""
    return np.asarray(sum(tone(p, length_s, **options) for p in pitches) / len(pitches), np.float32)


def render(notes: Notes, seed: int = 5, end_s: float | None = None) -> Sound:
    """Notes played by one of the synthesiser's made-up timbres."""
    from amtsep.synthesis import sampler
    from amtsep.synthesis.expression import Expression
    from amtsep.synthesis.scores import SCORE_DTYPE

    score = np.zeros(len(notes), SCORE_DTYPE)
    for name in ("onset", "offset", "pitch", "velocity"):
        score[name] = getattr(notes, name)
    made = timbre(seed)
    length = (notes.end if end_s is None else end_s) + 0.3
    samples, _ = sampler.render_samples(np.random.default_rng(seed), made, score, length, Expression())
    return np.asarray(samples, np.float32)


@cache
def timbre(seed: int) -> Any:
    """A made-up instrument (`amtsep.synthesis.sampler.synthetic_set`)."""
    from amtsep.synthesis import sampler

    return sampler.synthetic_set(seed)
