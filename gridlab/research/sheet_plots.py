"""Plotly figures of a sweep or a study: heat maps, slices, parallel lines, the Pareto front.

Every title says that its rows are in-sample, and how rows were joined where a picture has fewer
cells than there are rows. Large sheets are thinned to evenly spaced rows before they are drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gridlab.errors import InvalidInput
from gridlab.research.plots import BUY, EQUITY, HOLD, INK, SELL, STOCK
from gridlab.research.sheet import LESS_IS_BETTER, Sheet
from gridlab.research.sheet_views import FRACTIONS, cell

#: Points and lines that a figure shows at most; of more rows, evenly spaced ones.
MOST_POINTS, MOST_LINES = 20_000, 3_000
#: Values of one axis of a heat map at most, and cells up to which each is written in.
MOST_CELLS, WRITTEN_CELLS = 200, 400
#: A median is drawn where there are so many rows for each value, on the average.
MEDIAN_ROWS = 3
#: Below zero, at zero, above zero.
_SIGNED = [[0.0, SELL], [0.5, "#f4f5f8"], [1.0, BUY]]
_PLAIN = [[0.0, "#eef2fb"], [1.0, EQUITY]]
JOINS = ("best", "median", "mean", "worst")


def heat_figure(sheet: Sheet, x: str, y: str, value: str, how: str, height: int) -> go.Figure:
    """A figure over two settings; where others vary too, rows are joined by `how`.

    Raises:
        InvalidInput: a name that is no setting that varies, `how` that is no join, or an axis of
            too many values.
    """
    if how not in JOINS:
        raise InvalidInput(f"how is {how!r}; choose one of {', '.join(JOINS)}")
    if x == y:
        raise InvalidInput(f"x and y are both {x}; choose two settings")
    across, columns = _values(sheet, x)
    down, lines = _values(sheet, y)
    figures = sheet.figure(value)
    cells = np.full((len(lines), len(columns)), np.nan)
    ran = np.flatnonzero(sheet.ran)
    for place, rows in _grouped(down[ran] * len(columns) + across[ran], ran):
        cells[divmod(place, len(columns))] = _joined(figures[rows], how, value)
    counts = np.zeros_like(cells)
    np.add.at(counts, (down[ran], across[ran]), 1)
    title = f"{_named(value)} by {x} and {y}"
    if int(counts.max(initial=0)) > 1:
        title += f", the {how} of the other settings"
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            x=[cell(x, column) for column in columns],
            y=[cell(y, line) for line in lines],
            customdata=counts,
            colorscale=_SIGNED if _crosses_zero(cells) else _PLAIN,
            zmid=0 if _crosses_zero(cells) else None,
            colorbar={"tickformat": _format(value), "thickness": 12, "outlinewidth": 0},
            texttemplate=f"%{{z:{_format(value)}}}" if cells.size <= WRITTEN_CELLS else None,
            hovertemplate=(
                f"{x} %{{x}}<br>{y} %{{y}}<br>{_named(value)} %{{z:{_format(value)}}}"
                "<br>%{customdata} rows<extra></extra>"
            ),
            hoverongaps=False,
            xgap=1,
            ygap=1,
        )
    )
    _finish(figure, sheet, title, height)
    figure.update_xaxes(title_text=x, type="category", showgrid=False)
    figure.update_yaxes(title_text=y, type="category", showgrid=False)
    return figure


def slice_figure(sheet: Sheet, value: str, height: int) -> go.Figure:
    """A figure over each setting by itself: a point a row, and the median at each value."""
    axes, figures = sheet.axes, sheet.figure(value)
    names = [str(name) for name in axes.columns] or ["row"]
    rows = _spaced(np.flatnonzero(sheet.ran), MOST_POINTS)
    figure = make_subplots(rows=1, cols=len(names), shared_yaxes=True, horizontal_spacing=0.02)
    for col, name in enumerate(names, start=1):
        known = axes[name].to_numpy() if name in axes else np.arange(len(sheet))
        points = go.Scattergl(
            x=known[rows],
            y=figures[rows],
            mode="markers",
            marker={"size": 5, "color": EQUITY, "opacity": 0.45},
            customdata=rows,
            hovertemplate=f"{name} %{{x}}<br>%{{y:{_format(value)}}}<br>row %{{customdata}}"
            "<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(points, row=1, col=col)
        ran = np.flatnonzero(sheet.ran)
        unique, places = np.unique(known[ran], return_inverse=True)
        if MEDIAN_ROWS * len(unique) <= len(ran):
            middle = [float(np.median(figures[found])) for _, found in _grouped(places, ran)]
            line = go.Scatter(
                x=unique, y=middle, mode="lines+markers", name="median", showlegend=col == 1
            )
            line.update(line={"color": STOCK, "width": 2}, legendgroup="median")
            figure.add_trace(line, row=1, col=col)
        shape = _format(name) if known.dtype.kind in "fi" else None
        figure.update_xaxes(title_text=name, tickformat=shape, row=1, col=col)
    _finish(figure, sheet, f"{_named(value)} over each setting", height)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(tickformat=_format(value))
    return figure


def parallel_figure(sheet: Sheet, value: str, height: int) -> go.Figure:
    """Every row as a line through its settings to its figure, coloured by it."""
    rows = _spaced(np.flatnonzero(sheet.ran), MOST_LINES)
    figures = sheet.figure(value)[rows]
    dimensions = [_dimension(str(n), sheet.axes[n].to_numpy()[rows]) for n in sheet.axes.columns]
    dimensions.append(_dimension(value, figures))
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": figures,
                "colorscale": _SIGNED if _crosses_zero(figures) else _PLAIN,
                "cmid": 0 if _crosses_zero(figures) else None,
                "showscale": False,
            },
            labelfont={"size": 12},
        )
    )
    _finish(figure, sheet, f"{_named(value)} of every row", height)
    figure.update_layout(margin={"l": 70, "r": 60, "t": 90, "b": 36})
    return figure


def pareto_figure(sheet: Sheet, profit: str, risk: str, height: int) -> go.Figure:
    """All rows by risk and profit, and the front of those that no other beats in both."""
    front = sheet.pareto(profit, risk)
    rows = _spaced(np.flatnonzero(sheet.ran), MOST_POINTS)
    gains, risks = sheet.figure(profit), sheet.figure(risk)
    shape = f"%{{x:{_format(risk)}}}<br>{_named(profit)} %{{y:{_format(profit)}}}"
    words = f"row %{{customdata}}<br>{_named(risk)} {shape}<extra></extra>"
    figure = go.Figure(
        [
            go.Scattergl(
                x=risks[rows],
                y=gains[rows],
                mode="markers",
                name="every row that ran",
                marker={"size": 5, "color": HOLD, "opacity": 0.5},
                customdata=rows,
                hovertemplate=words,
            ),
            go.Scatter(
                x=front[risk].to_numpy(),
                y=front[profit].to_numpy(),
                mode="lines+markers",
                name="beaten by none in both",
                line={"color": EQUITY, "width": 1.6, "shape": "hv"},
                marker={"size": 8, "color": EQUITY},
                customdata=front.index.to_numpy(),
                text=[_settings(sheet, int(i)) for i in front.index],
                hovertemplate="%{text}<br>" + words,
            ),
        ]
    )
    _finish(figure, sheet, f"{_named(profit)} against {_named(risk)}", height)
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title_text=_named(risk), tickformat=_format(risk))
    figure.update_yaxes(title_text=_named(profit), tickformat=_format(profit))
    return figure


# --- parts ----------------------------------------------------------------------------------------


def _finish(figure: go.Figure, sheet: Sheet, title: str, height: int) -> None:
    figure.update_layout(
        template="gridlab",
        height=height,
        title={"text": f"{sheet.symbol}: {title} (in-sample)", "x": 0, "xref": "paper"},
        margin_t=76,
        font_color=INK,
    )


def _values(sheet: Sheet, name: str) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """Of each row its place among the sorted values of a setting, and these values."""
    axes = sheet.axes
    name = "fee_rate" if name == "fees" and "fee_rate" in axes else name
    if name not in axes:
        there = ", ".join(map(str, axes.columns)) or "none"
        raise InvalidInput(f"{name!r} is no setting that varies; those that do are {there}")
    values, places = np.unique(axes[name].to_numpy(), return_inverse=True)
    if len(values) > MOST_CELLS:
        raise InvalidInput(
            f"{name} has {len(values)} values and a heat map at most {MOST_CELLS}; use slices, or "
            "parallel"
        )
    return places.astype(np.int64), values.tolist()


def _grouped(
    keys: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """Each key in ascending order with the rows that have it."""
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    return list(zip(found.tolist(), np.split(rows[order], starts[1:]), strict=True))


def _joined(figures: npt.NDArray[np.float64], how: str, value: str) -> float:
    if how in ("best", "worst"):
        wants_less = (value in LESS_IS_BETTER) == (how == "best")
        return float(figures.min() if wants_less else figures.max())
    return float(np.median(figures) if how == "median" else figures.mean())


def _dimension(name: str, values: npt.NDArray[Any]) -> dict[str, Any]:
    """One axis of parallel lines; words stand at whole numbers."""
    if values.dtype.kind in "fi":
        return {"label": _named(name), "values": values, "tickformat": _format(name)}
    unique, places = np.unique(values.astype(str), return_inverse=True)
    ticks = np.arange(len(unique))
    return {"label": _named(name), "values": places, "tickvals": ticks, "ticktext": unique}


def _settings(sheet: Sheet, i: int) -> str:
    axes = sheet.axes
    return ", ".join(f"{name} {cell(str(name), axes[name].iloc[i])}" for name in axes.columns)


def _spaced(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most `most` of the rows, at even distances."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _crosses_zero(values: npt.NDArray[np.float64]) -> bool:
    """Whether there are gains and losses to be told apart by colour."""
    known = values[~np.isnan(values)]
    return bool(len(known)) and bool(known.min() < 0 < known.max())


def _format(name: str) -> str:
    """How plotly writes a figure or a setting."""
    if name in ("spacing", "fee_rate"):
        return ".3%"
    return ".2%" if name in FRACTIONS else ",.6~g"


def _named(name: str) -> str:
    return name.replace("_", " ")
