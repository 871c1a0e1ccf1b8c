"""The sentiment agent with the real analyser, real archives and sources on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from text_servers import BinanceServer, serving

from gridlab.agents.sentiment import (
    SentimentAgent,
    SentimentPlan,
    judged_of,
    relevance_score,
)
from gridlab.clock import ManualClock
from gridlab.domain.advice import BOUNDS, AdviceKind, combined
from gridlab.sentiment import create_sentiment_analyzer
from gridlab.sentiment.archive import Archive
from gridlab.sentiment.feed import Feed
from gridlab.sentiment.mood import MARKET
from gridlab.sentiment.posts import post_of
from gridlab.sentiment.sources.binance_news import BinanceNews

NOW_MS = 1_774_003_600_000
HOUR_MS = 3_600_000
BAD = (
    "Bitcoin crashes below support, massive liquidations across the market",
    "BTC plunges as panic selling hits exchanges",
    "Bitcoin price collapses after exchange hack, investors lose everything",
    "Bear market deepens: bitcoin falls to its lowest level of the year",
)
GOOD = (
    "Ethereum surges to a record high as institutions buy",
    "ETH rallies strongly after a successful upgrade",
    "Bullish breakout for ethereum, analysts raise targets",
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


Maker = Callable[..., SentimentAgent]


@pytest.fixture
def make(tmp_path: Path, clock: ManualClock) -> Maker:
    judge = create_sentiment_analyzer("onnx")

    def made(url: str, **settings: object) -> SentimentAgent:
        source = BinanceNews(clock, catalogues={49: "news"}, base_url=url)
        feed = Feed([source], clock, relevance=relevance_score, least_relevance=0.2)
        return SentimentAgent(
            feed,
            judge,
            Archive(tmp_path / "texts"),
            SentimentPlan(**settings),  # type: ignore[arg-type]
            clock,
            market_ms=clock.now_ms,
            symbols=lambda: {"BTC": ["BTCUSDT"], "ETH": ["ETHUSDT"]},
        )

    return made


def articles(texts: tuple[str, ...], first: int = 1) -> list[tuple[int, str, int]]:
    return [(first + n, text, NOW_MS - HOUR_MS + n) for n, text in enumerate(texts)]


def test_bad_news_of_an_asset_become_care_with_it_for_a_while(
    make: Maker, clock: ManualClock
) -> None:
    with serving(BinanceServer({49: articles(BAD) + articles(GOOD, 10)})) as server:
        agent = make(server.url, reduce_below=-0.2)
        judged = agent.look()
    assert len(judged) == 7
    moods = agent.moods()
    assert moods["BTC"].score < -0.3 < 0.3 < moods["ETH"].score
    now_ms = clock.now_ms()
    advice = agent.advice()
    assert combined(advice, AdviceKind.LEVERAGE, "BTCUSDT", now_ms)[0] == Decimal("0.5")
    assert combined(advice, AdviceKind.NEW_PAIR, "BTCUSDT", now_ms)[0] == 0
    assert combined(advice, AdviceKind.NEW_PAIR, "ETHUSDT", now_ms)[0] == 1
    for one in advice:
        assert BOUNDS[one.kind].least <= one.value <= BOUNDS[one.kind].most == 1
        assert not any(text[:12] in one.reason for text in (*BAD, *GOOD))
    clock.advance_to(NOW_MS + 2 * HOUR_MS)
    assert agent.advice() == ()


def test_alerts_come_once_and_what_is_old_is_asked_once(make: Maker, clock: ManualClock) -> None:
    with serving(BinanceServer({49: articles(BAD)})) as server:
        agent = make(server.url, negative=-0.3)
        agent.look()
        told = [alert.mood.asset for alert in agent.alerts]
        assert sorted(told) == [MARKET, "BTC"]
        clock.advance_to(NOW_MS + HOUR_MS)
        assert agent.look() == ()
        assert len(agent.alerts) == 2 and agent.sources[0].copies == 4


def test_a_new_process_knows_the_mood_of_the_last_day(make: Maker, clock: ManualClock) -> None:
    with serving(BinanceServer({49: articles(BAD)})) as server:
        first = make(server.url)
        first.look()
        clock.advance_to(NOW_MS + 60_000)
        second = make(server.url)
        assert not second.moods()
        second.remember()
        assert second.moods()["BTC"] == first.moods()["BTC"]
        assert second.look() == ()  # it was all read before
    clock.advance_to(NOW_MS + 25 * HOUR_MS)
    third = make("http://127.0.0.1:9")
    third.remember()
    assert not third.moods()


def test_no_news_and_no_server_are_no_mood(make: Maker) -> None:
    agent = make("http://127.0.0.1:9")
    assert agent.look() == () and not agent.moods() and not agent.advice()
    assert "cannot be reached" in agent.sources[0].reason


def test_it_runs_in_a_loop_without_blocking_it(make: Maker, clock: ManualClock) -> None:
    async def story(url: str) -> SentimentAgent:
        agent = make(url)
        running = asyncio.create_task(agent.run())
        async with asyncio.timeout(20):
            while not agent.moods():
                await asyncio.sleep(0.01)  # the loop is free meanwhile
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return agent

    with serving(BinanceServer({49: articles(BAD)})) as server:
        agent = asyncio.run(story(server.url))
    assert agent.beat_ms == clock.now_ms() and agent.moods()["BTC"].score < 0


def test_relevance_is_a_number_for_thresholds() -> None:
    assert relevance_score("What a nice day at the beach") == 0.0
    assert 0.5 <= relevance_score("Bitcoin") <= relevance_score("Bitcoin, ETH and SOL on Binance")
    assert relevance_score("Bitcoin " * 500) <= 1.0


def test_what_is_kept_says_who_judged_and_of_which_assets() -> None:
    post = post_of("s", "news", "1", GOOD[0], published_ms=NOW_MS, now_ms=NOW_MS)
    assert post is not None
    (result,) = create_sentiment_analyzer("onnx").analyze_batch([post.text])
    kept = judged_of(post, result, NOW_MS + 5)
    assert kept.symbols == ("ETH",) and kept.analyzer.startswith("onnx:")
    assert kept.label == "positive" and kept.judged_ms >= kept.post.seen_ms
