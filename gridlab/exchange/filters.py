"""A venue's order filters, with the venue's own arithmetic.

`refusal` says which filter an order breaks, in a sentence with the value, the limit and the remedy.
Pure: knows no account, no book and no transport. Source of the arithmetic: Binance's spot filters
(steps are tested as `value % step == 0`, not as a distance from the minimum; every bound is
inclusive; a maximum of zero switches that bound off).
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.market import Instrument
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.money import exact, is_multiple, text


def refusal(
    request: OrderRequest, instrument: Instrument, last_price: Decimal | None
) -> str | None:
    """The first filter that `request` breaks, as a sentence; None when it passes them all.

    The number of open orders is not judged here, see `count_refusal`. A reduce-only order may be
    worth less than the minimum, so that a small position can be closed.

    Args:
        last_price: reference of PERCENT_PRICE_BY_SIDE and the notional of a market order. Binance
            takes a five-minute average where it has one; the last price stands in for it here. None
            before any price is known: then neither can be judged, and both pass.
    """
    if request.price is not None:
        problem = _price_problem(request.price, instrument)
        if problem is None and last_price is not None:
            problem = _percent_problem(request, request.price, instrument, last_price)
        if problem is not None:
            return problem
    problem = _lot_problem(request.quantity, instrument)
    if problem is None:
        price = last_price if request.price is None else request.price
        if price is not None:
            problem = _notional_problem(price, request, instrument)
    return problem


def _price_problem(price: Decimal, instrument: Instrument) -> str | None:
    if price < instrument.min_price:
        return _below("PRICE_FILTER", "price", price, instrument.min_price)
    if 0 < instrument.max_price < price:
        return _above("PRICE_FILTER", "price", price, instrument.max_price)
    if not is_multiple(price, instrument.tick_size):
        return (
            f"Filter failure: PRICE_FILTER: price {text(price)} is not a multiple of the tick size "
            f"{text(instrument.tick_size)}; round it to the tick"
        )
    return None


def _percent_problem(
    request: OrderRequest, price: Decimal, instrument: Instrument, last_price: Decimal
) -> str | None:
    band = instrument.percent_price
    if band is None:
        return None
    is_buy = request.side is Side.BUY
    with exact():
        low = last_price * (band.bid_down if is_buy else band.ask_down)
        high = last_price * (band.bid_up if is_buy else band.ask_up)
    if price < low:
        return _below("PERCENT_PRICE_BY_SIDE", f"{request.side} price", price, low)
    if price > high:
        return _above("PERCENT_PRICE_BY_SIDE", f"{request.side} price", price, high)
    return None


def _lot_problem(quantity: Decimal, instrument: Instrument) -> str | None:
    if quantity < instrument.min_quantity:
        return _below("LOT_SIZE", "quantity", quantity, instrument.min_quantity)
    if 0 < instrument.max_quantity < quantity:
        return _above("LOT_SIZE", "quantity", quantity, instrument.max_quantity)
    if not is_multiple(quantity, instrument.lot_size):
        return (
            f"Filter failure: LOT_SIZE: quantity {text(quantity)} is not a multiple of the lot "
            f"size {text(instrument.lot_size)}; round it down to the lot"
        )
    return None


def _notional_problem(price: Decimal, request: OrderRequest, instrument: Instrument) -> str | None:
    with exact():
        notional = price * request.quantity
    if notional < instrument.min_notional and not request.reduce_only:
        return _below("NOTIONAL", "price x quantity", notional, instrument.min_notional)
    if 0 < instrument.max_notional < notional:
        return _above("NOTIONAL", "price x quantity", notional, instrument.max_notional)
    return None


def count_refusal(request: OrderRequest, instrument: Instrument, open_orders: int) -> str | None:
    """Why the venue takes no further open order, as a sentence; None when it does.

    Args:
        open_orders: how many orders the account has open on the symbol, this one not included.
    """
    # A market order never rests, so it takes no place among the open ones.
    if request.type is OrderType.MARKET or open_orders < instrument.max_num_orders:
        return None
    return (
        f"Filter failure: MAX_NUM_ORDERS: {open_orders} orders are open on {instrument.symbol} and "
        f"the limit is {instrument.max_num_orders}; cancel one first"
    )


def _below(rule: str, name: str, value: Decimal, limit: Decimal) -> str:
    return (
        f"Filter failure: {rule}: {name} {text(value)} is below the minimum {text(limit)}; raise it"
    )


def _above(rule: str, name: str, value: Decimal, limit: Decimal) -> str:
    return (
        f"Filter failure: {rule}: {name} {text(value)} is above the maximum {text(limit)}; lower it"
    )
