"""Packages outside that add a network, a loss or a data set (docs/extending.md).

A package names a module in its ``pyproject.toml``::

    [project.entry-points."amtsep.plugins"]
    mine = "my_package.amtsep_parts"

The commands that train, evaluate and export import such modules before they look at their options; what a module adds
to the registries (`amtsep.config.NETWORKS`, `amtsep.nets.model.ARCHITECTURES`, `amtsep.training.losses.TIMBRE_LOSSES`,
`amtsep.nets.timbre.MEMORIES`, `amtsep.evaluation.readers.DATASETS`) is there then.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from amtsep.errors import AmtsepError

GROUP = "amtsep.plugins"


@lru_cache(maxsize=1)
def load() -> tuple[str, ...]:
    """Import every plugin that is installed, once; returns their names.

    Raises
    ------
    AmtsepError
        If one of them cannot be imported.
    """
    import amtsep.bank_dataset  # noqa: F401 - one of our own

    names = []
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            raise AmtsepError(
                f"The plugin '{point.name}' ({point.value}) cannot be imported: {error}; mend or uninstall it."
            ) from error
        names.append(point.name)
    return tuple(names)
