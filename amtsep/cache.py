"""What need not be computed twice, in one folder for everybody: posteriors, parsed scores, measured soundfonts.

Files are replaced in one step and named by everything that their content follows from, so a file that is there is
right; one that cannot be read counts as absent and is deleted. Of posteriors, the ones used longest ago go when they
take more than `MAX_BYTES`. A full disk or a read-only home is no reason to fail: then nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from platformdirs import user_cache_path

from amtsep import formats
from amtsep.errors import FormatError
from amtsep.notes import Notes
from amtsep.posteriors import FORMAT_VERSION, Posteriors

MAX_BYTES = 4 << 30


def folder(kind: str) -> Path:
    """Where things of a kind ("posteriors", "scores", "soundfonts") are kept.

    In the folder that ``AMTSEP_CACHE`` names, or in the user's cache folder, as the system has it.
    """
    given = os.environ.get("AMTSEP_CACHE")
    return (Path(given) if given else user_cache_path("amtsep", appauthor=False)) / kind


def posteriors_key(sound: str, model: str) -> str:
    """Name of the posteriors of a sound (its hash) by a network (its `amtsep.inference.model_hash`)."""
    return hashlib.sha256(f"{FORMAT_VERSION}\n{model}\n{sound}".encode()).hexdigest()[:40]


def load_posteriors(key: str, where: Path | None = None) -> Posteriors | None:
    """Posteriors under this name, or ``None``; `where` is another folder than the usual one."""
    path = (where or folder("posteriors")) / f"{key}.npz"
    if not path.is_file():
        return None
    try:
        posteriors = Posteriors.load(path)
        os.utime(path)
    except Exception:  # noqa: BLE001 - whatever NumPy, zip and zlib raise on damage
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return posteriors


def store_posteriors(key: str, posteriors: Posteriors, where: Path | None = None) -> None:
    """Keep posteriors under this name."""
    place = where or folder("posteriors")
    with contextlib.suppress(OSError, FormatError):
        place.mkdir(parents=True, exist_ok=True)
        posteriors.save(place / f"{key}.npz")
        if place == folder("posteriors"):
            trim(place)


def load_notes(key: str) -> Notes | None:
    """Notes that a network has written, kept beside its posteriors of this name; ``None`` where there are none."""
    path = folder("posteriors") / f"{key}.json"
    try:
        notes = formats.read_json(path)
        os.utime(path)
    except (FormatError, OSError):
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return notes


def store_notes(key: str, notes: Notes) -> None:
    """Keep notes under the name of the posteriors beside them."""
    place = folder("posteriors")
    with contextlib.suppress(OSError, FormatError):
        place.mkdir(parents=True, exist_ok=True)
        formats.write_json(notes, place / f"{key}.json")


def trim(place: Path, most: int = MAX_BYTES) -> None:
    """Delete the files used longest ago until no more than `most` bytes are left."""
    kept = [path for kind in ("npz", "json") for path in place.glob(f"*.{kind}")]
    files = sorted(((p, p.stat()) for p in kept), key=lambda f: f[1].st_mtime, reverse=True)
    total = 0
    for path, about in files:
        total += about.st_size
        if total > most:
            path.unlink(missing_ok=True)
