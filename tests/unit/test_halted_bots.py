"""The end of a bot that was halted because its account is not what its books assume."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from test_trader import Desk, Futures, Memory
from test_trader_futures import CLOCK, SPEC, play, read

from gridlab.agents.stopping import kill_all
from gridlab.domain.events import StopPolicy
from gridlab.domain.orders import OrderRequest, Side
from gridlab.errors import Conflict
from gridlab.exchange.base import Outcome, RejectCode, Rejected, Unknown

HORIZON_MS = 20_000


async def differs(symbol: str) -> str:
    return f"{symbol} has leverage 5, 1 is assumed"


async def no_cancel(symbol: str, client_id: str) -> Outcome:
    return Rejected("banned", "not sent")


@pytest.mark.parametrize("answer", [Unknown("no answer"), Rejected(RejectCode.FILTER, "hedge")])
def test_an_answer_that_came_during_the_halt_is_looked_up_at_the_end(answer: Outcome) -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        bot, come = desk.trader.bot("AUSDT"), asyncio.Event()

        async def place(request: OrderRequest) -> Outcome:
            await come.wait()
            return answer

        venue.place = place  # type: ignore[method-assign]
        venue.advance("AUSDT", Decimal("98.5"), desk.clock.now_ms())
        await desk.settle()
        venue.mismatch = differs  # type: ignore[method-assign]
        await read(desk)
        assert bot.halted
        come.set()
        await desk.settle()
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        await read(desk, 60)
        assert bot.is_over and not await venue.open_orders("AUSDT")

    play(story, horizon_ms=HORIZON_MS)


def test_an_order_that_is_still_on_its_way_is_not_called_absent() -> None:
    """It waits for its turn, and leaves after the horizon that a look-up would count from now."""

    async def story(desk: Desk, venue: Futures) -> None:
        bot, turn = desk.trader.bot("AUSDT"), asyncio.Event()
        was = venue.place

        async def place(request: OrderRequest) -> Outcome:
            await turn.wait()
            return await was(request)

        venue.place = place  # type: ignore[method-assign]
        venue.advance("AUSDT", Decimal("98.5"), desk.clock.now_ms())
        await desk.settle()
        venue.mismatch = differs  # type: ignore[method-assign]
        await read(desk)
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        await read(desk, 60)
        assert not bot.is_over, "an order of it may still arrive"
        turn.set()
        await desk.settle()
        await read(desk, 3)
        assert bot.is_over and not await venue.open_orders("AUSDT")

    play(story, horizon_ms=HORIZON_MS)


def test_an_order_of_before_a_crash_is_looked_up_though_the_bot_halted_at_the_start() -> None:
    async def story() -> None:
        journal, venue = Memory(), Futures(CLOCK, "AUSDT")
        venue.unseen_horizon_ms = HORIZON_MS
        first = Desk(venue, journal=journal)
        await venue.prepare("AUSDT")
        await first.start(SPEC)
        was = venue.place

        async def never(request: OrderRequest) -> Outcome:
            await asyncio.Event().wait()
            raise AssertionError

        venue.place = never  # type: ignore[method-assign]
        venue.advance("AUSDT", Decimal("98.5"), first.clock.now_ms())
        await first.settle()
        await first.end()
        venue.place, venue.mismatch = was, differs  # type: ignore[method-assign]
        again = Desk(venue, journal=journal)
        await again.start()
        bot = again.trader.bot("AUSDT")
        assert bot.halted
        again.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await again.settle()
        await read(again, 60)
        assert bot.is_over and not await venue.open_orders("AUSDT")
        await again.end()

    asyncio.run(story())


@pytest.mark.parametrize("phase", ["stopping", "emptying"])
def test_one_that_was_to_sell_is_not_let_go_on(phase: str) -> None:
    """A stop with the policy keep is no order to sell, whatever was asked for before."""

    async def story(desk: Desk, venue: Futures) -> None:
        bot, was = desk.trader.bot("AUSDT"), venue.cancel

        def refuse(request: OrderRequest) -> Outcome | None:
            is_sale = request.side is Side.SELL and request.price is None
            return Unknown("no answer") if is_sale else None

        if phase == "stopping":
            venue.cancel = no_cancel  # type: ignore[method-assign]
        else:
            venue.refuse = refuse  # type: ignore[method-assign]
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.SELL)
        await desk.settle()
        assert bot.grid.phase == phase
        venue.mismatch = differs  # type: ignore[method-assign]
        await read(desk)
        assert bot.halted
        venue.cancel = was  # type: ignore[method-assign]
        venue.refuse = lambda request: None  # type: ignore[method-assign]
        before = len(venue.placed)
        with pytest.raises(Conflict, match="cancel its orders at the venue"):
            desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        assert kill_all(desk.trader, "enough") == (bot,)
        await desk.settle()
        await desk.cycle("AUSDT")
        await read(desk, 10)
        assert bot.halted and len(venue.placed) == before

    play(story, horizon_ms=HORIZON_MS)


def test_a_stop_during_the_reading_of_the_settings_is_not_halted_by_it() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        bot, answer, was = desk.trader.bot("AUSDT"), asyncio.Event(), venue.cancel

        async def slow(symbol: str) -> str:
            await answer.wait()
            return await differs(symbol)

        venue.mismatch, venue.cancel = slow, no_cancel  # type: ignore[method-assign]
        reading = asyncio.create_task(desk.trader.reconcile())
        await desk.settle()
        kill_all(desk.trader, "enough")
        await desk.settle()
        answer.set()
        await reading
        await desk.settle()
        venue.cancel = was  # type: ignore[method-assign]
        await read(desk, 3)
        assert bot.is_over and not bot.halted and not await venue.open_orders("AUSDT")

    play(story)


def test_a_second_kill_ends_a_stop_that_a_halt_had_struck() -> None:
    async def story(desk: Desk, venue: Futures) -> None:
        bot, was = desk.trader.bot("AUSDT"), venue.cancel
        venue.cancel = no_cancel  # type: ignore[method-assign]
        kill_all(desk.trader, "enough")
        await desk.settle()
        bot.halt("as an earlier reading told", may_end=True)
        venue.cancel = was  # type: ignore[method-assign]
        await read(desk, 3)
        assert not bot.is_over
        kill_all(desk.trader, "again")
        await desk.settle()
        await read(desk, 3)
        assert bot.is_over and not await venue.open_orders("AUSDT")

    play(story)
