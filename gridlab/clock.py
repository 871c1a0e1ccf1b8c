"""The only reader of time.

Everything that needs "now" or "later" is handed a `Clock`. `SystemClock` is the wall clock;
`ManualClock` stands still until someone moves it, so that a year of market time costs only the
work done in it and a test decides what time it is. Times are integer UTC milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from gridlab.errors import BugError


class Clock(Protocol):
    """A source of time."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        ...

    async def sleep_until(self, time_ms: int) -> None:
        """Return when `now_ms()` has reached `time_ms`; at once if it already has."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep_until(self, time_ms: int) -> None:
        while (left := time_ms - self.now_ms()) > 0:
            await asyncio.sleep(left / 1000)


class MarketTime:
    """The time of whatever market is there now, the machine's own while there is none.

    Args:
        read: market time in UTC milliseconds, or None.
    """

    def __init__(self, read: Callable[[], int | None]) -> None:
        self._read = read
        self._wall = SystemClock()

    def now_ms(self) -> int:
        market_ms = self._read()
        return self._wall.now_ms() if market_ms is None else market_ms

    async def sleep_until(self, time_ms: int) -> None:
        while self.now_ms() < time_ms:
            await asyncio.sleep(0.05)


class ManualClock:
    """A clock that moves only by `advance_to`, and wakes sleepers in the order of their times."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._ticket = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_until(self, time_ms: int) -> None:
        if time_ms <= self._now_ms:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ticket += 1
        heapq.heappush(self._sleepers, (time_ms, self._ticket, woken))
        await woken

    @property
    def next_wake_ms(self) -> int | None:
        """When the earliest sleeper is due; None while nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)  # it was cancelled
        return self._sleepers[0][0] if self._sleepers else None

    def advance_to(self, time_ms: int) -> None:
        """Move time forward and release every sleeper that is due.

        Raises:
            BugError: `time_ms` lies in the past.
        """
        if time_ms < self._now_ms:
            raise BugError(f"time cannot go back from {self._now_ms} to {time_ms} ms")
        self._now_ms = time_ms
        while self._sleepers and self._sleepers[0][0] <= time_ms:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)


def monotonic_s() -> float:
    """Seconds of a clock that never goes back; only differences of it mean anything."""
    return time.monotonic()


def iso(time_ms: int) -> str:
    """`2026-03-24T13:00:00Z`: the API's ISO form of a time, to the second."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def human_duration(duration_ms: int) -> str:
    """`2h 15m`: the API's human form of a duration.

    >>> human_duration(8_100_000), human_duration(59_000), human_duration(90_000_000)
    ('2h 15m', '0h 0m', '25h 0m')
    """
    minutes = max(0, duration_ms) // 60_000
    return f"{minutes // 60}h {minutes % 60}m"
