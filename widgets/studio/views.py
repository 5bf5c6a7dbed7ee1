"""The four views of a desk: corpus, genres, fine-tuning, generation."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as ipw

from amtsep.errors import AmtsepError
from amtsep.studio.config import CorpusSettings, GenreSettings, SampleSettings, TuneSettings
from widgets.lessons.figures import COLOURS, Figure, dress, filled, line
from widgets.lessons.kit import refresh
from widgets.studio.desk import Desk
from widgets.studio.parts import Clip, Fields, Table, button, dim, fold, row, sent
from widgets.studio.words import LANGUAGES, say

Open = Callable[[Path], None]


class View(ipw.VBox):
    """A part of the page that follows the desk until it is closed."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.fields = Fields(desk)
        self._followed: list[tuple[Callable[[Any], None], list[str]]] = []
        self.shown: Clip | None = None
        super().__init__([])

    def follow(self, handler: Callable[[Any], None], *names: str) -> None:
        """Have `handler` called now, and whenever one of these traits of the desk changes."""
        self.desk.observe(handler, list(names))
        self._followed.append((handler, list(names)))
        handler(None)

    def close(self) -> None:
        """Leave the page."""
        if self.comm is None:
            return
        for handler, names in self._followed:
            self.desk.unobserve(handler, names)
        self._followed.clear()
        if self.shown is not None:
            self.shown.close()
        super().close()


class CorpusView(View):
    """The clips, their captions, and what is heard in each."""

    def __init__(self, desk: Desk, dashboard: Open) -> None:
        super().__init__(desk)
        self.dashboard = dashboard
        fields, settings = self.fields, CorpusSettings()
        self.name = fields.text("corpus", say("Corpus (folder)"), desk.corpus)
        self.name.observe(lambda _: self.show(), "value")
        self.sources = fields.text("sources", say("Recordings, scores (folders)"), "tunes")
        self.sources.placeholder = say("several are parted by ;")
        self.hear = fields.tick("hear", say("Hear tempo, key and timbres (takes longer)"), settings.hear)
        self.clip_s = fields.number("clip_s", say("Length of a clip (s)"), settings.clip_s, 1, 600, 1)
        options = [(name, code) for code, name in LANGUAGES.items()]
        self.language = fields.add("captions", ipw.Dropdown(options=options, value=settings.language))
        self.model = fields.text("genre_model", say("Guess genres with"), "")
        self.model.placeholder = "genre/genre.safetensors"
        making = fold(
            say("Make a corpus, or add to it"),
            dim(say("MP3, WAV, FLAC, OGG, M4A, MIDI and MusicXML; genre/artist/title is read from the path.")),
            row(self.sources, button(say("Write tunes to try"), self.recipe)),
            row(self.clip_s, ipw.Label(say("Language of captions")), self.language, self.hear),
            self.model,
            row(button(say("Make the corpus"), self.make, "primary")),
            opened=not desk.rows,
        )
        self.table = Table(desk.select, self.correct)
        self.sums = ipw.HTML()
        self.slot = ipw.VBox([])
        self.body = ipw.VBox([self.sums, self.table, self.slot])
        work = desk.works["corpus"]
        self.children = (row(self.name, button(say("Open"), self.show)), making, work, self.body)
        self.follow(self._on_rows, "rows")
        self.follow(self._on_guesses, "guesses", "rows")
        self.follow(self._on_selected, "selected", "guesses")

    def show(self) -> None:
        """Show the corpus that is named."""
        try:
            self.desk.open(self.name.value)
            self.desk.works["corpus"].tell("")
        except AmtsepError as error:
            self.desk.works["corpus"].tell(str(error), bad=True)

    def correct(self, audio: str, text: str) -> None:
        """Keep a person's caption."""
        try:
            self.desk.correct(audio, text)
            self.desk.works["corpus"].tell(say("The caption is kept."))
        except (AmtsepError, OSError) as error:
            self.desk.works["corpus"].tell(str(error), bad=True)
            self.table.rows = list(self.table.rows)

    def recipe(self) -> None:
        """Write the tunes where the field says."""
        self.desk.recipe(self.sources.value)

    def make(self) -> None:
        """Make what the fields say."""
        settings = replace(
            CorpusSettings(), hear=self.hear.value, clip_s=self.clip_s.value, language=self.language.value
        )
        self.desk.make(self.sources.value, self.name.value, settings, self.model.value)

    def _on_rows(self, _change: Any) -> None:
        rows = self.desk.rows
        self.table.rows = sent(rows)
        self.body.layout.display = None if rows else "none"
        minutes = sum(r.get("duration_s", 0.0) for r in rows) / 60
        parts = [
            f"{say({'train': 'training', 'validation': 'validation', 'test': 'test'}[name])} {len(own)}"
            for name in ("train", "validation", "test")
            if (own := [r for r in rows if r.get("split") == name])
        ]
        works = len({r.get("work") for r in rows})
        said = say("{m} minutes of {w} works", m=f"{minutes:.0f}", w=works)
        made = say("rendered from scores") if any(r.get("rendered") for r in rows) else ""
        self.sums.value = f'<span class="amtsep-dim">{" · ".join(filter(None, [said, *parts, made]))}</span>'

    def _on_guesses(self, _change: Any) -> None:
        truth = {r["audio"]: (r.get("genre"), r.get("genre_by")) for r in self.desk.rows}
        told = {}
        for audio, found in self.desk.guesses.items():
            answer, every = found["cnn"]["answer"], found["cnn"]["probabilities"]
            genre, by = truth.get(audio, (None, None))
            best = max(every, key=every.get)
            name = answer if answer == best else f"{best}?"
            right = None if by != "folder" else best == genre
            told[audio] = {"text": f"{say('guess')} {name} {every[best]:.0%}", "right": right}
        self.table.guesses = told

    def _on_selected(self, _change: Any) -> None:
        audio = self.desk.selected
        self.table.selected = audio
        found = self.desk.row(audio) if audio else None
        if found is None:
            self.slot.children = ()
            return
        if self.shown is None:
            self.shown = Clip(self.desk.clip, self.go)
        if not self.slot.children:
            self.slot.children = (self.shown,)
        about = f"<b>{html.escape(str(found.get('title', audio)))}</b>"
        self.shown.head.value = f'{about} <span class="amtsep-dim">{html.escape(str(found.get("source", "")))}</span>'

    def go(self) -> None:
        """Into the dashboard with the clip."""
        self.dashboard(self.desk.where / self.desk.selected)


