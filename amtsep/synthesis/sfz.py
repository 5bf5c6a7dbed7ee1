"""SFZ: text files that say which recording sounds at which key and velocity.

Enough of the format (sfzformat.com, versions 1 and 2) to find single notes with their pitch and velocity: the headers
control, global, master, group and region, ``#define`` and ``#include``, and the opcodes of `Region`. What shapes the
sound (envelopes, filters, effects, loops) is left aside, since the sampler shapes it itself. Regions that sound at
other times than when a key goes down, or that are not the articulation that is chosen at first, are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amtsep.errors import DataError
from amtsep.pitch import pitch_number

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DIRECTIVE = re.compile(r'^[ \t]*#(?:define[ \t]+(\$\w+)[ \t]+(\S+)|include[ \t]+"([^"\n]+)")', re.MULTILINE)
# A value, of a path above all, may hold spaces: it ends where the next opcode, header or line begins.
_TOKEN = re.compile(r"<(\w+)>|(\w+)=(.*?)(?=[ \t]+\w+=|[ \t]*<|[ \t]*$)", re.MULTILINE)
_LEVELS = ("global", "master", "group", "region")
_DEEPEST = 8
"""Files that may include each other."""
_ANY_VELOCITY = 75
"""Of a region that sounds at every velocity."""


@dataclass(frozen=True)
class Region:
    """One recording of an instrument.

    Parameters
    ----------
    path
        The sound file.
    low, high
        Keys it sounds at, MIDI numbers (``lokey``, ``hikey``, ``key``).
    pitch
        The recording's own pitch as a MIDI number with a fraction: ``pitch_keycenter`` less ``transpose`` and ``tune``,
        which correct it.
    velocity
        The middle of ``lovel`` and ``hivel``; 75 where it sounds at every velocity.
    offset
        Samples of the file to skip.
    volume_db
        Gain.
    """

    path: Path
    low: int
    high: int
    pitch: float
    velocity: int
    offset: int = 0
    volume_db: float = 0.0


def read_sfz(path: Path) -> list[Region]:
    """Regions of an SFZ file whose recordings exist, in the order of the file.

    Raises
    ------
    DataError
        If the file cannot be read, a value is no number or note, or none of its recordings exists.
    """
    path = Path(path)
    regions: list[Region] = []
    missing = 0
    for opcodes in _opcodes(path):
        region = _region(path, opcodes)
        if region is None:
            continue
        if region.path.is_file():
            regions.append(region)
        else:
            missing += 1
    if missing and not regions:
        raise DataError(f"{path.name} names {missing} recordings, none of which is there; put its samples beside it.")
    return regions


def _text(path: Path, defined: dict[str, str], depth: int = 0) -> str:
    try:
        text = _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise DataError(f"{path} cannot be read; check the path, also in #include.") from error
    if depth > _DEEPEST:
        raise DataError(f"{path.name} includes itself; remove the #include.")
    parts, done = [], 0
    for found in _DIRECTIVE.finditer(text):
        parts.append(_replaced(text[done : found.start()], defined))
        done = found.end()
        name, value, other = found.groups()
        if other is not None:
            parts.append(_text(path.parent / other.replace("\\", "/"), defined, depth + 1))
        else:
            defined[name] = value
    parts.append(_replaced(text[done:], defined))
    return "\n".join(parts)


def _replaced(text: str, defined: dict[str, str]) -> str:
    # The longest first: $KEY must not take the beginning of $KEYS.
    for name in sorted(defined, key=len, reverse=True):
        text = text.replace(name, defined[name])
    return text


def _opcodes(path: Path) -> Iterator[dict[str, str]]:
    """All opcodes that hold for each region: its own over those of its group, master, control and global."""
    scopes: dict[str, dict[str, str]] = {level: {} for level in ("control", *_LEVELS)}
    current: dict[str, str] = {}
    inside = ""
    for header, name, value in _TOKEN.findall(_text(path, {})):
        if not header:
            current[name] = value
            continue
        if inside == "region":
            yield _joined(scopes)
        inside = header
        current = {}
        if header in _LEVELS:
            # A new group forgets the region before it, a new master the group too.
            for level in _LEVELS[_LEVELS.index(header) :]:
                scopes[level] = {}
            scopes[header] = current
        elif header == "control":
            # What is not named again stays as it was.
            current = scopes["control"]
    if inside == "region":
        yield _joined(scopes)


def _joined(scopes: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: value for scope in scopes.values() for name, value in scope.items()}


def _region(path: Path, opcodes: dict[str, str]) -> Region | None:
    sample = opcodes.get("sample", "").strip()
    plays = opcodes.get("trigger", "attack") == "attack" and opcodes.get("end") != "-1"
    plays = plays and opcodes.get("pitch_keytrack", "100") != "0" and not any(o.startswith("on_locc") for o in opcodes)
    chosen = opcodes.get("sw_default")
    if "sw_last" in opcodes and chosen is not None:
        plays = plays and _key(path, opcodes["sw_last"]) == _key(path, chosen)
    if not sample or sample.startswith("*") or not plays:
        return None
    shift = int(_number(path, opcodes, "note_offset", 0)) + 12 * int(_number(path, opcodes, "octave_offset", 0))
    key = opcodes.get("key")
    if opcodes.get("pitch_keycenter") == "sample":  # written in the recording, where we do not look
        opcodes = {name: value for name, value in opcodes.items() if name != "pitch_keycenter"}
    low, high, centre = (
        _key(path, opcodes.get(name, key if key is not None else default)) + shift
        for name, default in (("lokey", "0"), ("hikey", "127"), ("pitch_keycenter", "60"))
    )
    if high < low or high - shift < 0:  # hikey=-1 keeps a region from sounding by keys
        return None
    pitch = centre - _number(path, opcodes, "transpose", 0) - _number(path, opcodes, "tune", 0) / 100.0
    soft, loud = int(_number(path, opcodes, "lovel", 0)), int(_number(path, opcodes, "hivel", 127))
    every = soft <= 1 and loud >= 127
    file = path.parent / (opcodes.get("default_path", "") + sample).replace("\\", "/")
    return Region(
        file,
        low,
        high,
        pitch,
        _ANY_VELOCITY if every else (soft + loud + 1) // 2,
        max(int(_number(path, opcodes, "offset", 0)), 0),
        _number(path, opcodes, "volume", 0.0),
    )


def _number(path: Path, opcodes: dict[str, str], name: str, default: float) -> float:
    value = opcodes.get(name, default)
    try:
        return float(value)
    except ValueError:
        raise DataError(f"{path.name}: {name}={value} is no number; correct it.") from None


def _key(path: Path, value: str) -> int:
    """A key by its number, or by its name with c4 = 60."""
    try:
        return int(value) if value.strip().lstrip("+-").isdigit() else pitch_number(value)
    except ValueError:
        raise DataError(f"{path.name}: '{value}' is no key; write a MIDI number or a name such as c#4.") from None
