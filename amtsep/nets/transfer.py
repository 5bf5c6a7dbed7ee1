"""Begin from another network's weights: what fits is copied, and blocks that are new begin by doing nothing.

A network that grew (another harmonic block, another head, more channels) so says at first what the smaller one said
(Chen, Goodfellow and Shlens 2016, *Net2Net*): a residual block whose norm starts at zero passes on what it is given,
and in a wider layer the old weights stand in a corner. What is new reads everything, at random, and is read by nothing
old, so that training finds a use for it. Harmonics that the new network does not look along are left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from amtsep.config import Network
from amtsep.errors import ModelError
from amtsep.nets.checkpoint import network_from
from amtsep.nets.harmonic import HarmonicBlock, harmonic_shifts
from amtsep.nets.layers import ResidualBlock


@dataclass(frozen=True)
class Transferred:
    """Names of tensors, as the new network calls them."""

    copied: tuple[str, ...]
    grown: tuple[str, ...]
    """Wider than in the file, or along fewer harmonics."""
    fresh: tuple[str, ...]
    """Not found in the file: they begin at random, or as blocks that do nothing."""
    unused: tuple[str, ...]
    """In the file, but with no place in the new network (their old names)."""

    def __str__(self) -> str:
        text = f"{len(self.copied)} tensors copied"
        text += f", {len(self.grown)} into other shapes" if self.grown else ""
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
    given = _network_in(metadata)
    own_network = getattr(net, "network", None)
    old: list[object] = list(given.blocks) if given is not None else []
    new = list(getattr(own_network, "blocks", ()))
    place = matched_blocks(old, new)

    def old_name(name: str) -> str | None:
        head, _, rest = name.partition(".")
        if head != "blocks" or not old:
            return name
        index, _, tail = rest.partition(".")
        return f"blocks.{place[int(index)]}.{tail}" if int(index) in place else None

    own = net.state_dict()
    names = {name: old_name(name) for name in own}
    fitting, grown = {}, {}
    for name, source in names.items():
        if source is None or source not in tensors:
            continue
        reads: tuple[Layout, Layout] = ((), ())
        if given is not None and isinstance(own_network, Network):
            reads = layout(given, source), layout(own_network, name)
        if tensors[source].shape == own[name].shape and reads[0] == reads[1]:
            fitting[name] = tensors[source]
        elif given is not None and not name.startswith("timbre.memory"):
            corner = _corner(tensors[source], own[name], *reads)
            if corner is not None:
                grown[name] = corner
    # Normalisation is of what its convolution gives: where that begins anew, so does this.
    grown = {name: tensor for name, tensor in grown.items() if _convolution_of(name) in {name, *fitting, *grown}}
    net.load_state_dict({**fitting, **grown}, strict=False)
    if old:
        blocks = getattr(net, "blocks", ())
        for index in range(len(new)):
            if index not in place:
                _begin_idle(blocks[index])
    taken = {**fitting, **grown}
    used = {names[name] for name in taken}
    return Transferred(
        tuple(sorted(fitting)),
        tuple(sorted(grown)),
        tuple(sorted(set(own) - set(taken))),
        tuple(sorted(set(tensors) - used)),
    )


Layout = tuple[tuple[object, int], ...]
"""What the inputs of a layer are, one after the other: (what, how many channels)."""


def layout(network: Network, name: str) -> Layout:
    """What the weights of this name read, where it is more than one thing; empty for all others."""
    if name in ("stem.0.weight", "timbre.spectral.0.weight"):
        return tuple((harmonic, 1) for harmonic in network.harmonics)
    if name in ("onset_hidden.0.weight", "offset_hidden.0.weight"):
        return ("neck", network.head_channels), ("frame", 1)
    if name == "timbre.merge.0.weight":
        return ("spectral", network.embedding_channels), ("trunk", network.channels)
    block, _, tail = name.removeprefix("blocks.").partition(".")
    if name.startswith("blocks.") and tail == "conv.weight" and network.blocks[int(block)] == "harmonic":
        return tuple((shift, network.channels) for shift in harmonic_shifts(network.block_harmonics))
    return ()


def _convolution_of(name: str) -> str:
    """The weights whose output a value of each channel is of; of all else its own name."""
    return re.sub(r"norm\.\w+$", "conv.weight", re.sub(r"\.1\.\w+$", ".0.weight", name))


def _corner(old: Tensor, fresh: Tensor, old_layout: Layout, new_layout: Layout) -> Tensor | None:
    """`fresh` with `old` in its corner, the first outputs by the first inputs; `None` where it has no room for it."""
    room = old.ndim == fresh.ndim and len(old) <= len(fresh) and old.shape[2:] == fresh.shape[2:]
    if not room or not old.ndim:
        return None
    made = fresh.clone()
    if old.ndim == 1:
        made[: len(old)] = old
        return made
    starts: dict[object, tuple[int, int]] = {}
    total = 0
    for what, count in new_layout or (("all", fresh.shape[1]),):
        starts[what] = total, count
        total += count
    if total != fresh.shape[1]:
        return None
    made[: len(old)] = 0.0
    at = 0
    for what, count in old_layout or (("all", old.shape[1]),):
        # What the new network does not read at all, such as a harmonic, is left out.
        if what in starts:
            start, most = starts[what]
            if count > most:
                return None
            made[: len(old), start : start + count] = old[:, at : at + count]
        at += count
    return made if at == old.shape[1] else None


def _network_in(metadata: dict[str, str]) -> Network | None:
    """The settings that a file of weights tells, those of today where it is older."""
    try:
        told = json.loads(metadata["network"])
    except (KeyError, ValueError):
        return None
    known = {field.name for field in fields(Network)}
    return network_from({"blocks": [], **{name: value for name, value in told.items() if name in known}})


def _begin_idle(block: nn.Module) -> None:
    if isinstance(block, HarmonicBlock):
        norm: nn.Module | None = block.norm
    else:
        norm = block.conv[1] if isinstance(block, ResidualBlock) else None
    if isinstance(norm, nn.BatchNorm2d):
        with torch.no_grad():
            norm.weight.zero_()
            norm.bias.zero_()
