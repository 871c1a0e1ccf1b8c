"""`ServerClock`: the venue's time, as exactly as its answers allow.

A signed request carries a time that the venue compares with its own: more than a second ahead or
more than the receive window behind, and it is refused. So the offset is measured, not assumed, and
never hidden by a wider window. Knows no path: who builds it hands in the question.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gridlab.clock import Clock, monotonic_s
from gridlab.errors import ExchangeUnavailable

log = logging.getLogger(__name__)

#: Questions for one measurement; the median of three is not moved by one slow answer.
SAMPLES = 3
#: A measurement is good for so long.
REFRESH_MS = 600_000
#: Beyond this uncertainty nothing signed is sent: the venue would refuse a time a second ahead.
TOLERANCE_MS = 1_000
#: The two clocks of this machine may drift apart by so much before the offset counts as lost.
JUMP_MS = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: how far the venue's clock is ahead, and how long the question took."""

    offset_ms: int
    round_trip_ms: int


class ServerClock:
    """The offset of one venue's clock to ours.

    Args:
        ask: the venue's time in milliseconds; raises `ExchangeUnavailable`.
        clock: ours.
    """

    def __init__(self, ask: Callable[[], Awaitable[int]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._offset_ms = 0
        self._measured_ms: int | None = None
        self._measured_s = 0.0
        self._measuring: asyncio.Task[int] | None = None

    @property
    def offset_ms(self) -> int:
        """What is added to our time to get the venue's; 0 before the first measurement."""
        return self._offset_ms

    def now_ms(self) -> int:
        """The venue's time, as far as is known."""
        return self._clock.now_ms() + self._offset_ms

    @property
    def is_lost(self) -> bool:
        """Whether the offset is unknown, refused, or void because our own clock was set."""
        if self._measured_ms is None:
            return True
        passed_ms = self._clock.now_ms() - self._measured_ms
        jump_ms = passed_ms - round((monotonic_s() - self._measured_s) * 1000)
        return abs(jump_ms) > JUMP_MS

    @property
    def is_old(self) -> bool:
        """Whether it is time to measure again, though the offset may still be used."""
        passed_s = monotonic_s() - self._measured_s
        return self._measured_ms is None or passed_s * 1000 >= REFRESH_MS

    async def ready(self) -> None:
        """Return when the venue's time is known; what is merely old is measured meanwhile.

        Raises:
            ExchangeUnavailable: it could not be measured well enough.
        """
        if self.is_lost:
            await asyncio.shield(self._measure_once())
        elif self.is_old:
            self._measure_once().add_done_callback(_told)

    def _measure_once(self) -> asyncio.Task[int]:
        """The measurement that is under way, for everybody who needs one now."""
        loop, task = asyncio.get_running_loop(), self._measuring
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._measuring = loop.create_task(self.measure())
        return task

    async def sample(self) -> Sample:
        """Ask once; the venue is taken to have looked at its clock half-way."""
        before_ms, before_s = self._clock.now_ms(), monotonic_s()
        server_ms = await self._ask()
        round_trip_ms = round((monotonic_s() - before_s) * 1000)
        return Sample(server_ms - (before_ms + round_trip_ms // 2), round_trip_ms)

    async def measure(self) -> int:
        """Measure anew and return the offset; raises `ExchangeUnavailable`.

        The offset can be wrong by half of what the median answer took. Where that is more than
        `TOLERANCE_MS`, the measurement is refused.
        """
        samples = sorted([await self.sample() for _ in range(SAMPLES)], key=lambda s: s.offset_ms)
        median = samples[SAMPLES // 2]
        error_ms = median.round_trip_ms // 2
        if error_ms > TOLERANCE_MS:
            self._measured_ms = None
            raise ExchangeUnavailable(
                f"the exchange's clock is {median.offset_ms} ms ahead of ours, give or take "
                f"{error_ms} ms: its answers take {median.round_trip_ms} ms; nothing signed is "
                f"sent above {TOLERANCE_MS} ms, mend the connection"
            )
        if self._measured_ms is not None and abs(median.offset_ms - self._offset_ms) > TOLERANCE_MS:
            log.warning(
                "the exchange's clock is %d ms ahead of ours, and was %d ms ahead before",
                median.offset_ms,
                self._offset_ms,
            )
        self._offset_ms = median.offset_ms
        self._measured_ms, self._measured_s = self._clock.now_ms(), monotonic_s()
        return self._offset_ms

    def doubt(self) -> None:
        """The venue refused a time of ours: measure before the next signed request."""
        self._measured_ms = None


def _told(task: asyncio.Task[int]) -> None:
    """A refresh that failed is tried again by the next request; say why meanwhile."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("the exchange's clock could not be measured again: %s", error)
