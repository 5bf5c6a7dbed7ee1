"""The mean of two networks' weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from amtsep.config import NETWORKS, FrontEnd, Mixing
from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from amtsep.nets.cqt import CQT
from amtsep.nets.model import build_network
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.mixing import Mixer
from amtsep.training.average import main

CLIP = {"clip_s": 1.0}


def weights(path: Path, seed: int, channels: int | None = None) -> Path:
    network = NETWORKS["light"] if channels is None else replace(NETWORKS["light"], channels=channels)
    torch.manual_seed(seed)
    net = build_network(network, FrontEnd())
    save_checkpoint(path, net, Checkpoint(network, onset_shift=0.5, info={"step": seed, "calibration": {"clips": 1}}))
    return path


def test_the_mean_lies_between_and_is_normalised_for_what_it_hears(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, out = (tmp_path / f"{name}.safetensors" for name in ("one", "two", "out"))
    weights(one, 1)
    weights(two, 2)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"mixing": CLIP}))
    command = [str(one), str(two), "--bank", str(bank), "--settings", str(settings), "--clips", "4", "--out", str(out)]
    assert main([*command, "--share", "0.25"]) == 0
    net, checkpoint = load_checkpoint(out)
    told = [load_checkpoint(path)[0].state_dict() for path in (one, two)]
    for name, value in net.named_parameters():
        assert torch.allclose(value, 0.75 * told[0][name] + 0.25 * told[1][name], atol=1e-6)
    # Thresholds of neither fit it.
    assert not checkpoint.calibrated and checkpoint.info["step"] == 2
    assert sorted(checkpoint.info["mean_of"].values()) == [0.25, 0.75]
    # What the first normalisation takes off is the mean of what comes to it.
    mixer = Mixer(Bank.open(bank), Mixing(**CLIP), FrontEnd(), 777)
    came: list[torch.Tensor] = []
    norm = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    norm.register_forward_hook(lambda module, inputs, output: came.append(inputs[0]))
    with torch.no_grad():
        net(CQT(FrontEnd())(torch.from_numpy(np.stack([mixer.clip(index).audio for index in range(4)]))))
    assert norm.running_mean is not None
    assert torch.allclose(came[0].mean(dim=(0, 2, 3)), norm.running_mean, atol=1e-4)

    weights(two, 2, channels=8)
    assert main(command) == 1 and "two shapes" in capsys.readouterr().err
    assert main([str(tmp_path / "none.safetensors"), *command[1:]]) == 1 and "does not exist" in capsys.readouterr().err
