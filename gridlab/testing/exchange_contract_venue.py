"""What the contract suite needs of a venue under test: the `Exchange`, and levers of its market.

The first protocol is asked of every venue, the others only of those whose classes of cases need
them. `InProcessVenue` is all of it for simulated venues in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from decimal import Decimal
from typing import Any, Protocol, cast

from gridlab.domain.market import FeeSchedule
from gridlab.exchange.base import Exchange, FuturesExchange, VenueEvent


class VenueUnderTest(Protocol):
    """One account on one symbol of a venue, and the levers of its market.

    It may live for one case or for many. The suite takes nothing for granted but what is stated
    here: it measures balances as differences, names its orders so that no id was ever used, and
    ends each case with no order and no position of its own, at the price it began with.

    Attributes:
        exchange: what is tested; its events go to `events`, so nobody else may subscribe.
        symbol: what is traded. The account needs about fifty times its least order value free.
        unknown_symbol: a symbol that the venue does not list.
        fees: what the venue takes of this account. A spot account pays out of what it receives.
        is_exact: every event is told once and in order, and no request is ever UNKNOWN. A venue
            behind a bad network is not exact; there the suite resolves by asking.
    """

    exchange: Exchange
    symbol: str
    unknown_symbol: str
    fees: FeeSchedule
    is_exact: bool

    def run(self, case: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run one case to its end, in the event loop in which the venue lives."""
        ...

    def events(self) -> Sequence[VenueEvent]:
        """Everything that was told since the venue was opened, in the order of arrival."""
        ...

    async def price(self) -> Decimal:
        """The last price."""
        ...

    async def move(self, price: Decimal) -> None:
        """Let the market trade at `price`, which is on the tick: what it crosses fills."""
        ...

    async def settle(self) -> None:
        """Return when all that follows from what was done so far has happened and was told.

        For a venue in this process that is at once. Behind a network: when the user stream has
        been heard, and no request that is under way can take effect any more.
        """
        ...


class PartsLever(Protocol):
    """A venue that can be made to fill part of an order."""

    async def fill_part(self, client_id: str, quantity: Decimal) -> None:
        """Let somebody trade `quantity` against one open order, at its price."""
        ...


class FundingLever(Protocol):
    """A futures venue that can be made to book funding."""

    async def pay_funding(self, rate: Decimal, funding_id: str) -> None:
        """Book a payment on the symbol's position; longs pay when `rate` is above zero."""
        ...


class SettingsLever(Protocol):
    """A futures venue on which somebody else can change the account's settings."""

    async def set_leverage(self, leverage: int) -> None:
        """Change the symbol's leverage behind the exchange object's back."""
        ...


class InProcessVenue:
    """A venue in this process; a new event loop for each case.

    Args:
        exchange: what is tested.
        move, price: the levers of its market.
        settle: awaited by `settle`; by default nothing is ever under way.
        around: what each case runs inside of, such as a task that lets simulated time pass.
        fill_part, pay_funding, set_leverage: the levers that the venue has, if any.
    """

    def __init__(
        self,
        exchange: Exchange,
        symbol: str,
        fees: FeeSchedule,
        *,
        move: Callable[[Decimal], None],
        price: Callable[[], Decimal | None],
        settle: Callable[[], Awaitable[None]] | None = None,
        around: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        fill_part: Callable[[str, Decimal], object] | None = None,
        pay_funding: Callable[[Decimal, str], object] | None = None,
        set_leverage: Callable[[int], object] | None = None,
        is_exact: bool = True,
        unknown_symbol: str = "NOSUCHUSDT",
    ) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.unknown_symbol = unknown_symbol
        self.fees = fees
        self.is_exact = is_exact
        self._move, self._price, self._settle = move, price, settle
        self._around = around
        self._fill_part, self._pay_funding = fill_part, pay_funding
        self._set_leverage = set_leverage
        self._events: list[VenueEvent] = []
        exchange.subscribe(self._events.append)

    def run(self, case: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            async with self._around():
                await case()

        asyncio.run(inside())

    def events(self) -> Sequence[VenueEvent]:
        return self._events

    async def price(self) -> Decimal:
        price = self._price()
        assert price is not None, "a venue under test has a price from the start"
        return price

    async def move(self, price: Decimal) -> None:
        self._move(price)

    async def settle(self) -> None:
        if self._settle is not None:
            await self._settle()

    async def fill_part(self, client_id: str, quantity: Decimal) -> None:
        assert self._fill_part is not None, "this venue has no lever for partial fills"
        self._fill_part(client_id, quantity)

    async def pay_funding(self, rate: Decimal, funding_id: str) -> None:
        assert self._pay_funding is not None, "this venue has no lever for funding"
        self._pay_funding(rate, funding_id)

    async def set_leverage(self, leverage: int) -> None:
        assert self._set_leverage is not None, "this venue has no lever for settings"
        self._set_leverage(leverage)


def parts_of(venue: VenueUnderTest) -> PartsLever:
    """The venue under test as one that fills parts."""
    return cast("PartsLever", venue)


def funding_of(venue: VenueUnderTest) -> FundingLever:
    """The venue under test as one that pays funding."""
    return cast("FundingLever", venue)


def settings_of(venue: VenueUnderTest) -> SettingsLever:
    """The venue under test as one whose settings can be changed."""
    return cast("SettingsLever", venue)


def futures_of(venue: VenueUnderTest) -> FuturesExchange:
    """The exchange under test as a futures one."""
    exchange = venue.exchange
    assert isinstance(exchange, FuturesExchange), f"{exchange!r} lacks the futures protocol"
    return exchange
