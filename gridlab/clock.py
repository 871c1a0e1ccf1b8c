"""The only reader of time.

Everything that needs "now" or "later" is handed a `Clock`. `SystemClock` is the machine's, and is
never set; `ManualClock` stands still until someone moves it, so that a year of market time costs
only the work done in it and a test decides what time it is. Times are integer UTC milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from gridlab.errors import BugError

log = logging.getLogger(__name__)

#: A sleeper looks at the time at least so often, because asyncio's timers stand still while the
#: machine is suspended.
LONGEST_NAP_S = 1.0
#: The wall clock may differ by so much more than before until it counts as having been set.
STEP_MS = 1_000


class Clock(Protocol):
    """A source of time."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        ...

    async def sleep_until(self, time_ms: int) -> None:
        """Return when `now_ms()` has reached `time_ms`; at once if it already has."""
        ...


def wall_ms() -> int:
    """The wall clock, which may be set at any moment: to speak with code that reads it too."""
    return time.time_ns() // 1_000_000


def _elapsed_ms() -> int:
    """Milliseconds since the machine started, those in suspend included; nobody can set them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class _SteadyTime:
    """The wall clock's time at this object's making, carried on by what has elapsed since."""

    def __init__(self) -> None:
        self._offset_ms = wall_ms() - _elapsed_ms()
        self._known_step_ms = 0

    def now_ms(self) -> int:
        return self._offset_ms + _elapsed_ms()

    def watch(self) -> None:
        """Tell when the wall clock has been set since the last look."""
        step_ms = wall_ms() - self.now_ms()
        if abs(step_ms - self._known_step_ms) >= STEP_MS:
            self._known_step_ms = step_ms
            log.warning(
                "this machine's clock was set and is %+d ms off the time that GridLab keeps; "
                "timers, ages and orders are not touched, and a restart takes the new time over",
                step_ms,
            )


#: One for the whole process, so that any two of its times can be compared.
_steady = _SteadyTime()


class SystemClock:
    """The machine's time, which never leaps: not back, and forward only over a suspend.

    It is the wall clock's time of this process's start plus what has elapsed since. So a clock that
    is set, by hand or by the network, neither stops a timer nor ends a wait that proves something
    (law 2); it is logged. How far the venue's clock is ahead is measured against this one.
    """

    def now_ms(self) -> int:
        return _steady.now_ms()

    async def sleep_until(self, time_ms: int) -> None:
        while (left_ms := time_ms - self.now_ms()) > 0:
            await asyncio.sleep(min(left_ms / 1000, LONGEST_NAP_S))
            _steady.watch()


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
