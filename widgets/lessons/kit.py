"""What pieces are built of: sliders, sounds, and the boxes that they stand in."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
import soundfile
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from widgets.lessons.text import language

# A slider's step is little work: threads that wait for each other on a busy computer take longer.
threadpool_limits(1, user_api="blas")

Values = NDArray[np.floating[Any]]

RATE = 22050
LABEL, WIDTH = "190px", "454px"
"""Of a control's label, and of the whole: two controls stand side by side in a notebook on a laptop's screen."""
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


def pitch_name(pitch: Any) -> str:
    """C4 for 60."""
    number = round(float(pitch))
    return f"{NAMES[number % 12]}{number // 12 - 1}"


def slider(
    label: str, value: float, low: float, high: float, step: float, form: str = ".2f", width: str = WIDTH
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
        style={"description_width": LABEL},
        layout={"width": width},
    )


def whole(label: str, value: int, low: int, high: int, step: int = 1, width: str = WIDTH) -> ipw.IntSlider:
    """A slider of whole numbers."""
    return ipw.IntSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=label,
        continuous_update=True,
        style={"description_width": LABEL},
        layout={"width": width},
    )


def steps(label: str, options: Sequence[tuple[str, Any]], value: Any, width: str = WIDTH) -> ipw.SelectionSlider:
    """A slider over named values."""
    return ipw.SelectionSlider(
        options=list(options),
        value=value,
        description=label,
        continuous_update=True,
        style={"description_width": LABEL},
        layout={"width": width},
    )


def choices(label: str, options: Sequence[tuple[str, Any]], value: Any) -> ipw.ToggleButtons:
    """A few alternatives, one pressed."""
    return ipw.ToggleButtons(
        options=list(options),
        value=value,
        description=label,
        style={"description_width": LABEL, "button_width": "auto"},
        # The label stands before the buttons, where those of the sliders stand, and not over them.
        layout={"display": "flex", "align_items": "center"},
    )


def menu(label: str, options: Sequence[Any], value: Any) -> ipw.Dropdown:
    """Alternatives of which only the chosen one is seen."""
    return ipw.Dropdown(
        options=list(options),
        value=value,
        description=label,
        style={"description_width": LABEL},
        layout={"width": WIDTH},
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
        super().__init__([ipw.HTML(f"<b>{label}</b>", layout={"width": LABEL}), self.player])
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


def prefs() -> dict[str, str]:
    """Of the dashboard's own parts within a lesson: its language, on a notebook's white."""
    return {"language": language(), "theme": "light"}


def percent(value: float) -> str:
    """0.256 to 26 %."""
    return f"{100 * value:.0f} %"
