"""amtsep beside its peers over the same files, in one run, in one table.

    python benchmarks/peers.py accuracy --data DATA
    python benchmarks/peers.py check --data DATA
    python benchmarks/peers.py speed --seconds 300 --pairs 7
    python benchmarks/peers.py speed --model base --backends onnx openvino --seconds 300
    python benchmarks/peers.py engines --model base --sets bach10,guitarset --limit 12

Peers: Basic Pitch 0.4.0 from PyPI (its ONNX model), at its default thresholds and at those that are best on the very
recordings reported ("oracle": a bound that no deployment reaches), in an environment of its own, made on
demand under ``build/peers``; and any command that turns WAV into MIDI, ``--command 'name=tool {wav} {midi}'``. Needs
Python 3.11 or 3.12 for Basic Pitch (its `numpy < 2`).

`accuracy` runs Basic Pitch's network once a file and its own note decoding once a setting. `check` runs its command
line and scores the MIDI files that it writes with mir_eval alone, to show that the table says the same. `speed` times
whole processes in turn (A B A B): wall time as the median of the pairs' ratios, CPU seconds, involuntary context
switches, peak resident memory. Run it when nothing else runs. `engines` is the accuracy of amtsep in each of its own
engines.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from amtsep.audio import from_samples  # noqa: E402
from amtsep.config import BACKENDS, FrontEnd  # noqa: E402
from amtsep.evaluation.metrics import evaluate_agnostic, mean  # noqa: E402
from amtsep.evaluation.readers import Recording, recordings  # noqa: E402
from amtsep.evaluation.statistics import bootstrap, compare  # noqa: E402
from amtsep.notes import Notes  # noqa: E402

if TYPE_CHECKING:
    from amtsep.inference import Transcriber

BUILD = ROOT / "build" / "peers"
HOP_S = FrontEnd().hop_s
DEFAULT_BACKENDS = {"speed": ("auto",), "engines": ("onnx", "openvino")}
FIGURES = ("onset_f1", "onset_offset_f1", "frame_f1")
BASIC_PITCH = "0.4.0"
BASIC_PITCH_DEFAULT = (0.5, 0.3, 127.7)
"""Onset threshold, frame threshold, minimum note length in ms, as its command line has them."""
NEEDS = (
    "numpy<2", "scipy<1.14", "onnxruntime", "librosa", "resampy<0.4.3", "pretty_midi", "mir_eval", "scikit-learn",
    "setuptools<81", "soundfile", "typing_extensions",
)  # fmt: skip

SETS: dict[str, tuple[str, str, tuple[int, ...] | None]] = {
    "bach10 solos": ("bach10", "bach10/dev", (1,)),
    "bach10 duets": ("bach10", "bach10/dev", (2,)),
    "bach10 trios": ("bach10", "bach10/dev", (3,)),
    "bach10 quartets": ("bach10", "bach10/dev", (4,)),
    "guitarset": ("guitarset", "guitarset/dev", None),
    "maps": ("maps", "maps/dev", None),
    "slakh stems": ("slakh", "slakh/dev", (1,)),
    "slakh mixes": ("slakh", "slakh/dev", (2, 3, 4)),
}
"""What is reported: name, reader, folder under --data, numbers of parts."""


@dataclass(frozen=True)
class Row:
    """A system on a set."""

    set: str
    system: str
    label: str
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    values: dict[str, list[float]]
    names: list[str]


# --- Basic Pitch -----------------------------------------------------------------------------------------------------


def basic_pitch_python() -> Path:
    """Python of Basic Pitch's environment; makes the environment where it is absent."""
    home = BUILD / "basic-pitch"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (home / "ready").exists() or _works(python):
        return python
    maker = next((p for p in (shutil.which("python3.11"), shutil.which("python3.12")) if p), None)
    if maker is None:
        raise SystemExit("Basic Pitch needs Python 3.11 or 3.12 (numpy < 2); install one of them and run again.")
    print("making Basic Pitch's environment …", file=sys.stderr)
    subprocess.run([maker, "-m", "venv", str(home)], check=True)
    pip = [str(python), "-m", "pip", "install", "-q"]
    # Its own requirements want TensorFlow; the ONNX model needs none of it.
    subprocess.run([*pip, "--no-deps", f"basic-pitch=={BASIC_PITCH}"], check=True)
    subprocess.run([*pip, *NEEDS], check=True)
    (home / "ready").write_text(BASIC_PITCH)
    return python


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    done = subprocess.run([str(python), "-c", "import basic_pitch, onnxruntime"], capture_output=True)
    return done.returncode == 0


