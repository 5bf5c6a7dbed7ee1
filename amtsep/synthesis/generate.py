"""Plan and render a stem bank: which timbre plays what, on how many processes, the same bits for the same seed."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.config import FrontEnd, Progress
from amtsep.errors import Cancelled, DataError
from amtsep.synthesis import drums, expression, guitarset, sampler, soundfonts
from amtsep.synthesis import voices as singers
from amtsep.synthesis.bank import DRUMS, NOTE_DTYPE, PATCH_PROGRAM, VOICE, Bank, BankWriter, Stem
from amtsep.synthesis.guard import refuse
from amtsep.synthesis.instruments import HELD_OUT_RECORDED, RECORDED, Instrument
from amtsep.synthesis.music import Piece, excerpt, load_scores
from amtsep.synthesis.onsets import LabelRule
from amtsep.synthesis.patches import Patch, load_patch, read_patches
from amtsep.synthesis.pedal import PEDALLED, draw_pedal
from amtsep.synthesis.scores import monophonic, random_score
from amtsep.synthesis.sfz import read_sfz
from amtsep.workers import executor

RECORDED_PROGRAM = -1
"""The `program` of stems that are no General MIDI program."""


@dataclass(frozen=True)
class Recipe:
    """What a bank is made of."""

    hours: float = 6.0
    seed: int = 0
    clip_s: float = 9.0
    sample_rate: int = FrontEnd().sample_rate
    music: float = 0.5
    """Share of real music among rendered stems; the rest is drawn at random."""
    recorded: float = 0.46
    """Share of stems played with recorded notes."""
    synthetic: float = 0.06
    """Share of stems played with timbres that do not exist."""
    patches: float = 0.25
    """Share of stems played with patches of synthesizers, taken off the three above alike."""
    voices: float = 0.07
    """Share of stems sung by made-up singers, taken off in the same way."""
    guitarset: float = 0.07
    """Share of stems that are real guitar."""
    guitarset_shift_s: float = 0.0
    """Added to GuitarSet's onsets; 0 leaves the annotation as it is."""
    drums: float = 0.06
    """Stems of drums over all others, where there are kits and performances."""
    pedal: float = 0.5
    """Share of the stems of pianos and their like that are played with the sustain pedal."""
    doubled: float = 0.12
    """Share of parts of real music that a second timbre plays too, at their pitch or an octave off."""
    dev: float = 0.04
    """Share of development stems with the timbres of training."""
    held_out: float = 0.05
    """Share of development stems with timbres that training never hears."""
    level_db: float = -20.0
    """Level of a stem: its loud moments (95 % of its 50 ms levels lie under it), dBFS."""
    rule: LabelRule = field(default_factory=LabelRule)


RESERVED = frozenset({"voice", "synthetic", "drums", "guitarset", "recordings"})
"""What sources of stems are called that are no collection."""


def collections(folders: Sequence[Path], option: str, taken: Sequence[str] = ()) -> dict[str, Path]:
    """Folders of notes (or SFZ files) by the names that their timbres are known by.

    Raises
    ------
    DataError
        If two have one name, or one has that of another source.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().stem if folder.is_file() else folder.resolve().name
        if name in RESERVED or name in taken or name in found:
            why = "is what another source is called" if name in RESERVED else "is there twice"
            raise DataError(
                f"{folder} (--{option}): collections go by their folders' names, and '{name}' {why}; rename it."
            )
        found[name] = folder
    return found


@dataclass(frozen=True)
class Sources:
    """Where the material lies; whatever is None is left out."""

    samples: dict[str, Path] = field(default_factory=dict)
    """Collections of recorded notes by name; each holds a folder an instrument."""
    scores: tuple[Path, ...] = ()
    guitarset: Path | None = None
    fonts: dict[str, Path] = field(default_factory=dict)
    kits: tuple[Path, ...] = ()
    """Folders of drum kits."""
    groove: Path | None = None
    """Performances by drummers, shaped as the Groove MIDI Dataset."""
    patches: dict[str, Path] = field(default_factory=dict)
    """Collections of synthesizers' patches by name, made by `amtsep patches`."""


@dataclass(frozen=True)
class Voice:
    """A timbre that stems can be given to."""

    key: str
    source: str
    instrument: Instrument
    program: int
    held_out: bool
    weight: float
    font: soundfonts.FontTimbre | None = None
    shortest_s: float = 0.05
    patch: Patch | None = None


