"""Patches of synthesizers as collections of single notes: rendered once, checked, and played by the sampler.

A collection is a folder with

- ``patches.jsonl``: one line a patch that was tried (`Patch`), with the reason where it was not kept;
- for each kept patch a folder of short Ogg Vorbis files (22.05 kHz mono, from 30 ms before the onset to the audible
  end), and ``index.tsv``: file, MIDI pitch, velocity, cents off, onset and end in the file (s), gain to -20 dBFS.

The synthesizers (`amtsep.synthesis.zyn`, `amtsep.synthesis.vital`) make data only: nothing else imports them, and what
they rendered is played without them. Each patch is measured by the rule of `amtsep.synthesis.onsets`, and dropped as
programs of soundfonts are: silent, slow, unsteady, without clear pitch, out of tune; besides, where its pitch wanders
or it strikes again by itself (arpeggios, echoes).
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as Late
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import Progress
from amtsep.errors import Cancelled, DataError
from amtsep.synthesis.instruments import Instrument
from amtsep.synthesis.onsets import DEFAULT_RULE, LabelRule, NoteShape, audible_end, decibel, energy_of, measure, smooth
from amtsep.synthesis.patch_engine import HOLD_S, LEAD_S, Description, Engine, RawNote
from amtsep.synthesis.pitch import cents_off, sounding_offset
from amtsep.synthesis.sampler import RATE, Sample, SampleSet, cut_note, oversample

ENGINES = ("zyn", "vita")
LIST = "patches.jsonl"
INDEX = "index.tsv"
_LOST = 4
"""So many patches in a row that bring the synthesizer down are not the patches' fault."""
_PATIENCE_S = 300
"""A patch that takes longer is given up."""
STRUCK_S = 5.0
"""A held note that has died away sooner than this is of a plucked or struck sound."""


@dataclass(frozen=True)
class Limits:
    """What a patch must keep to; times in seconds, pitch in cents."""

    delay_s: float = 0.1
    """Median time from the key to the onset."""
    spread_s: float = 0.03
    """Half the distance of the 10 % and 90 % quantiles of that time."""
    cents: float = 25.0
    """How far single notes may be off the patch's own tuning."""
    tuning: float = 60.0
    """How far the patch may be off altogether; it is brought back."""
    strike_db: float = 12.0
    """A level that rises by more than this within 40 ms, after the onset, is another attack."""
    share: float = 0.6
    """Of the pitches tried, how many must be usable."""
    pitches: int = 6
    """Of the pitches tried, how many must be usable at least."""


@dataclass(frozen=True)
class Patch:
    """One patch of a collection as measured; `verdict` says why it was dropped, and is empty where it was kept."""

    name: str
    origin: str
    family: str
    category: str
    low: int
    high: int
    mono: bool
    held_out: bool
    verdict: str
    notes: int = 0
    delay_s: float = 0.0
    spread_s: float = 0.0
    decay_s: float = 0.0
    """Median time from the onset to 30 dB under the peak while held; 0 where it does not die away."""
    release_s: float = 0.0
    cents: float = 0.0
    """How far the patch was off before it was brought into tune."""

    @property
    def instrument(self) -> Instrument:
        """The patch as an instrument that scores are written for."""
        return Instrument(self.family, self.category, self.low, self.high, self.mono)


# --- measuring -------------------------------------------------------------------------------------------------------


def strikes_again(samples: NDArray[np.float32], shape: NoteShape, strike_db: float) -> bool:
    """Whether the level rises like another attack more than 120 ms after the onset, while the key is held."""
    level = decibel(smooth(energy_of(samples, RATE), 24.0))
    level = np.maximum(level, shape.sustained_db - 30)
    held = level[int((shape.onset_s + 0.12) * 1000) : int((LEAD_S + HOLD_S) * 1000)]
    if len(held) < 100:
        return False
    return bool(np.max(held[40:] - held[:-40]) > strike_db)


@dataclass(frozen=True)
class _Measured:
    note: RawNote
    shape: NoteShape
    offset: int


