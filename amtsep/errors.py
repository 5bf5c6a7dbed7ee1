"""The errors a user may meet: each carries one sentence that says what is wrong and what to do."""

from __future__ import annotations

import string
from typing import Any


class AmtsepError(Exception):
    """Base of every error that is meant for a person: the command line prints its text, the app shows it in place.

    Parameters
    ----------
    sentence
        In English; with `values`, a template for `str.format`.
    values
        What fills the template. The app looks the template up among its translations (`widgets/js/src/words`), as
        gettext does, and fills that.
    """

    def __init__(self, sentence: str = "", **values: Any) -> None:
        super().__init__(sentence.format(**values) if values else sentence)
        self.sentence, self.values = sentence, values

    def parts(self) -> tuple[str, dict[str, str]]:
        """The template without format specifications, and each value as it is written: what travels as text."""
        if not self.values:
            return self.sentence, {}
        plain, written = "", {}
        for before, name, form, _ in string.Formatter().parse(self.sentence):
            plain += before
            if name is not None:
                plain += f"{{{name}}}"
                written[name] = format(self.values[name], form or "")
        return plain, written


class AudioError(AmtsepError):
    """A recording that cannot be read or is of no use; the sentence names the file and the remedy."""


class FormatError(AmtsepError):
    """A note, posterior or session file that cannot be read or written."""


class ModelError(AmtsepError):
    """Weights that are missing, damaged (checksum), or made for another network."""


class DataError(AmtsepError):
    """A data set or bank that is absent or not laid out as expected."""


class Cancelled(AmtsepError):  # noqa: N818 - a request, not a fault
    """Raised inside long work when its progress callback asked for an end."""
