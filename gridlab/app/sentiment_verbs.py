"""The verbs of `GridLab` about sentiment: judge a text, and what the news of now come to."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gridlab.clock import Clock, monotonic_s
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode, Snapshot

if TYPE_CHECKING:
    from gridlab.agents.sentiment import SentimentAgent
    from gridlab.app.settings import Settings
    from gridlab.sentiment import HybridAnalyzer, SentimentResult
    from gridlab.sentiment.feed import SourceStatus
    from gridlab.sentiment.mood import Alert, Mood

#: Quotes that a pair's name ends with; what stands before one is the asset that texts name.
QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "BTC", "ETH", "BNB")
#: Seconds for which a status serves everybody who asks.
STATUS_KEPT_S = 2.0


class SentimentVerbs:
    """What `GridLab` knows of texts; a part of it, with no state but its own.

    Attributes:
        sentiment_agent: reads the sources; None while the engine is not started, or the
            configuration switches it off.
    """

    sentiment_agent: SentimentAgent | None = None
    _kept_status: tuple[float, dict[str, Any]] | None = None

    @cached_property
    def _status_lock(self) -> threading.Lock:
        return threading.Lock()

    if TYPE_CHECKING:

        @property
        def settings(self) -> Settings: ...
        @property
        def snapshot(self) -> Snapshot: ...
        def symbols(self, market: Market = Market.SPOT) -> tuple[str, ...]: ...

    @cached_property
    def analyzer(self) -> HybridAnalyzer:
        """The analyser of the configuration: a language model where one answers, else ONNX."""
        from gridlab.app.sentiment import analyzer_of

        return analyzer_of(self.settings.config)

    def analyze(self, text: str) -> SentimentResult:
        """The judgement of one text, in English or Portuguese; blocks for a language model."""
        return self.analyzer.analyze(text)

    @cached_property
    def _own_analyzer(self) -> HybridAnalyzer:
        """The analyser that asks nobody."""
        from gridlab.sentiment import create_sentiment_analyzer

        return create_sentiment_analyzer("onnx", cache_size=0)

    @property
    def has_fallback(self) -> bool:
        """Whether the ONNX model is there, which answers when no language model does."""
        return bool(self._own_analyzer.status()["models"]["onnx"]["available"])

    def compare_analyzers(self, text: str) -> tuple[SentimentResult, SentimentResult]:
        """`text` judged by the best analyser there is and by the one that asks nobody.

        Neither verdict is a remembered one, so their times are those of judging.
        """
        self._own_analyzer.analyze("warm")  # the time of a verdict is not that of opening a model
        return self._fresh_analyzer.analyze(text), self._own_analyzer.analyze(text)

    @cached_property
    def _fresh_analyzer(self) -> HybridAnalyzer:
        from gridlab.app.sentiment import analyzer_of

        return analyzer_of(self.settings.config, cache_size=0)

    def sentiment_status(self) -> dict[str, Any]:
        """What could judge now, and what did so far; see `HybridAnalyzer.status`.

        An answer serves everybody for two seconds: a model server that hangs is not asked by each.
        """
        with self._status_lock:
            kept = self._kept_status
            if kept is None or monotonic_s() - kept[0] > STATUS_KEPT_S:
                kept = self._kept_status = (monotonic_s(), self.analyzer.status())
            return kept[1]

    def sentiment_sources(self) -> tuple[SourceStatus, ...]:
        """How each source of texts stands; none while the agent is off."""
        return () if self.sentiment_agent is None else self.sentiment_agent.sources

    def moods(self) -> Mapping[str, Mood]:
        """The smoothed mood of each asset that enough was read about; `*` is the market's."""
        return {} if self.sentiment_agent is None else self.sentiment_agent.moods()

    def sentiment_alerts(self) -> tuple[Alert, ...]:
        """The latest alerts, oldest first."""
        return () if self.sentiment_agent is None else self.sentiment_agent.alerts

    def _make_sentiment_agent(self, clock: Clock) -> SentimentAgent:
        from gridlab.app.sentiment import agent_of, sources_of

        section = self.settings.config.sentiment_analysis
        return agent_of(
            self.settings,
            self.analyzer,
            sources_of(section, clock, os.environ),
            clock,
            market_ms=lambda: self.snapshot.time_ms,
            symbols=self._pairs_by_asset,
            is_wanted=lambda: self.snapshot.mode is not Mode.REPLAY,
        )

    def _pairs_by_asset(self) -> Mapping[str, Sequence[str]]:
        """Pairs that have a price or a bot, by the asset that texts name."""
        found: dict[str, list[str]] = {}
        snapshot = self.snapshot
        names = {symbol for _, symbol in snapshot.prices} | set(snapshot.bots)
        for symbol in sorted(names):
            if asset := base_of(symbol):
                found.setdefault(asset, []).append(symbol)
        return found


def base_of(symbol: str) -> str:
    """The base asset in a pair's name; empty when it ends with no known quote.

    >>> base_of("BTCUSDT"), base_of("ETHBTC"), base_of("USDT")
    ('BTC', 'ETH', '')
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote)
    return ""
