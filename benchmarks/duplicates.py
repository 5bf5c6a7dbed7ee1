"""Are copies found, and nothing else: ``python benchmarks/duplicates.py DIR...``.

Fingerprints of every recording below the folders (FLAC, OGG, WAV, MP3; the first two minutes) and of two copies: MP3 at
44,100 Hz, 8 dB softer, and OGG at 16,000 Hz that begins 0.3 s late. Printed: how many copies are taken for their
recording, and how many pairs of different files for one; the shares of bits that differ. Different files of one
piece (a mix and a remix, two microphones) are named, to judge by ear whether they are copies.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import soundfile
import soxr

from amtsep.studio.fingerprint import MOST_S, SAME, SHIFT, Fingerprint, distance, fingerprint, same

RATE = 22_050
ENDINGS = {".flac", ".ogg", ".wav", ".mp3"}


def copy(sound: np.ndarray, form: str, rate: int, gain_db: float, late_s: float) -> Fingerprint:
    """The fingerprint of a recording that was encoded anew."""
    moved = np.concatenate([np.zeros(int(late_s * RATE), np.float32), sound]) * np.float32(10 ** (gain_db / 20))
    buffer = io.BytesIO()
    soundfile.write(buffer, soxr.resample(moved, RATE, rate), rate, format=form)
    buffer.seek(0)
    again, own = soundfile.read(buffer, dtype="float32")
    return fingerprint(again, own)


def main() -> None:
    """Read, copy, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    args = parser.parse_args()
    paths = sorted(p for folder in args.folders for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    prints: list[Fingerprint] = []
    kept: dict[str, list[float]] = {"MP3 44,100 Hz, -8 dB": [], "OGG 16,000 Hz, 0.3 s late": []}
    found = dict.fromkeys(kept, 0)
    for path in paths:
        with soundfile.SoundFile(path) as file:
            own = file.samplerate
            sound = file.read(int(MOST_S * own), dtype="float32", always_2d=True).mean(axis=1)
        mono = soxr.resample(sound, own, RATE).astype(np.float32)
        prints.append(fingerprint(mono, RATE))
        for name, made in zip(kept, (copy(mono, "MP3", 44_100, -8, 0), copy(mono, "OGG", 16_000, 0, 0.3)), strict=True):
            kept[name].append(distance(prints[-1], made))
            found[name] += same(prints[-1], made)
    print(f"{len(paths)} recordings; limit {SAME:.2f}")
    for name, distances in kept.items():
        print(f"{name}: {found[name]} found; bits that differ, median {np.median(distances):.3f}, "
              f"largest {max(distances):.3f}")  # fmt: skip
    pairs = [(i, j) for i in range(len(paths)) for j in range(i) if abs(len(prints[i]) - len(prints[j])) <= SHIFT]
    between = sorted((distance(prints[i], prints[j]), paths[i], paths[j]) for i, j in pairs)
    wrong = [one for one in between if one[0] < SAME]
    print(f"{len(pairs)} pairs of different files of like length: {len(wrong)} taken for one")
    for share, one, other in (wrong or between[:3])[:12]:
        print(f"  {share:.3f} {one.name} {other.name}")


if __name__ == "__main__":
    main()
