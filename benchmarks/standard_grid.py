"""The standard work, through GridLab's public calls, as one line of JSON.

Capital 10,000 quote, 21 geometric lines over +-10 % of the first open, equal base quantity on every
line, 0.1 % fee in quote on every fill. With `--configs N` a sweep of N random grids, 5 to 15 % wide
on either side with 10 to 40 intervals, fills summed and equity averaged.

    python benchmarks/standard_grid.py --data bars.npz [--configs N] [--engine kernel] [--reps K]

The data are arrays t (opens, milliseconds) and o h l c v of minutes. The time is the best of the
repetitions, after one that is not counted: bars in memory, code compiled. With `--reps 0` it is
that of the first call.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from decimal import Decimal  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from peers.work import peak_mb  # noqa: E402

from gridlab._version import __version__  # noqa: E402
from gridlab.data.bars import Bars  # noqa: E402
from gridlab.domain.market import (  # noqa: E402
    FeeMode,
    FeeSchedule,
    Instrument,
    Interval,
    Market,
)
from gridlab.domain.spec import GridSpec  # noqa: E402
from gridlab.grid.preflight import plan_grid  # noqa: E402
from gridlab.money import from_float  # noqa: E402
from gridlab.research.backtest import backtest  # noqa: E402
from gridlab.research.batch import run_many  # noqa: E402

IMPORT_S = time.perf_counter() - BEGAN
CAPITAL, FEE, LEVELS, WIDTH = Decimal(10_000), Decimal("0.001"), 20, 0.1
SYMBOL, SEED, YEAR = "BTCUSDT", 3, 525_600


def load_bars(path: str) -> Bars:
    """The minutes in a file of arrays."""
    data = np.load(path)
    count = len(data["t"])
    columns = [data[name] for name in ("o", "h", "l", "c", "v")]
    return Bars(
        SYMBOL,
        Market.SPOT,
        Interval.M1,
        data["t"],
        *columns,
        np.full(count, np.nan),
        np.full(count, -1, np.int64),
    )


def rules() -> Instrument:
    """A market that rounds nothing but prices, to cents: neither lots nor fees can be seen."""
    wide, fine = Decimal(10**9), Decimal("1e-12")
    return Instrument(
        symbol=SYMBOL,
        market=Market.SPOT,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=fine,
        min_notional=Decimal("0.0001"),
        min_quantity=fine,
        max_quantity=wide,
        min_price=Decimal("0.01"),
        max_price=wide,
        max_notional=wide,
        max_num_orders=1000,
        commission_precision=12,
    )


def grid_over(first: float, width: float, levels: int) -> GridSpec:
    return GridSpec(
        SYMBOL,
        levels,
        lower=from_float(first * (1 - width)),
        upper=from_float(first * (1 + width)),
        investment=CAPITAL,
        fees=FeeSchedule(FEE, FEE, FeeMode.QUOTE),
        allow_unprofitable=True,
    )


def variants(first: float, count: int) -> list[GridSpec]:
    """`count` random grids, the same in every run."""
    random = np.random.default_rng(SEED)
    drawn = [
        (float(random.uniform(0.05, 0.15)), int(random.integers(10, 41))) for _ in range(count)
    ]
    return [grid_over(first, width, levels) for width, levels in drawn]


def best_of(rounds: int, work: Callable[[], Any]) -> tuple[float, float, Any]:
    """(seconds of a first call, seconds of the quickest later one, its answer)."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = work()
        times.append(time.perf_counter() - began)
    return times[0], min(times[1:] or times), answer


def one_grid(bars: Bars, engine: str) -> tuple[int, int, float, float]:
    """(buys, sells, equity, drawdown) of the standard grid, its equity curve made."""
    spec = grid_over(float(bars.open[0]), WIDTH, LEVELS)
    result = backtest(spec, bars, engine=engine, instrument=rules())
    assert len(result.equity_curve) == len(bars)
    return *result.fills, float(result.equity), result.max_drawdown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--configs", type=int, default=1)
    parser.add_argument("--engine", choices=("auto", "kernel", "core"), default="auto")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    bars = load_bars(options.data)
    more: dict[str, Any] = {"engine": options.engine}
    if options.configs == 1:
        cold_s, wall_s, found = best_of(options.reps, lambda: one_grid(bars, options.engine))
        buys, sells, equity, more["max_drawdown"] = found
    elif options.engine == "core":
        parser.error("a sweep takes the kernel where it is exact; --engine core is for one grid")
    else:
        first, market = float(bars.open[0]), rules()
        began = time.perf_counter()
        plans = [
            plan_grid(spec, market, from_float(first)) for spec in variants(first, options.configs)
        ]
        more["plan_s"] = round(time.perf_counter() - began, 3)
        cold_s, wall_s, batch = best_of(
            options.reps, lambda: run_many(plans, bars, threads=options.threads)
        )
        buys, sells, equity = batch.buys.sum(), batch.sells.sum(), batch.equity.mean()
        more["by_core"] = batch.engines.count("core")
        more["max_drawdown"] = float(batch.max_drawdown.mean())
    line = {
        "peer": "gridlab",
        "version": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "import_s": round(IMPORT_S, 2),
        "wall_s": round(wall_s, 6),
        "bars": len(bars),
        "configs": options.configs,
        "bars_per_s": round(len(bars) * options.configs / wall_s),
        "year_wall_s": round(wall_s / options.configs / len(bars) * YEAR, 6),
        "buys": int(buys),
        "sells": int(sells),
        "equity": round(float(equity), 4),
        "peak_mb": peak_mb(),
        "first_call_s": round(cold_s, 3),
    }
    print(json.dumps(line | more), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
