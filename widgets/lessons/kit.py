"""What pieces are built of: plotly figures, sliders, sounds."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as ipw
import numpy as np
import plotly
import plotly.graph_objects as go
import soundfile
import traitlets
from numpy.typing import NDArray
from plotly.serializers import custom_serializers
from threadpoolctl import threadpool_limits

# A slider's step is little work: threads that wait for each other on a busy computer take longer.
threadpool_limits(1, user_api="blas")

Values = NDArray[np.floating[Any]]

RATE = 22050
COLOURS = ("#1f6fd6", "#e07b00", "#0a8f6a", "#c2372e", "#7b4bc4", "#8a6d1f", "#d14c93", "#4c7a8c")
"""Of tracks and curves, in this order, on white."""
SOFT = "#c9d3df"
DARK = "#1c2430"
HEAT = "Magma"
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


def pitch_name(pitch: Any) -> str:
    """C4 for 60."""
    number = round(float(pitch))
    return f"{NAMES[number % 12]}{number // 12 - 1}"


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
        self._config = {**self._config, "responsive": True, "displaylogo": False}

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


def slider(
    label: str, value: float, low: float, high: float, step: float, form: str = ".2f", width: str = "470px"
) -> ipw.FloatSlider:
    """A slider that tells its value while it is dragged."""
    return ipw.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=label,
        readout_format=form,
        continuous_update=True,
        style={"description_width": "190px"},
        layout={"width": width},
    )


def whole(label: str, value: int, low: int, high: int, step: int = 1, width: str = "470px") -> ipw.IntSlider:
    """A slider of whole numbers."""
    return ipw.IntSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=label,
        continuous_update=True,
        style={"description_width": "190px"},
        layout={"width": width},
    )


def steps(label: str, options: Sequence[tuple[str, Any]], value: Any, width: str = "470px") -> ipw.SelectionSlider:
    """A slider over named values."""
    return ipw.SelectionSlider(
        options=list(options),
        value=value,
        description=label,
        continuous_update=True,
        style={"description_width": "190px"},
        layout={"width": width},
    )


def choices(label: str, options: Sequence[tuple[str, Any]], value: Any) -> ipw.ToggleButtons:
    """A few alternatives, one pressed."""
    return ipw.ToggleButtons(
        options=list(options),
        value=value,
        description=label,
        style={"description_width": "190px", "button_width": "auto"},
    )


def tick(label: str, value: bool) -> ipw.Checkbox:
    """A box to tick."""
    return ipw.Checkbox(value=value, description=label, indent=False, layout={"width": "auto"})


def note(text: str = "") -> ipw.HTML:
    """A line of words that a piece writes."""
    return ipw.HTML(text, layout={"margin": "0 0 0 12px"})


def row(*children: Any) -> ipw.HBox:
    """Side by side, going on below where a screen is narrow."""
    return ipw.HBox(children, layout={"flex_flow": "row wrap", "align_items": "center"})


def wav(samples: Values, rate: int = RATE) -> bytes:
    """A 16-bit WAV file; turned down where it would clip."""
    samples = np.asarray(samples, np.float64)
    peak = float(np.abs(samples).max(initial=0.0))
    out = io.BytesIO()
    soundfile.write(out, samples / max(1.0, peak / 0.95), rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


class Sound(ipw.HBox):
    """A sound with its name and the browser's own player.

    Parameters
    ----------
    label
        What is heard.
    samples, rate
        The sound.
    """

    def __init__(self, label: str, samples: Values, rate: int = RATE) -> None:
        self.player = ipw.Audio(value=wav(samples, rate), format="wav", autoplay=False, loop=False)
        self.player.layout.height = "36px"
        super().__init__([ipw.HTML(f"<b>{label}</b>", layout={"width": "190px"}), self.player])
        self.layout.align_items = "center"


class Hear(ipw.HBox):
    """A button that makes a sound of what the sliders say just then, and plays it.

    Parameters
    ----------
    label
        On the button.
    make
        Gives the samples.
    rate
        Of the samples, in Hz.
    """

    def __init__(self, label: str, make: Callable[[], Values], rate: int = RATE) -> None:
        self.make, self.rate = make, rate
        self.button = ipw.Button(description=f"▶ {label}", layout={"width": "auto"})
        self.player: ipw.Audio | None = None
        self.button.on_click(lambda _: self.play())
        super().__init__([self.button])
        self.layout.align_items = "center"

    def play(self) -> None:
        """What a click does."""
        data = wav(self.make(), self.rate)
        if self.player is None:
            self.player = ipw.Audio(value=data, format="wav", autoplay=True, loop=False)
            self.player.layout.height = "32px"
            self.children = (self.button, self.player)
        else:
            self.player.value = data


class Board(ipw.VBox):
    """A box whose plotly figures show what they hold.

    A `FigureWidget` tells the browser its data when it is displayed itself, which inside a box it never is.
    """

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if os.environ.get("AMTSEP_LESSONS_AS") == "html":
            from widgets.lessons import still

            return {"text/html": still.page(self)}
        refresh(self)
        return super()._repr_mimebundle_(**kwargs)


def refresh(widget: Any) -> None:
    """Bring what the browser will be given of every figure in a box up to date."""
    if isinstance(widget, go.FigureWidget):
        widget._widget_layout = copy.deepcopy(widget._layout_obj._props)
        widget._widget_data = copy.deepcopy(widget._data)
    for child in getattr(widget, "children", ()):
        refresh(child)


class Piece(Board):
    """Controls above, pictures below; `draw` is called once and then whenever a control moves.

    Subclasses make their controls and figures, then call ``super().__init__(children, watched)``.
    """

    def __init__(self, children: Sequence[Any], watched: Sequence[Any] = ()) -> None:
        super().__init__(list(children))
        self.add_class("amtsep-piece")
        for control in watched:
            control.observe(lambda _change: self.draw(), "value")
        self.draw()

    def draw(self) -> None:
        """Bring the pictures up to date."""

    def hears(self, label: str, make: Callable[[], Values], rate: int = RATE) -> Hear:
        """A button for what it sounds like."""
        return Hear(label, make, rate)


def percent(value: float) -> str:
    """0.256 to 26 %."""
    return f"{100 * value:.0f} %"
