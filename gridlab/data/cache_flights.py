"""One load in the air for each key, and everybody who waits for it, in tasks and in threads.

A flight is registered before its load starts, so whoever comes later joins it. The meeting point is
a `concurrent.futures.Future`, which both worlds can wait for; it is marked as running from the
start, so a reader that is cancelled takes nothing with it. Knows no entry and judges no age.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, TimeoutError
from enum import StrEnum
from typing import Final, TypeAlias

from gridlab.data.cache_policy import Kind
from gridlab.data.cache_values import Packed
from gridlab.errors import BugError

#: So many keys can be in the air and be joined; more are loaded by each reader alone.
MAX_FLIGHTS = 1_024
#: How often a waiting thread looks whether the loop that loads for it is still open.
_LOOK_SECONDS = 1.0


class Purpose(StrEnum):
    """Why a load started."""

    WANTED = "wanted"  # a reader waits for it
    RENEWAL = "renewal"  # a reader was served a stale value meanwhile
    AHEAD = "ahead"  # nobody asked yet


class Abandoned(Exception):
    """The load was cancelled: it neither answered nor failed, and who waits loads for itself."""


#: What a flight brought, and when its request left.
Answer: TypeAlias = tuple[Packed, int]


class Flight:
    """One load of one key.

    Args:
        loop: the event loop that runs the load; None for a thread.
        asked_ms: when the request left.

    Attributes:
        is_detached: the key was changed meanwhile: the answer may not be kept.
    """

    def __init__(
        self,
        key: str,
        kind: Kind,
        asked_ms: int,
        loop: asyncio.AbstractEventLoop | None,
        purpose: Purpose,
    ) -> None:
        self.key: Final = key
        self.kind: Final = kind
        self.asked_ms: Final = asked_ms
        self.loop: Final = loop
        self.purpose: Final = purpose
        self.is_detached = False
        self.task: asyncio.Task[None] | None = None
        self.thread_id: int | None = None
        self._future: Future[Answer] = Future()
        self._future.set_running_or_notify_cancel()

    @property
    def is_lost(self) -> bool:
        """Whether its loop was closed under it, so that no answer can come."""
        return self.loop is not None and self.loop.is_closed() and not self._future.done()

    @property
    def is_over(self) -> bool:
        """Whether everybody who waits was told."""
        return self._future.done()

    def land(self, packed: Packed) -> None:
        """Tell the answer to everybody who waits."""
        self._future.set_result((packed, self.asked_ms))

    def fail(self, error: BaseException) -> None:
        """Tell the error to everybody who waits."""
        self._future.set_exception(error)

    async def answer(self) -> Answer:
        """The answer, for a task; raises what the load raised, or `Abandoned`."""
        self._check_not_inside()
        return await asyncio.wrap_future(self._future)

    def answer_here(self) -> Answer:
        """The answer, for a thread; raises what the load raised, or `Abandoned`."""
        self._check_not_inside()
        while True:
            try:
                return self._future.result(_LOOK_SECONDS)
            except TimeoutError:
                if self._future.done():
                    raise  # the load's own
                if self.is_lost:
                    raise Abandoned(self.key) from None

    def _check_not_inside(self) -> None:
        is_inside = self.thread_id == threading.get_ident()
        if self.task is not None and not is_inside:
            is_inside = self.task is _current_task()
        if is_inside and not self.is_over:
            raise BugError(f"the load of {self.key!r} asks the cache for {self.key!r}: no end")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread now."""
    return asyncio._get_running_loop()


def _current_task() -> asyncio.Task[object] | None:
    return asyncio.current_task() if running_loop() is not None else None


class Board:
    """The flights in the air by key. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def find(self, key: str) -> Flight | None:
        """The flight that a reader of `key` may join."""
        flight = self._flights.get(key)
        return None if flight is None or flight.is_lost else flight

    def register(self, flight: Flight) -> None:
        """Let others join `flight`, unless the board is full or its key is taken."""
        held = self.find(flight.key)
        if held is None and (len(self._flights) < MAX_FLIGHTS or flight.key in self._flights):
            self._flights[flight.key] = flight

    def remove(self, flight: Flight) -> None:
        """Let nobody join `flight` any more."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def detach(self, key: str | None = None) -> None:
        """Let go of the flight of `key`, or of all: who waits is told, and nothing is kept."""
        for name in [key] if key is not None else list(self._flights):
            flight = self._flights.pop(name, None)
            if flight is not None:
                flight.is_detached = True
