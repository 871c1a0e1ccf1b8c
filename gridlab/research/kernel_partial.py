"""A backtest by the kernel where a share of each bar's volume limits the fills.

Partial fills change three things: an order can stay with a part of it left, a fee is rounded at
every fill, and so a purchase whose fee is kept in base leaves another remainder each time. All
three are counted in integers by `kernel_partial_loop`; the books are made from totals by slot, as
in `kernel_books`. What margin does to a futures grid is not followed here: those go to the core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from gridlab.data.bars import Bars
from gridlab.domain.market import FeeMode, path_times_ms
from gridlab.domain.orders import INITIAL_BUY
from gridlab.domain.plan import GridPlan
from gridlab.exchange.paper import FillRule
from gridlab.exchange.replay import POINTS
from gridlab.grid.guards import smallest_quantity
from gridlab.money import ZERO, from_float
from gridlab.research.flows import Flows
from gridlab.research.kernel_books import Books, Sums, books_of_sums
from gridlab.research.kernel_run import INSTALL
from gridlab.research.ladder import Ladder, free_quote, ladder_or_why
from gridlab.research.ticks import TickBars

#: Products of integers above this could overflow; half of what int64 holds.
LARGEST = 2**62
#: Quotients of floats so near to a whole number are told exactly; a thousandfold of what they lose.
NEAR, NEAR_EACH = 1e-9, 1e-12


@dataclass(frozen=True, eq=False)
class PartialRun:
    """What the kernel found: fills in order, int64 [n, 6], the purchase at the start left out.

    Columns of a fill: bar, point of its path, slot, side (1 a buy, -1 a sale), lots, fee in steps.
    """

    ladder: Ladder
    fills: npt.NDArray[np.int64]
    walked: int
    books: Books

    def flows(self, series: Bars) -> Flows:
        """Every trade as columns, the purchase at the start first if there was one."""
        ladder, plan, rules = self.ladder, self.ladder.plan, self.ladder.plan.instrument
        bar, point, slot, side, lots, fee = self.fills.T
        is_buy, has_first = side > 0, ladder.first_lots > 0
        lines = np.array([float(line) for line in plan.lines])
        offsets = np.array(path_times_ms(0, series.interval.ms), np.int64)
        in_base = is_buy & ladder.takes_base

        def joined(first: object, rest: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            return np.concatenate((np.array([first], rest.dtype), rest)) if has_first else rest

        return Flows(
            bar=joined(0, bar),
            time_ms=joined(int(series.open_time_ms[0]), series.open_time_ms[bar] + offsets[point]),
            slot=joined(INITIAL_BUY, slot),
            side=joined(1, side.astype(np.int8)),
            price=joined(float(plan.reference_price), lines[slot + ~is_buy]),
            quantity=joined(float(plan.initial_quantity), _floats(lots, rules.lot_size)),
            fee=joined(
                float(Decimal(ladder.first_fee).scaleb(-rules.commission_precision)),
                _floats(fee, Decimal(1).scaleb(-rules.commission_precision)),
            ),
            is_base_fee=joined(ladder.takes_base, in_base),
            is_token_fee=np.full(
                len(bar) + has_first, plan.spec.fees.mode is FeeMode.THIRD, np.bool_
            ),
        )


def try_partial(
    plan: GridPlan, bars: Bars, account: Mapping[str, Decimal], rule: FillRule, share: Decimal
) -> PartialRun | str:
    """The kernel's run with `share` of the volume, or why it would not equal the core's."""
    ladder, problem = ladder_or_why(plan, account)
    if ladder is None:
        return problem
    if find_spec("numba") is None:
        return INSTALL
    ticks = TickBars.of(bars, plan.instrument.tick_size)
    if ticks.problem:
        return ticks.problem
    base_rate, fee_rate = _rates(ladder)
    largest = max(ladder.lines) * max(ladder.lots, ladder.low_sale + 1)
    if (
        max(
            fee_rate[0] * largest,
            base_rate[0] * ladder.lots,
            ladder.lots * ladder.lot_units * 2,
            *(fee_rate[1], base_rate[1]),
        )
        >= LARGEST
    ):
        return "amounts of a fee are too large for 64 bits"
    return _run(ladder, ticks, bars, account, rule, share)


def _rates(ladder: Ladder) -> tuple[tuple[int, int], tuple[int, int]]:
    """Fee steps of a maker's fill as fractions: of lots in base, of ticks x lots in quote."""
    rules, fees = ladder.plan.instrument, ladder.plan.spec.fees
    each = Fraction(rules.lot_size) * Fraction(fees.maker) / ladder.fee_step
    value = each * Fraction(rules.tick_size)
    if fees.mode is FeeMode.THIRD:
        value /= Fraction(fees.third_price)
    return (each.numerator, each.denominator), (value.numerator, value.denominator)


