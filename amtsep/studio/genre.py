"""Genre classifiers: a small convolutional network on MFCC, and the baseline that any engineer would try first.

The network is the common recipe for this task: four convolutions (64, 32, 32, 16) with batch normalisation and
pooling, a dense layer of 64, dropout. It answers for segments of three seconds; a recording's answer is the mean of
theirs. The baseline is logistic regression on statistics of MFCC, chroma and tempo. The probabilities of both are
calibrated by one temperature (Guo et al., "On calibration of modern neural networks", ICML 2017), fitted on the
validation recordings; an answer less sure than a threshold found there is `UNKNOWN`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from amtsep.errors import Cancelled, DataError, ModelError
from amtsep.files import replacing
from amtsep.studio.config import GenreSettings
from amtsep.studio.genre_data import Example, Features, chosen, features
from amtsep.studio.names import UNKNOWN

Probabilities = NDArray[np.float64]
KINDS = ("cnn", "baseline")


class GenreNet(nn.Module):
    """MFCC segments (B, coefficients, frames) to logits (B, genres)."""

    def __init__(self, genres: int, settings: GenreSettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for width in settings.channels:
            # Pooled before it is rectified and normalised: the same as after it (but for where the norm is taken), and
            # a quarter of the work.
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.MaxPool2d(2, ceil_mode=True)]
            layers += [nn.ReLU(), nn.BatchNorm2d(width)]
            before = width
        self.convolutions = nn.Sequential(*layers)
        height, width = settings.coefficients, int(settings.segment_s * settings.sample_rate / settings.hop)
        for _ in settings.channels:
            height, width = -(-height // 2), -(-width // 2)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(before * height * width, settings.dense),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.dense, genres),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # a third less time on a processor

    def forward(self, segments: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.convolutions(segments[:, None].contiguous(memory_format=torch.channels_last)))


@dataclass(frozen=True, eq=False)
class Outcome:
    """Answers of one classifier to one split."""

    kind: str
    split: str
    truth: tuple[str, ...]
    probabilities: Probabilities
    """(n, genres), calibrated."""
    uncalibrated: Probabilities
    answers: tuple[str, ...]
    """`UNKNOWN` where it was not sure."""

    def accuracy(self, genres: Sequence[str]) -> float:
        """Share of right answers, none rejected."""
        best = [genres[i] for i in self.probabilities.argmax(axis=1)]
        return float(np.mean([a == b for a, b in zip(best, self.truth)])) if self.truth else float("nan")


@dataclass(frozen=True, eq=False)
class Part:
    """One of the two classifiers: its tensors, and what its probabilities are divided and cut by."""

    tensors: dict[str, Tensor]
    temperature: float = 1.0
    threshold: float = 0.0


@dataclass(frozen=True, eq=False)
class Classifier:
    """Both classifiers, as they are saved."""

    genres: tuple[str, ...]
    settings: GenreSettings
    parts: dict[str, Part]
    about: dict[str, Any] = field(default_factory=dict)
    """Of the training: numbers of recordings and groups, whether they were synthetic, figures."""

    def logits(self, found: Sequence[Features], kind: str = "cnn") -> NDArray[np.float64]:
        """(n, genres) log-probabilities of recordings, before calibration."""
        part = self.parts[kind].tensors
        if kind == "baseline":
            x = np.stack([f.statistics for f in found]).astype(np.float64)
            x = (x - part["mean"].double().numpy()) / part["scale"].double().numpy()
            raw = torch.from_numpy(x @ part["weight"].double().numpy().T + part["bias"].double().numpy())
            return torch.log_softmax(raw, 1).numpy()
        net = GenreNet(len(self.genres), self.settings)
        net.load_state_dict({name.removeprefix("net."): t for name, t in part.items() if name.startswith("net.")})
        net.eval()
        out = []
        with torch.no_grad():
            for f in found:
                segments = (torch.from_numpy(f.segments) - part["mean"]) / part["scale"]
                out.append(torch.softmax(net(segments), 1).mean(0).double().clamp_min(1e-12).log().numpy())
        return np.array(out)

    def probabilities(self, found: Sequence[Features], kind: str = "cnn") -> Probabilities:
        """(n, genres), calibrated."""
        return at_temperature(self.logits(found, kind), self.parts[kind].temperature)

    def answer(self, probabilities: Probabilities, kind: str = "cnn") -> list[str]:
        """The genre of each row, or `UNKNOWN`."""
        sure = probabilities.max(axis=1) >= self.parts[kind].threshold
        best = probabilities.argmax(axis=1)
        return [self.genres[i] if yes else UNKNOWN for i, yes in zip(best, sure)]

    def guess(self, path: Path, kind: str = "cnn") -> tuple[str, float]:
        """A recording's genre and its probability."""
        found = self.probabilities([features(path, self.settings)], kind)
        return self.answer(found, kind)[0], round(float(found.max()), 3)

    def save(self, path: Path) -> Path:
        """Write a ``.safetensors`` file."""
        from safetensors.torch import save_file

        tensors = {f"{kind}/{n}": t.contiguous() for kind, part in self.parts.items() for n, t in part.tensors.items()}
        numbers = {kind: [part.temperature, part.threshold] for kind, part in self.parts.items()}
        told = {"genres": self.genres, "settings": asdict(self.settings), "parts": numbers, "about": self.about}
        with replacing(path) as temporary:
            save_file(tensors, temporary, {"amtsep-genre": json.dumps(told)})
        return path

    @classmethod
    def load(cls, path: Path) -> Classifier:
        """Read what `save` wrote; raises `ModelError`."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                told = json.loads((file.metadata() or {})["amtsep-genre"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(f"{path} is no genre classifier; make one with 'amtsep genre train'.") from error
        settings = GenreSettings(**{**told["settings"], "channels": tuple(told["settings"]["channels"])})
        parts = {
            kind: Part({n.partition("/")[2]: t for n, t in tensors.items() if n.startswith(f"{kind}/")}, *numbers)
            for kind, numbers in told["parts"].items()
        }
        names = {f"net.{name}" for name in GenreNet(len(told["genres"]), settings).state_dict()}
        if not names <= set(parts["cnn"].tensors):
            raise ModelError(f"{path} was made by an earlier version; train it anew with 'amtsep genre train'.")
        return cls(tuple(told["genres"]), settings, parts, told["about"])


@contextmanager
def one_thread() -> Iterator[None]:
    """So small a network gains little from more, and loses threefold where they wait for other programs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


