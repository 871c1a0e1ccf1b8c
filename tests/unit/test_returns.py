"""`research.metrics` and `research.returns`: known curves, textbook formulas, holes, too little."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.research import metrics, returns
from gridlab.research.returns import Returns

HOUR_MS = 3_600_000
START = 1_772_323_200_000  # 2026-03-01 00:00 UTC

CURVES = st.lists(st.integers(1, 60), min_size=1, max_size=80)


def every_hour(hours: int) -> np.ndarray:
    return START + HOUR_MS * np.arange(hours, dtype=np.int64)


def daily(values: list[float], days: list[float] | None = None) -> Returns:
    return Returns(np.array(values), np.array(days or [1.0] * len(values)))


# --- falls of a curve -----------------------------------------------------------------------------


def long_curves() -> list[np.ndarray]:
    """Curves of many blocks: wandering, rising, falling, with equal heights, flat."""
    random = np.random.default_rng(5)
    wander = 100 * np.exp(np.cumsum(random.normal(0, 0.02, 20_011)))
    trend = np.linspace(0, 3, 20_011)
    coarse = np.round(wander) + 1
    return [wander, wander * np.exp(trend), wander * np.exp(-trend), coarse, np.ones(5_000)]


@pytest.mark.parametrize("curve", long_curves(), ids=["wander", "up", "down", "coarse", "flat"])
def test_blocks_give_what_walking_gives(curve: np.ndarray) -> None:
    height = np.maximum.accumulate(curve)
    assert np.array_equal(metrics.running_max(curve), height)
    assert np.array_equal(metrics.heights(curve), np.flatnonzero(curve >= height))
    below = curve / height - 1
    trough = int(below.argmin())
    peak = int(curve[: trough + 1].argmax())
    found = metrics.max_drawdown(curve)
    assert (found.fraction, found.peak, found.trough) == (-below[trough], peak, trough)
    later = np.flatnonzero(curve[trough:] >= curve[peak])
    assert found.recovered == (trough + int(later[0]) if len(later) else None)


@given(CURVES)
def test_worst_drawdowns_are_the_stays_below_a_height(levels: list[int]) -> None:
    curve = np.array(levels, np.float64)
    stays: list[tuple[float, int, int, int | None]] = []
    start, top = None, 0
    for place, value in enumerate(levels):
        if value >= top:
            if start is not None:
                stays.append(fall(levels, start, place))
                start = None
            top = value
        elif start is None:
            start = place
    if start is not None:
        stays.append(fall(levels, start, None))
    stays.sort(key=lambda one: -one[0])
    found = metrics.worst_drawdowns(curve, most=3)
    assert [(f.fraction, f.peak, f.trough, f.recovered) for f in found] == stays[:3]


def fall(levels: list[int], start: int, end: int | None) -> tuple[float, int, int, int | None]:
    lowest = min(levels[start:end])
    trough = start + levels[start:end].index(lowest)
    return 1 - lowest / levels[start - 1], start - 1, trough, end


def test_a_fall_that_is_not_over_has_no_recovery() -> None:
    assert metrics.worst_drawdowns(np.array([1.0, 4.0, 3.0, 2.0])) == [
        metrics.Drawdown(0.5, 1, 3, None)
    ]
    assert metrics.worst_drawdowns(np.array([1.0, 2.0, 2.0])) == []


def test_the_longest_wait_of_a_long_curve() -> None:
    for curve in long_curves():
        levels = curve[:6_000].tolist()
        first = float(np.mean(levels))
        found = metrics.longest_wait(curve[:6_000], first, lambda place: 10 * place)
        assert found == naive_wait(levels, first)


@given(CURVES, st.integers(1, 60))
def test_longest_wait_counts_from_a_height_to_its_return(levels: list[int], first: int) -> None:
    found = metrics.longest_wait(np.array(levels, np.float64), first, lambda place: 10 * place)
    assert found == naive_wait(levels, first)


def naive_wait(levels: list[Any], first: float) -> int:
    longest, top, since, is_below = 0, first, 0, False
    for place, value in enumerate(levels, start=1):
        now = 10 * place
        if value >= top:
            longest = max(longest, now - since) if is_below else longest
            top, since, is_below = value, now, False
        else:
            is_below = True
    return max(longest, 10 * len(levels) - since) if is_below else longest


# --- days -----------------------------------------------------------------------------------------


def test_days_are_whole_and_counted_from_the_start() -> None:
    position, days = returns.day_ends(every_hour(60) + 5 * HOUR_MS, HOUR_MS)
    assert position.tolist() == [23, 47]  # half of the third day is in no daily figure
    assert days.tolist() == [1.0, 1.0]


def test_a_day_without_bars_is_spanned_by_the_next_return() -> None:
    hours = np.concatenate([np.arange(24), np.arange(30, 40), np.arange(96, 144)])
    position, days = returns.day_ends(START + HOUR_MS * hours.astype(np.int64), HOUR_MS)
    # Day 2 has ten bars and counts; days 3 and 4 have none; days 5 and 6 are whole.
    assert position.tolist() == [23, 33, 57, 81]
    assert days.tolist() == [1.0, 1.0, 3.0, 1.0]


def test_less_than_a_day_has_no_return() -> None:
    position, days = returns.day_ends(every_hour(23), HOUR_MS)
    assert len(position) == len(days) == 0
    nothing = returns.returns_of(np.array([]), 1.0, days)
    assert math.isnan(returns.sharpe(nothing)) and math.isnan(returns.volatility(nothing))
    assert math.isnan(returns.value_at_risk(nothing, 0.95)) and math.isnan(nothing.mean)


def test_days_agree_with_pandas() -> None:
    values = np.cumprod(1 + np.random.default_rng(2).normal(0, 0.01, 24 * 40))
    series = pd.Series(values, pd.to_datetime(every_hour(len(values)), unit="ms", utc=True))
    expected = series.resample("1D").last().pct_change().to_numpy()[1:]
    position, days = returns.day_ends(every_hour(len(values)), HOUR_MS)
    found = returns.returns_of(values[position], 1.0, days)
    assert found.value[1:] == pytest.approx(expected, abs=1e-14)


# --- figures of returns ---------------------------------------------------------------------------


def test_figures_are_the_textbooks_where_no_day_is_missing() -> None:
    random = np.random.default_rng(7)
    own, market = random.normal(0.001, 0.02, 250), random.normal(0, 0.03, 250)
    mine, its = daily(own.tolist()), daily(market.tolist())
    year = math.sqrt(365)
    assert returns.volatility(mine) == pytest.approx(own.std(ddof=1) * year)
    assert returns.sharpe(mine) == pytest.approx(own.mean() / own.std(ddof=1) * year)
    downside = math.sqrt(np.square(own[own < 0]).sum() / len(own))
    assert returns.sortino(mine) == pytest.approx(own.mean() / downside * year)
    slope = np.polyfit(market, own, 1)[0]
    assert returns.beta(mine, its) == pytest.approx(slope)
    assert returns.tracking_error(mine, its) == pytest.approx((own - market).std(ddof=1) * year)
    assert returns.value_at_risk(mine, 0.95) == pytest.approx(-np.percentile(own, 5))
    tail = own[own <= np.percentile(own, 1)]
    assert returns.expected_shortfall(mine, 0.99) == pytest.approx(-tail.mean())


def test_known_answers_by_hand() -> None:
    # Mean 1 %, deviations 1, 1, -3, 1 percent: variance 12/3 = 4 of percent squared.
    mine = daily([0.02, 0.02, -0.02, 0.02])
    assert returns.volatility(mine) == pytest.approx(0.02 * math.sqrt(365))
    assert returns.sharpe(mine) == pytest.approx(0.5 * math.sqrt(365))
    assert returns.sortino(mine) == pytest.approx(0.01 / 0.01 * math.sqrt(365))
    assert returns.sharpe_error(mine) == pytest.approx(math.sqrt(1.125 / 4 * 365))
    assert returns.cagr(100, 121, 730) == pytest.approx(0.1)
    assert returns.cagr(100, 0, 400) == returns.cagr(100, -5, 400) == -1.0
    losses = daily([-i / 100 for i in range(101)])
    assert returns.value_at_risk(losses, 0.95) == pytest.approx(0.95)
    assert returns.expected_shortfall(losses, 0.95) == pytest.approx(np.mean(range(95, 101)) / 100)


def test_what_cannot_be_is_nan() -> None:
    still, rising = daily([0.0] * 40), daily([0.01, 0.02] * 20)
    assert math.isnan(returns.sharpe(still)) and math.isnan(returns.sortino(rising))
    assert math.isnan(returns.beta(rising, still))
    assert returns.volatility(still) == 0.0


def test_a_hole_changes_neither_volatility_nor_mean_beyond_chance() -> None:
    """Of 60,000 days a third is cut out: the truth is still found, and zeros would miss it."""
    truth = 0.02
    steps = np.random.default_rng(11).normal(0.0004, truth, 60_000)
    days = np.ones(20_000)
    spans = steps.reshape(20_000, 3)
    days[::2] = 3.0
    holed = np.where(days == 3, spans.sum(axis=1), spans[:, 0])
    found = Returns(holed, days)
    assert returns.volatility(found) == pytest.approx(truth * math.sqrt(365), rel=0.02)
    assert found.mean == pytest.approx(0.0004, abs=4 * truth / math.sqrt(40_000))
    assert len(found.single) == 10_000
    expected = -NormalDist(0.0004, truth).inv_cdf(0.05)
    assert returns.value_at_risk(found, 0.95) == pytest.approx(expected, rel=0.05)


def test_the_standard_error_of_sharpe_is_what_samples_scatter() -> None:
    random = np.random.default_rng(3)
    samples = random.normal(0.002, 0.02, (2_000, 120))
    ratios = [returns.sharpe(Returns(one, np.ones(120))) for one in samples]
    errors = [returns.sharpe_error(Returns(one, np.ones(120))) for one in samples]
    assert np.std(ratios) == pytest.approx(np.mean(errors), rel=0.06)
