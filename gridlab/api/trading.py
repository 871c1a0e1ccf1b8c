"""Routes about what is traded: executions, pairs, trades."""

from __future__ import annotations

from flask import Blueprint, Response

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
        snapshot = lab.snapshot
        stamp = venue_stamp(snapshot, [market])
        return answer_list(_pairs(lab, snapshot, market, stamp), stamp)

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
    snapshot = lab.snapshot
    bots = sorted(snapshot.bots.values(), key=lambda bot: (not is_active(bot), bot.symbol))
    stamp = venue_stamp(snapshot, [bot.market for bot in bots])
    return Executions(
        executions=[Execution.of(bot, snapshot) for bot in bots],
        total_active=sum(map(is_active, bots)),
        timestamp=stamp.as_of_ms,
        **stamp.parts,
    )


def _pairs(lab: GridLab, snapshot: Snapshot, market: Market, stamp: Stamp) -> list[Pair]:
    """Every symbol that has a price, those with a running bot first."""
    pairs = []
    for symbol in lab.symbols(market):
        bot = snapshot.bots.get(symbol)
        mine = bot if bot is not None and bot.market is market else None
        price = snapshot.prices.get((market, symbol))
        pairs.append(
            Pair(
                symbol=symbol,
                price=float(lab.ticker(symbol, market).price if price is None else price),
                market_type=market.value,
                active=mine is not None and is_active(mine),
                status=None if mine is None else grid_state(mine),
                as_of=stamp.as_of,
                mode=stamp.mode,
            )
        )
    return sorted(pairs, key=lambda pair: (not pair.active, pair.symbol))
