"""Pair selection with the configuration's filters, over whatever market the engine has."""

from __future__ import annotations

from gridlab.agents.pair_facts import facts_from_market
from gridlab.agents.pair_filters import PairCriteria, UnknownFacts
from gridlab.agents.pairs import PairTable, select_pairs
from gridlab.app.config import Config
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.exchange.base import MarketData


def table_of(data: MarketData, market: Market, config: Config, mode: Mode) -> PairTable:
    """Every symbol that has a price against every documented filter.

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
        [facts_from_market(data, market, symbol) for symbol in data.symbols(market)],
        criteria,
        config.trading.max_concurrent_pairs,
        unknown=UnknownFacts.SKIP if mode is Mode.REPLAY else UnknownFacts.FAIL,
    )
