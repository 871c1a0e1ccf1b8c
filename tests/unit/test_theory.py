"""`research.theory` and `research.theory_check`: closed forms against simulation, and the flag.

Walks on a lattice have no steps that overshoot a line, so they must give the closed forms without
bias; simulated markets of bars go through real backtests. `GRIDLAB_THEORY_MARKETS` says how many
markets are tried (12 when it is not set).
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from math import log, log1p, sqrt

import numpy as np
import pytest
from driftless import RULES, grid, market

from gridlab.data.bars import Bars
from gridlab.data.catalog import instrument, load
from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.grid.preflight import plan_grid, round_profit
from gridlab.money import ONE, rounding
from gridlab.research import theory
from gridlab.research.backtest import BacktestResult, backtest
from gridlab.research.theory_check import FLAG_SIGMAS, Theory

MARKETS = int(os.environ.get("GRIDLAB_THEORY_MARKETS", "12"))


# --- break-even -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [FeeMode.RECEIVED, FeeMode.QUOTE])
@pytest.mark.parametrize("maker", ["0", "0.00075", "0.001", "0.02", "-0.0001"])
def test_a_round_at_the_break_even_spacing_earns_nothing(mode: FeeMode, maker: str) -> None:
    fee = Decimal(maker)
    spacing = theory.break_even_spacing(fee, mode)
    spec = GridSpec(
        "BTCUSDT", 4, spacing=Decimal("0.01"), quantity=ONE, fees=FeeSchedule(maker=fee, mode=mode)
    )
    with rounding():
        assert abs(round_profit(spec, ONE, ONE + spacing, ONE)) < Decimal("1e-60")
        assert round_profit(spec, ONE, ONE + spacing + Decimal("1e-50"), ONE) > 0


def test_the_pre_flight_agrees_about_the_break_even() -> None:
    rules, price = instrument("BTCUSDT"), Decimal(60_000)
    for factor, sign in ((Decimal("0.995"), -1), (Decimal("1.005"), 1)):
        with rounding():
            spacing = round(theory.break_even_spacing(Decimal("0.001")) * factor, 8)
        spec = GridSpec(
            "BTCUSDT", 6, spacing=spacing, investment=Decimal(5000), allow_unprofitable=True
        )
        plan = plan_grid(spec, rules, price)
        assert plan.profit_min * sign > 0 and plan.profit_max * sign > 0


# --- walks on a lattice ---------------------------------------------------------------------------


def walks(seed: int, count: int, steps: int) -> np.ndarray:
    """`count` fair walks of single steps, from 0."""
    moves = np.random.default_rng(seed).integers(0, 2, (count, steps), dtype=np.int8) * 2 - 1
    return np.cumsum(moves, axis=1, dtype=np.int32)


def test_the_exit_time_is_that_of_the_ruined_gambler() -> None:
    """12 steps down or 20 up: 240 steps; the mean of 3,000 exits is within 4 standard errors."""
    paths = walks(1, 3000, 6000)
    out = (paths <= -12) | (paths >= 20)
    assert out.any(axis=1).all()
    found = out.argmax(axis=1) + 1
    step, volatility = 0.001, 0.02
    expected = theory.exit_days(1.0, np.exp(-12 * step), np.exp(20 * step), volatility)
    days = found * (step / volatility) ** 2
    assert abs(days.mean() - expected) < 4 * days.std() / sqrt(len(days))
    assert expected == pytest.approx(240 * (step / volatility) ** 2)


def counted(path: np.ndarray, spacing: int) -> tuple[int, int]:
    """(ups, downs) of an endless refilling grid whose lines are `spacing` steps apart."""
    ups = downs = empty = 0
    for price in path.tolist():
        if price >= empty + spacing:
            empty, ups = empty + spacing, ups + 1
        elif price <= empty - spacing:
            empty, downs = empty - spacing, downs + 1
    return ups, downs


def test_fills_come_once_for_each_squared_spacing_of_variance() -> None:
    """400 walks of 2,500 steps, lines 5 apart: 100 fills each, variance 2/3 of that, 46 rounds."""
    found = np.array([counted(path, 5) for path in walks(2, 400, 2500)])
    fills = found.sum(axis=1)
    expected, spread = 100.0, theory.fills_spread(100.0)
    # the first fill waits a whole exit: the mean of a renewal count is 1/6 below its rate
    assert abs(fills.mean() - (expected - 1 / 6)) < 4 * spread / 20
    assert fills.std() == pytest.approx(spread, rel=0.15)
    rounds = found.min(axis=1)
    assert rounds.mean() == pytest.approx(theory.rounds_of(expected), rel=0.02)
    step = 0.001
    volatility = step * sqrt(2500)  # the 2,500 steps are a day
    assert theory.fills_per_day(volatility, np.expm1(5 * step)) == pytest.approx(expected)


@pytest.mark.parametrize(("lower", "upper"), [(0.9, 1.1), (0.97, 1.2), (1.02, 1.1)])
def test_time_in_range_is_counted_right(lower: float, upper: float) -> None:
    volatility, days, steps = 0.02, 30.0, 600
    moves = np.random.default_rng(3).normal(0, volatility * sqrt(days / steps), (3000, steps))
    prices = np.exp(np.cumsum(moves, axis=1))
    inside = ((prices > lower) & (prices < upper)).mean(axis=1) * days
    expected = theory.days_in_range(1.0, lower, upper, volatility, days)
    assert abs(inside.mean() - expected) < 4 * inside.std() / sqrt(len(inside)) + days / steps


def test_time_in_range_at_its_edges() -> None:
    assert theory.days_in_range(1.0, 1.0, 1e9, 0.02, 10.0) == pytest.approx(5.0)
    assert theory.days_in_range(1.0, 1e-9, 1e9, 0.02, 10.0) == pytest.approx(10.0)
    assert theory.days_in_range(1.0, 0.9, 1.1, 0.02, 0.0) == 0.0


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidInput, match="inside its range"):
        theory.exit_days(1.0, 1.1, 1.2, 0.02)
    with pytest.raises(InvalidInput, match="below 1"):
        theory.break_even_spacing(ONE)
    with pytest.raises(InvalidInput, match="two neighbouring"):
        theory.close_to_close(load("BTCUSDT").slice(end_ms=0))


# --- volatility -----------------------------------------------------------------------------------


def test_estimators_find_the_volatility_that_made_the_bars() -> None:
    """Highs and lows of 300 points miss the extremes between them, some 3 % of a minute's range."""
    bars = market(5, days=4, volatility=0.03, points=300)
    assert theory.close_to_close(bars) == pytest.approx(0.03, rel=0.03)
    assert theory.parkinson(bars) == pytest.approx(0.03, rel=0.06)
    assert theory.garman_klass(bars) == pytest.approx(0.03, rel=0.06)
    assert theory.parkinson(bars) < theory.close_to_close(bars)


