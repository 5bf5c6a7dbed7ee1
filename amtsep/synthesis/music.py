"""Real music as note content: MIDI and MusicXML folders, read once and kept in a compact cache.

Only what a renderer needs is read: for every part, onsets and ends in seconds (at the written tempo, or 96 quarter
notes a minute) and pitches as they sound. Repeats are not played out, grace notes are left out.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from amtsep.cache import folder
from amtsep.errors import DataError
from amtsep.files import replacing
from amtsep.formats import read_midi
from amtsep.formats.files import read_member
from amtsep.pitch import PITCH_CLASSES
from amtsep.synthesis.guard import refuse
from amtsep.synthesis.scores import SCORE_DTYPE, monophonic, tidy

BACH10_TITLES = (
    "Ach Gott und Herr",
    "Ach lieben Christen, seid getrost",
    "Christe, der du bist Tag und Licht",
    "Christe, du Beistand deiner Kreuzgemeinde",
    "Die Nacht ist kommen",
    "Die Sonn hat sich mit ihrem Glanz gewendet",
    "Herr Gott, dich loben alle wir",
    "Für deinen Thron tret ich hiermit",
    "Jesu, meine Freude",
    "Jesus, meine Zuversicht",
    "Nun bitten wir den heiligen Geist",
)
"""Chorales that Bach10 plays (its ninth is called only "Jesus"): never rendered."""

BACH10_MELODIES: tuple[tuple[int, ...], ...] = (
    (
        -1, -2, -2, 2, 2, 1, 2, -2, -1, -2, 2, 1, -3, -2, 5, -1, 1, 2, 2, -2, -2, 2, -7, 2, 2, 1, 2, 2, 1, -3, -2,
    ),
    (
        -3, 2, 1, 2, 2, -2, 2, 1, -3, -2, -1, -2, 2, 1, 2, -2, -1, -2, 3, -3, 2, 1, 2, 2, -2, 2, 1, -3, -2, -1, -2,
        2, 1, 2, -2, -1, -2, 5, 2, -5, 1, 2, -2, -1, 1, 2, -5, 2, 1, -1, -2, 2, 1, -3, -2, 5, -1, -2, 2, 1, 2, -2,
        -1, -2,
    ),
    (
        3, -3, -2, 2, 2, 1, -1, -2, 3, -5, 2, 3, -1, 3, -2, -1, -2, 2, 1, -1, -2, 2, 1, -3, -2, 2, 2, 1, -1, -2,
    ),
    (
        2, 1, -1, 5, 2, 1, 2, -2, -1, -2, 3, -1, -2, -2, 2, -2, -2, -1, 1, -1, 1, 2, -3, 5, 2, 1, 2, -2, -1, -2, -3,
        1, -1, 1, -3, 1, 2, -3, -2,
    ),
    (
        2, 2, 1, -1, -2, -1, 1, 2, -2, 3, -1, -2, 5, -3, 1, -3, 2, -2, -2, 7, -2, -3, 3, -1, 1, -1, -2, 5, -2, -1,
        -2, -2,
    ),
    (
        3, 2, 2, 5, -2, -1, -2, 2, 1, -1, -2, 5, -1, 3, -2, -5, 1, -1, -2, -2, -1, -2, 7, 3, -5, 2, 1, -1, 3, 2, -5,
        3, -3, -2, -2, -1, -2,
    ),
    (
        -1, -2, -2, 5, 2, 2, -2, 2, 1, -1, -2, -2, 2, 2, -2, -2, -3, 2, 1, 7, -3, -4, 2, 3, -1, -2, -2,
    ),
    (
        -2, -2, -1, -2, 7, 2, 1, -3, 5, -1, 1, 2, 1, -1, -2, -5, 1, -1, -2, -2, 4, 2, 1, -1, -2, 5, -2, -1, -2, -2,
        -2, -1, -2,
    ),
    (
        -3, 5, 2, 1, -1, -2, 2, 1, -5, -3, 1, -1, -2, -2, 4, 2, 2, 1, 2, -2, 2, 1, 2, 2, -2, -2,
    ),
    (
        2, -2, -3, -2, 2, 2, 1, 2, -2, 4, 1, 2, 2, -2, -3, -4, -3, 2, 1, 2, -2, 4, -2, 2, -4, 2, 2, -4, 2, 2, -2, -2,
        -1, -2, 5, -2, -1, -2, -2, 2, 2, 1, 2, -2,
    ),
    (
        3, -1, -2, 3, 2, 2, 1, 2, -2, -1, -2, -2, 4, -2, -3, 1, 2, 2, -2, -2, -1, -2, -2, 5, 2, 2, -2, 2, -4, -1, -2,
    ),
)  # fmt: skip
"""Their melodies as intervals in semitones between successive notes (repetitions left out): pieces one to five
from Bach10's own scores, the others (and another setting of the third) from BWV 297, 326, 358, 365, 385, 273."""
BACH10_FILES = frozenset(f"bwv{n}" for n in (255, 256, 258, 273, 274, 275, 296, 297, 326, 327, 328, 358, 365, 385))
"""The same chorales by the names of their files in music21's corpus, which gives no titles."""


