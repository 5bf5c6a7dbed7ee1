"""Captions: phrases in English or 中文 for what is known of a clip, put into a template."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amtsep.errors import DataError
from amtsep.studio.names import UNKNOWN

TEMPLATES = {
    "en": "{title}: {genre}, {tempo}, {key}, {timbres}, {registers}, {density}",
    "zh": "{title}：{genre}，{tempo}，{key}，{timbres}，{registers}，{density}",
}
FIELDS = ("title", "artist", "genre", "tempo", "key", "timbres", "registers", "density")

MAJORS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
MINORS = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")
"""Tonics of signatures from seven flats to seven sharps."""

REGISTERS = ("bass", "low", "middle", "high")
_REGISTERS_ZH = {"bass": "低音", "low": "中低音", "middle": "中音", "high": "高音"}
_NUMBERS = {
    "en": ("no", "one", "two", "three", "four", "five", "six"),
    "zh": ("零", "一", "两", "三", "四", "五", "六"),
}
_GENRES_ZH = {
    "blues": "布鲁斯", "classical": "古典", "country": "乡村", "disco": "迪斯科", "hip-hop": "嘻哈", "hiphop": "嘻哈",
    "jazz": "爵士", "metal": "金属", "pop": "流行", "reggae": "雷鬼", "rock": "摇滚", "folk": "民谣",
}  # fmt: skip
SPARSE, DENSE = 1.5, 6.0
"""Notes a second under and over which music is called so."""


@dataclass(frozen=True)
class Heard:
    """What our own transcription says of a clip; ``None`` where it cannot say.

    Parameters
    ----------
    tempo
        Beats a minute.
    key
        Sharps (positive) or flats of the signature, -7 to 7.
    minor
        The mode.
    timbres
        How many.
    registers
        Of those timbres, from the lowest, out of `REGISTERS`.
    density
        Notes a second.
    """

    tempo: float | None = None
    key: int | None = None
    minor: bool = False
    timbres: int | None = None
    registers: tuple[str, ...] = ()
    density: float | None = None


def key_name(key: int, minor: bool, language: str = "en") -> str:
    """A key by its name.

    Examples
    --------
    >>> key_name(-1, True), key_name(-2, False, "zh")
    ('D minor', '降B大调')
    """
    tonic = (MINORS if minor else MAJORS)[key + 7]
    if language == "zh":
        sign = {"#": "升", "b": "降"}.get(tonic[1:], "")
        return f"{sign}{tonic[0]}{'小调' if minor else '大调'}"
    return f"{tonic} {'minor' if minor else 'major'}"


def phrases(title: str, artist: str, genre: str, heard: Heard, language: str = "en") -> dict[str, str]:
    """The text of each of `FIELDS`, "" for what is not known."""
    chinese = language == "zh"
    genre = "" if genre == UNKNOWN else genre
    out = dict.fromkeys(FIELDS, "") | {"title": title, "artist": artist}
    out["genre"] = _GENRES_ZH.get(genre, genre) if chinese else genre
    if heard.tempo is not None:
        out["tempo"] = f"每分钟{heard.tempo:.0f}拍" if chinese else f"{heard.tempo:.0f} beats a minute"
    if heard.key is not None:
        name = key_name(heard.key, heard.minor, language)
        out["key"] = name if chinese else f"in {name}"
    if heard.timbres is not None:
        words = _NUMBERS[language]
        number = words[heard.timbres] if heard.timbres < len(words) else str(heard.timbres)
        out["timbres"] = f"{number}种音色" if chinese else f"{number} timbre{'s' if heard.timbres != 1 else ''}"
    if heard.registers:
        out["registers"] = _registers(heard.registers, chinese)
    if heard.density is not None:
        level = 0 if heard.density < SPARSE else 2 if heard.density > DENSE else 1
        out["density"] = (("疏朗", "疏密适中", "密集") if chinese else ("sparse", "moderately busy", "busy"))[level]
    return out


def _registers(registers: Sequence[str], chinese: bool) -> str:
    if chinese:
        return "、".join(_REGISTERS_ZH[r] for r in registers) + "区"
    listed = registers[0] if len(registers) == 1 else ", ".join(registers[:-1]) + f" and {registers[-1]}"
    return f"{listed} register{'s' if len(registers) > 1 else ''}"


def check_template(template: str) -> None:
    """Raise `DataError` where a template names a field that there is not."""
    try:
        named = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise DataError(f"The template '{template}' cannot be read ({error}); write fields as {{genre}}.") from None
    wrong = [name for name in named if name not in FIELDS]
    if wrong or not named:
        said = f"names {{{wrong[0]}}}, which is no field" if wrong else "names no field"
        raise DataError(f"The template '{template}' {said}; there are {', '.join('{' + f + '}' for f in FIELDS)}.")


def caption(values: Mapping[str, str], template: str = "", language: str = "en") -> str:
    """Fill a template in; what is not known takes its comma with it.

    Examples
    --------
    >>> caption({"title": "Air", "genre": "", "key": "in G major"}, "{title}: {genre}, {key}")
    'Air: in G major'
    """
    known = dict.fromkeys(FIELDS, "") | {key: " ".join(value.split()) for key, value in values.items()}
    # Empty fields go with the separator behind them, or at the end with the one before.
    text = (template or TEMPLATES[language]).format_map({key: value or "\0" for key, value in known.items()})
    text = re.sub(r"\0[ ]*[,;:，；：、]?[ ]*", "", text)
    return re.sub(r"[\s,;:，；：、]+$", "", text).strip()
