"""Many grids seen at the same moments: the equity of each at the end of every hour or day.

A table of moments by grids is what statistics across grids are made of. It is small however long
the bars are: each grid is walked alone, and only its equity at those moments is kept.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.domain.plan import GridPlan
from gridlab.errors import InvalidInput
from gridlab.exchange.paper import FillRule
from gridlab.research.backtest import core_story
from gridlab.research.flows import Flows
from gridlab.research.kernel_run import try_kernel
from gridlab.research.metrics import FloatArray
from gridlab.research.venue import account_for


@dataclass(frozen=True, eq=False)
class Walk:
    """One grid at some closes, sold out at the last.

    Args:
        equity: at each of those closes as a multiple of the investment, after its fills; the last
            after everything held was sold at that close for the taker's fee.
        buys, sells: fills of resting orders.
    """

    equity: FloatArray
    buys: int
    sells: int

    @property
    def total_return(self) -> float:
        """What the grid made, its closing included, as a fraction of the investment."""
        return float(self.equity[-1]) - 1

    @property
    def returns(self) -> FloatArray:
        """From each moment to the next, the first from the investment; a ruined grid stays at 0."""
        before = np.concatenate(([1.0], self.equity[:-1]))
        returns: FloatArray = np.zeros(len(before))
        np.divide(self.equity - before, before, out=returns, where=before > 0)
        return returns


def ends_of(bars: Bars, sample_ms: int) -> IntArray:
    """The last bar of every `sample_ms` from the first open on; the last one may be cut short.

    A period in which no bar was recorded ends with the bar before it.

    Raises:
        InvalidInput: periods narrower than a bar.
    """
    if sample_ms < bars.interval.ms:
        raise InvalidInput(
            f"sampling every {sample_ms} ms is finer than bars of {bars.interval}; choose "
            f"{bars.interval} or longer"
        )
    first = int(bars.open_time_ms[0])
    count = -(-(bars.end_ms - first) // sample_ms)
    borders = first + sample_ms * np.arange(1, count + 1)
    ends: IntArray = np.searchsorted(bars.open_time_ms, borders) - 1
    return ends


def walk(plan: GridPlan, bars: Bars, at: IntArray, fill_rule: FillRule) -> Walk:
    """`plan` over `bars`, seen at the closes of the bars `at`, ascending; the last one closes it.

    The kernel where it is exact, else the core.
    """
    account = account_for(plan)
    found = try_kernel(plan, bars, account, fill_rule)
    if isinstance(found, str):
        trades = core_story(plan, bars, account, fill_rule).trades
        flows = Flows.of(trades, bars, plan.instrument)
    else:
        flows = found.flows(bars)
    fees = plan.spec.fees
    investment = float(plan.spec.investment or plan.capital_needed)
    cash, base, tokens = flows.balances(investment, float(fees.third_price))
    done = np.searchsorted(flows.bar, at, side="right")
    close = bars.close[at]
    equity = cash[done] + base[done] * close + tokens[done]
    equity[-1] -= base[done[-1]] * close[-1] * float(fees.taker)
    sides = flows.side[flows.slot >= 0]
    buys = int(np.count_nonzero(sides > 0))
    return Walk(equity / investment, buys, len(sides) - buys)


def walk_many(
    plans: Sequence[GridPlan],
    bars: Bars,
    at: IntArray,
    fill_rule: FillRule = FillRule.TOUCH,
    threads: int | None = None,
) -> list[Walk]:
    """`walk` of each plan, in their order, on as many threads as there are cores."""
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        return list(pool.map(lambda plan: walk(plan, bars, at, fill_rule), plans))
