"""Drum stems: performances by drummers, played on kits of recorded strokes.

What is played comes from MIDI files with velocities and a drummer's timing (the Groove MIDI Dataset, Gillick et al.
2019, or a folder like it); how it sounds from kits: folders of single strokes, kits of the Hydrogen drum machine, and
the drum programs of soundfonts. The note table of a drum stem holds strokes: its pitch is the General MIDI key of the
kind of stroke (`amtsep.drums`), its onset the time at which the stroke has come up by the rule below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from amtsep.drums import KIND_KEYS, kind_of_key
from amtsep.errors import DataError
from amtsep.synthesis.guard import refuse
from amtsep.synthesis.onsets import HOP_S, energy_of, smooth
from amtsep.synthesis.scores import SCORE_DTYPE

RATE = 22050
TEST_KITS = frozenset({"ColomboAcousticDrumkit", "ForzeeStereo"})
"""Kits kept for tests: never trained on, whatever folder is given."""
DEV_KITS = frozenset({"gogodze-retro-mic", "machine-roland-cr-8000", "BJA_Pacific", "rumpf_kit_z01_h2"})
"""Kits whose stems are of the development split."""

ONSET_DB = -12.0
"""A stroke begins where its level first comes this close to the highest of its first `_ATTACK_MS`."""
_ATTACK_MS = 60
_LONGEST_S = 3.0
_DB_A_STEP = 0.22
"""Level over MIDI velocity."""

_NAMES: tuple[tuple[str, str], ...] = (
    (r"kick|bass ?drum|\bbd\b|kik", "kick"),
    (r"side ?stick|rim ?click|cross ?stick|\bstick\b", "sidestick"),
    (r"clap", "clap"),
    (r"snare|\bsd\b|rimshot", "snare"),
    (r"(hh|hat|hihat|hi-hat).*(ped|foot)|(ped|foot).*(hh|hat)", "hihat-pedal"),
    (r"(hh|hat|hihat|hi-hat).*(op|semi|swish|ohh)|(open).*(hh|hat)|side ohh", "hihat-open"),
    (r"hh|hat|hi-hat", "hihat-closed"),
    (r"tom.*(floor|low)|floor|low ?tom|low tom", "tom-low"),
    (r"tom.*(hi|1)|(hi|high) ?tom", "tom-high"),
    (r"tom", "tom-mid"),
    (r"ride.*(bell|cup)|bell$", "ride-bell"),
    (r"ride", "ride"),
    (r"crash|splash|china|cymbal", "crash"),
    (r"cow", "cowbell"),
    (r"tamb", "tambourine"),
    (r"conga|cajon|djembe|darbuka|tabla", "conga"),
    (r"bongo", "bongo"),
    (r"shaker|maraca|sleigh", "shaker"),
    (r"clave|wood|castanet|temple", "claves"),
)
"""Words in the names of strokes and their kinds; the first that fits counts."""


def kind_in(name: str) -> str | None:
    """Kind of stroke that a file or an instrument of a kit is named after; None where no word is known."""
    plain = name.lower().replace("_", " ")
    for pattern, kind in _NAMES:
        if re.search(pattern, plain):
            return kind
    return None


@dataclass(frozen=True, eq=False)
class Stroke:
    """One recorded stroke at 22,050 Hz, its peak at one; it begins `onset` samples after its first."""

    samples: NDArray[np.float32]
    onset: int
    low: int = 0
    high: int = 127
    """MIDI velocities it was recorded for."""


@dataclass(frozen=True, eq=False)
class Kit:
    """Strokes by kind."""

    name: str
    strokes: dict[str, tuple[Stroke, ...]]

    @property
    def held_out(self) -> bool:
        """Whether the kit is of the development split."""
        return self.name in DEV_KITS


def make_stroke(mono: NDArray[np.float32], low: int = 0, high: int = 127) -> Stroke | None:
    """Trim a stroke and find where it begins; None where it is silent."""
    mono = np.asarray(mono[: int(_LONGEST_S * RATE)], np.float32)
    peak = float(np.abs(mono).max(initial=0.0))
    if peak < 1e-4:
        return None
    mono = mono / np.float32(peak)
    energy = smooth(energy_of(np.concatenate([np.zeros(220, np.float32), mono]), RATE), 4.0)
    first = int(np.argmax(energy > 1e-4 * energy.max()))
    top = energy[first : first + _ATTACK_MS].max(initial=0.0)
    begin = int(np.argmax(energy >= top * 10 ** (ONSET_DB / 10)))
    onset = max(int((begin * HOP_S) * RATE) - 220, 0)
    cut = max(onset - int(0.01 * RATE), 0)
    body = mono[cut:].copy()
    fade = min(int(0.03 * RATE), len(body) // 2)
    if fade:
        body[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return Stroke(body, onset - cut, low, high)


def _read(path: Path) -> NDArray[np.float32]:
    import soundfile
    import soxr

    with soundfile.SoundFile(path) as file:
        data = file.read(int(_LONGEST_S * file.samplerate), dtype="float32", always_2d=True).mean(axis=1)
        rate = file.samplerate
    return np.asarray(data if rate == RATE else soxr.resample(data, rate, RATE), np.float32)


def folder_kit(folder: Path) -> Kit:
    """A folder of strokes, named after their kinds (``kick_1.ogg``)."""
    found: dict[str, list[Stroke]] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in {".ogg", ".wav", ".flac"}):
        kind = kind_in(path.stem)
        stroke = make_stroke(_read(path)) if kind is not None else None
        if kind is not None and stroke is not None:
            found.setdefault(kind, []).append(stroke)
    return Kit(folder.name, {kind: tuple(strokes) for kind, strokes in found.items()})


def hydrogen_kit(folder: Path) -> Kit:
    """A kit of the Hydrogen drum machine: ``drumkit.xml`` with layers by velocity."""
    import soundfile

    found: dict[str, list[Stroke]] = {}
    root = ElementTree.parse(folder / "drumkit.xml").getroot()
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    for instrument in root.iter("instrument"):
        kind = kind_in(instrument.findtext("name") or "")
        layers = list(instrument.iter("layer")) or [instrument]
        for layer in layers if kind is not None else []:
            path = folder / (layer.findtext("filename") or "")
            if not path.is_file():
                continue
            low = int(127 * float(layer.findtext("min") or 0))
            high = int(np.ceil(127 * float(layer.findtext("max") or 1)))
            try:
                stroke = make_stroke(_read(path), low, high)
            except (soundfile.LibsndfileError, ValueError):
                continue
            if stroke is not None:
                found.setdefault(str(kind), []).append(stroke)
    return Kit(folder.name, {kind: tuple(strokes) for kind, strokes in found.items()})


FONT_PROGRAMS = (0, 8, 16, 24, 25, 32, 40)
"""Drum programs of a General MIDI soundfont: standard, room, power, electronic, TR-808, jazz, brush."""


def font_kits(font: str, path: Path, programs: Sequence[int] = FONT_PROGRAMS) -> list[Kit]:
    """Drum programs of a soundfont, a stroke a key and three velocities."""
    import soxr

    from amtsep.synthesis import soundfonts

    kits = []
    for program in programs:
        synthesizer = soundfonts.Synthesizer()
        if not synthesizer.select(path, 128, program):
            continue
        found: dict[str, list[Stroke]] = {}
        for key in range(35, 60):
            kind = kind_of_key(key)
            if kind is None:
                continue
            for velocity, low, high in ((50, 0, 63), (85, 64, 100), (118, 101, 127)):
                blocks = int(1.8 * soundfonts.RATE / soundfonts.BLOCK)
                events = np.array([(0, 1, key, velocity), (20, 0, key, 0)], np.int64)
                wide = synthesizer.render(events, blocks, None)
                stroke = make_stroke(soxr.resample(wide, soundfonts.RATE, RATE), low, high)
                if stroke is not None:
                    found.setdefault(kind, []).append(stroke)
        if len(found) >= 4:
            kits.append(Kit(f"{font}-drums-{program}", {kind: tuple(strokes) for kind, strokes in found.items()}))
    return kits


def kits_in(root: Path) -> list[Path]:
    """Folders of kits under `root` (folders of strokes, or of Hydrogen kits), those kept for tests left out."""
    root = refuse(root, "drum kits")
    found = [p for p in sorted(root.iterdir()) if p.is_dir() and p.name not in TEST_KITS]
    if not found:
        raise DataError(f"{root} holds no drum kits: give a folder with a folder of strokes for each.")
    return found


def load_kit(folder: Path) -> Kit | None:
    """The kit in `folder`; None where it lacks kick, snare or hi-hat and could not play a part."""
    kit = hydrogen_kit(folder) if (folder / "drumkit.xml").is_file() else folder_kit(folder)
    playable = {"kick", "snare"} <= set(kit.strokes) or len(kit.strokes) >= 3
    return kit if playable else None


@dataclass(frozen=True, eq=False)
class Performance:
    """What a drummer played: `SCORE_DTYPE` strokes, and the split of the data set that it belongs to."""

    name: str
    split: str
    strokes: NDArray[np.void]


def read_performances(root: Path) -> list[Performance]:
    """The performances of a Groove-shaped folder (``info.csv`` beside its MIDI files), fills under 4 s left out."""
    import csv

    import mido

    info = root / "info.csv"
    if not info.is_file():
        raise DataError(f"{root} holds no info.csv: give the folder of the Groove MIDI Dataset.")
    with open(info, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        path = root / row["midi_filename"]
        if not path.is_file() or float(row["duration"] or 0) < 4.0:
            continue
        time, strokes = 0.0, []
        for message in mido.MidiFile(path):
            time += message.time
            if message.type == "note_on" and message.velocity and kind_of_key(message.note) is not None:
                strokes.append((time, time + 0.05, message.note, message.velocity))
        if len(strokes) >= 8:
            split = {"train": "train", "validation": "dev"}.get(row["split"], "test")
            found.append(Performance(row["id"], split, np.array(strokes, SCORE_DTYPE)))
    return found


_STAND_INS = {
    "hihat-closed": ("hihat-pedal", "shaker", "tambourine", "hihat-open", "ride"),
    "hihat-open": ("hihat-closed", "crash", "tambourine"),
    "hihat-pedal": ("hihat-closed", "shaker"),
    "snare": ("clap", "sidestick", "conga"),
    "sidestick": ("snare", "claves", "clap"),
    "clap": ("snare", "sidestick"),
    "tom-low": ("tom-mid", "tom-high", "conga", "kick"),
    "tom-mid": ("tom-low", "tom-high", "conga", "bongo"),
    "tom-high": ("tom-mid", "tom-low", "bongo", "conga"),
    "crash": ("ride", "hihat-open"),
    "ride": ("hihat-closed", "crash", "ride-bell"),
    "ride-bell": ("ride", "cowbell"),
    "kick": ("tom-low", "conga"),
}
"""What a kit without a kind of stroke plays instead; the label follows the sound."""


def render_drums(
    rng: np.random.Generator, kit: Kit, strokes: NDArray[np.void], clip_s: float
) -> tuple[NDArray[np.float32], NDArray[np.void]]:
    """Play strokes on a kit.

    Parameters
    ----------
    strokes
        `SCORE_DTYPE`, pitch the key; times from the start of the clip.

    Returns
    -------
    audio, strokes
        22.05 kHz mono float32 of `clip_s`, and the strokes that sound, their pitch that of `KIND_KEYS`.
    """
    total = int(round(clip_s * RATE))
    out = np.zeros(total + int(_LONGEST_S * RATE), np.float32)
    played: list[tuple[float, float, int, int]] = []
    balance = {kind: float(10 ** (rng.normal(0.0, 3.0) / 20)) for kind in sorted(kit.strokes)}
    turns: dict[tuple[str, int], int] = {}
    tuning = 2.0 ** (rng.normal(0.0, 0.08))
    open_hat: tuple[int, int, NDArray[np.float32]] | None = None
    for onset_s, _, key, velocity in np.sort(strokes, order="onset"):
        wanted = kind_of_key(int(key))
        kind = next((k for k in (wanted, *_STAND_INS.get(wanted or "", ())) if k in kit.strokes), None)
        if kind is None or not 0.0 <= onset_s < clip_s - 0.02:
            continue
        choices = [s for s in kit.strokes[kind] if s.low <= velocity <= s.high] or list(kit.strokes[kind])
        turn = turns.get((kind, len(choices)), int(rng.integers(8)))
        turns[kind, len(choices)] = turn + 1
        stroke = choices[turn % len(choices)]
        start = int(onset_s * RATE) - int(stroke.onset / tuning)
        sound = stroke.samples
        if abs(tuning - 1.0) > 0.005:
            places = np.arange(int(len(sound) / tuning)) * tuning
            sound = np.interp(places, np.arange(len(sound)), sound).astype(np.float32)
        if start < 0:
            sound, start = sound[-start:], 0
        if kind in ("hihat-closed", "hihat-pedal") and open_hat is not None:
            # The foot chokes what still rings of the open hi-hat.
            a, b, ringing = open_hat
            first = min(max(start, a), b)
            length = b - first
            if length > 0:
                out[first:b] -= ringing[first - a : first - a + length] * np.clip(
                    np.arange(length) / (0.02 * RATE), 0, 1
                ).astype(np.float32)
            open_hat = None
        loud = 10 ** ((int(velocity) - 100) * _DB_A_STEP / 20) * balance[kind]
        end = min(start + len(sound), len(out))
        part = (sound[: end - start] * loud).astype(np.float32)
        out[start:end] += part
        if kind == "hihat-open":
            open_hat = (start, end, part)
        played.append((float(onset_s), float(onset_s) + 0.05, KIND_KEYS[kind], int(velocity)))
    return out[:total], np.array(played, SCORE_DTYPE) if played else np.zeros(0, SCORE_DTYPE)


def excerpt_of(rng: np.random.Generator, performance: Performance, clip_s: float) -> NDArray[np.void]:
    """A stretch of a performance at a tempo of its own, from the start of a clip; short ones go round again."""
    strokes, tempo = performance.strokes, float(np.exp(rng.normal(0.0, 0.1)))
    length = float(strokes["onset"][-1]) + 0.25
    start = float(rng.uniform(0.0, max(length - clip_s * tempo, 0.0)))
    rows = []
    shift = -start
    while shift < clip_s * tempo:
        part = strokes.copy()
        part["onset"] += shift
        rows.append(part)
        shift += length
    found = np.concatenate(rows)
    found["onset"] /= tempo
    found["offset"] = found["onset"] + 0.05
    return found[(found["onset"] >= 0.0) & (found["onset"] < clip_s - 0.02)]
