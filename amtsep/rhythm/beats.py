"""`Beats`: where the beats and the bar lines of a recording are, a value that is drawn, edited and saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtsep.rhythm.metre import Metre

SHORTEST_S = 0.12
"""No two beats are closer: 500 a minute."""


@dataclass(frozen=True, eq=False)
class Beats:
    """Beats of a recording.

    Parameters
    ----------
    time
        (n,) seconds, float64, strictly rising.
    downbeat
        (n,) whether a bar starts here.
    metre
        (n,) index into `metres`, of the bar that the beat is in.
    confidence
        (n,) in [0, 1]: how sure the tracking is of the beat and of the tempo around it; 1 for what a user has set.
    metres
        The time signatures that occur.
    key
        Sharps (positive) or flats of the key signature, -7 to 7.
    minor
        Whether the key is minor.
    swing
        Whether pairs of eighths are played long and short and written straight.

    Raises
    ------
    ValueError
        If the columns differ in length or the times do not rise.
    """

    time: NDArray[np.float64]
    downbeat: NDArray[np.bool_]
    metre: NDArray[np.int16]
    confidence: NDArray[np.float32]
    metres: tuple[Metre, ...] = (Metre(),)
    key: int = 0
    minor: bool = False
    swing: bool = False

    def __post_init__(self) -> None:
        n = len(self.time)
        if not (len(self.downbeat) == len(self.metre) == len(self.confidence) == n):
            raise ValueError("The columns of a table of beats must have the same length.")
        if n and not (np.all(np.isfinite(self.time)) and np.all(np.diff(self.time) > 0)):
            raise ValueError("The times of beats must rise.")
        if n and (self.metre.min() < 0 or self.metre.max() >= len(self.metres)):
            raise ValueError("A beat points to a metre that does not exist.")

    @classmethod
    def build(
        cls,
        time: ArrayLike,
        downbeat: ArrayLike | None = None,
        bar_metres: Sequence[Metre] | Metre = Metre(),  # noqa: B008 - frozen
        confidence: ArrayLike | None = None,
        key: int = 0,
        minor: bool = False,
        swing: bool = False,
    ) -> Beats:
        """Make beats from times; `bar_metres` is one metre for all, or one a bar (a pickup has that of the first).

        Without `downbeat`, every `beats_per_bar`-th beat from the first is one.
        """
        at = np.asarray(time, np.float64).reshape(-1)
        n = len(at)
        metres = [bar_metres] if isinstance(bar_metres, Metre) else list(bar_metres)
        down = (
            np.arange(n) % metres[0].beats_per_bar == 0
            if downbeat is None
            else np.asarray(downbeat, bool).reshape(-1).copy()
        )
        unique = tuple(dict.fromkeys(metres)) or (Metre(),)
        bar = np.clip(np.cumsum(down) - 1, 0, len(metres) - 1)
        metre = np.array([unique.index(metres[i]) for i in bar], np.int16)
        conf = np.ones(n, np.float32) if confidence is None else np.asarray(confidence, np.float32).reshape(-1)
        return cls(at, down, metre, conf, unique, key, minor, swing)

    @classmethod
    def steady(cls, tempo: float, end_s: float, metre: Metre = Metre(), start_s: float = 0.0) -> Beats:  # noqa: B008
        """Beats at one tempo (beats a minute) from `start_s` to the first at or after `end_s`."""
        period = 60.0 / tempo
        count = max(int(np.ceil((end_s - start_s) / period)) + 1, 2)
        return cls.build(start_s + period * np.arange(count), bar_metres=metre)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def tempo(self) -> float:
        """Median tempo in beats a minute; 0 with fewer than two beats."""
        return 60.0 / float(np.median(np.diff(self.time))) if len(self) > 1 else 0.0

    def tempo_curve(self) -> NDArray[np.float64]:
        """(n,) beats a minute from each beat to the next (the last repeats the one before)."""
        if len(self) < 2:
            return np.zeros(len(self))
        rate = 60.0 / np.diff(self.time)
        return np.append(rate, rate[-1])

    @property
    def main_metre(self) -> Metre:
        """The metre of most bars."""
        if not len(self):
            return self.metres[0]
        counts = np.bincount(self.metre[self.downbeat] if self.downbeat.any() else self.metre)
        return self.metres[int(counts.argmax())]

    def bar_of(self) -> NDArray[np.intp]:
        """(n,) number of the bar of each beat: 1 for the first full one, 0 for a pickup."""
        return np.cumsum(self.downbeat)

    def position(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Times as beats, counted from the first; before it and after the last at the tempo found there."""
        at = np.asarray(seconds, np.float64)
        if len(self) < 2:
            return at * 2.0
        place = np.interp(at, self.time, np.arange(len(self)))
        first, last = self.time[1] - self.time[0], self.time[-1] - self.time[-2]
        place = np.where(at < self.time[0], (at - self.time[0]) / first, place)
        return np.where(at > self.time[-1], len(self) - 1 + (at - self.time[-1]) / last, place)

    def seconds(self, position: ArrayLike) -> NDArray[np.float64]:
        """The inverse of `position`."""
        at = np.asarray(position, np.float64)
        if len(self) < 2:
            return at / 2.0
        time = np.interp(at, np.arange(len(self)), self.time)
        first, last = self.time[1] - self.time[0], self.time[-1] - self.time[-2]
        time = np.where(at < 0, self.time[0] + at * first, time)
        return np.where(at > len(self) - 1, self.time[-1] + (at - (len(self) - 1)) * last, time)

    # --- edits: each gives new beats -----------------------------------------------------------------------------

    def shifted(self, seconds: float) -> Beats:
        """All beats earlier (negative) or later."""
        return replace(self, time=self.time + seconds)

    def with_beat(self, index: int, time: float) -> Beats:
        """One beat moved, no further than just short of its neighbours."""
        low = self.time[index - 1] + SHORTEST_S / 2 if index > 0 else -np.inf
        high = self.time[index + 1] - SHORTEST_S / 2 if index + 1 < len(self) else np.inf
        at, sure = self.time.copy(), self.confidence.copy()
        at[index], sure[index] = (min(max(time, low), high) if low < high else at[index]), 1.0
        return replace(self, time=at, confidence=sure)

    def with_bar_line(self, index: int, time: float) -> Beats:
        """A downbeat dragged: the beats of the two bars that it parts are stretched with it.

        Parameters
        ----------
        index
            Of the beat that is dragged.
        time
            Where to, in seconds; kept between the bar lines before and after.
        """
        lines = np.flatnonzero(self.downbeat)
        before = lines[lines < index]
        after = lines[lines > index]
        left = int(before[-1]) if len(before) else 0
        right = int(after[0]) if len(after) else len(self) - 1
        if not left < index < right:
            return self.with_beat(index, time)
        low = self.time[left] + SHORTEST_S * (index - left)
        high = self.time[right] - SHORTEST_S * (right - index)
        if low > high:
            return self
        target = min(max(time, low), high)
        at, sure = self.time.copy(), self.confidence.copy()
        at[left : right + 1] = np.interp(
            self.time[left : right + 1],
            [self.time[left], self.time[index], self.time[right]],
            [self.time[left], target, self.time[right]],
        )
        sure[index] = 1.0
        return replace(self, time=at, confidence=sure)

    def doubled(self) -> Beats:
        """Twice the tempo: a beat between every two; a bar has as many beats as before."""
        if len(self) < 2:
            return self
        middle = (self.time[1:] + self.time[:-1]) / 2
        time = np.sort(np.concatenate([self.time, middle]))
        first = 2 * int(np.flatnonzero(self.downbeat)[0]) if self.downbeat.any() else 0
        return replace(
            self._with_times(time, np.repeat(self.confidence, 2)[: len(time)]), metres=(self.main_metre,)
        )._rebarred(first % self.main_metre.beats_per_bar)

    def halved(self) -> Beats:
        """Half the tempo: every second beat, so that downbeats stay beats where they can."""
        first = int(np.flatnonzero(self.downbeat)[0]) if self.downbeat.any() else 0
        keep = np.arange(len(self)) % 2 == first % 2
        if keep.sum() < 2:
            return self
        kept = replace(self._with_times(self.time[keep], self.confidence[keep]), metres=(self.main_metre,))
        return kept._rebarred((first // 2) % self.main_metre.beats_per_bar)

    def with_metre(self, metre: Metre) -> Beats:
        """Every bar in this metre, from the first downbeat on."""
        first = int(np.flatnonzero(self.downbeat)[0]) if self.downbeat.any() else 0
        plain = replace(self, metres=(metre,), metre=np.zeros(len(self), np.int16))
        return plain._rebarred(first % metre.beats_per_bar)

    def with_downbeat_shifted(self, beats: int = 1) -> Beats:
        """The bar lines so many beats later."""
        first = int(np.flatnonzero(self.downbeat)[0]) if self.downbeat.any() else 0
        return self.with_downbeat_at(first + beats)

    def with_downbeat_at(self, index: int) -> Beats:
        """Bars of the main metre throughout, one of which begins on this beat."""
        metre = self.main_metre
        plain = replace(self, metres=(metre,), metre=np.zeros(len(self), np.int16))
        return plain._rebarred(index % metre.beats_per_bar)

    def tapped(self, taps: Sequence[float]) -> Beats:
        """Beats where a user has tapped (at least two, in seconds); outside of the taps the old ones stay."""
        at = np.unique(np.asarray(taps, np.float64))
        at = at[np.concatenate([[True], np.diff(at) >= SHORTEST_S])] if len(at) else at
        if len(at) < 2:
            return self
        gap = float(np.median(np.diff(at)))
        before = self.time[self.time < at[0] - 0.5 * gap]
        after = self.time[self.time > at[-1] + 0.5 * gap]
        time = np.concatenate([before, at, after])
        sure = np.concatenate(
            [
                self.confidence[: len(before)],
                np.ones(len(at), np.float32),
                self.confidence[len(self) - len(after) :],
            ]
        )
        metre = self.main_metre
        first = int(np.flatnonzero(self.downbeat)[0]) if self.downbeat.any() else 0
        if not len(before):
            first = 0
        return replace(self._with_times(time, sure), metres=(metre,))._rebarred(first % metre.beats_per_bar)

    def _with_times(self, time: NDArray[np.float64], confidence: NDArray[np.float32]) -> Beats:
        n = len(time)
        return replace(
            self, time=time, downbeat=np.zeros(n, bool), metre=np.zeros(n, np.int16),
            confidence=np.asarray(confidence, np.float32),
        )  # fmt: skip

    def _rebarred(self, first: int) -> Beats:
        down = np.arange(len(self)) % self.metres[0].beats_per_bar == first
        return replace(self, downbeat=down)

    # --- in and out ----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; see `from_dict`."""
        return {
            "time": [round(float(t), 6) for t in self.time],
            "downbeat": [int(d) for d in self.downbeat],
            "metre": [int(m) for m in self.metre],
            "confidence": [round(float(c), 4) for c in self.confidence],
            "metres": [str(m) for m in self.metres],
            "key": self.key,
            "minor": self.minor,
            "swing": self.swing,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Beats:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            If the values make no beats.
        """
        try:
            return cls(
                np.asarray(values["time"], np.float64),
                np.asarray(values["downbeat"], bool),
                np.asarray(values["metre"], np.int16),
                np.asarray(values["confidence"], np.float32),
                tuple(Metre.parse(m) for m in values["metres"]),
                int(values.get("key", 0)),
                bool(values.get("minor", False)),
                bool(values.get("swing", False)),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"The beats cannot be read ({error}).") from None

    def equals(self, other: Beats, tolerance_s: float = 0.0) -> bool:
        """Whether two values hold the same beats, times within `tolerance_s`; confidence does not count."""
        return (
            len(self) == len(other)
            and bool(np.all(np.abs(self.time - other.time) <= tolerance_s))
            and bool(np.array_equal(self.downbeat, other.downbeat))
            and [self.metres[i] for i in self.metre] == [other.metres[i] for i in other.metre]
            and (self.key, self.minor, self.swing) == (other.key, other.minor, other.swing)
        )
