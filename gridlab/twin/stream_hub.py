"""Market streams of one market: what happened or was due, told to everybody who listens.

A feed starts with its first listener and ends with its last. Some feeds speak when something
happens (trades, best prices), the others at their pace. Knows no socket: a listener takes texts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Protocol, TypeAlias

from gridlab.clock import Clock
from gridlab.domain.market import Instrument, Market
from gridlab.twin import stream_payloads as payloads
from gridlab.twin.stream_names import Kind, Stream, parse
from gridlab.twin.stream_payloads import Bar, Day, Digits, Mark, Payload, Printed, Top

#: Takes the stream's name and the text of one payload.
Listener: TypeAlias = Callable[[str, str], None]
Side: TypeAlias = Sequence[tuple[Decimal, Decimal]]


class MarketSource(Protocol):
    """What the streams are made from."""

    market: Market

    def symbols(self) -> Iterable[str]: ...

    def finest(self, symbol: str) -> Instrument:
        """The rules with the finest steps that the symbol ever had."""
        ...

    def top(self, symbol: str) -> Top | None:
        """The best bid and ask; None before the first price."""
        ...

    def book(self, symbol: str, count: int | None = None) -> tuple[int, Side, Side]:
        """(last update id, bids from the best down, asks from the best up), or the best `count`."""
        ...

    def day(self, symbol: str) -> Day | None: ...

    def bars(self, symbol: str, width: str, limit: int) -> Sequence[Bar]:
        """The last candles of a width such as 1m, oldest first, the open one included."""
        ...

    def average(self, symbol: str) -> tuple[Decimal, int] | None:
        """(price of the last five minutes, time of the last trade)."""
        ...

    def mark(self, symbol: str) -> Mark | None: ...


def encode(payload: object) -> str:
    """The text that travels."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


