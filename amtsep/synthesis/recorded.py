"""One's own recordings as stems: a folder of sound files, each with its notes in a MIDI file of the same name.

Each recording is of one instrument alone. A folder inside the one given names the instrument, as with `--samples`;
files that lie in the folder itself belong to one instrument with the folder's name. What is known of the sound (its
family) comes from the program in the MIDI file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import load_audio
from amtsep.errors import DataError
from amtsep.formats import read_midi
from amtsep.synthesis.bank import Bank, BankWriter, Stem
from amtsep.synthesis.generate import bank_notes, level
from amtsep.synthesis.guard import refuse, refuse_split
from amtsep.synthesis.guitarset import cut
from amtsep.synthesis.instruments import general_midi
from amtsep.synthesis.scores import SCORE_DTYPE

SOUNDS = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif"})
SOURCE = "recordings"
"""`Stem.source` of one's own recordings."""
FEWEST = 3
"""Notes of a clip that is kept."""


Clip = tuple[NDArray[np.int16], NDArray[np.void], Stem]


def pairs(root: Path) -> list[tuple[Path, Path]]:
    """Sound and MIDI files of one name under `root`, sorted; raises `DataError` where there are none."""
    refuse_split(root, "recordings")
    found = []
    for sound in sorted(p for p in root.rglob("*") if p.suffix.lower() in SOUNDS):
        midi = next((m for m in (sound.with_suffix(e) for e in (".mid", ".midi", ".MID")) if m.is_file()), None)
        if midi is not None:
            refuse(sound, "a recording")
            found.append((sound, midi))
    if not found:
        raise DataError(
            f"{root} holds no sound file with a MIDI file of the same name beside it; give a folder of such pairs."
        )
    return found


def stems_of(sound: Path, midi: Path, root: Path, clip_s: float, rate: int, level_db: float) -> list[Clip]:
    """Clips of one recording: samples (int16), notes (`amtsep.synthesis.bank.NOTE_DTYPE`), what it is (`Stem`)."""
    audio, notes = load_audio(sound), read_midi(midi)
    if not len(notes):
        raise DataError(f"{midi} holds no notes; give the notes of {sound.name}, or take it away.")
    if audio.sample_rate != rate:
        raise DataError(f"Banks are made at {audio.sample_rate} Hz, not {rate}.")
    table = np.zeros(len(notes), SCORE_DTYPE)
    for name in ("onset", "offset", "pitch", "velocity"):
        table[name] = getattr(notes, name)
    program = int(np.bincount([notes.tracks[t].program for t in notes.track]).argmax())
    instrument = general_midi()[min(program, len(general_midi()) - 1)]
    inside = sound.relative_to(root).parts
    timbre = f"{SOURCE}:{inside[0] if len(inside) > 1 else root.resolve().name}"
    out = []
    for number, (part, rows) in enumerate(cut(audio.samples[:], table, clip_s, rate, FEWEST)):
        whole = level(part, rate, level_db)
        if whole is None:
            continue
        stem = Stem(
            timbre, instrument.family, instrument.category, SOURCE, program, "music",
            f"{SOURCE}/{sound.stem}@{number}", 0, "train", False,
        )  # fmt: skip
        out.append((whole, bank_notes(rows), stem))
    return out


def bank_of_recordings(
    out: Path, folders: Iterable[Path], clip_s: float, sample_rate: int, level_db: float, seed: int = 0
) -> Bank:
    """A bank of all pairs of sound and MIDI under `folders`.

    Raises
    ------
    DataError
        If there are none, if one has no notes, or if they belong to evaluation data (see `amtsep.synthesis.guard`).
    """
    found = [(sound, midi, root) for root in folders for sound, midi in pairs(root)]
    with BankWriter(out, sample_rate, int(round(clip_s * sample_rate)), seed) as writer:
        for sound, midi, root in found:
            for audio, notes, stem in stems_of(sound, midi, root, clip_s, sample_rate, level_db):
                writer.append(audio, notes, stem)
        if not len(writer):
            raise DataError(f"The recordings hold no clip of {clip_s:g} s with {FEWEST} notes; no bank was written.")
    return Bank.open(out)
