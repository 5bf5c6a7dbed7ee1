"""Pitch between the semitones: a curve a note from the constant-Q levels, and the tuning of a recording.

The spectrogram has three bins a semitone. Between them the peak is found by a parabola through the levels in dB, which
for the window of the transform is nearly exact; over the harmonics of a note, heavier where they stand out. A frame
counts only where no other note sounds on the bins that are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN
from amtsep.config import Bends as BendSettings
from amtsep.notes import Notes
from amtsep.posteriors import DB_FLOOR, DB_STEP, Posteriors

Values = NDArray[np.float64]

A4 = 440.0


@dataclass(frozen=True, eq=False)
class Bend:
    """Pitch curve of a note: `time` in seconds, rising; `cents` from its semitone in equal temperament at 440 Hz."""

    time: Values
    cents: Values

    @property
    def mean(self) -> float:
        """Mean in cents."""
        return float(np.mean(self.cents)) if len(self.cents) else 0.0

    @property
    def depth(self) -> float:
        """Half the span from the 10th to the 90th percentile, in cents: how much it moves."""
        if len(self.cents) < 3:
            return 0.0
        low, high = np.percentile(self.cents, [10, 90])
        return float(high - low) / 2


def harmonic_bins(posteriors: Posteriors, pitch: int, harmonics: Sequence[int]) -> list[int]:
    """Bins of the harmonics of a pitch that the spectrogram holds with two bins either side."""
    per_octave, count = posteriors.bins_per_octave, posteriors.spectrogram.shape[0]
    base = (pitch - MIDI_MIN) * per_octave / 12
    bins = [round(base + per_octave * np.log2(h)) for h in harmonics]
    return [b for b in bins if 2 <= b < count - 2]


def bend_curves(
    notes: Notes,
    posteriors: Posteriors,
    settings: BendSettings = BendSettings(),  # noqa: B008 - frozen
) -> list[Bend | None]:
    """Pitch curve of each note; None where it cannot be told: too short, too weak, or covered by others.

    Parameters
    ----------
    notes
        Decoded from `posteriors`, or edited since.
    posteriors
        Of the same recording.
    settings
        See `amtsep.config.Bends`.
    """
    per_octave = posteriors.bins_per_octave
    step_cents = 1200.0 / per_octave
    spectrogram = posteriors.spectrogram
    count, n_frames = spectrogram.shape
    hop = posteriors.hop_s
    result: list[Bend | None] = []
    starts = np.round(notes.onset / hop).astype(int)
    stops = np.minimum(np.round(notes.offset / hop).astype(int), n_frames)
    for i in range(len(notes)):
        first, last = starts[i] + settings.skip_frames, stops[i] - 1
        if last - first < settings.min_frames:
            result.append(None)
            continue
        frames = np.arange(first, last)
        others = np.flatnonzero((notes.onset < notes.offset[i]) & (notes.offset > notes.onset[i]))
        others = others[(others != i) & (notes.pitch[others] != notes.pitch[i])]
        weight_sum = np.zeros(len(frames))
        total = np.zeros(len(frames))
        for harmonic in settings.harmonics:
            exact = (int(notes.pitch[i]) - MIDI_MIN) * per_octave / 12 + per_octave * np.log2(harmonic)
            centre = round(exact)
            reach = settings.reach_bins
            if centre - reach - 1 < 0 or centre + reach + 1 >= count:
                continue
            clear = np.ones(len(frames), bool)
            for j in others:
                for theirs in range(1, settings.other_harmonics + 1):
                    away = (int(notes.pitch[j]) - MIDI_MIN) * per_octave / 12 + per_octave * np.log2(theirs) - exact
                    if abs(away) < settings.apart_bins:
                        clear &= (frames < starts[j] - 2) | (frames >= stops[j] + 6)
            if not clear.any():
                continue
            band = spectrogram[centre - reach - 1 : centre + reach + 2, first:last].astype(np.float64) * DB_STEP
            inner = band[1:-1]
            top = inner.argmax(axis=0)
            at = np.arange(len(frames))
            a, b, c = band[top, at], band[top + 1, at], band[top + 2, at]
            bend = a - 2 * b + c
            ok = clear & (bend < -0.2) & (b + DB_FLOOR > settings.floor_db) & (b >= a) & (b >= c)
            shift = np.where(ok, 0.5 * (a - c) / np.where(ok, bend, -1.0), 0.0)
            cents = (top - reach + shift + centre - exact) * step_cents
            # A peak at the edge of the band belongs to something else.
            ok &= np.abs(cents) < settings.reach_bins * step_cents - 0.5 * step_cents
            weight = np.where(ok, np.exp((b - band.max(initial=0.0)) / 12.0) * harmonic**0.5, 0.0)
            total += weight * cents
            weight_sum += weight
        seen = weight_sum > 1e-6
        if seen.sum() < max(settings.min_frames, settings.min_share * len(frames)):
            result.append(None)
            continue
        cents = np.interp(frames, frames[seen], total[seen] / weight_sum[seen])
        cents = np.median([np.append(cents[:1], cents[:-1]), cents, np.append(cents[1:], cents[-1:])], axis=0)
        result.append(Bend(frames * hop, cents + posteriors.tuning))
    return result


def tuning_cents(posteriors: Posteriors, notes: Notes | None = None) -> float:
    """Cents by which the whole recording is off equal temperament at 440 Hz, -50 to 50.

    From the peaks of the spectrogram, weighed by how far they stand out: the circular mean of their places between the
    semitones. With `notes`, only the bins of their fundamentals and second harmonics count.
    """
    level = posteriors.spectrogram
    if level.shape[1] == 0 or level.shape[0] < 5:
        return 0.0
    per_octave = posteriors.bins_per_octave
    # Every few frames are enough (all of an hour would take a gigabyte); where peaks lie low or high they say little.
    frames = level[:, :: max(level.shape[1] // 3000, 1)].astype(np.float64) * DB_STEP + DB_FLOOR
    low, high = per_octave, min(int(5.5 * per_octave), level.shape[0] - 1)
    a, b, c = frames[low - 1 : high - 1], frames[low:high], frames[low + 1 : high + 1]
    bend = a - 2 * b + c
    peak = (b > a) & (b >= c) & (bend < -1.0) & (b > frames.max() - 50.0)
    if notes is not None and len(notes):
        peak &= _near_notes(notes, posteriors, frames.shape[1], low, high)
    shift = np.where(peak, 0.5 * (a - c) / np.where(peak, bend, -1.0), 0.0)
    place = (np.arange(low, high)[:, None] + shift) * (12.0 / per_octave)
    weight = np.where(peak, 10 ** (b / 40.0), 0.0)
    around = np.sum(weight * np.exp(2j * np.pi * place))
    return posteriors.tuning + (float(np.angle(around) / (2 * np.pi) * 100.0) if abs(around) > 0 else 0.0)


def _near_notes(notes: Notes, posteriors: Posteriors, count: int, low: int, high: int) -> NDArray[np.bool_]:
    every = max(posteriors.n_frames // 3000, 1)
    mask = np.zeros((high, count), bool)
    for onset, offset, pitch in zip(notes.onset, notes.offset, notes.pitch.tolist(), strict=True):
        a, z = int(onset / posteriors.hop_s / every) + 2, int(offset / posteriors.hop_s / every) + 1
        for centre in harmonic_bins(posteriors, pitch, (1, 2)):
            if centre < high:
                mask[max(centre - 2, 0) : centre + 3, a:z] = True
    return mask[low:high]


def concert_pitch(cents: float) -> float:
    """Frequency of A4 in Hz of a recording that is so many cents off."""
    return A4 * 2.0 ** (cents / 1200.0)
