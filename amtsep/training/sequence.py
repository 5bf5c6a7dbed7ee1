"""Training of sequence networks: clips of several sources to segments and their tokens, losses, development figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from amtsep.config import SEQUENCES, FrontEnd, Mixing, SequenceNetwork, Training
from amtsep.drums import CLASS_KEYS
from amtsep.errors import DataError, ModelError
from amtsep.evaluation.metrics import evaluate_agnostic, mean
from amtsep.evaluation.readers import Recording, recordings
from amtsep.inference import find_model
from amtsep.loudness import condition
from amtsep.nets.checkpoint import load_end_to_end
from amtsep.notes import Notes, Track
from amtsep.sequence.network import SequenceNet, Trunk, greedy, sequence_loss
from amtsep.sequence.segments import cut, join
from amtsep.sequence.tokens import Tokens, Vocabulary
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.guard import refuse, refuse_recording
from amtsep.synthesis.guitarset import DOUBTFUL
from amtsep.synthesis.mixing import Clip, LeaveOut, Mixer
from amtsep.training.data import Tensors, batch_numbers
from amtsep.training.development import Figures

LEAD_S = 30.0
"""Added to the times of a clip's notes, some of which begin before it."""
MIN_STROKE_S = 0.01
PROGRAM_OF_FAMILY: dict[str, int] = {
    "piano": 0, "electric-piano": 4, "clavinet": 7, "glockenspiel": 9, "xylophone": 13, "organ": 19, "reed-organ": 20,
    "accordion": 21, "guitar": 24, "electric-guitar": 27, "double-bass": 32, "electric-bass": 33, "violin": 40,
    "viola": 41, "cello": 42, "pizzicato": 45, "harp": 46, "strings": 48, "choir": 52, "soprano-voice": 53,
    "alto-voice": 53, "tenor-voice": 53, "bass-voice": 53, "trumpet": 56, "trombone": 57, "tuba": 58,
    "french-horn": 60, "saxophone": 66, "oboe": 68, "english-horn": 69, "bassoon": 70, "contrabassoon": 70,
    "clarinet": 71, "bass-clarinet": 71, "flute": 73, "pan-flute": 75, "sitar": 104, "banjo": 105, "shanai": 111,
}  # fmt: skip
"""General MIDI program of recorded instruments, which carry none. Families that are not here (synthesizers' patches,
made-up timbres) have no name to learn: a network of programs never hears them."""


class Source(Protocol):
    """Where clips come from; clip ``i`` is always the same."""

    seconds: float
    """Of all its material."""

    def clip(self, index: int) -> tuple[NDArray[np.float32], Notes]:
        """Samples as the network wants them, and notes `LEAD_S` late, a track a part."""


class BankSource:
    """Mixes of a bank's stems."""

    def __init__(self, folder: Path, mixing: Mixing, front_end: FrontEnd, vocabulary: str, seed: int, split: str,
                 leave_out: LeaveOut = LeaveOut(), timbres: int | None = None) -> None:  # fmt: skip  # noqa: B008
        self.bank = Bank.open(folder)
        self.programs: NDArray[np.int64] | None = None
        if vocabulary == "programs":
            nameless = {stem.family for stem in self.bank.stems if program_of(stem.program, stem.family) is None}
            leave_out = replace(leave_out, families=leave_out.families | nameless)
        self.mixer = Mixer(self.bank, mixing, front_end, seed, split, leave_out, timbres)
        if vocabulary == "programs":
            self.programs = np.array([program_of(*pair) or 0 for pair in self.mixer.instruments()])
        self.seconds = self.bank.hours * 3600.0

    def clip(self, index: int) -> tuple[NDArray[np.float32], Notes]:
        """See `Source`."""
        clip = self.mixer.clip(index)
        return clip.audio, notes_of(clip, self.programs)


