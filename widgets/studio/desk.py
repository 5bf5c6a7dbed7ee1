"""`Desk`: what is open in the studio and what is being done, which every view follows and none bypasses."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Dict, HasTraits, List, Unicode

from amtsep.errors import Cancelled, DataError
from amtsep.files import replacing
from amtsep.studio import corpus as corpora
from amtsep.studio.config import CorpusSettings, GenreSettings, SampleSettings, TuneSettings
from amtsep.studio.names import UNKNOWN, slug
from widgets.state.session import Session
from widgets.studio.words import say
from widgets.studio.work import Report, Work

Row = dict[str, Any]
Point = dict[str, float]
CLASSIFIER = "genre.safetensors"
GENERATED = "generated"


class Desk(HasTraits):
    """The state of the page.

    Parameters
    ----------
    folder
        That paths on the page are below; what is made goes there.

    Notes
    -----
    Traits to observe: `rows` and `guesses` of the corpus, `selected`, `outcome` of a genre training, `curves` of a
    fine-tuning, `made` (what was generated, the newest first).
    """

    corpus = Unicode("corpus")
    rows: Any = List()
    selected = Unicode("")
    guesses = Dict()
    """Of each clip, by classifier: probabilities by genre, and the answer."""
    outcome = AnyTrait(None, allow_none=True)
    curves: Any = List()
    made: Any = List()

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.fields: dict[str, Any] = {}
        """What a person has entered, so that it outlives another language."""
        self.clip, self.piece = Session(), Session()
        self.works = {name: Work() for name in ("corpus", "genre", "tune", "generate")}
        self._log: tuple[Path, int] | None = None

    def close(self) -> None:
        """End all work and let go of the recordings."""
        self.unobserve_all()
        for work in self.works.values():
            work.cancel()
        self.clip.close()
        self.piece.close()

    def path(self, text: str) -> Path:
        """A path that was typed."""
        return self.folder / Path(text.strip() or ".").expanduser()

    # --- corpus ------------------------------------------------------------------------------------------------------

    @property
    def where(self) -> Path:
        """The folder of the corpus."""
        return self.path(self.corpus)

    def open(self, name: str) -> None:
        """Show a corpus; raises `DataError` where there is none, and what was shown stays."""
        rows = corpora.read_manifest(self.path(name))
        self.corpus, self.guesses, self.selected = name, {}, ""
        self.rows = rows

    def row(self, audio: str) -> Row | None:
        """A clip's row."""
        return next((row for row in self.rows if row["audio"] == audio), None)

    def select(self, audio: str) -> None:
        """Show and hear a clip."""
        if self.row(audio) is not None:
            self.selected = audio
            self.clip.open(self.where / audio)

    def correct(self, audio: str, text: str) -> None:
        """A person's caption."""
        corpora.correct_caption(self.where, audio, text)
        self.rows = corpora.read_manifest(self.where)

    def make(self, sources: str, name: str, settings: CorpusSettings, genre_model: str = "") -> None:
        """Make a corpus of folders, or go on with one, and show it."""

        def work(report: Report) -> Any:
            guess = None
            if genre_model:
                from amtsep.studio.genre import Classifier

                guess = Classifier.load(self.path(genre_model)).guess

            def tell(what: str, done: int, total: int, file: str) -> bool:
                return report(f"{say(what)}: {file}", done, total)

            folders = [self.path(part) for part in sources.split(";") if part.strip()]
            if not folders:
                raise DataError("Name a folder of recordings or scores.")
            return corpora.build(corpora.gather(folders), self.path(name), settings, tell=tell, guess=guess)

        def then(report: corpora.Report) -> str:
            self.open(name)
            said = [say("{n} clips of {w} works.", n=len(report.rows), w=len({r["work"] for r in report.rows}))]
            if report.duplicates:
                said.append(say("{n} duplicates were left out.", n=len(report.duplicates)))
            if report.failed:
                first = next(iter(report.failed.values()))
                said.append(say("{n} files could not be used: {first}", n=len(report.failed), first=first))
            return " ".join(said)

        kept = say("Stopped; what is done stays, and the next run goes on from there.")
        self.works["corpus"].start(say("looking"), work, then, kept)

    def recipe(self, name: str) -> None:
        """Write the tunes to try everything with."""
        from amtsep.studio.recipe import write_recipe

        def work(_report: Report) -> int:
            return len(write_recipe(self.path(name)))

        self.works["corpus"].start(
            say("writing"), work, lambda n: say("{n} tunes are in {where}; now make a corpus of them.", n=n, where=name)
        )

    # --- genre -------------------------------------------------------------------------------------------------------

    def train_genre(self, name: str, settings: GenreSettings) -> None:
        """Train both classifiers on the corpus that is open; the page about them is written too."""
        where, out = self.where, self.path(name)

        def work(report: Report) -> Any:
            from amtsep.studio.genre import train
            from amtsep.studio.genre_data import read_examples
            from amtsep.studio.genre_report import write_report

            examples = read_examples(where, settings)
            found = train(examples, settings, lambda what, done, total: report(say(what), done, total))
            out.mkdir(parents=True, exist_ok=True)
            found[0].save(out / CLASSIFIER)
            write_report(out / "genre.html", *found)
            return found

        def then(found: Any) -> str:
            self.outcome = found
            files = {"model": f"{name}/{CLASSIFIER}", "page": f"{name}/genre.html"}
            return say("Written: {model}, and the page {page}.", **files)

        self.works["genre"].start(say("features"), work, then)

    def guess(self, name: str) -> None:
        """Ask both classifiers for the genre of every clip."""
        where, rows, model = self.where, list(self.rows), self.path(name) / CLASSIFIER

        def work(report: Report) -> dict[str, Any]:
            from amtsep.studio.genre import KINDS, Classifier
            from amtsep.studio.genre_data import features

            classifier = Classifier.load(model)
            found = {}
            for number, row in enumerate(rows, 1):
                heard = [features(where / row["audio"], classifier.settings)]
                told = {}
                for kind in KINDS:
                    p = classifier.probabilities(heard, kind)
                    every = {genre: round(float(x), 4) for genre, x in zip(classifier.genres, p[0])}
                    told[kind] = {"answer": classifier.answer(p, kind)[0], "probabilities": every}
                found[row["audio"]] = told
                if not report(say("guessing"), number, len(rows)):
                    raise Cancelled
            return found

        def then(found: dict[str, Any]) -> str:
            self.guesses = found
            unsure = sum(told["cnn"]["answer"] == UNKNOWN for told in found.values())
            return say("{n} clips guessed, {u} of them too unsure to name.", n=len(found), u=unsure)

        self.works["genre"].start(say("guessing"), work, then)

    # --- fine-tuning -------------------------------------------------------------------------------------------------

    def write_tiny(self, name: str) -> None:
        """A random network of no size, to try the page with."""

        def work(_report: Report) -> None:
            from amtsep.studio.musicgen import write_tiny

            write_tiny(self.path(name))

        def then(_: None) -> str:
            return say("{where} is a network of random weights: what it makes is noise.", where=name)

        self.works["tune"].start(say("writing"), work, then)

    def tune(self, model: str, out: str, settings: TuneSettings, resume: bool) -> None:
        """Fine-tune on the corpus that is open; `curves` grow with every step."""
        where, target = self.where, self.path(out)
        base = self.named(model)
        self.curves = self._logged(target) if resume else []
        self._log = None
        begin = time.monotonic()
        points: list[Point] = list(self.curves)

        def work(report: Report) -> Path:
            from amtsep.studio.tuning import tune

            first = len(points)

            def watch(step: int, figures: dict[str, float]) -> bool:
                points.append({"step": step, **figures})
                each = (time.monotonic() - begin) / (len(points) - first)
                text = say("loss {loss}, {each} s a step", loss=f"{figures['loss']:.3f}", each=f"{each:.1f}")
                return report(text, step, settings.steps)

            def reading(done: int, total: int) -> bool:
                return report(say("codes"), done, total)

            return tune(base, where, target, settings, resume, watch, reading)

        def then(made: Path) -> str:
            self.curves = list(points)
            last = points[-1]["step"] if points else 0
            if last < settings.steps:
                return say("Stopped after step {n}; Go on continues from there.", n=f"{last:.0f}")
            return say("Written: {where}", where=f"{out}/{made.name}")

        if not self.works["tune"].running:
            self.growing = points
        self.works["tune"].start(say("reading the network"), work, then)

    growing: list[Point] = []
    """Points of the training that runs."""

    def named(self, model: str) -> str:
        """The name of weights, or the path of a folder that is there."""
        return str(self.path(model)) if self.path(model).is_dir() else model.strip()

    def look(self, out: str) -> None:
        """Bring `curves` up to date: of the training here, or of one that runs in a terminal, from its log."""
        if self.works["tune"].running:
            if len(self.growing) != len(self.curves):
                self.curves = list(self.growing)
            return
        path = self.path(out) / "log.csv"
        try:
            mark = (path, path.stat().st_mtime_ns)
        except OSError:
            return
        if mark != self._log:
            self._log = mark
            self.curves = self._logged(self.path(out))

    @staticmethod
    def _logged(out: Path) -> list[Point]:
        try:
            with (out / "log.csv").open(newline="", encoding="utf-8") as file:
                return [{k: float(v) for k, v in row.items() if k and v} for row in csv.DictReader(file)]
        except (OSError, ValueError):
            return []

    # --- generation --------------------------------------------------------------------------------------------------

    def pieces(self) -> None:
        """Find what was generated before."""
        folder = self.folder / GENERATED
        found = sorted(folder.glob("*.wav"), key=lambda p: p.stat().st_mtime, reverse=True) if folder.is_dir() else []
        self.made = [self._about(path) for path in found]

    @staticmethod
    def _about(path: Path) -> dict[str, Any]:
        try:
            told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = {}
        return {"path": path, "prompt": str(told.get("prompt", path.stem)), **told.get("settings", {})}

    def generate(self, prompt: str, model: str, settings: SampleSettings, melody: str = "") -> None:
        """Make music for a text, led by the melody of a file or of the clip that is selected; it is kept and shown."""
        base, lead = self.named(model), self.path(melody) if melody.strip() else None

        def work(report: Report) -> Path:
            import soundfile

            from amtsep.studio import musicgen, sampling

            if not prompt.strip():
                raise DataError("Write what the music should be like.")
            network = musicgen.load(base)
            notes = sampling.read_melody(lead) if lead is not None else None
            audio = sampling.generate(
                network, prompt, settings, notes, lambda done, total: report(say("seconds of music"), done, total)
            )
            folder = self.folder / GENERATED
            folder.mkdir(parents=True, exist_ok=True)
            number = 1 + max((int(p.name[:3]) for p in folder.glob("[0-9][0-9][0-9]-*.wav")), default=0)
            path = folder / f"{number:03d}-{slug(prompt)[:40]}.wav"
            with replacing(path) as temporary:
                soundfile.write(temporary, audio.samples, audio.sample_rate, "PCM_16", format="WAV")
            about = {"prompt": prompt, "model": base, "melody": str(lead or ""), "settings": asdict(settings)}
            with replacing(path.with_suffix(".json")) as temporary:
                temporary.write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
            return path

        def then(path: Path) -> str:
            self.pieces()
            self.show_piece(path)
            return say("Written: {where}", where=f"{GENERATED}/{path.name}")

        self.works["generate"].start(say("reading the network"), work, then)

    def show_piece(self, path: Path) -> None:
        """Hear what was generated."""
        self.piece.open(path)
