"""`RecordedMarket`: market data as a pure function of a recording and of what time it is.

A recorded minute is a whole candle, its high and close known before they happened. Here a candle
opens with one price and then walks the stated path (open, first extreme, second extreme, close, at
the times of `path_times_ms`); only the points that have been passed can be seen. Volumes and trade
counts have no path, so they count from the moment their minute has closed: a candle that is still
open carries the volume of its finished minutes only. Nothing later than `clock.now_ms()` leaks into
any answer, but for one bit that the path itself carries: which extreme comes first tells whether
the minute will have risen. Knows no account and no order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from gridlab.clock import Clock, iso
from gridlab.data.aggregate import ExactColumn, IntArray, bucket_starts, trade_sums
from gridlab.data.bars import Bars
from gridlab.domain.market import Instrument, Interval, Kline, Market, Ticker, path_times_ms
from gridlab.errors import InvalidInput, NotFound
from gridlab.exchange.base import Dated, Price
from gridlab.money import ONE, ZERO, from_float, round_to, rounding

DAY_MS = Interval.D1.ms
#: Ratios in tickers are rounded to this; exact ones have no last digit.
RATIO_STEP = Decimal("1E-10")


class RecordedMarket:
    """Prices of a recording, as they stood at the clock's time.

    Args:
        bars: the recording; any width that is an interval.
        instruments: the rules of each symbol.
        clock: asked at each call; nothing is remembered from call to call.

    Raises:
        InvalidInput: a series without an instrument, or filed under another symbol or market.
    """

    def __init__(
        self,
        bars: Mapping[tuple[Market, str], Bars],
        instruments: Mapping[tuple[Market, str], Instrument],
        clock: Clock,
    ) -> None:
        for key, series in bars.items():
            if key != (series.market, series.symbol):
                raise InvalidInput(
                    f"bars of {series.market} {series.symbol} are filed under {key[0]} {key[1]}"
                )
            if key not in instruments:
                raise InvalidInput(f"{key[0]} {key[1]} has bars but no instrument; give both")
        self._series = {key: _Series(series) for key, series in sorted(bars.items())}
        self._instruments = dict(instruments)
        self._clock = clock

    def symbols(self, market: Market) -> tuple[str, ...]:
        """Symbols of `market` whose recording has begun, sorted."""
        now_ms = self._clock.now_ms()
        return tuple(
            symbol
            for (where, symbol), series in self._series.items()
            if where is market and series.begins_ms <= now_ms
        )

    def price(self, market: Market, symbol: str) -> Price:
        """The last point that was passed, and when; it ages in holes and after the recording.

        Raises:
            NotFound: no such symbol, or its recording has not begun.
        """
        now = self._now(market, symbol)
        return Price(now.points[-1], now.point_time_ms)

    def dated_price(self, market: Market, symbol: str) -> Dated[Decimal]:
        """`price`, of the recording's own present; in a hole or after the end it has an age.

        Between two points of one candle nothing newer was recorded, so the last is of now. Where
        the candle of now is missing, the price is as old as its point, and stale.
        """
        now = self._now(market, symbol)
        age_ms = now.now_ms - now.point_time_ms
        is_stale = age_ms > now.series.bars.interval.ms
        return Dated(now.points[-1], age_ms if is_stale else 0, is_stale)

    def ticker(self, market: Market, symbol: str) -> Ticker:
        """The rolling 24 h window that ends now.

        It consists of whole recorded candles: the one in which the window begins counts in full,
        the open one by what is visible. `window_ms` is what they cover, holes left out; it is 0,
        and volumes and change are 0, where the last 24 h hold no recorded candle.

        Raises:
            NotFound: no such symbol, or its recording has not begun.
        """
        return self._now(market, symbol).ticker()

    def klines(
        self, market: Market, symbol: str, interval: Interval, limit: int
    ) -> tuple[Kline, ...]:
        """The last `limit` candles up to now, oldest first, the open one included; may be shorter.

        Candles are aligned to the UTC epoch; one without any recorded part is left out.

        Raises:
            NotFound: no such symbol, or its recording has not begun.
            InvalidInput: `limit` below 1, or an interval that the recording cannot make.
        """
        if limit < 1:
            raise InvalidInput(f"limit is {limit}; at least 1 candle must be asked for")
        return self._now(market, symbol).klines(interval, limit)

    def dated_tickers(self, market: Market, symbols: Sequence[str]) -> Dated[tuple[Ticker, ...]]:
        """The windows in the order asked; a recording is never older than its own present."""
        return Dated(tuple(self.ticker(market, symbol) for symbol in symbols), 0, False)

    def dated_klines(
        self, market: Market, symbol: str, interval: Interval, limit: int
    ) -> Dated[tuple[Kline, ...]]:
        """`klines`, of the recording's own present."""
        return Dated(self.klines(market, symbol, interval, limit), 0, False)

    def instrument(self, market: Market, symbol: str) -> Instrument:
        """The rules of `symbol`, known at any time; raises `NotFound`."""
        found = self._instruments.get((market, symbol))
        if found is None:
            raise NotFound(self._unknown(market, symbol, self._instruments))
        return found

    def _now(self, market: Market, symbol: str) -> _Moment:
        series = self._series.get((market, symbol))
        if series is None:
            raise NotFound(self._unknown(market, symbol, self._series))
        now_ms = self._clock.now_ms()
        if now_ms < series.begins_ms:
            raise NotFound(
                f"{symbol} has no price yet on {market}: its recording begins at "
                f"{iso(series.begins_ms)} and it is {iso(now_ms)}"
            )
        return _Moment.of(series, now_ms)

    @staticmethod
    def _unknown(market: Market, symbol: str, known: Mapping[tuple[Market, str], object]) -> str:
        names = sorted(name for where, name in known if where is market)
        return f"{symbol!r} is not recorded on {market}; recorded are {', '.join(names) or 'none'}"


