"""The learned metric, and that folding it into the network gives what multiplying its output gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amtsep.clustering.points import normalize
from amtsep.notes import Notes
from amtsep.training.timbres.hearing import HeardMix
from amtsep.training.timbres.metric import learn_metric


def stretched(seed: int) -> HeardMix:
    """Two timbres that differ along one axis, and notes that differ far more along another."""
    rng = np.random.default_rng(seed)
    track = np.repeat([0, 1], 60)
    x = 0.02 * rng.normal(size=(120, 6))
    x[:, 0] += 1.0
    x[:, 1] += 0.15 * np.where(track == 0, -1.0, 1.0)
    x[:, 2] += 0.5 * rng.normal(size=120)
    onset = np.arange(120.0)
    notes = Notes.build(onset, onset + 0.5, np.full(120, 60), track=track, embedding=normalize(x))
    return HeardMix(notes, notes)


def test_the_metric_brings_out_what_tells_timbres_apart() -> None:
    matrix = learn_metric([stretched(seed) for seed in range(4)])
    unseen = stretched(9).heard

    def ratio(x: np.ndarray) -> float:
        """Distance of the two means over the spread around them."""
        means = [x[unseen.track == t].mean(axis=0) for t in (0, 1)]
        spread = np.mean([np.linalg.norm(x[unseen.track == t] - means[t], axis=1).mean() for t in (0, 1)])
        return float(np.linalg.norm(means[0] - means[1]) / spread)

    plain = unseen.embedding.astype(float)
    assert ratio(normalize(plain @ matrix)) > 2 * ratio(plain)


def test_folding_it_in_is_multiplying_and_normalising(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="networks need torch (pip install 'amtsep[train]')")
    from amtsep.config import Network
    from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from amtsep.nets.model import TranscriberNet
    from amtsep.training.timbres.metric import fold

    torch.manual_seed(0)
    network = Network(channels=4, blocks=((1, 1),), head_channels=4, embedding_channels=6, embedding_dim=6)
    net = TranscriberNet(network).eval()
    save_checkpoint(tmp_path / "plain.safetensors", net, Checkpoint(network))
    matrix = learn_metric([stretched(0)])
    fold(tmp_path / "plain.safetensors", tmp_path / "folded.safetensors", matrix, "a test")
    folded, checkpoint = load_checkpoint(tmp_path / "folded.safetensors")
    assert checkpoint.info["timbre_metric"] == "a test"
    power = torch.rand(1, net.front_end.n_bins, 12)
    with torch.no_grad():
        before, after = net(power)[2], folded(power)[2]
        expected = torch.einsum("bdft,de->beft", before, torch.from_numpy(matrix.astype(np.float32)))
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert torch.allclose(after, expected, atol=2e-3)