@dataclass(frozen=True)
class Order:
    """One stem to be rendered."""

    voice: int
    seed: tuple[int, int]
    score: NDArray[np.void] | None
    piece: str | None
    part: int
    split: str


# --- what each process holds -----------------------------------------------------------------------------------------

_state: dict[str, Any] = {}


def _start(sources: Sources, recipe: Recipe) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    _state.update(sources=sources, recipe=recipe, set_key=None, set=None)


def _sample_set(voice: Voice) -> sampler.SampleSet:
    key = voice.key
    if _state.get("set_key") != key:
        kind, name = key.split(":", 1)
        rule = _state["recipe"].rule
        if voice.patch is not None:
            made = load_patch(_state["sources"].patches[kind], voice.patch, kind)
        elif kind == "synthetic":
            made = sampler.synthetic_set(int(name), rule)
        else:
            made = sampler.load_folder(sampler.instruments_in(_state["sources"].samples[kind])[name], rule, kind)
        _state.update(set_key=key, set=made)
    return _state["set"]


def level(audio: NDArray[np.float32], sample_rate: int, level_db: float) -> NDArray[np.int16] | None:
    """Bring a stem to its level and to int16; None where it is silent."""
    n = int(0.05 * sample_rate)
    frames = audio[: len(audio) // n * n].reshape(-1, n)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loud = float(np.quantile(power, 0.95))
    if loud < 1e-10:
        return None
    gain = 10 ** (level_db / 20) / np.sqrt(loud)
    peak = float(np.abs(audio).max())
    gain = min(gain, 0.97 / peak)
    return np.round(audio * (gain * 32767)).astype(np.int16)


def _render(
    voice: Voice, order: Order, synthesizer: soundfonts.Synthesizer | None
) -> tuple[NDArray[np.int16], NDArray[np.void]] | None:
    recipe: Recipe = _state["recipe"]
    for attempt in range(4):
        rng = np.random.default_rng([recipe.seed, *order.seed, attempt])
        made = _sample_set(voice) if voice.font is None and voice.source != VOICE else None
        instrument = made.instrument if made is not None else voice.instrument
        score = order.score
        if score is None:
            score = random_score(rng, instrument, recipe.clip_s, shortest_s=voice.shortest_s)
        if len(score) < 3:
            continue
        sustains = instrument.category not in {"piano", "guitar", "mallet", "bass", "plucked"}
        bent = expression.draw(rng, instrument.mono, sustains, instrument.category)
        pedal = None
        # A generator of its own: what else is drawn for a stem is the same with and without it.
        feet = np.random.default_rng([recipe.seed, *order.seed, attempt, 53])
        if instrument.family in PEDALLED and feet.random() < recipe.pedal:
            pedal = draw_pedal(feet, score, recipe.clip_s)
        if voice.source == VOICE:
            who = singers.singer(int(voice.key.split(":", 1)[1]))
            audio, notes = singers.render_voice(rng, who, score, recipe.clip_s, recipe.rule)
        elif made is not None:
            audio, notes = sampler.render_samples(rng, made, score, recipe.clip_s, bent, recipe.rule, pedal)
        else:
            import soxr

            assert voice.font is not None and synthesizer is not None
            wide, notes = soundfonts.render_font(
                synthesizer, voice.font, score, recipe.clip_s, bent, recipe.rule, pedal
            )
            audio = soxr.resample(wide, soundfonts.RATE, recipe.sample_rate, quality="HQ")
        n = int(round(recipe.clip_s * recipe.sample_rate))
        audio = np.pad(audio, (0, max(n - len(audio), 0)))[:n]
        whole = level(audio, recipe.sample_rate, recipe.level_db)
        if whole is not None and len(notes) >= 3:
            return whole, bank_notes(notes)
        if order.score is not None:
            break
    return None


def bank_notes(notes: NDArray[np.void]) -> NDArray[np.void]:
    rows = np.zeros(len(notes), NOTE_DTYPE)
    for name in ("onset", "offset", "pitch", "velocity"):
        rows[name] = notes[name]
    # Annotations of real takes have one end, and strokes have none.
    rows["key_offset"] = notes["key_offset" if "key_offset" in (notes.dtype.names or ()) else "offset"]
    return rows


_Result = list[tuple[NDArray[np.int16], NDArray[np.void], Stem]]


def _job(job: tuple[Voice, list[Order]]) -> _Result:
    voice, orders = job
    out = []
    # A new one for every job: its result must not depend on what this process did before.
    synthesizer = soundfonts.Synthesizer() if voice.font is not None else None
    for order in orders:
        done = _render(voice, order, synthesizer)
        if done is not None:
            out.append((*done, _stem(voice, order)))
    return out


def _guitar_job(take: Path) -> _Result:
    recipe: Recipe = _state["recipe"]
    out = []
    for number, (audio, notes) in enumerate(
        guitarset.windows(take, recipe.clip_s, recipe.sample_rate, recipe.guitarset_shift_s)
    ):
        whole = level(audio, recipe.sample_rate, recipe.level_db)
        if whole is None:
            continue
        # Players 00-02 have each their own guitar sound, solo and accompaniment alike.
        piece = re.sub(r"_(comp|solo)(_mic)?$", "", take.stem)
        stem = Stem(
            f"guitarset:{take.name[:2]}", "guitar", "guitar", "guitarset", 24, "music",
            f"guitarset/{piece}@{number}", 0 if "_comp" in take.stem else 1, "train", False,
        )  # fmt: skip
        out.append((whole, bank_notes(notes), stem))
    return out


@dataclass(frozen=True)
class KitPlace:
    """Where a drum kit is found: a folder, or a program of a soundfont."""

    path: Path
    font: str | None = None
    program: int = 0


def _load_kit(place: KitPlace) -> drums.Kit | None:
    if place.font is None:
        return drums.load_kit(place.path)
    return next(iter(drums.font_kits(place.font, place.path, (place.program,))), None)


def _drum_job(job: tuple[KitPlace, list[tuple[int, drums.Performance]]]) -> _Result:
    place, parts = job
    recipe: Recipe = _state["recipe"]
    kit = _load_kit(place)
    out: _Result = []
    for serial, performance in parts if kit is not None else []:
        assert kit is not None
        rng = np.random.default_rng([recipe.seed, 41, serial])
        wanted = drums.excerpt_of(rng, performance, recipe.clip_s)
        audio, strokes = drums.render_drums(rng, kit, wanted, recipe.clip_s)
        whole = level(audio, recipe.sample_rate, recipe.level_db)
        if whole is None or len(strokes) < 4:
            continue
        split = "dev" if kit.held_out else "train"
        stem = Stem(
            f"drums:{kit.name}", DRUMS, DRUMS, DRUMS, RECORDED_PROGRAM, "music", None, 0, split, kit.held_out
        )  # fmt: skip
        out.append((whole, bank_notes(strokes), stem))
    return out


def drum_work(recipe: Recipe, sources: Sources) -> list[tuple[KitPlace, list[tuple[int, drums.Performance]]]]:
    """Which kit plays which performances; kits of the development split play those of the data set's validation."""
    if sources.groove is None or recipe.drums <= 0:
        return []
    performances = drums.read_performances(sources.groove)
    places = [KitPlace(folder) for root in sources.kits for folder in drums.kits_in(root)]
    places += [KitPlace(path, name, program) for name, path in sources.fonts.items() for program in drums.FONT_PROGRAMS]
    if not places:
        raise DataError("Drum parts need kits: give --drum-kits with a folder of them, or a soundfont.")
    total = int(round(recipe.drums * recipe.hours * 3600 / recipe.clip_s))
    by_split = {split: [p for p in performances if p.split == split] for split in ("train", "dev")}
    rng = np.random.default_rng([recipe.seed, 43])
    work: list[tuple[KitPlace, list[tuple[int, drums.Performance]]]] = []
    serial = 0
    # A soundfont's programs sound much alike: a folder is drawn as often as three of them.
    weights = np.array([3.0 if place.font is None else 1.0 for place in places])
    for place, count in zip(places, _share(weights, total), strict=True):
        choices = by_split["dev" if place.path.name in drums.DEV_KITS else "train"] or performances
        parts = [(serial + k, choices[int(rng.integers(len(choices)))]) for k in range(int(count))]
        serial += len(parts)
        if parts:
            work.append((place, parts))
    return work


def _stem(voice: Voice, order: Order) -> Stem:
    return Stem(
        voice.key,
        voice.instrument.family,
        voice.instrument.category,
        voice.source,
        voice.program,
        "random" if order.score is None else "music",
        order.piece,
        order.part,
        order.split,
        voice.held_out,
    )


# --- the plan --------------------------------------------------------------------------------------------------------


def voices(sources: Sources, recipe: Recipe, pool: Any = None) -> list[Voice]:
    """Every timbre at hand, in a fixed order; a synthetic timbre is made for about every six stems."""
    out: list[Voice] = []
    for collection, root in sources.samples.items():
        instruments = sampler.instruments_in(root)
        if not instruments:
            raise DataError(f"{root} holds no instruments: give a folder with a folder or an SFZ file for each.")
        for name, folder in instruments.items():
            instrument = RECORDED.get(name, Instrument(name, "other", 36, 96, False))
            held = name in HELD_OUT_RECORDED
            count = sum(1 for _ in folder.iterdir()) if folder.is_dir() else len(read_sfz(folder))
            weight = instrument.weight * (0.35 + 0.65 * min(count / 60, 1.0))
            out.append(Voice(f"{collection}:{name}", collection, instrument, RECORDED_PROGRAM, held, weight))
    for name, path in sources.fonts.items():
        for timbre in soundfonts.font_timbres(name, path, recipe.rule, pool):
            delay = float(np.max(np.median(timbre.profile.delay, axis=1)))
            out.append(
                Voice(
                    timbre.name, name, timbre.instrument, timbre.profile.program, timbre.held_out,
                    timbre.instrument.weight, timbre, max(0.05, 1.3 * delay + 0.04),
                )
            )  # fmt: skip
    for name, root in sources.patches.items():
        for patch in read_patches(refuse(root, "patches of a synthesizer")):
            if not patch.verdict:
                key, shortest = f"{name}:{patch.name}", max(0.05, 1.3 * patch.delay_s + 0.04)
                out.append(
                    Voice(key, name, patch.instrument, PATCH_PROGRAM, patch.held_out, 1.0, None, shortest, patch)
                )
    for i in range(int(np.ceil(recipe.voices * recipe.hours * 3600 / recipe.clip_s / 6))):
        number = recipe.seed * 100003 + i
        instrument = singers.singer(number).instrument
        out.append(
            Voice(f"{VOICE}:{number}", VOICE, instrument, RECORDED_PROGRAM, i % 15 == 14, 1.0, None, singers.SHORTEST_S)
        )
    for i in range(int(np.ceil(recipe.synthetic * recipe.hours * 3600 / recipe.clip_s / 6))):
        number = recipe.seed * 100003 + i
        instrument = sampler.synthetic_instrument(number)
        out.append(Voice(f"synthetic:{number}", "synthetic", instrument, RECORDED_PROGRAM, False, 1.0))
    return out


def _share(weights: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Split `count` by weights into whole numbers."""
    if not len(weights) or weights.sum() <= 0 or count <= 0:
        return np.zeros(len(weights), np.int64)
    edges = np.round(np.cumsum(weights / weights.sum() * count)).astype(np.int64)
    return edges - np.concatenate([[0], edges[:-1]])


def _group(voice: Voice) -> int:
    """Recorded, soundfont, made up, patch, voice: what shares are given to."""
    if voice.patch is not None:
        return 3
    if voice.source == VOICE:
        return 4
    return 2 if voice.source == "synthetic" else 1 if voice.program >= 0 else 0


def split_pieces(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The pieces that training hears, and those kept for development: one in twelve."""
    return [p for i, p in enumerate(pieces) if i % 12 != 5], [p for i, p in enumerate(pieces) if i % 12 == 5]


def plan(recipe: Recipe, known: list[Voice], pieces: list[Piece], guitar: int = 0) -> list[Order]:
    """Who plays what.

    Parameters
    ----------
    known
        The timbres.
    pieces
        Real music; one in twelve is kept for development.
    guitar
        Stems of real guitar that come on top.
    """
    total = int(round(recipe.hours * 3600 / recipe.clip_s)) - guitar
    held = np.array([v.held_out for v in known])
    group = np.array([_group(v) for v in known])
    weight = np.array([v.weight for v in known])
    others = np.array([recipe.recorded, 1 - recipe.recorded - recipe.synthetic, recipe.synthetic])
    shares = np.array([*others * (1 - recipe.patches - recipe.voices), recipe.patches, recipe.voices])
    n_dev, n_held = int(total * recipe.dev), int(total * recipe.held_out)
    n_held = n_held if held.any() else 0
    orders: list[Order] = []
    trained, kept = split_pieces(pieces)

    def quota(count: int, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        out = np.zeros(len(known), np.int64)
        present = [g for g in range(len(shares)) if np.any(which & (group == g) & (weight > 0))]
        for g in present:
            mine = np.flatnonzero((group == g) & which)
            out[mine] = _share(weight[mine], int(round(count * shares[g] / shares[present].sum())))
        return out

    blocks = [
        ("train", quota(total - n_dev - n_held, ~held), trained, 0),
        ("dev", quota(n_dev, ~held), kept, 1),
        ("dev", quota(n_held, held), kept, 2),
    ]
    for split, wanted, music, block in blocks:
        left = wanted.copy()
        if music:
            rng = np.random.default_rng([recipe.seed, 1009, block])
            orders += _assign(rng, recipe, known, left, music, split, block)
        serial = 0
        for i, count in enumerate(left):
            for _ in range(int(count)):
                orders.append(Order(i, (10 + block, serial), None, None, 0, split))
                serial += 1
    return orders


def _assign(
    rng: np.random.Generator,
    recipe: Recipe,
    known: list[Voice],
    left: NDArray[np.int64],
    music: list[Piece],
    split: str,
    block: int,
) -> list[Order]:
    """Give parts of excerpts to timbres until the share of music is reached; takes them off `left`."""
    low = np.array([v.instrument.low for v in known])
    high = np.array([v.instrument.high for v in known])
    mono = np.array([v.instrument.mono for v in known])
    category = np.array([v.instrument.category for v in known])
    room = np.minimum(_share((left * recipe.music).astype(np.float64), int(round(left.sum() * recipe.music))), left)
    goal, failures = int(room.sum()), 0
    orders: list[Order] = []
    number = 0
    order_of_pieces = rng.permutation(len(music))
    while len(orders) < goal and failures < 400:
        piece = music[int(order_of_pieces[number % len(music)])]
        number += 1
        parts = excerpt(rng, piece, recipe.clip_s)
        if parts is None:
            failures += 1
            continue
        one_category = str(rng.choice(np.unique(category[room > 0]))) if rng.random() < 0.35 and room.any() else None
        taken: set[int] = set()
        placed = 0
        for part_number, part in enumerate(parts):
            if len(part) < 4:
                continue
            line = monophonic(part)
            chordal = len(line) < 0.85 * len(part)
            best: tuple[NDArray[np.float64], int] | None = None
            for shift in (0, -12, 12):
                pitches = part["pitch"].astype(int) + shift
                a, b = np.quantile(pitches, 0.03), np.quantile(pitches, 0.97)
                fits = (low <= a) & (high >= b) & (room > 0)
                if taken:
                    fits[list(taken)] = False
                chance = np.where(fits, room, 0).astype(float)
                if chordal:
                    chance = np.where(mono, 0.3 * chance, chance)
                if one_category is not None and np.any(chance[category == one_category] > 0):
                    chance = np.where(category == one_category, chance, 0)
                if chance.sum() > 0:
                    best = (chance, shift)
                    break
            if best is None:
                continue
            name = f"{piece.name}@{split[0]}{block}-{number}"

            def give(chance: NDArray[np.float64], shift: int, notes: NDArray[np.void], as_part: int) -> bool:
                i = int(rng.choice(len(known), p=chance / chance.sum()))
                score = notes.copy()
                score["pitch"] += shift
                score = score[(score["pitch"] >= low[i]) & (score["pitch"] <= high[i])]
                if known[i].instrument.mono:
                    score = monophonic(score)
                score = score[score["offset"] - score["onset"] >= min(known[i].shortest_s, 0.12)]
                if len(score) < 3:
                    return False
                orders.append(Order(i, (20 + block, len(orders)), score, name, as_part, split))  # noqa: B023
                room[i] -= 1
                left[i] -= 1
                taken.add(i)  # noqa: B023
                return True

            if not give(best[0], best[1], part, part_number):
                continue
            placed += 1
            if rng.random() < recipe.doubled:
                # As orchestrators do: a second timbre on the same line, or an octave off.
                octave = best[1] + int(rng.choice([0, -12, 12]))
                pitches = part["pitch"].astype(int) + octave
                fits = (low <= np.quantile(pitches, 0.03)) & (high >= np.quantile(pitches, 0.97)) & (room > 0)
                fits[list(taken)] = False
                chance = np.where(fits, room, 0).astype(float)
                if chance.sum() > 0:
                    give(chance, octave, part, len(parts) + part_number)
        failures = 0 if placed else failures + 1
    return orders


def _jobs(known: list[Voice], orders: list[Order], size: int = 24) -> Iterator[tuple[Voice, list[Order]]]:
    """Orders sorted by timbre, in portions; a large sample set is not read more often than need be."""
    by_voice: dict[int, list[Order]] = {}
    for order in orders:
        by_voice.setdefault(order.voice, []).append(order)
    for i in sorted(by_voice):
        mine = by_voice[i]
        step = 200 if known[i].program < 0 else size
        for k in range(0, len(mine), step):
            yield known[i], mine[k : k + step]


Planner = Callable[[Recipe, list[Voice], list[Piece], int], list[Order]]


def synthesize(
    out: str | Path,
    recipe: Recipe,
    sources: Sources,
    jobs: int = 2,
    progress: Progress | None = None,
    planner: Planner = plan,
    dask: str | None = None,
) -> Bank:
    """Render a bank into the folder `out`.

    Parameters
    ----------
    out
        Folder to write; a bank already there is replaced.
    recipe, sources
        What it is made of.
    jobs
        Processes. The result does not depend on it.
    progress
        Called with stems done, stems in all and what is going on.
    planner
        Decides who plays what; see `plan`.
    dask
        Address of a Dask cluster to render on (see `amtsep.workers.connect`), whose workers have one thread each and
        see the same files under the same names.

    Raises
    ------
    DataError
        Where there is nothing to make sound with.
    """
    n = int(round(recipe.clip_s * recipe.sample_rate))
    if sources.fonts and not soundfonts.available():
        raise DataError("Soundfonts need FluidSynth: install it (apt install fluidsynth), or give --no-soundfonts.")
    if recipe.sample_rate != sampler.RATE:
        raise DataError(f"Banks are rendered at {sampler.RATE} Hz, not {recipe.sample_rate}.")
    if dask is None:
        context = multiprocessing.get_context("spawn")
        opened: Any = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(sources, recipe))
    else:
        opened = executor(dask, _start, (sources, recipe))
    with opened as pool:
        known = voices(sources, recipe, pool)
        pieces = load_scores(sources.scores, pool=pool) if sources.scores else []
        takes = guitarset.takes(sources.guitarset) if sources.guitarset is not None else []
        # Takes last half a minute: three and a half windows. Some more of them than needed, cut off at the quota.
        guitar = min(int(recipe.guitarset * recipe.hours * 3600 / recipe.clip_s), int(3.3 * len(takes)))
        if takes and guitar:
            pick = np.random.default_rng([recipe.seed, 31]).permutation(len(takes))
            takes = [takes[i] for i in pick[: int(np.ceil(guitar / 3.0)) + 1]]
        else:
            takes = []
        if not known and not takes:
            raise DataError("There is nothing to render with: give --soundfont, --samples or --guitarset.")
        orders = planner(recipe, known, pieces, guitar) if known else []
        beats = drum_work(recipe, sources)
        total = len(orders) + guitar + sum(len(parts) for _, parts in beats)
        began = time.monotonic()
        with BankWriter(out, recipe.sample_rate, n, recipe.seed) as writer:
            work: list[tuple[Any, Any]] = [(_job, job) for job in _jobs(known, orders)] + [
                (_guitar_job, take) for take in takes
            ]
            work += [(_drum_job, job) for job in beats]
            waiting: list[Any] = []
            guitars = 0
            for function, item in work:
                # A few jobs ahead of the writer, so that results do not pile up in memory.
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 3 * jobs:
                    guitars = _collect(writer, waiting.pop(0).result(), guitars, guitar)
                    if progress is not None:
                        seconds = time.monotonic() - began
                        rate = len(writer) * recipe.clip_s / max(seconds, 1e-9)
                        if progress(len(writer), total, f"rendering stems, {rate:.0f} times real time") is False:
                            for future in waiting:
                                future.cancel()
                            raise Cancelled("Rendering was stopped; no bank was written.")
            for future in waiting:
                guitars = _collect(writer, future.result(), guitars, guitar)
    return Bank.open(out)


def _collect(writer: BankWriter, result: _Result, guitars: int, limit: int) -> int:
    for audio, notes, stem in result:
        if stem.source == "guitarset":
            if guitars >= limit:
                continue
            guitars += 1
        writer.append(audio, notes, stem)
    return guitars
