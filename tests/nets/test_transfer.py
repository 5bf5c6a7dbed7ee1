"""Weights of one network as the beginning of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from amtsep.config import NETWORKS, Network  # noqa: E402
from amtsep.nets.checkpoint import Checkpoint, save_checkpoint  # noqa: E402
from amtsep.nets.harmonic import HarmonicBlock, harmonic_shifts  # noqa: E402
from amtsep.nets.model import build_network  # noqa: E402
from amtsep.nets.transfer import matched_blocks, transfer  # noqa: E402


def test_blocks_are_matched_in_order() -> None:
    assert matched_blocks([(1, 1), (12, 2), (1, 1)], ["harmonic", (1, 1), (12, 2), "harmonic", (1, 1)]) == {
        1: 0, 2: 1, 4: 2,
    }  # fmt: skip
    assert matched_blocks([(1, 8)], [(1, 1)]) == {}


def test_a_network_that_grew_says_at_first_what_the_smaller_one_said(tmp_path: Path) -> None:
    torch.manual_seed(4)
    large = NETWORKS["base"]
    small = replace(large, blocks=tuple(b for b in large.blocks if b != "harmonic"), offset_head=False)
    one = build_network(small).eval()
    save_checkpoint(tmp_path / "small.safetensors", one, Checkpoint(small))
    other = build_network(large)
    told = transfer(other, tmp_path / "small.safetensors")
    power = torch.rand(1, 306, 12)
    with torch.no_grad():
        was, now = one(power), other.eval()(power)
    torch.testing.assert_close(was.onset, now.onset)
    torch.testing.assert_close(was.embedding, now.embedding)
    assert not told.unused and "blocks.0" in str(told) and "offset_hidden" in str(told)


def settled(network: Network) -> torch.nn.Module:
    """A network whose normalisations have seen something, so that they do something."""
    torch.manual_seed(7)
    net = build_network(network).train()
    with torch.no_grad():
        for _ in range(3):
            net(10.0 * torch.rand(2, 306, 40))
        for block in net.modules():
            if isinstance(block, torch.nn.BatchNorm2d):
                block.weight.uniform_(0.5, 1.5)
                block.bias.uniform_(-0.2, 0.2)
    return net.eval()


def test_a_wider_network_says_at_first_what_the_smaller_one_said(tmp_path: Path) -> None:
    one = settled(NETWORKS["base"])
    save_checkpoint(tmp_path / "base.safetensors", one, Checkpoint(NETWORKS["base"]))
    wide = replace(
        NETWORKS["large"], name="wide", block_harmonics=NETWORKS["base"].block_harmonics,
        head_channels=2 * NETWORKS["base"].head_channels,
    )  # fmt: skip
    other = build_network(wide)
    told = transfer(other, tmp_path / "base.safetensors")
    power = torch.rand(1, 306, 24)
    with torch.no_grad():
        was, now = one(power), other.eval()(power)
    for name in ("onset", "frame", "offset", "embedding"):
        torch.testing.assert_close(getattr(was, name), getattr(now, name), rtol=1e-4, atol=1e-4)
    assert "into other shapes" in str(told) and not told.unused
    # What is new is no zero that no gradient could leave.
    assert bool(other.stem[0].weight[len(one.stem[0].weight) :].ne(0.0).all())


def test_harmonics_that_are_left_out_leave_the_others_in_their_places(tmp_path: Path) -> None:
    whole = replace(NETWORKS["base"], block_harmonics=(1, 2, 3, 4, 5, 6, 7, 8))
    few = replace(whole, block_harmonics=(1, 2, 3, 5))
    one = settled(whole)
    save_checkpoint(tmp_path / "whole.safetensors", one, Checkpoint(whole))
    other = build_network(few)
    told = transfer(other, tmp_path / "whole.safetensors")
    kept = harmonic_shifts(few.block_harmonics)
    for block in one.blocks:
        if isinstance(block, HarmonicBlock):
            taps, shifts = block.conv.taps(), block.conv.shifts
            with torch.no_grad():
                taps[:, [k for k, shift in enumerate(shifts) if shift not in kept]] = 0.0
    power = torch.rand(1, 306, 24)
    with torch.no_grad():
        was, now = one(power), other.eval()(power)
    torch.testing.assert_close(was.onset, now.onset, rtol=1e-4, atol=1e-4)
    assert told.grown and all(name.endswith("conv.weight") for name in told.grown)


def test_a_narrower_network_begins_anew_where_there_is_no_room(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "large.safetensors", build_network(NETWORKS["large"]), Checkpoint(NETWORKS["large"]))
    told = transfer(build_network(NETWORKS["base"]), tmp_path / "large.safetensors")
    # A normalisation without its convolution would be of something else.
    values = [name for name in (*told.copied, *told.grown) if not name.endswith("num_batches_tracked")]
    assert not [name for name in values if name.startswith(("blocks", "stem", "neck"))]
