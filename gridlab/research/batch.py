"""`run_many`: many grids over the same bars, the figures of each in one row.

The kernel walks a block of bars with one grid after the other while the block lies in the cache,
on as many threads as there are cores. What it does not reproduce exactly goes through the core, one
grid at a time. Memory holds the bars once, the working rows of `CHUNK` grids, and the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.domain.market import FeeMode
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.snapshot import Money
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.money import exact, from_float, rounding
from gridlab.research.backtest import Engine, core_story, fill_rule_of
from gridlab.research.flows import Flows
from gridlab.research.kernel_books import books_of
from gridlab.research.kernel_run import starved, token_short, try_kernel
from gridlab.research.ladder import Ladder, ladder_or_why
from gridlab.research.metrics import FloatArray, max_drawdown
from gridlab.research.ticks import TickBars
from gridlab.research.venue import account_for

if TYPE_CHECKING:
    import pandas as pd

#: Bars of a block: four columns of int32 fill half of a small L2 cache.
BLOCK = 4096
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
    workers = threads or os.cpu_count() or 1
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(plans), CHUNK):
            chunk = plans[start : start + CHUNK]
            for row in _by_kernel(chunk, start, bars, rule, rows, pool, workers):
                _by_core(plans[row], row, bars, rule, rows)
            done += len(chunk)
            if progress is not None:
                progress(done / len(plans))
    with rounding():
        investment = np.array([float(_investment(plan)) for plan in plans])
    rows.figures["investment"] = investment
    if len(plans):
        rows.figures["total_return"] = rows.figures["equity"] / investment - 1
    rows.figures["out_of_range"] = _out_of_range(plans, bars)
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
        for name in ("grid_profit", "floating", "fees", "base_held"):
            self.figures[name][row] = getattr(money, name)


# --- through the kernel ---------------------------------------------------------------------------


def _by_kernel(
    plans: Sequence[GridPlan],
    start: int,
    bars: Bars,
    rule: FillRule,
    rows: _Rows,
    pool: ThreadPoolExecutor,
    workers: int,
) -> list[int]:
    """Fill the rows that the kernel reproduces; return those that are left to the core."""
    left: list[int] = []
    ladders: list[tuple[int, Ladder]] = []
    for row, plan in enumerate(plans, start):
        ladder, _ = ladder_or_why(plan, account_for(plan))
        if ladder is None or find_spec("numba") is None:
            left.append(row)
        else:
            ladders.append((row, ladder))
    by_tick: dict[Decimal, list[tuple[int, Ladder]]] = {}
    for row, ladder in ladders:
        by_tick.setdefault(ladder.plan.instrument.tick_size, []).append((row, ladder))
    for tick_size, group in by_tick.items():
        ticks = TickBars.of(bars, tick_size)
        if ticks.problem:
            left += [row for row, _ in group]
            continue
        table = Table([ladder for _, ladder in group])
        table.walk(ticks, rule, pool, workers)
        mark = from_float(bars.close[-1])
        for k, (row, ladder) in enumerate(group):
            if not table.put(k, row, ladder, mark, rows):
                left.append(row)
    return left


class Table:
    """The arrays of `kernel.sweep` for some ladders, and what it leaves in them."""

    def __init__(self, ladders: Sequence[Ladder]) -> None:
        from gridlab.research import kernel

        count = len(ladders)
        sizes = np.array([ladder.slots for ladder in ladders], np.int64)
        self.at = np.concatenate(([0], np.cumsum(sizes)))
        slots = int(self.at[-1])
        self.lines = np.concatenate([kernel.padded(ladder.lines) for ladder in ladders])
        limits = [ladder.limits for ladder in ladders]
        self.lowest = np.concatenate([lowest for lowest, _ in limits])
        self.highest = np.concatenate([highest for _, highest in limits])
        self.ints = np.zeros((count, 2), np.int64)
        self.floats = np.zeros((count, 4))
        self.buys, self.over = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
        self.coming = np.zeros(slots, np.int8)
        self.left = np.array([ladder.left_units for ladder in ladders], np.int64)
        self.lot = np.array([ladder.lot_units for ladder in ladders], np.int64)
        self.buy_cash, self.sale_cash = np.zeros(slots), np.zeros((3, slots))
        self.buy_worth, self.sale_worth = np.zeros(count), np.zeros((3, count))
        for k, ladder in enumerate(ladders):
            self._lay(k, ladder)

    def _lay(self, k: int, ladder: Ladder) -> None:
        """Everything of one ladder in floats: cash of each fill, base in worth of one tick."""
        plan, first, end = ladder.plan, self.at[k], self.at[k + 1]
        rules, fees = plan.instrument, plan.spec.fees
        tick, step = float(rules.tick_size), 10.0**-rules.commission_precision
        value = tick * float(rules.lot_size)
        lines = np.array(ladder.lines, np.float64)
        token = float(fees.third_price) if fees.mode is FeeMode.THIRD else 1.0
        buy_fee = 0.0 if ladder.takes_base else np.array(ladder.buy_fees) * step * token
        self.buy_cash[first:end] = -lines[:-1] * (ladder.lots * value) - buy_fee
        for kind, size in enumerate(ladder.sale_sizes):
            fee = np.array(ladder.sale_fees[kind]) * step * token
            self.sale_cash[kind, first:end] = lines[1:] * (size * value) - fee
            self.sale_worth[kind, k] = size * value
        unit = value / ladder.lot_units
        self.buy_worth[k] = ladder.buy_units * unit
        self.over[end - 1] = ladder.dust_units
        self.coming[first + ladder.gap : end] = 2
        investment = float(_investment(plan))
        first_fee = 0.0 if ladder.takes_base else ladder.first_fee * step * token
        cash = investment - ladder.reference * ladder.first_lots * value - first_fee
        stock = ladder.lots * ladder.lot_units * (ladder.slots - ladder.gap) + ladder.dust_units
        self.ints[k] = ladder.gap, 0
        self.floats[k] = cash, stock * unit, investment, 0.0

    def walk(self, ticks: TickBars, rule: FillRule, pool: ThreadPoolExecutor, workers: int) -> None:
        """Walk all ladders over all bars, an equal share of them on each thread."""
        from gridlab.research import kernel

        edges = np.linspace(0, len(self.ints), min(workers, len(self.ints)) + 1).astype(np.int64)
        columns = (ticks.open, ticks.high, ticks.low, ticks.close)

        def part(k: int) -> None:
            kernel.sweep(
                *columns,
                BLOCK,
                edges[k],
                edges[k + 1],
                self.at,
                self.lines,
                self.lowest,
                self.highest,
                int(rule is FillRule.THROUGH),
                self.ints,
                self.floats,
                self.buys,
                self.coming,
                self.over,
                self.left,
                self.lot,
                self.buy_cash,
                self.buy_worth,
                self.sale_cash,
                self.sale_worth,
            )

        list(pool.map(part, range(len(edges) - 1)))

    def put(self, k: int, row: int, ladder: Ladder, mark: Decimal, rows: _Rows) -> bool:
        """Fill one row; False when the core has to, because an order would have been refused."""
        gap, status = (int(value) for value in self.ints[k])
        buys = self.buys[self.at[k] : self.at[k + 1]].tolist()
        account = account_for(ladder.plan)
        if status or starved(ladder, account, gap, buys) or token_short(ladder, account, gap, buys):
            return False
        bought = sum(buys)
        sold = bought + gap - ladder.gap
        money = books_of(ladder, gap, buys, mark).money
        rows.put(row, Engine.KERNEL, money, bought, sold)
        rows.gap[row] = gap
        rows.figures["max_drawdown"][row] = self.floats[k, 3]
        return True


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


def _out_of_range(plans: Sequence[GridPlan], bars: Bars) -> npt.NDArray[np.float64]:
    """The fraction of closes outside each plan's lines, from one sorted column."""
    ordered = np.sort(bars.close)
    low = np.array([float(plan.lines[0]) for plan in plans])
    high = np.array([float(plan.lines[-1]) for plan in plans])
    below = np.searchsorted(ordered, low, side="left")
    above = len(ordered) - np.searchsorted(ordered, high, side="right")
    return (below + above) / len(ordered)


def _investment(plan: GridPlan) -> Decimal:
    return plan.spec.investment or plan.capital_needed
