"""Routes about what is traded: executions, pairs, trades."""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.requests import MarketQuery, NoQuery, TradesQuery
from gridlab.api.schemas import (
    Execution,
    Executions,
    Pair,
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
)
from gridlab.app.facade import GridLab
from gridlab.clock import iso
from gridlab.domain.market import Market


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the trading routes on `blueprint`."""

    @blueprint.get("/api/trading/executions")
    def trading_executions() -> Response:
        read_query(NoQuery)
        return answer(_executions(lab))

    @blueprint.get("/api/trading/pairs")
    def trading_pairs() -> Response:
        market = read_query(MarketQuery).market_type
        return answer_list(_pairs(lab, market), stamp_of(lab.snapshot))

    @blueprint.get("/api/trades/<symbol>")
    def trades(symbol: str) -> Response:
        limit = read_query(TradesQuery).limit
        name = read_symbol(symbol)
        snapshot = lab.snapshot
        if name not in snapshot.bots:
            find_instrument(lab, name, Market.SPOT)
            return answer_list((), stamp_of(snapshot))
        found = lab.trades(name, limit)
        return answer_list(map(TradeShape.of, found), stamp_of(snapshot))


def _executions(lab: GridLab) -> Executions:
    """Every bot, the active ones first."""
    snapshot = lab.snapshot
    bots = sorted(snapshot.bots.values(), key=lambda bot: (not is_active(bot), bot.symbol))
    return Executions(
        executions=[Execution.of(bot, snapshot) for bot in bots],
        total_active=sum(map(is_active, bots)),
        timestamp=snapshot.time_ms,
        **stamp_of(snapshot).parts,
    )


def _pairs(lab: GridLab, market: Market) -> list[Pair]:
    """Every symbol that has a price, those with a running bot first."""
    snapshot = lab.snapshot
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
                as_of=iso(snapshot.time_ms),
                mode=snapshot.mode.value,
            )
        )
    return sorted(pairs, key=lambda pair: (not pair.active, pair.symbol))
