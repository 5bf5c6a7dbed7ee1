"""Lesson 5: learning from few positives: the focal loss, and what the weight of positives does to ends and onsets."""

from __future__ import annotations

import time

import ipywidgets as ipw
import numpy as np
import torch
from numpy.typing import NDArray

from amtsep.config import Training
from amtsep.synthesis.mixing import targets
from amtsep.training.losses import focal_loss
from widgets.lessons import material
from widgets.lessons.alpha import FRAME_ALPHAS, ONSET_ALPHAS, STEPS, load, measure
from widgets.lessons.check import Exercise, checker
from widgets.lessons.figures import COLOURS, DARK, heat, line, panels
from widgets.lessons.kit import Piece, choices, note, percent, row, slider, steps, whole
from widgets.lessons.small import SmallTraining, effort, small_set
from widgets.lessons.text import say
from widgets.lessons.text import speak as speak

Values = NDArray[np.float32]


def losses(p: Values, target: float, alpha: float, gamma: float) -> Values:
    """The focal loss of single predictions `p` where the truth is `target`."""
    logits = torch.logit(torch.from_numpy(np.asarray(p, np.float32)))
    found = [focal_loss(x[None], torch.full((1,), target), alpha, gamma).item() for x in logits]
    return np.asarray(found, np.float32)


def shares(posterior: Values, target: Values, alpha: float, gamma: float) -> tuple[float, float, float]:
    """Of the whole loss, what comes from sounding cells, from silent ones over .1, and from the easy rest."""
    p = np.clip(posterior, 1e-4, 1 - 1e-4)
    cross = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    loss = (alpha * target + (1 - alpha) * (1 - target)) * np.abs(target - p) ** gamma * cross
    sounding, hard = target > 0.5, (target <= 0.5) & (p > 0.1)
    parts = np.array([loss[sounding].sum(), loss[hard].sum(), loss[~sounding & ~hard].sum()])
    a, b, c = parts / max(parts.sum(), 1e-12)
    return float(a), float(b), float(c)


class Focal(Piece):
    """The focal loss, and who is heard in it: few sounding cells among many silent ones."""

    def __init__(self, clip: str = "piano", length_s: float = 6.0) -> None:
        found = material.posteriors(clip, "light")
        frames = round(length_s / found.hop_s)
        notes = material.truth(clip)
        table = np.stack([notes.onset, notes.offset, notes.pitch, notes.track], axis=1).astype(np.float32)
        self.target = targets(table, frames, found.hop_s)[1]
        trained = found.frame[:, :frames]
        self.posteriors = {"new": np.full_like(trained, 0.05), "trained": trained}
        self.alpha = slider(say("α, weight of positives"), 0.5, 0.05, 0.95, 0.01)
        self.gamma = slider(say("γ, easy cells count less"), 0.0, 0.0, 4.0, 0.1, ".1f")
        self.which = choices(
            say("Network"), [(say("untrained: 5 % everywhere"), "new"), (say("trained"), "trained")], "new"
        )
        self.which.style.button_width = "200px"
        self.words = note(say("Of all cells (pitch × frame) {share} sound.", share=percent(float(self.target.mean()))))
        self.figure = panels(1, 2, [say("Loss of one cell"), say("Who is heard: share of the whole loss (%)")], 330)
        self.p = np.linspace(0.005, 0.995, 100).astype(np.float32)
        self.figure.add_trace(line(self.p, self.p, say("it sounds"), COLOURS[0]), 1, 1)
        self.figure.add_trace(line(self.p, self.p, say("it is silent"), COLOURS[3]), 1, 1)
        names = [say("it sounds"), say("silent, taken<br>for a note"), say("silent, and<br>known to be")]
        self.figure.add_bar(
            x=names, y=[0, 0, 0], marker={"color": [COLOURS[0], COLOURS[3], "#9aa7b5"]}, showlegend=False, row=1, col=2
        )
        self.figure.update_xaxes(title_text=say("What the network says"), row=1, col=1)
        self.figure.update_yaxes(range=[0, 3], row=1, col=1)
        self.figure.update_yaxes(range=[0, 100], row=1, col=2)
        super().__init__(
            [row(self.alpha, self.gamma), self.which, self.words, self.figure], [self.alpha, self.gamma, self.which]
        )

    def draw(self) -> None:
        """Weigh again."""
        alpha, gamma = self.alpha.value, self.gamma.value
        heard = shares(self.posteriors[self.which.value], self.target, alpha, gamma)
        with self.figure.batch_update():
            self.figure.data[0].y = losses(self.p, 1.0, alpha, gamma)
            self.figure.data[1].y = losses(self.p, 0.0, alpha, gamma)
            self.figure.data[2].y = 100 * np.array(heard)


