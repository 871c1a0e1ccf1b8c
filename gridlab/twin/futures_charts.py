"""USD-M's public endpoints of what traded: books, trades and candles.

Handlers only. Mark and index candles are the contract's own without volumes; the book is made up
around the last price, see `depth`.

Source: Binance's USD-M pages "Market Data Endpoints"; weights and limits from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_requests import FOREVER_MS, by_limit, listed, member, price_text, times
from gridlab.twin.futures_rules import FuturesRules, fixed, whole
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.params import Params
from gridlab.twin.rest import Endpoint, Security, TwinRequest
from gridlab.twin.stream_payloads import Bar, Printed
from gridlab.twin.widths import WIDTHS, Width

DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
HOUR_MS = 3_600_000


async def depth(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    symbol = listed(state, request.params)
    limit = request.params.maybe_integer("limit")
    limit = 500 if limit is None else limit
    if limit not in DEPTHS:
        raise refuse(-4021, limit)
    update_id, bids, asks = state.venue.book(symbol, limit)
    last = state.venue.tape(symbol).last
    places = state.rules(symbol).quantity_precision

    def side(levels: Iterable[tuple[Decimal, Decimal]]) -> list[list[str]]:
        return [[price_text(state, symbol, at), fixed(size, places)] for at, size in levels]

    return {
        "lastUpdateId": update_id,
        "E": request.now_ms,
        "T": request.now_ms if last is None else last.time_ms,
        "bids": side(bids),
        "asks": side(asks),
    }


async def trades(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    symbol = listed(state, request.params)
    limit = request.params.limit(500, 1_000)
    return [_trade(state, trade) for trade in state.venue.tape(symbol).newest(limit)]


async def historical_trades(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    symbol = listed(state, request.params)
    limit = request.params.limit(100, 500)
    from_id = request.params.maybe_integer("fromId")
    tape = state.venue.tape(symbol)
    found = tape.newest(limit) if from_id is None else tape.since(from_id, limit)
    return [_trade(state, trade) for trade in found]


def _trade(state: FuturesState, trade: Printed) -> dict[str, Any]:
    rules = state.rules(trade.symbol)
    return {
        "id": trade.trade_id,
        "price": whole(trade.price, rules.price_precision),
        "qty": fixed(trade.quantity, rules.quantity_precision),
        "quoteQty": fixed(trade.price * trade.quantity, 2),
        "time": trade.time_ms,
        "isBuyerMaker": trade.is_buyer_maker,
        "isRPITrade": False,
    }


async def agg_trades(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """Trades of the last 48 hours; each trade of the twin is an aggregate of itself."""
    symbol = listed(state, request.params)
    params = request.params
    limit = params.limit(500, 1_000)
    start_ms, end_ms = times(params)
    from_id = params.maybe_integer("fromId")
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise refuse(-1128)
    if start_ms is not None and end_ms is not None and end_ms - start_ms > HOUR_MS:
        raise refuse(-1127)
    tape = state.venue.tape(symbol)
    found = tape.newest(limit) if from_id is None else tape.since(from_id, limit)
    if start_ms is not None or end_ms is not None:
        until_ms = FOREVER_MS if end_ms is None else end_ms
        within = [t for t in tape.trades if (start_ms or 0) <= t.time_ms <= until_ms]
        found = within[:limit] if start_ms is not None else within[-limit:]
    rules = state.rules(symbol)
    return [
        {
            "a": trade.trade_id,
            "p": whole(trade.price, rules.price_precision),
            "q": fixed(trade.quantity, rules.quantity_precision),
            "nq": fixed(trade.quantity, rules.quantity_precision),
            "f": trade.trade_id,
            "l": trade.trade_id,
            "T": trade.time_ms,
            "m": trade.is_buyer_maker,
        }
        for trade in found
    ]


# -- candles ------------------------------------------------------------------------------------


async def klines(state: FuturesState, request: TwinRequest) -> list[list[Any]]:
    return _klines(state, request, listed(state, request.params))


async def continuous_klines(state: FuturesState, request: TwinRequest) -> list[list[Any]]:
    """Candles of a pair's perpetual contract; the twin lists no other."""
    pair = request.params.text("pair")
    if not state.venue.has(pair):
        raise refuse(-4144)
    kinds = ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL")
    kind = member(request.params, "contractType", kinds, -1130)
    return _klines(state, request, pair) if kind == "PERPETUAL" else []


