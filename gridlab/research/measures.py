"""`measure`: what a backtest's result amounts to, or why it cannot be said.

A figure that the series is too short for is NaN and has its reason in `Metrics.why`; nothing is
extrapolated in silence. Formulas are in `gridlab.research.returns`, parts of profit in `parts`.
Equity is sampled daily for what is annualised, and at every close for drawdown and exposure.
"""

from __future__ import annotations

import math

import numpy as np

from gridlab.research.figures import Metrics
from gridlab.research.metrics import FloatArray, IntArray, heights, longest_wait, max_drawdown
from gridlab.research.outcome import Outcome
from gridlab.research.parts import Parts, fills_by_level
from gridlab.research.returns import (
    DAY_MS,
    NAN,
    Returns,
    beta,
    cagr,
    day_ends,
    expected_shortfall,
    returns_of,
    sharpe,
    sharpe_error,
    sortino,
    tracking_error,
    value_at_risk,
    volatility,
)

#: Days from which on growth is stated by the year; a month to the twelfth power is noise.
LEAST_DAYS_A_YEAR = 90
#: Daily returns from which on their spread is stated.
LEAST_RETURNS = 30


def measure(result: Outcome) -> Metrics:
    """The figures of `result`."""
    figures: dict[str, float] = {}
    why: dict[str, str] = {}
    for part in (_growth, _daily):
        for name, (value, reason) in part(result).items():
            figures[name] = NAN if reason else value
            if reason:
                why[name] = reason
    fall = result.drawdown
    figures["calmar"] = figures["cagr"] / fall.fraction if fall.fraction else NAN
    if math.isnan(figures["calmar"]):
        why["calmar"] = why.get("cagr") or "equity never fell"
    parts = Parts.of(result.money)
    if math.isnan(parts.fees_of_gross):
        why["fees_of_gross"] = "there is no grid profit that fees could be a share of"
    levels = fills_by_level(result)
    has_fall = bool(fall.fraction)
    return Metrics(
        **figures,
        **_outside(result),
        longest_under_water_ms=_longest_under_water(result),
        **_exposure(result),
        days=result.duration_ms / DAY_MS,
        max_drawdown=fall.fraction,
        peak_ms=result.close_time_ms(fall.peak) if has_fall else None,
        trough_ms=result.close_time_ms(fall.trough) if has_fall else None,
        recovery_ms=None
        if fall.recovered is None or not has_fall
        else result.close_time_ms(fall.recovered),
        hold_drawdown=_hold_drawdown(result),
        fees_of_gross=parts.fees_of_gross,
        parts=parts,
        buys=result.fills.buys,
        sells=result.fills.sells,
        round_trips=sum(level.rounds for level in levels),
        levels=levels,
        why=why,
    )


def _growth(result: Outcome) -> dict[str, tuple[float, str]]:
    """Returns over the whole span; each as (value, why there is none)."""
    days = result.duration_ms / DAY_MS
    first, last = float(result.money.investment), float(result.equity)
    short = f"{days:.1f} days are too short to speak of a year; {LEAST_DAYS_A_YEAR} are needed"
    short = short if days < LEAST_DAYS_A_YEAR else ""
    return {
        "total_return": (result.total_return, ""),
        "hold_return": (result.hold_return, ""),
        "excess_return": (result.total_return - result.hold_return, ""),
        "cagr": (NAN if short else cagr(first, last, days), short),
    }


def _daily(result: Outcome) -> dict[str, tuple[float, str]]:
    """What follows from daily returns; each as (value, why there is none)."""
    own, market, lost = _returns(result)
    count, single = len(own), len(own.single)
    grown = np.concatenate(([1.0], 1.0 + own.value)).cumprod()
    wet = (1 + count - len(heights(grown))) / count if count else NAN
    short = lost or (
        f"{count} daily returns are too few; {LEAST_RETURNS} are needed"
        if count < LEAST_RETURNS
        else ""
    )
    still = short or ("" if volatility(own) > 0 else "equity never moved")
    gain = still or ("" if (own.value < 0).any() else "no day lost")
    flat = short or ("" if volatility(market) > 0 else "the price never moved")
    found = {
        "under_water": (wet, "" if count else "there is no whole day"),
        "volatility": (volatility(own), short),
        "sharpe": (sharpe(own), still),
        "sharpe_error": (sharpe_error(own), still),
        "sortino": (sortino(own), gain),
        "beta": (beta(own, market), flat),
        "tracking_error": (tracking_error(own, market), short),
    }
    for percent in (95, 99):
        least, confidence = 100 // (100 - percent), percent / 100
        few = lost or (
            f"{single} days are too few for the worst in {least}" if single < least else ""
        )
        found[f"var_{percent}"] = (NAN if few else value_at_risk(own, confidence), few)
        found[f"cvar_{percent}"] = (NAN if few else expected_shortfall(own, confidence), few)
    return found


def _returns(result: Outcome) -> tuple[Returns, Returns, str]:
    """Daily returns of the grid and of holding, and why they mean nothing, if they do not."""
    position, days = day_ends(result.bars.open_time_ms, result.bars.interval.ms)
    equity, close = result.equity_curve[position], result.bars.close[position]
    own = returns_of(equity, float(result.money.investment), days)
    # The first day of holding begins with the money, so it pays the fee of the purchase.
    market = returns_of(
        close, float(result.first_price) * (1 + float(result.spec.fees.taker)), days
    )
    return own, market, "" if (equity > 0).all() else "equity fell to zero"


def _hold_drawdown(result: Outcome) -> float:
    """The deepest fall of holding, which begins with the money and pays the fee at once."""
    closes = result.bars.close
    first = float(result.first_price) * (1 + float(result.spec.fees.taker))
    return max(max_drawdown(closes).fraction, 1.0 - float(closes.min()) / first)


def _outside(result: Outcome) -> dict[str, float]:
    close, count = result.bars.close, len(result.bars)
    above = np.count_nonzero(close > float(result.lines[-1])) / count
    below = np.count_nonzero(close < float(result.lines[0])) / count
    return {"above_range": above, "below_range": below, "out_of_range": above + below}


def _longest_under_water(result: Outcome) -> int:
    """Milliseconds of the longest stay below a height, at closes."""
    opened, width = result.bars.open_time_ms, result.bars.interval.ms

    def moment(position: IntArray) -> IntArray:
        closes = opened[np.maximum(position - 1, 0)] + (width - 1)
        return np.where(position == 0, opened[0], closes)

    return longest_wait(result.equity_curve, float(result.money.investment), moment)


def _exposure(result: Outcome) -> dict[str, float]:
    share = exposure_of(result)
    traded = float((result.flows.price * result.flows.quantity).sum())
    return {
        "exposure_mean": float(share.mean()),
        "exposure_max": float(share.max()),
        "traded": traded,
        "turnover": traded / float(result.money.investment),
    }


def exposure_of(result: Outcome) -> FloatArray:
    """Value of the base held / equity at every close, float64."""
    flows, closes = result.flows, result.bars.close
    first, token = float(result.money.investment), float(result.spec.fees.third_price)
    _, base, _ = flows.balances(first, token)
    # The whole `curve` would be six arrays of which one is needed.
    share = np.repeat(base, np.diff(np.concatenate(([0], flows.bar, [len(closes)]))))
    share *= closes
    with np.errstate(divide="ignore", invalid="ignore"):
        share /= result.equity_curve
    return share
