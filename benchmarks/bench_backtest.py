"""Speed of the backtest beside two yardsticks, in one run, on the same bars and the same grid.

The bars are the bundled month of BTCUSDT minutes, played forth and back until a year is full: real
candles and continuous prices, made to be busy. The grid has 20 geometric lines over +-10 % of the
first open. Three contenders, best of the rounds:

* the bound: numpy reads every low and every high once; nothing that looks at each bar is faster;
* naive: a pure Python loop over floats that knows one integer, the line without an order;
* gridlab: `backtest` by its core, with orders, exact books and a paper venue; its kernel is quicker
  and measured by `standard_grid.py`.

The two that trade must agree on every fill and on equity, or this fails. Ratios of one run mean
something; seconds alone depend on who else uses the machine.

    python benchmarks/bench_backtest.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Interval, Market
from gridlab.domain.spec import GridSpec
from gridlab.money import from_float
from gridlab.research.backtest import backtest

YEAR, CAPITAL, FEE, LEVELS = 525_600, 10_000, 0.001, 20


def year_of_minutes() -> Bars:
    """The recorded month, forth and back: every price is recorded, no price jumps at the seams."""
    month = load("BTCUSDT")
    back = {name: getattr(month, name)[::-1] for name in ("high", "low", "volume")}
    back |= {"open": month.close[::-1], "close": month.open[::-1]}
    rounds = -(-YEAR // len(month))
    columns = {
        name: np.concatenate(
            [back[name] if i % 2 else getattr(month, name) for i in range(rounds)]
        )[:YEAR]
        for name in ("open", "high", "low", "close", "volume")
    }
    return Bars(
        symbol="BTCUSDT",
        market=Market.SPOT,
        interval=Interval.M1,
        open_time_ms=int(month.open_time_ms[0]) + 60_000 * np.arange(YEAR),
        quote_volume=np.full(YEAR, np.nan),
        trades=np.full(YEAR, -1),
        **columns,
    )


def rules() -> Instrument:
    """Rules that round nothing but prices, so that exact books and floats can be compared."""
    wide = Decimal(10**9)
    return Instrument(
        symbol="BTCUSDT",
        market=Market.SPOT,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("1e-12"),
        min_notional=Decimal("0.0001"),
        min_quantity=Decimal("1e-12"),
        max_quantity=wide,
        min_price=Decimal("0.01"),
        max_price=wide,
        max_notional=wide,
    )


def spec_for(bars: Bars) -> GridSpec:
    first = from_float(bars.open[0])
    return GridSpec(
        "BTCUSDT",
        LEVELS,
        lower=first * Decimal("0.9"),
        upper=first * Decimal("1.1"),
        investment=Decimal(CAPITAL),
        fees=FeeSchedule(mode=FeeMode.QUOTE),
    )


def naive(bars: Bars) -> tuple[int, int, float]:
    """(buys, sells, equity) by the one-integer loop."""
    first = float(bars.open[0])
    low, high = 0.9 * first, 1.1 * first
    lines = [round(low * (high / low) ** (i / LEVELS), 2) for i in range(LEVELS + 1)]
    empty = min(range(LEVELS + 1), key=lambda i: abs(np.log(lines[i] / first)))
    held = LEVELS - empty
    quantity = CAPITAL / ((held * first + sum(lines[:empty])) * (1 + FEE))
    base, cash = quantity * held, CAPITAL - quantity * held * first * (1 + FEE)
    below = [-np.inf, *lines]  # below[i] is the line under line i
    above = [*lines[1:], np.inf]
    buys = sells = 0
    columns = (bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist())
    for o, h, lo, c in zip(*columns, strict=True):
        if lo > below[empty] and h < above[empty]:
            continue
        for price in (o, lo, h, c) if c >= o else (o, h, lo, c):
            while price <= below[empty]:
                empty -= 1
                buys += 1
                base, cash = base + quantity, cash - quantity * lines[empty] * (1 + FEE)
            while price >= above[empty]:
                empty += 1
                sells += 1
                base, cash = base - quantity, cash + quantity * lines[empty] * (1 - FEE)
    return buys, sells, cash + base * float(bars.close[-1])


def best_of(rounds: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds of the quickest round, what the work returned)."""
    quickest, answer = float("inf"), None
    for _ in range(rounds):
        began = time.perf_counter()
        answer = work()
        quickest = min(quickest, time.perf_counter() - began)
    return quickest, answer


def whole_process(bars: Bars) -> tuple[float, float]:
    """(seconds, peak MB) of the command `gridlab backtest --json`, start to printed result."""
    names = ("open", "high", "low", "close", "volume")
    table = pa.table({"open_time": bars.open_time_ms} | {n: getattr(bars, n) for n in names})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "year.parquet"
        pq.write_table(table, path)
        words = ["-m", "gridlab", "backtest", "--symbol", "BTCUSDT", "--levels", str(LEVELS)]
        words += ["--spacing-perc", "1.008", "--file", str(path), "--json"]
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - began
    return took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    bars = year_of_minutes()
    spec, loose = spec_for(bars), rules()
    bound_s, _ = best_of(10 * rounds, lambda: (bars.low.min(), bars.high.max()))
    naive_s, (buys, sells, equity) = best_of(rounds, lambda: naive(bars))
    core_s, result = best_of(rounds, lambda: backtest(spec, bars, instrument=loose, engine="core"))
    curve_s, _ = best_of(1, lambda: (result.curve, result.max_drawdown))
    print(f"{YEAR:,} bars, {LEVELS} grids, {buys:,} buys, {sells:,} sells, best of {rounds}")
    rows = (
        ("bound: read low and high once", bound_s),
        ("naive: one integer, floats", naive_s),
        ("gridlab: backtest", core_s),
        ("  and its curve and drawdown", core_s + curve_s),
    )
    for name, seconds in rows:
        print(
            f"  {name:<32}{1000 * seconds:>10.2f} ms {YEAR / seconds / 1e6:>10.2f} M bars/s"
            f"  {seconds / naive_s:>7.3f} x naive"
        )
    fills = buys + sells
    print(f"  each fill costs gridlab {1e6 * core_s / fills:.0f} us, orders and books included")
    took, peak = whole_process(bars)
    print(f"  whole process, file to JSON: {took:.2f} s, peak {peak:.0f} MB (goal: 3 s, 500 MB)")
    agree = tuple(result.fills) == (buys, sells) and abs(float(result.equity) - equity) < 1e-3
    print("  fills and equity agree" if agree else f"  DIFFER: {result.fills}, {result.equity}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
