"""hftbacktest on the standard work: four trades a bar, orders with no queue before them.

The library replays market events, so a bar becomes a trade at each point of its path, a quarter of
a minute apart. The strategy wakes after each and puts the opposite order for whatever was filled.

    python hftbacktest_grid.py --data bars.npz [--configs N] [--reps K]
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
from importlib.metadata import version  # noqa: E402

import numpy as np  # noqa: E402
from hftbacktest import (  # noqa: E402
    BUY,
    BUY_EVENT,
    EXCH_EVENT,
    FILLED,
    GTC,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)
from hftbacktest.types import event_dtype  # noqa: E402
from numba import njit  # noqa: E402

IMPORT_S = time.perf_counter() - BEGAN

import work  # noqa: E402

QUARTER_NS = 15_000_000_000


@njit
def trade(hbt, lines, gap, quantity):  # type: ignore[no-untyped-def]
    """(buys, sells) until the events end."""
    buys, sells, seen = 0, 0, 0
    hbt.elapse(1)
    for k in range(len(lines)):
        if k < gap:
            hbt.submit_buy_order(0, k, lines[k], quantity, GTC, LIMIT, False)
        elif k > gap:
            hbt.submit_sell_order(0, k, lines[k], quantity, GTC, LIMIT, False)
    while hbt.elapse(QUARTER_NS) == 0:
        count = hbt.state_values(0).num_trades
        if count == seen:
            continue
        seen, lowest, highest = count, gap, gap
        orders = hbt.orders(0).values()
        while orders.has_next():
            order = orders.get()
            if order.status != FILLED:
                continue
            if order.side == BUY:
                buys, lowest = buys + 1, min(lowest, int(order.order_id))
            else:
                sells, highest = sells + 1, max(highest, int(order.order_id))
        hbt.clear_inactive_orders(0)
        for k in range(lowest + 1, gap + 1):
            hbt.submit_sell_order(0, k, lines[k], quantity, GTC, LIMIT, False)
        for k in range(gap, highest):
            hbt.submit_buy_order(0, k, lines[k], quantity, GTC, LIMIT, False)
        gap = lowest if lowest < gap else highest
    return buys, sells


def events(data: dict[str, np.ndarray]) -> np.ndarray:
    """A trade at each point of each bar's path; the first stands before the strategy wakes."""
    o, h, low, c = (data[name] for name in "ohlc")
    rose = c >= o
    path = np.stack([o, np.where(rose, low, h), np.where(rose, h, low), c], axis=1).ravel()
    when = np.repeat(data["t"] * 1_000_000, 4) + np.tile(np.arange(4), len(o)) * QUARTER_NS
    made = np.zeros(len(path) + 1, event_dtype)
    kind = np.uint64(EXCH_EVENT | LOCAL_EVENT | TRADE_EVENT)
    side = np.where(np.diff(path, prepend=path[0]) < 0, SELL_EVENT, BUY_EVENT).astype(np.uint64)
    made["ev"][0], made["px"][0], made["qty"][0] = kind | np.uint64(BUY_EVENT), path[0], 1e-3
    made["exch_ts"][0] = when[0]
    made["ev"][1:], made["px"][1:], made["qty"][1:] = kind | side, path, 1e3
    made["exch_ts"][1:] = when + QUARTER_NS // 2
    made["local_ts"] = made["exch_ts"]
    return made


def run(grid: work.BareGrid, feed: np.ndarray, last: float) -> tuple[int, int, float]:
    """(buys, sells, equity)."""
    asset = (
        BacktestAsset()
        .data(feed)
        .linear_asset(1.0)
        .constant_order_latency(1, 1)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(work.FEE, work.FEE)
        .tick_size(0.01)
        .lot_size(1e-9)
    )
    hbt = HashMapMarketDepthBacktest([asset])
    buys, sells = trade(hbt, grid.lines, grid.gap, grid.quantity)
    state = hbt.state_values(0)
    equity = grid.cash + state.balance - state.fee + (grid.base + state.position) * last
    hbt.close()
    return buys, sells, equity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--configs", type=int, default=1)
    parser.add_argument("--reps", type=int, default=1)
    options = parser.parse_args()
    data = work.load(options.data)
    feed, last = events(data), float(data["c"][-1])
    grids = work.grids(data["o"][0], options.configs)
    began = time.perf_counter()
    run(grids[0], feed[:2001], last)
    cold, best, found = time.perf_counter() - began, np.inf, []
    for _ in range(options.reps):
        began = time.perf_counter()
        found = [run(grid, feed, last) for grid in grids]
        best = min(best, time.perf_counter() - began)
    work.report(
        "hftbacktest", version("hftbacktest"), import_s=IMPORT_S, wall_s=best, bars=len(data["c"]),
        configs=len(grids), buys=sum(f[0] for f in found), sells=sum(f[1] for f in found),
        equity=np.mean([f[2] for f in found]), first_call_s=round(cold, 2),
    )  # fmt: skip


if __name__ == "__main__":
    main()
