"""What a fine-tuning refuses before it reads any weights."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (amtsep[studio])")

from amtsep.errors import DataError
from amtsep.studio.config import TuneSettings
from amtsep.studio.tuning import tune


@pytest.mark.parametrize(("name", "full"), [("model", True), ("adapter", False)])
@pytest.mark.parametrize("resume", [False, True])
def test_a_training_replaces_no_folder_that_is_not_its_own(tmp_path: Path, name: str, full: bool, resume: bool) -> None:
    (tmp_path / name).mkdir()
    weights = tmp_path / name / "model.safetensors"
    weights.write_bytes(b"somebody's")
    with pytest.raises(DataError, match=f"{name} is there and would be replaced"):
        tune(str(tmp_path / "model"), tmp_path, tmp_path, TuneSettings(full=full), resume)
    assert weights.read_bytes() == b"somebody's"
