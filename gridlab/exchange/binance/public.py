"""`BinancePublic`: what Binance tells everybody about one market. Needs no key and changes nothing.

Rules of symbols are kept for a short while, because a grid asks for them with each refusal and
USD-M sends those of all symbols at once; who needs them fresh says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridlab.clock import monotonic_s
from gridlab.domain.market import Instrument, Interval, Kline, Market, Ticker
from gridlab.errors import InvalidInput, NotFound
from gridlab.exchange.base import Price
from gridlab.exchange.binance import mapping
from gridlab.exchange.binance.account_mapping import mark_price
from gridlab.exchange.binance.fields import named, number, record, rows
from gridlab.exchange.binance.mapping import RateLimit, Tick
from gridlab.exchange.binance.routes import MARK_PRICE, PUBLIC, Public
from gridlab.exchange.binance.transport import PublicTransport, VenueRefused
from gridlab.money import ZERO

#: Rows in one answer, on both markets.
PAGE = 1000
RULES_MS = 60_000
UNKNOWN_SYMBOL = (-1121, -1122)


@dataclass(frozen=True, slots=True)
class Ping:
    """One question for the venue's time."""

    round_trip_ms: int
    server_time_ms: int


class BinancePublic:
    """Public data of one market.

    Args:
        rules_ms: how long a symbol's rules may be used before they are asked for again.
    """

    def __init__(
        self, transport: PublicTransport, market: Market, *, rules_ms: int = RULES_MS
    ) -> None:
        self.market = market
        self._transport = transport
        self._routes = PUBLIC[market]
        self._rules_ms = rules_ms
        self._entries: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self._limits: tuple[RateLimit, ...] = ()

    async def ping(self) -> Ping:
        """How long the venue takes to answer, and its time; raises `ExchangeUnavailable`."""
        begun_s = monotonic_s()
        server_ms = await self._transport.server_time_ms(self.market)
        return Ping(round((monotonic_s() - begun_s) * 1000), server_ms)

    async def instrument(self, symbol: str, *, refresh: bool = False) -> Instrument:
        """The rules of `symbol`; raises `NotFound` when the venue has none."""
        known = self._entries.get(symbol)
        now_ms = self._transport.clock.now_ms()
        if refresh or known is None or not 0 <= now_ms - known[0] < self._rules_ms:
            known = (now_ms, await self._rules(symbol))
        return mapping.instrument(known[1], self.market)

    def forget_rules(self, symbol: str) -> None:
        """The venue refused an order by its rules: ask for them again."""
        self._entries.pop(symbol, None)

    async def limits(self) -> tuple[RateLimit, ...]:
        """The limits that the venue states for weight and orders."""
        if not self._limits:
            # With a symbol the answer is a thousandth as long, for the same weight.
            query = {"symbol": "BTCUSDT"} if self.market is Market.SPOT else {}
            try:
                await self._fetch_rules(query)
            except VenueRefused:
                await self._fetch_rules({})
        return self._limits

    async def last_price(self, symbol: str) -> Price:
        """The last price and when it was asked for, by the venue's clock.

        Raises:
            NotFound: the venue does not know the symbol.
            ExchangeUnavailable: no usable answer; zero is none.
        """
        payload = await self.symbol_read(self._routes.price, symbol, {})
        time_ms = payload.get("time") if isinstance(payload, dict) else None
        if not isinstance(time_ms, int):
            time_ms = self._transport.server_now_ms(self.market)
        return Price(mapping.last_price(payload, symbol), time_ms)

    async def prices(self) -> dict[str, Decimal]:
        """The last price of every symbol that has one."""
        where = "ticker/price"
        found = {}
        for row in rows(await self._transport.read(self._routes.all_prices, {}), where):
            entry = record(row, where)
            if price := number(entry, "price", where):
                found[named(entry, "symbol", where)] = price
        return found

    async def mark_price(self, symbol: str) -> Price:
        """The mark price of a futures symbol."""
        payload = await self.symbol_read(MARK_PRICE, symbol, {})
        return Price(mark_price(payload), self._transport.server_now_ms(self.market))

    async def ticker(self, symbol: str) -> Ticker:
        """The rolling 24 h window of one symbol; raises `NotFound`."""
        return mapping.ticker(await self.symbol_read(self._routes.ticker, symbol, {}), self.market)

    async def tickers(self) -> tuple[Ticker, ...]:
        """The rolling 24 h window of every symbol that has traded."""
        payload = await self._transport.read(self._routes.all_tickers, {})
        found = (mapping.ticker(row, self.market) for row in rows(payload, "ticker/24hr"))
        return tuple(ticker for ticker in found if ticker.price > ZERO)

    async def klines(self, symbol: str, interval: Interval, limit: int = 500) -> tuple[Kline, ...]:
        """The last `limit` candles or fewer, oldest first, the open one included.

        Raises:
            InvalidInput: `limit` is not in 1..1000.
            NotFound: the venue does not know the symbol.
        """
        _check_limit(limit)
        query = {"interval": interval.value, "limit": str(limit)}
        payload = await self.symbol_read(self._routes.klines, symbol, query)
        return mapping.klines(payload, interval)

    async def agg_trades(
        self, symbol: str, from_id: int | None = None, limit: int = PAGE
    ) -> tuple[Tick, ...]:
        """Market trades from `from_id` on, oldest first; without it the newest."""
        _check_limit(limit)
        query = {"limit": str(limit)}
        if from_id is not None:
            query["fromId"] = str(from_id)
        payload = await self.symbol_read(self._routes.agg_trades, symbol, query)
        return mapping.agg_trades(payload, symbol)

    async def symbol_read(self, route: Public, symbol: str, query: Mapping[str, str]) -> Any:
        """A public payload about one symbol; raises `NotFound` when the venue has none such."""
        try:
            return await self._transport.read(route, {"symbol": symbol, **query})
        except VenueRefused as error:
            if error.code in UNKNOWN_SYMBOL:
                raise unlisted(symbol, self.market) from None
            raise

    async def _rules(self, symbol: str) -> Mapping[str, Any]:
        """The entry of one symbol, as it is now."""
        # USD-M ignores the filter and sends everything.
        query = {"symbol": symbol} if self.market is Market.SPOT else {}
        self._entries.pop(symbol, None)
        try:
            await self._fetch_rules(query)
        except VenueRefused as error:
            if error.code not in UNKNOWN_SYMBOL:
                raise
        known = self._entries.get(symbol)
        if known is None:
            raise unlisted(symbol, self.market)
        return known[1]

    async def _fetch_rules(self, query: Mapping[str, str]) -> None:
        payload = await self._transport.read(self._routes.rules, query)
        now_ms = self._transport.clock.now_ms()
        entries = mapping.symbol_entries(payload)
        self._limits = mapping.rate_limits(payload)
        self._transport.adopt_limits(self.market, self._limits)
        if not query:
            self._entries.clear()
        for name, entry in entries.items():
            self._entries[name] = (now_ms, entry)


def unlisted(symbol: str, market: Market) -> NotFound:
    """What is raised about a symbol that the venue does not have."""
    return NotFound(f"{symbol!r} is not listed on Binance {market}")


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= PAGE:
        raise InvalidInput(f"limit is {limit}; 1 to {PAGE} rows can be asked for at once")
