"""Spectra of the 128 General MIDI programs: ``python -m widgets.lessons.gm_map`` measures them into ``gm_map.json``.

Three notes of each program of TimGM6mb (the soundfont of the pretty_midi wheel) are rendered by FluidSynth; what is
kept is the level of bands of three semitones over the note's fundamental, at its attack, soon after it, and later. Only
these few numbers are in the project, no sound.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PITCHES = (48, 60, 72)
TIMES_S = ((0.0, 0.06), (0.06, 0.3), (0.3, 0.9))
BANDS = 22
"""From nine semitones under the fundamental upwards."""
BAND = 9
"""Bins of the constant-Q transform a band: three semitones."""
FLOOR_DB = -60
FILE = Path(__file__).with_name("gm_map.json")

FAMILIES = (
    *("Piano", "Chromatic percussion", "Organ", "Guitar", "Bass", "Strings", "Ensemble", "Brass", "Reed", "Pipe"),
    *("Synth lead", "Synth pad", "Synth effects", "Ethnic", "Percussive", "Sound effects"),
)
"""Of eight programs each."""


def bands(sound: NDArray[np.float32], pitch: int) -> NDArray[np.int64]:
    """Levels in dB under the loudest, (3, BANDS), of a sound that begins with its note."""
    from widgets.lessons import material

    power = material.power(sound)
    hop_s = 256 / 22050
    first = 3 * (pitch - 21) - 27 - BAND // 2
    rows = []
    for start, end in TIMES_S:
        part = power[:, round(start / hop_s) : max(round(end / hop_s), 1)].mean(axis=1)
        rows.append([part[max(first + k * BAND, 0) : max(first + (k + 1) * BAND, 0)].sum() for k in range(BANDS)])
    level = 10 * np.log10(np.array(rows) + 1e-12)
    return np.asarray(np.maximum(np.round(level - level.max()), FLOOR_DB).astype(np.int64))


def run() -> list[list[list[list[int]]]]:
    """Measure all programs: 128 × pitches × times × bands."""
    import soxr

    from amtsep.synthesis.soundfonts import BLOCK, RATE, Synthesizer, find_soundfonts

    font = find_soundfonts()["timgm"]
    synthesizer = Synthesizer()
    rows = []
    for program in range(128):
        synthesizer.select(font, 0, program)
        row = []
        for pitch in PITCHES:
            hold, length = int(0.8 * RATE) // BLOCK, int(1.2 * RATE) // BLOCK
            events = np.array([(0, 1, pitch, 100), (hold, 0, pitch, 0)], np.int64)
            sound = soxr.resample(np.asarray(synthesizer.render(events, length), np.float32), RATE, 22050)
            row.append(bands(np.asarray(sound[: len(sound) // 256 * 256], np.float32), pitch).tolist())
        rows.append(row)
    return rows


def load() -> NDArray[np.float64]:
    """The measured levels in dB, (128, pitches, times, bands)."""
    found: Any = json.loads(FILE.read_text(encoding="utf-8"))
    return np.asarray(found, np.float64)


if __name__ == "__main__":
    FILE.write_text(json.dumps(run(), separators=(",", ":")) + "\n", encoding="utf-8")
