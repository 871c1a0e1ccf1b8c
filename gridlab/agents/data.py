"""The data agent: everybody's market data from one source, through one cache.

Readers ask it and never the source, so that many waiting for one thing cost one request. Tickers
and candles go by symbol; a whole market's tickers, which weigh as much as those of forty symbols,
are for who chooses among all. Each answer says how old it is and whether it is stale. It decides
nothing and trades nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from itertools import chain
from typing import Protocol, TypeVar

from gridlab.clock import Clock
from gridlab.data import weights
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.cache_policy import (
    BEST_QUOTES,
    BOOK_VALUE,
    EXCHANGE_INFO,
    OPEN_INTEREST,
    TICKER,
    Kind,
    candles,
    open_candle,
)
from gridlab.data.cache_state import Cached
from gridlab.domain.market import (
    BestQuote,
    Instrument,
    Interval,
    Kline,
    Market,
    OrderBook,
    Ticker,
)
from gridlab.errors import NotFound

T = TypeVar("T")

#: Candles of a page: what both markets give for a weight of 2.
PAGE = 400
BEAT_EVERY_MS = 1_000


class Upstream(Protocol):
    """Where data come from; `data.rest.PublicRest` is one."""

    @property
    def market(self) -> Market: ...

    @property
    def base_url(self) -> str:
        """Its address; what two addresses answer is never the same."""
        ...

    async def ticker(self, symbol: str) -> Ticker:
        """The 24 h window of one symbol."""
        ...

    async def tickers(self) -> tuple[Ticker, ...]:
        """The 24 h windows of every symbol, in one request."""
        ...

    async def klines(
        self, symbol: str, interval: Interval, limit: int, *, end_ms: int | None = None
    ) -> tuple[Kline, ...]:
        """The newest candles, or the newest of those that open before `end_ms`."""
        ...

    async def instruments(self) -> tuple[Instrument, ...]:
        """The rules of every symbol, in one request."""
        ...

    async def best_quotes(self) -> tuple[BestQuote, ...]:
        """The best bid and ask of every symbol, in one request."""
        ...

    async def order_book(self, symbol: str) -> OrderBook: ...

    async def open_interest(self, symbol: str) -> Decimal: ...


class DataAgent:
    """Market data of one market.

    Args:
        source: asked only when the cache has nothing fresh enough.
        cache: may be shared with other agents; keys carry the market and the address.

    Attributes:
        beat_ms: the last sign of life of `run`, by the cache's clock.
    """

    def __init__(self, source: Upstream, cache: IntelligentCache) -> None:
        self._source = source
        self._cache = cache
        self._market = source.market
        # One cache may serve agents of several venues, such as the exchange and its testnet.
        self._place = f"{source.market}:{source.base_url}"
        self._clock = cache.clock
        self.beat_ms = self._clock.now_ms()

    @property
    def market(self) -> Market:
        """The market that it speaks of."""
        return self._market

    @property
    def clock(self) -> Clock:
        """The cache's, by which ages are counted."""
        return self._clock

    async def ticker(self, symbol: str) -> Cached[Ticker]:
        """The symbol's 24 h window; raises `NotFound` and `ExchangeUnavailable`."""

        async def load() -> Ticker:
            return await self._source.ticker(symbol)

        kind = TICKER.costing(weights.TICKER[self._market])
        return await self._cache.fetch(f"ticker:{self._place}:{symbol}", kind, load)

    async def tickers(self, kind: Kind = TICKER) -> Cached[Mapping[str, Ticker]]:
        """Every symbol's 24 h window, by symbol; raises `ExchangeUnavailable`.

        Args:
            kind: how old they may be: as one symbol's, or by STATS_24H where volumes are meant.
        """

        async def load() -> Mapping[str, Ticker]:
            return {ticker.symbol: ticker for ticker in await self._source.tickers()}

        key = f"tickers:{self._place}:{kind.name}"
        kind = kind.costing(weights.ALL_TICKERS[self._market])
        return await self._cache.fetch(key, kind, load)

    async def klines(
        self, symbol: str, interval: Interval, limit: int = 100
    ) -> Cached[tuple[Kline, ...]]:
        """The last candles, the open one included, as old as the newest page of them.

        Raises:
            NotFound: no such symbol.
            ExchangeUnavailable: no usable answer.
        """
        newest = await self._newest(symbol, interval, min(limit, PAGE))
        if limit <= PAGE or len(newest.value) < PAGE:
            return newest
        asked_ms = self._clock.now_ms() - newest.age_ms
        whole = await self._with_older(symbol, interval, newest.value, limit)
        now_ms = self._clock.now_ms()  # reading older pages took its time
        is_stale = newest.is_stale or now_ms > open_candle(interval).fresh_until_ms(asked_ms)
        return Cached(whole, now_ms - asked_ms, is_stale, newest.source)

    async def _newest(
        self, symbol: str, interval: Interval, limit: int
    ) -> Cached[tuple[Kline, ...]]:
        async def load() -> tuple[Kline, ...]:
            return await self._source.klines(symbol, interval, limit)

        key = f"klines:{self._place}:{symbol}:{interval}:{limit}"
        kind = open_candle(interval).costing(weights.candles(self._market, limit))
        return await self._cache.fetch(key, kind, load)

    async def _with_older(
        self, symbol: str, interval: Interval, newest: tuple[Kline, ...], limit: int
    ) -> tuple[Kline, ...]:
        """The last `limit` candles: the end of a newest page, after pages of closed ones.

        Pages end at whole multiples of their length, so that a page stays the same while the market
        goes on. The newest page reaches back to the last such end at least.
        """
        length_ms = PAGE * interval.ms
        end_ms = newest[-1].open_time_ms // length_ms * length_ms
        pages = [tuple(candle for candle in newest if candle.open_time_ms >= end_ms)]
        missing = limit - len(pages[0])
        while missing > 0:
            page = await self._closed(symbol, interval, end_ms)
            pages.append(page)
            missing -= len(page)
            if len(page) < PAGE:
                break  # the first candles that there ever were
            end_ms = page[0].open_time_ms
        return tuple(chain.from_iterable(reversed(pages)))[-limit:]

    async def _closed(self, symbol: str, interval: Interval, end_ms: int) -> tuple[Kline, ...]:
        """The last page of candles that open before `end_ms`, where a later one opened."""

        async def load() -> tuple[Kline, ...]:
            return await self._source.klines(symbol, interval, PAGE, end_ms=end_ms)

        key = f"klines:{self._place}:{symbol}:{interval}:before:{end_ms}"
        kind = candles(interval, end_ms, self._clock.now_ms())
        kind = kind.costing(weights.candles(self._market, PAGE))
        return (await self._cache.fetch(key, kind, load)).value

    async def instrument(self, symbol: str) -> Cached[Instrument]:
        """The rules of `symbol`; raises `NotFound` and `ExchangeUnavailable`."""
        found = await self.instruments()
        return Cached(self._pick(found.value, symbol), found.age_ms, found.is_stale, found.source)

    async def instruments(self) -> Cached[Mapping[str, Instrument]]:
        """Every symbol's rules, by symbol; raises `ExchangeUnavailable`."""

        async def load() -> Mapping[str, Instrument]:
            return {rules.symbol: rules for rules in await self._source.instruments()}

        kind = EXCHANGE_INFO.costing(weights.EXCHANGE_INFO[self._market])
        return await self._cache.fetch(f"instruments:{self._place}", kind, load)

    async def best_quotes(self) -> Cached[Mapping[str, BestQuote]]:
        """Every symbol's best bid and ask, by symbol; raises `ExchangeUnavailable`."""

        async def load() -> Mapping[str, BestQuote]:
            return {quote.symbol: quote for quote in await self._source.best_quotes()}

        kind = BEST_QUOTES.costing(weights.BEST_QUOTES[self._market])
        return await self._cache.fetch(f"quotes:{self._place}", kind, load)

    async def order_book(self, symbol: str) -> Cached[OrderBook]:
        """The best 500 levels of each side; raises `NotFound`, `ExchangeUnavailable`."""

        async def load() -> OrderBook:
            return await self._source.order_book(symbol)

        kind = BOOK_VALUE.costing(weights.ORDER_BOOK[self._market])
        return await self._cache.fetch(f"book:{self._place}:{symbol}", kind, load)

    async def open_interest(self, symbol: str) -> Cached[Decimal]:
        """Open contracts, base units, of a futures symbol; raises as `order_book`."""

        async def load() -> Decimal:
            return await self._source.open_interest(symbol)

        key = f"open_interest:{self._place}:{symbol}"
        return await self._cache.fetch(key, OPEN_INTEREST, load)

    def rules_changed(self) -> None:
        """Forget the rules, as after a refusal that says they are not what they were."""
        self._cache.invalidate(f"instruments:{self._place}")

    async def run(self) -> None:
        """Renew ahead of expected readers, and show life, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cache.run_prefetching())
            while True:
                self.beat_ms = self._clock.now_ms()
                await self._clock.sleep_until(self.beat_ms + BEAT_EVERY_MS)

    def _pick(self, found: Mapping[str, T], symbol: str) -> T:
        try:
            return found[symbol]
        except KeyError:
            raise NotFound(f"{symbol} is not listed on {self._market}") from None
