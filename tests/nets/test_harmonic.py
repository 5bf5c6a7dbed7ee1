"""The harmonic convolution: its taps, its two forms, its gradients."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from amtsep.nets.harmonic import HarmonicBlock, HarmonicConv, harmonic_shifts  # noqa: E402


def test_taps_lie_where_harmonics_of_a_semitone_grid_are() -> None:
    assert harmonic_shifts() == (0, 12, -12, 19, -19, 24, -24, 28, -28, 31, -31, 34, -34, 36, -36)


def test_a_tone_is_seen_from_its_fundamental_and_from_its_harmonics() -> None:
    conv = HarmonicConv(1, 1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        x = torch.zeros(1, 1, 88, 2)
        x[0, 0, 40] = 1.0
        seen = conv(x)[0, 0, :, 0].numpy()
    assert set(np.flatnonzero(seen)) == {40 + s for s in harmonic_shifts()}


def concatenated(conv: HarmonicConv, x: torch.Tensor) -> torch.Tensor:
    """The definition: a 1 x 1 convolution over shifted copies side by side."""
    height, pad = x.shape[2], torch.nn.functional.pad
    copies = [pad(x, (0, 0, max(-s, 0), max(s, 0))).narrow(2, max(s, 0), height) for s in conv.shifts]
    return torch.nn.functional.conv2d(torch.cat(copies, dim=1), conv.weight)


@pytest.mark.parametrize("frames", [1, 7])
def test_both_forms_and_their_gradients_are_the_same(frames: int) -> None:
    torch.manual_seed(1)
    conv = HarmonicConv(3, 5)
    weights = torch.randn(2, 5, 88, frames)
    found = []
    for form in (conv, partial(concatenated, conv)):
        x = torch.randn(2, 3, 88, frames, generator=torch.Generator().manual_seed(2)).requires_grad_()
        conv.weight.grad = None
        y = form(x)
        (y * weights).sum().backward()
        found.append([y.detach(), x.grad, conv.weight.grad])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_half_precision_stays_near() -> None:
    torch.manual_seed(3)
    block = HarmonicBlock(8).eval()
    x = torch.rand(1, 8, 88, 20)
    with torch.no_grad():
        exact = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            near = block(x)
    assert (near.float() - exact).abs().max() < 0.05


@pytest.mark.parametrize("squeezed", [None, 4])
def test_the_dilated_convolutions_of_an_exported_file_say_what_the_block_says(squeezed: int | None) -> None:
    torch.manual_seed(4)
    block = HarmonicBlock(8, squeezed)
    x = torch.rand(2, 8, 88, 20)
    with torch.no_grad():
        for _ in range(3):
            block(x)  # statistics that are not those of the beginning
        block.norm.weight.uniform_(0.5, 1.5)
        block.norm.bias.uniform_(-1.0, 1.0)
        block.eval()
        if block.folds:
            torch.testing.assert_close(block.as_convolution()(x), block(x), atol=1e-5, rtol=1e-4)
        few = block.squeeze(x)
        torch.testing.assert_close(block.conv.as_combs()(few), block.conv(few), atol=1e-5, rtol=1e-4)
