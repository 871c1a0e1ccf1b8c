"""`run_many`: many grids over the same bars, the figures of each in one row.

The path is thinned to its swings once for each series, and the kernel walks the widest thin path
that is exact for a grid, on as many threads as there are cores. What it does not reproduce exactly
goes through the core, one grid at a time. Memory holds the bars once, the working rows of `CHUNK`
grids, and the result.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.snapshot import Money
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.money import exact, from_float, rounding
from gridlab.research.backtest import Engine, core_story, fill_rule_of
from gridlab.research.batch_books import BOOKED, figures_of, starved_of
from gridlab.research.batch_table import Table, fits_swings, investment_of, wait_for
from gridlab.research.flows import Flows
from gridlab.research.kernel_run import token_short, try_kernel
from gridlab.research.ladder import Ladder, ladder_or_why
from gridlab.research.metrics import FloatArray, fraction_outside, max_drawdown
from gridlab.research.ticks import TickBars
from gridlab.research.venue import account_for

if TYPE_CHECKING:
    import pandas as pd

#: Grids that are walked together; what they need beside their result is given back after them.
CHUNK = 256
#: Figures of a row that are float64, in the order in which a frame shows them.
FIGURES = (
    *("investment", "equity", "total_return", "max_drawdown", "grid_profit", "floating", "fees"),
    *("base_held", "out_of_range"),
)


@dataclass(frozen=True, eq=False)
class BatchResult:
    """One row for each plan, in the order of the plans.

    Args:
        buys, sells: fills of resting orders; gap: the line without an order at the end, or -1 where
            the core ran.
        max_drawdown: deepest fall of equity at closes, the investment before the first bar
            included, as a fraction of the height before it.
        out_of_range: the fraction of bars that closed outside the lines.
        engines: `kernel` or `core`, by row.
    """

    plans: tuple[GridPlan, ...]
    bars: Bars
    fill_rule: str
    engines: tuple[str, ...]
    buys: IntArray
    sells: IntArray
    gap: IntArray
    investment: FloatArray
    equity: FloatArray
    total_return: FloatArray
    max_drawdown: FloatArray
    grid_profit: FloatArray
    floating: FloatArray
    fees: FloatArray
    base_held: FloatArray
    out_of_range: FloatArray

    def __len__(self) -> int:
        return len(self.plans)

    def money(self, row: int) -> Money:
        """The exact books of one row at the last close; the grid is run once more for them."""
        plan = self.plans[row]
        account, rule = account_for(plan), FillRule(self.fill_rule)
        found = try_kernel(plan, self.bars, account, rule)
        if not isinstance(found, str):
            return found.books.money
        return core_story(plan, self.bars, account, rule).money

    def to_frame(self) -> pd.DataFrame:
        """One row for each plan: levels, range, quantity and every figure; float64 and int64."""
        import pandas as pd

        columns: dict[str, Any] = {
            "levels": np.array([plan.spec.levels for plan in self.plans], np.int64),
            "lower": np.array([float(plan.lines[0]) for plan in self.plans]),
            "upper": np.array([float(plan.lines[-1]) for plan in self.plans]),
            "quantity": np.array([float(plan.quantity) for plan in self.plans]),
            "buys": self.buys,
            "sells": self.sells,
        }
        columns |= {name: getattr(self, name) for name in FIGURES}
        return pd.DataFrame(columns | {"engine": list(self.engines)})


def run_many(
    plans: Sequence[GridPlan],
    bars: Bars,
    *,
    fill_rule: FillRule | str = FillRule.TOUCH,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> BatchResult:
    """What each of `plans` would have done on `bars`, laid at the first bar's open.

    Args:
        plans: of `plan_grid` at the first open; each `ok`, all of the bars' symbol.
        fill_rule: `touch` or `through`, as for `backtest`.
        threads: by default one for each core.
        progress: called with the fraction of the plans that is done, 0 to 1.

    Raises:
        InvalidSpec: a plan that may not start, with its place and its findings.
        InvalidInput: no bars, bars of another symbol, or a plan that was laid at another price.
    """
    rule = fill_rule_of(fill_rule)
    _check(plans, bars)
    rows = _Rows(len(plans))
    done = 0
    # The next part is laid out while the threads walk the last one.
    walking: deque[_Walk] = deque()
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for start in (*range(0, len(plans), CHUNK), None):
            if start is not None:
                chunk = plans[start : start + CHUNK]
                walking.append(_begin(chunk, start, bars, rule, pool))
            while walking and (start is None or len(walking) > 1):
                walk = walking.popleft()
                for row in _finish(walk, rule, rows, pool):
                    _by_core(plans[row], row, bars, rule, rows)
                done += walk.size
                if progress is not None:
                    progress(done / len(plans))
    with rounding():
        investment = np.array([float(investment_of(plan)) for plan in plans])
    rows.figures["investment"] = investment
    if len(plans):
        rows.figures["total_return"] = rows.figures["equity"] / investment - 1
    return BatchResult(
        plans=tuple(plans),
        bars=bars,
        fill_rule=str(rule),
        engines=tuple(str(engine) for engine in rows.engines),
        buys=rows.buys,
        sells=rows.sells,
        gap=rows.gap,
        **rows.figures,
    )


def _check(plans: Sequence[GridPlan], bars: Bars) -> None:
    if not len(bars):
        raise InvalidInput(f"there is no bar of {bars.symbol} to run over; widen the span")
    first = from_float(bars.open[0])
    for place, plan in enumerate(plans):
        if (plan.spec.symbol, plan.spec.market) != (bars.symbol, bars.market):
            raise InvalidInput(
                f"plan {place} is for {plan.spec.symbol} ({plan.spec.market}) and the bars are of "
                f"{bars.symbol} ({bars.market}); load the bars of the same symbol and market"
            )
        if plan.reference_price != first:
            raise InvalidInput(
                f"plan {place} was laid at {plan.reference_price} and the first open is {first}; "
                "lay it at the first open of the bars"
            )
        if not plan.ok:
            failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
            raise InvalidSpec(*(f"plan {place}: {message}" for message in failures))


@dataclass
class _Rows:
    """The rows that are being filled."""

    count: int
    buys: IntArray = field(init=False)
    sells: IntArray = field(init=False)
    gap: IntArray = field(init=False)
    engines: list[Engine] = field(init=False)
    figures: dict[str, FloatArray] = field(init=False)

    def __post_init__(self) -> None:
        self.buys, self.sells, self.gap = (np.full(self.count, -1, np.int64) for _ in range(3))
        self.engines = [Engine.CORE] * self.count
        self.figures = {name: np.full(self.count, np.nan) for name in FIGURES}

    def put(self, row: int, engine: Engine, money: Money, buys: int, sells: int) -> None:
        with exact():
            equity = money.investment + money.total
        self.engines[row], self.buys[row], self.sells[row] = engine, buys, sells
        self.figures["equity"][row] = equity
        for name in BOOKED[1:]:
            self.figures[name][row] = getattr(money, name)


# --- through the kernel ---------------------------------------------------------------------------


class _Walk(NamedTuple):
    """A part of the plans whose tables are being walked, and what is left to the core already."""

    size: int
    left: list[int]
    groups: list[tuple[TickBars, list[tuple[int, Ladder]], Table, list[Future[None]]]]


def _begin(
    plans: Sequence[GridPlan], start: int, bars: Bars, rule: FillRule, pool: ThreadPoolExecutor
) -> _Walk:
    """Lay the tables of these plans and hand them to the threads."""
    walk = _Walk(len(plans), [], [])
    by_kind: dict[tuple[Decimal, bool], list[tuple[int, Ladder]]] = {}
    for row, plan in enumerate(plans, start):
        ladder, _ = ladder_or_why(plan, account_for(plan))
        if ladder is None or find_spec("numba") is None:
            walk.left.append(row)
        else:
            kind = (plan.instrument.tick_size, fits_swings(ladder))
            by_kind.setdefault(kind, []).append((row, ladder))
    for (tick_size, is_thin), group in by_kind.items():
        ticks = TickBars.of(bars, tick_size)
        if ticks.problem:
            walk.left.extend(row for row, _ in group)
            continue
        table = Table([ladder for _, ladder in group])
        parts = table.walk_swings(ticks, rule, pool) if is_thin else table.walk(ticks, rule, pool)
        walk.groups.append((ticks, group, table, parts))
    return walk


def _finish(walk: _Walk, rule: FillRule, rows: _Rows, pool: ThreadPoolExecutor) -> list[int]:
    """Fill the rows of what was walked; return those that are left to the core."""
    left = walk.left
    for ticks, group, table, parts in walk.groups:
        wait_for(parts)
        # A price band that was left between two turns, perhaps: the whole path says it.
        again = [pair for k, pair in enumerate(group) if table.ints[k, 1] and table.is_thin]
        if again:
            whole = Table([ladder for _, ladder in again])
            wait_for(whole.walk(ticks, rule, pool))
            left += _put(whole, again, ticks, rows)
        left += _put(table, group, ticks, rows)
    return sorted(left)


def _put(table: Table, group: list[tuple[int, Ladder]], ticks: TickBars, rows: _Rows) -> list[int]:
    """Fill rows from a table that was walked; return those for which an order was refused."""
    refused = []
    figures, starved = figures_of(table, int(ticks.close[-1])), starved_of(table)
    outside = ticks.fraction_outside(
        np.array([ladder.lines[0] for _, ladder in group]),
        np.array([ladder.lines[-1] for _, ladder in group]),
    )
    for k, (row, ladder) in enumerate(group):
        gap, is_banned = int(table.ints[k, 0]), bool(table.ints[k, 1])
        if is_banned and table.is_thin:
            continue
        short = token_short(ladder, account_for(ladder.plan), gap, table.buys_of(k))
        if is_banned or starved[k] or short:
            refused.append(row)
            continue
        rows.engines[row], rows.gap[row] = Engine.KERNEL, gap
        rows.buys[row] = bought = int(figures.buys[k])
        rows.sells[row] = bought + gap - ladder.gap
        rows.figures["max_drawdown"][row] = table.floats[k, 3]
        rows.figures["out_of_range"][row] = outside[k]
        for name in BOOKED:
            rows.figures[name][row] = getattr(figures, name)[k]
    return refused


# --- through the core, and beside both ------------------------------------------------------------


def _by_core(plan: GridPlan, row: int, bars: Bars, rule: FillRule, rows: _Rows) -> None:
    story = core_story(plan, bars, account_for(plan), rule)
    flows = Flows.of(story.trades, bars, plan.instrument)
    investment = float(story.money.investment)
    cash, base, tokens = flows.balances(investment, float(plan.spec.fees.third_price))
    runs = np.diff(np.concatenate(([0], flows.bar, [len(bars)])))
    equity = np.repeat(cash + tokens, runs) + np.repeat(base, runs) * bars.close
    buys = int(np.count_nonzero((flows.side > 0) & (flows.slot >= 0)))
    rows.put(row, Engine.CORE, story.money, buys, int(np.count_nonzero(flows.side < 0)))
    fall = max_drawdown(np.concatenate(([investment], equity)))
    rows.figures["max_drawdown"][row] = fall.fraction
    low, high = float(plan.lines[0]), float(plan.lines[-1])
    rows.figures["out_of_range"][row] = fraction_outside(bars.close, low, high)
