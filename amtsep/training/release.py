"""From a run's weights to what ships: ``amtsep calibrate WEIGHTS --bank BANK --models models``.

Calibrates the weights, exports them to ONNX, and writes both beside each other with their checksums.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from amtsep.nets.checkpoint import load_checkpoint, sha256
from amtsep.nets.export import export_onnx
from amtsep.training.calibration import calibrate


def release(weights: Path, bank: Path, models: Path, clips: int, songs: Sequence[Path] = ()) -> Path:
    """Write ``NAME.safetensors``, ``NAME.onnx`` and ``SHA256SUMS`` into `models`; returns the weights' path."""
    models.mkdir(parents=True, exist_ok=True)
    path = models / f"{load_checkpoint(weights)[1].network.name}.safetensors"
    checkpoint = calibrate(weights, path, bank, clips, songs)
    export_onnx(path, path.with_suffix(".onnx"))
    files = sorted([*models.glob("*.safetensors"), *models.glob("*.onnx")])
    (models / "SHA256SUMS").write_text("".join(f"{sha256(file)}  {file.name}\n" for file in files))
    shifts = f"onset shift {checkpoint.onset_shift}, frame shift {checkpoint.frame_shift}"
    print(f"{path}: {shifts}, {checkpoint.info['calibration']}")
    return path