def basic_pitch_notes(
    items: Sequence[Recording], settings: Iterable[tuple[float, float, float]]
) -> dict[str, list[Notes]]:
    """Notes of every recording at every setting (key ``onset/frame/length``), by Basic Pitch's own code."""
    wanted = [list(s) for s in settings]
    files = []
    for item in items:
        name = item.content_hash()[:24]
        files.append(
            {
                "wav": str(wav_of(item)),
                "posteriors": str(_folder("posteriors") / f"{name}.npz"),
                "notes": str(_folder("notes") / f"{name}.npz"),
            }
        )
    with tempfile.TemporaryDirectory() as place:
        job = Path(place) / "job.json"
        job.write_text(json.dumps({"files": files, "settings": wanted}))
        driver = Path(__file__).with_name("basic_pitch_driver.py")
        done = subprocess.run([str(basic_pitch_python()), str(driver), str(job)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"Basic Pitch failed:\n{done.stderr[-2000:]}")
    found: dict[str, list[Notes]] = {_key(s): [] for s in wanted}
    for file in files:
        with np.load(file["notes"]) as data:
            for name in found:
                found[name].append(_table(data[name]))
    return found


def search_basic_pitch(
    items: Sequence[Recording],
) -> dict[str, tuple[tuple[float, float, float], list[dict[str, float]]]]:
    """For each figure, Basic Pitch's best setting on these recordings: a grid, uphill from its best, note lengths."""
    scores: dict[tuple[float, float, float], list[dict[str, float]]] = {}

    def add(settings: Iterable[tuple[float, float, float]]) -> None:
        new = [s for s in dict.fromkeys(settings) if s not in scores]
        if new:
            notes = basic_pitch_notes(items, new)
            for setting in new:
                scores[setting] = [
                    evaluate_agnostic(item.reference, table, HOP_S).figures()
                    for item, table in zip(items, notes[_key(setting)], strict=True)
                ]

    def best(figure: str) -> tuple[float, float, float]:
        return max(scores, key=lambda s: mean([row[figure] for row in scores[s]]))

    add((o, f, BASIC_PITCH_DEFAULT[2]) for o in (0.3, 0.4, 0.5, 0.6, 0.7) for f in (0.2, 0.3, 0.4))
    for figure in FIGURES:
        for step in (0.1, 0.05):
            centre = None
            while centre != best(figure):
                centre = best(figure)
                onset, frame, ms = centre
                around = ((onset + step, frame), (onset - step, frame), (onset, frame + step), (onset, frame - step))
                add((round(o, 3), round(f, 3), ms) for o, f in around if 0.05 <= o <= 0.95 and 0.05 <= f <= 0.95)
        onset, frame, _ = best(figure)
        add((onset, frame, ms) for ms in (58.0, 92.9, 174.2))
    return {figure: (best(figure), scores[best(figure)]) for figure in FIGURES}


# --- any command -----------------------------------------------------------------------------------------------------


def command_notes(items: Sequence[Recording], template: str) -> list[Notes]:
    """Notes of a command that turns WAV into MIDI; results are kept, keyed by the command and the sound."""
    from amtsep.formats import read_midi

    key = hashlib.sha256(template.encode()).hexdigest()[:12]
    tables = []
    for item in items:
        midi = _folder(f"command-{key}") / f"{item.content_hash()[:24]}.mid"
        if not midi.exists():
            words = [w.replace("{wav}", str(wav_of(item))).replace("{midi}", str(midi)) for w in shlex.split(template)]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode or not midi.exists():
                raise SystemExit(f"{template!r} failed on {item.name}:\n{done.stderr[-1000:]}")
        tables.append(read_midi(midi))
    return tables


# --- the table -------------------------------------------------------------------------------------------------------


def accuracy(options: argparse.Namespace) -> int:
    """Print one table of every system on every set; write it to build/peers/accuracy.json."""
    rows: list[Row] = []
    chosen = [name for name in SETS if not options.sets or any(name.startswith(s) for s in options.sets.split(","))]
    ours = None
    if not options.peers_only:
        from amtsep.cache import folder
        from amtsep.evaluation.runner import evaluate_recordings
        from amtsep.inference import Transcriber, model_hash

        ours = Transcriber(model=options.model)
    for name in chosen:
        reader, place, mixes = SETS[name]
        items = recordings(reader, Path(options.data) / place, mixes)
        print(f"{name}: {len(items)} recordings", file=sys.stderr)
        groups = [item.group for item in items]
        if ours is not None:
            results = evaluate_recordings(items, ours, model_hash=model_hash(options.model), cache=folder("posteriors"))
            rows.append(
                _row(name, f"amtsep {options.model}", "default", [r.agnostic.figures() for r in results], items)
            )
            if not options.default_only:
                rows.append(_our_best(name, ours, options.model, items, [r.agnostic.figures() for r in results]))
        default = basic_pitch_notes(items, [BASIC_PITCH_DEFAULT])[_key(BASIC_PITCH_DEFAULT)]
        rows.append(
            _row(
                name,
                f"Basic Pitch {BASIC_PITCH}",
                "default",
                [evaluate_agnostic(i.reference, n, HOP_S).figures() for i, n in zip(items, default, strict=True)],
                items,
            )
        )
        if not options.default_only:
            found = search_basic_pitch(items)
            merged = [
                {**scores, **{figure: found[figure][1][index][figure] for figure in FIGURES}}
                for index, scores in enumerate(found["onset_f1"][1])
            ]
            label = "oracle " + " ".join(_key(found[figure][0]) for figure in FIGURES)
            rows.append(_row(name, f"Basic Pitch {BASIC_PITCH}", label, merged, items))
        for command in options.command or []:
            title, _, template = command.partition("=")
            tables = command_notes(items, template)
            rows.append(
                _row(
                    name,
                    title,
                    "as given",
                    [evaluate_agnostic(i.reference, n, HOP_S).figures() for i, n in zip(items, tables, strict=True)],
                    items,
                )
            )
        if ours is not None:
            first, second = (
                next(r for r in rows if r.set == name and r.system.startswith(s)) for s in ("Basic", "amtsep")
            )
            for figure in FIGURES:
                c = compare(first.values[figure], second.values[figure], groups)
                print(
                    f"  amtsep - Basic Pitch default, {figure}: {c.difference}, better in {c.wins}, worse in {c.losses}"
                )
        _keep(rows)
    print(table(rows))
    return 0


def _our_best(
    name: str, transcriber: Transcriber, model: str, items: Sequence[Recording], default: Sequence[dict[str, float]]
) -> Row:
    """amtsep at the thresholds that are best for each figure on these recordings: the same bound as Basic Pitch's."""
    from amtsep.cache import folder
    from amtsep.evaluation.runner import decoders_of
    from amtsep.evaluation.search import search
    from amtsep.inference import model_hash

    decoders = decoders_of(items, transcriber, model_hash(model), folder("posteriors"))
    truths = [item.reference for item in items]
    best = {f: search(decoders, truths, HOP_S, searched_on=name, target=f).decoding for f in FIGURES}
    scores = {
        f: [evaluate_agnostic(t, d(best[f]), HOP_S).figures()[f] for t, d in zip(truths, decoders, strict=True)]
        for f in FIGURES
    }
    merged = [{**row, **{f: scores[f][i] for f in FIGURES}} for i, row in enumerate(default)]
    label = "oracle " + " ".join(f"{best[f].onset_threshold:g}/{best[f].frame_threshold:g}" for f in FIGURES)
    return _row(name, f"amtsep {model}", label, merged, items)


def _keep(rows: Sequence[Row]) -> None:
    """Write what is known so far: a run of hours that is stopped keeps its finished sets."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / "accuracy.json"
    known = {}
    if path.exists():
        known = {(r["set"], r["system"], r["label"].split()[0]): r for r in json.loads(path.read_text())}
    known.update({(r.set, r.system, r.label.split()[0]): asdict(r) for r in rows})
    path.write_text(json.dumps(list(known.values()), indent=1))


def table(rows: Sequence[Row]) -> str:
    """One Markdown table; figures are means over recordings, with 95 % bootstrap intervals over pieces."""
    head = ["set", "system", "thresholds", "onset F1", "onset+offset F1", "frame F1"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"{row.figures[f]:.3f} [{row.intervals[f][0]:.2f}, {row.intervals[f][1]:.2f}]" for f in FIGURES]
        lines.append(f"| {row.set} | {row.system} | {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _row(name: str, system: str, label: str, scores: Sequence[dict[str, float]], items: Sequence[Recording]) -> Row:
    groups = [item.group for item in items]
    intervals = {f: bootstrap([s[f] for s in scores], groups) for f in FIGURES}
    return Row(
        name,
        system,
        label,
        {f: mean([s[f] for s in scores]) for f in scores[0]},
        {f: (i.low, i.high) for f, i in intervals.items()},
        {f: [s[f] for s in scores] for f in FIGURES},
        [item.name for item in items],
    )


# --- check: the same figures from the command line's MIDI and mir_eval alone ------------------------------------------


def check(options: argparse.Namespace) -> int:
    """Run Basic Pitch's command line on the quartets and compare mir_eval on its MIDI with the table's path."""
    import mir_eval

    items = recordings("bach10", Path(options.data) / "bach10/dev", (4,))
    through_us = [
        evaluate_agnostic(i.reference, n, HOP_S, fuse_unisons=False)
        for i, n in zip(items, basic_pitch_notes(items, [BASIC_PITCH_DEFAULT])[_key(BASIC_PITCH_DEFAULT)], strict=True)
    ]
    worst = 0.0
    for item, ours in zip(items, through_us, strict=True):
        with tempfile.TemporaryDirectory() as place:
            subprocess.run(basic_pitch_command(wav_of(item), Path(place)), check=True, capture_output=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pretty_midi

                midi = pretty_midi.PrettyMIDI(str(next(Path(place).glob("*.mid"))))
        notes = [n for instrument in midi.instruments for n in instrument.notes]
        intervals = np.array([[n.start, n.end] for n in notes])
        pitches = mir_eval.util.midi_to_hz(np.array([n.pitch for n in notes], float))
        truth = item.reference
        arguments = (
            np.stack([truth.onset, truth.offset], 1),
            mir_eval.util.midi_to_hz(truth.pitch.astype(float)),
            intervals,
            pitches,
        )
        onset = mir_eval.transcription.precision_recall_f1_overlap(*arguments, offset_ratio=None)[2]
        offset = mir_eval.transcription.precision_recall_f1_overlap(*arguments)[2]
        worst = max(worst, abs(onset - ours.onset.f1), abs(offset - ours.onset_offset.f1))
        print(
            f"{item.name}: mir_eval on its MIDI {onset:.4f} {offset:.4f}, "
            f"here {ours.onset.f1:.4f} {ours.onset_offset.f1:.4f}"
        )
    print(f"largest difference {worst:.4f} ({'within' if worst <= 0.01 else 'OVER'} 0.01)")
    return 0 if worst <= 0.01 else 1


def basic_pitch_command(wav: Path, place: Path) -> list[str]:
    """Basic Pitch's own command line, its ONNX model."""
    script = basic_pitch_python().with_name("basic-pitch")
    return [str(script), "--model-serialization", "onnx", str(place), str(wav)]


# --- speed -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What one whole process cost."""

    wall_s: float
    cpu_s: float
    involuntary_switches: int
    peak_mib: float


def measure(command: Sequence[str], threads: int) -> Cost:
    """Run a command to its end and read what the system counted for it and its children."""
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(counts, str(threads))}
    # What is installed comes with its byte code; that of a checkout is written in the first round.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(BUILD / "bytecode")
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > threads:
        cores = ",".join(str(c) for c in sorted(os.sched_getaffinity(0))[:threads])
        command = ["taskset", "-c", cores, *command]
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        process = subprocess.Popen(list(command), env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')[-2000:]}")
    per_mib = 1024.0 if sys.platform != "darwin" else 1024.0 * 1024.0
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_nivcsw, usage.ru_maxrss / per_mib)