class GenreView(View):
    """Two classifiers: trained, measured, asked."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        settings = GenreSettings()
        self.name = self.fields.text("genre", say("Classifiers (folder)"), "genre")
        self.epochs = self.fields.whole("epochs", say("Epochs, at most"), settings.epochs, 1, 1000)
        self.seed = self.fields.whole("genre_seed", say("Seed"), settings.seed, 0, 1_000_000)
        self.report = ipw.VBox([])
        self.told = ipw.VBox([])
        self.children = (
            dim(say("A small network on MFCC, and beside it what any engineer would try first: a linear model on "
                    "statistics. Works and artists stay on one side of the split.")),
            row(self.name, self.epochs, self.seed),
            row(
                button(say("Train on the corpus"), self.train, "primary"),
                button(say("Guess the genre of every clip"), lambda: desk.guess(self.name.value)),
            ),
            desk.works["genre"],
            self.report,
            self.told,
        )  # fmt: skip
        self.follow(self._on_outcome, "outcome")
        self.follow(self._on_guess, "selected", "guesses")

    def train(self) -> None:
        """Train what the fields say."""
        self.desk.train_genre(self.name.value, GenreSettings(epochs=self.epochs.value, seed=self.seed.value))

    def _on_outcome(self, _change: Any) -> None:
        if self.desk.outcome is None:
            return
        from amtsep.studio.genre_report import calibration_figure, confusion_figure, measures

        classifier, outcomes, _ = self.desk.outcome
        heads = (say("Classifier"), say("Part"), say("Right"), say("Rejected"), say("Right of the rest"),
                 say("Calibration error (before)"))  # fmt: skip
        named = {"cnn": say("network"), "baseline": say("baseline")}
        splits = {"validation": say("validation"), "test": say("test")}
        lines = [
            (named[m.kind], splits[m.split], f"{m.accuracy:.3f}", f"{m.rejected:.3f}",
             "–" if m.of_the_rest is None else f"{m.of_the_rest:.3f}", f"{m.calibration:.3f} ({m.uncalibrated:.3f})")
            for m in measures(classifier, outcomes)
        ]  # fmt: skip
        cells = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in one) + "</tr>" for one in lines)
        table = f"<table><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr>{cells}</table>"
        counts = "; ".join(
            say("{part}: {n} clips of {g} works", part=say("training") if k == "train" else splits[k],
                n=v["recordings"], g=v["groups"])
            for k, v in classifier.about["split"].items()
        )  # fmt: skip
        if classifier.about["synthetic"]:
            counts += " · " + say("Rendered from scores: says nothing of real recordings.")
        tested = [o for o in outcomes if o.split == "test"] or list(outcomes)
        figures = []
        for outcome in tested:
            made = Figure(confusion_figure(classifier, outcome))
            made.update_layout(
                title_text=f"{named[outcome.kind]}: {say('answers (across) by truth (down)')}",
                xaxis_title="", yaxis_title="", height=360, width=480,
            )  # fmt: skip
            figures.append(made)
        calibration = Figure(calibration_figure(classifier, tested))
        calibration.update_layout(
            title_text=say("Does a probability mean what it says?"), xaxis_title=say("Probability of the answer"),
            yaxis_title=say("Share that is right"), height=360, width=480,
        )  # fmt: skip
        for trace, name in zip(calibration.data, (say("perfect"), named["cnn"], named["baseline"])):
            trace.name = name
        for made in (*figures, calibration):
            refresh(made)
        self.report.children = (
            ipw.HTML(f'<div class="amtsep-report">{table}<p class="amtsep-dim">{html.escape(counts)}</p></div>'),
            row(*figures, calibration),
        )

    def _on_guess(self, _change: Any) -> None:
        told = self.desk.guesses.get(self.desk.selected)
        found = self.desk.row(self.desk.selected)
        if told is None or found is None:
            self.told.children = ()
            return
        import plotly.graph_objects as go

        made = Figure()
        dress(made, 300, True)
        for kind, name, colour in (("cnn", say("network"), COLOURS[0]), ("baseline", say("baseline"), COLOURS[1])):
            every = told[kind]["probabilities"]
            made.add_trace(go.Bar(x=list(every), y=list(every.values()), name=name, marker_color=colour))
        made.update_layout(title_text=say("Guesses for {title}", title=found["title"]), yaxis_range=[0, 1])
        refresh(made)
        self.told.children = (made,)


class TuneView(View):
    """Fine-tuning, with its curves while it runs."""

    NAMES = ("steps", "batch_size", "accumulate", "rank", "seed")

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        settings, fields = TuneSettings(), self.fields
        self.model = fields.text("base", say("Network (name or folder)"), "facebook/musicgen-small")
        self.out = fields.text("tuned", say("What is learned (folder)"), "tuned")
        labels = (say("Steps"), say("Batch"), say("Batches a step"), say("Rank"), say("Seed"))
        tops = (1_000_000, 64, 256, 256, 1_000_000)
        numbers = [fields.whole(n, label, getattr(settings, n), 0 if n == "seed" else 1, top)
                   for n, label, top in zip(self.NAMES, labels, tops)]  # fmt: skip
        rates = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
        self.rate = fields.add("learning_rate", ipw.SelectionSlider(
            options=[(f"{r:.0e}", r) for r in rates], value=settings.learning_rate, description=say("Learning rate"),
            style={"description_width": "190px"}, layout={"width": "470px"},
        ))  # fmt: skip
        self.full = fields.tick("full", say("The whole decoder, not low-rank additions (needs much memory)"), False)
        self.figure = Figure()
        dress(self.figure, 340, True)
        self.figure.update_layout(xaxis_title=say("Step"), yaxis_title=say("Loss of a code"))
        self.figure.add_trace(line([], [], say("training"), COLOURS[0]))
        self.figure.add_trace(line([], [], say("validation"), COLOURS[1], mode="lines+markers"))
        refresh(self.figure)
        self.terms = dim(say("The weights of facebook/musicgen-* are CC BY-NC 4.0: not for commercial use."))
        self.children = (
            row(self.model, button(say("Write a tiny random one to try"), self.tiny)),
            self.terms,
            self.out,
            fold(say("Settings"), row(*numbers), self.rate, self.full),
            row(
                button(say("Train"), lambda: self.train(False), "primary"),
                button(say("Go on"), lambda: self.train(True), tip=say("From the last checkpoint")),
            ),
            desk.works["tune"],
            self.figure,
            dim(say("A training that was started in a terminal into the same folder is drawn here too. "
                    "One that was started here ends with the page: long ones belong into a terminal.")),
        )  # fmt: skip
        self.follow(self._on_curves, "curves")

    def tiny(self) -> None:
        """Write it, and name it."""
        self.model.value = "tiny"
        self.desk.write_tiny("tiny")

    def train(self, resume: bool) -> None:
        """Train what the fields say."""
        values = self.fields.values()
        chosen = {name: values[name] for name in (*self.NAMES, "learning_rate", "full")}
        self.desk.tune(self.model.value, self.out.value, TuneSettings(**chosen), resume)

    def look(self) -> None:
        """Once a second: is there more to draw?"""
        self.desk.look(self.out.value)

    def _on_curves(self, _change: Any) -> None:
        points = self.desk.curves
        held = [p for p in points if "validation" in p]
        with self.figure.batch_update():
            for trace, own, key in zip(self.figure.data, (points, held), ("loss", "validation")):
                trace.x, trace.y = filled([p["step"] for p in own]), filled([p[key] for p in own])


class GenerateView(View):
    """A text to music, and from there to notes."""

    def __init__(self, desk: Desk, dashboard: Open) -> None:
        super().__init__(desk)
        self.dashboard = dashboard
        fields, settings = self.fields, SampleSettings()
        self.prompt = fields.add("prompt", ipw.Textarea(
            value="", placeholder=say("slow jazz, 80 beats a minute, in D minor"),
            layout={"width": "auto", "height": "74px"},
        ))  # fmt: skip
        self.model = fields.text("sampled", say("Network (name or folder)"), "tuned/adapter")
        self.melody = fields.text("melody", say("Led by the melody of (file)"), "")
        self.melody.placeholder = say("for networks that take a melody; empty: none")
        wanted = (
            ("seconds", say("Length (s)"), 1.0, 600.0, 1.0), ("guidance", say("Guidance by the text"), 1.0, 20.0, 0.5),
            ("temperature", say("Temperature"), 0.05, 5.0, 0.05), ("top_p", say("Top p"), 0.01, 1.0, 0.01),
        )  # fmt: skip
        self.numbers = {
            n: fields.number(f"sample_{n}", label, getattr(settings, n), *rest) for n, label, *rest in wanted
        }
        self.numbers["top_k"] = fields.whole("sample_top_k", say("Top k"), settings.top_k, 0, 2048)
        self.numbers["seed"] = fields.whole("sample_seed", say("Seed"), settings.seed, 0, 1_000_000)
        self.list = ipw.Select(options=[], layout={"width": "auto"})
        self.list.observe(self._on_choice, "value")
        self.slot = ipw.VBox([])
        self.made = ipw.VBox([ipw.HTML(f"<b>{say('Made so far')}</b>"), self.list])
        first = (self.numbers["seconds"], self.numbers["seed"])
        rest = [widget for name, widget in self.numbers.items() if name not in ("seconds", "seed")]
        self.children = (
            self.prompt,
            self.model,
            row(*first),
            row(self.melody, button(say("The clip selected in the corpus"), self.lead)),
            fold(say("Settings"), row(*rest)),
            row(button(say("Generate"), self.generate, "primary")),
            desk.works["generate"],
            self.made,
            self.slot,
        )
        self.follow(self._on_made, "made")

    def lead(self) -> None:
        """Take the clip's melody."""
        if self.desk.selected:
            self.melody.value = f"{self.desk.corpus}/{self.desk.selected}"

    def generate(self) -> None:
        """Make what the fields say."""
        settings = SampleSettings(**{name: widget.value for name, widget in self.numbers.items()})
        self.desk.generate(self.prompt.value, self.model.value, settings, self.melody.value)

    def _on_made(self, _change: Any) -> None:
        pieces = self.desk.made
        self.made.layout.display = None if pieces else "none"
        with self.list.hold_trait_notifications():
            self.list.options = [(f"{p['path'].name} · {p['prompt']}", p["path"]) for p in pieces]
            self.list.rows = max(2, min(6, len(pieces)))
        audio = self.desk.piece.audio
        shown = next((p["path"] for p in pieces if audio is not None and p["path"].name == audio.name), None)
        if shown is None:
            self.list.index = None
        else:
            self._show(shown)

    def _on_choice(self, change: Any) -> None:
        path = change["new"]
        if path is not None:
            self._show(path)
            audio = self.desk.piece.audio
            if audio is None or audio.name != path.name or self.desk.piece.busy:
                self.desk.show_piece(path)

    def _show(self, path: Path) -> None:
        if self.shown is None:
            self.shown = Clip(self.desk.piece, self.go)
            self.slot.children = (self.shown,)
        self.path = path
        self.shown.head.value = f"<b>{html.escape(path.name)}</b>"

    def go(self) -> None:
        """Into the dashboard with what was generated."""
        self.dashboard(self.path)
