"""A result's pictures for the report: price with fills and levels, equity, drawdown, parts.

The same subjects as `panels`, as plain SVG. Each returns one `<svg>` text.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from gridlab.research import svg
from gridlab.research.metrics import FloatArray, underwater
from gridlab.research.outcome import Outcome
from gridlab.research.parts import LevelFills, parts_curve
from gridlab.research.svg import Panel
from gridlab.research.thinning import distinct_fills, joined, thinned, with_breaks
from gridlab.research.words import amount

WIDTH = 960.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 8.0, 10.0, 22.0
#: What a picture of this width can show.
CANDLES, POINTS, FILLS = 320, 900, 2_500
#: With more lines than this their rules would cover the price.
MANY_LINES = 60


def price_picture(result: Outcome, levels: Sequence[LevelFills]) -> str:
    """Candles, lines and fills; beside them, at the same heights, fills and profit by level."""
    height, side, gap = 400.0, 92.0, 14.0
    shown = joined(result.bars, CANDLES)
    lines = np.array([float(line) for line in result.lines])
    low, high = svg.room([shown.low, shown.high, lines], 0.02)
    wide = WIDTH - LEFT - RIGHT - 2 * (side + gap)
    panel = _panel(result, low, high, height, wide)
    flows, empty = result.flows, result.plan.empty_line
    kept, _ = distinct_fills(result, FILLS)
    faint = " faint" if len(lines) > MANY_LINES else ""
    parts = [
        svg.frame(panel, _labels(low, high)),
        svg.time_axis(panel, 7),
        svg.rules(panel, lines[:empty].tolist(), "buy" + faint),
        svg.rules(panel, lines[empty + 1 :].tolist(), "sell" + faint),
        svg.candles(
            panel,
            shown.open_time_ms + shown.interval.ms // 2,
            (shown.open, shown.high, shown.low, shown.close),
        ),
    ]
    size = 4.0 if len(kept) < 400 else 2.6 if len(kept) < 1_200 else 1.6
    for sign, name in ((1, "buy"), (-1, "sell")):
        chosen = kept[flows.side[kept] == sign]
        parts.append(svg.marks(panel, flows.time_ms[chosen], flows.price[chosen], name, size))
    return svg.svg(
        WIDTH, height, "price, lines and fills", parts + _beside(panel, levels, side, gap)
    )


def _beside(panel: Panel, levels: Sequence[LevelFills], side: float, gap: float) -> list[str]:
    """Two columns of bars: buys and sells, and grid profit."""
    left = panel.left + panel.width + gap
    most = max(1, *(level.buys + level.sells for level in levels))
    least = min(0.0, *(level.profit for level in levels))
    gain = max(least + 1e-9, *(level.profit for level in levels))
    counts = Panel(left, panel.top, side, panel.height, 0, most, panel.y0, panel.y1)
    profit = Panel(
        left + side + gap, panel.top, side, panel.height, least, gain, panel.y0, panel.y1
    )
    parts = []
    for level in levels:
        low, high = float(level.lower), float(level.upper)
        both = level.buys + level.sells
        if not both:
            continue
        words = f"{low:,.2f} to {high:,.2f}: {level.buys} buys, {level.sells} sells"
        bars = svg.bar(counts, 0, level.buys, low, high, "buy")
        bars += svg.bar(counts, level.buys, both, low, high, "sell")
        bars += svg.bar(profit, 0, level.profit, low, high, "grid")
        tip = escape(f"{words}, {amount(level.profit)} earned")
        parts.append(f"<g><title>{tip}</title>{bars}</g>")
    bottom = panel.top + panel.height + 15
    for area, words, top in ((counts, "fills", f"{most:,}"), (profit, "profit", amount(gain, 0))):
        parts.append(svg.label(area.left, bottom, words))
        parts.append(svg.label(area.left + area.width, bottom, top, "end"))
    return parts


def equity_picture(result: Outcome) -> str:
    """Equity of the grid against holding."""
    curve = result.curve
    low, high = svg.room([curve.equity, curve.hold])
    panel = _panel(result, low, high, 230.0)
    parts = [svg.frame(panel, _labels(low, high)), svg.time_axis(panel)]
    parts.append(_line(panel, result, curve.hold, "hold"))
    parts.append(_line(panel, result, curve.equity, "grid"))
    return svg.svg(WIDTH, 230.0, "equity against holding", parts)


def drawdown_picture(result: Outcome) -> str:
    """How far equity lies below its highest so far, percent; that of holding as a line."""
    own, held = (100 * underwater(c) for c in (result.curve.equity, result.curve.hold))
    low = min(float(own.min()), float(held.min()), -0.1)
    panel = _panel(result, 1.04 * low, 0.0, 170.0)
    labels = [(tick, f"{tick:g} %") for tick in svg.value_ticks(low, 0.0, 4)]
    parts = [svg.frame(panel, labels), svg.time_axis(panel)]
    kept = thinned(own, POINTS)
    x, y = with_breaks(result.curve.time_ms[kept], own[kept], result.bars)
    parts.append(svg.area(panel, x, np.minimum(y, 0.0), np.zeros(len(y)), "sell"))
    parts.append(_line(panel, result, held, "hold"))
    return svg.svg(WIDTH, 170.0, "drawdown in percent", parts)


def inventory_picture(result: Outcome) -> str:
    """Base units held."""
    base = result.curve.base
    high = 1.06 * max(float(base.max()), 1e-9)
    panel = _panel(result, 0.0, high, 150.0)
    labels = [(tick, f"{tick:g}") for tick in svg.value_ticks(0.0, high, 4)]
    parts = [svg.frame(panel, labels), svg.time_axis(panel)]
    kept = thinned(base, POINTS)
    x, y = with_breaks(result.curve.time_ms[kept], base[kept], result.bars)
    parts.append(svg.area(panel, x, np.zeros(len(y)), y, "stock"))
    return svg.svg(WIDTH, 150.0, f"{result.instrument.base} held", parts)


def parts_picture(result: Outcome) -> str:
    """Parts of profit stacked by sign: gains upwards, losses downwards, their sum the line."""
    curve = parts_curve(result)
    total = result.equity_curve - float(result.money.investment)
    kept = np.union1d(thinned(total, POINTS // 2), thinned(curve.inventory, POINTS // 2))
    stacks = (
        ("profit", curve.grid_profit[kept]),
        ("stock", curve.inventory[kept]),
        ("fees", curve.fees[kept]),
        ("funding", curve.funding[kept]),
        ("forced", curve.liquidation[kept]),
    )
    gains = sum(np.maximum(values, 0) for _, values in stacks)
    losses = sum(np.minimum(values, 0) for _, values in stacks)
    low, high = svg.room([np.asarray(gains), np.asarray(losses)])
    panel = _panel(result, low, high, 250.0)
    parts = [svg.frame(panel, _labels(low, high)), svg.time_axis(panel)]
    for side in (np.maximum, np.minimum):
        ground: FloatArray = np.zeros(len(kept))
        for name, values in stacks:
            layer = side(values, 0.0)
            if layer.any():
                times, top = with_breaks(curve.time_ms[kept], ground + layer, result.bars)
                _, below = with_breaks(curve.time_ms[kept], ground, result.bars)
                parts.append(svg.area(panel, times, below, top, name))
            ground = ground + layer
    parts.append(_line(panel, result, total, "total"))
    return svg.svg(WIDTH, 250.0, "parts of profit over time", parts)


def _panel(
    result: Outcome, low: float, high: float, height: float, width: float = WIDTH - LEFT - RIGHT
) -> Panel:
    first, last = int(result.bars.open_time_ms[0]), result.bars.end_ms
    return Panel(LEFT, TOP, width, height - TOP - BOTTOM, first, last, low, high)


def _line(panel: Panel, result: Outcome, values: FloatArray, name: str) -> str:
    kept = thinned(values, POINTS)
    return svg.curve(
        panel, *with_breaks(result.curve.time_ms[kept], values[kept], result.bars), name
    )


def _labels(low: float, high: float) -> list[tuple[float, str]]:
    ticks = svg.value_ticks(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return [(tick, f"{tick:,.{digits}f}") for tick in ticks]
