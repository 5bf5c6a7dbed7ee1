"""The report of an evaluation: a table for the terminal, ``report.json``, and a self-contained HTML page (plotly)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from amtsep.config import Decoding
from amtsep.evaluation import page
from amtsep.evaluation.metrics import fuse, match, onset_errors, per_pitch
from amtsep.evaluation.runner import Result, track_counts
from amtsep.evaluation.statistics import Comparison, Interval, bootstrap, compare
from amtsep.notes import Notes

if TYPE_CHECKING:
    import plotly.graph_objects as go

REPORT_VERSION = 1
NO_THRESHOLDS = "no"
"""`Report.threshold_label` of systems that have none."""
AGNOSTIC = ("onset_f1", "onset_offset_f1", "frame_f1")
INSTRUMENTS = ("multi_f1", "multi_class_f1", "drum_f1", "leakage")
SEPARATED = ("macro_onset_f1", "macro_onset_offset_f1", "micro_onset_f1", "v_measure")
NAMES = {
    "onset_f1": "onset F1",
    "onset_precision": "onset P",
    "onset_recall": "onset R",
    "onset_offset_f1": "onset+offset F1",
    "onset_offset_velocity_f1": "with velocity F1",
    "frame_f1": "frame F1",
    "frame_accuracy": "frame accuracy",
    "average_overlap": "average overlap",
    "onset_bias_s": "onset bias (s)",
    "onset_unbiased_f1": "onset F1, bias removed",
    "onset_offset_unbiased_f1": "onset+offset F1, bias removed",
    "frame_unbiased_f1": "frame F1, bias removed",
    "onset_100ms_f1": "onset F1 within 100 ms",
    "macro_onset_f1": "onset F1",
    "macro_onset_offset_f1": "onset+offset F1",
    "macro_frame_f1": "frame F1",
    "micro_onset_f1": "micro onset F1",
    "micro_onset_offset_f1": "micro onset+offset F1",
    "unison_recall": "unison recall",
    "v_measure": "V-measure",
    "homogeneity": "homogeneity",
    "completeness": "completeness",
    "multi_f1": "multi-instrument F1",
    "multi_class_f1": "the same by classes",
    "drum_f1": "drum F1",
    "leakage": "leakage",
}
REFERENCE_COLOUR, HIT_COLOUR, FALSE_COLOUR = "#9aa5b1", "#0072b2", "#d55e00"
"""From Okabe and Ito's palette: told apart by people with any colour vision."""
F1_AXIS = {
    "overlaying": "y", "side": "right", "range": [0, 1.05], "title": "F1", "tickmode": "linear", "dtick": 0.2,
    "showgrid": False,
}  # fmt: skip
PITCH_TICKS = {"tickvals": list(range(12, 128, 12)), "ticktext": [f"C{octave}" for octave in range(10)]}
"""An axis of pitches has its marks at the Cs."""


