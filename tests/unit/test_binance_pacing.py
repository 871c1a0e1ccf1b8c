"""The venue's clock and the pauses that its answers ask for, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from klines_server import SkippingClock

from gridlab.clock import ManualClock, SystemClock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.binance import clock_offset
from gridlab.exchange.binance.client import Answer
from gridlab.exchange.binance.clock_offset import ServerClock
from gridlab.exchange.binance.codes import reaction
from gridlab.exchange.binance.throttle import Throttle, order_counts
from gridlab.exchange.budgets import FIRST, FIRST_BAN_MS, MINUTE_MS, Budgets

NOW_MS = 1_773_144_030_000
ADDRESS = "https://api.example.com"


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        await work()

    asyncio.run(all_of_it())


class Asked:
    """The venue's time, as told by a list of offsets; the last one stays."""

    def __init__(self, clock: SkippingClock | ManualClock, *offsets_ms: int) -> None:
        self.clock = clock
        self.offsets_ms = list(offsets_ms)
        self.count = 0
        self.takes_s = 0.0
        self.is_down = False

    async def __call__(self) -> int:
        self.count += 1
        await asyncio.sleep(self.takes_s)
        if self.is_down:
            raise ExchangeUnavailable("down")
        at = min(self.count - 1, len(self.offsets_ms) - 1)
        return self.clock.now_ms() + self.offsets_ms[at]


# -- the clock -----------------------------------------------------------------------------------


def test_the_median_of_three_is_not_moved_by_one_odd_answer() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        server = ServerClock(Asked(clock, 250, 90_000, 252), clock)
        assert server.is_lost
        await server.ready()
        assert server.offset_ms == 252
        assert server.now_ms() == NOW_MS + 252
        assert not server.is_lost

    run(work)


def test_half_of_the_round_trip_is_taken_off() -> None:
    async def work() -> None:
        clock = SystemClock()

        async def slow() -> int:
            before_ms = clock.now_ms()
            await asyncio.sleep(0.3)
            middle_ms = (before_ms + clock.now_ms()) // 2
            await asyncio.sleep(0)
            return middle_ms + 5_000

        server = ServerClock(slow, clock)
        # 150 where the way is not halved; a busy machine may keep one of the answers waiting.
        assert abs(await server.measure() - 5_000) < 100

    run(work)


def test_an_offset_that_can_be_wrong_by_more_than_a_second_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        monkeypatch.setattr(clock_offset, "TOLERANCE_MS", 200)
        clock = ManualClock(NOW_MS)
        ask = Asked(clock, 5)
        ask.takes_s = 0.41
        server = ServerClock(ask, clock)
        with pytest.raises(ExchangeUnavailable, match="give or take"):
            await server.ready()
        assert server.is_lost
        ask.takes_s = 0.0
        await server.ready()
        assert server.offset_ms == 5

    run(work)


def test_everybody_who_needs_the_time_waits_for_one_measurement() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        ask = Asked(clock, 7)
        server = ServerClock(ask, clock)
        await asyncio.gather(*(server.ready() for _ in range(20)))
        assert ask.count == 3
        server.doubt()
        await asyncio.gather(*(server.ready() for _ in range(20)))
        assert ask.count == 6

    run(work)


def test_a_machine_that_slept_or_was_set_measures_again() -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        ask = Asked(clock, 7)
        server = ServerClock(ask, clock)
        await server.ready()
        clock.advance_to(NOW_MS + 3_600_000)  # an hour by the clock, an instant by the counter
        assert server.is_lost
        await server.ready()
        assert ask.count == 6

    run(work)


def test_an_old_offset_is_used_while_it_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        clock = ManualClock(NOW_MS)
        ask = Asked(clock, 7, 7, 7, 9)
        server = ServerClock(ask, clock)
        await server.ready()
        monkeypatch.setattr(clock_offset, "REFRESH_MS", 0)
        await server.ready()
        assert server.offset_ms == 7
        for _ in range(10):
            await asyncio.sleep(0)
        assert server.offset_ms == 9
        ask.is_down = True
        await server.ready()
        for _ in range(10):
            await asyncio.sleep(0)
        assert server.offset_ms == 9
        assert not server.is_lost

    run(work)


# -- pauses --------------------------------------------------------------------------------------


