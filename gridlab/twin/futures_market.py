"""USD-M's public endpoints: rules, prices, marks and funding rates.

Handlers only: they read the venue and render. The contract's index price is not modelled: index,
mark and last price are one, unless the mark was set.

Source: Binance's USD-M pages "Market Data Endpoints"; weights and limits from there.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from gridlab.domain.market import Instrument
from gridlab.money import rounding, text
from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_requests import (
    FOREVER_MS,
    by_symbol,
    listed,
    maybe_listed,
    price_text,
    times,
)
from gridlab.twin.futures_rules import FuturesRules, fixed
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.limits import RULES
from gridlab.twin.rest import Endpoint, TwinRequest

#: Quote units in open contracts of each symbol.
OPEN_VALUE = Decimal(100_000_000)


async def ping(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {}


async def time(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return {"serverTime": request.now_ms}


async def exchange_info(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    venue = state.venue
    instruments = [venue.instrument(symbol) for symbol in venue.symbols()]
    assets = sorted({instrument.quote for instrument in instruments})
    return {
        "timezone": "UTC",
        "serverTime": request.now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [rule.row() for rule in RULES[venue.market]],
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-100"}
            for asset in assets
        ],
        "symbols": [
            _symbol_row(instrument, state.rules(instrument.symbol)) for instrument in instruments
        ],
    }


def _symbol_row(instrument: Instrument, rules: FuturesRules) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": rules.delivery_ms,
        "onboardDate": rules.onboard_ms,
        "status": instrument.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": rules.price_precision,
        "quantityPrecision": rules.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": rules.trigger_protect,
        "liquidationFee": rules.liquidation_fee,
        "marketTakeBound": rules.market_take_bound,
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(instrument, rules),
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY", "DCA", "PSB"],
    }


def _filters(instrument: Instrument, rules: FuturesRules) -> list[dict[str, Any]]:
    lot = {
        "minQty": text(instrument.min_quantity),
        "maxQty": text(instrument.max_quantity),
        "stepSize": text(instrument.lot_size),
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(instrument.min_price),
            "maxPrice": text(instrument.max_price),
            "tickSize": fixed(instrument.tick_size, rules.price_precision),
        },
        {"filterType": "LOT_SIZE"} | lot,
        {"filterType": "MARKET_LOT_SIZE"} | lot,
        {"filterType": "MAX_NUM_ORDERS", "limit": instrument.max_num_orders},
        {"filterType": "MIN_NOTIONAL", "notional": text(instrument.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": fixed(rules.multiplier_up, 4),
            "multiplierDown": fixed(rules.multiplier_down, 4),
            "multiplierDecimal": "4",
        },
        {
            "filterType": "POSITION_RISK_CONTROL",
            "positionControlSide": "NONE",
            "notionalBase": "0",
        },
    ]


# -- prices -------------------------------------------------------------------------------------


def _one_or_all(
    state: FuturesState, request: TwinRequest, row: Callable[[str], dict[str, Any]]
) -> dict[str, Any] | list[dict[str, Any]]:
    """The row of the named symbol, or a list of every symbol's."""
    symbol = maybe_listed(state, request.params)
    return [row(each) for each in state.venue.symbols()] if symbol is None else row(symbol)


async def price(state: FuturesState, request: TwinRequest) -> Any:
    def row(symbol: str) -> dict[str, Any]:
        last = state.venue.tape(symbol).last
        return {
            "symbol": symbol,
            "price": price_text(state, symbol, state.venue.price(symbol)),
            "time": request.now_ms if last is None else last.time_ms,
        }

    return _one_or_all(state, request, row)


async def book_ticker(state: FuturesState, request: TwinRequest) -> Any:
    def row(symbol: str) -> dict[str, Any]:
        top = state.venue.top(symbol)
        places = state.rules(symbol).quantity_precision
        return {
            "lastUpdateId": top.update_id,
            "symbol": symbol,
            "bidPrice": price_text(state, symbol, top.bid),
            "bidQty": fixed(top.bid_quantity, places),
            "askPrice": price_text(state, symbol, top.ask),
            "askQty": fixed(top.ask_quantity, places),
            "time": request.now_ms,
        }

    return _one_or_all(state, request, row)


