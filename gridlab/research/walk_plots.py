"""Plotly figures of a walk-forward: equity and luck, the stability map, ranks before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gridlab.errors import InvalidInput
from gridlab.research.metrics import FloatArray
from gridlab.research.plots import BUY, EQUITY, HOLD, INK, SELL, STOCK
from gridlab.research.settings import shown
from gridlab.research.significance import annualised
from gridlab.research.stability import mean_known
from gridlab.research.thinning import thinned
from gridlab.research.words import DAY_MS

if TYPE_CHECKING:
    from gridlab.research.walk_outcome import WalkOutcome

#: Worse than the median, the median, better: no green and no red, so that all eyes tell them apart.
SCALE = [[0.0, "#b2182b"], [0.25, "#ef8a62"], [0.5, "#f0f0f0"], [0.75, "#67a9cf"], [1.0, "#2166ac"]]
#: Experiments that a picture shows at most.
MOST_DOTS = 2_000
#: Parts into which places in training are cut.
DECILES = 10


def equity_figure(result: WalkOutcome, height: int = 520) -> go.Figure:
    """Out-of-sample equity with its rivals and the band of random choices; their totals beside."""
    figure = make_subplots(
        cols=2, column_widths=[0.72, 0.28], shared_yaxes=True, horizontal_spacing=0.02
    )
    _add_band(figure, result)
    curves, at = result.curves, _clock(result)
    for name, values, colour, dash in (
        ("holding", curves.hold, HOLD, "dot"),
        ("ATR rule", curves.atr, STOCK, None),
        ("chosen grids", curves.grid, EQUITY, None),
    ):
        kept = thinned(values)
        figure.add_trace(
            go.Scatter(
                x=at[kept],
                y=100 * (values[kept] - 1),
                mode="lines",
                name=name,
                line={"color": colour, "width": 1.5, "dash": dash},
            ),
            row=1,
            col=1,
        )
    figure.add_trace(
        go.Histogram(
            y=100 * result.luck.totals,
            nbinsy=60,
            marker={"color": INK, "opacity": 0.45},
            name="random choices, all draws",
            showlegend=False,
            hoverinfo="skip",
        ),
        row=1,
        col=2,
    )
    for value, colour in (
        (result.hold_return, HOLD),
        (result.atr_return, STOCK),
        (result.total_return, EQUITY),
    ):
        figure.add_hline(y=100 * value, line={"color": colour, "width": 1.5}, row=1, col=2)
    for border in _borders(result)[1:-1]:
        figure.add_vline(
            x=border.item(),
            line={"color": INK, "width": 1, "dash": "dot"},
            opacity=0.35,
            row=1,
            col=1,
        )
    _lay_out(figure, height, f"{result.space.symbol}: {len(result)} trials end to end")
    figure.update_yaxes(title_text="return out of sample, %", title_font_size=11, row=1, col=1)
    figure.update_xaxes(title_text="random choices", title_font_size=11, row=1, col=2)
    figure.update_xaxes(showticklabels=False, row=1, col=2)
    if _has_pauses(result):
        figure.update_xaxes(title_text="days on trial, pauses left out", row=1, col=1)
    return figure


def stability_figure(result: WalkOutcome, height: int = 460) -> go.Figure:
    """Mean percentile on the trials over the first two axes, with rings where choices fell.

    A space of one axis gives a line; more than two are averaged over the others.
    """
    axes = [name for name, values in result.space.axes.items() if len(values) > 1]
    places = mean_known(result.places[1])
    figure = go.Figure()
    if len(axes) < 2:
        _add_line(figure, result, axes[0], places)
    else:
        _add_map(figure, result, (axes[0], axes[1]), places)
    _lay_out(figure, height, "Where settings ranked on trials they had not seen")
    figure.update_layout(hovermode="closest")
    return figure


def rank_figure(result: WalkOutcome, height: int = 460) -> go.Figure:
    """Mean place in the trial by place in training, window by window; Spearman beside it."""
    figure = make_subplots(
        cols=2,
        column_widths=[0.62, 0.38],
        horizontal_spacing=0.1,
        subplot_titles=("place after, by place before", "Spearman by window"),
    )
    inside, outside = result.places
    table = np.array([_by_decile(a, b) for a, b in zip(inside, outside, strict=True)])
    centres = (np.arange(DECILES) + 0.5) / DECILES
    for k, row in enumerate(table):
        figure.add_trace(
            go.Scatter(
                x=centres,
                y=row,
                mode="lines",
                line={"color": INK, "width": 1},
                opacity=0.4,
                name="a window",
                showlegend=k == 0,
                legendgroup="windows",
                hoverinfo="skip",
            ),
            row=1,
            col=1,
        )
    rest: tuple[tuple[str, Any, Any, dict[str, Any]], ...] = (
        ("the past tells all", [0, 1], [0, 1], {"color": BUY, "dash": "dot"}),
        ("it tells nothing", [0, 1], [0.5, 0.5], {"color": SELL, "dash": "dot"}),
        ("mean of the windows", centres, mean_known(table), {"color": EQUITY, "width": 3}),
    )
    for name, x, y, line in rest:
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line=line), row=1, col=1)
    correlations = result.rank_correlations
    figure.add_trace(
        go.Bar(
            x=[str(run.window) for run in result.runs],
            y=correlations,
            marker_color=[EQUITY if value >= 0 else SELL for value in correlations],
            showlegend=False,
        ),
        row=1,
        col=2,
    )
    _lay_out(figure, height, "")
    figure.update_layout(margin_t=84, legend={"y": 1.1})
    figure.update_xaxes(title_text="place in training, 1 the best", range=[0, 1], row=1, col=1)
    figure.update_yaxes(title_text="place in the trial", range=[0, 1], row=1, col=1)
    figure.update_xaxes(title_text="windows in order", showticklabels=False, row=1, col=2)
    figure.update_yaxes(range=[-1, 1], row=1, col=2)
    figure.update_xaxes(title_font_size=11)
    figure.update_yaxes(title_font_size=11)
    return figure


def overfitting_figure(result: WalkOutcome, height: int = 400) -> go.Figure:
    """Ranks out of sample of what was best in sample; and its Sharpe ratio there against here.

    Raises:
        InvalidInput: there are too few windows or settings to choose from.
    """
    found = result.overfitting
    if found is None:
        raise InvalidInput(
            "there are too few windows or settings for cross-validation; take more, or shorter "
            "trials"
        )
    yearly = annualised(1.0, result.setup.sample_ms)
    figure = make_subplots(
        cols=2,
        horizontal_spacing=0.1,
        subplot_titles=("rank in the other half", "Sharpe ratio a year, before and after"),
    )
    counts, edges = np.histogram(found.rank, bins=DECILES, range=(0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    figure.add_trace(
        go.Bar(
            x=centres,
            y=100 * counts / found.experiments,
            marker_color=[SELL if centre < 0.5 else EQUITY for centre in centres],
            showlegend=False,
        ),
        row=1,
        col=1,
    )
    shown_rows = np.linspace(0, found.experiments - 1, min(MOST_DOTS, found.experiments))
    kept = shown_rows.astype(np.int64)
    figure.add_trace(
        go.Scatter(
            x=yearly * found.in_sample[kept],
            y=yearly * found.out_of_sample[kept],
            mode="markers",
            marker={"size": 5, "color": INK, "opacity": 0.4},
            name="an experiment",
            showlegend=False,
        ),
        row=1,
        col=2,
    )
    figure.add_hline(y=0, line={"color": SELL, "width": 1, "dash": "dot"}, row=1, col=2)
    title = f"Probability of backtest overfitting {100 * found.probability:.0f} %"
    _lay_out(figure, height, title)
    figure.update_xaxes(title_text="rank, 1 the best", range=[0, 1], row=1, col=1)
    figure.update_yaxes(title_text="experiments, %", row=1, col=1)
    figure.update_xaxes(title_text="of the best in one half", row=1, col=2)
    figure.update_yaxes(title_text="in the other half", row=1, col=2)
    figure.update_xaxes(title_font_size=11)
    figure.update_yaxes(title_font_size=11)
    figure.update_layout(hovermode="closest")
    return figure


def _add_band(figure: go.Figure, result: WalkOutcome) -> None:
    """From the 5th to the 95th percentile of random choices, known at the windows' ends."""
    times = _borders(result)
    low, middle, high = 100 * np.vstack((np.zeros(3), result.luck.band)).T
    fill = "rgba(125,133,151,0.18)"
    for y, name, to in ((low, "low", None), (high, "random choices, 5 to 95 %", "tonexty")):
        figure.add_trace(
            go.Scatter(
                x=times,
                y=y,
                mode="lines",
                line={"width": 0},
                fill=to,
                fillcolor=fill,
                name=name,
                showlegend=to is not None,
                hoverinfo="skip",
            ),
            row=1,
            col=1,
        )
    figure.add_trace(
        go.Scatter(
            x=times,
            y=middle,
            mode="lines",
            line={"color": INK, "width": 1, "dash": "dash"},
            name="random choices, median",
        ),
        row=1,
        col=1,
    )


