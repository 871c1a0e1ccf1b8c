"""Binance's requests and user stream over a twin, with the levers that the contract suite needs.

All of it is the product's own: signed requests, the socket of the account's events, the mapping of
both. Only the limits are lifted on both sides, because the suite asks more in seconds than a bot
does in minutes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from gridlab.clock import SystemClock
from gridlab.domain.account import FuturesSettings
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.snapshot import Mode
from gridlab.exchange.base import Exchange, VenueEvent
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.live import LiveFuturesVenue, LiveVenue, OnEvent, OnGap
from gridlab.exchange.binance.mapping import RateLimit
from gridlab.exchange.binance.signing import Credentials, LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.exchange.binance.user_stream import FuturesUserStream, SpotUserStream, UserStream
from gridlab.exchange.order_budget import OrderLimit
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.testing.twin import RunningTwin, running_twin
from gridlab.twin.news import OrderNews, VenueNews

SYMBOL = "BTCUSDT"
FEES = {
    Market.SPOT: FeeSchedule(Decimal("0.001"), Decimal("0.001"), FeeMode.RECEIVED),
    Market.FUTURES: FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE),
}
#: Low enough that one lot of the futures symbol is worth less than the least order.
START_PRICE = 60_000
#: Few enough that the suite can reach the cap, and more than any other case holds open.
MOST_ORDERS = 10
_ORDER_EVENTS = ("executionReport", "ORDER_TRADE_UPDATE")
_HEARD_WITHIN_S = 5.0


class UnhurriedTransport(SignedTransport):
    """Plans by no limit, whatever the venue states."""

    def adopt_limits(self, market: Market, limits: Iterable[RateLimit]) -> None:
        self.weight(market).set_limit(10**9)
        self.orders(market).set_limits([OrderLimit(10_000, 10**9)])


class BinanceUnderTest:
    """One market of a Binance account on a twin; satisfies `VenueUnderTest` and every lever."""

    symbol = SYMBOL
    unknown_symbol = "NOSUCHUSDT"
    is_exact = True

    def __init__(self, twin: RunningTwin, market: Market) -> None:
        self.fees = FEES[market]
        self._twin, self._market = twin, market
        self._runner = asyncio.Runner()
        self._events: list[VenueEvent] = []
        self._heard = self._told = 0
        self._transport = UnhurriedTransport(
            LiveRight(Mode.TESTNET),
            Credentials(twin.ready["key"], twin.ready["secret"]),
            Endpoints.from_json(json.dumps(twin.ready)),
            clock=SystemClock(),
        )
        self._transport.adopt_limits(market, ())
        self._live = self._new_venue()
        self.exchange: Exchange = self._live
        twin.world.venues[market].subscribe(self._on_news)

    def _new_venue(self) -> LiveVenue:
        """As `spot_venue` and `futures_venue` make it, with an ear on the stream."""
        transport, clock = self._transport, self._transport.clock

        def no_ban() -> int:
            return 0

        if self._market is Market.SPOT:

            def spot_stream(on_event: OnEvent, on_gap: OnGap) -> UserStream:
                return SpotUserStream(transport, self._listening(on_event), on_gap, clock)

            return LiveVenue(BinanceSpot(transport), spot_stream, no_ban, clock)
        requests = BinanceFutures(transport, FuturesSettings(leverage=1))

        def futures_stream(on_event: OnEvent, on_gap: OnGap) -> UserStream:
            heard = self._listening(on_event)
            return FuturesUserStream(requests, transport.endpoints, heard, on_gap, clock)

        return LiveFuturesVenue(requests, futures_stream, no_ban, clock)

    def _listening(self, on_event: OnEvent) -> OnEvent:
        def hear(payload: dict[str, Any]) -> None:
            on_event(payload)
            if payload.get("e") in _ORDER_EVENTS:
                self._heard += 1

        return hear

    def _on_news(self, news: VenueNews) -> None:
        if isinstance(news, OrderNews):
            self._told += 1

    # --- life -------------------------------------------------------------------------------------

    def open(self) -> None:
        self._runner.run(self._open())

    async def _open(self) -> None:
        self._live.subscribe(self._events.append)
        await self._live.open(lambda reason: self._live.caught_up())
        if isinstance(self._live, LiveFuturesVenue):
            await self._live.prepare(SYMBOL)

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        await self._live.close()
        await self._transport.close()

    # --- VenueUnderTest ---------------------------------------------------------------------------

    def run(self, case: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._runner.run(case())

    def events(self) -> Sequence[VenueEvent]:
        return self._events

    async def price(self) -> Decimal:
        truth = await asyncio.to_thread(self._twin.account)
        return Decimal(truth[self._market.value]["prices"][SYMBOL])

    async def move(self, price: Decimal) -> None:
        await asyncio.to_thread(self._twin.price, SYMBOL, price, self._market)

    async def settle(self) -> None:
        """Every step of an order that the venue has told is one event, and all of them are here."""
        try:
            async with asyncio.timeout(_HEARD_WITHIN_S):
                while self._heard < self._told:
                    await asyncio.sleep(0.001)
        except TimeoutError:
            raise AssertionError(
                f"{self._told} events were told and {self._heard} heard within {_HEARD_WITHIN_S} s"
            ) from None

    # --- levers -----------------------------------------------------------------------------------

    async def fill_part(self, client_id: str, quantity: Decimal) -> None:
        paper = self._twin.world.venues[self._market].paper
        await self._inside(lambda: paper.fill_part(SYMBOL, client_id, quantity))

    async def pay_funding(self, rate: Decimal, funding_id: str) -> None:
        """The venue numbers its payments itself."""
        document = {"symbol": SYMBOL, "rate": str(rate)}
        await asyncio.to_thread(self._twin.control, "/funding", document)

    async def set_leverage(self, leverage: int) -> None:
        paper = self._twin.world.venues[self._market].paper
        assert isinstance(paper, PaperFutures)
        await self._inside(lambda: paper.set_leverage(SYMBOL, leverage))

    async def _inside(self, work: Callable[[], object]) -> None:
        async def there() -> None:
            work()

        await asyncio.to_thread(self._twin.do, there())


@contextmanager
def binance_on_a_twin(market: Market) -> Iterator[BinanceUnderTest]:
    """A fresh twin whose symbol allows few open orders, and an account on it."""
    with running_twin(symbols=(SYMBOL,), has_limits=False, funds={"USDT": 30_000}) as twin:
        rule = {"venue": market.value, "symbol": SYMBOL, "max_num_orders": MOST_ORDERS}
        twin.control("/instrument", rule)
        twin.price(SYMBOL, START_PRICE, market)
        venue = BinanceUnderTest(twin, market)
        venue.open()
        try:
            yield venue
        finally:
            venue.close()
