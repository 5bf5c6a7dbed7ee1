"""The tempo of notes, for the grid of MIDI and MusicXML wherever none is given: on the command line and in the app."""

from __future__ import annotations

import numpy as np

from amtsep.formats import TEMPO
from amtsep.notes import Notes

FEWEST = 8


def estimate_tempo(notes: Notes) -> float:
    """Beats a minute that fit the onsets best, 60 to 180; `amtsep.formats.TEMPO` where there are fewer than 8 notes.

    The score of a tempo is how well onsets gather on its grid of half beats: the length of their mean as phases.
    """
    if len(notes) < FEWEST:
        return TEMPO
    onset = np.unique(np.round(notes.onset, 3))
    candidates = np.arange(60.0, 180.5, 0.5)
    # One after the other: all phases at once are a hundred megabytes for an hour of music.
    gathered = [abs(np.exp(2j * np.pi * onset * (candidate / 30.0)).mean()) for candidate in candidates]
    score = np.array(gathered) * np.exp(-0.5 * (np.log2(candidates / 110.0) / 0.7) ** 2)
    return float(candidates[int(np.argmax(score))])
