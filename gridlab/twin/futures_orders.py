"""USD-M's order endpoints: place, change, cancel, query, in ones and in batches.

A post-only order that would trade is refused with nothing recorded; so is a fill-or-kill order that
would not. The account trades in one-way mode; in hedge mode, which can be set, it takes no order.

Source: Binance's USD-M pages "Trade Endpoints"; weights and limits from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from gridlab.domain.orders import OrderType, VenueStatus
from gridlab.exchange.base import RejectCode, Rejected
from gridlab.money import ZERO
from gridlab.twin import wire_futures as wire
from gridlab.twin.answers import VenueError
from gridlab.twin.futures_filters import check_band, check_price, check_quantity
from gridlab.twin.futures_order_reading import Draft, read_client_id, read_order
from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_requests import (
    FOREVER_MS,
    by_symbol,
    listed,
    maybe_listed,
    member,
    times,
)
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.news import VenueOrder
from gridlab.twin.params import Params
from gridlab.twin.rest import Endpoint, Security, TwinRequest
from gridlab.twin.wire_futures import OrderFacts

DAY_MS = 86_400_000
LONGEST_WINDOW_MS = 7 * DAY_MS
#: Cancelled and expired orders without a fill are gone after so long.
FORGOTTEN_MS = 3 * DAY_MS
MOST_PLACED, MOST_CANCELLED, MOST_CHANGES = 5, 10, 10_000
BOTH_IDS_MISSING = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"

_CODES = {
    RejectCode.INSUFFICIENT_BALANCE: -2019,
    RejectCode.MARGIN: -2019,
    RejectCode.WOULD_TAKE: -5022,
    RejectCode.DUPLICATE: -4116,
    RejectCode.NOT_OPEN: -2011,
    RejectCode.MARKET_CLOSED: -4140,
    RejectCode.INVALID_SYMBOL: -1121,
    RejectCode.TOO_MANY_ORDERS: -2025,
}


def refused(rejected: Rejected) -> VenueError:
    """The venue's answer for what its engine refused."""
    if rejected.code == RejectCode.REDUCE_ONLY:
        covers_already = rejected.reason.startswith("ReduceOnly Order Failed")
        return refuse(-4118 if covers_already else -2022)
    code = _CODES.get(rejected.code)
    return VenueError(-1013, rejected.reason) if code is None else refuse(code)


def facts(state: FuturesState, order: VenueOrder) -> OrderFacts:
    """What answers tell of an order."""
    kind = "MARKET" if order.report.type is OrderType.MARKET else "LIMIT"
    extras = order.extras
    return OrderFacts(
        report=order.report,
        kind=kind,
        original=extras.original_type or kind,
        time_in_force=extras.time_in_force,
        status=order.status,
        quote=order.quote_executed,
        is_reduce_only=extras.is_reduce_only or state.book.is_reduce_only(order.report.order_id),
        stp_mode=extras.stp_mode,
        good_till_ms=extras.good_till_ms,
    )


# -- placing ------------------------------------------------------------------------------------


