"""Measure how cost grows with bars and with grids, and draw it: `docs/cost.svg`.

Time of one backtest with its curve and of a sweep by bars, of a sweep by grids, and what memory a
sweep takes beside bars and plans. Times are those of the processor, all threads together, the best
of some rounds: others who use the machine lengthen them little. A straight line is fitted to the
points, and how far they are from it is said. The drawing is plain SVG.

    python benchmarks/plot_cost.py [--out docs/cost.svg] [--rounds 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from peers import work
from peers.bars import synthetic
from standard_grid import grid_over, load_bars, one_grid, rules

from gridlab.data.bars import Bars
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.batch import run_many

HERE = Path(__file__).parent
YEARS, FEWEST_BARS, SWEPT = 4, 131_400, 200
GRIDS = (125, 250, 500, 1000, 2000, 4000)
MEMORY_GRIDS = (250, 1000, 4000)
WIDTH, HEIGHT, MARGIN = 300, 220, 48


class Series(NamedTuple):
    """One panel: points, and what they are."""

    title: str
    across: str
    up: str
    points: list[tuple[float, float]]

    @property
    def line(self) -> tuple[float, float]:
        """(a, b) of a + b x, fitted so that shares of each point's height are least."""
        x, y = np.array(self.points).T
        slope, start = np.polyfit(x, y, 1, w=1 / y)
        return float(start), float(slope)

    @property
    def told(self) -> str:
        """The line in words, and the farthest point from it."""
        start, slope = self.line
        off = max(abs(start + slope * x - y) / y for x, y in self.points)
        return f"{start:.3g} + {slope:.3g} x, points within {100 * off:.0f} %"


def best_of(rounds: int, each: Callable[[], Any]) -> float:
    """Processor seconds of the quickest of some rounds, after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        began = time.process_time()
        each()
        times.append(time.process_time() - began)
    return min(times[1:])


def by_bars(bars: Bars, rounds: int) -> list[Series]:
    first, market = float(bars.open[0]), rules()
    plans = [
        plan_grid(grid_over(first, *shape), market, from_float(first))
        for shape in work.variants(SWEPT)
    ]
    one, many, count = [], [], FEWEST_BARS
    while count <= len(bars):
        part = bars.slice(None, int(bars.open_time_ms[count - 1]) + 1)
        alone = best_of(4 * rounds, lambda part=part: one_grid(part, "kernel"))
        swept = best_of(2 * rounds, lambda part=part: run_many(plans, part))
        one.append((count / 1e6, 1000 * alone))
        many.append((count / 1e6, 1000 * swept))
        count *= 2
    return [
        Series("one backtest with its curve", "million bars", "ms of processor", one),
        Series(f"a sweep of {SWEPT} grids", "million bars", "ms of processor", many),
    ]


def by_grids(bars: Bars, rounds: int) -> Series:
    first, market = float(bars.open[0]), rules()
    plans = [
        plan_grid(grid_over(first, *shape), market, from_float(first))
        for shape in work.variants(max(GRIDS))
    ]
    points = [
        (float(count), best_of(rounds, lambda count=count: run_many(plans[:count], bars)))
        for count in GRIDS
    ]
    return Series("a sweep over a year of minutes", "grids", "s of processor", points)


def by_memory(data: str) -> Series:
    command = [sys.executable, str(HERE / "sweep_memory.py"), "--data", data, "--configs"]
    points = [
        (float(count), float(subprocess.check_output([*command, str(count)])))
        for count in MEMORY_GRIDS
    ]
    return Series("memory of a sweep beside bars and plans", "grids", "MB", points)


def panel(series: Series, left: float) -> list[str]:
    """Axes from zero, the points, and their line."""
    most_x = max(x for x, _ in series.points) * 1.08
    most_y = max(y for _, y in series.points) * 1.15
    bottom = MARGIN + HEIGHT
    at = [(left + WIDTH * x / most_x, bottom - HEIGHT * y / most_y) for x, y in series.points]
    start, slope = series.line
    ends = [bottom - HEIGHT * (start + slope * x) / most_y for x in (0.0, most_x)]
    lines = [
        f'<text x="{left}" y="{MARGIN - 24}" font-weight="bold">{series.title}</text>',
        f'<text x="{left}" y="{MARGIN - 8}">{series.told}</text>',
        f'<path d="M{left} {MARGIN}V{bottom}H{left + WIDTH}" stroke="#888" fill="none"/>',
        f'<path d="M{left} {ends[0]:.1f}L{left + WIDTH} {ends[1]:.1f}" stroke="#bbb" '
        'stroke-dasharray="4 3"/>',
    ]
    for (x, y), (value_x, value_y) in zip(at, series.points, strict=True):
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#1f6feb"/>')
        if value_x < most_x / 10:
            continue  # its words would lie on its neighbour's
        lines.append(
            f'<text x="{x - 4:.1f}" y="{y - 9:.1f}" text-anchor="end">{value_y:.3g}</text>'
        )
        named = f"{value_x:,.0f}" if value_x >= 10 else f"{value_x:.3g}"
        lines.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{named}</text>')
    lines.append(
        f'<text x="{left + WIDTH}" y="{bottom + 34}" text-anchor="end">{series.across}; {series.up}'
        "</text>"
    )
    return lines


def drawing(panels: list[Series]) -> str:
    step = WIDTH + 2 * MARGIN
    parts = [line for k, series in enumerate(panels) for line in panel(series, MARGIN + k * step)]
    size = f'width="{step * len(panels)}" height="{HEIGHT + 2 * MARGIN + 10}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" '
            'font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "cost.svg")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, year = f"{folder}/bars.npz", f"{folder}/year.npz"
        columns = synthetic(YEARS * work.YEAR)
        np.savez(path, **columns)
        np.savez(year, **{name: column[: work.YEAR] for name, column in columns.items()})
        panels = [
            *by_bars(load_bars(path), options.rounds),
            by_grids(load_bars(year), options.rounds),
            by_memory(year),
        ]
    options.out.write_text(drawing(panels), encoding="utf-8")
    for series in panels:
        told = ", ".join(f"{x:.4g}: {y:.4g}" for x, y in series.points)
        print(f"{series.title} ({series.across}: {series.up}): {told}; {series.told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
