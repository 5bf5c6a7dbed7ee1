"""Ends a process with the one that started it, which, killed, could not say so."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

VARIABLE = "AMTSEP_PARENT"


def end_with_parent() -> None:
    """Watch the process that ``AMTSEP_PARENT`` names, if it names one."""
    parent = os.environ.pop(VARIABLE, "")
    if not parent:
        return

    def watch() -> None:
        import psutil  # type: ignore[import-untyped]

        with contextlib.suppress(psutil.Error, ValueError):
            psutil.Process(int(parent)).wait()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="amtsep-parent", daemon=True).start()
