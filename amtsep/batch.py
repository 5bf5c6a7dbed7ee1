"""Many recordings to notes: on this machine or on a Dask cluster, each one once, whatever happens to the others.

`plan` says which file becomes which, and refuses outputs that would cost somebody a file, before any work is done.
`perform` does one of them and always comes back with a `Result`. A recording's files take their places together, the
MIDI file first, which carries a mark made of the settings, the network and the recording. Where it is there with the
right mark, and all the others are, too, the work is done, whoever stopped when; `resume` needs nothing but the files.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from amtsep.config import Clustering, Decoding, MusicReading
from amtsep.errors import AmtsepError, Cancelled, FormatError, ModelError
from amtsep.files import clear_halves, reason, replacing
from amtsep.sequence.files import OTHERS, writes_notes

if TYPE_CHECKING:
    from amtsep.inference import Transcriber
    from amtsep.notes import Notes
    from amtsep.posteriors import Posteriors
    from amtsep.rhythm.music import Music
    from amtsep.sequence.writers import Writer

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

SOUND = frozenset(
    """
    .wav .flac .ogg .oga .opus .mp3 .m4a .aac .mp4 .webm .mkv .mov .aif .aiff .aifc .caf .au .w64 .wma .avi .ape .wv
    .tta .ac3 .amr .3gp .mpg .mpeg .ts
    """.split()  # noqa: SIM905 - a list of thirty strings says no more
)
"""Endings by which the recordings in a folder are known; a file that is named is read whatever it is called."""
MIDI = (".mid", ".midi", ".smf", ".kar")
ATTEMPTS = 3
"""How often a recording is begun whose worker dies under it, before it is given up."""
AHEAD = 8
"""Recordings that are handed to a cluster ahead of time, for each of its threads."""


@dataclass(frozen=True)
class Work:
    """What is done with every recording."""

    decoding: Decoding = Decoding()  # noqa: RUF009 - frozen
    timbres: int | None | bool = False
    """How many, ``None`` to have the number estimated, ``False`` for one track."""
    model: str | None = None
    """``None``: "light" for one track, "base" for several."""
    device: str = "auto"
    threads: int | None = None
    tempo: float | None = None
    also: tuple[str, ...] = ()
    """Endings of what is written beside the MIDI file: ".csv", ".json", ".musicxml"."""
    resume: bool = False
    """Leave alone what is done already with the same settings and recording."""
    overwrite: bool = False
    """Replace files of the same kind that are there."""
    music: MusicReading = MusicReading()  # noqa: RUF009 - frozen
    """What is found beside the notes and written with them."""

    drums: str = "off"
    """A track of drum strokes: "on", "off", or "auto" where there are any."""
    backend: str = "auto"
    stereo: float = Clustering.stereo
    """How much both channels count where tracks are made."""

    @property
    def network(self) -> str:
        """The model's name."""
        return self.model or ("light" if self.timbres is False else "base")


@dataclass(frozen=True)
class Task:
    """One recording, or file of posteriors, and where its notes go."""

    source: Path
    midi: Path
    posteriors: Path | None = None

    def outputs(self, work: Work) -> list[Path]:
        """All notes that are written, the MIDI file last."""
        return [*(self.midi.with_suffix(ending) for ending in work.also), self.midi]


@dataclass(frozen=True)
class Result:
    """What became of a task."""

    source: str
    status: str
    """"done", "skipped" (it was done before) or "failed"."""
    outputs: tuple[str, ...] = ()
    notes: int = 0
    tracks: int = 0
    audio_s: float = 0.0
    seconds: float = 0.0
    message: str = ""
    """The error of what failed, the remark on what was done."""

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps(asdict(self))


# --- planning --------------------------------------------------------------------------------------------------------


def plan(
    sources: Sequence[Path], work: Work, output: str | None = None, posteriors: Path | None = None
) -> tuple[list[Task], list[Result]]:
    """Tasks, and results of those that are not to be done because something is in the way.

    Parameters
    ----------
    sources
        Files, and folders whose recordings are taken, those in folders of theirs included.
    output
        A MIDI file for one recording, or a folder; ``None`` writes beside the recordings. What was in folders below
        one of `sources` comes into the same folders below `output`.
    posteriors
        An ``.npz`` file for one recording, or a folder, to save posteriors in.

    Raises
    ------
    FormatError
        If an output would replace one of the inputs, has an ending of another kind, or a folder holds no recording.
    """
    files, below = gather(sources)
    midi = output_paths(files, output, below, single=not any(source.is_dir() for source in sources))
    saved = posterior_paths(files, posteriors, below)
    tasks = [Task(*each) for each in zip(files, midi, saved, strict=True)]
    inputs = {key for file in files for key in _identities(file)}
    for task in tasks:
        for path in [*task.outputs(work), *([task.posteriors] if task.posteriors else [])]:
            if inputs & _identities(path):
                raise FormatError(f"{path} is one of the recordings and would be overwritten; name another file.")
    good, bad = [], []
    for task in tasks:
        wrong = _in_the_way(task, work)
        if wrong is None:
            good.append(task)
        else:
            bad.append(Result(str(task.source), "failed", message=wrong))
    return good, bad