def _add_map(
    figure: go.Figure, result: WalkOutcome, axes: tuple[str, str], places: FloatArray
) -> None:
    space, (down, across) = result.space, axes
    names = list(space.axes)
    y_at, x_at = names.index(down), names.index(across)
    shape = (len(space.axes[down]), len(space.axes[across]))
    total, count, chosen = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    for row, place in zip(result.rows.tolist(), places.tolist(), strict=True):
        at = space.coordinates(row)
        if place == place:
            total[at[y_at], at[x_at]] += place
            count[at[y_at], at[x_at]] += 1
    for run in result.runs:
        at = space.coordinates(run.chosen)
        chosen[at[y_at], at[x_at]] += 1
    means = np.full(shape, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    x = [shown(value) for value in space.axes[across]]
    y = [shown(value) for value in space.axes[down]]
    figure.add_trace(
        go.Heatmap(
            x=x,
            y=y,
            z=means,
            zmin=0,
            zmax=1,
            colorscale=SCALE,
            colorbar={"title": {"text": "mean place<br>out of sample", "font": {"size": 11}}},
            hovertemplate=f"{across} %{{x}}, {down} %{{y}}: place %{{z:.2f}}<extra></extra>",
        )
    )
    rows, columns = np.nonzero(chosen)
    times = chosen[rows, columns]
    figure.add_trace(
        go.Scatter(
            x=[x[k] for k in columns],
            y=[y[k] for k in rows],
            mode="markers+text",
            text=[str(n) for n in times],
            textfont={"size": 10, "color": "#1d2330"},
            marker={
                "symbol": "circle-open",
                "size": 14 + 5 * np.sqrt(times),
                "color": "#1d2330",
                "line": {"width": 2},
            },
            name="chosen so many times in training",
            hovertemplate=f"{across} %{{x}}, {down} %{{y}}: chosen %{{text}} times<extra></extra>",
            showlegend=True,
        )
    )
    figure.update_xaxes(title_text=across, title_font_size=11, type="category", showgrid=False)
    figure.update_yaxes(title_text=down, title_font_size=11, type="category", showgrid=False)


def _add_line(figure: go.Figure, result: WalkOutcome, axis: str, places: FloatArray) -> None:
    space, rows = result.space, result.rows.tolist()
    names = [shown(space.settings(row)[axis]) for row in rows]
    counts = np.bincount([run.chosen for run in result.runs], minlength=len(space))
    figure.add_trace(
        go.Bar(x=names, y=counts[rows] / len(result), name="share of windows that chose it")
    )
    figure.add_trace(
        go.Scatter(x=names, y=places, mode="lines+markers", name="mean place out of sample")
    )
    figure.update_xaxes(title_text=axis, type="category")
    figure.update_yaxes(range=[0, 1])


def _by_decile(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """The mean place afterwards of each tenth of the places before; NaN for an empty tenth."""
    known = np.isfinite(inside) & np.isfinite(outside)
    tenth = np.minimum((inside[known] * DECILES).astype(np.int64), DECILES - 1)
    count = np.bincount(tenth, minlength=DECILES)
    means: FloatArray = np.full(DECILES, np.nan)
    np.divide(
        np.bincount(tenth, outside[known], minlength=DECILES), count, out=means, where=count > 0
    )
    return means


def _lay_out(figure: go.Figure, height: int, title: str) -> None:
    figure.update_layout(
        template="gridlab",
        height=height,
        title={"text": title, "x": 0, "xref": "paper", "y": 0.98},
        margin_t=84,
    )


def _has_pauses(result: WalkOutcome) -> bool:
    return result.runs[-1].window.stretch > 0


def _clock(result: WalkOutcome) -> Any:
    """Where each close lies across: its time, or its day on trial where trials pause."""
    if not _has_pauses(result):
        return result.curves.time_ms.astype("datetime64[ms]")
    test_ms = result.setup.test_ms
    parts = [
        (k * test_ms + run.time_ms - run.window.test_from_ms) / DAY_MS
        for k, run in enumerate(result.runs)
    ]
    return np.concatenate(parts)


def _borders(result: WalkOutcome) -> Any:
    """Where trials begin, and where the last one ends, on the same scale."""
    runs = result.runs
    if _has_pauses(result):
        return np.arange(len(runs) + 1) * (result.setup.test_ms / DAY_MS)
    ends = [runs[0].window.test_from_ms, *(run.window.test_to_ms for run in runs)]
    return np.array(ends).astype("datetime64[ms]")
