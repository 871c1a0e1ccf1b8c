"""Plotly figures of grids and results, in one template, light enough for a notebook.

Long series are thinned before they are drawn, see `thinning`; a figure that shows less than there
is says so below its axes. Years of minutes stay under a megabyte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

from gridlab.data.bars import Bars
from gridlab.domain.plan import GridPlan
from gridlab.research.metrics import FloatArray, underwater
from gridlab.research.outcome import Outcome
from gridlab.research.thinning import distinct_fills, joined, pieces, thinned, with_breaks

BUY, SELL, EQUITY, HOLD, STOCK = "#17a673", "#e0575b", "#3f7cf4", "#8a93a6", "#d9982b"
FEES = "#b65fcf"
INK, RULE = "#7d8597", "rgba(125,133,151,0.18)"
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
    add_lines(figure, result.plan)
    notes = [add_candles(figure, result.bars), add_fills(figure, result)]
    curve = result.curve
    add_curve(figure, curve.time_ms, curve.equity, "grid", EQUITY, bars=result.bars, row=2)
    add_curve(figure, curve.time_ms, curve.hold, "hold", HOLD, bars=result.bars, row=2, dash="dot")
    fall = 100 * underwater(curve.equity)
    add_curve(
        figure, curve.time_ms, fall, "drawdown", SELL, bars=result.bars, row=3, fill="tozeroy"
    )
    add_curve(
        figure,
        curve.time_ms,
        curve.base,
        "inventory",
        STOCK,
        bars=result.bars,
        row=4,
        fill="tozeroy",
        shape="hv",
    )
    fills = result.fills
    words = f"{result.spec.levels} grids, {fills.buys:,} buys, {fills.sells:,} sells"
    dress(figure, f"{result.symbol}: {words}", height, notes)
    figure.update_xaxes(range=span_of(result.bars))
    titles = (f"price, {result.quote}", f"equity, {result.quote}", "drawdown, %")
    for row, title in enumerate((*titles, f"held, {result.instrument.base}"), start=1):
        figure.update_yaxes(title_text=title, title_font_size=11, row=row, col=1)
    return figure


def plan_figure(plan: GridPlan, bars: Bars | None = None, height: int = 480) -> go.Figure:
    """The grid's lines over candles, or alone as a ladder when no bars are given."""
    figure = make_subplots(rows=1, cols=1)
    add_lines(figure, plan)
    notes = []
    x: list[Any] = [0, 1]
    if bars is not None and len(bars):
        notes.append(add_candles(figure, bars))
        x = span_of(bars)
    else:
        figure.update_xaxes(visible=False)
    price = float(plan.reference_price)
    line = {"color": STOCK, "width": 2}
    figure.add_trace(go.Scatter(x=x, y=[price, price], mode="lines", name="start price", line=line))
    words = f"{len(plan.orders)} orders on {len(plan.lines)} lines"
    dress(figure, f"{plan.spec.symbol}: {words}", height, notes)
    figure.update_yaxes(title_text=f"price, {plan.instrument.quote}", title_font_size=11)
    return figure


def dress(figure: go.Figure, title: str, height: int, notes: Iterable[str] = ()) -> None:
    """Template, title, and below the axes in small print what was left out of the picture."""
    figure.update_layout(
        template="gridlab",
        height=height,
        title={"text": title, "x": 0, "xref": "paper", "y": 1 - 14 / height},
        margin_t=76,
    )
    small = "; ".join(note for note in notes if note)
    if small:
        where = {"x": 0, "y": 0, "xref": "paper", "yref": "paper", "yshift": -34}
        anchors = {"xanchor": "left", "yanchor": "top", "showarrow": False}
        figure.add_annotation(text=small, font_size=10, opacity=0.8, **where, **anchors)
        figure.update_layout(margin_b=58)


def add_lines(figure: go.Figure, plan: GridPlan) -> None:
    """One thin rule for each line, green where a buy starts, red where a sell does."""
    shapes = []
    for index, line in enumerate(plan.lines):
        colour = BUY if index < plan.empty_line else SELL
        is_empty = index == plan.empty_line
        shapes.append(
            {
                "type": "line",
                "xref": "x domain",
                "yref": "y",
                "x0": 0,
                "x1": 1,
                "y0": float(line),
                "y1": float(line),
                "line": {"color": INK if is_empty else colour, "width": 1, "dash": "dot"},
                "opacity": 0.5,
                "layer": "below",
            }
        )
    # All at once: adding a thousand one by one takes a minute.
    figure.update_layout(shapes=shapes)


def add_candles(figure: go.Figure, bars: Bars) -> str:
    """Candles in the first panel, joined to fit; in words if they were."""
    shown = joined(bars)
    figure.add_trace(
        go.Candlestick(
            x=times(shown.open_time_ms),
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
    if shown.interval is bars.interval:
        return ""
    return f"candles of {shown.interval} made of {len(bars):,} of {bars.interval}"


def add_fills(figure: go.Figure, result: Outcome) -> str:
    """The grid's fills in the first panel; in words if some share a mark."""
    flows = result.flows
    kept, count = distinct_fills(result)
    kind = go.Scattergl if len(kept) > MANY_FILLS else go.Scatter
    for sign, side, symbol, colour in (
        (1, "buy", "triangle-up", BUY),
        (-1, "sell", "triangle-down", SELL),
    ):
        chosen = kept[flows.side[kept] == sign]
        figure.add_trace(
            kind(
                x=times(flows.time_ms[chosen]),
                y=flows.price[chosen],
                mode="markers",
                name=f"{side} fills",
                marker={
                    "symbol": symbol,
                    "size": 9 if count < 400 else 6,
                    "color": colour,
                    "line": {"width": 1 if count < 400 else 0.5, "color": "white"},
                },
            ),
            row=1,
            col=1,
        )
    return f"{len(kept):,} marks for {count:,} fills" if len(kept) < count else ""


def add_curve(
    figure: go.Figure,
    time_ms: npt.NDArray[np.int64],
    values: FloatArray,
    name: str,
    colour: str,
    *,
    bars: Bars,
    row: int = 1,
    dash: str | None = None,
    fill: str | None = None,
    shape: str = "linear",
) -> None:
    """One thinned line in a panel, broken where `bars` have a hole."""
    kept = thinned(values)
    moments, shown = time_ms[kept], values[kept]
    if fill is None:
        moments, shown = with_breaks(moments, shown, bars)
    for part in [slice(None)] if fill is None else pieces(moments, bars):
        figure.add_trace(
            go.Scatter(
                x=times(moments[part]),
                y=shown[part],
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=not part.start,
                line={"color": colour, "width": 1.4, "dash": dash, "shape": shape},
                fill=fill,
            ),
            row=row,
            col=1,
        )


def span_of(bars: Bars) -> list[Any]:
    """The first and the last moment of a series, as plotly takes times."""
    return list(times(np.array([int(bars.open_time_ms[0]), bars.end_ms], np.int64)))


def times(time_ms: npt.NDArray[np.int64]) -> Any:
    """Times as plotly takes them."""
    return time_ms.astype("datetime64[ms]")