def gather(sources: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files of all sources, folders gone through, and the folder of each below the source it was found in."""
    files: list[Path] = []
    below: list[Path] = []
    for source in sources:
        if not source.is_dir():
            files.append(source)
            below.append(Path())
            continue
        found = sorted(
            path
            for path in source.rglob("*")
            if path.suffix.lower() in SOUND and not path.name.startswith(".") and path.is_file()
        )
        if not found:
            raise FormatError(f"{source} holds no recordings; name a folder that does, or the files themselves.")
        files += found
        below += [path.parent.relative_to(source) for path in found]
    return files, below


def output_paths(
    files: Sequence[Path],
    output: str | None,
    below: Sequence[Path] | None = None,
    single: bool = True,
    option: str = "-o",
) -> list[Path]:
    """Where the MIDI file of each input goes; inputs of one name get -2, -3 ... in a common folder.

    `option` is where `output` was named, for an error.
    """
    if output is not None:
        path = Path(output)
        alone = len(files) == 1 and single
        as_folder = path.is_dir() or output.endswith(("/", os.sep)) or not alone or not path.suffix
        if not as_folder:
            if path.suffix.lower() not in MIDI:
                raise FormatError(f"{output} has an ending of another kind: notes are written as MIDI (.mid).")
            return [path]
        if path.is_file():
            raise FormatError(f"{path} is a file; for several recordings {option} names a folder.")
    taken: set[str] = set()
    result = []
    for number, file in enumerate(files):
        folder = file.parent if output is None else Path(output) / (below[number] if below else "")
        stem, copy = file.stem or file.name, 1
        candidate = folder / f"{stem}.mid"
        while str(candidate).casefold() in taken:
            copy += 1
            candidate = folder / f"{stem}-{copy}.mid"
        taken.add(str(candidate).casefold())
        result.append(candidate)
    return result


def posterior_paths(
    files: Sequence[Path], target: Path | None, below: Sequence[Path] | None = None
) -> list[Path | None]:
    """Where the posteriors of each input go, if anywhere."""
    if target is None:
        return [None] * len(files)
    if len(files) == 1 and target.suffix == ".npz" and not target.is_dir():
        return [target]
    return [path.with_suffix(".npz") for path in output_paths(files, f"{target}/", below, option="--posteriors")]


def is_posteriors(path: Path) -> bool:
    """Whether a source holds what a network has heard, not sound, by its name."""
    return path.suffix.lower() == ".npz"


def _identities(path: Path) -> set[object]:
    """What tells that two paths name one file: its resolved name, and its inode where it is there."""
    found: set[object] = {os.path.normcase(os.path.realpath(path))}
    try:
        status = path.stat()
    except (OSError, ValueError):
        return found
    return found | ({(status.st_dev, status.st_ino)} if status.st_ino else set())


def _in_the_way(task: Task, work: Work) -> str | None:
    """The sentence on an output that must not be written, if there is one."""
    for path in [*task.outputs(work), *([task.posteriors] if task.posteriors else [])]:
        try:
            if not path.exists():
                continue
            if path.is_file() and not is_of_kind(path):
                return f"{path} is there already and is something else; name another file with -o."
        except OSError as error:
            return f"{path} cannot be written ({reason(error)}); name another folder with -o."
        if not work.overwrite and not (work.resume and _is_begun(task, work)):
            return f"{path} is there already; add --overwrite, or name another file with -o."
    return None


def is_of_kind(path: Path) -> bool:
    """Whether a file that is there may be what we write under its ending: by what it begins with."""
    with path.open("rb") as file:
        head = file.read(256)
    if not head:
        return True
    ending = path.suffix.lower()
    if ending == ".npz":
        return head.startswith(b"PK")
    if ending == ".csv":
        return b"\0" not in head and b"," in head
    start = {".json": b"{", ".musicxml": b"<"}.get(ending, b"MThd")
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(start)


# --- one recording ---------------------------------------------------------------------------------------------------


def mark_of(task: Task, work: Work) -> str:
    """What tells this recording with these settings and this network from any other, as text for the MIDI file."""
    status = task.source.stat()
    about = {
        "decoding": asdict(work.decoding),
        "timbres": work.timbres,
        "network": "" if is_posteriors(task.source) else _network_mark(work.network),
        "tempo": work.tempo,
        "also": work.also,
        "music": asdict(work.music),
        "drums": work.drums,
        "file": [task.source.name.encode("utf-8", "replace").decode(), status.st_size, status.st_mtime_ns],
    }
    if work.timbres is not False:
        about["stereo"] = work.stereo
    return "amtsep " + hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


@lru_cache(4)
def _network_mark(model: str) -> str:
    from amtsep.inference import find_model

    if model in OTHERS:
        return model
    path = find_model(model, Path(model).suffix or ".onnx")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_done(task: Task, work: Work) -> bool:
    """Whether all that `work` would write is there, made from this recording with these settings."""
    from amtsep.formats import read_midi

    others = task.outputs(work)[:-1] + ([task.posteriors] if task.posteriors else [])
    absent = [path for path in others if not path.is_file()]
    if any(path.suffix != ".musicxml" for path in absent) or not _is_begun(task, work):
        return False
    # Of no notes there is no score.
    return not absent or not len(read_midi(task.midi, drums=True))


def _is_begun(task: Task, work: Work) -> bool:
    """Whether `work` has written the MIDI file, which comes first of all: the others are then its own, too."""
    try:
        with task.midi.open("rb") as file:
            head = file.read(4096)
        return mark_of(task, work).encode() in head
    except OSError:
        return False


def perform(
    task: Task, work: Work, progress: Callable[[str, float], Any] | None = None, strict: bool = False
) -> Result:
    """Do a task; whatever is wrong with the recording or its outputs is in the result.

    Parameters
    ----------
    progress
        Called with the recording's name and its length in seconds; gives a context whose value is a `Progress`.
    strict
        Raise every error, to see where it comes from.

    Raises
    ------
    ModelError
        Without a network no other recording will do better.
    Cancelled
        If progress asked for an end.
    """
    began = time.monotonic()
    try:
        if work.resume and is_done(task, work):
            there = tuple(str(path) for path in task.outputs(work) if path.is_file())
            return Result(str(task.source), "skipped", there)
        _prepare(task, work)
        posteriors, written, remark = _heard(task, work, progress)
        with ExitStack() as files:  # all of them take their places at the end, the one that was begun last first
            if task.posteriors is not None:
                with files.enter_context(replacing(task.posteriors)).open("wb") as file:
                    posteriors.save(file)
            from amtsep.decoding import decode_drums
            from amtsep.rhythm.music import read_music

            strokes = decode_drums(posteriors, work.drums)
            if written is not None:
                written, strokes = written.parted()
            notes = _decode(posteriors, work, task.source.name, written)
            music = read_music(notes, posteriors, work.music, work.tempo, strokes, tuning=".json" in work.also)
            duration_s = posteriors.duration_s
            del posteriors  # by far the largest thing here, and writing wants memory too
            notes = music.notes
            outputs = [path for path in task.outputs(work) if len(notes) or path.suffix != ".musicxml"]
            for path in outputs:
                # The MIDI file is the last one here, so it takes its place first: it says whose the others are.
                files.enter_context(replacing(path)).write_bytes(file_of(path.suffix, music, task, work))
        if len(outputs) < len(task.outputs(work)):
            remark = " ".join([*filter(None, [remark]), "There are no notes: no MusicXML was written."])
    except (ModelError, Cancelled, BrokenPipeError):
        raise
    except AmtsepError as error:
        if strict:
            raise
        return Result(str(task.source), "failed", seconds=time.monotonic() - began, message=str(error))
    except Exception as error:  # noqa: BLE001 - one recording does not stop the others
        if strict:
            raise
        what = f"{type(error).__name__}: {error}"
        said = f"{task.source}: this should not have happened ({what}); add --debug to see where."
        return Result(str(task.source), "failed", seconds=time.monotonic() - began, message=said)
    return Result(
        str(task.source),
        "done",
        tuple(map(str, outputs)),
        len(notes),
        len(notes.tracks),
        round(duration_s, 3),
        round(time.monotonic() - began, 3),
        remark,
    )


def _prepare(task: Task, work: Work) -> None:
    """Make the folders, and find out before the work whether they can be written; raises `FormatError`."""
    for folder in {path.parent for path in (task.midi, task.posteriors) if path is not None}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FormatError(
                f"{folder} cannot be made ({reason(error)}); name another folder for the output with -o."
            ) from error
        if not os.access(folder, os.W_OK):
            raise FormatError(f"{folder} cannot be written (permission denied); name another folder with -o.")
    for path in [*task.outputs(work), *([task.posteriors] if task.posteriors else [])]:
        with suppress(OSError):
            clear_halves(path)  # of a process that was killed in the middle of this task


@lru_cache(1)
def _transcriber(model: str, device: str, threads: int | None, backend: str, timbre: bool) -> Transcriber:
    from amtsep.inference import Transcriber

    return Transcriber(model, device, backend, threads, timbre=timbre)


@lru_cache(1)
def _writer(model: str, device: str, threads: int | None) -> Writer:
    from amtsep.sequence.writers import load_writer

    return load_writer(model, device, threads)[0]


def _heard(
    task: Task, work: Work, progress: Callable[[str, float], Any] | None
) -> tuple[Posteriors, Notes | None, str]:
    """Posteriors; the notes, where the network has written them itself; and a remark on the recording."""
    sequence = writes_notes(work.network)
    if is_posteriors(task.source):
        from amtsep.posteriors import Posteriors

        if sequence:
            raise FormatError(f"{task.source}: a sequence network listens itself; give it the recording.")
        posteriors = Posteriors.load(task.source)
        if work.drums == "on" and posteriors.drums is None:
            raise FormatError(f"{task.source} holds nothing of drums; transcribe the recording itself with --drums on.")
        return posteriors, None, ""
    from amtsep.audio import spool_audio
    from amtsep.inference import runs_on_torch
    from amtsep.tuning import in_tune

    lean = task.posteriors is None
    # What is saved holds all that the network knows.
    timbre = work.timbres is not False or task.posteriors is not None
    stereo = not sequence and timbre and (work.stereo > 0 or not lean)
    how = (work.network, work.device, work.threads, work.backend, timbre)
    with ThreadPoolExecutor(1) as beside:
        loading: Future[Transcriber] | None = None
        # Once torch is there it resamples, so it must not come in the middle of a recording.
        if not sequence and not runs_on_torch(work.network, work.device, work.backend):
            loading = beside.submit(_transcriber, *how)
        with (
            spool_audio(task.source, stereo=stereo) as audio,
            nullcontext() if progress is None else progress(audio.name, audio.duration_s) as tell,
        ):
            if sequence:
                posteriors, notes = _writer(work.network, work.device, work.threads)(audio, tell, lean)
                return posteriors, notes, audio.remark
            tuned = in_tune(audio)
            transcriber = _transcriber(*how) if loading is None else loading.result()
            return transcriber(tuned, tell, lean, work.drums != "off", _make_ready), None, audio.remark


def _make_ready(first: int, *_: object) -> None:
    """Import and load what comes after the network, while it runs: when it has heard its first chunk."""
    if first:
        return
    import mido  # noqa: F401
    import numpy.ma  # noqa: F401 - by np.unique

    import amtsep.decoding
    import amtsep.formats.midi
    import amtsep.rhythm.music  # noqa: F401
    from amtsep.rhythm.network import BAR_WEIGHTS, WEIGHTS, load

    load(WEIGHTS)
    load(BAR_WEIGHTS)


def _decode(posteriors: Posteriors, work: Work, name: str, written: Notes | None = None) -> Notes:
    """Notes of posteriors, or as a network has written them; grouped by timbre where that is asked for."""
    from amtsep.decoding import decode, embed_notes
    from amtsep.rhythm.music import for_pedal

    decoding = for_pedal(work.decoding) if work.music.pedal else work.decoding
    notes = decode(posteriors, decoding) if written is None else written
    if work.timbres is False:
        return notes
    if posteriors.embedding is None:
        what = f"{name}: the model {posteriors.model} cannot tell timbres apart"
        if is_posteriors(Path(name)):
            raise FormatError(f"{what}; transcribe the recording itself with --model base.")
        raise FormatError(f"{what}; use --model base.")
    from amtsep.clustering import cluster

    return cluster(embed_notes(notes, posteriors), Clustering(timbres=work.timbres, stereo=work.stereo))


def file_of(ending: str, music: Music, task: Task, work: Work) -> bytes:
    """One of a task's files, by its ending; anything but ".csv", ".json" and ".musicxml" is MIDI."""
    from amtsep import formats
    from amtsep.rhythm.metre import Metre
    from amtsep.tempo import estimate_tempo

    notes = music.notes
    # A name that is no text in any coding is still a file's; what is written inside has to be text.
    stem, name = (os.fsencode(text).decode("utf-8", "replace") for text in (task.source.stem, task.source.name))
    if ending == ".csv":
        return formats.csv_text(notes, music.bends).encode()
    if ending == ".json":
        info: dict[str, Any] = {"source": name}
        if music.tuning is not None:
            info["tuning_cents"] = round(music.tuning, 1)
        return formats.json_text(notes, info, music.beats, music.bends, music.pedal).encode()
    metre = None if work.music.metre is None else Metre.parse(work.music.metre)
    if ending == ".musicxml":
        return formats.musicxml_bytes(notes, work.tempo, stem, music.beats, work.music.quantisation, metre)
    # Where a steady tempo was asked for, that is the grid.
    beats = music.beats if work.tempo is None else None
    tempo = formats.TEMPO if beats is not None else estimate_tempo(notes) if work.tempo is None else work.tempo
    if work.tempo is not None and metre is not None:
        tempo *= metre.beat_quarters
    return formats.midi_bytes(notes, tempo, stem, mark_of(task, work), beats, music.bends, music.pedal, metre=metre)


# --- many recordings -------------------------------------------------------------------------------------------------


def run(tasks: Iterable[Task], work: Work, jobs: int = 1) -> Iterator[Result]:
    """Do tasks in `jobs` processes, in whatever order they end; a process that dies takes nothing but its task with it.

    Raises
    ------
    ModelError
        If the network cannot be loaded.
    """
    yield from in_processes(functools.partial(perform, work=work), tasks, jobs, given_up)


def in_processes(
    function: Callable[[Item], Outcome], items: Iterable[Item], jobs: int, given_up: Callable[[Item], Outcome]
) -> Iterator[Outcome]:
    """``function(item)`` of every item in `jobs` processes, in whatever order they end.

    Parameters
    ----------
    function, items
        Both are pickled.
    given_up
        The outcome of an item under which its process died each of `ATTEMPTS` times; the others do not notice.

    Raises
    ------
    Exception
        What `function` raises ends everything.
    """
    import multiprocessing
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor

    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    left, done = waiting.qsize(), queue.SimpleQueue[Any]()
    stop = threading.Event()

    def serve() -> None:
        pool: ProcessPoolExecutor | None = None
        try:
            while not stop.is_set():
                try:
                    item = waiting.get_nowait()
                except queue.Empty:
                    return
                for attempt in range(1, ATTEMPTS + 1):
                    # One process a pool: whose item it was that killed it is then no question.
                    context = multiprocessing.get_context("spawn")
                    pool = pool or ProcessPoolExecutor(1, mp_context=context)
                    try:
                        done.put((pool.submit(function, item).result(), None))
                        break
                    except BrokenProcessPool:
                        pool.shutdown(wait=False)
                        pool = None
                        if attempt == ATTEMPTS:
                            done.put((given_up(item), None))
        except BaseException as error:  # noqa: BLE001 - said by whoever waits for results
            done.put((None, error))
        finally:
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(max(1, min(jobs, left)))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(left):
            found, error = done.get()
            if error is not None:
                raise error
            yield found
    finally:
        stop.set()


def given_up(task: Task) -> Result:
    """The result of a task under which its process died each time."""
    said = f"{task.source}: the process that read it died {ATTEMPTS} times (out of memory, or killed); it was given up."
    return Result(str(task.source), "failed", message=said)


def run_on_cluster(tasks: Iterable[Task], work: Work, client: Any) -> Iterator[Result]:
    """Do tasks on a Dask cluster (`amtsep.workers.connect`), whose workers see the same files under the same names.

    What a worker had not finished when it was lost is done by another one; `resume` is always on there, so that what it
    had finished, but not told, is not done again.
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    tasks, work = iter(tasks), replace(work, resume=True)
    attempts: dict[str, tuple[Task, int]] = {}

    def submit(task: Task, attempt: int) -> Any:
        future = client.submit(perform, task, work, pure=False, retries=ATTEMPTS)
        attempts[future.key] = (task, attempt)
        return future

    ready = as_completed()
    for task in tasks:
        ready.add(submit(task, 1))
        if len(attempts) >= AHEAD * max(1, sum(client.nthreads().values())):
            break
    for future in ready:
        task, attempt = attempts.pop(future.key)
        try:
            result = future.result()
        except KilledWorker:
            # Several workers were lost while they had it: by chance, on a cluster that loses many, or by its fault.
            if attempt < ATTEMPTS:
                ready.add(submit(task, attempt + 1))
                continue
            result = given_up(task)
        future.release()
        yield result
        following = next(tasks, None)
        if following is not None:
            ready.add(submit(following, 1))
