"""The data agent over real HTTP on the loopback: one request for many readers, ages, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from klines_server import Fault, KlinesServer, SkippingClock

from gridlab.agents.data import DataAgent
from gridlab.clock import ManualClock
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.catalog import load
from gridlab.data.rest import PublicRest
from gridlab.domain.market import Interval, Market
from gridlab.errors import ExchangeUnavailable, NotFound

NOW_MS = 1_774_607_640_000
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


def test_many_readers_of_all_symbols_cost_one_request(server: KlinesServer) -> None:
    async def use(agent: DataAgent, clock: ManualClock) -> None:
        found = await asyncio.gather(*(agent.ticker(s) for s in SYMBOLS * 25))
        assert [one.value.symbol for one in found] == list(SYMBOLS * 25)
        assert len(server.asked) == 1
        clock.advance_to(NOW_MS + 4_000)
        again = await agent.ticker("BTCUSDT")
        assert len(server.asked) == 1 and again.age_ms == 4_000 and not again.is_stale

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
        await agent.tickers()
        server.faults.extend([Fault(status=503)] * 40)
        clock.advance_to(NOW_MS + 20_000)
        late = await agent.ticker("BTCUSDT")
        assert late.is_stale and late.age_ms == 20_000
        clock.advance_to(NOW_MS + 120_000)
        with pytest.raises(ExchangeUnavailable):
            await agent.ticker("BTCUSDT")

    asyncio.run(with_agent(server, use))
