"""The work of `gridlab data fetch`, `list` and `verify`: options in, lines and exit status out.

Exit status: 0 done; 1 not done, or not for every symbol, for the reasons printed; 130 stopped by
Ctrl-C. What is printed on stdout is the result; progress and troubles go to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridlab.clock import Clock, SystemClock, human_duration, iso
from gridlab.data.catalog import catalog, verify_all
from gridlab.data.download import Fetched, Progress, fetch
from gridlab.data.history import History
from gridlab.domain.market import Interval, Market
from gridlab.errors import StorageError
from gridlab.exchange.budgets import Budgets

_MS_PER_S = 1000
#: Without bars, a line each time another tenth is done.
_STEPS = 10


def default_folder() -> Path:
    """`history` in the data directory: `$GRIDLAB_DATA_DIR`, else `~/.gridlab`."""
    named = os.environ.get("GRIDLAB_DATA_DIR")
    return (Path(named) if named else Path.home() / ".gridlab") / "history"


def moment(text: str) -> int:
    """UTC milliseconds of `2026-01-31` or `2026-01-31T12:00`, for argparse.

    >>> moment("2026-03-01")
    1772323200000
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date; write 2026-01-31 or 2026-01-31T12:00, in UTC"
        ) from None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(aware.timestamp() * _MS_PER_S)


def run_fetch(
    options: argparse.Namespace, clock: Clock | None = None, budgets: Budgets | None = None
) -> int:
    """Top up the history by what it lacks; prints a line for each symbol.

    Args:
        options: symbol (list), interval, start, end (None for now), market, folder (None for the
            default), base_url (None for the exchange's own).
        budgets: what is known of bans and limits; nothing by default.
    """
    history = History(options.folder or default_folder())
    clock = clock or SystemClock()
    try:
        results = asyncio.run(_fetch(history, options, clock, budgets))
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return 130
    for result in results:
        if result.error is None:
            print(f"{result.symbol:10} {result.added:>8} new bars{_confirmed(result)}")
        else:
            print(f"gridlab: {result.symbol}: {result.error}", file=sys.stderr)
    return 1 if any(result.error for result in results) else 0


def run_list(options: argparse.Namespace) -> int:
    """Print the bundled recordings, then what the history holds."""
    for series in catalog():
        _line(
            "bundled",
            series.market,
            series.symbol,
            series.interval,
            series.rows,
            series.first_ms,
            series.last_ms,
        )
    history = History(options.folder or default_folder())
    for stored in history.series():
        _line("history", *stored.key, stored.rows, stored.first_ms, stored.last_ms)
        gaps = history.gaps(stored.key.symbol, stored.key.interval, stored.key.market)
        for gap in gaps:
            why = "confirmed" if gap.is_confirmed else "not fetched"
            print(
                f"{'':9}gap {iso(gap.start_ms)}, {human_duration(gap.end_ms - gap.start_ms)}"
                f" ({why})"
            )
    return 0


def run_verify(options: argparse.Namespace) -> int:
    """Check every bundled and stored file; the exit status tells whether all are right."""
    is_ok = True
    try:
        for series in verify_all():
            print(f"ok  {series.path.name}  sha256 {series.sha256}")
    except StorageError as error:
        print(f"gridlab: {error}", file=sys.stderr)
        is_ok = False
    history = History(options.folder or default_folder())
    report = history.verify()
    for problem in report.problems:
        print(f"gridlab: {problem}", file=sys.stderr)
    damaged = len(report.problems)
    print(
        f"{'ok ' if report.is_ok else 'BAD'} {history.folder}  {len(report.files)} files, "
        f"{damaged} problems"
    )
    return 0 if is_ok and report.is_ok else 1


async def _fetch(
    history: History, options: argparse.Namespace, clock: Clock, budgets: Budgets | None
) -> tuple[Fetched, ...]:
    # A second's import that list and verify don't need.
    from gridlab.data.rest import DEFAULT_URLS, PublicRest

    market = Market(options.market)
    address = options.base_url or DEFAULT_URLS[market]
    budget = None if budgets is None else budgets.weight(market, address)
    end_ms = clock.now_ms() if options.end is None else options.end
    with _shown() as show:
        async with PublicRest(address, market, clock=clock, weight_budget=budget) as rest:
            return await fetch(
                history,
                rest,
                options.symbol,
                Interval(options.interval),
                options.start,
                end_ms,
                show,
            )


def _confirmed(result: Fetched) -> str:
    total_ms = sum(span.end_ms - span.start_ms for span in result.confirmed)
    if not total_ms:
        return ""
    return f", and {human_duration(total_ms)} for which the exchange has none"


def _line(
    kind: str, market: str, symbol: str, interval: str, rows: int, first_ms: int, last_ms: int
) -> None:
    print(
        f"{kind} {market:8} {symbol:10} {interval:3} {rows:>8} bars  "
        f"{iso(first_ms)} to {iso(last_ms)}"
    )


def _shown() -> AbstractContextManager[Callable[[Progress], None]]:
    """How progress is shown: bars on a terminal that can have them, plain lines elsewhere."""
    try:
        from tqdm import tqdm
    except ImportError:
        return nullcontext(_Lines())
    return _Bars(tqdm) if sys.stderr.isatty() else nullcontext(_Lines())


class _Lines:
    """A line on stderr at the beginning and for each tenth."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def __call__(self, progress: Progress) -> None:
        done, total = progress.done, progress.total
        step = done * _STEPS // total if total else _STEPS
        if self._told.get(progress.symbol) != step:
            self._told[progress.symbol] = step
            print(f"{progress.symbol}: {done} of {total} missing bars", file=sys.stderr)


class _Bars:
    """One bar of tqdm for each symbol."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *error: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def __call__(self, progress: Progress) -> None:
        bar = self._bars.get(progress.symbol)
        if bar is None:
            bar = self._bars[progress.symbol] = self._tqdm(
                total=progress.total, desc=progress.symbol, unit="bar", file=sys.stderr
            )
        bar.update(progress.done - bar.n)
