"""Make the default thresholds mean something: shift the logits so that they are the best ones on known material.

A focal loss with unequal weights leaves posteriors that peak well under one half. Which threshold is best then depends
on the run, and a user would meet sliders whose useful range moves from model to model. The shifts are found on clips of
the development split of a bank (and, if given, takes of a training set), never on a set that is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.config import Decoding, FrontEnd, Mixing
from amtsep.decoding import RELEASE_S, Decoder
from amtsep.errors import ModelError
from amtsep.evaluation.metrics import evaluate_agnostic
from amtsep.evaluation.readers import recordings
from amtsep.inference import Transcriber
from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint, sha256
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

    def ending(self, ends: str) -> Notes:
        """The notes to where `Decoding.ends` has them end, as far as that is known."""
        if self.by_key is None or ends == "sound":
            return self.truth
        if ends == "key":
            return self.by_key
        return replace(self.truth, offset=np.minimum(self.truth.offset, self.by_key.offset + RELEASE_S))


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
        truth = example.ending(decoding.ends)
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

    The onset shift raises onset F1; the frame and the offset shift the mean of onset+offset and frame F1, with ends as
    the default decoder finds them where it is known when keys are let go, else by the sound.

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
    keyed = [example for example in examples if example.by_key is not None and example.posteriors.offset is not None]
    others = [example for example in examples if example not in keyed]

    # Ends by the sound do not look at the offsets.
    by_sound = cache(lambda onset, frame: np.array(figures(others, Decoding(ends="sound"), onset, frame)))

    def reached(onset: float, frame: float, offset: float) -> NDArray[np.float64]:
        total = len(others) * by_sound(onset, frame) if others else np.zeros(3)
        if keyed:
            total = total + len(keyed) * np.array(figures(keyed, Decoding(ends="auto"), onset, frame, offset))
        return np.asarray(total / len(examples))

    # Notes need all three: shifts found first for the segments, then the onsets, then all again.
    onset, frame, offset = 0.0, 1.0, 0.0
    for _ in range(2):
        frame = maximise(lambda x, o=onset, e=offset: reached(o, x, e)[1:].sum(), -2.0, 4.0)  # type: ignore[misc]
        if keyed:
            offset = maximise(lambda x, o=onset, f=frame: reached(o, f, x)[1:].sum(), -3.0, 3.0)  # type: ignore[misc]
        onset = maximise(lambda x, f=frame, e=offset: reached(x, f, e)[0], -3.0, 3.0)  # type: ignore[misc]
    found = reached(onset, frame, offset)
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


def take_shifts(weights: Path, out: Path, other: Path) -> Checkpoint:
    """Write weights with the shifts of another network, which they go on from.

    A training that hardly moves the posteriors leaves the thresholds where people know them.

    Raises
    ------
    ModelError
        If `other` is not calibrated.
    """
    net, checkpoint = load_checkpoint(weights)
    known = read_checkpoint(other)
    if not known.calibrated:
        raise ModelError(f"{other.name} has no shifts to take: 'amtsep calibrate {other.name} --bank DIR' finds them.")
    calibrated = replace(
        checkpoint,
        onset_shift=known.onset_shift,
        frame_shift=known.frame_shift,
        offset_shift=known.offset_shift,
        info={**checkpoint.info, "calibration": {"shifts_of": sha256(other)}},
    )
    save_checkpoint(out, net, calibrated)
    return calibrated
