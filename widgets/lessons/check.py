"""Answers of students: a verdict that says what is right, or what to look at."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw
import numpy as np

from widgets.lessons.text import say


class Verdict(ipw.HTML):
    """A line under a student's answer; `right` tells a teacher's (or a test's) program.

    Parameters
    ----------
    right
        Whether the answer is.
    words
        What to say about it, in the student's language.
    """

    def __init__(self, right: bool, words: str) -> None:
        self.right, self.words = bool(right), words
        colour, mark = ("#0a7d4f", "✓") if right else ("#a15c00", "✎")
        super().__init__(
            f'<div style="border-left:4px solid {colour};padding:4px 12px;font-size:15px">'
            f'<b style="color:{colour}">{mark}</b> {html.escape(words)}</div>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if os.environ.get("AMTSEP_LESSONS_AS") == "html":
            return {"text/html": self.value}
        return super()._repr_mimebundle_(**kwargs)


def verdict(right: bool, praise: str, hint: str) -> Verdict:
    """Praise or a hint."""
    return Verdict(right, praise if right else hint)


def open_answer(answer: Any) -> Verdict | None:
    """What to say where the dots still stand, or where what stands there is no number; else ``None``."""
    values = answer if isinstance(answer, (tuple, list)) else (answer,)
    if any(value is Ellipsis for value in values):
        return Verdict(False, say("Put your answer in place of the dots, and run the cell again."))
    return None


def near(answer: Any, truth: float, tolerance: float) -> bool:
    """Whether an answer is a number within `tolerance` of `truth`."""
    try:
        return bool(np.abs(float(answer) - truth) <= tolerance)
    except (TypeError, ValueError):
        return False


def number(answer: Any, truth: float, tolerance: float, praise: str, hint: str) -> Verdict:
    """The verdict on a number."""
    return open_answer(answer) or verdict(near(answer, truth, tolerance), praise, hint)


def choice(answer: Any, truth: str, praise: str, hint: str) -> Verdict:
    """The verdict on a word."""
    return open_answer(answer) or verdict(str(answer).strip().lower() == truth, praise, hint)


@dataclass(frozen=True)
class Exercise:
    """A question's answer.

    Parameters
    ----------
    truth
        A number, or a word in lower case.
    praise, hint
        What is said of a right and of a wrong answer.
    within
        How far off a number may be.
    """

    truth: float | str
    praise: str
    hint: str
    within: float = 0.0


def checker(exercises: Callable[[], Sequence[Exercise]]) -> Callable[[int, Any], Verdict]:
    """A lesson's ``check(number, answer)``; `exercises` is asked each time, since it speaks the chosen language."""

    def check(exercise: int, answer: Any) -> Verdict:
        """The verdict on an answer to exercise 1, 2 or 3."""
        asked = exercises()[exercise - 1]
        if isinstance(asked.truth, str):
            return choice(answer, asked.truth, asked.praise, asked.hint)
        return number(answer, asked.truth, asked.within, asked.praise, asked.hint)

    return check
