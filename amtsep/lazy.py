"""Names of a package that are imported when they are first used, so that nobody waits for what he does not need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """``__getattr__`` (PEP 562) of a package, by whose name it is called.

    Parameters
    ----------
    package
        Its name.
    modules
        The public names that come from each of its modules, which are names of it themselves.

    Examples
    --------
    >>> get = lazily("amtsep", {"notes": ["Notes", "Track"]})
    >>> get("Track").__module__, get("notes").__name__
    ('amtsep.notes', 'amtsep.notes')
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        if name in modules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return get
