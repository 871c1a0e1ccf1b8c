"""Single figures of a result: price, equity, drawdown, inventory, levels, parts of profit.

`figure_of` knows them by name. What they share is in `plots`.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gridlab.errors import InvalidInput
from gridlab.research.metrics import FloatArray, underwater
from gridlab.research.outcome import Outcome
from gridlab.research.parts import fills_by_level, parts_curve
from gridlab.research.plots import (
    BUY,
    EQUITY,
    FEES,
    HOLD,
    INK,
    SELL,
    STOCK,
    add_candles,
    add_curve,
    add_fills,
    add_lines,
    dress,
    result_figure,
    span_of,
    times,
)
from gridlab.research.thinning import pieces, thinned, with_breaks


def figure_of(result: Outcome, what: str, height: int | None) -> go.Figure:
    """The figure of this name.

    Raises:
        InvalidInput: there is none of that name; the message has the nearest one.
    """
    if what not in FIGURES:
        near = get_close_matches(str(what), FIGURES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FIGURES)}"
        raise InvalidInput(f"there is no plot {what!r}; {hint}")
    draw, usual = FIGURES[what]
    return draw(result, height or usual)


def price_figure(result: Outcome, height: int) -> go.Figure:
    """Candles with the grid's lines and its fills."""
    figure = make_subplots(rows=1, cols=1)
    add_lines(figure, result.plan)
    notes = [add_candles(figure, result.bars), add_fills(figure, result)]
    dress(figure, f"{result.symbol}: price, lines and fills", height, notes)
    _axes(figure, result, f"price, {result.quote}")
    return figure


def equity_figure(result: Outcome, height: int) -> go.Figure:
    """Equity of the grid against holding."""
    figure, curve = make_subplots(rows=1, cols=1), result.curve
    add_curve(figure, curve.time_ms, curve.equity, "grid", EQUITY, bars=result.bars)
    add_curve(figure, curve.time_ms, curve.hold, "hold", HOLD, bars=result.bars, dash="dot")
    dress(figure, f"{result.symbol}: equity against holding", height)
    _axes(figure, result, f"equity, {result.quote}")
    return figure


def drawdown_figure(result: Outcome, height: int) -> go.Figure:
    """How far equity lies below its highest so far, in percent, beside that of holding."""
    figure, curve = make_subplots(rows=1, cols=1), result.curve
    fall, held = 100 * underwater(curve.equity), 100 * underwater(curve.hold)
    add_curve(figure, curve.time_ms, fall, "grid", SELL, bars=result.bars, fill="tozeroy")
    add_curve(figure, curve.time_ms, held, "hold", HOLD, bars=result.bars, dash="dot")
    dress(figure, f"{result.symbol}: below the highest so far", height)
    _axes(figure, result, "drawdown, %")
    return figure


def inventory_figure(result: Outcome, height: int) -> go.Figure:
    """Base units held over time."""
    figure, curve = make_subplots(rows=1, cols=1), result.curve
    add_curve(
        figure,
        curve.time_ms,
        curve.base,
        "held",
        STOCK,
        bars=result.bars,
        fill="tozeroy",
        shape="hv",
    )
    dress(figure, f"{result.symbol}: inventory", height)
    _axes(figure, result, f"held, {result.instrument.base}")
    return figure


