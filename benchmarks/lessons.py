"""How long the lessons take: ``python benchmarks/lessons.py`` runs each of them top to bottom, headless.

For each, wall time and the CPU time of its kernel (user and system, of all threads): beside other work only the CPU
time says something. ``--short`` runs them as CI does.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nbformat
from nbclient import NotebookClient

from widgets.lessons import build


def cpu_s() -> float:
    """Of all children that have ended: a lesson's kernel is one when its lesson is over."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(lesson: str, language: str, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a lesson."""
    notebook = nbformat.read(build.WORKSHOP / language / f"{lesson}.ipynb", as_version=4)
    (folder / lesson).mkdir()
    wall, cpu = time.monotonic(), cpu_s()
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder / lesson)}}).execute()
    return time.monotonic() - wall, cpu_s() - cpu


def main() -> None:
    """Run what is asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", help="numbers, as 5 8 10 (all)")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--short", action="store_true", help="in the form that CI runs")
    args = parser.parse_args()
    if args.short:
        os.environ["AMTSEP_LESSONS"] = "short"
    names = [n for n in build.lessons() if not args.lessons or str(int(n[:2])) in args.lessons]
    total = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            wall, cpu = run(name, args.language, Path(folder))
            total = [total[0] + wall, total[1] + cpu]
            print(f"{name:15s} wall {wall:6.1f} s   CPU {cpu:6.1f} s", flush=True)
    print(f"{'all':15s} wall {total[0]:6.1f} s   CPU {total[1]:6.1f} s; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
