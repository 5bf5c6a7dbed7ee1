"""``amtsep evaluate``: a data set or one's own recording, scored."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from amtsep.arguments import add_stereo, seconds, share
from amtsep.config import ENDS, Clustering, Decoding
from amtsep.errors import DataError, FormatError
from amtsep.evaluation.readers import DATASETS, Recording, recordings
from amtsep.notes import Notes

if TYPE_CHECKING:
    from amtsep.evaluation.report import Report

HEAT_MAP_RECORDINGS = 12
HEAT_MAP_POINTS = tuple(round(0.1 * i, 1) for i in range(1, 10))
HEAT_MAP_FRAMES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``amtsep evaluate``."""
    default = Decoding()
    parser.description = (
        "Score a model on a public data set or on a recording of your own: a table here, report.json and a "
        "self-contained report.html in the output folder."
    )
    what = parser.add_argument_group("what to evaluate on")
    what.add_argument("--dataset", choices=sorted(DATASETS), help="a data set")
    what.add_argument("--root", type=Path, help="the folder it lies in")
    what.add_argument("--mixes", type=_numbers, metavar="2,3,4", help="numbers of parts to mix (data sets with stems)")
    what.add_argument("--split", choices=("train", "dev", "test"), help="only this split")
    what.add_argument("--limit", type=int, help="only the first so many recordings")
    what.add_argument("--audio", type=Path, help="a recording of your own, with --reference")
    what.add_argument("--reference", type=Path, help="its true notes: MIDI, CSV, JSON or TSV")
    what.add_argument("--estimate", type=Path, help="score this file of notes against --reference instead of a model")
    how = parser.add_argument_group("how")
    how.add_argument("--model", default="light", help="name of a model or path of its file (default: %(default)s)")
    how.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    how.add_argument("--onset-threshold", type=share, default=default.onset_threshold, help="default: %(default)s")
    how.add_argument("--frame-threshold", type=share, default=default.frame_threshold, help="default: %(default)s")
    how.add_argument("--min-note-length", type=seconds, default=default.min_note_length, help="s; default: %(default)s")
    how.add_argument(
        "--ends", choices=ENDS, default=default.ends, help="where notes end (see transcribe); default: %(default)s"
    )
    how.add_argument(
        "--thresholds", choices=("default", "search"), default="default", help="use them as given, or search"
    )
    how.add_argument(
        "--search-dataset", choices=sorted(DATASETS), help="development set to search on (default: --dataset)"
    )
    how.add_argument("--search-root", type=Path, help="its folder; without it the figures are marked 'oracle'")
    how.add_argument("--search-mode", choices=("joint", "staged"), default="joint")
    how.add_argument(
        "--timbres",
        choices=("none", "given", "estimated", "both"),
        default="both",
        help="score tracks (default: %(default)s)",
    )
    add_stereo(how)
    how.add_argument("--keep-unisons", action="store_true", help="do not fuse two parts' notes that start together")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", type=Path, default=Path("evaluation"), help="folder (default: %(default)s)")
    out.add_argument("--compare", type=Path, metavar="REPORT.JSON", help="paired comparison with an earlier report")
    out.add_argument("--no-heat-map", action="store_true", help="skip the charts over thresholds")
    out.add_argument("--cache", type=Path, help="where posteriors are kept (default: the user's cache folder)")
    out.add_argument("--no-cache", action="store_true", help="compute everything anew")


