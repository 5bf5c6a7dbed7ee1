"""The drum network: log constant-Q power in, a posterior for every class of strokes and frame out.

A stroke is broad in frequency and short, so the network looks over all 306 bins at once: three convolutions with
strides over pitch bring them to 17 rows, which become channels of a small temporal network. It shares the front end
with the note networks and nothing else; it is trained on its own and lies in a file of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from amtsep.config import DrumNetwork, FrontEnd
from amtsep.drums import CLASSES
from amtsep.errors import ModelError
from amtsep.nets.cqt import CQT, LogPower
from amtsep.nets.export import describe, trace
from amtsep.nets.layers import ConvNorm


class TemporalBlock(nn.Module):
    """relu(x + norm(conv(x))) over time."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(channels, momentum=0.03)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to the same."""
        return functional.relu(x + self.norm(self.conv(x)))


class DrumNet(nn.Module):
    """Logits of strokes; see the module's docstring.

    Parameters
    ----------
    network
        Channel counts and dilations.
    front_end
        The constant-Q settings the features come from.
    """

    def __init__(self, network: DrumNetwork = DrumNetwork(), front_end: FrontEnd = FrontEnd()) -> None:  # noqa: B008
        super().__init__()
        self.network, self.front_end = network, front_end
        self.log_power = LogPower(front_end.log_floor)
        first, second, third = network.channels
        # Level and its rise: a stroke is a rise at once in many bins.
        self.rows = nn.Sequential(
            ConvNorm(2, first, (9, 3), stride=3),
            ConvNorm(first, second, (5, 3), stride=3),
            ConvNorm(second, third, (5, 3), stride=2),
        )
        with torch.no_grad():
            height = self.rows(torch.zeros(1, 2, front_end.n_bins, 2)).shape[2]
        self.flat = nn.Conv1d(third * height, network.hidden, 1, bias=False)
        self.norm = nn.BatchNorm1d(network.hidden, momentum=0.03)
        self.blocks = nn.Sequential(*(TemporalBlock(network.hidden, d) for d in network.dilations))
        self.out = nn.Conv1d(network.hidden, len(CLASSES), 3, padding=1)
        nn.init.constant_(self.out.bias, -4.0)  # type: ignore[arg-type]

    def forward(self, power: Tensor) -> Tensor:
        """(B, n_bins, T) power to (B, 5, T) logits."""
        level = self.log_power(power)
        rise = functional.pad(level[..., 1:] - level[..., :-1], (1, 0))
        x = self.rows(torch.stack([level, rise], dim=1))
        x = functional.relu(self.norm(self.flat(x.flatten(1, 2))))
        logits: Tensor = self.out(self.blocks(x))
        return logits

    @property
    def halo(self) -> int:
        """Frames of context that the convolutions need at either end of a chunk."""
        return 1 + 3 + sum(self.network.dilations) + 1


class DrumsEndToEnd(nn.Module):
    """Waveform to posteriors: front end, network and calibration in one module, the one that is exported.

    Parameters
    ----------
    net
        The trained network.
    shifts
        A value a class, added to the logits, so that one threshold fits all.
    """

    def __init__(self, net: DrumNet, shifts: tuple[float, ...] = (0.0,) * len(CLASSES)) -> None:
        super().__init__()
        self.cqt, self.net = CQT(net.front_end), net
        self.register_buffer("shifts", torch.tensor(shifts)[:, None], persistent=False)

    @property
    def halo(self) -> int:
        """Frames at either end of a chunk that are not valid."""
        return self.cqt.halo + self.net.halo

    def forward(self, audio: Tensor) -> Tensor:
        """(B, N) at the level that the front end asks for to (B, 5, T) in [0, 1]."""
        shifts: Tensor = self.shifts  # type: ignore[assignment]
        return torch.sigmoid(self.net(self.cqt(audio)) + shifts)


FORMAT = "amtsep-drums-1"


def save_drums(path: Path, net: DrumNet, shifts: tuple[float, ...], info: dict[str, Any]) -> None:
    """Write weights (.safetensors) with their settings, calibration and what is known of them."""
    about = {"network": asdict(net.network), "front_end": asdict(net.front_end), "shifts": shifts, "info": info}
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    save_file(tensors, str(path), metadata={"format": FORMAT, **{k: json.dumps(v) for k, v in about.items()}})


def load_drums(path: Path) -> DrumsEndToEnd:
    """The calibrated module in evaluation mode.

    Raises
    ------
    ModelError
        If the file is none that `save_drums` wrote.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            about = {k: json.loads(v) for k, v in (file.metadata() or {}).items() if k != "format"}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in about["network"].items()}
        net = DrumNet(DrumNetwork(**settings), FrontEnd(**about["front_end"]))
        net.load_state_dict(tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path.name} holds no weights of the drum network; fetch it again.") from error
    return DrumsEndToEnd(net, tuple(about["shifts"])).eval()


def export_drums(weights: Path, path: Path) -> Path:
    """Write the drum network as an ONNX file that `amtsep.inference` runs as it runs the others; output ``drums``."""
    module = load_drums(weights)
    front_end = module.net.front_end
    model = trace(module, path, 200 * front_end.hop_length, ["drums"])
    about = {"name": module.net.network.name, "halo": module.halo}
    describe(model, path, about, front_end.sample_rate, "float32", front_end)
    return path
