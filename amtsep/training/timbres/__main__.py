"""Learn how to tell the number of timbres: the weights of `amtsep.clustering.count`.

    python -m amtsep.training.timbres hear --bank bank --model base.safetensors --count 300 --out mixes.npz
    python -m amtsep.training.timbres hear --songs songs --model base.safetensors --out songs.npz
    python -m amtsep.training.timbres fit --examples mixes.npz songs.npz --out amtsep/clustering/timbre_count.json

All at once, with the encoder of whole notes (`amtsep.clustering.encoder`), for a network that is new:

    python -m amtsep.training.timbres refit --bank bank --guitarset guitarset/train --model base --work heard

Examples are tables of notes with embeddings whose number of timbres is known: mixes of stems as the network heard
them, or, for tests and until there is a network, clusters drawn on the sphere.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from amtsep.clustering.count import features
from amtsep.clustering.encoder import WEIGHTS
from amtsep.clustering.evidence import Evidence
from amtsep.config import Decoding
from amtsep.files import replacing
from amtsep.training.timbres.drawing import HELD_OUT, LARGEST, synthetic_notes
from amtsep.training.timbres.encoder import Fitting
from amtsep.training.timbres.fitting import fit, validate
from amtsep.training.timbres.hearing import (
    HeardMix,
    hear_mixes,
    hear_recordings,
    load_examples,
    save_examples,
)
from amtsep.training.timbres.refit import Refit, refit


def main(arguments: Sequence[str] | None = None) -> None:
    """Hear mixes, or fit and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    hear = commands.add_parser("hear", help="mixes of a bank, as a network hears them, to an .npz file")
    hear.add_argument("--bank", type=Path)
    hear.add_argument("--songs", type=Path, help="instead of a bank of clips: songs of amtsep.synthesis.songs")
    hear.add_argument("--held-out", choices=HELD_OUT, default="with", help="timbres that no training hears")
    hear.add_argument("--dataset", help="instead of a bank: recordings of this data set's training half")
    hear.add_argument("--root", type=Path, help="where that lies")
    hear.add_argument("--every", type=int, default=1, help="take only each so many recordings")
    hear.add_argument("--model", type=Path, required=True)
    hear.add_argument("--split", choices=("train", "dev"), default="dev")
    hear.add_argument("--first", type=int, default=0, help="seed of the first mix")
    hear.add_argument("--count", type=int, default=100)
    hear.add_argument("--onset-threshold", type=float, default=Decoding.onset_threshold)
    hear.add_argument("--frame-threshold", type=float, default=Decoding.frame_threshold)
    hear.add_argument("--true-notes", action="store_true", help="embed the true notes, not the heard ones")
    hear.add_argument("--out", type=Path, required=True)
    anew = commands.add_parser("refit", help="hear, fit the encoder of notes and the number, and write it")
    anew.add_argument("--bank", type=Path, required=True)
    anew.add_argument("--guitarset", type=Path, help="its training half: solos, for the number")
    anew.add_argument("--model", default="base")
    anew.add_argument("--work", type=Path, required=True, help="folder for what was heard; it goes on from there")
    anew.add_argument("--mixes", type=int, default=Refit.mixes)
    anew.add_argument("--steps", type=int, default=Fitting.steps)
    anew.add_argument("--out", type=Path, default=WEIGHTS, help="file that both are written to")
    learn = commands.add_parser("fit", help="fit the weights")
    learn.add_argument("--examples", nargs="*", default=[], help=".npz files that 'hear' wrote")
    learn.add_argument("--synthetic", type=int, default=0, help="clusters drawn on the sphere, how many")
    learn.add_argument("--penalty", type=float, default=0.002)
    learn.add_argument("--made-of", default="", help="a line on where the examples come from")
    learn.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    if args.command == "refit":
        what = Refit(args.bank, args.model, args.work, args.guitarset, mixes=args.mixes)
        encoder, made = refit(replace(what, fitting=replace(what.fitting, steps=args.steps)))
        print(json.dumps(encoder.count["cross_validated"]))
        with replacing(args.out) as temporary:
            temporary.write_text(encoder.text(made_of=made), encoding="utf-8")
        return
    if args.command == "hear":
        heard = Decoding(onset_threshold=args.onset_threshold, frame_threshold=args.frame_threshold)
        if args.dataset:
            save_examples(args.out, hear_recordings(args.dataset, args.root, args.model, args.every, heard))
            return
        if not args.bank and not args.songs:
            hear.error("name a --bank, --songs, or a --dataset with its --root")
        decoding = None if args.true_notes else heard
        seeds = range(args.first, args.first + args.count)
        bank = args.songs or args.bank
        heard_mixes = hear_mixes(bank, args.model, args.split, seeds, decoding, args.held_out, bool(args.songs))
        save_examples(args.out, heard_mixes)
        return
    examples = [example for path in args.examples for example in load_examples(path)]
    examples += [HeardMix(notes, notes) for notes in map(synthetic_notes, range(args.synthetic))]
    tables = [features(Evidence(example.heard), LARGEST) for example in examples]
    timbres = [example.timbres for example in examples]
    report = validate(tables, timbres, args.penalty)
    print(json.dumps(report))
    made = f"{args.made_of or 'clusters drawn on the sphere'}; {len(tables)} examples"
    model = {"made_of": made, "cross_validated": report, **fit(tables, timbres, args.penalty)}
    args.out.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
