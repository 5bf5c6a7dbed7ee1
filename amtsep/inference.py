"""`Transcriber`: a recording to posteriors, in chunks, with ONNX Runtime, OpenVINO or torch."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from amtsep import openvino_engine
from amtsep.audio import Recording, Samples
from amtsep.config import BACKENDS, N_PITCHES, FrontEnd, Progress
from amtsep.drums import CLASSES
from amtsep.errors import Cancelled, ModelError
from amtsep.loudness import Conditioning, Loudness
from amtsep.onnx_graph import without_outputs
from amtsep.posteriors import Posteriors, encode_db
from amtsep.threads import in_order
from amtsep.tuning import in_tune

CHUNK_FEATURES = 10_240
"""Frames of a chunk times channels of the network: long enough that the halo costs little, short enough that what the
network makes of a chunk stays in a processor's cache, and progress moves."""
CHANNELS = 32
"""Of a network that does not say how wide it is."""
CHUNK_FRAMES = CHUNK_FEATURES // CHANNELS
"""3.7 s: of no network less."""
MOST_AT_ONCE = 4
"""Chunks heard side by side."""

EMBEDDING = "embedding"
DIGITS = 12
"""Of the SHA-256 by which a network's weights are called."""
"""The output that tells timbres apart."""

GATHERED = 1 << 16
"""Samples whose loudness is taken at a time."""

Arrays = dict[str, NDArray[np.float32]]
"""Outputs of a network by name."""


class Engine(Protocol):
    """What runs a chunk: (n,) samples to onset, frame (88, T), level (n_bins, T); offset, embedding (88, T, D)."""

    name: str
    halo: int
    front_end: FrontEnd
    sample_rate: int
    """Of the samples it takes, in Hz: the front end's, or twice it where the engine halves it."""
    at_once: int
    """Chunks that it may be given side by side, each by a thread of its own."""

    def __call__(self, samples: NDArray[np.float32]) -> Arrays:
        """Run."""


def models_folder() -> Path:
    """Folder of the shipped weights: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[1] / "models"


def available_models() -> list[str]:
    """Names of the shipped models."""
    return sorted(path.stem for path in models_folder().glob("*.onnx") if path.stem != DRUM_MODEL)


def find_model(model: str | os.PathLike[str], suffix: str) -> Path:
    """Path of a shipped model's file, or of the user's own.

    Raises
    ------
    ModelError
        If there is none, or a shipped file does not have the checksum that it was shipped with.
    """
    path = Path(model)
    if path.suffix in (".onnx", ".safetensors"):
        if not path.is_file():
            raise ModelError(f"The model file {path} does not exist; check its path.")
        return path
    shipped = models_folder() / f"{model}{suffix}"
    if not shipped.is_file():
        raise ModelError(
            f"There is no model '{model}'; choose one of {', '.join(available_models()) or 'none installed'}."
        )
    check(shipped)
    return shipped


def check(path: Path) -> None:
    """Compare a shipped file with ``SHA256SUMS``; raises `ModelError` where it differs."""
    sums = path.parent / "SHA256SUMS"
    known = dict(line.split()[::-1] for line in sums.read_text().splitlines() if line.strip()) if sums.is_file() else {}
    if path.name not in known or digest(path) != known[path.name]:
        raise ModelError("{name} is damaged (its checksum differs); install amtsep again.", name=path.name)


def digest(path: Path) -> str:
    """SHA-256 of a file, taken once of each that does not change."""
    state = path.stat()
    return _digest(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _digest(path: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versioned(name: str, path: Path, weights: str | None = None) -> str:
    """What a network that tells timbres apart is called in `Posteriors.model`: what is fitted to its embedding
    (`amtsep.clustering.encoder`) belongs to these weights, and to no other network of the name. However they are
    exported, that is by `weights`, their hash; without it by the file's own."""
    return f"{name} {(weights or digest(path))[:DIGITS]}"


