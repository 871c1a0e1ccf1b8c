"""`BacktestResult.metrics`: against pandas on recorded prices, known answers, exact parts."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridlab.clock import SystemClock
from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule, Interval, Market
from gridlab.domain.orders import Side
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvariantError
from gridlab.research.backtest import BacktestResult, backtest
from gridlab.research.flows import slot_of
from gridlab.research.measures import measure
from gridlab.research.parts import Parts, parts_curve, trade_profits

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC
YEAR = 365.0


def spec_of(**settings: Any) -> GridSpec:
    named = {"levels": 20, "spacing": Decimal("0.008"), "investment": Decimal(10_000)} | settings
    return GridSpec("BTCUSDT", **named)


def fees_of(mode: FeeMode) -> FeeSchedule:
    third = {"third_asset": "BNB", "third_price": Decimal(600)} if mode is FeeMode.THIRD else {}
    return FeeSchedule(mode=mode, **third)


@pytest.fixture(scope="module")
def month() -> BacktestResult:
    """All of March 2026, by the core."""
    return backtest(spec_of(), load("BTCUSDT"), engine="core")


@pytest.fixture(scope="module", params=[(e, m) for e in ("core", "kernel") for m in FeeMode])
def lively(request: pytest.FixtureRequest) -> BacktestResult:
    """Three days of a dense grid, by each engine, with fees of each kind."""
    engine, mode = request.param
    spec = spec_of(spacing=Decimal("0.002"), fees=fees_of(mode), allow_unprofitable=True)
    bars = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 3 * DAY_MS)
    return backtest(spec, bars, engine=engine)


def flat_bars(closes: list[float], interval: Interval = Interval.D1, step: int = 1) -> Bars:
    """Bars that stand at each close, `step` widths apart."""
    values = np.array(closes)
    times = START_MS + interval.ms * step * np.arange(len(values), dtype=np.int64)
    ones = np.ones(len(values))
    return Bars(
        *("BTCUSDT", Market.SPOT, interval, times, values, values, values, values, ones),
        *(ones * np.nan, np.full(len(values), -1)),
    )


# --- against pandas on recorded prices ------------------------------------------------------------


def test_daily_figures_equal_those_that_pandas_gives(month: BacktestResult) -> None:
    frame, figures = month.equity_frame(), month.metrics
    ends = frame.resample("1D").last()
    start = pd.DataFrame({"equity": [10_000.0], "hold": [10_000.0]})
    days = pd.concat([start, ends[["equity", "hold"]]]).pct_change().iloc[1:]
    own, market = days.equity, days.hold
    assert len(own) == 31
    assert figures.volatility == pytest.approx(own.std() * math.sqrt(YEAR))
    assert figures.sharpe == pytest.approx(own.mean() / own.std() * math.sqrt(YEAR))
    assert figures.beta == pytest.approx(own.cov(market) / market.var())
    assert figures.tracking_error == pytest.approx((own - market).std() * math.sqrt(YEAR))
    assert figures.var_95 == pytest.approx(-own.quantile(0.05))
    assert figures.cvar_95 == pytest.approx(-own[own <= own.quantile(0.05)].mean())
    heights = pd.Series([10_000.0, *ends.equity]).cummax().iloc[1:].to_numpy()
    assert figures.under_water == pytest.approx((ends.equity.to_numpy() < heights).mean())


def test_curve_figures_equal_those_that_pandas_gives(month: BacktestResult) -> None:
    frame, figures = month.equity_frame(), month.metrics
    curve = pd.concat([pd.Series([10_000.0]), frame.equity], ignore_index=True)
    below = curve / curve.cummax() - 1
    assert figures.max_drawdown == pytest.approx(-below.min())
    trough = frame.index[int(below.argmin()) - 1]
    assert pd.Timestamp(figures.trough_ms, unit="ms", tz="UTC") == trough
    assert figures.recovery_ms is None and "not yet" in str(figures)
    share = frame.base * frame.close / frame.equity
    assert figures.exposure_mean == pytest.approx(share.mean())
    assert figures.exposure_max == pytest.approx(share.max())
    held = pd.concat([pd.Series([10_000.0]), frame.hold], ignore_index=True)
    assert figures.hold_drawdown == pytest.approx((1 - held / held.cummax()).max())
    low, high = float(month.lines[0]), float(month.lines[-1])
    assert figures.below_range == (frame.close < low).mean()
    assert figures.above_range == (frame.close > high).mean()
    assert figures.out_of_range == pytest.approx(month.out_of_range)
    trades = month.trades_frame()
    assert figures.traded == pytest.approx(trades.value.sum())
    assert figures.turnover == pytest.approx(trades.value.sum() / 10_000)
    assert figures.excess_return == month.total_return - month.hold_return


def test_a_month_is_too_short_for_a_year_and_for_one_day_in_a_hundred(
    month: BacktestResult,
) -> None:
    figures = month.metrics
    assert math.isnan(figures.cagr) and "31.0 days are too short" in figures.why["cagr"]
    assert math.isnan(figures.calmar) and figures.why["calmar"] == figures.why["cagr"]
    assert math.isnan(figures.var_99) and "worst in 100" in figures.why["cvar_99"]
    assert not math.isnan(figures.sharpe)


# --- known answers --------------------------------------------------------------------------------


def test_two_days_tell_nothing_of_a_year(lively: BacktestResult) -> None:
    figures = lively.metrics
    for name in ("cagr", "volatility", "sharpe", "sortino", "calmar", "beta", "var_95"):
        assert math.isnan(getattr(figures, name)) and figures.why[name], name
    shown = {row.key: row for row in figures.rows()}
    assert shown["sharpe"].shown == "–" and "3 daily returns are too few" in shown["sharpe"].why
    told = json.loads(json.dumps(figures.to_dict()))
    assert told["sharpe"] is None and "30 are needed" in told["why"]["sharpe"]


def test_a_price_that_stands_still() -> None:
    result = backtest(spec_of(), flat_bars([60_000.0] * 120))
    figures = result.metrics
    paid = float(result.money.fees) / 10_000
    assert result.fills == (0, 0) and figures.round_trips == 0
    assert figures.max_drawdown == pytest.approx(-paid)  # the purchase's fee, never earned back
    assert figures.recovery_ms is None
    assert figures.longest_under_water_ms == 120 * DAY_MS - 1
    assert figures.under_water == 1.0
    assert figures.cagr == pytest.approx((1 + paid) ** (365 / 120) - 1)
    # The only returns are the fees of the first day: the grid's and that of holding.
    assert figures.beta == pytest.approx(paid / (1 / 1.001 - 1))
    assert math.isnan(figures.fees_of_gross) and "no grid profit" in figures.why["fees_of_gross"]
    assert figures.out_of_range == 0


def test_a_price_that_only_falls_below_the_range() -> None:
    result = backtest(spec_of(levels=4), flat_bars([60_000.0, *np.linspace(58_000, 30_000, 99)]))
    figures = result.metrics
    assert figures.below_range == 0.99 and figures.above_range == 0
    assert (figures.buys, figures.sells, figures.round_trips) == (2, 0, 0)
    # Bought low and held: its returns are the price's, scaled by the share held.
    assert 0 < figures.beta < 1.3 and figures.exposure_max > 0.9
    assert figures.trough_ms == result.close_time_ms(99)
    assert figures.peak_ms is not None and figures.calmar < 0


def test_an_up_and_down_price_makes_the_round_trips_it_must() -> None:
    price, levels = 60_000.0, [0.0, 1.5] * 30
    bars = flat_bars([price * 1.01 ** (step - 0.01 * (i > 0)) for i, step in enumerate(levels)])
    result = backtest(spec_of(levels=4, spacing=Decimal("0.01")), bars)
    figures = result.metrics
    # Each rise sells the slot above the start, each fall buys it back: 30 sales, 29 purchases.
    assert (figures.buys, figures.sells, figures.round_trips) == (29, 30, 29)
    busy = [level for level in figures.levels if level.buys]
    assert [(level.slot, level.buys, level.sells, level.rounds) for level in busy] == [
        (2, 29, 30, 29)
    ]
    quantity = float(result.plan.quantity)
    step = float(busy[0].upper - busy[0].lower)
    assert busy[0].profit == pytest.approx(30 * quantity * step, rel=2e-3)


def test_holes_in_the_bars_are_not_days_without_risk() -> None:
    """Every third day alone says as much of a year as all days do."""
    steps = np.random.default_rng(4).normal(0, 0.01, 900)
    closes = 60_000 * np.exp(np.cumsum(steps - steps.mean()))
    wide = spec_of(lower=Decimal(40_000), upper=Decimal(80_000), spacing=None)
    dense = backtest(wide, flat_bars(closes.tolist())).metrics
    sparse = backtest(wide, flat_bars(closes[::3].tolist(), step=3)).metrics
    assert sparse.days == pytest.approx(dense.days, abs=3)
    assert sparse.tracking_error == pytest.approx(dense.tracking_error, rel=0.15)
    assert sparse.volatility == pytest.approx(dense.volatility, rel=0.15)
    assert "days are too few" in sparse.why["var_95"]  # a return over three days is none of one


# --- parts, levels --------------------------------------------------------------------------------


def test_parts_are_the_books_and_add_up(lively: BacktestResult) -> None:
    parts = lively.metrics.parts
    assert parts.grid_profit + parts.inventory + parts.fees == lively.equity - 10_000
    assert parts.total == lively.money.total
    with pytest.raises(InvariantError, match="the parts make"):
        replace(parts, fees=parts.fees + 1)
    share = float(-parts.fees / parts.grid_profit)
    assert parts.fees_of_gross == pytest.approx(share)


def test_levels_are_what_the_trades_did(lively: BacktestResult) -> None:
    """The core's own trades and profits, whichever engine made the figures."""
    profit: dict[int, Decimal] = defaultdict(Decimal)
    count: dict[tuple[int, Side], int] = defaultdict(int)
    last: dict[int, Side] = {}
    rounds = 0
    for trade, earned in zip(lively.trades, lively.profits, strict=True):
        slot = slot_of(trade).slot
        if slot < 0:
            continue
        profit[slot] += earned
        count[slot, trade.side] += 1
        rounds += trade.side is Side.SELL and last.get(slot) is Side.BUY
        last[slot] = trade.side
    for level in lively.metrics.levels:
        assert level.buys == count[level.slot, Side.BUY]
        assert level.sells == count[level.slot, Side.SELL]
        assert level.profit == pytest.approx(float(profit[level.slot]), abs=1e-6)
        assert (level.lower, level.upper) == lively.lines[level.slot : level.slot + 2]
    assert lively.metrics.round_trips == rounds
    assert sum(level.buys for level in lively.metrics.levels) == lively.fills.buys


