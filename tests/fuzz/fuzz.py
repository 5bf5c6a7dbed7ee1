"""Damaged and hostile files by the thousand: ``python tests/fuzz/fuzz.py --count 10000 --seed 1``.

Seeds of every kind that is read (recordings, MIDI, CSV, JSON, posteriors, compressed scores) are mutated: bytes turned,
stretches cut out, doubled, filled, numbers in headers made huge. Whatever comes of it must be a value or one of our
sentences, within time and memory; anything else is kept in ``--keep`` and ends the run with status 1. Decoders run in
this process with ``--here`` (fast: a crash then ends the run, and says on which file), in the child as users have it
without.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import struct
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from amtsep import formats
from amtsep.audio import load_audio
from amtsep.config import Limits
from amtsep.errors import AmtsepError
from amtsep.notes import Notes
from amtsep.posteriors import Posteriors

LIMITS = Limits(max_duration_s=600.0)
SLOW_S = 20.0
"""Processor time over which a file counts as a fault."""
Reader = Callable[[bytes, bool], object]


def recording(data: bytes, here: bool) -> object:
    """A recording."""
    return load_audio(data, name="fuzz", limits=LIMITS, apart=not here)


READERS: dict[str, Reader] = {
    "audio": recording,
    "midi": lambda data, _: formats.read_midi(data, name="fuzz"),
    "csv": lambda data, _: formats.read_csv(data, name="fuzz"),
    "json": lambda data, _: formats.read_json(data, name="fuzz"),
    "npz": lambda data, _: Posteriors.load(io.BytesIO(data), LIMITS),
}


def seeds() -> list[tuple[str, str, bytes]]:
    """Sound files of every kind: reader, name, content."""
    rng = np.random.default_rng(0)
    wave = (np.sin(np.arange(8000) * 0.1)[:, None] * 0.3 + rng.standard_normal((8000, 2)) * 0.01).astype(np.float32)
    made: list[tuple[str, str, bytes]] = []
    for container, subtype in (
        ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("CAF", "ALAC_16"), ("AU", "ULAW"),
    ):  # fmt: skip
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, 48000 if subtype == "OPUS" else 44100, format=container, subtype=subtype)
        made.append(("audio", f"{container}-{subtype}", buffer.getvalue()))
    made += [("audio", name, encoded(wave, *how)) for name, *how in _AV]  # type: ignore[arg-type]
    n = 40
    onset = np.arange(n) * 0.25
    notes = Notes.build(onset, onset + 0.2, 40 + np.arange(n), track=np.arange(n) % 3)
    made.append(("midi", "midi", formats.midi_bytes(notes, title="fuzz")))
    made.append(("csv", "csv", formats.csv_text(notes).encode()))
    made.append(("json", "json", formats.json_text(notes).encode()))
    out = io.BytesIO()
    both = rng.random((2, 88, 30)).astype(np.float32)
    vectors = rng.integers(-127, 127, (88, 30, 4)).astype(np.int8)
    Posteriors(*both, np.zeros((306, 30), np.uint8), 0.0116, 0.348, embedding=vectors).save(out)
    made.append(("npz", "npz", out.getvalue()))
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(out.getvalue())) as old, zipfile.ZipFile(stored, "w") as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    made.append(("npz", "npz-stored", stored.getvalue()))
    return made


_AV = (
    ("m4a", "ipod", "aac", "stereo"), ("adts", "adts", "aac", "stereo"), ("webm", "webm", "libopus", "stereo"),
    ("mkv-7.1", "matroska", "aac", "7.1"),
)  # fmt: skip


def encoded(wave: np.ndarray, container: str, codec: str, layout: str) -> bytes:
    """Through FFmpeg's encoders."""
    import av

    channels = 8 if layout == "7.1" else 2
    packed = np.ascontiguousarray(np.resize(wave[:, :1], (len(wave), channels)).reshape(1, -1))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000, layout=layout)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate = 48000
        converter = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=48000)
        for converted in converter.resample(frame):
            out.mux(stream.encode(converted))
        out.mux(stream.encode())
    return buffer.getvalue()


def mutate(rng: np.random.Generator, data: bytes) -> bytes:
    """One to four mutations; the head, where sizes stand, is hit more often."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            break
        reach = min(len(out), 256) if rng.random() < 0.5 else len(out)
        at = int(rng.integers(reach))
        length = int(min(rng.integers(1, 64), len(out) - at))
        kind = int(rng.integers(8))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[at : at + length] = rng.bytes(length)
        elif kind == 2:
            del out[at : at + length]
        elif kind == 3:
            out[at:at] = out[at : at + length]
        elif kind == 4:
            del out[at:]
        elif kind == 5:
            out[at : at + length] = bytes([int(rng.choice([0, 0x7F, 0x80, 0xFF]))]) * length
        elif kind == 6:
            number = int(rng.choice([0, 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 10**6]))
            out[at : at + 4] = struct.pack(str(rng.choice(["<I", ">I"])), number)
        else:
            other = int(rng.integers(len(out)))
            out[at : at + length] = out[other : other + length]
    return bytes(out)


def inputs(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """So many mutated files, the kinds in turn."""
    kinds = seeds()
    for number in range(count):
        reader, name, data = kinds[number % len(kinds)]
        yield reader, f"{seed}-{number}-{name}", mutate(np.random.default_rng([seed, number]), data)


def attack(count: int, seed: int, here: bool, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """What came of it, by kind, and the faults."""
    outcome: Counter[str] = Counter()
    faults: list[str] = []
    for reader, name, data in inputs(count, seed):
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / "current").write_bytes(data)  # what a crash leaves behind
        began = time.process_time()
        try:
            READERS[reader](data, here)
            outcome[f"{reader} read"] += 1
        except AmtsepError as error:
            outcome[f"{reader} refused"] += 1
            if "\n" in str(error) or not str(error).endswith("."):
                faults.append(f"{name}: no sentence: {error!r}")
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            faults.append(f"{name}: {type(error).__name__}: {error}")
        if time.process_time() - began > SLOW_S:
            faults.append(f"{name}: {time.process_time() - began:.0f} s")
        if keep is not None and faults and faults[-1].startswith(f"{name}:"):
            (keep / name).write_bytes(data)
    return outcome, faults


def main() -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--here", action="store_true", help="decode in this process")
    parser.add_argument("--keep", type=Path, help="folder for files that show a fault")
    args = parser.parse_args()
    faulthandler.enable()
    outcome, faults = attack(args.count, args.seed, args.here, args.keep)
    for kind, number in sorted(outcome.items()):
        print(f"{kind}: {number}")
    print(f"faults: {len(faults)}", *faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
