"""backtesting.py on the standard work: each interval of the grid is one trade that repeats.

A limit order at the lower line takes its profit at the upper one. The library fills whole units, so
a millionth of a coin is one; it knows no path within a bar, and an order that is placed when a bar
closes may fill from the next bar on. So its fills are nearly, not exactly, those of the grid.

    python backtesting_grid.py --data bars.npz [--configs N] [--reps K]
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import warnings  # noqa: E402

import backtesting  # noqa: E402
import pandas as pd  # noqa: E402
from backtesting import Strategy  # noqa: E402
from backtesting.lib import FractionalBacktest  # noqa: E402

IMPORT_S = time.perf_counter() - BEGAN

import work  # noqa: E402

UNIT = 1e-6


class Intervals(Strategy):
    """One repeating trade for each interval."""

    grid: work.BareGrid | None = None

    def init(self) -> None:
        self.lines = [line * UNIT for line in self.grid.lines]
        self.size = int(self.grid.quantity / UNIT)
        self.told, self.is_laid = 0, False

    def enter(self, k: int) -> None:
        self.buy(size=self.size, limit=self.lines[k], tp=self.lines[k + 1], tag=k)

    def next(self) -> None:
        if not self.is_laid:
            self.is_laid = True
            for k in range(len(self.lines) - 1):
                if k < self.grid.gap:
                    self.enter(k)
                else:
                    self.buy(size=self.size, tp=self.lines[k + 1], tag=k)
        closed = self.closed_trades
        for trade in closed[self.told :]:
            self.enter(trade.tag)
        self.told = len(closed)


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--configs", type=int, default=1)
    parser.add_argument("--reps", type=int, default=1)
    options = parser.parse_args()
    data = work.load(options.data)
    names = dict(zip(("Open", "High", "Low", "Close", "Volume"), "ohlcv", strict=True))
    frame = pd.DataFrame(
        {name: data[short] for name, short in names.items()},
        index=pd.to_datetime(data["t"], unit="ms"),
    )
    best, found = float("inf"), []
    for _ in range(options.reps):
        began = time.perf_counter()
        found = []
        for grid in work.grids(data["o"][0], options.configs):
            test = FractionalBacktest(
                frame, Intervals, fractional_unit=UNIT, cash=work.CAPITAL, commission=work.FEE,
                hedging=True, exclusive_orders=False,
            )  # fmt: skip
            found.append(test.run(grid=grid))
        best = min(best, time.perf_counter() - began)
    trades = sum(len(stats["_trades"]) for stats in found)
    work.report(
        "backtesting.py", backtesting.__version__, import_s=IMPORT_S, wall_s=best, bars=len(frame),
        configs=len(found), buys=trades, sells=trades,
        equity=sum(stats["Equity Final [$]"] for stats in found) / len(found),
        max_drawdown=-found[0]["Max. Drawdown [%]"] / 100,
    )  # fmt: skip


if __name__ == "__main__":
    main()
