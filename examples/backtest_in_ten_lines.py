"""A grid over two weeks of real BTCUSDT minutes: python examples/backtest_in_ten_lines.py"""

import gridlab as gl

spec = gl.make_grid("BTCUSDT", levels=16, spacing="1%", investment=10_000)
bars = gl.load("BTCUSDT").slice(end_ms=1_773_532_800_000)  # up to 2026-03-15 00:00 UTC
print(gl.plan(spec, bars), end="\n\n")
print(gl.backtest(spec, bars))
