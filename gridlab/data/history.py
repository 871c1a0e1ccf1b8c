"""`History`: a folder of candles that survives any kill and knows what it lacks.

    spot/BTCUSDT/1m/2026-03.parquet      one month of one series, by open time in UTC
    manifest.json                        rows, first and last, gaps, hash and source of each
    spot/BTCUSDT/1m/columns.map          the whole series for quick reading; see `mapped`
    writer.lock                          who writes at the moment

A change is made in three steps: new months are written beside the old ones under names that carry
their hash (`2026-03.1f2e3d4c5b6a.staged`), the manifest is replaced, the files are renamed to their
place. The manifest's replacement is the moment it happens. Before it the old state is whole; after
it readers find the staged file by its hash, and the next writer finishes the renaming. The candle
that is still open is never stored. Knows no network.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from gridlab.clock import Clock, SystemClock, iso
from gridlab.data.bars import Bars
from gridlab.data.manifest import (
    NAME,
    Manifest,
    MonthEntry,
    SeriesEntry,
    SeriesKey,
    Span,
    read_manifest,
    series_key,
    subtract,
    sync_folder,
    write_durably,
    write_manifest,
)
from gridlab.data.mapped import MAP, map_stamp, read_map, write_map
from gridlab.data.months import by_month, decode, empty_bars, encode, holes, join, merge, runs
from gridlab.data.writer import WriterLock
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput, NotFound, StorageError

#: A bar that closed less than this before it was fetched may still be corrected by the venue.
SETTLE_MS = 10_000
#: A reader whose files are replaced under it looks again this often.
_READS = 4
_LEFT_BEHIND = (".staged", ".part")


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in a stored series; confirmed when the venue said that it has nothing there."""

    start_ms: int
    end_ms: int
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one series. `gaps` counts the holes between its first and last bar."""

    key: SeriesKey
    rows: int
    first_ms: int
    last_ms: int
    months: int
    gaps: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found: files that were read, and each problem as a sentence."""

    files: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def is_ok(self) -> bool:
        return not self.problems


