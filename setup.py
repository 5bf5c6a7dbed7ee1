"""Everything is said in pyproject.toml; this adds models and notebooks, which lie beside the packages, to a wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
INSIDE = {"models": "amtsep/models", "notebooks": "widgets/notebooks"}
"""Folder of the checkout, and where it goes in an installation."""


class BuildWithData(build_py):
    """An editable install finds the folders where they are; a wheel takes them along inside the packages."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in INSIDE.items():
            if (ROOT / source).is_dir():
                hidden = shutil.ignore_patterns(".*", "__pycache__", "training")
                shutil.copytree(ROOT / source, Path(self.build_lib) / target, dirs_exist_ok=True, ignore=hidden)


setup(cmdclass={"build_py": BuildWithData})
