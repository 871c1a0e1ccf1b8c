"""The exchange contract, kept by Binance over the twin: both markets, real sockets, real client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from account_desk import new_transport

from gridlab.clock import SystemClock
from gridlab.domain.events import OrderEnded, OrderFilled
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.exchange.base import VenueEvent
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.live import LiveVenue, futures_venue, spot_venue
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.budgets import Budgets, OrderBudget, WeightBudget
from gridlab.testing.exchange_contract import (
    ExactEventCases,
    FundingCases,
    FuturesContract,
    OrderCapCases,
    PartialFillCases,
    SettingsCases,
    SpotContract,
)
from gridlab.testing.twin import RunningTwin, running_twin
from gridlab.twin.news import OrderExtras

D = Decimal
FEES = {
    Market.SPOT: FeeSchedule(D("0.001"), D("0.001")),
    Market.FUTURES: FeeSchedule(D("0.0002"), D("0.0005"), FeeMode.QUOTE),
}
#: An order on another symbol that is placed and cancelled: when its end was heard, so was all else.
BELL_SYMBOL, BELL_PREFIX = "ETHUSDT", "bell-"
BELLS = count(1)


class Hasty(Budgets):
    """Budgets of somebody who need not wait: the cases of a class ask for minutes' worth."""

    def weight(self, market: Market, address: str) -> WeightBudget:
        found = super().weight(market, address)
        found.set_limit(10**9)
        found.set_limit = lambda limit: None  # type: ignore[method-assign]
        return found

    def orders(self, market: Market, address: str, account: str) -> OrderBudget:
        found = super().orders(market, address, account)
        found.set_limits(())
        found.set_limits = lambda limits: None  # type: ignore[method-assign]
        return found


class BinanceUnderTest:
    """One market of a twin's account, as the contract suite wants to handle it."""

    symbol, unknown_symbol, is_exact = "BTCUSDT", "NOSUCHUSDT", True

    def __init__(self, twin: RunningTwin, market: Market, runner: asyncio.Runner) -> None:
        self.fees = FEES[market]
        self._twin, self._market, self._runner = twin, market, runner
        self._events: list[VenueEvent] = []
        self._rung: set[str] = set()
        self._ring = asyncio.Event()
        self.exchange: LiveVenue = runner.run(self._open())

    async def _open(self) -> LiveVenue:
        clock = SystemClock()
        self._transport = new_transport(self._twin, timeout_s=5, budgets=Hasty(clock))
        if self._market is Market.SPOT:
            venue = spot_venue(BinanceSpot(self._transport), self._transport, clock)
        else:
            account = BinanceFutures(self._transport)
            await account.prepare(self.symbol)
            venue = futures_venue(account, self._transport, clock)
        venue.subscribe(self._heard)
        await venue.open(lambda reason: None)
        venue.caught_up()
        return venue

    async def close(self) -> None:
        await self.exchange.close()
        await self._transport.close()

    def run(self, case: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._runner.run(case())

    def events(self) -> Sequence[VenueEvent]:
        return self._events

    async def price(self) -> Decimal:
        return self._twin.world.venues[self._market].price(self.symbol)

    async def move(self, price: Decimal) -> None:
        self._twin.price(self.symbol, price, self._market)

    async def settle(self) -> None:
        """Ring a bell through the same account and wait until its end is heard."""
        name = f"{BELL_PREFIX}{next(BELLS)}"
        venue = self._twin.world.venues[self._market]
        price = (venue.price(BELL_SYMBOL) / 2).to_integral_value()
        bell = OrderRequest(
            name, BELL_SYMBOL, self._market, Side.BUY, OrderType.LIMIT, D("0.2"), price
        )

        async def ring() -> None:
            await venue.place(bell, OrderExtras())
            await venue.cancel(BELL_SYMBOL, name, name)

        self._twin.do(ring())
        async with asyncio.timeout(5):
            while name not in self._rung:
                self._ring.clear()
                await self._ring.wait()

    async def fill_part(self, client_id: str, quantity: Decimal) -> None:
        venue = self._twin.world.venues[self._market]
        order = venue.find(self.symbol, None, client_id)
        assert order is not None
        assert order.report.price is not None
        price = order.report.price

        async def trade() -> None:
            venue.market_trade(self.symbol, price, quantity, volume=quantity)

        self._twin.do(trade())

    async def pay_funding(self, rate: Decimal, funding_id: str) -> None:
        self._twin.control("/funding", {"symbol": self.symbol, "rate": str(rate)})

    async def set_leverage(self, leverage: int) -> None:
        client = self._transport._wire().client
        await client.futures_change_leverage(symbol=self.symbol, leverage=leverage)

    def _heard(self, event: VenueEvent) -> None:
        name = event.trade.client_id if isinstance(event, OrderFilled) else event.client_id
        if not name.startswith(BELL_PREFIX):
            self._events.append(event)
        elif isinstance(event, OrderEnded):
            self._rung.add(name)
            self._ring.set()


@contextmanager
def binance(market: Market) -> Iterator[BinanceUnderTest]:
    """A twin, an account on it, and a loop that both stay in for all cases of a class."""
    with running_twin(symbols=("BTCUSDT", "ETHUSDT"), has_limits=False) as twin:
        twin.price("BTCUSDT", "60000", market)
        few = {"venue": market.value, "symbol": "BTCUSDT", "max_num_orders": 8}
        twin.control("/instrument", few)
        with asyncio.Runner() as runner:
            venue = BinanceUnderTest(twin, market, runner)
            try:
                yield venue
            finally:
                runner.run(venue.close())


class TestBinanceSpot(SpotContract, ExactEventCases, PartialFillCases, OrderCapCases):
    @pytest.fixture(scope="class")
    @classmethod
    def venue(cls) -> Iterator[BinanceUnderTest]:
        with binance(Market.SPOT) as venue:
            yield venue


class TestBinanceFutures(
    FuturesContract, ExactEventCases, PartialFillCases, OrderCapCases, FundingCases, SettingsCases
):
    @pytest.fixture(scope="class")
    @classmethod
    def venue(cls) -> Iterator[BinanceUnderTest]:
        with binance(Market.FUTURES) as venue:
            yield venue
