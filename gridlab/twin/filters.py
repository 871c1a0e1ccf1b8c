"""The spot venue's order filters: which there are, their public form, and their exact refusals.

What asks a request alone is refused at the door with -1013; what asks the account's state is
refused by the engine with -2010. The reference price of the relative filters is the symbol's
reference price, which the twin always has: its last price. Pure: knows no account and no transport.

Source: Binance spot page "Filters"; the set of filters and the numbers that `Instrument` does not
hold are those of the spot test network's exchangeInfo of 2024-09-08.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridlab.domain.market import Instrument
from gridlab.domain.orders import OrderType, Side
from gridlab.money import ZERO, exact, is_multiple
from gridlab.twin.answers import VenueError, filter_failure
from gridlab.twin.stream_payloads import fixed

#: Decimals that a price or a quantity may carry.
MOST_DECIMALS = 8
MAX_ALGO_ORDERS = 5
ICEBERG_PARTS = 10
AVERAGE_MINUTES = 5
TRAILING_DELTA = (10, 2_000)


def public(instrument: Instrument) -> list[dict[str, Any]]:
    """The filters as exchangeInfo states them."""
    low, high = TRAILING_DELTA
    filters: list[dict[str, Any]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": _number(instrument.min_price),
            "maxPrice": _number(instrument.max_price),
            "tickSize": _number(instrument.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": _number(instrument.min_quantity),
            "maxQty": _number(instrument.max_quantity),
            "stepSize": _number(instrument.lot_size),
        },
        {"filterType": "ICEBERG_PARTS", "limit": ICEBERG_PARTS},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": _number(ZERO),
            "maxQty": _number(market_maximum(instrument)),
            "stepSize": _number(ZERO),
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": low,
            "maxTrailingAboveDelta": high,
            "minTrailingBelowDelta": low,
            "maxTrailingBelowDelta": high,
        },
    ]
    band = instrument.percent_price
    if band is not None:
        filters.append(
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": str(band.bid_up),
                "bidMultiplierDown": str(band.bid_down),
                "askMultiplierUp": str(band.ask_up),
                "askMultiplierDown": str(band.ask_down),
                "avgPriceMins": AVERAGE_MINUTES,
            }
        )
    return [*filters, *_amounts(instrument)]


def _amounts(instrument: Instrument) -> list[dict[str, Any]]:
    return [
        {
            "filterType": "NOTIONAL",
            "minNotional": _number(instrument.min_notional),
            "applyMinToMarket": True,
            "maxNotional": _number(instrument.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": AVERAGE_MINUTES,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": instrument.max_num_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_ALGO_ORDERS},
    ]


def market_maximum(instrument: Instrument) -> Decimal:
    """Largest quantity of a market order: a tenth of what a limit order may have."""
    with exact():
        return instrument.max_quantity / 10


def check_digits(name: str, value: Decimal) -> None:
    """Raise -1111 for more decimals than the venue keeps."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MOST_DECIMALS:
        raise VenueError(-1111, f"Parameter '{name}' has too much precision.")


def check_order(
    instrument: Instrument,
    side: Side,
    kind: OrderType,
    quantity: Decimal,
    price: Decimal | None,
    reference: Decimal,
) -> None:
    """Raise what the first broken filter says, in the venue's order: price, quantity, value.

    Args:
        price: of a limit order; None for a market one.
        reference: the price that relative filters, and the value of a market order, are taken from.
    """
    if price is not None:
        _check_price(instrument, price)
        _check_band(instrument, side, price, reference)
    _check_lot(instrument, quantity, kind)
    _check_value(instrument, quantity, reference if price is None else price, kind)


def check_count(instrument: Instrument, open_orders: int) -> None:
    """Raise when one more order may not be open."""
    if open_orders >= instrument.max_num_orders:
        raise filter_failure("MAX_NUM_ORDERS", by_engine=True)


def _check_price(instrument: Instrument, price: Decimal) -> None:
    is_high = 0 < instrument.max_price < price
    if price < instrument.min_price or is_high or not is_multiple(price, instrument.tick_size):
        raise filter_failure("PRICE_FILTER")


def _check_band(instrument: Instrument, side: Side, price: Decimal, reference: Decimal) -> None:
    band = instrument.percent_price
    if band is None:
        return
    is_buy = side is Side.BUY
    with exact():
        low = reference * (band.bid_down if is_buy else band.ask_down)
        high = reference * (band.bid_up if is_buy else band.ask_up)
    if not low <= price <= high:
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def _check_lot(instrument: Instrument, quantity: Decimal, kind: OrderType) -> None:
    is_high = 0 < instrument.max_quantity < quantity
    is_off = not is_multiple(quantity, instrument.lot_size)
    if quantity < instrument.min_quantity or is_high or is_off:
        raise filter_failure("LOT_SIZE")
    if kind is OrderType.MARKET and 0 < market_maximum(instrument) < quantity:
        raise filter_failure("MARKET_LOT_SIZE")


def _check_value(
    instrument: Instrument, quantity: Decimal, price: Decimal, kind: OrderType
) -> None:
    with exact():
        value = price * quantity
    is_high = kind is not OrderType.MARKET and 0 < instrument.max_notional < value
    if value < instrument.min_notional or is_high:
        raise filter_failure("NOTIONAL")


def _number(value: Decimal) -> str:
    return fixed(value, 8)
