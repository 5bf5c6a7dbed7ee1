"""Weights of one network as the beginning of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from amtsep.config import NETWORKS  # noqa: E402
from amtsep.nets.checkpoint import Checkpoint, save_checkpoint  # noqa: E402
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
