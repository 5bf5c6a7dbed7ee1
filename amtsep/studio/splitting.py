"""Training, validation and test: by work, so that nothing is tested on what was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence

SPLITS = ("train", "validation", "test")


def connected(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """The group of each item, where items that share any key are in one group (work and artist, say)."""
    parent = list(range(len(keys)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[Hashable, int] = {}
    for i, own in enumerate(keys):
        for key in own:
            j = first.setdefault(key, i)
            a, b = root(i), root(j)
            parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(keys))]


FEWEST = 3
"""Groups of a label that can be split into three parts."""


def groups_of(works: Sequence[str], artists: Sequence[str], labels: Sequence[str]) -> list[str]:
    """What must not be divided: works, and with them all of an artist, where they are known.

    By works alone where artists would leave a label fewer than `FEWEST` groups (all of one artist, say): then there
    would be nothing to test on. A group is named by its first member's work.
    """
    keys = [[("work", work), *([("artist", by.casefold())] if by else [])] for work, by in zip(works, artists)]
    joined = [works[i] for i in connected(keys)]
    few = any(count < FEWEST for count in groups_by_label(joined, labels).values())
    return list(works) if few else joined


def groups_by_label(groups: Sequence[Hashable], labels: Sequence[str]) -> dict[str, int]:
    """How many groups each label has, in the order of the labels' names."""
    pairs = set(zip(groups, labels))
    return {label: sum(own == label for _, own in pairs) for label in sorted(set(labels))}


def split_by_group(
    groups: Sequence[Hashable], labels: Sequence[str], validation: float, test: float, seed: int
) -> list[str]:
    """Which of `SPLITS` each item belongs to.

    A group is never divided. Groups are taken label by label (of the label that most of their items have), in an order
    that follows from the seed and the group's name alone, so that a label with three groups is in all three splits.

    Parameters
    ----------
    groups, labels
        One an item.
    validation, test
        Shares in [0, 1), of a label's groups; at least one group each where there are three.
    seed
        Another gives another split.
    """
    members: dict[Hashable, list[str]] = {}
    for group, label in zip(groups, labels, strict=True):
        members.setdefault(group, []).append(label)
    by_label: dict[str, list[Hashable]] = {}
    for group, own in members.items():
        most = max(sorted(set(own)), key=own.count)
        by_label.setdefault(most, []).append(group)
    where: dict[Hashable, str] = {}
    for own_groups in by_label.values():
        order = sorted(own_groups, key=lambda g: hashlib.sha256(f"{seed}\n{g}".encode()).digest())
        n = len(order)
        least = 1 if n >= 3 else 0
        n_test = max(round(n * test), least if test > 0 else 0)
        n_validation = max(round(n * validation), least if validation > 0 else 0)
        for i, group in enumerate(order):
            where[group] = "test" if i < n_test else "validation" if i < n_test + n_validation else "train"
    return [where[group] for group in groups]
