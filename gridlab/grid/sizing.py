"""How large a grid's orders are and what they need: quantities, purchase, capital, margin.

Pure arithmetic on a spec, an instrument and lines. Knows no findings: it sizes what may not start.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from gridlab.domain.market import FeeMode, Instrument
from gridlab.domain.spec import GridSpec
from gridlab.money import ONE, ZERO, ceil_to, round_to, rounding

#: Decimals of a balance: what a venue locks for a fee is rounded up to them.
BALANCE_DECIMALS = 8


class Need(NamedTuple):
    """Quote units that the purchase and the resting buys need, and the fees beside them."""

    value: Decimal
    fees: Decimal

    @property
    def capital(self) -> Decimal:
        return self.value + self.fees

    def margin(self, spec: GridSpec, instrument: Instrument) -> Decimal:
        """What the account must have of it, rounded up to what a balance can hold."""
        if spec.leverage == 1:
            return self.capital
        with rounding():
            margin = self.value / spec.leverage
        return ceil_to(margin, _commission_step(instrument)) + self.fees


def round_profit(spec: GridSpec, lower: Decimal, upper: Decimal, quantity: Decimal) -> Decimal:
    """Quote units earned by one buy at `lower` and one sell at `upper`, after maker fees on both.

    Fees taken in base shorten the sale; all other modes cost their value in quote.
    """
    fee = spec.fees.maker
    if spec.fees.mode is FeeMode.RECEIVED:
        return upper * quantity * (ONE - fee) * (ONE - fee) - lower * quantity
    return upper * quantity * (ONE - fee) - lower * quantity * (ONE + fee)


def initial_quantity(
    spec: GridSpec, instrument: Instrument, quantity: Decimal, sells: int
) -> Decimal:
    """Base units to buy so that, after a fee taken in base, every sell can have `quantity`."""
    wanted = quantity * sells
    rate = base_fee(spec)
    if not wanted:
        return ZERO
    step = _commission_step(instrument)
    with rounding():
        initial = ceil_to(wanted / (ONE - rate), instrument.lot_size)
        if initial - round_to(initial * rate, step) < wanted:
            # The venue rounds its commission, half a step in its own favour at worst.
            initial = ceil_to((wanted + step / 2) / (ONE - rate), instrument.lot_size)
    return initial


def needed(
    spec: GridSpec,
    instrument: Instrument,
    price: Decimal,
    buy_lines: tuple[Decimal, ...],
    quantity: Decimal,
    initial: Decimal,
) -> Need:
    """What the purchase and the resting buys lock, each with its rounded-up fee."""
    taker, maker = _quote_rates(spec)
    step = _commission_step(instrument)
    purchase = price * initial
    resting = [price * quantity for price in buy_lines]
    fees = ceil_to(purchase * taker, step) + sum((ceil_to(v * maker, step) for v in resting), ZERO)
    return Need(purchase + sum(resting, ZERO), fees)


def _quote_rates(spec: GridSpec) -> tuple[Decimal, Decimal]:
    """(taker, maker) to keep ready in quote; a rebate comes too late to pay for an order."""
    if spec.fees.mode is FeeMode.RECEIVED:
        return ZERO, ZERO
    return max(spec.fees.taker, ZERO), max(spec.fees.maker, ZERO)


def _commission_step(instrument: Instrument) -> Decimal:
    """The finest fee that can be told apart: the venue's, and no finer than a spot balance."""
    return Decimal((0, (1,), -min(instrument.commission_precision, BALANCE_DECIMALS)))


def quantity_for(
    spec: GridSpec,
    instrument: Instrument,
    price: Decimal,
    lines: tuple[Decimal, ...],
    empty: int,
) -> Decimal:
    """The largest quantity on the lot whose capital is within `spec.investment`; may be zero."""
    investment = spec.investment
    assert investment is not None
    sells, buy_lines = len(lines) - 1 - empty, lines[:empty]
    with rounding():
        taker, maker = _quote_rates(spec)
        purchase = price * sells / (ONE - base_fee(spec))
        one = purchase * (ONE + taker) + sum(buy_lines, ZERO) * (ONE + maker)
        # One lot more, because a quotient that is whole may have been rounded down.
        most = int(investment / one / instrument.lot_size) + 1

    def fits(lots: int) -> bool:
        quantity = lots * instrument.lot_size
        initial = initial_quantity(spec, instrument, quantity, sells)
        need = needed(spec, instrument, price, buy_lines, quantity, initial)
        return need.capital <= investment

    # Rounding the purchase and the fees up can lift the need above the investment: by a lot or two
    # on a real venue, by very many where fees are rounded coarsely; so no stepping down one by one.
    fewest = next((lots for lots in (most, most - 1) if fits(lots)), 0)
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if fits(middle):
            fewest = middle
        else:
            most = middle - 1
    return fewest * instrument.lot_size


def base_fee(spec: GridSpec) -> Decimal:
    """The part of a purchase at the market that the venue keeps, in base."""
    return spec.fees.taker if spec.fees.mode is FeeMode.RECEIVED else ZERO


def base_fee_maker(spec: GridSpec) -> Decimal:
    """The part of a resting buy that the venue keeps, in base."""
    return spec.fees.maker if spec.fees.mode is FeeMode.RECEIVED else ZERO
