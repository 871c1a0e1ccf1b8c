"""How the lines of each indicator are made, and the table of all of them.

TA-Lib's functions come in as an argument, so that this module imports no C code. Arrays in, arrays
out, checked before: knows neither candles as objects nor requests nor results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gridlab.domain.market import Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray: TypeAlias = npt.NDArray[np.float64]
    IntArray: TypeAlias = npt.NDArray[np.int64]
    BoolArray: TypeAlias = npt.NDArray[np.bool_]

DAY_MS = Interval.D1.ms

MACD_FAST, MACD_SLOW, MACD_SIGNAL = 12, 26, 9
BAND_DEVIATIONS = 2
STOCH_SMOOTHING, STOCH_SIGNAL = 3, 3
#: 0 is the window's high, 1 its low.
FIBONACCI_RATIOS = ("0", "0.236", "0.382", "0.5", "0.618", "0.786", "1")


@dataclass(frozen=True, slots=True)
class Series:
    """Candles as columns: open times and float64 values, all of one length."""

    times_ms: IntArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    @property
    def typical(self) -> FloatArray:
        """(high + low + close) / 3, the price that a bar's volume counts at in a VWAP."""
        price: FloatArray = (self.high + self.low + self.close) / 3
        return price


_Make: TypeAlias = "Callable[[Any, Series, int], tuple[FloatArray, ...]]"


@dataclass(frozen=True, slots=True)
class Indicator:
    """One row of the table.

    Args:
        inputs: the candle columns that it reads.
        lines: names of its lines, the main one first.
        least_period: None where it takes no period.
        make: TA-Lib's functions, the columns and the period -> the lines.
        warm_up: period -> first rows in which a line is missing.
        in_price_units: whether its lines are prices or distances of prices, in quote units.
        parameters: what is fixed, by name.
        fading: period -> what each earlier bar keeps of its weight from bar to bar; 0 where a value
            depends on its window only.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    lines: tuple[str, ...]
    least_period: int | None
    make: _Make
    warm_up: Callable[[int], int]
    in_price_units: bool = False
    parameters: Mapping[str, int] = field(default_factory=dict)
    fading: Callable[[int], float] = lambda period: 0.0

    @property
    def takes_period(self) -> bool:
        return self.least_period is not None


def _rsi(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    """RSI, held while the price stands still: gains and losses then fade alike.

    TA-Lib says 0 when both have faded to nothing: in 0.6 below 1e-14, in 0.8 below any double.
    """
    values, index = talib.RSI(series.close, period), np.arange(len(series.close))
    has_moved = np.diff(series.close, prepend=series.close[0]) != 0
    held = values[np.maximum.accumulate(np.where(has_moved | (index == period), index, 0))]
    held[~np.maximum.accumulate(has_moved) | (index < period)] = np.nan
    return (held,)


def _stoch(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    """Slow %K and %D; NaN where a window without range, 0/0, takes part."""
    k, d = talib.STOCH(
        series.high,
        series.low,
        series.close,
        fastk_period=period,
        slowk_period=STOCH_SMOOTHING,
        slowk_matype=0,
        slowd_period=STOCH_SIGNAL,
        slowd_matype=0,
    )
    top, bottom = _extremes(talib, series, period)
    has_no_range = top == bottom
    k[_any_of_last(has_no_range, STOCH_SMOOTHING)] = np.nan
    d[_any_of_last(has_no_range, STOCH_SMOOTHING + STOCH_SIGNAL - 1)] = np.nan
    return k, d


def _adx(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    bars = (series.high, series.low, series.close)
    return tuple(make(*bars, period) for make in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI))


def _bands(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    width = float(BAND_DEVIATIONS)
    upper, middle, lower = talib.BBANDS(series.close, period, width, width, 0)
    return upper, middle, lower


def _macd(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    macd, signal, histogram = talib.MACD(series.close, MACD_FAST, MACD_SLOW, MACD_SIGNAL)
    return macd, signal, histogram


def _fibonacci(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    top, bottom = _extremes(talib, series, period)
    return tuple(top - float(ratio) * (top - bottom) for ratio in FIBONACCI_RATIOS)


def _vwap(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    """Typical price weighted by volume since 00:00 UTC; NaN until something was traded that day.

    A day whose beginning is not among the candles is left out: an average from its middle on would
    be another number under the same name.
    """
    days = series.times_ms // DAY_MS
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    values = np.full(len(days), np.nan)
    weighted = series.typical * series.volume
    for first, stop in zip(starts, np.append(starts[1:], len(days)), strict=True):
        values[first:stop] = _ratio(
            np.cumsum(weighted[first:stop]), np.cumsum(series.volume[first:stop])
        )
    values[: cut_session(series.times_ms)] = np.nan
    return (values,)


def _rolling_vwap(talib: Any, series: Series, period: int) -> tuple[FloatArray, ...]:
    """Each window summed by itself: a running sum keeps a rest that is no volume."""
    values = np.full(len(series.close), np.nan)
    if len(values) >= period:
        weighted, volume = (
            np.lib.stride_tricks.sliding_window_view(column, period).sum(axis=-1)
            for column in (series.typical * series.volume, series.volume)
        )
        values[period - 1 :] = _ratio(weighted, volume)
    return (values,)


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom; NaN where bottom is 0."""
    ratio: FloatArray = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return ratio


