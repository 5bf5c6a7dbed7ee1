"""``amtsep generate``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

from amtsep.studio.config import SampleSettings, TuneSettings

TUNE, SAMPLE = TuneSettings(), SampleSettings()
BAR = "{l_bar}{bar}| {n:.1f} of {total:.1f} s [{elapsed}<{remaining}]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``amtsep generate``."""
    parser.description = (
        "Fine-tune MusicGen on a corpus made by 'amtsep corpus', and generate with it. Weights are named (fetched\n"
        "once, from the network) or lie in a folder; 'amtsep generate tiny DIR' writes a random one, to try."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="train|sample|tiny", required=True)
    train = verbs.add_parser("train", help="fine-tune on a corpus")
    train.add_argument("corpus", type=Path, metavar="CORPUS")
    train.add_argument("--model", required=True, help="facebook/musicgen-small, or a folder")
    train.add_argument("-o", "--output", type=Path, default=Path("tuned"), help="folder to make (%(default)s)")
    train.add_argument("--resume", action="store_true", help="go on from the state in --output")
    train.add_argument("--full", action="store_true", help="train the whole decoder, not low-rank additions to it")
    train.add_argument("--no-amp", dest="amp", action="store_false", help="32 bits on a GPU, too")
    for name in ("steps", "batch_size", "accumulate", "learning_rate", "warm_up", "rank", "seed"):
        default = getattr(TUNE, name)
        train.add_argument("--" + name.replace("_", "-"), type=type(default), default=default, help="(%(default)s)")
    sample = verbs.add_parser("sample", help="text to music")
    sample.add_argument("prompt", metavar="TEXT")
    sample.add_argument("--model", required=True, help="a name, a folder, or the adapter that training wrote")
    sample.add_argument("-o", "--output", type=Path, default=Path("generated.wav"), help="(%(default)s)")
    sample.add_argument("--melody", type=Path, metavar="FILE", help="a recording or MIDI whose melody is followed")
    sample.add_argument("--notes", action="store_true", help="transcribe and separate it, too: MIDI beside the sound")
    for item in fields(SampleSettings):
        default = getattr(SAMPLE, item.name)
        flag = "--" + item.name.removesuffix("_s").replace("_", "-")
        sample.add_argument(flag, dest=item.name, type=type(default), default=default, help="(%(default)s)")
    tiny = verbs.add_parser("tiny", help="write a random network of the real kind")
    tiny.add_argument("folder", type=Path)
    tiny.add_argument("--melody", action="store_true", help="one that takes a melody")
    for verb in (train, sample, tiny):
        verb.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Train, sample, or write a tiny network."""
    if args.verb == "tiny":
        from amtsep.studio.musicgen import write_tiny

        print(f"{write_tiny(args.folder, args.melody)}: random weights; what it makes is noise")
        return 0
    from amtsep.studio.musicgen import terms

    print(f"{args.model}: terms of the weights: {terms(args.model)}")
    return _train(args) if args.verb == "train" else _sample(args)


def _train(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from amtsep.studio.tuning import tune

    names = ("steps", "batch_size", "accumulate", "learning_rate", "warm_up", "rank", "seed", "full", "amp")
    settings = replace(TUNE, **{name: getattr(args, name) for name in names})
    if min(settings.steps, settings.batch_size, settings.accumulate, settings.rank) < 1:
        print("amtsep generate: --steps, --batch-size, --accumulate and --rank are at least 1.", file=sys.stderr)
        return 2
    with tqdm(disable=None, leave=False, total=settings.steps) as bar:

        def watch(step: int, figures: dict[str, float]) -> None:
            bar.n = step
            bar.set_postfix(loss=f"{figures['loss']:.3f}")

        where = tune(args.model, args.corpus, args.output, settings, args.resume, watch)
    print(f"{where}; curves in {args.output / 'log.csv'} and {args.output / 'events'} (TensorBoard)")
    return 0


def _sample(args: argparse.Namespace) -> int:
    import soundfile
    from tqdm import tqdm

    from amtsep.errors import FormatError
    from amtsep.files import reason, replacing
    from amtsep.studio.musicgen import load
    from amtsep.studio.sampling import generate, read_melody

    settings = SampleSettings(**{item.name: getattr(args, item.name) for item in fields(SampleSettings)})
    if not (0 < settings.seconds <= 3600 and settings.temperature > 0 and settings.guidance >= 1):
        print("amtsep generate: --seconds is over 0, --temperature too, --guidance at least 1.", file=sys.stderr)
        return 2
    try:
        args.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(f"{args.output.parent} cannot be made ({reason(error)}); name another with -o.") from error
    network = load(args.model)
    melody = read_melody(args.melody) if args.melody is not None else None
    with tqdm(disable=None, leave=False, total=settings.seconds, unit="s", bar_format=BAR) as bar:

        def progress(done: float, total: float) -> None:
            bar.update(done - bar.n)

        audio = generate(network, args.prompt, settings, melody, progress)
    with replacing(args.output) as temporary:
        kind = "FLAC" if args.output.suffix.lower() == ".flac" else "WAV"
        soundfile.write(temporary, audio.samples, audio.sample_rate, "PCM_16", format=kind)
    print(f"{args.output}: {audio.duration_s:.1f} s")
    if args.notes:
        from amtsep.pipeline import separate

        notes = separate(args.output)
        where = notes.to_midi(args.output.with_suffix(".mid"))
        print(f"{where}: {len(notes)} notes in {len(notes.tracks)} tracks")
    else:
        print(f"edit it: amtsep dashboard {args.output}")
    return 0
