"""`result.plot(what)`: each figure shows what the result says, in the project's one template."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.research.backtest import BacktestResult, backtest
from gridlab.research.metrics import underwater
from gridlab.research.panels import FIGURES
from gridlab.research.parts import parts_curve

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    spec = GridSpec("BTCUSDT", 16, spacing=Decimal("0.01"), investment=Decimal(10_000))
    return backtest(spec, load("BTCUSDT"))


def named(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("what", sorted(FIGURES))
def test_every_figure_is_light_and_wears_the_template(result: BacktestResult, what: str) -> None:
    figure = result.plot(what, height=333)
    assert figure.layout.template.layout.hovermode == "x unified"
    assert figure.layout.height == 333
    assert "BTCUSDT" in figure.layout.title.text
    assert len(figure.to_json()) < 600_000


def test_a_misspelt_figure_is_answered_with_the_nearest(result: BacktestResult) -> None:
    with pytest.raises(InvalidInput, match="no plot 'levls'; did you mean 'levels'"):
        result.plot("levls")
    with pytest.raises(InvalidInput, match="there are overview, price, equity"):
        result.plot("x")


def test_the_usual_figure_is_the_overview(result: BacktestResult) -> None:
    figure = result.plot()
    assert {"grid", "hold", "drawdown", "inventory", "buy fills"} <= set(named(figure))
    note = figure.layout.annotations[0].text
    assert note == "candles of 2h made of 44,640 of 1m"


def test_levels_stand_beside_the_price_at_their_own_heights(result: BacktestResult) -> None:
    traces = named(result.plot("levels"))
    levels = result.metrics.levels
    assert list(traces["buys"].x) == [level.buys for level in levels]
    assert list(traces["sells"].x) == [level.sells for level in levels]
    assert list(traces["profit"].x) == pytest.approx([level.profit for level in levels])
    middle = [(float(level.lower) + float(level.upper)) / 2 for level in levels]
    assert list(traces["buys"].y) == pytest.approx(middle)
    assert sum(traces["profit"].x) == pytest.approx(float(result.money.grid_profit))


def test_stacks_of_parts_differ_by_the_change_of_equity(result: BacktestResult) -> None:
    figure = result.plot("parts")
    stacks: dict[str, Any] = {"gains 0": 0.0, "losses 0": 0.0}
    for trace in figure.data[:-1]:
        stacks[trace.stackgroup] = stacks[trace.stackgroup] + np.asarray(trace.y)
        assert np.all(trace.y >= 0) if trace.stackgroup == "gains 0" else np.all(trace.y <= 0)
    line = figure.data[-1]
    assert line.name == "change of equity"
    assert stacks["gains 0"] + stacks["losses 0"] == pytest.approx(line.y, abs=1e-6)
    assert line.y[-1] == pytest.approx(float(result.money.total))
    shown = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert shown == ["grid profit", "inventory", "fees", "change of equity"]


def test_curves_keep_their_extremes(result: BacktestResult) -> None:
    curve = result.curve
    fall = named(result.plot("drawdown"))["grid"]
    assert min(fall.y) == 100 * underwater(curve.equity).min()
    equity = named(result.plot("equity"))
    assert max(equity["grid"].y) == curve.equity.max()
    assert min(equity["hold"].y) == curve.hold.min()
    assert max(named(result.plot("inventory"))["held"].y) == curve.base.max()


def test_a_hole_breaks_the_curves(result: BacktestResult) -> None:
    bars = result.bars
    keep = np.ones(len(bars), bool)
    keep[10_000:20_000] = False
    columns: list[Any] = [getattr(bars, field.name)[keep] for field in fields(bars)[3:]]
    holed = backtest(result.spec, Bars(bars.symbol, bars.market, bars.interval, *columns))
    for what, name in (("equity", "grid"), ("parts", "change of equity")):
        assert np.isnan(named(holed.plot(what))[name].y).sum() == 1, what
    for what, name in (("inventory", "held"), ("drawdown", "grid"), ("parts", "fees")):
        # Areas are drawn in two pieces: a NaN would not divide them.
        both = [trace for trace in holed.plot(what).data if trace.name == name]
        assert [trace.showlegend for trace in both] == [True, False], what
        assert (both[1].x[0] - both[0].x[-1]) > np.timedelta64(6, "D")
        assert not any(np.isnan(trace.y).any() for trace in both)
    assert parts_curve(holed).inventory.shape == (len(holed.bars),)
