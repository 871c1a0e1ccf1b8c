"""A new spot order: from a request's parameters to what the matching engine is asked, or refused.

Parameters first, then the filters that need no account. Whatever the engine says is worded here
too, so that each way to place an order answers alike.

Source: Binance spot page "New order", with its table of mandatory parameters, and "Errors".
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.exchange.base import RejectCode, Rejected
from gridlab.money import ZERO, floor_to, rounding
from gridlab.twin import filters
from gridlab.twin.answers import (
    DUPLICATE_ORDER,
    INSUFFICIENT_BALANCE,
    MARKET_CLOSED,
    WOULD_TAKE,
    VenueError,
    filter_failure,
    refuse,
)
from gridlab.twin.news import OrderExtras
from gridlab.twin.params import Params
from gridlab.twin.self_trades import STP_MODES
from gridlab.twin.venue import Venue
from gridlab.twin.wire_spot import DEFAULT_STP, ORDER_TYPES

SIDES = ("BUY", "SELL")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
RESPONSES = ("ACK", "RESULT", "FULL")
#: Types that Binance has and this venue's symbols do not list, with what such a symbol answers.
_UNLISTED = {
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}
_ICEBERG = "Iceberg orders are not supported for this symbol."
_STP = "This symbol does not allow the specified self-trade prevention mode."
_BOTH_EMPTY = "Param '{}' or '{}' must be sent, but both were empty/null!"
_ENGINE = {
    RejectCode.INSUFFICIENT_BALANCE: INSUFFICIENT_BALANCE,
    RejectCode.DUPLICATE: DUPLICATE_ORDER,
    RejectCode.WOULD_TAKE: WOULD_TAKE,
    RejectCode.MARKET_CLOSED: MARKET_CLOSED,
}


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What is to be placed, and how it is to be answered.

    Args:
        response: ACK, RESULT or FULL.
    """

    request: OrderRequest
    extras: OrderExtras
    response: str


def listed_symbol(params: Params, venue: Venue) -> str:
    """The request's symbol, which this venue lists."""
    symbol = params.symbol()
    if not venue.has(symbol):
        raise refuse(-1121)
    return symbol


def read(params: Params, venue: Venue) -> NewOrder:
    """The order that a request asks for; its filters are passed, its funds are not looked at.

    Raises:
        VenueError: a parameter or a filter refuses it.
    """
    symbol = listed_symbol(params, venue)
    side = Side(params.member("side", SIDES, -1117).lower())
    kind = _kind(params)
    time_in_force = _time_in_force(params, kind)
    price = _price(params, kind)
    chosen_id = params.maybe_client_id("newClientOrderId")
    extras = OrderExtras(
        time_in_force=time_in_force,
        stp_mode=_stp_mode(params),
        quote_order_quantity=_quote_quantity(params, kind),
        strategy_id=params.maybe_integer("strategyId"),
        strategy_type=params.maybe_integer("strategyType", 1_000_000),
        is_id_chosen=chosen_id is not None,
    )
    response = params.maybe_member("newOrderRespType", RESPONSES, -1136)
    quantity = _quantity(params, kind, extras, venue, symbol)
    instrument = venue.instrument(symbol)
    filters.check_order(instrument, side, kind, quantity, price, venue.price(symbol))
    request = OrderRequest(
        client_id=chosen_id or venue.new_client_id(),
        symbol=symbol,
        market=Market.SPOT,
        side=side,
        type=kind,
        quantity=quantity,
        price=price,
    )
    return NewOrder(request, extras, response or _usual_response(kind))


def _usual_response(kind: OrderType) -> str:
    return "ACK" if kind is OrderType.LIMIT_MAKER else "FULL"


def engine_refusal(refused: Rejected) -> VenueError:
    """How the venue words what its engine refused."""
    if refused.code == RejectCode.TOO_MANY_ORDERS:
        return filter_failure("MAX_NUM_ORDERS", by_engine=True)
    if refused.code == RejectCode.FILTER:
        name = refused.reason.removeprefix("Filter failure: ").partition(":")[0]
        return filter_failure(name)
    return VenueError(-2010, _ENGINE.get(refused.code, refused.reason))


def one_of(params: Params, first: str, second: str) -> None:
    """Raise -1102 when neither parameter was sent."""
    if not params.has_any(first, second):
        raise VenueError(-1102, _BOTH_EMPTY.format(first, second))


def _kind(params: Params) -> OrderType:
    name = params.text("type")
    if name in _UNLISTED:
        raise VenueError(-1013, _UNLISTED[name])
    if name not in ORDER_TYPES:
        raise refuse(-1116)
    params.forbid("stopPrice", "trailingDelta")
    if "icebergQty" in params:
        raise VenueError(-1013, _ICEBERG)
    return OrderType(name.lower())


def _time_in_force(params: Params, kind: OrderType) -> str:
    if kind is OrderType.LIMIT:
        return params.member("timeInForce", TIMES_IN_FORCE, -1115)
    params.forbid("timeInForce")
    return "GTC"


def _price(params: Params, kind: OrderType) -> Decimal | None:
    if kind is OrderType.MARKET:
        params.forbid("price")
        return None
    price = params.decimal("price")
    filters.check_digits("price", price)
    if not price:
        raise VenueError(-1013, "Invalid price.")
    return price


def _quote_quantity(params: Params, kind: OrderType) -> Decimal:
    if kind is not OrderType.MARKET:
        params.forbid("quoteOrderQty")
        return ZERO
    one_of(params, "quantity", "quoteOrderQty")
    if "quantity" in params and "quoteOrderQty" in params:
        raise refuse(-1128)
    value = params.maybe_decimal("quoteOrderQty")
    if value is None:
        return ZERO
    filters.check_digits("quoteOrderQty", value)
    if not value:
        raise VenueError(-1013, "Invalid quote order qty.")
    return value


def _quantity(
    params: Params, kind: OrderType, extras: OrderExtras, venue: Venue, symbol: str
) -> Decimal:
    """The base units; for an order of so much quote, what that buys at the last price."""
    if kind is OrderType.MARKET and extras.quote_order_quantity:
        with rounding():
            units = extras.quote_order_quantity / venue.price(symbol)
        quantity = floor_to(units, venue.instrument(symbol).lot_size)
        if not quantity:
            raise filter_failure("LOT_SIZE")
        return quantity
    quantity = params.decimal("quantity")
    filters.check_digits("quantity", quantity)
    if not quantity:
        raise VenueError(-1013, "Invalid quantity.")
    return quantity


def _stp_mode(params: Params) -> str:
    mode = params.get("selfTradePreventionMode")
    if mode is None:
        return DEFAULT_STP
    if mode not in STP_MODES:
        raise VenueError(-1013, _STP)
    return mode
