"""Data sets with a sound file a part: Bach10, URMP, PHENICX-Anechoic, Slakh, and one's own folders of stems."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from amtsep.errors import DataError
from amtsep.evaluation.readers.base import (
    AUDIO_SUFFIXES,
    Ensemble,
    Part,
    existing_root,
    find_audio,
    notes_of,
    read_columns,
    split_of,
)
from amtsep.evaluation.readers.midi import midi_notes
from amtsep.notes import Notes
from amtsep.pitch import pitch_number

BACH10_PARTS = (("violin", 40), ("clarinet", 71), ("saxophone", 65), ("bassoon", 70))
"""Soprano, alto, tenor, bass: the order of the cells of GTNotes, with General MIDI programs."""
# A frame of Bach10's annotation is 46 ms long and the next starts 10 ms later; frame 1 is centred on 23 ms.
BACH10_ONSET_S = 0.008
BACH10_OFFSET_S = 0.018
BACH10_HOP_S = 0.010

URMP_PROGRAMS = {
    "vn": 40, "va": 41, "vc": 42, "db": 43, "fl": 73, "ob": 68, "cl": 71, "sax": 65, "bn": 70, "tpt": 56, "hn": 60,
    "tbn": 57, "tba": 58,
}  # fmt: skip
PHENICX_PROGRAMS = {
    "violin": 40, "viola": 41, "cello": 42, "doublebass": 43, "flute": 73, "oboe": 68, "clarinet": 71, "bassoon": 70,
    "horn": 60, "trumpet": 56,
}  # fmt: skip


def bach10(root: str | Path, hint: str = "") -> list[Ensemble]:
    """Bach10 (Duan et al. 2010): ten chorales, violin, clarinet, saxophone and bassoon.

    A note of ``GTNotes`` is a matrix (frame numbers from 1; MIDI pitch with cents). Frames are 10 ms apart, 46 ms long,
    the first centred on 23 ms: onset = 10 n_first + 8 ms, offset = 10 n_last + 18 ms. The pitch of a note is the mean
    of its frames, rounded.
    """
    from scipy.io import loadmat

    folder = existing_root(root, "Bach10", hint)
    pieces = []
    for truth in sorted(folder.rglob("*-GTNotes.mat")):
        name = truth.name[: -len("-GTNotes.mat")]
        cells = loadmat(truth)["GTNotes"].reshape(-1)
        if len(cells) != len(BACH10_PARTS):
            raise DataError(f"{truth.name} holds {len(cells)} parts instead of 4; fetch Bach10 again.")
        parts = []
        for (instrument, program), cell in zip(BACH10_PARTS, cells, strict=True):
            # The data set's own files spell it "saxphone".
            sound = find_audio(truth.parent, f"{name}-{instrument}") or find_audio(
                truth.parent, f"{name}-{instrument.replace('saxo', 'sax')}"
            )
            if sound is None:
                raise DataError(f"{name}-{instrument} has no sound file beside {truth.name}; fetch Bach10 again.")
            notes = [np.asarray(note, np.float64) for note in cell.reshape(-1) if np.size(note)]
            table = notes_of(
                [BACH10_HOP_S * note[0, 0] + BACH10_ONSET_S for note in notes],
                [BACH10_HOP_S * note[0, -1] + BACH10_OFFSET_S for note in notes],
                [float(note[1].mean()) for note in notes],
            )
            parts.append(Part(instrument, (sound,), table, program))
        pieces.append(Ensemble(name, tuple(parts), split_of(truth, folder)))
    return pieces


def urmp(root: str | Path, hint: str = "") -> list[Ensemble]:
    """URMP (Li et al. 2018): 44 pieces; ``AuSep_n_inst_NN_Piece.wav`` and ``Notes_n_inst_NN_Piece.txt`` (s, Hz, s)."""
    folder = existing_root(root, "URMP", hint)
    pieces: dict[Path, list[Part]] = {}
    for path in sorted(folder.rglob("Notes_*.txt")):
        _, number, code, rest = path.stem.split("_", 3)
        sound = find_audio(path.parent, f"AuSep_{number}_{code}_{rest}")
        if sound is None:
            raise DataError(f"{path.name} has no AuSep sound file beside it; fetch URMP again.")
        rows = np.array([[float(cell) for cell in row[:3]] for row in read_columns(path)]).reshape(-1, 3)
        rows = rows[rows[:, 1] > 0]
        table = notes_of(rows[:, 0], rows[:, 0] + rows[:, 2], 69.0 + 12.0 * np.log2(rows[:, 1] / 440.0))
        pieces.setdefault(path.parent, []).append(Part(f"{number} {code}", (sound,), table, URMP_PROGRAMS.get(code, 0)))
    return [
        Ensemble(
            place.name, tuple(sorted(parts, key=lambda part: int(part.name.split()[0]))), split_of(place / "x", folder)
        )
        for place, parts in sorted(pieces.items())
    ]


def phenicx(root: str | Path, hint: str = "") -> list[Ensemble]:
    """PHENICX-Anechoic (Miron et al. 2016): four orchestral passages, a part an instrument (its desks are summed).

    ``annotations/<piece>/<instrument>.txt`` (onset, offset, note name; the ``_o`` files are the unaligned score) and
    ``audio/<piece>/<instrument><n>.wav``.
    """
    folder = existing_root(root, "PHENICX-Anechoic", hint)
    pieces = []
    for place in sorted(path for path in folder.rglob("annotations/*") if path.is_dir()):
        sounds = place.parent.parent / "audio" / place.name
        parts = []
        for text in sorted(place.glob("*.txt")):
            instrument = text.stem
            if instrument not in PHENICX_PROGRAMS:
                continue
            desks = tuple(
                sound
                for sound in sorted(sounds.glob(f"{instrument}*"))
                if sound.suffix.lower() in AUDIO_SUFFIXES and re.fullmatch(rf"{instrument}\d*", sound.stem)
            )
            if not desks:
                raise DataError(
                    f"{place.name}/{instrument} has no sound file in {sounds}; fetch PHENICX-Anechoic again."
                )
            rows = read_columns(text, ",")
            table = notes_of(
                [float(row[0]) for row in rows], [float(row[1]) for row in rows], [pitch_number(row[2]) for row in rows]
            )
            parts.append(Part(instrument, desks, table, PHENICX_PROGRAMS[instrument]))
        if parts:
            pieces.append(Ensemble(place.name, tuple(parts), split_of(place / "x", folder)))
    return pieces


def slakh(root: str | Path, hint: str = "") -> list[Ensemble]:
    """Slakh2100 and BabySlakh (Manilow et al. 2019): the pitched stems that have both sound and MIDI, no drums.

    ``TrackNNNNN/metadata.yaml``, ``stems/Sxx.*`` and ``MIDI/Sxx.mid`` (or both beside the metadata). Notes end where
    their MIDI notes end; the sustain pedal is not applied. Stems without a note are left out.
    """
    import yaml

    folder = existing_root(root, "Slakh", hint)
    pieces = []
    for file in sorted(folder.rglob("metadata.yaml")):
        track = file.parent
        metadata = yaml.safe_load(file.read_text(encoding="utf-8"))
        parts = []
        for stem, facts in sorted(metadata.get("stems", {}).items()):
            sound = find_audio(track / "stems", stem) or find_audio(track, stem)
            midi = next((m for m in (track / "MIDI" / f"{stem}.mid", track / f"{stem}.mid") if m.is_file()), None)
            if facts.get("is_drum") or sound is None or midi is None:
                continue
            notes = midi_notes(midi)
            if len(notes):
                name = f"{stem} {facts.get('midi_program_name', facts.get('inst_class', ''))}".strip()
                parts.append(Part(name, (sound,), notes, int(facts.get("program_num", 0)) % 128))
        if parts:
            pieces.append(Ensemble(track.name, tuple(parts), split_of(file, folder)))
    return pieces


def stems(root: str | Path, hint: str = "") -> list[Ensemble]:
    """One's own stems: a folder a piece, in it a sound and a MIDI file of one name for each part."""
    folder = existing_root(root, "stems", hint)
    pieces = []
    for place in sorted({path.parent for path in folder.rglob("*.[mM][iI][dD]*")}):
        parts = []
        for midi in sorted(p for p in place.iterdir() if p.suffix.lower() in (".mid", ".midi")):
            sound = find_audio(place, midi.stem)
            notes = midi_notes(midi) if sound else Notes.empty()
            if sound is not None and len(notes):
                parts.append(Part(midi.stem, (sound,), notes, notes.tracks[0].program))
        if parts:
            name = place.relative_to(folder).as_posix()
            pieces.append(
                Ensemble(folder.resolve().name if name == "." else name, tuple(parts), split_of(place / "x", folder))
            )
    return pieces
