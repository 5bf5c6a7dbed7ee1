"""Files are replaced in one step: who is stopped in between leaves the old one whole, and nothing else."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from amtsep.errors import FormatError
from amtsep.files import clear_halves, replacing
from amtsep.posteriors import Posteriors


def posteriors(level: float, frames: int = 50) -> Posteriors:
    return Posteriors(*np.full((2, 88, frames), level, np.float32), np.zeros((306, frames), np.uint8), 0.01, 0.5)


def test_what_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    posteriors(0.25).save(path)
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError("stopped")
    assert float(Posteriors.load(path).onset[0, 0]) == pytest.approx(0.25, abs=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["p.npz"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    with pytest.raises(FormatError, match="cannot be written"):
        posteriors(0.5).save(tmp_path / "absent" / "p.npz")


def test_posteriors_survive_whoever_is_killed_while_writing_them(tmp_path: Path) -> None:
    """Four of thirty files were broken when the program was killed."""
    path = tmp_path / "p.npz"
    posteriors(0.25).save(path)
    code = (
        "import sys, os, numpy as np\n"
        "from amtsep.posteriors import Posteriors\n"
        "import zipfile; close = zipfile.ZipFile.close\n"
        "zipfile.ZipFile.close = lambda self: os._exit(9)\n"  # all written but the end
        "Posteriors(*np.full((2, 88, 50), .5, 'f4'), np.zeros((306, 50), 'u1'), .01, .5).save(sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert float(Posteriors.load(path).onset[0, 0]) == pytest.approx(0.25, abs=1e-4)


def test_halves_of_a_killed_program_are_cleared_and_nobody_elses(tmp_path: Path) -> None:
    alike = [tmp_path / f"{'01 - A quartet of the classical period - '}{part}.mid" for part in ("i", "ii")]
    code = (
        "import sys, os\n"
        "from amtsep.files import replacing\n"
        "with replacing(sys.argv[1]) as half: half.write_bytes(b'MTh'); os._exit(9)"
    )
    for path in alike:
        assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 2
    clear_halves(alike[0])
    (left,) = tmp_path.iterdir()
    clear_halves(alike[1])
    assert not left.exists()
