"""A recording to notes with a sequence network: what the trunk hears chunk by chunk, then tokens segment by segment."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from amtsep.audio import Recording
from amtsep.config import Progress
from amtsep.decoding import with_velocities
from amtsep.errors import Cancelled, ModelError
from amtsep.inference import Arrays, Transcriber
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.sequence.checkpoint import load_sequence
from amtsep.sequence.network import Encoded, SequenceNet, greedy
from amtsep.sequence.segments import join
from amtsep.sequence.tokens import Tokens

SEGMENTS = 32
"""Decoded at once: a step costs nearly as much for one as for all of them."""


class SequenceEngine:
    """The frozen trunk, which makes the posteriors of its own network on the way."""

    def __init__(self, net: SequenceNet, device: torch.device) -> None:
        self.trunk, self.device = net.trunk, device
        ears = net.trunk.ears
        # The posteriors are those of the trunk's network, whatever is made of its features.
        self.name, self.halo, self.front_end = ears.net.network.name, ears.halo, ears.net.front_end
        self.sample_rate, self.at_once = self.front_end.sample_rate, 1

    def __call__(self, samples: NDArray[np.float32]) -> Arrays:
        """Run one chunk: posteriors, and ``features`` (88, T, C)."""
        with torch.inference_mode():
            listened = self.trunk(torch.from_numpy(samples)[None].to(self.device))
            shifts: torch.Tensor = self.trunk.ears.shifts  # type: ignore[assignment]
            found = {
                "onset": torch.sigmoid(listened.heard.onset + shifts[0]),
                "frame": torch.sigmoid(listened.heard.frame + shifts[1]),
                "level": listened.level,
                "features": listened.features.permute(0, 2, 3, 1),
            }
            if listened.heard.embedding is not None:
                found["embedding"] = listened.heard.embedding.permute(0, 2, 3, 1)
            if listened.heard.offset is not None:
                found["offset"] = torch.sigmoid(listened.heard.offset + shifts[2])
            return {name: value[0].float().cpu().numpy() for name, value in found.items()}


class SequenceTranscriber:
    """Run a sequence network over recordings.

    Parameters
    ----------
    model
        Path of its weights.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    threads
        Of torch on the processor; as torch has it by default.
    cached
        Whether the decoder keeps keys and values from token to token; ``False`` is for measurements.

    Raises
    ------
    ModelError
        If the file is no such network, or the device not there.
    """

    def __init__(
        self, model: str | os.PathLike[str], device: str = "auto", threads: int | None = None, cached: bool = True
    ) -> None:
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        if device != "auto" and not there.get(device, False):
            raise ModelError(f"Device '{device}' is not available on this machine; leave out --device or use cpu.")
        chosen = next(name for name, here in there.items() if here) if device == "auto" else device
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = torch.device(chosen)
        self.net, self.info = load_sequence(Path(model))
        self.net.to(self.device)
        self.transcriber = Transcriber(engine=SequenceEngine(self.net, self.device), threads=threads)
        self.cached = cached
        self.tokens = 0
        """Said of the last recording."""

    def __call__(
        self, audio: Recording, progress: Progress | None = None, lean: bool = False, drums: bool = False
    ) -> tuple[Posteriors, Notes]:
        """Posteriors of the trunk's own network, and the notes that were written: a track a voice.

        Parameters
        ----------
        audio, progress, lean, drums
            See `amtsep.inference.Transcriber`.

        Raises
        ------
        Cancelled
            If `progress` returns ``False``.
        """
        vocabulary = self.net.vocabulary
        count = max(math.ceil(audio.duration_s / vocabulary.segment_s), 1)
        said: list[Tokens] = []

        def write(encoded: Encoded) -> None:
            said.extend(greedy(self.net, encoded, self.cached))
            done = min(len(said) * vocabulary.segment_s, audio.duration_s)
            if progress is not None and progress(done, audio.duration_s, "Writing notes") is False:
                raise Cancelled("The transcription was cancelled.")

        segments = _Segments(self.net, self.device, count, write)
        posteriors = self.transcriber(audio, progress, lean, drums, segments.take)
        segments.finish()
        self.tokens = sum(map(len, said))
        notes = _until(join(said, vocabulary, posteriors), audio.duration_s)
        # Where tokens say only that a note begins, how loud it is can still be heard.
        return posteriors, with_velocities(notes, posteriors) if vocabulary.velocities == 1 else notes


class _Segments:
    """Encodes each segment as soon as its frames are there, and hands batches of them on; keeps no more than that."""

    def __init__(self, net: SequenceNet, device: torch.device, count: int, write: Callable[[Encoded], None]) -> None:
        self.net, self.device, self.count, self.write = net, device, count, write
        self.encoded: list[Encoded] = []
        self.index = 0
        self.first = 0
        self.frames: NDArray[np.float32] | None = None
        self.hop_s = net.hop_s

    def take(self, first: int, heard: Arrays, hop_s: float) -> None:
        """The next frames, (88, T, C)."""
        new = heard["features"]
        self.frames = new if self.frames is None else np.concatenate([self.frames, new], axis=1)
        self.hop_s = hop_s
        # The last step of a segment lies between two frames.
        while self.frames.shape[1] + self.first > self._end(self.index) and self.index < self.count:
            self._encode()

    def finish(self) -> None:
        """What is left when the frames have ended; after them the last one goes on."""
        while self.index < self.count:
            self._encode()

    def _end(self, index: int) -> int:
        return math.ceil((index + 1) * self.net.vocabulary.segment_s / self.hop_s) + 1

    def _encode(self) -> None:
        assert self.frames is not None
        start_s = self.index * self.net.vocabulary.segment_s
        low = min(max(int(start_s / self.hop_s) - 1 - self.first, 0), self.frames.shape[1] - 1)
        part = self.frames[:, low : self._end(self.index) - self.first]
        features = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))[None].to(self.device)
        begin = torch.tensor([[start_s - (self.first + low) * self.hop_s]], device=self.device)
        with torch.inference_mode():
            self.encoded.append(self.net.encode(features, begin, self.hop_s))
        self.frames, self.first = self.frames[:, low:], self.first + low
        self.index += 1
        if len(self.encoded) == SEGMENTS or self.index == self.count:
            encoded, self.encoded = Encoded.joined(self.encoded), []
            self.write(encoded)


def _until(notes: Notes, end_s: float) -> Notes:
    """Notes that begin before the recording ends, none of them longer than it."""
    inside = notes.select(notes.onset < end_s)
    offset = np.maximum(np.minimum(inside.offset, end_s), inside.onset + 1e-3)
    return Notes.build(inside.onset, offset, inside.pitch, inside.velocity, inside.confidence, inside.track,
                       inside.embedding, inside.tracks)  # fmt: skip