@dataclass(frozen=True)
class Piece:
    """One piece: `parts` are `SCORE_DTYPE` tables (velocity 0 where the source gives none)."""

    name: str
    title: str
    parts: tuple[NDArray[np.void], ...]

    @property
    def end(self) -> float:
        """Seconds."""
        return max((float(p["offset"].max()) for p in self.parts if len(p)), default=0.0)


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    return "".join(c for c in text if c.isalnum())


def intervals(pitches: Iterable[int]) -> tuple[int, ...]:
    """Semitones between successive different pitches."""
    p = np.asarray(list(pitches), int)
    steps = np.diff(p)
    return tuple(int(s) for s in steps[steps != 0])


def is_bach10(title: str, parts: Sequence[NDArray[np.void]], length: int = 11) -> bool:
    """Whether a piece is one of Bach10's chorales: by its title, or by `length` successive intervals of its melody."""
    plain = _plain(title)
    if any(w in BACH10_FILES for w in re.split(r"[\s.]+", title.lower())):
        return True
    if any(_plain(t) in plain for t in BACH10_TITLES):
        return True
    known = {m[i : i + length] for m in BACH10_MELODIES for i in range(len(m) - length + 1)}
    for part in parts:
        top = intervals(monophonic(part)["pitch"]) if len(part) else ()
        if any(top[i : i + length] in known for i in range(len(top) - length + 1)):
            return True
    return False


def _table(rows: list[tuple[float, float, int, int]]) -> NDArray[np.void]:
    table = np.array(rows, SCORE_DTYPE) if rows else np.zeros(0, SCORE_DTYPE)
    return np.sort(table, order=["onset", "pitch"])


