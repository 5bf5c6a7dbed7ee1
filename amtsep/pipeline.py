"""The stages put together: a file to notes, a file to tracks."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio, from_samples, load_audio
from amtsep.config import Clustering, Decoding, Progress
from amtsep.decoding import decode, decode_drums, embed_notes
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors

Source = str | os.PathLike[str] | bytes | BinaryIO | Audio | NDArray[Any]


def audio_of(source: Source, sample_rate: int | None = None, stereo: bool = False) -> Audio:
    """The recording that `source` is: a path, bytes, a file object, `Audio`, or an array with its `sample_rate`.

    With `stereo` it is measured how two channels share what is heard, unless `source` is `Audio` already.

    Raises
    ------
    AudioError
        If the recording cannot be read, or the array is none.
    TypeError
        If an array comes without its sample rate, or anything else with one.
    """
    if isinstance(source, np.ndarray):
        if sample_rate is None:
            raise TypeError("Samples come with their rate: transcribe(samples, sample_rate=44100).")
        return from_samples(source, sample_rate, stereo=stereo)
    if sample_rate is not None:
        raise TypeError("sample_rate goes with an array of samples; files say theirs.")
    return source if isinstance(source, Audio) else load_audio(source, stereo=stereo)


def to_posteriors(
    source: Source,
    model: str | os.PathLike[str] = "light",
    device: str = "auto",
    progress: Progress | None = None,
    sample_rate: int | None = None,
    drums: bool = False,
    timbre: bool = True,
) -> Posteriors:
    """The slow half: read a recording and run the network, and the one that hears drums where that is asked for.

    Without `timbre` there is no embedding, and no image of a stereo recording, which is less work.
    """
    transcriber = Transcriber(model, device, timbre=timbre)
    return transcriber(audio_of(source, sample_rate, timbre), progress, drums=drums)


def transcribe(
    source: Source,
    decoding: Decoding | None = None,
    model: str | os.PathLike[str] = "light",
    device: str = "auto",
    progress: Progress | None = None,
    drums: str = "off",
    *,
    sample_rate: int | None = None,
    **thresholds: Any,
) -> Notes:
    """Notes of a recording, all on one track.

    Parameters
    ----------
    source
        A path, bytes, a file object, `Audio`, or an array of samples, (n,) or (n, channels), with `sample_rate`.
    decoding
        Thresholds; single ones can be given by name instead, e.g. ``onset_threshold=0.4``.
    model, device
        See `Transcriber`.
    progress
        Called with seconds done, seconds in all, and what is being done; may return ``False`` to cancel.
    drums
        Whether drum strokes become a track of their own: "on", "off", or "auto" where there are any.
    sample_rate
        Samples a second of an array.

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
    audio = audio_of(source, sample_rate)
    posteriors = to_posteriors(audio, model, device, progress, drums=_listens(drums), timbre=False)
    return _joined(decode(posteriors, settings), posteriors, drums)


def separate(
    source: Source,
    timbres: int | str | None = None,
    decoding: Decoding | None = None,
    model: str | os.PathLike[str] = "base",
    device: str = "auto",
    progress: Progress | None = None,
    drums: str = "off",
    *,
    sample_rate: int | None = None,
    **thresholds: Any,
) -> Notes:
    """Notes of a recording, one track a timbre.

    Parameters
    ----------
    timbres
        How many; estimated where it is left out or "auto".
    source, decoding, model, device, progress, drums, sample_rate
        As in `transcribe`.
    """
    from amtsep.clustering import cluster

    if isinstance(timbres, str) and timbres != "auto":
        raise ValueError(f"timbres is a number or 'auto', not {timbres!r}.")
    clustering = Clustering(timbres=None if isinstance(timbres, str) else timbres)
    settings = replace(decoding or Decoding(), **thresholds)
    audio = audio_of(source, sample_rate, stereo=True)
    posteriors = to_posteriors(audio, model, device, progress, drums=_listens(drums))
    notes = embed_notes(decode(posteriors, settings), posteriors)
    return _joined(cluster(notes, clustering), posteriors, drums)


def _joined(notes: Notes, posteriors: Posteriors, when: str) -> Notes:
    strokes = decode_drums(posteriors, when)
    return notes.joined(strokes)[0] if len(strokes) else notes


def _listens(when: str) -> bool:
    if when not in ("auto", "on", "off"):
        raise ValueError(f"drums is 'auto', 'on' or 'off', not {when!r}.")
    return when != "off"
