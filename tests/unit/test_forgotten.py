"""Orders that were open and that the venue does not know any more: ended by proof alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

from test_trader import CLOCK, Desk, Venue, spec

from gridlab.domain.events import OrderEnded, OrderFilled, StopPolicy
from gridlab.domain.orders import ClientId, OrderReport, Side, VenueStatus
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.base import VenueEvent
from gridlab.exchange.paper import PaperExchange
from gridlab.grid.lifecycle import Order

HORIZON_MS = 16_000


class Forgetful(Venue):
    """A venue that ends an order behind everybody's back and then does not know it."""

    def __init__(self) -> None:
        super().__init__(CLOCK, "AUSDT", horizon_ms=HORIZON_MS)
        self.forgotten: set[str] = set()

    async def query(self, symbol: str, client_id: str) -> OrderReport | None:
        return None if client_id in self.forgotten else await super().query(symbol, client_id)

    async def forget(self, desk: Desk, client_id: str) -> None:
        """End an order whose end is not told, as while nobody listens."""
        self.subscribe(_nobody)
        await PaperExchange.cancel(self, "AUSDT", client_id)
        self.subscribe(desk.trader.on_venue_event)
        self.forgotten.add(client_id)


def _nobody(event: VenueEvent) -> None:
    """Hears nothing."""


def play(story: Callable[[Desk, Forgetful], Awaitable[None]]) -> None:
    async def run() -> None:
        venue = Forgetful()
        desk = Desk(venue)
        await desk.start(spec("AUSDT"))
        try:
            await story(desk, venue)
        finally:
            await desk.end()

    asyncio.run(run())


async def read(desk: Desk, after_ms: int = HORIZON_MS) -> None:
    """Compare with the venue, so much later."""
    desk.clock.advance_to(desk.clock.now_ms() + after_ms)
    await desk.trader.reconcile()
    await desk.settle()


def nearest_buy(desk: Desk) -> Order:
    orders = desk.trader.bot("AUSDT").live()
    return max(
        (order for order in orders if order.request.side is Side.BUY),
        key=lambda order: order.request.price or 0,
    )


def endings(desk: Desk, client_id: str) -> list[OrderEnded]:
    events = (entry.event for entry in desk.journal.stored)
    return [e for e in events if isinstance(e, OrderEnded) and e.client_id == client_id]


def test_it_is_ended_after_the_horizon_and_its_slot_trades_again() -> None:
    async def story(desk: Desk, venue: Forgetful) -> None:
        order = nearest_buy(desk)
        slot = ClientId.parse(order.client_id)
        assert slot is not None
        await venue.forget(desk, order.client_id)
        await read(desk)
        await read(desk, HORIZON_MS - 1)
        assert not endings(desk, order.client_id), "one horizon has not passed between the readings"
        await read(desk, 1)
        (ended,) = endings(desk, order.client_id)
        assert (ended.status, ended.executed) == (VenueStatus.FORGOTTEN, Decimal(0))
        assert "forgotten by the venue" in desk.trader.bot("AUSDT").grid.slots[slot.slot].vacancy
        await desk.cycle("AUSDT")
        found = Counter(
            i.slot for o in await venue.open_orders("AUSDT") if (i := ClientId.parse(o.client_id))
        )
        assert len(found) == 6 and set(found.values()) == {1}

    play(story)


def test_a_bot_that_stops_does_not_wait_for_it_for_ever() -> None:
    async def story(desk: Desk, venue: Forgetful) -> None:
        await venue.forget(desk, nearest_buy(desk).client_id)
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        assert not desk.trader.bot("AUSDT").is_over
        await read(desk)
        await read(desk)
        assert desk.trader.bot("AUSDT").is_over

    play(story)


def test_its_trades_are_booked_first() -> None:
    async def story(desk: Desk, venue: Forgetful) -> None:
        order = nearest_buy(desk)
        assert order.request.price is not None
        venue.subscribe(_nobody)
        venue.advance("AUSDT", order.request.price, desk.clock.now_ms(), Decimal("0.4"))
        await venue.forget(desk, order.client_id)
        await read(desk)
        assert order.filled == Decimal("0.4")
        await read(desk)
        (ended,) = endings(desk, order.client_id)
        assert ended.executed == Decimal("0.4")
        await desk.end()
        again = Desk(venue, journal=desk.journal)
        again.clock.advance_to(desk.clock.now_ms())
        await again.start()
        await read(again)
        bot = again.trader.bot("AUSDT")
        assert not bot.halted, "a start reads the run's trades once more, these among them"
        assert bot.grid.trade_count == desk.trader.bot("AUSDT").grid.trade_count
        await again.end()

    play(story)


def test_an_order_that_is_found_again_is_not_ended() -> None:
    async def story(desk: Desk, venue: Forgetful) -> None:
        order = nearest_buy(desk)
        original = venue.open_orders

        async def hidden(symbol: str) -> tuple[OrderReport, ...]:
            return tuple(o for o in await original(symbol) if o.client_id != order.client_id)

        for _ in range(2):
            venue.open_orders = hidden  # type: ignore[method-assign]
            venue.forgotten.add(order.client_id)
            await read(desk)
            venue.open_orders = original  # type: ignore[method-assign]
            await read(desk)
        assert not endings(desk, order.client_id)

    play(story)


def test_one_reading_that_found_it_counts_although_it_broke_off_after_that() -> None:
    async def story(desk: Desk, venue: Forgetful) -> None:
        order = nearest_buy(desk)
        await venue.forget(desk, order.client_id)
        await read(desk)
        venue.forgotten.discard(order.client_id)
        original, asked = venue.query, list[str]()

        async def query(symbol: str, client_id: str) -> OrderReport | None:
            if asked:
                raise ExchangeUnavailable("no answer")
            found = await original(symbol, client_id)
            if client_id == order.client_id and found is not None:
                asked.append(client_id)
                return replace(found, status=VenueStatus.NEW)
            return found

        async def hidden(symbol: str) -> tuple[OrderReport, ...]:
            return ()

        venue.query, venue.open_orders = query, hidden  # type: ignore[method-assign]
        with contextlib.suppress(ExchangeUnavailable):
            await read(desk)
        assert asked
        del venue.query, venue.open_orders  # type: ignore[method-assign]
        venue.forgotten.add(order.client_id)
        await read(desk, 1_000)
        assert not endings(desk, order.client_id)

    play(story)


def test_a_trade_of_it_that_comes_later_halts_the_bot() -> None:
    async def story(desk: Desk, venue: Forgetful) -> None:
        order = nearest_buy(desk)
        await venue.forget(desk, order.client_id)
        await read(desk)
        await read(desk)
        bot = desk.trader.bot("AUSDT")
        trade = replace(
            (await venue.trades("AUSDT"))[0], trade_id=10_000, client_id=order.client_id
        )
        desk.trader.on_venue_event(OrderFilled(trade.time_ms, trade))
        await desk.settle()
        assert "which the venue had forgotten" in bot.halted

    play(story)
