"""`Ladder`: a grid plan in integers, and `why_not`: which plans the kernel reproduces exactly.

A refilling grid's whole book is one integer, the line without an order (`gap`): slots below it wait
to buy at their lower line, the others to sell at their upper line. What a fill moves depends only
on its slot and on which of three kinds a sale is: the first one of stock that was bought at the
start, one of `low_sale` lots, or one of a lot more. The third kind exists where the venue keeps its
fee in base: what is left over of each purchase adds up until it makes a lot. How many of each there
were follows from how often a slot was filled, so books can be made from counts alone.

Everything that would bend this picture (an order window, a filter that could refuse, an account
that could starve, volume limits) is named by `why_not`, and such a plan goes through the core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gridlab.domain.market import FeeMode, Market
from gridlab.domain.plan import GridPlan
from gridlab.grid.guards import part_for_market, smallest_quantity
from gridlab.money import exact, rounding, text
from gridlab.research.ticks import MAX_TICKS
from gridlab.research.units import RESERVE_STEP, units_of

#: Kinds of sales: what a purchase left, one lot more, stock of the start.
LOW_SALE, HIGH_SALE, FIRST_SALE = 0, 1, 2

Ticks: TypeAlias = npt.NDArray[np.int32]
Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ladder:
    """Integer facts of one plan. Values are counted in `tick x lot`, fees in `fee_step`.

    Args:
        lines: prices in ticks, ascending.
        lots: base of every buy; low_sale: of a sale that follows one, in lots.
        unit_decimals: base units are 10**-unit_decimals; `lot_units` of them make a lot.
        buy_units: units that a buy leaves after a fee in base; `left_units` of them are no lot.
        dust_units: what the purchase at the start left over, kept by the highest slot.
        buy_fees: of each slot; in base units' fee steps where the fee is taken in base.
        sale_fees: by kind, of each slot.
        first_fee: of the purchase at the start.
    """

    plan: GridPlan
    lines: tuple[int, ...]
    reference: int
    lots: int
    first_lots: int
    low_sale: int
    unit_decimals: int
    lot_units: int
    buy_units: int
    left_units: int
    dust_units: int
    buy_fees: tuple[int, ...]
    sale_fees: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    first_fee: int

    @classmethod
    def of(cls, plan: GridPlan) -> Ladder:
        """The ladder of `plan`; see `why_not` for which plans it is the whole truth of."""
        rules, fees = plan.instrument, plan.spec.fees
        with rounding():
            lines = tuple(int(line / rules.tick_size) for line in plan.lines)
        reference = _count(plan.reference_price, rules.tick_size)
        lots = _count(plan.quantity, rules.lot_size)
        first_lots = _count(plan.initial_quantity, rules.lot_size)
        units, in_base = units_of(plan), fees.mode is FeeMode.RECEIVED
        maker, taker, lot_units = units.maker, units.taker, units.lot
        base_fee = half_even(units.base_maker, lots)
        first_base = half_even(units.base_taker, first_lots)
        buy_units = lots * lot_units - (base_fee * units.fee if in_base else 0)
        low, left = divmod(buy_units, lot_units)
        stock = first_lots * lot_units - (first_base * units.fee if in_base else 0)
        dust = stock - lots * lot_units * (len(lines) - 1 - plan.empty_line)
        # Only what is left over can make a larger sale.
        sold = (low, low + 1 if left or dust else low, lots)
        fees_of = {n: _fees(maker, n, lines[1:]) for n in set(sold)}
        sale_fees = (fees_of[sold[0]], fees_of[sold[1]], fees_of[sold[2]])
        buy_fees = (base_fee,) * (len(lines) - 1) if in_base else _fees(maker, lots, lines[:-1])
        return cls(
            plan=plan,
            lines=lines,
            reference=reference,
            lots=lots,
            first_lots=first_lots,
            low_sale=low,
            unit_decimals=units.decimals,
            lot_units=lot_units,
            buy_units=buy_units,
            left_units=left,
            dust_units=dust,
            buy_fees=buy_fees,
            sale_fees=sale_fees,
            first_fee=first_base if in_base else half_even(taker, reference * first_lots),
        )

    # --- what follows -----------------------------------------------------------------------------

    @property
    def slots(self) -> int:
        return len(self.lines) - 1

    @property
    def gap(self) -> int:
        """The line without an order at the start."""
        return self.plan.empty_line

    @property
    def fee_step(self) -> Fraction:
        return _fee_step(self.plan)

    @property
    def takes_base(self) -> bool:
        """Whether the fee of a buy is kept in base."""
        return self.plan.spec.fees.mode is FeeMode.RECEIVED

    @property
    def sale_sizes(self) -> tuple[int, int, int]:
        """Lots of a sale, by kind."""
        return self.low_sale, self.low_sale + 1, self.lots

    @cached_property
    def reserves(self) -> tuple[int, ...]:
        """Fee that each slot's buy locks beside its value, in steps of 1e-8 quote."""
        fees = self.plan.spec.fees
        if fees.mode is not FeeMode.QUOTE or fees.maker <= 0:
            return (0,) * self.slots
        rate = units_of(self.plan).reserve_maker
        each, whole = -rate.numerator * self.lots, rate.denominator
        return tuple([-(each * line // whole) for line in self.lines[:-1]])

    @cached_property
    def need(self) -> Fraction:
        """Quote units that an account must hold so that the grid's first orders rest.

        The purchase locks its rounded-up fee before it fills, so what it locks counts too.
        """
        units, in_quote = units_of(self.plan), self.plan.spec.fees.mode is FeeMode.QUOTE
        first = self.reference * self.first_lots
        reserve = _ceil(units.reserve_taker, first) if in_quote else 0
        # Counted in parts that divide value, reserve step and fee step.
        parts = units.value.denominator * RESERVE_STEP.denominator * self.fee_step.denominator
        value = parts // units.value.denominator * units.value.numerator
        eighth, fee = parts // RESERVE_STEP.denominator, parts // self.fee_step.denominator
        paid = first * value + (self.first_fee * fee if in_quote else 0)
        buys = sum(self.lines[: self.gap]) * self.lots * value
        buys += sum(self.reserves[: self.gap]) * eighth
        locked = first * value + max(reserve, 0) * eighth
        return Fraction(max(locked, paid + buys), parts)

    @cached_property
    def limits(self) -> tuple[Ticks, Ticks]:
        """(lowest, highest) market price, in ticks, at which a line may be placed as the far one.

        `lowest[j]`: when the price has fallen and a sale goes to line j; `highest[j]`: when it has
        risen and a buy goes to line j. Source: the percent-price band is measured from the last
        price at the moment of placing.
        """
        band, count = self.plan.instrument.percent_price, len(self.lines)
        lowest = np.zeros(count, np.int32)
        highest = np.full(count, MAX_TICKS + 1, np.int32)
        if band is not None:
            up, down = Fraction(band.ask_up), Fraction(band.bid_down)
            lowest[:] = [min(_ceil(1 / up, line), MAX_TICKS) for line in self.lines]
            if down > 0:
                highest[:] = [min(int(line / down), MAX_TICKS + 1) for line in self.lines]
        return lowest, highest


def why_not(plan: GridPlan, account: Mapping[str, Decimal]) -> str:
    """Why the kernel would not be the core's equal on this plan; empty when it is."""
    return ladder_or_why(plan, account)[1]


def ladder_or_why(plan: GridPlan, account: Mapping[str, Decimal]) -> tuple[Ladder | None, str]:
    """(the ladder, "") or (None, why the kernel would not be the core's equal on this plan).

    What depends on the data (a price band left behind, an account drained by rounds that lose
    money) is decided by the run itself, which then says so.
    """
    with exact():
        problem = _other_kind(plan) or _off_steps(plan)
        if problem:
            return None, problem
        ladder = Ladder.of(plan)
        problem = _beyond_rules(ladder) or _short_account(ladder, account)
        return (None, problem) if problem else (ladder, "")


def _other_kind(plan: GridPlan) -> str:
    """A plan that is no whole refilling grid on spot."""
    if not plan.ok:
        return "the plan may not start"
    rules, fees = plan.instrument, plan.spec.fees
    if rules.market is not Market.SPOT:
        return f"the market is {rules.market}"
    if plan.spec.levels > rules.max_num_orders:
        return f"{plan.spec.levels} levels need an order window of {rules.max_num_orders}"
    if fees.mode is FeeMode.THIRD and fees.third_asset in (rules.base, rules.quote):
        return f"the fee token {fees.third_asset} is traded itself"
    return ""


def _off_steps(plan: GridPlan) -> str:
    rules = plan.instrument
    with rounding():
        for name, step, values in (
            ("line", rules.tick_size, plan.lines),
            ("first price", rules.tick_size, (plan.reference_price,)),
            ("quantity", rules.lot_size, (plan.quantity,)),
            ("first purchase", rules.lot_size, (plan.initial_quantity,)),
        ):
            for value in values:
                count = value / step
                if count != int(count):
                    return f"{name} {text(value)} is off the step {text(step)}"
    if plan.lines[-1] > MAX_TICKS * rules.tick_size:
        return f"line {text(plan.lines[-1])} is above {MAX_TICKS} ticks"
    return ""


def _beyond_rules(ladder: Ladder) -> str:
    """A venue rule that an order of the grid could break at some time."""
    plan = ladder.plan
    rules, lines = plan.instrument, plan.lines
    first, price = plan.initial_quantity, plan.reference_price
    if first and part_for_market(rules, first, price) != first:
        return "the purchase at the start takes several orders"
    if first and first < smallest_quantity(rules, price):
        return "the purchase at the start is too small"
    if ladder.dust_units < 0 or ladder.dust_units + ladder.left_units >= 2 * ladder.lot_units:
        return "the purchase at the start does not stock the sales evenly"
    least = ladder.low_sale * rules.lot_size
    most = max(ladder.low_sale + 1, ladder.lots) * rules.lot_size
    if least < smallest_quantity(rules, lines[1]) or least * lines[1] < rules.min_notional:
        return f"a sale of {text(least)} after a fee in {rules.base} is too small"
    if plan.quantity < smallest_quantity(rules, lines[0]):
        return f"a buy of {text(plan.quantity)} is too small"
    if plan.quantity * lines[0] < rules.min_notional:
        return f"a buy of {text(plan.quantity)} is too small"
    if 0 < rules.max_quantity < most or 0 < rules.max_notional < most * lines[-1]:
        return f"a sale of {text(most)} is too large"
    if lines[0] < rules.min_price or 0 < rules.max_price < lines[-1]:
        return "a line is outside the venue's prices"
    return _beyond_band(plan)


def _beyond_band(plan: GridPlan) -> str:
    """A mirror order outside the percent-price band around the fill that it answers."""
    band = plan.instrument.percent_price
    if band is None:
        return ""
    if band.ask_down > 1 or band.bid_up < 1:
        return "the percent-price band does not hold the price"
    for below, above in zip(plan.lines, plan.lines[1:], strict=False):
        if above * band.bid_down > below or below * band.ask_up < above:
            return "two lines are farther apart than the percent-price band is wide"
    return ""


def _short_account(ladder: Ladder, account: Mapping[str, Decimal]) -> str:
    rules, fees = ladder.plan.instrument, ladder.plan.spec.fees
    free = free_quote(ladder, account.get(rules.quote, Decimal(0)))
    if free < 0:
        return f"the account lacks {text(_decimal(-free))} {rules.quote}"
    tokens = Fraction(account.get(fees.third_asset, Decimal(0)))
    if fees.mode is FeeMode.THIRD and ladder.first_fee * ladder.fee_step > tokens:
        return f"the account lacks {fees.third_asset} for the first fee"
    return ""


def free_quote(ladder: Ladder, quote: Decimal) -> Fraction:
    """Quote units that stay free of `quote` once the first orders rest; below zero if short."""
    return Fraction(quote) - ladder.need


def _fees(rate: Fraction, lots: int, lines: tuple[int, ...]) -> tuple[int, ...]:
    """`half_even(rate, line * lots)` of each line."""
    each, whole = rate.numerator * lots, rate.denominator
    found = []
    for line in lines:
        fee, rest = divmod(each * line, whole)
        twice = 2 * rest
        found.append(fee + (twice > whole or (twice == whole and fee % 2 == 1)))
    return tuple(found)


def half_even(rate: Fraction, amount: int) -> int:
    """rate x amount, rounded to the nearest integer; a tie goes to the even one."""
    denominator = rate.denominator
    whole, rest = divmod(rate.numerator * amount, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole % 2 == 1))


def _ceil(rate: Fraction, amount: int) -> int:
    return -(-rate.numerator * amount // rate.denominator)


def _count(value: Decimal, step: Decimal) -> int:
    with rounding():
        return int((value / step).to_integral_value())


def _fee_step(plan: GridPlan) -> Fraction:
    return units_of(plan).step


def _decimal(value: Fraction) -> Decimal:
    with rounding():
        return Decimal(value.numerator) / value.denominator
