"""The mean of two networks' weights, its batch normalisation measured anew.

python -m amtsep.training.average earlier.safetensors later.safetensors --bank bank --settings run/settings.json \
    --out mean.safetensors

Weights of one training, or of two that began at the same place, often lie in one valley, whose middle generalises
better than its rims: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018
(their section 3.2 has the normalisation); Wortsman et al., "Model soups", ICML 2022.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from amtsep.config import Mixing, Training
from amtsep.errors import AmtsepError, DataError
from amtsep.nets.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, sha256
from amtsep.nets.cqt import CQT
from amtsep.nets.model import AnyNet
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.mixing import Mixer
from amtsep.training import settings as given

BATCH = 4
"""Clips that are normalised together."""


def averaged(
    earlier: Path, later: Path, bank: Path, mixing: Mixing, share: float = 0.5, clips: int = 160, seed: int = 777
) -> tuple[AnyNet, Checkpoint]:
    """The mean network in evaluation mode, uncalibrated.

    Parameters
    ----------
    earlier, later
        Weights of two networks of one shape.
    bank
        Whose mixes measure the mean and variance of every normalisation.
    mixing
        As in the training.
    share
        Of the later one, 0 … 1.
    clips
        How many are heard.
    seed
        Of the mixes.

    Raises
    ------
    ModelError
        If weights cannot be read.
    DataError
        If the two are not of one shape, or there is no such bank.
    """
    first, known = load_checkpoint(earlier)
    net, told = load_checkpoint(later)
    if (known.network, known.front_end) != (told.network, told.front_end):
        raise DataError(f"{earlier.name} and {later.name} are networks of two shapes: average two of one shape.")
    state = first.state_dict()
    net.load_state_dict(
        {
            name: torch.lerp(state[name], value, share) if value.dtype.is_floating_point else value
            for name, value in net.state_dict().items()
        }
    )
    measure_normalisation(net, Mixer(Bank.open(bank), replace(mixing, drumless=False), told.front_end, seed), clips)
    info = {name: value for name, value in told.info.items() if name != "calibration"}
    info["mean_of"] = {sha256(earlier): round(1 - share, 6), sha256(later): round(share, 6)}
    return net, replace(told, onset_shift=0.0, frame_shift=0.0, offset_shift=0.0, info=info)


@torch.no_grad()
def measure_normalisation(net: AnyNet, mixer: Mixer, clips: int) -> None:
    """Set every batch normalisation to mean and variance of what `net` makes of the first `clips` mixes, in place."""
    features = CQT(mixer.front_end)
    layers = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    kept = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # every batch counts the same
        layer.train()
    for first in range(0, clips, BATCH):
        audio = np.stack([mixer.clip(index).audio for index in range(first, min(first + BATCH, clips))])
        net(features(torch.from_numpy(audio)))
    for layer, momentum in zip(layers, kept, strict=True):
        layer.momentum = momentum
    net.eval()


def main(arguments: Sequence[str] | None = None) -> int:
    """Average, and write the weights."""
    parser = argparse.ArgumentParser(
        prog="python -m amtsep.training.average", description="The mean of two networks' weights."
    )
    parser.add_argument("earlier", type=Path, help="weights (.safetensors)")
    parser.add_argument("later", type=Path, help="weights of the same shape")
    parser.add_argument("--bank", type=Path, required=True, help="folder of a bank")
    parser.add_argument("--settings", type=Path, help="settings of the training (settings.json beside its weights)")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.safetensors)")
    parser.add_argument("--share", type=float, default=0.5, help="of the later weights (default %(default)s)")
    parser.add_argument("--clips", type=int, default=160, help="to measure normalisation on (default %(default)s)")
    parser.add_argument("--seed", type=int, default=777, help="of chance (default %(default)s)")
    args = parser.parse_args(arguments)
    if not 0 <= args.share <= 1 or args.clips < 1:
        parser.error("--share must be 0 to 1, and --clips 1 or more")
    try:
        training = Training() if args.settings is None else given.from_file(args.settings, Training())
        net, checkpoint = averaged(
            args.earlier, args.later, args.bank, training.mixing, args.share, args.clips, args.seed
        )
    except AmtsepError as error:
        print(error, file=sys.stderr)
        return 1
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(args.out, net, checkpoint)
    print(args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