def speed(options: argparse.Namespace) -> int:
    """Whole-process cost of one file, systems in turn."""
    sound = np.concatenate([item.audio() for item in recordings("bach10", Path(options.data) / "bach10/dev", (4,))])
    need = int(options.seconds * FrontEnd.sample_rate)
    sound = np.tile(sound, need // len(sound) + 1)[:need]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        wav = place / "speed.wav"
        soundfile.write(wav, sound, FrontEnd.sample_rate, subtype="PCM_16")
        systems = {
            f"amtsep {options.model}{f' ({backend})' if backend != 'auto' else ''}": [
                sys.executable, "-m", "amtsep.cli", "transcribe", str(wav), "-o", str(place / "ours.mid"),
                "--model", options.model, "--backend", backend,
            ]
            for backend in options.backends
        }  # fmt: skip
        systems |= {
            f"Basic Pitch {BASIC_PITCH}": basic_pitch_command(wav, place),
        }  # fmt: skip
        for command in options.command or []:
            title, _, template = command.partition("=")
            systems[title] = [
                w.replace("{wav}", str(wav)).replace("{midi}", str(place / "peer.mid")) for w in shlex.split(template)
            ]
        costs: dict[str, list[Cost]] = {title: [] for title in systems}
        for number in range(options.pairs + 1):
            for title, words in systems.items():
                for old in place.glob("*.mid"):
                    old.unlink()  # Basic Pitch does not overwrite
                cost = measure(words, options.threads)
                if number:  # the first round warms the disk's cache
                    costs[title].append(cost)
                print(f"round {number} {title}: {cost.wall_s:.2f} s", file=sys.stderr)
    ours = costs[next(iter(systems))]
    print(
        f"{options.seconds:g} s of audio, {options.threads} threads, whole process, "
        f"medians of {options.pairs} rounds in turn\n"
    )
    print(
        "| system | wall s | ratio to amtsep (median of pairs) | CPU s | involuntary switches | peak MiB |\n"
        "|---|---|---|---|---|---|"
    )
    for title, runs in costs.items():
        ratio = statistics.median(r.wall_s / o.wall_s for r, o in zip(runs, ours, strict=True))
        middle = [statistics.median(getattr(r, field) for r in runs) for field in Cost.__dataclass_fields__]
        print(f"| {title} | {middle[0]:.2f} | {ratio:.2f} | {middle[1]:.2f} | {middle[2]:.0f} | {middle[3]:.0f} |")
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "speed.json").write_text(json.dumps({t: [asdict(c) for c in runs] for t, runs in costs.items()}, indent=1))
    return 0