def test_a_hole_is_no_return() -> None:
    bars = market(6, days=1)
    start = int(bars.open_time_ms[0])
    late = bars.slice(start_ms=start + 12 * 3_600_000)
    columns = [
        np.concatenate((getattr(bars.slice(end_ms=start + 6 * 3_600_000), name), factor * column))
        for name, factor, column in (
            ("open_time_ms", 1, late.open_time_ms),
            *((n, 2.0, getattr(late, n)) for n in ("open", "high", "low", "close")),
            *((n, 1, getattr(late, n)) for n in ("volume", "quote_volume", "trades")),
        )
    ]
    doubled = Bars(bars.symbol, bars.market, bars.interval, *columns)
    assert theory.close_to_close(doubled) == pytest.approx(0.02, rel=0.1)


# --- beside a backtest ----------------------------------------------------------------------------


def run(seed: int, spacing: str = "0.005", **settings: object) -> BacktestResult:
    levels = max(6, round(0.2 / float(spacing)))
    spec, bars = grid(spacing, levels), market(seed)
    return backtest(spec, bars, instrument=RULES, engine="kernel", **settings)  # type: ignore[arg-type]


def test_real_backtests_of_driftless_markets_agree_with_theory() -> None:
    """Counts of fills and gains are a standard deviation or so off, none as far as the flag."""
    fills, gains = [], []
    for seed in range(MARKETS):
        found = run(seed).theory()
        assert found.is_plausible, found.verdict
        fills.append(found.fills.sigmas)
        gains.append(found.gain.sigmas)
    assert abs(np.mean(fills)) < 0.2 + 4 / sqrt(MARKETS)
    assert abs(np.mean(gains)) < 0.3 + 4 / sqrt(MARKETS)
    assert 0.4 < np.std(fills) < 1.7 and 0.4 < np.std(gains) < 1.8


def test_fills_that_a_path_invents_are_flagged() -> None:
    """Lines half a bar apart: the longest path through every bar trades what nobody traded."""
    assert run(1, "0.0005").theory().is_plausible
    found = run(1, "0.0005", path="contrary").theory()
    assert found.fills.sigmas > 10 and not found.is_plausible
    assert "the bars' path invents fills" in found.verdict


def test_a_drift_is_flagged_as_no_fair_game() -> None:
    bars = market(8, days=7, drift=0.04)
    found = backtest(grid("0.01", 60), bars, instrument=RULES).theory()
    assert found.gain.sigmas > FLAG_SIGMAS and "fair game" in found.verdict
    assert found.verdict.startswith("Implausibly good")


def test_the_lines_are_the_formulas_of_the_result() -> None:
    result = run(2)
    found = result.theory()
    lines = {line.name: line for line in found.lines}
    assert found.spacing == pytest.approx(0.005, rel=1e-4)
    assert lines["fills"].simulated == sum(result.fills)
    close = np.concatenate(([50_000.0], result.bars.close))
    assert float(result.lines[0]) < close.min() and close.max() < float(result.lines[-1])
    variance = float(np.sum(np.diff(np.log(close)) ** 2))
    assert lines["fills"].expected == pytest.approx(variance / log1p(found.spacing) ** 2)
    money = result.money
    assert lines["profit before fees"].simulated == pytest.approx(
        float(money.grid_profit + money.floating)
    )
    assert lines["profit"].expected == float(money.fees)
    assert lines["days in range"].simulated == pytest.approx(7.0)
    own = lines["spacing against break-even"]
    assert own.expected == pytest.approx(0.2002, rel=1e-3) and own.simulated > own.expected
    exit_days = lines["first leaves the range after"]
    expected = log(50_000 / float(result.lines[0])) * log(float(result.lines[-1]) / 50_000)
    assert exit_days.expected == pytest.approx(expected / found.volatility["close to close"] ** 2)
    assert np.isnan(exit_days.simulated)


def test_its_views_say_the_same() -> None:
    found: Theory = run(3).theory()
    frame = found.to_frame()
    assert list(frame.index) == [line.name for line in found.lines]
    back = json.loads(json.dumps(found.to_dict()))
    assert back["is_plausible"] is True and back["lines"]["fills"]["unit"] == ""
    assert back["lines"]["first leaves the range after"]["simulated"] is None
    assert found.verdict in repr(found) and "Parkinson" in repr(found)
    card = found._repr_html_()
    assert "gl-card" in card and "profit before fees" in card
