"""Torch to ONNX: one file from waveform to posteriors, with everything a runtime needs in its metadata."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from amtsep.nets.checkpoint import load_checkpoint
from amtsep.nets.model import EndToEnd

OPSET = 17


class _Exported(nn.Module):
    """Plain outputs: a runtime has no ``None``, and wants time before the embedding's dimension."""

    def __init__(self, inner: EndToEnd) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, audio: Tensor) -> tuple[Tensor, ...]:
        """(1, N) to onset, frame (1, 88, T), level (1, n_bins, T) and, where there is one, embedding (1, 88, T, D)."""
        onset, frame, level, embedding = self.inner(audio)
        if embedding is None:
            return onset, frame, level
        return onset, frame, level, embedding.permute(0, 2, 3, 1)


def export_onnx(weights: Path, path: Path) -> Path:
    """Write the network in `weights` as an ONNX file of dynamic length (a multiple of the hop)."""
    import onnx

    net, checkpoint = load_checkpoint(weights)
    module = _Exported(EndToEnd(net, checkpoint.onset_shift, checkpoint.frame_shift)).eval()
    hop = checkpoint.front_end.hop_length
    outputs = ["onset", "frame", "level"] + (["embedding"] if net.timbre is not None else [])
    axes: dict[str, dict[int, str]] = {"audio": {1: "samples"}}
    axes |= {name: {2: "frames"} for name in outputs}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.randn(1, 200 * hop),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["audio"],
            output_names=outputs,
            dynamic_axes=axes,
            do_constant_folding=True,
        )
    model = onnx.load(str(path))
    metadata: dict[str, Any] = {
        "amtsep": {
            "name": checkpoint.network.name,
            "halo": module.inner.halo,
            "front_end": asdict(checkpoint.front_end),
        }
    }
    onnx.helper.set_model_props(model, {k: json.dumps(v) for k, v in metadata.items()})
    onnx.save(model, str(path))
    return path
