"""78 grids over two weeks of real BTCUSDT minutes: python examples/sweep_in_ten_lines.py"""

import gridlab as gl

bars = gl.load("BTCUSDT").slice(end_ms=1_773_532_800_000)  # up to 2026-03-15 00:00 UTC
grids = gl.space("BTCUSDT", levels="10:60:10", spacing="0.3%:1.5%:0.1%", investment=10_000)
found = gl.sweep(grids, bars)  # resume="folder" goes on where it was killed
print(found, end="\n\n")
print(found.pareto()[["levels", "spacing", "total_return", "max_drawdown"]])
print(found.backtest(found.best(n=1).index[0]))
