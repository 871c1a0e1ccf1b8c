"""USD-M's conditional order endpoints, and what happens when one of those orders triggers.

A conditional order is not in the book. When the price that it watches reaches its trigger, an
ordinary order follows under the same client id; what the engine says of that decides its end.

Source: Binance's USD-M pages "New Algo Order", "Cancel Algo Order", "Query Algo Order".
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side, VenueStatus
from gridlab.exchange.base import Rejected
from gridlab.money import ZERO, rounding, text
from gridlab.twin.answers import VenueError
from gridlab.twin.futures_algo import (
    MAX_OPEN,
    AlgoOrder,
    AlgoStatus,
    AlgoType,
    algo_placed,
    algo_queried,
    triggers_at_once,
)
from gridlab.twin.futures_filters import check_price, check_quantity
from gridlab.twin.futures_order_reading import check_position_side, read_client_id, read_stp_mode
from gridlab.twin.futures_orders import window
from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_requests import by_symbol, listed, maybe_listed, maybe_member, member
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.news import OrderExtras, VenueOrder
from gridlab.twin.params import Params
from gridlab.twin.rest import Endpoint, Security, TwinRequest
from gridlab.twin.user_news import UserNews

WORKING_TYPES = ("CONTRACT_PRICE", "MARK_PRICE")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX")
#: A trailing order's callback, percent.
LEAST_CALLBACK, MOST_CALLBACK = Decimal("0.1"), Decimal(10)


# -- requests -----------------------------------------------------------------------------------


async def place(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    params = request.params
    member(params, "algoType", ("CONDITIONAL",), -1116)
    order = _read(state, params)
    if state.algo.open_count >= MAX_OPEN:
        raise refuse(-4045)
    if state.algo.is_taken(order.client_id):
        raise refuse(-4116)
    if triggers_at_once(order, [_watched(state, order)]):
        raise refuse(-2021)
    state.algo.add(order)
    tell(state, order)
    return algo_placed(order, state.rules(order.symbol))


def _read(state: FuturesState, params: Params) -> AlgoOrder:
    symbol = listed(state, params)
    instrument, rules = state.venue.instrument(symbol), state.rules(symbol)
    side = Side(member(params, "side", ("BUY", "SELL"), -1117).lower())
    kind = AlgoType(member(params, "type", tuple(AlgoType), -1116))
    check_position_side(state, params)
    closes = params.maybe_boolean("closePosition") or False
    if closes and (kind.is_limit or kind is AlgoType.TRAILING_STOP_MARKET):
        raise VenueError(-4136, f"Target strategy invalid for orderType {kind},closePosition true")
    if closes:
        if "quantity" in params:
            raise refuse(-4137)
        params.forbid("reduceOnly")
    quantity = ZERO if closes else params.decimal("quantity")
    if not closes:
        check_quantity(quantity, instrument, rules)
    price = params.decimal("price") if kind.is_limit else ZERO
    is_trailing = kind is AlgoType.TRAILING_STOP_MARKET
    trigger = ZERO if is_trailing else params.decimal("triggerPrice")
    for each in [trigger] * (not is_trailing) + [price] * kind.is_limit:
        check_price(each, instrument, rules)
    now_ms = state.venue.now_ms()
    return AlgoOrder(
        algo_id=state.algo.next_id,
        client_id=read_client_id(params, "clientAlgoId") or state.venue.new_client_id(),
        symbol=symbol,
        side=side,
        kind=kind,
        quantity=quantity,
        price=price,
        trigger=trigger,
        time_in_force=maybe_member(params, "timeInForce", TIMES_IN_FORCE, -1115) or "GTC",
        working_type=maybe_member(params, "workingType", WORKING_TYPES, -1130) or "CONTRACT_PRICE",
        created_ms=now_ms,
        is_reduce_only=params.maybe_boolean("reduceOnly") or False,
        is_close_position=closes,
        callback_fraction=_callback(params) if is_trailing else ZERO,
        activation=_activation(params) if is_trailing else ZERO,
        stp_mode=read_stp_mode(params),
        updated_ms=now_ms,
    )


def _callback(params: Params) -> Decimal:
    percent = params.decimal("callbackRate")
    if not LEAST_CALLBACK <= percent <= MOST_CALLBACK:
        raise VenueError(-2007, "Invalid callBack rate")
    return percent / 100


def _activation(params: Params) -> Decimal:
    named = params.maybe_decimal("activatePrice")
    return named or params.maybe_decimal("activationPrice") or ZERO


async def cancel(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    order = _named(state, request.params)
    if order is None or not order.is_open:
        raise refuse(-2011)
    state.algo.cancel(order, request.now_ms)
    tell(state, order)
    # The code is a text here and nowhere else.
    return {
        "algoId": order.algo_id,
        "clientAlgoId": order.client_id,
        "code": "200",
        "msg": "success",
    }


async def cancel_all(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    symbol = listed(state, request.params)
    end_all(state, symbol)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def end_all(state: FuturesState, symbol: str) -> None:
    """Cancel every conditional order of a symbol."""
    for order in state.algo.orders(symbol, open_only=True):
        state.algo.cancel(order, state.venue.now_ms())
        tell(state, order)


def _named(state: FuturesState, params: Params) -> AlgoOrder | None:
    number = params.maybe_integer("algoId")
    client_id = read_client_id(params, "clientAlgoId")
    if number is None and client_id is None:
        raise VenueError(
            -1102, "Param 'algoid' or 'clientalgoid' must be sent, but both were empty/null!"
        )
    return state.algo.find(number, client_id)


async def query(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    order = _named(state, request.params)
    if order is None:
        raise refuse(-2013)
    return _row(state, order)


async def open_orders(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    symbol = maybe_listed(state, request.params)
    return [_row(state, order) for order in state.algo.orders(symbol, open_only=True)]


async def all_orders(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    params = request.params
    symbol = listed(state, params)
    limit = params.limit(500, 1_000)
    from_id = params.maybe_integer("algoId")
    start_ms, until_ms = window(params, request.now_ms)
    found = [
        order
        for order in state.algo.orders(symbol)
        if order.algo_id >= (from_id or 0)
        and (from_id is not None or start_ms <= order.created_ms <= until_ms)
    ]
    is_from_start = from_id is not None or "startTime" in params
    found = found[:limit] if is_from_start else found[-limit:]
    return [_row(state, order) for order in found]


def _row(state: FuturesState, order: AlgoOrder) -> dict[str, Any]:
    followed = _followed(state, order)
    price, quantity = (ZERO, ZERO) if followed is None else _traded(followed)
    return algo_queried(order, state.rules(order.symbol), price, quantity)


def _followed(state: FuturesState, order: AlgoOrder) -> VenueOrder | None:
    if not order.actual_order_id:
        return None
    return state.venue.find(order.symbol, order.actual_order_id, None)


def _traded(order: VenueOrder) -> tuple[Decimal, Decimal]:
    executed = order.report.executed
    with rounding():
        return (order.quote_executed / executed if executed else ZERO), executed


# -- triggers -----------------------------------------------------------------------------------


def _watched(state: FuturesState, order: AlgoOrder) -> Decimal:
    if order.working_type == "MARK_PRICE":
        return state.mark_price(order.symbol)
    return state.venue.price(order.symbol)


def triggered(state: FuturesState, symbol: str) -> list[AlgoOrder]:
    """The orders that the prices of this moment trigger."""
    return state.algo.on_price(
        symbol,
        state.venue.price(symbol),
        state.mark_price(symbol),
        state.venue.instrument(symbol).tick_size,
        state.venue.now_ms(),
    )


async def carry_out(state: FuturesState, order: AlgoOrder) -> None:
    """Send the ordinary order that follows, and note what became of it."""
    quantity = order.quantity
    if order.is_close_position:
        held = state.book.position(order.symbol).quantity
        closes = held > 0 if order.side is Side.SELL else held < 0
        quantity = abs(held) if closes else ZERO
    if not quantity:
        _end(state, order, AlgoStatus.EXPIRED)
        return
    kind = OrderType.MARKET
    if order.kind.is_limit:
        kind = OrderType.LIMIT_MAKER if order.time_in_force == "GTX" else OrderType.LIMIT
    request = OrderRequest(
        client_id=order.client_id,
        symbol=order.symbol,
        market=Market.FUTURES,
        side=order.side,
        type=kind,
        quantity=quantity,
        price=order.price if order.kind.is_limit else None,
        reduce_only=order.is_reduce_only or order.is_close_position,
    )
    extras = OrderExtras(
        time_in_force=order.time_in_force if order.kind.is_limit else "GTC",
        stp_mode=order.stp_mode,
        original_type=order.kind.value,
        is_reduce_only=request.reduce_only,
        is_close_position=order.is_close_position,
    )
    outcome = await state.venue.place(request, extras)
    if isinstance(outcome, Rejected):
        _end(state, order, AlgoStatus.REJECTED)
        return
    order.actual_order_id = outcome.order_id
    tell(state, order)
    note_end(state, outcome)


def note_end(state: FuturesState, ordinary: VenueOrder) -> None:
    """An ordinary order changed; the conditional one before it ends with it."""
    order = state.algo.following(ordinary.order_id)
    if order is None or order.status is not AlgoStatus.TRIGGERED or ordinary.is_open:
        return
    is_filled = ordinary.report.status is VenueStatus.FILLED
    _end(state, order, AlgoStatus.FINISHED if is_filled else AlgoStatus.EXPIRED)


def _end(state: FuturesState, order: AlgoOrder, status: AlgoStatus) -> None:
    order.status = status
    order.updated_ms = state.venue.now_ms()
    tell(state, order)


def tell(state: FuturesState, order: AlgoOrder) -> None:
    """Tell the user streams: `ALGO_UPDATE`, whose order has an `o` of its own: the type."""
    followed = _followed(state, order)
    price, quantity = (ZERO, ZERO) if followed is None else _traded(followed)
    now_ms = state.venue.now_ms()
    row = {
        "caid": order.client_id,
        "aid": order.algo_id,
        "at": "CONDITIONAL",
        "o": order.kind.value,
        "s": order.symbol,
        "S": order.side.upper(),
        "ps": "BOTH",
        "f": order.time_in_force,
        "q": text(order.quantity),
        "X": order.status.value,
        "ai": str(order.actual_order_id or ""),
        "ap": text(price),
        "aq": text(quantity),
        "act": ("LIMIT" if order.kind.is_limit else "MARKET") if followed else "0",
        "tp": text(order.trigger),
        "p": text(order.price),
        "V": order.stp_mode,
        "wt": order.working_type,
        "pm": "NONE",
        "cp": order.is_close_position,
        "pP": False,
        "R": order.is_reduce_only,
        "tt": order.triggered_ms,
        "gtd": 0,
    }
    state.venue.tell(UserNews({"e": "ALGO_UPDATE", "T": order.updated_ms, "E": now_ms, "o": row}))


def endpoints(state: FuturesState) -> tuple[Endpoint, ...]:
    """The endpoints of this module over one futures market."""
    rows: tuple[tuple[str, str, Any, Any, int], ...] = (
        ("POST", "algoOrder", place, 0, 1),
        ("DELETE", "algoOrder", cancel, 1, 0),
        ("DELETE", "algoOpenOrders", cancel_all, 1, 0),
        ("GET", "algoOrder", query, 1, 0),
        ("GET", "openAlgoOrders", open_orders, by_symbol(1, 40), 0),
        ("GET", "allAlgoOrders", all_orders, 5, 0),
    )
    return tuple(
        Endpoint(
            method,
            f"/fapi/v1/{name}",
            partial(handler, state),
            weight,
            Security.SIGNED,
            order_count=orders,
            is_order=method != "GET",
        )
        for method, name, handler, weight, orders in rows
    )
