"""An order that would be refused for what the last one was refused is not sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from gridlab.agents.restraint import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, WHOLE_SYMBOL, Restraint
from gridlab.clock import ManualClock
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Side, VenueStatus
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected

MINUTE_MS = 60_000
BOTH = (Side.BUY, Side.SELL)


def order(slot: int, side: Side, kind: OrderType = OrderType.LIMIT_MAKER) -> OrderRequest:
    price = None if kind is OrderType.MARKET else Decimal(100)
    return OrderRequest(f"gl-a1-{slot}-1-0", "BTCUSDT", Market.SPOT, side, kind, Decimal(1), price)


class Venue:
    """Refuses everything for one reason while it has one."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.asked = 0

    async def place(self, request: OrderRequest) -> Outcome:
        self.asked += 1
        await asyncio.sleep(0)
        if self.code:
            return Rejected(self.code, "its own words")
        return Accepted(
            OrderReport(
                order_id="1",
                client_id=request.client_id,
                symbol=request.symbol,
                side=request.side,
                type=request.type,
                quantity=request.quantity,
                executed=Decimal(0),
                status=VenueStatus.NEW,
                created_ms=0,
                updated_ms=0,
                price=request.price,
            )
        )


class Slots:
    """Forty vacant slots of a bot that asks for all of them once a minute."""

    def __init__(self, code: str) -> None:
        self.clock = ManualClock(1_000_000)
        self.venue = Venue(code)
        self.restraint = Restraint()

    async def cycle(self) -> Sequence[Outcome]:
        requests = [order(slot, side) for slot in range(20) for side in BOTH]
        work = [self.restraint.send(one, self.venue.place, self.clock) for one in requests]
        return await asyncio.gather(*work)

    async def asked_in(self, minutes: int) -> int:
        """How many requests leave in so many cycles."""
        before = self.venue.asked
        for _ in range(minutes):
            await self.cycle()
            self.clock.advance_to(self.clock.now_ms() + MINUTE_MS)
        return self.venue.asked - before


@pytest.mark.parametrize("code", sorted(WHOLE_SYMBOL))
def test_a_symbol_out_of_bounds_is_left_alone_for_pauses_that_grow(code: str) -> None:
    async def story() -> None:
        slots = Slots(code)
        outcomes = await slots.cycle()
        assert {one.code for one in outcomes if isinstance(one, Rejected)} == {code}
        assert slots.venue.asked == 40, "none of them could know of the others"
        words = slots.restraint.words(slots.clock.now_ms())
        assert code in words and "its own words" in words and "held back until" in words
        # After 1, 2, 4, 8 and then 15 minutes each: at most one request a side.
        assert await slots.asked_in(16) <= 8
        assert await slots.asked_in(60) <= 8
        assert LONGEST_PAUSE_MS == 15 * FIRST_PAUSE_MS

    asyncio.run(story())


def test_when_it_is_open_again_everything_leaves_and_the_next_pause_is_a_first() -> None:
    async def story() -> None:
        slots = Slots(RejectCode.MARKET_CLOSED)
        await slots.asked_in(10)
        slots.venue.code = ""
        slots.clock.advance_to(slots.clock.now_ms() + LONGEST_PAUSE_MS)
        outcomes = await slots.cycle()
        assert all(isinstance(one, Accepted) for one in outcomes)
        assert slots.restraint.words(slots.clock.now_ms()) == ""
        slots.venue.code = RejectCode.MARKET_CLOSED
        await slots.cycle()
        slots.clock.advance_to(slots.clock.now_ms() + FIRST_PAUSE_MS)
        assert slots.restraint.words(slots.clock.now_ms()) == ""

    asyncio.run(story())


def test_the_sale_that_ends_a_grid_is_not_held_back() -> None:
    async def story() -> None:
        slots = Slots(RejectCode.MARKET_CLOSED)
        await slots.cycle()
        slots.venue.code = ""
        sale = order(0, Side.SELL, OrderType.MARKET)
        outcome = await slots.restraint.send(sale, slots.venue.place, slots.clock)
        assert isinstance(outcome, Accepted)

    asyncio.run(story())


def test_what_only_one_order_is_refused_for_holds_nothing_back() -> None:
    async def story() -> None:
        slots = Slots(RejectCode.WOULD_TAKE)
        assert await slots.asked_in(3) == 120
        assert slots.restraint.words(slots.clock.now_ms()) == ""

    asyncio.run(story())
