"""Months of candles: cut from a series, joined to one, merged, and as the bytes of a Parquet file.

The same candles give the same bytes, so that a hash tells whether a file is still what was written.
Knows no folder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gridlab.clock import iso
from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.data.manifest import SeriesKey, Span
from gridlab.errors import Conflict, InvalidInput

COLUMNS = tuple(column.name for column in fields(Bars)[3:])


def empty_bars(key: SeriesKey) -> Bars:
    """A series without a bar."""
    nothing: Any = ([] for _ in COLUMNS)
    return Bars(key.symbol, key.market, key.interval, *nothing)


def join(key: SeriesKey, parts: Sequence[Bars]) -> Bars:
    """Parts that follow each other as one series."""
    if not parts:
        return empty_bars(key)
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS)
    return Bars(key.symbol, key.market, key.interval, *columns)


def month_name(time_ms: int) -> str:
    """`2026-03`: the UTC month of a time.

    >>> month_name(1_774_607_640_000)
    '2026-03'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m")


def next_month_ms(time_ms: int) -> int:
    """The first millisecond of the UTC month after that of `time_ms`."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000


def by_month(bars: Bars) -> Iterator[tuple[str, Bars]]:
    """Each month of `bars` with its name, oldest first."""
    first = 0
    while first < len(bars):
        start_ms = int(bars.open_time_ms[first])
        stop_ms = next_month_ms(start_ms)
        part = bars.slice(start_ms, stop_ms)
        yield month_name(start_ms), part
        first += len(part)


def runs(open_time_ms: IntArray, width_ms: int) -> tuple[Span, ...]:
    """The spans that candles of `width_ms` cover without a hole."""
    if not len(open_time_ms):
        return ()
    breaks = np.flatnonzero(np.diff(open_time_ms) != width_ms) + 1
    firsts = open_time_ms[np.concatenate(([0], breaks))].tolist()
    lasts = open_time_ms[np.concatenate((breaks, [len(open_time_ms)])) - 1].tolist()
    return tuple(Span(first, last + width_ms) for first, last in zip(firsts, lasts, strict=True))


def holes(bars: Bars) -> tuple[Span, ...]:
    """The holes between the first and the last bar."""
    return tuple(Span(first, last + bars.interval.ms) for first, last in bars.gaps())


def merge(stored: Bars, new: Bars, correctable: Collection[int] = ()) -> Bars:
    """Both in one series, each candle once.

    Quote volume and trade count are taken from the side that knows them.

    Args:
        correctable: open times of stored bars that `new` may replace.

    Raises:
        Conflict: both have a bar of the same time with other values.
    """
    _refuse_conflicts(stored, new, correctable)
    times = np.union1d(stored.open_time_ms, new.open_time_ms)
    old, young = (np.searchsorted(times, side.open_time_ms) for side in (stored, new))
    columns: dict[str, Any] = {"open_time_ms": times}
    for name in COLUMNS[1:]:
        before, after = getattr(stored, name), getattr(new, name)
        unknown = -1 if name == "trades" else np.nan
        column = np.full(len(times), unknown, after.dtype)
        column[old] = before
        is_known = after >= 0 if name == "trades" else ~np.isnan(after)
        column[young] = np.where(is_known, after, column[young])
        columns[name] = column
    return Bars(symbol=new.symbol, market=new.market, interval=new.interval, **columns)


def _refuse_conflicts(stored: Bars, new: Bars, correctable: Collection[int]) -> None:
    _, old, young = np.intersect1d(
        stored.open_time_ms, new.open_time_ms, assume_unique=True, return_indices=True
    )
    for name in COLUMNS[1:]:
        before, after = getattr(stored, name)[old], getattr(new, name)[young]
        differs = before != after
        if name == "trades":
            differs &= (before >= 0) & (after >= 0)
        else:
            differs &= ~np.isnan(before) & ~np.isnan(after)
        for i in np.flatnonzero(differs):
            opened_ms = int(new.open_time_ms[young[i]])
            if opened_ms not in correctable:
                raise Conflict(
                    f"{new.market} {new.symbol} {new.interval}: the bar of {iso(opened_ms)} is "
                    f"stored with {name} {before[i]}, the new one has {after[i]}; nothing was "
                    "stored. If the new source is right, remove that month's file and fetch it "
                    "again"
                )


def encode(bars: Bars) -> bytes:
    """`bars` as a Parquet file; what is unknown is null."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    def column(name: str) -> Any:
        values = getattr(bars, name)
        if name == "trades":
            return pa.array(values, mask=values < 0)
        return pa.array(values, mask=np.isnan(values)) if values.dtype.kind == "f" else values

    names = ["open_time", *COLUMNS[1:]]
    table = pa.table([pa.array(column(name)) for name in COLUMNS], names=names)
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def decode(content: bytes, key: SeriesKey, where: str) -> Bars:
    """The bars of a file that `encode` wrote; raises `InvalidInput` for any other."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        # One small file: a pool of threads would cost more than it saves.
        table = parquet.read_table(pa.BufferReader(content), use_threads=False)
        columns = [table.column("open_time").to_numpy()]
        columns += [table.column(name).cast("double").to_numpy() for name in COLUMNS[1:-1]]
        columns.append(table.column("trades").cast("int64").fill_null(-1).to_numpy())
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise InvalidInput(f"{where} is no month of candles: {error}") from error
    return Bars(key.symbol, key.market, key.interval, *columns)
