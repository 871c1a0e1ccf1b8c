"""One backtest by the kernel: its fills as columns, its books, or in words why the core must do it.

The only door to the compiled loops for a single grid. numba is imported when a run is asked for.
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
from gridlab.domain.market import BarPath, FeeMode, path_times_ms
from gridlab.domain.orders import INITIAL_BUY
from gridlab.domain.plan import GridPlan
from gridlab.exchange.paper import FillRule
from gridlab.money import from_float
from gridlab.research.flows import Flows
from gridlab.research.kernel_books import Books, books_of, least_free, lowest_free
from gridlab.research.ladder import FIRST_SALE, Ladder, free_quote, ladder_or_why
from gridlab.research.ticks import TickBars

#: Paths by the number that the kernel knows them by.
PATHS = (BarPath.STATED, BarPath.LOW_FIRST, BarPath.HIGH_FIRST, BarPath.CONTRARY)
INSTALL = "numba is not installed; install gridlab[research] for the compiled kernel"


@dataclass(frozen=True, eq=False)
class KernelRun:
    """What the kernel found: fills in order, the purchase at the start not among them.

    Args:
        bars, points: where each fill happened; slots, sides (1 a buy, -1 a sale), kinds: what.
        buys: by slot, how often it bought.
        gap: the line without an order at the end.
        walked: how many bars reached a resting order.
    """

    ladder: Ladder
    bars: npt.NDArray[np.int32]
    points: npt.NDArray[np.int8]
    slots: npt.NDArray[np.int32]
    sides: npt.NDArray[np.int8]
    kinds: npt.NDArray[np.int8]
    buys: npt.NDArray[np.int64]
    gap: int
    walked: int
    books: Books

    def flows(self, series: Bars) -> Flows:
        """Every trade as columns, the purchase at the start first if there was one."""
        ladder, plan = self.ladder, self.ladder.plan
        has_first = ladder.first_lots > 0
        lines = np.array([float(line) for line in plan.lines])
        lot, decimals = plan.instrument.lot_size, plan.instrument.commission_precision
        sizes = np.array([float(size * lot) for size in (*ladder.sale_sizes, ladder.lots)])
        is_buy = self.sides > 0
        kind = np.where(is_buy, 3, self.kinds)
        fee_table = np.array(
            [
                [float(Decimal(fee).scaleb(-decimals)) for fee in fees]
                for fees in (*ladder.sale_fees, ladder.buy_fees)
            ]
        )
        first_fee = float(Decimal(ladder.first_fee).scaleb(-decimals))
        in_base = is_buy if ladder.takes_base else np.zeros(len(is_buy), np.bool_)

        def joined(first: object, rest: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            return np.concatenate((np.array([first], rest.dtype), rest)) if has_first else rest

        offsets = np.array(path_times_ms(0, series.interval.ms), np.int64)
        return Flows(
            bar=joined(0, self.bars.astype(np.int64)),
            time_ms=joined(
                int(series.open_time_ms[0]), series.open_time_ms[self.bars] + offsets[self.points]
            ),
            slot=joined(INITIAL_BUY, self.slots.astype(np.int64)),
            side=joined(1, self.sides),
            price=joined(float(plan.reference_price), lines[self.slots + ~is_buy]),
            quantity=joined(float(plan.initial_quantity), sizes[kind]),
            fee=joined(first_fee, fee_table[kind, self.slots]),
            is_base_fee=joined(ladder.takes_base, in_base),
            is_token_fee=np.full(
                len(is_buy) + has_first, plan.spec.fees.mode is FeeMode.THIRD, np.bool_
            ),
        )


def try_kernel(
    plan: GridPlan,
    bars: Bars,
    account: Mapping[str, Decimal],
    rule: FillRule,
    path: BarPath = BarPath.STATED,
) -> KernelRun | str:
    """The kernel's run of `plan` over `bars`, or why it would not equal the core's."""
    ladder, problem = ladder_or_why(plan, account)
    if ladder is None:
        return problem
    if find_spec("numba") is None:
        return INSTALL
    ticks = TickBars.of(bars, plan.instrument.tick_size)
    if ticks.problem:
        return ticks.problem
    return _run(ladder, ticks, bars, account, rule, path)


def _run(
    ladder: Ladder,
    ticks: TickBars,
    series: Bars,
    account: Mapping[str, Decimal],
    rule: FillRule,
    path: BarPath,
) -> KernelRun | str:
    from gridlab.research import kernel

    lowest, highest = ladder.limits
    bars, points, slots, sides, gap, walked, status = kernel.record(
        ticks.open,
        ticks.high,
        ticks.low,
        ticks.close,
        kernel.padded(ladder.lines),
        lowest,
        highest,
        int(rule is FillRule.THROUGH),
        ladder.gap,
        PATHS.index(path),
    )
    if status == kernel.OUT_OF_BAND:
        return "the price goes so far that the percent-price band would refuse an order"
    kinds = kernel.sale_kinds(
        slots,
        sides,
        ladder.gap,
        ladder.left_units,
        ladder.lot_units,
        ladder.dust_units,
        ladder.slots - 1,
    )
    buys = np.bincount(slots[sides > 0], minlength=ladder.slots)
    counts = buys.tolist()
    short = starved(ladder, account, gap, counts, (slots, sides, kinds)) or token_short(
        ladder, account, gap, counts
    )
    if short:
        return short
    books = books_of(ladder, gap, counts, from_float(series.close[-1]))
    return KernelRun(ladder, bars, points, slots, sides, kinds, buys, gap, walked, books)


def starved(
    ladder: Ladder,
    account: Mapping[str, Decimal],
    gap: int,
    buys: list[int],
    fills: tuple[npt.NDArray[np.int32], npt.NDArray[np.int8], npt.NDArray[np.int8]] | None = None,
) -> str:
    """Why an order could have been refused for lack of quote; empty when none was.

    Args:
        fills: (slots, sides, kinds); without them a bound decides, which may say so in vain.
    """
    quote = ladder.plan.instrument.quote
    free = free_quote(ladder, account[quote])
    # The bound is made of floats: a millionth of the account is far above what they lose.
    if least_free(ladder, free, gap, buys) >= 1e-6 * float(account[quote]):
        return ""
    if fills is not None and lowest_free(ladder, free, *(f.tolist() for f in fills)) >= 0:
        return ""
    return f"rounds that lose money drain the account of {quote}"


def token_short(ladder: Ladder, account: Mapping[str, Decimal], gap: int, buys: list[int]) -> str:
    """Why the fee token did not last; empty when it did, or none is used.

    Maker fees are all of one sign, so the balance at the end is the least or the first is.
    """
    fees = ladder.plan.spec.fees
    if fees.mode is not FeeMode.THIRD:
        return ""
    paid = ladder.first_fee
    for slot, count in enumerate(buys):
        sales = count + (slot >= ladder.gap) - (slot >= gap)
        paid += count * ladder.buy_fees[slot] + sales * ladder.sale_fees[FIRST_SALE][slot]
    if paid * ladder.fee_step <= Fraction(account.get(fees.third_asset, Decimal(0))):
        return ""
    return f"the account runs out of {fees.third_asset} for fees"
