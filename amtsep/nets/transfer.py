"""Begin from another network's weights: what fits is copied, and blocks that are new begin by doing nothing.

A network that grew (another harmonic block, another head) so says at first what the smaller one said (Chen, Goodfellow
and Shlens 2016, *Net2Net*), since a residual block whose norm starts at zero passes on what it is given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from amtsep.errors import ModelError
from amtsep.nets.harmonic import HarmonicBlock
from amtsep.nets.layers import ResidualBlock


@dataclass(frozen=True)
class Transferred:
    """Names of tensors, as the new network calls them."""

    copied: tuple[str, ...]
    fresh: tuple[str, ...]
    """Not found in the file: they begin at random, or as blocks that do nothing."""
    unused: tuple[str, ...]
    """In the file, but with no place in the new network (their old names)."""

    def __str__(self) -> str:
        text = f"{len(self.copied)} tensors copied"
        for what, names in (("begin anew", self.fresh), ("were left aside", self.unused)):
            parts = sorted({".".join(name.split(".")[:2]) for name in names})
            text += f"; {', '.join(parts)} {what}" if parts else ""
        return text


def matched_blocks(old: list[object], new: list[object]) -> dict[int, int]:
    """Index of the old block for every new one that is alike, in order (a longest common subsequence)."""
    lengths = [[0] * (len(old) + 1) for _ in range(len(new) + 1)]
    for i in range(len(new) - 1, -1, -1):
        for j in range(len(old) - 1, -1, -1):
            same = lengths[i + 1][j + 1] + 1 if new[i] == old[j] else 0
            lengths[i][j] = max(same, lengths[i + 1][j], lengths[i][j + 1])
    found, i, j = {}, 0, 0
    while i < len(new) and j < len(old):
        if new[i] == old[j] and lengths[i][j] == lengths[i + 1][j + 1] + 1:
            found[i] = j
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def transfer(net: nn.Module, path: Path) -> Transferred:
    """Copy into `net` what fits of the weights in `path` (.safetensors), in place."""
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; check the path of the weights to begin from.") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} holds no weights (.safetensors); check the path.") from error
    old = [tuple(b) if isinstance(b, list) else b for b in json.loads(metadata.get("network", "{}")).get("blocks", [])]
    new = list(getattr(getattr(net, "network", None), "blocks", ()))
    place = matched_blocks(old, new)

    def old_name(name: str) -> str | None:
        head, _, rest = name.partition(".")
        if head != "blocks" or not old:
            return name
        index, _, tail = rest.partition(".")
        return f"blocks.{place[int(index)]}.{tail}" if int(index) in place else None

    own = net.state_dict()
    names = {name: old_name(name) for name in own}
    fitting = {
        name: tensors[source]
        for name, source in names.items()
        if source is not None and source in tensors and tensors[source].shape == own[name].shape
    }
    net.load_state_dict(fitting, strict=False)
    if old:
        blocks = getattr(net, "blocks", ())
        for index in range(len(new)):
            if index not in place:
                _begin_idle(blocks[index])
    used = {names[name] for name in fitting}
    return Transferred(
        tuple(sorted(fitting)), tuple(sorted(set(own) - set(fitting))), tuple(sorted(set(tensors) - used))
    )


def _begin_idle(block: nn.Module) -> None:
    if isinstance(block, HarmonicBlock):
        norm: nn.Module | None = block.norm
    else:
        norm = block.conv[1] if isinstance(block, ResidualBlock) else None
    if isinstance(norm, nn.BatchNorm2d):
        with torch.no_grad():
            norm.weight.zero_()
            norm.bias.zero_()
