"""Is choosing a grid by its past worth anything? python examples/walk_forward_in_ten_lines.py"""

import gridlab as gl

bars = gl.load("BTCUSDT")  # March 2026, minute by minute
grids = gl.space("BTCUSDT", levels="8:48:8", spacing="0.3%:1.5%:0.1%", investment=10_000)
found = gl.walk_forward(grids, bars, train="7d", test="2d", purge="1d")
print(found)  # the first line is the verdict
columns = ["levels", "spacing", "in_sample", "out_of_sample", "hold", "atr"]
print(found.to_frame()[columns].to_string())
