"""Closed forms of grid trading: what a price without memory and without drift lets a grid expect.

Functions of numbers only. Volatilities are fractions per square root of a day; times are days;
`spacing` is the fraction between neighbouring lines. The price is a driftless diffusion: its
logarithm is a Brownian motion, without drift, jumps or steps, watched at every moment. Where a
formula asks for less than that, it says so.
"""

from __future__ import annotations

from decimal import Decimal
from math import erf, exp, log, log1p, pi, sqrt

import numpy as np

from gridlab.data.bars import Bars
from gridlab.domain.market import FeeMode
from gridlab.errors import InvalidInput
from gridlab.money import ONE, rounding, text

DAY_MS = 86_400_000


def break_even_spacing(maker: Decimal, mode: FeeMode = FeeMode.RECEIVED) -> Decimal:
    """The spacing at which a round of one buy and one sell earns nothing after both maker fees.

    Exact but for the 64th digit: no approximation of small fees. Lots, ticks and the rounding of
    commissions are left out; the pre-flight counts with them.

    Args:
        maker: fraction of the traded value.
        mode: `quote` and `third`: the buy costs 1 + f and the sale pays 1 - f, so
            (1 + s)(1 - f) = 1 + f. `received`: the buy leaves 1 - f of what it bought, and that is
            sold, so (1 + s)(1 - f)^2 = 1.

    Source: the two equations, which are `gridlab.grid.sizing.round_profit` set to zero.

    >>> break_even_spacing(Decimal("0.001"), FeeMode.QUOTE).quantize(Decimal("1e-9"))
    Decimal('0.002002002')
    >>> break_even_spacing(Decimal("0.001"), FeeMode.RECEIVED).quantize(Decimal("1e-9"))
    Decimal('0.002003004')
    """
    if maker >= 1:
        raise InvalidInput(f"maker is {text(maker)}; a fraction below 1 is meant")
    with rounding():
        if mode is FeeMode.RECEIVED:
            return ONE / (ONE - maker) ** 2 - ONE
        return 2 * maker / (ONE - maker)


def fills_per_day(volatility: float, spacing: float) -> float:
    """How often a refilling grid is filled in a day that is spent inside its range.

    The line without an order moves by one when the price has gone one line up or down from it,
    which takes d^2 / volatility^2 days on average, d = ln(1 + spacing). In the long run, fills come
    at the inverse of that rate, half of them buys. They follow the variance, not the clock, so the
    volatility need not be constant: over any time the count is variance / d^2.

    Source: expected duration of a fair game between -d and d, see `exit_days`; the elementary
    renewal theorem, Feller, An Introduction to Probability Theory and Its Applications, vol. 2, XI.

    >>> round(fills_per_day(0.02, 0.005), 2)
    16.08
    """
    return (volatility / log1p(spacing)) ** 2


def fills_spread(fills: float) -> float:
    """The standard deviation of the count of fills when `fills` are expected.

    The time between fills has variance 2/3 of its mean squared (the exit of Brownian motion from
    (-d, d) has E t = d^2, E t^2 = 5/3 d^4), so the count has variance 2/3 of its mean.

    Source: the central limit theorem for renewals, Feller, vol. 2, XI.5.

    >>> round(fills_spread(150.0), 1)
    10.0
    """
    return sqrt(2.0 / 3.0 * max(fills, 0.0))


def rounds_of(fills: float) -> float:
    """How many rounds, a buy and the sale that answers it or the reverse, so many fills make.

    After n steps a fair walk is sqrt(2 n / pi) away from its start on average; steps that were not
    taken back are no rounds.

    Source: E |S_n| of the simple symmetric random walk, Feller, vol. 1, III.

    >>> round(rounds_of(100.0), 1)
    46.0
    """
    return max(0.0, (fills - sqrt(2.0 * fills / pi)) / 2.0)