class _Series:
    """One recording with what is computed from it once: exact volumes, bucket boundaries."""

    def __init__(self, bars: Bars) -> None:
        if not len(bars):
            raise InvalidInput(f"{bars.market} {bars.symbol}: the recording holds no bar")
        self.bars = bars
        self.begins_ms = int(bars.open_time_ms[0])
        self.volume = ExactColumn.of(bars.volume)
        self.quote_volume = ExactColumn.of(bars.quote_volume)
        self._starts: dict[Interval, IntArray] = {}

    def starts(self, interval: Interval) -> IntArray:
        """Index of the first bar of every candle of `interval`; computed at first use."""
        if interval.ms % self.bars.interval.ms:
            raise InvalidInput(
                f"{self.bars.symbol} is recorded in {self.bars.interval} candles, which do not "
                f"make {interval}; ask for a multiple of {self.bars.interval}"
            )
        if interval not in self._starts:
            self._starts[interval] = bucket_starts(self.bars.open_time_ms, interval.ms)
        return self._starts[interval]

    def finished(self, starts: IntArray, stop: int, interval: Interval) -> list[Kline]:
        """The candles that bars [starts[0], stop) make, each from its index in `starts`."""
        if not len(starts):
            return []
        b = self.bars
        highs = np.maximum.reduceat(b.high[:stop], starts)
        lows = np.minimum.reduceat(b.low[:stop], starts)
        closes = b.close[np.append(starts[1:], stop) - 1]
        trades = trade_sums(b.trades, starts, stop).tolist()
        volumes = _known(self.volume.sums(starts, stop))
        quotes = self.quote_volume.sums(starts, stop)
        opened = (b.open_time_ms[starts] // interval.ms * interval.ms).tolist()
        return [
            Kline(
                time_ms,
                from_float(b.open[start]),
                from_float(high),
                from_float(low),
                from_float(close),
                volume,
                time_ms + interval.ms - 1,
                quote,
                None if count < 0 else count,
            )
            for time_ms, start, high, low, close, volume, quote, count in zip(
                opened, starts, highs, lows, closes, volumes, quotes, trades, strict=True
            )
        ]


@dataclass(frozen=True, slots=True)
class _Moment:
    """One series at one time.

    Args:
        last: index of the last bar that has opened.
        stop: how many bars have closed: `last` while that bar is open, `last + 1` after.
        points: the prices that bar `last` has passed, in order; never empty.
        point_time_ms: when the last of them was passed.
    """

    series: _Series
    now_ms: int
    last: int
    stop: int
    points: tuple[Decimal, ...]
    point_time_ms: int

    @classmethod
    def of(cls, series: _Series, now_ms: int) -> _Moment:
        bars = series.bars
        last = bars.index_at(now_ms)
        times = path_times_ms(int(bars.open_time_ms[last]), bars.interval.ms)
        passed = bisect_right(times, now_ms)
        points = bars.kline(last).path[:passed]
        stop = last + (passed == len(times))
        return cls(series, now_ms, last, stop, points, times[passed - 1])

    def klines(self, interval: Interval, limit: int) -> tuple[Kline, ...]:
        starts = self.series.starts(interval)
        shown = int(np.searchsorted(starts, self.last, side="right"))
        wanted = starts[max(0, shown - limit) : shown]
        closed = wanted[: int(np.searchsorted(wanted, self.stop))]
        candles = self.series.finished(closed, self.stop, interval)
        if self.stop > self.last:
            return tuple(candles)
        if len(closed) == len(wanted):
            candles[-1] = self._extended(candles[-1])
        else:
            candles.append(self._opened(interval))
        return tuple(candles)

    def _extended(self, candle: Kline) -> Kline:
        """`candle` with the visible points of the open bar, which is not its first."""
        return replace(
            candle,
            high=max(candle.high, *self.points),
            low=min(candle.low, *self.points),
            close=self.points[-1],
        )

    def _opened(self, interval: Interval) -> Kline:
        """A candle of which nothing but the visible points of the open bar exists yet."""
        bars = self.series.bars
        opened = int(bars.open_time_ms[self.last]) // interval.ms * interval.ms
        return Kline(
            opened,
            self.points[0],
            max(self.points),
            min(self.points),
            self.points[-1],
            ZERO,
            opened + interval.ms - 1,
            self._no_quote_volume(),
            None if bars.trades[self.last] < 0 else 0,
        )

    def ticker(self) -> Ticker:
        series, bars, price = self.series, self.series.bars, self.points[-1]
        # The window is the DAY_MS milliseconds that end with now.
        begins_ms = self.now_ms - DAY_MS + 1
        first = int(np.searchsorted(bars.open_time_ms, begins_ms - bars.interval.ms, side="right"))
        is_empty = first > self.last
        points = (price,) if is_empty else self.points
        open_price = price if is_empty else from_float(bars.open[first])
        high, low = max(points), min(points)
        volume, quote_volume = ZERO, self._no_quote_volume()
        if first < self.stop:
            whole = np.array([first], np.int64)
            high = max(high, from_float(bars.high[first : self.stop].max()))
            low = min(low, from_float(bars.low[first : self.stop].min()))
            volume = _known(series.volume.sums(whole, self.stop))[0]
            quote_volume = series.quote_volume.sums(whole, self.stop)[0]
        with rounding():
            change = round_to(price / open_price - ONE, RATIO_STEP)
        return Ticker(
            symbol=bars.symbol,
            market=bars.market,
            price=price,
            volume=volume,
            quote_volume=quote_volume,
            change_fraction=change,
            high=high,
            low=low,
            time_ms=self.point_time_ms,
            window_ms=0 if is_empty else self._covered_ms(first, begins_ms),
        )

    def _covered_ms(self, first: int, begins_ms: int) -> int:
        """How much of the window bars `first` to `last` cover."""
        bars = self.series.bars
        covered = (self.stop - first) * bars.interval.ms
        if self.stop == self.last:
            covered += self.now_ms - int(bars.open_time_ms[self.last]) + 1
        return covered - max(0, begins_ms - int(bars.open_time_ms[first]))

    def _no_quote_volume(self) -> Decimal | None:
        """Zero, or None where the recording does not know quote volumes."""
        return None if np.isnan(self.series.bars.quote_volume[self.last]) else ZERO


def _known(sums: list[Decimal | None]) -> list[Decimal]:
    """`sums` of a column in which nothing is missing."""
    return [value for value in sums if value is not None]
