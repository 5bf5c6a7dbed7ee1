"""What the variants of an ONNX file cost: size, difference from torch, and F1 on recordings with known notes."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from amtsep.audio import Audio, resample
from amtsep.config import FrontEnd, Progress
from amtsep.decoding import Decoder
from amtsep.errors import Cancelled
from amtsep.evaluation.metrics import evaluate_agnostic
from amtsep.evaluation.readers import Recording
from amtsep.inference import Transcriber
from amtsep.nets.export import INPUT_RATES, PRECISIONS, Precision, export_onnx

TOLERATED_LOSS = 0.003
"""Of any mean F1: a variant that loses this much or more is not recommended."""
FIGURES = ("onset_f1", "onset_offset_f1", "frame_f1")


@dataclass(frozen=True)
class Variant:
    """One way of exporting, and what it came to."""

    input_rate: int
    precision: Precision
    size: int
    """Bytes of the file."""
    packed_size: int
    """Bytes once a web server has compressed it (gzip)."""
    difference: float
    """Largest difference of a posterior from the first variant's (32 bits at 22,050 Hz)."""
    figures: tuple[float, ...]
    """Mean onset, onset-and-offset and frame F1 over the recordings."""

    def loss(self, first: Variant) -> float:
        """The largest loss of any figure against the first variant, at least 0."""
        return max(0.0, *(a - b for a, b in zip(first.figures, self.figures, strict=True)))


def compare_variants(
    weights: Path, recordings: Sequence[Recording], threads: int | None = None, progress: Progress | None = None
) -> list[Variant]:
    """Export every variant and transcribe the recordings with each, at the default thresholds.

    A recording comes at 22,050 Hz; for the variants that take 44,100 Hz it is resampled, so that these are tested for
    their decimation and not for what lies over 11 kHz.

    Parameters
    ----------
    weights
        A checkpoint (.safetensors).
    recordings
        Sound and its notes.
    threads
        Of ONNX Runtime.
    progress
        Called with recordings done and in all.

    Raises
    ------
    Cancelled
        If `progress` returns ``False``.
    """
    ways = [(rate, precision) for rate in INPUT_RATES for precision in PRECISIONS]
    with tempfile.TemporaryDirectory() as folder:
        paths = [export_onnx(weights, Path(folder) / f"{r}-{p}.onnx", r, p) for r, p in ways]
        transcribers = [Transcriber(path, threads=threads) for path in paths]
        scores: list[list[list[float]]] = [[] for _ in ways]
        difference = [0.0] * len(ways)
        for done, recording in enumerate(recordings):
            if progress is not None and progress(done, len(recordings), recording.name) is False:
                raise Cancelled("The comparison was cancelled.")
            samples = recording.audio()
            first = None
            for way, (rate, _) in enumerate(ways):
                sound = samples if rate == FrontEnd.sample_rate else resample(samples, FrontEnd.sample_rate, rate)
                posteriors = transcribers[way](Audio(sound, rate, recording.name))
                first = first or posteriors
                frames = min(posteriors.n_frames, first.n_frames)
                for name in ("onset", "frame"):
                    apart = getattr(posteriors, name)[:, :frames] - getattr(first, name)[:, :frames]
                    difference[way] = max(difference[way], float(np.abs(apart).max(initial=0.0)))
                found = evaluate_agnostic(recording.reference, Decoder(posteriors)(), posteriors.hop_s).figures()
                scores[way].append([found[name] for name in FIGURES])
        return [
            Variant(
                *way,
                path.stat().st_size,
                len(gzip.compress(path.read_bytes(), 9)),
                apart,
                tuple(np.mean(found, axis=0).tolist()) if found else (),
            )
            for way, path, apart, found in zip(ways, paths, difference, scores, strict=True)
        ]


def table(variants: Sequence[Variant]) -> str:
    """The variants as a table in Markdown."""
    lines = [
        "| input | weights | file | gzip | largest difference | onset / onset+offset / frame F1 | loss | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for v in variants:
        figures = " / ".join(f"{x:.4f}".lstrip("0") for x in v.figures)
        loss = v.loss(variants[0])
        verdict = "**not recommended**" if loss >= TOLERATED_LOSS else "recommended"
        lines.append(
            f"| {v.input_rate:,} Hz | {v.precision} | {v.size / 1e3:.0f} kB | {v.packed_size / 1e3:.0f} kB "
            f"| {v.difference:.1e} | {figures} | {loss:.4f} | {verdict} |"
        )
    return "\n".join(lines)
