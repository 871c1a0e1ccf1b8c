"""`AsyncAPIClient`: many tickers and candles at once, in the order asked, each with its own fate.

One symbol that the venue does not know, or one answer that never comes, does not take the others
with it: every item carries either its value or its error. How many requests are under way is
bounded here; their weight is bounded where they are sent. Knows no venue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gridlab.data.cache_policy import TICKER, Kind, open_candle
from gridlab.domain.market import Interval, Kline, Market, Ticker
from gridlab.errors import ExchangeUnavailable, GridLabError, InvalidInput
from gridlab.exchange.base import MarketData

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K", bound=Hashable)

#: Requests under way at once.
CONCURRENCY = 8
#: Candles of each series, when nothing else is said; the API's own default.
LIMIT = 100


class Source(Protocol):
    """Whoever can be asked for one symbol: `PublicRest`, or `Recording` over recorded prices."""

    @property
    def market(self) -> Market:
        """The market that it speaks of."""
        ...

    async def ticker(self, symbol: str) -> Ticker:
        """The rolling 24 h window; raises `NotFound`."""
        ...

    async def klines(self, symbol: str, interval: Interval, limit: int) -> tuple[Kline, ...]:
        """The newest `limit` candles or fewer, oldest first; raises `NotFound`."""
        ...


class Recording:
    """A `Source` over prices that are already here."""

    def __init__(self, data: MarketData, market: Market) -> None:
        self._data = data
        self.market = market

    async def ticker(self, symbol: str) -> Ticker:
        return self._data.ticker(self.market, symbol)

    async def klines(self, symbol: str, interval: Interval, limit: int) -> tuple[Kline, ...]:
        return self._data.klines(self.market, symbol, interval, limit)


class CachedValue(Protocol[T_co]):
    """What a cache hands out: the value, how old it is, and whether it is past its bound."""

    @property
    def value(self) -> T_co: ...

    @property
    def age_ms(self) -> int: ...

    @property
    def is_stale(self) -> bool: ...


class Cache(Protocol):
    """What this client needs of a cache."""

    async def fetch(self, key: str, kind: Kind, load: Callable[[], Awaitable[T]]) -> CachedValue[T]:
        """The value of `key` within the bounds of `kind`, by `load` if need be."""
        ...


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """The answer for one thing that was asked: `value`, or `error` when there is none.

    Args:
        symbol: as it was asked.
        interval: as it was asked; None for tickers.
        age_ms: 0 for a fresh answer, else how long a cache has had it.
        is_stale: whether it is older than its kind may be, and being renewed.
    """

    symbol: str
    value: T | None = None
    error: GridLabError | None = None
    interval: str | None = None
    age_ms: int = 0
    is_stale: bool = False

    @property
    def is_ok(self) -> bool:
        return self.error is None

    def unwrap(self) -> T:
        """The value; raises the error when there is none."""
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value


class AsyncAPIClient:
    """Batches of reads over one source; to be used in one event loop.

    Args:
        cache: keeps answers between calls and lets readers of the same thing wait for one request.
        concurrency: requests under way at once, over all calls of this client.
        timeout_s: how long one item may take, waiting for its turn left out.

    Raises:
        InvalidInput: a bound that is not above zero.
    """

    def __init__(
        self,
        source: Source,
        *,
        cache: Cache | None = None,
        concurrency: int = CONCURRENCY,
        timeout_s: float = 60.0,
    ) -> None:
        if concurrency < 1 or not timeout_s > 0:
            raise InvalidInput(
                f"concurrency is {concurrency} and timeout_s {timeout_s}; both must be above zero"
            )
        self._source = source
        self._cache = cache
        self._gate = asyncio.Semaphore(concurrency)
        self._timeout_s = timeout_s

    @classmethod
    def over(
        cls, data: MarketData, market: Market = Market.SPOT, *, cache: Cache | None = None
    ) -> AsyncAPIClient:
        """A client over prices that are already here, such as a recording; no network."""
        return cls(Recording(data, market), cache=cache)

    async def batch_fetch_tickers(self, symbols: Sequence[str]) -> list[Item[Ticker]]:
        """The 24 h ticker of each symbol, in the order asked; one asked twice is read once."""

        async def one(symbol: str) -> Item[Ticker]:
            async def load() -> Ticker:
                return await self._ask(lambda: self._source.ticker(symbol), symbol)

            return await self._item(
                f"ticker:{self._source.market}:{symbol}", TICKER, load, Item(symbol)
            )

        return await _each(symbols, one)

    async def batch_fetch_klines(
        self, requests: Sequence[tuple[str, str]], limit: int = LIMIT
    ) -> list[Item[tuple[Kline, ...]]]:
        """The newest `limit` candles of each (symbol, interval), in the order asked.

        The candle that is still open is the last of them. An interval that does not exist is that
        item's error.
        """

        async def one(request: tuple[str, str]) -> Item[tuple[Kline, ...]]:
            symbol, name = request
            blank: Item[tuple[Kline, ...]] = Item(symbol, interval=str(name))
            try:
                interval = Interval(name)
            except ValueError:
                known = ", ".join(Interval)
                error = InvalidInput(f"interval is {name!r} for {symbol}; known are {known}")
                return Item(symbol, error=error, interval=str(name))

            async def load() -> tuple[Kline, ...]:
                return await self._ask(
                    lambda: self._source.klines(symbol, interval, limit), f"{symbol} {interval}"
                )

            key = f"klines:{self._source.market}:{symbol}:{interval}:{limit}"
            return await self._item(key, open_candle(interval), load, blank)

        return await _each(requests, one)

    async def _item(
        self, key: str, kind: Kind, load: Callable[[], Awaitable[T]], blank: Item[T]
    ) -> Item[T]:
        """`blank` filled in, by the cache or by the source."""
        symbol, interval = blank.symbol, blank.interval
        try:
            if self._cache is None:
                return Item(symbol, await load(), interval=interval)
            kept = await self._cache.fetch(key, kind, load)
        except GridLabError as error:
            return Item(symbol, error=error, interval=interval)
        return Item(
            symbol,
            kept.value,
            interval=interval,
            age_ms=kept.age_ms,
            is_stale=kept.is_stale,
        )

    async def _ask(self, ask: Callable[[], Awaitable[T]], what: str) -> T:
        """The source's answer, in turn and in time."""
        async with self._gate:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await ask()
            except TimeoutError:
                raise ExchangeUnavailable(
                    f"no answer about {what} within {self._timeout_s:g} s; nothing was changed, "
                    "try again or raise timeout_s"
                ) from None


async def _each(asked: Iterable[K], one: Callable[[K], Awaitable[Item[T]]]) -> list[Item[T]]:
    """`one` of each at the same time; the results in the order asked."""
    order = list(asked)
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(_awaited(one(name))) for name in dict.fromkeys(order)}
    return [tasks[name].result() for name in order]


async def _awaited(work: Awaitable[T]) -> T:
    return await work