def cut_session(times_ms: IntArray) -> int:
    """How many first candles belong to a UTC day whose first candle is not there."""
    if not len(times_ms) or times_ms[0] % DAY_MS == 0:
        return 0
    return int(np.searchsorted(times_ms, (times_ms[0] // DAY_MS + 1) * DAY_MS))


def _extremes(talib: Any, series: Series, period: int) -> tuple[FloatArray, FloatArray]:
    """Highest high and lowest low of each window; NaN in the first period - 1."""
    if period == 1:
        return series.high, series.low
    top: FloatArray = talib.MAX(series.high, period)
    bottom: FloatArray = talib.MIN(series.low, period)
    return top, bottom


def _any_of_last(flags: BoolArray, count: int) -> BoolArray:
    """Whether one of the last `count` flags up to each bar is set."""
    sums: IntArray = np.cumsum(flags, dtype=np.int64)
    before: IntArray = np.concatenate((np.zeros(count, np.int64), sums))[: len(sums)]
    return sums > before


def _exponential(period: int) -> float:
    return 1 - 2 / (period + 1)


def _wilder(period: int) -> float:
    return 1 - 1 / period


_HLC = ("high", "low", "close")
_TABLE = (
    Indicator(
        name="RSI",
        title="Relative strength index (Wilder), 0 to 100",
        inputs=("close",),
        lines=("value",),
        least_period=2,
        make=_rsi,
        warm_up=lambda n: n,
        fading=_wilder,
    ),
    Indicator(
        name="SMA",
        title="Simple moving average of closes",
        inputs=("close",),
        lines=("value",),
        least_period=2,
        in_price_units=True,
        make=lambda talib, series, n: (talib.SMA(series.close, n),),
        warm_up=lambda n: n - 1,
    ),
    Indicator(
        name="EMA",
        title="Exponential moving average of closes",
        inputs=("close",),
        lines=("value",),
        least_period=2,
        in_price_units=True,
        make=lambda talib, series, n: (talib.EMA(series.close, n),),
        warm_up=lambda n: n - 1,
        fading=_exponential,
    ),
    Indicator(
        name="MACD",
        title="Moving average convergence and divergence",
        inputs=("close",),
        lines=("macd", "signal", "histogram"),
        least_period=None,
        in_price_units=True,
        make=_macd,
        warm_up=lambda n: MACD_SLOW + MACD_SIGNAL - 2,
        parameters={"fast": MACD_FAST, "slow": MACD_SLOW, "signal": MACD_SIGNAL},
        fading=lambda n: _exponential(MACD_SLOW),
    ),
    Indicator(
        name="ATR",
        title="Average true range (Wilder), quote units",
        inputs=_HLC,
        lines=("value",),
        least_period=1,
        in_price_units=True,
        make=lambda talib, series, n: (talib.ATR(series.high, series.low, series.close, n),),
        warm_up=lambda n: n,
        fading=_wilder,
    ),
    Indicator(
        name="ADX",
        title="Average directional index (Wilder), 0 to 100",
        inputs=_HLC,
        lines=("adx", "plus_di", "minus_di"),
        least_period=2,
        make=_adx,
        warm_up=lambda n: 2 * n - 1,
        fading=lambda n: math.sqrt(_wilder(n)),  # smoothed twice: half the pace
    ),
    Indicator(
        name="BBANDS",
        title="Bollinger bands: SMA and 2 standard deviations of the window",
        inputs=("close",),
        lines=("upper", "middle", "lower"),
        least_period=2,
        in_price_units=True,
        make=_bands,
        warm_up=lambda n: n - 1,
        parameters={"deviations": BAND_DEVIATIONS},
    ),
    Indicator(
        name="STOCH",
        title="Slow stochastic oscillator, 0 to 100",
        inputs=_HLC,
        lines=("k", "d"),
        least_period=1,
        make=_stoch,
        warm_up=lambda n: n + STOCH_SMOOTHING + STOCH_SIGNAL - 3,
        parameters={"smoothing": STOCH_SMOOTHING, "signal": STOCH_SIGNAL},
    ),
    Indicator(
        name="VWAP",
        title="Volume-weighted average price since 00:00 UTC",
        inputs=(*_HLC, "volume"),
        lines=("value",),
        least_period=None,
        in_price_units=True,
        make=_vwap,
        warm_up=lambda n: 0,  # a cut first day instead, see `cut_session`
    ),
    Indicator(
        name="VWAP_ROLLING",
        title="Volume-weighted average price of the last bars",
        inputs=(*_HLC, "volume"),
        lines=("value",),
        least_period=1,
        in_price_units=True,
        make=_rolling_vwap,
        warm_up=lambda n: n - 1,
    ),
    Indicator(
        name="OBV",
        title="On-balance volume, from the first candle's own volume on",
        inputs=("close", "volume"),
        lines=("value",),
        least_period=None,
        make=lambda talib, series, n: (talib.OBV(series.close, series.volume),),
        warm_up=lambda n: 0,
    ),
    Indicator(
        name="FIBONACCI",
        title="Retracement levels between the high and the low of the last bars",
        inputs=("high", "low"),
        lines=FIBONACCI_RATIOS,
        least_period=1,
        in_price_units=True,
        make=_fibonacci,
        warm_up=lambda n: n - 1,
    ),
)
#: Every indicator by the name that the API gives it; VWAP_ROLLING is beyond the document.
INDICATORS: Mapping[str, Indicator] = MappingProxyType({row.name: row for row in _TABLE})