class Train(Piece):
    """Train a small network with weights of one's choice, and watch what it says about a clip it has not heard.

    The last few trainings stay, to be compared.
    """

    def __init__(self) -> None:
        self.data, self.test = small_set(), small_set(seed=7)
        self.frame_alpha = slider(say("α of the frames"), 0.8, 0.05, 0.95, 0.01)
        self.onset_alpha = slider(say("α of the onsets"), 0.95, 0.05, 0.95, 0.01)
        self.count = whole(say("Steps"), effort(40, 4), 2, 200, 2)
        self.at = whole(say("Show it after step"), 0, 0, self.count.value, 1)
        self.button = ipw.Button(description=say("Train"), button_style="primary", icon="play")
        self.button.on_click(lambda _: self.train())
        self.words = note()
        self.said: list[tuple[int, Values, Values]] = []
        self.figure = panels(
            2,
            2,
            [
                say("Loss while it trains"),
                say("Frames: what it says"),
                say("Onsets: what it says"),
                say("The truth: frames"),
            ],
            490,
            vertical_spacing=0.24,
        )
        self.figure.add_trace(line([], [], say("frames"), COLOURS[0], width=1.5), 1, 1)
        self.figure.add_trace(line([], [], say("onsets"), COLOURS[1], width=1.5), 1, 1)
        truth = self.test.frame[0].numpy()
        for place, shown in (((1, 2), 0 * truth), ((2, 1), 0 * truth), ((2, 2), truth)):
            self.figure.add_trace(heat(shown, zmin=0, zmax=1), *place)
            self.figure.update_xaxes(showticklabels=False, row=place[0], col=place[1])
            self.figure.update_yaxes(showticklabels=False, range=[10, 75], row=place[0], col=place[1])
        self.figure.update_xaxes(title_text=say("Steps"), row=1, col=1)
        self.at.observe(lambda _change: self.look(), "value")
        super().__init__(
            [row(self.frame_alpha, self.onset_alpha), row(self.count, self.button), self.words, self.figure, self.at]
        )

    def train(self) -> None:
        """What the button does."""
        self.button.disabled = True
        training = SmallTraining(self.data, self.frame_alpha.value, self.onset_alpha.value)
        self.said = [(0, *training.hear(self.test.power[0]))]
        shown = 0.0
        for step in range(1, self.count.value + 1):
            training.step()
            last = step == self.count.value
            if last or time.monotonic() - shown > 0.4:
                shown = time.monotonic()
                self.said.append((step, *training.hear(self.test.power[0])))
                curve = np.array(training.losses)
                with self.figure.batch_update():
                    for index, column in ((0, 1), (1, 0)):
                        self.figure.data[index].x = np.arange(1, step + 1)
                        self.figure.data[index].y = curve[:, column] / max(curve[0, column], 1e-9)
                    self.look()
        found = measure(training, self.test)
        self.words.value = say(
            "α {fa:.2f} and {oa:.2f}, {n} steps: frames go on for {tail:.0f} ms after the end of a note; onsets are "
            "{wide:.0f} ms wide.",
            fa=self.frame_alpha.value,
            oa=self.onset_alpha.value,
            n=self.count.value,
            tail=found["tail_ms"],
            wide=found["onset_ms"],
        )
        self.at.max, self.at.value = self.count.value, self.count.value
        self.button.disabled = False

    def look(self) -> None:
        """Show what it said near a step."""
        if not self.said:
            return
        wanted = self.at.value if not self.button.disabled else self.said[-1][0]
        _, onset, frame = min(self.said, key=lambda entry: abs(entry[0] - wanted))
        with self.figure.batch_update():
            self.figure.data[2].z, self.figure.data[3].z = frame, onset


class Published(Piece):
    """The whole experiment, run before: every pair of weights, after few and after many steps."""

    def __init__(self) -> None:
        self.rows = load()
        self.steps = steps(say("After"), [(say("{n} steps", n=n), n) for n in STEPS], STEPS[0])
        self.figure = panels(
            1, 2, [say("Frames go on after the end (ms)"), say("Width of an onset (ms)")], 320, horizontal_spacing=0.14
        )
        for column, name in ((1, "tail_ms"), (2, "onset_ms")):
            top = max(r[name] for r in self.rows)
            trace = heat(
                np.zeros((len(FRAME_ALPHAS), len(ONSET_ALPHAS))),
                [f"{a:.2f}" for a in ONSET_ALPHAS],
                [f"{a:.2f}" for a in FRAME_ALPHAS],
                colorscale=["#fffaf0", "#f2a65a"],
                zmin=0,
                zmax=top,
                texttemplate="%{z:.0f}",
                textfont={"size": 15, "color": DARK},
            )
            self.figure.add_trace(trace, 1, column)
            self.figure.update_xaxes(title_text=say("α of the onsets"), type="category", row=1, col=column)
            self.figure.update_yaxes(title_text=say("α of the frames"), type="category", row=1, col=column)
        super().__init__([self.steps, self.figure], [self.steps])

    def table(self, name: str, count: int) -> NDArray[np.float64]:
        """A measure after so many steps, (frame weights, onset weights)."""
        found = {(r["frame_alpha"], r["onset_alpha"]): r[name] for r in self.rows if r["steps"] == count}
        return np.array([[found[f, o] for o in ONSET_ALPHAS] for f in FRAME_ALPHAS])

    def draw(self) -> None:
        """Fill the tables."""
        with self.figure.batch_update():
            for trace, name in zip(self.figure.data, ("tail_ms", "onset_ms")):
                trace.z = self.table(name, self.steps.value)


def exercises() -> tuple[Exercise, ...]:
    """The answers, and what is said about them."""
    return (
        Exercise(
            0.95,
            say("Right: 19 silent cells to each sounding one; weighed 0.95 to 0.05 both sides count the same."),
            say("Not yet. Both sides count the same when α · share = (1 - α) · (1 - share)."),
            within=0.011,
        ),
        Exercise(
            "longer",
            say("Right: where the network is in doubt, a missed positive is the dearer mistake."),
            say(
                "Not yet. After a note's end the network is in doubt. Which mistake costs more if positives weigh more?"
            ),
        ),
        Exercise(
            Training.onset_alpha,
            say("Right, it is in amtsep/config.py: lighter than one half, though onsets are so rare."),
            say("Not yet. Print it: from amtsep.config import Training; Training.onset_alpha"),
            within=0.011,
        ),
    )


check = checker(exercises)