class ReaderSource:
    """Recordings of a data set that the evaluation reads, its training half alone."""

    def __init__(self, dataset: str, root: Path, clip_samples: int, front_end: FrontEnd, seed: int) -> None:
        refuse(root, "a source to train on")
        every = recordings(dataset, root, split="train")
        found = [recording for recording in every if not any(name in recording.name for name in DOUBTFUL)]
        if not found:
            raise DataError(f"{root} holds no recordings of {dataset}'s training half (a folder 'train').")
        for recording in found:
            refuse_recording(dataset, recording.name, recording.split)
        self.found, self.front_end, self.seed = found, front_end, seed
        self.clip_samples = clip_samples
        self.seconds = sum(recording.reference.end for recording in found)

    def clip(self, index: int) -> tuple[NDArray[np.float32], Notes]:
        """See `Source`."""
        rng = np.random.default_rng([self.seed, 4, index])
        recording: Recording = self.found[int(rng.integers(len(self.found)))]
        samples, rate, n = recording.audio(), self.front_end.sample_rate, self.clip_samples
        start = int(rng.integers(max(len(samples) - n, 0) + 1))
        audio = np.pad(samples[start : start + n], (0, max(n - len(samples), 0)))
        audio = condition(audio, self.front_end)
        if self.front_end.normalisation == "mean":
            audio = audio / np.float32(np.sqrt(np.mean(audio**2)) + 1e-6)
        notes = recording.reference
        shift = LEAD_S - start / rate
        inside = notes.select((notes.offset > start / rate) & (notes.onset < (start + n) / rate))
        onset = np.maximum(inside.onset + shift, 0.0)
        offset = np.maximum(inside.offset + shift, onset + MIN_STROKE_S)
        return audio.astype(np.float32), Notes.build(
            onset, offset, inside.pitch, inside.velocity, track=inside.track, tracks=inside.tracks
        )


def program_of(program: int, family: str) -> int | None:
    """General MIDI's number of an instrument, if it has one."""
    return program if program >= 0 else PROGRAM_OF_FAMILY.get(family)


def notes_of(clip: Clip, programs: NDArray[np.int64] | None = None) -> Notes:
    """Notes of a mix, `LEAD_S` late, a track a part (with its program) and one for the drums."""
    strokes = clip.strokes[clip.strokes[:, 1] >= 0]
    n_parts = len(clip.timbres)
    onset = np.maximum(np.concatenate([clip.notes[:, 0], strokes[:, 0]]) + LEAD_S, 0.0)
    offset = np.concatenate([clip.notes[:, 1], strokes[:, 0]]) + LEAD_S
    keys = np.asarray(CLASS_KEYS)[strokes[:, 1].astype(np.intp)]
    tracks = [Track(f"Timbre {k + 1}", 0 if programs is None else int(programs[t])) for k, t in enumerate(clip.timbres)]
    return Notes.build(
        onset,
        np.maximum(offset, onset + MIN_STROKE_S),
        np.concatenate([clip.notes[:, 2], keys]).astype(np.int16),
        track=np.concatenate([clip.notes[:, 3], np.full(len(strokes), n_parts)]).astype(np.int16),
        tracks=[*tracks, Track("Drums", drums=True)],
    )


def weights_of(sources: Sequence[Source], exponent: float) -> NDArray[np.float64]:
    """How often each source is drawn from: its share of all seconds to the power `exponent`, as in MT3.

    With 1 every second is heard as often; with 0 every source. MT3 took 0.3, so that small data sets are heard.
    """
    shares = np.array([source.seconds for source in sources], np.float64)
    weights = np.asarray((shares / shares.sum()) ** exponent)
    return weights / weights.sum()


@dataclass(frozen=True, eq=False)
class SequenceBatch(Tensors):
    """Tensors of B clips with S segments each.

    Parameters
    ----------
    audio
        (B, N).
    start
        (B, S) int64, samples at which the segments begin.
    tokens
        (B * S, L) int64, a clip's segments one after the other, padded.
    """

    audio: Tensor
    start: Tensor
    tokens: Tensor


