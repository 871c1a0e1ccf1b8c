"""GridLab's backtests and sweeps beside its peers and beside a bare kernel, on the same work.

One run prints bars a second of one grid, seconds of 1,000 grids over a year of minutes, memory,
the ratio to merely streaming the bars through memory, and every goal with its figure and whether it
holds. Peers have environments of their own below `.bench/`; `--peers` makes them, and what is
absent is said to be absent. All contenders work in turns, and ratios are formed round by round.

    python benchmarks/bench_research.py [--peers] [--rounds 3] [--data bars.npz] [--real FILE]

It fails when a fill or an equity differs from the bare kernel's, or when a measured must is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from peers import venvs
from peers.bars import standard_file
from research_alone import SWEEP, all_alone
from research_goals import lines_of, missed

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".bench"
#: Columns that vectorbt sweeps: its memory grows with them, 1 GB for ten.
COLUMNS = 20
LONGEST_S = 900

Round = dict[str, dict[str, Any]]


def run(command: list[str], **environment: str) -> dict[str, Any]:
    """The line of JSON that a contender prints, and `process_s` of its whole process."""
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST_S, env=os.environ | environment
    )
    took = time.perf_counter() - began
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not told:
        said = (done.stderr.strip() or "nothing was printed").splitlines()[-1]
        raise SystemExit(f"{' '.join(command)}: {said}")
    return json.loads(told[-1]) | {"process_s": took}


def ours(data: str, *more: str, **environment: str) -> dict[str, Any]:
    script = str(HERE / "standard_grid.py")
    return run([sys.executable, script, "--data", data, *more], **environment)


def peer(python: Path, script: str, data: str, *more: str) -> dict[str, Any]:
    return run([str(python), str(HERE / "peers" / script), "--data", data, "--reps", "1", *more])


def one_round(data: str, present: list[venvs.Peer], folder: Path, *, is_first: bool) -> Round:
    """One turn of all contenders; what is slow and steady takes part in the first only."""
    found = {
        "gridlab": ours(data),
        "gridlab, one call": ours(data, "--reps", "0"),
        "gridlab core": ours(data, "--engine", "core", "--reps", "1"),
        f"gridlab, {SWEEP} grids": ours(data, "--configs", str(SWEEP)),
    }
    with tempfile.TemporaryDirectory() as empty:
        fresh = ours(data, "--reps", "0", NUMBA_CACHE_DIR=empty)
    found["gridlab, nothing compiled"] = fresh
    for each in present:
        found[each.name] = peer(venvs.python_of(folder, each), each.script, data)
        if each.name == "vectorbt" and is_first:
            found[f"vectorbt, {COLUMNS} grids"] = peer(
                venvs.python_of(folder, each), each.script, data, "--configs", str(COLUMNS)
            )
    return found


def median_of(rounds: list[Round], over: tuple[str, str], under: tuple[str, str]) -> float | None:
    """The median over rounds of one contender's figure over another's; None where one is absent."""
    pairs = [
        each[over[0]][over[1]] / each[under[0]][under[1]]
        for each in rounds
        if over[0] in each and under[0] in each
    ]
    return statistics.median(pairs) if pairs else None


def goals_of(rounds: list[Round]) -> dict[str, float]:
    """Figures of all goals that are measured beside peers."""
    wall, whole, year = "wall_s", "process_s", "year_wall_s"
    one, cold, sweep = "gridlab, one call", "gridlab, nothing compiled", f"gridlab, {SWEEP} grids"
    table = {
        "P1": (("vectorbt", wall), ("gridlab", wall)),
        "P1b": (("hftbacktest", wall), ("gridlab", wall)),
        "P1c backtesting.py": (("backtesting.py", wall), ("gridlab", wall)),
        "P1c nautilus_trader": (("nautilus_trader", wall), ("gridlab", wall)),
        "P2b": ((f"vectorbt, {COLUMNS} grids", year), (sweep, year)),
        "P3 hftbacktest": ((one, whole), ("hftbacktest", whole)),
        "P3 vectorbt": ((one, whole), ("vectorbt", whole)),
        "P3b": ((cold, whole), ("hftbacktest", whole)),
        "P4 nautilus_trader": (("nautilus_trader", wall), ("gridlab core", wall)),
        "P4 backtesting.py": (("backtesting.py", wall), ("gridlab core", wall)),
    }
    figures = {name: median_of(rounds, *pair) for name, pair in table.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


def print_contenders(rounds: list[Round], absent: dict[str, str]) -> None:
    print(f"{'':28}{'year, s':>10}{'M bars/s':>10}{'process, s':>12}{'peak MB':>9}  fills, equity")
    for name in rounds[0]:
        lines = [each[name] for each in rounds if name in each]
        year, line = min(each["year_wall_s"] for each in lines), lines[0]
        process = statistics.median(each["process_s"] for each in lines)
        peak = max(each["peak_mb"] for each in lines)
        print(
            f"{name:28}{year:>10.5f}{0.5256 / year:>10.3f}{process:>12.2f}{peak:>9}  "
            f"{line['buys']:,}/{line['sells']:,} {line['equity']:,.4f}"
        )
    for name, why in absent.items():
        print(f"{name:28} absent: {why}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contender (3)")
    parser.add_argument("--peers", action="store_true", help="make the peers' environments first")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they are, and the bars")
    parser.add_argument("--data", help="bars as an .npz of t o h l c v; else a synthetic year")
    parser.add_argument("--real", help="recorded BTCUSDT minutes for P0; else the bundled month")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    data = options.data or str(standard_file(options.folder))
    absent = venvs.absent(options.folder, is_installing=options.peers)
    present = [each for each in venvs.PEERS if each.name not in absent]
    print(f"{data}, {options.rounds} rounds, {options.threads} threads", flush=True)
    figures = all_alone(data, options.real, options.rounds, options.threads)
    rounds = [
        one_round(data, present, options.folder, is_first=k == 0) for k in range(options.rounds)
    ]
    print_contenders(rounds, absent)
    memory = {
        configs: float(subprocess.check_output(
            [sys.executable, str(HERE / "sweep_memory.py"), "--data", data, "--configs", configs]
        ))
        for configs in (str(SWEEP), str(4 * SWEEP))
    }  # fmt: skip
    figures |= goals_of(rounds) | {"P2c": max(memory.values())}
    print(
        f"one grid: {0.5256 / figures['one_s']:,.0f} M bars/s, {figures['touch']:.0f} x the time "
        f"to find least low and greatest high, {figures['stream']:.1f} x summing o, h, l, c\n"
        f"{SWEEP:,} grids x 1 year: {figures['sweep_s']:.3f} s and their plans "
        f"{figures['plan_s']:.3f} s (bare sweep {figures['bare_sweep_s']:.3f} s); wide "
        f"{figures['sweep_s wide']:.3f} s and {figures['plan_s wide']:.3f} s "
        f"({figures['bare_sweep_s wide']:.3f} s)\n"
        + "\n".join(f"memory of {configs} grids: {size} MB" for configs, size in memory.items())
        + f"\nloading the year: {1000 * figures['load_s']:.1f} ms (pandas.read_parquet "
        f"{1000 * figures['read_parquet_s']:.1f} ms)"
    )
    print("\n".join(lines_of(figures, absent)))
    short = missed(figures)
    print(f"missed: {', '.join(short)}" if short else "every must that was measured holds")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