def test_profit_by_trade_is_the_ledgers(lively: BacktestResult) -> None:
    exact = [float(profit) for profit in lively.profits]
    assert trade_profits(lively) == pytest.approx(exact, abs=1e-7)


def test_parts_over_time_end_at_the_books_and_add_up(lively: BacktestResult) -> None:
    curve, money = parts_curve(lively), lively.money
    total = curve.grid_profit + curve.inventory + curve.fees + curve.funding
    assert total == pytest.approx(lively.equity_curve - float(money.investment), abs=1e-9)
    assert curve.grid_profit[-1] == pytest.approx(float(money.grid_profit), abs=1e-6)
    # Fees in base are valued at their trade here and at the cost of their lots in the books.
    assert curve.fees[-1] == pytest.approx(float(money.fees), abs=0.01)
    assert curve.inventory[-1] == pytest.approx(float(money.floating), abs=0.01)


@pytest.mark.parametrize("mode", list(FeeMode))
@pytest.mark.parametrize("engine", ["core", "kernel"])
def test_partial_fills_have_levels_too(engine: str, mode: FeeMode) -> None:
    bars = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + DAY_MS)
    spec = spec_of(spacing=Decimal("0.004"), investment=Decimal(2_000_000), fees=fees_of(mode))
    result = backtest(spec, bars, participation="0.01", engine=engine)
    levels = result.metrics.levels
    assert sum(level.profit for level in levels) == pytest.approx(float(result.money.grid_profit))
    assert sum(level.buys + level.sells for level in levels) == sum(result.fills)
    exact = [float(profit) for profit in result.profits]
    assert trade_profits(result) == pytest.approx(exact, abs=1e-5)


