"""Work on one thing after the other, several at once, in the threads of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def in_order(function: Callable[[Item], Outcome], items: Iterable[Item], at_once: int) -> Iterator[Outcome]:
    """What a function makes of items, in their order, `at_once` of them at a time, each in a thread.

    As many again are waiting, so that no thread stands still while an outcome is looked at, and no more than that, so
    that the outcomes of a long row do not fill the memory. Whoever stops asking ends the work.

    Examples
    --------
    >>> list(in_order(len, ["a", "bc", ""], 2))
    [1, 2, 0]
    """
    if at_once == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(at_once, "amtsep")
    begun: deque[Future[Outcome]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) == 2 * at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
