"""Figures of the lessons: plotly with the lessons' colours, and lines of many pieces."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as ipw
import numpy as np
import plotly
import plotly.graph_objects as go
import traitlets
from plotly.serializers import custom_serializers

COLOURS = ("#1f6fd6", "#e07b00", "#0a8f6a", "#c2372e", "#7b4bc4", "#8a6d1f", "#d14c93", "#4c7a8c")
"""Of tracks and curves, in this order, on white."""
SOFT = "#c9d3df"
DARK = "#1c2430"
HEAT = "Magma"


class _Library(anywidget.AnyWidget):
    """plotly's code for the browser, once for all figures of a page (see figure.js)."""

    _esm = Path(__file__).with_name("figure.js")
    version = traitlets.Unicode(plotly.__version__).tag(sync=True)
    source = traitlets.Unicode().tag(sync=True)

    @traitlets.default("source")
    def _read(self) -> str:
        return (Path(plotly.__file__).parent / "package_data" / "widgetbundle.js").read_text("utf-8")


# Said first: the browser reads it while Python still imports what a lesson needs.
LIBRARY = _Library()


class Figure(go.FigureWidget):  # type: ignore[misc]
    """A `plotly.graph_objects.FigureWidget` that shares plotly with all others of a page; in all else the same."""

    _esm = Path(__file__).with_name("figure.js")
    _library = traitlets.Unicode(LIBRARY.model_id).tag(sync=True)
    _line = traitlets.Unicode().tag(sync=True)
    _config: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A widget of no kind of its own: only what comes over it is of use.
        self._channel = ipw.Widget()
        super().__init__(*args, **kwargs)
        self._config = {**self._config, "responsive": True, "displayModeBar": False}

    @traitlets.default("_line")
    def _model_of_line(self) -> str:
        return str(self._channel.model_id)

    def _send(self, msg: Any, buffers: Any = None) -> None:
        """What the figure has to say goes over the line."""
        self._channel._send(msg, buffers)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> Any:
        """A page that comes back is told what the figure shows now, not what it showed at first."""
        state = super().get_state(key, drop_defaults)
        if key is None and hasattr(self, "_layout_obj"):
            for name, value in (("_widget_data", self._data), ("_widget_layout", self._layout_obj._props)):
                state[name] = custom_serializers["to_json"](copy.deepcopy(value), self)
        return state


def figure(height: int = 320, x: str = "", y: str = "", title: str = "", legend: bool = True) -> Any:
    """An empty `FigureWidget` in the workshop's style, its axes titled."""
    made = Figure()
    dress(made, height, legend)
    made.update_layout(xaxis_title=x, yaxis_title=y, title_text=title)
    return made


def panels(rows: int, cols: int, titles: Sequence[str], height: int = 320, **options: Any) -> Any:
    """Several panels in one `FigureWidget`; `options` as for `plotly.subplots.make_subplots`."""
    from plotly.subplots import make_subplots

    made = Figure(make_subplots(rows=rows, cols=cols, subplot_titles=list(titles), **options))
    dress(made, height, True)
    made.update_layout(margin_t=58, legend_y=1 + 28 / height)
    made.update_annotations(font_size=13)
    return made


def dress(made: Any, height: int, legend: bool) -> None:
    """White ground, quiet grid, room for titles, no toolbar in the way."""
    made.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 58, "r": 16, "t": 34, "b": 44},
        font={"size": 12, "color": DARK},
        title_font_size=14,
        showlegend=legend,
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 1,
            "xanchor": "right",
            "bgcolor": "rgba(0,0,0,0)",
        },
        hoverlabel={"font_size": 12},
        colorway=list(COLOURS),
        # A drag on the picture must not lose it: the sliders are what moves.
        dragmode=False,
        uirevision="kept",
    )
    made.update_xaxes(zeroline=False)
    made.update_yaxes(zeroline=False)


def filled(values: Any) -> Any:
    """Values as an array, or as a plain list where there are none: an empty array has no bytes to send."""
    return np.asarray(values) if len(values) else []


def strokes(x0: Any, x1: Any, y0: Any, y1: Any = None) -> tuple[list[float | None], list[float | None]]:
    """Separate straight strokes from (x0, y0) to (x1, y1), or level ones at y0, as one curve with gaps.

    Lists with ``None`` between the strokes, since JSON knows no NaN.
    """
    y1 = y0 if y1 is None else y1
    columns = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (x0, x1, y0, y1)))
    a, b, c, d = (np.atleast_1d(v).tolist() for v in columns)
    x: list[float | None] = [v for pair in zip(a, b) for v in (*pair, None)]
    y: list[float | None] = [v for pair in zip(c, d) for v in (*pair, None)]
    return x, y


def line(x: Any, y: Any, name: str = "", colour: str = COLOURS[0], **options: Any) -> Any:
    """A curve."""
    options.setdefault("mode", "lines")
    width = options.pop("width", 2)
    return go.Scatter(
        x=filled(x),
        y=filled(y),
        name=name,
        line={"color": colour, "width": width},
        showlegend=bool(name),
        **options,
    )


def heat(z: Any, x: Any = None, y: Any = None, **options: Any) -> Any:
    """A picture of a matrix, its first row at the bottom."""
    options.setdefault("colorscale", HEAT)
    options.setdefault("showscale", False)
    return go.Heatmap(z=np.asarray(z, np.float32), x=x, y=y, **options)
