"""A note table in a notebook: what it holds in a line, and a small piano roll, a colour a track; no script."""

from __future__ import annotations

from html import escape

import numpy as np

from amtsep.notes import Notes

COLORS = ("#c77f00", "#0b78b8", "#008560", "#9a8a00", "#c64a00", "#b04d8d", "#4a51c9", "#4b5563")
"""A colour a track, told from one another on white and on black; those of the app's light theme."""
WIDTH, HEIGHT = 640.0, 140.0
MOST_NOTES = 2000
"""Drawn: of longer tables the beginning, for a notebook keeps every picture."""


def notes_html(notes: Notes) -> str:
    """HTML of a note table: how many notes, how long, its tracks, and a small roll.

    Examples
    --------
    >>> from amtsep import Notes
    >>> "1 note" in notes_html(Notes.build([0.0], [1.0], [60]))
    True
    """
    n = len(notes)
    count = "1 note" if n == 1 else f"{n:,} notes"
    if not n:
        return f"<p>{count}</p>"
    shown = notes[:MOST_NOTES]
    first, end = float(shown.onset[0]), shown.end
    low, high = int(shown.pitch.min()) - 1, int(shown.pitch.max()) + 2
    across, down = WIDTH / max(end - first, 1e-3), HEIGHT / (high - low)
    boxes = [
        f'<rect x="{(note.onset - first) * across:.1f}" y="{(high - 1 - note.pitch) * down:.1f}" '
        f'width="{max((note.offset - note.onset) * across, 1.0):.1f}" height="{max(down - 0.5, 1.0):.1f}" '
        f'fill="{COLORS[note.track % len(COLORS)]}"/>'
        for note in shown
    ]
    counts = np.bincount(notes.track, minlength=len(notes.tracks))
    tracks = " · ".join(
        f'<span style="color:{COLORS[i % len(COLORS)]}">■</span> {escape(track.name)} {counts[i]}'
        for i, track in enumerate(notes.tracks)
        if counts[i]
    )
    lowest, highest = int(notes.pitch.min()), int(notes.pitch.max())
    about = f"{count}, {notes.end:.1f} s, MIDI {lowest} to {highest}"
    cut = f", the first {MOST_NOTES:,} drawn" if n > MOST_NOTES else ""
    return (
        f"<div><div>{about}{cut}</div>"
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" style="max-width:100%;background:#8881" '
        f'role="img" aria-label="Piano roll: {about}">{"".join(boxes)}</svg><div>{tracks}</div></div>'
    )
