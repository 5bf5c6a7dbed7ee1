"""How fast a sequence network transcribes: real-time factor, and tokens a second with and without the decoder's cache.

    python benchmarks/sequence.py --model runs/tiny/best.safetensors --threads 2
    python benchmarks/sequence.py --config sequence-tiny --threads 2     (weights that have learned nothing)

Weights without training say as many tokens as there is room for, so for these the figures are the worst that can be.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from amtsep.audio import Audio, load_audio
from amtsep.config import N_PITCHES, SEQUENCES
from amtsep.inference import find_model
from amtsep.nets.checkpoint import load_end_to_end
from amtsep.nets.model import count_parameters
from amtsep.sequence.checkpoint import save_sequence
from amtsep.sequence.network import SequenceNet, Trunk, greedy
from amtsep.sequence.transcriber import SEGMENTS, SequenceTranscriber


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="weights of a sequence network")
    parser.add_argument("--config", choices=sorted(SEQUENCES), default="sequence-tiny", help="without --model")
    parser.add_argument("--audio", type=Path, help="a recording (default: a minute of noise)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=128, help="of a segment, for the comparison of the cache")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = args.model
    if model is None:
        torch.manual_seed(0)
        network = SEQUENCES[args.config]
        net = SequenceNet(network, Trunk(load_end_to_end(find_model(network.trunk, ".safetensors"))))
        model = Path(tempfile.mkdtemp()) / "untrained.safetensors"
        save_sequence(model, net)
    if args.audio is not None:
        audio = load_audio(args.audio)
    else:
        noise = 0.1 * np.random.default_rng(0).standard_normal(60 * 22050)
        audio = Audio(noise.astype(np.float32), 22050, "noise")
    transcriber = SequenceTranscriber(model, "cpu", args.threads)
    began, processor = time.perf_counter(), time.process_time()
    _, notes = transcriber(audio)
    wall, busy = time.perf_counter() - began, time.process_time() - processor
    print(f"{transcriber.net.network.name}: {count_parameters(transcriber.net):,} trained parameters")
    print(f"{audio.duration_s:.1f} s in {wall:.2f} s ({busy:.2f} s of processor): real-time factor "
          f"{wall / audio.duration_s:.3f}; {transcriber.tokens} tokens, {len(notes)} notes")  # fmt: skip

    net = transcriber.net
    net.network = replace(net.network, max_tokens=args.tokens)
    noise = torch.randn(SEGMENTS, net.trunk.channels, N_PITCHES, 180, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        encoded = net.encode(noise, torch.zeros(SEGMENTS, 1))
    for cached in (True, False):
        began = time.perf_counter()
        said = sum(map(len, greedy(net, encoded, cached)))
        seconds = time.perf_counter() - began
        print(f"{'with' if cached else 'without'} the cache: {said / seconds:.0f} tokens a second "
              f"({SEGMENTS} segments at once, up to {args.tokens} tokens each)")  # fmt: skip


if __name__ == "__main__":
    main()
