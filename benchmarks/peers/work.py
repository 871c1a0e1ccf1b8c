"""The standard work that every contender does: bars, grid, sweep, and the line that tells of it.

Capital 10,000 quote; 21 lines of one ratio over +-10 % of the first open, on cents; the line
nearest the first open empty; one quantity for all; 0.1 % of the value as a fee in quote on every
fill; refill at the adjacent line. Needs numpy only, so that it runs in any contender's environment.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FEE, CAPITAL, LEVELS, WIDTH = 0.001, 10_000.0, 20, 0.1
YEAR = 525_600
#: Columns of the file of bars: opens in milliseconds, then float64.
NAMES = ("t", "o", "h", "l", "c", "v")


class BareGrid(NamedTuple):
    """Lines, the empty line, quantity of an order; cash and base after the first purchase."""

    lines: Any
    gap: int
    quantity: float
    cash: float
    base: float


def load(path: str) -> dict[str, Any]:
    """The columns of a file of bars, each contiguous."""
    with np.load(path) as data:
        return {name: np.ascontiguousarray(data[name]) for name in NAMES}


def lay(first: float, width: float = WIDTH, levels: int = LEVELS, lot: float = 0.0) -> BareGrid:
    """The grid over `width` on either side of the first open that the capital pays."""
    lowest, highest = first * (1 - width), first * (1 + width)
    # Rounded to two decimals, so that each line is the double of the written price.
    lines = np.round(lowest * (highest / lowest) ** (np.arange(levels + 1) / levels), 2)
    gap = int(np.abs(np.log(lines / first)).argmin())
    quantity = CAPITAL / (((levels - gap) * first + lines[:gap].sum()) * (1 + FEE))
    if lot:
        quantity = np.floor(quantity / lot) * lot
    base = quantity * (levels - gap)
    return BareGrid(lines, gap, float(quantity), CAPITAL - base * first * (1 + FEE), float(base))


def variants(count: int) -> list[tuple[float, int]]:
    """(width, levels) of the standard sweep: 5 to 15 % on either side, 10 to 40 intervals."""
    random = np.random.default_rng(3)
    return [(float(random.uniform(0.05, 0.15)), int(random.integers(10, 41))) for _ in range(count)]


def wide_variants(count: int) -> list[tuple[float, int]]:
    """(width, levels) of the wide sweep: 3 to 25 %, 8 to 100 intervals, spacing above 0.2 %."""
    random = np.random.default_rng(11)
    found: list[tuple[float, int]] = []
    while len(found) < count:
        width, levels = float(random.uniform(0.03, 0.25)), int(random.integers(8, 101))
        if ((1 + width) / (1 - width)) ** (1 / levels) - 1 > 0.002:
            found.append((width, levels))
    return found


def grids(first: float, configs: int) -> list[BareGrid]:
    """The standard grid, or as many of the standard sweep's."""
    wanted = [(WIDTH, LEVELS)] if configs == 1 else variants(configs)
    return [lay(first, width, levels) for width, levels in wanted]


def peak_mb() -> int:
    """The most memory that this process has held.

    `ru_maxrss` would do, were it not that a child inherits its parent's; Linux tells the truth too.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)
    except (OSError, IndexError):
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def report(
    peer: str,
    version: str,
    *,
    import_s: float,
    wall_s: float,
    bars: int,
    buys: int,
    sells: int,
    equity: float,
    configs: int = 1,
    **more: Any,
) -> None:
    """Print one line of JSON; `wall_s` is the work alone, bars in memory and code compiled."""
    line = {
        "peer": peer,
        "version": version,
        "python": ".".join(map(str, sys.version_info[:3])),
        "import_s": round(import_s, 2),
        "wall_s": round(wall_s, 6),
        "bars": bars,
        "configs": configs,
        "bars_per_s": round(bars * configs / wall_s),
        "year_wall_s": round(wall_s / configs / bars * YEAR, 6),
        "buys": int(buys),
        "sells": int(sells),
        "equity": round(float(equity), 4),
        "peak_mb": peak_mb(),
    }
    print(json.dumps(line | more), flush=True)
