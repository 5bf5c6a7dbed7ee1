"""Render the demo clips: ``python notebooks/demos/make.py`` (or ``make demos``).

Three pieces in the public domain, played with the FluidR3 soundfont (MIT licence) by FluidSynth: their true notes are
known to the millisecond and are written beside them. A seed fixes the players' small inaccuracies, so that the script
makes the same music every time. Needs FluidSynth, the soundfont (Debian: fluidsynth, fluid-soundfont-gm), and music21.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from amtsep.formats import midi_bytes, separate_repeats, write_midi
from amtsep.notes import Notes, Track
from amtsep.pitch import pitch_number

HERE = Path(__file__).resolve().parent
SOUNDFONTS = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/soundfonts/FluidR3_GM.sf2")
RATE = 44100
TAIL_S = 1.6

ScoreNote = tuple[float, float, int]
"""Start and length in quarter notes, MIDI pitch."""


@dataclass(frozen=True)
class Part:
    """One instrument of a piece."""

    name: str
    program: int
    notes: Sequence[ScoreNote]
    level: int
    """Mean velocity."""
    pan: int
    """0 left, 64 middle, 127 right."""
    legato: float = 0.96
    """Share of its written length that a note sounds."""


@dataclass(frozen=True)
class Piece:
    """What becomes a clip."""

    name: str
    quarters_a_minute: float
    beats_a_bar: float
    upbeat: float
    parts: Sequence[Part]
    rubato: float = 0.04
    """How far the tempo swings around its mean, as a share."""
    breaths: Sequence[float] = ()
    """Places, in quarters, where the players hold for a moment (fermatas)."""


# Minuet in G major, from the notebook of Anna Magdalena Bach (Christian Petzold): melody and bass, first part.
MINUET_MELODY = """
D5:1 G4:.5 A4:.5 B4:.5 C5:.5 | D5:1 G4:1 G4:1 | E5:1 C5:.5 D5:.5 E5:.5 F#5:.5 | G5:1 G4:1 G4:1
C5:1 D5:.5 C5:.5 B4:.5 A4:.5 | B4:1 C5:.5 B4:.5 A4:.5 G4:.5 | F#4:1 G4:.5 A4:.5 B4:.5 G4:.5 | A4:3
D5:1 G4:.5 A4:.5 B4:.5 C5:.5 | D5:1 G4:1 G4:1 | E5:1 C5:.5 D5:.5 E5:.5 F#5:.5 | G5:1 G4:1 G4:1
C5:1 D5:.5 C5:.5 B4:.5 A4:.5 | B4:1 C5:.5 B4:.5 A4:.5 G4:.5 | A4:1 B4:.5 A4:.5 G4:.5 F#4:.5 | G4:3
"""
MINUET_BASS = """
G3:2 A3:1 | B3:3 | C4:3 | B3:3 | A3:3 | G3:3 | D4:1 B3:1 G3:1 | D4:1 D3:.5 C4:.5 B3:.5 A3:.5
B3:2 A3:1 | G3:1 B3:1 G3:1 | C4:3 | B3:1 C4:.5 B3:.5 A3:.5 G3:.5 | A3:2 F#3:1 | G3:2 B3:1 | C4:1 D4:1 D3:1 | G3:2 G2:1
"""


def spell(text: str) -> list[ScoreNote]:
    """Notes written as ``name:quarters``, one after the other; bar lines are for the eye."""
    now, notes = 0.0, []
    for word in text.replace("|", " ").split():
        name, length = word.split(":")
        notes.append((now, float(length), pitch_number(name)))
        now += float(length)
    return notes


def from_corpus(name: str, part: int, until: float) -> list[ScoreNote]:
    """A part of a piece of the music21 corpus, up to a quarter; ties joined, grace notes left out."""
    from music21 import corpus

    notes = []
    for element in corpus.parse(name).parts[part].flatten().stripTies().notes:
        start, length = float(element.offset), float(element.quarterLength)
        if start < until and length > 0:
            notes += [(start, min(length, until - start), int(p.midi)) for p in element.pitches]
    return notes


def pieces() -> list[Piece]:
    """The three of them."""
    rag = [from_corpus("joplin/maple_leaf_rag", part, 32.5) for part in (0, 1)]
    chorale = [from_corpus("bwv269", part, 43.0) for part in range(4)]
    return [
        Piece(
            "Piano_Joplin_Maple_Leaf_Rag", 84, 2, 0.0,
            [Part("Piano", 0, rag[0] + rag[1], 78, 64, legato=0.88)], rubato=0.02,
        ),
        Piece(
            "Duet_Petzold_Minuet_in_G", 118, 3, 0.0,
            [Part("Flute", 73, spell(MINUET_MELODY), 84, 50), Part("Guitar", 24, spell(MINUET_BASS), 92, 80)],
        ),
        Piece(
            "Chorale_Bach_Aus_meines_Herzens_Grunde", 104, 3, 1.0,
            [
                Part("Flute", 73, chorale[0], 88, 40),
                Part("Clarinet", 71, chorale[1], 78, 56),
                Part("Cello", 42, chorale[2], 84, 72),
                Part("Bassoon", 70, chorale[3], 88, 88),
            ],
            breaths=(12.0, 21.0, 30.0, 42.0),
        ),
    ]  # fmt: skip


def perform(piece: Piece, rng: np.random.Generator) -> Notes:
    """Play a score as people do: a swaying tempo, phrases that swell, small errors of timing and touch."""
    last = max(start + length for part in piece.parts for start, length, _ in part.notes)
    grid = np.arange(0.0, last + 4.0, 0.125)
    sway = 1 + piece.rubato * np.sin(2 * np.pi * grid / (8 * piece.beats_a_bar) + rng.uniform(0, 2 * np.pi))
    closing = 1 + 0.35 * np.clip((grid - (last - piece.beats_a_bar)) / piece.beats_a_bar, 0, 1) ** 2
    pace = 60.0 / piece.quarters_a_minute * sway * closing
    for place in piece.breaths:
        pace = pace * (1 + 0.45 * np.exp(-(((grid - place + 0.6) / 0.5) ** 2)))
    clock = 0.3 + np.concatenate([[0.0], np.cumsum(pace[:-1] * 0.125)])

    def at(quarter: float) -> float:
        return float(np.interp(quarter, grid, clock))

    columns: list[tuple[float, float, int, int, int]] = []
    for index, part in enumerate(piece.parts):
        top = {start: max(p for s, _, p in part.notes if s == start) for start, _, _ in part.notes}
        for start, length, pitch in part.notes:
            in_bar = (start - piece.upbeat) % piece.beats_a_bar
            accent = 6.0 if in_bar == 0 else (2.0 if in_bar == int(in_bar) else -3.0)
            swell = 7.0 * np.sin(np.pi * ((start - piece.upbeat) % (4 * piece.beats_a_bar)) / (4 * piece.beats_a_bar))
            melody = 4.0 if pitch == top[start] and pitch >= 60 else -4.0
            velocity = part.level + accent + swell + melody + rng.normal(0, 3)
            onset = at(start) + float(np.clip(rng.normal(0, 0.007), -0.018, 0.018))
            offset = max(at(start + length * part.legato), onset + 0.06)
            columns.append((max(onset, 0.0), offset, pitch, int(np.clip(round(velocity), 20, 124)), index))
    tracks = [Track(part.name, part.program) for part in piece.parts]
    onset, offset, pitch, velocity, track = (list(c) for c in zip(*columns, strict=True))
    # Two hands may meet on one key: one note, as on the instrument.
    return separate_repeats(Notes.build(onset, offset, pitch, velocity, track=track, tracks=tracks), shortest_s=0.04)


def synthesize(midi: bytes, font: Path, room: bool) -> NDArray[np.float32]:
    """FluidSynth's sound of a MIDI file, (n, 2)."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.mid"), Path(folder, "out.wav")
        source.write_bytes(midi)
        reverb = (
            ["-R", "1", "-o", "synth.reverb.room-size=0.45", "-o", "synth.reverb.level=0.35"] if room else ["-R", "0"]
        )
        subprocess.run(
            ["fluidsynth", "-ni", "-q", "-g", "0.5", "-C", "0", "-r", str(RATE), *reverb, "-O", "float",
             "-F", str(target), str(font), str(source)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        samples, _ = soundfile.read(target, dtype="float32", always_2d=True)
    return np.asarray(samples, np.float32)


def onset_delay_s(program: int, pitch: int, font: Path) -> float:
    """How long a sound of the soundfont takes until it is within 12 dB of its sustained level.

    A recording's notes begin where one hears them, so the players are made to start this much early.
    """
    note = Notes.build([0.5], [1.5], [pitch], [90], tracks=[Track("x", program)])
    power = np.mean(np.square(synthesize(midi_bytes(note), font, room=False), dtype=np.float64), axis=1)
    window = np.hanning(int(0.008 * RATE))
    level = np.convolve(power, window / window.sum(), mode="same")
    start = int(0.5 * RATE)
    sustained = np.quantile(level[start : start + int(0.3 * RATE)], 0.75)
    return float(np.argmax(level[start:] > sustained * 10**-1.2)) / RATE


def render(piece: Piece, notes: Notes, font: Path) -> NDArray[np.float32]:
    """The clip, (n, 2), with a little room around it."""
    delays = np.zeros(len(notes))
    for index, part in enumerate(piece.parts):
        own = notes.track == index
        low, middle, high = (int(q) for q in np.quantile(notes.pitch[own], [0.1, 0.5, 0.9]))
        known = [onset_delay_s(part.program, p, font) for p in (low, middle, high)]
        delays[own] = np.interp(notes.pitch[own], [low, middle, high], known)
        print(f"  {part.name}: sounds {min(known) * 1e3:.0f} to {max(known) * 1e3:.0f} ms after its MIDI event")
    early = Notes.build(
        np.maximum(notes.onset - delays, 0.0),
        notes.offset,
        notes.pitch,
        notes.velocity,
        track=notes.track,
        tracks=notes.tracks,
    )
    # The places of the players are controllers, which the note table does not hold.
    source = mido.MidiFile(file=io.BytesIO(midi_bytes(early)))
    for track, part in zip(source.tracks[1:], piece.parts, strict=True):
        channel = next(m.channel for m in track if m.type == "program_change")
        track.insert(1, mido.Message("control_change", control=10, value=part.pan, channel=channel))
        track.insert(2, mido.Message("control_change", control=91, value=60, channel=channel))
    buffer = io.BytesIO()
    source.save(file=buffer)
    sound = synthesize(buffer.getvalue(), font, room=True)
    length = int((notes.end + TAIL_S) * RATE)
    sound = np.pad(sound, ((0, max(length - len(sound), 0)), (0, 0)))[:length]
    fade = int(0.8 * RATE)
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None] ** 2
    return np.asarray(sound * (0.7 / np.abs(sound).max()), np.float32)


def write_ogg(path: Path, sound: NDArray[np.float32]) -> None:
    """Write in blocks: libsndfile's Vorbis writer overflows the stack on minutes in one call."""
    with soundfile.SoundFile(
        path, "w", RATE, sound.shape[1], format="OGG", subtype="VORBIS", compression_level=0.6
    ) as out:
        for start in range(0, len(sound), 1 << 15):
            out.write(sound[start : start + (1 << 15)])


def main() -> None:
    """Make the clips and their notes."""
    parser = argparse.ArgumentParser(description="Render the demo clips.")
    parser.add_argument("--soundfont", type=Path, help="FluidR3_GM.sf2")
    parser.add_argument("--out", type=Path, default=HERE, help="folder (default: beside this script)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    font = args.soundfont or next((Path(f) for f in SOUNDFONTS if Path(f).is_file()), None)
    if font is None:
        parser.error("FluidR3_GM.sf2 is not installed (Debian: apt install fluidsynth fluid-soundfont-gm)")
    for index, piece in enumerate(pieces()):
        notes = perform(piece, np.random.default_rng([args.seed, index]))
        sound = render(piece, notes, font)
        path = args.out / f"{piece.name}.ogg"
        write_ogg(path, sound)
        write_midi(notes, path.with_suffix(".mid"), tempo=piece.quarters_a_minute, title=piece.name.replace("_", " "))
        print(f"{path.name}: {len(sound) / RATE:.1f} s, {len(notes)} notes, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
