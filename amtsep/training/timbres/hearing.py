"""What a network hears of mixes, songs and recordings whose number of timbres is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio
from amtsep.config import Decoding, FrontEnd
from amtsep.decoding import decode, embed_notes
from amtsep.evaluation.metrics import fuse
from amtsep.evaluation.readers import recordings
from amtsep.inference import Transcriber
from amtsep.notes import Notes
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.guard import refuse_recording, refuse_stems
from amtsep.training.timbres.drawing import draw_mix, mix_song, songs_of


@dataclass(frozen=True, eq=False)
class HeardMix:
    """Notes that were heard, with embeddings, and the notes that were played, a track a timbre."""

    heard: Notes
    truth: Notes

    @property
    def timbres(self) -> int:
        """How many play."""
        return len(np.unique(self.truth.track))

    def labels(self) -> NDArray[np.intp]:
        """The timbre of every heard note: that of the nearest true onset at its pitch, -1 over 0.1 s away."""
        result = np.full(len(self.heard), -1, np.intp)
        for pitch in np.unique(self.heard.pitch):
            mine, theirs = np.flatnonzero(self.heard.pitch == pitch), np.flatnonzero(self.truth.pitch == pitch)
            if len(theirs):
                distance = np.abs(self.heard.onset[mine][:, None] - self.truth.onset[theirs][None])
                near = distance.min(axis=1) < 0.1
                result[mine[near]] = self.truth.track[theirs[distance.argmin(axis=1)[near]]]
        return result


COLUMNS = ("onset", "offset", "pitch", "velocity", "confidence", "track", "embedding")


def save_examples(path: str | Path | IO[bytes], examples: Sequence[HeardMix]) -> None:
    """Write examples to one ``.npz``."""
    arrays: dict[str, Any] = {}
    for kind in ("heard", "truth"):
        tables = [getattr(example, kind) for example in examples]
        arrays[f"{kind}_length"] = np.array([len(notes) for notes in tables])
        for name in COLUMNS:
            if kind == "heard" or name != "embedding":
                arrays[f"{kind}_{name}"] = np.concatenate([getattr(notes, name) for notes in tables])
    np.savez_compressed(path, **arrays)


def load_examples(path: str | Path) -> list[HeardMix]:
    """Read what `save_examples` wrote."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    tables: dict[str, list[Notes]] = {}
    for kind in ("heard", "truth"):
        length = arrays.pop(f"{kind}_length")
        columns = {name: arrays[f"{kind}_{name}"] for name in COLUMNS if f"{kind}_{name}" in arrays}
        spans = zip(np.cumsum(length) - length, np.cumsum(length), strict=True)
        tables[kind] = [Notes.build(**{name: values[a:b] for name, values in columns.items()}) for a, b in spans]
    return [HeardMix(heard, truth) for heard, truth in zip(tables["heard"], tables["truth"], strict=True)]


def hear_mixes(
    bank_folder: Path,
    weights: Path,
    split: str,
    seeds: Sequence[int],
    decoding: Decoding | None,
    held_out: str = "with",
    songs: bool = False,
) -> list[HeardMix]:
    """Mixes as a network hears them; without `decoding`, the embeddings that it gives to the true notes.

    With `songs`, the bank holds songs (see `mix_song`) and a seed is the number of one.
    """
    bank, transcriber = Bank.open(bank_folder), Transcriber(weights, device="cpu")
    refuse_stems(bank.stems)
    stems = list(songs_of(bank).values()) if songs else []
    examples = []
    for seed in [n for n in seeds if n < len(stems)] if songs else seeds:
        samples, truth = mix_song(bank, stems[seed], seed) if songs else draw_mix(bank, split, seed, True, held_out)
        posteriors = transcriber(Audio(samples * np.float32(0.1), bank.sample_rate, f"mix {seed}"))
        notes = embed_notes(fuse(truth) if decoding is None else decode(posteriors, decoding), posteriors)
        if len(notes) >= 4 and len(truth):
            examples.append(HeardMix(notes, truth))
    return examples


def hear_recordings(dataset: str, root: Path, weights: Path, every: int, decoding: Decoding) -> list[HeardMix]:
    """Real recordings of a *training* set as a network hears them: solos, above all, that no synthesis imitates."""
    chosen = recordings(dataset, root)[::every]
    for recording in chosen:
        refuse_recording(dataset, recording.name, recording.split)
    transcriber = Transcriber(weights, device="cpu")
    examples = []
    for recording in chosen:
        posteriors = transcriber(Audio(recording.audio(), FrontEnd().sample_rate, recording.name))
        notes = embed_notes(decode(posteriors, decoding), posteriors)
        if len(notes) >= 4:
            examples.append(HeardMix(notes, recording.reference))
    return examples