def test_engines_agree_on_every_figure() -> None:
    bars = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 10 * DAY_MS)
    core, kernel = (measure(backtest(spec_of(), bars, engine=e)) for e in ("core", "kernel"))
    for one, other in zip(core.rows(), kernel.rows(), strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-12, nan_ok=True), one.key
        assert (one.why, one.shown) == (other.why, other.shown)


# --- shapes ---------------------------------------------------------------------------------------


def test_frame_and_dict_say_the_same(month: BacktestResult) -> None:
    frame, told = month.metrics.to_frame(), json.loads(json.dumps(month.metrics.to_dict()))
    assert frame.index.is_unique and frame.value.dtype == np.float64
    assert frame.value["sharpe"] == told["sharpe"] == month.metrics.sharpe
    assert told["trough"].startswith("2026-03-") and told["recovery"] is None
    assert Decimal(told["parts"]["total"]) == month.money.total
    assert len(told["levels"]) == 20 and told["levels"][0]["lower"] == str(month.lines[0])
    assert set(frame.index[frame.why != ""]) == {*month.metrics.why, "recovery_ms"}


def test_a_year_of_minutes_takes_milliseconds() -> None:
    """Against one copy of the equity curve, so that a busy machine slows both."""
    steps = np.random.default_rng(9).normal(0, 7e-4, 525_600)
    closes = np.round(60_000 * np.exp(np.cumsum(steps) * 0.2), 2)
    result = backtest(spec_of(), flat_bars(closes.tolist(), Interval.M1))
    assert len(result.equity_curve) == len(result.bars)
    clock, best, unit = SystemClock(), 10_000, 10_000
    for _ in range(3):
        began = clock.now_ms()
        for _ in range(5):
            measure(result)
        between = clock.now_ms()
        for _ in range(500):
            result.equity_curve.copy()
        best, unit = min(best, between - began), min(unit, clock.now_ms() - between)
    assert best / 5 < max(30 * unit / 500, 20), f"{best / 5} ms; a copy takes {unit / 500} ms"


def test_parts_of_money_without_a_grid() -> None:
    zero = Decimal(0)
    assert math.isnan(Parts(zero, zero, zero, zero, zero, zero).fees_of_gross)
