"""vectorbt on the standard work: a compiled order function that walks the path within each bar.

The library keeps the accounts; the grid is the user's own code, as the library means it to be. Each
call gives the next order of the bar: every line that the next point of the path crosses.

    python vectorbt_grid.py --data bars.npz [--configs N] [--reps K]
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402

import numpy as np  # noqa: E402
import vectorbt  # noqa: E402
from numba import njit  # noqa: E402
from vectorbt.portfolio import nb  # noqa: E402
from vectorbt.portfolio.enums import Direction  # noqa: E402

IMPORT_S = time.perf_counter() - BEGAN

import work  # noqa: E402

BOTH = Direction.Both
GAP, POINT = 0, 1


@njit
def next_order(context, o, h, low, c, lines, sizes, stocks, fee, state):  # type: ignore[no-untyped-def]
    column, bar = context.from_col, context.i
    if stocks[column] > 0:
        size, stocks[column] = stocks[column], 0.0
        return column, nb.order_nb(size=size, price=o[0], fees=fee, direction=BOTH)
    while state[column, POINT] < 4:
        point, gap = state[column, POINT], state[column, GAP]
        price = o[bar]
        if point == 3:
            price = c[bar]
        elif point > 0:
            price = low[bar] if (point == 1) == (c[bar] >= o[bar]) else h[bar]
        # Lines beyond the grid's own are NaN, which no price reaches.
        if price <= lines[column, gap]:
            state[column, GAP] = gap - 1
            at = lines[column, gap]
            return column, nb.order_nb(size=sizes[column], price=at, fees=fee, direction=BOTH)
        if price >= lines[column, gap + 2]:
            state[column, GAP] = gap + 1
            at = lines[column, gap + 2]
            return column, nb.order_nb(size=-sizes[column], price=at, fees=fee, direction=BOTH)
        state[column, POINT] = point + 1
    state[column, POINT] = 0
    return -1, nb.order_nothing_nb()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--configs", type=int, default=1)
    parser.add_argument("--reps", type=int, default=2)
    options = parser.parse_args()
    data = work.load(options.data)
    o, h, low, c = (data[name] for name in "ohlc")
    grids = work.grids(o[0], options.configs)
    count = len(grids)
    lines = np.full((count, max(len(grid.lines) for grid in grids) + 2), np.nan)
    for k, grid in enumerate(grids):
        lines[k, 1 : len(grid.lines) + 1] = grid.lines
    sizes = np.array([grid.quantity for grid in grids])
    close = c if count == 1 else np.broadcast_to(c[:, None], (len(c), count))

    def run() -> tuple[float, float, object]:
        """(seconds of the walk, seconds of value and drawdown, the portfolio)."""
        state = np.zeros((count, 2), np.int64)
        state[:, GAP] = [grid.gap for grid in grids]
        stocks = np.array([grid.base for grid in grids])
        began = time.perf_counter()
        portfolio = vectorbt.Portfolio.from_order_func(
            close, next_order, o, h, low, c, lines, sizes, stocks, work.FEE, state,
            flexible=True, init_cash=work.CAPITAL, freq="1min", max_orders=len(c) * count // 4,
        )  # fmt: skip
        walked = time.perf_counter()
        portfolio.final_value(), portfolio.max_drawdown()
        return walked - began, time.perf_counter() - walked, portfolio

    cold = sum(run()[:2])
    rounds = [run() for _ in range(options.reps)]
    walk_s, value_s, portfolio = min(rounds, key=lambda each: each[0] + each[1])
    side = portfolio.order_records["side"]
    work.report(
        "vectorbt", vectorbt.__version__, import_s=IMPORT_S, wall_s=walk_s + value_s, bars=len(c),
        configs=count, buys=(side == 0).sum() - count, sells=(side == 1).sum(),
        equity=np.mean(portfolio.final_value()), walk_s=round(walk_s, 4),
        first_call_s=round(cold, 2),
        max_drawdown=float(np.mean(portfolio.max_drawdown())),
    )  # fmt: skip


if __name__ == "__main__":
    main()
