"""What a chosen grid has to beat: holding, a grid at random, and a rule that needs no search.

Each pays what the grid pays: the taker's fee when it buys at the start and sells at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from gridlab.data.bars import Bars
from gridlab.domain.market import Interval
from gridlab.domain.spec import MAX_LEVELS, GridSpec
from gridlab.money import ONE, from_float, rounding
from gridlab.research.metrics import FloatArray

#: The ATR rule's spacing is at least this many times what a round pays in fees.
LEAST_SPACING_IN_FEES = 3
#: Quantiles of random choices that a picture shows.
BAND = (0.05, 0.5, 0.95)
_HOUR_MS = Interval.H1.ms


def hold_growth(spans: Sequence[Bars], taker: float) -> list[FloatArray]:
    """Buying at the first open and selling at the last close, as a multiple of the money.

    Args:
        spans: consecutive, held through from the first to the last.

    Returns:
        for each span its value at every close; the fee is paid at the start and at the very end.
    """
    entry = float(spans[0].open[0]) * (1 + taker)
    growth: list[FloatArray] = [bars.close / entry for bars in spans]
    growth[-1][-1] *= 1 - taker
    return growth


@dataclass(frozen=True, eq=False)
class Luck:
    """What choosing at random in every window came to.

    Args:
        totals: what each draw made in all, float64 [draws], fractions of the first investment.
        band: [windows, 3]: 5th, 50th and 95th percentile of what draws had made by a window's end.
    """

    totals: FloatArray
    band: FloatArray


def random_choices(tested: Sequence[FloatArray], draws: int, seed: int, compound: bool) -> Luck:
    """`draws` walks through the same windows, one setting drawn at random in each.

    Args:
        tested: for each window the return of every setting on its trial; NaN where it could not
            start. Each that could is as likely as the others; where none could, the walk rests.
        compound: multiply the windows' returns, or add them.

    The same seed gives the same draws.
    """
    rng = np.random.default_rng(seed)
    worth: FloatArray = np.ones(draws)
    band = np.empty((len(tested), len(BAND)))
    for k, window in enumerate(tested):
        able = window[np.isfinite(window)]
        drawn = able[rng.integers(len(able), size=draws)] if len(able) else np.zeros(draws)
        worth = worth * (1 + drawn) if compound else worth + drawn
        band[k] = np.quantile(worth, BAND) - 1
    return Luck(worth - 1, band)


def atr_fraction(bars: Bars) -> float:
    """The mean true range of hourly candles, as a fraction of the last close.

    True range is the distance from the higher of the high and the close before to the lower of the
    low and the close before. Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978;
    here the plain mean over all of `bars`, so that no bar fades.
    """
    hours = bars.resample(Interval.H1) if bars.interval.ms < _HOUR_MS else bars
    before = np.concatenate((hours.open[:1], hours.close[:-1]))
    ranges = np.maximum(hours.high, before) - np.minimum(hours.low, before)
    return float(ranges.mean() / hours.close[-1]) * math.sqrt(_HOUR_MS / hours.interval.ms)


def atr_spec(like: GridSpec, training: Bars, test_ms: int) -> GridSpec:
    """The grid that volatility alone suggests, with the money and the fees of `like`.

    Spacing is the hourly ATR of the training (see `atr_fraction`), at least
    `LEAST_SPACING_IN_FEES` rounds of fees. The range reaches as far each way as hourly ATRs add up
    in the trial by the root of time: ATR x sqrt(hours), rounded up to whole grids.
    """
    atr, fees = atr_fraction(training), like.fees
    least = LEAST_SPACING_IN_FEES * 2 * max(float(fees.maker), 0.0)
    reach = atr * math.sqrt(test_ms / _HOUR_MS)
    spacing = min(max(atr, least, 1e-4), 0.5)
    each_way = math.log1p(reach) / math.log1p(spacing)
    levels = min(MAX_LEVELS, max(2, 2 * math.ceil(each_way)))
    with rounding():
        exact_spacing = from_float(spacing).quantize(Decimal("0.000001"))
    assert exact_spacing < ONE
    return replace(like, levels=levels, spacing=exact_spacing, lower=None, upper=None)


def share_beaten(value: float, others: FloatArray) -> float:
    """The fraction of `others` that `value` is above, those equal to it counted half; 0 to 1."""
    below = np.count_nonzero(others < value) + np.count_nonzero(others == value) / 2
    return float(below / len(others))