def _look(note: RawNote, rule: LabelRule, limits: Limits) -> _Measured | str:
    """Measure one note; a word where it is of no use."""
    shape = measure(note.samples, RATE, LEAD_S + HOLD_S, rule, note.pitch)
    if shape is None:
        return "silent"
    if shape.onset_s - LEAD_S > limits.delay_s + 2 * limits.spread_s:
        return "slow"
    start = int(shape.onset_s * RATE)
    offset = sounding_offset(note.samples[start:], RATE, note.pitch)
    if offset is None:
        return "without clear pitch"
    later = note.samples[start + int(0.8 * RATE) : int((LEAD_S + HOLD_S) * RATE)]
    loud = float(decibel(np.array([np.mean(np.square(later, dtype=np.float64))]))[0]) if len(later) else -120.0
    if loud > shape.sustained_db - 18 and sounding_offset(later, RATE, note.pitch) != offset:
        return "pitch wanders"
    if strikes_again(note.samples, shape, limits.strike_db):
        return "strikes again"
    return _Measured(note, shape, offset)


def _blank(known: Description, verdict: str) -> Patch:
    return Patch(**asdict(known), verdict=verdict)


@dataclass(frozen=True)
class CutNote:
    """One note as it is kept in a collection; see the module's head."""

    pitch: int
    velocity: int
    cents: float
    onset_s: float
    end_s: float
    gain: float
    samples: NDArray[np.float32]


def survey(
    known: Description, notes: list[RawNote], rule: LabelRule = DEFAULT_RULE, limits: Limits | None = None
) -> tuple[Patch, list[CutNote]]:
    """Measure a patch's notes and cut them for the sampler; no notes where the patch is not to be kept."""
    import soxr

    limits = limits or Limits()
    blank = _blank(known, "")
    looked = [_look(note, rule, limits) for note in notes]
    good = [m for m in looked if isinstance(m, _Measured)]
    troubles = Counter(m for m in looked if isinstance(m, str))

    def bad(why: str | None = None) -> tuple[Patch, list[CutNote]]:
        return replace(blank, verdict=why or (troubles.most_common(1)[0][0] if troubles else "silent")), []

    tried = len({n.pitch for n in notes})
    enough = max(limits.pitches, int(np.ceil(limits.share * tried)))
    if len({m.note.pitch for m in good}) < enough:
        return bad()
    offset = Counter(m.offset for m in good).most_common(1)[0][0]
    good = [m for m in good if m.offset == offset]
    cents = [cents_off(m.note.samples[int(m.shape.onset_s * RATE) :], RATE, m.note.pitch + offset) for m in good]
    tuning = float(np.median(cents))
    if abs(tuning) > limits.tuning:
        return bad("out of tune")
    pairs = [(m, c - tuning) for m, c in zip(good, cents, strict=True) if abs(c - tuning) <= limits.cents]
    if len({m.note.pitch for m, _ in pairs}) < enough:
        return bad("out of tune")
    delays = np.array([m.shape.onset_s - LEAD_S for m, _ in pairs])
    delay, spread = float(np.median(delays)), float(np.diff(np.quantile(delays, [0.1, 0.9]))[0] / 2)
    if delay > limits.delay_s:
        return bad("slow")
    if spread > limits.spread_s:
        return bad("unsteady")
    speed = 2.0 ** (tuning / 1200) if abs(tuning) > 6 else 1.0
    kept: list[CutNote] = []
    decays, releases = [], []
    for m, off in pairs:
        shape, sound = m.shape, m.note.samples
        decay = shape.decayed_s - shape.onset_s
        end = audible_end(shape.onset_s, LEAD_S + HOLD_S, decay, shape.release_s, rule)
        done = cut_note(sound, shape, rule, end)
        if done is None:
            continue
        body, onset, end, gain = done
        if speed != 1.0:
            body = soxr.resample(body, RATE, RATE * speed, quality="HQ").astype(np.float32)
            onset, end = onset * speed, end * speed
        rest = off if speed != 1.0 else off + tuning
        kept.append(CutNote(m.note.pitch + offset, m.note.velocity, rest, onset, end, gain, body))
        decays.append(decay)
        releases.append(shape.release_s)
    if len({n.pitch for n in kept}) < enough:
        return bad("short")
    decay = float(np.median(decays))
    category = known.category
    if decay < STRUCK_S and category not in _STRUCK:
        category = "plucked"
    pitches = [n.pitch for n in kept]
    patch = replace(
        blank,
        category=category,
        low=max(min(pitches) - 1, 21),
        high=min(max(pitches) + 1, 108),
        notes=len(kept),
        delay_s=round(delay, 4),
        spread_s=round(spread, 4),
        decay_s=round(decay, 3) if np.isfinite(decay) else 0.0,
        release_s=round(float(np.median(releases)), 3),
        cents=round(tuning, 1),
    )
    return patch, kept


