"""What spot REST answers carry: values -> the JSON of Binance, key by key.

Pure. Prices and amounts are strings of eight decimals, ids and times integers, flags booleans.

Source: Binance's spot REST pages and payloads recorded from the venue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from gridlab.domain.market import Balance, FeeSchedule, Instrument
from gridlab.domain.orders import Side, Trade
from gridlab.money import ZERO, rounding
from gridlab.twin import filters
from gridlab.twin.news import VenueOrder
from gridlab.twin.self_trades import EXPIRE_MAKER, STP_MODES
from gridlab.twin.stream_payloads import Bar, Day, Printed, Top, fixed

Payload: TypeAlias = dict[str, Any]

ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")
DEFAULT_STP = EXPIRE_MAKER
NO_LIST = -1


def money(value: Decimal) -> str:
    return fixed(value, 8)


# -- orders -------------------------------------------------------------------------------------


def ack(order: VenueOrder) -> Payload:
    """The shortest answer to a placement."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_id,
        "transactTime": order.report.created_ms,
    }


def result(order: VenueOrder) -> Payload:
    """The answer to a placement with what the order is now."""
    report = order.report
    payload = ack(order) | _amounts(order)
    payload |= {
        "status": order.status,
        "timeInForce": order.extras.time_in_force,
        "type": order.type_name,
        "side": report.side.upper(),
        "workingTime": report.created_ms,
        "selfTradePreventionMode": order.extras.stp_mode,
    }
    return _with_options(payload, order)


def full(order: VenueOrder) -> Payload:
    """The answer to a placement with its fills."""
    return result(order) | {"fills": [_fill(trade) for trade in order.fills]}


def _fill(trade: Trade) -> Payload:
    return {
        "price": money(trade.price),
        "qty": money(trade.quantity),
        "commission": money(trade.fee),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.trade_id,
    }


def queried(order: VenueOrder) -> Payload:
    """One order as queries and lists tell it."""
    report = order.report
    payload: Payload = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_id,
    }
    amounts = _amounts(order)
    quote_order = amounts.pop("origQuoteOrderQty")
    payload |= amounts | {
        "status": order.status,
        "timeInForce": order.extras.time_in_force,
        "type": order.type_name,
        "side": report.side.upper(),
        "stopPrice": money(ZERO),
        "icebergQty": money(order.extras.iceberg_quantity),
        "time": report.created_ms,
        "updateTime": report.updated_ms,
        "isWorking": True,
        "workingTime": report.created_ms,
        "origQuoteOrderQty": quote_order,
        "selfTradePreventionMode": order.extras.stp_mode,
    }
    return _with_options(payload, order)


def cancelled(order: VenueOrder) -> Payload:
    """The answer to a cancel: `clientOrderId` names the cancel, not the order."""
    report = order.report
    payload: Payload = {
        "symbol": order.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": order.ending.cancel_id,
        "transactTime": report.updated_ms,
    }
    payload |= _amounts(order) | {
        "status": order.status,
        "timeInForce": order.extras.time_in_force,
        "type": order.type_name,
        "side": report.side.upper(),
        "selfTradePreventionMode": order.extras.stp_mode,
    }
    return _with_options(payload, order)


def amended(order: VenueOrder, former_id: str, execution_id: int) -> Payload:
    """The answer to an amendment of the order that was called `former_id`."""
    shown = queried(order)
    return {
        "transactTime": order.report.updated_ms,
        "executionId": execution_id,
        "amendedOrder": {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "orderListId": NO_LIST,
            "origClientOrderId": former_id,
            "clientOrderId": order.client_id,
            "price": shown["price"],
            "qty": shown["origQty"],
            "executedQty": shown["executedQty"],
            "preventedQty": money(ZERO),
            "quoteOrderQty": shown["origQuoteOrderQty"],
            "cumulativeQuoteQty": shown["cummulativeQuoteQty"],
            "status": order.status,
            "timeInForce": order.extras.time_in_force,
            "type": order.type_name,
            "side": order.report.side.upper(),
            "workingTime": order.report.created_ms,
            "selfTradePreventionMode": order.extras.stp_mode,
        },
    }


def _amounts(order: VenueOrder) -> Payload:
    report = order.report
    return {
        "price": money(report.price or ZERO),
        "origQty": money(report.quantity),
        "executedQty": money(report.executed),
        "origQuoteOrderQty": money(order.extras.quote_order_quantity),
        "cummulativeQuoteQty": money(order.quote_executed),
    }


def _with_options(payload: Payload, order: VenueOrder) -> Payload:
    """Fields that an answer has only where the order has them."""
    extras = order.extras
    if extras.strategy_id is not None:
        payload["strategyId"] = extras.strategy_id
    if extras.strategy_type is not None:
        payload["strategyType"] = extras.strategy_type
    if order.ending.reason:
        payload["expiryReason"] = order.ending.reason
    if (prevention := order.ending.prevention) is not None:
        payload["preventedMatchId"] = prevention.match_id
        payload["preventedQuantity"] = money(prevention.quantity)
    return payload


