"""A training step takes the memory that the one before has freed."""

import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from amtsep.training.allocator import keep_memory
kept = {ask}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [np.ones(5_000_000) for _ in range(3)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(int(kept), faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc has mallopt")
def test_pages_are_made_once() -> None:
    def run(ask: str) -> tuple[int, int]:
        code = CODE.replace("{ask}", ask)
        words = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
        return int(words[0]), int(words[1])

    kept, faults = run("keep_memory()")
    if not kept:
        pytest.skip("this C library has no mallopt")
    assert faults * 10 < run("False")[1]


HOLES = """
import numpy as np
from amtsep.training.allocator import keep_memory, trim_memory
kept = keep_memory()
def resident():
    return int(open("/proc/self/statm").read().split()[1])
begin = resident()
blocks = [np.ones(200_000) for _ in range(200)]
blocks = blocks[::20] + blocks[-1:]
full = resident() - begin
trim_memory()
print(int(kept), full, resident() - begin)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc has mallopt")
def test_holes_are_given_back() -> None:
    words = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, check=True, text=True).stdout.split()
    kept, full, trimmed = map(int, words)
    if not kept:
        pytest.skip("this C library has no mallopt")
    assert trimmed < full / 2