_STRUCK = frozenset({"piano", "keys", "mallet", "guitar", "bass", "plucked", "organ"})
"""Categories that are kept where the sound dies away (an organ's click may weigh more than its tone)."""


# --- the files -------------------------------------------------------------------------------------------------------


_COLUMNS = ("file", "midi", "velocity", "cents", "onset", "end", "gain")


def _write(folder: Path, notes: list[CutNote]) -> None:
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for note in notes:
        file = f"{note.pitch:03d}_{note.velocity:03d}.ogg"
        # Peaks are kept clear of full scale, where Vorbis would clip; the gain makes up for it.
        scale = 0.6 / max(float(np.abs(note.samples).max()), 1e-9)
        soundfile.write(folder / file, note.samples * scale, RATE, format="OGG", subtype="VORBIS")
        rows.append(
            (file, note.pitch, note.velocity, f"{note.cents:.1f}", f"{note.onset_s:.5f}", f"{note.end_s:.4f}",
             f"{note.gain / scale:.6g}")
        )  # fmt: skip
    # The index comes last: a folder without one is not finished.
    with open(folder / INDEX, "w", encoding="utf-8", newline="") as file_:
        writer = csv.writer(file_, delimiter="\t", lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows)


def is_collection(root: Path) -> bool:
    """Whether `root` holds patches rendered by `render_patches`."""
    return (Path(root) / LIST).is_file()


def read_patches(root: Path) -> list[Patch]:
    """Every patch that was tried for the collection in `root`, those dropped included, in the order of their names."""
    path = Path(root) / LIST
    if not path.is_file():
        raise DataError(f"{root} holds no patches ({LIST} is missing); make some with `amtsep patches`.")
    found: dict[str, Patch] = {}
    text = path.read_text(encoding="utf-8")
    # What follows the last line's end is a line of a run that was cut off.
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
        try:
            patch = Patch(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}, line {number} is not a patch ({error}); delete the line.") from error
        found[patch.name] = replace(patch, held_out=patch.held_out or held_back(patch))
    return [found[name] for name in sorted(found)]


HELD_OUT_BANKS = ("olivers-other/", "the_mysterious_bank_4/")
"""Banks of ZynAddSubFX that no network is trained on."""


def held_back(patch: Patch) -> bool:
    """Whether a patch is kept for development: some banks as a whole, and every twentieth of Vital's."""
    engine, _, number = patch.origin.partition(" ")
    if engine == "vita" and number.isdigit():
        return int(number) % 20 == 19
    return patch.origin.startswith(HELD_OUT_BANKS)


