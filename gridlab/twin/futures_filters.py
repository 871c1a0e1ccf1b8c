"""The USD-M venue's order filters, each with its own code.

Pure: knows no account, no book, no transport. The bounds of PERCENT_PRICE are one-sided and
measured from the mark price: a buy far below it and a sell far above it are legal.
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side
from gridlab.money import ceil_to, exact, floor_to, is_multiple, text
from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_rules import FuturesRules, decimals_of


def check_price(price: Decimal, instrument: Instrument, rules: FuturesRules) -> None:
    """Raise what the venue says of a price of its own accord: sign, digits, bounds, tick."""
    if price <= 0:
        raise refuse(-4001)
    if decimals_of(price) > rules.price_precision:
        raise refuse(-1111)
    if 0 < instrument.max_price < price:
        raise refuse(-4002)
    if price < instrument.min_price:
        raise refuse(-4013)
    if not is_multiple(price, instrument.tick_size):
        raise refuse(-4014)


def check_quantity(quantity: Decimal, instrument: Instrument, rules: FuturesRules) -> None:
    """Raise what the venue says of a quantity: sign, digits, bounds, step."""
    if quantity <= 0:
        raise refuse(-4003)
    if decimals_of(quantity) > rules.quantity_precision:
        raise refuse(-1111)
    if quantity < instrument.min_quantity:
        raise refuse(-4004)
    if 0 < instrument.max_quantity < quantity:
        raise refuse(-4005)
    if not is_multiple(quantity, instrument.lot_size):
        raise refuse(-4023)


def check_band(
    side: Side, price: Decimal, mark: Decimal, instrument: Instrument, rules: FuturesRules
) -> None:
    """Raise when a limit price is too far on the wrong side of the mark price."""
    with exact():
        highest, lowest = mark * rules.multiplier_up, mark * rules.multiplier_down
    if side is Side.BUY and price > highest:
        raise refuse(-4016, text(floor_to(highest, instrument.tick_size)))
    if side is Side.SELL and price < lowest:
        raise refuse(-4024, text(ceil_to(lowest, instrument.tick_size)))


def check_market(side: Side, last: Decimal, mark: Decimal, rules: FuturesRules) -> None:
    """Raise when a market order would trade outside of the band around the mark price."""
    with exact():
        if side is Side.BUY and last > mark * rules.multiplier_up:
            raise refuse(-4131)
        if side is Side.SELL and last < mark * rules.multiplier_down:
            raise refuse(-4131)


def check_notional(price: Decimal, quantity: Decimal, instrument: Instrument) -> None:
    """Raise when an order that opens is worth too little."""
    with exact():
        notional = price * quantity
    if notional < instrument.min_notional:
        raise refuse(-4164, text(instrument.min_notional))


def check_count(open_orders: int, instrument: Instrument) -> None:
    """Raise when one more order may not rest."""
    if open_orders >= instrument.max_num_orders:
        raise refuse(-2025)
