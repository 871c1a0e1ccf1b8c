"""The live market: what prices are now, for everybody who asks, from streams and public requests.

`price` reads memory only and may be called from any thread. Tickers, candles and rules come through
the data agents, in the engine's loop; a caller in another thread waits for them, a caller inside
the loop must use the agents themselves. A watched symbol that nobody trades for a while is asked
for by request, so that its price is known to be still true.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import TimeoutError as WaitTimeout
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from gridlab.agents.data import DataAgent
from gridlab.agents.live import FRESH_PRICE_MS
from gridlab.clock import Clock
from gridlab.domain.market import Instrument, Interval, Kline, Market, Ticker
from gridlab.errors import BugError, ExchangeUnavailable, NotFound
from gridlab.exchange.base import Dated, Price, StreamHealth, joined

log = logging.getLogger(__name__)

#: A price that no trade confirmed for so long is asked for.
QUIET_AFTER_MS = 10_000
LOOK_EVERY_MS = 5_000
#: How long a caller in another thread waits.
WAIT_S = 20.0

T = TypeVar("T")


class PriceStream(Protocol):
    """Last prices of one market; `exchange.binance.market_stream.MarketStream` is one."""

    market: Market

    @property
    def health(self) -> StreamHealth: ...

    def price(self, symbol: str) -> Price | None: ...

    async def open(self, symbols: Iterable[str] = ()) -> None: ...

    async def subscribe(self, symbols: Iterable[str]) -> None: ...

    async def unsubscribe(self, symbols: Iterable[str]) -> None: ...

    async def close(self) -> None: ...


class TickerSource(Protocol):
    """One symbol's 24 h window; `data.rest.PublicRest` is one."""

    async def ticker(self, symbol: str) -> Ticker: ...


