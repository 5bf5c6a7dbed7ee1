"""Folders of recordings and scores to a described training set: clips, captions, a manifest.

Two passes over the files. The first decodes each and takes its fingerprint, so that duplicates are known before
anything expensive is done; the second cuts, writes and hears the clips of those that are new. What was found out about
a file is kept in ``.work`` beside the clips under a mark of the file and the settings: so what was done is not done
again, whoever stopped when. Every file is replaced in one step.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtsep.audio import Audio, from_samples, load_audio, playback_flac
from amtsep.batch import SOUND, in_processes
from amtsep.errors import AmtsepError, AudioError, Cancelled, DataError
from amtsep.files import reason, replacing
from amtsep.studio import captions
from amtsep.studio.captions import Heard
from amtsep.studio.config import CorpusSettings
from amtsep.studio.fingerprint import Fingerprint, fingerprint, same
from amtsep.studio.hearing import hear
from amtsep.studio.names import UNKNOWN, About, about, slug
from amtsep.studio.rendering import SCORES, read_score, render, soundfont_path
from amtsep.studio.splitting import groups_of, split_by_group

VERSION = 1
MANIFEST = "manifest.jsonl"
WRITTEN = "written.jsonl"
"""In `WORK`: rows of clips that are not in the corpus now, and for which a person has written the caption."""
SUMMARY = "corpus.json"
AUDIO = "audio"
WORK = ".work"
PEAK = 0.99
"""That loudness normalisation does not go over."""
WINDOW_S = 0.02
"""Of the level by which silence is found."""
OURS = re.compile(r"-[0-9a-f]{8}-\d{3,}$")
"""How the names of all clips end (`Source.name` and a number): whatever else lies beside them is not ours to delete."""

Row = dict[str, Any]
Guess = Callable[[Path], tuple[str, float]]
"""A clip's genre and its probability, `UNKNOWN` where it is not sure."""


@dataclass(frozen=True)
class Source:
    """A file of the corpus to be."""

    path: Path
    below: str
    """The path below the folder that was named, with that folder's name."""
    about: About

    @property
    def name(self) -> str:
        """Of its clips: readable, and no other file's."""
        return f"{slug(self.about.title)}-{hashlib.sha256(self.below.encode('utf-8', 'replace')).hexdigest()[:8]}"


@dataclass(frozen=True)
class Job:
    """What a worker needs beside the source."""

    out: Path
    settings: CorpusSettings
    threads: int | None = None


@dataclass(frozen=True)
class Look:
    """What the first pass finds."""

    source: Source
    error: str = ""
    notes_hash: str = ""
    """Of a score; recordings have a fingerprint."""
    print: tuple[int, ...] = ()
    cached: bool = False


@dataclass(frozen=True)
class Made:
    """What the second pass makes."""

    source: Source
    error: str = ""
    clips: tuple[Row, ...] = ()
    cached: bool = False


@dataclass(frozen=True)
class Report:
    """What became of everything."""

    rows: tuple[Row, ...]
    failed: dict[str, str] = field(default_factory=dict)
    """Sentence by file."""
    duplicates: dict[str, str] = field(default_factory=dict)
    """The file that stays, by the one that is left out."""
    cached: int = 0
    """Files that were done before."""


Tell = Callable[[str, int, int, str], object]
"""Called with the pass, how many files are done, of how many, and the last one's name; ``False`` ends the work."""


# --- what is there ---------------------------------------------------------------------------------------------------


def gather(folders: Sequence[Path], table: Path | None = None) -> list[Source]:
    """Recordings and scores in folders (and files that are named), in a fixed order.

    Parameters
    ----------
    table
        A CSV file with a column ``file`` (path below the folder) and any of ``title, artist, genre, work``, which go
        before what names and folders say.

    Raises
    ------
    DataError
        If there is nothing.
    """
    given = read_table(table) if table is not None else {}
    sources = []
    for folder in folders:
        if not folder.exists():
            raise DataError(f"{folder} does not exist; check the path.")
        root = folder if folder.is_dir() else folder.parent
        paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
        for path in paths:
            inner = path.relative_to(root)
            hidden = any(part.startswith(".") for part in inner.parts)
            if hidden or path.suffix.lower() not in SOUND | SCORES or not path.is_file():
                continue
            told = about(PurePath(inner), given.get(inner.as_posix()))
            sources.append(Source(path, f"{root.resolve().name}/{inner.as_posix()}", told))
    if not sources:
        raise DataError(f"{folders[0]} holds no recordings, MIDI or MusicXML; name a folder that does.")
    return sources


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by their ``file``."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}); save it as UTF-8.") from error
    if not rows or "file" not in rows[0]:
        raise DataError(f"{path} has no column 'file'; its first line names the columns: file,title,artist,genre,work.")
    return {PurePath(row["file"]).as_posix(): {k: v for k, v in row.items() if k and v} for row in rows if row["file"]}


