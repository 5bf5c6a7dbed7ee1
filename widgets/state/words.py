"""Messages that the Python half shows: a key that the browser half has words for in each language, and details."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any

from amtsep.errors import AmtsepError


@dataclass(frozen=True)
class Status:
    """One line for the person: `kind` is idle, info, busy or error.

    `key` names a sentence in the browser half's tables (with `values` filled in). For one of the library's errors the
    key is its template, and `text` the finished sentence, for languages without a translation. `details` is shown on
    request.
    """

    kind: str = "idle"
    key: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    details: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The plain form that travels to the browser."""
        return {
            "kind": self.kind,
            "key": self.key,
            "values": self.values,
            "text": self.text,
            "details": self.details,
        }


def failure(error: BaseException) -> Status:
    """The line for an error: the library's sentence as it stands, or that something went wrong, with the traceback."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, AmtsepError):
        sentence, values = error.parts()
        return Status("error", sentence, dict(values), str(error), details)
    return Status("error", "unexpected", {"error": f"{type(error).__name__}: {error}"}, details=details)
