"""Corrections by hand as the page sends them: notes made by hand are named by their number, decoded ones by pitch and
onset, for the table may have changed meanwhile.

`widgets/js/src/edits.ts` keeps the same rules for a page without a program; `tests/vectors/edits.json` holds both to
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from widgets.state.edits import Note
from widgets.state.session import Session


def _note(values: dict[str, Any]) -> Note:
    return Note(
        float(values["onset"]),
        float(values["offset"]),
        int(values["pitch"]),
        int(values.get("velocity", 80)),
        int(values.get("track", 0)),
    )


def correct(session: Session, message: dict[str, Any]) -> None:
    """Delete, change, add, split, join or assign notes; with ``"of": "strokes"``, delete, change or add drum strokes.

    A message with a `turn` not over that of the one before has been heard already, before a connection broke.
    """
    turn = int(message.get("turn", 0))
    if 0 < turn <= session.turn:
        return
    with session.hold_trait_notifications():
        if turn:
            session.turn = turn
        _apply(session, message)


def correct_all(session: Session, messages: Iterable[dict[str, Any]]) -> None:
    """What a page has kept while there was nobody to send it to."""
    for message in messages:
        with session.guard():
            correct(session, message)


def _apply(session: Session, message: dict[str, Any]) -> None:
    anchors = [tuple(float(v) for v in anchor) for anchor in message.get("at", [])]
    what = str(message["what"])
    drums = message.get("of") == "strokes"
    table = session.stroke_table if drums else session.table
    replaced = session.replace_strokes if drums else session.replace_notes
    if what == "change":
        # Found one by one, so that each new value meets its own note.
        pairs = [(table.find([a]), _note(n)) for a, n in zip(anchors, message["notes"], strict=True)]
        changes = [(int(i[0]), note) for i, note in pairs if len(i)]
        return session.change_strokes(changes) if drums else session.change(changes)
    index = table.find(anchors)
    if what == "add":
        replaced(index[:0], [_note(n) for n in message["notes"]])
    elif what == "delete":
        replaced(index, ())
    elif drums:
        raise ValueError(f"no such edit of a stroke: {what}")
    elif what == "split":
        session.split(index, float(message["time"]))
    elif what == "join":
        session.join(index)
    elif what == "assign":
        session.assign(index, int(message["track"]))
    else:
        raise ValueError(f"no such edit: {what}")
    return None
