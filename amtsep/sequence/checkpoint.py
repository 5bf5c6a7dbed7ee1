"""Weights of sequence networks in and out: one safetensors file with all that is needed, the frozen trunk included."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from amtsep.config import SequenceNetwork
from amtsep.errors import ModelError
from amtsep.files import replacing
from amtsep.nets.checkpoint import Checkpoint
from amtsep.nets.model import EndToEnd, build_network
from amtsep.sequence.files import FORMAT
from amtsep.sequence.network import SequenceNet, Trunk


def save_sequence(path: Path, net: SequenceNet, info: dict[str, Any] | None = None) -> None:
    """Write weights and metadata, in one step."""
    ears = net.trunk.ears
    shifts = [round(float(shift), 6) for shift in ears.shifts.tolist()]  # type: ignore[operator, union-attr]
    about = {
        "sequence": asdict(net.network),
        "network": asdict(ears.net.network),
        "front_end": asdict(ears.net.front_end),
        "shifts": shifts,
        "info": info or {},
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    # The front end is made from its settings.
    kept = {name: value for name, value in tensors.items() if not name.startswith("trunk.ears.cqt.")}
    with replacing(path) as temporary:
        save_file(kept, str(temporary), metadata={"format": FORMAT} | {k: json.dumps(v) for k, v in about.items()})


def load_sequence(path: Path) -> tuple[SequenceNet, dict[str, Any]]:
    """Read weights into a network in evaluation mode, and what the file tells of their making.

    Raises
    ------
    ModelError
        If the file is absent, damaged or made by another version.
    """
    if not path.is_file():
        raise ModelError(f"{path.name} does not exist; name a weights file (.safetensors) of a sequence network.")
    try:
        with safe_open(str(path), framework="pt") as file:
            known = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if known.get("format") != FORMAT:
            raise ValueError("another format")
        about = Checkpoint.from_metadata(
            {
                "format": "amtsep-1",
                "network": known["network"],
                "front_end": known["front_end"],
                "info": known["info"],
                **dict(zip(("onset_shift", "frame_shift", "offset_shift"), map(str, json.loads(known["shifts"])))),
            }
        )
        ears = EndToEnd(
            build_network(about.network, about.front_end), about.onset_shift, about.frame_shift, about.offset_shift
        )
        net = SequenceNet(SequenceNetwork(**json.loads(known["sequence"])), Trunk(ears))
        missing, extra = net.load_state_dict(tensors, strict=False)
        if extra or any(not name.startswith("trunk.ears.cqt.") for name in missing):
            raise ValueError("other tensors")
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path.name} is no sequence network of this version of amtsep; train it again.") from error
    return net.eval(), about.info
