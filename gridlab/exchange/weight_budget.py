"""`WeightBudget`: how much of an address's request allowance may still be used.

Binance counts the weight of requests for each address in minutes aligned to the clock, tells the
count in a header, and answers 429, later 418, to those who go on. What is planned here stays under
a share of the limit, because other programs on the same address draw on the same allowance. Knows
no HTTP and no path.
"""

from __future__ import annotations

import threading
from decimal import Decimal

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable, InvalidInput
from gridlab.exchange.silence import Silence

MINUTE_MS = 60_000
#: The part of a limit that is planned.
SHARE = Decimal("0.8")
#: The part of a weight limit that reads leave to cancels and orders.
RESERVE = Decimal("0.05")
#: Request weight a minute and address, until exchangeInfo tells another.
DEFAULT_LIMITS = {Market.SPOT: 6000, Market.FUTURES: 2400}
#: Silence longer than this is told to the caller instead of slept through.
PATIENCE_MS = 180_000


class WeightBudget:
    """The allowance of one address on one venue; shared by all clients of that venue.

    Any task of any event loop may share it: the check and the booking are one step.

    Args:
        limit: weight a minute that the venue allows.
        clock: windows are its minutes; what the venue reports covers a clock that is a little off.
        patience_ms: the longest pause that `take` sleeps through; a longer one is an error.
        silence: shared with the other budgets of the address; its own by default.
        reserve: the part of the limit that only urgent requests may use.
    """

    def __init__(
        self,
        limit: int,
        *,
        clock: Clock,
        patience_ms: int = PATIENCE_MS,
        silence: Silence | None = None,
        reserve: Decimal = Decimal(0),
    ) -> None:
        self.silence = silence or Silence(clock)
        self._clock = clock
        self._patience_ms = patience_ms
        self._reserve = reserve
        self._lock = threading.Lock()
        self._minute = clock.now_ms() // MINUTE_MS
        self._own = 0
        self._under_way = 0
        self._others = 0
        self.set_limit(limit)

    @classmethod
    def of(cls, market: Market, clock: Clock) -> WeightBudget:
        """A budget with the limit that Binance has published for `market`."""
        return cls(DEFAULT_LIMITS[market], clock=clock)

    @property
    def limit(self) -> int:
        """Weight a minute that the venue allows."""
        return self._limit

    @property
    def planned_limit(self) -> int:
        """Weight a minute that is used at most."""
        return int(self._limit * SHARE)

    @property
    def used(self) -> int:
        """Weight used in the present minute: ours, and what the venue counted beyond it."""
        with self._lock:
            return self._used()

    @property
    def silent_until_ms(self) -> int:
        """Nothing is sent before this time; 0 when the venue never asked for silence."""
        return self.silence.until_ms

    def set_limit(self, limit: int) -> None:
        """Take over the limit that the venue states."""
        if limit < 1:
            raise InvalidInput(f"the weight limit is {limit} a minute; it must be above zero")
        self._limit = limit

    async def take(
        self, weight: int, *, is_urgent: bool = False, patience_ms: int | None = None
    ) -> int:
        """Wait until `weight` may be sent, book it, and return the minute it was booked in.

        Who takes must `settle` when the answer is here, or when it is clear that none will come.

        Args:
            is_urgent: a cancel or an order, which may use what reads have to leave.
            patience_ms: for this request instead of the budget's own.

        Raises:
            InvalidInput: no minute has room for that much.
            ExchangeUnavailable: the venue asked for a silence longer than the patience.
        """
        most = self.planned_limit
        if not is_urgent:
            most -= int(self._limit * self._reserve)
        if weight > most:
            raise InvalidInput(
                f"one request weighs {weight}, but {most} of the venue's "
                f"{self._limit} a minute are planned at most; ask for less at a time"
            )
        patience_ms = self._patience_ms if patience_ms is None else patience_ms
        while True:
            if (silent_until_ms := self.silence.until_ms) > (now_ms := self._clock.now_ms()):
                if silent_until_ms - now_ms > patience_ms:
                    raise ExchangeUnavailable(self.silence.words())
                await self._clock.sleep_until(silent_until_ms)
                continue
            with self._lock:
                if self._used() + weight <= most:
                    self._own += weight
                    self._under_way += weight
                    return self._minute
                next_minute_ms = (self._minute + 1) * MINUTE_MS
            await self._clock.sleep_until(next_minute_ms)

    def settle(self, weight: int, minute: int, used: int | None = None) -> None:
        """A request that was booked in `minute` is over; `used` is the count that came with it.

        Our own requests that are still under way may be missing in the count, so what others used
        is underestimated by at most their weight; the share that is never planned covers that.
        """
        with self._lock:
            self._turn_minute()
            self._under_way -= weight
            if used is not None and minute == self._minute:
                self._others = max(self._others, used - self._own)

    def keep_silent_until(self, time_ms: int) -> None:
        """Send nothing before `time_ms`; an earlier end never shortens a silence."""
        self.silence.keep_until(time_ms)

    def _used(self) -> int:
        self._turn_minute()
        return self._own + self._others

    def _turn_minute(self) -> None:
        minute = self._clock.now_ms() // MINUTE_MS
        if minute != self._minute:
            # The venue may count in the new minute what was sent in the old one.
            self._minute, self._own, self._others = minute, self._under_way, 0
