"""Makes ``amtsep/clustering/sounds*.json``: the mean embedding of each recorded instrument as a network hears it.

    python tools/sounds.py --samples DATA/samples [--model large --out amtsep/clustering/sounds_large.json]

To be run again whenever the network's weights change: the dashboard offers no guesses with others than these.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from amtsep import Decoder, Transcriber
from amtsep.audio import from_samples, load_audio
from amtsep.clustering.sounds import SOUNDS
from amtsep.config import Decoding, FrontEnd
from amtsep.decoding import pooled_embeddings
from amtsep.inference import networks_of

NOTES, SECONDS, GAP_S = 40, 1.6, 0.25
PROGRAMS = {
    "philharmonia": {
        **{"banjo": 105, "bass-clarinet": 71, "bassoon": 70, "cello": 42, "clarinet": 71, "contrabassoon": 70},
        **{"double-bass": 43, "english-horn": 69, "flute": 73, "french-horn": 60, "guitar": 24, "mandolin": 25},
        **{"oboe": 68, "saxophone": 65, "trombone": 57, "trumpet": 56, "viola": 41, "violin": 40},
    },
    "bands": {
        **{"black-guitar": 27, "cp80-piano": 2, "ela-bandoneon": 23, "fm-piano": 5, "fsbs-guitar-clean": 27},
        **{"fsbs-guitar-dist": 30, "green-guitar": 26, "growly-bass": 33, "martin-hd28": 25, "mtg-alto-sax": 65},
        **{"mtg-baritone-sax": 67, "mtg-soprano-sax": 64, "mtg-tenor-sax": 66, "raikar-shanai": 111},
        **{"raikar-sitar": 104, "shiny-guitar-mic": 27, "shiny-guitar-pickup": 27, "swag-bass": 33, "synth-bass": 38},
        **{"vcsl-upright-piano": 0, "vs-pizzicato-strings": 45, "vs-tremolo-strings": 44, "war-tuba": 58},
        **{"were-alto-sax": 65, "were-alto-sax-driven": 65, "winer-bassoon": 70, "winer-cello": 42},
        **{"winer-glockenspiel": 9, "wurlitzer-ep200": 4, "yr-bass-finger": 33, "yr-bass-pick": 34},
        **{f"pasta-bass6-{kind}": 33 for kind in ("fetuccine", "linguine", "spaghetti", "tagliatelle")},
    },
}


def heard(transcriber: Transcriber, files: list[Path]) -> np.ndarray:
    """Mean embedding of notes laid one after the other."""
    rate = FrontEnd.sample_rate
    parts = []
    for path in files:
        sound = load_audio(path).samples[: int(SECONDS * rate)].copy()
        sound *= 0.5 / max(1e-4, float(np.abs(sound).max()))
        sound *= np.minimum(1.0, np.arange(len(sound))[::-1] / 400)
        parts += [sound.astype(np.float32), np.zeros(int(GAP_S * rate), np.float32)]
    posteriors = transcriber(from_samples(np.concatenate(parts), rate))
    notes = Decoder(posteriors)(Decoding(leftover_notes=False))
    mean = pooled_embeddings(notes, posteriors).mean(axis=0)
    return mean / np.linalg.norm(mean)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, required=True, help="folder with philharmonia/ and bands/")
    parser.add_argument("--model", default="base")
    parser.add_argument("--out", type=Path, default=SOUNDS)
    args = parser.parse_args()
    transcriber = Transcriber(args.model)
    rng = np.random.default_rng(0)
    table = []
    for library, programs in PROGRAMS.items():
        for name, program in programs.items():
            files = sorted((args.samples / library / name).glob("*.ogg"))
            if library == "philharmonia":
                files = [f for f in files if "normal" in f.name and "phrase" not in f.name] or files
            chosen = [files[i] for i in rng.choice(len(files), min(NOTES, len(files)), replace=False)]
            centroid = np.round(heard(transcriber, chosen), 4).tolist()
            table.append({"name": name, "program": program, "centroid": centroid})
            print(name, flush=True)
    args.out.write_text(
        json.dumps({"networks": networks_of(args.model), "sounds": table}) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
