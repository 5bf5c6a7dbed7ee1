"""What we hear ourselves in a clip: our transcription, summed up in a few numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from amtsep.audio import Audio
from amtsep.config import Clustering, Decoding
from amtsep.notes import Notes
from amtsep.studio.captions import REGISTERS, Heard

if TYPE_CHECKING:
    from amtsep.inference import Transcriber

FEWEST = 8
"""Notes that a tempo and a key need."""
LEAST_OF_TIMBRE = 2
"""Notes of a timbre that counts: a lone note is more often a stray one than an instrument."""
EDGES = (45, 57, 72)
"""MIDI pitches at which the registers of `REGISTERS` begin, after the first: A2, A3, C5."""


@lru_cache(1)
def _transcriber(model: str, threads: int | None) -> Transcriber:
    from amtsep.inference import Transcriber

    return Transcriber(model, threads=threads)


def hear(audio: Audio, model: str, threads: int | None = None) -> Heard:
    """Transcribe a clip and describe it (`describe`); a network without timbres leaves their number open."""
    from amtsep.clustering import cluster
    from amtsep.decoding import decode, embed_notes

    posteriors = _transcriber(model, threads)(audio)
    notes = decode(posteriors, Decoding())
    told_apart = posteriors.embedding is not None
    if told_apart and len(notes):
        notes = cluster(embed_notes(notes, posteriors), Clustering(timbres=None))
    return describe(notes, audio.duration_s, told_apart)


def describe(notes: Notes, duration_s: float, told_apart: bool = True) -> Heard:
    """Tempo, key, timbres, registers and density of notes.

    Parameters
    ----------
    notes
        With a track a timbre.
    duration_s
        Of what they were heard in.
    told_apart
        Whether the tracks are timbres.
    """
    from amtsep.rhythm.key import find_key
    from amtsep.rhythm.tracking import track_beats

    density = round(len(notes) / duration_s, 2) if duration_s > 0 else 0.0
    if not len(notes):
        return Heard(density=density)
    own = [part for _, part in notes.by_track() if len(part) >= min(LEAST_OF_TIMBRE, len(notes))]
    found = {int(np.searchsorted(EDGES, np.median(part.pitch), side="right")) for part in own}
    registers = tuple(REGISTERS[i] for i in sorted(found))
    timbres = len(own) if told_apart else None
    if len(notes) < FEWEST:
        return Heard(timbres=timbres, registers=registers, density=density)
    tempo = track_beats(notes).tempo
    key, minor = find_key(notes)
    return Heard(round(tempo, 1) if tempo > 0 else None, key, minor, timbres, registers, density)
