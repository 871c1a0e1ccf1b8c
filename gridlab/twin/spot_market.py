"""Spot's public market data endpoints.

Source: Binance spot pages "General endpoints" and "Market data endpoints".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from gridlab.domain.market import Instrument
from gridlab.twin import wire_spot
from gridlab.twin.answers import VenueError, refuse
from gridlab.twin.depth import MOST_LEVELS
from gridlab.twin.filters import AVERAGE_MINUTES
from gridlab.twin.params import Params
from gridlab.twin.rest import Endpoint, TwinRequest
from gridlab.twin.spot_new_order import listed_symbol
from gridlab.twin.stream_payloads import Printed
from gridlab.twin.venue import Venue
from gridlab.twin.widths import DAY_MS, MINUTE_MS, WIDTHS

_SYMBOLS_RANGE = r"^\[(\"[\w\-._]{1,50}\"(,\"[\w\-._]{1,50}\"){0,}){0,1}\]$"
_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::(\d{2}))?")
_WINDOW = re.compile(r"([1-9]|[1-5][0-9])m|([1-9]|1[0-9]|2[0-3])h|([1-7])d")
_STATUSES = ("TRADING", "HALT", "BREAK", "CANCEL_ONLY", "END_OF_DAY", "PRE_TRADING")
#: Of many symbols a rolling ticker costs as of so many at most.
_MOST_CHARGED = 50


# -- general ------------------------------------------------------------------------------------


async def ping(request: TwinRequest) -> Any:
    return {}


async def time(request: TwinRequest) -> Any:
    return {"serverTime": request.now_ms}


async def exchange_info(request: TwinRequest) -> Any:
    """The rules of every symbol, of one, of several, or of those with a status."""
    params, venue = request.params, request.venue
    if "permissions" in params and params.has_any("symbol", "symbols"):
        raise refuse(-1128)
    status = params.get("symbolStatus")
    if status is not None and status not in _STATUSES:
        raise refuse(-1122)
    instruments = [venue.instrument(symbol) for symbol in _wanted(params, venue)]
    return {
        "timezone": "UTC",
        "serverTime": request.now_ms,
        "rateLimits": [rule.row() for rule in request.limits.rules],
        "exchangeFilters": [],
        "symbols": [
            wire_spot.symbol_info(instrument)
            for instrument in instruments
            if status in (None, instrument.status) and _has_permission(params)
        ],
    }


def _has_permission(params: Params) -> bool:
    """Whether spot symbols are among those asked for; the twin lists no others."""
    wanted = params.get("permissions")
    return wanted is None or "SPOT" in wanted


def _wanted(params: Params, venue: Venue) -> list[str]:
    """The symbols that a request names; all of them when it names none.

    Raises:
        VenueError: -1128 for both forms at once, -1100 for a malformed list, -1121.
    """
    if "symbols" not in params:
        if "symbol" in params:
            return [listed_symbol(params, venue)]
        return list(venue.symbols())
    if "symbol" in params:
        raise refuse(-1128)
    try:
        names = json.loads(params.text("symbols"))
    except ValueError:
        raise refuse(-1100, "symbols", _SYMBOLS_RANGE) from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refuse(-1100, "symbols", _SYMBOLS_RANGE)
    if not all(venue.has(name) for name in names):
        raise refuse(-1121)
    if len(set(names)) < len(names):
        raise refuse(-1101, "symbols")
    return names


def _each(request: TwinRequest, make: Callable[[str], Any]) -> Any:
    """One object for one symbol, a list for several or for all."""
    symbols = _wanted(request.params, request.venue)
    if "symbol" in request.params:
        return make(symbols[0])
    return [make(symbol) for symbol in symbols]


def _count(params: Params) -> int:
    """How many symbols a request names; 0 when it asks for all."""
    if "symbol" in params:
        return 1
    return (params.get("symbols") or "").count('"') // 2


def _one_or_many(one: int, many: int) -> Callable[[Params], int]:
    return lambda params: one if "symbol" in params else many


def _day_weight(params: Params) -> int:
    count = _count(params)
    if not count:
        return 80
    return 2 if count <= 20 else 40 if count <= 100 else 80


# -- prices -------------------------------------------------------------------------------------


async def ticker_price(request: TwinRequest) -> Any:
    def row(symbol: str) -> Any:
        return {"symbol": symbol, "price": wire_spot.money(request.venue.price(symbol))}

    return _each(request, row)


async def book_ticker(request: TwinRequest) -> Any:
    venue = request.venue
    return _each(request, lambda symbol: wire_spot.book_ticker(symbol, venue.top(symbol)))


async def day_ticker(request: TwinRequest) -> Any:
    venue, is_mini = request.venue, _is_mini(request.params)

    def row(symbol: str) -> Any:
        day = venue.day(symbol)
        if is_mini:
            return wire_spot.mini_ticker(symbol, day)
        return wire_spot.day_ticker(symbol, day, venue.top(symbol))

    return _each(request, row)


async def rolling_ticker(request: TwinRequest) -> Any:
    """`ticker` over a window of minutes, hours or days."""
    text = request.params.get("windowSize") or "1d"
    if _WINDOW.fullmatch(text) is None:
        raise refuse(-1130, "windowSize")
    minutes = int(text[:-1]) * {"m": 1, "h": 60, "d": 1_440}[text[-1]]
    return _rolling(request, minutes)


async def trading_day_ticker(request: TwinRequest) -> Any:
    """`ticker/tradingDay`: since midnight of a time zone."""
    since_ms = (request.now_ms + _zone_ms(request.params)) % DAY_MS
    return _rolling(request, since_ms // MINUTE_MS + 1)


def _rolling(request: TwinRequest, minutes: int) -> Any:
    params, venue = request.params, request.venue
    if not params.has_any("symbol", "symbols"):
        raise VenueError(-1128, refuse(-1128).message)
    is_mini = _is_mini(params)

    def row(symbol: str) -> Any:
        day = venue.tape(symbol).rolling(request.now_ms, minutes)
        make = wire_spot.mini_ticker if is_mini else wire_spot.rolling_ticker
        return make(symbol, day)

    return _each(request, row)


def _rolling_weight(params: Params) -> int:
    return 4 * min(max(_count(params), 1), _MOST_CHARGED)


def _is_mini(params: Params) -> bool:
    return params.maybe_member("type", ("FULL", "MINI"), -1130) == "MINI"


async def average_price(request: TwinRequest) -> Any:
    symbol = listed_symbol(request.params, request.venue)
    price, time_ms = request.venue.average(symbol)
    return {"mins": AVERAGE_MINUTES, "price": wire_spot.money(price), "closeTime": time_ms}


async def reference_price(request: TwinRequest) -> Any:
    """The price that relative filters are taken from: the last one."""
    symbol = listed_symbol(request.params, request.venue)
    return {
        "symbol": symbol,
        "referencePrice": wire_spot.money(request.venue.price(symbol)),
        "timestamp": request.now_ms,
    }


async def execution_rules(request: TwinRequest) -> Any:
    """No symbol of the twin has any."""
    _wanted(request.params, request.venue)
    return {"symbolRules": []}


# -- trades and candles -------------------------------------------------------------------------


async def depth(request: TwinRequest) -> Any:
    symbol = listed_symbol(request.params, request.venue)
    limit = min(request.params.limit(100, 5_000), MOST_LEVELS)
    return wire_spot.book(*request.venue.book(symbol, limit))


def _depth_weight(params: Params) -> int:
    limit = params.limit(100, 5_000)
    return next(weight for most, weight in _DEPTH_WEIGHTS if limit <= most)


_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))


async def trades(request: TwinRequest) -> Any:
    symbol = listed_symbol(request.params, request.venue)
    newest = request.venue.tape(symbol).newest(request.params.limit(500, 1_000))
    return [wire_spot.public_trade(trade) for trade in newest]


async def historical_trades(request: TwinRequest) -> Any:
    symbol = listed_symbol(request.params, request.venue)
    from_id, limit = request.params.maybe_integer("fromId"), request.params.limit(500, 1_000)
    tape = request.venue.tape(symbol)
    found = tape.newest(limit) if from_id is None else tape.since(from_id, limit)
    return [wire_spot.public_trade(trade) for trade in found]


async def aggregate_trades(request: TwinRequest) -> Any:
    symbol = listed_symbol(request.params, request.venue)
    found = aggregates(request.params, request.venue, symbol, 500)
    return [wire_spot.aggregate_trade(trade) for trade in found]


def aggregates(params: Params, venue: Venue, symbol: str, usual: int) -> list[Printed]:
    """Trades from an id, or of a time span, or the newest; each is an aggregate of its own."""
    limit, from_id = params.limit(usual, 1_000), params.maybe_integer("fromId")
    start_ms, end_ms = params.maybe_integer("startTime"), params.maybe_integer("endTime")
    tape = venue.tape(symbol)
    if from_id is not None:
        if start_ms is not None or end_ms is not None:
            raise refuse(-1128)
        return tape.since(from_id, limit)
    if start_ms is None and end_ms is None:
        return tape.newest(limit)
    found = [
        trade
        for trade in tape.trades
        if (start_ms is None or trade.time_ms >= start_ms)
        and (end_ms is None or trade.time_ms <= end_ms)
    ]
    return found[-limit:] if start_ms is None else found[:limit]


async def klines(request: TwinRequest) -> Any:
    params, venue = request.params, request.venue
    symbol = listed_symbol(params, venue)
    width = WIDTHS.get(params.text("interval"))
    if width is None:
        raise refuse(-1120)
    if _zone_ms(params):
        # Candles of other midnights than UTC's are not made here.
        raise refuse(-1130, "timeZone")
    limit = params.limit(500, 1_000)
    start_ms, end_ms = params.maybe_integer("startTime"), params.maybe_integer("endTime")
    tape, now_ms = venue.tape(symbol), request.now_ms
    if start_ms is None:
        last_ms = now_ms if end_ms is None else min(end_ms, now_ms)
        bars = tape.bars(width, now_ms, limit, last_ms)
    else:
        stop_ms = now_ms if end_ms is None else end_ms
        bars = tape.bars_between(width, now_ms, start_ms, stop_ms, limit)
    return [wire_spot.kline(bar) for bar in bars]


def _zone_ms(params: Params) -> int:
    """`timeZone`, such as 0, 5:45 or -1:00, as an offset; from -12 to +14 hours."""
    text = params.get("timeZone")
    if text is None:
        return 0
    found = _ZONE.fullmatch(text)
    if found is None:
        raise refuse(-1130, "timeZone")
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    minutes = -minutes if found[1] == "-" else minutes
    if not -12 * 60 <= minutes <= 14 * 60:
        raise refuse(-1130, "timeZone")
    return minutes * MINUTE_MS


def listed(venue: Venue) -> list[Instrument]:
    """Every symbol's rules."""
    return [venue.instrument(symbol) for symbol in venue.symbols()]


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/v3/ping", ping),
    Endpoint("GET", "/api/v3/time", time),
    Endpoint("GET", "/api/v3/exchangeInfo", exchange_info, 20),
    Endpoint("GET", "/api/v3/ticker/price", ticker_price, _one_or_many(2, 4)),
    Endpoint("GET", "/api/v3/ticker/bookTicker", book_ticker, _one_or_many(2, 4)),
    Endpoint("GET", "/api/v3/ticker/24hr", day_ticker, _day_weight),
    Endpoint("GET", "/api/v3/ticker", rolling_ticker, _rolling_weight),
    Endpoint("GET", "/api/v3/ticker/tradingDay", trading_day_ticker, _rolling_weight),
    Endpoint("GET", "/api/v3/avgPrice", average_price, 2),
    Endpoint("GET", "/api/v3/referencePrice", reference_price, 2),
    Endpoint("GET", "/api/v3/executionRules", execution_rules, 2),
    Endpoint("GET", "/api/v3/depth", depth, _depth_weight),
    Endpoint("GET", "/api/v3/trades", trades, 25),
    Endpoint("GET", "/api/v3/historicalTrades", historical_trades, 25),
    Endpoint("GET", "/api/v3/aggTrades", aggregate_trades, 4),
    Endpoint("GET", "/api/v3/klines", klines, 2),
    Endpoint("GET", "/api/v3/uiKlines", klines, 2),
)
