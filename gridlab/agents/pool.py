"""A small pool for work that blocks, so that no agent ever holds up the engine's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from gridlab.errors import Conflict, GridLabError

T = TypeVar("T")


class Unwanted(GridLabError):
    """Raised inside work of a pool that is closing; let it pass."""


class BoundedPool:
    """At most `workers` pieces of work at once, and `most_waiting` behind them.

    Threads start when they are first needed.
    """

    def __init__(self, name: str, workers: int = 1, most_waiting: int = 4) -> None:
        self._name = name
        self._workers = workers
        self._room = threading.BoundedSemaphore(workers + most_waiting)
        self._most = workers + most_waiting
        self._pool: ThreadPoolExecutor | None = None
        self._closing = threading.Event()

    async def run(self, work: Callable[..., T], *values: Any) -> T:
        """What `work(*values)` returns, worked out in a thread of the pool.

        Raises:
            Conflict: the pool has no room.
        """
        if not self._room.acquire(blocking=False):
            raise Conflict(f"{self._most} pieces of work are in {self._name}; wait for some to end")
        try:
            self._pool = self._pool or ThreadPoolExecutor(self._workers, self._name)
            future = self._pool.submit(work, *values)
        except BaseException:
            self._room.release()
            raise
        # Released by the work's own end: a caller that was cancelled leaves it running.
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)

    def still_wanted(self) -> None:
        """Raise `Unwanted` once the pool is closing; long work calls this now and then."""
        if self._closing.is_set():
            raise Unwanted(f"{self._name} is closing")

    def close(self) -> None:
        """Tell all work that it is no longer wanted, and start none; returns at once."""
        self._closing.set()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
