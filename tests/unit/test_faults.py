"""Injected faults: each kind on its own, the promises they keep, and one seed that decides all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from gridlab.clock import ManualClock
from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.errors import ExchangeUnavailable, InvalidInput, StorageError
from gridlab.exchange.base import (
    Accepted,
    FuturesExchange,
    RejectCode,
    Rejected,
    Unknown,
    VenueEvent,
)
from gridlab.exchange.fault_plan import FaultPlan
from gridlab.exchange.faults import FaultyExchange, FaultyFutures
from gridlab.exchange.paper import PaperBook, PaperExchange, Record
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.exchange.paper_futures_book import FuturesBook

D = Decimal
T = TypeVar("T")
BTC = Instrument(
    symbol="BTCUSDT",
    market=Market.SPOT,
    base="BTC",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.001"),
    min_notional=D(5),
    min_quantity=D("0.001"),
    max_quantity=D(9000),
    min_price=D("0.01"),
    max_price=D(1_000_000),
)


class World:
    """A clock, a paper venue, the faults before it, and everything that came out."""

    def __init__(self, plan: FaultPlan, records: Any = None) -> None:
        self.clock = ManualClock(1_000_000)
        book = PaperBook({"BTCUSDT": BTC}, {"USDT": D(10**6)}, fees=FeeSchedule(), is_tracking=True)
        book.set_price("BTCUSDT", D(100))
        self.venue = PaperExchange(book, self.clock, records)
        self.faulty = FaultyExchange(self.venue, self.clock, plan)
        self.events: list[VenueEvent] = []
        self.faulty.subscribe(self.events.append)

    async def until_done(self, work: Awaitable[T]) -> T:
        """What `work` returns, with time moving on while it waits."""
        task = asyncio.ensure_future(work)
        for _ in range(5):
            await asyncio.sleep(0)
        while not task.done():
            self.clock.advance_to(self.clock.now_ms() + 250)
            for _ in range(5):
                await asyncio.sleep(0)
        return task.result()

    async def settle(self) -> None:
        """Let everything that is under way arrive."""
        while self.faulty.busy_until_ms:
            self.clock.advance_to(max(self.clock.now_ms(), self.faulty.busy_until_ms))
            await self.faulty.drain()


def request(client_id: str, price: str | None = "90") -> OrderRequest:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    limit = None if price is None else D(price)
    return OrderRequest(client_id, "BTCUSDT", Market.SPOT, Side.BUY, kind, D(1), limit)


def play(plan: FaultPlan, scenario: Callable[[World], Awaitable[T]], records: Any = None) -> T:
    async def run() -> T:
        world = World(plan, records)
        try:
            return await scenario(world)
        finally:
            await world.faulty.close()

    return asyncio.run(run())


def test_no_faults_are_no_difference_and_no_waiting() -> None:
    async def scenario(world: World) -> None:
        assert world.faulty.unseen_horizon_ms == 15_000
        assert isinstance(await world.faulty.place(request("a")), Accepted)
        world.venue.advance("BTCUSDT", D(90), 1)
        assert [type(e) for e in world.events] == [OrderAccepted, OrderFilled, OrderEnded]
        assert world.faulty.busy_until_ms == 0
        assert await world.faulty.trades("BTCUSDT") == await world.venue.trades("BTCUSDT")
        assert await world.faulty.balances() == await world.venue.balances()
        assert await world.faulty.open_orders("BTCUSDT") == ()
        assert await world.faulty.instrument("BTCUSDT") == BTC
        assert isinstance(await world.faulty.cancel("BTCUSDT", "a"), Rejected)

    play(FaultPlan(1), scenario)


@pytest.mark.parametrize(
    ("plan", "is_there"),
    [(FaultPlan(1, lost_request=1.0), False), (FaultPlan(1, lost_reply=1.0), True)],
)
def test_a_lost_message_is_unknown_after_the_time_limit(plan: FaultPlan, is_there: bool) -> None:
    async def scenario(world: World) -> None:
        sent_ms = world.clock.now_ms()
        outcome = await world.until_done(world.faulty.place(request("a")))
        assert isinstance(outcome, Unknown) and "10000 ms" in outcome.reason
        assert world.clock.now_ms() - sent_ms == plan.timeout_ms
        assert (await world.venue.query("BTCUSDT", "a") is not None) is is_there

    play(plan, scenario)


def test_late_requests_keep_the_window_and_the_horizon() -> None:
    async def scenario(world: World) -> Counter[str]:
        kinds: Counter[str] = Counter()
        for number in range(60):
            name, sent_ms = f"o{number}", world.clock.now_ms()
            outcome = await world.until_done(world.faulty.place(request(name)))
            await world.settle()
            report = await world.venue.query("BTCUSDT", name)
            if report is not None:
                assert sent_ms < report.created_ms < sent_ms + world.faulty.unseen_horizon_ms
            if isinstance(outcome, Rejected):
                assert outcome.code == RejectCode.CLOCK and report is None
            if isinstance(outcome, Accepted):
                assert report is not None
            kinds[f"{type(outcome).__name__}, {'there' if report else 'absent'}"] += 1
        return kinds

    kinds = play(FaultPlan(3, late_request=1.0), scenario)
    assert set(kinds) == {
        "Accepted, there",
        "Rejected, absent",
        "Unknown, there",
        "Unknown, absent",
    }


def test_the_horizon_holds_when_the_clock_jumps_over_it() -> None:
    async def scenario(world: World) -> None:
        tasks = [asyncio.create_task(world.faulty.place(request(f"o{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        world.clock.advance_to(world.clock.now_ms() + 3_600_000)
        await asyncio.gather(*tasks)
        await world.settle()
        assert await world.venue.open_orders("BTCUSDT") == ()

    play(FaultPlan(5, late_request=1.0), scenario)


def test_late_replies_answer_late_or_not_at_all() -> None:
    async def scenario(world: World) -> set[str]:
        kinds = set()
        for number in range(20):
            outcome = await world.until_done(world.faulty.place(request(f"o{number}")))
            assert await world.venue.query("BTCUSDT", f"o{number}") is not None
            kinds.add(type(outcome).__name__)
        return kinds

    assert play(FaultPlan(2, late_reply=1.0), scenario) == {"Accepted", "Unknown"}


def test_a_duplicated_request_shows_its_second_answer_and_never_trades_twice() -> None:
    async def scenario(world: World) -> None:
        outcome = await world.faulty.place(request("a"))
        assert isinstance(outcome, Rejected) and outcome.code == RejectCode.DUPLICATE
        assert len(await world.venue.open_orders("BTCUSDT")) == 1
        outcome = await world.faulty.cancel("BTCUSDT", "a")
        assert isinstance(outcome, Rejected) and outcome.code == RejectCode.NOT_OPEN
        assert await world.venue.open_orders("BTCUSDT") == ()
        assert isinstance(await world.faulty.place(request("m", None)), Accepted)
        assert len(await world.venue.trades("BTCUSDT")) == 1

    play(FaultPlan(1, duplicated_request=1.0), scenario)


async def trade_ten(world: World) -> list[int]:
    for number in range(10):
        await world.faulty.place(request(f"m{number}", None))
    await world.settle()
    return [e.trade.trade_id for e in world.events if isinstance(e, OrderFilled)]


def test_lost_events_can_be_found_by_reading() -> None:
    async def scenario(world: World) -> None:
        assert await trade_ten(world) == []
        assert len(await world.faulty.trades("BTCUSDT")) == 10

    play(FaultPlan(1, lost_event=1.0), scenario)


@pytest.mark.parametrize(
    ("plan", "copies", "in_order"),
    [
        (FaultPlan(1, duplicated_event=1.0), 2, True),
        (FaultPlan(1, late_event=0.6), 1, False),
        (FaultPlan(1, reordered_event=0.5), 1, False),
        (FaultPlan(1, reordered_event=1.0), 1, False),
    ],
)
def test_events_repeat_and_change_places_but_arrive(
    plan: FaultPlan, copies: int, in_order: bool
) -> None:
    ids = play(plan, trade_ten)
    assert Counter(ids) == dict.fromkeys(range(1, 11), copies)
    assert (ids == sorted(ids)) is in_order


def test_a_stale_none_ends_at_the_horizon() -> None:
    async def scenario(world: World) -> None:
        sent_ms = world.clock.now_ms()
        await world.faulty.place(request("a"))
        world.clock.advance_to(sent_ms + world.faulty.unseen_horizon_ms - 1)
        assert await world.faulty.query("BTCUSDT", "a") is None
        world.clock.advance_to(sent_ms + world.faulty.unseen_horizon_ms)
        assert await world.faulty.query("BTCUSDT", "a") is not None
        await world.venue.place(request("not ours"))
        assert await world.faulty.query("BTCUSDT", "not ours") is not None

    play(FaultPlan(1, stale_read=1.0), scenario)


def test_reads_can_fail_until_quiet() -> None:
    async def scenario(world: World) -> None:
        reads: list[Callable[[], Awaitable[object]]] = [
            lambda: world.faulty.query("BTCUSDT", "a"),
            lambda: world.faulty.open_orders("BTCUSDT"),
            lambda: world.faulty.trades("BTCUSDT"),
            world.faulty.balances,
            lambda: world.faulty.instrument("BTCUSDT"),
        ]
        for read in reads:
            with pytest.raises(ExchangeUnavailable):
                await read()
        world.faulty.quiet()
        for read in reads:
            await read()

    play(FaultPlan(1, failed_read=1.0), scenario)


def test_the_venue_cancels_of_its_own_accord() -> None:
    async def scenario(world: World) -> None:
        await world.faulty.place(request("a"))
        assert len(await world.venue.open_orders("BTCUSDT")) == 1
        await world.settle()
        assert await world.venue.open_orders("BTCUSDT") == ()
        assert isinstance(world.events[-1], OrderEnded)
        await world.faulty.place(request("b"))
        world.faulty.quiet()
        await world.settle()
        assert len(await world.venue.open_orders("BTCUSDT")) == 1

    play(FaultPlan(1, venue_cancel=1.0), scenario)


def test_quiet_ends_every_fault() -> None:
    everything = FaultPlan(
        1, lost_request=1.0, lost_reply=1.0, late_request=1.0, lost_event=1.0, late_event=1.0
    )

    async def scenario(world: World) -> None:
        world.faulty.quiet()
        assert isinstance(await world.faulty.place(request("a")), Accepted)
        assert [type(e) for e in world.events] == [OrderAccepted]

    play(everything, scenario)


def test_a_caller_that_dies_takes_nothing_back() -> None:
    async def scenario(world: World) -> None:
        caller = asyncio.create_task(world.faulty.place(request("a")))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await world.settle()
        assert await world.venue.query("BTCUSDT", "a") is not None

    play(FaultPlan(1, late_reply=1.0), scenario)


def test_an_error_inside_the_venue_is_not_swallowed() -> None:
    class FullDisk:
        def load(self) -> list[Record]:
            return []

        def commit(self, records: object) -> None:
            raise StorageError("disk full")

    async def scenario(world: World) -> None:
        with pytest.raises(StorageError, match="disk full"):
            await world.until_done(world.faulty.place(request("a")))
        with pytest.raises(StorageError):
            await world.faulty.query("BTCUSDT", "a")

    play(FaultPlan(1, lost_reply=1.0), scenario, FullDisk())


def test_a_futures_venue_keeps_its_reads_and_gets_faults_on_them() -> None:
    async def scenario() -> None:
        rules = replace(BTC, market=Market.FUTURES)
        fees = FeeSchedule(mode=FeeMode.QUOTE)
        book = FuturesBook({"BTCUSDT": rules}, {"USDT": D(10**6)}, fees=fees)
        book.set_price("BTCUSDT", D(100))
        clock = ManualClock(1_000_000)
        venue = PaperFutures(book, clock)
        venue.set_leverage("BTCUSDT", 5)
        faulty = FaultyFutures(venue, clock, FaultPlan(4, failed_read=0.4))
        assert isinstance(faulty, FuturesExchange) and faulty.market is Market.FUTURES
        assert not isinstance(FaultyExchange(venue, clock, FaultPlan(1)), FuturesExchange)
        reads: list[Callable[[], Awaitable[object]]] = [
            lambda: faulty.prepare("BTCUSDT"),
            lambda: faulty.mismatch("BTCUSDT"),
            lambda: faulty.position("BTCUSDT"),
            lambda: faulty.funding("BTCUSDT"),
        ]
        for read in reads:
            failed = 0
            for _ in range(20):
                try:
                    await read()
                except ExchangeUnavailable:
                    failed += 1
            assert 0 < failed < 20
        faulty.quiet()
        assert await faulty.mismatch("BTCUSDT") == ""  # some prepare came through
        taken = OrderRequest("m", "BTCUSDT", Market.FUTURES, Side.BUY, OrderType.MARKET, D(1), None)
        assert isinstance(await faulty.place(taken), Accepted)
        assert (await faulty.position("BTCUSDT")).quantity == 1
        venue.pay_funding("BTCUSDT", D("0.0001"), "f1")
        assert [paid.funding_id for paid in await faulty.funding("BTCUSDT")] == ["f1"]

    asyncio.run(scenario())


def test_preparing_can_fail_after_it_was_done() -> None:
    async def scenario() -> None:
        rules = replace(BTC, market=Market.FUTURES)
        fees = FeeSchedule(mode=FeeMode.QUOTE)
        outcomes = set()
        for seed in range(40):
            venue = PaperFutures(FuturesBook({"BTCUSDT": rules}, {}, fees=fees), ManualClock())
            venue.set_leverage("BTCUSDT", 5)
            faulty = FaultyFutures(venue, ManualClock(), FaultPlan(seed, failed_read=0.5))
            try:
                await faulty.prepare("BTCUSDT")
                answer = "answered"
            except ExchangeUnavailable:
                answer = "failed"
            outcomes.add((answer, await venue.mismatch("BTCUSDT") == ""))
        assert outcomes == {("answered", True), ("failed", True), ("failed", False)}

    asyncio.run(scenario())


async def a_day(world: World) -> list[str]:
    """A scripted day, told as text: every outcome and every event with its time."""
    told: list[str] = []
    world.faulty.subscribe(lambda event: told.append(f"{world.clock.now_ms()} {event}"))
    for number in range(40):
        name = f"o{number}"
        outcome = await world.until_done(world.faulty.place(request(name, str(99 - number % 5))))
        told.append(f"{world.clock.now_ms()} {outcome}")
        world.venue.advance("BTCUSDT", D(96 + number % 4), world.clock.now_ms())
        world.venue.advance("BTCUSDT", D(100), world.clock.now_ms())
        outcome = await world.until_done(world.faulty.cancel("BTCUSDT", name))
        told.append(f"{world.clock.now_ms()} {outcome}")
    await world.settle()
    return told


def test_one_seed_decides_everything() -> None:
    days = {seed: play(FaultPlan.from_seed(seed), a_day) for seed in range(6)}
    for seed, day in days.items():
        assert play(FaultPlan.from_seed(seed), a_day) == day
    assert len({tuple(day) for day in days.values()}) == 6


def test_plans_vary_and_check_themselves() -> None:
    plans = [FaultPlan.from_seed(seed) for seed in range(40)]
    for name in ("lost_request", "late_event", "stale_read", "venue_cancel"):
        used = sum(getattr(plan, name) > 0 for plan in plans)
        assert 8 <= used <= 32
    with pytest.raises(InvalidInput, match="lost_reply is 1.5"):
        FaultPlan(1, lost_reply=1.5)
    with pytest.raises(InvalidInput, match="recv_window_ms is 0"):
        FaultPlan(1, recv_window_ms=0)