async def place(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return await _place(state, request.params)


async def _place(state: FuturesState, params: Params) -> dict[str, Any]:
    draft = read_order(state, params)
    order = await send(state, draft)
    shown = facts(state, order)
    if not draft.is_result:
        fresh = replace(order.report, executed=ZERO, status=VenueStatus.NEW)
        shown = replace(shown, report=fresh, status="NEW")
    return wire.placed(shown, state.rules(order.symbol))


async def send(state: FuturesState, draft: Draft) -> VenueOrder:
    """Hand a checked order to the engine; raises what it refuses."""
    request, extras = draft.request, draft.extras
    if request.price is not None and extras.time_in_force in ("GTX", "FOK"):
        takes = state.venue.would_take(request.symbol, request.side, request.price)
        if takes is (extras.time_in_force == "GTX"):
            raise refuse(-5022 if takes else -5021)
    order = await state.venue.place(request, extras)
    if isinstance(order, Rejected):
        raise refused(order)
    if extras.good_till_ms and order.is_open:
        state.good_till[(order.symbol, order.client_id)] = extras.good_till_ms
    return order


async def test(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    """Check an order and send nothing; the engine's own refusals can't be known."""
    read_order(state, request.params)
    return {}


async def place_batch(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    return await _each(request.params, MOST_PLACED, partial(_place, state))


async def modify_batch(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    return await _each(request.params, MOST_PLACED, partial(_modify, state))


async def _each(params: Params, most: int, action: Callable[[Params], Any]) -> list[dict[str, Any]]:
    """Do `action` to every order of a batch; one that is refused does not stop the others."""
    answers: list[dict[str, Any]] = []
    orders = _batch(params)
    if not 1 <= len(orders) <= most:
        raise refuse(-4082)
    for order in orders:
        try:
            answers.append(await action(order))
        except VenueError as error:
            answers.append(error.refusal.body())
    return answers


def _batch(params: Params) -> list[Params]:
    """The orders of `batchOrders`, a JSON list of objects."""
    found = _json_list(params, "batchOrders")
    if not all(isinstance(order, dict) for order in found):
        raise refuse(-1130, "batchorders")
    return [
        Params({name: _plain(value) for name, value in order.items()}, is_case_blind=True)
        for order in found
    ]


def _json_list(params: Params, name: str) -> list[Any]:
    try:
        # Numbers stay as they were written; a float would lose digits.
        found = json.loads(params.text(name), parse_float=str, parse_int=str)
    except ValueError:
        raise refuse(-1130, name.lower()) from None
    if not isinstance(found, list):
        raise refuse(-1130, name.lower())
    return found


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def batch_size(params: Params) -> int:
    """How many orders a batch counts as."""
    try:
        return max(1, len(_batch(params)))
    except VenueError:
        return 1


# -- changing -----------------------------------------------------------------------------------


async def modify(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    return await _modify(state, request.params)


async def _modify(state: FuturesState, params: Params) -> dict[str, Any]:
    """Change price and quantity in place; what can't go on as asked for is cancelled."""
    symbol = listed(state, params)
    order = _named(state, params, symbol, 0)
    side = member(params, "side", ("BUY", "SELL"), -1117)
    price, quantity = params.decimal("price"), params.decimal("quantity")
    if order is None or not order.is_open:
        raise refuse(-2013)
    if order.report.type is OrderType.MARKET:
        raise refuse(-5025)
    if side != order.report.side.upper():
        raise refuse(-1117)
    _check_change(state, order, price, quantity)
    report = order.report
    is_eaten = report.executed > 0 and quantity <= report.executed
    takes = state.venue.would_take(symbol, report.side, price)
    if is_eaten or (takes and order.extras.time_in_force == "GTX"):
        changed = await state.venue.cancel(symbol, order.client_id)
    else:
        changed = await state.venue.amend(symbol, order.client_id, price=price, quantity=quantity)
    if isinstance(changed, Rejected):
        raise refused(changed)
    state.modified[order.order_id] = state.modified.get(order.order_id, 0) + 1
    return wire.placed(facts(state, changed), state.rules(symbol))


def _check_change(
    state: FuturesState, order: VenueOrder, price: Decimal, quantity: Decimal
) -> None:
    instrument, rules = state.venue.instrument(order.symbol), state.rules(order.symbol)
    check_price(price, instrument, rules)
    check_quantity(quantity, instrument, rules)
    check_band(order.report.side, price, state.mark_price(order.symbol), instrument, rules)
    if price * quantity < instrument.min_notional and not order.extras.is_reduce_only:
        raise refuse(-5029, instrument.min_notional)
    if (price, quantity) == (order.report.price, order.report.quantity):
        raise refuse(-5027)
    if state.modified.get(order.order_id, 0) >= MOST_CHANGES:
        raise refuse(-5026)


# -- cancelling ---------------------------------------------------------------------------------


async def cancel(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    symbol = listed(state, request.params)
    return await _cancel(state, symbol, _named(state, request.params, symbol, 0))


async def _cancel(state: FuturesState, symbol: str, order: VenueOrder | None) -> dict[str, Any]:
    if order is None:
        raise refuse(-2011)
    ended = await state.venue.cancel(symbol, order.client_id) if order.is_open else None
    if ended is None or isinstance(ended, Rejected):
        raise refuse(-2011)
    return wire.placed(facts(state, ended), state.rules(symbol))


async def cancel_batch(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    params = request.params
    symbol = listed(state, params)
    if params.has_any("orderIdList"):
        numbers = [str(number) for number in _json_list(params, "orderIdList")]
        if not all(number.isdecimal() for number in numbers):
            raise refuse(-1130, "orderidlist")
        orders = [state.venue.find(symbol, int(number), None) for number in numbers]
    elif params.has_any("origClientOrderIdList"):
        names = _json_list(params, "origClientOrderIdList")
        orders = [state.venue.find(symbol, None, str(name)) for name in names]
    else:
        raise VenueError(-1102, BOTH_IDS_MISSING)
    if not 1 <= len(orders) <= MOST_CANCELLED:
        raise VenueError(-4032, "Exceed maximum cancel order size.")
    answers = []
    for order in orders:
        try:
            answers.append(await _cancel(state, symbol, order))
        except VenueError as error:
            answers.append(error.refusal.body())
    return answers


async def cancel_all(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    """End every order of a symbol; none to end is a success too."""
    symbol = listed(state, request.params)
    await end_all(state, symbol)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


async def end_all(state: FuturesState, symbol: str) -> None:
    """Cancel every order in the book of a symbol; conditional orders are not in it."""
    for order in state.venue.open_orders(symbol):
        await state.venue.cancel(symbol, order.client_id)


async def countdown(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    """The dead man's switch: cancel all after so long, unless it is called again; 0 disarms."""
    symbol = listed(state, request.params)
    after_ms = request.params.integer("countdownTime")
    if after_ms:
        state.countdowns[symbol] = state.wall_ms() + after_ms
    else:
        state.countdowns.pop(symbol, None)
    return {"symbol": symbol, "countdownTime": str(after_ms)}


# -- queries ------------------------------------------------------------------------------------


def _named(state: FuturesState, params: Params, symbol: str, lag_ms: int) -> VenueOrder | None:
    """The order that `orderId` or `origClientOrderId` names, as it was `lag_ms` ago."""
    number = params.maybe_integer("orderId")
    client_id = read_client_id(params, "origClientOrderId")
    if number is None and client_id is None:
        raise VenueError(-1102, BOTH_IDS_MISSING)
    return state.history.order(symbol, number, client_id, lag_ms)


def _is_remembered(order: VenueOrder, now_ms: int) -> bool:
    """Whether queries still tell of it."""
    report = order.report
    is_idle = not order.is_open and not report.executed
    return not is_idle or report.updated_ms > now_ms - FORGOTTEN_MS


async def query(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    symbol = listed(state, request.params)
    order = _named(state, request.params, symbol, request.stale_ms)
    if order is None or not _is_remembered(order, request.now_ms):
        raise refuse(-2013)
    return wire.queried(facts(state, order), state.rules(symbol))


async def query_open(state: FuturesState, request: TwinRequest) -> dict[str, Any]:
    symbol = listed(state, request.params)
    order = _named(state, request.params, symbol, request.stale_ms)
    if order is None or not order.is_open:
        raise refuse(-2013)
    return wire.queried(facts(state, order), state.rules(symbol))


async def open_orders(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    symbol = maybe_listed(state, request.params)
    orders = state.history.open_orders(symbol, request.stale_ms)
    return [wire.queried(facts(state, order), state.rules(order.symbol)) for order in orders]


async def all_orders(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """Orders from an id or a time on; without either the newest."""
    params = request.params
    symbol = listed(state, params)
    limit = params.limit(500, 1_000)
    from_id = params.maybe_integer("orderId")
    start_ms, until_ms = window(params, request.now_ms)
    found = [
        order
        for order in state.history.orders(symbol, request.stale_ms)
        if _is_remembered(order, request.now_ms)
        and order.order_id >= (from_id or 0)
        and (from_id is not None or start_ms <= order.report.created_ms <= until_ms)
    ]
    is_from_start = from_id is not None or "startTime" in params
    found = found[:limit] if is_from_start else found[-limit:]
    rules = state.rules(symbol)
    return [wire.queried(facts(state, order), rules) for order in found]


def window(params: Params, now_ms: int) -> tuple[int, int]:
    """(start, end) of a history read, seven days at most and by default the last seven.

    Raises:
        VenueError: -4165 for a longer one.
    """
    start_ms, end_ms = times(params)
    if start_ms is not None and end_ms is not None and end_ms - start_ms > LONGEST_WINDOW_MS:
        raise refuse(-4165, LONGEST_WINDOW_MS // DAY_MS)
    if start_ms is not None:
        return start_ms, min(FOREVER_MS, end_ms or start_ms + LONGEST_WINDOW_MS)
    end_ms = FOREVER_MS if end_ms is None else end_ms
    return min(end_ms, now_ms) - LONGEST_WINDOW_MS, end_ms


async def user_trades(state: FuturesState, request: TwinRequest) -> list[dict[str, Any]]:
    """The account's trades from an id or a time on; without either the oldest of seven days."""
    params = request.params
    symbol = listed(state, params)
    limit = params.limit(500, 1_000)
    from_id, order_id = params.maybe_integer("fromId"), params.maybe_integer("orderId")
    if from_id is not None and params.has_any("startTime", "endTime"):
        raise refuse(-1128)
    start_ms, until_ms = window(params, request.now_ms)
    found = [
        trade
        for trade in state.history.trades(symbol, request.stale_ms)
        if (order_id is None or int(trade.order_id) == order_id)
        and (trade.trade_id >= from_id if from_id is not None else True)
        and (from_id is not None or start_ms <= trade.time_ms <= until_ms)
    ]
    is_until = "endTime" in params and "startTime" not in params
    found = found[-limit:] if is_until else found[:limit]
    rules = state.rules(symbol)
    return [
        wire.user_trade(trade, state.figures.realized(symbol, trade.trade_id), rules)
        for trade in found
    ]


def endpoints(state: FuturesState) -> tuple[Endpoint, ...]:
    """The endpoints of this module over one futures market."""

    def changes(
        method: str, name: str, handler: Any, weight: int, order_count: Any = 0
    ) -> Endpoint:
        return Endpoint(
            method,
            f"/fapi/v1/{name}",
            partial(handler, state),
            weight,
            Security.SIGNED,
            order_count=order_count,
            is_order=True,
        )

    def reads(name: str, handler: Any, weight: Any) -> Endpoint:
        path = f"/fapi/v1/{name}"
        return Endpoint("GET", path, partial(handler, state), weight, Security.SIGNED)

    return (
        changes("POST", "order", place, 0, 1),
        changes("PUT", "order", modify, 1, 1),
        changes("DELETE", "order", cancel, 1),
        Endpoint("POST", "/fapi/v1/order/test", partial(test, state), 0, Security.SIGNED),
        changes("POST", "batchOrders", place_batch, 5, batch_size),
        changes("PUT", "batchOrders", modify_batch, 5, batch_size),
        changes("DELETE", "batchOrders", cancel_batch, 1),
        changes("DELETE", "allOpenOrders", cancel_all, 1),
        changes("POST", "countdownCancelAll", countdown, 10),
        reads("order", query, 1),
        reads("openOrder", query_open, 1),
        reads("openOrders", open_orders, by_symbol(1, 40)),
        reads("allOrders", all_orders, 5),
        reads("userTrades", user_trades, 5),
    )
