"""The data agent: everybody's market data from one source, through one cache.

Readers ask it and never the source, so that many waiting for one thing cost one request. Tickers
of all symbols travel in one request, because that is what saves most; candles go by symbol. Each
answer says how old it is and whether it is stale. It decides nothing and trades nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol, TypeVar

from gridlab.data.cache_core import IntelligentCache
from gridlab.data.cache_policy import (
    BEST_QUOTES,
    BOOK_VALUE,
    EXCHANGE_INFO,
    OPEN_INTEREST,
    TICKER,
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


class Upstream(Protocol):
    """Where data come from; `data.rest.PublicRest` is one."""

    @property
    def market(self) -> Market: ...

    async def tickers(self) -> tuple[Ticker, ...]:
        """The 24 h windows of every symbol, in one request."""
        ...

    async def klines(self, symbol: str, interval: Interval, limit: int) -> tuple[Kline, ...]: ...

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
        cache: may be shared with other agents; keys carry the market.
    """

    def __init__(self, source: Upstream, cache: IntelligentCache) -> None:
        self._source = source
        self._cache = cache
        self._market = source.market

    @property
    def market(self) -> Market:
        """The market that it speaks of."""
        return self._market

    async def ticker(self, symbol: str) -> Cached[Ticker]:
        """The symbol's 24 h window; raises `NotFound` and `ExchangeUnavailable`."""
        found = await self.tickers()
        return Cached(self._pick(found.value, symbol), found.age_ms, found.is_stale, found.source)

    async def tickers(self) -> Cached[Mapping[str, Ticker]]:
        """Every symbol's 24 h window, by symbol; raises `ExchangeUnavailable`."""

        async def load() -> Mapping[str, Ticker]:
            return {ticker.symbol: ticker for ticker in await self._source.tickers()}

        return await self._cache.fetch(f"tickers:{self._market}", TICKER, load)

    async def klines(
        self, symbol: str, interval: Interval, limit: int = 100
    ) -> Cached[tuple[Kline, ...]]:
        """The last candles, the open one included; raises `NotFound`, `ExchangeUnavailable`."""

        async def load() -> tuple[Kline, ...]:
            return await self._source.klines(symbol, interval, limit)

        key = f"klines:{self._market}:{symbol}:{interval}:{limit}"
        return await self._cache.fetch(key, open_candle(interval), load)

    async def instrument(self, symbol: str) -> Cached[Instrument]:
        """The rules of `symbol`; raises `NotFound` and `ExchangeUnavailable`."""
        found = await self.instruments()
        return Cached(self._pick(found.value, symbol), found.age_ms, found.is_stale, found.source)

    async def instruments(self) -> Cached[Mapping[str, Instrument]]:
        """Every symbol's rules, by symbol; raises `ExchangeUnavailable`."""

        async def load() -> Mapping[str, Instrument]:
            return {rules.symbol: rules for rules in await self._source.instruments()}

        return await self._cache.fetch(f"instruments:{self._market}", EXCHANGE_INFO, load)

    async def best_quotes(self) -> Cached[Mapping[str, BestQuote]]:
        """Every symbol's best bid and ask, by symbol; raises `ExchangeUnavailable`."""

        async def load() -> Mapping[str, BestQuote]:
            return {quote.symbol: quote for quote in await self._source.best_quotes()}

        return await self._cache.fetch(f"quotes:{self._market}", BEST_QUOTES, load)

    async def order_book(self, symbol: str) -> Cached[OrderBook]:
        """The best 500 levels of each side; raises `NotFound`, `ExchangeUnavailable`."""

        async def load() -> OrderBook:
            return await self._source.order_book(symbol)

        return await self._cache.fetch(f"book:{self._market}:{symbol}", BOOK_VALUE, load)

    async def open_interest(self, symbol: str) -> Cached[Decimal]:
        """Open contracts, base units, of a futures symbol; raises as `order_book`."""

        async def load() -> Decimal:
            return await self._source.open_interest(symbol)

        return await self._cache.fetch(
            f"open_interest:{self._market}:{symbol}", OPEN_INTEREST, load
        )

    def rules_changed(self) -> None:
        """Forget the rules, as after a refusal that says they are not what they were."""
        self._cache.invalidate(f"instruments:{self._market}")

    async def run(self) -> None:
        """Renew ahead of expected readers until cancelled; returns at once if that is off."""
        await self._cache.run_prefetching()

    def _pick(self, found: Mapping[str, T], symbol: str) -> T:
        try:
            return found[symbol]
        except KeyError:
            raise NotFound(f"{symbol} is not listed on {self._market}") from None