async def day(state: FuturesState, request: TwinRequest) -> Any:
    def row(symbol: str) -> dict[str, Any]:
        figures = state.venue.day(symbol)
        if figures is None:
            raise refuse(-1121)
        rules = state.rules(symbol)
        price_places, places = rules.price_precision, rules.quantity_precision
        return {
            "symbol": symbol,
            "priceChange": fixed(figures.change, price_places),
            "priceChangePercent": fixed(figures.change_percent, 3),
            "weightedAvgPrice": fixed(figures.weighted_average, price_places),
            "lastPrice": fixed(figures.last, price_places),
            "lastQty": fixed(figures.last_quantity, places),
            "openPrice": fixed(figures.open, price_places),
            "highPrice": fixed(figures.high, price_places),
            "lowPrice": fixed(figures.low, price_places),
            "volume": fixed(figures.volume, places),
            "quoteVolume": fixed(figures.quote_volume, 2),
            "openTime": figures.open_ms,
            "closeTime": figures.close_ms,
            "firstId": figures.first_trade_id,
            "lastId": figures.last_trade_id,
            "count": figures.trades,
        }

    return _one_or_all(state, request, row)


async def open_interest(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    """Made up, and so stated: contracts for `OPEN_VALUE`, because the twin knows one account."""
    symbol = listed(state, request.params)
    last = state.venue.tape(symbol).last
    with rounding():
        contracts = OPEN_VALUE / state.venue.price(symbol)
    return {
        "openInterest": fixed(contracts, state.rules(symbol).quantity_precision),
        "symbol": symbol,
        "time": request.now_ms if last is None else last.time_ms,
    }


async def premium_index(state: FuturesState, request: TwinRequest) -> Any:
    def row(symbol: str) -> dict[str, Any]:
        mark = state.mark(symbol)
        if mark is None:
            raise refuse(-1121)
        return {
            "symbol": symbol,
            "markPrice": fixed(mark.price, 8),
            "indexPrice": fixed(mark.index_price, 8),
            "estimatedSettlePrice": fixed(mark.settle_price, 8),
            "lastFundingRate": fixed(mark.funding_rate, 8),
            "interestRate": "0.00010000",
            "nextFundingTime": mark.next_funding_ms,
            "time": request.now_ms,
        }

    return _one_or_all(state, request, row)


async def funding_rate(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """The rates that were paid on the twin, oldest first."""
    symbol = maybe_listed(state, request.params)
    start_ms, end_ms = times(request.params)
    limit = request.params.limit(100, 1_000)
    rows = [
        paid
        for paid in state.paid_rates
        if symbol in (None, paid.symbol)
        and (start_ms or 0) <= paid.time_ms <= (FOREVER_MS if end_ms is None else end_ms)
    ]
    rows = rows[:limit] if start_ms is not None else rows[-limit:]
    return [
        {
            "symbol": paid.symbol,
            "fundingTime": paid.time_ms,
            "fundingRate": fixed(paid.rate, 8),
            "markPrice": fixed(paid.mark, 8),
        }
        for paid in rows
    ]


async def funding_info(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    return [
        {
            "symbol": symbol,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": 8,
            "disclaimer": False,
        }
        for symbol in state.venue.symbols()
    ]


def endpoints(state: FuturesState) -> tuple[Endpoint, ...]:
    """The endpoints of this module over one futures market."""
    rows: tuple[tuple[str, Any, Any], ...] = (
        ("v1/ping", ping, 1),
        ("v1/time", time, 1),
        ("v1/exchangeInfo", exchange_info, 1),
        ("v1/ticker/price", price, by_symbol(1, 2)),
        ("v2/ticker/price", price, by_symbol(1, 2)),
        ("v1/ticker/24hr", day, by_symbol(1, 40)),
        ("v1/ticker/bookTicker", book_ticker, by_symbol(2, 5)),
        ("v1/openInterest", open_interest, 1),
        ("v1/premiumIndex", premium_index, by_symbol(1, 10)),
        ("v1/fundingRate", funding_rate, 0),
        ("v1/fundingInfo", funding_info, 0),
    )
    return tuple(
        Endpoint("GET", f"/fapi/{path}", partial(handler, state), weight)
        for path, handler, weight in rows
    )
