"""Pair selection with the configuration's filters, over whatever market the engine has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias

from gridlab.agents.data import DataAgent
from gridlab.agents.pair_facts import Sight, facts_from_market, facts_of
from gridlab.agents.pair_filters import PairCriteria, PairFacts, UnknownFacts, normalised
from gridlab.agents.pair_scan import finalists, look_closely, overview
from gridlab.agents.pairs import PairTable, select_pairs
from gridlab.app.config import Config
from gridlab.domain.market import Market
from gridlab.exchange.base import MarketData
from gridlab.money import from_float

Looking: TypeAlias = Coroutine[Any, Any, tuple[Sight, ...]]


@dataclass(frozen=True, slots=True)
class Selection:
    """One question for pairs.

    Args:
        moods: -1 to 1, by base asset; what is not in it is not known.
        active: symbols that are traded already; the sentiment filter is for new ones.
    """

    market: Market
    config: Config
    moods: Mapping[str, float]
    active: Collection[str] = ()

    @property
    def criteria(self) -> PairCriteria:
        sentiment = self.config.sentiment_analysis
        filtering = sentiment.pair_filtering
        return PairCriteria.from_settings(
            self.config.pair_selection,
            min_sentiment=(
                filtering.min_sentiment_for_new_pair
                if sentiment.enabled and filtering and filtering.enabled
                else None
            ),
            fee_fraction=self.config.replay.fees_on(self.market).maker,
        )

    def mood(self, base: str) -> Decimal | None:
        """The score of an asset; None where nobody knows it."""
        score = self.moods.get(base)
        return None if score is None else from_float(round(score, 3))

    def table(self, facts: Collection[PairFacts], unknown: UnknownFacts) -> PairTable:
        """The best of `facts`."""
        criteria, most = self.criteria, self.config.trading.max_concurrent_pairs
        table = select_pairs(tuple(facts), criteria, most, unknown=unknown, active=self.active)
        here = {normalised(fact.symbol) for fact in facts}
        absent = [s for s in criteria.preferred.get(self.market, ()) if s not in here]
        return replace(table, absent=tuple(dict.fromkeys(absent)))


def recorded_table(asked: Selection, data: MarketData) -> PairTable:
    """Every symbol of a recording against every documented filter.

    A recording cannot know spreads, depth or open interest; an unknown fact is shown as unknown and
    does not block.
    """
    facts = [
        facts_from_market(
            data,
            asked.market,
            symbol,
            sentiment=asked.mood(data.instrument(asked.market, symbol).base),
        )
        for symbol in data.symbols(asked.market)
    ]
    return asked.table(facts, UnknownFacts.SKIP)


def live_table(
    asked: Selection, agent: DataAgent, wait: Callable[[Looking], tuple[Sight, ...]]
) -> PairTable:
    """Every symbol of a venue against every documented filter; an unknown fact blocks.

    Args:
        wait: runs the agent's work in its own loop and waits for it, in a thread that is not the
            loop's.

    Raises:
        ExchangeUnavailable: the venue's symbols could not be looked over.
    """
    criteria = asked.criteria
    preferred = criteria.preferred.get(asked.market, ())
    seen = wait(overview(agent, preferred, asked.active))
    cheap = [facts_of(sight, asked.mood(sight.base)) for sight in seen]
    passed_over = finalists(cheap, criteria, asked.active)
    closer = wait(look_closely(agent, [s for s in seen if not passed_over[s.symbol]]))
    looked_at = [facts_of(sight, asked.mood(sight.base)) for sight in closer]
    others = [
        replace(facts, not_looked_at=passed_over[facts.symbol])
        for facts in cheap
        if passed_over[facts.symbol]
    ]
    now_ms, all_seen = agent.clock.now_ms(), (*seen, *closer)
    return replace(
        asked.table([*looked_at, *others], UnknownFacts.FAIL),
        age_ms=max((now_ms - s.asked_ms for s in all_seen if s.asked_ms is not None), default=0),
        is_stale=any(sight.is_stale for sight in all_seen),
    )