# --- one file --------------------------------------------------------------------------------------------------------


def _mark(source: Source, settings: CorpusSettings, what: Sequence[str]) -> str:
    status = source.path.stat()
    chosen = {key: value for key, value in asdict(settings).items() if key in what}
    text = json.dumps([VERSION, status.st_size, status.st_mtime_ns, chosen], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


MAKING = (
    "sample_rate", "channels", "format", "clip_s", "least_s", "silence_db", "loudness", "hear", "model", "soundfont",
)  # fmt: skip
"""Settings that the clips depend on; captions and splits are made anew each time."""


def _record(job: Job, source: Source, kind: str) -> Path:
    return job.out / WORK / f"{source.name}.{kind}.json"


def _recall(path: Path, mark: str) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and kept.get("mark") == mark else None


def _keep(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def look(source: Source, job: Job) -> Look:
    """First pass: can it be read, and what does it sound like? Never raises for the file's sake."""
    try:
        mark = _mark(source, job.settings, ("silence_db",))
        place = _record(job, source, "look")
        if (kept := _recall(place, mark)) is not None:
            return Look(source, "", kept["notes"], tuple(kept["print"]), True)
        if source.path.suffix.lower() in SCORES:
            notes = read_score(source.path)
            table = np.stack([np.round(notes.onset, 2), notes.pitch, notes.track], axis=1)
            found = Look(source, notes_hash=hashlib.sha256(table.tobytes()).hexdigest()[:32])
        else:
            audio = load_audio(source.path, sample_rate=22_050)
            sound = trimmed(audio.samples[:, None], 22_050, job.settings.silence_db, source.path.name)[:, 0]
            found = Look(source, print=tuple(int(x) for x in fingerprint(sound, 22_050)))
        _keep(place, {"mark": mark, "notes": found.notes_hash, "print": found.print})
        return found
    except Exception as error:  # noqa: BLE001 - one bad file stops nothing
        return Look(source, _sentence(source, error))


def make(source: Source, job: Job) -> Made:
    """Second pass: cut, write and hear the clips."""
    try:
        settings = job.settings
        mark = _mark(source, settings, MAKING)
        place = _record(job, source, "clips")
        kept = _recall(place, mark)
        if kept is not None and all((job.out / clip["audio"]).is_file() for clip in kept["clips"]):
            return Made(source, "", tuple(kept["clips"]), True)
        sound, rendered = read_sound(source.path, settings)
        sound = trimmed(sound, settings.sample_rate, settings.silence_db, source.path.name)
        if settings.loudness is not None:
            sound = at_loudness(sound, settings.sample_rate, settings.loudness, source.path.name)
        clips = []
        for number, (start, stop) in enumerate(cuts(len(sound), settings)):
            name = f"{AUDIO}/{source.name}-{number:03d}.{settings.format}"
            write_sound(job.out / name, sound[start:stop], settings)
            heard = Heard()
            if settings.hear:
                mono = sound[start:stop].mean(axis=1)
                heard = hear(from_samples(mono, settings.sample_rate), settings.model, job.threads)
            clips.append(
                {
                    "audio": name,
                    "start_s": round(start / settings.sample_rate, 3),
                    "duration_s": round((stop - start) / settings.sample_rate, 3),
                    "rendered": rendered,
                    "heard": asdict(heard) if settings.hear else None,
                }
            )
        _keep(place, {"mark": mark, "clips": clips})
        return Made(source, "", tuple(clips))
    except Exception as error:  # noqa: BLE001 - one bad file stops nothing
        return Made(source, _sentence(source, error))


def _sentence(source: Source, error: Exception) -> str:
    if isinstance(error, AmtsepError):
        return str(error)
    if isinstance(error, OSError):
        return f"{source.path.name} cannot be read ({reason(error)})."
    if isinstance(error, ModuleNotFoundError):
        return f"{source.path.name} needs {error.name}, which is not installed; run: pip install 'amtsep[studio]'"
    return f"{source.path.name}: this should not have happened ({type(error).__name__}: {error})."


def read_sound(path: Path, settings: CorpusSettings) -> tuple[NDArray[np.float32], bool]:
    """(n, channels) samples at the settings' rate, and whether they were rendered from a score."""
    if path.suffix.lower() in SCORES:
        import soxr

        sound, rate = render(read_score(path), soundfont_path(settings.soundfont))
        mono = soxr.resample(sound, rate, settings.sample_rate).astype(np.float32)
        return np.repeat(mono[:, None], settings.channels, axis=1), True
    if settings.channels == 2:
        import io

        import soundfile
        import soxr

        # Its first two channels, where it has two; else there is nothing in it that mono has not.
        flac = playback_flac(path)
        if flac is not None:
            both, rate = soundfile.read(io.BytesIO(flac), dtype="float32", always_2d=True)
            if both.shape[1] == 2:
                return soxr.resample(both, rate, settings.sample_rate).astype(np.float32), False
    mono = load_audio(path, sample_rate=settings.sample_rate).samples
    return np.repeat(mono[:, None], settings.channels, axis=1), False


def trimmed(sound: NDArray[np.float32], rate: int, silence_db: float, name: str) -> NDArray[np.float32]:
    """Without the silence at both ends; raises `AudioError` where there is nothing else."""
    window = max(1, int(WINDOW_S * rate))
    count = -(-len(sound) // window)
    level = np.array([float(np.abs(sound[i * window : (i + 1) * window]).max(initial=0.0)) for i in range(count)])
    peak = float(level.max(initial=0.0))
    if peak < 1e-4:
        raise AudioError(f"{name} is silent; leave it out, or record it again.")
    loud = np.flatnonzero(level > peak * 10 ** (silence_db / 20))
    return sound[loud[0] * window : (loud[-1] + 1) * window]


def at_loudness(sound: NDArray[np.float32], rate: int, target: float, name: str) -> NDArray[np.float32]:
    """Brought to an integrated loudness in LUFS, or as near to it as the peak lets it come."""
    import pyloudnorm

    if len(sound) < 0.5 * rate:
        return sound
    measured = pyloudnorm.Meter(rate).integrated_loudness(sound.astype(np.float64))
    if not np.isfinite(measured):
        return sound
    gain = min(10 ** ((target - measured) / 20), PEAK / max(float(np.abs(sound).max()), 1e-9))
    return sound * np.float32(gain)


def cuts(length: int, settings: CorpusSettings) -> list[tuple[int, int]]:
    """Where clips begin and end, in samples.

    Examples
    --------
    >>> cuts(70, CorpusSettings(sample_rate=1, clip_s=30, least_s=12))
    [(0, 30), (30, 60)]
    >>> cuts(9, CorpusSettings(sample_rate=1, clip_s=4, least_s=5))
    [(0, 4), (4, 8)]
    """
    step = int(settings.clip_s * settings.sample_rate)
    least = min(int(settings.least_s * settings.sample_rate), step)
    spans = [(a, min(a + step, length)) for a in range(0, length, step)]
    return [span for i, span in enumerate(spans) if i == 0 or span[1] - span[0] >= least]


def write_sound(path: Path, sound: NDArray[np.float32], settings: CorpusSettings) -> None:
    """A clip, 16 bit, replaced in one step."""
    import soundfile

    with replacing(path) as temporary:
        clipped = np.clip(np.nan_to_num(sound), -1.0, 1.0)
        soundfile.write(temporary, clipped, settings.sample_rate, "PCM_16", format=settings.format.upper())


# --- all of them -----------------------------------------------------------------------------------------------------


def build(
    sources: Sequence[Source],
    out: Path,
    settings: CorpusSettings = CorpusSettings(),  # noqa: B008 - frozen
    jobs: int = 1,
    tell: Tell | None = None,
    guess: Guess | None = None,
    threads: int | None = None,
) -> Report:
    """Make a corpus, or go on with one: `out` gets ``audio/*.flac`` with a ``.txt`` each, the manifest, a summary.

    Parameters
    ----------
    jobs
        Processes; with one, the work is done in this one.
    guess
        Fills in the genre of what has none.

    Raises
    ------
    DataError
        If the template is wrong, or no file could be read.
    Cancelled
        If `tell` asked for an end; what has been made is there when it is run again.
    """
    if settings.template:
        captions.check_template(settings.template)
    try:
        for name in (AUDIO, WORK):
            (out / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out} cannot be made ({reason(error)}); name another folder with -o.") from error
    # No file of a corpus is made from the corpus itself.
    inside = out.resolve()
    sources = [s for s in sources if inside not in s.path.resolve().parents]
    job = Job(out, settings, threads)
    say = tell or (lambda *_: None)
    failed: dict[str, str] = {}
    looks = _in_order(sources, _each(look, sources, job, jobs, "looking", say, _no_look))
    failed.update({found.source.below: found.error for found in looks if found.error})
    new, duplicates = without_duplicates([found for found in looks if not found.error])
    made = _in_order(new, _each(make, new, job, jobs, "cutting", say, _no_clips))
    failed.update({found.source.below: found.error for found in made if found.error})
    done = [found for found in made if not found.error]
    if not done:
        first = next(iter(failed.values()), "")
        raise DataError(f"None of the {len(sources)} files could be used. {first}")
    rows = _rows(done, out, settings, guess)
    _publish(out, rows, settings, failed, duplicates)
    return Report(tuple(rows), failed, duplicates, sum(found.cached for found in done))


def _no_look(source: Source) -> Look:
    return Look(source, f"{source.path.name}: the process that read it died (out of memory, or killed).")


def _no_clips(source: Source) -> Made:
    return Made(source, f"{source.path.name}: the process that cut it died (out of memory, or killed).")


def _each(
    function: Callable[..., Any],
    sources: Sequence[Source],
    job: Job,
    jobs: int,
    what: str,
    say: Tell,
    died: Callable[[Source], Any],
) -> Iterator[Any]:
    work = functools.partial(function, job=job)
    found: Iterable[Any] = map(work, sources) if jobs == 1 else in_processes(work, sources, jobs, died)
    for count, one in enumerate(found, 1):
        if say(what, count, len(sources), one.source.path.name) is False:
            raise Cancelled
        yield one


def _in_order(sources: Sequence[Source], found: Iterable[Any]) -> list[Any]:
    place = {source.below: i for i, source in enumerate(sources)}
    return sorted(found, key=lambda one: place[one.source.below])


def without_duplicates(looks: Sequence[Look]) -> tuple[list[Source], dict[str, str]]:
    """Sources of which no earlier one has the content, and for each other one which it repeats."""
    kept: list[tuple[Source, Fingerprint]] = []
    scores: dict[str, Source] = {}
    new, duplicates = [], {}
    for found in looks:
        twin: Source | None = None
        if found.notes_hash:
            twin = scores.setdefault(found.notes_hash, found.source)
            twin = None if twin is found.source else twin
        else:
            own = np.array(found.print, np.uint32)
            twin = next((source for source, other in kept if same(own, other)), None)
            if twin is None:
                kept.append((found.source, own))
        if twin is None:
            new.append(found.source)
        else:
            duplicates[found.source.below] = twin.below
    return new, duplicates


def _rows(made: Sequence[Made], out: Path, settings: CorpusSettings, guess: Guess | None) -> list[Row]:
    before = _before(out)
    genres = [one.source.about.genre for one in made]
    groups = groups_of([one.source.about.work for one in made], [one.source.about.artist for one in made], genres)
    splits = split_by_group(
        groups,
        genres,
        settings.validation,
        settings.test,
        settings.seed,
    )
    rows = []
    for one, split in zip(made, splits, strict=True):
        told = one.source.about
        for clip in one.clips:
            genre, how, probability = told.genre, "folder", None
            if genre == UNKNOWN:
                how = "unknown"
                if guess is not None:
                    genre, probability = guess(out / clip["audio"])
                    how = "guess"
            said = clip["heard"]
            heard = Heard(**{**said, "registers": tuple(said["registers"])}) if said else None
            values = captions.phrases(told.title, told.artist, genre, heard or Heard(), settings.language)
            made_text = captions.caption(values, settings.template, settings.language)
            text, by = _caption(out / clip["audio"], made_text, before.get(clip["audio"]))
            rows.append(
                {
                    "audio": clip["audio"],
                    "caption": text,
                    "caption_by": by,
                    "title": told.title,
                    "artist": told.artist,
                    "genre": genre,
                    "genre_by": how,
                    "genre_probability": probability,
                    "work": told.work,
                    "split": split,
                    "source": one.source.below,
                    "start_s": clip["start_s"],
                    "duration_s": clip["duration_s"],
                    "rendered": clip["rendered"],
                    "language": settings.language,
                    "tempo": heard.tempo if heard else None,
                    "key": captions.key_name(heard.key, heard.minor) if heard and heard.key is not None else None,
                    "timbres": heard.timbres if heard else None,
                    "registers": list(heard.registers) if heard else [],
                    "notes_per_s": heard.density if heard else None,
                }
            )
    return rows


def _before(out: Path) -> dict[str, Row]:
    """Rows of the last run by their clip, and those that a person has written to of clips that have gone before."""
    manifests = ((out / WORK, WRITTEN), (out, MANIFEST))
    return {row["audio"]: row for where, name in manifests for row in _read_rows(where, name)}


def _read_rows(where: Path, name: str) -> list[Row]:
    return read_manifest(where, name) if (where / name).is_file() else []


def _caption(audio: Path, made: str, before: Row | None) -> tuple[str, str]:
    """The caption, and who wrote it: what a person has changed stays."""
    if before is None:
        return made, "template"
    text = audio.with_suffix(".txt")
    there = text.read_text(encoding="utf-8").strip() if text.is_file() else None
    if before.get("caption_by") == "hand":
        if there is None and not before.get("gone"):  # deleted, for a new one
            return made, "template"
        return before["caption"] if there is None else there, "hand"
    # A run that was stopped may have left some texts of its own and the manifest as it was.
    if there is not None and there not in (before.get("caption"), made):
        return there, "hand"
    return made, "template"


def _written_by_hand(out: Path, rows: Sequence[Row]) -> list[Row]:
    """Rows of clips that are not in the corpus now (their file could not be read, or others were named this time), and
    which a person has captioned: what they wrote is theirs, and there when the clip is."""
    named = {row["audio"] for row in rows}
    found = []
    for audio, row in _before(out).items():
        caption, by = _caption(out / audio, row["caption"], row)
        if audio not in named and by == "hand":
            found.append({**row, "caption": caption, "caption_by": by, "gone": True})
    return found


def _publish(
    out: Path, rows: Sequence[Row], settings: CorpusSettings, failed: Mapping[str, str], duplicates: Mapping[str, str]
) -> None:
    write_manifest(out / WORK, _written_by_hand(out, rows), WRITTEN)
    for row in rows:
        with replacing((out / row["audio"]).with_suffix(".txt")) as temporary:
            temporary.write_text(row["caption"] + "\n", encoding="utf-8")
    write_manifest(out, rows)
    summary = {
        "version": VERSION,
        "settings": asdict(settings),
        "clips": len(rows),
        "works": len({row["work"] for row in rows}),
        "hours": round(sum(row["duration_s"] for row in rows) / 3600, 4),
        "failed": dict(failed),
        "duplicates": dict(duplicates),
    }
    _keep(out / SUMMARY, summary)
    # Clips of files that are gone, or that another has replaced, are no part of the corpus any more.
    named = {Path(row["audio"]).stem for row in rows}
    for path in (out / AUDIO).iterdir():
        ours = OURS.search(path.stem) is not None and path.suffix in (".flac", ".wav", ".txt")
        if ours and path.stem not in named and not path.name.startswith("."):
            path.unlink(missing_ok=True)


def read_manifest(corpus: Path, name: str = MANIFEST) -> list[Row]:
    """Rows of a corpus.

    Raises
    ------
    DataError
        If there is no manifest, or it is damaged.
    """
    path = corpus / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except FileNotFoundError:
        raise DataError(f"{corpus} is no corpus ({name} is missing); make one with 'amtsep corpus'.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); run 'amtsep corpus' again.") from None
    if not all(isinstance(row, dict) and "audio" in row for row in rows):
        raise DataError(f"{path} holds a line that describes no clip; run 'amtsep corpus' again.")
    return rows


def write_manifest(corpus: Path, rows: Sequence[Row], name: str = MANIFEST) -> None:
    """Replace the manifest."""
    with replacing(corpus / name) as temporary:
        temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def correct_caption(corpus: Path, audio: str, text: str) -> None:
    """A person's caption of a clip, in the manifest and beside the sound; it outlives every further run."""
    rows = read_manifest(corpus)
    row = next((row for row in rows if row["audio"] == audio), None)
    if row is None:
        raise DataError(f"{corpus} has no clip {audio}.")
    row.update(caption=" ".join(text.split()), caption_by="hand")
    with replacing((corpus / audio).with_suffix(".txt")) as temporary:
        temporary.write_text(row["caption"] + "\n", encoding="utf-8")
    write_manifest(corpus, rows)


def clip_audio(corpus: Path, row: Row) -> Audio:
    """The sound of a row, mono at 22,050 Hz."""
    return load_audio(corpus / row["audio"])
