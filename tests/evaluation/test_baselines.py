"""The torch baselines: the published architecture's size, alignment of pitches, and that they learn."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the baselines are for training")

from amtsep.nets.baselines import (  # noqa: E402
    BasicPitchNet,
    stack_harmonics,
)


def test_basic_pitch_has_the_published_size_and_shapes() -> None:
    net = BasicPitchNet()
    # Bittner et al. 2022 report 16,782 parameters.
    trainable = sum(p.numel() for p in net.parameters())
    assert trainable == 16782
    frame, onset = net(torch.zeros(2, 1, 306, 50))
    assert frame.shape == onset.shape == (2, 88, 50)
    frame, onset = BasicPitchNet(channels_in=8)(torch.zeros(1, 8, 264, 20))
    assert frame.shape == onset.shape == (1, 88, 20)


def test_stacking_brings_the_overtones_down_to_the_fundamental() -> None:
    x = torch.zeros(1, 1, 306, 1)
    x[0, 0, 36] = 1.0  # the fundamental, A1
    x[0, 0, 72] = 2.0  # its second harmonic
    stacked = stack_harmonics(x, (-36, 0, 36), 264)
    assert stacked[0, :, 36, 0].tolist() == [0.0, 1.0, 2.0]
    assert stacked[0, 0, 72, 0] == 1.0  # the half-frequency channel of A2 holds A1
    assert stacked[0, 2, 263, 0] == 0.0


def test_basic_pitch_output_rows_are_centred_on_their_semitone() -> None:
    torch.manual_seed(0)
    net = BasicPitchNet().eval()
    base = torch.zeros(1, 1, 306, 21)
    reference = net.onset_in(torch.nn.functional.pad(stack_harmonics(base, net.shifts, 264), (2, 2, 2, 0)))
    for pitch in (0, 40, 87):
        x = base.clone()
        x[0, 0, 3 * pitch, 10] = 1.0
        moved = net.onset_in(torch.nn.functional.pad(stack_harmonics(x, (0,) * 8, 264), (2, 2, 2, 0)))
        rows = (moved - reference).abs().sum(dim=(0, 1, 3))
        assert rows[pitch] > 0
        assert set(torch.nonzero(rows).flatten().tolist()) == {pitch}


def test_basic_pitch_learns_a_rising_tone() -> None:
    torch.manual_seed(0)
    net = BasicPitchNet()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    x = torch.full((2, 1, 306, 24), -4.0)
    target = torch.zeros(2, 88, 24)
    for clip, pitch in enumerate((20, 45)):
        for harmonic in (0, 36, 57):
            x[clip, 0, 3 * pitch + harmonic, 6:18] = 2.0
        target[clip, pitch, 6:18] = 1.0
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x)[0], target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
