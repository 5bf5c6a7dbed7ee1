"""Data sets of whole recordings: GuitarSet, MAPS, MAESTRO, MusicNet, and one's own pairs of sound and MIDI."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from amtsep.errors import DataError
from amtsep.evaluation.readers.base import (
    AUDIO_SUFFIXES,
    Recording,
    existing_root,
    find_audio,
    notes_of,
    read_columns,
    split_of,
    with_track,
)
from amtsep.evaluation.readers.midi import midi_notes
from amtsep.notes import Notes

MUSICNET_RATE = 44100
MUSICNET_NAMES = {
    1: "piano", 7: "harpsichord", 41: "violin", 42: "viola", 43: "cello", 44: "double bass", 61: "horn", 69: "oboe",
    71: "bassoon", 72: "clarinet", 74: "flute",
}  # fmt: skip
"""MusicNet numbers instruments like General MIDI, from 1."""


def guitarset(root: str | Path, hint: str = "") -> list[Recording]:
    """GuitarSet (Xi et al. 2018): solo guitar, from JAMS (``annotation/``, ``audio_mono-mic/``) or from our TSV.

    The six strings are one part; a pitch is rounded to the nearest semitone.
    """
    folder = existing_root(root, "GuitarSet", hint)
    found = _tables(folder, "guitarset", "guitar", 24)
    for path in sorted(folder.rglob("*.jams")):
        sound = None
        for place in (path.parent, *(path.parent.parent / d for d in ("audio_mono-mic", "audio_mono-pickup_mix"))):
            for suffix in ("_mic", "_mix", ""):
                sound = sound or find_audio(place, path.stem + suffix)
        if sound is None:
            raise DataError(f"{path.name} has no sound in audio_mono-mic; fetch GuitarSet's audio_mono-mic.zip.")
        rows: list[tuple[float, float, float]] = []
        for annotation in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            if annotation["namespace"] == "note_midi":
                data = annotation["data"]
                # JAMS writes observations one by one, or (dense) as columns.
                if isinstance(data, dict):
                    rows += list(zip(data["time"], data["duration"], data["value"], strict=True))
                else:
                    rows += [(o["time"], o["duration"], o["value"]) for o in data]
        notes = notes_of([r[0] for r in rows], [r[0] + r[1] for r in rows], [r[2] for r in rows])
        found.append(_one(path.stem, "guitarset", sound, with_track(notes, "guitar", 24), split_of(path, folder)))
    return found


def maps(root: str | Path, hint: str = "") -> list[Recording]:
    """MAPS (Emiya et al. 2010): piano; ``.txt`` (OnsetTime, OffsetTime, MidiPitch), our TSV, or else the MIDI file.

    The published text files hold no velocity; where the MIDI file lies beside them and has the same notes, its
    velocities are taken. A MIDI file alone is read with the sustain pedal.
    """
    folder = existing_root(root, "MAPS", hint)
    found = _tables(folder, "maps", "piano", 0)
    known = {recording.name for recording in found}
    for sound in sorted(
        p for p in folder.rglob("MAPS_*") if p.suffix.lower() in AUDIO_SUFFIXES and p.stem not in known
    ):
        text, midi = sound.with_suffix(".txt"), sound.with_suffix(".mid")
        if text.is_file():
            rows = [row for row in read_columns(text) if row[0][0].isdigit()]
            onset, offset, pitch = ([float(row[i]) for row in rows] for i in range(3))
            notes = notes_of(onset, offset, pitch, _velocities(midi, onset, pitch))
        elif midi.is_file():
            notes = midi_notes(midi, sustain=True)
        else:
            raise DataError(f"{sound.name} has neither .txt nor .mid beside it; fetch MAPS again.")
        found.append(_one(sound.stem, "maps", sound, with_track(notes, "piano"), split_of(sound, folder)))
    return found


def maestro(root: str | Path, hint: str = "", split: str = "") -> list[Recording]:
    """MAESTRO v3 (Hawthorne et al. 2019): ``maestro-v3.0.0.csv`` names the files; offsets follow the sustain pedal.

    A `split` ("train", "dev" or "test") is chosen before the MIDI files are read; the data set's "validation" is "dev".
    """
    folder = existing_root(root, "MAESTRO", hint)
    found = []
    for table in sorted(folder.rglob("maestro-v*.csv")):
        with table.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                belongs = "dev" if row["split"] == "validation" else row["split"]
                sound, midi = table.parent / row["audio_filename"], table.parent / row["midi_filename"]
                if (split and belongs != split) or not sound.is_file():
                    continue
                if not midi.is_file():
                    raise DataError(f"{midi.name} of MAESTRO is missing beside its sound; fetch the MIDI archive too.")
                notes = with_track(midi_notes(midi, sustain=True), "piano")
                about = {"composer": row["canonical_composer"], "title": row["canonical_title"], "year": row["year"]}
                found.append(
                    Recording(Path(row["audio_filename"]).stem, "maestro", (sound,), notes, sound.stem, belongs, about)
                )
    return found


def musicnet(root: str | Path, hint: str = "") -> list[Recording]:
    """MusicNet (Thickstun et al. 2017): ``{train,test}_data/ID.wav`` and ``{train,test}_labels/ID.csv`` (samples).

    Where a folder ``musicnet_em`` holds ``ID.mid`` (Maman and Bermano 2022), those notes replace the original labels,
    which are known to be up to 100 ms off; metadata ``labels`` says which were read.
    """
    folder = existing_root(root, "MusicNet", hint)
    better = {path.stem: path for place in folder.rglob("musicnet_em") for path in place.rglob("*.mid")}
    found = []
    for path in sorted(folder.rglob("*_labels/*.csv")):
        split = path.parent.name[: -len("_labels")]
        sound = find_audio(path.parent.parent / f"{split}_data", path.stem)
        if sound is None:
            continue
        if path.stem in better:
            notes, labels = midi_notes(better[path.stem]), "EM"
        else:
            notes, labels = _musicnet_labels(path), "original"
        found.append(Recording(path.stem, "musicnet", (sound,), notes, path.stem, split, {"labels": labels}))
    return found


def pairs(root: str | Path, hint: str = "") -> list[Recording]:
    """One's own pairs: a sound and a MIDI file (or our TSV) of one name.

    A sound is taken once: beside a ``.mid`` a ``.midi`` is not read, and beside either of them no TSV. Names are paths
    below `root` without their ending.
    """
    folder = existing_root(root, "pairs", hint)
    found: dict[str, Recording] = {}
    for ending, read in ((".mid", midi_notes), (".midi", midi_notes), (".tsv", _table_of_own)):
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() == ending):
            name = path.relative_to(folder).with_suffix("").as_posix()
            sound = None if name in found else find_audio(path.parent, path.stem)
            if sound is not None:
                found[name] = _one(name, "pairs", sound, read(path), split_of(path, folder))
    return [found[name] for name in sorted(found)]


def _table_of_own(path: Path) -> Notes:
    return with_track(read_tsv(path), "Notes", 0)


def read_tsv(path: Path) -> Notes:
    """Notes from columns onset s, offset s, MIDI pitch, velocity (the last may be absent)."""
    try:
        rows = [[float(cell) for cell in row] for row in read_columns(path)]
        return notes_of(
            [r[0] for r in rows],
            [r[1] for r in rows],
            [r[2] for r in rows],
            [r[3] for r in rows] if rows and len(rows[0]) > 3 else None,
        )
    except (ValueError, IndexError) as error:
        raise DataError(f"{path.name} is not a table of onset, offset, pitch, velocity; check its columns.") from error


def _tables(folder: Path, dataset: str, instrument: str, program: int) -> list[Recording]:
    found = []
    for path in sorted(folder.rglob("*.tsv")):
        sound = find_audio(path.parent, path.stem)
        if sound is not None:
            notes = with_track(read_tsv(path), instrument, program)
            found.append(_one(path.stem, dataset, sound, notes, split_of(path, folder)))
    return found


def _one(name: str, dataset: str, sound: Path, notes: Notes, split: str) -> Recording:
    return Recording(name, dataset, (sound,), notes, name, split)


def _velocities(midi: Path, onset: list[float], pitch: list[float]) -> list[float] | None:
    if not midi.is_file():
        return None
    table = midi_notes(midi)
    if len(table) != len(onset):
        return None
    order = np.lexsort((np.round(pitch), np.asarray(onset)))
    if np.any(np.abs(table.onset - np.asarray(onset)[order]) > 0.02) or np.any(table.pitch != np.round(pitch)[order]):
        return None
    loud = np.zeros(len(onset))
    loud[order] = table.velocity
    return [float(v) for v in loud]


def _musicnet_labels(path: Path) -> Notes:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    tables = []
    for instrument in sorted({int(row["instrument"]) for row in rows}):
        own = [row for row in rows if int(row["instrument"]) == instrument]
        notes = notes_of(
            [int(row["start_time"]) / MUSICNET_RATE for row in own],
            [int(row["end_time"]) / MUSICNET_RATE for row in own],
            [float(row["note"]) for row in own],
        )
        name = MUSICNET_NAMES.get(instrument, f"instrument {instrument}")
        tables.append(with_track(notes, name, (instrument - 1) % 128))
    return Notes.concatenate(tables)
