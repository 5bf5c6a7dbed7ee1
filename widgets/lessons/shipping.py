"""Lesson 10: train a small transcriber, balance its losses, evaluate it, export it, run it in the browser."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import io
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import numpy as np
import torch

from amtsep.config import Mixing, Training
from amtsep.errors import DataError
from amtsep.nets.checkpoint import load_checkpoint
from amtsep.nets.export import export_onnx
from amtsep.synthesis.bank import Bank
from amtsep.synthesis.generate import Recipe, Sources, synthesize
from amtsep.training.balance import Balance, surgery
from amtsep.training.calibration import calibrate
from amtsep.training.loop import Run, train
from widgets.lessons.check import Exercise, Verdict, checker
from widgets.lessons.decoding import Tune as Tune
from widgets.lessons.figures import COLOURS, DARK, figure, filled, line, panels, strokes
from widgets.lessons.kit import Board, Piece, menu, note, row, slider, wav, whole
from widgets.lessons.small import effort
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak
from widgets.places import NOTEBOOKS


def make_bank(folder: str | Path, minutes: float | None = None) -> Bank:
    """Render a small bank of made-up timbres, no soundfont needed; one that is there already is opened.

    Parameters
    ----------
    folder
        Where it goes.
    minutes
        Of sound.
    """
    folder = Path(folder)
    with contextlib.suppress(DataError):
        return Bank.open(folder)
    length = effort(240, 60) / 60 if minutes is None else minutes
    recipe = Recipe(
        hours=length / 60,
        clip_s=5.0,
        music=0.0,
        recorded=0.0,
        synthetic=1.0,
        guitarset=0.0,
        dev=0.15,
        held_out=0.0,
        seed=2,
    )
    return synthesize(folder, recipe, Sources(), jobs=1)


class BankSounds(Board):
    """A few stems of a bank, to hear and see what a network will learn from."""

    def __init__(self, bank: Bank, count: int = 3) -> None:
        self.which = whole(say("Stem"), 0, 0, len(bank) - 1)
        self.bank, self.figure = bank, figure(260, say("Time (s)"), say("Pitch"), legend=False)
        self.figure.add_trace(line([], [], colour=COLOURS[0], width=6))
        self.player = ipw.Audio(value=wav(np.zeros(100)), format="wav", autoplay=False, loop=False)
        self.which.observe(lambda _change: self.draw(), "value")
        super().__init__([row(self.which, self.player), self.figure])
        self.draw()

    def draw(self) -> None:
        """Show and load a stem."""
        notes = self.bank.notes(self.which.value)
        with self.figure.batch_update():
            trace = self.figure.data[0]
            trace.x, trace.y = strokes(notes["onset"], notes["offset"], notes["pitch"])
        self.player.value = wav(self.bank.audio(self.which.value) / 32768.0, self.bank.sample_rate)


class Live(Board):
    """A training with live curves, in a thread: everything else goes on meanwhile.

    Parameters
    ----------
    bank
        What to learn from.
    folder
        Where the weights go.

    Examples
    --------
    >>> live = Live(bank, "mine")  # doctest: +SKIP
    >>> live.start()  # doctest: +SKIP
    >>> weights = live.result()  # doctest: +SKIP
    """

    def __init__(self, bank: Bank, folder: str | Path) -> None:
        self.bank, self.folder = bank, Path(folder)
        self.minutes = slider(say("Minutes"), effort(240, 6) / 60, 0.1, 5.0, 0.1, ".1f")
        self.rate = slider(say("Learning rate (× default)"), 1.0, 0.1, 4.0, 0.1, ".1f")
        self.balance = menu(say("Balance"), ["fixed", "resistor", "pcgrad"], "fixed")
        self.smooth = slider(say("Smoothing of the curves"), 0.8, 0.0, 0.98, 0.02)
        self.go = ipw.Button(description=say("Train"), button_style="primary", icon="play")
        self.halt = ipw.Button(description=say("Stop"), icon="stop", disabled=True)
        self.go.on_click(lambda _: self.start())
        self.words = note()
        self.curves: dict[str, list[float]] = {"onset": [], "frame": []}
        self.stop = threading.Event()
        self.halt.on_click(lambda _: self.stop.set())
        self.thread: threading.Thread | None = None
        self.problem: BaseException | None = None
        self.figure = figure(320, say("Steps"), say("Loss, 1 = at the start"))
        self.figure.add_trace(line([], [], say("onsets"), COLOURS[1]))
        self.figure.add_trace(line([], [], say("frames"), COLOURS[0]))
        self.figure.update_yaxes(type="log")
        self.smooth.observe(lambda _change: self.draw(), "value")
        super().__init__(
            [row(self.minutes, self.rate), row(self.balance, self.go, self.halt), self.smooth, self.words, self.figure]
        )
        self.add_class("amtsep-piece")

    def settings(self) -> Training:
        """A training of the network of `light` that fits two cores and a few minutes."""
        return Training(
            network="light",
            steps=effort(100_000, 3),
            batch_size=2,
            learning_rate=Training.learning_rate * self.rate.value,
            warm_up=10,
            ema_decay=0.98,
            workers=0,
            checkpoint_every=10**9,
            evaluate_every=10**9,
            dev_clips=0,
            balance=self.balance.value,
            mixing=Mixing(clip_s=3.0, parts=(0.5, 0.5)),
        )

    def start(self) -> None:
        """Begin, unless one is under way."""
        if self.thread is not None and self.thread.is_alive():
            return
        self.stop.clear()
        self.curves, self.problem = {"onset": [], "frame": []}, None
        self.go.disabled, self.halt.disabled = True, False
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        shown = [0.0]

        def watch(step: int, losses: dict[str, float]) -> bool:
            for name, curve in self.curves.items():
                curve.append(losses[name])
            if time.monotonic() - shown[0] > 1.0:
                shown[0] = time.monotonic()
                self.draw()
                self.words.value = say(
                    "Step {n}: onset loss {a:.4f}, frame loss {b:.4f}", n=step, a=losses["onset"], b=losses["frame"]
                )
            return not self.stop.is_set()

        try:
            assert self.bank.folder is not None
            run = Run(
                self.bank.folder, self.folder, precision="32-true", accelerator="cpu", max_minutes=self.minutes.value
            )
            # The progress bar is for terminals; here the picture moves.
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                train(self.settings(), run, watch)
        except BaseException as error:  # noqa: BLE001 - told by `result`
            self.problem = error
        self.draw()
        self.go.disabled, self.halt.disabled = False, True
        self.words.value = say("{n} steps done.", n=len(self.curves["onset"]))

    def draw(self) -> None:
        """The curves so far, as smooth as wished."""
        with self.figure.batch_update():
            for trace, values in zip(self.figure.data, self.curves.values()):
                y = np.array(values)
                if len(y):
                    smooth, keep = np.empty(len(y)), self.smooth.value
                    mean = y[0]
                    for k, value in enumerate(y):
                        mean = keep * mean + (1 - keep) * value
                        smooth[k] = mean
                    y = smooth / max(y[0], 1e-9)
                trace.x, trace.y = filled(np.arange(1, len(y) + 1)), filled(y)

    def result(self) -> Path:
        """Wait for the end, calibrate the thresholds on the bank's development half, and give the weights' path."""
        if self.thread is None:
            self.start()
        assert self.thread is not None and self.bank.folder is not None
        self.thread.join()
        if self.problem is not None:
            raise self.problem
        path = self.folder / "mine.safetensors"
        calibrate(self.folder / "last.safetensors", path, self.bank.folder, effort(8, 2))
        return path


def size(weights: str | Path) -> str:
    """How large a network is: a sentence."""
    net, checkpoint = load_checkpoint(Path(weights))
    count = sum(p.numel() for p in net.parameters())
    return say(
        "{name}: {n:,} parameters, {kb:.0f} kB",
        name=checkpoint.network.name,
        n=count,
        kb=Path(weights).stat().st_size / 1000,
    )


def export(weights: str | Path) -> Path:
    """The ONNX file of some weights, beside them."""
    path = Path(weights)
    return export_onnx(path, path.with_suffix(".onnx"))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nobody reads a line a file."""