def read_musicxml(path: Path) -> Piece:
    """Read ``.mxl``, ``.musicxml`` or ``.xml`` (partwise)."""
    data = Path(path).read_bytes()
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [n for n in archive.namelist() if not n.startswith("META-INF")]
            member = next(n for n in names if n.endswith((".xml", ".musicxml")))
            data = read_member(archive, member, path.name)
    root = ElementTree.fromstring(data)
    title = " ".join(e.text or "" for e in [root.find("work/work-title"), root.find("movement-title")] if e is not None)
    tempo = 96.0
    sound = root.find(".//sound[@tempo]")
    if sound is not None:
        tempo = float(np.clip(float(sound.get("tempo", "96")), 40, 200))
    quarter = 60.0 / tempo
    parts = []
    for part in root.findall("part"):
        rows: list[list[float]] = []
        open_ties: dict[int, int] = {}
        start = 0.0
        divisions, chromatic = 1.0, 0
        for bar in part.findall("measure"):
            now = last = longest = 0.0
            for item in bar:
                if item.tag == "attributes":
                    divisions = float(item.findtext("divisions") or divisions)
                    shift = item.find("transpose")
                    if shift is not None:
                        chromatic = int(float(shift.findtext("chromatic") or 0)) + 12 * int(
                            float(shift.findtext("octave-change") or 0)
                        )
                elif item.tag in ("backup", "forward"):
                    step = float(item.findtext("duration") or 0) / divisions
                    now += step if item.tag == "forward" else -step
                elif item.tag == "note":
                    if item.find("grace") is not None:
                        continue
                    length = float(item.findtext("duration") or 0) / divisions
                    if item.find("chord") is None:
                        last = now
                        now += length
                    written = item.find("pitch")
                    if written is None or item.find("cue") is not None:
                        longest = max(longest, now)
                        continue
                    pitch = (
                        12 * (int(written.findtext("octave") or 4) + 1)
                        + PITCH_CLASSES[written.findtext("step") or "C"]
                        + int(float(written.findtext("alter") or 0))
                        + chromatic
                    )
                    ties = {t.get("type") for t in item.findall("tie")}
                    if "stop" in ties and pitch in open_ties:
                        rows[open_ties[pitch]][1] = start + last + length
                    else:
                        rows.append([start + last, start + last + length, pitch])
                    if "start" in ties:
                        open_ties.setdefault(pitch, len(rows) - 1)
                    else:
                        open_ties.pop(pitch, None)
                longest = max(longest, now)
            start += longest
        table = _table([(a * quarter, b * quarter, int(p), 0) for a, b, p in rows if b > a and 12 <= p <= 115])
        if len(table):
            parts.append(table)
    return Piece(Path(path).stem, title, tuple(parts))


def read_midi_piece(path: Path) -> Piece:
    """Read a standard MIDI file: one part an instrument, drums left out."""
    tables = (own for _, own in read_midi(path).by_track() if len(own))
    parts = tuple(_table(list(zip(own.onset, own.offset, own.pitch, own.velocity, strict=True))) for own in tables)
    return Piece(Path(path).stem, Path(path).stem, parts)


_MUSIC21 = (
    "bach", "beethoven", "corelli", "handel", "haydn", "joplin", "monteverdi", "mozart", "palestrina", "schumann_robert"
)  # fmt: skip


def music21_folders() -> list[Path]:
    """The polyphonic part of the corpus that comes with music21 (an optional package), as folders of MusicXML."""
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise DataError("music21 is not installed: pip install music21, or leave --music21 out.")
    corpus = Path(spec.origin).parent / "corpus"
    return [corpus / name for name in _MUSIC21 if (corpus / name).is_dir()]


def _read_any(path: Path) -> Piece | None:
    try:
        return read_midi_piece(path) if path.suffix.lower() in {".mid", ".midi"} else read_musicxml(path)
    except Exception:  # noqa: BLE001 - one unreadable score among hundreds is passed over
        return None


_CACHE_VERSION = 3


def load_scores(folders: Sequence[Path], cache: Path | None = None, pool: Any = None) -> list[Piece]:
    """All pieces under `folders` but Bach10's, in the order of their paths; parsed once, then read from a cache."""
    paths = sorted(
        p
        for place in folders
        for p in Path(place).rglob("*")
        if p.suffix.lower() in {".mid", ".midi", ".mxl", ".musicxml", ".xml"}
    )
    listed = [(p.name, p.stat().st_size) for p in paths]
    for path in paths:
        refuse(path, "a score")
    what = json.dumps([_CACHE_VERSION, BACH10_TITLES, BACH10_MELODIES, listed])
    stamp = hashlib.sha256(what.encode()).hexdigest()[:16]
    file = (cache or folder("scores")) / f"{stamp}.npz"
    if file.is_file():
        with np.load(file, allow_pickle=False) as saved:
            notes, index = saved["notes"], json.loads(str(saved["index"]))
        pieces, k = [], 0
        for row in index:
            parts = []
            for n in row["parts"]:
                parts.append(notes[k : k + n])
                k += n
            pieces.append(Piece(row["name"], row["title"], tuple(parts)))
        return pieces
    read = pool.map(_read_any, paths, chunksize=8) if pool is not None else map(_read_any, paths)
    pieces = [p for p in read if p is not None and p.parts and not is_bach10(f"{p.name} {p.title}", p.parts)]
    file.parent.mkdir(parents=True, exist_ok=True)
    tables = [t for p in pieces for t in p.parts]
    index = [{"name": p.name, "title": p.title, "parts": [len(t) for t in p.parts]} for p in pieces]
    notes = np.concatenate(tables) if tables else np.zeros(0, SCORE_DTYPE)
    with replacing(file) as temporary, temporary.open("wb") as out:
        np.savez_compressed(out, notes=notes, index=np.array(json.dumps(index)))
    return pieces


