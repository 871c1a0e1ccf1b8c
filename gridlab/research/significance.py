"""How much a Sharpe ratio proves: probabilistic, deflated, and the record it would need.

Ratios here are per observation: mean over standard deviation of the returns as they come, daily or
hourly. `annualised` is for eyes only, by the calendar, because crypto trades on all 365 days.
Returns are simple, excess over cash, one-dimensional float64 and finite: a NaN is refused, for
leaving it out would shorten the record in silence. What is undefined (fewer than 2 returns, or
returns that never move) is NaN. Pure numpy; knows no grid.

Sources:
    [1] D. H. Bailey, M. Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk
        15(2), 2012: probabilistic Sharpe ratio, minimum track record length.
    [2] D. H. Bailey, M. Lopez de Prado, "The Deflated Sharpe Ratio: Correcting for Selection Bias,
        Backtest Overfitting and Non-Normality", Journal of Portfolio Management 40(5), 2014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from gridlab.errors import InvalidInput
from gridlab.research.metrics import FloatArray

YEAR_MS = 365 * 86_400_000
#: Euler and Mascheroni's constant.
_GAMMA = 0.5772156649015329
#: Returns whose spread is below this fraction of their size do not move: it is rounding.
STILL = 1e-12
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Moments:
    """What the ratios below are made of.

    Args:
        count: number of returns.
        sharpe: mean / standard deviation (divisor count - 1), per observation.
        skew, kurtosis: of the sample (divisor count); a normal law has 0 and 3.
    """

    count: int
    sharpe: float
    skew: float
    kurtosis: float

    @classmethod
    def of(cls, returns: Any) -> Moments:
        """The moments of a series of returns."""
        values = finite(returns, 1)
        count = len(values)
        if count < 2:
            return cls(count, math.nan, math.nan, math.nan)
        away = values - values.mean()
        variance = float(np.mean(away**2))
        if math.sqrt(variance) <= STILL * float(np.abs(values).max()):
            return cls(count, math.nan, math.nan, math.nan)
        spread = math.sqrt(variance * count / (count - 1))
        return cls(
            count,
            float(values.mean()) / spread,
            float(np.mean(away**3)) / variance**1.5,
            float(np.mean(away**4)) / variance**2,
        )

    @property
    def _unit_variance(self) -> float:
        """Variance of the estimated ratio, times count - 1; never below zero."""
        return max(0.0, 1 - self.skew * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2)

    @property
    def standard_error(self) -> float:
        """Of the ratio, per observation: also right for returns that are not normal. Source: [1]"""
        if math.isnan(self.sharpe):
            return math.nan
        return math.sqrt(self._unit_variance / (self.count - 1))


def probabilistic_sharpe(moments: Moments, benchmark: float = 0.0) -> float:
    """The probability, 0 to 1, that the true ratio lies above `benchmark`; NaN when undefined.

    Source: [1]: Z((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)).
    """
    error = moments.standard_error
    if math.isnan(error) or math.isnan(benchmark):
        return math.nan
    distance = moments.sharpe - benchmark
    if error == 0.0:
        return 0.5 if distance == 0 else float(distance > 0)
    return _NORMAL.cdf(distance / error)


def min_track_record(moments: Moments, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """How many returns of this kind would show, at `confidence`, a ratio above `benchmark`.

    Infinite when the ratio is not above it; NaN when undefined. Source: [1]:
    1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (Z^-1(confidence) / (SR - SR*))^2.

    >>> round(min_track_record(Moments(750, 2 / 250**0.5, 0, 3), 1 / 250**0.5) / 250, 2)
    2.73
    """
    if not 0.5 < confidence < 1:
        raise InvalidInput(f"confidence is {confidence}; choose one above 0.5 and below 1")
    if math.isnan(moments.sharpe):
        return math.nan
    if moments.sharpe <= benchmark:
        return math.inf
    needed = _NORMAL.inv_cdf(confidence) / (moments.sharpe - benchmark)
    return 1 + moments._unit_variance * needed**2


def expected_best_sharpe(trials: float, variance: float) -> float:
    """The ratio that the best of `trials` without any skill is expected to show.

    Args:
        trials: independent ones, 1 or more; of one, nothing is expected.
        variance: of the ratios across trials, per observation.

    Some 9 % too low for two trials, 2 % too high for five or ten, 1 % for a hundred.
    Source: [2]: sqrt(variance) ((1 - g) Z^-1(1 - 1/N) + g Z^-1(1 - 1/(N e))), g = 0.5772...
    """
    if not trials >= 1:
        raise InvalidInput(f"trials is {trials}; at least the one that is judged was tried")
    if trials == 1 or variance == 0:
        return 0.0
    near = _NORMAL.inv_cdf(1 - 1 / trials)
    far = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * max(0.0, (1 - _GAMMA) * near + _GAMMA * far)


def effective_trials(returns: Any) -> float:
    """How many independent trials the columns of `returns` amount to, by their mean correlation r.

    Args:
        returns: [observations, trials]; a column that never moves is left out.

    Returns:
        r + (1 - r) M, from 1 (all alike) to M; M for negative r; NaN without a column that moves.
        Source: [2], appendix on the number of independent trials.
    """
    values = finite(returns, 2)
    away = values - values.mean(axis=0)
    spread = np.sqrt(np.mean(away**2, axis=0))
    moves = spread > STILL * np.abs(values).max(axis=0, initial=0.0)
    count = int(np.count_nonzero(moves))
    if count < 2:
        return float(count) if count else math.nan
    together = (away[:, moves] / spread[moves]).sum(axis=1)
    mean = (float(np.mean(together**2)) - count) / (count * (count - 1))
    mean = min(1.0, max(0.0, mean))
    return mean + (1 - mean) * count


@dataclass(frozen=True, slots=True)
class Deflated:
    """A Sharpe ratio judged against the best that chance would have shown among as many trials.

    Args:
        probability: that the true ratio is above `benchmark`: the deflated Sharpe ratio, 0 to 1.
        sharpe, benchmark: per observation; what was found, and what the best of `trials` without
            skill is expected to show.
        trials: that were counted; effective: what they amount to by their mean correlation.
        probability_effective: the same with `effective` trials: the kinder reading.
        column: which of the trials is judged.
    """

    probability: float
    sharpe: float
    benchmark: float
    trials: int
    effective: float
    probability_effective: float
    column: int


def deflated_sharpe(returns: Any, column: int | None = None) -> Deflated:
    """The deflated Sharpe ratio of one column of `returns`, by default of the best.

    Args:
        returns: [observations, trials]: every setting that was tried, not only those that were
            kept.
        column: the trial that was selected.

    All M columns count as trials. Counting only the effective ones together with the variance
    across columns would deflate twice: what columns have in common narrows that variance already
    (for equal correlations r it is (1 - r) of one column's, and the best of M exceeds the mean by
    just that much), so the smaller number would let luck pass. Both readings are returned.
    Source: [2]: the probabilistic ratio against `expected_best_sharpe`.

    Raises:
        InvalidInput: fewer than two trials, or a column that is none of them.
    """
    values = finite(returns, 2)
    count = values.shape[1]
    if count < 2:
        raise InvalidInput(f"there is {count} trial; deflation needs at least two to compare")
    ratios = sharpe_ratios(values)
    chosen = int(np.argmax(np.nan_to_num(ratios, nan=-np.inf))) if column is None else column
    if not 0 <= chosen < count:
        raise InvalidInput(f"column is {chosen}; there are {count} trials, 0 to {count - 1}")
    known = ratios[np.isfinite(ratios)]
    variance = float(known.var(ddof=1)) if len(known) > 1 else 0.0
    effective, moments = effective_trials(values), Moments.of(values[:, chosen])
    benchmark = expected_best_sharpe(count, variance)
    kinder = math.nan
    if not math.isnan(effective):
        kinder = probabilistic_sharpe(moments, expected_best_sharpe(effective, variance))
    return Deflated(
        probability=probabilistic_sharpe(moments, benchmark),
        sharpe=moments.sharpe,
        benchmark=benchmark,
        trials=count,
        effective=effective,
        probability_effective=kinder,
        column=chosen,
    )


def sharpe_ratios(returns: Any) -> FloatArray:
    """The ratio of every column of [observations, trials], per observation; NaN where undefined."""
    values = finite(returns, 2)
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    spread = values.std(axis=0, ddof=1)
    moves = spread > STILL * np.abs(values).max(axis=0, initial=0.0)
    ratios: FloatArray = np.full(values.shape[1], np.nan)
    ratios[moves] = values[:, moves].mean(axis=0) / spread[moves]
    return ratios


def annualised(sharpe: float, sample_ms: int) -> float:
    """A ratio per observation of `sample_ms` as one per year of 365 days.

    Times the root of the number of observations in a year, which takes returns for independent.
    """
    return sharpe * math.sqrt(YEAR_MS / sample_ms)


def finite(returns: Any, dimensions: int) -> FloatArray:
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != dimensions:
        raise InvalidInput(
            f"returns have {values.ndim} dimensions; {dimensions} are meant: observations"
            f"{' by trials' if dimensions == 2 else ''}"
        )
    odd = np.argwhere(~np.isfinite(values))
    if len(odd):
        place = ", ".join(str(int(i)) for i in odd[0])
        raise InvalidInput(
            f"the return at [{place}] is {values[tuple(odd[0])]}; leave out trials without a full "
            "record, or fill the hole knowingly"
        )
    return values