def browser_page(onnx: str | Path, folder: str | Path) -> ipw.HTML:
    """The project's page that transcribes in the browser, with this network in it, served to this computer.

    Raises
    ------
    DataError
        Where the page's sources are not at hand (an installation without the checkout).
    """
    script = NOTEBOOKS.parent / "web" / "serve.py"
    spec = importlib.util.spec_from_file_location("amtsep_web_serve", script)
    if not script.is_file() or spec is None or spec.loader is None:
        raise DataError("The browser page comes with the project's checkout; clone it, and open the lesson there.")
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    site = Path(folder).resolve()
    serve.collect(site)
    shutil.copyfile(onnx, site / "models" / "light.onnx")
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/web/"
    page = ipw.HTML(
        f'<a href="{address}" target="_blank">{say("Open the page with your network in it")}: {address}</a>'
    )
    page.server = server
    return page


# --- balancing -------------------------------------------------------------------------------------------------------


class Surgery(Piece):
    """Two losses pull one weight vector: what gradient surgery cuts away where they disagree."""

    def __init__(self) -> None:
        self.angle = slider(say("Angle between them (°)"), 140, 0, 180, 1, ".0f")
        self.length = slider(say("Length of the second"), 1.5, 0.2, 3.0, 0.1, ".1f")
        self.words = note()
        self.figure = figure(380)
        styles = (("solid", COLOURS[0]), ("solid", COLOURS[1]), ("dot", DARK), ("solid", COLOURS[2]))
        names = (
            say("gradient of the onsets"),
            say("gradient of the frames"),
            say("plain sum"),
            say("sum after surgery"),
        )
        for name, (dash, colour) in zip(names, styles):
            trace = line(
                [],
                [],
                name,
                colour,
                width=4,
                mode="lines+markers",
                marker={"symbol": "arrow", "size": 15, "angleref": "previous"},
            )
            trace.line.dash = dash
            self.figure.add_trace(trace)
        self.figure.update_xaxes(range=[-4, 4])
        self.figure.update_yaxes(range=[-1.2, 3.2], scaleanchor="x")
        super().__init__([row(self.angle, self.length), self.words, self.figure], [self.angle, self.length])

    def gradients(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Of both losses, and what surgery makes of them."""
        angle = np.radians(self.angle.value)
        first, second = np.array([1.0, 0.0]), self.length.value * np.array([np.cos(angle), np.sin(angle)])
        (cut,) = surgery([[torch.tensor(first)], [torch.tensor(second)]])
        assert cut is not None
        return first, second, cut.numpy()

    def draw(self) -> None:
        """Draw the arrows."""
        first, second, cut = self.gradients()
        with self.figure.batch_update():
            for trace, arrow in zip(self.figure.data, (first, second, first + second, cut)):
                trace.x, trace.y = [0, float(arrow[0])], [0, float(arrow[1])]
        plain, after = float((first + second) @ first), float(cut @ first)
        self.words.value = say(
            "Along the first gradient, the plain sum goes {a:+.2f}, the sum after surgery {b:+.2f}.", a=plain, b=after
        )


class Resistors(Piece):
    """Weights of two losses: fixed, as resistors in parallel, and by dynamic weight averaging."""

    def __init__(self) -> None:
        self.first = slider(say("Onset loss"), 3.0, 0.1, 6.0, 0.1, ".1f")
        self.second = slider(say("Frame loss"), 0.5, 0.1, 6.0, 0.1, ".1f")
        self.slow = slider(say("Onset loss, % of before"), 90, 50, 110, 1, ".0f")
        self.figure = panels(1, 2, [say("Weights"), say("What each loss counts (weight × loss)")], 300)
        methods = (say("fixed"), say("resistor"), say("dwa"))
        for column in (1, 2):
            for index, name in enumerate((say("onsets"), say("frames"))):
                self.figure.add_bar(
                    x=list(methods),
                    y=[0, 0, 0],
                    name=name,
                    marker={"color": COLOURS[1 - index]},
                    showlegend=column == 1,
                    row=1,
                    col=column,
                )
        super().__init__([row(self.first, self.second), self.slow, self.figure], [self.first, self.second, self.slow])

    def weights(self) -> np.ndarray[Any, Any]:
        """(3, 2): of fixed, resistor and dwa."""
        losses = torch.tensor([self.first.value, self.second.value])
        averaging = Balance("dwa")
        # Two windows of steps: the frame loss halves, the onset loss falls as the slider says.
        before = losses / torch.tensor([self.slow.value / 100, 0.5])
        averaging.windows = [before, losses]
        rows = [Balance("fixed").weights(losses), Balance("resistor").weights(losses), averaging.weights(losses)]
        return np.stack([r.numpy() for r in rows])

    def draw(self) -> None:
        """Weigh."""
        weights = self.weights()
        losses = np.array([self.first.value, self.second.value])
        with self.figure.batch_update():
            for index in (0, 1):
                self.figure.data[index].y = weights[:, index]
                self.figure.data[2 + index].y = weights[:, index] * losses[index]


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            1.5,
            say("Right: 2 · (1/1) / (1/1 + 1/3); weighed so, both losses count 1.5."),
            say("Not yet. The weights are in the ratio of 1/loss, and their mean is one."),
            within=0.02,
        ),
        Exercise(
            90,
            say("Right: over a right angle they disagree, and surgery begins."),
            say("Not yet. Drag the angle, and look where the two sums part."),
            within=0.5,
        ),
    )


_check = checker(exercises)


def check(exercise: int, answer: Any) -> Verdict:
    """The verdict on an answer to exercise 1, 2 or 3: the last is the path of a file."""
    if exercise < 3:
        return _check(exercise, answer)
    path = Path(str(answer))
    ok = path.suffix == ".onnx" and path.is_file()
    return Verdict(
        ok,
        say("Right: one file from waveform to posteriors, {kb:.0f} kB.", kb=path.stat().st_size / 1000)
        if ok
        else say("Not yet. Export the weights, and give the path of the .onnx file."),
    )
