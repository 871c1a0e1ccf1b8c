"""What every live session reads of the market: streams, requests, candles, all without a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridlab.agents.data import DataAgent
from gridlab.agents.live_market import LiveMarket
from gridlab.app.config import Config
from gridlab.clock import Clock
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.rest import PublicRest
from gridlab.domain.events import GridStarted
from gridlab.domain.market import Instrument, Market
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.market_stream import MarketStream
from gridlab.exchange.budgets import Budgets
from gridlab.store.journal import Journal


@dataclass(frozen=True, slots=True)
class LiveParts:
    """The public side of a venue's markets."""

    markets: tuple[Market, ...]
    sources: Mapping[Market, PublicRest]
    agents: Mapping[Market, DataAgent]
    streams: Mapping[Market, MarketStream]
    market: LiveMarket

    async def close(self) -> None:
        """End every connection."""
        await self.market.close()
        for source in self.sources.values():
            await source.close()


def public_parts(
    config: Config, endpoints: Endpoints, clock: Clock, budgets: Budgets, cache: IntelligentCache
) -> LiveParts:
    """The public side of the configured markets at `endpoints`; nothing is connected yet."""
    markets = tuple(market for market in Market if market in config.exchange.supported_markets)
    sources = {
        market: PublicRest(
            endpoints.rest(market),
            market,
            clock=clock,
            weight_budget=budgets.weight(market, endpoints.rest(market)),
        )
        for market in markets
    }
    agents = {market: DataAgent(source, cache) for market, source in sources.items()}
    streams = {
        market: MarketStream(
            endpoints, market, clock, silence=budgets.silence(endpoints.rest(market))
        )
        for market in markets
    }
    return LiveParts(markets, sources, agents, streams, LiveMarket(streams, agents, sources, clock))


def configured_symbols(config: Config, market: Market) -> tuple[str, ...]:
    """The symbols that the configuration prefers."""
    section = config.pair_selection
    pairs = section.spot_pairs if market is Market.SPOT else section.futures_pairs
    return tuple(pairs.preferred_symbols)


def traded_rules(journal: Journal) -> dict[Market, dict[str, Instrument]]:
    """The symbols that grids ever traded, with the rules that the last of them began with."""
    found: dict[Market, dict[str, Instrument]] = {market: {} for market in Market}
    for entry in journal.entries():
        if isinstance(entry.event, GridStarted):
            found[entry.event.spec.market][entry.event.spec.symbol] = entry.event.instrument
    return found


def listed(wanted: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Those of `wanted` that the venue has."""
    there = frozenset(known)
    return tuple(symbol for symbol in wanted if symbol in there)
