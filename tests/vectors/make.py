"""Write decoding.json: posteriors, thresholds, and the notes that `amtsep.decoding` makes of them.

    python tests/vectors/make.py

Both the library and the page's decoder (widgets/js/src/decode.ts) are held to the file; write it again where the rule
of decoding is meant to change, and change the other decoder with it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep import decoding
from amtsep.config import MIDI_MIN, Decoding, FrontEnd
from amtsep.decoding import Decoder
from amtsep.posteriors import DB_FLOOR, DB_STEP, Posteriors

TARGET = Path(__file__).with_name("decoding.json")
FRAMES = 60
SETTINGS = (
    Decoding(),
    Decoding(inferred_onsets=False, leftover_notes=False),
    Decoding(onset_threshold=0.2, frame_threshold=0.15, min_note_length=0.03),
    Decoding(onset_threshold=0.35, frame_threshold=0.5, min_note_length=0.15, min_pitch=40, max_pitch=80),
    Decoding(onset_threshold=0.02, frame_threshold=0.05, min_note_length=0.0),
)
RULE = {
    "midi_min": MIDI_MIN,
    "smoothing": decoding.SMOOTHING,
    "sure_height": decoding.SURE_HEIGHT,
    "timing_reach": decoding.TIMING_REACH,
    "peak_floor": decoding.PEAK_FLOOR,
    "level_frames": decoding.LEVEL_FRAMES,
    "loud_velocity": decoding.LOUD_VELOCITY,
    "velocity_per_db": decoding.VELOCITY_PER_DB,
    "levels": {"floor": DB_FLOOR, "step": DB_STEP},
}


def drawn(seed: int, noise: float) -> dict[str, NDArray[np.uint8]]:
    """Bytes of a posterior with notes that repeat, overlap, stop at the ends and fade, under `noise`."""
    rng = np.random.default_rng(seed)
    onset, frame = np.zeros((2, 88, FRAMES))
    spectrogram = rng.integers(0, 60, (306, FRAMES))
    for _ in range(50):
        row, start, length = int(rng.integers(0, 88)), int(rng.integers(-3, FRAMES)), int(rng.integers(2, 40))
        stop = min(start + length, FRAMES)
        for shift, height in ((-1, 0.4), (0, 1.0), (1, 0.5)):
            if 0 <= start + shift < FRAMES:
                onset[row, start + shift] = max(onset[row, start + shift], height * rng.uniform(0.1, 1.0))
        frame[row, max(start, 0) : stop] = rng.uniform(0.1, 1.0)
        frame[row, max(start, 0) : stop] *= rng.uniform(0.6, 1.0, max(stop - max(start, 0), 0))
        spectrogram[3 * row : 3 * row + 2, max(start, 0) : stop] = rng.integers(100, 256)
    for table in (onset, frame):
        table += noise * rng.random(table.shape) ** 4
    as_bytes = [np.round(255 * np.clip(table, 0, 1)).astype(np.uint8) for table in (onset, frame)]
    return {"onset": as_bytes[0], "frame": as_bytes[1], "spectrogram": spectrogram.astype(np.uint8)}


def posteriors_of(tables: dict[str, NDArray[np.uint8]]) -> Posteriors:
    """As both sides make them of the bytes."""
    onset, frame = (tables[name].astype(np.float32) / np.float32(255) for name in ("onset", "frame"))
    hop_s = FrontEnd().hop_s
    return Posteriors(onset, frame, tables["spectrogram"], hop_s, (FRAMES - 0.3) * hop_s)


def vectors() -> list[dict[str, Any]]:
    """Every case with what must come of it."""
    cases = []
    for seed, noise in ((1, 0.0), (2, 1.0)):
        tables = drawn(seed, noise)
        posteriors = posteriors_of(tables)
        decoder = Decoder(posteriors)
        found = []
        for settings in SETTINGS:
            notes = decoder(settings)
            columns = ("onset", "offset", "pitch", "velocity", "confidence")
            found.append({name: getattr(notes, name).tolist() for name in columns})
        cases.append(
            {
                "frames": FRAMES,
                "hop": posteriors.hop_s,
                "duration": posteriors.duration_s,
                **{name: base64.b64encode(values.tobytes()).decode() for name, values in tables.items()},
                "notes": found,
            }
        )
    return cases


def text() -> str:
    """The file."""
    content = {"rule": RULE, "settings": [asdict(s) for s in SETTINGS], "cases": vectors()}
    return json.dumps(content) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
