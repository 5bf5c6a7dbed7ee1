"""The command ``amtsep``: transcribe, dashboard, synthesize, train, evaluate, export.

Exit status: 0 when all went well, 1 when a file or the work failed, 2 for a wrong command line, 130 after Ctrl-C.
Only what the chosen command needs is imported, so that ``--help`` comes at once.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import importlib.util
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from amtsep.arguments import add_stereo, seconds, share
from amtsep.config import (
    BACKENDS,
    ENDS,
    RECOMMENDED_CLEAN_UP,
    CleanUp,
    Decoding,
    MusicReading,
    Quantisation,
)
from amtsep.errors import AmtsepError, Cancelled, FormatError
from amtsep.pitch import pitch_number

if TYPE_CHECKING:
    from amtsep.batch import Result

SHOWN = 20
"""Failures that are listed again after so many recordings that they have scrolled away."""
LOG_LINE = 1 << 20
"""Bytes that the first line of a log is sought in: a recording may be all one line."""

ROOMS = {
    "synthesize": ("amtsep.synthesis.cli", "train", "render a bank of stems with exact notes, to train on"),
    "patches": ("amtsep.synthesis.patches_cli", "synths", "render synthesizers' patches as single notes, to train on"),
    "train": ("amtsep.training.cli", "train", "train a network on a bank"),
    "calibrate": ("amtsep.training.calibrate_cli", "train", "find the shifts that make the default thresholds right"),
    "evaluate": (
        "amtsep.evaluation.cli",
        "evaluate",
        "measure accuracy on a data set or on one recording",
    ),
    "corpus": ("amtsep.studio.corpus_cli", "studio", "folders of recordings and scores to a described training set"),
    "genre": ("amtsep.studio.genre_cli", "studio", "train a genre classifier, and use it"),
    "generate": ("amtsep.studio.generate_cli", "studio", "fine-tune a text-to-music network, and generate with it"),
    "export": ("amtsep.export_cli", "train", "turn trained weights into an ONNX file"),
}
"""Commands that live beside what they run: module, the extra that brings what it imports, and one line of help."""

EPILOG = """\
examples:
  amtsep transcribe song.mp3                         song.mid beside it
  amtsep transcribe *.wav -o midi/ --csv             many files into one folder
  amtsep transcribe quartet.flac --timbres 4         one track for each of four timbres
  amtsep transcribe music/ -o midi/ --jobs 4 --resume  a library, going on where it was left
  amtsep workshop                                    ten lessons, in JupyterLab
  amtsep dashboard song.mp3                          tune it by eye and ear in the browser