def _run(
    ladder: Ladder,
    ticks: TickBars,
    bars: Bars,
    account: Mapping[str, Decimal],
    rule: FillRule,
    share: Decimal,
) -> PartialRun | str:
    from gridlab.research import kernel, kernel_partial_loop

    plan, rules, fees = ladder.plan, ladder.plan.instrument, ladder.plan.spec.fees
    lowest, highest = ladder.limits
    base_rate, fee_rate = _rates(ladder)
    quote = account.get(rules.quote, ZERO)
    in_quote = fees.mode is FeeMode.QUOTE
    least = [smallest_quantity(rules, line) / rules.lot_size for line in plan.lines[1:]]
    fills, totals, gap, walked, status, slack = kernel_partial_loop.walk(
        *(ticks.open, ticks.high, ticks.low, ticks.close),
        lots_of_volume(bars.volume, share, rules.lot_size),
        kernel.padded(ladder.lines),
        lowest,
        highest,
        int(rule is FillRule.THROUGH),
        ladder.gap,
        ladder.lots,
        ladder.lot_units,
        ladder.dust_units,
        np.array([int(count) for count in least], np.int64),
        max(ladder.low_sale + 1, ladder.lots),
        ladder.takes_base,
        np.array(base_rate, np.int64),
        np.array(fee_rate, np.int64),
        int(ladder.fee_step * 10**ladder.unit_decimals),
        np.array([float(line * rules.lot_size) for line in plan.lines]),
        max(float(fees.maker), 0.0) if in_quote else 0.0,
        0.0 if fees.mode is FeeMode.THIRD else float(ladder.fee_step),
        float(free_quote(ladder, quote)),
    )
    if status == kernel_partial_loop.OUT_OF_BAND:
        return "the price goes so far that the percent-price band would refuse an order"
    if status == kernel_partial_loop.ODD_SALE:
        return f"fees in {rules.base} leave a sale that the venue would not take"
    if slack < 1e-6 * float(quote):
        return f"rounds that lose money drain the account of {rules.quote}"
    sums = _sums(ladder, totals, gap)
    if fees.mode is FeeMode.THIRD:
        paid = (ladder.first_fee + max(sums.quote_fee, 0)) * ladder.fee_step
        if paid > Fraction(account.get(fees.third_asset, ZERO)):
            return f"the account runs out of {fees.third_asset} for fees"
    return PartialRun(
        ladder, fills, walked, books_of_sums(sums, ladder, from_float(bars.close[-1]))
    )


def lots_of_volume(
    volume: npt.NDArray[np.float64], share: Decimal, lot_size: Decimal
) -> npt.NDArray[np.int64]:
    """Whole lots that one leg of each bar's path may fill: its share of the volume, in thirds.

    Floats decide where they are clear; where a quotient is near a whole number, fractions do.
    """
    per_lot = Fraction(share) / Fraction(lot_size) / (POINTS - 1)
    parts = np.minimum(volume * float(per_lot), float(LARGEST // 2))
    whole = np.rint(parts)
    lots = np.floor(parts).astype(np.int64)
    for bar in np.flatnonzero(np.abs(parts - whole) <= NEAR + NEAR_EACH * whole):
        lots[bar] = min(int(Fraction(from_float(volume[bar])) * per_lot), LARGEST // 2)
    return lots


def _sums(ladder: Ladder, totals: npt.NDArray[np.int64], gap: int) -> Sums:
    """Totals over slots, each times the prices that it traded at, in Python's integers."""
    sums, first, lot = Sums(), ladder.reference, ladder.lot_units
    for slot, row in enumerate(totals.tolist()):
        below, above = ladder.lines[slot], ladder.lines[slot + 1]
        bought, sold_ref, sold, base_fee, fee, held_ref, held, dust_ref, dust = row
        sums.bought += bought * lot
        sums.bought_value += bought * lot * below
        sums.sold += sold_ref + sold
        sums.sold_value += (sold_ref + sold) * above
        sums.profit += sold_ref * (above - first) + sold * (above - below)
        sums.base_fee += base_fee
        sums.base_fee_cost += base_fee * below
        sums.quote_fee += fee
        sums.held += held_ref + held
        sums.held_cost += held_ref * first + held * below
        sums.dust += dust_ref + dust
        sums.dust_cost += dust_ref * first + dust * below
    return sums


def _floats(counts: npt.NDArray[np.int64], step: Decimal) -> npt.NDArray[np.float64]:
    """count x step as the doubles nearest to the exact decimals."""
    unique, where = np.unique(counts, return_inverse=True)
    return np.array([float(int(count) * step) for count in unique], np.float64)[where]
