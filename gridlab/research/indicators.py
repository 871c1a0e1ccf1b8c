"""Technical indicators over candles: `compute`, its result, and what it refuses.

TA-Lib makes the lines where it has them; VWAP and the Fibonacci levels are ours. Candles in, arrays
out: knows no venue, no clock and no API. TA-Lib brings pandas along, a quarter of a second, so the
first `compute` imports it.

Decisions, the same for every indicator:

- Without a period it is 14, the documented default, for Bollinger bands too. MACD (12, 26, 9), OBV
  and VWAP take no period: a request that carries one, as the documented default does for every
  type, gets the same lines, and the result's `period` is None.
- A value at bar t depends on bars up to t only. The last candle may still be open; its row is then
  as provisional as the candle.
- Bars are taken as they follow each other; a hole in time is stepped over, never filled.
- Rows of the warm-up are NaN in the arrays and left out of `rows()`. After it, a value that is 0/0
  (RSI before any price change, STOCH of a window without range, VWAP without volume) is NaN and
  None: TA-Lib says 0 there, which would read as oversold.
- RSI, EMA, MACD, ATR and ADX remember all earlier bars, fading; `lead_bars` says how many to fetch
  before the first wanted one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from gridlab.domain.market import Interval, Kline
from gridlab.errors import Conflict, InvalidInput
from gridlab.research.indicator_lines import DAY_MS, INDICATORS, Indicator, Series, cut_session
from gridlab.research.words import when

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    FloatArray: TypeAlias = npt.NDArray[np.float64]
    IntArray: TypeAlias = npt.NDArray[np.int64]

DEFAULT_PERIOD = 14
MAX_PERIOD = 1000
#: What the first bar may still weigh in a value that counts as settled.
SETTLED_WEIGHT = 1e-4


class Columns(Protocol):
    """Candles as arrays, oldest first, such as `gridlab.data.bars.Bars`."""

    @property
    def open_time_ms(self) -> IntArray: ...
    @property
    def high(self) -> FloatArray: ...
    @property
    def low(self) -> FloatArray: ...
    @property
    def close(self) -> FloatArray: ...
    @property
    def volume(self) -> FloatArray: ...


@dataclass(frozen=True, slots=True, eq=False)
class IndicatorResult:
    """The lines of one indicator over one series of candles.

    Args:
        period: None where the indicator takes none.
        parameters: every number that the lines were made with.
        times_ms: open times of all the candles, int64.
        lines: name -> float64 of the same length; NaN in the warm-up and where undefined.
        warmup: how many first rows lack a line; all of them when there are too few candles.
    """

    name: str
    period: int | None
    parameters: Mapping[str, int]
    times_ms: IntArray
    lines: Mapping[str, FloatArray]
    warmup: int

    def rows(self) -> list[tuple[int, dict[str, float | None]]]:
        """(open time, value by line) of every candle after the warm-up, oldest first.

        None where the value is undefined; never NaN, which JSON does not know.
        """
        names = list(self.lines)
        columns = [self.lines[name][self.warmup :].tolist() for name in names]
        return [
            (time_ms, {name: _known(value) for name, value in zip(names, values, strict=True)})
            for time_ms, *values in zip(
                self.times_ms[self.warmup :].tolist(), *columns, strict=True
            )
        ]

    def last(self, bars: int) -> IndicatorResult:
        """The same lines at the last `bars` candles: what is left after `lead_bars` were used."""
        cut = max(0, len(self.times_ms) - bars)
        lines = MappingProxyType({name: line[cut:] for name, line in self.lines.items()})
        warmup = max(0, self.warmup - cut)
        return replace(self, times_ms=self.times_ms[cut:], lines=lines, warmup=warmup)

    def __len__(self) -> int:
        """How many rows there are after the warm-up."""
        return len(self.times_ms) - self.warmup

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        head = f"IndicatorResult({self.name}{f' ({numbers})' if numbers else ''}: "
        if not len(self):
            return f"{head}no row, {self.warmup} candles are all warm-up)"
        time_ms, values = int(self.times_ms[-1]), {k: v[-1] for k, v in self.lines.items()}
        last = ", ".join(f"{name} {value:.6g}" for name, value in values.items())
        return f"{head}{len(self)} rows, at {when(time_ms)} {last})"

    def to_frame(self) -> pd.DataFrame:
        """A column for each line, indexed by `open_time` (datetime64[ms, UTC]); warm-up as NaN."""
        import pandas as pd

        stamps = pd.DatetimeIndex(self.times_ms.astype("datetime64[ms]"), name="open_time")
        columns = {name: line.copy() for name, line in self.lines.items()}
        return pd.DataFrame(columns, index=stamps.tz_localize("UTC"))


def compute(
    name: str, candles: Columns | Sequence[Kline], period: int | None = None
) -> IndicatorResult:
    """The lines of the indicator `name` over `candles`.

    Args:
        name: one of `INDICATORS`, in any case.
        candles: `Bars`, or klines, oldest first; none at all gives an empty result.
        period: bars; 14 when not given.

    Raises:
        InvalidInput: no such indicator, a period out of its bounds, times that do not ascend, a
            price or volume that is no number, or no volume where the indicator is made of it.
        Conflict: TA-Lib is not installed.
    """
    indicator = find(name)
    used = check_period(indicator, period)
    series = _series(candles)
    _check(indicator, series)
    total = len(series.times_ms)
    if total:
        scaled, exponent = _scaled(series, float(getattr(series, indicator.inputs[0])[0]))
        made = indicator.make(_talib(), scaled, used)
        back = exponent if indicator.in_price_units else 0
        lines = [np.ldexp(line, back) for line in made]
    else:
        lines = [np.empty(0) for _ in indicator.lines]
    warm_up = indicator.warm_up(used)
    if indicator.name == "VWAP":
        warm_up = cut_session(series.times_ms)
    for array in (*lines, series.times_ms):
        array.flags.writeable = False
    return IndicatorResult(
        indicator.name,
        used if indicator.takes_period else None,
        MappingProxyType(
            ({"period": used} if indicator.takes_period else {}) | dict(indicator.parameters)
        ),
        series.times_ms,
        MappingProxyType(dict(zip(indicator.lines, lines, strict=True))),
        min(warm_up, total),
    )


def find(name: str) -> Indicator:
    """The indicator called `name`, in any case; raises `InvalidInput` with the names there are."""
    found = INDICATORS.get(name.upper()) if isinstance(name, str) else None
    if found is None:
        raise InvalidInput(f"there is no indicator {name!r}; known are {', '.join(INDICATORS)}")
    return found


def check_period(indicator: Indicator, period: int | None) -> int:
    """The period to use: `period`, or 14; raises `InvalidInput` when it is out of bounds."""
    if period is None:
        return DEFAULT_PERIOD
    least = indicator.least_period or 1
    is_whole = isinstance(period, int) and not isinstance(period, bool)
    if not is_whole or not least <= period <= MAX_PERIOD:
        raise InvalidInput(
            f"period is {period!r}; {indicator.name} takes a whole number of bars from {least} to "
            f"{MAX_PERIOD}, {DEFAULT_PERIOD} when left out"
        )
    return period


def lead_bars(
    name: str, interval: Interval, period: int | None = None, *, settled: bool = False
) -> int:
    """How many candles to fetch before the first row that is wanted.

    Args:
        settled: add those after which the first candle weighs less than 1/10,000, so that a value
            no longer tells how many candles were fetched. OBV never settles: its level counts from
            its first candle, only its changes mean something.
    """
    indicator = find(name)
    used = check_period(indicator, period)
    bars = indicator.warm_up(used)
    if indicator.name == "VWAP":
        bars = max(0, DAY_MS // interval.ms - 1)
    fading = indicator.fading(used)
    if settled and fading:
        bars += math.ceil(math.log(SETTLED_WEIGHT) / math.log(fading))
    return bars


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _talib() -> Any:
    try:
        import talib._ta_lib as functions
    except ImportError as error:
        raise Conflict(
            f"indicators need TA-Lib, which cannot be imported here ({error}); install it with "
            "pip install 'gridlab[research]'"
        ) from error
    return functions


def _series(candles: Columns | Sequence[Kline]) -> Series:
    if isinstance(candles, Sequence):
        return Series(
            np.array([kline.open_time_ms for kline in candles], np.int64),
            *(
                np.array([float(getattr(kline, name)) for kline in candles], np.float64)
                for name in ("high", "low", "close", "volume")
            ),
        )
    return Series(
        np.array(candles.open_time_ms, np.int64),
        *(
            np.ascontiguousarray(getattr(candles, name), np.float64)
            for name in ("high", "low", "close", "volume")
        ),
    )


def _check(indicator: Indicator, series: Series) -> None:
    """Refuse what TA-Lib would answer with NaN to the end, or with a number about nothing."""
    times = series.times_ms
    late = np.flatnonzero(times[1:] <= times[:-1])
    if len(late):
        bar = int(late[0]) + 1
        raise InvalidInput(
            f"{indicator.name}: candle {bar} ({when(int(times[bar]))}) does not come after the one "
            "before it; give each candle once, oldest first"
        )
    for name in indicator.inputs:
        values = getattr(series, name)
        if values.shape != times.shape:
            raise InvalidInput(
                f"{indicator.name}: {values.shape} values of {name} for {times.shape} times; give "
                "one for each candle"
            )
        # Written so that NaN, which compares false with everything, is found too.
        least = values >= 0 if name == "volume" else values > 0
        wrong = np.flatnonzero(~(least & (values < np.inf)))
        if len(wrong):
            bar = int(wrong[0])
            raise InvalidInput(
                f"{indicator.name}: {name} of candle {bar} ({when(int(times[bar]))}) is "
                f"{values[bar]}; one such value would spoil every later one, so leave that candle "
                "out or take a part without it"
            )
    if "volume" in indicator.inputs and len(times) and not series.volume.any():
        raise InvalidInput(
            f"{indicator.name} is made of volume, and all {len(times)} candles have none; choose a "
            "recording with volume or a longer window"
        )


def _scaled(series: Series, first_price: float) -> tuple[Series, int]:
    """The series with prices times 2**-exponent, so that the first price lies in [0.5, 1).

    TA-Lib 0.6 takes any variance below 1e-14 for zero, which flattens the bands of a coin at
    0.00001, and leaves rounding noise in those of a still price at 100,000; 0.8 does neither. A
    power of two changes no digit, and the first price belongs to every later bar's past.
    """
    exponent = math.frexp(first_price)[1]
    high, low, close = (np.ldexp(x, -exponent) for x in (series.high, series.low, series.close))
    return Series(series.times_ms, high, low, close, series.volume), exponent