def run(args: argparse.Namespace) -> int:
    """Do what ``amtsep evaluate`` was asked; 0, or an `AmtsepError` for the command line to print."""
    # Imported here: the command line must answer --help without them.
    from amtsep.cache import folder
    from amtsep.evaluation.report import Report
    from amtsep.evaluation.runner import HOP_S, decoders_of, evaluate_recordings, score, score_written
    from amtsep.evaluation.search import search
    from amtsep.inference import model_hash

    decoding = replace(
        Decoding(),
        onset_threshold=args.onset_threshold,
        frame_threshold=args.frame_threshold,
        min_note_length=args.min_note_length,
        ends=args.ends,
    )
    fused = not args.keep_unisons
    if args.limit is not None and args.limit < 1:
        raise DataError("--limit must be 1 or more.")
    if args.search_root is not None and args.thresholds != "search":
        raise DataError("--search-root is for --thresholds search: add that, or leave it out.")
    if args.estimate is not None:
        if args.reference is None:
            raise DataError("Give the true notes with --reference to score --estimate against.")
        reference, estimate = read_notes(args.reference), read_notes(args.estimate)
        item = Recording(args.estimate.name, "own", (), reference, args.estimate.name)
        several = len(reference.tracks) > 1 and args.timbres != "none"
        score_of = score_written if several else score
        result = score_of(item, estimate, fuse_unisons=fused)
        report = Report(args.reference.name, args.estimate.name, decoding, "none", [result], fused=fused)
        return _finish(_compared(report, args), args)
    items, title = _chosen(args)
    from amtsep.inference import Transcriber
    from amtsep.sequence.files import writes_notes

    if writes_notes(args.model):
        return _written(args, decoding, items, title)
    transcriber, key = Transcriber(args.model, args.device), model_hash(args.model)
    cache = None if args.no_cache else (args.cache or folder("posteriors"))
    label = "default" if decoding == Decoding() else "as given"
    trace: Sequence[tuple[float, float, float]] = ()
    trace_note = ""
    if args.thresholds == "search":
        if args.search_root is None:
            material, name = items, title
        else:
            dataset = args.search_dataset or args.dataset
            if dataset is None:
                raise DataError("Say with --search-dataset what lies in --search-root.")
            material = recordings(dataset, args.search_root, args.mixes if DATASETS[dataset].pieces else None)
            name = f"{dataset} in {args.search_root}"
            shared = {i.content_hash() for i in items} & {i.content_hash() for i in material}
            if shared:
                name = title  # the same sound in both: the search saw what is reported
        print(f"searching thresholds on {name} ({len(material)} recordings)", file=sys.stderr)
        found = search(
            decoders_of(material, transcriber, key, cache),
            [item.reference for item in material],
            HOP_S,
            searched_on=name,
            start=decoding,
            mode=args.search_mode,
            fuse_unisons=fused,
        )
        decoding, label, trace = found.decoding, found.label(title), found.trace
        trace_note = f"Points of the search on {name}."
    ways = {"none": (), "given": ("given",), "estimated": ("estimated",), "both": ("given", "estimated")}[args.timbres]
    results = evaluate_recordings(
        items,
        transcriber,
        decoding,
        model_hash=key,
        cache=cache,
        timbres=ways,  # type: ignore[arg-type]
        fuse_unisons=fused,
        progress=_show,
        clustering=Clustering(stereo=args.stereo),
    )
    curve: list[tuple[float, float, float]] = []
    if not args.no_heat_map:
        some = items[:: max(1, -(-len(items) // HEAT_MAP_RECORDINGS))]
        grid, curve = threshold_charts(
            decoders_of(some, transcriber, key, cache), [i.reference for i in some], decoding, fused
        )
        if not trace:
            trace = grid
            trace_note = (
                f"Mean over {len(some)} of the {len(items)} recordings reported: a look at the landscape, never the "
                "source of the thresholds in use (white cross)."
            )
    report = Report(title, f"amtsep {args.model}", decoding, label, results, trace, trace_note, curve, fused=fused)
    return _finish(_compared(report, args), args)


def _compared(report: Report, args: argparse.Namespace) -> Report:
    """The report, with the comparison that was asked for."""
    from amtsep.evaluation.report import compare_reports

    if args.compare is None:
        return report
    try:
        other = json.loads(args.compare.read_text(encoding="utf-8"))
        comparison = compare_reports(report, other)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{args.compare} is not a report.json of 'amtsep evaluate'; check its path.") from error
    return replace(report, comparison=comparison, compared_with=f"{other['system']} ({args.compare})")


def _written(args: argparse.Namespace, decoding: Decoding, items: list[Recording], title: str) -> int:
    """Evaluate a sequence network, which has no thresholds."""
    from amtsep.audio import Audio
    from amtsep.evaluation.report import NO_THRESHOLDS, Report
    from amtsep.evaluation.runner import evaluate_written
    from amtsep.sequence.writers import load_writer

    if decoding != Decoding() or args.thresholds == "search":
        raise DataError(f"{args.model} writes its notes itself and has no thresholds: leave the options for them out.")
    network, named = load_writer(args.model, args.device)

    def transcribe(audio: Audio) -> Notes:
        return network(audio)[1]

    fused = not args.keep_unisons
    results = evaluate_written(items, transcribe, named=named, fuse_unisons=fused, progress=_show)
    report = Report(title, f"amtsep {args.model}", decoding, NO_THRESHOLDS, results, fused=fused)
    return _finish(_compared(report, args), args)


def threshold_charts(
    decoders: Sequence[object], references: Sequence[Notes], decoding: Decoding, fuse_unisons: bool = True
) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
    """Onset F1 over a grid of thresholds, and (threshold, precision, recall) at the frame threshold in use."""
    from amtsep.evaluation.metrics import Score, fuse, match, mean

    truths = [fuse(reference) if fuse_unisons else reference for reference in references]

    def at(onset: float, frame: float) -> tuple[float, float, float]:
        setting = replace(decoding, onset_threshold=onset, frame_threshold=frame)
        scores = []
        for decode, truth in zip(decoders, truths, strict=True):
            notes = decode(setting)  # type: ignore[operator]
            scores.append(Score.of(len(match(truth, notes)), len(truth), len(notes)))
        return mean([s.f1 for s in scores]), mean([s.precision for s in scores]), mean([s.recall for s in scores])

    grid = [(onset, frame, at(onset, frame)[0]) for frame in HEAT_MAP_FRAMES for onset in HEAT_MAP_POINTS]
    curve = [(onset, *at(onset, decoding.frame_threshold)[1:]) for onset in (0.05, *HEAT_MAP_POINTS, 0.95)]
    return grid, curve


def read_notes(path: Path, drums: bool = False) -> Notes:
    """Notes from MIDI, CSV, JSON, or TSV (onset, offset, pitch, velocity), by the file's suffix.

    `drums` keeps the drum channel of MIDI.
    """
    from amtsep import formats
    from amtsep.evaluation.readers.whole import read_tsv

    suffix = path.suffix.lower()
    if suffix in (".mid", ".midi"):
        return formats.read_midi(path, drums=drums)
    if suffix == ".csv":
        return formats.read_csv(path)
    if suffix == ".json":
        return formats.read_json(path)
    if suffix in (".tsv", ".txt"):
        if not path.is_file():
            raise FormatError(f"{path.name} does not exist; check the path.")
        return read_tsv(path)
    raise FormatError(f"{path.name} is no file of notes; give MIDI, CSV, JSON or TSV.")


def _chosen(args: argparse.Namespace) -> tuple[list[Recording], str]:
    if args.audio is not None:
        if args.reference is None:
            raise DataError("Give the true notes of --audio with --reference.")
        from amtsep.sequence.files import writes_notes

        reference = read_notes(args.reference, drums=writes_notes(args.model))
        return [Recording(args.audio.stem, "own", (args.audio,), reference, args.audio.stem)], args.audio.name
    if args.dataset is None or args.root is None:
        raise DataError("Give --dataset and --root, or --audio and --reference; see amtsep evaluate --help.")
    items = recordings(args.dataset, args.root, args.mixes, split=args.split)
    if args.limit:
        items = items[: args.limit]
    mixes = f", mixes of {','.join(map(str, args.mixes))}" if args.mixes else ""
    return items, f"{args.dataset}{' ' + args.split if args.split else ''}{mixes}"


def _finish(report: Report, args: argparse.Namespace) -> int:
    print(report.text())
    data, page = report.write(args.output)
    print(f"written: {data}, {page}")
    return 0


def _show(done: float, total: float, what: str) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r{done:.0f}/{total:.0f} {what[:60]:60}", end=end, file=sys.stderr, flush=True)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise argparse.ArgumentTypeError("must be numbers of parts, such as 2,3,4")
    return numbers
