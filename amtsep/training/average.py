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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import update_bn

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


@dataclass(frozen=True)
class Averaging:
    """Settings of a mean.

    Parameters
    ----------
    share
        Of the later weights, 0 … 1.
    clips
        How many its normalisation is measured on.
    seed
        Of their mixes.
    """

    share: float = 0.5
    clips: int = 160
    seed: int = 777


def mean_network(
    earlier: Path, later: Path, bank: Path, mixing: Mixing, averaging: Averaging
) -> tuple[AnyNet, Checkpoint]:
    """The mean of two networks in evaluation mode, uncalibrated.

    Parameters
    ----------
    earlier, later
        Weights of two networks of one shape.
    bank
        Whose mixes measure the mean and variance of every normalisation.
    mixing
        As in the training.
    averaging
        How much of each, and what is heard.

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
            name: torch.lerp(state[name], value, averaging.share) if value.dtype.is_floating_point else value
            for name, value in net.state_dict().items()
        }
    )
    features = CQT(told.front_end)
    mixer = Mixer(Bank.open(bank), replace(mixing, drumless=False), told.front_end, averaging.seed)
    audio = [mixer.clip(index).audio for index in range(averaging.clips)]
    batches = (np.stack(audio[first : first + BATCH]) for first in range(0, len(audio), BATCH))
    update_bn((features(torch.from_numpy(batch)) for batch in batches), net)
    info = {name: value for name, value in told.info.items() if name != "calibration"}
    info["mean_of"] = {sha256(earlier): round(1 - averaging.share, 6), sha256(later): round(averaging.share, 6)}
    return net, replace(told, onset_shift=0.0, frame_shift=0.0, offset_shift=0.0, info=info)


def main(arguments: Sequence[str] | None = None) -> int:
    """Average, and write the weights."""
    averaging = Averaging()
    parser = argparse.ArgumentParser(
        prog="python -m amtsep.training.average", description="The mean of two networks' weights."
    )
    parser.add_argument("earlier", type=Path, help="weights (.safetensors)")
    parser.add_argument("later", type=Path, help="weights of the same shape")
    parser.add_argument("--bank", type=Path, required=True, help="folder of a bank")
    parser.add_argument("--settings", type=Path, help="settings of the training (settings.json beside its weights)")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.safetensors)")
    parser.add_argument(
        "--share", type=float, default=averaging.share, help="of the later weights (default %(default)s)"
    )
    parser.add_argument(
        "--clips", type=int, default=averaging.clips, help="to measure normalisation on (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=averaging.seed, help="of chance (default %(default)s)")
    args = parser.parse_args(arguments)
    if not 0 <= args.share <= 1 or args.clips < 1:
        parser.error("--share must be 0 to 1, and --clips 1 or more")
    try:
        training = Training() if args.settings is None else given.from_file(args.settings, Training())
        averaging = Averaging(args.share, args.clips, args.seed)
        net, checkpoint = mean_network(args.earlier, args.later, args.bank, training.mixing, averaging)
    except AmtsepError as error:
        print(error, file=sys.stderr)
        return 1
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(args.out, net, checkpoint)
    print(args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