async def mark_klines(state: FuturesState, request: TwinRequest) -> list[list[Any]]:
    return _without_volume(_klines(state, request, listed(state, request.params)))


async def index_klines(state: FuturesState, request: TwinRequest) -> list[list[Any]]:
    pair = request.params.text("pair")
    if not state.venue.has(pair):
        raise refuse(-4144)
    return _without_volume(_klines(state, request, pair))


def _klines(state: FuturesState, request: TwinRequest, symbol: str) -> list[list[Any]]:
    params, tape, now_ms = request.params, state.venue.tape(symbol), request.now_ms
    width = _width(params)
    limit = params.limit(500, 1_500)
    start_ms, end_ms = times(params)
    if start_ms is not None:
        bars = tape.bars_between(width, now_ms, start_ms, _until(end_ms, now_ms), limit)
    elif end_ms is not None and end_ms < tape.begins_ms:
        bars = []
    else:
        bars = tape.bars(width, _until(end_ms, now_ms), limit)
    rules = state.rules(symbol)
    return [_kline(bar, rules) for bar in bars]


def _width(params: Params) -> Width:
    width = WIDTHS.get(params.text("interval"))
    if width is None:
        raise refuse(-1120)
    return width


def _kline(bar: Bar, rules: FuturesRules) -> list[Any]:
    price_places, places = rules.price_precision, rules.quantity_precision
    quote_places = price_places + places
    return [
        bar.open_ms,
        fixed(bar.open, price_places),
        fixed(bar.high, price_places),
        fixed(bar.low, price_places),
        fixed(bar.close, price_places),
        fixed(bar.volume, places),
        bar.close_ms,
        fixed(bar.quote_volume, quote_places),
        bar.trades,
        fixed(bar.taker_volume, places),
        fixed(bar.taker_quote_volume, quote_places),
        "0",
    ]


def _without_volume(rows: list[list[Any]]) -> list[list[Any]]:
    """Candles of a computed price, which nobody trades."""
    return [[*row[:5], "0", row[6], "0", row[8], "0", "0", "0"] for row in rows]


def _until(end_ms: int | None, now_ms: int) -> int:
    return now_ms if end_ms is None else min(end_ms, now_ms)


_KLINE_WEIGHT = by_limit(500, ((99, 1), (499, 2), (1_000, 5)), 10)
_DEPTH_WEIGHT = by_limit(500, ((50, 2), (100, 5), (500, 10)), 20)


def endpoints(state: FuturesState) -> tuple[Endpoint, ...]:
    """The endpoints of this module over one futures market."""
    rows = (
        ("depth", depth, _DEPTH_WEIGHT, Security.NONE),
        ("trades", trades, 5, Security.NONE),
        ("historicalTrades", historical_trades, 20, Security.KEY),
        ("aggTrades", agg_trades, 20, Security.NONE),
        ("klines", klines, _KLINE_WEIGHT, Security.NONE),
        ("continuousKlines", continuous_klines, _KLINE_WEIGHT, Security.NONE),
        ("markPriceKlines", mark_klines, _KLINE_WEIGHT, Security.NONE),
        ("indexPriceKlines", index_klines, _KLINE_WEIGHT, Security.NONE),
    )
    return tuple(
        Endpoint("GET", f"/fapi/v1/{name}", partial(handler, state), weight, security)
        for name, handler, weight, security in rows
    )
