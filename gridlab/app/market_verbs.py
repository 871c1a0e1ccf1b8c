"""The verbs of `GridLab` that read the market: tickers, candles, rules, indicators.

Each value has a plain form, and where it is passed on with a label a `dated_` one, which says how
old it is and whether it is past its bound. In Replay the recording's own present is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from gridlab.agents.live import FRESH_PRICE_MS
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.cache_policy import Kind
from gridlab.domain.market import Instrument, Interval, Kline, Market, Ticker
from gridlab.domain.snapshot import BotSnapshot, BotStatus, Snapshot
from gridlab.errors import Conflict, InvalidInput, NotFound
from gridlab.exchange.base import Dated, MarketData, joined

if TYPE_CHECKING:
    from gridlab.app.engine import Engine
    from gridlab.research.indicators import IndicatorResult

#: Prices by symbol, each with its own age.
DatedPrices: TypeAlias = Dated[Mapping[str, Dated[Decimal]]]
#: Candles before the asked ones that an indicator may be warmed up on.
MOST_LEAD_BARS = 2_000
#: The newest candles, which tell one answer of a market from the next.
TELLING_CANDLES = 3
#: What was computed from given candles stays right; it is dropped when those have moved on.
COMPUTED = Kind("computed", 60_000, 60_000, is_prefetched=False)


class MarketVerbs:
    """What `GridLab` knows of the market; a part of it.

    Attributes:
        cache: keeps indicators that were computed.
    """

    cache: IntelligentCache

    if TYPE_CHECKING:

        def _market(self) -> MarketData: ...
        def _running(self) -> Engine: ...

    def symbols(self, market: Market = Market.SPOT) -> tuple[str, ...]:
        """Symbols that have a price now."""
        return self._market().symbols(market)

    def dated_price(self, symbol: str, market: Market = Market.SPOT) -> Dated[Decimal]:
        """The last price, and how long ago it was known to be true.

        Raises:
            NotFound: no such symbol, or nobody watches it.
        """
        return self._market().dated_price(market, symbol)

    def bot_price(self, bot: BotSnapshot, snapshot: Snapshot) -> Dated[Decimal] | None:
        """The price that a bot of `snapshot` is valued at; None where nothing of it hangs on one.

        Where nobody can tell it, it is the one that its grid saw last, as old as its last event.
        """
        if not bot.hangs_on_price:
            return None
        try:
            return self.dated_price(bot.symbol, bot.market)
        except (NotFound, Conflict):  # nobody watches it, or the engine is not that far
            is_over = bot.status is BotStatus.STOPPED and not bot.may_trade
            if is_over and bot.market in snapshot.venues:
                return None  # what is left is less than can be sold, so its symbol was let go
            age_ms = max(0, snapshot.time_ms - bot.updated_ms)
            return Dated(bot.price, age_ms, age_ms > FRESH_PRICE_MS)

    def stale_price_ms(self, bots: Iterable[BotSnapshot], snapshot: Snapshot) -> int:
        """Age of the oldest price past its bound that one of `bots` is valued at; 0 without one."""
        prices = (self.bot_price(bot, snapshot) for bot in bots)
        return max((p.age_ms for p in prices if p is not None and p.is_stale), default=0)

    def dated_prices(self, market: Market = Market.SPOT) -> DatedPrices:
        """The last price of every symbol that has one; together as old as the oldest."""
        found = {}
        for symbol in self.symbols(market):
            try:
                found[symbol] = self.dated_price(symbol, market)
            except NotFound:  # let go of between the two questions
                continue
        whole = joined(tuple(found.values()))
        return Dated(found, whole.age_ms, whole.is_stale)

    def ticker(self, symbol: str, market: Market = Market.SPOT) -> Ticker:
        """The rolling 24 h window; raises `NotFound`."""
        return self._market().ticker(market, symbol)

    def dated_tickers(
        self, symbols: Sequence[str], market: Market = Market.SPOT
    ) -> Dated[tuple[Ticker, ...]]:
        """The 24 h windows in the order asked, as old as the oldest; raises `NotFound`."""
        return self._market().dated_tickers(market, symbols)

    def market_tickers(self, market: Market = Market.SPOT) -> Dated[tuple[Ticker, ...]]:
        """The 24 h window of every symbol that has a price, as old as the oldest.

        One that the venue has removed meanwhile is left out; the others are as they were.
        """
        symbols = self.symbols(market)
        try:
            return self.dated_tickers(symbols, market)
        except NotFound:
            found = []
            for symbol in symbols:
                with suppress(NotFound):
                    self.instrument(symbol, market)
                    found.append(self.dated_tickers([symbol], market))
            return joined([Dated(one.value[0], one.age_ms, one.is_stale) for one in found])

    def klines(
        self,
        symbol: str,
        interval: Interval | str = Interval.H1,
        limit: int = 100,
        market: Market = Market.SPOT,
    ) -> tuple[Kline, ...]:
        """The last `limit` candles up to now, oldest first, the open one included.

        Raises:
            NotFound: no such symbol.
            InvalidInput: no such interval, or `limit` below 1.
        """
        return self._market().klines(market, symbol, _interval(interval), limit)

    def dated_klines(
        self,
        symbol: str,
        interval: Interval | str = Interval.H1,
        limit: int = 100,
        market: Market = Market.SPOT,
    ) -> Dated[tuple[Kline, ...]]:
        """`klines` with their age; raises as it does."""
        return self._market().dated_klines(market, symbol, _interval(interval), limit)

    def instrument(self, symbol: str, market: Market = Market.SPOT) -> Instrument:
        """The rules of `symbol`; raises `NotFound`."""
        return self._market().instrument(market, symbol)

    def indicator(
        self,
        symbol: str,
        name: str,
        *,
        period: int | None = None,
        interval: Interval | str = Interval.H1,
        limit: int = 500,
        market: Market = Market.SPOT,
    ) -> IndicatorResult:
        """A technical indicator over the last `limit` candles, warmed up on those before them.

        Raises:
            NotFound: no such symbol.
            InvalidInput: no such indicator or interval, or a period out of range.
        """
        return self.dated_indicator(
            symbol, name, period=period, interval=interval, limit=limit, market=market
        ).value

    def dated_indicator(
        self,
        symbol: str,
        name: str,
        *,
        period: int | None = None,
        interval: Interval | str = Interval.H1,
        limit: int = 500,
        market: Market = Market.SPOT,
    ) -> Dated[IndicatorResult]:
        """`indicator`, as old as the candles that it was computed from; raises as it does."""
        from gridlab.research.indicators import compute, lead_bars

        width = _interval(interval)
        lead = min(lead_bars(name, width, period, settled=True), MOST_LEAD_BARS)
        candles = self.dated_klines(symbol, width, limit + lead, market)

        def load() -> IndicatorResult:
            return compute(name, candles.value, period).last(limit)

        # The same candles give the same numbers, and what a venue changes of them is the newest.
        told = hash((len(candles.value), candles.value[-TELLING_CANDLES:]))
        series = f"{self._running().session_number}:{market}:{symbol}:{width}:{told}"
        key = f"indicator:{series}:{name}:{period}:{limit}"
        made = self.cache.fetch_sync(key, COMPUTED, load)
        return Dated(made.value, candles.age_ms, candles.is_stale)


def _interval(name: Interval | str) -> Interval:
    try:
        return Interval(name)
    except ValueError:
        known = ", ".join(Interval)
        raise InvalidInput(f"interval is {name!r}; choose one of {known}") from None