def my_trade(trade: Trade) -> Payload:
    """One row of `myTrades`."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": int(trade.order_id),
        "orderListId": NO_LIST,
        "price": money(trade.price),
        "qty": money(trade.quantity),
        "quoteQty": money(trade.quote_quantity),
        "commission": money(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.time_ms,
        "isBuyer": trade.side is Side.BUY,
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


# -- account ------------------------------------------------------------------------------------


def account(
    balances: Iterable[Balance], fees: FeeSchedule, update_ms: int, *, omit_zero: bool
) -> Payload:
    """`GET /api/v3/account`."""
    rows = [
        {"asset": b.asset, "free": money(b.free), "locked": money(b.locked)}
        for b in balances
        if b.total or not omit_zero
    ]
    return {
        # The old integer fields count in hundredths of a percent.
        "makerCommission": int(fees.maker * 10_000),
        "takerCommission": int(fees.taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": money(fees.maker),
            "taker": money(fees.taker),
            "buyer": money(ZERO),
            "seller": money(ZERO),
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": update_ms,
        "accountType": "SPOT",
        "balances": rows,
        "permissions": ["SPOT"],
        "uid": 1,
    }


def commission(symbol: str, fees: FeeSchedule) -> Payload:
    """`GET /api/v3/account/commission`."""
    nothing = {name: money(ZERO) for name in ("maker", "taker", "buyer", "seller")}
    standard = nothing | {"maker": money(fees.maker), "taker": money(fees.taker)}
    return {
        "symbol": symbol,
        "standardCommission": standard,
        "specialCommission": dict(nothing),
        "taxCommission": dict(nothing),
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": money(Decimal("0.75")),
        },
    }


# -- market -------------------------------------------------------------------------------------


def symbol_info(instrument: Instrument) -> Payload:
    """One symbol's entry of exchangeInfo."""
    return {
        "symbol": instrument.symbol,
        "status": instrument.status,
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": instrument.commission_precision,
        "quoteCommissionPrecision": instrument.commission_precision,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters.public(instrument),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": DEFAULT_STP,
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }


def kline(bar: Bar) -> list[Any]:
    return [
        bar.open_ms,
        money(bar.open),
        money(bar.high),
        money(bar.low),
        money(bar.close),
        money(bar.volume),
        bar.close_ms,
        money(bar.quote_volume),
        bar.trades,
        money(bar.taker_volume),
        money(bar.taker_quote_volume),
        "0",
    ]


def public_trade(trade: Printed) -> Payload:
    with rounding():
        value = trade.price * trade.quantity
    return {
        "id": trade.trade_id,
        "price": money(trade.price),
        "qty": money(trade.quantity),
        "quoteQty": money(value),
        "time": trade.time_ms,
        "isBuyerMaker": trade.is_buyer_maker,
        "isBestMatch": True,
    }


def aggregate_trade(trade: Printed) -> Payload:
    """Every trade of the twin is an aggregate of one."""
    return {
        "a": trade.trade_id,
        "p": money(trade.price),
        "q": money(trade.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.time_ms,
        "m": trade.is_buyer_maker,
        "M": True,
    }


def book(last_id: int, bids: Sequence[Any], asks: Sequence[Any]) -> Payload:
    return {"lastUpdateId": last_id, "bids": _levels(bids), "asks": _levels(asks)}


def _levels(side: Sequence[tuple[Decimal, Decimal]]) -> list[list[str]]:
    return [[money(price), money(size)] for price, size in side]


def book_ticker(symbol: str, top: Top) -> Payload:
    return {
        "symbol": symbol,
        "bidPrice": money(top.bid),
        "bidQty": money(top.bid_quantity),
        "askPrice": money(top.ask),
        "askQty": money(top.ask_quantity),
    }


def mini_ticker(symbol: str, day: Day) -> Payload:
    """`ticker/24hr` of type MINI, and the figures that every ticker has."""
    return {
        "symbol": symbol,
        "openPrice": money(day.open),
        "highPrice": money(day.high),
        "lowPrice": money(day.low),
        "lastPrice": money(day.last),
        "volume": money(day.volume),
        "quoteVolume": money(day.quote_volume),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": day.trades,
    }


def rolling_ticker(symbol: str, day: Day) -> Payload:
    """`ticker` and `ticker/tradingDay` of type FULL."""
    return {
        "symbol": symbol,
        "priceChange": money(day.change),
        "priceChangePercent": fixed(day.change_percent, 3),
        "weightedAvgPrice": money(day.weighted_average),
    } | mini_ticker(symbol, day)


def day_ticker(symbol: str, day: Day, top: Top) -> Payload:
    """`ticker/24hr` of type FULL."""
    best = book_ticker(symbol, top)
    return (
        rolling_ticker(symbol, day)
        | {"prevClosePrice": money(day.previous_close), "lastQty": money(day.last_quantity)}
        | best
    )
