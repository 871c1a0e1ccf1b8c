"""Topping up a history from a venue: only what it lacks, a few requests at a time, resumable.

What is missing is cut into chunks of at most ten pages of one month. A finished chunk is stored at
once, so a kill costs the chunks under way and nothing else; the next run asks the store what is
missing and goes on there. A hole in an answer is asked for again by itself, and only an empty
answer to that is remembered as the venue's own gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gridlab.clock import iso
from gridlab.data.bars import Bars
from gridlab.data.history import History
from gridlab.data.manifest import Span, series_key
from gridlab.data.months import empty_bars, holes, merge, next_month_ms
from gridlab.domain.market import Interval, Market
from gridlab.errors import GridLabError, InvalidInput

#: Requests under way at once; the allowance, not this, bounds the speed of a long download.
CONCURRENCY = 4
CHUNK_BARS = 10_000
#: The end of a series may be late at the venue; an empty answer about it proves nothing yet.
CONFIRM_AGE_MS = 600_000


class Pages(Protocol):
    """What is asked: `PublicRest`, or anything with the same pages."""

    @property
    def market(self) -> Market:
        """The market whose candles these are."""
        ...

    @property
    def base_url(self) -> str:
        """Where the candles come from."""
        ...

    async def server_time_ms(self) -> int:
        """The venue's clock."""
        ...

    async def bars(self, symbol: str, interval: Interval, start_ms: int, end_ms: int) -> Bars:
        """The oldest page of the span; empty only when the venue has no candle in it."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one symbol is, counted in bars of the span that it lacked when this run began."""

    symbol: str
    done: int
    total: int


OnProgress: TypeAlias = Callable[[Progress], None]


@dataclass(slots=True)
class Fetched:
    """What a run did for one symbol.

    Args:
        added: bars that were stored and not there before.
        confirmed: spans for which the venue has nothing.
        error: why it is not complete; what was fetched before is stored.
    """

    symbol: str
    added: int = 0
    confirmed: list[Span] = field(default_factory=list)
    error: GridLabError | None = None


async def fetch(
    history: History,
    rest: Pages,
    symbols: Sequence[str],
    interval: Interval,
    start_ms: int,
    end_ms: int,
    progress: OnProgress | None = None,
    *,
    concurrency: int = CONCURRENCY,
) -> tuple[Fetched, ...]:
    """Fetch what `history` lacks of each symbol from `start_ms` to before `end_ms`.

    A symbol that fails does not stop the others; its error is in its result. The candle that is
    open by the venue's clock is left out.

    Raises:
        InvalidInput: nothing to ask for: no symbol, an empty span, a span in the future.
        Conflict: another process writes to the store.
        ExchangeUnavailable: not even the venue's clock could be read.
    """
    if not symbols or concurrency < 1:
        raise InvalidInput("name at least one symbol, and allow at least one request at a time")
    if end_ms <= start_ms:
        raise InvalidInput(f"the end, {iso(end_ms)}, is not after the start, {iso(start_ms)}")
    with history.writing():
        now_ms = await rest.server_time_ms()
        stop_ms = min(end_ms, now_ms // interval.ms * interval.ms)
        if stop_ms <= start_ms:
            raise InvalidInput(
                f"no {interval} candle from {iso(start_ms)} on has closed: it is {iso(now_ms)} at "
                "the exchange; choose an earlier start"
            )
        run = _Run(history, rest, interval, now_ms, progress, asyncio.Semaphore(concurrency))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(run.symbol(symbol, Span(start_ms, stop_ms)))
                for symbol in dict.fromkeys(symbols)
            ]
        return tuple(task.result() for task in tasks)


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `fetch`."""

    history: History
    rest: Pages
    interval: Interval
    now_ms: int
    progress: OnProgress | None
    gate: asyncio.Semaphore

    async def symbol(self, symbol: str, span: Span) -> Fetched:
        result = Fetched(symbol)
        try:
            spans = self.history.missing(symbol, self.interval, *span, self.rest.market)
        except GridLabError as error:
            result.error = error
            return result
        meter = _Meter(symbol, self.interval, self.progress, spans)
        async with asyncio.TaskGroup() as group:
            for part in spans:
                for chunk in chunks(part, self.interval):
                    group.create_task(self._chunk(chunk, result, meter))
        return result

    async def _chunk(self, chunk: Span, result: Fetched, meter: _Meter) -> None:
        async with self.gate:
            if result.error is not None:
                return
            try:
                bars, empty = await self._download(result.symbol, chunk, meter)
                confirmed = [_until(span, self.now_ms - CONFIRM_AGE_MS) for span in empty]
                # Encoding and waiting for the disk would hold up the other requests.
                added = await asyncio.to_thread(
                    self.history.add,
                    bars,
                    self.rest.base_url,
                    as_of_ms=self.now_ms,
                    confirmed_empty=confirmed,
                )
            except GridLabError as error:
                result.error = result.error or error
                return
            result.added += added
            result.confirmed += [span for span in confirmed if span.start_ms < span.end_ms]

    async def _download(self, symbol: str, chunk: Span, meter: _Meter) -> tuple[Bars, list[Span]]:
        """Every bar of `chunk`, and the parts of it for which the venue has none."""
        bars = empty_bars(series_key(self.rest.market, symbol, self.interval))
        empty, pending = [], [chunk]
        while pending:
            part = pending.pop()
            page = await self.rest.bars(symbol, self.interval, *part)
            if not len(page):
                empty.append(part)
                meter.advance(part.end_ms - part.start_ms)
                continue
            bars = merge(bars, page)
            meter.advance(len(page) * self.interval.ms)
            around = (
                Span(page.end_ms, part.end_ms),
                Span(part.start_ms, int(page.open_time_ms[0])),
            )
            pending += [span for span in (*around, *holes(page)) if span.start_ms < span.end_ms]
        return bars, empty


class _Meter:
    """Counts one symbol's progress."""

    def __init__(
        self, symbol: str, interval: Interval, progress: OnProgress | None, spans: list[Span]
    ) -> None:
        self._symbol, self._width_ms, self._progress = symbol, interval.ms, progress
        self._done_ms = 0
        self._total_ms = sum(end_ms - start_ms for start_ms, end_ms in spans)
        self.advance(0)

    def advance(self, by_ms: int) -> None:
        self._done_ms += by_ms
        if self._progress is not None:
            width = self._width_ms
            self._progress(Progress(self._symbol, self._done_ms // width, self._total_ms // width))


def chunks(span: Span, interval: Interval) -> Iterator[Span]:
    """`span` in parts of at most `CHUNK_BARS` bars, none across the end of a UTC month."""
    start_ms = span.start_ms
    while start_ms < span.end_ms:
        stop_ms = min(span.end_ms, next_month_ms(start_ms), start_ms + CHUNK_BARS * interval.ms)
        yield Span(start_ms, stop_ms)
        start_ms = stop_ms


def _until(span: Span, limit_ms: int) -> Span:
    return Span(span.start_ms, min(span.end_ms, limit_ms))
