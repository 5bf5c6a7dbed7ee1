"""From a run's weights to what ships: ``amtsep calibrate WEIGHTS --bank BANK --models models``.

Calibrates the weights, exports them to ONNX, and writes both beside each other with their checksums.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from amtsep.nets.checkpoint import Checkpoint, read_checkpoint, sha256
from amtsep.nets.export import export_onnx


def release(weights: Path, models: Path, calibrated: Callable[[Path, Path], Checkpoint]) -> Path:
    """Write ``NAME.safetensors``, ``NAME.onnx`` and ``SHA256SUMS`` into `models`; returns the weights' path.

    `calibrated` reads the first file and writes the second, calibrated.
    """
    models.mkdir(parents=True, exist_ok=True)
    path = models / f"{read_checkpoint(weights).network.name}.safetensors"
    calibrated(weights, path)
    export_onnx(path, path.with_suffix(".onnx"))
    files = sorted([*models.glob("*.safetensors"), *models.glob("*.onnx")])
    (models / "SHA256SUMS").write_text("".join(f"{sha256(file)}  {file.name}\n" for file in files))
    return path
