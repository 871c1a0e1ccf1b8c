"""Kinds of data: how old a value of each may be, by how often the real thing changes.

The bounds are for display and planning over requests; a trader's own orders and fills arrive as
events and are never cached. Knows no entry, no clock and no venue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from gridlab.domain.market import Interval
from gridlab.errors import InvalidInput

#: Further away than any time in milliseconds that a clock shows.
FOREVER_MS = 2**62
#: A candle counts as closed this long after its end: the last trade may still be on its way.
CLOSING_GRACE_MS = 2_000

Seconds: TypeAlias = int | float | Decimal


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of data and its bounds; every age counts from when the request left.

    Args:
        fresh_ms: largest age at which a value is served as it is.
        stale_ms: largest age at which a kept value is served labelled stale while it is being
            renewed; equal to `fresh_ms` where a stale value is never wanted.
        cost: what one request takes from the venue's budget, in its weight units; `costing` makes
            the kind of a request that weighs something else.
        period_ms: 0, or freshness also ends where the next period aligned to the epoch begins.
        is_prefetched: whether renewing ahead of a reader makes sense.

    Raises:
        InvalidInput: bounds that cannot be kept.
    """

    name: str
    fresh_ms: int
    stale_ms: int
    cost: int = 1
    period_ms: int = 0
    is_prefetched: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.fresh_ms <= self.stale_ms <= FOREVER_MS:
            raise InvalidInput(
                f"kind {self.name!r}: fresh_ms is {self.fresh_ms}, stale_ms is {self.stale_ms}; "
                f"0 < fresh_ms <= stale_ms <= {FOREVER_MS} is needed"
            )
        if self.cost < 1 or self.period_ms < 0:
            raise InvalidInput(
                f"kind {self.name!r}: cost is {self.cost} and period_ms {self.period_ms}; a cost "
                "of at least 1 and a period of at least 0 are needed"
            )

    def fresh_until_ms(self, asked_ms: int) -> int:
        """The last millisecond at which a value asked for at `asked_ms` is fresh.

        >>> open_candle(Interval.M1).fresh_until_ms(58_000)
        59999
        """
        until_ms = asked_ms + self.fresh_ms
        if self.period_ms:
            until_ms = min(until_ms, (asked_ms // self.period_ms + 1) * self.period_ms - 1)
        return until_ms

    def costing(self, weight: int) -> Kind:
        """The same kind of a request that takes `weight`."""
        return self if weight == self.cost else replace(self, cost=weight)

    def usable_until_ms(self, asked_ms: int) -> int:
        """The last millisecond at which such a value may be served labelled stale."""
        return asked_ms + self.stale_ms


# Costs are the request weights of spot; `data.weights` knows those of each market.

#: Last price with its 24 h window, of one symbol.
TICKER = Kind("ticker", 5_000, 30_000, cost=2)
#: The 24 h windows of a whole market, for choosing pairs: a day's volume moves slowly.
STATS_24H = Kind("stats_24h", 60_000, 600_000, cost=80)
#: Best bids and asks of a whole market, for choosing pairs by their spread.
BEST_QUOTES = Kind("best_quotes", 10_000, 60_000, cost=4, is_prefetched=False)
#: A deep order book, for choosing pairs by what lies in it, not for trading against it.
BOOK_VALUE = Kind("book_value", 60_000, 300_000, cost=25, is_prefetched=False)
#: Open contracts of a futures symbol; the venue itself renews the figure at its leisure.
OPEN_INTEREST = Kind("open_interest", 60_000, 300_000, is_prefetched=False)
#: Trading rules. They change a few times a year, with notice.
EXCHANGE_INFO = Kind("exchange_info", 6 * 3_600_000, 48 * 3_600_000, cost=20)
#: Candles that have all ended: they never change, so only room can remove them.
CLOSED_CANDLES = Kind("closed_candles", FOREVER_MS, FOREVER_MS, cost=2, is_prefetched=False)


def open_candle(interval: Interval) -> Kind:
    """The kind of an answer whose last candle is open: a twelfth of it, from 5 to 15 seconds.

    It ends with the candle at the latest, because then a candle is missing from it.
    """
    fresh_ms = min(max(interval.ms // 12, 5_000), 15_000)
    return Kind(f"open_candle_{interval}", fresh_ms, 4 * fresh_ms, cost=2, period_ms=interval.ms)


def candles(interval: Interval, end_ms: int | None, now_ms: int) -> Kind:
    """The kind of a request for candles that open before `end_ms`; None means up to now."""
    if end_ms is None:
        return open_candle(interval)
    last_open_ms = (end_ms - 1) // interval.ms * interval.ms
    is_closed = last_open_ms + interval.ms + CLOSING_GRACE_MS <= now_ms
    return CLOSED_CANDLES if is_closed else open_candle(interval)


def lasting(ttl: Seconds) -> Kind:
    """The kind of a value that is kept for `ttl` seconds and never served stale."""
    if isinstance(ttl, bool) or not ttl > 0 or not ttl < FOREVER_MS // 1000:
        raise InvalidInput(f"ttl is {ttl!r}; seconds above zero are meant, such as 60")
    ttl_ms = max(1, int(ttl * 1000))
    return Kind("value", ttl_ms, ttl_ms)


#: The kinds by name; those of open candles are made for their interval.
KINDS = {
    kind.name: kind
    for kind in (
        *(TICKER, STATS_24H, EXCHANGE_INFO, CLOSED_CANDLES),
        *(BEST_QUOTES, BOOK_VALUE, OPEN_INTEREST),
    )
}
