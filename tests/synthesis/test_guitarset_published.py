"""GuitarSet as it is published: JAMS in ``annotation``, the microphone's sound in ``audio_mono-mic``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from amtsep.errors import DataError
from amtsep.synthesis.guitarset import takes, windows


def test_the_published_layout_is_read_and_only_the_training_players(tmp_path: Path) -> None:
    (tmp_path / "annotation").mkdir()
    (tmp_path / "audio_mono-mic").mkdir()
    strings = []
    for string in range(6):
        data = [
            {"time": 0.5 + string + k / 5, "duration": 0.15, "value": 50.2 + string, "confidence": None} for k in (0, 1)
        ]
        strings.append({"namespace": "note_midi", "annotation_metadata": {"data_source": str(string)}, "data": data})
    for name in ("00_Jazz1-130-D_solo", "03_Jazz1-130-D_solo"):
        (tmp_path / "annotation" / f"{name}.jams").write_text(json.dumps({"annotations": strings}))
        tone = np.sin(np.arange(8 * 44100) / 20).astype(np.float32)
        soundfile.write(tmp_path / "audio_mono-mic" / f"{name}_mic.wav", tone, 44100)
    (take,) = takes(tmp_path)
    assert take.name.startswith("00")
    ((sound, notes), *_) = windows(take, 9.0, 22050)
    assert len(sound) == 9 * 22050 and len(notes) == 12
    assert notes["onset"][0] == pytest.approx(0.5) and set(notes["pitch"]) == set(range(50, 56))
    (tmp_path / "audio_mono-mic" / f"{take.stem}_mic.wav").unlink()
    with pytest.raises(DataError, match="audio_mono-mic.zip"):
        windows(take, 9.0, 22050)