def told(
    throttle: Throttle, market: Market, status: int, code: int | None, text: str = "",
    headers: dict[str, str] | None = None, offset_ms: int = 0,
) -> None:  # fmt: skip
    answer = Answer(status, headers or {}, {"code": code, "msg": text})
    throttle.react(answer, reaction(market, status, code, text), offset_ms)


def throttle_of(market: Market, clock: SkippingClock) -> Throttle:
    budgets = Budgets(clock)
    return Throttle(budgets.weight(market, ADDRESS), budgets.orders(market, ADDRESS, "a"), clock)


@pytest.mark.parametrize("market", list(Market))
def test_too_many_requests_are_silent_until_the_stated_time_or_the_next_minute(
    market: Market,
) -> None:
    clock = SkippingClock(NOW_MS)
    for headers, end_ms in (
        ({"Retry-After": "7"}, NOW_MS + 7_000),
        ({}, NOW_MS - NOW_MS % MINUTE_MS + MINUTE_MS),
        ({"Retry-After": "soon"}, NOW_MS - NOW_MS % MINUTE_MS + MINUTE_MS),
    ):
        throttle = throttle_of(market, clock)
        told(throttle, market, 429, -1003, "Too many requests.", headers)
        assert throttle.weight.silent_until_ms == end_ms
        assert throttle.weight.silence.banned_until_ms == 0


def test_a_ban_ends_when_the_later_of_header_and_words_says() -> None:
    clock = SkippingClock(NOW_MS)
    for headers, text, end_ms in (
        ({"Retry-After": "130"}, "", NOW_MS + 130_000),
        ({}, f"IP banned until {NOW_MS + 60_000}.", NOW_MS + 57_000),
        ({"Retry-After": "5"}, f"IP banned until {NOW_MS + 60_000}.", NOW_MS + 57_000),
        ({}, "", NOW_MS + FIRST_BAN_MS),
    ):
        throttle = throttle_of(Market.FUTURES, clock)
        # Its words name its own clock's time, which is three seconds ahead of ours.
        told(throttle, Market.FUTURES, 418, -1003, text, headers, offset_ms=3_000)
        assert throttle.weight.silence.banned_until_ms == end_ms


def test_overload_pauses_grow_and_end_with_the_first_success() -> None:
    clock = SkippingClock(NOW_MS)
    throttle = throttle_of(Market.FUTURES, clock)
    pauses = []
    for _ in range(5):
        told(throttle, Market.FUTURES, 503, -1008, "Request throttled.")
        pauses.append(throttle.weight.silent_until_ms - clock.now_ms())
        clock._now_ms = throttle.weight.silent_until_ms
    assert pauses == [200, 400, 800, 800, 800]
    throttle.calm()
    told(throttle, Market.FUTURES, 503, None, "Service Unavailable.")
    assert throttle.weight.silent_until_ms - clock.now_ms() == 200


def test_too_many_orders_pause_orders_and_nothing_else() -> None:
    async def work() -> None:
        clock = SkippingClock(NOW_MS)
        throttle = throttle_of(Market.SPOT, clock)
        told(throttle, Market.SPOT, 429, -1015, "Too many new orders.", {"Retry-After": "4"})
        await throttle.weight.take(1)
        assert clock.now_ms() == NOW_MS
        assert throttle.orders is not None
        await throttle.orders.enter("o", FIRST)
        assert clock.now_ms() == NOW_MS + 4_000

    run(work)


def test_the_firewall_and_plain_refusals() -> None:
    clock = SkippingClock(NOW_MS)
    throttle = throttle_of(Market.SPOT, clock)
    told(throttle, Market.SPOT, 400, -1013, "Filter failure: LOT_SIZE")
    told(throttle, Market.SPOT, 500, -1000, "Unknown.")
    assert throttle.weight.silent_until_ms == 0
    throttle.react(Answer(403, {}, None), reaction(Market.SPOT, 403, None), 0)
    assert throttle.weight.silent_until_ms == NOW_MS + FIRST_BAN_MS


def test_counts_are_read_whatever_the_case_of_their_names() -> None:
    headers = {"X-MBX-ORDER-COUNT-10S": "5", "x-mbx-order-count-1d": "17",
               "X-Mbx-Order-Count-1M": "9", "X-MBX-ORDER-COUNT-2X": "1",
               "X-MBX-ORDER-COUNT-1H": "many", "X-MBX-USED-WEIGHT-1M": "3"}  # fmt: skip
    assert order_counts(headers) == {10_000: 5, 86_400_000: 17, MINUTE_MS: 9}
