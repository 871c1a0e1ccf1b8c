"""A request to place a USD-M order: read, checked against the rules, ready for the engine.

Everything here is decided before the engine sees the order: the first rule that is broken refuses
it with its code. Nothing is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.twin import futures_filters as filters
from gridlab.twin.answers import VenueError
from gridlab.twin.futures_algo import AlgoType
from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_requests import FOREVER_MS, listed, maybe_member, member
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.news import OrderExtras
from gridlab.twin.params import Params
from gridlab.twin.self_trades import EXPIRE_MAKER, STP_MODES

TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX", "GTD")
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_CLIENT_ID = re.compile(CLIENT_ID)
LONGEST_ID = 36
#: A GTD order must live for so long at least.
GTD_LEAST_MS = 600_000
#: What both sides of a hedge would be, and that the twin's account does not trade.
NO_HEDGE = "User can not place order currently"


@dataclass(frozen=True, slots=True)
class Draft:
    """An order that passed every rule.

    Args:
        is_result: the answer tells what became of it, not only that it arrived.
    """

    request: OrderRequest
    extras: OrderExtras
    is_result: bool


def read_order(state: FuturesState, params: Params) -> Draft:
    """The order that a placement asks for.

    Raises:
        VenueError: the venue's refusal of the first thing that is wrong.
    """
    symbol = listed(state, params)
    instrument = state.venue.instrument(symbol)
    side = Side(member(params, "side", ("BUY", "SELL"), -1117).lower())
    kind = _kind(params)
    check_position_side(state, params)
    if params.get("closePosition") in ("true", "TRUE"):
        raise refuse(-4120)
    time_in_force, price = _terms(params, kind)
    quantity = params.decimal("quantity")
    is_reduce_only = params.maybe_boolean("reduceOnly") or False
    client_id = read_client_id(params, "newClientOrderId")
    extras = OrderExtras(
        time_in_force=time_in_force,
        stp_mode=read_stp_mode(params),
        is_reduce_only=is_reduce_only,
        good_till_ms=_good_till(state, params, time_in_force),
        is_id_chosen=client_id is not None,
    )
    is_result = maybe_member(params, "newOrderRespType", ("ACK", "RESULT"), -1136) == "RESULT"
    check_rules(state, instrument, side, price, quantity, is_reduce_only=is_reduce_only)
    request = OrderRequest(
        client_id=client_id or state.venue.new_client_id(),
        symbol=symbol,
        market=Market.FUTURES,
        side=side,
        type=_engine_type(time_in_force, price),
        quantity=quantity,
        price=price,
        reduce_only=is_reduce_only,
    )
    return Draft(request, extras, is_result)


def check_rules(
    state: FuturesState,
    instrument: Instrument,
    side: Side,
    price: Decimal | None,
    quantity: Decimal,
    *,
    is_reduce_only: bool,
) -> None:
    """Raise the first filter that an order breaks; an order without a price is a market order."""
    rules, mark = state.rules(instrument.symbol), state.mark_price(instrument.symbol)
    if price is not None:
        filters.check_price(price, instrument, rules)
    filters.check_quantity(quantity, instrument, rules)
    if instrument.status != "TRADING" and not is_reduce_only:
        raise refuse(-4140)
    if price is None:
        filters.check_market(side, state.venue.price(instrument.symbol), mark, rules)
    else:
        filters.check_band(side, price, mark, instrument, rules)
        filters.check_count(state.venue.open_count(instrument.symbol), instrument)
    if not is_reduce_only:
        filters.check_notional(mark if price is None else price, quantity, instrument)


def check_position_side(state: FuturesState, params: Params) -> None:
    """Raise unless the order is for the one net position of one-way mode."""
    side = params.get("positionSide")
    if side not in (None, "BOTH", "LONG", "SHORT"):
        raise refuse(-4060)
    if not state.is_hedged:
        if side in ("LONG", "SHORT"):
            raise refuse(-4061)
        return
    if side in (None, "BOTH"):
        raise refuse(-4061)
    params.forbid("reduceOnly")
    raise VenueError(-4088, NO_HEDGE)


def read_client_id(params: Params, name: str) -> str | None:
    """The caller's name for the order; raises for one that the venue does not take."""
    value = params.get(name)
    if value is not None and len(value) > LONGEST_ID:
        raise refuse(-4015)
    if value is not None and _CLIENT_ID.fullmatch(value) is None:
        raise refuse(-1100, name.lower(), CLIENT_ID)
    return value


def read_stp_mode(params: Params) -> str:
    """What shall happen when the order would meet the account's own."""
    return maybe_member(params, "selfTradePreventionMode", STP_MODES, -5039) or EXPIRE_MAKER


def _kind(params: Params) -> str:
    kind = params.text("type")
    if kind in set(AlgoType):
        raise refuse(-4120)
    if kind not in ("LIMIT", "MARKET"):
        raise refuse(-1116)
    return kind


def _terms(params: Params, kind: str) -> tuple[str, Decimal | None]:
    """(time in force, price) as the order's type wants them."""
    params.forbid("stopPrice", "activationPrice", "callbackRate")
    if params.get("priceMatch") not in (None, "NONE"):
        # Orders that follow the book's best price are not traded here.
        raise refuse(-1130, "pricematch")
    if kind == "MARKET":
        params.forbid("timeInForce", "price")
        return "GTC", None
    return member(params, "timeInForce", TIMES_IN_FORCE, -1115), params.decimal("price")


def _good_till(state: FuturesState, params: Params, time_in_force: str) -> int:
    if time_in_force != "GTD":
        return 0
    end_ms = params.integer("goodTillDate")
    if not state.venue.now_ms() + GTD_LEAST_MS < end_ms < FOREVER_MS:
        raise refuse(-5040)
    return end_ms


def _engine_type(time_in_force: str, price: Decimal | None) -> OrderType:
    if price is None:
        return OrderType.MARKET
    return OrderType.LIMIT_MAKER if time_in_force == "GTX" else OrderType.LIMIT
