"""Daily returns of a curve and what follows from them: volatility, Sharpe, Sortino, VaR, beta.

Crypto trades every day, so a year is 365 days, counted by the clock and never by rows. A day is 24
hours from the curve's start, so that every day is whole; the part of a day at the end is in no
daily figure. A day without a sample has no return of its own: the next one spans it. Such a return
over d days is taken to have d times the mean and d times the variance of one day, and is weighed by
that; without holes every figure is the textbook's. Pure numpy; knows no grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridlab.research.metrics import FloatArray

DAY_MS = 86_400_000
DAYS_A_YEAR = 365.0
NAN = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Returns:
    """Simple returns, oldest first.

    Args:
        value: float64, value / value before - 1.
        days: float64 of the same length, how many days each return spans, 1 where none is missing.
    """

    value: FloatArray
    days: FloatArray

    def __len__(self) -> int:
        return len(self.value)

    @property
    def single(self) -> FloatArray:
        """The returns that span one day."""
        single: FloatArray = self.value[self.days == 1]
        return single

    @property
    def mean(self) -> float:
        """The mean return of one day; NaN when there is none."""
        return float(self.value.sum() / self.days.sum()) if len(self) else NAN


def day_ends(
    open_time_ms: npt.NDArray[np.int64], width_ms: int
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Where each day of a series ends, as positions, and the days since the end before.

    Args:
        open_time_ms: int64, ascending, of bars that are `width_ms` wide. Day k ends k x 24 hours
            after the first; its position is the last bar that is over by then.

    Returns:
        Two arrays of one length: int64 positions, float64 whole days. Days in which no bar ended
        are left out, and counted in the next one.
    """
    start = int(open_time_ms[0])
    whole = (int(open_time_ms[-1]) + width_ms - start) // DAY_MS
    ends = start + DAY_MS * np.arange(whole + 1, dtype=np.int64)
    position = np.searchsorted(open_time_ms, ends - width_ms, side="right") - 1
    has_bar = np.diff(position) > 0
    number = np.flatnonzero(has_bar) + 1
    days = np.diff(np.concatenate(([0], number))).astype(np.float64)
    return position[1:][has_bar].astype(np.int64), days


def returns_of(values: FloatArray, first: float, days: FloatArray) -> Returns:
    """The returns between `first` and each of `values`, which lie `days` apart."""
    steps = np.concatenate(([first], values))
    return Returns(steps[1:] / steps[:-1] - 1.0, days)


def cagr(first: float, last: float, days: float) -> float:
    """Compound growth a year: (last / first) ** (365 / days) - 1, a fraction; -1 from zero down."""
    return -1.0 if last <= 0 else float((last / first) ** (DAYS_A_YEAR / days) - 1.0)


def covariance(one: Returns, other: Returns) -> float:
    """Of one day, unbiased: sum((x - mean x d) (y - mean y d) / d) / (n - 1), NaN for n < 2.

    With every d = 1 this is `np.cov(x, y)[0, 1]`. Source: least squares weighed by 1/d, which is
    what independent increments of unequal length ask for.
    """
    if len(one) < 2:
        return NAN
    left, right = one.value - one.mean * one.days, other.value - other.mean * other.days
    return float((left * right / one.days).sum() / (len(one) - 1))


def volatility(returns: Returns) -> float:
    """Standard deviation of daily returns x sqrt(365), a fraction a year; NaN for fewer than 2."""
    return math.sqrt(covariance(returns, returns) * DAYS_A_YEAR) if len(returns) > 1 else NAN


def sharpe(returns: Returns) -> float:
    """Mean / standard deviation of daily returns x sqrt(365), a ratio; the riskless rate is zero.

    NaN for fewer than 2 returns or returns that do not vary. Source: W. F. Sharpe, The Sharpe
    Ratio, Journal of Portfolio Management 21 (1994).
    """
    deviation = volatility(returns)
    return returns.mean * DAYS_A_YEAR / deviation if deviation > 0 else NAN


def sharpe_error(returns: Returns) -> float:
    """The standard error of `sharpe`: sqrt((1 + s**2 / 2) / n) x sqrt(365), s the daily ratio.

    For independent returns with one distribution; NaN where `sharpe` is. Source: A. W. Lo, The
    Statistics of Sharpe Ratios, Financial Analysts Journal 58 (2002), equation 9.
    """
    daily = sharpe(returns) / math.sqrt(DAYS_A_YEAR)
    return math.sqrt((1 + daily**2 / 2) / len(returns) * DAYS_A_YEAR) if len(returns) else NAN


def sortino(returns: Returns) -> float:
    """Mean / downside deviation of daily returns x sqrt(365), a ratio; the target is zero.

    Downside deviation is sqrt(mean of min(r, 0)**2 over all days). NaN when no day lost. Source:
    F. A. Sortino, L. N. Price, Performance Measurement in a Downside Risk Framework, Journal of
    Investing 3 (1994).
    """
    losses = np.minimum(returns.value, 0.0)
    downside = math.sqrt(float((losses**2 / returns.days).mean())) if len(returns) else 0.0
    return returns.mean * math.sqrt(DAYS_A_YEAR) / downside if downside > 0 else NAN


def value_at_risk(returns: Returns, confidence: float) -> float:
    """The loss of one day that `confidence` of the days did not exceed, a fraction.

    Historical: minus the (1 - confidence) quantile of one-day returns, interpolated linearly
    between order statistics; below zero when even those days gained. NaN for no return.
    """
    single = returns.single
    return float(-np.quantile(single, 1.0 - confidence)) if len(single) else NAN


def expected_shortfall(returns: Returns, confidence: float) -> float:
    """CVaR: the mean loss of the days that lost `value_at_risk` or more, a fraction.

    NaN for no return. Source: C. Acerbi, D. Tasche, On the Coherence of Expected Shortfall,
    Journal of Banking and Finance 26 (2002); historical days.
    """
    single = returns.single
    if not len(single):
        return NAN
    return float(-single[single <= np.quantile(single, 1.0 - confidence)].mean())


def beta(returns: Returns, market: Returns) -> float:
    """How far `returns` go with `market`: covariance / variance of the market, a ratio.

    NaN for fewer than 2 returns or a market that does not vary.
    """
    variance = covariance(market, market)
    return covariance(returns, market) / variance if variance > 0 else NAN


def tracking_error(returns: Returns, market: Returns) -> float:
    """Volatility of the difference of daily returns, a fraction a year; NaN for fewer than 2."""
    return volatility(Returns(returns.value - market.value, returns.days))