class History:
    """The store in `folder`; the folder is made by the first change.

    Any number may read; one object at a time may write, in this process or another.
    """

    def __init__(self, folder: Path | str, *, clock: Clock | None = None) -> None:
        self.folder = Path(folder)
        self._clock = clock or SystemClock()
        self._lock = WriterLock(self.folder)
        self._commit = Lock()

    def __repr__(self) -> str:
        return f"History({str(self.folder)!r})"

    def writing(self) -> AbstractContextManager[None]:
        """Be the writer until the end of the `with` block; raises `Conflict` if another is."""
        return self._lock

    # -- reading

    def series(self) -> tuple[Stored, ...]:
        """What is stored of each series, sorted by market, symbol and interval name."""
        found = []
        for key, entry in sorted(read_manifest(self.folder).items()):
            months = entry.months.values()
            if months:
                found.append(
                    Stored(
                        key,
                        rows=sum(month.rows for month in months),
                        first_ms=min(month.first_ms for month in months),
                        last_ms=max(month.last_ms for month in months),
                        months=len(months),
                        gaps=len(_gaps(key, entry)),
                        bytes=sum(month.bytes for month in months),
                    )
                )
        return tuple(found)

    def load(
        self,
        symbol: str,
        interval: Interval,
        start_ms: int | None = None,
        end_ms: int | None = None,
        market: Market = Market.SPOT,
    ) -> Bars:
        """The stored bars that open from `start_ms` to before `end_ms`; holes are left out.

        Raises:
            NotFound: nothing is stored of that series.
            StorageError: a file is missing or damaged.
        """
        key = series_key(market, symbol, interval)
        for attempt in range(_READS):
            entry = self._entry(key)
            try:
                return self._load(key, entry, start_ms, end_ms)
            except StorageError:
                # A writer may have replaced both between our two looks.
                if attempt + 1 == _READS or self._entry(key) == entry:
                    raise
        raise StorageError(f"{key}: it is being rewritten all the time; try again later")

    def gaps(
        self, symbol: str, interval: Interval, market: Market = Market.SPOT
    ) -> tuple[Gap, ...]:
        """The holes between the first and the last stored bar, oldest first; raises `NotFound`."""
        key = series_key(market, symbol, interval)
        return _gaps(key, self._entry(key))

    def missing(
        self,
        symbol: str,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        market: Market = Market.SPOT,
    ) -> list[Span]:
        """What must be fetched to have every bar that opens from `start_ms` to before `end_ms`.

        Confirmed gaps are not missing; bars that had not settled are.

        Raises:
            InvalidInput: the end is not after the start.
        """
        if end_ms <= start_ms:
            raise InvalidInput(f"the end, {end_ms} ms, is not after the start, {start_ms} ms")
        key = series_key(market, symbol, interval)
        entry = read_manifest(self.folder).get(key, SeriesEntry())
        width = interval.ms
        wanted = Span(-(-start_ms // width) * width, -(-end_ms // width) * width)
        there = [
            span
            for name, month in entry.months.items()
            if self._is_there(key, name, month)
            for span in _settled(key, month)
        ]
        return list(subtract([wanted], [*there, *entry.confirmed]))

    # -- writing

    def add(
        self,
        bars: Bars,
        source: str,
        *,
        as_of_ms: int | None = None,
        confirmed_empty: Iterable[Span] = (),
    ) -> int:
        """Merge `bars` into the store and return how many of them are new.

        Args:
            source: where they come from, in words.
            as_of_ms: what time it was, by the venue's clock if known, when they were read; a bar
                that had not closed by then is left out.
            confirmed_empty: spans for which the venue has no bar at all, to be remembered.

        Raises:
            Conflict: a settled bar is stored with other values, or another process writes.
            StorageError: the disk refused, or a stored file is damaged.
        """
        key = series_key(bars.market, bars.symbol, bars.interval)
        now_ms = self._clock.now_ms() if as_of_ms is None else as_of_ms
        closed = bars.slice(end_ms=now_ms - key.interval.ms + 1)
        with self._commit, self.writing():
            try:
                return self._merge(key, closed, source, now_ms, tuple(confirmed_empty))
            except OSError as error:
                raise StorageError(f"{self.folder} cannot be written: {error}") from error

    def _merge(
        self, key: SeriesKey, bars: Bars, source: str, now_ms: int, empty: Collection[Span]
    ) -> int:
        manifest = dict(read_manifest(self.folder))
        self._finish(manifest)
        entry = manifest.get(key, SeriesEntry())
        months, added = dict(entry.months), 0
        contents: dict[str, bytes] = {}
        for name, part in by_month(bars):
            before = entry.months.get(name)
            stored = self._stored(key, name, before)
            unsettled = set(before.unsettled_ms) if before else set()
            merged = merge(stored, part, unsettled)
            content = encode(merged)
            origin = before.source if before and merged == stored else source
            months[name] = _described(merged, content, origin, _unsettled(part, unsettled, now_ms))
            if months[name] != before or not self._is_there(key, name, before):
                contents[name] = content
            added += len(merged) - len(stored)
        there = runs(bars.open_time_ms, key.interval.ms)
        confirmed = subtract([*entry.confirmed, *empty], there)
        if contents or confirmed != entry.confirmed:
            manifest[key] = SeriesEntry(months, confirmed)
            self._replace(manifest, key, contents)
        return added

    def _replace(self, manifest: Manifest, key: SeriesKey, contents: dict[str, bytes]) -> None:
        """The three steps of a change."""
        months = manifest[key].months
        folder = self.folder / key.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_durably(self._staged(key, name, months[name]), content)
        sync_folder(folder)
        write_manifest(self.folder, manifest)
        for name in contents:
            os.replace(self._staged(key, name, months[name]), self._file(key, name))
        sync_folder(folder)

    def _finish(self, manifest: Manifest) -> None:
        """Do what a writer that died had left to do."""
        for key, entry in manifest.items():
            for name, month in entry.months.items():
                staged = self._staged(key, name, month)
                if staged.is_file():
                    os.replace(staged, self._file(key, name))
        for left in self.folder.glob("*/*/*/*.staged"):
            left.unlink()
        for left in self.folder.glob(f"*/*/*/{MAP}.*.part"):
            left.unlink(missing_ok=True)

    # -- checking

    def verify(self) -> Report:
        """Every file read and compared with the manifest: hash, order, rows, gaps."""
        manifest = read_manifest(self.folder)
        files, problems, known = [], [], set()
        for key, entry in sorted(manifest.items()):
            for name, month in sorted(entry.months.items()):
                path = self._file(key, name)
                known.add(path)
                files.append(path.relative_to(self.folder).as_posix())
                problem = self._problem(key, name, month)
                if problem:
                    problems.append(problem)
            problems += self._map_problems(key, entry)
        for path in sorted(self.folder.rglob("*")):
            is_ours = path.parent == self.folder and path.name in (NAME, "writer.lock")
            is_ours |= path.name == MAP
            is_left = path.suffix in _LEFT_BEHIND  # by a killed writer; the next one clears it up
            if path.is_file() and path not in known and not is_ours and not is_left:
                problems.append(f"{path}: not in the manifest; remove it or fetch its series")
        return Report(tuple(files), tuple(problems))

    def _problem(self, key: SeriesKey, name: str, month: MonthEntry) -> str | None:
        path = self._file(key, name)
        try:
            bars = decode(self._read(key, name, month), key, str(path))
        except (StorageError, InvalidInput) as error:
            return str(error)
        if {part for part, _ in by_month(bars)} != {name}:
            return f"{path}: holds bars of other months than {name}"
        found = (len(bars), int(bars.open_time_ms[0]), int(bars.open_time_ms[-1]), holes(bars))
        if found != (month.rows, month.first_ms, month.last_ms, month.gaps):
            return f"{path}: rows, first, last or gaps are not those in the manifest"
        return None

    def _map_problems(self, key: SeriesKey, entry: SeriesEntry) -> list[str]:
        """What is wrong with a map that would be read."""
        path = self.folder / key.folder / MAP
        files = [(self._file(key, name), month.sha256) for name, month in entry.months.items()]
        mapped = read_map(path, key, map_stamp(files))
        if mapped is None:
            return []
        try:
            parts = [
                decode(self._read(key, name, month), key, str(path))
                for name, month in sorted(entry.months.items())
            ]
        except (StorageError, InvalidInput):
            return []  # the file itself is among the problems
        if mapped == join(key, parts):
            return []
        return [f"{path}: differs from the months beside it; remove it, it is made again"]

    # -- files

    def _entry(self, key: SeriesKey) -> SeriesEntry:
        entry = read_manifest(self.folder).get(key)
        if entry is None or not entry.months:
            raise NotFound(
                f"{self.folder} has no {key} candles; run `gridlab data fetch --market "
                f"{key.market} --symbol {key.symbol} --interval {key.interval} --start DAY`"
            )
        return entry

    def _load(
        self, key: SeriesKey, entry: SeriesEntry, start_ms: int | None, end_ms: int | None
    ) -> Bars:
        files = [(self._file(key, name), month.sha256) for name, month in entry.months.items()]
        stamp, path = map_stamp(files), self.folder / key.folder / MAP
        mapped = read_map(path, key, stamp)
        if mapped is not None:
            return mapped.slice(start_ms, end_ms)
        parts = []
        for name, month in sorted(entry.months.items()):
            is_before = start_ms is not None and month.last_ms < start_ms
            is_after = end_ms is not None and month.first_ms >= end_ms
            if not (is_before or is_after):
                content = self._read(key, name, month)
                part = decode(content, key, str(self._file(key, name)))
                parts.append(part.slice(start_ms, end_ms))
        bars = join(key, parts)
        if start_ms is None and end_ms is None:
            write_map(path, bars, stamp)
        return bars

    def _stored(self, key: SeriesKey, name: str, month: MonthEntry | None) -> Bars:
        """The bars of one month; a file that the manifest does not know is adopted."""
        path = self._file(key, name)
        if month is not None and self._is_there(key, name, month):
            return decode(self._read(key, name, month), key, str(path))
        if month is None and path.is_file():
            return decode(path.read_bytes(), key, str(path))
        return empty_bars(key)

    def _is_there(self, key: SeriesKey, name: str, month: MonthEntry) -> bool:
        return self._file(key, name).is_file() or self._staged(key, name, month).is_file()

    def _read(self, key: SeriesKey, name: str, month: MonthEntry) -> bytes:
        """The month's bytes, if they are those that were written."""
        path = self._file(key, name)
        content = None
        # Twice: the staged file may become the other between two looks.
        for place in (self._staged(key, name, month), path) * 2:
            try:
                content = place.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError(f"{place} cannot be read: {error}") from error
            if hashlib.sha256(content).hexdigest() == month.sha256:
                return content
        what = "is missing" if content is None else "has another hash than the manifest says"
        remedy = "" if content is None else "remove it and "
        raise StorageError(
            f"{path} {what}; {remedy}run `gridlab data fetch` for {key} from "
            f"{iso(month.first_ms)[:10]}"
        )

    def _file(self, key: SeriesKey, name: str) -> Path:
        return self.folder / key.folder / f"{name}.parquet"

    def _staged(self, key: SeriesKey, name: str, month: MonthEntry) -> Path:
        return self.folder / key.folder / f"{name}.{month.sha256[:12]}.staged"


def _described(
    bars: Bars, content: bytes, source: str, unsettled_ms: tuple[int, ...]
) -> MonthEntry:
    return MonthEntry(
        rows=len(bars),
        first_ms=int(bars.open_time_ms[0]),
        last_ms=int(bars.open_time_ms[-1]),
        gaps=holes(bars),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        source=source,
        unsettled_ms=unsettled_ms,
    )


def _unsettled(part: Bars, before: Collection[int], now_ms: int) -> tuple[int, ...]:
    """What remains unsettled of a month after `part` was merged into it."""
    young = part.open_time_ms > now_ms - part.interval.ms - SETTLE_MS
    left = set(before) - set(part.open_time_ms.tolist())
    return tuple(sorted(left | set(part.open_time_ms[young].tolist())))


def _settled(key: SeriesKey, month: MonthEntry) -> tuple[Span, ...]:
    """The spans of one month that need not be fetched again."""
    width = key.interval.ms
    doubtful = [Span(opened, opened + width) for opened in month.unsettled_ms]
    return subtract([Span(month.first_ms, month.last_ms + width)], [*month.gaps, *doubtful])


def _gaps(key: SeriesKey, entry: SeriesEntry) -> tuple[Gap, ...]:
    width, months = key.interval.ms, entry.months.values()
    first_ms = min(month.first_ms for month in months)
    stop_ms = max(month.last_ms for month in months) + width
    there = [
        span
        for month in months
        for span in subtract([Span(month.first_ms, month.last_ms + width)], month.gaps)
    ]
    absent = subtract([Span(first_ms, stop_ms)], there)
    unknown = subtract(absent, entry.confirmed)
    known = subtract(absent, unknown)
    found = [Gap(*span, False) for span in unknown] + [Gap(*span, True) for span in known]
    return tuple(sorted(found, key=lambda gap: gap.start_ms))
