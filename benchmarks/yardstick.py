"""A bare grid in compiled floats: what the machine can do for this work, to measure GridLab by.

Not a part of the product and no model for one: no venue rules, no exact money, no partial lots, one
shape of grid. Compiled by numba as `scan` (fills and drawdown), `record` (with equity at each close
and every fill) and `sweep` (many grids, drawdown included, one thread for each share of them).

The work: capital in quote, lines spaced by a constant ratio, the line nearest the first open empty,
one quantity for all, a fee in quote on every fill, refill at the adjacent line; the path open, low,
high, close when a bar rose or stood, else high first.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from peers.work import FEE, BareGrid


class Found(NamedTuple):
    """What a run came to."""

    buys: int
    sells: int
    gap: int
    equity: float
    drawdown: float


@njit(cache=True, nogil=True)
def _scan(o, h, low, c, p, g, q, cash, base, fee):  # type: ignore[no-untyped-def]
    n, buys, sells = len(p) - 1, 0, 0
    top = cash + base * o[0] * (1 + fee)
    floor, fall = top, 0.0
    dn, up = p[g - 1] if g > 0 else -np.inf, p[g + 1] if g < n else np.inf
    for i in range(len(c)):
        if low[i] <= dn or h[i] >= up:
            rose = c[i] >= o[i]
            for k in range(4):
                x = o[i] if k == 0 else c[i] if k == 3 else low[i] if (k == 1) == rose else h[i]
                while x <= dn or x >= up:
                    if x <= dn:
                        g, buys, base = g - 1, buys + 1, base + q
                        cash -= q * p[g] * (1 + fee)
                    else:
                        g, sells, base = g + 1, sells + 1, base - q
                        cash += q * p[g] * (1 - fee)
                    dn, up = p[g - 1] if g > 0 else -np.inf, p[g + 1] if g < n else np.inf
        value = cash + base * c[i]
        if value > top:
            top, floor = value, value * (1 - fall)
        elif value < floor:
            fall, floor = 1 - value / top, value
    return buys, sells, g, cash + base * c[-1], fall


@njit(cache=True, nogil=True)
def _record(o, h, low, c, p, g, q, cash, base, fee, equity, fills):  # type: ignore[no-untyped-def]
    n, count, buys = len(p) - 1, 0, 0
    top = cash + base * o[0] * (1 + fee)
    floor, fall = top, 0.0
    dn, up = p[g - 1] if g > 0 else -np.inf, p[g + 1] if g < n else np.inf
    for i in range(len(c)):
        if low[i] <= dn or h[i] >= up:
            rose = c[i] >= o[i]
            for k in range(4):
                x = o[i] if k == 0 else c[i] if k == 3 else low[i] if (k == 1) == rose else h[i]
                while x <= dn or x >= up:
                    if x <= dn:
                        g, buys, base = g - 1, buys + 1, base + q
                        cash -= q * p[g] * (1 + fee)
                        fills[count, 1], fills[count, 2] = 1, g
                    else:
                        g, base = g + 1, base - q
                        cash += q * p[g] * (1 - fee)
                        fills[count, 1], fills[count, 2] = -1, g
                    fills[count, 0] = i
                    count += 1
                    dn, up = p[g - 1] if g > 0 else -np.inf, p[g + 1] if g < n else np.inf
        value = cash + base * c[i]
        equity[i] = value
        if value > top:
            top, floor = value, value * (1 - fall)
        elif value < floor:
            fall, floor = 1 - value / top, value
    return buys, count - buys, g, cash + base * c[-1], fall


def scan(columns: tuple[Any, ...], grid: BareGrid) -> Found:
    """Fills, equity and the drawdown at closes."""
    return Found(*_scan(*columns, *grid, FEE))


def record(columns: tuple[Any, ...], grid: BareGrid, most_fills: int = 1 << 20) -> Found:
    """The same with the equity at each close and the fills written down."""
    equity, fills = np.empty(len(columns[3])), np.empty((most_fills, 3), np.int32)
    return Found(*_record(*columns, *grid, FEE, equity, fills))


def sweep(columns: tuple[Any, ...], grids: list[BareGrid], threads: int = 2) -> list[Found]:
    """`scan` of each grid, an equal share on each thread."""
    with ThreadPoolExecutor(threads) as pool:
        shares = pool.map(
            lambda k: [scan(columns, grid) for grid in grids[k::threads]], range(threads)
        )
        parts = list(shares)
    found: list[Any] = [None] * len(grids)
    for k, part in enumerate(parts):
        found[k::threads] = part
    return found
