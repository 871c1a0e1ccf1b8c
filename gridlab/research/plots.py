"""Plotly figures of grids and results, in one template, light enough for a notebook.

Long series are thinned before they are drawn: candles are joined until they fit the width, curves
keep the lowest and the highest point of each bucket, so that no extreme is lost. Two weeks of
minutes become some hundreds of kilobytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

from gridlab.data.bars import Bars
from gridlab.domain.market import Interval
from gridlab.domain.orders import Side, Trade
from gridlab.domain.plan import GridPlan
from gridlab.research.metrics import FloatArray, underwater
from gridlab.research.outcome import Outcome, slot_of

BUY, SELL, EQUITY, HOLD, STOCK = "#17a673", "#e0575b", "#3f7cf4", "#8a93a6", "#d9982b"
INK, RULE = "#7d8597", "rgba(125,133,151,0.18)"
#: Candles that a figure shows at most, and points of a curve.
MOST_CANDLES = 700
MOST_POINTS = 2_000
#: Fills above this number are drawn by WebGL.
MANY_FILLS = 1_500


def _template() -> go.layout.Template:
    axis = {"gridcolor": RULE, "zeroline": False, "linecolor": RULE, "ticks": ""}
    return go.layout.Template(
        layout=go.Layout(
            font={"family": "Inter, system-ui, sans-serif", "size": 12, "color": INK},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            colorway=[EQUITY, STOCK, BUY, SELL, HOLD],
            hovermode="x unified",
            hoverlabel={"font": {"size": 11}},
            margin={"l": 62, "r": 16, "t": 44, "b": 32},
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis=axis | {"rangeslider": {"visible": False}},
            yaxis=axis | {"separatethousands": True, "exponentformat": "none"},
        )
    )


pio.templates["gridlab"] = _template()


def result_figure(result: Outcome, height: int = 900) -> go.Figure:
    """Four panels over one time axis: price with lines and fills, equity, drawdown, inventory."""
    figure = make_subplots(
        rows=4,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.025,
        row_heights=[0.5, 0.22, 0.13, 0.15],
    )
    _add_lines(figure, result.plan)
    _add_candles(figure, result.bars)
    _add_fills(figure, result.trades)
    curve = result.curve
    _add_curve(figure, 2, curve.time_ms, curve.equity, "grid", EQUITY)
    _add_curve(figure, 2, curve.time_ms, curve.hold, "hold", HOLD, dash="dot")
    fall = 100 * underwater(curve.equity)
    _add_curve(figure, 3, curve.time_ms, fall, "drawdown", SELL, fill="tozeroy")
    _add_curve(figure, 4, curve.time_ms, curve.base, "inventory", STOCK, fill="tozeroy", shape="hv")
    fills = result.fills
    figure.update_layout(
        template="gridlab",
        height=height,
        title={
            "text": f"{result.symbol}: {result.spec.levels} grids, {fills.buys} buys, "
            f"{fills.sells} sells",
            "x": 0,
            "xref": "paper",
            "y": 0.985,
        },
        margin_t=76,
    )
    span = np.array([int(result.bars.open_time_ms[0]), result.bars.end_ms], np.int64)
    figure.update_xaxes(range=list(_times(span)))
    titles = (f"price, {result.quote}", f"equity, {result.quote}", "drawdown, %")
    for row, title in enumerate((*titles, f"held, {result.instrument.base}"), start=1):
        figure.update_yaxes(title_text=title, title_font_size=11, row=row, col=1)
    return figure


def plan_figure(plan: GridPlan, bars: Bars | None = None, height: int = 480) -> go.Figure:
    """The grid's lines over candles, or alone as a ladder when no bars are given."""
    figure = make_subplots(rows=1, cols=1)
    _add_lines(figure, plan)
    if bars is not None and len(bars):
        _add_candles(figure, bars)
        ends = [int(bars.open_time_ms[0]), bars.end_ms]
        x: list[Any] = list(_times(np.array(ends, np.int64)))
    else:
        x = [0, 1]
        figure.update_xaxes(visible=False)
    price = float(plan.reference_price)
    figure.add_trace(
        go.Scatter(
            x=x,
            y=[price, price],
            mode="lines",
            name="start price",
            line={"color": STOCK, "width": 2},
        )
    )
    figure.update_layout(
        template="gridlab",
        height=height,
        title={
            "text": f"{plan.spec.symbol}: {len(plan.orders)} orders on {len(plan.lines)} lines",
            "x": 0,
            "xref": "paper",
        },
        margin_t=70,
    )
    figure.update_yaxes(title_text=f"price, {plan.instrument.quote}", title_font_size=11)
    return figure