def load_patch(root: Path, patch: Patch, collection: str) -> SampleSet:
    """Read a patch's notes for `amtsep.synthesis.sampler.render_samples`; nothing is measured again."""
    import soundfile

    folder = Path(root) / patch.name
    samples: list[Sample] = []
    try:
        with open(folder / INDEX, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        for row in rows:
            mono, _ = soundfile.read(folder / row["file"], dtype="float32")
            samples.append(
                Sample(
                    int(row["midi"]),
                    int(row["velocity"]),
                    oversample(mono),
                    float(row["onset"]),
                    min(float(row["end"]), len(mono) / RATE),
                    float(row["gain"]),
                )
            )
    except (OSError, KeyError, ValueError, soundfile.LibsndfileError) as error:
        raise DataError(f"{folder} cannot be read ({error}); delete it and run `amtsep patches` again.") from error
    return SampleSet.build(f"{collection}:{patch.name}", patch.instrument, samples, patch.held_out)


# --- rendering a collection ------------------------------------------------------------------------------------------


def wanted_notes(known: Description, serial: int, step: int = 4, soft: int = 1) -> list[tuple[int, int]]:
    """Pitches and velocities to try: every `step`-th semitone hard, every `soft`-th of these softly, too.

    `serial` moves the first pitch, so that the patches of a collection do not all have the same ones. The sampler
    shifts by two semitones at most: five is the widest step without gaps.
    """
    pitches = range(known.low + serial % step, known.high + 1, step)
    return [(p, v) for i, p in enumerate(pitches) for v in (105, 55) if v == 105 or i % soft == 0]


def make_engine(engine: str) -> Engine:
    """Open a synthesizer by name; raises `DataError` where it is not installed."""
    if engine == "zyn":
        from amtsep.synthesis.zyn import Zyn

        return Zyn()
    if engine == "vita":
        from amtsep.synthesis.vital import Vital

        return Vital()
    raise DataError(f"There is no synthesizer called {engine}: choose from {', '.join(ENGINES)}.")


_engines: dict[str, Engine] = {}


def _quiet() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    # Plugins chatter on standard output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)


def _opened(engine: str) -> Engine:
    if engine not in _engines:
        _engines[engine] = make_engine(engine)
    return _engines[engine]


def _plan(engine: str, count: int, seed: int) -> list[tuple[str, Description]]:
    opened = _opened(engine)
    return [(name, opened.describe(name)) for name in opened.names(count, seed)]


def _make(root: Path, engine: str, name: str, serial: int, rule: LabelRule) -> Patch:
    opened = _opened(engine)
    known = opened.describe(name)
    patch, notes = survey(known, opened.render(name, wanted_notes(known, serial, *opened.grid)), rule)
    if notes:
        _write(root / patch.name, notes)
    return patch


def render_patches(
    root: str | Path,
    engine: str,
    count: int,
    seed: int = 0,
    rule: LabelRule = DEFAULT_RULE,
    progress: Progress | None = None,
) -> list[Patch]:
    """Render up to `count` patches of a synthesizer into the collection `root`; goes on where an earlier run ended.

    Parameters
    ----------
    root
        Folder to write.
    engine
        One of `ENGINES`.
    count
        Patches to try; which ones, is drawn by `seed`. A collection's first patches are the same for any count.
    progress
        Called with patches done, patches in all and what is going on.

    Returns
    -------
    list of Patch
        All that were tried. A patch that brings the synthesizer down is noted as such, and the work goes on.

    Raises
    ------
    DataError
        Where the synthesizer is not installed.
    """
    root = Path(root)
    pool: Any = _pool()
    try:
        planned: list[tuple[str, Description]] = pool.submit(_plan, engine, count, seed).result(timeout=_PATIENCE_S)
    except (BrokenProcessPool, Late) as error:
        raise DataError(f"The synthesizer {engine} does not start on this machine.") from error
    finally:
        _stop(pool)
    root.mkdir(parents=True, exist_ok=True)
    path = root / LIST
    done = set()
    if path.is_file():
        done = {p.name for p in read_patches(root)}
        raw = path.read_bytes()
        path.write_bytes(raw[: raw.rfind(b"\n") + 1])
    todo = [(i, name, known) for i, (name, known) in enumerate(planned) if known.name not in done]
    began, total = time.monotonic(), len(planned)
    finished, kept = total - len(todo), 0
    with open(path, "a", encoding="utf-8") as file:
        pool = None
        lost: list[Patch] = []
        try:
            for serial, name, known in todo:
                pool = pool or _pool()
                try:
                    patch = pool.submit(_make, root, engine, name, serial, rule).result(timeout=_PATIENCE_S)
                except (BrokenProcessPool, Late):
                    _stop(pool)
                    pool = None
                    lost.append(_blank(known, "crashed"))
                    if len(lost) == _LOST:
                        # Not these patches: the machine. They are tried again by the next run.
                        raise DataError(
                            f"The synthesizer {engine} came down {_LOST} times in a row: see that it is there and "
                            "the machine not too busy, then run the same command to go on."
                        ) from None
                    continue
                for row in [*lost, patch]:
                    file.write(json.dumps(asdict(row)) + "\n")
                file.flush()
                finished += 1 + len(lost)
                lost.clear()
                kept += not patch.verdict
                rate = (time.monotonic() - began) / max(finished - total + len(todo), 1)
                what = f"{engine}: {kept} kept of this run, {rate:.2f} s a patch"
                if progress is not None and progress(finished, total, what) is False:
                    raise Cancelled("Rendering patches was stopped; run the same command to go on.")
        finally:
            if pool is not None:
                _stop(pool)
    return read_patches(root)


def _pool() -> Any:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_quiet)


def _stop(pool: Any) -> None:
    """Close a pool whose process may hang or be gone."""
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


def report(patches: list[Patch]) -> str:
    """How many patches were kept, and why the others were not."""
    kept = [p for p in patches if not p.verdict]
    why = Counter(p.verdict for p in patches if p.verdict)
    families = Counter(p.category for p in kept)
    lines = [f"{len(kept)} of {len(patches)} patches kept ({sum(p.held_out for p in kept)} of them held out)"]
    lines += [f"  dropped, {reason}: {n}" for reason, n in why.most_common()]
    lines.append("  kept: " + ", ".join(f"{n} {name}" for name, n in families.most_common()))
    return "\n".join(lines)
