"""Three hundred damaged files of every kind: a value or a sentence, in a process that stays alive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).with_name("fuzz.py")


def test_three_hundred_damaged_files() -> None:
    # In a process of its own, where a crash is an exit status; some through the child, which costs its start each time.
    for words in (["--count", "270", "--seed", "7", "--here"], ["--count", "30", "--seed", "8"]):
        result = subprocess.run([sys.executable, str(FUZZ), *words], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
        assert "audio refused" in result.stdout and "faults: 0" in result.stdout
