"""The public side of one symbol: its trades, its candles of every width, its day, its average.

What lies before the twin's start is a recording, moved in time so that it ends at the minute of the
start; what comes after is what really traded here. Where a recording lacks a figure it is estimated
and so stated: quote volume as volume x close, taker purchases as half of the volume, and one trade
for a minute whose count is missing. Knows no order and no account.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridlab.data.aggregate import ExactColumn
from gridlab.data.bars import Bars
from gridlab.domain.market import Interval
from gridlab.errors import InvalidInput
from gridlab.money import ZERO, exact, from_float, rounding
from gridlab.twin.stream_payloads import Bar, Day, Printed
from gridlab.twin.widths import MINUTE_MS, Width

#: Trades of the market that are kept for `trades` and `aggTrades`.
KEPT_TRADES = 100_000
DAY_MINUTES = 1_440
AVERAGE_MINUTES = 5
_HALF = Decimal("0.5")


class Past:
    """Recorded minutes before the start, in arrays; Decimals are made of what is asked for.

    Args:
        bars: one-minute candles without a hole.
        end_ms: the minute of the twin's start: the first one that is not recorded.
    """

    def __init__(self, bars: Bars, end_ms: int) -> None:
        if bars.interval is not Interval.M1:
            raise InvalidInput(
                f"{bars.symbol}: the twin plays one-minute candles, these are {bars.interval}"
            )
        self.end_ms = end_ms
        self._bars = bars
        self._volume = ExactColumn.of(bars.volume)
        # A figure that one minute lacks is estimated for all, so that sums are of one kind.
        quote = bars.quote_volume if bars.has_quote_volume else (bars.volume * bars.close).round(8)
        self._quote = ExactColumn.of(quote)
        self._counts = (bars.trades if bars.has_trades else bars.volume > 0).cumsum()
        # 0, 1, 2, ...: stamps ascend. Parts of it are what columns are asked for.
        self._numbers = bars.open_time_ms.argsort()

    def __len__(self) -> int:
        return len(self._bars)

    @property
    def start_ms(self) -> int:
        return self.end_ms - len(self) * MINUTE_MS

    @property
    def trades(self) -> int:
        """How many trades the recording counts; the first one here has the next number."""
        return self._before(len(self))

    def _before(self, index: int) -> int:
        """Trades of all minutes before this one."""
        return int(self._counts[index - 1]) if index else 0

    def index_at(self, time_ms: int) -> int:
        """The minute that holds `time_ms`, cut to the recording's ends."""
        return min(max(0, (time_ms - self.start_ms) // MINUTE_MS), len(self))

    def span(self, first: int, stop: int, open_ms: int, close_ms: int) -> Bar:
        """The candle that minutes [first, stop) make; at least one."""
        bars, starts = self._bars, self._numbers[first : first + 1]
        volume = self._volume.sums(starts, stop)[0] or ZERO
        quote = self._quote.sums(starts, stop)[0] or ZERO
        before, until = self._before(first), self._before(stop)
        count = until - before
        return Bar(
            open_ms=open_ms,
            close_ms=close_ms,
            open=from_float(bars.open[first]),
            high=from_float(bars.high[first:stop].max()),
            low=from_float(bars.low[first:stop].min()),
            close=from_float(bars.close[stop - 1]),
            volume=volume,
            quote_volume=quote,
            trades=count,
            taker_volume=volume * _HALF,
            taker_quote_volume=quote * _HALF,
            first_trade_id=before + 1 if count else -1,
            last_trade_id=until if count else -1,
        )


@dataclass(slots=True)
class Minute:
    """One minute of what traded here; grows while it is open."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    trades: int = 0
    taker_volume: Decimal = ZERO
    taker_quote_volume: Decimal = ZERO
    first_trade_id: int = -1
    last_trade_id: int = -1

    def add(self, trade: Printed) -> None:
        price, quantity = trade.price, trade.quantity
        if not self.trades:
            self.first_trade_id = trade.trade_id
        self.last_trade_id = trade.trade_id
        self.trades += 1
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        value = price * quantity
        self.volume += quantity
        self.quote_volume += value
        if not trade.is_buyer_maker:
            self.taker_volume += quantity
            self.taker_quote_volume += value

    def bar(self, close_ms: int) -> Bar:
        return Bar(
            self.open_ms,
            close_ms,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.quote_volume,
            self.trades,
            self.taker_volume,
            self.taker_quote_volume,
            self.first_trade_id,
            self.last_trade_id,
        )


class Tape:
    """One symbol's trades and candles.

    Args:
        past: the recorded minutes before the start.
        opening: the price at the start, which opens the first minute.
    """

    def __init__(self, symbol: str, past: Past, opening: Decimal) -> None:
        self.symbol = symbol
        self.trades: deque[Printed] = deque(maxlen=KEPT_TRADES)
        self._past = past
        self._minutes = [Minute(past.end_ms, opening, opening, opening, opening)]
        self._next_id = past.trades + 1
        self._closed_day: tuple[int, Bar | None] = (-1, None)

    @property
    def last(self) -> Printed | None:
        """The newest trade here."""
        return self.trades[-1] if self.trades else None

    @property
    def begins_ms(self) -> int:
        """Open time of the first candle."""
        return self._past.start_ms

    def add(
        self, price: Decimal, quantity: Decimal, time_ms: int, *, is_buyer_maker: bool
    ) -> Printed:
        """Print one trade; ids rise by one."""
        trade = Printed(self.symbol, self._next_id, price, quantity, time_ms, is_buyer_maker)
        self._next_id += 1
        self.trades.append(trade)
        with exact():
            self._roll(time_ms).add(trade)
        return trade

    def since(self, trade_id: int, limit: int) -> list[Printed]:
        """Trades from this id on, oldest first, as far as they are kept."""
        if not self.trades:
            return []
        first = max(0, trade_id - self.trades[0].trade_id)
        return [self.trades[i] for i in range(first, min(first + limit, len(self.trades)))]

    def newest(self, limit: int) -> list[Printed]:
        """The last trades, oldest first."""
        kept = len(self.trades)
        return [self.trades[i] for i in range(max(0, kept - limit), kept)]

    # -- candles --------------------------------------------------------------------------------

    def bars(self, width: Width, now_ms: int, limit: int, last_ms: int | None = None) -> list[Bar]:
        """The last candles that open up to `last_ms`, oldest first; up to now when it is None."""
        self._roll(now_ms)
        opens = [width.open_ms(now_ms if last_ms is None else last_ms)]
        while len(opens) < limit and opens[-1] > self.begins_ms:
            opens.append(width.open_ms(opens[-1] - 1))
        return self._made(width, reversed(opens))

    def bars_between(
        self, width: Width, now_ms: int, start_ms: int, end_ms: int, limit: int
    ) -> list[Bar]:
        """The first `limit` candles that open from `start_ms` to `end_ms`, both included."""
        self._roll(now_ms)
        first_ms = max(start_ms, width.open_ms(self.begins_ms))
        open_ms = width.open_ms(first_ms)
        if open_ms < first_ms:
            open_ms = width.next_ms(open_ms)
        opens: list[int] = []
        while open_ms <= min(end_ms, now_ms) and len(opens) < limit:
            opens.append(open_ms)
            open_ms = width.next_ms(open_ms)
        return self._made(width, opens)

    def _made(self, width: Width, opens: Iterable[int]) -> list[Bar]:
        return [
            bar
            for open_ms in opens
            if (bar := self._span(open_ms, width.next_ms(open_ms))) is not None
        ]

    def _span(self, start_ms: int, end_ms: int) -> Bar | None:
        """The candle of [start_ms, end_ms); None when nothing of it is there."""
        past = None
        if start_ms < self._past.end_ms:
            first, stop = self._past.index_at(start_ms), self._past.index_at(end_ms)
            if first < stop:
                past = self._past.span(first, stop, start_ms, end_ms - 1)
        if end_ms <= self._past.end_ms:
            return past
        origin = self._minutes[0].open_ms
        low = max(0, (start_ms - origin) // MINUTE_MS)
        high = -(-(end_ms - origin) // MINUTE_MS)
        minutes = self._minutes[low:high]
        with exact():
            return _joined(past, minutes, start_ms, end_ms - 1)

    def _roll(self, time_ms: int) -> Minute:
        """The minute of `time_ms`; those before it that saw no trade stand at the last price."""
        last = self._minutes[-1]
        while last.open_ms + MINUTE_MS <= time_ms:
            price = last.close
            last = Minute(last.open_ms + MINUTE_MS, price, price, price, price)
            self._minutes.append(last)
        return last

    # -- figures --------------------------------------------------------------------------------

    def day(self, now_ms: int) -> Day:
        """The window of 24 hours that ends with this minute."""
        minute = self._roll(now_ms)
        if self._closed_day[0] != minute.open_ms:
            start_ms = minute.open_ms - (DAY_MINUTES - 1) * MINUTE_MS
            self._closed_day = (minute.open_ms, self._span(start_ms, minute.open_ms))
        with exact():
            whole = _joined(self._closed_day[1], [minute], minute.open_ms, now_ms)
        assert whole is not None, "the open minute is always there"
        return self._figures(whole, now_ms - DAY_MINUTES * MINUTE_MS, now_ms)

    def rolling(self, now_ms: int, minutes: int) -> Day:
        """The window of the last `minutes`, the open one included."""
        whole = self.window(now_ms, minutes)
        return self._figures(whole, whole.open_ms, now_ms)

    def window(self, now_ms: int, minutes: int) -> Bar:
        """One candle over the last `minutes`, the open one included."""
        minute = self._roll(now_ms)
        end_ms = minute.open_ms + MINUTE_MS
        whole = self._span(end_ms - minutes * MINUTE_MS, end_ms)
        assert whole is not None, "the open minute is always there"
        return whole

    def _figures(self, whole: Bar, open_ms: int, now_ms: int) -> Day:
        last = self.last
        with rounding():
            average = whole.quote_volume / whole.volume if whole.volume else whole.close
        return Day(
            open=whole.open,
            high=whole.high,
            low=whole.low,
            last=whole.close,
            last_quantity=ZERO if last is None else last.quantity,
            previous_close=whole.open,
            volume=whole.volume,
            quote_volume=whole.quote_volume,
            weighted_average=average,
            open_ms=open_ms,
            close_ms=now_ms,
            first_trade_id=whole.first_trade_id,
            last_trade_id=whole.last_trade_id,
            trades=whole.trades,
        )

    def average(self, now_ms: int) -> tuple[Decimal, int]:
        """(price of the last five minutes weighted by volume, time of the last trade)."""
        bar = self.window(now_ms, AVERAGE_MINUTES)
        last = self.last
        time_ms = self._past.end_ms - 1 if last is None else last.time_ms
        if not bar.volume:
            return self._minutes[-1].close, time_ms
        with rounding():
            return bar.quote_volume / bar.volume, time_ms


def _joined(past: Bar | None, minutes: Sequence[Minute], open_ms: int, close_ms: int) -> Bar | None:
    """The candle of a recorded part and of live minutes; a part without any is left out."""
    if not minutes:
        return past
    first = minutes[0]
    whole = Minute(open_ms, first.open, first.high, first.low, first.close)
    if past is not None:
        whole.open, whole.high, whole.low = past.open, past.high, past.low
        whole.volume, whole.quote_volume = past.volume, past.quote_volume
        whole.taker_volume = past.taker_volume
        whole.taker_quote_volume = past.taker_quote_volume
        whole.trades = past.trades
        whole.first_trade_id, whole.last_trade_id = past.first_trade_id, past.last_trade_id
    for minute in minutes:
        _extend(whole, minute)
    return whole.bar(close_ms)


def _extend(whole: Minute, part: Minute) -> None:
    whole.high = max(whole.high, part.high)
    whole.low = min(whole.low, part.low)
    whole.close = part.close
    if not part.trades:
        return
    if whole.first_trade_id < 0:
        whole.first_trade_id = part.first_trade_id
    whole.last_trade_id = part.last_trade_id
    whole.trades += part.trades
    whole.volume += part.volume
    whole.quote_volume += part.quote_volume
    whole.taker_volume += part.taker_volume
    whole.taker_quote_volume += part.taker_quote_volume
