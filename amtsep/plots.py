"""Pictures of what the library makes, as plotly figures: rolls, posteriors, histograms, threshold curves.

    from amtsep.plots import roll, posterior, onset_histogram, threshold_curve
    roll(notes).show()

plotly comes with ``pip install 'amtsep[app]'``; nothing else in `amtsep` imports this module, or plotly by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from amtsep.config import MIDI_MIN, Decoding
from amtsep.decoding import Decoder
from amtsep.formats.html import COLORS
from amtsep.notes import Notes
from amtsep.pitch import pitch_name
from amtsep.posteriors import Posteriors

MOST_FRAMES = 4000
"""Columns of a picture: of longer recordings neighbours are joined by their maximum."""
GRID = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""Thresholds of a curve."""


def _figure(title: str, x: str, y: str, **layout: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        title=title, xaxis_title=x, yaxis_title=y, template="plotly_white", margin={"t": 48, "r": 16}, **layout
    )
    return figure


def _pitch_axis(figure: go.Figure, low: int, high: int) -> None:
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    figure.update_yaxes(tickvals=octaves, ticktext=[pitch_name(pitch) for pitch in octaves])


def roll(notes: Notes, title: str = "", reference: Notes | None = None) -> go.Figure:
    """Piano roll: a line a note, a colour a track; true notes, where given, as wide grey lines behind.

    Parameters
    ----------
    notes
        Any table.
    title
        Over the picture.
    reference
        Notes to compare with.
    """
    figure = _figure(title, "seconds", "pitch")

    def lines(table: Notes, chosen: np.ndarray[Any, Any], name: str, **style: Any) -> None:
        gap = np.full(len(chosen), np.nan)
        time = np.column_stack([table.onset[chosen], table.offset[chosen], gap]).ravel()
        pitch = np.column_stack([table.pitch[chosen], table.pitch[chosen], gap]).ravel()
        text = [pitch_name(int(p)) for p in table.pitch[chosen] for _ in range(3)]
        hover = "%{text}, %{x:.2f} s<extra>" + name.replace("<", "&lt;") + "</extra>"
        figure.add_scattergl(x=time, y=pitch, mode="lines", name=name, text=text, hovertemplate=hover, line=style)

    if reference is not None and len(reference):
        lines(reference, np.arange(len(reference)), "reference", color="rgba(120,120,120,.45)", width=9)
    for index, track in enumerate(notes.tracks):
        own = np.flatnonzero(notes.track == index)
        if len(own):
            lines(notes, own, track.name, color=COLORS[index % len(COLORS)], width=5)
    tables = [table for table in (notes, reference) if table is not None and len(table)]
    if tables:
        low = min(int(table.pitch.min()) for table in tables)
        _pitch_axis(figure, low - 12, max(int(table.pitch.max()) for table in tables) + 12)
    return figure


def posterior(posteriors: Posteriors, which: str = "frame", title: str = "") -> go.Figure:
    """One of ``"onset"``, ``"frame"``, ``"offset"`` (probabilities) or ``"spectrogram"`` (dB) over time and pitch.

    Raises
    ------
    ValueError
        If there is no such posterior, or the network that made these does not give it.
    """
    names = ("onset", "frame", "offset", "spectrogram")
    values = getattr(posteriors, which) if which in names else None
    if values is None:
        there = ", ".join(name for name in names if getattr(posteriors, name) is not None)
        raise ValueError(f"These posteriors hold no '{which}'; choose one of {there}.")
    table: np.ndarray[Any, Any] = posteriors.level_db() if which == "spectrogram" else values
    step = max(1, -(-table.shape[1] // MOST_FRAMES))
    padded = np.pad(table, ((0, 0), (0, -table.shape[1] % step)), mode="edge")
    picture = padded.reshape(len(table), -1, step).max(axis=2)
    per_pitch = posteriors.bins_per_octave / 12 if which == "spectrogram" else 1.0
    limits = {} if which == "spectrogram" else {"zmin": 0.0, "zmax": 1.0}
    figure = _figure(title or which, "seconds", "pitch")
    figure.add_heatmap(
        z=np.round(picture, 3).astype(np.float32),
        x0=0.0,
        dx=posteriors.hop_s * step,
        y0=float(MIDI_MIN),
        dy=1 / per_pitch,
        colorscale="Viridis",
        colorbar={"title": "dB" if which == "spectrogram" else "probability"},
        **limits,
    )
    _pitch_axis(figure, MIDI_MIN, MIDI_MIN + int(len(table) / per_pitch))
    return figure


def onset_histogram(posteriors: Posteriors, threshold: float | None = None, bins: int = 50) -> go.Figure:
    """How high the candidates for onsets are: those right of the threshold become notes."""
    heights = Decoder(posteriors).onset_peaks()
    line = Decoding().onset_threshold if threshold is None else threshold
    figure = _figure("Candidates for onsets", "height", "candidates", bargap=0.05)
    figure.add_histogram(x=heights, xbins={"start": 0.0, "end": 1.0, "size": 1.0 / bins}, marker_color=COLORS[1])
    figure.add_vline(x=line, line_dash="dash", annotation_text=f"threshold {line:.2f}")
    return figure


def threshold_curve(
    posteriors: Posteriors,
    reference: Notes | None = None,
    settings: Decoding = Decoding(),  # noqa: B008 - frozen
    thresholds: Sequence[float] = GRID,
    score: Callable[[Notes, Notes], float] | None = None,
) -> go.Figure:
    """What the onset threshold does: the number of notes at each or, where there are true notes, their onset F1.

    Parameters
    ----------
    posteriors
        Of the recording.
    reference
        True notes.
    settings
        The other thresholds.
    thresholds
        Where to look.
    score
        Of true and found notes, in [0, 1]; `amtsep.evaluation.metrics.onset_f1` by default.
    """
    from dataclasses import replace

    decoder = Decoder(posteriors)
    found = [decoder(replace(settings, onset_threshold=float(value))) for value in thresholds]
    figure = _figure("Onset threshold", "onset threshold", "notes" if reference is None else "onset F1")
    if reference is None:
        values = [float(len(notes)) for notes in found]
    else:
        from amtsep.evaluation.metrics import onset_f1

        values = [(score or onset_f1)(reference, notes) for notes in found]
        figure.update_yaxes(range=[0, 1])
    figure.add_scatter(x=list(thresholds), y=values, mode="lines+markers", line={"color": COLORS[1]})
    figure.add_vline(x=settings.onset_threshold, line_dash="dash", annotation_text=f"{settings.onset_threshold:.2f}")
    return figure
