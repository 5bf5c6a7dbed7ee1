"""Settings of a training from a file and from options, checked before anything is loaded or written."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from amtsep.config import BASELINES, NETWORKS, NORMALISATIONS, SEQUENCES, Training
from amtsep.errors import DataError

Settings = TypeVar("Settings")


def from_file(path: Path, settings: Training) -> Training:
    """`settings` with what a JSON file says: ``{"steps": 500, "mixing": {"clip_s": 4}}``, any field of `Training`.

    Raises
    ------
    DataError
        If the file is absent or no JSON, names a setting that there is not, or gives one a value of another kind.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give a JSON file of settings with --config-file.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no JSON that can be read ({error}); mend it.") from error
    if not isinstance(values, dict):
        raise DataError(f'{path} must hold one JSON object, such as {{"steps": 500}}.')
    return _merged(settings, values, path.name)


def _merged(settings: Settings, values: dict[str, Any], where: str) -> Settings:
    known = {f.name for f in fields(settings)}  # type: ignore[arg-type]
    hints = get_type_hints(type(settings))
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise DataError(f"{where}: there is no setting '{name}'; there are {', '.join(sorted(known))}.")
        before = getattr(settings, name)
        if is_dataclass(before):
            if not isinstance(value, dict):
                raise DataError(f"{where}: '{name}' is a group of settings; give it as an object.")
            changes[name] = _merged(before, value, f"{where}, {name}")  # type: ignore[type-var]
        else:
            changes[name] = _like(before, value, f"{where}: '{name}'", get_args(hints[name]))
    return replace(settings, **changes)  # type: ignore[type-var]


def _like(before: Any, value: Any, what: str, kinds: tuple[Any, ...] = ()) -> Any:
    """A value of JSON of the kind that a setting has, or one of the kinds that it may have, ``None`` among them."""
    if NoneType in kinds:
        if value is None:
            return None
        before = next(kind for kind in kinds if kind is not NoneType)() if before is None else before
    if isinstance(before, tuple) and isinstance(value, list):
        return tuple(tuple(member) if isinstance(member, list) else member for member in value)
    if isinstance(before, bool) or isinstance(value, bool):
        fits = isinstance(before, bool) and isinstance(value, bool)
    elif isinstance(before, float):
        fits = isinstance(value, (int, float))
    else:
        fits = type(value) is type(before)
    if not fits:
        kind = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a word"}
        raise DataError(f"{what} is {kind.get(type(before).__name__, type(before).__name__)}, not {value!r}.")
    return float(value) if isinstance(before, float) else value


def check(settings: Training) -> None:
    """Raise `DataError` for a network, loss, memory or balance that nobody provides, naming the choices, and for a
    number that is too small.
    """
    from amtsep.nets.timbre import MEMORIES
    from amtsep.training.balance import BALANCES
    from amtsep.training.losses import BATCH_LOSS, TIMBRE_LOSSES

    choices = (
        ("network", settings.network, [*NETWORKS, *BASELINES, *SEQUENCES]),
        ("timbre loss", settings.timbre_loss, [*TIMBRE_LOSSES, BATCH_LOSS]),
        ("memory", settings.memory, [*MEMORIES]),
        ("balance", settings.balance, list(BALANCES)),
        ("optimizer", settings.optimizer, ["adamw", "muon"]),
        ("vocabulary", settings.vocabulary, ["slots", "programs"]),
        ("normalisation", settings.normalisation, [*NORMALISATIONS]),
    )
    for what, name, known in choices:
        if name is not None and name not in known:
            raise DataError(f"There is no {what} '{name}'; choose one of {', '.join(known)}.")
    least = {"steps": 1, "batch_size": 1, "accumulate": 1, "checkpoint_every": 1, "evaluate_every": 1, "max_notes": 1}
    for name, low in {**least, "workers": 0, "dev_clips": 0}.items():
        if getattr(settings, name) < low:
            raise DataError(f"The setting {name} is {getattr(settings, name)}; it must be {low} or more.")
    if not settings.mixing.clip_s > 0.5:
        raise DataError(f"The setting clip_s is {settings.mixing.clip_s:g}; clips must be longer than half a second.")
