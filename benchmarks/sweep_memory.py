"""Megabytes that a sweep takes beside the bars and the plans, in a process of its own: one line.

python benchmarks/sweep_memory.py --data bars.npz --configs 1000
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from peers import work
from standard_grid import grid_over, load_bars, rules

from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.batch import run_many


def kilobytes(name: str) -> int:
    """`VmRSS`: in memory now; `VmHWM`: the most since it was last reset."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "the kernel tells of every process"
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--configs", type=int, default=1000)
    options = parser.parse_args()
    bars = load_bars(options.data)
    first, market = float(bars.open[0]), rules()
    plans = [
        plan_grid(grid_over(first, *shape), market, from_float(first))
        for shape in work.variants(options.configs)
    ]
    run_many(plans[:2], bars.slice(None, int(bars.open_time_ms[2000])))  # loads compiled code
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    result = run_many(plans, bars)
    assert len(result) == options.configs
    print(round((kilobytes("VmHWM") - before) / 1024, 1))


if __name__ == "__main__":
    main()
