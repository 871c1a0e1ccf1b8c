"""A futures backtest by the kernel: the fills of the same ladder on spot, funding, and a watch.

A futures grid that nothing bends has the orders of a spot grid with fees in quote, so the compiled
loop finds its fills. What could bend it is margin: a forced closing, the guard, an order refused, a
fee that the wallet cannot pay. `kernel_margin` follows the account in floats, and where one of them
comes within a millionth part of happening the core runs instead. Funding needs no floats: how much
is held follows from the line without an order, and each payment is one exact product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from gridlab.data.bars import Bars
from gridlab.data.funding import Funding
from gridlab.domain.account import MarginType
from gridlab.domain.market import FeeMode, Market, path_times_ms
from gridlab.domain.plan import GridPlan
from gridlab.exchange.paper import FillRule
from gridlab.exchange.paper_futures import Bracket
from gridlab.money import ZERO, exact, round_to
from gridlab.research.flows import Flows, bars_of_payments
from gridlab.research.futures_run import FuturesSide, due_payments
from gridlab.research.kernel_books import Books
from gridlab.research.kernel_run import KernelRun, try_kernel
from gridlab.research.ladder import FIRST_SALE

#: The finest amount that a futures wallet books, and its decimals.
STEP, STEP_DECIMALS = Decimal("0.00000001"), 8
#: How near to a limit floats are believed.
SAFE = 1e-6


@dataclass(frozen=True, eq=False)
class FuturesRun:
    """What the kernel found of a futures grid: the fills, and the funding between them.

    Args:
        walked: bars that reached an order or in which funding was due.
    """

    fills: KernelRun
    paid: tuple[Decimal, ...]
    paid_ms: npt.NDArray[np.int64]
    walked: int
    books: Books

    def flows(self, series: Bars) -> Flows:
        """Every trade and payment as columns."""
        return replace(
            self.fills.flows(series),
            paid=np.array([float(amount) for amount in self.paid], np.float64),
            paid_bar=bars_of_payments(self.paid_ms, series),
            paid_ms=self.paid_ms,
        )


def try_futures(
    plan: GridPlan,
    bars: Bars,
    account: Mapping[str, Decimal],
    rule: FillRule,
    side: FuturesSide,
) -> FuturesRun | str:
    """The kernel's run of a futures plan over `bars`, or why it would not equal the core's."""
    rules = plan.instrument
    if plan.spec.fees.mode is not FeeMode.QUOTE:
        return f"the fee mode is {plan.spec.fees.mode}"
    if rules.commission_precision > STEP_DECIMALS:
        return f"fees of {rules.commission_precision} decimals are finer than a futures wallet"
    fills = try_kernel(on_spot(plan), bars, {rules.quote: Decimal(10) ** 15}, rule)
    if isinstance(fills, str):
        return fills
    if fills.ladder.dust_units:
        return "the purchase at the start leaves dust"
    paid = _paid(fills, bars, due_payments(side.funding, bars))
    problem = _problem(plan, fills, bars, account.get(rules.quote, ZERO), side.margin, paid)
    if problem:
        return problem
    return FuturesRun(
        fills,
        paid.amounts,
        paid.time_ms,
        fills.walked + paid.walked,
        with_funding(fills.books, rules.quote, paid.amounts),
    )


def on_spot(plan: GridPlan) -> GridPlan:
    """The same orders on a spot account."""
    return replace(
        plan,
        spec=replace(plan.spec, market=Market.SPOT, leverage=1),
        instrument=replace(plan.instrument, market=Market.SPOT),
    )


def with_funding(books: Books, quote: str, amounts: tuple[Decimal, ...]) -> Books:
    """The books with these payments in them."""
    with exact():
        paid = sum(amounts, ZERO)
        money = replace(books.money, funding=paid, total=books.money.total + paid)
        lines = tuple(
            (part, asset, amount + paid)
            if asset == quote and part in ("wallet", "funding")
            else (part, asset, amount)
            for part, asset, amount in books.lines
        )
    return Books(money, lines)


# --- funding --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Paid:
    """Payments: what, when, after how many fills; and bars that only they make the core walk."""

    amounts: tuple[Decimal, ...]
    time_ms: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    walked: int


def _paid(fills: KernelRun, bars: Bars, due: Funding | None) -> _Paid:
    """Each payment at the last price before its time, on what was held then."""
    if due is None or not len(due):
        nothing = np.zeros(0, np.int64)
        return _Paid((), nothing, nothing, 0)
    ladder, rules = fills.ladder, fills.ladder.plan.instrument
    gaps = ladder.gap - np.concatenate(([0], np.cumsum(fills.sides, dtype=np.int64)))
    offsets = np.array(path_times_ms(0, bars.interval.ms), np.int64)
    times = bars.open_time_ms[fills.bars] + offsets[fills.points]
    after = np.searchsorted(times, due.time_ms, side="left")
    held = ladder.slots - gaps[after]
    marks = _last_prices(bars, due.time_ms, offsets)
    with exact():
        size = ladder.lots * rules.lot_size
        amounts = [
            -round_to(rate * int(n) * size * mark, STEP)
            for rate, n, mark in zip(due.rates, held, marks, strict=True)
        ]
    is_paid = held > 0
    return _Paid(
        tuple(amount for amount, paid in zip(amounts, is_paid, strict=True) if paid),
        due.time_ms[is_paid],
        after[is_paid],
        _walked_for_funding(fills, bars, due, gaps),
    )


def _last_prices(
    bars: Bars, time_ms: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> list[Decimal]:
    """The last point of the path before each time."""
    bar = np.searchsorted(bars.open_time_ms, time_ms, side="left") - 1
    into = time_ms - bars.open_time_ms[bar]
    point = np.searchsorted(offsets, into, side="left") - 1
    return [bars.kline(int(b)).path[int(p)] for b, p in zip(bar, point, strict=True)]


def _walked_for_funding(
    fills: KernelRun, bars: Bars, due: Funding, gaps: npt.NDArray[np.int64]
) -> int:
    """Bars that reach no order and are walked because a payment is due in or before them."""
    lines = np.array([-np.inf, *map(float, fills.ladder.plan.lines), np.inf])
    bar = np.unique(bars_of_payments(due.time_ms, bars))
    bar = bar[bar > 0]  # the first one is walked in any case
    gap = gaps[np.searchsorted(fills.bars, bar, side="left")]
    touches = (bars.low[bar] <= lines[gap]) | (bars.high[bar] >= lines[gap + 2])
    return int(np.count_nonzero(~touches))


# --- margin ---------------------------------------------------------------------------------------


def _problem(
    plan: GridPlan, fills: KernelRun, bars: Bars, wallet: Decimal, margin: MarginType, paid: _Paid
) -> str:
    """What margin could have bent, in words; empty when nothing comes near."""
    from gridlab.research import kernel_margin

    ladder, rules, bracket = fills.ladder, plan.instrument, Bracket()
    value = float(rules.tick_size) * float(rules.lot_size) * ladder.lots
    lines = np.array(ladder.lines, np.float64)
    highest = max(float(bars.high.max()), float(plan.lines[-1])) / float(rules.tick_size)
    if ladder.slots * highest * value > float(bracket.notional_cap):
        return f"the position could become more than {bracket.notional_cap} {rules.quote}"
    step, leverage = float(ladder.fee_step), plan.spec.leverage
    rates = max(float(plan.spec.fees.maker), 0.0), max(float(plan.spec.fees.taker), 0.0)
    first = ladder.reference * value * (ladder.slots - ladder.gap)
    if first / leverage + max(rates) * first > float(wallet) * (1 - SAFE):
        return f"the wallet of {wallet} {rules.quote} is nearly too small for the purchase"
    liquidation, slack = kernel_margin.follow(
        fills.slots,
        fills.sides,
        ladder.gap,
        lines * value,
        np.array(ladder.buy_fees, np.float64) * step,
        np.array(ladder.sale_fees[FIRST_SALE], np.float64) * step,
        paid.after,
        np.array([float(amount) for amount in paid.amounts], np.float64),
        float(wallet),
        first,
        ladder.first_fee * step,
        leverage,
        margin is MarginType.ISOLATED,
        float(bracket.maintenance_rate),
        rates[0],
    )
    # Roundings of the venue that floats do not follow: a hundred-millionth part at each fill.
    safe = SAFE + (len(fills.slots) + len(paid.amounts) + 10) * 1e-8 / (lines[0] * value)
    if slack < safe * float(wallet):
        return f"the wallet of {wallet} {rules.quote} is nearly used up"
    prices = liquidation / value * float(rules.tick_size) * (1 + safe)
    return _too_near(fills, bars, prices, float(plan.spec.liquidation_buffer))


def _too_near(
    fills: KernelRun, bars: Bars, liquidation: npt.NDArray[np.float64], buffer: float
) -> str:
    """Whether a price came near liquidation, or a close near where the guard begins.

    Args:
        liquidation: the price of it, after each number of fills from none to all.
    """
    first = np.concatenate(([0], fills.bars)).astype(np.int64)
    last = np.concatenate((fills.bars, [len(bars) - 1])).astype(np.int64)
    spans = np.stack((first, last + 1), axis=1).ravel()

    def least(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.minimum.reduceat(np.append(column, np.inf), spans)[::2]

    if (least(bars.low) <= liquidation).any():
        return "a price comes to where the venue closes the position by force, or near it"
    if buffer and (least(bars.close) * (1 - buffer) <= liquidation).any():
        return "a price comes so near to liquidation that buys are held back, or nearly so"
    return ""
