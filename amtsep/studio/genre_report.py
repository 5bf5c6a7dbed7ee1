"""The page about a genre classifier: confusion, calibration, curves; one file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amtsep.files import replacing
from amtsep.studio.genre import Classifier, Outcome, calibration_error, confusion
from amtsep.studio.names import UNKNOWN

if TYPE_CHECKING:
    import plotly.graph_objects as go

SYNTHETIC = "synthetic audio, rendered from scores: says nothing of real recordings"
NAMES = {"cnn": "network", "baseline": "baseline"}


def right(outcome: Outcome, genres: Sequence[str]) -> np.ndarray:
    """(n,) whether the most probable genre is the true one."""
    return np.array([genres[i] == t for i, t in zip(outcome.probabilities.argmax(axis=1), outcome.truth)], bool)


@dataclass(frozen=True)
class Measures:
    """Figures of one classifier on one split; the calibration errors are the expected ones."""

    kind: str
    split: str
    accuracy: float
    rejected: float
    of_the_rest: float | None
    """Accuracy where nothing was rejected; ``None`` where everything was."""
    calibration: float
    uncalibrated: float


def measures(classifier: Classifier, outcomes: Sequence[Outcome]) -> list[Measures]:
    """The figures of each outcome."""
    found = []
    for o in outcomes:
        good = right(o, classifier.genres)
        sure = np.array([a != UNKNOWN for a in o.answers])
        rest = float(good[sure].mean()) if sure.any() else None
        after, before = calibration_error(o.probabilities, good), calibration_error(o.uncalibrated, good)
        found.append(Measures(o.kind, o.split, float(good.mean()), float(1 - sure.mean()), rest, after, before))
    return found


def text(classifier: Classifier, outcomes: Sequence[Outcome]) -> str:
    """The figures for the terminal (Markdown)."""
    lines = [f"{len(classifier.genres)} genres: {', '.join(classifier.genres)}"]
    split = classifier.about["split"]
    lines.append("; ".join(f"{k}: {v['recordings']} recordings of {v['groups']} groups" for k, v in split.items()))
    if classifier.about["synthetic"]:
        lines.append(f"({SYNTHETIC})")
    lines += ["", "| classifier | split | accuracy | rejected | accuracy of the rest | calibration error (before) |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for m in measures(classifier, outcomes):
        rest = "-" if m.of_the_rest is None else f"{m.of_the_rest:.3f}"
        lines.append(
            f"| {NAMES[m.kind]} | {m.split} | {m.accuracy:.3f} | {m.rejected:.3f} | {rest} "
            f"| {m.calibration:.3f} ({m.uncalibrated:.3f}) |"
        )
    return "\n".join(lines)


def confusion_figure(classifier: Classifier, outcome: Outcome) -> go.Figure:
    """Counts of answers (columns) by truth (rows)."""
    import plotly.graph_objects as go

    table = confusion(outcome, classifier.genres)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    columns = [*classifier.genres, UNKNOWN]
    figure = go.Figure(
        go.Heatmap(
            z=share,
            x=columns,
            y=list(classifier.genres),
            text=table,
            texttemplate="%{text}",
            zmin=0,
            zmax=1,
            colorscale="Blues",
            colorbar={"title": "share"},
        )  # fmt: skip
    )
    figure.update_layout(
        title=_title(classifier, f"{NAMES[outcome.kind]}, {outcome.split}: answers by truth"),
        xaxis_title="answer",
        yaxis={"title": "truth", "autorange": "reversed"},
        height=480,
    )
    return figure


def calibration_figure(classifier: Classifier, outcomes: Sequence[Outcome]) -> go.Figure:
    """Share of right answers by confidence: on the diagonal, probabilities mean what they say."""
    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#9aa5b1"},
                                  name="perfect"))  # fmt: skip
    for outcome, colour in zip(outcomes, ("#0072b2", "#d55e00")):
        good, top = right(outcome, classifier.genres), outcome.probabilities.max(axis=1)
        which = np.minimum((top * 5).astype(int), 4)
        bins = np.unique(which)
        figure.add_scatter(
            x=[float(top[which == b].mean()) for b in bins],
            y=[float(good[which == b].mean()) for b in bins],
            text=[f"{int((which == b).sum())} recordings" for b in bins],
            mode="lines+markers", line={"color": colour}, name=NAMES[outcome.kind],
        )  # fmt: skip
    figure.update_layout(
        title=_title(classifier, "calibration on the test recordings"),
        xaxis={"title": "probability of the answer", "range": [0, 1.02]},
        yaxis={"title": "share of right answers", "range": [-0.02, 1.02]},
        height=460,
    )
    return figure


def curve_figure(classifier: Classifier, curves: Sequence[dict[str, float]]) -> go.Figure:
    """Losses by epoch."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, colour in (("train", "#0072b2"), ("validation", "#d55e00")):
        epochs = list(range(1, len(curves) + 1))
        figure.add_scatter(x=epochs, y=[c[name] for c in curves], name=name, line={"color": colour})
    figure.update_layout(
        title=_title(classifier, "network: loss of segments"),
        xaxis_title="epoch",
        yaxis_title="cross-entropy (validation: calibrated)",
        height=380,
    )
    return figure


def _title(classifier: Classifier, title: str) -> str:
    return f"{title}<br><sub>{SYNTHETIC}</sub>" if classifier.about["synthetic"] else title


def _as_html(report: str) -> str:
    """The report with its table as one of HTML; all else as paragraphs."""
    lines = report.splitlines()
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("| ")]
    told = "".join(f"<p>{escape(line)}</p>" for line in lines if line and not line.startswith("|"))
    kinds = ["th", *["td"] * len(rows)]
    cells = (
        "".join(f"<{kind}>{escape(c)}</{kind}>" for c in row) for kind, row in zip(kinds, rows, strict=False)
    )  # fmt: skip
    return f"{told}<div class='table'><table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table></div>"


def write_report(
    path: Path, classifier: Classifier, outcomes: Sequence[Outcome], curves: Sequence[dict[str, float]]
) -> Path:
    """Write the page."""
    from plotly.io import to_html

    tested = [o for o in outcomes if o.split == "test"] or list(outcomes)
    figures = [confusion_figure(classifier, o) for o in tested]
    figures += [calibration_figure(classifier, tested), curve_figure(classifier, curves)]
    bodies = [
        to_html(figure, full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False})
        for number, figure in enumerate(figures)
    ]
    page = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Genres</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#1f2933}"
        ".table{overflow-x:auto}p{margin:.3rem 0}table{border-collapse:collapse;margin:1rem 0;white-space:nowrap}"
        "th,td{padding:.25rem .8rem;border-bottom:1px solid #d5dbe5;text-align:left}"
        "</style></head><body><h1>Genres</h1>"
        f"{_as_html(text(classifier, outcomes))}{''.join(bodies)}</body></html>"
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path
