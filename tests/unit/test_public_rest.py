"""`PublicRest` against a server on the loopback: digits, limits, pauses, failures, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import TypeVar

import httpx
import pytest
from klines_server import Fault, KlinesServer, SkippingClock

from gridlab.data.catalog import instrument, load
from gridlab.data.rest import PublicRest, checked_url
from gridlab.domain.market import Interval, Market
from gridlab.errors import ExchangeUnavailable, InvalidConfig, InvalidInput, NotFound
from gridlab.exchange.budgets import WeightBudget

pytestmark = pytest.mark.slow  # seconds each: left out of make check

T = TypeVar("T")
#: 2026-03-10 12:00:30 UTC, in the middle of a minute and of the recording.
NOW_MS = 1_773_144_030_000
M1 = Interval.M1


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock(NOW_MS)


@pytest.fixture
def server(clock: SkippingClock) -> Iterator[KlinesServer]:
    bars = [load("BTCUSDT"), load("BTCUSDT", Market.FUTURES)]
    with KlinesServer(bars, clock=clock) as server:
        yield server


def ask(
    server: KlinesServer,
    question: Callable[[PublicRest], Awaitable[T]],
    *,
    market: Market = Market.SPOT,
    timeout_s: float = 5.0,
    budget: WeightBudget | None = None,
) -> T:
    async def asked() -> T:
        async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as http:
            rest = PublicRest(
                server.url, market, clock=server.clock, http=http, weight_budget=budget
            )
            return await question(rest)

    return asyncio.run(asked())


def one_page(rest: PublicRest) -> Awaitable[object]:
    return rest.klines("BTCUSDT", M1, 3)


def test_candles_keep_the_digits_and_the_open_one_comes_last(server: KlinesServer) -> None:
    found = ask(server, lambda rest: rest.klines("BTCUSDT", M1, 3))
    recorded = load("BTCUSDT")
    last = recorded.index_at(NOW_MS)
    assert found == tuple(recorded.kline(i) for i in range(last - 2, last + 1))
    assert found[-1].close_time_ms > NOW_MS
    assert server.asked[0].path == "/api/v3/klines"


def test_a_span_is_answered_from_its_beginning_without_its_end(server: KlinesServer) -> None:
    start_ms, end_ms = NOW_MS // 60_000 * 60_000 - 3_600_000, NOW_MS // 60_000 * 60_000
    found = ask(server, lambda rest: rest.bars("BTCUSDT", M1, start_ms, end_ms))
    assert found == load("BTCUSDT", start_ms=start_ms, end_ms=end_ms)
    assert server.asked[0].query["limit"] == "60"


def test_futures_have_their_own_paths_and_weights(server: KlinesServer) -> None:
    start_ms = load("BTCUSDT", Market.FUTURES).open_time_ms[0]

    async def both(rest: PublicRest) -> int:
        found = await rest.bars("BTCUSDT", M1, int(start_ms), int(start_ms) + 600_000)
        assert len(found) == 10
        return rest.budget.used

    assert ask(server, both, market=Market.FUTURES) == 1
    assert server.asked[0].path == "/fapi/v1/klines"


def test_the_change_of_a_ticker_is_computed_from_its_prices(server: KlinesServer) -> None:
    ticker = ask(server, lambda rest: rest.ticker("BTCUSDT"))
    day = load("BTCUSDT", start_ms=NOW_MS - Interval.D1.ms, end_ms=NOW_MS)
    assert ticker.price == day.kline(-1).close and ticker.high == Decimal(str(day.high.max()))
    expected = day.kline(-1).close / day.kline(0).open - 1
    assert abs(ticker.change_fraction - expected) < Decimal("1E-10")
    assert (ticker.time_ms, ticker.window_ms) == (NOW_MS, Interval.D1.ms)
    assert [t.symbol for t in ask(server, lambda rest: rest.tickers())] == ["BTCUSDT"]


@pytest.mark.parametrize("market", list(Market))
def test_rules_are_those_of_the_venue(server: KlinesServer, market: Market) -> None:
    server.limits[market] = 1234

    async def rules(rest: PublicRest) -> None:
        found = await rest.instrument("BTCUSDT")
        assert found == instrument("BTCUSDT", market)
        assert rest.budget.limit == 1234
        assert [i.symbol for i in await rest.instruments()] == ["BTCUSDT"]  # OLDUSDT has no steps
        with pytest.raises(NotFound, match="NOPEUSDT"):
            await rest.instrument("NOPEUSDT")

    ask(server, rules, market=market)


def test_an_unknown_symbol_is_not_asked_for_again(server: KlinesServer) -> None:
    with pytest.raises(NotFound, match="NOPEUSDT.*Invalid symbol"):
        ask(server, lambda rest: rest.ticker("NOPEUSDT"))
    assert len(server.asked) == 1


def test_no_more_than_four_fifths_of_the_limit_are_planned(
    server: KlinesServer, clock: SkippingClock
) -> None:
    server.limits[Market.SPOT] = 50
    budget = WeightBudget(50, clock=clock)

    async def many(rest: PublicRest) -> None:
        for _ in range(45):
            await one_page(rest)

    ask(server, many, budget=budget)
    assert list(server.used.values()) == [40, 40, 10]
    assert clock.pauses_ms[0] == 60_000 - NOW_MS % 60_000


def test_requests_that_are_under_way_when_the_minute_turns_count_in_the_new_one(
    server: KlinesServer, clock: SkippingClock
) -> None:
    server.limits[Market.SPOT] = 50
    server.delay_s = 0.01
    budget = WeightBudget(50, clock=clock)

    async def many(rest: PublicRest) -> None:
        await asyncio.gather(*(one_page(rest) for _ in range(45)))

    ask(server, many, budget=budget)
    assert sum(server.used.values()) == 90 and max(server.used.values()) <= 40


def test_what_others_on_the_address_use_counts_too(
    server: KlinesServer, clock: SkippingClock
) -> None:
    server.limits[Market.SPOT] = 100
    server.count(Market.SPOT, 70)
    budget = WeightBudget(100, clock=clock)

    async def some(rest: PublicRest) -> None:
        for _ in range(7):
            await one_page(rest)

    ask(server, some, budget=budget)
    assert list(server.used.values()) == [80, 4]


def test_more_than_a_minute_allows_is_refused_not_waited_for(clock: SkippingClock) -> None:
    budget = WeightBudget(50, clock=clock)
    with pytest.raises(InvalidInput, match="weighs 41, but 40"):
        asyncio.run(budget.take(41))
    with pytest.raises(InvalidInput, match="limit is 0"):
        budget.set_limit(0)


@pytest.mark.parametrize("status", [429, 418])
def test_nothing_is_sent_until_retry_after_ends(
    server: KlinesServer, clock: SkippingClock, status: int
) -> None:
    server.faults.append(Fault(status, {"Retry-After": "17"}, -1003, "Too many requests."))

    async def crowd(rest: PublicRest) -> None:
        first = asyncio.create_task(_named(one_page(rest)))
        while not rest.budget.silent_until_ms:
            await asyncio.sleep(0.001)
        await asyncio.gather(first, *(one_page(rest) for _ in range(5)))

    ask(server, crowd)
    assert len(server.asked) == 7
    assert all(asked.at_ms >= NOW_MS + 17_000 for asked in server.asked[1:])


async def _named(work: Awaitable[object]) -> object:
    return await work


def test_without_retry_after_the_message_or_the_minute_decides(
    server: KlinesServer, clock: SkippingClock
) -> None:
    until_ms = NOW_MS + 90_123
    message = f"Way too many requests; IP banned until {until_ms}. Please use the websocket."
    server.faults.append(Fault(418, code=-1003, message=message))
    ask(server, one_page)
    assert server.asked[1].at_ms == until_ms
    server.ahead_ms = -20_000  # our clock is ahead, and the words name the exchange's time
    server.faults.append(Fault(418, code=-1003, message=f"banned until {until_ms + 30_000}."))
    ask(server, one_page)
    assert 0 <= server.asked[3].at_ms - (until_ms + 50_000) < 1_000
    server.faults.append(Fault(429, {"Retry-After": "soon"}))
    ask(server, one_page)
    assert server.asked[5].at_ms % 60_000 == 0


def test_a_ban_is_one_for_all_who_share_the_allowance(
    server: KlinesServer, clock: SkippingClock
) -> None:
    server.faults.append(Fault(418, {"Retry-After": "17"}, -1003, "banned"))
    server.faults.append(Fault(429, {"Retry-After": "40"}))

    async def asked(rest: PublicRest) -> int:
        await one_page(rest)
        return rest.budget.silence.banned_until_ms

    assert ask(server, asked) == NOW_MS + 17_000, "the later pause is none"


def test_a_long_ban_is_told_and_nothing_is_sent_meanwhile(
    server: KlinesServer, clock: SkippingClock
) -> None:
    server.faults.append(Fault(418, {"Retry-After": "259200"}))

    async def twice(rest: PublicRest) -> None:
        for _ in range(2):
            with pytest.raises(ExchangeUnavailable, match="silence until 2026-03-13T12:00:30Z"):
                await one_page(rest)

    ask(server, twice)
    assert len(server.asked) == 1 and not clock.pauses_ms


def test_failures_of_the_exchange_are_retried_after_fixed_pauses(
    server: KlinesServer, clock: SkippingClock
) -> None:
    server.faults.extend([Fault(502), Fault(503), Fault(0), Fault(truncated=True)])
    assert ask(server, one_page)
    assert clock.pauses_ms == [500, 1000, 2000, 4000]


def test_after_the_last_attempt_the_error_says_what_happened(
    server: KlinesServer, clock: SkippingClock
) -> None:
    server.faults.extend([Fault(503, message="Service Unavailable.")] * 5)
    with pytest.raises(ExchangeUnavailable, match=r"klines BTCUSDT 1m 3.*503.*Service.*5 times"):
        ask(server, one_page)
    assert clock.pauses_ms == [500, 1000, 2000, 4000]


def test_a_silent_server_is_given_up_in_time(server: KlinesServer) -> None:
    server.faults.append(Fault(delay_s=2))
    assert ask(server, one_page, timeout_s=1)
    assert len(server.asked) == 2
    server.faults.extend([Fault(delay_s=0.15)] * 5)
    with pytest.raises(ExchangeUnavailable, match="did not answer in time"):
        ask(server, one_page, timeout_s=0.05)


def test_nobody_at_the_address(clock: SkippingClock) -> None:
    async def asked() -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            rest = PublicRest("http://127.0.0.1:1", Market.SPOT, clock=clock, http=http)
            with pytest.raises(ExchangeUnavailable, match="the connection failed"):
                await rest.server_time_ms()

    asyncio.run(asked())


def test_redirects_are_not_followed(server: KlinesServer) -> None:
    server.faults.append(Fault(302, {"Location": f"{server.url}/api/v3/time"}))
    with pytest.raises(ExchangeUnavailable, match="redirects .* not followed"):
        ask(server, one_page)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(400, code=-1100, message="Illegal characters."), InvalidInput, "Illegal"),
        (Fault(403, body=b"<html>firewall</html>"), ExchangeUnavailable, "refused .* with 403"),
        (Fault(404, body=b"<html>"), ExchangeUnavailable, "404; check the base URL"),
        (Fault(451, message="Restricted location."), ExchangeUnavailable, "this location"),
        (Fault(body=b'{"code": 0}'), ExchangeUnavailable, "a list of candles was expected"),
        (Fault(body=b"[[1, 2]]"), ExchangeUnavailable, "a candle has 12 parts"),
        (
            Fault(body=b'[[60000,"1","1","1",1.5,"1",119999,"1",1,"0","0","0"]]'),
            ExchangeUnavailable,
            "close is 1.5 .float.",
        ),
        (
            Fault(body=b'[[60001,"1","1","1","1","1",120000,"1",1,"0","0","0"]]'),
            ExchangeUnavailable,
            "whole 1m",
        ),
    ],
)
def test_refusals_and_odd_answers_say_what_is_wrong(
    server: KlinesServer, fault: Fault, error: type[Exception], words: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(error, match=words):
        ask(server, one_page)
    assert len(server.asked) == 1


def test_a_body_that_is_no_json_is_asked_for_again(server: KlinesServer) -> None:
    server.faults.append(Fault(body=b"<html>busy</html>"))
    assert ask(server, one_page)
    assert len(server.asked) == 2


def test_candles_that_were_not_asked_for_are_refused(server: KlinesServer) -> None:
    row = b'[[60000,"1","1","1","1","1",119999,"1",1,"0","0","0"]]'
    server.faults.append(Fault(body=row))
    with pytest.raises(ExchangeUnavailable, match="not asked"):
        ask(server, lambda rest: rest.bars("BTCUSDT", M1, 120_000, 180_000))
    server.faults.append(Fault(body=row.replace(b'"1","1","1","1"', b'"1","0.5","1","1"')))
    with pytest.raises(ExchangeUnavailable, match="impossible candle.*high is 0.5"):
        ask(server, lambda rest: rest.bars("BTCUSDT", M1, 60_000, 120_000))


@pytest.mark.parametrize("limit", [0, 1001])
def test_limits_of_a_page(server: KlinesServer, limit: int) -> None:
    with pytest.raises(InvalidInput, match=f"limit is {limit}"):
        ask(server, lambda rest: rest.klines("BTCUSDT", M1, limit))
    assert not server.asked


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "file:///etc/passwd",
        "host",
        "http://",
        "https://user:word@host",
        "https://host/?a=1",
    ],
)
def test_only_plain_addresses_are_asked(url: str) -> None:
    with pytest.raises(InvalidConfig, match="base_url"):
        checked_url(url)


def test_the_default_addresses_are_the_exchanges_own(clock: SkippingClock) -> None:
    assert PublicRest(None, Market.SPOT, clock=clock).base_url == "https://data-api.binance.vision"
    assert PublicRest(None, Market.FUTURES, clock=clock).base_url == "https://fapi.binance.com"
    assert checked_url("http://127.0.0.1:8080/mirror/") == "http://127.0.0.1:8080/mirror"
