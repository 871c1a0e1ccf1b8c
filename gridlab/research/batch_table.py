"""`Table`: ladders as the arrays that the compiled sweeps walk, and what they leave in them.

Of ladder k everything by slot begins at `at[k]`, everything by line at `at[k] + k`, padded lines at
`at[k] + 3 k`. Knows no plan's place among others, and no books.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gridlab.domain.market import FeeMode
from gridlab.domain.plan import GridPlan
from gridlab.exchange.paper import FillRule
from gridlab.research.ladder import Ladder
from gridlab.research.swings import swings_of, width_of
from gridlab.research.ticks import TickBars

#: Bars of a block: four columns of int32 fill half of a small L2 cache.
BLOCK = 4096
#: Grids that a thread walks block by block together.
FUSED = 64
#: Grids that a thread takes at once from those that share a thin path.
PORTION = 16


def fits_swings(ladder: Ladder) -> bool:
    """Whether the bounds by which a thin path tells the fall hold: no fee is paid to the grid."""
    fees = ladder.plan.spec.fees
    return fees.maker >= 0 and fees.taker >= 0


def investment_of(plan: GridPlan) -> Decimal:
    """Quote units against which a plan's result is measured."""
    return plan.spec.investment or plan.capital_needed


def wait_for(parts: Iterable[Future[None]]) -> None:
    """Wait until all of them are done; raises what one of them raised."""
    for part in parts:
        part.result()


class Table:
    """The arrays of `kernel.sweep` and `kernel_swings.walk_some` for some ladders."""

    def __init__(self, ladders: Sequence[Ladder]) -> None:
        from gridlab.research import kernel

        self.ladders = tuple(ladders)
        #: Whether the walk was one over thin paths.
        self.is_thin = False
        count = len(ladders)
        self.sizes = np.array([ladder.slots for ladder in ladders], np.int64)
        self.at = np.concatenate(([0], np.cumsum(self.sizes)))
        slots = int(self.at[-1])
        self.lines = np.concatenate([kernel.padded(ladder.lines) for ladder in ladders])
        limits = [ladder.limits for ladder in ladders]
        self.lowest = np.concatenate([lowest for lowest, _ in limits])
        self.highest = np.concatenate([highest for _, highest in limits])
        self.below = self._by_slot(ladder.lines[:-1] for ladder in ladders)
        self.above = self._by_slot(ladder.lines[1:] for ladder in ladders)
        self.buy_fees = self._by_slot(ladder.buy_fees for ladder in ladders)
        self.sale_fees = np.array(
            [self._by_slot(ladder.sale_fees[kind] for ladder in ladders) for kind in range(3)]
        )
        self.starts = np.array([ladder.gap for ladder in ladders], np.int64)
        self.left = np.array([ladder.left_units for ladder in ladders], np.int64)
        self.lot = np.array([ladder.lot_units for ladder in ladders], np.int64)
        self.dust = np.array([ladder.dust_units for ladder in ladders], np.int64)
        self.buys, self.over = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
        self.over[self.at[1:] - 1] = self.dust
        #: Whether a slot was stocked at the start.
        self.began = self.places >= self.spread(self.starts)
        self.coming = np.where(self.began, 2, 0).astype(np.int8)
        self._lay_money(count)

    def _by_slot(self, values: Iterable[Iterable[int]]) -> npt.NDArray[np.int64]:
        return np.fromiter(chain.from_iterable(values), np.int64, int(self.at[-1]))

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One value by ladder as one value by slot."""
        return np.repeat(values, self.sizes)

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """The number of each slot within its ladder."""
        found: npt.NDArray[np.int64] = np.arange(int(self.at[-1])) - self.spread(self.at[:-1])
        return found

    def _lay_money(self, count: int) -> None:
        """What fills move, in floats: cash, and base as worth of one tick."""
        self.ints, self.floats = np.zeros((count, 2), np.int64), np.zeros((count, 4))
        self.buy_worth, self.sale_worth = np.zeros(count), np.zeros((3, count))
        sizes, values, steps = np.zeros((4, count)), np.zeros(count), np.zeros(count)
        base_fee = np.zeros(count, np.bool_)
        for k, ladder in enumerate(self.ladders):
            plan = ladder.plan
            rules, fees = plan.instrument, plan.spec.fees
            tick, step = float(rules.tick_size), 10.0**-rules.commission_precision
            value = tick * float(rules.lot_size)
            step *= float(fees.third_price) if fees.mode is FeeMode.THIRD else 1.0
            values[k], steps[k], base_fee[k] = value, step, ladder.takes_base
            sizes[:, k] = (*ladder.sale_sizes, ladder.lots)
            unit = value / ladder.lot_units
            self.buy_worth[k] = ladder.buy_units * unit
            investment = float(investment_of(plan))
            first_fee = 0.0 if ladder.takes_base else ladder.first_fee * step
            cash = investment - ladder.reference * ladder.first_lots * value - first_fee
            stock = ladder.lots * ladder.lot_units * (ladder.slots - ladder.gap)
            self.ints[k] = ladder.gap, 0
            self.floats[k] = cash, (stock + ladder.dust_units) * unit, investment, 0.0
        self.sale_worth[:] = sizes[:3] * values
        moved, paid = np.repeat(sizes * values, self.sizes, axis=1), self.spread(steps)
        self.sale_cash = self.above * moved[:3] - self.sale_fees * paid
        quote_fees = np.where(self.spread(base_fee), 0.0, self.buy_fees * paid)
        self.buy_cash = -(self.below * moved[3]) - quote_fees

    def buys_of(self, k: int) -> list[int]:
        """How often each slot of ladder k bought."""
        found: list[int] = self.buys[self.at[k] : self.at[k + 1]].tolist()
        return found

    def walk(self, ticks: TickBars, rule: FillRule, pool: ThreadPoolExecutor) -> list[Future[None]]:
        """Have all ladders walked over all bars, some of them at a time."""
        from gridlab.research import kernel

        columns = (ticks.open, ticks.high, ticks.low, ticks.close)
        edges = [*range(0, len(self.ints), FUSED), len(self.ints)]
        sweep: Callable[..., None] = kernel.sweep
        return [
            pool.submit(sweep, *columns, BLOCK, first, last, *self._arrays(rule))
            for first, last in pairwise(edges)
        ]

    def walk_swings(
        self, ticks: TickBars, rule: FillRule, pool: ThreadPoolExecutor
    ) -> list[Future[None]]:
        """The same over thin paths, each ladder over the widest that is exact for it."""
        from gridlab.research import kernel_swings as kernel

        distances = np.minimum.reduceat(self.above - self.below, self.at[:-1])
        widths = np.array([width_of(int(distance)) for distance in distances])
        known = swings_of(ticks, widths.tolist())
        columns = (ticks.open, ticks.high, ticks.low, ticks.close)

        # Narrow paths are long: they go first, so that no thread is left with one at the end.
        walk_some: Callable[..., None] = kernel.walk_some
        parts = []
        for width in np.unique(widths).tolist():
            same, path = np.flatnonzero(widths == width), known[width]
            arrays = (path.turns, path.places, path.facts, path.delta)
            parts += [
                pool.submit(walk_some, *columns, *arrays, which, *self._arrays(rule))
                for which in (same[i : i + PORTION] for i in range(0, len(same), PORTION))
            ]
        self.is_thin = True
        return parts

    def _arrays(self, rule: FillRule) -> tuple[object, ...]:
        """What the compiled functions take alike, in their order."""
        return (
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
