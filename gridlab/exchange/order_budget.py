"""`OrderBudget`: which new order of an account may go next, and when.

Binance counts the new orders of each account in windows of seconds, minutes or days. A grid of a
thousand levels does not fit into one, so placements wait here in a queue, the one nearest to the
price first. Cancels are not counted and never pass through, so they overtake every one of them.
Knows no HTTP, no price and no grid.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gridlab.clock import Clock, iso
from gridlab.domain.market import Market
from gridlab.errors import GridLabError
from gridlab.exchange.silence import DAY_MS, SECOND_MS
from gridlab.exchange.weight_budget import MINUTE_MS, SHARE

#: Placements under way at once; the others wait, so that the nearest can overtake them.
AT_ONCE = 16
#: An order does not wait longer for room: the day's quota is spent, and its price would be old.
LONGEST_WAIT_MS = 10 * MINUTE_MS
#: For orders that must not wait behind a ladder: the purchase that starts a grid, a final sale.
FIRST = Decimal(-1)


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """New orders that an account may send in one window."""

    window_ms: int
    limit: int


DEFAULT_ORDER_LIMITS = {
    Market.SPOT: (OrderLimit(10 * SECOND_MS, 100), OrderLimit(DAY_MS, 200_000)),
    Market.FUTURES: (OrderLimit(10 * SECOND_MS, 300), OrderLimit(MINUTE_MS, 1200)),
}


class NotSent(GridLabError):
    """A placement that did not leave: taken back while it waited, or there is no room for long."""


class _Window:
    """One limit: our own sends that slide out of it, and what the venue counted in its own.

    The venue's windows are aligned to its clock, which is not ours: keeping our sends over any
    stretch of that length below the limit keeps every one of its windows below it too.
    """

    __slots__ = ("_reported", "_reported_ms", "_since_report", "limit", "sent", "window_ms")

    def __init__(self, limit: OrderLimit) -> None:
        self.window_ms = limit.window_ms
        self.limit = limit.limit
        self.sent: deque[int] = deque()
        self._reported = 0
        self._reported_ms = -limit.window_ms
        self._since_report = 0

    @property
    def planned(self) -> int:
        return max(1, int(self.limit * SHARE))

    def book(self, now_ms: int) -> None:
        self.sent.append(now_ms)
        self._since_report += 1

    def unbook(self) -> None:
        """The order that was booked last was not sent after all."""
        if self.sent:
            self.sent.pop()
        self._since_report = max(0, self._since_report - 1)

    def report(self, count: int, now_ms: int) -> None:
        """The venue's count; orders of ours that are still under way may be missing in it, which
        the share that is never planned covers."""
        self._reported, self._reported_ms, self._since_report = count, now_ms, 0

    def free_at_ms(self, now_ms: int) -> int:
        """The earliest time with room for one more; `now_ms` when there is room now."""
        while self.sent and self.sent[0] <= now_ms - self.window_ms:
            self.sent.popleft()
        free_ms = now_ms
        if len(self.sent) >= self.planned:
            free_ms = self.sent[len(self.sent) - self.planned] + self.window_ms
        next_ms = (self._reported_ms // self.window_ms + 1) * self.window_ms
        if now_ms < next_ms and self._reported + self._since_report >= self.planned:
            free_ms = max(free_ms, next_ms)
        return free_ms


class OrderBudget:
    """The queue of one account's new orders on one market; for tasks of one event loop.

    Args:
        at_once: how many may be under way together.
    """

    def __init__(
        self, limits: Iterable[OrderLimit], *, clock: Clock, at_once: int = AT_ONCE
    ) -> None:
        self._clock = clock
        self._free = at_once
        self._windows = {limit.window_ms: _Window(limit) for limit in limits}
        self._queue: list[tuple[Decimal, int, asyncio.Future[None]]] = []
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._ticket = 0
        self._silent_until_ms = 0
        self._pump: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Placements that have not left yet."""
        return len(self._waiting)

    @property
    def limits(self) -> tuple[OrderLimit, ...]:
        return tuple(OrderLimit(w.window_ms, w.limit) for w in self._windows.values())

    def set_limits(self, limits: Iterable[OrderLimit]) -> None:
        """Take over the limits that the venue states; what was counted so far stays."""
        found = {limit.window_ms: limit for limit in limits if limit.limit > 0}
        for window_ms in set(self._windows) - set(found):
            del self._windows[window_ms]
        for window_ms, limit in found.items():
            self._windows.setdefault(window_ms, _Window(limit)).limit = limit.limit

    def report(self, counts: Mapping[int, int]) -> None:
        """Take over the venue's counts, by length of their window."""
        now_ms = self._clock.now_ms()
        for window_ms, count in counts.items():
            if window_ms in self._windows:
                self._windows[window_ms].report(count, now_ms)

    def keep_silent_until(self, time_ms: int) -> None:
        """No placement leaves before `time_ms`: the venue refused one for their number."""
        self._silent_until_ms = max(self._silent_until_ms, time_ms)

    async def enter(self, name: str, urgency: Decimal) -> None:
        """Wait for a turn and book one order; who enters must `leave`.

        Args:
            name: the order's client id; `withdraw` knows it by that.
            urgency: the lowest goes first; a distance to the price, or `FIRST`.

        Raises:
            NotSent: taken back while it waited, or the next room is further off than an order
                may wait.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ticket += 1
        heapq.heappush(self._queue, (urgency, self._ticket, turn))
        self._waiting[name] = turn
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back()
            raise
        finally:
            self._waiting.pop(name, None)

    def leave(self) -> None:
        """The order that entered is over: answered, lost or given up."""
        self._free += 1
        self._admit()

    def withdraw(self, name: str) -> bool:
        """Take a waiting placement back; False when it does not wait here any more."""
        turn = self._waiting.get(name)
        if turn is None or turn.done():
            return False
        turn.set_exception(NotSent("it was cancelled while it waited for its turn; it never left"))
        return True

    def _admit(self) -> None:
        """Let everybody go for whom there is room, the most urgent first; see to it that the
        others are looked after when there is room again."""
        now_ms = self._clock.now_ms()
        while self._queue and self._queue[0][2].done():
            heapq.heappop(self._queue)
        while self._queue and self._free > 0 and self._free_at_ms(now_ms) <= now_ms:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                self._free -= 1
                for window in self._windows.values():
                    window.book(now_ms)
                turn.set_result(None)
        if self._queue and self._free > 0 and self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Admit whoever waits for time to pass; ends when it is an answer that is waited for."""
        try:
            while self._queue and self._free > 0:
                now_ms = self._clock.now_ms()
                free_ms = self._free_at_ms(now_ms)
                if free_ms - now_ms > LONGEST_WAIT_MS:
                    self._refuse_all(free_ms)
                    return
                await self._clock.sleep_until(free_ms)
                self._admit()
        finally:
            self._pump = None

    def _refuse_all(self, free_ms: int) -> None:
        while self._queue:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_exception(
                    NotSent(
                        f"the account's quota of new orders is spent until {iso(free_ms)}; it was "
                        "not sent, try again then"
                    )
                )

    def _free_at_ms(self, now_ms: int) -> int:
        free = (window.free_at_ms(now_ms) for window in self._windows.values())
        return max(now_ms, self._silent_until_ms, *free)

    def _give_back(self) -> None:
        """Undo an admission whose owner was cancelled before it could use it."""
        for window in self._windows.values():
            window.unbook()
        self.leave()
