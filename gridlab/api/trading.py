"""Routes about what is traded: executions, pairs, trades."""

from __future__ import annotations

from decimal import Decimal

from flask import Blueprint, Response

from gridlab.api.errors import teller
from gridlab.api.requests import MarketQuery, NoQuery, TradesQuery
from gridlab.api.schemas import (
    Execution,
    Executions,
    Pair,
    Stamp,
    TradeShape,
    grid_state,
    is_active,
)
from gridlab.api.wire import (
    answer,
    answer_list,
    bot_stamp,
    find_instrument,
    read_query,
    read_symbol,
    stamp_of,
    venue_stamp,
)
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Snapshot


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the trading routes on `blueprint`."""

    @blueprint.get("/api/trading/executions")
    def trading_executions() -> Response:
        read_query(NoQuery)
        return answer(_executions(lab))

    @blueprint.get("/api/trading/pairs")
    def trading_pairs() -> Response:
        market = read_query(MarketQuery).market_type
        prices = lab.dated_prices(market)
        snapshot = lab.snapshot
        pairs = [
            _pair(snapshot, market, symbol, price.value, stamp_of(snapshot, price))
            for symbol, price in prices.value.items()
        ]
        # Those with a running bot first.
        pairs.sort(key=lambda pair: (not pair.active, pair.symbol))
        return answer_list(pairs, stamp_of(snapshot, prices))

    @blueprint.get("/api/trades/<symbol>")
    def trades(symbol: str) -> Response:
        limit = read_query(TradesQuery).limit
        name = read_symbol(symbol)
        snapshot = lab.snapshot
        if name not in snapshot.bots:
            find_instrument(lab, name, Market.SPOT)
            return answer_list((), stamp_of(snapshot))
        found = lab.trades(name, limit)
        stamp = venue_stamp(snapshot, [snapshot.bots[name].market])
        return answer_list(map(TradeShape.of, found), stamp)


def _executions(lab: GridLab) -> Executions:
    """Every bot, the active ones first."""
    snapshot, say = lab.snapshot, teller()
    bots = sorted(snapshot.bots.values(), key=lambda bot: (not is_active(bot), bot.symbol))
    stamp = bot_stamp(lab, snapshot, bots)
    return Executions(
        executions=[Execution.of(bot, snapshot, say) for bot in bots],
        total_active=sum(map(is_active, bots)),
        timestamp=stamp.as_of_ms,
        **stamp.parts,
    )


def _pair(snapshot: Snapshot, market: Market, symbol: str, price: Decimal, stamp: Stamp) -> Pair:
    """The entry of one price, which is as old as `stamp` says."""
    bot = snapshot.bots.get(symbol)
    mine = bot if bot is not None and bot.market is market else None
    return Pair(
        symbol=symbol,
        price=float(price),
        market_type=market.value,
        active=mine is not None and is_active(mine),
        status=None if mine is None else grid_state(mine),
        as_of=stamp.as_of,
        age_ms=stamp.age_ms,
        stale=stamp.stale,
        mode=stamp.mode,
    )
