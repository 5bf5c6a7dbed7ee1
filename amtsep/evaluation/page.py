"""Pieces of the report's page: tables from the terminal's text, and each recording with its roll."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from amtsep.evaluation.metrics import fuse, match
from amtsep.evaluation.runner import Result
from amtsep.notes import Notes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#5b3a8e")
"""Okabe and Ito's palette, the yellow and black of it darker and lighter: a colour a track."""
COLUMNS = {
    "onset_f1": "onset",
    "onset_offset_f1": "onset+offset",
    "frame_f1": "frame",
    "given_macro_onset_f1": "tracks, number given",
    "estimated_macro_onset_f1": "tracks, number estimated",
}
"""F1 figures of a recording, and the head of their column."""
PIXELS_S, ROW = 24, 4
MOST_ROLLS = 60
"""Recordings with a roll: each has some hundred kilobytes."""
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;color:#1f2933;background:#fff}
h1,h2{overflow-wrap:anywhere}h2{margin-top:2.5rem}.wide{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #d9e2ec;white-space:nowrap}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #9aa5b1}
summary{cursor:pointer}svg{display:block;margin:.4rem 0}
@media(max-width:600px){body{margin:1rem auto;font-size:14px}h1{font-size:1.4rem}th,td{padding:.25rem .5rem}}
"""


def rendered(text: str) -> str:
    """Paragraphs and tables of the terminal's text (`Report.text`) as HTML."""
    made: list[str] = []
    table: list[list[str]] = []

    def close() -> None:
        if table:
            made.append(html_table(table[0], [[escape(c) for c in row] for row in table[1:]]))
            table.clear()

    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not all(set(cell) <= set("-:") for cell in cells):
                table.append(cells)
            continue
        close()
        if line.strip():
            made.append(f"<p>{escape(line)}</p>")
    close()
    return "".join(made)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML already; a row of one cell goes across. A wide one scrolls by itself."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    span = f"<td colspan='{len(head)}'>"
    body = "".join(
        f"<tr>{span}{row[0]}</td></tr>" if len(row) == 1 else f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for row in rows
    )
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def by_recording(results: Sequence[Result], fused: bool = True) -> str:
    """Every recording with its figures, the worst first, and a roll to open; `fused` are unisons of two parts."""
    flat = [(result, result.figures()) for result in results]
    shown = {name: head for name, head in COLUMNS.items() if any(name in figures for _, figures in flat)}
    rows: list[list[str]] = []
    for result, figures in sorted(flat, key=lambda pair: pair[1]["onset_f1"]):
        values = [figures.get(column, math.nan) for column in shown]
        cells = [f"{value:.3f}" if math.isfinite(value) else "–" for value in values]
        name = escape(result.recording.name)
        rows.append([name, str(result.recording.n_parts), str(len(result.estimate)), *cells])
        if len(rows) < 2 * MOST_ROLLS:
            reference = fuse(result.recording.reference) if fused else result.recording.reference
            svg = roll(reference, result.estimate if result.tracks is None else result.tracks)
            rows.append([f"<details><summary>Its notes</summary><div class='wide'>{svg}</div></details>"])
    return html_table(["recording", "parts", "notes found", *shown.values()], rows)


def roll(reference: Notes, estimate: Notes) -> str:
    """What was found, a colour a track, over what is true, as grey outlines; missed notes are outlined in red."""
    if not len(reference) and not len(estimate):
        return "<p>No notes.</p>"
    found = np.zeros(len(reference), bool)
    found[match(reference, estimate)[:, 0]] = True
    pitches = np.concatenate([reference.pitch, estimate.pitch])
    low, high = int(pitches.min()) - 1, int(pitches.max()) + 1
    end = float(np.concatenate([reference.offset, estimate.offset]).max())
    width, height = int(end * PIXELS_S) + 40, (high - low + 1) * ROW + 18

    def box(notes: Notes, index: int, look: str) -> str:
        x, y = 36 + notes.onset[index] * PIXELS_S, (high - int(notes.pitch[index])) * ROW
        length = max((notes.offset[index] - notes.onset[index]) * PIXELS_S, 1.0)
        return f"<rect x='{x:.1f}' y='{y}' width='{length:.1f}' height='{ROW}' {look}/>"

    lines = [
        f"<line x1='36' x2='{width}' y1='{(high - p) * ROW + ROW / 2:g}' y2='{(high - p) * ROW + ROW / 2:g}' "
        f"stroke='#e4e7eb'/><text x='0' y='{(high - p) * ROW + 6}' font-size='10'>C{p // 12 - 1}</text>"
        for p in range(-(-low // 12) * 12, high + 1, 12)
    ]
    for second in range(0, int(end) + 1, 5 if end < 120 else 30):
        lines.append(f"<text x='{36 + second * PIXELS_S}' y='{height - 4}' font-size='10'>{second} s</text>")
    lines += [
        box(estimate, i, f"fill='{COLOURS[int(estimate.track[i]) % len(COLOURS)]}'") for i in range(len(estimate))
    ]
    lines += [
        box(reference, i, f"fill='none' stroke='{'#9aa5b1' if found[i] else '#c81e1e'}'") for i in range(len(reference))
    ]
    about = "Notes found, a colour a track; true notes outlined, missed ones in red."
    names = "".join(
        f"<span style='color:{COLOURS[int(i) % len(COLOURS)]}'>■</span> {escape(estimate.tracks[int(i)].name)} "
        for i in np.unique(estimate.track)
        if len(estimate.tracks) > 1
    )
    return (
        f"<svg width='{width}' height='{height}' role='img' aria-label='{about}'>{''.join(lines)}</svg>"
        f"<small>{names}{about}</small>"
    )
