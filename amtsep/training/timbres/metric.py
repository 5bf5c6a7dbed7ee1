"""Fold a learned metric into the timbre branch: shrink the directions in which notes of one timbre differ.

    python -m amtsep.training.timbres hear --bank bank --model base.safetensors --count 100 --out mixes.npz
    python -m amtsep.training.timbres.metric --examples mixes.npz --model base.safetensors --out base.safetensors

Pitch, loudness and articulation move a note's embedding along few directions, and a short training leaves them long.
The inverse root of the covariance within timbres, pooled over mixes, evens them out (within-class covariance
normalisation, Hatch, Kajarekar and Stolcke 2006). Since a unit vector times a matrix, brought back to unit length, is
what the branch would have said had its last layer been multiplied by that matrix, the map costs nothing when the
network runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amtsep.training.timbres.hearing import HeardMix, load_examples

Values = NDArray[np.float64]
RIDGE = 0.02
"""Share of the mean variance that every direction gets on top."""


def within_covariance(examples: Sequence[HeardMix]) -> Values:
    """Covariance of the embeddings of a timbre's notes around their mean, each mix weighing the same; (D, D)."""
    total: Values | None = None
    for example in examples:
        labels = example.labels()
        x = example.heard.embedding.astype(np.float64)
        scatter = np.zeros((x.shape[1], x.shape[1]))
        for label in np.unique(labels[labels >= 0]):
            own = x[labels == label]
            if len(own) > 2:
                scatter += (own - own.mean(axis=0)).T @ (own - own.mean(axis=0))
        if np.any(labels >= 0):
            scatter /= np.count_nonzero(labels >= 0)
            total = scatter if total is None else total + scatter
    if total is None:
        raise ValueError("No note of the examples has a known timbre; there is nothing to learn from.")
    return total / len(examples)


def learn_metric(examples: Sequence[HeardMix], power: float = 0.25) -> Values:
    """The matrix (D, D) to multiply embeddings with: the covariance within timbres to the power of ``-power``."""
    covariance = within_covariance(examples)
    values, axes = np.linalg.eigh(covariance)
    values = values + RIDGE * values.mean()
    matrix = axes @ np.diag(values**-power) @ axes.T
    # A typical embedding keeps its length, and with it the meaning of the floor in the network's normalisation.
    x = np.concatenate([example.heard.embedding for example in examples]).astype(np.float64)
    return np.asarray(matrix / np.linalg.norm(x @ matrix, axis=1).mean())


def fold(weights: Path, out: Path, matrix: Values, note: str) -> None:
    """Multiply the last layer of the timbre branch by `matrix` and write the weights."""
    import torch

    from amtsep.nets.checkpoint import load_checkpoint, save_checkpoint

    net, checkpoint = load_checkpoint(weights)
    if net.timbre is None or net.timbre.out.bias is None:
        raise ValueError(f"{weights.name} has no timbre branch.")
    layer, factor = net.timbre.out, torch.from_numpy(matrix.astype(np.float32))
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("de,ecij->dcij", factor, layer.weight))
        net.timbre.out.bias.copy_(factor @ net.timbre.out.bias)
    save_checkpoint(out, net, replace(checkpoint, info={**checkpoint.info, "timbre_metric": note}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn a metric and fold it in."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--examples", nargs="+", required=True, help=".npz files of 'timbres hear'")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--power", type=float, default=0.25)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    examples = [example for path in args.examples for example in load_examples(path)]
    fold(args.model, args.out, learn_metric(examples, args.power), f"{len(examples)} mixes, power {args.power}")


if __name__ == "__main__":
    main()