'amtsep COMMAND --help' explains each command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    # When the process ends the system takes all it has: to look for circles in it first takes 40 ms.
    atexit.register(gc.freeze)
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    # A file's name may be no text in the terminal's coding, and is no reason to stop.
    with suppress(AttributeError, ValueError, OSError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        parser, room = build_parser(arguments)
        args = parser.parse_args(arguments)
        if args.command is None:
            parser.print_help()
            return 0
        runner: Callable[[argparse.Namespace], int] = room.run if room is not None else args.run
        return runner(args)
    except SystemExit as stop:  # argparse has said what is wrong, or printed its help
        return stop.code if isinstance(stop.code, int) else 1
    except (KeyboardInterrupt, Cancelled):
        if debug:
            raise
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe went away, as `head` does
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except AmtsepError as error:
        if debug:
            raise
        print(f"amtsep: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if debug:
            raise
        print(f"amtsep: {_missing(error, arguments)}", file=sys.stderr)
    except Exception as error:
        if debug:
            raise
        kind = type(error).__name__
        print(f"amtsep: this should not have happened ({kind}: {error}); add --debug to see where.", file=sys.stderr)
    return 1


def _missing(error: ModuleNotFoundError, arguments: list[str]) -> str:
    """What to install for a module that is not there."""
    command = next((a for a in arguments if a in ROOMS), None)
    name = error.name or "a module"
    if name.partition(".")[0] in ("amtsep", "widgets"):
        return f"this installation is incomplete ({name} is missing); install amtsep again."
    if command is None:
        return f"{name} is not installed; run: pip install amtsep"
    return f"'amtsep {command}' needs {name}, which is not installed; run: pip install 'amtsep[{ROOMS[command][1]}]'"


def build_parser(arguments: Sequence[str] = ()) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    """The parser, and the module of the command if it lives in another room (only that one is imported)."""
    parser = argparse.ArgumentParser(
        prog="amtsep",
        description="Turn a recording into separate, editable note tracks, one for each timbre.",
        epilog=EPILOG,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    chosen = next((a for a in arguments if not a.startswith("-")), None)

    _add_transcribe(commands.add_parser("transcribe", help="recordings to MIDI, CSV, JSON", formatter_class=_Help))
    _add_dashboard(commands.add_parser("dashboard", help="the app, in the browser", formatter_class=_Help))
    _add_workshop(commands.add_parser("workshop", help="ten lessons, in JupyterLab or as pages", formatter_class=_Help))
    _add_studio(commands.add_parser("studio", help="corpora, genres, generation: the page", formatter_class=_Help))
    room = None
    for name, (module, _, text) in ROOMS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", formatter_class=_Help)
        if name == chosen:
            importlib.import_module("amtsep.plugins").load()
            room = importlib.import_module(module)
            room.add_arguments(sub)
    for sub in commands.choices.values():
        if "--debug" not in sub._option_string_actions:
            sub.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser, room


class _Version(argparse.Action):
    """The version, which takes a while to find and is said when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from amtsep import __version__

        print(f"amtsep {__version__}")
        parser.exit()


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wider columns than argparse gives by default."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=min(110, _columns()))


def _columns() -> int:
    with suppress(OSError, ValueError):
        return max(60, os.get_terminal_size().columns - 2)
    return 100


# --- transcribe ------------------------------------------------------------------------------------------------------


def pitch(text: str) -> int:
    """A MIDI number or a note name (C4 = 60, F#3, Bb2) to a MIDI number."""
    with suppress(ValueError):
        number = int(text)
        if 0 <= number <= 127:
            return number
        raise argparse.ArgumentTypeError(f"{text} is not a MIDI number from 0 to 127")
    with suppress(ValueError):
        number = pitch_number(text)
        if 0 <= number <= 127:
            return number
    raise argparse.ArgumentTypeError(f"'{text}' is no pitch: give a MIDI number (60) or a note name (C4, F#3, Bb2)")


def metre(text: str) -> str:
    """A time signature."""
    from amtsep.rhythm.metre import Metre

    try:
        return str(Metre.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """A whole number, not negative."""
    with suppress(ValueError):
        if int(text) >= 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 0 or more")


def at_least_one(text: str) -> int:
    """A whole number of one or more."""
    with suppress(ValueError):
        if int(text) >= 1:
            return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")


def timbres(text: str) -> int | None:
    """How many timbres: ``auto`` or a number of at least one."""
    if text == "auto":
        return None
    with suppress(ValueError):
        if 1 <= int(text) <= 64:
            return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is neither 'auto' nor a number of timbres from 1 to 64")


def one_of(*words: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text in words:
            return text
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(words)}")

    return read


OPTIONS: dict[str, tuple[Callable[[str], Any] | None, str, str]] = {
    "onset_threshold": (share, "0-1", "how sure the network must be that a note starts"),
    "frame_threshold": (share, "0-1", "how sure it must be that a note goes on"),
    "min_note_length": (seconds, "S", "shortest note, in seconds"),
    "energy_tolerance": (seconds, "S", "seconds that a note may stay under the frame threshold before it ends"),
    "ends": (one_of(*ENDS), "|".join(ENDS), "where notes end: let go (as far as heard), died away, or both heeded"),
    "offset_threshold": (share, "0-1", "how sure it must be that a note is let go"),
    "inferred_onsets": (None, "", "also start notes where the frame posterior rises"),
    "leftover_notes": (None, "", "also keep sustained notes whose start was missed"),
    "min_pitch": (pitch, "PITCH", "lowest pitch, as a name (A0) or MIDI number (21)"),
    "max_pitch": (pitch, "PITCH", "highest pitch"),
}
"""What the command line says of the fields of `Decoding`: type, placeholder, help. Defaults come from `Decoding`."""


def _add_transcribe(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Transcribe recordings (WAV, FLAC, OGG, Opus, MP3, M4A, MP4, WebM ...) to MIDI.\n"
        "A posterior file (.npz, written by --posteriors) is decoded again without running the network."
    )
    parser.epilog = (
        "exit status: 0 all is done, 1 a recording failed or the work could not begin, 2 wrong command line, "
        "130 after Ctrl-C"
    )
    parser.set_defaults(run=run_transcribe)
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="recordings, folders of them, or posterior files (.npz)"
    )
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", metavar="OUT", help="MIDI file, or folder (for several files; made if new)")
    out.add_argument("--csv", action="store_true", help="also write the notes as CSV, beside the MIDI file")
    out.add_argument("--json", action="store_true", help="also write everything as JSON")
    out.add_argument("--musicxml", action="store_true", help="also write notation (bars, voices, spelling)")
    out.add_argument("--posteriors", type=Path, metavar="NPZ", help="also save the posteriors (.npz, or a folder)")
    out.add_argument("--tempo", type=float, metavar="BPM", help="a steady tempo instead of the beats of the music")
    out.add_argument("--overwrite", action="store_true", help="replace files of the same kind that are there")
    out.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    music = parser.add_argument_group("music")
    music.add_argument(
        "--bars", action=argparse.BooleanOptionalAction, default=True, help="find beats and bars: tempo map (yes)"
    )
    music.add_argument("--metre", type=metre, metavar="N/M", help="time signature, such as 3/4 or 6/8 (found)")
    music.add_argument("--transposed", action="store_true", help="write transposing instruments as players read them")
    music.add_argument("--bends", action="store_true", help="find vibrato, glides and detuning; written as pitch bend")
    music.add_argument("--pedal", action="store_true", help="find the sustain pedal of pianos (notes get shorter)")
    music.add_argument(
        "--clean-up", type=share, default=0.0, metavar="0-1",
        help=f"join fragments, drop ghosts, tidy ends; {RECOMMENDED_CLEAN_UP:g} is a good strength (0)",
    )  # fmt: skip
    many = parser.add_argument_group("many recordings")
    many.add_argument("--jobs", type=at_least_one, default=1, metavar="N", help="processes (1)")
    many.add_argument("--resume", action="store_true", help="leave out what is done with these settings")
    many.add_argument(
        "--log", type=Path, metavar="JSONL", help="add a line of JSON for each recording (OUT/transcribe.jsonl)"
    )
    many.add_argument("--dask", metavar="ADDRESS", help="on a Dask cluster: tcp://host:8786, or local:N processes")
    tune = parser.add_argument_group("thresholds")
    for item in fields(Decoding):
        kind, metavar, text = OPTIONS[item.name]
        flag = "--" + item.name.replace("_", "-")
        if kind is None:
            words = f"{text} ({'yes' if item.default else 'no'})"
            tune.add_argument(flag, action=argparse.BooleanOptionalAction, default=item.default, help=words)
        else:
            tune.add_argument(flag, type=kind, metavar=metavar, default=item.default, help=f"{text} (%(default)s)")
    how = parser.add_argument_group("network")
    how.add_argument(
        "--timbres", type=timbres, default=False, metavar="auto|K", help="one track a timbre: how many, or auto"
    )
    add_stereo(how)
    how.add_argument(
        "--drums", choices=("auto", "on", "off"), default="off", help="a track of drums: auto where there are any (off)"
    )
    how.add_argument(
        "--model",
        metavar="NAME",
        help="light, base, large, a weights file, or mt3, mr-mt3, yourmt3 (light; base for --timbres)",
    )
    how.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to compute (auto)")
    how.add_argument("--backend", choices=BACKENDS, default="auto", help="what computes it (auto)")
    how.add_argument("--threads", type=at_least_one, metavar="N", help="processor threads of a process (all, up to 8)")


def run_transcribe(args: argparse.Namespace) -> int:
    """Transcribe each file; a file that fails does not stop the others."""
    # Threads that read and listen in many short steps, while one imports, would wait 5 ms for their turn after each.
    sys.setswitchinterval(5e-4)
    from amtsep import batch
    from amtsep.sequence.files import writes_notes

    if args.min_pitch > args.max_pitch:
        print("amtsep transcribe: --min-pitch is higher than --max-pitch.", file=sys.stderr)
        return 2
    try:
        decoding = Decoding(**{item.name: getattr(args, item.name) for item in fields(Decoding)})
    except ValueError as error:
        print(f"amtsep transcribe: {error}", file=sys.stderr)
        return 2
    if writes_notes(args.model):
        wrong = [f.name for f in fields(Decoding) if getattr(decoding, f.name) != f.default]
        if wrong or args.drums == "on":
            named = ", ".join("--" + name.replace("_", "-") for name in wrong) or "--drums"
            print(
                f"amtsep transcribe: {args.model} writes its notes and drums itself and has no thresholds; "
                f"leave out {named}.",
                file=sys.stderr,
            )
            return 2
    wrong_tempo = None if args.tempo is None else _wrong_tempo(args.tempo, args.metre)
    wrong_word = wrong_tempo or _wrong_log(args.log) or _wrong_output(args.output, args.files)
    if wrong_word is not None:
        print(f"amtsep transcribe: {wrong_word}", file=sys.stderr)
        return 2
    threads = args.threads
    if threads is None and (args.jobs > 1 or args.dask):
        threads = max(1, (os.cpu_count() or 1) // args.jobs) if not args.dask else 1
    also = tuple(f".{kind}" for kind in ("csv", "json", "musicxml") if getattr(args, kind))
    work = batch.Work(
        decoding,
        args.timbres,
        args.model,
        args.device,
        threads,
        args.tempo,
        also,
        args.resume,
        args.overwrite,
        MusicReading(
            bars=args.bars,
            metre=args.metre,
            bends=args.bends,
            pedal=args.pedal,
            clean_up=CleanUp(strength=args.clean_up),
            quantisation=Quantisation(transposed=args.transposed),
        ),
        args.drums,
        backend=args.backend,
        stereo=args.stereo,
    )
    tasks, refused = batch.plan(args.files, work, args.output, args.posteriors)
    with _Report(args, len(tasks) + len(refused)) as report:
        for result in refused:
            report(result)
        if args.dask and tasks:
            from amtsep.workers import connect

            with connect(args.dask) as client:
                for result in batch.run_on_cluster(tasks, work, client):
                    report(result)
        elif args.jobs > 1:
            for result in batch.run(tasks, work, args.jobs):
                report(result)
        else:
            bar = _Bar if sys.stderr.isatty() and not args.quiet else None
            for task in tasks:
                report(batch.perform(task, work, bar, args.debug))
    return report.status


def _wrong_tempo(tempo: float, metre: str | None) -> str | None:
    """The sentence on a tempo that no MIDI file holds: it counts quarter notes, whatever the beat of the metre."""
    from amtsep.rhythm.metre import Metre

    quarters = 1.0 if metre is None else Metre.parse(metre).beat_quarters
    if 10 <= tempo <= 960 and 10 <= tempo * quarters <= 960:
        return None
    low, high = math.ceil(max(10, 10 / quarters)), math.floor(min(960, 960 / quarters))
    within = "" if quarters == 1 else f" in {metre}"
    return f"--tempo must be from {low} to {high} beats a minute{within}."


def _wrong_log(path: Path | None) -> str | None:
    """The sentence on a log that is something else: after ``--log *.wav`` it is the first of the recordings."""
    import json

    # What is no plain file (a pipe, a terminal) would lose nothing, and reading it could wait for ever.
    if path is None or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            first = file.readline(LOG_LINE)
    except OSError:
        return None  # who opens it for writing says so
    try:
        ours = not first or {"source", "status"} <= set(json.loads(first))
    except (ValueError, TypeError, RecursionError):
        ours = False
    return None if ours else f"{path} is no log of amtsep and would be written into; name another file with --log."


def _wrong_output(output: str | None, files: Sequence[Path]) -> str | None:
    """The sentence on a MIDI file that several recordings are to become: it would be made as a folder of that name."""
    from amtsep.batch import MIDI

    several = len(files) > 1 or any(file.is_dir() for file in files)
    # With a slash at its end, or where it is there, it is meant as a folder.
    if not several or output is None or not output.lower().endswith(MIDI) or Path(output).is_dir():
        return None
    return f"-o must be a folder for several recordings, and {output} is named like a MIDI file; name a folder."


class _Report:
    """Says what becomes of each recording, on the terminal and in the log, and how many failed."""

    def __init__(self, args: argparse.Namespace, total: int) -> None:
        self.args, self.total, self.failed = args, total, list[str]()
        many = args.resume or args.jobs > 1 or args.dask or any(file.is_dir() for file in args.files)
        path: Path | None = args.log
        if path is None and many and total > 1 and args.output is not None:
            path = Path(args.output) / "transcribe.jsonl"
        self.path = path
        self._log: TextIO | None = None

    def __enter__(self) -> _Report:
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._log = self.path.open("a", encoding="utf-8")
            except OSError as error:
                said = (error.strerror or str(error)).lower()
                raise FormatError(f"{self.path} cannot be written ({said}); name another log with --log.") from error
        return self

    def __call__(self, result: Result) -> None:
        """Take in a result."""
        if self._log is not None:
            print(result.line(), file=self._log, flush=True)
        if result.status == "failed":
            self.failed.append(result.source)
            print(f"amtsep: {result.message}", file=sys.stderr)
            return
        if self.args.quiet:
            return
        if result.message:
            print(result.message, file=sys.stderr)
        if result.status == "skipped":
            print(f"{result.source}: done before")
            return
        tracks = f" in {result.tracks} tracks" if self.args.timbres is not False or result.tracks > 1 else ""
        # The MIDI file is written last and named first.
        named = ", ".join([result.outputs[-1], *result.outputs[:-1]])
        print(f"{result.source} -> {named}: {result.notes} notes{tracks}", flush=True)

    def __exit__(self, kind: object, *rest: object) -> None:
        if self._log is not None:
            self._log.close()
        if self.failed and self.total > 1:
            print(f"amtsep: {len(self.failed)} of {self.total} files could not be transcribed.", file=sys.stderr)
            if self.total > SHOWN:
                for source in self.failed[:SHOWN]:
                    print(f"  {source}", file=sys.stderr)
                if len(self.failed) > SHOWN:
                    print(f"  and {len(self.failed) - SHOWN} more", file=sys.stderr)
            if self.path is not None:
                print(f"amtsep: {self.path} says why.", file=sys.stderr)

    @property
    def status(self) -> int:
        """Exit status."""
        return 1 if self.failed else 0


class _Bar:
    """A progress bar in seconds of audio, on the terminal only."""

    def __init__(self, name: str, total: float) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            desc=name,
            total=total,
            unit="s",
            disable=None,
            leave=False,
            bar_format="{desc}: {percentage:3.0f}% |{bar}| {n:.0f} of {total:.0f} s [{elapsed}<{remaining}]",
        )

    def __enter__(self) -> Callable[[float, float, str], bool]:
        def progress(done: float, total: float, what: str) -> bool:
            self._bar.update(done - self._bar.n)
            return True

        return progress

    def __exit__(self, *exception: object) -> None:
        self._bar.close()


# --- dashboard -------------------------------------------------------------------------------------------------------


def _add_dashboard(parser: argparse.ArgumentParser) -> None:
    parser.description = "Open the app in the browser: tune thresholds, tell timbres apart, listen, correct, export."
    parser.set_defaults(run=run_dashboard)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a recording to open at once")
    parser.add_argument("--model", metavar="NAME", help="network to begin with: a name, or a weights file (base)")
    parser.add_argument("--port", type=count, help="first port to try")
    parser.add_argument("--host", help="address to listen on (this computer only); others need a token")
    parser.add_argument("--token", help="ask visitors for this token; 'auto' makes one")
    parser.add_argument("--max-upload", type=seconds_or_number, metavar="MB", help="largest upload")
    parser.add_argument("--idle-timeout", type=seconds, metavar="S", help="keep a page without connection so long")
    parser.add_argument("--sessions", type=count, metavar="N", help="pages that may be open at once")
    parser.add_argument("--preheat", type=count, metavar="N", help="pages kept ready, so that they open at once")
    parser.add_argument(
        "--browser", action=argparse.BooleanOptionalAction, help="open a browser (if there is a display)"
    )


def _add_workshop(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Open the ten lessons in JupyterLab, in copies of your own; or show them as pages (--pages); or write them\n"
        "with their pictures as HTML (--html)."
    )
    parser.set_defaults(run=run_workshop)
    parser.add_argument(
        "folder", nargs="?", default="amtsep-workshop", help="where your copies go; what is there stays (%(default)s)"
    )
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="English or 中文 (%(default)s)")
    parser.add_argument("--pages", action="store_true", help="show the lessons as pages without code")
    parser.add_argument("--html", action="store_true", help="run all lessons and write them as HTML into FOLDER")
    parser.add_argument("--port", type=count, help="first port to try")
    parser.add_argument("--host", help="address to listen on (this computer only); others need a token")
    parser.add_argument("--token", help="ask visitors for this token; 'auto' makes one")
    parser.add_argument(
        "--browser", action=argparse.BooleanOptionalAction, help="open a browser (if there is a display)"
    )


def _add_studio(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Open the studio in the browser: make a corpus and correct its captions, sort it by genre, fine-tune a\n"
        "text-to-music network, generate, and open what comes out in the dashboard. For this computer only."
    )
    parser.set_defaults(run=run_studio)
    parser.add_argument("folder", nargs="?", default=".", help="that the page works in (%(default)s)")
    parser.add_argument("--language", choices=("en", "zh"), help="English or 中文 (what the browser prefers)")
    parser.add_argument("--port", type=count, help="first port to try")
    parser.add_argument(
        "--browser", action=argparse.BooleanOptionalAction, help="open a browser (if there is a display)"
    )


def run_studio(args: argparse.Namespace) -> int:
    """Run the studio's server as a process of its own."""
    absent = [n for n in ("ipywidgets", "anywidget", "plotly", "voila") if importlib.util.find_spec(n) is None]
    if absent:
        raise AmtsepError(f"the studio needs {absent[0]}, which is not installed; run: pip install 'amtsep[studio]'")
    words = [str(args.folder)]
    for name in ("language", "port"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    if args.browser is not None:
        words.append("--browser" if args.browser else "--no-browser")
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "AMTSEP_PARENT": str(os.getpid())}
    return _wait(subprocess.Popen([sys.executable, "-m", "widgets.serving.studio", *words], env=environment))


def workshop_arguments(args: argparse.Namespace) -> list[str]:
    """The same choices as the app's own command line has them."""
    words = [str(args.folder), "--language", args.language]
    for name in ("port", "host", "token"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    words += [f"--{name}" for name in ("pages", "html") if getattr(args, name)]
    if args.browser is not None:
        words.append("--browser" if args.browser else "--no-browser")
    return words


def run_workshop(args: argparse.Namespace) -> int:
    """Run the lessons' server as a process of its own."""
    absent = [
        n for n in ("jupyterlab", "ipywidgets", "anywidget", "plotly", "torch") if importlib.util.find_spec(n) is None
    ]
    if absent:
        raise AmtsepError(
            f"the workshop needs {absent[0]}, which is not installed; run: pip install 'amtsep[app,train]'"
        )
    command = [sys.executable, "-m", "widgets.serving.workshop", *workshop_arguments(args)]
    return _wait(subprocess.Popen(command, env={**os.environ, "PYTHONSAFEPATH": "1"}))


def seconds_or_number(text: str) -> float:
    """A number over zero."""
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number over 0")


def dashboard_arguments(args: argparse.Namespace) -> list[str]:
    """What is passed on to ``python -m widgets``: only what was given, whose defaults are the app's."""
    passed = [str(args.file)] if args.file is not None else []
    for name in ("model", "port", "host", "max_upload", "idle_timeout", "preheat", "sessions"):
        value = getattr(args, name)
        if value is not None:
            passed.append(f"--{name.replace('_', '-')}={value:g}" if isinstance(value, float) else f"--{name}={value}")
    if args.browser is not None:
        passed.append("--browser" if args.browser else "--no-browser")
    return passed


def run_dashboard(args: argparse.Namespace) -> int:
    """Run the app as a process of its own: the library does not import it."""
    absent = [name for name in ("ipywidgets", "anywidget", "plotly", "voila") if importlib.util.find_spec(name) is None]
    if absent:
        raise AmtsepError(f"the dashboard needs {absent[0]}, which is not installed; run: pip install 'amtsep[app]'")
    if args.file is not None and not args.file.is_file():
        raise AmtsepError(f"{args.file} does not exist; check the path.")
    # A folder named widgets where the user happens to be must not be taken for the app.
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "AMTSEP_PARENT": str(os.getpid())}
    if args.token:  # where no list of processes shows it
        environment["AMTSEP_TOKEN"] = args.token
    return _wait(subprocess.Popen([sys.executable, "-m", "widgets", *dashboard_arguments(args)], env=environment))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """For the end of the app, which gets this process's signals."""
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the app has had the same Ctrl-C and is closing its kernels
            try:
                process.wait(timeout=10)
                return 0
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                return 130


if __name__ == "__main__":
    sys.exit(main())
