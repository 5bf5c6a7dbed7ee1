"""Peak memory against length: ``python benchmarks/memory.py --minutes 5 20 60``.

The demo clips one after another, at changing levels, are written as FLAC (22,050 Hz, mono) and go through ``amtsep
transcribe`` (``light``) and ``amtsep transcribe --timbres auto`` (``base``), each as a process of its own. Peak is the
largest resident set of that process; the decoder that it starts is a second, smaller one.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from amtsep.audio import load_audio

ROOT = Path(__file__).resolve().parents[1]
RATE = 22050
RUNS = {"light": ["--model", "light"], "base, auto": ["--model", "base", "--timbres", "auto"]}


def write_long(path: Path, minutes: float, seed: int) -> None:
    """A recording of `minutes`, between 0 and −20 dB clip by clip."""
    clips = [load_audio(str(file)).samples for file in sorted((ROOT / "notebooks" / "demos").glob("*.ogg"))]
    rng = np.random.default_rng(seed)
    left = int(minutes * 60 * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        while left > 0:
            clip = clips[rng.integers(len(clips))] * 10 ** (rng.uniform(-20, 0) / 20)
            file.write(clip[:left])
            left -= len(clip)


def peak_mib(command: list[str]) -> tuple[float, float]:
    """Peak resident set (MiB) of a command's own process, and the processor's time (s) of all that it ran."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    largest = 0.0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:  # the kernel keeps the largest; the last look before the end counts
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            largest = max(largest, int(line.split()[1]) / 1024)
        except (OSError, StopIteration):
            pass
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return largest, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 20, 60, 180])
    parser.add_argument("--runs", nargs="+", choices=tuple(RUNS), default=list(RUNS))
    parser.add_argument("--options", default="", help="more options for amtsep transcribe, in one string")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not os.path.exists("/proc/self/status"):
        raise SystemExit("This looks at /proc, which only Linux has.")
    print(f"{'minutes':>8} {'network':<12} {'peak MiB':>9} {'CPU s':>7}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for minutes in args.minutes:
            path = Path(folder, f"{minutes:g}.flac")
            write_long(path, minutes, args.seed)
            for name in args.runs:
                out = Path(folder, "out.mid")
                command = [sys.executable, "-m", "amtsep", "transcribe", str(path), "-o", str(out), "--overwrite"]
                peak, seconds = peak_mib([*command, *RUNS[name], *args.options.split()])
                print(f"{minutes:>8g} {name:<12} {peak:>9.0f} {seconds:>7.0f}", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