def exit_days(price: float, lower: float, upper: float, volatility: float) -> float:
    """How many days pass on average until a price that starts in a range first leaves it.

    ln(price / lower) x ln(upper / price) / volatility^2, exactly, for driftless log price.

    Source: expected duration in the gambler's ruin, Feller, vol. 1, XIV.3, in its diffusion limit.

    Raises:
        InvalidInput: the price is not inside the range.

    >>> round(exit_days(100.0, 90.0, 110.0, 0.02), 1)
    25.1
    """
    if not 0 < lower <= price <= upper or volatility <= 0:
        raise InvalidInput(
            f"price {price} in {lower} to {upper} at volatility {volatility}; a price inside its "
            "range and a volatility above 0 are meant"
        )
    return log(price / lower) * log(upper / price) / volatility**2


def days_in_range(
    price: float, lower: float, upper: float, volatility: float, days: float
) -> float:
    """How many of `days` the price spends between `lower` and `upper` on average, returns counted.

    The integral over time of the normal probability of being inside; a start outside is allowed.

    Source: Fubini; for c > 0 and v = c / sqrt(T), the integral of Phi(c / sqrt(t)) from 0 to T is
    T Phi(v) + c^2 (phi(v) / v - (1 - Phi(v))), by parts.

    >>> round(days_in_range(100.0, 90.0, 110.0, 0.02, 30.0), 2)
    24.55
    """
    below = _integral_of_phi(log(price / lower) / volatility, days)
    above = _integral_of_phi(log(upper / price) / volatility, days)
    return below + above - days


def _integral_of_phi(c: float, days: float) -> float:
    """The integral of Phi(c / sqrt(t)) over t from 0 to `days`."""
    if c == 0.0 or days <= 0.0:
        return days / 2.0
    v = abs(c) / sqrt(days)
    upper = 0.5 * (1.0 - erf(v / sqrt(2.0)))
    density = exp(-v * v / 2.0) / sqrt(2.0 * pi)
    value = days * (1.0 - upper) + c * c * (density / v - upper)
    return value if c > 0 else days - value


# --- volatility from bars -------------------------------------------------------------------------


def close_to_close(bars: Bars) -> float:
    """Volatility per square root of a day from closes; bars next to a hole are left out.

    The mean is taken as zero, as everything here does; no annualising convention is involved.

    Raises:
        InvalidInput: fewer than two neighbouring bars.
    """
    returns = neighbour_returns(bars)
    known = returns[~np.isnan(returns)]
    if not len(known):
        raise InvalidInput(f"{bars!r}: two neighbouring bars are needed for a volatility")
    return float(np.sqrt(np.mean(known**2) * DAY_MS / bars.interval.ms))


def parkinson(bars: Bars) -> float:
    """Volatility per square root of a day from highs and lows.

    Some five times as efficient as closes for a price that is watched at every moment; too low
    where few trades make a bar, and blind to jumps between bars.

    Source: M. Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of
    Return, Journal of Business 53 (1980): mean of ln(high / low)^2 / (4 ln 2).
    """
    spans = np.log(bars.high / bars.low)
    return _per_day(spans**2 / (4.0 * log(2.0)), bars)


def garman_klass(bars: Bars) -> float:
    """Volatility per square root of a day from open, high, low and close.

    Source: M. Garman and M. Klass, On the Estimation of Security Price Volatilities from Historical
    Data, Journal of Business 53 (1980), the practical estimator: the mean of
    ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2.
    """
    spans, moves = np.log(bars.high / bars.low), np.log(bars.close / bars.open)
    return _per_day(spans**2 / 2.0 - (2.0 * log(2.0) - 1.0) * moves**2, bars)


def neighbour_returns(bars: Bars) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """ln(close / close before) of each bar, float64; NaN for the first one and after a hole."""
    returns = np.full(len(bars), np.nan)
    returns[1:] = np.diff(np.log(bars.close))
    returns[1:][np.diff(bars.open_time_ms) != bars.interval.ms] = np.nan
    return returns


def _per_day(variances: np.ndarray[tuple[int], np.dtype[np.float64]], bars: Bars) -> float:
    if not len(bars):
        raise InvalidInput(f"{bars!r}: there is no bar to tell a volatility from")
    return float(np.sqrt(max(0.0, float(np.mean(variances))) * DAY_MS / bars.interval.ms))
