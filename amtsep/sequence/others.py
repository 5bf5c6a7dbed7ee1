"""Others' sequence networks, through the package ``mt3-infer``: MT3, MR-MT3 and YourMT3.

The package and its weights are never needed for anything else. The weights come from the network when they are first
asked for, have terms of their own, which are printed before, and stay in amtsep's cache folder. What such a network
writes enters as `Notes` with programs as tracks; posteriors, for pictures, bends and timbres, are those of `base`.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from amtsep.audio import Recording
from amtsep.cache import folder
from amtsep.config import Progress
from amtsep.errors import Cancelled, FormatError, ModelError
from amtsep.formats import read_midi
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors

RATE = 16000
"""Samples a second that the package's networks take."""


@dataclass(frozen=True)
class Other:
    """A published network as ``mt3-infer`` knows it."""

    key: str
    """Its name there."""
    paper: str
    terms: str
    """What is known of the terms of its weights."""


OTHERS: dict[str, Other] = {
    "mt3": Other(
        "mt3_pytorch",
        "Gardner et al. 2022, MT3, in PyTorch (github.com/kunato/mt3-pytorch)",
        "no licence is declared where these weights are published: ask their authors before you build on them",
    ),
    "mr-mt3": Other(
        "mr_mt3",
        "Tan et al. 2024, MR-MT3 (github.com/gudgud96/MR-MT3)",
        "the code is under the MIT licence; read the page of the weights for theirs",
    ),
    "yourmt3": Other(
        "yourmt3",
        "Chang et al. 2024, YourMT3+ (huggingface.co/spaces/mimbres/YourMT3)",
        "the package names the Apache licence 2.0; read the page of the weights for theirs",
    ),
}


class OtherTranscriber:
    """Run a published network over recordings.

    Parameters
    ----------
    name
        A key of `OTHERS`.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    threads
        Of our own network beside it.
    ears
        Our network whose posteriors go with the notes.

    Raises
    ------
    ModelError
        Without the package, or where the weights are not there and cannot be fetched.
    """

    def __init__(self, name: str, device: str = "auto", threads: int | None = None, ears: str = "base") -> None:
        other = OTHERS[name]
        package = _package(name)
        # The package keeps its weights in the working folder unless it is told of another.
        os.environ.setdefault("MT3_CHECKPOINT_DIR", str(folder("mt3")))
        info = package.get_model_info(other.key)["checkpoint"]
        if not _is_there(info["path"]):
            print(
                f"{name}: {other.paper}. Its weights (about {info.get('size_mb', 0):.0f} MB) are fetched now, once, "
                f"from {info.get('download', {}).get('source_url', 'the network')}. Terms: {other.terms}.",
                file=sys.stderr,
            )
        try:
            self.network = package.load_model(other.key, device=device)
        except Exception as error:  # noqa: BLE001 - download, git, torch: none of it has a common base
            raise ModelError(
                f"The weights of {name} are not here and could not be fetched or read ({_first_line(error)}); "
                "connect to the network for the first use, or take --model base."
            ) from error
        self.name = name
        self.transcriber = Transcriber(ears, threads=threads)

    def __call__(
        self, audio: Recording, progress: Progress | None = None, lean: bool = False, drums: bool = False
    ) -> tuple[Posteriors, Notes]:
        """Posteriors of our own network, and the notes that the other one wrote: a track a program.

        Raises
        ------
        Cancelled
            If `progress` returns ``False``.
        ModelError
            If the network fails.
        """
        posteriors = self.transcriber(audio, progress, lean, drums)
        samples = soxr.resample(np.asarray(audio.samples[0 : len(audio.samples)], np.float32), audio.sample_rate, RATE)
        if progress is not None and progress(audio.duration_s, audio.duration_s, "Writing notes") is False:
            raise Cancelled("The transcription was cancelled.")
        try:
            midi = self.network.transcribe(np.clip(samples, -1.0, 1.0).astype(np.float32), sr=RATE)
            stored = io.BytesIO()
            midi.save(file=stored)
            notes = read_midi(stored.getvalue(), name=self.name, drums=True)
        except FormatError:
            raise
        except Exception as error:  # noqa: BLE001 - the package wraps whatever happens
            raise ModelError(f"{self.name} could not transcribe {audio.name} ({_first_line(error)}).") from error
        return posteriors, notes


def _package(name: str) -> Any:
    try:
        import mt3_infer
    except ImportError as error:
        raise ModelError(
            f"The network '{name}' needs the package mt3-infer, which is not installed ({_first_line(error)}); "
            "run: pip install 'amtsep[sequence]'"
        ) from error
    return mt3_infer


def _is_there(path: str) -> bool:
    """Whether weights are where the package will look for them."""
    place = Path(path)
    if not place.is_absolute():
        parts = place.parts[1:] if place.parts[0] == ".mt3_checkpoints" else place.parts
        place = Path(os.environ["MT3_CHECKPOINT_DIR"]).expanduser().joinpath(*parts)
    return any(place.iterdir()) if place.is_dir() else place.is_file()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
