"""What the research benchmark measures within one process: GridLab beside the bare kernel.

Each figure is a ratio of works done in turns, so that a machine that slows down slows both; the
median of the rounds is kept.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import yardstick
from peers import work
from standard_grid import grid_over, load_bars, one_grid, rules

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.data.history import History
from gridlab.domain.market import Interval
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.batch import run_many

#: Equity and drawdown must agree with the bare kernel's to this share of them.
EQUAL = 1e-9
RANDOM_GRIDS, SWEEP = 300, 1000


def columns_of(bars: Bars) -> tuple[Any, ...]:
    return bars.open, bars.high, bars.low, bars.close


def in_turns(rounds: int, *works: Callable[[], Any]) -> list[list[float]]:
    """Seconds of each work in each round, done in turns after one round that is not counted."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 1):
        for place, each in zip(times, works, strict=True):
            began = time.perf_counter()
            each()
            place.append(time.perf_counter() - began)
    return [place[1:] for place in times]


def ratio(mine: list[float], other: list[float]) -> float:
    """The median of the ratios of rounds."""
    return statistics.median(a / b for a, b in zip(mine, other, strict=True))


# --- P0 -------------------------------------------------------------------------------------------


def spans(bars: Bars, real: str | None) -> Iterator[tuple[str, Bars, int]]:
    """(name, bars, how many random grids): the year, and recorded prices."""
    yield "the year", bars, RANDOM_GRIDS
    if real is None:
        yield "the bundled month of BTCUSDT", load("BTCUSDT"), 30
        return
    from gridlab.data.bars import read_bars

    whole = read_bars(real, symbol="BTCUSDT", interval=Interval.M1)
    holes = np.flatnonzero(np.diff(whole.open_time_ms) != whole.interval.ms) + 1
    edges = [0, *holes.tolist(), len(whole)]
    first, last = max(zip(edges, edges[1:], strict=False), key=lambda pair: pair[1] - pair[0])
    end_ms = None if last == len(whole) else int(whole.open_time_ms[last])
    longest = whole.slice(int(whole.open_time_ms[first]), end_ms)
    yield "the recording's longest run", longest, 30
    yield f"the whole recording, {len(edges) - 2} jumps", whole, 30


def unequal(bars: Bars, grids: int) -> tuple[int, str]:
    """(how many grids differ from the bare kernel, the standard grid in words)."""
    columns, first = columns_of(bars), float(bars.open[0])
    buys, sells, equity, fall = one_grid(bars, "kernel")
    bare = yardstick.record(columns, work.lay(first))
    wrong = int(not _same((buys, sells), equity, fall, bare))
    shapes = work.wide_variants(grids)
    plans = [plan_grid(grid_over(first, *shape), rules(), from_float(first)) for shape in shapes]
    batch = run_many(plans, bars)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda s: yardstick.scan(columns, work.lay(first, *s)), shapes))
    for k, bare_k in enumerate(found):
        fills = (int(batch.buys[k]), int(batch.sells[k]))
        is_same = _same(fills, batch.equity[k], batch.max_drawdown[k], bare_k)
        wrong += not (is_same and batch.gap[k] == bare_k.gap)
    fills = f"{buys} buys, {sells} sells, equity {equity:.4f}, drawdown {100 * fall:.4f} %"
    return wrong, f"{len(bars):,} bars: {fills}; {grids} random grids"


def _same(fills: tuple[int, int], equity: float, fall: float, bare: yardstick.Found) -> bool:
    return (
        fills == (bare.buys, bare.sells)
        and abs(equity / bare.equity - 1) <= EQUAL
        and abs(fall - bare.drawdown) <= EQUAL * max(bare.drawdown, EQUAL)
    )


# --- the others -----------------------------------------------------------------------------------


def single(bars: Bars, rounds: int) -> dict[str, float]:
    """P1d, and seconds of one grid beside merely streaming the bars through memory."""
    columns, grid = columns_of(bars), work.lay(float(bars.open[0]))
    mine, bare, touch, total = in_turns(
        4 * rounds,
        lambda: one_grid(bars, "kernel"),
        lambda: yardstick.record(columns, grid),
        lambda: (bars.low.min(), bars.high.max()),
        lambda: [column.sum() for column in columns],
    )
    return {
        "P1d": ratio(mine, bare),
        "one_s": min(mine),
        "touch": ratio(mine, touch),
        "stream": ratio(mine, total),
    }


def sweeps(bars: Bars, rounds: int, threads: int) -> dict[str, float]:
    """P2 on the standard and on the wide sweep; seconds of a sweep and of its plans."""
    columns, first, found = columns_of(bars), float(bars.open[0]), {}
    for name, shapes in (("", work.variants(SWEEP)), (" wide", work.wide_variants(SWEEP))):
        began = time.perf_counter()
        plans = [plan_grid(grid_over(first, *s), rules(), from_float(first)) for s in shapes]
        found["plan_s" + name] = time.perf_counter() - began
        grids = [work.lay(first, *shape) for shape in shapes]
        mine, bare = in_turns(
            rounds,
            lambda plans=plans: run_many(plans, bars, threads=threads),
            lambda grids=grids: yardstick.sweep(columns, grids, threads),
        )
        found["P2" + name], found["sweep_s" + name] = ratio(mine, bare), min(mine)
        found["bare_sweep_s" + name] = min(bare)
    return found


def store(bars: Bars, rounds: int) -> dict[str, float]:
    """P6: a year from the history store beside the same columns from one Parquet file.

    A mapped column is read when it is looked at, so ours are all looked at.
    """
    names = ("open_time_ms", "open", "high", "low", "close", "volume", "quote_volume", "trades")

    def read_all(loaded: Bars) -> None:
        for name in names:
            getattr(loaded, name).max()

    with tempfile.TemporaryDirectory() as folder:
        history, path = History(Path(folder) / "store"), Path(folder) / "year.parquet"
        history.add(bars, "benchmark", as_of_ms=bars.end_ms + 86_400_000)
        parquet.write_table(pa.table({name: getattr(bars, name) for name in names}), path)
        mine, other = in_turns(
            4 * rounds,
            lambda: read_all(history.load(bars.symbol, bars.interval)),
            lambda: pd.read_parquet(path),
        )
    return {"P6": ratio(mine, other), "load_s": min(mine), "read_parquet_s": min(other)}


def all_alone(path: str, real: str | None, rounds: int, threads: int) -> dict[str, Any]:
    """Every figure of this module; prints what P0 looked at."""
    bars = load_bars(path)
    found: dict[str, Any] = {"P0": 0}
    for name, part, grids in spans(bars, real):
        wrong, words = unequal(part, grids)
        found["P0"] += wrong
        print(f"  P0 {name}, {words}, {wrong} differ from the bare kernel", flush=True)
    found |= single(bars, rounds) | sweeps(bars, rounds, threads) | store(bars, rounds)
    return found
