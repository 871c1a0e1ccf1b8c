"""Pair selection with the configuration's filters, over whatever market the engine has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from gridlab.agents.pair_facts import facts_from_market
from gridlab.agents.pair_filters import PairCriteria, UnknownFacts
from gridlab.agents.pairs import PairTable, select_pairs
from gridlab.app.config import Config
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.exchange.base import MarketData
from gridlab.money import from_float


def table_of(
    data: MarketData,
    market: Market,
    config: Config,
    mode: Mode,
    moods: Mapping[str, float],
    active: Collection[str] = (),
) -> PairTable:
    """Every symbol that has a price against every documented filter.

    Args:
        moods: -1 to 1, by base asset; what is not in it is not known.
        active: symbols that are traded already; the sentiment filter is for new ones.

    A recording cannot know spreads, depth or open interest; in Replay an unknown fact is shown as
    unknown and does not block, where orders meet a real market it does.
    """
    filtering = config.sentiment_analysis.enabled and config.sentiment_analysis.pair_filtering
    criteria = PairCriteria.from_settings(
        config.pair_selection,
        min_sentiment=(
            filtering.min_sentiment_for_new_pair if filtering and filtering.enabled else None
        ),
        fee_fraction=config.replay.fees_on(market).maker,
    )
    return select_pairs(
        [
            facts_from_market(data, market, symbol, sentiment=_mood(moods, data, market, symbol))
            for symbol in data.symbols(market)
        ],
        criteria,
        config.trading.max_concurrent_pairs,
        unknown=UnknownFacts.SKIP if mode is Mode.REPLAY else UnknownFacts.FAIL,
        active=active,
    )


def _mood(
    moods: Mapping[str, float], data: MarketData, market: Market, symbol: str
) -> Decimal | None:
    score = moods.get(data.instrument(market, symbol).base)
    return None if score is None else from_float(round(score, 3))