class Feed:
    """One stream and who listens to it, in milliseconds and in microseconds."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.listeners: list[tuple[Listener, bool]] = []
        self.task: asyncio.Task[None] | None = None
        self.last_tops: dict[str, tuple[Decimal, ...]] = {}
        self.last_bar: Bar | None = None
        self.book_id = 0
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def publish(self, payload: Payload | list[Payload]) -> None:
        """Hand the payload to every listener, in its time unit; encoded once for each unit."""
        texts: dict[bool, str] = {}
        for listener, is_micro in list(self.listeners):
            if is_micro not in texts:
                texts[is_micro] = encode(_in_unit(payload, is_micro))
            listener(self.stream.name, texts[is_micro])


def _in_unit(payload: Payload | list[Payload], is_micro: bool) -> Payload | list[Payload]:
    if not is_micro:
        return payload
    if isinstance(payload, list):
        return [payloads.in_microseconds(each) for each in payload]
    return payloads.in_microseconds(payload)


class StreamHub:
    """Every feed of one market.

    Args:
        now_ms: the venue's time, which is written into events.
        clock: the time that paces are kept by.
        is_silent: while it is true, events are lost and not kept for later.
    """

    def __init__(
        self,
        source: MarketSource,
        clock: Clock,
        now_ms: Callable[[], int],
        is_silent: Callable[[], bool],
    ) -> None:
        self.source = source
        self.market = source.market
        self._clock = clock
        self._now_ms = now_ms
        self._is_silent = is_silent
        self._feeds: dict[str, Feed] = {}
        self._digits: dict[str, tuple[Instrument, Digits]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Streams that somebody listens to and that exist."""
        return tuple(self._feeds)

    def add(self, name: str, listener: Listener, *, is_micro: bool = False) -> None:
        """Let `listener` hear the stream; a name that the market does not have stays silent."""
        feed = self._feeds.get(name)
        if feed is None:
            stream = parse(self.market, name)
            if stream is None or not (stream.is_over_all or stream.symbol in self._symbols()):
                return
            feed = self._feeds[name] = Feed(stream)
            self._start(feed)
        feed.listeners.append((listener, is_micro))

    def remove(self, name: str, listener: Listener) -> None:
        """Let `listener` hear it no more."""
        feed = self._feeds.get(name)
        if feed is None:
            return
        feed.listeners = [each for each in feed.listeners if each[0] != listener]
        if not feed.listeners:
            del self._feeds[name]
            if feed.task is not None:
                feed.task.cancel()

    def on_trade(self, trade: Printed) -> None:
        """The market traded."""
        if not self._feeds or self._is_silent():
            return
        symbol, now_ms = trade.symbol.lower(), self._now_ms()
        digits = self.digits(trade.symbol)
        feed = self._feeds.get(f"{symbol}@trade")
        if feed is not None:
            feed.publish(payloads.trade(self.market, trade, digits, now_ms))
        feed = self._feeds.get(f"{symbol}@aggTrade")
        if feed is not None:
            feed.publish(payloads.agg_trade(self.market, trade, digits, now_ms))
        self.on_book(trade.symbol)

    def on_book(self, symbol: str) -> None:
        """The book of `symbol` may have changed."""
        for name in (f"{symbol.lower()}@bookTicker", "!bookTicker"):
            feed = self._feeds.get(name)
            top = None if feed is None or self._is_silent() else self.source.top(symbol)
            if feed is None or top is None or top.prices == feed.last_tops.get(symbol):
                continue
            feed.last_tops[symbol] = top.prices
            digits = self.digits(symbol)
            feed.publish(payloads.book_ticker(self.market, symbol, top, digits, self._now_ms()))

    def digits(self, symbol: str) -> Digits:
        """How numbers of `symbol` are written."""
        instrument = self.source.finest(symbol)
        known = self._digits.get(symbol)
        if known is None or known[0] is not instrument:
            known = self._digits[symbol] = (instrument, Digits.of(instrument))
        return known[1]

    # -- what is due at a pace ------------------------------------------------------------------

    def _start(self, feed: Feed) -> None:
        stream = feed.stream
        if not stream.every_ms:
            return
        if stream.kind is Kind.DEPTH:
            self._note_book(feed)
        feed.task = asyncio.ensure_future(self._keep_pace(feed))
        feed.task.add_done_callback(_report)

    async def _keep_pace(self, feed: Feed) -> None:
        make = self._makers()[feed.stream.kind]
        while True:
            await self._clock.sleep_until(self._next_ms(feed))
            for payload in make(feed):
                if not self._is_silent():
                    feed.publish(payload)

    def _next_ms(self, feed: Feed) -> int:
        """The next multiple of the pace; for candles the end of the bar when that is sooner."""
        now_ms, every_ms = self._clock.now_ms(), feed.stream.every_ms
        due_ms = now_ms - now_ms % every_ms + every_ms
        bar = feed.last_bar
        if bar is None:
            return due_ms
        # The bar ends by the venue's clock, which a fault may have moved away from ours.
        ahead_ms = self._now_ms() - now_ms
        return max(now_ms + 1, min(due_ms, bar.close_ms + 1 - ahead_ms))

    def _makers(self) -> dict[Kind, Callable[[Feed], Iterable[Payload | list[Payload]]]]:
        return {
            Kind.KLINE: self._klines,
            Kind.CONTINUOUS_KLINE: self._klines,
            Kind.DEPTH: self._depth,
            Kind.PARTIAL_DEPTH: self._partial_depth,
            Kind.TICKER: self._tickers,
            Kind.MINI_TICKER: self._tickers,
            Kind.AVG_PRICE: self._average,
            Kind.MARK_PRICE: self._marks,
        }

    def _klines(self, feed: Feed) -> Iterable[Payload]:
        bars = self.source.bars(feed.stream.symbol, feed.stream.interval, 2)
        if not bars:
            return
        now_ms, last = self._now_ms(), feed.last_bar
        if last is not None and last.close_ms < now_ms:
            ended = next((bar for bar in bars if bar.open_ms == last.open_ms), last)
            yield self._kline(feed, ended, now_ms, is_closed=True)
            feed.last_bar = last = None
        current = bars[-1]
        if current.close_ms >= now_ms and current != last:
            feed.last_bar = current
            yield self._kline(feed, current, now_ms, is_closed=False)

    def _kline(self, feed: Feed, bar: Bar, now_ms: int, *, is_closed: bool) -> Payload:
        stream = feed.stream
        digits = self.digits(stream.symbol)
        if stream.kind is Kind.CONTINUOUS_KLINE:
            return payloads.continuous_kline(
                stream.symbol, stream.interval, bar, digits, now_ms, is_closed=is_closed
            )
        return payloads.kline(
            self.market, stream.symbol, stream.interval, bar, digits, now_ms, is_closed=is_closed
        )

    def _note_book(self, feed: Feed) -> tuple[Side, Side]:
        """Remember the whole book as it is; returns what changed since the last time."""
        last_id, bids, asks = self.source.book(feed.stream.symbol)
        new_bids, new_asks = dict(bids), dict(asks)
        changed = (_changes(feed.bids, new_bids), _changes(feed.asks, new_asks))
        feed.book_id, feed.bids, feed.asks = last_id, new_bids, new_asks
        return changed

    def _depth(self, feed: Feed) -> Iterable[Payload]:
        before_id = feed.book_id
        bids, asks = self._note_book(feed)
        if feed.book_id == before_id:
            return
        yield payloads.depth_update(
            self.market,
            feed.stream.symbol,
            first_id=before_id + 1,
            last_id=feed.book_id,
            previous_id=before_id,
            bids=bids,
            asks=asks,
            digits=self.digits(feed.stream.symbol),
            now_ms=self._now_ms(),
        )

    def _partial_depth(self, feed: Feed) -> Iterable[Payload]:
        symbol, count = feed.stream.symbol, feed.stream.levels
        before_id = feed.book_id
        feed.book_id, bids, asks = self.source.book(symbol, count)
        digits = self.digits(symbol)
        if self.market is Market.SPOT:
            yield payloads.partial_depth(feed.book_id, bids, asks, digits)
            return
        yield payloads.depth_update(
            self.market,
            symbol,
            first_id=min(before_id + 1, feed.book_id) if before_id else feed.book_id,
            last_id=feed.book_id,
            previous_id=before_id or feed.book_id - 1,
            bids=bids,
            asks=asks,
            digits=digits,
            now_ms=self._now_ms(),
        )

    def _tickers(self, feed: Feed) -> Iterable[Payload | list[Payload]]:
        """Every second also without a trade: the window itself has moved."""
        rows = [row for each in self._symbols_of(feed) if (row := self._ticker(feed, each))]
        if feed.stream.is_over_all:
            yield rows
        else:
            yield from rows

    def _ticker(self, feed: Feed, symbol: str) -> Payload | None:
        day, top = self.source.day(symbol), self.source.top(symbol)
        if day is None or top is None:
            return None
        digits, now_ms = self.digits(symbol), self._now_ms()
        if feed.stream.kind is Kind.MINI_TICKER:
            return payloads.mini_ticker(self.market, symbol, day, digits, now_ms)
        return payloads.ticker(self.market, symbol, day, top, digits, now_ms)

    def _average(self, feed: Feed) -> Iterable[Payload]:
        found = self.source.average(feed.stream.symbol)
        if found is not None:
            yield payloads.avg_price(feed.stream.symbol, found[0], found[1], self._now_ms())

    def _marks(self, feed: Feed) -> Iterable[Payload | list[Payload]]:
        now_ms = self._now_ms()
        rows = [
            payloads.mark_price(symbol, mark, now_ms)
            for symbol in self._symbols_of(feed)
            if (mark := self.source.mark(symbol)) is not None
        ]
        if feed.stream.is_over_all:
            yield rows
        else:
            yield from rows

    def _symbols_of(self, feed: Feed) -> Iterable[str]:
        return self._symbols() if feed.stream.is_over_all else (feed.stream.symbol,)

    def _symbols(self) -> tuple[str, ...]:
        return tuple(self.source.symbols())


def _changes(before: dict[Decimal, Decimal], after: dict[Decimal, Decimal]) -> Side:
    """Levels that are new or differ, and those that went, their quantity zero."""
    changed = [(price, size) for price, size in after.items() if before.get(price) != size]
    return changed + [(price, Decimal(0)) for price in before if price not in after]


def _report(task: asyncio.Task[None]) -> None:
    """Raise what ended a feed, so that the loop reports it; a cancelled one ended rightly."""
    if not task.cancelled():
        task.result()
