"""The history store's list of contents: which months there are, their holes, hashes and sources.

A manifest is replaced whole and atomically, so a reader sees the one before or the one after, never
half of one, whatever moment the writer dies at. Knows no candle; sums of spans are its only sums.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput, StorageError

VERSION = 1
NAME = "manifest.json"


class Span(NamedTuple):
    """From `start_ms` to before `end_ms`."""

    start_ms: int
    end_ms: int


class SeriesKey(NamedTuple):
    """Which series: one symbol of one market in candles of one width."""

    market: Market
    symbol: str
    interval: Interval

    @property
    def folder(self) -> PurePosixPath:
        """Its folder below the store's."""
        return PurePosixPath(self.market.value, self.symbol, self.interval.value)

    def __str__(self) -> str:
        return f"{self.market} {self.symbol} {self.interval}"


@dataclass(frozen=True, slots=True)
class MonthEntry:
    """One file.

    Args:
        first_ms, last_ms: open times of its first and last bar.
        gaps: holes between these two.
        source: where its newest bars came from.
        unsettled_ms: open times of bars that had only just closed when they were fetched; a later
            answer may correct them.
    """

    rows: int
    first_ms: int
    last_ms: int
    gaps: tuple[Span, ...]
    sha256: str
    bytes: int
    source: str
    unsettled_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """One series: its months by name (`2026-03`), and the spans for which the venue has nothing."""

    months: Mapping[str, MonthEntry] = field(default_factory=dict)
    confirmed: tuple[Span, ...] = ()


Manifest = Mapping[SeriesKey, SeriesEntry]


def series_key(market: Market, symbol: str, interval: Interval) -> SeriesKey:
    """The key, if `symbol` may name a folder; raises `InvalidInput`."""
    is_name = 0 < len(symbol) <= 40 and symbol == symbol.upper()
    if not is_name or not all(letter.isalnum() or letter in "_-" for letter in symbol):
        raise InvalidInput(
            f"symbol is {symbol!r}; a name of capital letters and digits is meant, such as BTCUSDT"
        )
    return SeriesKey(Market(market), symbol, Interval(interval))


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`; an empty one where there is none.

    Raises:
        StorageError: it cannot be read or is not one of ours.
    """
    path = folder / NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    try:
        document = json.loads(text)
        if document["version"] != VERSION:
            raise ValueError(f"it has version {document['version']}, this program reads {VERSION}")
        return {_key(name): _series(entry) for name, entry in document["series"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInput) as error:
        raise StorageError(
            f"{path} is damaged ({type(error).__name__}: {error}); move it away and run `gridlab "
            "data fetch` again"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest in `folder`; when this returns it survives a power cut."""
    document = {
        "version": VERSION,
        "series": {
            key.folder.as_posix(): {
                "months": {name: asdict(month) for name, month in sorted(entry.months.items())},
                "confirmed": entry.confirmed,
            }
            for key, entry in sorted(manifest.items())
        },
    }
    part = folder / f"{NAME}.part"
    write_durably(part, json.dumps(document, indent=1).encode())
    os.replace(part, folder / NAME)
    sync_folder(folder)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in `folder`: a rename alone can be lost with the power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same times in as few spans as can be, ascending.

    >>> union([Span(5, 7), Span(0, 2), Span(2, 3)])
    (Span(start_ms=0, end_ms=3), Span(start_ms=5, end_ms=7))
    """
    joined: list[Span] = []
    for span in sorted(spans):
        if span.start_ms >= span.end_ms:
            continue
        if joined and span.start_ms <= joined[-1].end_ms:
            joined[-1] = Span(joined[-1].start_ms, max(joined[-1].end_ms, span.end_ms))
        else:
            joined.append(span)
    return tuple(joined)


def subtract(spans: Iterable[Span], taken: Iterable[Span]) -> tuple[Span, ...]:
    """What is in `spans` and not in `taken`, ascending.

    >>> subtract([Span(0, 10)], [Span(2, 4), Span(8, 12)])
    (Span(start_ms=0, end_ms=2), Span(start_ms=4, end_ms=8))
    """
    holes, left = union(taken), []
    first = 0
    for start_ms, end_ms in union(spans):
        while first < len(holes) and holes[first].end_ms <= start_ms:
            first += 1
        for hole in holes[first:]:
            if hole.start_ms >= end_ms:
                break
            left.append(Span(start_ms, hole.start_ms))
            start_ms = max(start_ms, hole.end_ms)
        left.append(Span(start_ms, end_ms))
    return union(left)


def _key(name: str) -> SeriesKey:
    market, symbol, interval = name.split("/")
    return series_key(Market(market), symbol, Interval(interval))


def _series(entry: Mapping[str, Any]) -> SeriesEntry:
    months = {name: _month(month) for name, month in entry["months"].items()}
    return SeriesEntry(months, _spans(entry["confirmed"]))


def _month(entry: Mapping[str, Any]) -> MonthEntry:
    values = dict(entry)
    values["gaps"] = _spans(entry["gaps"])
    values["unsettled_ms"] = tuple(entry["unsettled_ms"])
    return MonthEntry(**values)


def _spans(pairs: Iterable[Iterable[int]]) -> tuple[Span, ...]:
    return tuple(Span(*pair) for pair in pairs)
