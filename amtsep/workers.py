"""The way to a Dask cluster: one that runs already, or one of processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from amtsep.errors import AmtsepError

WAIT_S = 60
"""How long a scheduler may take to answer, in seconds."""


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """A client of the cluster at `address`, "tcp://host:8786", or of "local:N": N processes started for this.

    Raises
    ------
    AmtsepError
        If Dask is not installed, the address is none, or nobody answers there.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise AmtsepError(
            "--dask needs Dask, which is not installed; run: pip install 'amtsep[dask]' (on every worker too)"
        ) from None
    kind, _, number = address.partition(":")
    if kind != "local":
        try:
            client = Client(address, timeout=WAIT_S)
        except (OSError, ValueError, TypeError) as error:
            raise AmtsepError(
                f"No Dask scheduler answers at {address}; start one with 'dask scheduler', or use --dask local:4."
            ) from error
        with client:
            yield client
        return
    if not number.isdecimal() or not 1 <= int(number) <= 1024:
        raise AmtsepError(f"'{address}' names no cluster: use local:4 for four processes, or tcp://host:8786.")
    with (
        LocalCluster(n_workers=int(number), threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def executor(address: str, start: Callable[..., object], arguments: tuple[Any, ...]) -> Iterator[Any]:
    """An executor of `concurrent.futures`' kind on a cluster, each of whose workers calls ``start(*arguments)`` first.

    A worker that comes in the place of a lost one calls it too.
    """
    with connect(address) as client:
        from distributed import WorkerPlugin

        class Starter(WorkerPlugin):
            def setup(self, worker: Any) -> None:
                start(*arguments)

        client.register_plugin(Starter(), name="amtsep-start")
        yield client.get_executor(retries=3)
