"""The order book that the twin shows.

The matching engine knows one last price of endless depth. What is shown around it is made up, and
so stated: a level on every tick, the best bid one tick below the last price and the best ask one
tick above, with sizes that depend on symbol and price alone; our own open orders are added where
they rest. A post-only order at the best price of its own side is therefore accepted, as it should
be. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias
from zlib import crc32

from gridlab.domain.market import Instrument
from gridlab.domain.orders import OrderReport, Side
from gridlab.money import exact, rounding

Levels: TypeAlias = list[tuple[Decimal, Decimal]]

#: Levels that the book has on each side.
MOST_LEVELS = 500
#: Value of a made-up level, quote units: from the first number to the sum of both.
_LEAST_VALUE, _MORE_VALUE = 500, 20_000


def best(instrument: Instrument, last: Decimal, side: Side) -> Decimal:
    """The best price of one side: a tick from the last price, and never below a tick."""
    with exact():
        if side is Side.SELL:
            return last + instrument.tick_size
        return max(last - instrument.tick_size, instrument.tick_size)


def levels(
    instrument: Instrument, last: Decimal, side: Side, orders: Iterable[OrderReport]
) -> Levels:
    """One side, best first."""
    price = best(instrument, last, side)
    tick, lot, symbol = instrument.tick_size, instrument.lot_size, instrument.symbol
    found: Levels = []
    with exact():
        step = tick if side is Side.SELL else -tick
        own = _own(orders, side, price)
        while len(found) < MOST_LEVELS and price > 0:
            size = made_up(symbol, price, lot)
            found.append((price, size + own[price] if price in own else size))
            price += step
    return found


def top(
    instrument: Instrument, last: Decimal, side: Side, orders: Iterable[OrderReport]
) -> tuple[Decimal, Decimal]:
    """The best level of one side: what `levels` begins with."""
    price = best(instrument, last, side)
    with exact():
        own = sum(
            (o.quantity - o.executed for o in orders if o.side is side and o.price == price),
            made_up(instrument.symbol, price, instrument.lot_size),
        )
    return price, own


def _own(orders: Iterable[OrderReport], side: Side, limit: Decimal) -> dict[Decimal, Decimal]:
    """Our resting quantity by price; orders that the market is passing through are left out."""
    own: dict[Decimal, Decimal] = {}
    for order in orders:
        if order.side is not side or order.price is None:
            continue
        if order.price > limit if side is Side.BUY else order.price < limit:
            continue
        own[order.price] = own.get(order.price, Decimal(0)) + order.quantity - order.executed
    return own


@lru_cache(maxsize=200_000)
def made_up(symbol: str, price: Decimal, lot: Decimal) -> Decimal:
    """The size that nobody ordered at this price; at least a lot."""
    # The same number written with more zeros must draw the same.
    drawn = crc32(f"{symbol}{price.normalize()}".encode()) % _MORE_VALUE
    with rounding():
        return max(int((_LEAST_VALUE + drawn) / (price * lot)), 1) * lot
