"""A small corpus as a recipe: eight tunes that belong to everybody, each arranged in five styles, written as MIDI.

For trying every command of the studio without a network. The styles are caricatures: what is learned from them says
nothing of real recordings of these genres.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amtsep.formats import write_midi
from amtsep.notes import Notes, Track
from amtsep.pitch import pitch_number

TUNES: dict[str, tuple[str, str]] = {
    "Ode to Joy": (
        "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 E4:1.5 D4:.5 D4:2 E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 D4:1.5 C4:.5 C4:2",
        "C G C G C G C C",
    ),
    "Frere Jacques": (
        "C4 D4 E4 C4 C4 D4 E4 C4 E4 F4 G4:2 E4 F4 G4:2 G4:.5 A4:.5 G4:.5 F4:.5 E4 C4 G4:.5 A4:.5 G4:.5 F4:.5 E4 C4 "
        "C4 G3 C4:2 C4 G3 C4:2",
        "C C C C C C G C",
    ),
    "Ah vous dirai-je maman": (
        "C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2 G4 G4 F4 F4 E4 E4 D4:2 G4 G4 F4 F4 E4 E4 D4:2 "
        "C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2",
        "C F F G C G C G C F F C",
    ),
    "When the Saints": (
        "R C4 E4 F4 G4:4 R C4 E4 F4 G4:4 R C4 E4 F4 G4:2 E4:2 C4:2 E4:2 D4:4",
        "C C C C C C C G",
    ),
    "Jingle Bells": (
        "E4 E4 E4:2 E4 E4 E4:2 E4 G4 C4:1.5 D4:.5 E4:4 F4 F4 F4:1.5 F4:.5 F4 E4 E4 E4 E4 D4 D4 E4 D4:2 G4:2",
        "C C C C F C G G",
    ),
    "Drunken Sailor": (
        "A4 A4:.5 A4:.5 A4 A4:.5 A4:.5 A4 D4 F4 A4 G4 G4:.5 G4:.5 G4 G4:.5 G4:.5 G4 C4 E4 G4 "
        "A4 A4:.5 A4:.5 A4 A4:.5 A4:.5 A4 B4 C5 D5 C5 A4 G4 E4 D4:2 D4:2",
        "Dm Dm C C Dm Dm C Dm",
    ),
    "Au clair de la lune": (
        "C4 C4 C4 D4 E4:2 D4:2 C4 E4 D4 D4 C4:4 D4 D4 D4 D4 A3:2 A3:2 D4 C4 B3 A3 G3:4",
        "C G G C G F G G",
    ),
    "London Bridge": (
        "G4:1.5 A4:.5 G4 F4 E4 F4 G4:2 D4 E4 F4:2 E4 F4 G4:2 G4:1.5 A4:.5 G4 F4 E4 F4 G4:2 D4:2 G4:2 E4 C4:3",
        "C C G C C C G C",
    ),
}
"""Melody (pitch, with its length in quarter notes where that is not one; R rests) and a chord a bar of four."""

ROOTS = {"C": 48, "Dm": 50, "F": 53, "G": 43}
KICK, SNARE, HAT, OPEN_HAT, RIDE, RIM = 36, 38, 42, 46, 51, 37
Note = tuple[float, float, int, int]
"""Start and length in quarter notes, pitch, velocity."""


@dataclass(frozen=True)
class Style:
    """How a tune is arranged: beats a minute, the programs of melody, chords and bass, and what these play."""

    tempo: float
    lead: int
    comp: int
    bass: int
    chords: str
    """Beats of a bar at which chords are struck, each with its length."""
    bass_line: str
    """Beats, lengths and steps above the root."""
    drums: dict[int, str]
    """Beats of a bar for each key of the kit."""
    swing: bool = False
    arpeggio: bool = False


STYLES = {
    "classical": Style(104, 40, 41, 42, "0:.5 .5:.5 1:.5 1.5:.5 2:.5 2.5:.5 3:.5 3.5:.5", "0:2:0 2:2:7", {},
                       arpeggio=True),
    "rock": Style(138, 30, 29, 34, "0:.5 .5:.5 1:.5 1.5:.5 2:.5 2.5:.5 3:.5 3.5:.5",
                  "0:.5:0 .5:.5:0 1:.5:0 1.5:.5:0 2:.5:0 2.5:.5:0 3:.5:0 3.5:.5:0",
                  {KICK: "0 2 2.5", SNARE: "1 3", HAT: "0 .5 1 1.5 2 2.5 3 3.5"}),
    "jazz": Style(126, 66, 0, 32, ".5:.4 2.5:.8", "0:1:0 1:1:4 2:1:7 3:1:9",
                  {RIDE: "0 1 1.5 2 3 3.5", HAT: "1 3"}, swing=True),
    "reggae": Style(78, 56, 27, 33, ".5:.25 1.5:.25 2.5:.25 3.5:.25", "0:.75:0 1.5:.5:7 2:.5:0 3:.75:-5",
                    {KICK: "2", RIM: "2", HAT: "0 .5 1 1.5 2 2.5 3 3.5"}),
    "disco": Style(120, 48, 4, 38, "0:.5 1.5:.5 2:.5 3.5:.5",
                   "0:.5:0 .5:.5:12 1:.5:0 1.5:.5:12 2:.5:0 2.5:.5:12 3:.5:0 3.5:.5:12",
                   {KICK: "0 1 2 3", SNARE: "1 3", OPEN_HAT: ".5 1.5 2.5 3.5"}),
}  # fmt: skip


def arrange(tune: str, style: Style, transpose: int = 0, rounds: int = 2) -> Notes:
    """A tune in a style: melody, chords, bass, and drums where the style has them."""
    melody, harmony = TUNES[tune]
    chords = harmony.split()
    bars = len(chords)
    parts: dict[str, list[Note]] = {"Melody": [], "Chords": [], "Bass": [], "Drums": []}
    for turn in range(rounds):
        at = 4.0 * bars * turn
        parts["Melody"] += [(at + a, b, p + transpose, 96) for a, b, p in _melody(melody)]
        for bar, chord in enumerate(chords):
            start, root = at + 4.0 * bar, ROOTS[chord] + transpose
            triad = (0, 3 if chord.endswith("m") else 4, 7)
            for i, text in enumerate(style.chords.split()):
                beat, length = map(float, text.split(":"))
                steps = (triad[(0, 1, 2, 1)[i % 4]],) if style.arpeggio else triad
                parts["Chords"] += [(start + beat, length, root + 12 + s, 72) for s in steps]
            for text in style.bass_line.split():
                beat, length, step = map(float, text.split(":"))
                parts["Bass"].append((start + beat, length, root - 12 + int(step), 90))
            for key, beats in style.drums.items():
                parts["Drums"] += [(start + float(beat), 0.2, key, 92) for beat in beats.split()]
    tracks = [Track("Melody", style.lead), Track("Chords", style.comp), Track("Bass", style.bass)]
    tracks += [Track("Drums", 0, True)] if parts["Drums"] else []
    rows = [
        (_swung(a, style.swing), _swung(a + b, style.swing), p, v, i)
        for i, track in enumerate(tracks)
        for a, b, p, v in parts[track.name]
    ]
    quarter = 60.0 / style.tempo
    onset, offset, pitch, velocity, part = zip(*rows)
    return Notes.build(
        [a * quarter for a in onset], [b * quarter * 0.98 + a * quarter * 0.02 for a, b in zip(onset, offset)],
        pitch, velocity, track=part, tracks=tracks,
    )  # fmt: skip


def _melody(text: str) -> Iterator[tuple[float, float, int]]:
    now = 0.0
    for token in text.split():
        name, _, length = token.partition(":")
        quarters = float(length or 1)
        if name != "R":
            yield now, quarters, pitch_number(name) + 12
        now += quarters


def _swung(quarters: float, swing: bool) -> float:
    """Off-beats come late in swing."""
    whole, rest = divmod(quarters, 1.0)
    return whole + 2 / 3 if swing and abs(rest - 0.5) < 1e-6 else quarters


def transposition(tune: str) -> int:
    """Semitones from the key of `TUNES` to that of the recipe: not every tune is in C."""
    return (5 * list(TUNES).index(tune)) % 7 - 3


def write_recipe(folder: Path) -> list[Path]:
    """Write every tune in every style: ``folder/style/tune.mid``."""
    written = []
    for name, style in STYLES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for tune in TUNES:
            notes = arrange(tune, style, transposition(tune))
            written.append(write_midi(notes, folder / name / f"{tune}.mid", style.tempo, tune))
    return written
