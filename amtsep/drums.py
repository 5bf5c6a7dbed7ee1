"""Names of drum strokes: General MIDI keys, kinds of strokes that kits hold, and the classes that are told apart."""

from __future__ import annotations

CLASSES = ("kick", "snare", "hi-hat", "tom", "cymbal")
"""What a transcription says of a stroke; snare has sidestick, rim and clap with it."""
CLASS_KEYS = (36, 38, 42, 45, 49)
"""General MIDI key that a class is written as."""

KIND_KEYS: dict[str, int] = {
    "kick": 36, "sidestick": 37, "snare": 38, "clap": 39, "tom-low": 41, "hihat-closed": 42, "hihat-pedal": 44,
    "tom-mid": 45, "hihat-open": 46, "tom-high": 48, "crash": 49, "ride": 51, "ride-bell": 53, "tambourine": 54,
    "cowbell": 56, "bongo": 60, "conga": 63, "shaker": 70, "claves": 75,
}  # fmt: skip
"""Kinds of strokes and the key that stands for each."""

_CLASS_OF_KIND = {
    "kick": 0, "sidestick": 1, "snare": 1, "clap": 1, "hihat-closed": 2, "hihat-pedal": 2, "hihat-open": 2,
    "tom-low": 3, "tom-mid": 3, "tom-high": 3, "crash": 4, "ride": 4, "ride-bell": 4,
}  # fmt: skip

_KIND_OF_KEY = {
    35: "kick", 36: "kick", 37: "sidestick", 38: "snare", 39: "clap", 40: "snare", 41: "tom-low", 42: "hihat-closed",
    43: "tom-low", 44: "hihat-pedal", 45: "tom-mid", 46: "hihat-open", 47: "tom-mid", 48: "tom-high", 49: "crash",
    50: "tom-high", 51: "ride", 52: "crash", 53: "ride-bell", 54: "tambourine", 55: "crash", 56: "cowbell",
    57: "crash", 59: "ride", 60: "bongo", 61: "bongo", 62: "conga", 63: "conga", 64: "conga", 69: "shaker",
    70: "shaker", 75: "claves", 82: "shaker",
    # Electronic kits (Roland's) have the edge of the hi-hat and the rim of the floor tom on keys of their own.
    22: "hihat-closed", 26: "hihat-open", 58: "tom-low",
}  # fmt: skip


def kind_of_key(key: int) -> str | None:
    """Kind of stroke on a General MIDI key, or on those that electronic kits add; None for others."""
    return _KIND_OF_KEY.get(key)


def class_of_kind(kind: str) -> int:
    """Index into `CLASSES`; -1 for hand percussion, which has none."""
    return _CLASS_OF_KIND.get(kind, -1)


def class_of_key(key: int) -> int:
    """Index into `CLASSES` of a General MIDI key; -1 where it has none."""
    kind = kind_of_key(key)
    return -1 if kind is None else class_of_kind(kind)
