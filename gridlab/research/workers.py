"""Who runs the parts of a sweep: this process's threads, or the workers of a Dask cluster.

Both take the same calls and give the same frames. What the calls share, the bars above all, is sent
to each worker once. `distributed` is imported only where a cluster is asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from gridlab._version import __version__
from gridlab.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client, Future

#: `work(shared, call, threads)`; a function of a module, so that a worker can import it.
Work = Callable[[Any, Any, int | None], "pd.DataFrame"]
#: Seconds that a cluster has to answer the first call.
PATIENCE_S = 30


class Workers(Protocol):
    """Whoever runs calls, and how many of them run at a time."""

    count: int

    def each(
        self, work: Work, shared: Any, calls: Sequence[Any]
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """Run every call; yield its place among the calls and its frame, as they finish."""
        ...


class Local:
    """This process: one call after the other, each on all its threads."""

    def __init__(self, threads: int | None = None) -> None:
        self.count = 1
        self._threads = threads

    def each(
        self, work: Work, shared: Any, calls: Sequence[Any]
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        for place, call in enumerate(calls):
            yield place, work(shared, call, self._threads)


class Cluster:
    """The workers of a Dask client. A worker that dies has its calls run by another."""

    def __init__(self, client: Client, threads: int | None = None) -> None:
        self._client = client
        self._threads = threads or 1
        self._sent: tuple[Any, Future[Any]] | None = None
        try:
            client.wait_for_workers(1, timeout=PATIENCE_S)
        except TimeoutError:
            raise InvalidInput(
                f"no worker has joined the Dask scheduler within {PATIENCE_S} s; start one with "
                "dask worker"
            ) from None
        self._check_versions()
        self.count = sum(client.nthreads().values())

    def _check_versions(self) -> None:
        """The same version everywhere, for only then are the figures the same."""
        for worker, version in self._client.run(_version, on_error="return").items():
            if isinstance(version, BaseException):
                raise InvalidInput(
                    f"the worker {worker} cannot import gridlab ({version}); install gridlab "
                    f"{__version__} there"
                )
            if version != __version__:
                raise InvalidInput(
                    f"the worker {worker} has gridlab {version} and this is {__version__}; "
                    "install the same version everywhere"
                )

    def each(
        self, work: Work, shared: Any, calls: Sequence[Any]
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        from distributed import as_completed

        sent = self._send(shared)
        futures = {
            self._client.submit(work, sent, call, self._threads, pure=False): place
            for place, call in enumerate(calls)
        }
        try:
            for future in as_completed(list(futures)):
                # One that nobody holds any more is forgotten by the cluster, with its frame.
                yield futures.pop(future), future.result()
        finally:
            self._client.cancel(list(futures))

    def _send(self, shared: Any) -> Future[Any]:
        if self._sent is None or self._sent[0] is not shared:
            future = self._client.scatter(shared, broadcast=True, hash=False)
            self._sent = (shared, future)
        return self._sent[1]


def _version() -> str:
    return __version__


@contextmanager
def workers_of(client: Client | str | None, threads: int | None) -> Iterator[Workers]:
    """The workers that `client` names; a cluster that was made for it ends with the block.

    Args:
        client: None for this process; a Dask client; the address of a scheduler; or `local` for
            one process on each core of this machine, on loopback.
        threads: of one call; by default every core here, and one on a Dask worker. With `local`
            it is the number of processes.

    Raises:
        InvalidInput: no scheduler answers, workers of another version, `threads` below one, or
            Dask is not installed.
    """
    if threads is not None and threads < 1:
        raise InvalidInput(f"threads is {threads}; give 1 or more, or leave it out for every core")
    if client is None:
        yield Local(threads)
        return
    with _client_of(client, threads) as found:
        yield Cluster(found, None if client == "local" else threads)


@contextmanager
def _client_of(client: Client | str, threads: int | None) -> Iterator[Client]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InvalidInput(f"Dask is missing ({error}); install gridlab[research]") from error
    if not isinstance(client, str):
        if not isinstance(client, Client):
            raise InvalidInput(
                f"client is of type {type(client).__name__}; hand in a Dask client, a scheduler's "
                "address or 'local'"
            )
        yield client
        return
    if client == "local":
        count = threads or os.cpu_count() or 1
        with LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.ERROR,
        ) as cluster:
            with Client(cluster) as found:
                yield found
        return
    try:
        remote = Client(client, timeout=PATIENCE_S)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"no Dask scheduler answers at {client!r} ({error}); start one with dask scheduler, "
            "or give 'local'"
        ) from error
    with remote:
        yield remote