def levels_figure(result: Outcome, height: int) -> go.Figure:
    """Price with lines and fills, and beside it, at the same heights, each level's fills."""
    figure = make_subplots(
        rows=1,
        cols=3,
        shared_yaxes=True,
        horizontal_spacing=0.012,
        column_widths=[0.64, 0.18, 0.18],
    )
    add_lines(figure, result.plan)
    notes = [add_candles(figure, result.bars), add_fills(figure, result)]
    levels = fills_by_level(result)
    low, high = (np.array([float(level[i]) for level in levels]) for i in (1, 2))
    place = {"y": (low + high) / 2, "width": 0.8 * (high - low), "orientation": "h"}
    counts = (("buys", BUY), ("sells", SELL))
    for name, colour in counts:
        values = [getattr(level, name) for level in levels]
        bars = go.Bar(x=values, name=name, marker_color=colour, showlegend=False, **place)
        figure.add_trace(bars, row=1, col=2)
    profit = [level.profit for level in levels]
    bars = go.Bar(x=profit, name="profit", marker_color=EQUITY, showlegend=False, **place)
    figure.add_trace(bars, row=1, col=3)
    dress(figure, f"{result.symbol}: where it traded, and what that earned", height, notes)
    figure.update_layout(barmode="stack", hovermode="closest")
    figure.update_xaxes(range=span_of(result.bars), row=1, col=1)
    figure.update_xaxes(title_text="buys and sells", title_font_size=11, row=1, col=2)
    words = f"grid profit, {result.quote}"
    figure.update_xaxes(title_text=words, title_font_size=11, row=1, col=3)
    figure.update_yaxes(title_text=f"price, {result.quote}", title_font_size=11, row=1, col=1)
    return figure


def parts_figure(result: Outcome, height: int) -> go.Figure:
    """Grid profit, inventory, fees and funding over time: gains upwards, losses downwards.

    Each part is stacked on the side of its sign, so the two stacks' difference is the line: the
    change of equity.
    """
    figure, curve = make_subplots(rows=1, cols=1), parts_curve(result)
    total = result.equity_curve - float(result.money.investment)
    kept = np.union1d(thinned(total, 700), thinned(curve.inventory, 700))
    parts: tuple[tuple[str, FloatArray, str], ...] = (
        ("grid profit", curve.grid_profit, BUY),
        ("inventory", curve.inventory, STOCK),
        ("fees", curve.fees, FEES),
        ("funding", curve.funding, HOLD),
        ("forced sale", curve.liquidation, SELL),
    )
    moments = curve.time_ms[kept]
    for name, values, colour in parts:
        _add_stacks(figure, result, moments, values[kept], name, colour)
    line = {"color": INK, "width": 1.8}
    x, shown = with_breaks(moments, total[kept], result.bars)
    figure.add_trace(go.Scatter(x=times(x), y=shown, name="change of equity", line=line))
    dress(figure, f"{result.symbol}: where the money came from", height)
    _axes(figure, result, f"since the start, {result.quote}")
    return figure


def _add_stacks(
    figure: go.Figure,
    result: Outcome,
    moments: npt.NDArray[np.int64],
    values: FloatArray,
    name: str,
    colour: str,
) -> None:
    """One part on the stacks of gains and of losses; each stretch between holes has its own two."""
    is_first = True
    for number, piece in enumerate(pieces(moments, result.bars)):
        for stack, side in (("gains", np.maximum), ("losses", np.minimum)):
            shown = side(values[piece], 0.0)
            if not side(values, 0.0).any():
                continue
            figure.add_trace(
                go.Scatter(
                    x=times(moments[piece]),
                    y=shown,
                    name=name,
                    legendgroup=name,
                    showlegend=is_first,
                    stackgroup=f"{stack} {number}",
                    mode="lines",
                    line={"width": 0.5, "color": colour},
                    hoveron="points+fills",
                )
            )
            is_first = False


def _axes(figure: go.Figure, result: Outcome, title: str) -> None:
    figure.update_xaxes(range=span_of(result.bars))
    figure.update_yaxes(title_text=title, title_font_size=11)


#: Name of a figure, who draws it, its usual height.
FIGURES: dict[str, tuple[Callable[[Outcome, int], go.Figure], int]] = {
    "overview": (result_figure, 900),
    "price": (price_figure, 520),
    "equity": (equity_figure, 340),
    "drawdown": (drawdown_figure, 280),
    "inventory": (inventory_figure, 280),
    "levels": (levels_figure, 560),
    "parts": (parts_figure, 400),
}