Tell = Callable[[str, int, int], object]
"""Called with what is done, how much of it, of how much; ``False`` ends the work."""


def train(
    examples: Sequence[Example],
    settings: GenreSettings = GenreSettings(),  # noqa: B008 - frozen
    tell: Tell | None = None,
    state: Path | None = None,
    resume: bool = False,
) -> tuple[Classifier, list[Outcome], list[dict[str, float]]]:
    """Train both classifiers; gives them, their answers to the validation and test recordings, and the curves.

    Training recordings alone decide weights and normalisation; validation ones the epoch, the temperature and the
    threshold; test ones nothing.

    Parameters
    ----------
    state
        Where the network's training is kept after each epoch until it has ended.
    resume
        Go on from there. Chance depends on the seed and the epoch alone, so the result is that of a training that was
        not interrupted.

    Raises
    ------
    DataError
        If a genre has nothing to train on, or there is nothing to go on with.
    Cancelled
        If `tell` asked for an end.
    """

    def say(what: str, done: int, total: int) -> None:
        if tell is not None and tell(what, done, total) is False:
            raise Cancelled

    found: list[Features] = []
    for number, example in enumerate(examples, 1):
        found.append(features(example.path, settings))
        say("features", number, len(examples))
    genres = tuple(sorted({example.genre for example in examples}))
    truth = np.array([genres.index(example.genre) for example in examples])
    own, held = chosen(examples, "train"), chosen(examples, "validation")
    if {genres[i] for i in truth[own]} != set(genres):
        raise DataError("A genre has no recording left to train on; give it more works, or name another --seed.")
    parts = {"baseline": _baseline([found[i] for i in own], truth[own], settings)}
    with one_thread():
        kept = Kept(state, examples, settings, resume) if state is not None else None
        parts["cnn"], curves = _network(found, truth, own, held, len(genres), settings, say, kept)
    classifier = Classifier(genres, settings, parts)
    for kind in KINDS if held else ():
        raw = classifier.logits([found[i] for i in held], kind)
        temperature = fit_temperature(raw, truth[held])
        sure = at_temperature(raw, temperature)
        threshold = rejection_threshold(sure, truth[held], settings.kept)
        parts[kind] = replace(parts[kind], temperature=temperature, threshold=threshold)
    outcomes = []
    for split in ("validation", "test"):
        some = chosen(examples, split)
        if not some:
            continue
        for kind in KINDS:
            raw = classifier.logits([found[i] for i in some], kind)
            sure = at_temperature(raw, parts[kind].temperature)
            names = tuple(genres[i] for i in truth[some])
            answers = tuple(classifier.answer(sure, kind))
            outcomes.append(Outcome(kind, split, names, sure, at_temperature(raw, 1.0), answers))
    figures = {f"{o.kind} {o.split}": round(o.accuracy(genres), 4) for o in outcomes}
    counts = {
        split: {
            "recordings": len(chosen(examples, split)),
            "groups": len({examples[i].group for i in chosen(examples, split)}),
        }
        for split in ("train", "validation", "test")
    }
    told = {"synthetic": any(e.synthetic for e in examples), "split": counts, "accuracy": figures}
    if state is not None:
        state.unlink(missing_ok=True)
    return replace(classifier, about=told), outcomes, curves


