"""The data agent over real HTTP on the loopback: one request for many readers, ages, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from klines_server import Fault, KlinesServer, SkippingClock

from gridlab.agents.data import DataAgent
from gridlab.clock import ManualClock
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.cache_policy import STATS_24H, Kind
from gridlab.data.catalog import load
from gridlab.data.manifest import Span
from gridlab.data.rest import PublicRest
from gridlab.domain.market import Interval, Market
from gridlab.errors import ExchangeUnavailable, NotFound

NOW_MS = 1_774_607_640_000
#: In the recording of futures.
FUTURES_MS = 1_750_000_030_000
SYMBOLS = ("BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.fixture
def server() -> Iterator[KlinesServer]:
    with KlinesServer([load(symbol) for symbol in SYMBOLS], clock=SkippingClock(NOW_MS)) as server:
        yield server


async def with_agent(server: KlinesServer, use: object) -> None:
    clock = ManualClock(NOW_MS)
    cache = IntelligentCache(clock, enable_prefetching=False)
    async with PublicRest(server.url, Market.SPOT, clock=SkippingClock(NOW_MS)) as rest:
        await use(DataAgent(rest, cache), clock)  # type: ignore[operator]
    cache.close()


def test_many_readers_cost_one_light_request_a_symbol(server: KlinesServer) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        found = await asyncio.gather(*(agent.ticker(s) for s in SYMBOLS * 25))
        assert [one.value.symbol for one in found] == list(SYMBOLS * 25)
        assert len(server.asked) == 4 and sum(server.used.values()) == 8
        clock.advance_to(NOW_MS + 4_000)
        again = await agent.ticker("BTCUSDT")
        assert len(server.asked) == 4 and again.age_ms == 4_000 and not again.is_stale

    asyncio.run(with_agent(server, use))


def test_a_whole_markets_tickers_are_kept_for_a_minute_where_volumes_are_meant(
    server: KlinesServer,
) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        assert sorted((await agent.tickers(STATS_24H)).value) == list(SYMBOLS)
        clock.advance_to(NOW_MS + 59_000)
        assert not (await agent.tickers(STATS_24H)).is_stale and len(server.asked) == 1
        assert (await agent.tickers()).age_ms == 0, "prices are as fresh as one symbol's"

    asyncio.run(with_agent(server, use))


@pytest.mark.parametrize("market", list(Market))
def test_the_cache_is_told_what_the_venue_counts(market: Market) -> None:
    """What renewing ahead may cost is planned with these weights."""
    told: list[int] = []

    class Telling(IntelligentCache):
        async def fetch(self, key: str, kind: Kind, load: Any) -> Any:
            told.append(kind.cost)
            return await super().fetch(key, kind, load)

    async def use() -> None:
        clock = SkippingClock(NOW_MS if market is Market.SPOT else FUTURES_MS)
        cache = Telling(clock, enable_prefetching=False)
        with KlinesServer([load("BTCUSDT", market)], clock=clock) as server:
            async with PublicRest(server.url, market, clock=clock) as rest:
                agent = DataAgent(rest, cache)
                await agent.ticker("BTCUSDT")
                await agent.tickers()
                await agent.instrument("BTCUSDT")
                for limit in (5, 200, 500):
                    await agent.klines("BTCUSDT", Interval.M1, limit)
            assert sum(told) == sum(server.used.values())
        cache.close()

    asyncio.run(use())


@pytest.mark.parametrize("limit", [400, 401, 799, 800, 1_621, 1_939, 2_500])
def test_more_candles_than_a_page_are_joined_without_a_gap(
    server: KlinesServer, limit: int
) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        found = (await agent.klines("BTCUSDT", Interval.M1, limit)).value
        bars = load("BTCUSDT")
        last = bars.index_at(NOW_MS)
        assert found[:-1] == tuple(bars.kline(i) for i in range(last - limit + 1, last))
        assert len(found) == limit and found[-1].close_time_ms > NOW_MS

    asyncio.run(with_agent(server, use))


def test_closed_pages_are_kept_and_only_the_newest_is_asked_for_again(
    server: KlinesServer,
) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        await agent.klines("BTCUSDT", Interval.M1, 1_621)
        asked = len(server.asked)
        clock.advance_to(NOW_MS + 30_000)
        found = await agent.klines("BTCUSDT", Interval.M1, 1_500)
        assert [page.query.get("endTime") for page in server.pages()[asked:]] == [None]
        assert found.age_ms == 0 and len(found.value) == 1_500

    asyncio.run(with_agent(server, use))


def test_what_ended_while_older_pages_were_read_is_counted(server: KlinesServer) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        reading = asyncio.create_task(agent.klines("BTCUSDT", Interval.M1, 900))
        while len(server.asked) < 2:
            await asyncio.sleep(0.001)
        clock.advance_to(NOW_MS + 7_000)
        found = await reading
        assert found.age_ms == 7_000 and found.is_stale

    server.delay_s = 0.5
    asyncio.run(with_agent(server, use))


def test_halts_and_the_first_candle_there_ever_was_end_pages_where_they_are() -> None:
    bars = load("BTCUSDT", start_ms=NOW_MS - 1_000 * 60_000, end_ms=NOW_MS + 60_000)
    halt = Span(NOW_MS - 700 * 60_000, NOW_MS - 250 * 60_000)
    with KlinesServer([bars], clock=SkippingClock(NOW_MS), halts=[halt]) as server:

        async def use(agent: DataAgent, clock: ManualClock) -> None:
            found = (await agent.klines("BTCUSDT", Interval.M1, 2_000)).value
            times = [candle.open_time_ms for candle in found]
            assert times == server.bars[Market.SPOT, "BTCUSDT"].open_time_ms.tolist()

        asyncio.run(with_agent(server, use))


def test_the_agent_shows_life_while_it_runs(server: KlinesServer) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        running = asyncio.create_task(agent.run())
        for second in range(1, 6):
            await asyncio.sleep(0)
            clock.advance_to(NOW_MS + second * 1_000)
        await asyncio.sleep(0)
        assert agent.beat_ms == NOW_MS + 5_000 and not running.done()
        running.cancel()

    asyncio.run(with_agent(server, use))


def test_candles_and_rules_are_those_of_the_source(server: KlinesServer) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        candles = (await agent.klines("BTCUSDT", Interval.M1, 5)).value
        bars = load("BTCUSDT")
        assert [c.close for c in candles[:-1]] == [
            bars.kline(bars.index_at(c.open_time_ms)).close for c in candles[:-1]
        ]
        rules = (await agent.instrument("ETHUSDT")).value
        asked = len(server.asked)
        assert rules.symbol == "ETHUSDT" and (await agent.instrument("BTCUSDT")).value
        assert len(server.asked) == asked
        agent.rules_changed()
        await agent.instrument("BTCUSDT")
        assert len(server.asked) == asked + 1
        with pytest.raises(NotFound):
            await agent.instrument("NOPEUSDT")

    asyncio.run(with_agent(server, use))


def test_a_failing_source_is_told_and_what_is_stale_is_labelled(server: KlinesServer) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        await agent.ticker("BTCUSDT")
        server.faults.extend([Fault(status=503)] * 40)
        clock.advance_to(NOW_MS + 20_000)
        late = await agent.ticker("BTCUSDT")
        assert late.is_stale and late.age_ms == 20_000
        clock.advance_to(NOW_MS + 120_000)
        with pytest.raises(ExchangeUnavailable):
            await agent.ticker("BTCUSDT")

    asyncio.run(with_agent(server, use))


def test_agents_of_two_addresses_share_a_cache_and_no_answer(server: KlinesServer) -> None:
    async def use() -> None:
        cache = IntelligentCache(ManualClock(NOW_MS), enable_prefetching=False)
        clock = SkippingClock(NOW_MS)
        # By another name the same server is another venue, as a testnet is.
        other_url = server.url.replace("127.0.0.1", "localhost")
        async with (
            PublicRest(server.url, Market.SPOT, clock=clock) as here,
            PublicRest(other_url, Market.SPOT, clock=clock) as there,
        ):
            for agent in (DataAgent(here, cache), DataAgent(there, cache)):
                asked = len(server.asked)
                for _ in range(2):
                    await agent.ticker("BTCUSDT")
                    await agent.tickers()
                    await agent.instrument("BTCUSDT")
                    await agent.klines("BTCUSDT", Interval.M1, 500)
                assert len(server.asked) - asked == 5
        cache.close()

    asyncio.run(use())
