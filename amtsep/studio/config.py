"""Defaults of the studio, each in one place: an optional part keeps its own, as the library does in `amtsep.config`."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class CorpusSettings:
    """How recordings and scores become a training set."""

    sample_rate: int = 32_000
    """Hz; MusicGen's."""
    channels: int = 1
    format: str = "flac"
    """"flac" or "wav", both 16 bit."""
    clip_s: float = 30.0
    least_s: float = 5.0
    """A last clip shorter than this is left out, unless it is the only one."""
    silence_db: float = -60.0
    """What is so far under the peak at either end is cut off."""
    loudness: float | None = None
    """LUFS (ITU-R BS.1770) that every recording is brought to; ``None`` leaves it as it is."""
    language: str = "en"
    template: str = ""
    """Of captions, with fields in braces; empty: the language's own (`amtsep.studio.captions`)."""
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    hear: bool = True
    """Transcribe each clip for tempo, key, timbres, registers and density."""
    model: str = "base"
    soundfont: str | None = None
    """That MIDI and MusicXML are rendered with; ``None``: the first that this machine has."""


@dataclass(frozen=True)
class GenreSettings:
    """Features and training of the genre classifiers."""

    sample_rate: int = 22_050
    coefficients: int = 20
    fft: int = 2048
    hop: int = 512
    segment_s: float = 3.0
    most_s: float = 120.0
    """Of a recording that is looked at, from its start."""
    channels: tuple[int, ...] = (64, 32, 32, 16)
    dense: int = 64
    dropout: float = 0.3
    epochs: int = 60
    patience: int = 10
    """Epochs after which training ends, none of whose validation losses was lower by `least_gain` than the lowest."""
    least_gain: float = 0.01
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    kept: float = 0.95
    """Share of the rightly classified validation recordings that rejection must keep."""
    validation: float = 0.15
    test: float = 0.25
    seed: int = 0


@dataclass(frozen=True)
class TuneSettings:
    """Fine-tuning of a text-to-music network."""

    steps: int = 1000
    batch_size: int = 2
    accumulate: int = 4
    """Batches whose gradients are added before a step."""
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    warm_up: int = 50
    clip_norm: float = 1.0
    rank: int = 8
    alpha: int = 16
    lora_dropout: float = 0.05
    full: bool = False
    """Train the whole decoder instead of low-rank additions to it."""
    drop_text: float = 0.1
    """Share of items that are learned without their text, which guidance needs."""
    validate_every: int = 50
    checkpoint_every: int = 50
    amp: bool = True
    """bfloat16 on a GPU; a processor computes in 32 bits."""
    seed: int = 0


@dataclass(frozen=True)
class SampleSettings:
    """Generation."""

    seconds: float = 10.0
    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 1.0
    guidance: float = 3.0
    window_s: float = 30.0
    """The longest stretch that the network makes at once."""
    overlap_s: float = 10.0
    """Of a window with the one before, where there are several."""
    seed: int = 0
