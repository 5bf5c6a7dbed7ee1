"""A sequence network that has learned nothing, made in a second: what tests choose, load and ship about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from amtsep.config import SEQUENCES
from amtsep.inference import find_model
from amtsep.nets.checkpoint import load_end_to_end
from amtsep.sequence.checkpoint import save_sequence
from amtsep.sequence.network import SequenceNet, Trunk


def write_tiny(path: Path, trunk: str = "light", vocabulary: str = "programs") -> Path:
    """Weights of a few thousand numbers beside a shipped trunk; returns `path`."""
    network = replace(
        SEQUENCES["sequence-tiny"], trunk=trunk, vocabulary=vocabulary, channels=2, width=16, heads=2,
        feed_forward=16, encoder_layers=1, decoder_layers=1, max_tokens=12,
    )  # fmt: skip
    torch.manual_seed(3)  # as it happens, it writes some notes
    net = SequenceNet(network, Trunk(load_end_to_end(find_model(trunk, ".safetensors"))))
    save_sequence(path, net.eval(), {"step": 7})
    return path
