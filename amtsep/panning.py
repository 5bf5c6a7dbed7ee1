"""Where the notes of a stereo recording lie between its channels, and how sure that is.

Read from those harmonics of a note that no other note covers. A source that is wide, in a reverberant room, or hidden
among others has a balance that goes from harmonic to harmonic and from moment to moment: then it says little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from amtsep.config import MIDI_MIN, N_PITCHES
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.stereo import A0_HZ, BINS_PER_OCTAVE, N_ROWS

HARMONICS = 8
NEAR_ROWS = 2
"""A harmonic is covered where another note's lies so near, in thirds of a semitone."""
LOBE_HZ = 9.0
"""The same in Hz: about what the window can tell apart."""
SKIP_S, MOST_S = 0.0, 1.5
"""Of a note, what comes before is the attack of something else or the window's edge; what comes after, its room."""
COVERED = 0.02
"""Weight of a covered harmonic: better than nothing."""
NOISE = 0.06
"""Of a balance that was measured in one cell."""
SPREAD = 0.15
"""Standard error of a balance at which it is believed by half."""


def note_panning(notes: Notes, posteriors: Posteriors) -> NDArray[np.float32]:
    """Where every note lies between the channels, and how sure that is.

    Parameters
    ----------
    notes
        Decoded from these posteriors.
    posteriors
        With a stereo image.

    Returns
    -------
    (n, 2) float32
        Balance of the energy from -1 (left) to 1 (right), and a confidence in [0, 1].

    Raises
    ------
    ValueError
        If the posteriors hold no stereo image.
    """
    image = posteriors.stereo
    if image is None:
        raise ValueError("These posteriors hold no stereo image: the recording has one channel.")
    found = np.zeros((len(notes), 2), np.float32)
    columns = image.balance.shape[1]
    if not len(notes) or not columns:
        return found
    rows, near = _harmonic_rows(notes)
    # Those of the posteriors count from the tuning, those of the image from 440 Hz.
    shift = round(posteriors.tuning / 100.0 * BINS_PER_OCTAVE / 12)
    end = np.minimum(notes.offset, notes.onset + MOST_S)
    first = np.clip(np.ceil((notes.onset + SKIP_S) / image.hop_s), 0, columns - 1).astype(np.intp)
    last = np.clip(np.floor(end / image.hop_s), first, columns - 1).astype(np.intp) + 1
    cover = _covered(rows, near, first, np.ceil(notes.offset / image.hop_s).astype(np.intp), columns)
    length = last - first
    note = np.repeat(np.arange(len(notes)), length)
    column = np.arange(len(note)) - np.repeat(np.cumsum(length) - length, length) + first[note]
    moment = np.clip(np.round(column * image.hop_s / posteriors.hop_s), 0, posteriors.n_frames - 1).astype(np.intp)
    sums = np.zeros((4, len(notes)))
    top = min(N_ROWS - max(shift, 0), len(posteriors.spectrogram))
    for row in rows.T:
        inside = (row[note] + min(shift, 0) >= 0) & (row[note] < top)
        own, r, t = note[inside], row[note[inside]], column[inside]
        # Amplitudes, not energies: a note is not judged by its strongest harmonic alone.
        weight = 10.0 ** (posteriors.spectrogram[r, moment[inside]] / 40.0)
        weight = weight * np.where(cover[r, t] <= 1, 1.0, COVERED)
        value = image.balance[r + shift, t] / 127.0
        for total, part in zip(sums, (weight, weight * value, weight * value**2, weight**2), strict=True):
            total += np.bincount(own, part, minlength=len(notes))
    weight = np.maximum(sums[0], 1e-12)
    balance = sums[1] / weight
    varied = np.maximum(sums[2] / weight - balance**2, 0.0) + NOISE**2
    # Windows overlap, so two columns in a row are about one.
    cells = np.maximum(0.5 * weight**2 / np.maximum(sums[3], 1e-12), 1.0)
    found[:, 0] = balance
    found[:, 1] = np.where(sums[0] > 0, SPREAD**2 / (SPREAD**2 + varied / cells), 0.0)
    return found


def _harmonic_rows(notes: Notes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the notes' harmonics, (n, HARMONICS), and of every row, how far another harmonic must be from it."""
    step = BINS_PER_OCTAVE * np.log2(np.arange(1, HARMONICS + 1))
    pitch = np.clip(notes.pitch.astype(np.intp) - MIDI_MIN, 0, N_PITCHES - 1)
    rows = pitch[:, None] * (BINS_PER_OCTAVE // 12) + np.round(step).astype(np.intp)
    hz = A0_HZ * 2.0 ** (np.arange(N_ROWS) / BINS_PER_OCTAVE)
    near = np.maximum(np.round(BINS_PER_OCTAVE * np.log2(1.0 + LOBE_HZ / hz)), NEAR_ROWS)
    return rows, near.astype(np.intp)


def _covered(
    rows: NDArray[np.intp], near: NDArray[np.intp], first: NDArray[np.intp], last: NDArray[np.intp], columns: int
) -> NDArray[np.int8]:
    """How many notes have a harmonic at or near every row at every moment, (N_ROWS, columns)."""
    table = np.zeros((N_ROWS, columns + 1), np.int8)
    last = np.clip(last, first, columns)
    for row in rows.T:
        reach = near[np.clip(row, 0, N_ROWS - 1)]
        for away in range(-int(near.max()), int(near.max()) + 1):
            at = row + away
            here = (abs(away) <= reach) & (at >= 0) & (at < N_ROWS)
            np.add.at(table, (at[here], first[here]), 1)
            np.subtract.at(table, (at[here], last[here]), 1)
    return np.cumsum(table[:, :-1], axis=1, dtype=np.int8)
