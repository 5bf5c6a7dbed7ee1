"""Networks that write their notes themselves, chosen by the name or file that `writes_notes` knows them by."""

from __future__ import annotations

from typing import Protocol

from amtsep.audio import Recording
from amtsep.config import Progress
from amtsep.errors import ModelError
from amtsep.inference import find_model
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors
from amtsep.sequence.files import OTHERS, weights


class Writer(Protocol):
    """A recording to the posteriors of what listens, and the notes that were written."""

    def __call__(
        self, audio: Recording, progress: Progress | None = None, lean: bool = False, drums: bool = False
    ) -> tuple[Posteriors, Notes]:
        """Run."""


def load_writer(model: str, device: str = "auto", threads: int | None = None) -> tuple[Writer, bool]:
    """A network, and whether its tracks' programs mean instruments.

    Raises
    ------
    ModelError
        If it is not there, or what it needs is not installed.
    """
    if model in OTHERS:
        from amtsep.sequence.others import OtherTranscriber

        return OtherTranscriber(model, device, threads), True
    try:
        from amtsep.sequence.transcriber import SequenceTranscriber
    except ImportError as error:
        raise ModelError(
            f"{model} needs PyTorch and safetensors, which are not installed; run: pip install 'amtsep[train]'"
        ) from error
    # A shipped one is known by its name; its checksum is looked at on the way.
    own = weights(model)
    path = own if own is None or str(own) == model else find_model(model, ".safetensors")
    network = SequenceTranscriber(path or model, device, threads)
    return network, network.net.vocabulary.kind == "programs"
