"""What the API says of the age of live market data, over real HTTP and the real cache."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from flask import Blueprint, Flask
from klines_server import Fault, KlinesServer, SkippingClock
from test_live_market import Prices

from gridlab.agents.data import DataAgent
from gridlab.agents.live_market import LiveMarket
from gridlab.api import checks, indicators, market
from gridlab.app.config import load_config
from gridlab.app.market_verbs import MarketVerbs
from gridlab.app.symbols import SymbolReport, report_on
from gridlab.client import Client
from gridlab.clock import ManualClock, SystemClock
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.catalog import load
from gridlab.data.rest import PublicRest
from gridlab.domain.market import Market
from gridlab.domain.snapshot import EngineState, Mode, Snapshot
from gridlab.widgets.source import ClientSource, LabSource, Source
from gridlab.widgets.view import Candles

NOW_MS = 1_774_607_640_000


class Lab(MarketVerbs):
    """As much of a lab as the market's routes ask, over a market whose time the test decides."""

    session_number = 1

    def __init__(self, live: LiveMarket, cache: IntelligentCache, clock: ManualClock) -> None:
        self.live, self.cache, self.clock = live, cache, clock

    def _market(self) -> LiveMarket:
        return self.live

    def _running(self) -> Any:
        return self

    @property
    def snapshot(self) -> Snapshot:
        """An engine that steps; its own age is none."""
        return Snapshot(
            sequence=1,
            mode=Mode.SHADOW,
            state=EngineState.READY,
            time_ms=self.clock.now_ms(),
            wall_ms=SystemClock().now_ms() + 60_000,
            started_ms=0,
            speed=1.0,
            progress=None,
        )

    def validate_symbol(self, symbol: str, where: Market = Market.SPOT) -> SymbolReport:
        return report_on(self.live, load_config(None, {}).spec_for(symbol, where))


class Stage:
    """The routes, the market's source, and its time."""

    def __init__(self, server: KlinesServer, lab: Lab) -> None:
        self.server, self.lab, self.clock = server, lab, lab.clock
        app, blueprint = Flask("test"), Blueprint("api", "test")
        for module in (market, indicators, checks):
            module.add_routes(blueprint, lab)  # type: ignore[arg-type]
        app.register_blueprint(blueprint)
        self.app = app

    async def get(self, path: str) -> Any:
        """The answer, asked by a thread as the server's are."""
        reply = await asyncio.to_thread(lambda: self.app.test_client().get(path))
        assert reply.status_code == 200, reply.text
        return reply

    def pass_time(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ms() + int(seconds * 1_000))

    def fail(self) -> None:
        """From now on the source answers 503."""
        self.server.faults.extend([Fault(status=503)] * 200)


def played(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        clock, wire_clock = ManualClock(NOW_MS), SkippingClock(NOW_MS)
        cache = IntelligentCache(clock, enable_prefetching=False)
        with KlinesServer([load("BTCUSDT"), load("ETHUSDT")], clock=wire_clock) as server:
            async with PublicRest(server.url, Market.SPOT, clock=wire_clock) as rest:
                live = LiveMarket(
                    {Market.SPOT: Prices()},
                    {Market.SPOT: DataAgent(rest, cache)},
                    {Market.SPOT: rest},
                    clock,
                )
                await live.open({Market.SPOT: ["BTCUSDT"]})
                await story(Stage(server, Lab(live, cache, clock)))
        cache.close()

    asyncio.run(run())


PATHS = (
    "/api/klines/BTCUSDT?interval=1h",
    "/api/klines/BTCUSDT?interval=1h&limit=1000",
    "/api/indicators/BTCUSDT?type=RSI&interval=1h",
)


@pytest.mark.parametrize("path", PATHS)
def test_candles_are_as_old_as_they_say(path: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.get(path)
        fresh = (await stage.get(path)).json  # of candles, the newest few alone
        assert (fresh["age_ms"], fresh["stale"]) == (0, False)
        stage.pass_time(9)
        kept = (await stage.get(path)).json
        assert (kept["age_ms"], kept["stale"]) == (9_000, False)
        assert kept["as_of_ms"] == NOW_MS, "it is of when it was asked for"
        stage.fail()
        stage.pass_time(31)
        late = (await stage.get(path)).json
        assert (late["age_ms"], late["stale"]) == (40_000, True)

    played(story)


def test_an_indicator_is_never_younger_than_its_candles() -> None:
    async def story(stage: Stage) -> None:
        path = "/api/indicators/BTCUSDT?type=SMA&interval=1h"
        await stage.get(f"{path}&period=10")
        stage.pass_time(10)
        made = (await stage.get(f"{path}&period=20")).json
        assert (made["age_ms"], made["stale"]) == (10_000, False), "new, of candles that are not"
        stage.pass_time(10)
        kept = (await stage.get(f"{path}&period=20")).json
        assert (kept["age_ms"], kept["stale"]) == (20_000, True)

    played(story)


def test_the_tickers_of_a_market_are_as_old_as_the_oldest() -> None:
    async def story(stage: Stage) -> None:
        fresh = (await stage.get("/api/market_data")).headers
        assert (fresh["X-GridLab-Age-Ms"], fresh["X-GridLab-Stale"]) == ("0", "false")
        stage.fail()
        stage.pass_time(25)
        late = (await stage.get("/api/market_data")).headers
        assert (late["X-GridLab-Age-Ms"], late["X-GridLab-Stale"]) == ("25000", "true")
        assert late["X-GridLab-As-Of"] == "2026-03-27T10:34:00Z"

    played(story)


@pytest.mark.parametrize("query", ["type=EMA&period=200", "type=RSI&limit=1000", "type=VWAP"])
def test_indicators_that_need_more_candles_than_a_request_gives(query: str) -> None:
    async def story(stage: Stage) -> None:
        made = (await stage.get(f"/api/indicators/BTCUSDT?interval=1m&{query}")).json
        wanted = 1_000 if "limit" in query else 500
        assert len(made["values"]) == wanted and not made["warmup"]

    played(story)


def test_a_symbol_that_nobody_watches_is_valid() -> None:
    async def story(stage: Stage) -> None:
        found = (await stage.get("/api/validate/symbol/ETHUSDT")).json
        assert found["valid"] is True and not found["stale"]
        assert stage.lab.symbols() == ("BTCUSDT",)
        stage.fail()
        stage.pass_time(20)
        late = (await stage.get("/api/validate/symbol/ETHUSDT")).json
        assert (late["age_ms"], late["stale"]) == (20_000, True)

    played(story)


def test_a_panel_learns_how_old_its_candles_are() -> None:
    async def story(stage: Stage) -> None:
        client = Client(transport=httpx.WSGITransport(stage.app))
        for source in (LabSource(stage.lab), ClientSource(client)):  # type: ignore[arg-type]

            async def candles(source: Source = source) -> Candles:
                return await asyncio.to_thread(source.candles, "BTCUSDT", "1h", 8)

            await candles()
            begun = await candles()  # over HTTP, of the newest few alone
            stage.pass_time(20)
            old = await candles()
            assert len(old.bars) == 8
            assert (old.age_ms, old.is_stale) == (begun.age_ms + 20_000, True)
            stage.pass_time(100)  # so that the next reader begins with fresh ones
        client.close()

    played(story)


def test_a_market_that_the_engine_lacks_has_no_tickers() -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.get("/api/market_data?market_type=futures")).json == []

    played(story)