class Kept:
    """A training that can be gone on with, in a file."""

    def __init__(self, path: Path, examples: Sequence[Example], settings: GenreSettings, resume: bool) -> None:
        told = [asdict(settings), [(str(e.path), e.genre, e.split) for e in examples]]
        self.mark = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        self.path, self.resume = path, resume

    def read(self) -> dict[str, Any] | None:
        """What was written last, where the training is to be gone on with; raises `DataError`."""
        if not self.resume:
            return None
        if not self.path.is_file():
            raise DataError(f"{self.path.parent} holds no training to go on with; leave --resume out.")
        try:
            there = torch.load(self.path, weights_only=True)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file raises
            raise DataError(f"{self.path} cannot be read; leave --resume out to begin again.") from error
        if there["mark"] != self.mark:
            raise DataError(f"{self.path} is of other recordings or settings; leave --resume out to begin again.")
        return there

    def write(self, content: dict[str, Any]) -> None:
        """Replace it."""
        with replacing(self.path) as temporary:
            torch.save({"mark": self.mark, **content}, temporary)


def _baseline(found: Sequence[Features], truth: NDArray[np.intp], settings: GenreSettings) -> Part:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x = np.stack([f.statistics for f in found]).astype(np.float64)
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced", random_state=settings.seed)
    model.fit(scaler.transform(x), truth)
    weight, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(weight) == 1:  # two genres: the one weight is that of the second
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    arrays = {"weight": weight, "bias": bias, "mean": scaler.mean_, "scale": scaler.scale_}
    return Part({name: torch.from_numpy(np.asarray(a, np.float32)) for name, a in arrays.items()})


