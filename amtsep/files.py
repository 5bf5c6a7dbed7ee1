"""Files that are replaced in one step, so that an interrupted program never leaves half of one."""

from __future__ import annotations

import glob
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from amtsep.errors import FormatError


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """Name of a new file to write, which takes the place of `path` when the block ends well, and never before.

    Raises
    ------
    FormatError
        If the folder or the file cannot be written; what `path` named before is untouched.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # a pipe or a device cannot be replaced; a folder is refused here
            with target.open("wb"):
                yield target
            return
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_beginning(target))
        temporary = Path(name)
        try:
            os.close(handle)
            yield temporary
            with temporary.open("rb+") as file:
                # Else the new name may outlive a power cut and the new content not.
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FormatError(f"{target.name or target} cannot be written ({reason(error)}); check the folder.") from error


def clear_halves(path: str | PathLike[str]) -> None:
    """Remove what programs that were killed while they wrote `path` have left; nobody may be writing it now."""
    target = Path(path)
    for half in target.parent.glob(glob.escape(_beginning(target)) + "?" * 8):
        half.unlink(missing_ok=True)


def _beginning(target: Path) -> str:
    """How the name of an unfinished `target` begins; the sum tells apart long names that begin alike."""
    return f".{target.name[:40]}.{zlib.crc32(os.fsencode(target.name)):08x}."


def reason(error: OSError | ValueError) -> str:
    """What the system says, for a sentence."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def _umask() -> int:
    """What new files may be, without changing it for a moment as os.umask would."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o022