def thinned(values: FloatArray, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """Positions of at most about `most` values that draw the same curve: each bucket's extremes.

    The first and the last position are always among them.
    """
    count = len(values)
    if count <= most:
        return np.arange(count, dtype=np.int64)
    size = -(-2 * count // most)
    starts = np.arange(0, count, size)
    found = [0, count - 1]
    for start in starts.tolist():
        part = values[start : start + size]
        found += [start + int(part.argmin()), start + int(part.argmax())]
    return np.unique(np.array(found, dtype=np.int64))


def joined(bars: Bars, most: int = MOST_CANDLES) -> Bars:
    """The same prices in candles wide enough that at most `most` are left, if one allows."""
    length = bars.end_ms - int(bars.open_time_ms[0])
    for interval in Interval:
        if interval.ms % bars.interval.ms == 0 and length <= most * interval.ms:
            return bars.resample(interval)
    return bars.resample(Interval.D1) if Interval.D1.ms % bars.interval.ms == 0 else bars


def _add_lines(figure: go.Figure, plan: GridPlan) -> None:
    """One thin rule for each line, green where a buy starts, red where a sell does."""
    for index, line in enumerate(plan.lines):
        colour = BUY if index < plan.empty_line else SELL
        is_empty = index == plan.empty_line
        figure.add_hline(
            y=float(line),
            line={"color": INK if is_empty else colour, "width": 1, "dash": "dot"},
            opacity=0.5,
            layer="below",
            exclude_empty_subplots=False,
            row=1,
            col=1,
        )


def _add_candles(figure: go.Figure, bars: Bars) -> None:
    shown = joined(bars)
    figure.add_trace(
        go.Candlestick(
            x=_times(shown.open_time_ms),
            open=shown.open,
            high=shown.high,
            low=shown.low,
            close=shown.close,
            name=f"{bars.symbol} {shown.interval}",
            increasing={"line": {"color": BUY, "width": 1}, "fillcolor": BUY},
            decreasing={"line": {"color": SELL, "width": 1}, "fillcolor": SELL},
            opacity=0.55,
        ),
        row=1,
        col=1,
    )


def _add_fills(figure: go.Figure, trades: tuple[Trade, ...]) -> None:
    resting = [trade for trade in trades if slot_of(trade).slot >= 0]
    kind = go.Scattergl if len(resting) > MANY_FILLS else go.Scatter
    for side, symbol, colour in (
        (Side.BUY, "triangle-up", BUY),
        (Side.SELL, "triangle-down", SELL),
    ):
        chosen = [trade for trade in resting if trade.side is side]
        figure.add_trace(
            kind(
                x=_times(np.array([trade.time_ms for trade in chosen], np.int64)),
                y=[float(trade.price) for trade in chosen],
                mode="markers",
                name=f"{side} fills",
                marker={
                    "symbol": symbol,
                    "size": 9,
                    "color": colour,
                    "line": {"width": 1, "color": "white"},
                },
            ),
            row=1,
            col=1,
        )


def _add_curve(
    figure: go.Figure,
    row: int,
    time_ms: npt.NDArray[np.int64],
    values: FloatArray,
    name: str,
    colour: str,
    *,
    dash: str | None = None,
    fill: str | None = None,
    shape: str = "linear",
) -> None:
    kept = thinned(values)
    figure.add_trace(
        go.Scatter(
            x=_times(time_ms[kept]),
            y=values[kept],
            mode="lines",
            name=name,
            line={"color": colour, "width": 1.4, "dash": dash, "shape": shape},
            fill=fill,
        ),
        row=row,
        col=1,
    )


def _times(time_ms: npt.NDArray[np.int64]) -> Any:
    return time_ms.astype("datetime64[ms]")
