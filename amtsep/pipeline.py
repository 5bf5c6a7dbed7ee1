"""The stages put together: a file to notes, a file to tracks."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, BinaryIO

from amtsep.audio import Audio, load_audio
from amtsep.config import Clustering, Decoding, FrontEnd, Progress
from amtsep.decoding import decode, embed_notes, strokes_of
from amtsep.inference import Transcriber, hear_drums
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors

Source = str | os.PathLike[str] | bytes | BinaryIO | Audio


def to_posteriors(
    source: Source, model: str | os.PathLike[str] = "light", device: str = "auto", progress: Progress | None = None
) -> Posteriors:
    """The slow half: read a recording and run the network."""
    audio = source if isinstance(source, Audio) else load_audio(source)
    return Transcriber(model, device)(audio, progress)


def transcribe(
    source: Source,
    decoding: Decoding | None = None,
    model: str | os.PathLike[str] = "light",
    device: str = "auto",
    progress: Progress | None = None,
    drums: str = "off",
    **thresholds: Any,
) -> Notes:
    """Notes of a recording, all on one track.

    Parameters
    ----------
    source
        A path, bytes, a file object, or `Audio`.
    decoding
        Thresholds; single ones can be given by name instead, e.g. ``onset_threshold=0.4``.
    model, device
        See `Transcriber`.
    progress
        Called with seconds done, seconds in all, and what is being done; may return ``False`` to cancel.
    drums
        Whether drum strokes become a track of their own: "on", "off", or "auto" where there are any.

    Raises
    ------
    AudioError
        If the recording cannot be read.
    ModelError
        If the model is not there.

    Examples
    --------
    >>> from amtsep import transcribe  # doctest: +SKIP
    >>> transcribe("song.wav", onset_threshold=0.4).to_midi("song.mid")  # doctest: +SKIP
    """
    settings = replace(decoding or Decoding(), **thresholds)
    audio = source if isinstance(source, Audio) else load_audio(source)
    return _with_drums(decode(to_posteriors(audio, model, device, progress), settings), audio, drums)


def separate(
    source: Source,
    timbres: int | None = None,
    decoding: Decoding | None = None,
    model: str | os.PathLike[str] = "base",
    device: str = "auto",
    progress: Progress | None = None,
    drums: str = "off",
    **thresholds: Any,
) -> Notes:
    """Notes of a recording, one track a timbre.

    Parameters
    ----------
    timbres
        How many; estimated where it is left out.
    source, decoding, model, device, progress, drums
        As in `transcribe`.
    """
    from amtsep.clustering import cluster

    settings = replace(decoding or Decoding(), **thresholds)
    audio = source if isinstance(source, Audio) else load_audio(source)
    posteriors = to_posteriors(audio, model, device, progress)
    notes = embed_notes(decode(posteriors, settings), posteriors)
    return _with_drums(cluster(notes, Clustering(timbres=timbres)), audio, drums)


def _with_drums(notes: Notes, audio: Audio, when: str) -> Notes:
    if when not in ("auto", "on", "off"):
        raise ValueError(f"drums is 'auto', 'on' or 'off', not {when!r}.")
    if when == "off":
        return notes
    strokes = strokes_of(hear_drums(audio), FrontEnd().hop_s, when)
    return notes.joined(strokes)[0] if len(strokes) else notes
