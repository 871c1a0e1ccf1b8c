"""The trader on futures: settings asserted, funding booked once, positions compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from test_trader import START_MS, Desk, Futures, Memory, spec

from gridlab.agents.stopping import kill_all
from gridlab.clock import ManualClock
from gridlab.domain.events import FundingPaid, StopPolicy
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.errors import Conflict

CLOCK = ManualClock(START_MS)
SPEC = spec("AUSDT", market=Market.FUTURES)


def play(
    story: Callable[[Desk, Futures], Awaitable[None]], *, horizon_ms: int = 0, behind_ms: int = 0
) -> None:
    async def run() -> None:
        venue = Futures(CLOCK, "AUSDT")
        venue.unseen_horizon_ms = horizon_ms
        desk = Desk(venue)
        if behind_ms:
            venue._clock = ManualClock(desk.clock.now_ms() - behind_ms)
        await venue.prepare("AUSDT")
        await desk.start(SPEC)
        try:
            await story(desk, venue)
        finally:
            await desk.end()

    asyncio.run(run())


async def read(desk: Desk, times: int = 1) -> None:
    """Compare with the venue, each time a minute later."""
    for _ in range(times):
        desk.clock.advance_to(desk.clock.now_ms() + 60_000)
        await desk.trader.reconcile()
        await desk.settle()


def funding_booked(desk: Desk) -> list[Decimal]:
    events = (entry.event for entry in desk.journal.stored)
    return [event.amount for event in events if isinstance(event, FundingPaid)]


def test_books_equal_the_venues_wallet_through_fills_and_funding() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        for number, price in enumerate(("98.5", "99.5", "97", "101.2", "100")):
            venue.advance("AUSDT", Decimal(price), desk.clock.now_ms())
            await desk.settle()
            venue.pay_funding("AUSDT", Decimal("0.0001"), f"f{number}", desk.clock.now_ms() + 1)
            await read(desk)
        grid = desk.trader.bot("AUSDT").grid
        position = await venue.position("AUSDT")
        assert grid.ledger.base_held == position.quantity > 0
        wallet = sum(balance.total for balance in await venue.balances())
        equity = wallet + venue.book.figures("AUSDT").unrealized - 100_000
        assert grid.ledger.wallet["USDT"] + position.quantity * 100 == equity
        assert len(funding_booked(desk)) == 5

    play(story)


def test_funding_is_booked_once_however_often_it_is_read() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        paid = venue.pay_funding("AUSDT", Decimal("0.001"), "f1", desk.clock.now_ms() + 1)
        assert paid is not None
        await read(desk, 5)
        assert funding_booked(desk) == [paid.amount]
        lines = desk.trader.bot("AUSDT").grid.ledger.lines()
        assert ("funding", "USDT", paid.amount) in lines

    play(story)


def test_funding_is_asked_for_once_a_minute_and_not_more() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        asked = 0
        original = venue.funding

        async def funding(symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
            nonlocal asked
            asked += 1
            return await original(symbol, after_ms)

        venue.funding = funding  # type: ignore[method-assign]
        await read(desk)
        for _ in range(5):
            await desk.trader.reconcile()
        assert asked == 1

    play(story)


def test_funding_that_is_due_after_a_bot_is_over_is_not_its_own() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        desk.clock.advance_to(desk.clock.now_ms() + 1_000)
        assert venue.pay_funding("AUSDT", Decimal("0.001"), "f1", desk.clock.now_ms()) is not None
        await read(desk, 3)
        assert desk.trader.bot("AUSDT").is_filed and not funding_booked(desk)

    play(story)


def test_funding_in_the_very_moment_of_the_start_is_booked() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        assert desk.clock.now_ms() == desk.trader.bot("AUSDT").grid.started_ms
        paid = venue.pay_funding("AUSDT", Decimal("0.001"), "f1", desk.clock.now_ms())
        assert paid is not None
        await read(desk, 2)
        assert funding_booked(desk) == [paid.amount]

    play(story)


def test_funding_of_a_bots_last_moment_is_found_by_the_next_process() -> None:
    async def run() -> None:
        journal, venue = Memory(), Futures(CLOCK, "AUSDT")
        first = Desk(venue, journal=journal)
        await venue.prepare("AUSDT")
        await first.start(SPEC)
        first.clock.advance_to(START_MS + 5_000)
        first.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await first.settle()
        assert first.trader.bot("AUSDT").is_over
        paid = venue.pay_funding("AUSDT", Decimal("0.001"), "f1", first.clock.now_ms())
        await first.end()
        again = Desk(venue, journal=journal)
        again.clock.advance_to(START_MS + 6_000)
        await again.start()
        assert paid is not None and funding_booked(again) == [paid.amount]
        await again.end()

    asyncio.run(run())


def test_funding_right_after_the_purchase_is_booked_though_our_clock_is_ahead() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        (bought,) = await venue.trades("AUSDT")
        assert bought.time_ms == desk.trader.bot("AUSDT").grid.started_ms - 90_000
        venue.pay_funding("AUSDT", Decimal("0.003"), "f0", bought.time_ms - 20_000)
        paid = venue.pay_funding("AUSDT", Decimal("0.001"), "f1", bought.time_ms + 30_000)
        await read(desk, 3)
        assert paid is not None and funding_booked(desk) == [paid.amount]

    play(story, behind_ms=90_000)


@pytest.mark.parametrize("is_new_process", [False, True], ids=["same process", "new process"])
def test_funding_between_two_runs_is_booked_by_one_of_them(is_new_process: bool) -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        paid = venue.pay_funding("AUSDT", Decimal("0.001"), "f1", desk.clock.now_ms())
        if is_new_process:
            await desk.trader.reconcile()
            await desk.settle()
        desk.trader.start_grid(SPEC, await venue.instrument("AUSDT"), Decimal(100))
        await desk.settle()
        if is_new_process:
            await desk.end()
            desk = Desk(venue, journal=desk.journal)
            await desk.start()
        await read(desk, 3)
        assert len(desk.trader.bots) == 2
        assert paid is not None and funding_booked(desk) == [paid.amount]
        await desk.end()

    play(story)


@pytest.mark.parametrize("way", ["leverage", "margin", "mode"])
def test_settings_that_are_not_the_assumed_ones_halt_the_bot(way: str) -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        if way == "leverage":
            venue.set_leverage("AUSDT", 7)
        else:
            words = {"margin": "margin type", "mode": "position mode"}[way]

            async def mismatch(symbol: str) -> str:
                return f"the {words} of {symbol} was changed"

            venue.mismatch = mismatch  # type: ignore[method-assign]
        placed = len(venue.placed)
        await read(desk)
        bot = desk.trader.bot("AUSDT")
        assert bot.halted and (way in bot.halted)
        venue.advance("AUSDT", Decimal(98), desk.clock.now_ms())
        await desk.settle()
        assert len(venue.placed) == placed

    play(story)


def test_a_mismatch_at_a_start_halts_before_anything_is_sent() -> None:
    async def run() -> None:
        journal = Memory()
        venue = Futures(CLOCK, "AUSDT")
        first = Desk(venue, journal=journal)
        await venue.prepare("AUSDT")
        await first.start(SPEC)
        await first.end()
        venue.subscribe(lambda event: None)
        venue.advance("AUSDT", Decimal(97), START_MS)  # fills that ask for mirror orders
        was = venue.mismatch

        async def mismatch(symbol: str) -> str:
            return f"leverage of {symbol} is 7 and 1 is assumed"

        venue.mismatch = mismatch  # type: ignore[method-assign]
        placed = len(venue.placed)
        again = Desk(venue, journal=journal)
        await again.start()
        assert "leverage" in again.trader.bot("AUSDT").halted and len(venue.placed) == placed
        await again.end()
        venue.mismatch = was  # type: ignore[method-assign]
        mended = Desk(venue, journal=journal)
        await mended.start()
        bot = mended.trader.bot("AUSDT")
        assert bot.is_driven and len(venue.placed) > placed
        assert bot.grid.ledger.base_held == (await venue.position("AUSDT")).quantity
        await mended.end()

    asyncio.run(run())


def test_a_position_that_others_made_smaller_halts_the_bot_after_three_readings() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        theirs = OrderRequest(
            "web_1",
            "AUSDT",
            Market.FUTURES,
            Side.SELL,
            OrderType.MARKET,
            Decimal(1),
        )
        await venue.place(theirs)
        await read(desk, 2)
        bot = desk.trader.bot("AUSDT")
        assert bot.is_driven, "fills may be on their way"
        await read(desk)
        assert "closed in part" in bot.halted

    play(story)


async def close_by_hand(venue: Futures, quantity: str = "1") -> None:
    """Somebody else sells of the position."""
    theirs = OrderRequest(
        "web_2", "AUSDT", Market.FUTURES, Side.SELL, OrderType.MARKET, Decimal(quantity)
    )
    await venue.place(theirs)


def test_readings_within_a_moment_of_each_other_are_one() -> None:
    """After a start or a gap, comparisons follow each other at once; a fill may be on its way."""

    async def story(desk: Desk, venue: Futures) -> None:
        await close_by_hand(venue)
        for _ in range(5):
            await desk.trader.reconcile()
        assert desk.trader.bot("AUSDT").is_driven
        await read(desk, 2)
        assert desk.trader.bot("AUSDT").halted

    play(story)


@pytest.mark.parametrize("reason", ["position", "leverage"])
def test_a_bot_that_the_account_halted_can_be_stopped_and_followed_by_another(reason: str) -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        async def differs(symbol: str) -> str:
            return "AUSDT has leverage 5, 1 is assumed"

        was = venue.mismatch
        bot = desk.trader.bot("AUSDT")
        if reason == "position":
            await close_by_hand(venue)
        else:
            venue.mismatch = differs  # type: ignore[method-assign]
        await read(desk, 3)
        assert bot.halted
        venue.advance("AUSDT", Decimal("98.5"), desk.clock.now_ms())
        await desk.settle()
        missed = bot.grid.trade_count
        with pytest.raises(Conflict, match="policy keep"):
            desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.SELL)
        placed = len(venue.placed)
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        await read(desk, 3)
        assert bot.is_over and not bot.halted and len(venue.placed) == placed
        assert bot.grid.trade_count > missed, "what traded while it was halted is booked"
        assert not await venue.open_orders("AUSDT")
        venue.mismatch = was  # type: ignore[method-assign]
        desk.trader.start_grid(SPEC, await venue.instrument("AUSDT"), Decimal(100))
        await desk.settle()
        assert len(desk.trader.bots) == 2
        await desk.end()
        again = Desk(venue, journal=desk.journal)
        await again.start()
        first, second = again.trader.bots.values()
        assert first.is_over and second.is_driven and not second.is_over
        await again.end()

    play(story)


def test_the_kill_switch_cancels_the_orders_of_a_bot_that_the_account_halted() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        bot = desk.trader.bot("AUSDT")
        await close_by_hand(venue)
        await read(desk, 3)
        assert bot.halted and await venue.open_orders("AUSDT")
        assert kill_all(desk.trader, "enough") == (bot,)
        await desk.settle()
        await read(desk, 2)
        assert bot.is_over and not await venue.open_orders("AUSDT")

    play(story)


def test_a_bot_whose_books_are_contradicted_cannot_be_stopped() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        bot = desk.trader.bot("AUSDT")
        bot.halt("the venue contradicts itself")
        with pytest.raises(Conflict, match="cancel its orders at the venue"):
            desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        assert kill_all(desk.trader, "enough") == (bot,)
        await desk.settle()
        assert bot.halted and not bot.is_stopping

    play(story)


def test_a_larger_position_is_left_alone() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        theirs = OrderRequest(
            "web_1", "AUSDT", Market.FUTURES, Side.BUY, OrderType.MARKET, Decimal(1)
        )
        await venue.place(theirs)
        await read(desk, 6)
        assert desk.trader.bot("AUSDT").is_driven

    play(story)


def test_fills_that_come_late_are_no_shortfall() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        sink = venue._sink
        assert sink is not None
        for price in ("101.2", "100", "101.2", "100"):
            venue.subscribe(lambda event: None)
            venue.advance("AUSDT", Decimal(price), desk.clock.now_ms())
            venue.subscribe(sink)
            await read(desk)
        assert desk.trader.bot("AUSDT").is_driven

    play(story)