class LiveMarket:
    """Market data of a live venue; satisfies `exchange.base.MarketData`.

    Args:
        streams: last prices by market.
        agents: everything else by market, for the same markets.
        sources: where a quiet symbol's price is asked, by market.
    """

    def __init__(
        self,
        streams: Mapping[Market, PriceStream],
        agents: Mapping[Market, DataAgent],
        sources: Mapping[Market, TickerSource],
        clock: Clock,
    ) -> None:
        self._streams = streams
        self._agents = agents
        self._sources = sources
        self._clock = clock
        self._watched: dict[Market, dict[str, None]] = {market: {} for market in streams}
        self._asked: dict[tuple[Market, str], Price] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- in the engine's loop ---------------------------------------------------------------------

    async def open(self, symbols: Mapping[Market, Iterable[str]]) -> None:
        """Connect the streams and learn a first price of each symbol.

        Raises:
            ExchangeUnavailable: a stream or a price cannot be had.
            NotFound: a symbol does not exist.
        """
        self._loop = asyncio.get_running_loop()
        for market, stream in self._streams.items():
            self._watched[market].update(dict.fromkeys(symbols.get(market, ())))
            await stream.open(self._watched[market])
        for market, watched in self._watched.items():
            await asyncio.gather(*(self._ask(market, symbol) for symbol in watched))

    async def watch(self, market: Market, symbol: str) -> None:
        """Have the price of `symbol` from now on, until `unwatch`; returns when there is one.

        Raises:
            NotFound: the venue does not have it, or there is no such market here.
            ExchangeUnavailable: it could not be asked.
        """
        if market not in self._streams:
            raise NotFound(f"this engine has no {market} market")
        if symbol not in self._watched[market]:
            await self._ask(market, symbol)
            await self._streams[market].subscribe([symbol])
            self._watched[market][symbol] = None

    async def unwatch(self, market: Market, symbol: str) -> None:
        """Have no price of `symbol` any more; nothing is asked about it again."""
        self._watched[market].pop(symbol, None)
        self._asked.pop((market, symbol), None)
        await self._streams[market].unsubscribe([symbol])

    async def quote(self, market: Market, symbol: str) -> Price:
        """The last price of any symbol; one that is not watched is asked for, and stays so.

        Raises:
            NotFound: the venue does not have it, or there is no such market here.
            ExchangeUnavailable: it could not be asked.
        """
        if symbol in self._watched.get(market, ()):
            return self.price(market, symbol)
        found = await self._agent(market).ticker(symbol)
        return Price(found.value.price, self._clock.now_ms() - found.age_ms)

    async def run(self) -> None:
        """Keep the prices of quiet symbols true until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + LOOK_EVERY_MS)
            quiet_from_ms = self._clock.now_ms() - QUIET_AFTER_MS
            for market, watched in self._watched.items():
                for symbol in tuple(watched):
                    await self._look_after(market, symbol, quiet_from_ms)

    async def _look_after(self, market: Market, symbol: str, quiet_from_ms: int) -> None:
        """Ask for the price of a watched symbol unless it was true since `quiet_from_ms`."""
        try:
            if self.price(market, symbol).time_ms < quiet_from_ms:
                await self._ask(market, symbol)
        except (ExchangeUnavailable, NotFound) as error:
            if symbol in self._watched[market]:
                log.warning("the price of %s %s is old: %s", market, symbol, error)

    async def close(self) -> None:
        for stream in self._streams.values():
            await stream.close()

    async def _ask(self, market: Market, symbol: str) -> None:
        asked_ms = self._clock.now_ms()
        ticker = await self._sources[market].ticker(symbol)
        self._asked[market, symbol] = Price(ticker.price, asked_ms)

    # --- from anywhere ----------------------------------------------------------------------------

    def health(self, market: Market) -> StreamHealth:
        """How the market's stream does."""
        return self._streams[market].health

    def symbols(self, market: Market) -> tuple[str, ...]:
        """Symbols that have a price now, sorted."""
        return tuple(sorted(self._watched.get(market, {})))

    def price(self, market: Market, symbol: str) -> Price:
        """The last price and when it was known to be true; raises `NotFound`."""
        stream = self._streams.get(market)
        if stream is not None and symbol in self._watched[market]:
            told, asked = stream.price(symbol), self._asked.get((market, symbol))
            if told is not None and (asked is None or told.time_ms >= asked.time_ms):
                return told
            if asked is not None:
                return asked
        raise NotFound(f"{symbol} has no price on {market}; it is not watched here")

    def dated_price(self, market: Market, symbol: str) -> Dated[Decimal]:
        """`price` with its age, stale where no decision would rest on it; raises `NotFound`."""
        price = self.price(market, symbol)
        age_ms = max(0, self._clock.now_ms() - price.time_ms)
        return Dated(price.value, age_ms, age_ms > FRESH_PRICE_MS)

    def ticker(self, market: Market, symbol: str) -> Ticker:
        """The rolling 24 h window; raises `NotFound`, `ExchangeUnavailable`."""
        return self.dated_tickers(market, [symbol]).value[0]

    def dated_tickers(self, market: Market, symbols: Sequence[str]) -> Dated[tuple[Ticker, ...]]:
        """The windows in the order asked, as old as the oldest of them; raises as `ticker`.

        Nothing is asked of anybody where no symbol is, so a market that is not here has none.
        """
        if not symbols:
            return Dated((), 0, False)
        agent = self._agent(market)

        async def ask() -> Dated[tuple[Ticker, ...]]:
            return joined(await asyncio.gather(*map(agent.ticker, symbols)))

        return self._wait(ask())

    def klines(
        self, market: Market, symbol: str, interval: Interval, limit: int
    ) -> tuple[Kline, ...]:
        """The last candles, oldest first, the open one included; raises as `ticker`."""
        return self.dated_klines(market, symbol, interval, limit).value

    def dated_klines(
        self, market: Market, symbol: str, interval: Interval, limit: int
    ) -> Dated[tuple[Kline, ...]]:
        """`klines` with their age; raises as `ticker`."""
        return self._wait(self._agent(market).klines(symbol, interval, limit))

    def instrument(self, market: Market, symbol: str) -> Instrument:
        """The rules of `symbol`; raises as `ticker`."""
        return self._wait(self._agent(market).instrument(symbol)).value

    def _agent(self, market: Market) -> DataAgent:
        try:
            return self._agents[market]
        except KeyError:
            raise NotFound(f"this engine has no {market} market") from None

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's answer, waited for by a thread that is not the loop's."""
        loop = self._loop
        try:
            inside = asyncio.get_running_loop() is loop
        except RuntimeError:
            inside = False
        if loop is None or inside or not loop.is_running():
            work.close()
            if inside:
                raise BugError("the engine's loop may not wait for itself; await the data agent")
            raise ExchangeUnavailable("the market is not open; try again when the engine is ready")
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result(WAIT_S)
        except WaitTimeout:
            future.cancel()
            raise ExchangeUnavailable(
                f"no market data within {WAIT_S:.0f} s; try again later"
            ) from None
