"""Resolve the pinned versions again: ``python tools/lock.py``, which needs the network and installs uv for the moment.

Writes requirements/app.txt, workshop.txt and dev.txt: every package that an installation takes, on every platform and
Python that we support, with the sums (SHA-256) of its files, so that ``pip install --require-hashes --no-deps`` takes
these files or none. Versions that are already there are kept; delete a file first to have everything anew.

torch stands apart, in requirements/torch.txt: its builds (CPU, each CUDA) have one version and many sums, and which one
is right depends on the machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "requirements"
# Each takes over the versions of the one before it.
SETS = {
    "app": ("app",),
    "workshop": ("app", "train", "evaluate"),
    "dev": ("app", "train", "evaluate", "musicxml", "test"),
}
TORCH = "torch==2.13.0"
TORCHS_OWN = ("torch", "nvidia-*", "cuda-*", "triton")
OLDEST = "3.10"

HEADER = """\
# Pinned versions and sums of amtsep[{extras}], made by tools/lock.py. They are installed by tools/install.sh:
#     pip install --require-hashes --no-deps -r requirements/{name}.txt
"""


def take_out(text: str) -> str:
    """A set of requirements without what torch brings for its own build."""
    kept: list[str] = []
    skipping = False
    for line in text.splitlines():
        if not line.startswith(" "):
            name = line.split("==")[0].strip()
            skipping = any(name == own or (own[-1] == "*" and name.startswith(own[:-1])) for own in TORCHS_OWN)
        if not skipping:
            kept.append(line)
    return "\n".join(kept) + "\n"


def main() -> None:
    """Write all files."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/venv"], check=True)
        python = f"{folder}/venv/bin/python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        # The package itself is built without a network too: its build backend is one of the pinned.
        build = Path(folder, "build.in")
        build.write_text("setuptools>=77\n")
        before: list[str] = []
        for name, extras in SETS.items():
            path = FOLDER / f"{name}.txt"
            result = Path(folder, f"{name}.txt")
            if path.exists():  # uv keeps the versions that it finds in its output
                result.write_text(path.read_text())
            chosen = [word for extra in extras for word in ("--extra", extra)]
            pinned = [word for file in before for word in ("-c", file)]
            torch = Path(folder, "torch.in")
            torch.write_text(f"{TORCH}\n")
            subprocess.run(
                [python, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes",
                 "--no-annotate", "--no-header", "--only-binary", ":all:", "--python-version", OLDEST,
                 *chosen, *pinned, "-c", str(torch), "--output-file", str(result),
                 str(ROOT / "pyproject.toml"), str(build)],
                check=True, stdout=subprocess.DEVNULL, cwd=ROOT,
            )  # fmt: skip
            text = take_out(result.read_text())
            path.write_text(HEADER.format(extras=",".join(extras), name=name) + text)
            # Without sums: as a constraint a version is enough.
            plain = Path(folder, f"{name}.in")
            names = [line.rstrip(" \\") for line in text.splitlines() if "==" in line and not line.startswith("#")]
            plain.write_text("\n".join(names) + "\n")
            before = [str(plain)]
            print(f"{path.relative_to(ROOT)}: {text.count('==')} packages")
        (FOLDER / "torch.txt").write_text(f"# The one version of torch; see tools/lock.py.\n{TORCH}\n")


if __name__ == "__main__":
    main()