def segments_in(clip_s: float, vocabulary: Vocabulary) -> int:
    """Whole segments of a clip; one where it is too short for that."""
    return max(int(clip_s / vocabulary.segment_s), 1)


def padded(rows: Sequence[Tokens], longest: int) -> Tensor:
    """(len(rows), L) int64 with padding behind, L at most `longest`."""
    table = torch.zeros(len(rows), min(max(map(len, rows)), longest), dtype=torch.long)
    for row, tokens in zip(table, rows, strict=True):
        row[: len(tokens)] = torch.from_numpy(tokens[: len(row)].astype(np.int64))
    return table


class SequenceStream(IterableDataset[SequenceBatch]):
    """An endless stream of batches; workers and ranks take every k-th.

    Parameters
    ----------
    bank, others
        Folder of a bank, and (data set, folder) of readers to train on beside it.
    network, settings, front_end
        What is trained, how, and what it hears with.
    first
        Number of the first batch, for resuming.
    rank, world
        This process and how many there are.
    leave_out, timbres
        See `Mixer`.
    """

    def __init__(
        self,
        bank: Path,
        others: Sequence[tuple[str, Path]],
        network: SequenceNetwork,
        settings: Training,
        front_end: FrontEnd,
        first: int = 0,
        rank: int = 0,
        world: int = 1,
        leave_out: LeaveOut = LeaveOut(),  # noqa: B008 - frozen
        timbres: int | None = None,
    ) -> None:
        self.bank, self.others, self.network, self.settings = bank, tuple(others), network, settings
        self.front_end, self.first, self.rank, self.world = front_end, first, rank, world
        self.leave_out, self.timbres = leave_out, timbres

    def __iter__(self) -> Iterator[SequenceBatch]:
        """Yield batches for ever."""
        settings, size = self.settings, self.settings.batch_size
        own = BankSource(
            self.bank, settings.mixing, self.front_end, self.network.vocabulary, settings.seed, "train",
            self.leave_out, self.timbres,
        )  # fmt: skip
        sources: list[Source] = [own]
        for dataset, root in self.others:
            sources.append(ReaderSource(dataset, root, own.mixer.n_samples, self.front_end, settings.seed))
        weights = weights_of(sources, settings.source_exponent)
        for number in batch_numbers(self.first):
            base = (number * self.world + self.rank) * size
            rng = np.random.default_rng([settings.seed, 6, base])
            chosen = rng.choice(len(sources), size, p=weights)
            clips = [sources[int(which)].clip(base + k) for k, which in enumerate(chosen)]
            yield collate(clips, self.network, self.front_end, rng)


def collate(
    clips: Sequence[tuple[NDArray[np.float32], Notes]],
    network: SequenceNetwork,
    front_end: FrontEnd,
    rng: np.random.Generator | None = None,
) -> SequenceBatch:
    """A batch of clips; `rng` draws where the first segment of each begins, without it at the start."""
    vocabulary = Vocabulary(network.vocabulary)
    clip_s = len(clips[0][0]) / front_end.sample_rate
    count = segments_in(clip_s, vocabulary)
    spare = max(clip_s - count * vocabulary.segment_s, 0.0)
    starts, rows = [], []
    for _, notes in clips:
        first = 0.0 if rng is None else float(rng.uniform(0.0, spare))
        start = np.round((first + vocabulary.segment_s * np.arange(count)) * front_end.sample_rate).astype(np.int64)
        starts.append(start)
        rows += [cut(notes, LEAD_S + at / front_end.sample_rate, vocabulary) for at in start]
    return SequenceBatch(
        torch.from_numpy(np.stack([audio for audio, _ in clips])),
        torch.from_numpy(np.stack(starts)),
        padded(rows, network.max_tokens),
    )


