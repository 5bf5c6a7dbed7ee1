"""What all tests share: where the data lies, and a list of what was skipped."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow, and that is no fault of what is tested.
settings.register_profile("amtsep", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("amtsep")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The data that is not part of the repository: $AMTSEP_DATA, or ../shared/data beside the checkout."""
    root = Path(os.environ.get("AMTSEP_DATA") or ROOT.parent / "shared" / "data")
    if not root.is_dir():
        pytest.skip("the data sets are not here (set AMTSEP_DATA to their folder)")
    return root


SESSIONS = tempfile.mkdtemp(prefix="amtsep-sessions-")
# The sessions of whoever runs the tests are none of their business; servers that tests start inherit this.
os.environ["AMTSEP_SESSIONS"] = SESSIONS


@pytest.fixture(autouse=True)
def no_kept_sessions() -> Iterator[None]:
    """What one test worked on is not offered to the next."""
    yield
    shutil.rmtree(SESSIONS, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every skipped test with its reason: pytest itself gives lines of code, and folds them together."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"{len(skipped)} skipped")
    for report in sorted(skipped, key=lambda r: str(r.nodeid)):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