def _network(
    found: Sequence[Features],
    truth: NDArray[np.intp],
    own: Sequence[int],
    held: Sequence[int],
    genres: int,
    settings: GenreSettings,
    say: Callable[[str, int, int], None],
    state: Kept | None = None,
) -> tuple[Part, list[dict[str, float]]]:
    torch.manual_seed(settings.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def together(which: Sequence[int]) -> tuple[Tensor, Tensor]:
        labels = np.concatenate([np.full(len(found[i].segments), truth[i]) for i in which])
        return torch.from_numpy(np.concatenate([found[i].segments for i in which])), torch.from_numpy(labels)

    x, y = together(own)
    mean = x.mean(dim=(0, 2), keepdim=True)[0]
    scale = x.std(dim=(0, 2), keepdim=True)[0].clamp_min(1e-3)
    x = ((x - mean) / scale).to(device)
    y = y.to(device)
    # Without validation recordings the training ones stop nothing: their loss only falls.
    vx, vy = together(held or own)
    vx, vy = ((vx - mean) / scale).to(device), vy.to(device)
    weights = 1.0 / torch.bincount(y, minlength=genres).clamp_min(1).float()
    net = GenreNet(genres, settings).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    best, kept, stale = float("inf"), {k: v.clone() for k, v in net.state_dict().items()}, 0
    curves: list[dict[str, float]] = []
    if state is not None and (there := state.read()) is not None:
        net.load_state_dict(there["net"])
        optimizer.load_state_dict(there["optimizer"])
        best, kept, stale, curves = (there[name] for name in ("best", "kept", "stale", "curves"))
    for epoch in range(len(curves), settings.epochs):
        if stale >= settings.patience:
            break
        net.train()
        total = 0.0
        torch.manual_seed(settings.seed + (epoch + 1) * 1_000_003)
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(x))
        for start in range(0, len(order), settings.batch_size):
            some = torch.from_numpy(order[start : start + settings.batch_size]).to(device)
            if len(some) < 2:  # batch normalisation needs two
                continue
            loss = nn.functional.cross_entropy(net(x[some]), y[some], weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(some)
        net.eval()
        with torch.no_grad():
            logits = torch.cat([net(part) for part in vx.split(256)])
        # At the temperature that suits it, as it will be used: of recordings unlike those learnt from, a network soon
        # grows too sure, which calibration mends, long before it has learnt what it can.
        loss_held = calibrated_loss(logits.cpu().double().numpy(), vy.cpu().numpy())
        curves.append({"train": total / len(x), "validation": loss_held})
        stale = 0 if loss_held < best - settings.least_gain else stale + 1
        if loss_held < best:
            best, kept = loss_held, {k: v.clone() for k, v in net.state_dict().items()}
        if state is not None:
            now = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            state.write({**now, "best": best, "kept": kept, "stale": stale, "curves": curves})
        say("epochs", epoch + 1, settings.epochs)
    tensors = {f"net.{name}": tensor.cpu() for name, tensor in kept.items()}
    return Part({**tensors, "mean": mean, "scale": scale}), curves


def at_temperature(logits: NDArray[np.float64], temperature: float) -> Probabilities:
    """Softmax of logits over a temperature: over one, less sure."""
    shifted = logits / temperature
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.intp]) -> float:
    """The temperature of the lowest log loss, from a quarter to ten; one where there is nothing to fit it to."""
    if not len(truth):
        return 1.0
    grid = np.geomspace(0.25, 10.0, 149)
    rows = np.arange(len(truth))
    losses = [-np.log(at_temperature(logits, t)[rows, truth] + 1e-12).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def calibrated_loss(logits: NDArray[np.float64], truth: NDArray[np.intp]) -> float:
    """The log loss of logits at the temperature where it is lowest."""
    sure = at_temperature(logits, fit_temperature(logits, truth))
    return float(-np.log(sure[np.arange(len(truth)), truth] + 1e-12).mean())


def rejection_threshold(probabilities: Probabilities, truth: NDArray[np.intp], kept: float) -> float:
    """The top probability that a share `kept` of the right answers reaches; 0 (nothing rejected) without any."""
    right = probabilities.argmax(axis=1) == truth if len(truth) else np.zeros(0, bool)
    return float(np.quantile(probabilities.max(axis=1)[right], 1.0 - kept, method="lower")) if right.any() else 0.0


def calibration_error(probabilities: Probabilities, right: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: how far confidence is from the share of right answers, over bins of confidence."""
    top = probabilities.max(axis=1)
    which = np.minimum((top * bins).astype(int), bins - 1)
    gaps = [abs(top[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in np.unique(which)]
    return float(sum(gaps))


def confusion(outcome: Outcome, genres: Sequence[str]) -> NDArray[np.int64]:
    """(genres, genres + 1) counts: rows the truth, columns the answers, `UNKNOWN` last."""
    columns = [*genres, UNKNOWN]
    table = np.zeros((len(genres), len(columns)), np.int64)
    for truth, answer in zip(outcome.truth, outcome.answers):
        table[genres.index(truth), columns.index(answer)] += 1
    return table
