"""``amtsep genre``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from amtsep.errors import AmtsepError
from amtsep.studio.config import GenreSettings

DEFAULT = GenreSettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep genre``."""
    parser.description = (
        "Train a genre classifier (a small network, and a linear baseline beside it), or use one. DATA is a corpus\n"
        "made by 'amtsep corpus', a folder with one for each genre (as GTZAN's), or an FMA set with its tracks.csv."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="train|predict", required=True)
    train = verbs.add_parser("train", help="learn from DATA; a page with confusion and calibration is written too")
    train.add_argument("data", type=Path, metavar="DATA")
    train.add_argument("-o", "--output", type=Path, default=Path("genre"), help="folder to make (%(default)s)")
    train.add_argument("--epochs", type=int, default=DEFAULT.epochs, help="at most (%(default)s)")
    train.add_argument("--seed", type=int, default=DEFAULT.seed, help="of the split and of training (%(default)s)")
    train.add_argument("--resume", action="store_true", help="go on with a training that was interrupted")
    predict = verbs.add_parser("predict", help="the genre of recordings, with its probability")
    predict.add_argument("model", type=Path, metavar="MODEL", help="genre.safetensors")
    predict.add_argument("files", nargs="+", type=Path, metavar="FILE")
    predict.add_argument("--baseline", action="store_true", help="ask the baseline instead of the network")
    predict.add_argument("--json", action="store_true", help="all probabilities, a line of JSON a file")
    for verb in (train, predict):
        verb.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Train, or predict."""
    return _train(args) if args.verb == "train" else _predict(args)


def _train(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from amtsep.studio.genre import train
    from amtsep.studio.genre_data import read_examples
    from amtsep.studio.genre_report import text, write_report

    if args.epochs < 1:
        print("amtsep genre: --epochs is at least 1.", file=sys.stderr)
        return 2
    settings = replace(DEFAULT, epochs=args.epochs, seed=args.seed)
    examples = read_examples(args.data, settings)
    args.output.mkdir(parents=True, exist_ok=True)
    with tqdm(disable=None, leave=False) as bar:

        def tell(what: str, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description(what)

        state = args.output / "training.pt"
        classifier, outcomes, curves = train(examples, settings, tell, state, args.resume)
    model = classifier.save(args.output / "genre.safetensors")
    page = write_report(args.output / "genre.html", classifier, outcomes, curves)
    print(text(classifier, outcomes))
    print(f"\n{model} and {page}")
    return 0


def _predict(args: argparse.Namespace) -> int:
    from amtsep.studio.genre import Classifier
    from amtsep.studio.genre_data import features

    classifier = Classifier.load(args.model)
    kind = "baseline" if args.baseline else "cnn"
    failed = 0
    for path in args.files:
        try:
            found = classifier.probabilities([features(path, classifier.settings)], kind)
        except AmtsepError as error:
            failed += 1
            print(f"amtsep: {error}", file=sys.stderr)
            continue
        answer = classifier.answer(found, kind)[0]
        if args.json:
            every = {genre: round(float(p), 4) for genre, p in zip(classifier.genres, found[0])}
            print(json.dumps({"file": str(path), "genre": answer, "probabilities": every}, ensure_ascii=False))
        else:
            best = int(found[0].argmax())
            most = f"most likely {classifier.genres[best]}, " if answer != classifier.genres[best] else ""
            print(f"{path}: {answer} ({most}{found[0, best]:.0%})")
    return 1 if failed else 0
