"""Written music as truth: what a MusicXML file says of notes, bars, keys and spelling, in quarter notes.

Unlike `amtsep.synthesis.music`, which reads only what can be heard, this keeps what a transcription into notation has
to find again. Repeats are not played out.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from amtsep.errors import DataError
from amtsep.rhythm.metre import Metre

WRITTEN = np.dtype(
    [
        ("start", "<f8"),
        ("length", "<f8"),
        ("pitch", "<i2"),
        ("fifth", "<i2"),
        ("part", "<i2"),
        ("staff", "<i2"),
        ("voice", "<i2"),
        ("grace", "?"),
        ("fermata", "?"),
    ]
)
"""A written note, ties joined: start and length in quarter notes, sounding pitch, spelling as steps along the line of
fifths from C (F = -1, G = 1, F sharp = 6), part, staff, voice, whether it is a grace note, whether it has a fermata."""

FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True, eq=False)
class Written:
    """One written piece.

    Parameters
    ----------
    name, title
        Of the file, and of the work.
    notes
        `WRITTEN`, sorted by start, then pitch.
    bars
        (B,) starts of full bars in quarter notes, rising; a pickup has its bar line after it.
    metres
        One a bar.
    keys
        (position in quarter notes, sharps) where a key signature stands.
    end
        Quarter notes.
    programs
        General MIDI program of each part (0-127), where the file gives one.
    """

    name: str
    title: str
    notes: NDArray[np.void]
    bars: NDArray[np.float64]
    metres: tuple[Metre, ...]
    keys: tuple[tuple[float, int], ...]
    end: float
    programs: tuple[int, ...]

    def beats(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """All beats in quarter notes, those of a pickup too, and which of them are downbeats."""
        places: list[float] = []
        down: list[bool] = []
        first = self.metres[0].beat_quarters
        before = np.arange(self.bars[0] - first, -1e-6, -first)[::-1]
        places += before.tolist()
        down += [False] * len(before)
        stops = np.append(self.bars[1:], self.end)
        for start, stop, metre in zip(self.bars, stops, self.metres, strict=True):
            inside = np.arange(start, max(stop, start + 1e-3) - 1e-6, metre.beat_quarters)
            places += inside.tolist()
            down += [i == 0 for i in range(len(inside))]
        return np.array(places), np.array(down, bool)


def read_written(path: Path) -> Written:
    """Read ``.mxl``, ``.musicxml`` or ``.xml`` (partwise).

    Raises
    ------
    DataError
        If the file holds no partwise score with notes.
    """
    data = Path(path).read_bytes()
    try:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = [n for n in archive.namelist() if not n.startswith("META-INF")]
                data = archive.read(next(n for n in names if n.endswith((".xml", ".musicxml"))))
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, zipfile.BadZipFile, StopIteration) as error:
        raise DataError(f"{path} is no MusicXML file ({error}).") from None
    parts = root.findall("part")
    if root.tag != "score-partwise" or not parts:
        raise DataError(f"{path} is no partwise MusicXML score.")
    programs = []
    for item in root.findall("part-list/score-part"):
        text = item.findtext("midi-instrument/midi-program")
        programs.append(int(text) - 1 if text else 0)
    lengths, metres, shorter, keys = _bars(parts)
    starts = np.concatenate([[0.0], np.cumsum([float(x) for x in lengths])])
    rows: list[tuple] = []
    for number, part in enumerate(parts):
        rows += _notes(part, number, starts)
    notes = np.sort(np.array(rows, WRITTEN), order=["start", "pitch"])
    if not len(notes):
        raise DataError(f"{path} holds no notes.")
    bars, kept = [], []
    previous_short = False
    for i, metre in enumerate(metres):
        # Half a bar before a repeat sign and half a bar after it are one bar.
        continues = shorter[i] and previous_short and lengths[i - 1] + lengths[i] == metre.bar
        pickup = shorter[i] and i == 0
        previous_short = shorter[i] and not continues and not pickup
        if not (continues or pickup):
            bars.append(starts[i])
            kept.append(metre)
    title = " ".join(e.text or "" for e in [root.find("work/work-title"), root.find("movement-title")] if e is not None)
    return Written(
        Path(path).name.split(".")[0],
        title,
        notes,
        np.array(bars),
        tuple(kept),
        tuple((float(starts[i]), k) for i, k in keys),
        float(starts[-1]),
        tuple(programs),
    )


def _bars(
    parts: list[ElementTree.Element],
) -> tuple[list[Fraction], list[Metre], list[bool], list[tuple[int, int]]]:
    """Length of every bar (the longest of all parts), its metre, whether it falls short of it, and changes of key."""
    count = max(len(part.findall("measure")) for part in parts)
    lengths = [Fraction(0)] * count
    metres: list[Metre] = [Metre(4, 4)] * count
    keys: list[tuple[int, int]] = []
    for number, part in enumerate(parts):
        divisions = Fraction(1)
        metre = Metre(4, 4)
        for i, bar in enumerate(part.findall("measure")):
            now = longest = Fraction(0)
            for item in bar:
                if item.tag == "attributes":
                    divisions = Fraction(item.findtext("divisions") or divisions)
                    time = item.find("time")
                    if time is not None and time.find("beats") is not None:
                        beats = sum(int(x) for x in (time.findtext("beats") or "4").split("+"))
                        metre = Metre(beats, int(time.findtext("beat-type") or 4))
                    sharps = item.findtext("key/fifths")
                    transposed = item.find("transpose") is not None
                    new = sharps is not None and not transposed and (not keys or keys[-1][1] != int(sharps))
                    if new and (number == 0 or not keys):
                        keys.append((i, int(sharps or 0)))
                elif item.tag == "note" and item.find("grace") is None and item.find("chord") is None:
                    now += Fraction(item.findtext("duration") or 0) / divisions
                elif item.tag == "backup":
                    now -= Fraction(item.findtext("duration") or 0) / divisions
                elif item.tag == "forward":
                    now += Fraction(item.findtext("duration") or 0) / divisions
                longest = max(longest, now)
            lengths[i] = max(lengths[i], longest)
            if number == 0:
                metres[i] = metre
    lengths = [x if x > 0 else m.bar for x, m in zip(lengths, metres, strict=True)]
    shorter = [x < m.bar for x, m in zip(lengths, metres, strict=True)]
    return lengths, metres, shorter, keys


def _notes(part: ElementTree.Element, number: int, starts: NDArray[np.float64]) -> list[tuple]:
    rows: list[list] = []
    open_ties: dict[int, int] = {}
    divisions, chromatic = Fraction(1), 0
    for start, bar in zip(starts, part.findall("measure"), strict=False):
        now = last = Fraction(0)
        for item in bar:
            if item.tag == "attributes":
                divisions = Fraction(item.findtext("divisions") or divisions)
                shift = item.find("transpose")
                if shift is not None:
                    octaves = int(float(shift.findtext("octave-change") or 0))
                    chromatic = int(float(shift.findtext("chromatic") or 0)) + 12 * octaves
            elif item.tag in ("backup", "forward"):
                step = Fraction(item.findtext("duration") or 0) / divisions
                now += step if item.tag == "forward" else -step
            elif item.tag == "note":
                grace = item.find("grace") is not None
                length = Fraction(0) if grace else Fraction(item.findtext("duration") or 0) / divisions
                if item.find("chord") is None:
                    last = now
                    now += length
                written = item.find("pitch")
                if written is None or item.find("cue") is not None:
                    continue
                step_name = written.findtext("step") or "C"
                alter = int(float(written.findtext("alter") or 0))
                pitch = 12 * (int(written.findtext("octave") or 4) + 1) + SEMITONES[step_name] + alter + chromatic
                if not 12 <= pitch <= 115:
                    continue
                ties = {t.get("type") for t in item.findall("tie")}
                place = float(start) + float(last)
                if "stop" in ties and pitch in open_ties:
                    row = rows[open_ties[pitch]]
                    row[1] = place + float(length) - row[0]
                else:
                    fifth = FIFTHS[step_name] + 7 * alter
                    staff = int(item.findtext("staff") or 1)
                    text = item.findtext("voice") or "1"
                    voice = int(text) if text.isdigit() else 1
                    fermata = item.find("notations/fermata") is not None
                    rows.append([place, float(length), pitch, fifth, number, staff, voice, grace, fermata])
                if "start" in ties and not grace:
                    open_ties.setdefault(pitch, len(rows) - 1)
                else:
                    open_ties.pop(pitch, None)
    return [tuple(row) for row in rows if row[1] > 0 or row[7]]
