"""The sentiment agent: reads what is new, has it judged, smooths it, alerts, and advises care.

A text goes one way: feed, analyser, archive, mood. What comes out is numbers with a life, `Advice`
that by itself only reduces risk; no text and no reason of a model goes anywhere but to people.
Everything that blocks runs in a bounded pool, so that the engine's loop never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from gridlab.agents.pool import BoundedPool
from gridlab.clock import Clock
from gridlab.domain.advice import Advice, AdviceKind, advise
from gridlab.errors import StorageError
from gridlab.money import from_float
from gridlab.sentiment.archive import Archive, Judged
from gridlab.sentiment.feed import Feed, SourceStatus
from gridlab.sentiment.mood import KEPT_MS, MARKET, Alert, Alerts, Mood, Moods
from gridlab.sentiment.posts import Post
from gridlab.sentiment.relevance import relevance
from gridlab.sentiment.result import SentimentResult

log = logging.getLogger(__name__)

SOURCE: Final = "sentiment"
#: Alerts that are kept to be shown.
REMEMBERED: Final = 50
_LOOK_EVERY_MS: Final = 5_000


class Judge(Protocol):
    """Who judges texts; `sentiment.analyzer.HybridAnalyzer` does."""

    def analyze_batch(self, texts: Sequence[str]) -> Sequence[SentimentResult]: ...


@dataclass(frozen=True, slots=True)
class SentimentPlan:
    """What the agent may do with a mood.

    Args:
        window: readings that are averaged.
        positive, negative: thresholds of alerts; cooldown_ms: between two of one kind.
        alerts: whether there are any.
        reduce_below: at or below this mood leverage is multiplied by `reduce_to`; None for never.
        new_pair_above: below this mood of an asset no new grid of it may start; None for never.
        lives_ms: how long advice holds: it is renewed by the next fetch or it ends.
    """

    window: int = 10
    alerts: bool = True
    positive: float = 0.7
    negative: float = -0.5
    cooldown_ms: int = 120 * 60_000
    reduce_below: float | None = -0.5
    reduce_to: Decimal = Decimal("0.5")
    new_pair_above: float | None = -0.3
    lives_ms: int = 2 * 60 * 60_000


class SentimentAgent:
    """Runs until it is cancelled; `gridlab.agents.supervisor` keeps it alive.

    Args:
        market_ms: the market's time, by which advice lives and dies.
        is_wanted: asked before each round; a recording's past is not to be read about today.
        symbols: pairs that advice may be about, by base asset.

    Attributes:
        beat_ms: the last sign of life, by the machine's clock.
    """

    def __init__(
        self,
        feed: Feed,
        judge: Judge,
        archive: Archive,
        plan: SentimentPlan,
        clock: Clock,
        *,
        market_ms: Callable[[], int],
        symbols: Callable[[], Mapping[str, Sequence[str]]],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._feed, self._judge, self._archive = feed, judge, archive
        self._plan, self._clock, self._market_ms = plan, clock, market_ms
        self._symbols, self._is_wanted = symbols, is_wanted
        self._moods = Moods(plan.window)
        self._alerts = Alerts(plan.positive, plan.negative, plan.cooldown_ms)
        self._told: deque[Alert] = deque(maxlen=REMEMBERED)
        self._advice: tuple[Advice, ...] = ()
        self.beat_ms = clock.now_ms()

    async def run(self) -> None:
        """Fetch what is due, for ever; the first round begins with the archive's last day."""
        pool = BoundedPool("gridlab-sentiment")
        look = self._first_look
        try:
            while True:
                self.beat_ms = self._clock.now_ms()
                if self._is_wanted() and self._feed.due():
                    task = asyncio.ensure_future(pool.run(look))
                    while not (await asyncio.wait({task}, timeout=1.0))[0]:
                        self.beat_ms = self._clock.now_ms()
                    task.result()
                    look = self.look
                await self._clock.sleep_until(self._clock.now_ms() + _LOOK_EVERY_MS)
        finally:
            pool.close()
            self._feed.close()

    # --- what it has to say -----------------------------------------------------------------------

    @property
    def sources(self) -> tuple[SourceStatus, ...]:
        return self._feed.statuses

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The latest, oldest first."""
        return tuple(self._told)

    def moods(self) -> Mapping[str, Mood]:
        """Every mood of now, by asset; `mood.MARKET` is everything's."""
        return self._moods.all(self._clock.now_ms())

    def advice(self) -> tuple[Advice, ...]:
        """What still holds."""
        now_ms = self._market_ms()
        return tuple(one for one in self._advice if one.is_valid(now_ms))

    # --- the work, in a thread of the pool --------------------------------------------------------

    def _first_look(self) -> tuple[Judged, ...]:
        self.remember()
        return self.look()

    def remember(self) -> None:
        """Take up the moods of the last day from the archive, each fetch as it was read then."""
        now_ms = self._clock.now_ms()
        batches: dict[int, list[Judged]] = {}
        for one in self._archive.read(start_ms=now_ms - KEPT_MS):
            batches.setdefault(one.judged_ms, []).append(one)
        for time_ms, batch in sorted(batches.items()):
            self._feed.remember(one.post for one in batch)
            self._moods.add(batch, time_ms)

    def look(self) -> tuple[Judged, ...]:
        """One round: fetch, judge, keep, smooth, alert, advise; what was judged."""
        posts = self._feed.fetch()
        if not posts:
            return ()
        results = self._judge.analyze_batch([post.text for post in posts])
        now_ms = self._clock.now_ms()
        judged = tuple(
            judged_of(post, result, now_ms) for post, result in zip(posts, results, strict=True)
        )
        try:
            self._archive.add(judged)
        except StorageError as error:
            log.error("what was read is judged and not kept: %s", error)
        self._moods.add(judged, now_ms)
        moods = self._moods.all(now_ms)
        if self._plan.alerts:
            for alert in self._alerts.look(moods.values(), now_ms):
                log.warning("%s", alert)
                self._told.append(alert)
        self._advice = tuple(self._advised(moods))
        return judged

    def _advised(self, moods: Mapping[str, Mood]) -> list[Advice]:
        """Less leverage where the mood is bad, no new grid of an asset that is spoken ill of."""
        plan, found = self._plan, []
        for asset, mood in moods.items():
            pairs: Sequence[str | None] = (
                (None,) if asset == MARKET else self._symbols().get(asset, ())
            )
            for symbol in pairs:
                if plan.reduce_below is not None and mood.score <= plan.reduce_below:
                    found.append(self._one(AdviceKind.LEVERAGE, symbol, plan.reduce_to, mood))
                if (
                    plan.new_pair_above is not None
                    and symbol is not None
                    and mood.score < plan.new_pair_above
                ):
                    found.append(self._one(AdviceKind.NEW_PAIR, symbol, Decimal(0), mood))
        return found

    def _one(self, kind: AdviceKind, symbol: str | None, value: Decimal, mood: Mood) -> Advice:
        score = from_float(round(mood.score, 3))
        return advise(
            SOURCE,
            kind,
            symbol,
            value,
            now_ms=self._market_ms(),
            lives_ms=self._plan.lives_ms,
            reason=f"the mood is {score:+f} by {mood.texts} texts",
        )


def judged_of(post: Post, result: SentimentResult, now_ms: int) -> Judged:
    """What the archive keeps of a judged post."""
    return Judged(
        post=post,
        score=result.raw_score,
        label=result.sentiment,
        confidence=result.confidence,
        analyzer=f"{result.analyzer_used}:{result.model_used}",
        symbols=relevance(post.text).assets,
        judged_ms=now_ms,
    )


def relevance_score(text: str) -> float:
    """0 to 1: how much `text` is about crypto, for the thresholds of sources.

    Half for being about it at all, and a tenth for each asset and term beyond the first; a text
    that is not gets a tenth for each term.
    """
    found = relevance(text)
    signs = len(found.assets) + len(found.terms)
    if found.is_crypto:
        return min(1.0, 0.5 + 0.1 * max(0, signs - 1))
    return min(0.4, 0.1 * signs)
