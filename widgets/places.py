"""Where the app's own files lie: in a checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
"""What ``PYTHONPATH`` needs for ``widgets`` and ``amtsep`` to be found."""
STATIC = PACKAGE / "static"
SHARE = PACKAGE / "share"
NOTEBOOKS = PACKAGE / "notebooks" if (PACKAGE / "notebooks").is_dir() else ROOT / "notebooks"
NOTEBOOK = NOTEBOOKS / "dashboard.ipynb"
DEMOS = NOTEBOOKS / "demos"
