"""`AsyncAPIClient`: many tickers and candles at once, in the order asked, each with its own fate.

One symbol that the venue does not know, or one answer that never comes, does not take the others
with it: every item carries either its value or its error. What is read and how it is kept is the
reader's affair, how many requests are under way is bounded here, and their weight where they are
sent. Knows no venue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from gridlab.data.cache_state import Cached, Source
from gridlab.domain.market import Interval, Kline, Market, Ticker
from gridlab.errors import ExchangeUnavailable, GridLabError, InvalidInput, NotFound
from gridlab.exchange.base import MarketData

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

#: A whole market's tickers weigh as much as those of so many symbols, on both markets.
WHOLE_MARKET_FROM = 40
#: Requests under way at once.
CONCURRENCY = 8
#: Candles of each series, when nothing else is said; the API's own default.
LIMIT = 100


class Reader(Protocol):
    """Whoever reads through a cache, under keys of its own: `agents.data.DataAgent` is one."""

    @property
    def market(self) -> Market:
        """The market that it speaks of."""
        ...

    async def ticker(self, symbol: str) -> Cached[Ticker]:
        """The rolling 24 h window of one symbol; raises `NotFound`."""
        ...

    async def tickers(self) -> Cached[Mapping[str, Ticker]]:
        """Every symbol's, by symbol, in one request."""
        ...

    async def klines(
        self, symbol: str, interval: Interval, limit: int
    ) -> Cached[tuple[Kline, ...]]:
        """The newest `limit` candles or fewer, oldest first; raises `NotFound`."""
        ...


class Recording:
    """A `Reader` over prices that are already here, which need no cache."""

    def __init__(self, data: MarketData, market: Market) -> None:
        self._data = data
        self.market = market

    async def ticker(self, symbol: str) -> Cached[Ticker]:
        return _here(self._data.ticker(self.market, symbol))

    async def tickers(self) -> Cached[Mapping[str, Ticker]]:
        listed = self._data.symbols(self.market)
        return _here({symbol: self._data.ticker(self.market, symbol) for symbol in listed})

    async def klines(
        self, symbol: str, interval: Interval, limit: int
    ) -> Cached[tuple[Kline, ...]]:
        return _here(self._data.klines(self.market, symbol, interval, limit))


def _here(value: T) -> Cached[T]:
    return Cached(value, 0, False, Source.LOADED)


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
    """Batches of reads through one reader; to be used in the reader's event loop.

    What one batch has read, and what anybody else has read through the same data agent, is not
    asked for again while it is fresh; the agent's source keeps to the venue's weight.

    Args:
        concurrency: reads under way at once, over all calls of this client.
        timeout_s: how long one item may take, waiting for its turn left out.

    Raises:
        InvalidInput: a bound that is not above zero.
    """

    def __init__(
        self, reader: Reader, *, concurrency: int = CONCURRENCY, timeout_s: float = 60.0
    ) -> None:
        if concurrency < 1 or not timeout_s > 0:
            raise InvalidInput(
                f"concurrency is {concurrency} and timeout_s {timeout_s}; both must be above zero"
            )
        self._reader = reader
        self._gate = asyncio.Semaphore(concurrency)
        self._timeout_s = timeout_s

    @classmethod
    def over(cls, data: MarketData, market: Market = Market.SPOT) -> AsyncAPIClient:
        """A client over prices that are already here, such as a recording; no network."""
        return cls(Recording(data, market))

    async def batch_fetch_tickers(self, symbols: Sequence[str]) -> list[Item[Ticker]]:
        """The 24 h ticker of each symbol, in the order asked; one asked twice is read once.

        From 40 symbols on they come from one request about the whole market.
        """
        is_many = len(set(symbols)) >= WHOLE_MARKET_FROM

        async def one(symbol: str) -> Item[Ticker]:
            read = self._listed if is_many else self._reader.ticker
            return await self._item(lambda: read(symbol), Item(symbol))

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
                return replace(blank, error=error)
            return await self._item(lambda: self._reader.klines(symbol, interval, limit), blank)

        return await _each(requests, one)

    async def _listed(self, symbol: str) -> Cached[Ticker]:
        """The ticker of `symbol` out of the whole market's, which many readers load once."""
        found = await self._reader.tickers()
        if symbol not in found.value:
            raise NotFound(f"{symbol} is not listed on {self._reader.market}")
        return Cached(found.value[symbol], found.age_ms, found.is_stale, found.source)

    async def _item(self, read: Callable[[], Awaitable[Cached[T]]], blank: Item[T]) -> Item[T]:
        """`blank` filled in, in turn and in time."""
        async with self._gate:
            try:
                async with asyncio.timeout(self._timeout_s):
                    found = await read()
            except TimeoutError:
                what = " ".join(filter(None, (blank.symbol, blank.interval)))
                return replace(blank, error=_late(what, self._timeout_s))
            except GridLabError as error:
                return replace(blank, error=error)
        return replace(blank, value=found.value, age_ms=found.age_ms, is_stale=found.is_stale)


def _late(what: str, timeout_s: float) -> ExchangeUnavailable:
    return ExchangeUnavailable(
        f"no answer about {what} within {timeout_s:g} s; nothing was changed, try again or raise "
        "timeout_s"
    )


async def _each(asked: Iterable[K], one: Callable[[K], Awaitable[Item[T]]]) -> list[Item[T]]:
    """`one` of each at the same time; the results in the order asked."""
    order = list(asked)
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(_awaited(one(name))) for name in dict.fromkeys(order)}
    return [tasks[name].result() for name in order]


async def _awaited(work: Awaitable[T]) -> T:
    return await work
