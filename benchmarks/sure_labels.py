"""Figures of Slakh's development songs with and without the parts whose labels are not sure.

    amtsep evaluate --dataset slakh --root DATA/slakh/dev --mixes 1,2,3,4 --model base -o OUT
    python benchmarks/sure_labels.py OUT/report.json

Of two parts the sound swells 50 to 150 ms after its label (a string ensemble, a choir), and bells are labelled an
octave from where some hear them: ten stems and nine of the mixes that `amtsep evaluate` draws have none of the three.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

UNSURE = (("Track00001", "S04"), ("Track01501", "S01"), ("Track01501", "S02"))
"""Song and stem: choir, strings, bells."""
FIGURES = {
    "onset": "onset_f1",
    "onset+offset": "onset_offset_f1",
    "frame": "frame_f1",
    "tracks, number given": "given_macro_onset_f1",
}


def is_sure(name: str) -> bool:
    """Whether a recording, named as the reader of Slakh does, has no part of `UNSURE`."""
    song, _, stems = name.partition("/")
    return not any(song == track and f"{stem} " in stems for track, stem in UNSURE)


def row(what: str, recordings: list[dict[str, Any]]) -> str:
    """A line of the table: means over `recordings`, and in how many the number of tracks is right."""
    cells = []
    for key in FIGURES.values():
        values = [r["figures"][key] for r in recordings if r["figures"].get(key) is not None]
        cells.append(f"{sum(values) / len(values):.3f}" if values else "–")
    right = [r["figures"]["estimated_track_error"] == 0 for r in recordings if "estimated_track_error" in r["figures"]]
    cells.append(f"{sum(right)} of {len(right)}" if right else "–")
    return f"| {what} | {len(recordings)} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.json of 'amtsep evaluate --dataset slakh'")
    recordings = json.loads(parser.parse_args().report.read_text(encoding="utf-8"))["recordings"]
    print(f"| | recordings | {' | '.join(FIGURES)} | number right |\n|---|---|{'---|' * (len(FIGURES) + 1)}")
    for what, chosen in (
        ("stems", [r for r in recordings if len(r["parts"]) == 1]),
        ("mixes", [r for r in recordings if len(r["parts"]) > 1]),
    ):
        print(row(what, chosen))
        print(row(f"{what} of sure labels", [r for r in chosen if is_sure(r["name"])]))


if __name__ == "__main__":
    main()