# --- engines ---------------------------------------------------------------------------------------------------------


def engines(options: argparse.Namespace) -> int:
    """F1 of a network in each engine on the development sets, and how far each is from the first."""
    from amtsep.decoding import decode
    from amtsep.inference import Transcriber

    head = ["set", "engine", *FIGURES, "largest difference", "CPU s"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    worst = 0.0
    for name in (n for n in SETS if any(n.startswith(s) for s in options.sets.split(","))):
        reader, place, mixes = SETS[name]
        items = recordings(reader, Path(options.data) / place, mixes)
        if options.limit and len(items) > options.limit:
            items = [items[i] for i in np.linspace(0, len(items) - 1, options.limit).round().astype(int)]
        first: dict[str, float] = {}
        for backend in options.backends:
            transcriber = Transcriber(options.model, "cpu", backend, 2)
            start = time.process_time()
            heard = [transcriber(from_samples(item.audio(), FrontEnd.sample_rate)) for item in items]
            seconds = time.process_time() - start
            scores = [evaluate_agnostic(i.reference, decode(p), HOP_S).figures() for i, p in zip(items, heard)]
            figures = {f: mean([s[f] for s in scores]) for f in FIGURES}
            first = first or figures
            apart = max(abs(figures[f] - first[f]) for f in FIGURES)
            worst = max(worst, apart)
            cells = " | ".join(f"{figures[f]:.4f}" for f in FIGURES)
            print(f"| {name} ({len(items)}) | {backend} | {cells} | {apart:.4f} | {seconds:.1f} |", flush=True)
    return int(worst > 0.002)


# --- small things ----------------------------------------------------------------------------------------------------


def wav_of(item: Recording) -> Path:
    """The recording (a mix where it is one) as a 16-bit WAV file at 22,050 Hz: what every system is given."""
    path = _folder("audio") / f"{item.content_hash()[:24]}.wav"
    if not path.exists():
        soundfile.write(path, item.audio(), FrontEnd.sample_rate, subtype="PCM_16")
    return path


def _folder(name: str) -> Path:
    path = BUILD / "basic-pitch-work" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def _key(setting: Sequence[float]) -> str:
    return "/".join(f"{value:g}" for value in setting)


def _table(rows: np.ndarray) -> Notes:
    rows = rows[rows[:, 1] > rows[:, 0]]
    return Notes.build(
        np.maximum(rows[:, 0], 0.0), rows[:, 1], np.round(rows[:, 2]), np.clip(np.round(127 * rows[:, 3]), 1, 127)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="task", required=True)
    for name, about in (("accuracy", accuracy), ("check", check), ("speed", speed), ("engines", engines)):
        part = commands.add_parser(name, help=about.__doc__)
        part.set_defaults(run=about)
        part.add_argument("--data", default=os.environ.get("AMTSEP_DATA", str(ROOT.parent / "shared" / "data")))
        if name != "check":
            part.add_argument("--model", default="light", help="network of amtsep")
        if name in ("accuracy", "speed"):
            part.add_argument("--command", action="append", metavar="NAME=CMD", help="a peer: 'name=tool {wav} {midi}'")
        if name == "accuracy":
            part.add_argument("--sets", default="", help="comma-separated beginnings of set names: " + ", ".join(SETS))
            part.add_argument("--peers-only", action="store_true", help="leave amtsep out")
            part.add_argument("--default-only", action="store_true", help="no threshold search for Basic Pitch")
        if name == "speed":
            part.add_argument("--seconds", type=float, default=300.0)
            part.add_argument("--pairs", type=int, default=7)
            part.add_argument("--threads", type=int, default=2)
        if name in ("speed", "engines"):
            part.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(DEFAULT_BACKENDS[name]))
        if name == "engines":
            part.add_argument("--sets", default="bach10,guitarset", help="comma-separated beginnings of set names")
            part.add_argument("--limit", type=int, help="at most so many recordings a set, spread over it")
    options = parser.parse_args()
    return int(options.run(options))


if __name__ == "__main__":
    raise SystemExit(main())
