"""`Units`: in which whole numbers a grid's prices, quantities and fees are counted.

They follow from an instrument's steps and a fee schedule alone, so thousands of plans share one.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.domain.plan import GridPlan

#: A fee reserve is rounded up to this many quote units, as a spot venue books it.
RESERVE_STEP = Fraction(1, 10**8)


class Units(NamedTuple):
    """What the rules and the fees alone decide.

    Args:
        value: quote units of tick x lot; step: of a fee.
        maker, taker: fee steps of tick x lot; base_maker, base_taker: of a lot, if kept in base.
        reserve_maker, reserve_taker: `RESERVE_STEP`s of tick x lot.
        decimals: base units are 10**-decimals; lot, fee: of a lot and of a fee step in base.
    """

    value: Fraction
    step: Fraction
    maker: Fraction
    taker: Fraction
    base_maker: Fraction
    base_taker: Fraction
    reserve_maker: Fraction
    reserve_taker: Fraction
    decimals: int
    lot: int
    fee: int


@lru_cache(maxsize=256)
def _units(tick: Decimal, lot: Decimal, precision: int, fees: FeeSchedule) -> Units:
    lots, step = Fraction(lot), Fraction(1, 10**precision)
    value, maker, taker = Fraction(tick) * lots, Fraction(fees.maker), Fraction(fees.taker)
    price = Fraction(fees.third_price) if fees.mode is FeeMode.THIRD else Fraction(1)
    decimals = max(precision, _decimals(lot))
    return Units(
        value=value,
        step=step,
        maker=maker * value / step / price,
        taker=taker * value / step / price,
        base_maker=maker * lots / step,
        base_taker=taker * lots / step,
        reserve_maker=maker * value / RESERVE_STEP,
        reserve_taker=taker * value / RESERVE_STEP,
        decimals=decimals,
        lot=int(lots * 10**decimals),
        fee=int(step * 10**decimals),
    )


def units_of(plan: GridPlan) -> Units:
    rules = plan.instrument
    return _units(rules.tick_size, rules.lot_size, rules.commission_precision, plan.spec.fees)


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a step is finite"
    return max(0, -exponent)
