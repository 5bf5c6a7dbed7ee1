"""Generation: text to music, longer than a window too, led by a melody of our own transcription where the network can.

Beyond a window the codes of the last seconds are given to the next one as its beginning: they are passed on as codes,
never decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amtsep.audio import Audio, from_samples
from amtsep.errors import Cancelled, DataError, ModelError
from amtsep.notes import Notes
from amtsep.studio.config import SampleSettings
from amtsep.studio.musicgen import Network

CHROMA_HOP = 4096 / 32_000
"""Seconds a step of the melody, as the published melody network has it."""
PITCH_CLASSES = 12
Progress = Callable[[float, float], object]
"""Called at every step of the network with seconds done and seconds in all; ``False`` ends the work."""


def read_melody(path: Path) -> Notes:
    """Notes of a MIDI file, or what we hear in a recording."""
    from amtsep.pipeline import transcribe

    return Notes.from_midi(path) if path.suffix.lower() in (".mid", ".midi") else transcribe(path)


def melody_chroma(notes: Notes, start_s: float, seconds: float, hop_s: float = CHROMA_HOP) -> NDArray[np.float32]:
    """The melody as the network takes it: (steps, 12), a one at the pitch class of the highest note that sounds.

    Rests hold the note before them (at the start, the first to come), as the network knows no silence there.

    Raises
    ------
    DataError
        If there are no notes.
    """
    pitched = notes.select(~np.array([notes.tracks[t].drums for t in notes.track], bool))
    if not len(pitched):
        raise DataError("There is no melody: no notes were found in that recording.")
    steps = max(round(seconds / hop_s), 1)
    times = start_s + (np.arange(steps) + 0.5) * hop_s
    top = np.full(steps, -1)
    for onset, offset, pitch in zip(pitched.onset, pitched.offset, pitched.pitch):
        inside = slice(*np.searchsorted(times, [onset, offset]))
        top[inside] = np.maximum(top[inside], pitch)
    known = np.flatnonzero(top >= 0)
    if len(known):
        before = known[np.clip(np.searchsorted(known, np.arange(steps), side="right") - 1, 0, None)]
        top = top[before]
    else:
        top[:] = pitched.pitch[int(np.argmin(np.abs(pitched.onset - start_s)))]
    out = np.zeros((steps, PITCH_CLASSES), np.float32)
    out[np.arange(steps), top % PITCH_CLASSES] = 1.0
    return out


def generate(
    network: Network,
    prompt: str,
    settings: SampleSettings = SampleSettings(),  # noqa: B008 - frozen
    melody: Notes | None = None,
    progress: Progress | None = None,
) -> Audio:
    """Music for a text; the same seed gives the same.

    Parameters
    ----------
    melody
        Notes to follow, for a melody network.

    Raises
    ------
    ModelError
        If the network takes no melody, and one is given.
    Cancelled
        If `progress` asked for an end.
    """
    codes = generate_codes(network, prompt, settings, melody, progress)
    with torch.no_grad():
        sound = network.model.audio_encoder.decode(codes[None, None], [None]).audio_values[0, 0]
    return from_samples(sound.cpu().numpy(), network.sample_rate, "generated", target_rate=network.sample_rate)


def generate_codes(
    network: Network,
    prompt: str,
    settings: SampleSettings,
    melody: Notes | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Codes (codebooks, steps) of `generate`."""
    if melody is not None and not network.takes_melody:
        raise ModelError(f"{network.name} takes no melody; name a melody checkpoint, such as facebook/musicgen-melody.")
    if not 0 <= settings.overlap_s < settings.window_s:
        raise DataError("The overlap must be shorter than the window.")
    rate, streams = network.frame_rate, network.codebooks
    total = max(round(settings.seconds * rate), streams)
    window, overlap = max(round(settings.window_s * rate), 2 * streams), round(settings.overlap_s * rate)
    tokens, mask = network.tokens([prompt])
    device = next(network.model.parameters()).device
    codes = torch.zeros((streams, 0), dtype=torch.int64)
    number = 0
    while codes.shape[1] < total:
        head = codes[:, max(codes.shape[1] - overlap, 0) :]
        # A last window has room for the delay of the streams at least.
        length = min(window, head.shape[1] + max(total - codes.shape[1], streams))
        given: dict[str, Any] = {"input_ids": tokens.to(device), "attention_mask": mask.to(device)}
        if head.shape[1]:
            given["decoder_input_ids"] = head.to(device)
        if melody is not None:
            start = (codes.shape[1] - head.shape[1]) / rate
            chroma = melody_chroma(melody, start, length / rate)
            given["input_features"] = torch.from_numpy(chroma)[None].to(device)
        torch.manual_seed(settings.seed * 1_000 + number)
        with _captured(network.model) as made:
            network.model.generate(
                **given, do_sample=True, temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p,
                guidance_scale=settings.guidance, max_length=length + streams,
                stopping_criteria=_watched(progress, codes.shape[1], head.shape[1], streams, total, rate),
            )  # fmt: skip
        fresh = made[0].reshape(streams, -1).cpu()[:, head.shape[1] :]
        if not fresh.shape[1]:
            raise ModelError(f"{network.name} made nothing; give a longer window or a shorter overlap.")
        codes = torch.cat([codes, fresh], dim=1)
        number += 1
    return codes[:, :total]


def _watched(progress: Progress | None, before: int, head: int, streams: int, total: int, rate: float) -> Any:
    """What ``generate`` asks after every step whether to stop: the place to tell how far it is."""
    from transformers import StoppingCriteriaList

    def told(codes: Tensor, *_: Any, **__: Any) -> Tensor:
        # A step is whole when the last stream has come to it.
        done = min(before + max(codes.shape[1] - head - streams, 0), total)
        if progress is not None and progress(done / rate, total / rate) is False:
            raise Cancelled
        return torch.zeros(len(codes), dtype=torch.bool, device=codes.device)

    return StoppingCriteriaList([told])


@contextmanager
def _captured(model: Any) -> Iterator[list[Tensor]]:
    """What a model's ``generate`` passes to its codec: it gives sound only, and we want to go on from the codes."""
    made: list[Tensor] = []

    def decode(codes: Tensor, *rest: Any, **named: Any) -> SimpleNamespace:
        made.append(codes.detach())
        return SimpleNamespace(audio_values=torch.zeros(1, 1, 1))

    model.audio_encoder.decode = decode
    try:
        yield made
    finally:
        del model.audio_encoder.decode
