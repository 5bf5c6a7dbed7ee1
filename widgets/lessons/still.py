"""Pieces as they stand, for pages without a program behind them: pictures, sounds and words, no sliders."""

from __future__ import annotations

import base64
import html
from typing import Any

import ipywidgets as ipw
import plotly.graph_objects as go

from amtsep.notes import Notes
from widgets.lessons import figures

LIBRARY = "plotly.min.js"
"""A file beside the pages: plotly, once for all of them."""


def page(widget: Any) -> str:
    """A widget and what it holds as HTML; figures ask for `LIBRARY` to be there.

    A slider becomes the words that say where it stands; of the dashboard's own parts the roll becomes a picture.
    """
    if isinstance(widget, go.FigureWidget):
        return str(go.Figure(widget).to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False}))
    if isinstance(widget, ipw.Audio):
        data = base64.b64encode(bytes(widget.value)).decode()
        return f'<audio controls src="data:audio/{widget.format};base64,{data}"></audio>'
    if isinstance(widget, ipw.HTML):
        return f"<div>{widget.value}</div>"
    if isinstance(widget, ipw.Button):
        return ""
    if isinstance(getattr(widget, "notes", None), Notes):
        return page(_roll(widget.notes)) if len(widget.notes) else ""
    children = getattr(widget, "children", None)
    if children is not None:
        inside = "".join(page(child) for child in children)
        return f"<div>{inside}</div>" if inside else ""
    label, value = getattr(widget, "description", ""), getattr(widget, "label", None) or getattr(widget, "value", None)
    if not label or value is None:
        return ""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"<div><small>{html.escape(label)}: <b>{html.escape(shown)}</b></small></div>"


def _roll(notes: Notes) -> Any:
    figure = figures.figure(280, legend=False)
    for track in sorted(set(notes.track.tolist())):
        own = notes.select(notes.track == track)
        x, y = figures.strokes(own.onset, own.offset, own.pitch)
        figure.add_trace(figures.line(x, y, colour=figures.COLOURS[track % len(figures.COLOURS)], width=6))
    return figure