def sequence_network_of(settings: Training) -> SequenceNetwork:
    """The sequence network that these settings train."""
    network = SEQUENCES[settings.network]
    return network if settings.vocabulary is None else replace(network, vocabulary=settings.vocabulary)


def build_sequence(settings: Training, init: Path | None = None) -> SequenceNet:
    """A new network on the shipped trunk, or one that goes on from weights of the same shape."""
    network = sequence_network_of(settings)
    net = SequenceNet(network, Trunk(load_end_to_end(find_model(network.trunk, ".safetensors"))))
    if init is not None:
        from amtsep.sequence.checkpoint import load_sequence

        before, _ = load_sequence(init)
        try:
            net.load_state_dict(before.state_dict())
        except RuntimeError as error:
            raise ModelError(f"{init.name} is not of the shape of {network.name}; leave --init out.") from error
        print(f"{init.name}: all weights taken over")
    return net


def sequence_losses(
    net: nn.Module, trunk: Trunk, batch: SequenceBatch, settings: Training, fast: bool
) -> dict[str, Tensor]:
    """``loss`` (cross-entropy with label smoothing) and ``token_accuracy``, under teacher forcing.

    The trunk listens outside of `net`, wrapped or not. It is most of a step; `fast` (in bfloat16) takes half the time.
    """
    logits = net(trunk(batch.audio, fast).features, batch.start, batch.tokens)
    said = batch.tokens > 0
    right = (logits.argmax(dim=2) == batch.tokens) & said
    return {
        "loss": sequence_loss(logits, batch.tokens, settings.label_smoothing),
        "token_accuracy": right.sum() / said.sum(),
    }


class SequenceDevelopment:
    """Transcribes a few clips of the development split, and scores them; slots are not told apart."""

    def __init__(self, folder: Path, settings: Training, net: SequenceNet, device: torch.device) -> None:
        mixing = replace(settings.mixing, augment=False)
        self.front_end = net.trunk.ears.net.front_end
        source = BankSource(folder, mixing, self.front_end, net.network.vocabulary, settings.seed, "dev")
        clips = [source.clip(index) for index in range(settings.dev_clips)]
        batch = collate(clips, net.network, self.front_end)
        self.start_s, self.device = batch.start / self.front_end.sample_rate, device
        length = segments_in(mixing.clip_s, net.vocabulary) * net.vocabulary.segment_s
        self.truth = [_within(notes, min(length, mixing.clip_s)) for _, notes in clips]
        trunk = net.trunk.to(device)
        # The trunk does not change: what it hears is kept, in half precision.
        self.features = [trunk(audio[None].to(device)).features.half().cpu() for audio in batch.audio]

    @torch.no_grad()
    def __call__(self, net: SequenceNet) -> Figures:
        """Means over the clips."""
        net = net.to(self.device).eval()
        figures = []
        for features, start_s, truth in zip(self.features, self.start_s, self.truth, strict=True):
            encoded = net.encode(features.float().to(self.device), start_s[None].to(self.device))
            found = join(greedy(net, encoded), net.vocabulary)
            found = found.select(~np.array([t.drums for t in found.tracks], bool)[found.track])
            scores = evaluate_agnostic(truth, found, self.front_end.hop_s)
            figures.append((scores.onset.f1, scores.onset_offset.f1, scores.frame.f1))
        return Figures(*(mean(column) for column in zip(*figures, strict=True)))


def _within(notes: Notes, length_s: float) -> Notes:
    """Notes of a clip that begin in its first `length_s` seconds, without strokes."""
    onset, drums = notes.onset - LEAD_S, np.array([track.drums for track in notes.tracks], bool)[notes.track]
    chosen = (onset >= 0.0) & (onset < length_s - 0.05) & ~drums
    return Notes.build(
        onset[chosen],
        np.minimum(notes.offset[chosen] - LEAD_S, length_s),
        notes.pitch[chosen],
        track=notes.track[chosen],
        tracks=notes.tracks,
    )
