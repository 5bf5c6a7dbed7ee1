"""Songs of a bank mixed as recordings to evaluate on: a sound and a MIDI file each, with or without drums.

The folder is one that `amtsep evaluate --dataset pairs` reads; a MIDI track is a timbre, notes end where their sound
ends by the label rule. With drums, a kit kept from training plays a performance kept from training, brought to the
song's beat; its strokes are none of the notes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.formats import write_midi
from amtsep.notes import Notes, Track
from amtsep.synthesis import augment, drums
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.stage import Place, draw_places, place_part

DRUMS_DB = -3.0
"""Level of the drums against all else."""
_GAIN_DB = 4.0
_ROOM = 0.5
_NEAR_S = 0.03
"""A stroke so near to a note is together with it."""


@dataclass(frozen=True, eq=False)
class Drummers:
    """Kits and performances that no training hears."""

    kits: tuple[drums.Kit, ...]
    performances: tuple[drums.Performance, ...]

    @staticmethod
    def of(groove: Path, folders: Sequence[Path]) -> Drummers:
        """The kits of `amtsep.synthesis.drums.DEV_KITS` in `folders`; performances of Groove's validation split."""
        places = [place for root in folders for place in drums.kits_in(root) if place.name in drums.DEV_KITS]
        kits = [kit for kit in map(drums.load_kit, places) if kit is not None]
        played = [p for p in drums.read_performances(groove) if p.split == "dev" and p.strokes["onset"][-1] > 10.0]
        if not kits or not played:
            named = ", ".join(sorted(drums.DEV_KITS))
            raise DataError(
                f"Drums of a development set need one of the kits {named}: give their folder (--drum-kits)."
            )
        return Drummers(tuple(kits), tuple(played))


def on_the_beat(strokes: NDArray[np.void], onsets: NDArray[np.float64]) -> NDArray[np.void]:
    """A performance played so much faster or slower, earlier or later that strokes fall together with a song's notes.

    Parameters
    ----------
    strokes
        `SCORE_DTYPE`, longer than the song.
    onsets
        (n,) seconds.
    """
    notes = np.sort(onsets)
    times = strokes["onset"] - strokes["onset"][0]
    best, found = -1.0, (1.0, 0.0)
    for speed in np.geomspace(0.75, 1.33, 140):
        played = times / speed
        played = played[played <= notes[-1]]
        for shift in np.arange(-0.5, 0.5, 0.02):
            at = np.clip(np.searchsorted(notes, played + shift), 1, len(notes) - 1)
            away = np.minimum(np.abs(notes[at] - played - shift), np.abs(notes[at - 1] - played - shift))
            together = float(np.mean(away < _NEAR_S)) if len(away) else 0.0
            if together > best:
                best, found = together, (float(speed), float(shift))
    moved = strokes.copy()
    moved["onset"] = times / found[0] + found[1]
    moved["offset"] = moved["onset"] + 0.05
    return moved[moved["onset"] >= 0.0]


def mix_songs(
    bank: Bank, out: Path, seed: int, drummers: Drummers | None = None, scene: str | None = None
) -> list[Path]:
    """Write every song of a bank (stems that share `piece`) as ``song-00.flac`` beside ``song-00.mid`` into `out`.

    Levels and rooms of the parts are drawn by `seed`, the same with drums and without, and in stereo: that is written
    for a `scene` of `amtsep.synthesis.stage`, where every part has its place. Returns the sound files.
    """
    import soundfile

    songs: dict[str, list[int]] = defaultdict(list)
    for index, stem in enumerate(bank.stems):
        songs[str(stem.piece)].append(index)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (_, stems) in enumerate(sorted(songs.items())):
        rng = np.random.default_rng([seed, 61, number])
        parts, rooms, tables, tracks = [], [], [], []
        for index in stems:
            audio = bank.audio(index).astype(np.float32) / 32768.0
            gain = 10.0 ** (float(np.clip(rng.normal(0.0, _GAIN_DB), -8.0, 6.0)) / 20.0)
            room = augment.impulse_response(rng, bank.sample_rate)
            near = rng.random() >= _ROOM
            if not near and scene is None:
                audio = augment.filter_zero_phase(audio, bank.sample_rate, [], room)
            parts.append(audio * np.float32(gain))
            rooms.append(None if near else room)
            rows: Any = bank.notes(index)
            tables.append(rows)
            stem = bank.stems[index]
            tracks.append(Track(stem.timbre, max(stem.program, 0)))
        notes = np.concatenate(tables)
        stage = np.random.default_rng([seed, 71, number])
        if scene is not None:
            seats = [(bank.stems[i].category, float(np.median(rows["pitch"]))) for i, rows in zip(stems, tables)]
            placed = zip(parts, tables, draw_places(stage, seats, scene), rooms, strict=True)
            parts = [place_part(stage, audio, rows, at, bank.sample_rate, room) for audio, rows, at, room in placed]
        mix = np.sum(parts, axis=0)
        if drummers is not None:
            whole = mix if mix.ndim == 1 else mix.mean(axis=1)
            beat = _drums(np.random.default_rng([seed, 67, number]), drummers, bank, whole, notes["onset"])
            if scene is not None:
                beat = place_part(stage, beat, notes[:0], Place(form="wide"), bank.sample_rate, None)
            mix = mix + beat
        mix = mix * np.float32(0.9 / max(float(np.abs(mix).max()), 1e-9))
        place = out / f"song-{number:02d}.flac"
        soundfile.write(place, mix, bank.sample_rate, subtype="PCM_16")
        track = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
        truth = Notes.build(
            notes["onset"], notes["offset"], notes["pitch"], notes["velocity"], track=track, tracks=tracks
        )
        write_midi(truth, place.with_suffix(".mid"))
        written.append(place)
    return written


def _drums(
    rng: np.random.Generator,
    drummers: Drummers,
    bank: Bank,
    mix: NDArray[np.float32],
    onsets: NDArray[np.float64],
) -> NDArray[np.float32]:
    kit = drummers.kits[int(rng.integers(len(drummers.kits)))]
    performance = drummers.performances[int(rng.integers(len(drummers.performances)))]
    # Longer than the song at any speed that the beat may ask for.
    strokes = drums.excerpt_of(rng, performance, 1.5 * bank.clip_s)
    audio, _ = drums.render_drums(rng, kit, on_the_beat(strokes, onsets.astype(np.float64)), bank.clip_s)
    power, own = float(np.mean(mix**2)), float(np.mean(audio**2))
    return np.asarray(audio * np.float32(np.sqrt(power / max(own, 1e-12)) * 10.0 ** (DRUMS_DB / 20.0)))
