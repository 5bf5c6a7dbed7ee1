"""Write ``src/settings.json``, all numbers that the page shares with Python: ``python web/settings.py``.

A default stands in `amtsep.config` and nowhere else; a test compares the file with what this would write.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from amtsep import decoding, loudness
from amtsep.clustering import assign, constraints, count, evidence, points, soft, sounds, stability
from amtsep.config import MIDI_MIN, Clustering, Decoding, Limits, Quantisation
from amtsep.posteriors import DB_FLOOR, DB_STEP
from amtsep.rhythm.key import weights
from widgets.panels.source import demos
from widgets.state import edits, grouping, presets

sys.path.insert(0, str(Path(__file__).parent))

import serve  # noqa: E402

TARGET = Path(__file__).parent / "src" / "settings.json"
MINUTES = 20
"""Longest recording: decoded, a minute of stereo sound is 21 MB of a page's memory."""


def clustering_rule() -> dict[str, Any]:
    """The numbers by which notes are sorted into tracks, and the generator that a long recording is thinned with."""
    stream = np.random.default_rng(Clustering().seed).bit_generator.state["state"]
    return {
        "max_weight_s": points.MAX_WEIGHT_S,
        "max_tree": assign.MAX_TREE,
        "crowd": assign.CROWD,
        "evenness": assign.EVENNESS,
        "rounds": assign.ROUNDS,
        "pitch_fall": constraints.PITCH_FALL,
        "sample": count.SAMPLE,
        "enough": count.ENOUGH,
        "slack_s": evidence.SLACK_S,
        "max_partners": evidence.MAX_PARTNERS,
        "neighbours": evidence.NEIGHBOURS,
        "neighbour_s": evidence.NEIGHBOUR_S,
        "soft_rounds": soft.ROUNDS,
        "sharpness": soft.SHARPNESS,
        "overlap_logit": soft.OVERLAP_LOGIT,
        "polyphonic": soft.POLYPHONIC,
        "pitch_spread": soft.PITCH_SPREAD,
        "kappa": list(soft.KAPPA),
        "same_onset_s": stability.SAME_ONSET_S,
        "stream": {name: str(stream[name]) for name in ("state", "inc")},
        "stay": grouping.STAY,
        "max_tracks": edits.MAX_TRACKS,
        "near_s": edits.ANCHOR_TOLERANCE_S,
        "programs": list(edits.PROGRAMS),
        "least_likeness": sounds.LEAST,
    }


def settings() -> dict[str, Any]:
    """What the page needs to know."""
    low, high = presets.best_expected.__defaults__ or ()
    return {
        "decoding": asdict(Decoding()),
        "clustering": asdict(Clustering()),
        "clustering_rule": clustering_rule(),
        "quantisation": asdict(Quantisation()) | {"key": weights()["key"].tolist()},
        "presets": {name: asdict(preset) for name, preset in presets.PRESETS.items()},
        "automatic": {"discount": presets.DISCOUNT, "faith": presets.FAITH, "low": low, "high": high},
        "files": serve.files(),
        "limits": {"megabytes": Limits().max_upload_mb, "minutes": MINUTES},
        "demos": demos(),
        "levels": {"floor": DB_FLOOR, "step": DB_STEP},
        "loudness": {
            "offset_s": loudness.OFFSET_S,
            "short_s": loudness.SHORT_S,
            "silence_db": loudness.SILENCE_DB,
            "side_db": loudness.SIDE_DB,
            "smooth_s": loudness.SMOOTH_S,
            "quietest": loudness.QUIETEST,
        },
        "midi_min": MIDI_MIN,
        "smoothing": decoding.SMOOTHING,
        "sure_height": decoding.SURE_HEIGHT,
        "timing_reach": decoding.TIMING_REACH,
        "peak_floor": decoding.PEAK_FLOOR,
        "release_reach": decoding.RELEASE_REACH,
        "release_s": decoding.RELEASE_S,
        "level_frames": decoding.LEVEL_FRAMES,
        "loud_velocity": decoding.LOUD_VELOCITY,
        "velocity_per_db": decoding.VELOCITY_PER_DB,
    }


def text() -> str:
    """The file."""
    return json.dumps(settings(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
