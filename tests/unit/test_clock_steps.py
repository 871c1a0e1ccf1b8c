"""The wall clock is set back or forward by an hour while orders are in doubt and timers run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from scripted_venue import ScriptedVenue, Told, order_answer
from test_trader import CLOCK, Memory, Venue, rules, spec

from gridlab.agents import resolver
from gridlab.agents.trader import Trader
from gridlab.clock import SystemClock, monotonic_s
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId, OrderRequest, OrderType, Side
from gridlab.domain.snapshot import Mode
from gridlab.exchange.base import Accepted, Outcome, Unknown
from gridlab.exchange.binance.signing import LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.exchange.order_budget import OrderBudget, OrderLimit
from gridlab.money import parse

HOUR_S = 3600
BOTH_WAYS = pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S], ids=["back", "forward"])
HORIZON_MS = 500


class Wall:
    """The wall clock of this process, which a test can set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.step_s = 0
        read_ns, read_s = time.time_ns, time.time
        patch.setattr(time, "time_ns", lambda: read_ns() + self.step_s * 1_000_000_000)
        patch.setattr(time, "time", lambda: read_s() + self.step_s)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


async def within(work: Awaitable[object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        await work


class Slow(Venue):
    """A venue that loses the answer to one order, and takes that order in only later."""

    def __init__(self, clock: SystemClock, lands_after_s: float | None) -> None:
        super().__init__(CLOCK, "AUSDT", horizon_ms=HORIZON_MS)
        self._clock = clock
        self.lands_after_s = lands_after_s
        self.landing: asyncio.Task[Outcome] | None = None
        self.lost = ""

    async def place(self, request: OrderRequest) -> Outcome:
        if self.lost or request.type is OrderType.MARKET:
            return await super().place(request)
        self.placed.append(request)
        self.lost = request.client_id
        if self.lands_after_s is not None:
            self.landing = asyncio.create_task(self._land(request, self.lands_after_s))
        return Unknown("the connection broke")

    async def _land(self, request: OrderRequest, after_s: float) -> Outcome:
        await asyncio.sleep(after_s)
        return await Venue.place(self, request)


async def play(venue: Slow, story: Callable[[Trader], Awaitable[None]]) -> None:
    clock = SystemClock()
    venue.advance("AUSDT", parse("100"), clock.now_ms())
    trader = Trader(venue, Memory(), clock)
    venue.subscribe(trader.on_venue_event)
    loop = asyncio.create_task(trader.run())
    trader.start_grid(spec("AUSDT", levels=4), rules("AUSDT"), parse("100"))
    try:
        while not venue.lost:
            await asyncio.sleep(0)
        await story(trader)
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


@BOTH_WAYS
def test_an_unknown_order_that_lands_late_stays_the_only_one_of_its_slot(
    step_s: int, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "FIRST_PAUSE_MS", 20)

    async def main() -> None:
        venue = Slow(SystemClock(), HORIZON_MS / 1000 * 0.7)

        async def story(trader: Trader) -> None:
            wall.step_s = step_s
            await within(trader.idle())
            assert venue.landing is not None and isinstance(await venue.landing, Accepted)
            found = await venue.open_orders("AUSDT")
            slots = Counter(i.slot for o in found if (i := ClientId.parse(o.client_id)))
            assert set(slots.values()) == {1}
            assert venue.lost in {order.client_id for order in found}

        await play(venue, story)

    asyncio.run(main())


@BOTH_WAYS
def test_an_order_that_never_landed_is_replaced_after_the_horizon_and_not_before(
    step_s: int, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "FIRST_PAUSE_MS", 20)

    async def main() -> None:
        venue = Slow(SystemClock(), None)

        async def story(trader: Trader) -> None:
            began_s = monotonic_s()
            wall.step_s = step_s
            await within(trader.idle())
            assert monotonic_s() - began_s >= HORIZON_MS / 1000 - 0.02
            assert venue.lost not in {order.client_id for order in trader.bot("AUSDT").live()}
            assert len(await venue.open_orders("AUSDT")) == 4

        await play(venue, story)

    asyncio.run(main())


@BOTH_WAYS
def test_a_timer_rings_when_its_time_has_elapsed(
    step_s: int, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> float:
        clock, began_s = SystemClock(), monotonic_s()
        sleeping = asyncio.create_task(clock.sleep_until(clock.now_ms() + 60))
        await asyncio.sleep(0.01)
        wall.step_s = step_s
        await within(sleeping)
        return monotonic_s() - began_s

    with caplog.at_level(logging.WARNING):
        assert 0.05 <= asyncio.run(main()) < 30
    assert "clock was set" in caplog.text


def test_a_machine_that_was_suspended_wakes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asyncio waits by stands still in a suspend, and the time since the start does not."""
    suspended_s, read_ns = 0, time.clock_gettime_ns
    monkeypatch.setattr(
        time, "clock_gettime_ns", lambda which: read_ns(which) + suspended_s * 1_000_000_000
    )
    monkeypatch.setattr("gridlab.clock.LONGEST_NAP_S", 0.02)

    async def main() -> None:
        nonlocal suspended_s
        clock = SystemClock()
        due_ms = clock.now_ms() + 1_000 * HOUR_S // 2
        sleeping = asyncio.create_task(clock.sleep_until(due_ms))
        await asyncio.sleep(0.1)
        assert not sleeping.done()
        suspended_s = HOUR_S
        await within(sleeping)
        assert clock.now_ms() >= due_ms

    asyncio.run(main())


def test_the_window_of_new_orders_goes_on_after_a_step_back(wall: Wall) -> None:
    async def main() -> None:
        clock, began_s = SystemClock(), monotonic_s()
        budget = OrderBudget((OrderLimit(100, 2),), clock=clock)
        for name in "abcde":
            await budget.enter(name, parse("0"))
            budget.leave()
            wall.step_s -= HOUR_S
        # Two in the first window, two in the next: the fifth waits for that one's end.
        assert monotonic_s() - began_s >= 0.1

    asyncio.run(asyncio.wait_for(main(), 30))


@BOTH_WAYS
def test_signed_requests_keep_the_venues_time(step_s: int, wall: Wall) -> None:
    async def main() -> None:
        async with ScriptedVenue() as venue:
            venue.tell("GET /api/v3/openOrders", Told([]))
            venue.tell("POST /api/v3/order", Told(order_answer("gl-a-1-0-1")))
            transport = SignedTransport(
                LiveRight(Mode.TESTNET), venue.credentials, venue.endpoints, clock=SystemClock()
            )
            spot = BinanceSpot(transport)
            assert await spot.open_orders("BTCUSDT") == ()
            wall.step_s = step_s
            outcome = await spot.place(
                OrderRequest(
                    "gl-a-1-0-1",
                    "BTCUSDT",
                    Market.SPOT,
                    Side.BUY,
                    OrderType.LIMIT,
                    parse("1"),
                    parse("100"),
                )
            )
            assert isinstance(outcome, Accepted)
            assert [asked.error for asked in venue.asked if "order" in asked.path.lower()] == [
                "",
                "",
            ]
            await transport.close()

    asyncio.run(main())
