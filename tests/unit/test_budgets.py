"""Allowances: weight by minutes, orders by windows and distance, silences that are kept by all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klines_server import SkippingClock

from gridlab.clock import ManualClock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable, InvalidInput
from gridlab.exchange.budgets import (
    DAY_MS,
    FIRST,
    FIRST_BAN_MS,
    MINUTE_MS,
    Budgets,
    NotSent,
    OrderBudget,
    OrderLimit,
    Silence,
    WeightBudget,
)

NOW_MS = 1_773_144_000_000
D = Decimal
TEN_S = 10_000


async def settle_down() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        await work()

    asyncio.run(all_of_it())


# -- weight --------------------------------------------------------------------------------------


def test_reads_leave_a_reserve_to_orders() -> None:
    async def work() -> None:
        clock = SkippingClock(NOW_MS)
        budget = WeightBudget(1000, clock=clock, reserve=D("0.05"))
        budget.settle(750, await budget.take(750))
        budget.settle(50, await budget.take(50, is_urgent=True))
        assert clock.now_ms() == NOW_MS, "800 of 1000 are planned, 50 of them for orders"
        await budget.take(1)
        assert clock.now_ms() == NOW_MS + MINUTE_MS
        with pytest.raises(InvalidInput, match="751"):
            await budget.take(751)

    run(work)


def test_a_request_may_be_less_patient_than_the_budget() -> None:
    async def work() -> None:
        clock = SkippingClock(NOW_MS)
        budget = WeightBudget(1000, clock=clock)
        budget.keep_silent_until(NOW_MS + 20_000)
        with pytest.raises(ExchangeUnavailable, match="20 s"):
            await budget.take(1, patience_ms=15_000)
        await budget.take(1)
        assert clock.now_ms() == NOW_MS + 20_000

    run(work)


def test_bans_grow_until_days_and_are_forgotten() -> None:
    clock = SkippingClock(NOW_MS)
    silence = Silence(clock)
    lengths = []
    for _ in range(14):
        silence.ban(None)
        lengths.append(silence.until_ms - clock.now_ms())
        clock._now_ms = silence.until_ms + 1000
    assert lengths[:4] == [FIRST_BAN_MS, 2 * FIRST_BAN_MS, 4 * FIRST_BAN_MS, 8 * FIRST_BAN_MS]
    assert lengths[-1] == 3 * DAY_MS
    clock._now_ms = silence.until_ms + DAY_MS + 1
    silence.ban(None)
    assert silence.until_ms - clock.now_ms() == FIRST_BAN_MS


def test_a_stated_end_counts_and_never_shortens() -> None:
    silence = Silence(SkippingClock(NOW_MS))
    silence.ban(NOW_MS + 500_000)
    assert silence.banned_until_ms == NOW_MS + 500_000
    silence.ban(NOW_MS + 100)
    silence.keep_until(NOW_MS + 1)
    assert silence.until_ms == silence.banned_until_ms == NOW_MS + 500_000


@given(st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.integers(0, 20_000)), max_size=120))
@settings(max_examples=60, deadline=None)
def test_no_minute_ever_takes_more_than_planned(asks: list[tuple[int, bool, int]]) -> None:
    async def work() -> None:
        clock = SkippingClock(NOW_MS)
        budget = WeightBudget(400, clock=clock, reserve=D("0.05"))
        minutes: dict[int, int] = {}
        for weight, is_urgent, pause_ms in asks:
            clock._now_ms += pause_ms
            minute = await budget.take(weight, is_urgent=is_urgent)
            minutes[minute] = minutes.get(minute, 0) + weight
            budget.settle(weight, minute, minutes[minute])
        assert all(used <= 320 for used in minutes.values())

    run(work)


# -- orders --------------------------------------------------------------------------------------


class Sender:
    """Sends orders through a budget and notes when each left."""

    def __init__(self, budget: OrderBudget, clock: ManualClock) -> None:
        self.budget = budget
        self.clock = clock
        self.left: list[tuple[int, str]] = []
        self.refused: dict[str, str] = {}
        self.gate: asyncio.Event | None = None

    async def send(self, name: str, urgency: Decimal) -> None:
        try:
            await self.budget.enter(name, urgency)
        except NotSent as error:
            self.refused[name] = str(error)
            return
        self.left.append((self.clock.now_ms(), name))
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.budget.leave()


async def play(clock: ManualClock, until_ms: int) -> None:
    """Let time run from sleeper to sleeper."""
    await settle_down()
    while clock.next_wake_ms is not None and clock.next_wake_ms <= until_ms:
        clock.advance_to(clock.next_wake_ms)
        await settle_down()
    clock.advance_to(until_ms)
    await settle_down()


def test_a_thousand_levels_leave_nearest_first_within_the_limit() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        sender = Sender(OrderBudget((OrderLimit(TEN_S, 100),), clock=clock), clock)
        sender.gate = asyncio.Event()
        urgencies = [D(i * 7919 % 1000) for i in range(1000)]
        tasks = [asyncio.create_task(sender.send(f"o{u}", u)) for u in urgencies]
        await settle_down()
        assert len(sender.left) == 16, "the rest can still be overtaken"
        sender.gate.set()
        await play(clock, NOW_MS + 200_000)
        await asyncio.gather(*tasks)
        times = [time_ms for time_ms, _ in sender.left]
        for start_ms in times:
            inside = sum(1 for time_ms in times if start_ms <= time_ms < start_ms + TEN_S)
            assert inside <= 80
        later = [int(name[1:]) for _, name in sender.left[16:]]
        assert later == sorted(later)
        assert len(times) == 1000
        assert times[-1] - times[0] <= 13 * TEN_S

    run(work)


def test_what_trades_at_once_overtakes_the_ladder() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        sender = Sender(OrderBudget((OrderLimit(TEN_S, 5),), clock=clock), clock)
        tasks = [asyncio.create_task(sender.send(f"o{i}", D(i))) for i in range(9)]
        await settle_down()
        tasks.append(asyncio.create_task(sender.send("sale", FIRST)))
        await play(clock, NOW_MS + 60_000)
        await asyncio.gather(*tasks)
        assert [name for _, name in sender.left] == [
            "o0", "o1", "o2", "o3", "sale", "o4", "o5", "o6", "o7", "o8",
        ]  # fmt: skip

    run(work)


def test_the_venues_own_count_holds_orders_back_until_its_window_ends() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS + 3_000)
        budget = OrderBudget((OrderLimit(TEN_S, 100), OrderLimit(DAY_MS, 200)), clock=clock)
        sender = Sender(budget, clock)
        budget.report({TEN_S: 79, DAY_MS: 5, 77: 1})
        tasks = [asyncio.create_task(sender.send(f"o{i}", D(i))) for i in range(3)]
        await play(clock, NOW_MS + 30_000)
        await asyncio.gather(*tasks)
        assert [time_ms - NOW_MS for time_ms, _ in sender.left] == [3_000, 10_000, 10_000]

    run(work)


def test_a_refusal_for_the_number_of_orders_pauses_placements_only() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        budget = OrderBudget((OrderLimit(TEN_S, 100),), clock=clock)
        sender = Sender(budget, clock)
        budget.keep_silent_until(NOW_MS + 7_000)
        task = asyncio.create_task(sender.send("o", D(1)))
        await play(clock, NOW_MS + 9_000)
        await task
        assert sender.left == [(NOW_MS + 7_000, "o")]

    run(work)


def test_a_spent_day_is_told_instead_of_waited_for() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        sender = Sender(OrderBudget((OrderLimit(DAY_MS, 5),), clock=clock), clock)
        tasks = [asyncio.create_task(sender.send(f"o{i}", D(i))) for i in range(6)]
        await settle_down()
        await asyncio.gather(*tasks)
        assert len(sender.left) == 4
        assert set(sender.refused) == {"o4", "o5"}
        assert "quota" in sender.refused["o4"]

    run(work)


def test_waiting_orders_can_be_withdrawn_and_cancelled_without_a_trace() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        budget = OrderBudget((OrderLimit(TEN_S, 5),), clock=clock)
        sender = Sender(budget, clock)
        tasks = [asyncio.create_task(sender.send(f"o{i}", D(i))) for i in range(8)]
        await settle_down()
        assert budget.waiting == 4
        assert not budget.withdraw("o0"), "it has left"
        assert budget.withdraw("o4")
        assert not budget.withdraw("o4")
        tasks[5].cancel()
        await play(clock, NOW_MS + 30_000)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [name for _, name in sender.left] == ["o0", "o1", "o2", "o3", "o6", "o7"]
        assert "never left" in sender.refused["o4"]
        assert budget.waiting == 0

    run(work)


def test_an_order_cancelled_in_the_moment_of_its_turn_gives_its_place_back() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        budget = OrderBudget((OrderLimit(TEN_S, 100),), clock=clock, at_once=1)
        await budget.enter("first", D(0))
        second = asyncio.create_task(budget.enter("second", D(0)))
        await settle_down()
        budget.leave()  # the second one's turn is set, and it has not run yet
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await asyncio.wait_for(budget.enter("third", D(0)), 1)

    run(work)


def test_limits_are_replaced_and_counts_stay() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        budget = OrderBudget((OrderLimit(TEN_S, 100),), clock=clock)
        sender = Sender(budget, clock)
        for i in range(8):
            await sender.send(f"o{i}", D(i))
        budget.set_limits((OrderLimit(TEN_S, 10), OrderLimit(MINUTE_MS, 1200)))
        task = asyncio.create_task(sender.send("late", D(0)))
        await settle_down()
        assert len(sender.left) == 8
        await play(clock, NOW_MS + TEN_S)
        await task
        assert sender.left[-1] == (NOW_MS + TEN_S, "late")

    run(work)


# -- one for all ---------------------------------------------------------------------------------


def test_an_address_has_one_allowance_and_one_silence() -> None:
    budgets = Budgets(ManualClock(NOW_MS))
    one = budgets.weight(Market.SPOT, "https://API.example.com/prefix")
    assert one is budgets.weight(Market.SPOT, "https://api.example.com")
    other = budgets.weight(Market.FUTURES, "https://api.example.com")
    assert other is not one
    assert other.silence is one.silence
    assert budgets.weight(Market.SPOT, "https://elsewhere.example.com").silence is not one.silence
    assert (one.limit, other.limit) == (6000, 2400)
    queue = budgets.orders(Market.SPOT, "https://api.example.com", "a")
    assert queue is budgets.orders(Market.SPOT, "https://api.example.com/x", "a")
    assert queue is not budgets.orders(Market.SPOT, "https://api.example.com", "b")
