"""Spot's order endpoints: place, test, cancel, replace, amend, query, list.

Source: Binance spot pages "Trading endpoints" and "Account endpoints".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridlab.domain.orders import VenueStatus
from gridlab.exchange.base import Rejected
from gridlab.twin import filters, wire_spot
from gridlab.twin.answers import (
    AMEND_CHANGES_NOTHING,
    AMEND_INCREASES,
    VenueError,
    refuse,
)
from gridlab.twin.news import VenueOrder
from gridlab.twin.params import Params
from gridlab.twin.rest import Endpoint, Security, TwinRequest
from gridlab.twin.spot_new_order import NewOrder, engine_refusal, listed_symbol, one_of, read
from gridlab.twin.venue import Venue

_RESPONSES = {"ACK": wire_spot.ack, "RESULT": wire_spot.result, "FULL": wire_spot.full}
_RESTRICTIONS = {
    "ONLY_NEW": VenueStatus.NEW,
    "ONLY_PARTIALLY_FILLED": VenueStatus.PARTIALLY_FILLED,
}
_RESTRICTED = "Order was not canceled due to cancel restrictions."


# -- placing ------------------------------------------------------------------------------------


async def place(request: TwinRequest) -> Any:
    new = read(request.params, request.venue)
    return _RESPONSES[new.response](await _placed(request.venue, new))


async def test(request: TwinRequest) -> Any:
    """Parameters and filters are checked, nothing is placed and no funds are looked at."""
    new = read(request.params, request.venue)
    if not request.params.maybe_boolean("computeCommissionRates"):
        return {}
    rates = wire_spot.commission(new.request.symbol, request.venue.paper.book.fees)
    standard = {side: rates["standardCommission"][side] for side in ("maker", "taker")}
    tax = {side: rates["taxCommission"][side] for side in ("maker", "taker")}
    return {
        "standardCommissionForOrder": standard,
        "specialCommissionForOrder": dict(tax),
        "taxCommissionForOrder": tax,
        "discount": rates["discount"],
    }


async def _placed(venue: Venue, new: NewOrder) -> VenueOrder:
    placed = await venue.place(new.request, new.extras)
    if isinstance(placed, Rejected):
        raise engine_refusal(placed)
    return placed


def _test_weight(params: Params) -> int:
    return 20 if params.get("computeCommissionRates") == "true" else 1


# -- cancelling ---------------------------------------------------------------------------------


async def cancel(request: TwinRequest) -> Any:
    order = _to_cancel(request, "orderId", "origClientOrderId")
    return await _cancelled(request, order, "newClientOrderId")


async def cancel_all(request: TwinRequest) -> Any:
    """Every open order of a symbol; refused when there is none."""
    symbol = listed_symbol(request.params, request.venue)
    orders = request.venue.open_orders(symbol)
    if not orders:
        raise refuse(-2011)
    cancel_id = request.venue.new_client_id()
    rows = []
    for order in orders:
        ended = await request.venue.cancel(symbol, order.client_id, cancel_id)
        if isinstance(ended, VenueOrder):
            rows.append(wire_spot.cancelled(ended))
    return rows


def _to_cancel(request: TwinRequest, number: str, name: str) -> VenueOrder:
    """The open order that the request means; raises -2011 when there is no such."""
    params = request.params
    symbol = listed_symbol(params, request.venue)
    one_of(params, number, name)
    order_id, client_id = params.maybe_integer(number), params.get(name)
    order = request.venue.find(symbol, order_id, client_id)
    is_other = order is not None and client_id is not None and order.client_id != client_id
    if order is None or is_other or not order.is_open:
        raise refuse(-2011)
    return order


async def _cancelled(request: TwinRequest, order: VenueOrder, new_name: str) -> Any:
    params = request.params
    wanted = params.maybe_member("cancelRestrictions", _RESTRICTIONS, -1130)
    if wanted is not None and order.report.status is not _RESTRICTIONS[wanted]:
        raise VenueError(-2011, _RESTRICTED)
    cancel_id = params.maybe_client_id(new_name) or request.venue.new_client_id()
    ended = await request.venue.cancel(order.symbol, order.client_id, cancel_id)
    if isinstance(ended, Rejected):
        raise refuse(-2011)
    return wire_spot.cancelled(ended)


# -- replacing ----------------------------------------------------------------------------------

SUCCESS, FAILURE, NOT_ATTEMPTED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"


async def cancel_replace(request: TwinRequest) -> Any:
    """Cancel one order and place another; either half may fail.

    The new order's filters and the order count are judged before anything is cancelled; even a new
    order that is not attempted counts.
    """
    params, wall_ms = request.params, request.world.wall_ms()
    mode = params.member("cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"), -1130)
    quota = params.maybe_member("orderRateLimitExceededMode", ("DO_NOTHING", "CANCEL_ONLY"), -1130)
    one_of(params, "cancelOrderId", "cancelOrigClientOrderId")
    try:
        new: NewOrder | VenueError = read(params, request.venue)
        if isinstance(new, NewOrder):
            symbol = new.request.symbol
            filters.check_count(request.venue.instrument(symbol), request.venue.open_count(symbol))
    except VenueError as error:
        if "Filter failure" not in error.message:
            raise
        raise _replace_failed(400, -2022, FAILURE, FAILURE, error, error) from None
    over = _over_quota(request, wall_ms)
    if over is not None and quota != "CANCEL_ONLY":
        raise over
    request.limits.count_orders(1, wall_ms)
    return await _replaced(request, over or new, mode == "STOP_ON_FAILURE")


async def _replaced(request: TwinRequest, new: NewOrder | VenueError, stops: bool) -> Any:
    """Both halves in turn.

    Args:
        new: what to place, or why it will not be.
    """
    old = await _half_cancelled(request)
    if isinstance(old, VenueError) and stops:
        raise _replace_failed(400, -2022, FAILURE, NOT_ATTEMPTED, old, None)
    placed: Any = new
    if isinstance(new, NewOrder):
        try:
            placed = _RESPONSES[new.response](await _placed(request.venue, new))
        except VenueError as error:
            placed = error
    results = [FAILURE if isinstance(half, VenueError) else SUCCESS for half in (old, placed)]
    if results == [SUCCESS, SUCCESS]:
        return _halves(SUCCESS, SUCCESS, old, placed)
    is_quota = isinstance(placed, VenueError) and placed.status == 429
    if results == [FAILURE, FAILURE]:
        raise _replace_failed(429 if is_quota else 400, -2022, FAILURE, FAILURE, old, placed)
    raise _replace_failed(429 if is_quota else 409, -2021, results[0], results[1], old, placed)


async def _half_cancelled(request: TwinRequest) -> Any:
    """The answer to the cancel, or why it failed."""
    try:
        order = _to_cancel(request, "cancelOrderId", "cancelOrigClientOrderId")
        return await _cancelled(request, order, "cancelNewClientOrderId")
    except VenueError as error:
        return error


def _over_quota(request: TwinRequest, wall_ms: int) -> VenueError | None:
    try:
        request.limits.check_orders(1, wall_ms)
    except VenueError as error:
        return error
    return None


def _replace_failed(
    status: int, code: int, cancel_result: str, new_result: str, old: Any, new: Any
) -> VenueError:
    data = _halves(cancel_result, new_result, old, new)
    return VenueError(code, refuse(code).message, status, data)


def _halves(cancel_result: str, new_result: str, old: Any, new: Any) -> Mapping[str, Any]:
    return {
        "cancelResult": cancel_result,
        "newOrderResult": new_result,
        "cancelResponse": old.refusal.body() if isinstance(old, VenueError) else old,
        "newOrderResponse": new.refusal.body() if isinstance(new, VenueError) else new,
    }


# -- amending -----------------------------------------------------------------------------------


async def amend(request: TwinRequest) -> Any:
    """Make an open order smaller; it keeps its number and its place in the queue."""
    params, venue = request.params, request.venue
    symbol = listed_symbol(params, venue)
    one_of(params, "orderId", "origClientOrderId")
    quantity = params.decimal("newQty")
    order = venue.find(symbol, params.maybe_integer("orderId"), params.get("origClientOrderId"))
    if order is None or not order.is_open:
        raise VenueError(-2013, "Order does not exist.")
    report = order.report
    if quantity > report.quantity:
        raise VenueError(-2038, AMEND_INCREASES)
    if quantity == report.quantity:
        raise VenueError(-2038, AMEND_CHANGES_NOTHING)
    if quantity <= report.executed:
        raise VenueError(-2038, "Order amend is not supported: quantity was executed already.")
    filters.check_order(
        venue.instrument(symbol),
        report.side,
        report.type,
        quantity,
        report.price,
        venue.price(symbol),
    )
    new_id = params.maybe_client_id("newClientOrderId") or venue.new_client_id()
    changed = await venue.amend(symbol, order.client_id, quantity=quantity, new_client_id=new_id)
    if isinstance(changed, Rejected):
        raise engine_refusal(changed)
    return wire_spot.amended(changed, order.client_id, venue.last_execution_id)


# -- asking -------------------------------------------------------------------------------------


async def query(request: TwinRequest) -> Any:
    params = request.params
    symbol = listed_symbol(params, request.venue)
    one_of(params, "orderId", "origClientOrderId")
    order = request.history.order(
        symbol,
        params.maybe_integer("orderId"),
        params.get("origClientOrderId"),
        request.stale_ms,
    )
    if order is None:
        raise refuse(-2013)
    return wire_spot.queried(order)


async def open_orders(request: TwinRequest) -> Any:
    symbol = None
    if "symbol" in request.params:
        symbol = listed_symbol(request.params, request.venue)
    orders = request.history.open_orders(symbol, request.stale_ms)
    return [wire_spot.queried(order) for order in orders]


async def all_orders(request: TwinRequest) -> Any:
    params = request.params
    symbol = listed_symbol(params, request.venue)
    start_ms, end_ms = time_window(params)
    limit = params.limit(500, 1_000)
    from_id = params.maybe_integer("orderId")
    rows = [
        order
        for order in request.history.orders(symbol, request.stale_ms)
        if (from_id is None or order.order_id >= from_id)
        and (start_ms is None or order.report.created_ms >= start_ms)
        and (end_ms is None or order.report.created_ms <= end_ms)
    ]
    is_forward = from_id is not None or start_ms is not None
    return [wire_spot.queried(order) for order in (rows[:limit] if is_forward else rows[-limit:])]


def time_window(params: Params) -> tuple[int | None, int | None]:
    """(startTime, endTime), at most 24 hours apart."""
    start_ms, end_ms = params.maybe_integer("startTime"), params.maybe_integer("endTime")
    if start_ms is not None and end_ms is not None:
        if end_ms < start_ms:
            raise VenueError(-1127, "Start time is greater than end time.")
        if end_ms - start_ms > 86_400_000:
            raise VenueError(-1127, "More than 24 hours between startTime and endTime.")
    return start_ms, end_ms


async def order_counts(request: TwinRequest) -> Any:
    return request.limits.order_rows(request.world.wall_ms())


_SIGNED = Security.SIGNED
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST", "/api/v3/order", place, 1, _SIGNED, order_count=1, is_order=True, is_free=True
    ),
    Endpoint("POST", "/api/v3/order/test", test, _test_weight, _SIGNED),
    Endpoint("DELETE", "/api/v3/order", cancel, 1, _SIGNED, is_order=True, is_free=True),
    Endpoint("GET", "/api/v3/order", query, 4, _SIGNED),
    Endpoint("DELETE", "/api/v3/openOrders", cancel_all, 1, _SIGNED, is_order=True, is_free=True),
    Endpoint(
        "GET", "/api/v3/openOrders", open_orders, lambda p: 6 if "symbol" in p else 80, _SIGNED
    ),
    Endpoint("GET", "/api/v3/allOrders", all_orders, 20, _SIGNED),
    Endpoint(
        "POST",
        "/api/v3/order/cancelReplace",
        cancel_replace,
        1,
        _SIGNED,
        is_order=True,
        is_free=True,
        shows_orders=True,
    ),
    Endpoint("PUT", "/api/v3/order/amend/keepPriority", amend, 4, _SIGNED, is_order=True),
    Endpoint("GET", "/api/v3/rateLimit/order", order_counts, 40, _SIGNED),
)
