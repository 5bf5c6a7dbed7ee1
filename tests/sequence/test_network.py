"""The encoder-decoder: it learns a clip by heart, and says it again with and without the cache."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="a sequence network needs torch (pip install 'amtsep[train]')")

from amtsep.config import NETWORKS, SEQUENCES, SequenceNetwork  # noqa: E402
from amtsep.nets.model import EndToEnd, build_network, count_parameters  # noqa: E402
from amtsep.notes import Notes, Track  # noqa: E402
from amtsep.sequence import decode, on_grid  # noqa: E402
from amtsep.sequence.network import SequenceNet, Trunk, greedy, on_steps, sequence_loss  # noqa: E402
from amtsep.sequence.segments import cut  # noqa: E402

SMALL = replace(SEQUENCES["sequence-tiny"], channels=4, width=64, feed_forward=64, dropout=0.0, max_tokens=120)


def build(network: SequenceNetwork) -> SequenceNet:
    torch.manual_seed(0)
    return SequenceNet(network, Trunk(EndToEnd(build_network(NETWORKS[network.trunk]))))


def features_of(notes: Notes, channels: int, n_frames: int, hop_s: float) -> torch.Tensor:
    """What a perfect trunk would hear: a channel that is 1 where a note begins, and one while it sounds."""
    found = torch.zeros(1, channels, 88, n_frames)
    for onset, offset, pitch, track in zip(notes.onset, notes.offset, notes.pitch, notes.track):
        first, last = round(onset / hop_s), round(offset / hop_s)
        found[0, 0, pitch - 21, first : first + 2] = 3.0
        found[0, 1 + track, pitch - 21, first:last] = 1.0
    return found


def test_sizes_are_those_that_are_promised() -> None:
    for vocabulary in ("slots", "programs"):
        assert count_parameters(build(replace(SEQUENCES["sequence-tiny"], vocabulary=vocabulary))) <= 1_000_000
    small = SEQUENCES["sequence-small"]
    assert (small.encoder_layers, small.decoder_layers, small.width) == (8, 8, 512)


def test_features_between_two_frames_are_between_them() -> None:
    ramp = torch.arange(20.0)[None, None, None]
    found = on_steps(ramp, torch.tensor([0.03]), 0.02, 5, 0.01)
    assert found[0, 0, 0].tolist() == pytest.approx([1.5, 2.0, 2.5, 3.0, 3.5])
    late = on_steps(ramp, torch.tensor([0.36]), 0.02, 5, 0.01)
    assert late[0, 0, 0].tolist() == pytest.approx([18.0, 18.5, 19.0, 19.0, 19.0]), "after the end, the last frame"


def test_it_learns_two_segments_by_heart_and_says_them_again() -> None:
    net = build(SMALL)
    rng = np.random.default_rng(1)
    onset = np.sort(rng.uniform(0.1, 3.8, 14))
    notes = Notes.build(
        onset, onset + 0.4, rng.integers(50, 80, 14), track=rng.integers(0, 2, 14), tracks=[Track("a"), Track("b")]
    )
    features = features_of(notes, net.trunk.channels, 360, net.hop_s)
    starts = [0.0, net.vocabulary.segment_s]
    tokens = [cut(notes, start, net.vocabulary) for start in starts]
    batch = torch.zeros(2, max(map(len, tokens)), dtype=torch.long)
    for row, said in zip(batch, tokens):
        row[: len(said)] = torch.from_numpy(said)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(120):
        encoded = net.encode(features, torch.tensor([starts]))
        shifted = torch.nn.functional.pad(batch[:, :-1], (1, 0))
        loss = sequence_loss(net.decode(shifted, net.remember(encoded)), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if losses[-1] < 0.01:
            break
    assert losses[-1] < 0.05 < losses[0]
    net.eval()
    said = greedy(net, net.encode(features, torch.tensor([starts])))
    for index, start in enumerate(starts):
        assert said[index].tolist() == tokens[index].tolist(), f"from {start} s"
    first = decode([said[0]], net.vocabulary)
    assert len(first) == np.count_nonzero(on_grid(notes, net.vocabulary).onset < net.vocabulary.segment_s - 0.005)


def test_the_cache_changes_nothing_and_segments_of_a_batch_do_not_see_each_other() -> None:
    net = build(replace(SMALL, max_tokens=25)).eval()
    features = torch.randn(2, net.trunk.channels, 88, 180, generator=torch.Generator().manual_seed(0))
    encoded = net.encode(features, torch.zeros(2, 1))
    together = [said.tolist() for said in greedy(net, encoded)]
    assert together == [said.tolist() for said in greedy(net, encoded, cached=False)]
    assert together == [greedy(net, encoded.some(slice(k, k + 1)))[0].tolist() for k in range(2)]


def test_a_trunk_stays_as_it_is_while_the_network_learns() -> None:
    net = build(SMALL)
    net.train()
    assert not any(module.training for module in net.trunk.modules())
    before = {name: value.clone() for name, value in net.trunk.state_dict().items()}
    audio = torch.randn(1, 22050, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[2, 1, 0, 0]])
    sequence_loss(net(net.trunk(audio).features, torch.zeros(1, 1, dtype=torch.long), tokens), tokens).backward()
    assert all(p.grad is None for p in net.trunk.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.trunk.state_dict().items())
