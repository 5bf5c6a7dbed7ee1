"""`Metre`: a time signature and what counts as a beat in it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Metre:
    """A time signature.

    Parameters
    ----------
    beats
        Upper number, at least 1.
    beat_type
        Lower number: 1, 2, 4, 8, 16 or 32.

    Raises
    ------
    ValueError
        If the numbers make no time signature.

    Examples
    --------
    >>> Metre(6, 8).beats_per_bar, Metre(6, 8).beat_quarters
    (2, 1.5)
    """

    beats: int = 4
    beat_type: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.beats <= 64 or self.beat_type not in (1, 2, 4, 8, 16, 32):
            raise ValueError(f"{self.beats}/{self.beat_type} is no time signature; write one such as 3/4 or 6/8.")

    @classmethod
    def parse(cls, text: str) -> Metre:
        """From text such as ``3/4``."""
        try:
            upper, lower = (int(x) for x in text.split("/"))
        except ValueError:
            raise ValueError(f"'{text}' is no time signature; write one such as 3/4 or 6/8.") from None
        return cls(upper, lower)

    def __str__(self) -> str:
        return f"{self.beats}/{self.beat_type}"

    @property
    def compound(self) -> bool:
        """Whether a beat has three parts (6/8, 9/8, 12/8, 6/4 is not taken for one)."""
        return self.beat_type >= 8 and self.beats > 3 and self.beats % 3 == 0

    @property
    def beat(self) -> Fraction:
        """Length of a beat in quarter notes: dotted where the metre is compound."""
        return Fraction(4 * (3 if self.compound else 1), self.beat_type)

    @property
    def beat_quarters(self) -> float:
        """`beat` as a number."""
        return float(self.beat)

    @property
    def beats_per_bar(self) -> int:
        """How many beats a bar has: 2 in 6/8."""
        return self.beats // 3 if self.compound else self.beats

    @property
    def bar(self) -> Fraction:
        """Length of a bar in quarter notes."""
        return Fraction(4 * self.beats, self.beat_type)