@dataclass(frozen=True, eq=False)
class Report:
    """An evaluation with everything that its figures depend on."""

    dataset: str
    system: str
    decoding: Decoding
    threshold_label: str
    """"default", "oracle", `NO_THRESHOLDS`, or where the thresholds came from: stands beside every figure."""
    results: Sequence[Result]
    trace: Sequence[tuple[float, float, float]] = ()
    """(onset threshold, frame threshold, onset F1), for the heat map."""
    trace_note: str = ""
    pr_curve: Sequence[tuple[float, float, float]] = ()
    """(onset threshold, precision, recall)."""
    comparison: Mapping[str, Comparison] = field(default_factory=dict)
    compared_with: str = ""
    seed: int = 0
    fused: bool = True
    """Whether notes of two parts that start together on one pitch counted as one."""

    def compared(self, result: Result) -> tuple[Notes, Notes]:
        """True and found notes of a recording as they were held against each other."""
        reference, estimate = result.recording.reference, result.estimate
        return (fuse(reference), fuse(estimate)) if self.fused else (reference, estimate)

    def interval(self, figure: str, results: Sequence[Result] | None = None) -> Interval:
        """Mean and bootstrap interval of a figure over recordings (grouped by piece)."""
        chosen = self.results if results is None else results
        values = [result.figures().get(figure, math.nan) for result in chosen]
        return bootstrap(values, [result.recording.group or result.recording.name for result in chosen], seed=self.seed)

    def by_parts(self) -> dict[int, list[Result]]:
        """Results by number of parts."""
        groups: dict[int, list[Result]] = {}
        for result in self.results:
            groups.setdefault(result.recording.n_parts, []).append(result)
        return dict(sorted(groups.items()))

    # --- terminal ----------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The table for the terminal (Markdown)."""
        lines = [f"{self.dataset}: {self.system}, {self._thresholds()}", ""]
        groups = self.by_parts()
        rows = [(f"{n} part{'s' if n > 1 else ''}", chosen) for n, chosen in groups.items()] if len(groups) > 1 else []
        rows.append(("all", list(self.results)))
        lines += self._table("timbre-agnostic", AGNOSTIC, "", rows)
        ways = (
            ("given", "separated, number of timbres given"),
            ("estimated", "separated, estimated"),
            ("written", "separated, as written"),
        )
        for prefix, title in ways:
            kept = [(name, [r for r in chosen if getattr(r, prefix) is not None]) for name, chosen in rows]
            if any(chosen for _, chosen in kept):
                lines += ["", *self._table(title, SEPARATED, f"{prefix}_", kept)]
        if any(result.instruments is not None for result in self.results):
            lines += ["", *self._table("instruments", INSTRUMENTS, "", rows)]
        unbiased = ("onset_bias_s", "onset_unbiased_f1", "onset_offset_unbiased_f1", "frame_unbiased_f1")
        extra = ("average_overlap", *unbiased, "onset_100ms_f1", "frame_accuracy", "onset_offset_velocity_f1")
        present = [(name, self.interval(name)) for name in extra]
        lines += ["", *(f"{NAMES[name]}: {value}" for name, value in present if value.n)]
        counts = track_counts(self.results)
        if counts.n:
            lines.append(
                f"number of timbres: exact in {counts.exact:.0%} of {counts.n}, mean |error| {counts.mean_error:.2f}"
            )
        for figure, result in self.comparison.items():
            lines.append(
                f"{NAMES[figure]} against {self.compared_with}: {result.difference.mean:+.3f} "
                f"[{result.difference.low:+.3f}, {result.difference.high:+.3f}], "
                f"better in {result.wins}, worse in {result.losses}"
            )
        if self.compared_with and not self.comparison:
            lines.append(f"No recording is in {self.compared_with}, too: nothing was compared.")
        whole = self.interval("onset_f1")
        lines.append(
            f"Means over {whole.n} recordings with 95 % bootstrap intervals over {whole.n_groups} pieces; onsets "
            f"within 50 ms, offsets within max(50 ms, 20 %), unisons of two parts {'fused' if self.fused else 'kept'}."
        )
        return "\n".join(lines)

    def _thresholds(self) -> str:
        if self.threshold_label == NO_THRESHOLDS:
            return f"{NO_THRESHOLDS} thresholds: the network writes its notes itself"
        return f"thresholds: {self.threshold_label} ({describe(self.decoding)})"

    def _table(
        self, title: str, figures: Sequence[str], prefix: str, rows: Sequence[tuple[str, Sequence[Result]]]
    ) -> list[str]:
        head = [title, "n", *(NAMES[f] for f in figures)]
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for name, chosen in rows:
            if chosen:
                cells = [str(self.interval(prefix + f, chosen)) for f in figures]
                lines.append(f"| {name} | {len(chosen)} | " + " | ".join(cells) + " |")
        return lines

    # --- JSON --------------------------------------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """What ``report.json`` holds: settings, summaries with intervals, and every recording's figures."""
        names = sorted({name for result in self.results for name in result.figures()})
        counts = track_counts(self.results)
        return {
            "version": REPORT_VERSION,
            "dataset": self.dataset,
            "system": self.system,
            "thresholds": {"label": self.threshold_label, **asdict(self.decoding)},
            "unisons": "fused" if self.fused else "kept",
            "summary": {name: _plain(asdict(self.interval(name))) for name in names},
            "summary_by_parts": {
                str(n): {name: _plain(asdict(self.interval(name, chosen))) for name in names}
                for n, chosen in self.by_parts().items()
            },
            "timbres": None
            if not counts.n
            else {
                "n": counts.n,
                "exact": counts.exact,
                "mean_error": counts.mean_error,
                "confusion": [[true, guess, n] for (true, guess), n in counts.confusion.items()],
            },
            "threshold_trace": [list(point) for point in self.trace],
            "compared_with": self.compared_with or None,
            "comparison": {name: _plain(asdict(value)) for name, value in self.comparison.items()},
            "recordings": [
                {
                    "name": result.recording.name,
                    "group": result.recording.group,
                    "parts": list(result.recording.instruments),
                    "n_reference": result.agnostic.n_reference,
                    "n_estimate": result.agnostic.n_estimate,
                    "figures": _plain(result.figures()),
                }
                for result in self.results
            ],
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ``report.json`` and ``report.html``; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        data, shown = folder / "report.json", folder / "report.html"
        data.write_text(json.dumps(self.as_dict(), indent=1, allow_nan=False), encoding="utf-8")
        shown.write_text(self.html(), encoding="utf-8")
        return data, shown

    # --- HTML --------------------------------------------------------------------------------------------------------

    def html(self) -> str:
        """The page: one file, no network access needed."""
        from plotly.io import to_html

        pieces: list[str] = []
        for number, (title, note, figure) in enumerate(figures(self)):
            config = {"displaylogo": False, "responsive": True}
            body = to_html(figure, full_html=False, include_plotlyjs=number == 0, config=config)
            pieces.append(f"<section><h2>{escape(title)}</h2><p>{escape(note)}</p>{body}</section>")
        return (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
            f"<title>{escape(self.dataset)}: {escape(self.system)}</title>"
            "<meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<style>{page.STYLE}</style></head><body>"
            f"<h1>{escape(self.system)} on {escape(self.dataset)}</h1>{page.rendered(self.text())}"
            + "".join(pieces)
            + f"<section><h2>By recording</h2><p>The worst first.</p>"
            f"{page.by_recording(self.results, self.fused)}</section>" + "</body></html>"
        )


def describe(decoding: Decoding) -> str:
    """The thresholds in a few words."""
    return (
        f"onset {decoding.onset_threshold:g}, frame {decoding.frame_threshold:g}, "
        f"shortest note {decoding.min_note_length:g} s"
    )


def compare_reports(report: Report, other: Mapping[str, Any]) -> dict[str, Comparison]:
    """Paired comparison with another ``report.json`` over the recordings in both; positive = `report` is better."""
    before = {entry["name"]: entry["figures"] for entry in other["recordings"]}
    common = [result for result in report.results if result.recording.name in before]
    groups = [result.recording.group or result.recording.name for result in common]
    wanted = (*AGNOSTIC, "given_macro_onset_f1", "estimated_macro_onset_f1", "written_macro_onset_f1")
    found = {}
    for name in wanted:
        new = [result.figures().get(name, math.nan) for result in common]
        old = [_number(before[result.recording.name].get(name)) for result in common]
        if common and any(math.isfinite(a + b) for a, b in zip(old, new, strict=True)):
            found[name] = compare(old, new, groups, seed=report.seed)
            NAMES.setdefault(name, name.replace("_", " "))
    return found


# --- figures ---------------------------------------------------------------------------------------------------------


def figures(report: Report) -> list[tuple[str, str, go.Figure]]:
    """(title, note, plotly figure) of everything in the page."""
    made: list[tuple[str, str, go.Figure]] = []
    if report.trace:
        made.append(("Onset F1 over thresholds", report.trace_note, heat_map(report.trace, report.decoding)))
    if report.pr_curve:
        note = "Points follow the onset threshold at the frame threshold in use; recordings and caveat as above."
        made.append(("Precision and recall", note, precision_recall(report.pr_curve)))
    compared = [report.compared(result) for result in report.results]
    made.append(("By pitch", "Notes matched by onset, over all recordings.", by_pitch(compared)))
    note = "Recall of each part's notes in the timbre-agnostic transcription (precision has no part)."
    made.append(("By instrument", note, by_instrument(report.results)))
    note = "One point a recording."
    made.append(("By number of parts", note, by_number_of_parts(report)))
    note = "Estimated minus reference onset of notes paired within 100 ms; positive = late. The tolerance is ± 50 ms."
    made.append(("Onset errors", note, onset_histogram(compared)))
    counts = track_counts(report.results)
    if counts.n:
        made.append(("Number of timbres", "Recordings by true and estimated number.", confusion(counts.confusion)))
    ordered = sorted(report.results, key=lambda r: r.agnostic.onset.f1)
    count = max(1, min(3, len(ordered) // 2))
    for title, chosen in (("Worst", ordered[:count]), ("Best", ordered[::-1][:count])):
        if title == "Best" and len(ordered) < 2:
            continue
        for result in chosen:
            scores = result.agnostic
            f1 = [score.f1 for score in (scores.onset, scores.onset_offset, scores.frame)]
            about = f"F1: onset {f1[0]:.3f}, onset+offset {f1[1]:.3f}, frame {f1[2]:.3f}"
            made.append((f"{title}: {result.recording.name}", about, rolls(*report.compared(result))))
    return made


def heat_map(trace: Sequence[tuple[float, float, float]], used: Decoding) -> go.Figure:
    """F1 over onset and frame threshold, the thresholds in use marked."""
    import plotly.graph_objects as go

    table = np.asarray(trace, np.float64)
    figure = go.Figure()
    onsets, frames = np.unique(table[:, 0]), np.unique(table[:, 1])
    if len(table) == len(onsets) * len(frames):
        grid = np.full((len(frames), len(onsets)), np.nan)
        grid[np.searchsorted(frames, table[:, 1]), np.searchsorted(onsets, table[:, 0])] = table[:, 2]
        figure.add_trace(go.Heatmap(x=onsets, y=frames, z=grid, colorscale="Viridis", colorbar={"title": "F1"}))
    else:  # a search leaves points close together near the best and few elsewhere
        marker = {
            "color": table[:, 2],
            "colorscale": "Viridis",
            "size": 16,
            "symbol": "square",
            "colorbar": {"title": "F1"},
        }
        figure.add_trace(
            go.Scatter(x=table[:, 0], y=table[:, 1], mode="markers", marker=marker, text=np.round(table[:, 2], 4))
        )
    figure.add_trace(
        go.Scatter(
            x=[used.onset_threshold],
            y=[used.frame_threshold],
            mode="markers",
            marker={"symbol": "x", "size": 14, "color": "white", "line": {"width": 1, "color": "black"}},
            name="in use",
        )
    )
    figure.update_xaxes(dtick=0.1)
    figure.update_yaxes(dtick=0.1)
    return _styled(figure, "onset threshold", "frame threshold", legend=False)


def precision_recall(curve: Sequence[tuple[float, float, float]]) -> go.Figure:
    """Precision over recall."""
    import plotly.graph_objects as go

    points = sorted(curve)
    figure = go.Figure(
        go.Scatter(
            x=[p[2] for p in points],
            y=[p[1] for p in points],
            text=[f"{p[0]:g}" for p in points],
            mode="lines+markers+text",
            textposition="top center",
            line={"color": HIT_COLOUR},
        )
    )
    figure.update_yaxes(range=[0, 1.05])
    figure.update_xaxes(range=[0, 1.05])
    return _styled(figure, "recall", "precision")


def by_pitch(compared: Sequence[tuple[Notes, Notes]]) -> go.Figure:
    """F1 and number of notes by MIDI pitch, of true and found notes (`Report.compared`)."""
    import plotly.graph_objects as go

    total = np.zeros((128, 3))
    for reference, estimate in compared:
        for pitch, counts in per_pitch(reference, estimate).items():
            total[pitch] += counts
    used = np.flatnonzero(total[:, 1:].sum(axis=1))
    f1 = 2 * total[used, 0] / np.maximum(total[used, 1] + total[used, 2], 1)
    missed, false = total[used, 1] - total[used, 0], total[used, 2] - total[used, 0]
    figure = go.Figure(
        [
            go.Bar(x=used, y=total[used, 0], name="matched", marker_color=HIT_COLOUR),
            go.Bar(x=used, y=missed, name="missed", marker_color=REFERENCE_COLOUR),
            go.Bar(x=used, y=false, name="false", marker_color=FALSE_COLOUR),
            go.Scatter(x=used, y=f1, name="F1", yaxis="y2", mode="lines+markers", line={"color": "#222"}),
        ]
    )
    figure.update_layout(barmode="stack", yaxis2=F1_AXIS)
    figure.update_xaxes(**PITCH_TICKS)
    return _styled(figure, "pitch", "notes")


def by_instrument(results: Sequence[Result]) -> go.Figure:
    """Recall by part name."""
    import plotly.graph_objects as go

    hits: dict[str, list[int]] = {}
    for result in results:
        reference = result.recording.reference
        found = np.zeros(len(reference), bool)
        found[match(reference, result.estimate)[:, 0]] = True
        for index, track in enumerate(reference.tracks):
            own = reference.track == index
            row = hits.setdefault(track.name, [0, 0])
            row[0], row[1] = row[0] + int(found[own].sum()), row[1] + int(own.sum())
    names = sorted(hits, key=lambda name: -hits[name][0] / max(hits[name][1], 1))
    figure = go.Figure(
        go.Bar(
            x=names,
            y=[hits[n][0] / max(hits[n][1], 1) for n in names],
            text=[f"{hits[n][1]} notes" for n in names],
            marker_color=HIT_COLOUR,
        )
    )
    figure.update_yaxes(range=[0, 1])
    return _styled(figure, "", "recall")


def by_number_of_parts(report: Report) -> go.Figure:
    """Every recording's figures by number of parts."""
    import plotly.graph_objects as go

    figure = go.Figure()
    wanted = [*AGNOSTIC, "given_macro_onset_f1", "estimated_macro_onset_f1"]
    for name in wanted:
        points = [
            (r.recording.n_parts, r.figures()[name], r.recording.name) for r in report.results if name in r.figures()
        ]
        if points:
            label = NAMES.get(name) or name.replace("_macro_", ", ").replace("_", " ")
            x, y, text = zip(*points, strict=True)
            figure.add_trace(go.Box(x=x, y=y, text=text, name=label, boxpoints="all", jitter=0.4, pointpos=0))
    figure.update_layout(boxmode="group")
    figure.update_yaxes(range=[0, 1.02])
    figure.update_xaxes(dtick=1)
    return _styled(figure, "parts", "F1")


def onset_histogram(compared: Sequence[tuple[Notes, Notes]]) -> go.Figure:
    """Histogram of signed onset errors with its median, of true and found notes."""
    import plotly.graph_objects as go

    errors = [onset_errors(reference, estimate) for reference, estimate in compared]
    values = 1000 * np.concatenate(errors) if errors else np.zeros(0)
    heights, edges = np.histogram(values, bins=np.arange(-100, 105, 5))
    figure = go.Figure(go.Bar(x=(edges[:-1] + edges[1:]) / 2, y=heights, marker_color=HIT_COLOUR))
    if len(values):
        middle = float(np.median(values))
        figure.add_vline(x=middle, line_dash="dash", annotation_text=f"median {middle:+.1f} ms")
    figure.update_xaxes(dtick=25)
    return _styled(figure, "ms", "notes")


def confusion(counts: Mapping[tuple[int, int], int]) -> go.Figure:
    """Estimated against true number of timbres."""
    import plotly.graph_objects as go

    size = max(max(pair) for pair in counts) + 1
    grid = np.zeros((size, size), int)
    for (true, guess), n in counts.items():
        grid[true, guess] = n
    figure = go.Figure(go.Heatmap(z=grid, text=grid, texttemplate="%{text}", colorscale="Blues", showscale=False))
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(dtick=1)
    return _styled(figure, "estimated", "true")


def rolls(reference: Notes, estimate: Notes) -> go.Figure:
    """Both rolls, one over the other: the truth as wide grey bars, the estimate as thin lines, right or wrong."""
    import plotly.graph_objects as go

    right = np.zeros(len(estimate), bool)
    right[match(reference, estimate)[:, 1]] = True
    figure = go.Figure()
    for notes, name, colour, width in (
        (reference, "reference", REFERENCE_COLOUR, 9),
        (estimate.select(right), "matched", HIT_COLOUR, 3),
        (estimate.select(~right), "false", FALSE_COLOUR, 3),
    ):
        x, y = _segments(notes)
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": colour, "width": width}))
    figure.update_yaxes(**PITCH_TICKS)
    return _styled(figure, "s", "pitch")


def _segments(notes: Notes) -> tuple[list[float | None], list[float | None]]:
    x: list[float | None] = []
    y: list[float | None] = []
    for onset, offset, pitch in zip(notes.onset.tolist(), notes.offset.tolist(), notes.pitch.tolist(), strict=True):
        x += [round(onset, 3), round(offset, 3), None]
        y += [pitch, pitch, None]
    return x, y


def _styled(figure: go.Figure, x: str, y: str, legend: bool = True) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=420,
        margin={"l": 60, "r": 40, "t": 20, "b": 60},
        xaxis_title=x,
        yaxis_title=y,
        showlegend=legend and len(figure.data) > 1,
        legend={"orientation": "h", "y": 1.1},
    )
    return figure


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no nan: None instead."""
    return {
        name: _plain(value)
        if isinstance(value, Mapping)
        else (None if isinstance(value, float) and not math.isfinite(value) else value)
        for name, value in values.items()
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
