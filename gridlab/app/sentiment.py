"""The sentiment desk: the analyser, the sources and the agent, as the configuration wants them.

Keys come from the environment and are never shown. A source that cannot be asked is there all the
same and says why it is off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from gridlab.agents.sentiment import SentimentAgent, SentimentPlan, relevance_score
from gridlab.app.config import Config
from gridlab.app.config_models import SentimentAnalysis
from gridlab.app.settings import Settings
from gridlab.clock import Clock
from gridlab.sentiment import HybridAnalyzer, create_sentiment_analyzer
from gridlab.sentiment.archive import Archive
from gridlab.sentiment.feed import Feed
from gridlab.sentiment.sources import binance_news, keys, reddit, x_search
from gridlab.sentiment.sources.base import Off, Source

MINUTE_MS: Final = 60_000
#: What a source other than the exchange's own must reach: it is about crypto at all.
LEAST_RELEVANCE: Final = 0.5
#: Seconds for one verdict of a language model: an analysis is asked for by people, who wait.
VERDICT_S: Final = 10.0


def analyzer_of(config: Config, cache_size: int = 4096) -> HybridAnalyzer:
    """The analyser that the configuration describes, remembering so many verdicts."""
    ai = config.ai_agent
    is_asked = ai.enabled and ai.features.sentiment_analysis
    return create_sentiment_analyzer(
        "auto" if is_asked else "onnx",
        base_url=ai.base_url,
        timeout_s=min(VERDICT_S, float(ai.model_settings.timeout_seconds)),
        cache_size=cache_size,
    )


def sources_of(
    section: SentimentAnalysis, clock: Clock, environment: Mapping[str, str]
) -> tuple[Source, ...]:
    """Every documented source, those that are off included."""
    return (
        _reddit(section, clock, environment),
        _binance(section, clock),
        _x(section, clock, environment),
    )


def _reddit(section: SentimentAnalysis, clock: Clock, environment: Mapping[str, str]) -> Source:
    name, own = reddit.NAME, section.reddit
    if not own.enabled:
        return Off(name, "sentiment_analysis.reddit.enabled is false in the configuration")
    names = (keys.REDDIT_CLIENT_ID, keys.REDDIT_CLIENT_SECRET)
    values = [environment.get(one, "") for one in names]
    if not all(values):
        return Off(
            name,
            f"{' and '.join(names)} are not set; make a script application on Reddit and put its "
            "id and secret into the environment",
        )
    if find_spec("praw") is None:
        return Off(name, "praw is not installed; pip install 'gridlab[sentiment]'")
    return reddit.Reddit(
        clock,
        *values,
        subreddits=own.subreddits,
        posts=own.posts_limit_per_subreddit,
        comments=own.comments_limit_per_post,
        time_filter=own.time_filter,
        every_ms=int(section.fetch_interval_minutes * MINUTE_MS),
    )


def _binance(section: SentimentAnalysis, clock: Clock) -> Source:
    name, own = binance_news.NAME, section.binance_news
    if not own.enabled:
        return Off(name, "sentiment_analysis.binance_news.enabled is false in the configuration")
    catalogues = {
        number: kind
        for switch, listed in binance_news.CATALOGUES.items()
        if getattr(own, switch)
        for number, kind in listed.items()
    }
    if not catalogues:
        return Off(name, "every include_ switch of sentiment_analysis.binance_news is false")
    return binance_news.BinanceNews(
        clock,
        catalogues=catalogues,
        hours_back=float(own.hours_back),
        most=own.max_news_per_fetch,
        every_ms=int(own.fetch_interval_minutes * MINUTE_MS),
    )


def _x(section: SentimentAnalysis, clock: Clock, environment: Mapping[str, str]) -> Source:
    name, own = x_search.NAME, section.x
    if not own.enabled:
        return Off(name, "sentiment_analysis.x.enabled is false in the configuration")
    if not (token := environment.get(keys.X_BEARER_TOKEN, "")):
        return Off(
            name, f"{keys.X_BEARER_TOKEN} is not set; put a bearer token into the environment"
        )
    return x_search.XSearch(
        clock,
        token,
        query=own.query,
        most=own.max_results,
        every_ms=int(own.fetch_interval_minutes * MINUTE_MS),
    )


def agent_of(
    settings: Settings,
    analyzer: HybridAnalyzer,
    sources: Sequence[Source],
    clock: Clock,
    *,
    market_ms: Callable[[], int],
    symbols: Callable[[], Mapping[str, Sequence[str]]],
    is_wanted: Callable[[], bool],
) -> SentimentAgent:
    """The agent with the configuration's thresholds, over `sources`."""
    section = settings.config.sentiment_analysis
    feed = Feed(
        sources,
        clock,
        relevance=relevance_score,
        least_relevance=LEAST_RELEVANCE,
        own_relevance={binance_news.NAME: float(section.binance_news.min_relevance_score)},
    )
    return SentimentAgent(
        feed,
        analyzer,
        Archive(settings.data_dir / "texts"),
        plan_of(section),
        clock,
        market_ms=market_ms,
        symbols=symbols,
        is_wanted=is_wanted,
    )


def plan_of(section: SentimentAnalysis) -> SentimentPlan:
    """The configuration's thresholds; what is switched off is None."""
    alerts, risk, pairs = section.alerts, section.risk_adjustment, section.pair_filtering
    return SentimentPlan(
        window=section.smoothing_window,
        alerts=alerts.enabled,
        positive=float(alerts.positive_threshold),
        negative=float(alerts.negative_threshold),
        cooldown_ms=int(alerts.alert_cooldown_minutes * MINUTE_MS),
        reduce_below=float(risk.leverage_reduction_threshold) if risk.enabled else None,
        reduce_to=risk.leverage_reduction_factor,
        new_pair_above=float(pairs.min_sentiment_for_new_pair) if pairs.enabled else None,
        # Renewed by the next fetch; two may fail before it is forgotten.
        lives_ms=int(3 * section.fetch_interval_minutes * MINUTE_MS),
    )
