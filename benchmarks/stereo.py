"""What both channels of a stereo recording are worth to its tracks, beside the same notes by their sound alone.

    python -m amtsep.synthesis.songs --held-out --stereo ...   # songs/stereo/{studio,stage,middle}: docs/synthesis.md
    python benchmarks/stereo.py seat --dataset bach10 --root DATA/bach10 --mixes 2,3,4 --out seated/bach10
    python benchmarks/stereo.py compare songs/stereo/* seated/bach10

'seat' writes the mixes of a data set with stems as an ensemble before two microphones, every other one in a room.
'compare' transcribes each recording once, and sorts its notes with and without their places (`Clustering.stereo`):
onset F1 of the tracks (mean over parts) with the number given and estimated, and the share of right numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from amtsep.cache import folder
from amtsep.clustering import cluster
from amtsep.config import Clustering, FrontEnd
from amtsep.decoding import decode, embed_notes
from amtsep.evaluation.readers import Recording, recordings
from amtsep.evaluation.runner import HOP_S, posteriors_of
from amtsep.evaluation.separation import evaluate_separated
from amtsep.formats import write_midi
from amtsep.inference import Transcriber, model_hash
from amtsep.notes import Notes
from amtsep.synthesis.augment import impulse_response
from amtsep.synthesis.stage import draw_places, place_part


def seat(items: Sequence[Recording], out: Path, seed: int) -> None:
    """Write recordings of several stems as stereo recordings and their notes, a MIDI track a part."""
    import soundfile

    out.mkdir(parents=True, exist_ok=True)
    rate = FrontEnd().sample_rate
    for number, item in enumerate(items):
        rng = np.random.default_rng([seed, number])
        stems = [replace(item, sources=(source,)).audio() for source in item.sources]
        places = draw_places(rng, [("", 0.0)] * len(stems), "stage")
        mix = np.zeros((max(map(len, stems)), 2), np.float32)
        for stem, place in zip(stems, places):
            room = impulse_response(rng, rate) if number % 2 else None
            mix[: len(stem)] += place_part(rng, stem, np.zeros(0), place, rate, room)
        name = out / item.name.replace("/", " - ").replace(".", "")
        soundfile.write(name.with_suffix(".flac"), 0.9 * mix / np.abs(mix).max(), rate, subtype="PCM_16")
        write_midi(item.reference, name.with_suffix(".mid"))
    print(f"{len(items)} recordings in {out}")


def score(reference: Notes, tracks: Notes) -> float:
    """Mean onset F1 of the parts."""
    return evaluate_separated(reference, tracks, HOP_S).macro_onset_f1


def compare(folders: Sequence[Path], model: str, weights: Sequence[float], each: bool) -> None:
    """A row a folder and weight."""
    transcriber, key = Transcriber(model), model_hash(model)
    print(f"{'folder':24}{'recordings':>11}{'stereo':>8}{'weight':>8}{'given':>8}{'auto':>8}{'exact':>8}")
    for place in folders:
        heard = []
        for item in recordings("pairs", place):
            posteriors = posteriors_of(item, transcriber, key, folder("posteriors"))
            heard.append((item, embed_notes(decode(posteriors), posteriors)))
        stereo = sum(notes.panning is not None for _, notes in heard)
        for weight in weights:
            rows = []
            for item, notes in heard:
                given = cluster(notes, Clustering(timbres=item.n_parts, stereo=weight))
                auto = cluster(notes, Clustering(stereo=weight))
                right = len(np.unique(auto.track)) == item.n_parts
                rows.append((score(item.reference, given), score(item.reference, auto), float(right)))
                if each:
                    print(f"  {item.name:40}{item.n_parts:3}{weight:6g}" + "".join(f"{v:8.3f}" for v in rows[-1]))
            figures = "".join(f"{value:8.3f}" for value in np.mean(rows, axis=0))
            print(f"{place.name:24}{len(heard):11}{stereo:8}{weight:8g}{figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    seating = commands.add_parser("seat")
    seating.add_argument("--dataset", required=True)
    seating.add_argument("--root", type=Path, required=True)
    seating.add_argument("--mixes", default="2,3,4")
    seating.add_argument("--out", type=Path, required=True)
    seating.add_argument("--seed", type=int, default=1)
    comparing = commands.add_parser("compare")
    comparing.add_argument("folders", type=Path, nargs="+")
    comparing.add_argument("--model", default="base")
    comparing.add_argument("--weights", default="0,1", help="of Clustering.stereo (%(default)s)")
    comparing.add_argument("--each", action="store_true", help="a row a recording, too")
    args = parser.parse_args()
    if args.command == "seat":
        sizes = tuple(int(size) for size in args.mixes.split(","))
        seat(recordings(args.dataset, args.root, sizes), args.out, args.seed)
    else:
        compare(args.folders, args.model, [float(weight) for weight in args.weights.split(",")], args.each)


if __name__ == "__main__":
    main()
