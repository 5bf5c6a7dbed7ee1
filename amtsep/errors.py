"""The errors a user may meet: each carries one sentence that says what is wrong and what to do."""

from __future__ import annotations


class AmtsepError(Exception):
    """Base of every error that is meant for a person: the command line prints its text, the app shows it in place."""


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
