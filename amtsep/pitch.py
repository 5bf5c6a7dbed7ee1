"""Names of pitches: the one table of them."""

from __future__ import annotations

import re

PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
"""Semitones over C of the letters."""
_SHARPS = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
_SIGNS = {"#": 1, "♯": 1, "s": 1, "b": -1, "♭": -1}
_NAME = re.compile(r"\s*([A-Ga-g])([#♯sb♭]*)(-?\d+)\s*")


def pitch_number(name: str) -> int:
    """MIDI number of a note name: C4 (60, the middle C), F#3, Bb5, As4 (a sharp, as in names of files), C-1 (0).

    Raises
    ------
    ValueError
        If it is no name of a note.

    Examples
    --------
    >>> pitch_number("C4"), pitch_number("Bb3"), pitch_number("f#3")
    (60, 58, 54)
    """
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"{name!r} is not the name of a note.")
    letter, signs, octave = found.groups()
    return 12 * (int(octave) + 1) + PITCH_CLASSES[letter.upper()] + sum(_SIGNS[sign] for sign in signs)


def pitch_name(pitch: int) -> str:
    """Name of a MIDI number, with sharps: 60 is C4.

    Examples
    --------
    >>> pitch_name(60), pitch_name(70)
    ('C4', 'A♯4')
    """
    return f"{_SHARPS[pitch % 12]}{pitch // 12 - 1}"
