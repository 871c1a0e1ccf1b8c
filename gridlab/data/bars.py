"""`Bars`: one series of candles in arrays, checked when made, read from files and frames.

A year of minutes is half a million candles: too many for objects, little for arrays. Prices are the
recorded doubles; `kline` gives back their digits as Decimals. Knows no venue, and imports pandas
only when a frame is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.clock import iso
from gridlab.data.aggregate import ExactColumn, FloatArray, IntArray, bucket_starts, trade_sums
from gridlab.data.columns import PRICE_COLUMNS, Columns, match_columns, read_columns, stamps_to_ms
from gridlab.domain.market import Interval, Kline, Market
from gridlab.errors import InvalidInput
from gridlab.money import from_float

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """One series of candles, oldest first.

    Args:
        open_time_ms: int64, ascending, unique, multiples of the interval; holes are allowed.
        open, high, low, close: float64, quote units, above zero.
        volume: float64, base units.
        quote_volume: float64, quote units; NaN where the recording lacks it.
        trades: int64; -1 where the recording lacks it.

    Raises:
        InvalidInput: with the first bar that breaks a rule, its value and the rule.
    """

    symbol: str
    market: Market
    interval: Interval
    open_time_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    quote_volume: FloatArray
    trades: IntArray

    def __post_init__(self) -> None:
        for field in fields(self)[3:]:
            kind = np.int64 if field.name in ("open_time_ms", "trades") else np.float64
            column = np.asarray(getattr(self, field.name), dtype=kind).view()
            column.flags.writeable = False
            if column.shape != (len(self.open_time_ms),):
                raise InvalidInput(
                    f"{self.symbol}: {field.name} has shape {column.shape}; "
                    f"({len(self.open_time_ms)},) is needed, as open_time_ms has"
                )
            object.__setattr__(self, field.name, column)
        self._check_times()
        self._check_values()

    def _check_times(self) -> None:
        times = self.open_time_ms
        late = np.flatnonzero(times[1:] <= times[:-1])
        if len(late):
            bar = int(late[0]) + 1
            self._refuse(bar, f"does not come after the bar before it, {iso(int(times[bar - 1]))}")
        off = np.flatnonzero(times % self.interval.ms)
        if len(off):
            self._refuse(
                int(off[0]), f"opens at {times[off[0]]} ms, off the grid of {self.interval}"
            )

    def _check_values(self) -> None:
        # Written so that NaN, which compares false with everything, fails each test.
        for name in ("open", "high", "low", "close"):
            values = getattr(self, name)
            self._require((values > 0) & (values < np.inf), name, "not a finite price above zero")
        top, bottom = np.maximum(self.open, self.close), np.minimum(self.open, self.close)
        self._require(self.high >= top, "high", "below its open or close")
        self._require(self.low <= bottom, "low", "above its open or close")
        self._require((self.volume >= 0) & (self.volume < np.inf), "volume", "not a finite amount")
        quote = self.quote_volume
        self._require(
            np.isnan(quote) | ((quote >= 0) & (quote < np.inf)), "quote_volume", "no amount"
        )
        self._require(self.trades >= -1, "trades", "below -1, the sign of a missing count")

    def _require(self, holds: Any, name: str, rule: str) -> None:
        if not holds.all():
            bar = int(np.argmin(holds))
            self._refuse(bar, f"{name} is {getattr(self, name)[bar]}, {rule}")

    def _refuse(self, bar: int, what: str) -> None:
        when = iso(int(self.open_time_ms[bar]))
        raise InvalidInput(
            f"{self.symbol} {self.interval}: bar {bar} ({when}): {what}; correct or drop that row"
        )

    def __len__(self) -> int:
        return len(self.open_time_ms)

    def __eq__(self, other: object) -> bool:
        """Whether every stamp and value is the same; a missing value equals a missing value."""
        if not isinstance(other, Bars):
            return NotImplemented
        names = [field.name for field in fields(self)]
        return all(getattr(self, n) == getattr(other, n) for n in names[:3]) and all(
            np.array_equal(getattr(self, n), getattr(other, n), equal_nan=n != "open_time_ms")
            for n in names[3:]
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        head = f"Bars({self.market} {self.symbol} {self.interval}, {len(self)} bars"
        if not len(self):
            return head + ")"
        return f"{head}, {iso(int(self.open_time_ms[0]))} to {iso(int(self.open_time_ms[-1]))})"

    @property
    def end_ms(self) -> int:
        """The first millisecond after the last bar; 0 when there is none."""
        return int(self.open_time_ms[-1]) + self.interval.ms if len(self) else 0

    @property
    def has_quote_volume(self) -> bool:
        """Whether every bar's quote volume was recorded."""
        return not bool(np.isnan(self.quote_volume).any())

    @property
    def has_trades(self) -> bool:
        """Whether every bar's number of trades was recorded."""
        return bool((self.trades >= 0).all())

    def kline(self, i: int) -> Kline:
        """Bar `i` with the recorded digits as Decimals; negative `i` counts from the end."""
        quote, trades = self.quote_volume[i], int(self.trades[i])
        opened = int(self.open_time_ms[i])
        return Kline(
            opened,
            from_float(self.open[i]),
            from_float(self.high[i]),
            from_float(self.low[i]),
            from_float(self.close[i]),
            from_float(self.volume[i]),
            opened + self.interval.ms - 1,
            None if np.isnan(quote) else from_float(quote),
            None if trades < 0 else trades,
        )

    def index_at(self, time_ms: int) -> int:
        """Index of the last bar that opens at or before `time_ms`; -1 if there is none."""
        return int(np.searchsorted(self.open_time_ms, time_ms, side="right")) - 1

    def slice(self, start_ms: int | None = None, end_ms: int | None = None) -> Bars:
        """The bars that open from `start_ms` to before `end_ms`; None leaves that end as it is."""
        first = 0 if start_ms is None else int(np.searchsorted(self.open_time_ms, start_ms))
        last = len(self) if end_ms is None else int(np.searchsorted(self.open_time_ms, end_ms))
        columns = [getattr(self, field.name)[first:last] for field in fields(self)[3:]]
        return Bars.of_checked(self.symbol, self.market, self.interval, columns)

    @classmethod
    def of_checked(
        cls, symbol: str, market: Market, interval: Interval, columns: Iterable[Any]
    ) -> Bars:
        """Bars of read-only columns that were checked before, such as a part of other bars.

        Args:
            columns: from open_time_ms to trades, in the order of the fields.
        """
        bars = object.__new__(cls)
        for field, value in zip(fields(cls), (symbol, market, interval, *columns), strict=True):
            object.__setattr__(bars, field.name, value)
        return bars

    def resample(self, interval: Interval) -> Bars:
        """The same prices in wider candles, aligned to the UTC epoch.

        A first or last candle of which only a part was recorded is kept, as are candles around
        holes. Quote volume or trade count is missing where a part of the candle lacks it. Sums are
        made of the recorded digits: 0.1 + 0.1 + 0.1 is 0.3.

        Raises:
            InvalidInput: `interval` is not a multiple of the bars' own.
        """
        if interval.ms % self.interval.ms:
            raise InvalidInput(
                f"{self.symbol}: bars of {self.interval} cannot be joined to {interval}; choose a "
                f"multiple of {self.interval}"
            )
        if interval is self.interval or not len(self):
            columns = [getattr(self, field.name) for field in fields(self)[3:]]
            return Bars(self.symbol, self.market, interval, *columns)
        starts, stop = bucket_starts(self.open_time_ms, interval.ms), len(self)
        return Bars(
            self.symbol,
            self.market,
            interval,
            self.open_time_ms[starts] // interval.ms * interval.ms,
            self.open[starts],
            np.maximum.reduceat(self.high, starts),
            np.minimum.reduceat(self.low, starts),
            self.close[np.append(starts[1:], stop) - 1],
            ExactColumn.of(self.volume).float_sums(starts, stop),
            ExactColumn.of(self.quote_volume).float_sums(starts, stop),
            trade_sums(self.trades, starts, stop),
        )

    def gaps(self) -> list[tuple[int, int]]:
        """Open times of the first and the last missing bar of each hole inside the series."""
        times, width = self.open_time_ms, self.interval.ms
        before = np.flatnonzero(np.diff(times) > width)
        return [(int(times[i]) + width, int(times[i + 1]) - width) for i in before]

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame indexed by `open_time` (datetime64[ms, UTC]).

        Columns open, high, low, close, volume, float64; then quote_volume (float64) and trades
        (int64) where every bar has them.
        """
        import pandas as pd

        # Built from ms explicitly: the default unit of pandas differs between its versions.
        stamps = pd.DatetimeIndex(self.open_time_ms.astype("datetime64[ms]"), name="open_time")
        names = list(PRICE_COLUMNS)
        names += ["quote_volume"] if self.has_quote_volume else []
        names += ["trades"] if self.has_trades else []
        return pd.DataFrame(
            {name: getattr(self, name).copy() for name in names}, index=stamps.tz_localize("UTC")
        )

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        symbol: str,
        market: Market = Market.SPOT,
        interval: Interval | None = None,
    ) -> Bars:
        """Bars of a DataFrame with columns open, high, low, close, volume (any case).

        Args:
            frame: times in a tz-aware index, or in a column open_time, timestamp or date that is
                tz-aware or whole numbers; quote_volume and trades are taken where present.
            interval: inferred from the times when not given.

        Raises:
            InvalidInput: a column is missing, times have no zone, or a bar breaks a rule.
        """
        import pandas as pd

        where = f"{symbol} frame"
        if isinstance(frame.index, pd.DatetimeIndex):
            inside = [name for name in frame.columns if str(name).lower() != "open_time"]
            frame = frame[inside].rename_axis("open_time").reset_index()
        found = match_columns([str(name) for name in frame.columns], where)
        times = _frame_times(frame[found["open_time"]], where)

        def floats(name: str) -> FloatArray:
            if name not in found:
                return np.full(len(frame), np.nan)
            try:
                return np.asarray(frame[found[name]], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise InvalidInput(f"{where}: column {name} holds no numbers: {error}") from error

        trades = np.full(len(frame), -1, np.int64)
        if "trades" in found:
            trades = np.asarray(frame[found["trades"]].fillna(-1), dtype=np.int64)
        columns = Columns(
            open_time_ms=times,
            open=floats("open"),
            high=floats("high"),
            low=floats("low"),
            close=floats("close"),
            volume=floats("volume"),
            quote_volume=floats("quote_volume"),
            trades=trades,
        )
        return _bars(symbol, market, interval, columns)


def read_bars(
    path: Path | str,
    *,
    symbol: str,
    market: Market = Market.SPOT,
    interval: Interval | None = None,
) -> Bars:
    """The bars in a Parquet file, a CSV file or a CSV file in a zip.

    Binance's own dumps are read as they come, with or without header, stamps in ms or us; other
    files need named columns (see `columns`).

    Args:
        interval: inferred from the stamps when not given.

    Raises:
        NotFound: no such file.
        InvalidInput: the file cannot be read as candles, or a bar breaks a rule.
    """
    return _bars(symbol, market, interval, read_columns(Path(path)))


def infer_interval(open_time_ms: IntArray, name: str = "bars") -> Interval:
    """The interval whose width is the smallest distance between neighbouring stamps.

    Raises:
        InvalidInput: fewer than two stamps, stamps not ascending, a distance that is no interval.
    """
    if len(open_time_ms) < 2:
        raise InvalidInput(f"{name}: {len(open_time_ms)} rows do not tell an interval; name it")
    steps = np.diff(open_time_ms)
    row = int(np.argmin(steps))
    known = {interval.ms: interval for interval in Interval}
    if int(steps[row]) not in known:
        raise InvalidInput(
            f"{name}: rows {row} and {row + 1} are {steps[row]} ms apart, which is no interval; "
            f"known are {', '.join(Interval)}, rows oldest first"
        )
    return known[int(steps[row])]


def _bars(symbol: str, market: Market, interval: Interval | None, columns: Columns) -> Bars:
    interval = interval or infer_interval(columns.open_time_ms, symbol)
    return Bars(symbol, market, interval, *(getattr(columns, f.name) for f in fields(columns)))


def _frame_times(column: pd.Series[Any], where: str) -> IntArray:
    import pandas as pd

    if pd.api.types.is_integer_dtype(column.dtype):
        return stamps_to_ms(column.to_numpy(dtype=np.int64), where)
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        raise InvalidInput(
            f"{where}: its times are {column.dtype}; make them tz-aware, for example with "
            "tz_localize('UTC'), or whole milliseconds"
        )
    if column.isna().any():
        raise InvalidInput(f"{where}: {int(column.isna().sum())} rows have no time; drop them")
    return np.asarray(pd.DatetimeIndex(column).tz_convert("UTC").as_unit("ms").asi8)
