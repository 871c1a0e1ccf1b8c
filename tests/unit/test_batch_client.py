"""`AsyncAPIClient`: order, bounds, and one item's failure beside the others' success."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from klines_server import Fault, KlinesServer, SkippingClock

from gridlab.agents.data import DataAgent
from gridlab.clock import ManualClock
from gridlab.data.batch import WHOLE_MARKET_FROM, AsyncAPIClient, Item, Recording
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.cache_policy import TICKER
from gridlab.data.cache_state import Cached
from gridlab.data.catalog import instrument, load
from gridlab.data.recorded import RecordedMarket
from gridlab.data.rest import PublicRest
from gridlab.domain.market import Interval, Market, Ticker
from gridlab.errors import ExchangeUnavailable, InvalidInput, NotFound

#: 2026-03-27 10:34 UTC: every bundled spot symbol has a full day behind it.
NOW_MS = 1_774_607_640_000
SYMBOLS = ("SOLUSDT", "BTCUSDT", "ETHUSDT", "BNBUSDT")


@pytest.fixture(scope="module")
def market() -> RecordedMarket:
    keys = [(Market.SPOT, symbol) for symbol in SYMBOLS]
    bars = {key: load(key[1]) for key in keys}
    return RecordedMarket(bars, {key: instrument(key[1]) for key in keys}, ManualClock(NOW_MS))


class Slow(Recording):
    """A recording behind a slow door that counts who is inside."""

    def __init__(self, data: RecordedMarket) -> None:
        super().__init__(data, Market.SPOT)
        self.asked: list[str] = []
        self.inside = self.most_inside = 0
        self.door_s = 0.005

    async def ticker(self, symbol: str) -> Cached[Ticker]:
        self.asked.append(symbol)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await asyncio.sleep(self.door_s)
            return await super().ticker(symbol)
        finally:
            self.inside -= 1

    async def tickers(self) -> Cached[Mapping[str, Ticker]]:
        self.asked.append("*")
        return await super().tickers()


def test_tickers_of_a_recording_come_in_the_order_asked(market: RecordedMarket) -> None:
    client = AsyncAPIClient.over(market)
    found = asyncio.run(client.batch_fetch_tickers(SYMBOLS))
    assert [item.symbol for item in found] == list(SYMBOLS)
    assert [item.unwrap() for item in found] == [market.ticker(Market.SPOT, s) for s in SYMBOLS]
    assert asyncio.run(client.batch_fetch_tickers([])) == []


def test_klines_of_a_recording(market: RecordedMarket) -> None:
    asked = [("ETHUSDT", "1h"), ("BTCUSDT", "1m")]
    first, second = asyncio.run(AsyncAPIClient.over(market).batch_fetch_klines(asked, limit=5))
    assert (first.symbol, first.interval, len(first.unwrap())) == ("ETHUSDT", "1h", 5)
    assert second.unwrap() == market.klines(Market.SPOT, "BTCUSDT", Interval.M1, 5)


def test_one_failure_is_one_items_error(market: RecordedMarket) -> None:
    client = AsyncAPIClient.over(market)
    good, bad = asyncio.run(client.batch_fetch_tickers(["BTCUSDT", "NOPEUSDT"]))
    assert good.is_ok and isinstance(bad.error, NotFound) and bad.value is None
    with pytest.raises(NotFound, match="NOPEUSDT"):
        bad.unwrap()
    asked = [("BTCUSDT", "7m"), ("NOPEUSDT", "1m"), ("BTCUSDT", "5m")]
    odd, bad_klines, fine = asyncio.run(client.batch_fetch_klines(asked))
    assert isinstance(odd.error, InvalidInput) and "known are 1m, 3m" in str(odd.error)
    assert isinstance(bad_klines.error, NotFound) and len(fine.unwrap()) == 100


def test_a_bug_is_not_hidden_as_an_items_error() -> None:
    class Broken(Slow):
        async def ticker(self, symbol: str) -> Cached[Ticker]:
            raise ZeroDivisionError

    client = AsyncAPIClient(Broken(_empty()))
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(client.batch_fetch_tickers(["BTCUSDT"]))
    assert caught.group_contains(ZeroDivisionError)


def _empty() -> RecordedMarket:
    return RecordedMarket({}, {}, ManualClock(NOW_MS))


def test_what_is_asked_twice_is_read_once_and_few_at_a_time(market: RecordedMarket) -> None:
    source = Slow(market)

    async def asked() -> list[Item[Ticker]]:
        client = AsyncAPIClient(source, concurrency=2)
        both = await asyncio.gather(
            client.batch_fetch_tickers(SYMBOLS * 3), client.batch_fetch_tickers(SYMBOLS)
        )
        return both[0]

    found = asyncio.run(asked())
    assert [item.symbol for item in found] == list(SYMBOLS * 3)
    assert source.most_inside == 2 and len(source.asked) == 8


def test_an_answer_that_never_comes_is_an_error_in_time(market: RecordedMarket) -> None:
    source = Slow(market)
    source.door_s = 30

    async def asked() -> list[Item[Ticker]]:
        client = AsyncAPIClient(source, timeout_s=0.05)
        return await client.batch_fetch_tickers(["BTCUSDT"])

    (item,) = asyncio.run(asked())
    assert isinstance(item.error, ExchangeUnavailable) and "within 0.05 s" in str(item.error)
    assert source.inside == 0


@pytest.mark.parametrize("bounds", [{"concurrency": 0}, {"timeout_s": 0.0}])
def test_bounds_must_be_bounds(market: RecordedMarket, bounds: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="above zero"):
        AsyncAPIClient(Slow(market), **bounds)


def test_a_batch_as_dear_as_the_whole_market_reads_the_whole_market(
    market: RecordedMarket,
) -> None:
    source = Slow(market)
    strangers = [f"NOPE{number}USDT" for number in range(WHOLE_MARKET_FROM - len(SYMBOLS))]
    found = asyncio.run(AsyncAPIClient(source).batch_fetch_tickers([*SYMBOLS, *strangers]))
    assert set(source.asked) == {"*"}
    assert [item.is_ok for item in found] == [True] * 4 + [False] * len(strangers)
    assert isinstance(found[-1].error, NotFound)


@pytest.fixture
def server() -> Iterator[KlinesServer]:
    bars = [load(symbol) for symbol in SYMBOLS]
    with KlinesServer(bars, clock=SkippingClock(NOW_MS)) as server:
        yield server


async def over_agent(
    server: KlinesServer, use: Callable[[DataAgent, ManualClock], Awaitable[None]]
) -> None:
    clock = ManualClock(NOW_MS)
    cache = IntelligentCache(clock, enable_prefetching=False)
    async with httpx.AsyncClient(trust_env=False) as http:
        rest = PublicRest(server.url, Market.SPOT, clock=server.clock, http=http)
        await use(DataAgent(rest, cache), clock)
    cache.close()


def test_a_batch_and_the_data_agent_share_what_they_read(server: KlinesServer) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        clients = [AsyncAPIClient(agent) for _ in range(3)]
        pairs = [("BTCUSDT", "5m"), ("ETHUSDT", "1m")]
        for client in clients:
            assert all(item.is_ok for item in await client.batch_fetch_tickers(SYMBOLS))
            five, one = await client.batch_fetch_klines(pairs)
            assert len(five.unwrap()) == len(one.unwrap()) == 100
        asked = len(server.asked)
        assert asked <= len(SYMBOLS) + len(pairs)
        assert (await agent.ticker("SOLUSDT")).value.symbol == "SOLUSDT"
        assert (await agent.klines("BTCUSDT", Interval.M5, 100)).value == five.unwrap()
        clock.advance_to(NOW_MS + 3_000)
        (item,) = await clients[0].batch_fetch_tickers(["BTCUSDT"])
        assert (item.age_ms, item.is_stale) == (3_000, False)
        assert len(server.asked) == asked

    asyncio.run(over_agent(server, use))


def test_failures_over_http_are_the_items_own(server: KlinesServer) -> None:
    server.faults.append(Fault(502))

    async def use(agent: DataAgent, clock: ManualClock) -> None:
        client = AsyncAPIClient(agent)
        tickers = await client.batch_fetch_tickers(["BTCUSDT", "NOPEUSDT", "ETHUSDT"])
        assert [item.is_ok for item in tickers] == [True, False, True]
        assert isinstance(tickers[1].error, NotFound)
        (candles,) = await client.batch_fetch_klines([("ETHUSDT", "15m")], limit=7)
        assert len(candles.unwrap()) == 7

    asyncio.run(over_agent(server, use))


def test_tickers_of_a_large_batch_are_no_older_than_those_of_a_small_one(
    server: KlinesServer,
) -> None:
    many = [*SYMBOLS, *(f"NOPE{number}USDT" for number in range(WHOLE_MARKET_FROM))]

    async def use(agent: DataAgent, clock: ManualClock) -> None:
        client = AsyncAPIClient(agent)
        await client.batch_fetch_tickers(many)
        clock.advance_to(NOW_MS + TICKER.fresh_ms + 1)
        item = (await client.batch_fetch_tickers(many))[0]
        assert item.is_stale or item.age_ms <= TICKER.fresh_ms

    asyncio.run(over_agent(server, use))
