"""Make the default thresholds mean something: shift the logits so that they are the best ones on known material.

A focal loss with unequal weights leaves posteriors that peak well under one half. Which threshold is best then depends
on the run, and a user would meet sliders whose useful range moves from model to model. The shifts are found on clips of
the development split of a bank (and, if given, takes of a training set), never on a set that is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.config import Decoding, FrontEnd, Mixing
from amtsep.decoding import Decoder
from amtsep.evaluation.metrics import evaluate_agnostic
from amtsep.evaluation.readers import recordings
from amtsep.inference import Transcriber
from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.mixing import Mixer, clip_notes


@dataclass(frozen=True, eq=False)
class Example:
    """Posteriors and the notes that should come out of them."""

    posteriors: Posteriors
    truth: Notes
    """To where the notes have sounded."""
    by_key: Notes | None = None
    """To where they are let go."""


def shifted(posterior: NDArray[np.float32], shift: float | NDArray[np.float32]) -> NDArray[np.float32]:
    """Add `shift` (one for all, or an array of a shape that fits) to the logit of every value."""
    odds = posterior / np.maximum(1.0 - posterior, 1e-7) * np.float32(np.exp(shift))
    return np.asarray(odds / (1.0 + odds), dtype=np.float32)


def development_examples(bank: Path, transcriber: Transcriber, count: int, seed: int = 11) -> list[Example]:
    """Mixes of the bank's development split, clean and balanced as most recordings are, and their posteriors."""
    front_end = FrontEnd()
    mixing = Mixing(clip_s=9.0, augment=False, part_gain_db=3.0)
    mixer = Mixer(Bank.open(bank), mixing, front_end, seed, split="dev")
    examples = []
    for index in range(count):
        clip = mixer.clip(index)
        audio = Audio(clip.audio * np.float32(0.1), front_end.sample_rate, f"clip {index}")
        truth, by_key = (clip_notes(clip, audio.duration_s, key) for key in (False, True))
        examples.append(Example(transcriber(audio), truth, by_key))
    return examples


def song_examples(folders: Sequence[Path], transcriber: Transcriber) -> list[Example]:
    """Recordings beside MIDI files, such as ``amtsep.synthesis.songs --held-out`` makes, and their posteriors.

    Their notes end where they have sounded, and nothing is known of the key.
    """
    songs = (song for folder in folders for song in recordings("pairs", folder))
    rate = FrontEnd().sample_rate
    return [Example(transcriber(Audio(song.audio(), rate, song.name)), song.reference) for song in songs]


def mean_figures(examples: Iterable[Example], decoding: Decoding) -> tuple[float, ...]:
    """Mean onset F1, onset+offset F1 and frame F1 of the posteriors as they are."""
    rows = []
    for example in examples:
        truth = example.by_key if decoding.ends == "key" and example.by_key is not None else example.truth
        scores = evaluate_agnostic(truth, Decoder(example.posteriors)(decoding), example.posteriors.hop_s)
        rows.append((scores.onset.f1, scores.onset_offset.f1, scores.frame.f1))
    return tuple(float(x) for x in np.mean(rows, axis=0))


def figures(
    examples: Sequence[Example],
    decoding: Decoding,
    onset_shift: float,
    frame_shift: float,
    offset_shift: float = 0.0,
) -> tuple[float, ...]:
    """Mean onset F1, onset+offset F1 and frame F1 with these shifts."""

    def moved(raw: Posteriors) -> Posteriors:
        offset = None if raw.offset is None else shifted(raw.offset, offset_shift)
        onset, frame = shifted(raw.onset, onset_shift), shifted(raw.frame, frame_shift)
        return replace(raw, onset=onset, frame=frame, offset=offset)

    return mean_figures((replace(example, posteriors=moved(example.posteriors)) for example in examples), decoding)


def maximise(value: Callable[[float], float], low: float, high: float, rounds: int = 3, points: int = 7) -> float:
    """The best point of a grid that narrows around its best point."""
    best = 0.5 * (low + high)
    for _ in range(rounds):
        grid = np.linspace(low, high, points)
        best = float(grid[int(np.argmax([value(float(x)) for x in grid]))])
        step = (high - low) / (points - 1)
        low, high = best - step, best + step
    return best


def calibrate(weights: Path, out: Path, bank: Path, count: int = 60, songs: Sequence[Path] = ()) -> Checkpoint:
    """Find the shifts for the default `Decoding` and write calibrated weights.

    The onset shift raises onset F1; the frame shift the mean of onset+offset and frame F1, the
    offset shift that with ends by the key.

    Parameters
    ----------
    weights, out
        Safetensors in and out; may be the same.
    bank, count
        Where the clips come from, and how many.
    songs
        Folders of more of them (see `song_examples`): what is not as clean as the clips are.
    """
    net, checkpoint = load_checkpoint(weights)
    plain = replace(checkpoint, onset_shift=0.0, frame_shift=0.0, offset_shift=0.0)
    save_checkpoint(out, net, plain)
    transcriber = Transcriber(out, device="cpu")
    examples = development_examples(bank, transcriber, count)
    examples += song_examples(songs, transcriber)
    decoding = Decoding(ends="sound")
    # Notes need both posteriors; a frame shift found first for the segments, then the onsets, then the frames again.
    onset, frame, offset = 0.0, 1.0, 0.0
    for _ in range(2):
        frame = maximise(lambda x, o=onset: sum(figures(examples, decoding, o, x)[1:]), -2.0, 4.0)  # type: ignore[misc]
        onset = maximise(lambda x, f=frame: figures(examples, decoding, x, f)[0], -3.0, 3.0)  # type: ignore[misc]
    keyed = [example for example in examples if example.by_key is not None and example.posteriors.offset is not None]
    if keyed:
        by_key = replace(decoding, ends="key")
        offset = maximise(lambda x: sum(figures(keyed, by_key, onset, frame, x)[1:]), -3.0, 3.0)
    found = figures(examples, decoding, onset, frame)
    names = ("onset_f1", "onset_offset_f1", "frame_f1")
    info = {
        **plain.info,
        "calibration": {"examples": len(examples), **dict(zip(names, np.round(found, 4).tolist(), strict=True))},
    }
    calibrated = replace(
        plain, onset_shift=round(onset, 3), frame_shift=round(frame, 3), offset_shift=round(offset, 3), info=info
    )
    save_checkpoint(out, net, calibrated)
    return calibrated
