"""What a scan makes of requests that fail or take too long; the venue is on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import httpx
import pytest
from klines_server import KlinesServer, SkippingClock

from gridlab.agents import pair_scan
from gridlab.agents.data import DataAgent
from gridlab.agents.pair_facts import Sight, facts_of
from gridlab.agents.pair_scan import look_closely, overview
from gridlab.clock import ManualClock
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.catalog import instrument, load
from gridlab.data.rest import PublicRest
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable, InvalidInput

NOW_MS = 1_774_607_640_000


@pytest.fixture
def server() -> Iterator[KlinesServer]:
    """A venue that has candles and no order book."""
    with KlinesServer([load("BTCUSDT")], clock=SkippingClock(NOW_MS)) as server:
        yield server


def ask(server: KlinesServer, use: Callable[[DataAgent], Awaitable[None]]) -> None:
    async def asked() -> None:
        cache = IntelligentCache(ManualClock(NOW_MS), enable_prefetching=False)
        async with httpx.AsyncClient(trust_env=False) as http:
            rest = PublicRest(server.url, Market.SPOT, clock=server.clock, http=http)
            await use(DataAgent(rest, cache))
        cache.close()

    asyncio.run(asked())


async def first_sight(agent: DataAgent) -> Sight:
    return Sight((await agent.ticker("BTCUSDT")).value, "BTC", "USDT")


def test_a_request_that_fails_leaves_its_own_fact_unknown(server: KlinesServer) -> None:
    async def use(agent: DataAgent) -> None:
        (sight,) = await look_closely(agent, [await first_sight(agent)])
        facts = facts_of(sight)
        assert facts.adx is not None and facts.atr_perc_24h is not None
        assert facts.depth_usd is None and "no such path" in facts.why_unknown["depth_usd"]
        assert await look_closely(agent, []) == ()

    ask(server, use)


def test_a_sight_is_as_old_as_the_oldest_answer_in_it(server: KlinesServer) -> None:
    async def use(agent: DataAgent) -> None:
        assert isinstance(agent.clock, ManualClock)
        plain = await first_sight(agent)
        (sight,) = await look_closely(agent, [plain])
        assert (sight.asked_ms, sight.is_stale) == (NOW_MS, False)
        agent.clock.advance_to(NOW_MS + 9_000)
        (kept,) = await look_closely(agent, [replace(plain, asked_ms=NOW_MS + 8_000)])
        assert (kept.asked_ms, kept.is_stale) == (NOW_MS, False), "its candles were kept"
        (old,) = await look_closely(agent, [replace(plain, asked_ms=NOW_MS - 9, is_stale=True)])
        assert (old.asked_ms, old.is_stale) == (NOW_MS - 9, True)

    ask(server, use)


def test_an_answer_that_is_late_leaves_its_facts_unknown(
    server: KlinesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_scan, "CLOSELY_WITHIN_S", 0.05)

    async def use(agent: DataAgent) -> None:
        sight = await first_sight(agent)
        server.delay_s = 0.3
        facts = facts_of((await look_closely(agent, [sight]))[0])
        assert facts.adx is None and facts.depth_usd is None
        assert facts.why_unknown["adx"] == "no answer within 0.05 s"

    ask(server, use)


def test_an_overview_that_fails_or_is_late_is_told(
    server: KlinesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_quotes(agent: DataAgent) -> None:
        with pytest.raises(InvalidInput, match="bookTicker"):
            await overview(agent)

    async def late(agent: DataAgent) -> None:
        server.delay_s = 0.3
        with pytest.raises(ExchangeUnavailable, match=r"within 0\.05 s"):
            await overview(agent)

    ask(server, without_quotes)
    monkeypatch.setattr(pair_scan, "OVERVIEW_WITHIN_S", 0.05)
    ask(server, late)


@pytest.mark.parametrize(
    ("changes", "preferred", "may_be"),
    [
        ({}, (), True),
        ({"status": "BREAK"}, (), False),
        ({"status": "BREAK"}, ("BTCUSDT",), False),
        ({"quote": "EUR"}, (), False),
        ({"quote": "EUR"}, ("BTCUSDT",), True),
        ({"symbol": "BTCUSDT_261225"}, (), False),
    ],
)
def test_what_may_be_chosen_trades_now(
    changes: dict[str, str], preferred: tuple[str, ...], may_be: bool
) -> None:
    rules = replace(instrument("BTCUSDT"), **changes)  # type: ignore[arg-type]
    assert pair_scan._may_be_chosen(rules, preferred) is may_be