def excerpt(
    rng: np.random.Generator,
    piece: Piece,
    clip_s: float,
    least_notes: int = 6,
    tempo: tuple[float, float] = (0.7, 1.4),
    transpose: int = 3,
) -> list[NDArray[np.void]] | None:
    """A window of a piece, as somebody might play it.

    The window is transposed by up to `transpose` semitones and played at a drawn tempo with a slow rubato that all
    parts share; each part is early or late by itself (12 ms), each note again (4-28 ms, drawn for the window). Loudness
    follows a slow curve, the metre's accents are left to chance.

    Returns
    -------
    list of ndarray or None
        A table for every part of the piece (empty where it rests), or None where the window has too few notes.
    """
    factor = float(np.exp(rng.uniform(np.log(tempo[0]), np.log(tempo[1]))))
    span = clip_s * factor
    all_onsets = np.concatenate([p["onset"] for p in piece.parts])
    start = float(rng.choice(all_onsets)) - float(rng.uniform(0.05, 0.6)) * factor
    if start + span > piece.end + 1.0:
        start = max(piece.end - span + float(rng.uniform(0, 1)), -0.3)
    semitones = int(rng.integers(-transpose, transpose + 1))
    sigma = float(rng.uniform(0.004, 0.028))
    # Rubato: a slow warp of up to a few per cent.
    depth, rate, phase = float(rng.uniform(0, 0.05)), float(rng.uniform(0.08, 0.3)), float(rng.uniform(0, 2 * np.pi))

    def played(t: NDArray[np.float64]) -> NDArray[np.float64]:
        u = (t - start) / factor
        return u + depth / (2 * np.pi * rate) * (np.sin(2 * np.pi * rate * u + phase) - np.sin(phase))

    out, count = [], 0
    for part in piece.parts:
        inside = part[(part["onset"] >= start) & (part["onset"] < start + span)].copy()
        n = len(inside)
        if n:
            late = float(rng.normal(0, 0.012))
            shift = late + np.clip(rng.normal(0, sigma, n), -2.5 * sigma, 2.5 * sigma)
            onset = played(inside["onset"]) + shift
            # How long a note is held of what is written: from detached to slurred.
            held = float(np.clip(rng.normal(0.95, 0.1), 0.4, 1.03))
            offset = onset + (played(inside["offset"]) - played(inside["onset"])) * held
            inside["onset"] = onset
            inside["offset"] = np.maximum(offset + rng.normal(0, 0.01, n), onset + 0.05)
            inside["pitch"] = inside["pitch"] + semitones
            swell = rng.uniform(0, 14) * np.sin(2 * np.pi * rng.uniform(0.05, 0.25) * onset + rng.uniform(0, 6.28))
            level = rng.uniform(50, 100) + swell + rng.normal(0, rng.uniform(3, 10), n)
            given = inside["velocity"].astype(float)
            if np.any(given > 0):
                level = level + (given - given[given > 0].mean()) * 0.7
            inside["velocity"] = np.clip(np.round(level), 25, 122).astype(np.int16)
            inside = tidy(inside, clip_s)
            count += len(inside)
        out.append(inside)
    return out if count >= least_notes else None
