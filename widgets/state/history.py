"""Undo and redo as the autosave keeps them: each step as its difference from the one nearer to now, bounded in size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from widgets.state.edits import Edits, State

MOST_BYTES = 200_000
"""Of each of the two lists: what lies further back is let go of."""


def pack(state: State, undo: Sequence[State], redo: Sequence[State]) -> dict[str, list[dict[str, Any]]]:
    """The steps before and after `state`, those next to it first, as values for JSON."""
    return {"undo": _pack(state, undo), "redo": _pack(state, redo)}


def unpack(
    values: Any, state: State, read: Callable[[dict[str, Any]], State]
) -> tuple[tuple[State, ...], tuple[State, ...]]:
    """What `pack` made; `read` checks the values of a state. A damaged list ends where the damage is."""
    both = values if isinstance(values, dict) else {}
    return _unpack(both.get("undo"), state, read), _unpack(both.get("redo"), state, read)


def _pack(state: State, steps: Sequence[State]) -> list[dict[str, Any]]:
    packed: list[dict[str, Any]] = []
    size, near = 0, state
    for step in reversed(steps):
        packed.append(_difference(step, near))
        size += len(json.dumps(packed[-1]))
        if size > MOST_BYTES:
            return packed[:-1]
        near = step
    return packed


def _unpack(packed: Any, state: State, read: Callable[[dict[str, Any]], State]) -> tuple[State, ...]:
    steps: list[State] = []
    values = asdict(state)
    try:
        for difference in packed or ():
            values = _changed(values, difference)
            steps.append(read(values))
    except (ValueError, TypeError, KeyError, AttributeError):
        pass  # steps nearer than the damage are good
    return tuple(reversed(steps))


def _difference(value: Any, near: Any) -> dict[str, Any]:
    """The fields in which a `State` or its `Edits` differ; of a tuple, how many members are the same, and the rest."""
    changes: dict[str, Any] = {}
    for name in (f.name for f in fields(value)):
        new, old = getattr(value, name), getattr(near, name)
        if new == old:
            continue
        if isinstance(new, Edits):
            changes[name] = _difference(new, old)
        elif isinstance(new, tuple):
            same = next((i for i, (a, b) in enumerate(zip(new, old)) if a is not b and a != b), min(len(new), len(old)))
            changes[name] = {"keep": same, "more": [_plain(member) for member in new[same:]]}
        else:
            changes[name] = _plain(new)
    return changes


def _changed(values: dict[str, Any], difference: dict[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for name, change in difference.items():
        if name in ("edits", "strokes"):
            result[name] = _changed(values[name], change)
        elif isinstance(change, dict) and change.keys() == {"keep", "more"}:
            result[name] = [*_first(values[name], int(change["keep"])), *change["more"]]
        else:
            result[name] = change
    return result


def _first(members: Iterable[Any], count: int) -> list[Any]:
    return list(members)[:count]


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
