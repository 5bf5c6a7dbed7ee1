"""The language of the pieces: English stands in the code, the Chinese beside it in `zh`."""

from __future__ import annotations

from widgets.lessons.zh import ZH

LANGUAGES = {"en": "English", "zh": "中文"}
_now = ["en"]


def speak(language: str) -> None:
    """Choose the language of every piece that is made from now on: ``en`` or ``zh``.

    Raises
    ------
    ValueError
        If there is no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"The lessons speak {' and '.join(LANGUAGES)}, not {language!r}.")
    _now[0] = language


def language() -> str:
    """The language chosen."""
    return _now[0]


def say(english: str, **values: object) -> str:
    """The sentence in the chosen language, with `values` filled in.

    Raises
    ------
    KeyError
        If a sentence has no Chinese.
    """
    text = english if _now[0] == "en" else ZH[english]
    return text.format(**values) if values else text
