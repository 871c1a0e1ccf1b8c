"""The venue's rules for one order, checked before it is sent.

Each broken rule is named as Binance names its filter, with the value, the limit and the remedy. The
core asks here before every placement, the pre-flight for every planned order, so that what the one
certifies the other sends. Source: Binance spot filters; all comparisons are inclusive, and a
maximum of zero switches that bound off.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side
from gridlab.money import ceil_to, floor_to, is_multiple, rounding, text


def broken_rules(
    instrument: Instrument, side: Side, price: Decimal, quantity: Decimal, reference_price: Decimal
) -> Iterator[tuple[str, str]]:
    """(rule, sentence) for each venue rule that this order would break; none if it may be sent.

    Args:
        price: limit price, or the last price for a market order.
        reference_price: what the percent-price band is measured from.
    """
    yield from _price_rules(instrument, price)
    yield from _quantity_rules(instrument, quantity)
    yield from _notional_rules(instrument, price * quantity)
    yield from _band_rules(instrument, side, price, reference_price)


def smallest_quantity(instrument: Instrument, price: Decimal) -> Decimal:
    """The least quantity on the lot that passes LOT_SIZE and NOTIONAL at `price`."""
    with rounding():
        by_value = instrument.min_notional / price
    return max(
        ceil_to(by_value, instrument.lot_size),
        ceil_to(instrument.min_quantity, instrument.lot_size),
    )


def part_for_market(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """As much of `quantity` as one market order may carry at `price`, on the lot."""
    part = quantity
    if instrument.max_quantity > 0:
        part = min(part, instrument.max_quantity)
    if instrument.max_notional > 0:
        with rounding():
            part = min(part, instrument.max_notional / price)
    return floor_to(part, instrument.lot_size)


def _price_rules(instrument: Instrument, price: Decimal) -> Iterator[tuple[str, str]]:
    if not instrument.min_price <= price or 0 < instrument.max_price < price:
        yield (
            "price_filter",
            f"price {text(price)} is outside {text(instrument.min_price)} to "
            f"{text(instrument.max_price)}; move the range",
        )
    if not is_multiple(price, instrument.tick_size):
        yield (
            "price_filter",
            f"price {text(price)} is not a multiple of the tick size {text(instrument.tick_size)}",
        )


def _quantity_rules(instrument: Instrument, quantity: Decimal) -> Iterator[tuple[str, str]]:
    if not instrument.min_quantity <= quantity or 0 < instrument.max_quantity < quantity:
        yield (
            "lot_size",
            f"quantity {text(quantity)} {instrument.base} is outside "
            f"{text(instrument.min_quantity)} to {text(instrument.max_quantity)}; change the "
            "investment or the number of levels",
        )
    if not is_multiple(quantity, instrument.lot_size):
        yield (
            "lot_size",
            f"quantity {text(quantity)} is not a multiple of the lot size "
            f"{text(instrument.lot_size)}",
        )


def _notional_rules(instrument: Instrument, notional: Decimal) -> Iterator[tuple[str, str]]:
    if notional < instrument.min_notional:
        yield (
            "min_notional",
            f"order value {text(notional)} {instrument.quote} is below the venue's minimum "
            f"{text(instrument.min_notional)}; invest more or use fewer levels",
        )
    if 0 < instrument.max_notional < notional:
        yield (
            "max_notional",
            f"order value {text(notional)} {instrument.quote} is above the venue's maximum "
            f"{text(instrument.max_notional)}; invest less or use more levels",
        )


def _band_rules(
    instrument: Instrument, side: Side, price: Decimal, reference_price: Decimal
) -> Iterator[tuple[str, str]]:
    band = instrument.percent_price
    if band is None:
        return
    down, up = (band.bid_down, band.bid_up) if side is Side.BUY else (band.ask_down, band.ask_up)
    low, high = reference_price * down, reference_price * up
    if not low <= price <= high:
        yield (
            "percent_price",
            f"{side} at {text(price)} is outside the venue's band {text(low)} to {text(high)} "
            f"around {text(reference_price)}; narrow the range",
        )
