"""Resolve the pinned versions: ``python tools/lock.py``, with the Pythons from 3.10 to 3.13 that are there.

Writes requirements/app.txt and requirements/dev.txt. They are used as constraints (``pip install -c``), so one file
serves every platform: a package that only Windows needs is simply not pinned. Python 3.11 decides, since it still gets
everything that 3.12 and 3.13 get; where 3.10 cannot have a version any more, it gets a line of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETS = {"app": "app", "dev": "app,train,evaluate,musicxml,test,synths"}
TORCH = "torch==2.13.0"
LEADER = "3.11"
OTHERS = ("3.12", "3.13", "3.10")

HEADER = """\
# Pinned versions of amtsep[{extras}]: made by tools/lock.py, used as constraints (pip install -c).
"""


def interpreter(version: str) -> str | None:
    """A Python of this version that runs, or None."""
    candidates = [
        shutil.which(f"python{version}"),
        sys.executable,
        *Path.home().glob(f".pyenv/versions/{version}.*/bin/python"),
    ]
    for candidate in filter(None, candidates):
        found = subprocess.run(
            [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if found.stdout.strip() == version:
            return str(candidate)
    return None


def resolve(python: str, extras: str, constraints: list[str]) -> dict[str, str]:
    """Name to version of everything that pip would install, without installing it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", f"{folder}/venv"], check=True)
        pip = [f"{folder}/venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", "--upgrade", "pip"], check=True, stderr=subprocess.DEVNULL)
        pins = Path(folder, "constraints.txt")
        pins.write_text("\n".join([*constraints, TORCH]) + "\n")
        report = Path(folder, "report.json")
        subprocess.run(
            [*pip, "install", "--dry-run", "--ignore-installed", "--only-binary", ":all:", "--report", str(report),
             "-c", str(pins), "-e", f"{ROOT}[{extras}]"],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        packages = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    return {p["name"].lower().replace("_", "-"): p["version"].split("+")[0] for p in packages if p["name"] != "amtsep"}


def lines(by_python: dict[str, dict[str, str]]) -> list[str]:
    """One line a package; two where Python 3.10 needs another version."""
    pinned: list[str] = []
    for name in sorted(set().union(*by_python.values())):
        if name.startswith(("nvidia-", "cuda-", "triton")):  # torch's own business, and other for each build of it
            continue
        newer = next((by_python[v][name] for v in (LEADER, *OTHERS[:2]) if name in by_python.get(v, {})), None)
        older = by_python.get("3.10", {}).get(name)
        if newer is None:
            pinned.append(f"{name}=={older} ; python_version < '3.11'")
        elif older is None or older == newer:
            pinned.append(f"{name}=={newer}")
        else:
            pinned.append(f"{name}=={newer} ; python_version >= '3.11'")
            pinned.append(f"{name}=={older} ; python_version < '3.11'")
    return pinned


def main() -> None:
    """Write both files; the app's pins are taken over into the development set."""
    known: dict[str, dict[str, str]] = {}
    for set_name, extras in SETS.items():
        by_python: dict[str, dict[str, str]] = {}
        for version in (LEADER, *OTHERS):
            python = interpreter(version)
            if python is None:
                print(f"Python {version} is not here: its pins are those of {LEADER}.")
                continue
            fixed = dict(known.get(version, {}))
            if version in OTHERS[:2]:
                fixed |= by_python.get(LEADER, {})
            by_python[version] = resolve(python, extras, [f"{n}=={v}" for n, v in fixed.items()])
            print(f"{set_name}: {len(by_python[version])} packages for Python {version}")
        known = by_python
        path = ROOT / "requirements" / f"{set_name}.txt"
        path.write_text(HEADER.format(extras=extras) + "\n".join(lines(by_python)) + "\n")


if __name__ == "__main__":
    main()