def networks_of(model: str) -> list[str]:
    """First digits of the SHA-256 of the files of a network: of its weights, by which every export calls it (see
    `versioned`), and of the shipped export, by which one is called that does not know them."""
    path = find_model(model, ".onnx")
    files = [path.with_suffix(suffix) for suffix in (".safetensors", ".onnx")]
    return [digest(file)[:DIGITS] for file in files if file.is_file()]


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int | None = None, timbre: bool = True) -> None:
        # Else it tells its makers of every use, and keeps what it has not yet told in a data base.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        cores = os.cpu_count() or 1
        # More threads than processors take turns, and some thousands of them take the machine.
        threads = min(threads, cores) if threads else min(cores, 8)
        # Two chunks on a thread each take a third less of the processor than one on two threads, which wait for each
        # other at every layer. The arena makes the peak smaller, too: what is freed is used again at once.
        self.at_once = max(
            range(min(threads, 2), min(threads, MOST_AT_ONCE) + 1), key=lambda n: (n * (threads // n), n)
        )
        options.intra_op_num_threads = threads // self.at_once
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            graph = str(path) if timbre else without_outputs(path.read_bytes(), [EMBEDDING])
            self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            about = json.loads(self.session.get_modelmeta().custom_metadata_map["amtsep"])
            self.front_end = FrontEnd(**about["front_end"])
        except Exception as error:  # noqa: BLE001 - the runtime has no common base for its errors
            raise ModelError(f"{path.name} is not an ONNX file written by 'amtsep export'.") from error
        self.name, self.halo = str(about["name"]), int(about["halo"])
        self.sample_rate = int(about.get("input_rate", self.front_end.sample_rate))
        # A wider network's halo costs more than the cache brings.
        self.chunk_frames = max(CHUNK_FEATURES // about.get("channels", CHANNELS), CHUNK_FRAMES)
        self._outputs = [output.name for output in self.session.get_outputs()]
        if EMBEDDING in self._outputs:
            self.name = versioned(self.name, path, about.get("weights"))

    def __call__(self, samples: NDArray[np.float32]) -> Arrays:
        """Run one chunk."""
        outputs = self.session.run(None, {"audio": samples[None]})
        return {name: output[0] for name, output in zip(self._outputs, outputs)}


class TorchEngine:
    """Torch on CPU, CUDA or Apple's MPS."""

    def __init__(self, path: Path, device: str, timbre: bool = True) -> None:
        import torch

        from amtsep.nets.checkpoint import load_end_to_end

        self._torch, self.device = torch, torch.device(device)
        self.module = load_end_to_end(path).to(self.device)
        if not timbre:
            self.module.net.timbre = None
        name, self.halo = self.module.net.network.name, self.module.halo
        self.name = name if self.module.net.timbre is None else versioned(name, path)
        self.front_end = self.module.net.front_end
        self.sample_rate, self.at_once = self.front_end.sample_rate, 1

    def __call__(self, samples: NDArray[np.float32]) -> Arrays:
        """Run one chunk."""
        with self._torch.inference_mode():
            heard = self.module(self._torch.from_numpy(samples)[None].to(self.device))._asdict()
            if heard["embedding"] is not None:
                heard["embedding"] = heard["embedding"].permute(0, 2, 3, 1)
            return {name: output[0].float().cpu().numpy() for name, output in heard.items() if output is not None}


def choose_engine(
    model: str | os.PathLike[str], device: str, backend: str, threads: int | None, timbre: bool = True
) -> Engine:
    """The engine for a device: ONNX Runtime on the CPU, torch on an accelerator, unless `backend` says otherwise.

    Without `timbre` it gives no embedding.

    Raises
    ------
    ModelError
        If the device or backend is not there.
    """
    if device not in ("auto", "cpu", "cuda", "mps") or backend not in BACKENDS:
        raise ModelError(f"Unknown device '{device}' or backend '{backend}'; see amtsep transcribe --help.")
    if runs_on_torch(model, device, backend):
        try:
            import torch
        except ImportError:
            raise ModelError(
                f"Device '{device}' needs PyTorch, which is not installed; install it with pip install 'amtsep[gpu]'."
            ) from None
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not there.get(device, True):
            raise ModelError(f"Device '{device}' is not available on this machine; leave out --device or use cpu.")
        if device == "auto":
            device = next((name for name, here in there.items() if here), "cpu")
        return TorchEngine(find_model(model, ".safetensors"), device, timbre)
    onnx = OnnxEngine(find_model(model, ".onnx"), threads, timbre)
    if backend != "openvino":
        return onnx
    if not openvino_engine.usable():
        raise ModelError(
            "OpenVINO is not installed, or this processor does not multiply in bfloat16; leave out the backend."
        )
    engine = openvino_engine.OpenVinoEngine(find_model(model, ".onnx"), onnx.at_once, timbre=timbre)
    engine.name, engine.chunk_frames = onnx.name, onnx.chunk_frames
    return engine


def runs_on_torch(model: str | os.PathLike[str], device: str, backend: str) -> bool:
    """Whether it is torch that `choose_engine` takes."""
    return device in ("cuda", "mps") or backend == "torch" or Path(model).suffix == ".safetensors"


class Transcriber:
    """Run a network over recordings.

    Parameters
    ----------
    model
        ``"light"``, another shipped model, or the path of an ``.onnx`` or ``.safetensors`` file.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    backend
        ``"auto"``, ``"onnx"`` or ``"openvino"`` (these need no torch), or ``"torch"``. "auto" takes ONNX Runtime on
        the CPU; OpenVINO has to be asked for (``amtsep[fast]``), since its notes differ a little.
    threads
        Of ONNX Runtime and OpenVINO, at most one a core; all cores up to eight by default.
    chunk_frames
        Frames computed at once, by default as many as suit the network; the result does not depend on it.
    engine
        One that is there already, instead of what the options around would choose.
    timbre
        Whether to compute the embedding that tells timbres apart, where the network has one. Notes on one track need
        none, and without it `base` has a quarter less to do.

    Examples
    --------
    >>> from amtsep import Transcriber, load_audio  # doctest: +SKIP
    >>> posteriors = Transcriber()(load_audio("song.wav"))  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "light",
        device: str = "auto",
        backend: str = "auto",
        threads: int | None = None,
        chunk_frames: int | None = None,
        engine: Engine | None = None,
        timbre: bool = True,
    ) -> None:
        self.engine = choose_engine(model, device, backend, threads, timbre) if engine is None else engine
        self.threads = threads
        self.chunk_frames = chunk_frames or getattr(self.engine, "chunk_frames", None) or CHUNK_FRAMES

    def __call__(
        self,
        audio: Recording,
        progress: Progress | None = None,
        lean: bool = False,
        drums: bool = False,
        also: Callable[[int, Arrays, float], object] | None = None,
    ) -> Posteriors:
        """Posteriors of a recording.

        Parameters
        ----------
        audio
            At the engine's rate: 22,050 Hz but for networks exported for another.
        progress
            Called with seconds done and seconds in all.
        lean
            Keep the embedding in a temporary file, of which what is looked at comes into memory: for one decoding of
            an hour or more. It is gone with the posteriors.
        drums
            Listen for drum strokes, too, with the network that hears them.
        also
            Called with the first frame of every chunk, all that the network says of it, and the seconds of a frame: in
            their order with an engine that hears one at a time, else as they come, several at once.

        Raises
        ------
        ModelError
            If the recording has another rate.
        Cancelled
            If `progress` returns ``False``.
        """
        front_end = self.engine.front_end
        check_rate(self.engine, audio)
        tuned = in_tune(audio)
        n_frames = frames_of(self.engine, tuned)
        onset = np.zeros((N_PITCHES, n_frames), np.float32)
        frame = np.zeros_like(onset)
        spectrogram = np.zeros((front_end.n_bins, n_frames), np.uint8)
        # What not every network gives, as soon as it does.
        given: dict[str, NDArray[Any]] = {}

        def take(first: int, last: int, heard: Arrays) -> None:
            onset[:, first:last], frame[:, first:last] = heard["onset"], heard["frame"]
            spectrogram[:, first:last] = encode_db(heard["level"])
            if also is not None:
                also(first, heard, front_end.hop_s / tuned.stretch)
            if "offset" in heard:
                if "offset" not in given:
                    given.setdefault("offset", np.zeros_like(onset))
                given["offset"][:, first:last] = heard["offset"]
            if EMBEDDING in heard:
                if EMBEDDING not in given:
                    shape = (N_PITCHES, n_frames, heard[EMBEDDING].shape[2])
                    given.setdefault(EMBEDDING, np.zeros(shape, np.int8) if not lean else stored(shape))
                given[EMBEDDING][:, first:last] = np.round(heard[EMBEDDING] * 127.0).astype(np.int8)
                if lean:
                    release(given[EMBEDDING])

        own = part(progress, 0.0, 1.0 - DRUM_SHARE) if drums else progress
        hear_in_chunks(self.engine, tuned, self.chunk_frames, take, own, "Transcribing")
        return Posteriors(
            onset,
            frame,
            spectrogram,
            front_end.hop_s / tuned.stretch,
            audio.duration_s,
            front_end.bins_per_octave,
            given.get(EMBEDDING),
            self.engine.name,
            given.get("offset"),
            tuning=tuned.cents,
            drums=hear_drums(tuned, self.threads, part(progress, 1.0 - DRUM_SHARE, 1.0)) if drums else None,
            # Tracks are told apart by it; who asks for no timbre asks for none.
            stereo=audio.stereo if EMBEDDING in given else None,
        )


def part(progress: Progress | None, first: float, last: float) -> Progress | None:
    """Progress of a piece of work that is told as the part from `first` to `last`, each in [0, 1], of a larger one."""
    if progress is None:
        return None
    return lambda done, total, what: progress(first * total + (last - first) * done, total, what)


def frames_of(engine: Engine, audio: Recording) -> int:
    """How many frames a recording has."""
    hop = engine.front_end.hop_length * engine.sample_rate // engine.front_end.sample_rate
    return max(-(-len(audio.samples) // hop), 1)


def check_rate(engine: Engine, audio: Recording) -> None:
    """Raise `ModelError` if the recording has another rate than the network takes."""
    rate = engine.sample_rate
    if audio.sample_rate != rate:
        raise ModelError(
            f"This network takes sound at {rate} Hz, and {audio.name} has {audio.sample_rate} Hz; resample it with "
            "amtsep.audio.from_samples, or use another network."
        )


def hear_in_chunks(
    engine: Engine,
    audio: Recording,
    chunk_frames: int,
    take: Callable[[int, int, Arrays], object],
    progress: Progress | None,
    what: str,
) -> None:
    """Let a network hear a recording, chunk by chunk.

    Parameters
    ----------
    take
        Called with the first frame of every chunk, its last frame + 1, and the outputs of these frames, in the thread
        that has heard it: several at once, in any order. A ``level`` is that of the recording, in dB re full scale.

    Raises
    ------
    ModelError
        If the recording has another rate than the network takes.
    Cancelled
        If `progress` returns ``False``.
    """
    check_rate(engine, audio)
    front_end, halo, rate, samples = engine.front_end, engine.halo, engine.sample_rate, audio.samples
    hop = front_end.hop_length * rate // front_end.sample_rate
    # What a chunk cannot know: how loud the recording is.
    loudness = Loudness(front_end, rate)
    for start in range(0, len(samples), GATHERED):
        loudness.push(samples[start : start + GATHERED])
    conditioning = loudness.finish()
    n_frames = frames_of(engine, audio)
    spans = [(first, min(first + chunk_frames, n_frames)) for first in range(0, n_frames, chunk_frames)]

    def hear(span: tuple[int, int]) -> int:
        first, last = span
        outputs = engine(conditioned(samples, conditioning, (first - halo) * hop, (last + halo) * hop))
        heard = {name: o[:, halo : halo + last - first] for name, o in outputs.items()}
        if "level" in heard:
            heard["level"] = heard["level"] + conditioning.level_db(first, last)
        # Here and now, while it is in the processor's cache; and the memory is used again for the next one.
        take(first, last, heard)
        return last

    for last in in_order(hear, spans, engine.at_once):
        done = min(last * hop / rate, audio.duration_s)
        if progress is not None and progress(done, audio.duration_s, what) is False:
            raise Cancelled("The transcription was cancelled.")


DRUM_MODEL = "drums"
"""Name of the shipped drum network."""
DRUM_SHARE = 0.2
"""About so much of the work is the drums', where both are listened for."""


def hear_drums(audio: Recording, threads: int | None = None, progress: Progress | None = None) -> NDArray[np.float32]:
    """Posteriors of drum strokes.

    Returns
    -------
    (5, T) float32 in [0, 1]
        A row a class of `amtsep.drums.CLASSES`, frames as those of `Posteriors` of the same samples: `Transcriber`
        hears a recording that is far from 440 Hz brought near (`amtsep.tuning.in_tune`).
    """
    engine = OnnxEngine(find_model(DRUM_MODEL, ".onnx"), threads)
    found = np.zeros((len(CLASSES), frames_of(engine, audio)), np.float32)

    def take(first: int, last: int, heard: Arrays) -> None:
        found[:, first:last] = heard["drums"]

    hear_in_chunks(engine, audio, CHUNK_FRAMES, take, progress, "Listening for drums")
    return found


def with_drums(posteriors: Posteriors, audio: Recording, progress: Progress | None = None) -> Posteriors:
    """Posteriors with what there is to hear of drums, for those that were made without."""
    heard = in_tune(audio) if posteriors.tuning else audio
    return replace(posteriors, drums=hear_drums(heard, progress=progress))


def stored(shape: tuple[int, ...]) -> NDArray[np.int8]:
    """An array of zeros in a file without a name, which goes with it."""
    with tempfile.TemporaryFile(prefix="amtsep-") as file:
        file.truncate(int(np.prod(shape)))
        return np.memmap(file, np.int8, "r+", shape=shape)


def release(array: NDArray[Any]) -> None:
    """Leave an array that lies in a file (`stored`) to the file: what is looked at later is read again."""
    mapping = array._mmap  # type: ignore[attr-defined]
    if hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def conditioned(samples: Samples, conditioning: Conditioning, start: int, stop: int) -> NDArray[np.float32]:
    """Samples ``start`` to ``stop`` at the level that the network expects, zeros where these lie outside."""
    first = min(max(start, 0), len(samples))
    inner = conditioning.apply(samples[first : max(stop, 0)], first)
    before = min(max(-start, 0), stop - start)
    after = stop - start - before - len(inner)
    return np.pad(inner, (before, after)) if before or after else inner


RUN_BY = ("inference.py", "loudness.py", "onnx_graph.py", "openvino_engine.py", "stereo.py", "tuning.py")
"""Code whose change makes other posteriors of the same samples: none of before may come from a cache."""


def model_hash(model: str | os.PathLike[str]) -> str:
    """SHA-256 over a network's file, shipped or one's own, and the code that runs it.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    path = find_model(model, Path(model).suffix or ".onnx")
    code = Path(__file__).parent
    files = [path, *(code / name for name in RUN_BY)]
    if path.suffix == ".safetensors":
        files += sorted((code / "nets").glob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(_file_hash(file, file.stat().st_mtime_ns).encode())
    return digest.hexdigest()


@lru_cache(64)
def _file_hash(path: Path, _modified_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
